"""Known ways around a gate, each over raw sockets through every host that has an adapter. A test is
named for the kind of attack; none of it may work, and beside it stands what must go on working."""

import concurrent.futures
import contextlib
import json
import re
import socket
import time

import gates
import h2.config
import h2.connection
import h2.events
import hosts
import pytest
import upstreams
from hosts import SECONDS, chunked, exchange, lines, runs, spelling, statuses
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

KEY = "sk-Zq7vXw9RkT2mYpLb"
WRONG = "sk-Wd4hNs8FgJ3cVtQz"
# As a key that is a method, too.
WORD = "QZXWVKJYPLBHCNDFGMRT"
SOURCES = ("authorization", "x-api-key", "x-goog-api-key")
OPEN = "/open"  # an exempt path that no host answers by itself
HEALTH = {"auth_mode": "all_except_health", "api_key": KEY, "exempt": ["/healthz", OPEN]}
STRICT = {"auth_mode": "strict", "api_key": KEY}
OFF = {"auth_mode": "off", "api_key": KEY}
BEARER = ("Authorization", f"Bearer {KEY}")
CLOSING = 15  # seconds for closing, where ten are meant


def opened(data):
    """Whether any answer is no refusal."""
    return [status for status in statuses(data) if status < 400]


def label(value):
    """Of a case, in the name of a test."""
    if isinstance(value, dict):
        return value["auth_mode"]
    return {KEY: "right key", WRONG: "wrong key"}.get(value, value)


def check_denial(response, head=False):
    """A 401 of ours. Returns what it says, where it says something."""
    assert response is not None and response.status == 401
    assert response.get("www-authenticate") in (hosts.CHALLENGE, hosts.CHALLENGE_INVALID)
    assert response.get("content-type") == "application/json"
    if head:
        assert response.body == b""
        return None
    return response.json()["error"]["code"]


# A keyless allow that upgrades the connection

WEBSOCKET = ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
UPGRADES = {
    "h2c": ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"),
    "h2c-without-settings": ("Connection: Upgrade", "Upgrade: h2c"),
    "settings-alone": ("Connection: HTTP2-Settings", "HTTP2-Settings: AAMAAABkAAQAAP__"),
    "odd-case": ("cONNECTION: uPGRADE, hTTP2-sETTINGS", "uPGRADE: H2C", "hTTP2-sETTINGS: AAMAAABkAAQAAP__"),
    "websocket": ("Connection: Upgrade", "Upgrade: websocket", *WEBSOCKET),
    "websocket-odd-case": ("connection: keep-alive, UpGrAdE", "UPGRADE: WebSocket", *WEBSOCKET),
    "two-tokens": ("Connection: Upgrade", "Upgrade: websocket, h2c", *WEBSOCKET),
    "two-headers": ("Connection: Upgrade", "Upgrade: websocket", "Upgrade: h2c", *WEBSOCKET),
    "two-connections": ("Connection: keep-alive", "Connection: Upgrade", "Upgrade: h2c"),
    "other-protocol": ("Connection: Upgrade", "Upgrade: TLS/1.0"),
    "no-connection": ("Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"),
    "underscore": ("Connection: Upgrade, HTTP2_Settings", "Upgrade: h2c", "HTTP2_Settings: AAMAAABkAAQAAP__"),
    "dot": ("Connection: Upgrade, HTTP2.Settings", "Upgrade: h2c", "HTTP2.Settings: AAMAAABkAAQAAP__"),
    "tab": ("Connection:\tUpgrade", "Upgrade:\th2c\t"),
}
KEYLESS = [
    (HEALTH, "OPTIONS", "/"),
    (HEALTH, "OPTIONS", "/v1/chat/completions"),
    (HEALTH, "GET", OPEN),
    (HEALTH, "GET", OPEN + "?x"),
    (HEALTH, "HEAD", OPEN),
    (STRICT, "OPTIONS", "/"),
    (OFF, "OPTIONS", "/"),
    ({"auth_mode": "strict"}, "OPTIONS", "/"),
]
TUNNELLED = lines("POST /v1/chat/completions HTTP/1.1", "Host: gate.test", "Content-Length: 0")


@pytest.mark.parametrize("settings, method, target", KEYLESS, ids=label)
def test_keyless_upgrade(new_gate, recorder, settings, method, target):
    gate = new_gate(recorder.port, **settings)
    for name, headers in UPGRADES.items():
        head = lines(f"{method} {target} HTTP/1.1", "Host: gate.test", *headers)
        with hosts.Connection(gate.port) as connection:
            connection.send(head)
            response = connection.response(head=method == "HEAD")
            assert response is None or response.status != 101, name
            if settings is not OFF:  # else that would be allowed outside a tunnel as well
                got = b""
                with contextlib.suppress(ConnectionError):
                    connection.send(TUNNELLED)
                    got = connection.file.readline()
                # Some have a body even in an answer to HEAD, and then close.
                assert set(statuses(got)) <= {400, 401}, (name, got)
    assert recorder.tunnelled == []
    assert all(request.target == target for request in recorder.requests)
    dropped = {"upgrade", "http2-settings"}
    for request in recorder.requests:
        assert not dropped & {spelling(name) for name, _ in request.headers}, request
        connections = ", ".join(value for name, value in request.headers if name.lower() == "connection")
        assert not re.search("upgrade|settings", connections, re.IGNORECASE), request


