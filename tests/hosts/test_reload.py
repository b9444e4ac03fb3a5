"""A change of the keys under load, by SIGHUP: every request is answered, each by one configuration
whole, and once a change is in force it holds for everybody."""

import collections
import threading
import time

import hosts

ALWAYS = "sk-" + "0" * 32
# Each generation has a key and a source of its own, and its key at a place of its own in the list.
KEYS = {name: f"sk-{name * 32}" for name in "abc"}
PLACE = {name: place for place, name in enumerate(KEYS)}
CHANGES = "bcab"
BAD = {
    b"": "valid JSON",
    b'{"auth_mode":"off"': "valid JSON",
    b'{"auth_mode":"strict","keys":[{"key":""}]}': "the key is empty",
    b'{"auth_mode":"open"}': "auth_mode: ",
}


def settings(name):
    return {
        "auth_mode": "strict",
        "keys": [{"key": f"sk-{place:032}"} for place in range(1, 1 + PLACE[name])] + [{"key": KEYS[name]}, {"key": ALWAYS}],
        "sources": [{"name": "authorization", "bearer": True}, {"name": f"x-{name}"}],
    }


def bearer(key):
    return [("Authorization", f"Bearer {key}")]


# What clients send, and the answer by any of the generations. The last two are right only by one's
# sources and another's keys.
REQUESTS = [
    (bearer(ALWAYS), 200),
    ([(f"x-{name}", key) for name, key in KEYS.items()], 200),
    ([("x-a", KEYS["b"]), ("x-b", KEYS["c"]), ("x-c", KEYS["a"])], 401),
    ([("x-a", KEYS["c"]), ("x-b", KEYS["a"]), ("x-c", KEYS["b"])], 401),
]


class Client(threading.Thread):
    """Asks over and over: every request on a connection of its own, or kept alive."""

    def __init__(self, port, keep_alive):
        super().__init__(daemon=True)
        self.port, self.keep_alive = port, keep_alive
        self.stopping = threading.Event()
        self.pause = 0
        self.count = 0
        self.wrong = []

    def run(self):
        connection = None
        try:
            while not self.stopping.is_set():
                for headers, status in REQUESTS:
                    response = None
                    if connection:
                        # An idle connection may be closed at any time: then the request was not
                        # taken, and is sent anew, as every client does.
                        try:
                            response = connection.request("GET", "/", headers)
                        except OSError:
                            pass
                    if response is None:
                        if connection:
                            connection.__exit__()
                        connection = hosts.Connection(self.port)
                        response = connection.request("GET", "/", headers)
                    self.count += 1
                    if response is None or response.status != status:
                        self.wrong.append((headers, response and response.status))
                    if not self.keep_alive:
                        connection.__exit__()
                        connection = None
                    time.sleep(self.pause)
        except Exception as error:  # the thread's end is the test's failure
            self.wrong.append(repr(error))


def check_in_force(port, name):
    """On as many new connections as find every worker of a host."""
    for _ in range(8):
        for other, key in KEYS.items():
            assert hosts.ask(port, headers=bearer(key)).status == (200 if other == name else 401)


def test_reload_under_load(new_gate, upstream):
    gate = new_gate(upstream.port, **settings("a"))
    clients = [Client(gate.port, keep_alive) for keep_alive in (True, False, True, False)]
    for client in clients:
        client.start()
    try:
        check_in_force(gate.port, "a")
        for name, (text, says) in zip(CHANGES, BAD.items(), strict=True):
            gate.configure(settings(name), lambda name=name: hosts.ask(gate.port, headers=bearer(KEYS[name])).status == 200)
            check_in_force(gate.port, name)
            gate.refuses(text, says)
            check_in_force(gate.port, name)
    finally:
        for client in clients:
            client.stopping.set()
    for client in clients:
        client.join(15)
        assert not client.is_alive() and client.wrong == []
    served = collections.Counter()
    for record in gate.records():
        if record["verdict"] == "allow" and record["source"] != "authorization":
            name = record["source"].removeprefix("x-")
            assert record["key_index"] == PLACE[name], record
            served[name] += 1
    assert set(served) == set(KEYS), "a generation served no request"
    print(f"{gate.host}: {sum(client.count for client in clients)} requests during {len(CHANGES)} changes, none lost")


def test_a_request_under_way_is_answered(new_gate, upstream):
    """By the configuration that decided about it."""
    arrived, proceed = threading.Event(), threading.Event()

    def answer(handler, _):
        if handler.path == "/slow":
            arrived.set()
            assert proceed.wait(60)
        handler.reply(200, "text/plain", b"in the end\n")

    upstream.answer = answer
    gate = new_gate(upstream.port, **settings("a"))
    with hosts.Connection(gate.port, timeout=60) as slow:
        head = ["POST /slow HTTP/1.1", "Host: gate.test", f"x-a: {KEYS['a']}", "Content-Length: 0", "", ""]
        slow.send("\r\n".join(head).encode())
        assert arrived.wait(10)
        gate.configure(settings("b"), lambda: hosts.ask(gate.port, headers=bearer(KEYS["b"])).status == 200)
        proceed.set()
        response = slow.response()
        assert (response.status, response.body) == (200, b"in the end\n")


def is_revoked(connection, headers):
    try:
        response = connection.request("GET", "/v1/revoked", headers)
    except ConnectionError:
        return True
    return response is None or response.status == 401 and response.json()["error"]["code"] == "invalid_api_key"


def test_revoked_key_on_an_open_connection(new_gate, carried, upstream):
    """It is asked about again, or the connection is closed."""
    gate = new_gate(upstream.port, **settings("a"))
    with hosts.Connection(gate.port) as used, hosts.Connection(gate.port) as unused:
        old, new = bearer(KEYS["a"]), bearer(KEYS["b"])
        assert used.request("GET", "/v1/a", old).status == 200
        gate.configure(settings("b"), lambda: hosts.ask(gate.port, headers=new).status == 200)
        assert is_revoked(used, old)
        assert "/v1/revoked" not in upstream.seen()
        before = "the first request on a connection from before the change is answered by the configuration before"
        carried("reload/unused-connection", None if is_revoked(unused, old) else before)
