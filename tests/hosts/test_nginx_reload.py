"""Reloads under load: new keys in, retired keys out, no request lost, no answer of a mixture."""

import collections
import os
import signal
import threading
import time

import hosts

KEYS = {name: f"sk-{name * 16}" for name in "abc"}
# Which keys each generation of the configuration has.
GENERATIONS = ["a", "ab", "b", "bc", "c", "ca", "a"]
ROUNDS = 2
CLIENTS = 4


def http(port, generation):
    keys = " ".join(
        f"keygate_api_key {KEYS[name]} label={name}-{generation};"
        for name in GENERATIONS[generation % len(GENERATIONS)]
    )
    return f"""
        keepalive_timeout 75s;
        server {{
            listen 127.0.0.1:{port};
            keygate on; keygate_auth_mode strict; {keys}
            location / {{
                add_header X-Generation {generation} always;
                add_header X-Label $keygate_key_label always;
                empty_gif;
            }}
        }}"""


class Client(threading.Thread):
    """Asks with each key in turn: every request on a connection of its own, or kept alive."""

    def __init__(self, port, keep_alive, stop):
        super().__init__(daemon=True)
        self.port, self.keep_alive, self.stopping = port, keep_alive, stop
        self.answers = collections.Counter()
        self.wrong = []

    def run(self):
        connection = None
        try:
            while not self.stopping.is_set():
                for name, key in KEYS.items():
                    headers = [("x-api-key", key)]
                    response = None
                    if connection:
                        # An idle connection may be closed at any time: then the request was not
                        # taken, and is sent anew, as every client does.
                        try:
                            response = connection.request("GET", "/", headers)
                        except (ConnectionError, OSError):
                            pass
                    if response is None:
                        if connection:
                            connection.__exit__()
                        connection = hosts.Connection(self.port)
                        response = connection.request("GET", "/", headers)
                    if response is None:
                        self.wrong.append("no answer on a new connection")
                        return
                    self.judge(name, response)
                    if not self.keep_alive:
                        connection.__exit__()
                        connection = None
        except Exception as error:  # the thread's end is the test's failure
            self.wrong.append(repr(error))

    def judge(self, name, response):
        generation = int(response.get("x-generation"))
        keys = GENERATIONS[generation % len(GENERATIONS)]
        expected = (200, f"{name}-{generation}") if name in keys else (401, None)
        got = (response.status, response.get("x-label"))
        if got != expected:
            self.wrong.append((generation, name, got))
        self.answers[generation] += 1


def test_reload_under_load(start):
    port = hosts.free_port()
    nginx = start(http(port, 0), port, workers=2)
    stop = threading.Event()
    clients = [Client(port, number % 2 == 0, stop) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    last = ROUNDS * len(GENERATIONS)
    for generation in range(1, last):
        nginx.write(http(port, generation))
        nginx.reload()
        # The old workers are gone, so what holds now holds for every request.
        for name, key in KEYS.items():
            response = hosts.ask(port, headers=[("x-api-key", key)])
            assert response.get("x-generation") == str(generation)
            allowed = name in GENERATIONS[generation % len(GENERATIONS)]
            assert response.status == (200 if allowed else 401)
        time.sleep(0.05)
    stop.set()
    for client in clients:
        client.join(15)
        assert not client.is_alive()
        assert client.wrong == []
    answers = sum((client.answers for client in clients), collections.Counter())
    assert len(answers) == last, "a generation served no request"
    print(f"{sum(answers.values())} requests during {last - 1} reloads, none lost")


def test_a_bad_reload_changes_nothing(start):
    port = hosts.free_port()
    nginx = start(http(port, 0), port)
    nginx.write(http(port, 1).replace("strict", "strikt"))
    os.kill(nginx.process.pid, signal.SIGHUP)
    hosts.wait_until(lambda: "[emerg]" in nginx.log())
    assert 'keygate_auth_mode: must be "off", "strict"' in nginx.log()
    response = hosts.ask(port, headers=[("x-api-key", KEYS["a"])])
    assert (response.status, response.get("x-generation")) == (200, "0")
    # What the log shows above was asked for; the next look at it begins anew.
    nginx.error_log.write_text("")


def test_a_new_module_is_in_force_after_a_reload(start, tmp_path):
    """Replaced by rename, the module can be loaded anew; the master survives it."""
    port = hosts.free_port()
    copy = tmp_path / "module.so"
    copy.write_bytes(hosts.MODULE.read_bytes())
    nginx = start(f"# the module\n{http(port, 0)}", port)
    text = nginx.config.read_text().replace(str(hosts.MODULE), str(copy))
    nginx.config.write_text(text)
    nginx.reload()
    for _ in range(3):
        new = tmp_path / "module.new"
        new.write_bytes(hosts.MODULE.read_bytes())
        new.rename(copy)
        nginx.reload()
        assert hosts.ask(port, headers=[("x-api-key", KEYS["a"])]).status == 200
        assert hosts.ask(port, headers=[("x-api-key", KEYS["b"])]).status == 401