def h2c(port, method, target):
    """Asks for h2c, and where that is agreed to, for the service inside it. Returns the status of the
    answer."""
    client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    settings = client.initiate_upgrade_connection().decode()
    upgrade = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", f"HTTP2-Settings: {settings}")
    with hosts.Connection(port) as connection:
        connection.send(lines(f"{method} {target} HTTP/1.1", "Host: gate.test", *upgrade))
        response = connection.response(head=method == "HEAD")
        # Whatever the answer: a client may go on as if it had been a yes.
        stream = client.get_next_available_stream_id()
        inside = {":method": "POST", ":path": "/v1/chat/completions", ":scheme": "http", ":authority": "gate.test"}
        client.send_headers(stream, list(inside.items()), end_stream=True)
        connection.send(client.data_to_send())
        connection.socket.settimeout(1)
        try:
            while connection.file.read1():
                pass
        except (TimeoutError, ConnectionError):
            pass
    return response.status


@pytest.mark.parametrize("settings, method, target", KEYLESS, ids=label)
def test_keyless_tunnel_to_hypercorn(new_gate, tmp_path, settings, method, target):
    inside = ("POST", "/v1/chat/completions", "2")
    with upstreams.Hypercorn(tmp_path) as hypercorn:
        # Without a gate, it is as open as that.
        assert h2c(hypercorn.port, method, target) == 101
        assert inside in hypercorn.requests()
        before = len(hypercorn.requests())
        gate = new_gate(hypercorn.port, **settings)
        assert h2c(gate.port, method, target) != 101
        assert inside not in hypercorn.requests()[before:]
        assert all(version == "1.1" for _, _, version in hypercorn.requests()[before:])


@pytest.mark.parametrize("target", [OPEN, "/healthz"])
def test_keyless_websocket(new_gate, tmp_path, target):
    with upstreams.WebSockets() as server, upstreams.Hypercorn(tmp_path) as hypercorn:
        for port in (server.port, hypercorn.port):
            gate = new_gate(port, **HEALTH)
            for path in (target, "/v1/realtime"):
                with pytest.raises(InvalidStatus) as refused, connect(f"ws://127.0.0.1:{gate.port}{path}", proxy=None):
                    pass
                assert (path == "/v1/realtime") == (refused.value.response.status_code == 401)
        assert server.headers == []
        assert "WEBSOCKET" not in [method for method, _, _ in hypercorn.requests()]


# A keyless allow that means another request upstream

OVERRIDES = ("X-HTTP-Method", "X-HTTP-Method-Override", "X-Method-Override", "X-Original-URL", "X-Rewrite-URL")


@pytest.mark.parametrize("settings, method, target", KEYLESS, ids=label)
def test_method_or_target_override(new_gate, recorder, settings, method, target):
    gate = new_gate(recorder.port, **settings)
    for name in OVERRIDES:
        for spelt in (name, name.lower(), name.upper(), name.replace("-", "_"), name.replace("-", ".")):
            for value in ("POST", "/admin", ""):
                hosts.ask(gate.port, method, target, [(spelt, value), (spelt, value), ("x-other", "1")])
    assert recorder.requests
    for request in recorder.requests:
        names = {spelling(name) for name, _ in request.headers}
        assert not names & {name.lower() for name in OVERRIDES}, request
        assert "x-other" in names, request


# A fragment behind an exempt path, and other targets that are nearly exempt

FRAGMENTS = [
    *("/healthz#", "/healthz#x", "/healthz#/../private/s.txt", "/healthz?x#y", "/healthz?#", "/healthz#?x"),
    *(f"{OPEN}#", f"{OPEN}#/../private/s.txt", f"{OPEN}?x#/../private", "#", "#/healthz", f"/#{OPEN}"),
]
TRICKS = [
    *("//healthz", "/healthz/", "/healthz//", "/./healthz", "/a/../healthz", "/healthz/.", "/healthz/../v1"),
    *("/%68ealthz", "/healthz%2f", "/healthz%00", "/healthz%3fx", "/%2e/healthz", "/healthz/%2e%2e/v1"),
    *("/healthz;x", "/healthz;/../v1", "/HEALTHZ", "/healthz.json", "/healthz&x", "/healthz\\", "\\healthz"),
    *("http://gate.test/healthz", "http://healthz", "http:///healthz", "HTTP://gate.test" + OPEN, "x:/healthz"),
    *("healthz", "*", "/healthz /v1/models", "/healthz\t", "/../healthz", "/../open", "//gate.test/open"),
    *("/v1/models?/healthz", "/v1/models?x=/open", "/open%20", "/open%23", "/%6fpen", "/open/..%2f"),
]


@pytest.mark.parametrize("targets", [FRAGMENTS, TRICKS], ids=["fragment", "target"])
def test_target_that_is_nearly_exempt(new_gate, recorder, carried, targets):
    gate = new_gate(recorder.port, **HEALTH)
    assert hosts.ask(gate.port, "GET", OPEN).status == 200
    assert hosts.ask(gate.port, "GET", OPEN + "?x").status == 200
    connections, requests = len(recorder.raw), len(recorder.requests)
    passed = {
        target
        for target in targets
        for method in ("GET", "HEAD")
        if opened(exchange(gate.port, lines(f"{method} {target} HTTP/1.1", "Host: gate.test", "Connection: close")))
    }
    left = {target: target.partition("#")[0] for target in targets if "#" in target}
    if left:
        carried("forwarding/fragment", gates.CUT if passed else None)
    # Where it is cut, what is left is exempt, and no more is forwarded.
    assert passed <= {target for target, path in left.items() if path.partition("?")[0] in ("/healthz", OPEN)}
    assert set(recorder.targets()[requests:]) == {left[target] for target in passed}
    assert passed or len(recorder.raw) == connections, recorder.raw[connections:]


