"""What reaches the upstream through every host, what comes back, and what is written down about it.
Where a host cannot carry something, its not-carried.txt says so, and why."""

import collections
import concurrent.futures
import random
import threading

import hosts
import pytest
import upstreams
from hosts import SECONDS, chunked, lines, runs, spelling
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

KEY = "sk-Zq7vXw9RkT2mYpLb"
WRONG = "sk-Wd4hNs8FgJ3cVtQz"
SOURCES = ("authorization", "x-api-key", "x-goog-api-key")
OPEN = "/open"  # an exempt path that no host answers by itself
STRICT = {"auth_mode": "strict", "api_key": KEY}
HEALTH = {"auth_mode": "all_except_health", "api_key": KEY, "exempt": ["/healthz", OPEN]}
OFF = {"auth_mode": "off", "api_key": KEY}
AUTO = {**HEALTH, "auth_mode": "auto"}
LAN = {**AUTO, "allow_lan_access": True}
BEARER = ("Authorization", f"Bearer {KEY}")

# Each mode with each reason to let a request pass in it, and the key that is sent.
ALLOWED = {
    "strict": (STRICT, "POST", "/v1/models", KEY, "key_matched"),
    "strict-preflight": (STRICT, "OPTIONS", "/v1/models", WRONG, "preflight"),
    "health": (HEALTH, "POST", "/v1/models", KEY, "key_matched"),
    "health-preflight": (HEALTH, "OPTIONS", "/v1/models", WRONG, "preflight"),
    "health-exempt": (HEALTH, "GET", OPEN, WRONG, "health"),
    "off": (OFF, "POST", "/v1/models", WRONG, "auth_off"),
    "off-preflight": (OFF, "OPTIONS", "/v1/models", KEY, "preflight"),
    "auto": (AUTO, "GET", OPEN, WRONG, "auth_off"),
    "auto-lan": (LAN, "GET", "/v1/models", KEY, "key_matched"),
    "auto-lan-preflight": (LAN, "OPTIONS", "/v1/models", WRONG, "preflight"),
    "auto-lan-exempt": (LAN, "GET", OPEN, WRONG, "health"),
}
# And each to deny.
DENIED = [
    (STRICT, "POST", "/v1/models", [], "credential_missing"),
    (STRICT, "GET", OPEN, [("x-api-key", WRONG)], "key_mismatch"),
    (HEALTH, "GET", "/v1/models", [("Authorization", "Basic x")], "key_mismatch"),
    (HEALTH, "POST", OPEN, [("x-api-key", f"{KEY}\xe9")], "credential_unusable"),
    (LAN, "POST", OPEN, [("x-api-key", ""), ("x-goog-api-key", KEY)], "credential_unusable"),
    ({"auth_mode": "strict"}, "POST", "/v1/models", [BEARER], "no_key_configured"),
]
allowed = pytest.mark.parametrize("settings, method, target, key, reason", ALLOWED.values(), ids=ALLOWED)


# Bodies

