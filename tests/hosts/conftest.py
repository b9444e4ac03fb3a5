import pytest

import hosts


@pytest.fixture
def upstream():
    with hosts.Upstream() as server:
        yield server


@pytest.fixture
def start(tmp_path):
    """Starts an nginx: start(http, port). It is stopped, and its log looked over, at the end."""
    started = []

    def run(http, port, workers=1):
        folder = tmp_path / f"nginx{len(started)}"
        folder.mkdir()
        nginx = hosts.Nginx(folder, http, workers)
        started.append(nginx)
        return nginx.start(port)

    yield run
    for nginx in started:
        nginx.stop()
        nginx.check_health()