@pytest.mark.parametrize("targets", [FRAGMENTS, TRICKS], ids=["fragment", "target"])
def test_target_over_http2(new_gate, recorder, targets):
    """Where the host speaks HTTP/2 on this port. Where it does not, it must not hand it on either."""
    gate = new_gate(recorder.port, **HEALTH)
    for target in targets:
        configuration = h2.config.H2Configuration(
            client_side=True, validate_outbound_headers=False, normalize_outbound_headers=False
        )
        client = h2.connection.H2Connection(configuration)
        client.initiate_connection()
        inside = {":method": "GET", ":path": target, ":scheme": "http", ":authority": "gate.test"}
        client.send_headers(1, list(inside.items()), end_stream=True)
        got = exchange(gate.port, client.data_to_send(), quiet=0.3)
        if got.startswith(b"HTTP/1.1 "):
            assert not opened(got), got[:60]
            continue
        for event in client.receive_data(got):
            if isinstance(event, h2.events.ResponseReceived):
                assert dict(event.headers)[b":status"] >= b"400", target
    assert recorder.requests == [] and recorder.broken == []


def test_target_that_is_none(new_gate, recorder):
    """OPTIONS is allowed wherever it goes: what is no target must not get there as another one."""
    gate = new_gate(recorder.port, **STRICT)
    for target in ("x:/admin", "admin", "?admin", "http:/admin", "x:admin", ":80/admin", "@x/admin"):
        got = exchange(gate.port, lines(f"OPTIONS {target} HTTP/1.1", "Host: gate.test", "Connection: close"))
        assert not opened(got), (target, got[:60])
    assert recorder.raw == []
    assert hosts.ask(gate.port, "OPTIONS", "http://elsewhere.test/admin?x").status == 200
    assert recorder.targets() == ["/admin?x"]


# A denial that waits for a body

WAITING = {
    "announced": (["Content-Length: 1000"], b"x", None),
    "announced-much": (["Content-Length: 1000000000000"], b"x" * 100, None),
    "nothing-sent": (["Content-Length: 1000"], b"", None),
    "slow": (["Content-Length: 1000"], b"x", b"x"),
    "chunked": (["Transfer-Encoding: chunked"], b"3\r\nabc\r\n", None),
    "chunked-slow": (["Transfer-Encoding: chunked"], b"", b"1\r\nx\r\n"),
    "chunk-announced": (["Transfer-Encoding: chunked"], b"ffffff\r\nabc", b"x"),
    "expect": (["Content-Length: 1000", "Expect: 100-continue"], b"", None),
    "expect-slow": (["Content-Length: 1000", "Expect: 100-continue"], b"", b"x"),
}


def hold(port, method, target, headers, begun, drip):
    """Sends a request and not all of its body. Returns the first status line, and after how many
    seconds it came and the connection was closed."""
    start = time.monotonic()
    answered, got = None, b""
    with socket.create_connection(("127.0.0.1", port), SECONDS) as connection:
        connection.sendall(lines(f"{method} {target} HTTP/1.1", "Host: gate.test", *headers) + begun)
        connection.settimeout(0.3)
        while time.monotonic() < start + 3 * CLOSING:
            try:
                if not (more := connection.recv(65536)):
                    break
                got += more
                if answered is None:
                    answered = time.monotonic() - start
            except TimeoutError:
                if drip:
                    try:
                        connection.sendall(drip)
                    except OSError:
                        break
            except OSError:
                break
    return (statuses(got) or [None])[0], answered, time.monotonic() - start


def check_held(gate, requests, status):
    """All of them at once."""
    with concurrent.futures.ThreadPoolExecutor(len(requests)) as pool:
        held = {name: pool.submit(hold, gate.port, *request) for name, request in requests.items()}
    for name, got in held.items():
        first, answered, closed = got.result()
        assert answered is not None and answered < SECONDS, (name, answered)
        assert first == status, (name, first)
        assert closed < CLOSING, (name, closed)


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_denial_that_waits_for_a_body(new_gate, recorder, method):
    gate = new_gate(recorder.port, **HEALTH)
    check_held(gate, {name: (method, "/v1/models", *how) for name, how in WAITING.items()}, 401)
    assert recorder.raw == []


def test_denials_that_wait_for_bodies_by_the_hundred(new_gate, recorder):
    gate = new_gate(recorder.port, **HEALTH)
    check_held(gate, {n: ("POST", "/v1/models", *WAITING["announced"]) for n in range(200)}, 401)
    assert hosts.ask(gate.port, headers=[BEARER]).status == 200


@pytest.mark.parametrize("target", ["/healthz", OPEN])
def test_health_that_waits_for_a_body(new_gate, target):
    with upstreams.Recorder(early=True) as recorder:
        gate = new_gate(recorder.port, **HEALTH)
        waiting = {name: how for name, how in WAITING.items() if not name.startswith("expect")}
        check_held(gate, {name: ("GET", target, *how) for name, how in waiting.items()}, 200)


def test_refusal_that_waits_for_a_body(new_gate, recorder):
    """What the host itself refuses."""
    gate = new_gate(recorder.port, **STRICT)
    check_held(gate, {name: ("OPTIONS", "x:/admin", *how) for name, how in WAITING.items()}, 400)
    assert recorder.raw == []