@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "GET"])
def test_body(new_gate, recorder, method):
    gate = new_gate(recorder.port, **STRICT)
    draw = random.Random(method)
    sizes = [0, 1, 2, 255, 4096, 16_383, 65_536, 100_001, *([3_000_000] if method == "POST" else [])]
    for size in sizes:
        body = bytes(range(256))[:size] + draw.randbytes(max(size - 256, 0))
        assert hosts.ask(gate.port, method, "/v1/a", [BEARER], body).status == 200
        assert recorder.requests[-1].body == body, size
        for parts in (1, 7):
            with hosts.Connection(gate.port) as connection:
                head = ["Host: gate.test", f"x-api-key: {KEY}", "Transfer-Encoding: chunked"]
                connection.send(lines(f"{method} /v1/a HTTP/1.1", *head))
                step = max(size // parts, 1)
                for at in range(0, size, step):
                    part = body[at : at + step]
                    connection.send(b"%x\r\n%s\r\n" % (len(part), part))
                connection.send(b"0\r\n\r\n")
                assert connection.response().status == 200
            assert recorder.requests[-1].body == body, size
    assert recorder.broken == []


@pytest.mark.parametrize("framing", ["Content-Length: 30", "Transfer-Encoding: chunked"])
def test_body_while_it_is_sent(new_gate, recorder, carried, framing):
    gate = new_gate(recorder.port, **STRICT)
    parts = [f"part {number}xxxx".encode() for number in range(3)]
    held = None
    with hosts.Connection(gate.port) as connection:
        connection.send(lines("POST /v1/a HTTP/1.1", "Host: gate.test", f"x-api-key: {KEY}", framing))
        for part in parts:
            connection.send(part if "Length" in framing else b"a\r\n%s\r\n" % part)
            try:
                hosts.wait_until(lambda part=part: part in recorder.bytes(), SECONDS)
            except AssertionError:
                held = "a body is forwarded once it is whole"
        connection.send(b"" if "Length" in framing else b"0\r\n\r\n")
        assert connection.response().status == 200
    assert recorder.requests[0].body == b"".join(parts)
    carried("forwarding/request-stream", held)


@pytest.mark.parametrize("framing", ["chunked", "length"])
def test_answer_while_it_is_made(new_gate, upstream, framing):
    """Each event arrives before the upstream sends the next."""
    proceed = threading.Semaphore(0)
    events = [f"data: {number}\n\n".encode() for number in range(5)]

    def answer(handler, _):
        handler.send_response(200)
        if framing == "chunked":
            handler.send_header("Content-Type", "text/event-stream")
            handler.send_header("Transfer-Encoding", "chunked")
        else:
            handler.send_header("Content-Type", "application/x-ndjson")
            handler.send_header("Content-Length", str(sum(map(len, events))))
        handler.end_headers()
        for event in events:
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(event), event) if framing == "chunked" else event)
            assert proceed.acquire(timeout=3 * SECONDS)
        handler.wfile.write(b"0\r\n\r\n" if framing == "chunked" else b"")

    upstream.answer = answer
    gate = new_gate(upstream.port, **STRICT)
    with hosts.Connection(gate.port) as connection:
        connection.send(lines("GET /v1/events HTTP/1.1", "Host: gate.test", f"x-api-key: {KEY}", "Connection: close"))
        got = b""
        for event in events:
            while event not in got:
                more = connection.socket.recv(65536)  # ends with a TimeoutError where it is held back
                assert more, got
                got += more
            proceed.release()
        while more := connection.socket.recv(65536):
            got += more
    assert got.startswith(b"HTTP/1.1 200 ") and [got.count(event) for event in events] == [1] * len(events)


