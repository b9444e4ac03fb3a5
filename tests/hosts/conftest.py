import pathlib
import tempfile

import hosts
import pytest


def pytest_generate_tests(metafunc):
    if "new_gate" in metafunc.fixturenames:
        import gates

        metafunc.parametrize("host", gates.CHOSEN)


@pytest.fixture
def upstream():
    with hosts.Upstream() as server:
        yield server


@pytest.fixture
def start(tmp_path):
    """Starts an nginx: start(http, port). It is stopped, and its log looked over, at the end."""
    started = []

    def run(http, port, **options):
        folder = tmp_path / f"nginx{len(started)}"
        folder.mkdir()
        nginx = hosts.Nginx(folder, http, **options)
        started.append(nginx)
        return nginx.start(port)

    yield run
    for nginx in started:
        nginx.stop()
        nginx.check_health()


@pytest.fixture
def new_gate(host, tmp_path):
    """new_gate(upstream_port, **settings) starts a gate on the host. Instead of the settings, `text`
    may give the whole file."""
    import gates

    running = []

    def run(upstream_port, text=None, **settings):
        folder = pathlib.Path(tempfile.mkdtemp(dir=tmp_path))
        running.append(gates.Gate(host, folder, upstream_port, settings if text is None else text))
        return running[-1]

    yield run
    for gate in running:
        gate.stop()


@pytest.fixture
def carried(host, request):
    """carried(name, reason): why the host cannot carry this, or None. It has to be listed so."""
    import gates

    def check(name, reason):
        assert name in gates.NAMES
        listed = gates.not_carried(host)
        if request.config.getoption("--update"):
            listed.pop(name, None)
            listed |= {name: reason} if reason else {}
            gates.write_not_carried(host, listed)
        assert listed.get(name) == reason, name

    return check


@pytest.fixture
def recorder():
    import upstreams

    with upstreams.Recorder() as upstream:
        yield upstream


def pytest_addoption(parser):
    parser.addoption("--update", action="store_true", help="write the lists of what hosts do not carry anew")