@pytest.mark.parametrize("size", [0, 1, 10_000, 200_000])
def test_a_denied_client_that_sends_its_body_keeps_its_connection(new_gate, recorder, size):
    gate = new_gate(recorder.port, **HEALTH)
    with hosts.Connection(gate.port) as connection:
        for _ in range(3):
            check_denial(connection.request("POST", "/v1/models", body=b"x" * size))
            assert connection.request("POST", "/v1/models", [BEARER], b"y" * size).status == 200
            connection.send(chunked("POST", "/v1/models", [], "z" * max(size, 1), []))
            check_denial(connection.response())
            assert connection.request("GET", OPEN).status == 200
    assert recorder.targets() == ["/v1/models", OPEN] * 3
    assert b"x" not in recorder.requests[0].body and recorder.requests[0].body == b"y" * size


# A key in a log

def test_key_in_a_log(new_gate, recorder):
    settings = {"auth_mode": "all_except_health", "keys": [{"key": KEY, "label": "laptop"}, {"key": WORD}]}
    gate = new_gate(recorder.port, **settings)
    for key in (KEY, WORD, WRONG):
        places = [
            f"GET /{key} HTTP/1.1", f"GET /v1/models&key={key} HTTP/1.1", f"GET /v1/models%3Fkey={key} HTTP/1.1",
            f"GET /v1/models;key={key} HTTP/1.1", f"GET /v1/models?key={key} HTTP/1.1", f"GET /healthz/{key} HTTP/1.1",
            f"GET /healthz?key={key} HTTP/1.1", f"GET /healthz#{key} HTTP/1.1", f"GET {OPEN}?{key} HTTP/1.1",
            f"{key} /v1/models HTTP/1.1", f"OPTIONS /{key} HTTP/1.1", f"OPTIONS {key} HTTP/1.1", f"GET {key} HTTP/1.1",
            f"GET http://{key}/v1/models HTTP/1.1", f"GET http://{key}@gate.test/ HTTP/1.1", f"GET /%zz{key} HTTP/1.1",
            f"GET /../{key} HTTP/1.1", f"GET /{key}", f"GET / HTTP/{key}", key, f"POST /{key} HTTP/1.1",
            f"PURGE /{key}?{key} HTTP/1.1", f"{key} /{key}?{key} HTTP/1.1",
        ]
        headers = [
            [], [f"Authorization: Bearer {key}"], [f"Authorization: Bearer{key}"], [f"Authorization: Basic {key}"],
            [f"x-api-key: {key}"], [f"x-api-key: {key}", f"x-api-key: {key}"], [f"x-api-key: {key}\x01"],
            [f"Authorization: {key}", f"Authorization: {key}"], [f"{key}: x"], [f"{key}"], [f"x_api_key: {key}"],
            [f"x api key: {key}"], [f"Cookie: {key}"], [f"Referer: http://gate.test/{key}"], [f"User-Agent: {key}"],
            [f"Content-Length: {key}"], [f"Transfer-Encoding: {key}"], [f"Expect: {key}"], [f"Connection: {key}"],
            [f"Upgrade: {key}"], [f"Range: bytes={key}"], [f"Host: {key} x"],
            [f"Origin: {key}", f"X-Forwarded-For: {key}"],
        ]
        sent = [lines(place, "Host: gate.test", "Connection: close") for place in places]
        sent += [
            lines(f"{method} /v1/models HTTP/1.1", *(["Host: gate.test"] if "Host" not in header[:1] else []), *header)
            for method in ("GET", "OPTIONS")
            for header in headers
        ]
        sent += [lines(f"{key} /{key}?{key} HTTP/1.1", "Host: gate.test", f"Authorization: Bearer {key}")]
        sent += [chunked("POST", "/v1/models", [f"x-api-key: {KEY}", f"Trailer: {key}"], key, [f"{key}: {key}"])]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda data: exchange(gate.port, data, quiet=0.3), sent))
    gate.change({"auth_mode": "strict", "keys": [{"key": KEY}, {"key": WORD + "\x01"}]})
    assert hosts.ask(gate.port, headers=[BEARER]).status == 200
    gate.stop()
    assert gate.records()
    for key in (KEY, WORD, WRONG):
        assert not runs(key, gate.log()), [line for line in gate.log().splitlines() if runs(key, line)][:5]


def test_key_in_a_log_when_the_upstream_is_gone(new_gate):
    gate = new_gate(hosts.free_port(), **STRICT)
    for target in ("/v1/models", f"/v1/models?key={WRONG}"):
        for key in (KEY, WRONG):
            if key == KEY and "?" in target:
                continue  # documented: a host's own line about a failed upstream may have the query
            assert hosts.ask(gate.port, "POST", target, [("x-api-key", key)], b"{}").status in (401, 502)
    gate.stop()
    for key in (KEY, WRONG):
        assert not runs(key, gate.log())


# Request smuggling