def test_answer(new_gate, upstream):
    """The upstream's own, whatever its status, and its own 401 too."""
    content = b""

    def answer(handler, _):
        status = int(handler.path.rpartition("/")[2])
        headers = [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X-Kept", str(status))]
        handler.reply(status, "application/x", content, headers)

    upstream.answer = answer
    gate = new_gate(upstream.port, **STRICT)
    for size, status in enumerate((200, 201, 202, 400, 401, 403, 404, 409, 429, 500, 502, 503)):
        content = random.Random(status).randbytes(size**5)
        response = hosts.ask(gate.port, "POST", f"/v1/{status}", [BEARER], b"{}")
        assert (response.status, response.body) == (status, content)
        assert response.all("set-cookie") == ["a=1", "b=2"] and response.all("x-kept") == [str(status)]
        assert response.get("www-authenticate") is None
        assert hosts.ask(gate.port, "HEAD", f"/v1/{status}", [BEARER]).status == status


# WebSockets

@pytest.mark.parametrize("settings", [STRICT, HEALTH, OFF], ids=["strict", "all_except_health", "off"])
def test_a_websocket_with_a_key_works(new_gate, settings):
    with upstreams.WebSockets() as server:
        gate = new_gate(server.port, **settings)
        url = f"ws://127.0.0.1:{gate.port}/v1/realtime"
        for headers in ({"x-api-key": KEY}, dict([BEARER])):
            with connect(url, proxy=None, additional_headers=headers, max_size=None) as client:
                for message in ("hello", b"\0\1\2", "", "x" * 300_000, bytes(range(256)) * 4096):
                    client.send(message)
                    assert client.recv(SECONDS) == message
                assert client.ping().wait(SECONDS)
                client.send(["in ", "frag", "ments"])
                assert client.recv(SECONDS) == "in fragments"
            # From the other end.
            with connect(url, proxy=None, additional_headers=headers) as client:
                client.send("bye")
                with pytest.raises(ConnectionClosed):
                    client.recv(SECONDS)
            assert (client.close_code, client.close_reason) == (4000, "good bye")
        hosts.wait_until(lambda: len(server.closed) == 4)
        for headers in server.headers:
            assert not {spelling(name) for name, _ in headers} & set(SOURCES)
        if settings is OFF:
            with connect(url, proxy=None) as client:
                client.send("hello")
                assert client.recv(SECONDS) == "hello"


# The target and the headers

def test_target(new_gate, recorder, carried):
    """Byte for byte what was decided about."""
    gate = new_gate(recorder.port, **STRICT)
    targets = [
        *("/", "/a/b?c=d", "/a//b", "//a//b/", "/%61%2fb", "/a/./b", "/a/../b", "/./a", "/a%20b?%20", "/a;b=c", "/a/b/?"),
        *("/?/../b", "/a?b?c", "/A/../a", "/+~!$&'()*,=:@", "/caf%C3%A9", "/a|b^c`d", "/a\\b", "/{a}[b]", '/"<>', "/?"),
        *("/a?u=http://b/c", "/healthz/", "//healthz", "/%68ealthz", "/a?" + "x" * 8000),
    ]
    refused = []
    for target in targets:
        status = hosts.ask(gate.port, "POST", target, [BEARER], b"{}").status
        if status == 400 and set(target) & set('"<>\\^`{|}'):  # RFC 3986 has them in no target
            refused.append(target)
        else:
            assert status == 200, target
    targets = [target for target in targets if target not in refused]
    # A host that is given path and query apart does not see a '?' that nothing follows.
    bare = [target[:-1] if target.endswith("?") else target for target in targets]
    lost = recorder.targets() == bare
    assert lost or recorder.targets() == targets
    carried("forwarding/empty-query", "a '?' with nothing behind it is dropped" if lost else None)
    targets = recorder.targets()
    carried("forwarding/target", "the host answers 400 to bytes that no target may have" if refused else None)
    # Of the absolute form, what an origin is asked for.
    absolute = {"/v1?x=1": "/v1?x=1", "": "/", "/a//%2e/../b": "/a//%2e/../b"}
    for target in (f"http://other.test{rest}" for rest in absolute):
        assert hosts.ask(gate.port, "POST", target, [BEARER], b"{}").status == 200, target
    assert recorder.targets() == [*targets, *absolute.values()]


@allowed
def test_headers(new_gate, recorder, carried, settings, method, target, key, reason):
    gate = new_gate(recorder.port, **settings)
    kept = [
        *(("X-B", "1"), ("x-a", "2"), ("X-b", "3"), ("Accept", "*/*"), ("Cookie", "a=1; b=2"), ("X-Long", "v" * 8000)),
        *(("X-Empty", ""), ("X-Bytes", "\xe9\x80"), ("X-B", "4"), ("Accept-Encoding", "br"), ("User-Agent", "t/1")),
        *(("X-Spaces", "a  b\tc"), ("x-Api-keys", "k"), ("Authorisation", "a"), ("Via", "1.1 a")),
    ]
    sent = [("X-Goog-Api-Key", key), *kept[:4], ("x-api-key", key), *kept[4:], ("x_api.key", key)]
    assert hosts.ask(gate.port, method, target, sent).status == 200
    (request,) = recorder.requests
    names = {name.lower() for name, _ in kept}
    got = [(name, value) for name, value in request.headers if name.lower() in names]

    def by_name(headers, of):
        found = collections.defaultdict(list)
        for header in headers:
            found[header[0].lower()].append(of(header))
        return found

    assert by_name(got, lambda header: header[1]) == by_name(kept, lambda header: header[1])
    same = by_name(got, lambda header: header[0]) == by_name(kept, lambda header: header[0])
    carried("forwarding/header-names", None if same else "names of headers arrive in another case")
    same = [name.lower() for name, _ in got] == [name.lower() for name, _ in kept]
    carried("forwarding/header-order", None if same else "headers arrive in another order, those of one name in theirs")


def test_overrides_of_a_request_with_a_key_are_its_own(new_gate, recorder):
    gate = new_gate(recorder.port, **STRICT)
    assert hosts.ask(gate.port, "POST", headers=[BEARER, ("X-HTTP-Method-Override", "PUT")]).status == 200
    assert ("x-http-method-override", "PUT") in [
        (name.lower(), value) for name, value in recorder.requests[0].headers
    ]


def test_trailers(new_gate, recorder, carried):
    gate = new_gate(recorder.port, **STRICT)
    with hosts.Connection(gate.port) as connection:
        announced = [f"x-api-key: {KEY}", "TE: trailers", "Connection: TE", "Trailer: x-checksum"]
        connection.send(chunked("POST", "/v1/models", announced, "body", ["x-checksum: 1"]))
        assert connection.response().status == 200
    (request,) = recorder.requests
    assert request.body == b"body"
    arrived = [(name.lower(), value) for name, value in request.trailers]
    carried("forwarding/trailers", None if arrived == [("x-checksum", "1")] else "trailers are dropped")


# Credentials

def carries(requests):
    """Headers and trailers of a source's name that arrived."""
    return [
        (name, request.target)
        for request in requests
        for name, _ in [*request.headers, *request.trailers]
        if spelling(name) in SOURCES
    ]


def check_no_credential(gate, recorder, count, reason):
    assert len(recorder.requests) == count and not recorder.broken
    assert carries(recorder.requests) == []
    for key in (KEY, WRONG):
        assert not runs(key, recorder.bytes().decode("latin-1"))
    hosts.wait_until(lambda: len(gate.records()) >= count)
    assert {record["reason"] for record in gate.records() if record["verdict"] == "allow"} == {reason}


@allowed
def test_credential_forwarded(new_gate, recorder, settings, method, target, key, reason):
    gate = new_gate(recorder.port, **settings)
    first = [("Authorization", f"Bearer {key}")] if reason == "key_matched" else []
    kept = ("x-other", "kept")
    spellings = {spelt for name in SOURCES for spelt in (name, name.upper(), name.title())}
    spellings |= {spelt.replace("-", by) for spelt in spellings for by in "_."} | {"x-api_key", "X_goog-api.key"}
    if first:
        # A second Authorization is an error to some hosts.
        spellings -= {"authorization", "AUTHORIZATION", "Authorization"}
    passed = 0
    for spelt in sorted(spellings):
        for value in (key, f"Bearer {key}", f"Basic {key}", "", " ", f"{key}, {WRONG}"):
            for twice in (1, 2, 3):
                passed += hosts.ask(
                    gate.port, method, target, [kept, *first, *[(spelt, value)] * twice, kept]
                ).status == 200
    assert passed > len(spellings) * 6
    check_no_credential(gate, recorder, passed, reason)
    assert all([name for name, _ in request.headers if name.lower() == "x-other"] for request in recorder.requests)


@allowed
def test_credential_forwarded_in_trailers(new_gate, recorder, settings, method, target, key, reason):
    gate = new_gate(recorder.port, **settings)
    passed = 0
    for name in (*SOURCES, "X_Api_Key", "AUTHORIZATION"):
        for announced in ([], [f"Trailer: {name}"], ["TE: trailers", "Connection: TE", f"Trailer: {name}, x-checksum"]):
            headers = [f"Authorization: Bearer {key}", *announced]
            with hosts.Connection(gate.port) as connection:
                connection.send(chunked(method, target, headers, "body", [f"{name}: {key}", "x-checksum: 1"]))
                status = connection.response().status
                assert status in (200, 400)
                passed += status == 200
    check_no_credential(gate, recorder, passed, reason)


def test_credential_in_trailers_alone(new_gate, recorder):
    gate = new_gate(recorder.port, **STRICT)
    with hosts.Connection(gate.port) as connection:
        connection.send(chunked("POST", "/v1/models", ["Trailer: x-api-key"], "body", [f"x-api-key: {KEY}"]))
        assert connection.response().status == 401
    assert recorder.raw == []


@allowed
def test_credential_named_in_connection(new_gate, recorder, settings, method, target, key, reason):
    """What a client calls hop-by-hop is read and dropped like the rest."""
    gate = new_gate(recorder.port, **settings)
    options = ("x-api-key", "close, X-Api-Key", "keep-alive, x-api-key, authorization", "x_api_key")
    for option in options:
        headers = [("Connection", option), ("x-api-key", key), ("x_api_key", key), ("x-goog-api-key", key)]
        assert hosts.ask(gate.port, method, target, headers).status == 200, option
    check_no_credential(gate, recorder, len(options), reason)


# Of these, what holds one of the gate's keys is dropped, and what belongs to somebody else goes on.
MATCHED = {"strip": "matched", "match": "any"}
TOKEN = "oauth-Gh3Jk8Lm2Np7Qr"
SPARED = [
    # (what is sent, what of it arrives); no second Authorization, which is an error to some hosts
    ([("Authorization", f"Bearer {TOKEN}"), ("x-api-key", KEY)], [("authorization", f"Bearer {TOKEN}")]),
    ([BEARER, ("x-api-key", TOKEN)], [("x-api-key", TOKEN)]),
    ([("Authorization", TOKEN), ("x-goog-api-key", KEY)], [("authorization", TOKEN)]),
    ([BEARER, ("x-api-key", KEY), ("x-goog-api-key", KEY)], []),
    ([("x-api-key", KEY), ("x-api-key", TOKEN), ("X-Api-Key", KEY)], [("x-api-key", TOKEN)]),
    ([BEARER, ("x-api-key", TOKEN), ("x-api-key", KEY)], [("x-api-key", TOKEN)]),
    ([("x-api-key", f"\t{KEY}\t"), ("Authorization", f"Bearer {TOKEN}")], [("authorization", f"Bearer {TOKEN}")]),
    ([BEARER, ("x-api-key", f"Token\t{KEY}"), ("x-goog-api-key", f"Bearer  {KEY}")], []),
    ([("Authorization", f"Basic {KEY}"), ("x-api-key", KEY)], []),
    ([("Authorization", f"bearer {KEY}"), ("x-api-key", KEY)], []),
    ([BEARER, ("x_api_key", KEY), ("X.API.Key", f"Bearer {KEY}"), ("x-goog_api.key", f"x {KEY}")], []),
    ([BEARER, ("x_api_key", TOKEN), ("x-goog-api-key", "")], [("x_api_key", TOKEN), ("x-goog-api-key", "")]),
]


@pytest.mark.parametrize("settings, method, target, reason", [
    (STRICT, "POST", "/v1/models", "key_matched"),
    (STRICT, "OPTIONS", "/v1/models", "preflight"),
    (HEALTH, "GET", OPEN, "health"),
    (OFF, "POST", "/v1/models", "auth_off"),
], ids=["key", "preflight", "health", "off"])
def test_credential_of_somebody_else(new_gate, recorder, settings, method, target, reason):
    gate = new_gate(recorder.port, **settings, **MATCHED)
    with hosts.Connection(gate.port) as connection:
        for sent, arrives in SPARED:
            recorder.requests.clear()
            assert connection.request(method, target, [("x-other", KEY[:8]), *sent]).status == 200, sent
            (request,) = recorder.requests
            carried = [(name.lower(), value) for name, value in request.headers if spelling(name) in SOURCES]
            assert sorted(carried) == sorted(arrives), sent
            assert ("x-other", KEY[:8]) in [(name.lower(), value) for name, value in request.headers]
    assert KEY not in recorder.bytes().decode("latin-1")
    hosts.wait_until(lambda: len(gate.records()) == len(SPARED))
    assert {record["reason"] for record in gate.records()} == {reason}


def test_every_key_and_scheme_is_matched(new_gate, recorder):
    """Also a key that has a space in it, and one behind a scheme of another name, in trailers too."""
    keys = [KEY, f"{KEY} {WRONG}"]
    sources = [{"name": "authorization", "scheme": "Token"}, {"name": "x-api-key"}]
    gate = new_gate(recorder.port, auth_mode="strict", keys=[{"key": key} for key in keys], sources=sources, **MATCHED)
    for value in (f"toKEN   {keys[1]}", f"Token {KEY}", keys[1], f"Token {WRONG}", f"{WRONG} {KEY}"):
        assert hosts.ask(gate.port, headers=[("x-api-key", KEY), ("Authorization", value)]).status == 200
        kept = [value for name, value in recorder.requests[-1].headers if spelling(name) in SOURCES]
        assert kept == ([value] if value == f"Token {WRONG}" else []), value
    with hosts.Connection(gate.port) as connection:
        trailers = [f"authorization: Token {KEY}", f"x_api_key: {KEY}"]
        connection.send(chunked("POST", "/v1", [f"x-api-key: {KEY}", "Trailer: authorization, x_api_key"], "b", trailers))
        assert connection.response().status in (200, 400)
    assert KEY not in recorder.bytes().decode("latin-1")


@pytest.mark.parametrize("settings, method, target, key, reason", ALLOWED.values(), ids=ALLOWED)
def test_credential_kept(new_gate, recorder, settings, method, target, key, reason):
    """All of them, and nothing but them: what makes a connection of a request without a key goes."""
    gate = new_gate(recorder.port, **settings, strip="off")
    sent = [("authorization", f"Bearer {key}"), ("x-api-key", key), ("x_api_key", WRONG), ("x-goog-api-key", "")]
    assert hosts.ask(gate.port, method, target, [*sent, ("X-HTTP-Method", "PUT")]).status == 200
    (request,) = recorder.requests
    got = [(name.lower(), value) for name, value in request.headers]
    assert sorted(header for header in got if spelling(header[0]) in SOURCES) == sorted(sent)
    assert (("x-http-method", "PUT") in got) == (reason not in ("preflight", "health"))


# What is written down

@pytest.mark.parametrize("settings, method, target, headers, reason", DENIED, ids=range(len(DENIED)))
def test_denied_reaches_nothing(new_gate, recorder, settings, method, target, headers, reason):
    gate = new_gate(recorder.port, **settings)
    for body in (b"", b"x" * 100_000):
        assert hosts.ask(gate.port, method, target, headers, body).status == 401
    hosts.wait_until(lambda: len(gate.records()) >= 2)
    assert {(record["verdict"], record["reason"]) for record in gate.records()} == {("deny", reason)}
    assert recorder.raw == []


def test_decision_record(new_gate, recorder, carried):
    """One for each request, with the names that the vectors have for the same things."""
    keys = [f"{KEY}{number}" for number in range(3)]
    labelled = [{"key": key, "label": f"n{number}"} for number, key in enumerate(keys)]
    gate = new_gate(recorder.port, auth_mode="all_except_health", exempt=["/healthz", OPEN], keys=labelled)
    other = ("x-other", "1")
    asked = [
        (("GET", OPEN, [other]), ("allow", "health", None, None, None)),
        (("OPTIONS", "/v1", [("x-api-key", WRONG)]), ("allow", "preflight", None, None, None)),
        (("GET", "/v1", [other]), ("deny", "credential_missing", None, None, None)),
        (("GET", "/v1", [other, ("X-Api-Key", WRONG)]), ("deny", "key_mismatch", "x-api-key", 1, None)),
        (("POST", "/v1", [other, other, ("Authorization", keys[2])]), ("allow", "key_matched", "authorization", 2, 2)),
        (("POST", "/v1", [("x-goog-api-key", keys[0]), other]), ("allow", "key_matched", "x-goog-api-key", 0, 0)),
        (("GET", "/", [("x-goog-api-key", keys[0]), ("x-api-key", keys[1])]), ("allow", "key_matched", "x-api-key", 1, 1)),
        (("GET", "/v1", [("x-api-key", f"{KEY}\xe9")]), ("deny", "credential_unusable", "x-api-key", 0, None)),
    ]
    index = None
    for number, ((method, target, headers), (verdict, reason, source, position, key)) in enumerate(asked, 1):
        assert hosts.ask(gate.port, method, target, headers).status == (200 if verdict == "allow" else 401)
        hosts.wait_until(lambda number=number: len(gate.records()) == number)
        record = gate.records()[-1]
        got = [record.get(name) for name in ("verdict", "reason", "effective_mode", "source", "key_index")]
        assert got == [verdict, reason, "all_except_health", source, key], record
        assert record.get("key_label", f"n{key}") == f"n{key}", record
        if "header_index" not in record:
            index = "the host keeps headers by name and does not know their positions"
        else:
            assert record["header_index"] == position, record
    carried("forwarding/header-index", index)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: hosts.ask(gate.port, headers=[("x-api-key", keys[n % 3])]), range(60)))
    hosts.wait_until(lambda: len(gate.records()) >= len(asked) + 60)
    assert collections.Counter(record.get("key_index") for record in gate.records()[len(asked) :]) == {0: 20, 1: 20, 2: 20}
