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


def pytest_addoption(parser):
    parser.addoption("--update", action="store_true", help="write the lists of what hosts do not carry anew")