SECRET = "GET /secret HTTP/1.1\r\nHost: gate.test\r\nX-Smuggled: 1\r\n\r\n"
AUTHORIZED = f"Authorization: Bearer {KEY}"
SMUGGLED = {
    # A request that has a right key; behind it, one that has none.
    **{
        name: f"POST /v1/a HTTP/1.1\r\nHost: gate.test\r\n{AUTHORIZED}\r\n{framing}\r\n\r\n{body}"
        for name, framing, body in [
            ("cl-te", f"Content-Length: {5 + len(SECRET)}\r\nTransfer-Encoding: chunked", f"0\r\n\r\n{SECRET}"),
            ("te-cl", "Transfer-Encoding: chunked\r\nContent-Length: 5", f"0\r\n\r\n{SECRET}"),
            ("two-cl", f"Content-Length: 0\r\nContent-Length: {len(SECRET)}", SECRET),
            ("two-cl-reversed", f"Content-Length: {len(SECRET)}\r\nContent-Length: 0", SECRET),
            ("cl-list", f"Content-Length: 0, {len(SECRET)}", SECRET),
            ("cl-plus", f"Content-Length: +{len(SECRET)}", SECRET),
            ("cl-hex", f"Content-Length: 0x{len(SECRET):x}", SECRET),
            ("cl-negative", "Content-Length: -1", SECRET),
            ("cl-space", f"Content-Length: {len(SECRET)} 0", SECRET),
            ("cl-underscore", f"Content_Length: {len(SECRET)}", SECRET),
            ("te-twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", f"0\r\n\r\n{SECRET}"),
            ("te-list", "Transfer-Encoding: identity, chunked", f"0\r\n\r\n{SECRET}"),
            ("te-unknown", "Transfer-Encoding: xchunked", f"0\r\n\r\n{SECRET}"),
            (
                "te-vertical-tab",
                f"Transfer-Encoding: \x0bchunked\r\nContent-Length: {5 + len(SECRET)}",
                f"0\r\n\r\n{SECRET}",
            ),
            ("te-space-before-colon", "Transfer-Encoding : chunked", f"0\r\n\r\n{SECRET}"),
            ("te-underscore", "Transfer_Encoding: chunked", f"0\r\n\r\n{SECRET}"),
            ("te-folded", "Transfer-Encoding:\r\n chunked", f"0\r\n\r\n{SECRET}"),
            ("te-bare-cr", "X: y\rTransfer-Encoding: chunked", f"0\r\n\r\n{SECRET}"),
            ("chunk-extension", "Transfer-Encoding: chunked", f"0;\n\r\n\r\n{SECRET}"),
            ("chunk-bare-lf", "Transfer-Encoding: chunked", f"1\nx\n0\n\n{SECRET}"),
            ("chunk-size-overflow", "Transfer-Encoding: chunked", f"10000000000000000\r\n\r\n0\r\n\r\n{SECRET}"),
            ("chunk-size-junk", "Transfer-Encoding: chunked", f"0_2\r\nab\r\n0\r\n\r\n{SECRET}"),
            ("nul", f"X: y\0\r\nContent-Length: {len(SECRET)}\0", SECRET),
            ("pipelined", "Content-Length: 0", SECRET),
        ]
    },
    # Without a key: a body that looks like a request is none.
    "denied-pipelined": f"POST /secret HTTP/1.1\r\nHost: gate.test\r\nContent-Length: {len(SECRET)}\r\n\r\n{SECRET}",
    "denied-chunked": "POST /secret HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: chunked\r\n\r\n"
    f"{len(SECRET):x}\r\n{SECRET}\r\n0\r\n\r\n",
    "denied-short-body": f"POST /secret HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 3\r\n\r\nabc{SECRET}",
    # A credential that is none.
    "key-folded": f"GET /secret HTTP/1.1\r\nHost: gate.test\r\nAuthorization:\r\n Bearer {KEY}x\r\n\r\n",
    "key-space-before-colon": f"GET /secret HTTP/1.1\r\nHost: gate.test\r\nx-api-key : {KEY}\r\n\r\n",
    "key-bare-cr": f"GET /secret HTTP/1.1\r\nHost: gate.test\r\nX: y\r{AUTHORIZED}\r\n\r\n",
    "key-after-nul": f"GET /secret HTTP/1.1\r\nHost: gate.test\r\nx-api-key: \0{KEY}\r\n\r\n",
    "key-before-nul": f"GET /secret HTTP/1.1\r\nHost: gate.test\r\nx-api-key: {KEY}\0x\r\n\r\n",
    "key-in-the-body": "GET /secret HTTP/1.1\r\nHost: gate.test\r\n"
    f"Content-Length: {len(AUTHORIZED)}\r\n\r\n{AUTHORIZED}",
    "key-of-no-source": f"GET /secret HTTP/1.1\r\nHost: gate.test\r\nx_api_key: {KEY}\r\n\r\n",
    "http-0.9": "GET /secret\r\n\r\n",
    "http-0.9-with-headers": f"GET /secret\r\nHost: gate.test\r\n{AUTHORIZED}\r\n\r\n",
    "http-2.0": "GET /secret HTTP/2.0\r\nHost: gate.test\r\n\r\n",
    "leading-space": " GET /secret HTTP/1.1\r\nHost: gate.test\r\n\r\n",
    "leading-lines": "\r\n\r\nGET /secret HTTP/1.1\r\nHost: gate.test\r\n\r\n",
    "space-in-target": f"GET {OPEN} /secret HTTP/1.1\r\nHost: gate.test\r\n\r\n",
    "version-in-target": f"GET {OPEN} HTTP/1.1 /secret HTTP/1.1\r\nHost: gate.test\r\n\r\n",
    "first-header-folded": f"GET /secret HTTP/1.1\r\n {AUTHORIZED}\r\nHost: gate.test\r\n\r\n",
}


def test_request_smuggling(new_gate, recorder):
    gate = new_gate(recorder.port, **HEALTH)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        asked = {name: pool.submit(exchange, gate.port, text.encode("latin-1")) for name, text in SMUGGLED.items()}
    for name, got in asked.items():
        if name.startswith(("key", "http", "denied")):
            assert not opened(got.result()), (name, got.result())
    # Where numbers have any size, the chunk that is too large is one, and what follows its data.
    data = f"\r\n0\r\n\r\n{SECRET}".encode()
    seen = recorder.bytes().replace(b"%x\r\n%s\r\n" % (len(data), data), b"")
    assert b"/secret" not in seen, [raw for raw in recorder.raw if b"/secret" in raw]
    assert recorder.broken == []


def test_request_smuggled_in_an_exempt_body(new_gate, recorder):
    """A body stays one, whatever it looks like and whatever the method."""
    gate = new_gate(recorder.port, **HEALTH)
    for method, target in (("GET", OPEN), ("HEAD", OPEN), ("OPTIONS", "/v1/models"), ("OPTIONS", "/")):
        with hosts.Connection(gate.port) as connection:
            assert connection.request(method, target, body=SECRET.encode()).status == 200
        with hosts.Connection(gate.port) as connection:
            connection.send(chunked(method, target, [], SECRET, []))
            assert connection.response(head=method == "HEAD").status == 200
    assert "/secret" not in recorder.targets() and recorder.broken == []
    assert len(recorder.requests) == 8


def test_pipelined_requests_are_decided_one_by_one(new_gate, recorder):
    gate = new_gate(recorder.port, **HEALTH)
    denied = "POST /secret HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 3\r\n\r\nabc"
    allowed = f"POST /v1/a HTTP/1.1\r\nHost: gate.test\r\n{AUTHORIZED}\r\nContent-Length: 3\r\n\r\nabc"
    last = "GET /secret HTTP/1.1\r\nHost: gate.test\r\nConnection: close\r\n\r\n"
    got = exchange(gate.port, (denied + allowed + denied + allowed + allowed + last).encode(), quiet=SECONDS)
    assert statuses(got) == [401, 200, 401, 200, 200, 401]
    assert recorder.targets() == ["/v1/a"] * 3


# A connection that was once let through

def test_right_key_opens_no_connection(new_gate, recorder):
    gate = new_gate(recorder.port, **HEALTH)
    with hosts.Connection(gate.port) as connection:
        for _ in range(5):
            assert connection.request("POST", "/v1/a", [BEARER], b"{}").status == 200
            assert check_denial(connection.request("POST", "/secret", body=b"{}")) == "missing_api_key"
            assert connection.request("GET", OPEN).status == 200
            assert check_denial(connection.request("GET", "/secret")) == "missing_api_key"
            assert connection.request("OPTIONS", "/v1/a").status == 200
            assert check_denial(connection.request("GET", "/secret", [("x-api-key", WRONG)])) == "invalid_api_key"
            assert connection.request("HEAD", "/v1/a", [BEARER]).status == 200
            check_denial(connection.request("HEAD", "/secret"), head=True)
    assert recorder.targets() == ["/v1/a", OPEN, "/v1/a", "/v1/a"] * 5


# Duplicates and precedence

def test_wrong_header_rescued_by_another(new_gate, recorder):
    gate = new_gate(recorder.port, **STRICT)
    names = ("Authorization", "x-api-key", "x-goog-api-key")
    bad = (
        *(WRONG, "", "Bearer", "Bearer ", "Basic x", f"Bearer{KEY}", f"bearer {KEY}", f"{KEY}x", KEY[:-1]),
        f"{KEY},{KEY}",
    )
    for first in range(3):
        for value in bad:
            for second in range(first + 1, 3):
                for order in (1, -1):
                    headers = [(names[first], value), (names[second], KEY)][::order]
                    check_denial(hosts.ask(gate.port, headers=headers))
            # A second of the same name never rescues the first.
            response = hosts.ask(gate.port, headers=[(names[first], value), (names[first], KEY)])
            assert response.status in (400, 401), (names[first], value)
    assert recorder.raw == []
    for second in names[1:]:
        assert hosts.ask(gate.port, headers=[(second, WRONG), BEARER]).status == 200
    assert hosts.ask(gate.port, headers=[("x-api-key", KEY), ("x-api-key", WRONG)]).status == 200


def test_right_header_among_wrong_ones(new_gate, recorder):
    """With `match: any`, a right key in any source, but only in the first header of its name."""
    gate = new_gate(recorder.port, **STRICT, match="any")
    for first in (WRONG, "", f"Bearer{KEY}", "Basic x", "\xe9"):
        for headers in ([("Authorization", first), ("x-api-key", KEY)], [("x-goog-api-key", KEY), ("x-api-key", first)]):
            assert hosts.ask(gate.port, headers=headers).status == 200, headers
    passed = len(recorder.requests)
    for headers in (
        [("x-api-key", WRONG), ("x-api-key", KEY)],
        [("Authorization", WRONG), ("x-goog-api-key", ""), ("x-goog-api-key", KEY), ("x_api_key", KEY)],
        [("x-api-key", f"{KEY},{KEY}"), ("x-goog-api-key", f"{KEY}x")],
        [("Cookie", KEY), ("x-api-keys", KEY)],
    ):
        check_denial(hosts.ask(gate.port, headers=headers))
    assert len(recorder.requests) == passed == 10


# An OPTIONS request that is no preflight

ORIGIN, ASKED = ("Origin", "https://app.test"), ("Access-Control-Request-Method", "POST")
NO_PREFLIGHT = [
    *([], [ORIGIN], [ASKED], [ORIGIN, ORIGIN], [ORIGIN, ("Access-Control-Request-Headers", "x")]),
    *([ORIGIN, ("Access_Control_Request_Method", "POST")], [("Origin_", "x"), ASKED], [("X-Origin", "x"), ASKED]),
    *([ORIGIN, ("Connection", "Access-Control-Request-Method")], [ORIGIN, ("Cookie", "Access-Control-Request-Method")]),
]
PREFLIGHTS = [[ORIGIN, ASKED], [ASKED, ORIGIN], [("oRIGIN", ""), ("ACCESS-CONTROL-REQUEST-METHOD", "")]]


def test_options_that_is_no_preflight(new_gate, recorder):
    gate = new_gate(recorder.port, **HEALTH, preflight="cors")
    for target in ("/v1/models", OPEN):
        for headers in NO_PREFLIGHT:
            check_denial(hosts.ask(gate.port, "OPTIONS", target, headers))
            check_denial(hosts.ask(gate.port, "OPTIONS", target, [*headers, ("x-api-key", WRONG)]))
        for method in ("GET", "POST", "options", "OPTIONSX"):
            if (method, target) != ("GET", OPEN):
                assert hosts.ask(gate.port, method, target, PREFLIGHTS[0]).status in (400, 401)
    assert recorder.raw == []
    filler = [(f"x-{n}", "1") for n in range(60)]
    for headers in (*PREFLIGHTS, [*filler, ORIGIN, *filler, ASKED], [ORIGIN, ("x-api-key", WRONG), ASKED]):
        assert hosts.ask(gate.port, "OPTIONS", headers=headers).status == 200
        names = {name.lower() for name, _ in recorder.requests[-1].headers}
        assert names >= {"origin", "access-control-request-method"} and "x-api-key" not in names
    assert hosts.ask(gate.port, "OPTIONS", headers=[BEARER]).status == 200

    def reasons():
        return [record["reason"] for record in gate.records() if record["verdict"] == "allow"]

    hosts.wait_until(lambda: "key_matched" in reasons())
    assert reasons() == ["preflight"] * 5 + ["key_matched"]


def test_options_where_none_is_a_preflight(new_gate, recorder):
    gate = new_gate(recorder.port, **HEALTH, preflight="none")
    for target in ("/v1/models", OPEN, "/"):
        for headers in (*NO_PREFLIGHT, *PREFLIGHTS):
            check_denial(hosts.ask(gate.port, "OPTIONS", target, headers))
    assert recorder.raw == []
    assert hosts.ask(gate.port, "OPTIONS", headers=[*PREFLIGHTS[0], BEARER]).status == 200
    gate = new_gate(recorder.port, **OFF, preflight="none")
    assert hosts.ask(gate.port, "OPTIONS").status == 200
    hosts.wait_until(lambda: gate.records())
    assert gate.records()[0]["reason"] == "auth_off"


# A client that says who it is

PEOPLE = {"keys": [{"key": KEY, "label": "alice"}, {"key": WORD}], "identity_header": "X-User"}
SPELLINGS = ("x-user", "X-User", "X-USER", "x_user", "X_USER", "x.user", "X.User")
TELLING = {
    # who asks, and what upstream is told
    "label": ("strict", "POST", "/v1/models", [BEARER], ["alice"]),
    "no-label": ("strict", "POST", "/v1/models", [("x-api-key", WORD)], []),
    "preflight": ("strict", "OPTIONS", "/v1/models", [BEARER], []),
    "health": ("all_except_health", "GET", OPEN, [BEARER], []),
    "off": ("off", "POST", "/v1/models", [BEARER], []),
}


def told(request):
    """Who upstream takes it to be, also where it folds names as CGI does."""
    return [value for name, value in [*request.headers, *request.trailers] if spelling(name) == "x-user"]


@pytest.mark.parametrize("strip", ["sources", "matched", "off"])
@pytest.mark.parametrize("who", TELLING)
def test_identity_forged(new_gate, recorder, who, strip):
    mode, method, target, headers, says = TELLING[who]
    gate = new_gate(recorder.port, auth_mode=mode, exempt=["/healthz", OPEN], strip=strip, **PEOPLE)
    with hosts.Connection(gate.port) as connection:
        for name in SPELLINGS:
            for value in ("mallory", "alice", "", KEY):
                for forged in ([(name, value)], [(name, value)] * 2, [(name, value), ("X-User", "eve"), ("x_user", "")]):
                    recorder.requests.clear()
                    # Between others, and behind a request of somebody else on the same connection.
                    assert connection.request("GET", "/v1/a", [BEARER, *forged]).status == 200
                    assert connection.request(method, target, [*forged, *headers, *forged, ("x-users", "u")]).status == 200
                    first, request = recorder.requests
                    assert told(first) == ([] if mode == "off" else ["alice"]), forged
                    assert told(request) == says, forged
                    assert ("x-users", "u") in [(name.lower(), value) for name, value in request.headers]
    for name in SPELLINGS:
        for announced in ([], [f"Trailer: {name}"], ["TE: trailers", "Connection: TE", f"Trailer: {name}"]):
            lines_ = [*(f"{name}: {value}" for name, value in headers), *announced]
            with hosts.Connection(gate.port) as connection:
                connection.send(chunked(method, target, lines_, "body", [f"{name}: mallory", "x-checksum: 1"]))
                if connection.response().status == 200:
                    assert told(recorder.requests[-1]) == says, name
    assert b"mallory" not in recorder.bytes() and b"eve" not in recorder.bytes()


def test_identity_named_in_connection(new_gate, recorder):
    """Else whoever reads it next would drop the header, or forward none."""
    gate = new_gate(recorder.port, auth_mode="strict", **PEOPLE)
    for option in ("x-user", "close, X-User", "keep-alive,\tx_user ,", "x.user", "X-USER,upgrade"):
        for connections in ([option], ["keep-alive", option], [option, option]):
            headers = [*(("Connection", value) for value in connections), BEARER, ("X-User", "mallory")]
            assert hosts.ask(gate.port, "POST", headers=headers).status == 200
            request = recorder.requests[-1]
            assert told(request) == ["alice"], option
            options = ",".join(value for name, value in request.headers if name.lower() == "connection")
            assert "user" not in spelling(options), options


def test_identity_written_inside_a_tunnel(new_gate, recorder):
    """With a key, and where none is needed: in what is no WebSocket the client would write requests."""
    inside = lines("POST /v1/b HTTP/1.1", "Host: gate.test", "X-User: mallory", "Content-Length: 0")
    for mode in ("strict", "off"):
        gate = new_gate(recorder.port, auth_mode=mode, **PEOPLE)
        for name, headers in UPGRADES.items():
            if name.startswith("websocket") or name == "two-headers":
                continue  # a WebSocket is the client's to write in
            head = lines("POST /v1/a HTTP/1.1", "Host: gate.test", AUTHORIZED, "Content-Length: 0", *headers)
            exchange(gate.port, head + inside, quiet=0.3)
            assert b"mallory" not in recorder.bytes(), name
            assert "upgrade" not in {spelling(name) for name, _ in recorder.requests[-1].headers}, name
    assert len(recorder.requests) >= 2 * (len(UPGRADES) - 3)


def test_identity_of_a_websocket(new_gate):
    with upstreams.WebSockets() as server:
        gate = new_gate(server.port, auth_mode="strict", **PEOPLE)
        url = f"ws://127.0.0.1:{gate.port}/v1/realtime"
        forged = {"x-api-key": KEY, "X-User": "mallory", "x_user": "eve"}
        with connect(url, proxy=None, additional_headers=forged) as client:
            client.send("hello")
            assert client.recv(SECONDS) == "hello"
        (headers,) = server.headers
        assert [value for name, value in headers if spelling(name) == "x-user"] == ["alice"]


# A 401 that a browser's script cannot read, or that a script of another site can

def script_reads(response, origin):
    """The names of the headers that a script of this origin may read, or None (Fetch standard, "CORS
    check" and "CORS-safelisted response-header name")."""
    if response.get("access-control-allow-origin") not in ("*", origin):
        return None
    exposed = ",".join(response.all("access-control-expose-headers")).lower()
    return {name.strip() for name in exposed.split(",")} | {"content-type"}


@pytest.mark.parametrize("allowed", ["*", "https://app.test", None])
def test_denial_in_a_browser(new_gate, recorder, allowed):
    settings = {} if allowed is None else {"allow_origin": allowed}
    gate = new_gate(recorder.port, **HEALTH, preflight="none", **settings)
    with hosts.Connection(gate.port) as connection:
        for method in ("GET", "HEAD", "POST", "OPTIONS", "DELETE"):
            for headers in ([], [("x-api-key", WRONG)], [("Authorization", "")], [("x-api-key", WRONG), ("Accept-Encoding", "gzip")]):
                for origin in ("https://app.test", "https://evil.test"):
                    response = connection.request(method, "/v1/models", [*headers, ("Origin", origin)])
                    check_denial(response, method == "HEAD")
                    reads = script_reads(response, origin)
                    assert (reads is not None) == (allowed in ("*", origin))
                    assert reads is None or "www-authenticate" in reads
                    # A cache must not give one site's answer to another.
                    varies = {name.strip().lower() for name in ",".join(response.all("vary")).split(",")}
                    assert ("origin" in varies) == (allowed not in ("*", None))
            # It is about our answer alone: the upstream's is its own.
            response = connection.request("GET", "/v1/models", [BEARER, ("Origin", "https://app.test")])
            assert response.status == 200 and script_reads(response, "https://app.test") is None


# An answer that is not ours, or tells more than it must

def test_every_denial_is_one_of_two(new_gate, recorder):
    none = [[], [("Accept", "text/html")]]
    some = [
        *([("x-api-key", WRONG)], [("x-api-key", "")], [("x-api-key", KEY[:-1])], [("x-api-key", f"{KEY}x")]),
        *([("x-api-key", "\xe9")], [("Authorization", "Basic x")], [("Authorization", f"bearer {KEY}")]),
    ]
    bodies = {}
    for keys in ({"api_key": KEY}, {"keys": [{"key": KEY}, {"key": WORD}]}, {}):
        for mode in ("strict", "all_except_health"):
            gate = new_gate(recorder.port, auth_mode=mode, **keys)
            for headers in (*none, *some):
                missing = bool(keys) and headers in none
                for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"):
                    body = b"{}" if method == "POST" else b""
                    response = hosts.ask(gate.port, method, "/v1/models", headers, body)
                    assert check_denial(response, method == "HEAD") in (
                        None, "missing_api_key" if missing else "invalid_api_key"
                    )
                    if keys:
                        challenge = hosts.CHALLENGE if missing else hosts.CHALLENGE_INVALID
                        assert response.get("www-authenticate") == challenge
                    assert not runs(KEY, str(response.headers))
                    if method != "HEAD":
                        bodies.setdefault(missing, set()).add(response.body)
    for missing, texts in bodies.items():
        (text,) = texts
        answer = json.loads(text)
        assert answer["error"].pop("message").isprintable()
        code = "missing_api_key" if missing else "invalid_api_key"
        error = {"type": "authentication_error", "code": code, "status": "UNAUTHENTICATED"}
        assert answer == {"type": "error", "error": error}
    assert len(bodies) == 2 and recorder.raw == []
