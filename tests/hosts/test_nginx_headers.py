"""Which headers nginx forwards, and what is left of the others: after redirects, in subrequests, in
variables and logs, and where a connection is upgraded."""

import base64
import contextlib
import json
import re
import socket
import threading

import hosts
import pytest
from hosts import ask
from test_nginx import (  # noqa: F401
    BASIC,
    GATE,
    HEADERS_MORE,
    KEY,
    OTHER,
    RIGHT,
    WRONG,
    ask_http2,
    check_denied,
    check_invalid,
    gate,
    users,
)
from websockets.sync.client import connect
from websockets.sync.server import serve

TEAM = "sk-team-3d1f7a9c5e2b8046"
TEAM_KEY = ("x-team", TEAM)
TEAM_GATE = f"keygate_api_key {TEAM}; keygate_source x-team;"
NOBODY = 'proxy_pass_request_body off; proxy_set_header Content-Length "";'


def log_of(nginx):
    """What is in the access log once nginx has stopped."""
    nginx.stop()
    return (nginx.folder / "seen.log").read_text()


def logged(*variables):
    """The part of http that logs these."""
    return f"log_format seen escape=none '{'|'.join(variables)}'; access_log seen.log seen;"


def basic(user, password="password"):
    return ("Authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode())


def names(request):
    return [name.lower() for name, _ in request[2]]


# Pages that the operator has opened


@pytest.mark.parametrize(
    "error_page, status",
    [("401", 401), ("401 =", 200), ("401 =200", 200), ("401 =403", 403)],
)
@pytest.mark.parametrize("where", ["/login", "@login"])
def test_an_open_error_page_is_served(gate, upstream, error_page, status, where):  # noqa: F811
    nginx, port = gate(f"""{GATE} error_page {error_page} {where};
        location / {{ PASS }} location {where} {{ keygate off; PASS }}""")
    for method, headers, challenge in (
        ("GET", [], hosts.CHALLENGE),
        ("POST", [WRONG, ("x_api_key", OTHER)], hosts.CHALLENGE_INVALID),
    ):
        got = ask(port, method, "/v1", headers, b"x" if method == "POST" else b"")
        assert (got.status, got.body) == (status, b"upstream\n")
        assert got.all("www-authenticate") == ([challenge] if status == 401 else [])
    assert len(upstream.requests) == 2 and OTHER not in upstream.seen()
    assert len(nginx.gate_lines()) == 2
    assert ask(port, headers=[RIGHT]).status == 200


def test_an_open_error_page_from_a_file(gate, upstream, tmp_path):  # noqa: F811
    (tmp_path / "401.html").write_text("of the operator")
    _, port = gate(f"""{GATE} error_page 401 /401.html; location / {{ PASS }}
        location = /401.html {{ internal; keygate_auth_mode off; root {tmp_path}; }}""")
    for headers, challenge in (([], hosts.CHALLENGE), ([WRONG], hosts.CHALLENGE_INVALID)):
        got = ask(port, headers=headers)
        assert (got.status, got.body) == (401, b"of the operator")
        assert got.all("www-authenticate") == [challenge]
    assert upstream.requests == []
    assert ask(port, headers=[RIGHT]).status == 200


def test_the_401_of_an_upstream_after_a_second_chance(gate, upstream):  # noqa: F811
    """Denied by one policy, let pass by the next: the 401 that follows is the upstream's."""

    def refuse(handler, _):
        handler.reply(401, "text/plain", b"not from the gate", [("WWW-Authenticate", "Own")])

    upstream.answer = refuse
    _, port = gate(f"""{GATE} location / {{ error_page 401 = @team; PASS }}
        location @team {{ {TEAM_GATE} PASS }}""")
    got = ask(port, headers=[TEAM_KEY])
    assert (got.status, got.body, got.all("www-authenticate")) == (401, b"not from the gate", ["Own"])
    check_denied(ask(port))
    check_denied(ask(port, headers=[WRONG]))
    assert len(upstream.requests) == 1


# Connections that are upgraded

UPGRADE = [("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABkAAQ")]
OVERRIDES = ["X-HTTP-Method", "X-HTTP-Method-Override", "X-Method-Override", "X-Original-URL", "X-Rewrite-URL"]
BLOCKS = {
    "map": "proxy_set_header Connection $upgrade;",
    "literal": 'proxy_set_header Connection "upgrade";',
    "as received": "proxy_set_header Connection $http_connection;",
}
MAP = 'map $http_upgrade $upgrade { default upgrade; "" close; }'


def upgrading(block):
    return f"PASS proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; {BLOCKS[block]}"


@pytest.fixture
def agreeing(upstream):
    """The upstream agrees to every upgrade, also to one that nobody asked for, and keeps what comes
    through it."""

    def agree(handler, _):
        handler.close_connection = True
        handler.wfile.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
        handler.wfile.flush()
        handler.connection.settimeout(5)
        with contextlib.suppress(OSError):
            while data := handler.connection.recv(65536):
                upstream.tunnelled += data

    upstream.tunnelled = b""
    upstream.answer = agree
    return upstream


def tunnel(port, method, target, headers):
    """Asks for an upgrade, and goes on as if it had been granted."""
    inside = b"POST /v1/inside HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
    with hosts.Connection(port) as connection:
        lines = [f"{method} {target} HTTP/1.1", "Host: gate.test", *(f"{n}: {v}" for n, v in headers)]
        connection.send("\r\n".join(lines).encode() + b"\r\n\r\n" + inside)
        connection.socket.settimeout(0.4)
        with contextlib.suppress(OSError):
            while connection.socket.recv(65536):
                pass


OPEN_PAGE = "error_page 401 = @open; location @open { keygate off; BLOCK }"


@pytest.mark.parametrize("strip", ["on", "off"])
@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize(
    "method, target, more",
    [
        ("OPTIONS", "/v1", ""),
        ("GET", "/healthz", ""),
        ("HEAD", "/healthz", ""),
        ("GET", "/v1", OPEN_PAGE),
        ("OPTIONS", "/v1", "location /v1 { satisfy any; allow 127.0.0.1; deny all; BLOCK }"),
    ],
    ids=["preflight", "health", "health-head", "open-error-page", "satisfy-any"],
)
def test_a_request_without_a_key_is_one_request(gate, agreeing, strip, block, method, target, more):  # noqa: F811
    body = f"{GATE} keygate_strip {strip}; {more} location / {{ BLOCK }}".replace("BLOCK", upgrading(block))
    _, port = gate(body, MAP + " underscores_in_headers on;")
    overrides = [(spelt, "POST") for name in OVERRIDES for spelt in (name, name.replace("-", "_"))]
    tunnel(port, method, target, [*UPGRADE, *overrides, ("X-Keep", "kept")])
    # Outside a tunnel, the second is a request like any other.
    hosts.wait_until(lambda: agreeing.requests)
    request = agreeing.requests[0]
    assert request[:2] == (method, target)
    spelt = {name.replace("_", "-") for name in names(request)}
    assert not spelt & {"upgrade", "http2-settings", *(name.lower() for name in OVERRIDES)}
    assert "x-keep" in spelt
    if block != "literal":
        # The literal is the operator's: without Upgrade it asks for nothing.
        assert "upgrade" not in dict((name.lower(), value.lower()) for name, value in request[2]).get("connection", "")
    assert agreeing.tunnelled == b""


@pytest.mark.parametrize("name", OVERRIDES)
def test_a_kept_credential_makes_no_other_request(gate, upstream, name):
    """Also where the operator reads keys from such a header, and has them kept."""
    _, port = gate(f"""keygate on; keygate_auth_mode strict; keygate_api_key {KEY}; keygate_source {name};
        keygate_strip off; location / {{ PASS }}""")
    for method, kept in (("OPTIONS", False), ("GET", True)):
        upstream.requests.clear()
        assert ask(port, method, "/v1", [(name, KEY), ("X-Keep", "kept")]).status == 200
        assert (name.lower() in names(upstream.requests[0])) == kept
        assert "x-keep" in names(upstream.requests[0])


@pytest.mark.parametrize("upgrade", ["$copy", '"websocket"'])
def test_no_tunnel_by_the_operators_own_upgrade(gate, agreeing, upgrade):  # noqa: F811
    """Where the configuration has a copy of the header, or one of its own, the upstream agrees to an
    upgrade: nginx forwards nothing that follows."""
    _, port = gate(f"""{GATE} location / {{ set $copy $http_upgrade; PASS proxy_http_version 1.1;
        proxy_set_header Upgrade {upgrade}; proxy_set_header Connection "upgrade"; }}""")
    for method, target in (("OPTIONS", "/v1"), ("GET", "/healthz")):
        agreeing.requests.clear()
        tunnel(port, method, target, UPGRADE)
        hosts.wait_until(lambda: agreeing.requests)
        assert [request[:2] for request in agreeing.requests] == [(method, target)]
        assert "upgrade" in names(agreeing.requests[0])
    assert agreeing.tunnelled == b""
    tunnel(port, "GET", "/v1", [*UPGRADE, RIGHT])
    hosts.wait_until(lambda: b"/v1/inside" in agreeing.tunnelled)


def test_a_stripped_upgrade_is_there_for_a_right_key(gate, agreeing):  # noqa: F811
    """Denied by one policy, let pass with a key by the next; and a second try after a health check."""
    _, port = gate(f"""{GATE} location / {{ error_page 401 = @team; {upgrading("map")} }}
        location @team {{ {TEAM_GATE} {upgrading("map")} }}""", MAP)
    for headers, passed in (([], False), ([TEAM_KEY], True), ([RIGHT], True), ([WRONG], False)):
        agreeing.requests.clear()
        agreeing.tunnelled = b""
        tunnel(port, "GET", "/v1", [*UPGRADE, *headers])
        if passed:
            hosts.wait_until(lambda: b"/v1/inside" in agreeing.tunnelled)
        assert [("upgrade" in names(request)) for request in agreeing.requests] == [True] * passed
        assert (b"/v1/inside" in agreeing.tunnelled) == passed
        assert KEY not in agreeing.seen() and TEAM not in agreeing.seen()


@pytest.fixture
def echo():
    """A WebSocket server that echoes. `.headers` of each handshake."""
    seen = []

    def handle(connection):
        seen.append(list(connection.request.headers.raw_items()))
        for message in connection:
            connection.send(message)

    with serve(handle, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        server.seen = seen
        yield server
        server.shutdown()


@pytest.mark.parametrize("strip", ["on", "off"])
@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize(
    "mode, headers, more",
    [
        ("strict", [RIGHT], ""),
        ("all_except_health", [("x-api-key", KEY)], ""),
        ("off", [], ""),
        ("strict", [BASIC], "satisfy any;"),
        ("strict", [RIGHT], "try_files /none @app;"),
    ],
    ids=["strict", "all_except_health", "off", "satisfy-any", "try_files"],
)
def test_websockets_with_a_key(gate, echo, users, strip, block, mode, headers, more):  # noqa: F811
    to = upgrading(block).replace("PASS", f"proxy_pass http://127.0.0.1:{echo.socket.getsockname()[1]};")
    more = f"{more} {users if 'satisfy' in more else ''}"
    _, port = gate(f"""{GATE} keygate_auth_mode {mode}; keygate_strip {strip}; {more}
        location / {{ {to} }} location @app {{ {to} }}""".replace("keygate_auth_mode all_except_health;", "", 1), MAP)
    url = f"ws://127.0.0.1:{port}/v1/realtime"
    with connect(url, proxy=None, additional_headers=dict(headers)) as client:
        for message in ("hello", b"\0\1", "x" * 100_000):
            client.send(message)
            assert client.recv(10) == message
    [seen] = echo.seen
    assert (KEY in str(seen) or BASIC[1] in str(seen)) == (strip == "off" and headers != [])


# Variables that nginx has made of a header before it was stripped

EARLY = {
    "limit_req_zone": ("limit_req_zone $http_authorization zone=one:64k rate=999r/s;", "limit_req zone=one burst=9;"),
    "limit_req_zone, composed": (
        'limit_req_zone "$http_authorization$http_x_api_key$cookie_key" zone=one:64k rate=999r/s;',
        "limit_req zone=one burst=9;",
    ),
    "if": ("", 'if ($http_x_api_key = "") { set $x 1; } if ($http_authorization = "") { set $x 1; }'),
    "if, cookie": ("", 'if ($cookie_key = "") { set $x 1; } if ($http_cookie = "") { set $x 1; }'),
    "if, user": ("", 'if ($remote_user = "") { set $x 1; }'),
    "if, forwarded": ("", 'if ($proxy_add_x_forwarded_for = "") { set $x 1; }'),
    "map": ("map $http_authorization $y { default 1; }", "if ($y) { set $x 1; }"),
    "none": ("", ""),
}
MADE = (
    *("$http_authorization", "$http_x_api_key", "$http_x_goog_api_key", "$http_cookie", "$cookie_key", "$remote_user"),
    *("$proxy_add_x_forwarded_for", "$http_x_forwarded_for", "$http_user_agent", "$uid_got", "$http_referer"),
)


@pytest.mark.parametrize("early", EARLY)
def test_no_variable_of_nginx_holds_a_stripped_header(gate, upstream, early):  # noqa: F811
    """Neither in what is forwarded, nor in the answer, nor in the access log."""
    http, location = EARLY[early]
    sources = ("authorization bearer", "x-api-key", "x-goog-api-key", "cookie", "x-forwarded-for", "user-agent", "referer")
    forwarded = " ".join(f"proxy_set_header X-Made-{n} {name};" for n, name in enumerate(MADE))
    answered = " ".join(f"add_header X-Made-{n} {name} always;" for n, name in enumerate(MADE))
    nginx, port = gate(
        f"""keygate on; keygate_auth_mode strict; keygate_api_key {KEY}; userid log; userid_name key;
        {" ".join(f"keygate_source {source};" for source in sources)}
        location / {{ {location} {forwarded} {answered} proxy_set_header Authorization $http_authorization;
            add_header X-Id $request_id; PASS }}""",
        f"{http} {logged(*MADE, '$request_id')}",
    )
    others = [
        ("x-api-key", KEY), ("x-goog-api-key", KEY), ("Cookie", f"key={KEY}"), ("X-Forwarded-For", KEY),
        ("User-Agent", f"a/{KEY}"), ("Referer", f"http://{KEY}.test/"),
    ]  # fmt: skip
    got = ask(port, headers=[RIGHT, *others])
    assert got.status == 200
    assert ask(port, headers=[*others[1:], basic(KEY)]).status == 401
    assert ask(port, headers=[*others, basic(OTHER)]).status == 401
    assert KEY not in upstream.seen() and KEY not in str(got.headers)
    assert ("X-Made-6", "127.0.0.1") in upstream.requests[0][2]
    log = log_of(nginx)
    assert KEY not in log and OTHER not in log
    assert log.splitlines()[0].rpartition("|")[2] == got.get("x-id")


def test_variables_that_are_no_headers_stay(gate, upstream):  # noqa: F811
    """$request_id is made once, and what the operator has set is the operator's."""
    nginx, port = gate(
        f"""{GATE} location / {{ set $http_x_mine "mine"; set $http_kind "kind"; set $early $request_id;
            proxy_set_header X-A $early-$request_id; proxy_set_header X-B $http_x_mine$http_kind$http_x_keep; PASS }}""",
        logged("$request_id", "$http_x_mine"),
    )
    assert ask(port, headers=[RIGHT, ("X-Mine", "client's"), ("X-Keep", "kept")]).status == 200
    sent = dict(upstream.requests[0][2])
    first, second = sent["X-A"].split("-")
    assert first == second and sent["X-B"] == "minekindkept"
    assert log_of(nginx) == f"{first}|mine\n"


def test_copies_keep_what_they_saw(gate, upstream):  # noqa: F811
    """As the README says: of what `set` and `map` have copied, the module knows nothing."""
    _, port = gate(
        f"{GATE} location / {{ set $copy $http_authorization; proxy_set_header X-Copy $copy; PASS }}"
    )
    assert ask(port, headers=[RIGHT]).status == 200
    assert ("X-Copy", RIGHT[1]) in upstream.requests[0][2]


ENDINGS = {
    "denied": "location / { PASS }",
    "denied, satisfy any": "location / { satisfy any; deny all; PASS }",
    "denied, delayed": "auth_delay 50ms; location / { PASS }",
    "another module denies": "location / { deny all; PASS }",
    "open error page": "error_page 401 403 /e; location / { deny all; PASS } location = /e { keygate off; return 403; }",
    "open error page, forwarded": "error_page 401 403 /e; location / { deny all; PASS } location = /e { keygate off; PASS }",
    "closed without an answer": "error_page 401 403 /e; location / { deny all; PASS } location = /e { keygate off; return 444; }",
    "answered elsewhere": "error_page 401 403 http://login.test/; location / { deny all; PASS }",
    "not found": "location / { try_files /none =404; }",
    "bad gateway": "location / { proxy_pass http://127.0.0.1:1; }",
    "post_action": "location / { post_action /after; PASS } location = /after { keygate off; PASS }",
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_no_header_of_a_source_in_the_access_log(gate, ending):  # noqa: F811
    nginx, port = gate(
        f'{GATE} if ($http_authorization = "x") {{ set $x 1; }} {ENDINGS[ending]}',
        logged("$status", "$http_authorization", "$http_x_api_key", "$remote_user"),
    )
    for headers in ([RIGHT], [WRONG], [("x-api-key", KEY)], [("x-api-key", OTHER)], [basic(KEY)], [basic(OTHER)]):
        ask(port, headers=headers)
    hosts.wait_until(lambda: (nginx.folder / "seen.log").read_text().count("\n") >= 6)
    log = log_of(nginx)
    assert KEY not in log and OTHER not in log, log
    assert "Bearer" not in log


# What is stripped can be taken back


def test_index_and_a_password(gate, users, tmp_path):  # noqa: F811
    """auth_basic reads the header again after the redirect to the index."""
    (tmp_path / "index.html").write_text("index")
    nginx, port = gate(
        f"{GATE} {users} satisfy any; root {tmp_path}; location / {{ index index.html; }}",
        logged("$uri", "$remote_user", "$http_authorization"),
    )
    got = ask(port, target="/", headers=[BASIC])
    assert (got.status, got.body) == (200, b"index")
    assert ask(port, target="/", headers=[RIGHT]).status == 200
    assert ask(port, target="/", headers=[basic("user", "wrong")]).status == 401
    assert log_of(nginx) == "/index.html|user|\n/index.html||\n/||\n"


@pytest.mark.parametrize("mode", ["strict", "off"])
def test_remote_user(gate, upstream, tmp_path, mode):  # noqa: F811
    """The name stays where auth_basic has read it; a key that somebody uses as a name does not."""
    (tmp_path / "users").write_text("".join(f"{name}:{{PLAIN}}password\n" for name in ("user", KEY, OTHER)))
    nginx, port = gate(
        f"""keygate on; keygate_auth_mode {mode}; keygate_api_key {KEY}; keygate_api_key {OTHER};
        keygate_source x-api-key; keygate_source authorization bearer;
        auth_basic "staff"; auth_basic_user_file {tmp_path}/users;
        location / {{ satisfy any; proxy_set_header X-User $remote_user; PASS }}
        location /both {{ proxy_set_header X-User "$remote_user"; PASS }}
        location /try {{ try_files /none /both; }}
        location /kept {{ satisfy any; keygate_strip off; proxy_set_header X-User $remote_user; PASS }}""",
        logged("$uri", "$remote_user"),
    )
    key = ("x-api-key", KEY)
    for target, headers, user in (
        ("/", [basic("user")], "user"),
        ("/both", [key, basic("user")], "user"),
        ("/try", [key, basic("user")], "user"),
        ("/kept", [basic("user")], "user"),
        ("/", [basic(KEY)], None),
        ("/", [basic(OTHER)], None),
        ("/both", [key, basic(KEY)], None),
    ):
        upstream.requests.clear()
        assert ask(port, target=target, headers=headers).status == 200, (target, headers)
        [(_, _, sent, _)] = upstream.requests
        assert dict(sent).get("X-User") == user, (target, headers)
        assert KEY not in upstream.seen() and OTHER not in upstream.seen()
        assert (basic("user")[1] in upstream.seen()) == (target == "/kept")
    log = log_of(nginx)
    assert log.count("|user\n") == 4 and KEY not in log and OTHER not in log


SENT = [("X-First", "1"), RIGHT, ("X-Middle", "2"), ("x-goog-api-key", OTHER), ("X-Api-Key", OTHER), ("X-Last", "3")]
KEPT = [header for header in SENT if header[0].startswith("X-") and header[0] != "X-Api-Key"]
SPARED = [header for header in SENT if header != RIGHT]
LAST = {
    "try_files @name": ("location / { try_files /none @app; }", "location @app"),
    "try_files uri": ("location / { try_files /none /app; }", "location /app"),
    "error_page of an upstream": (
        "location / { error_page 502 = @app; proxy_pass http://127.0.0.1:1; }",
        "location @app",
    ),
    "three locations": (
        "location / { try_files /none @b; } location @b { keygate_strip off; try_files /none /c; } "
        "location /c { keygate_strip matched; try_files /none @app; }",
        "location @app",
    ),
    "X-Accel-Redirect": ("location / { PASS }", "location /app"),
}


@pytest.mark.parametrize("filler", [0, 14, 15, 16, 20, 45])
@pytest.mark.parametrize("last", LAST)
def test_the_last_location_decides_what_is_stripped(gate, upstream, last, filler):  # noqa: F811
    first, location = LAST[last]
    upstream.answer = lambda handler, _: handler.reply(
        200, "text/plain", b"done", [("X-Accel-Redirect", "/app")] * (not handler.path.startswith("/app"))
    ) if last == "X-Accel-Redirect" else handler.reply(200, "text/plain", b"done")
    more = [(f"X-More-{n}", "m") for n in range(filler)]
    for strip, expected in (("off", SENT), ("on", KEPT), ("sources", KEPT), ("matched", SPARED), ("off; keygate off", SENT)):
        _, port = gate(f"{GATE} {first} {location} {{ keygate_strip {strip}; PASS }}")
        upstream.requests.clear()
        assert ask(port, target="/v1", headers=[*more, *SENT, *more]).body == b"done"
        sent = [item for item in upstream.requests[-1][2] if item[0] not in ("Host", "Connection")]
        assert sent == more + expected + more
        if len(upstream.requests) == 2:
            assert KEY not in str(upstream.requests[0])


def test_known_headers_are_found_again(gate, upstream):  # noqa: F811
    """Those that nginx keeps pointers to: cookies, forwarded addresses, Authorization, Upgrade."""
    made = ("$http_cookie", "$cookie_b", "$proxy_add_x_forwarded_for", "$http_user_agent", "$http_upgrade")
    forwarded = " ".join(f"proxy_set_header X-Made-{n} {name};" for n, name in enumerate(made))
    sources = "".join(f"keygate_source {name};" for name in ("x-api-key", "cookie", "x-forwarded-for", "user-agent"))
    _, port = gate(
        f"""{GATE} {sources} location / {{ {forwarded} proxy_intercept_errors on; error_page 404 = @app; PASS }}
        location @app {{ keygate_strip off; {forwarded} PASS }}"""
    )
    headers = [
        ("x-api-key", KEY), ("Cookie", "a=1"), ("Cookie", "b=2"), ("X-Forwarded-For", "192.0.2.1"),
        ("X-Forwarded-For", "192.0.2.2"), ("User-Agent", "agent"), ("Upgrade", "x"),
    ]  # fmt: skip
    answers = iter([404, 200])
    upstream.answer = lambda handler, _: handler.reply(next(answers), "text/plain", b"")
    assert ask(port, headers=headers).status == 200
    [before, after] = [dict(headers) for _, _, headers, _ in upstream.requests]
    assert [before.get(f"X-Made-{n}") for n in range(5)] == [None, None, "127.0.0.1", None, "x"]
    forwarded_for = "192.0.2.1, 192.0.2.2, 127.0.0.1"
    assert [after.get(f"X-Made-{n}") for n in range(5)] == ["a=1; b=2", "2", forwarded_for, "agent", "x"]


def test_what_other_modules_have_changed_stays(gate, upstream):  # noqa: F811
    """What they add, replace and remove in one location is so in the next."""
    _, port = gate(
        f"""{GATE} location / {{
            more_set_input_headers 'X-Added: a' 'X-Middle: changed'; more_clear_input_headers X-First;
            try_files /none @next; }}
        location @next {{ more_set_input_headers 'X-Late: l'; more_clear_input_headers X-Last; try_files /none /last; }}
        location /last {{ keygate_strip off; more_set_input_headers 'X-Latest: l'; PASS }}""",
        modules=(hosts.MODULE, HEADERS_MORE),
    )
    assert ask(port, headers=SENT).status == 200
    sent = [item for item in upstream.requests[0][2] if item[0] not in ("Host", "Connection")]
    assert sent == [
        SENT[1], ("X-Middle", "changed"), *SENT[3:5], ("X-Added", "a"), ("X-Late", "l"), ("X-Latest", "l"),
    ]  # fmt: skip


def test_the_second_policy_reads_what_was_received(gate, upstream):  # noqa: F811
    """Also where another module has replaced it since."""
    _, port = gate(
        f"""{GATE} location / {{ try_files /none /b; }}
        location /b {{ keygate_api_key {TEAM}; more_set_input_headers 'Authorization: Bearer {TEAM}'; PASS }}""",
        modules=(hosts.MODULE, HEADERS_MORE),
    )
    check_invalid(ask(port, headers=[RIGHT]))
    assert upstream.requests == []


@pytest.mark.parametrize("count", [1, 25, 45])  # nginx keeps 20 headers in a part of its list
def test_the_second_policy_reads_nothing_that_was_added(gate, upstream, count):  # noqa: F811
    """However many headers there were, and where none was stripped before."""
    _, port = gate(
        f"""{GATE} location / {{ keygate_strip off; try_files /none /b;
            access_by_lua_block {{ ngx.req.set_header("X-Team", "{TEAM}") }} }}
        location /b {{ {TEAM_GATE} PASS }}""",
        modules=(hosts.MODULE, *hosts.LUA_MODULES),
    )
    many = [(f"X-Many-{n}", "v") for n in range(count)]
    check_denied(ask(port, headers=[RIGHT, *many]))
    assert upstream.requests == []
    assert ask(port, headers=[RIGHT, *many, TEAM_KEY]).status == 200


# Several policies in one request


def test_the_key_of_every_policy_is_stripped(gate, upstream):  # noqa: F811
    """auth_request answers 403, and the error page is another team's."""
    _, port = gate(f"""{GATE} location / {{ auth_request /auth; error_page 403 = /teamb; PASS }}
        location = /auth {{ internal; keygate off; return 403; }}
        location = /teamb {{ {TEAM_GATE} PASS }}
        location = /kept {{ auth_request /auth; error_page 403 = @kept; PASS }}
        location @kept {{ {TEAM_GATE} keygate_strip off; PASS }}""")
    assert ask(port, headers=[RIGHT, TEAM_KEY]).status == 200
    check_denied(ask(port, headers=[RIGHT]))
    check_denied(ask(port, headers=[TEAM_KEY]))
    [request] = upstream.requests
    assert request[1] == "/teamb" and KEY not in upstream.seen() and TEAM not in upstream.seen()
    assert ask(port, target="/kept", headers=[RIGHT, TEAM_KEY]).status == 200
    assert KEY in upstream.seen() and TEAM in upstream.seen()


def test_what_is_matched_is_the_key_of_any_policy(gate, upstream):  # noqa: F811
    """In the headers that one of them reads it from."""
    _, port = gate(f"""{GATE} keygate_strip matched; location / {{ try_files /none /team; }}
        location = /team {{ {TEAM_GATE} PASS }}""")
    mine, others = ("x-goog-api-key", "somebody-else"), ("x_team", "another")
    assert ask(port, headers=[RIGHT, ("x-api-key", KEY), TEAM_KEY, mine, others]).status == 200
    sent = [item for item in upstream.requests[0][2] if item[0] not in ("Host", "Connection")]
    assert sent == [mine]


def test_what_is_matched_is_what_is_forwarded(gate, upstream):  # noqa: F811
    """Whoever has put it there since, and not what had been there; in variables as in headers."""
    nginx, port = gate(
        f"""{GATE} keygate_match any; keygate_strip matched; proxy_set_header X-A $http_authorization;
        proxy_set_header X-B $http_x_api_key; proxy_set_header X-Api-Key $http_x_api_key;
        location / {{ PASS access_by_lua_block {{
            ngx.req.set_header("x-api-key", "{KEY}") ngx.req.set_header("Authorization", "Bearer theirs") }} }}
        location /plain {{ if ($http_x_api_key = "") {{ set $x 1; }} if ($http_authorization = "") {{ set $x 1; }} PASS }}""",
        logged("$http_authorization", "$http_x_api_key"),
        modules=(hosts.MODULE, *hosts.LUA_MODULES),
    )
    theirs = ("x-api-key", "theirs")
    for target, headers, expected in (
        ("/", [RIGHT, theirs], ("Bearer theirs", None)),
        ("/plain", [RIGHT, theirs], (None, "theirs")),
        ("/plain", [("Authorization", "Bearer theirs"), ("x-api-key", KEY)], ("Bearer theirs", None)),
    ):
        upstream.requests.clear()
        assert ask(port, target=target, headers=headers).status == 200
        [(_, _, sent, _)] = upstream.requests
        sent = {name.lower(): value for name, value in sent}
        assert (sent.get("authorization"), sent.get("x-api-key")) == expected
        assert (sent.get("x-a"), sent.get("x-b")) == expected
        assert KEY not in upstream.seen()
    assert KEY not in log_of(nginx)


def test_what_is_matched_of_several_that_nginx_knows(gate, upstream):  # noqa: F811
    """Those of which it keeps a list: no variable has the one that was dropped."""
    made = "$http_cookie|$cookie_b|$proxy_add_x_forwarded_for|$http_x_forwarded_for|$http_user_agent"
    sources = " ".join(f"keygate_source {name};" for name in ("x-api-key", "cookie", "x-forwarded-for", "user-agent"))
    nginx, port = gate(
        f"""{GATE} {sources} keygate_match any; keygate_strip matched; if ($http_cookie = "") {{ set $x 1; }}
        if ($http_x_forwarded_for = "") {{ set $x 1; }} location / {{ proxy_set_header X-Made "{made}"; PASS }}""",
        logged(made),
    )
    keys = [(name, KEY) for name in ("Cookie", "X-Forwarded-For", "User-Agent")]
    theirs = [("Cookie", "b=2"), ("X-Forwarded-For", "192.0.2.1"), ("User-Agent", "theirs")]
    for headers in ([*keys, *theirs], [*theirs, *keys], [theirs[0], *keys, *theirs[1:]]):
        upstream.requests.clear()
        assert ask(port, headers=[("x-api-key", KEY), *headers]).status == 200
        [(_, _, sent, _)] = upstream.requests
        assert [item for item in sent if item[0] in dict(keys)] == theirs
        assert KEY not in upstream.seen()
    assert KEY not in log_of(nginx)


def test_another_way_to_strip_is_no_other_gate(gate, upstream):  # noqa: F811
    """What differs only in what is forwarded is not asked again, and lets pass what the other has."""
    nginx, port = gate(f"""{GATE} satisfy any; keygate_explain on;
        location / {{ allow 127.0.0.1; deny all; mirror /m; PASS }}
        location = /m {{ internal; keygate_strip off; keygate_identity_header X-User; PASS }}
        location /again {{ keygate_strip matched; error_page 401 = @again; PASS }}
        location @again {{ keygate_strip off; keygate_allow_origin *; PASS }}""")
    assert ask(port, headers=[WRONG]).status == 200
    hosts.wait_until(lambda: len(upstream.requests) == 2)
    assert {request[1]: OTHER in str(request[2]) for request in upstream.requests} == {"/v1/models": False, "/m": True}
    got = ask(port, target="/again", headers=[WRONG])
    check_invalid(got)
    assert got.get("access-control-allow-origin") == "*"
    assert len(nginx.gate_lines()) == 2


# Who it is, for what is behind

ALICE = GATE.replace(KEY, f"{KEY} label=alice") + " keygate_identity_header X-User;"
FORGED = [("X-User", "mallory"), ("x_user", "eve"), ("X-USER", "mallory")]


def told(headers):
    return [(name, value) for name, value in headers if hosts.spelling(name) in ("x-user", "x-team-user")]


BOB = f"{TEAM_GATE.replace(TEAM, TEAM + ' label=bob')} keygate_identity_header X-Team-User;"
LAST_TOLD = {
    "/": [("x-team-user", "bob")],
    "/try": [("x-team-user", "bob")],
    "/accel": [("x-team-user", "bob")],
    "/mine": [("x-user", "alice")],
    "/off": [("x-user", "alice")],
    "/second": [("x-user", "alice")],
    "/none": [],
    "/quiet": [],
    "/mode": [],
    "/login": [],
}


@pytest.mark.parametrize("target", LAST_TOLD)
def test_the_identity_is_that_of_the_last_decision(gate, upstream, target):  # noqa: F811
    """Not that of a policy before, nor of one that has denied, nor the client's."""
    upstream.answer = lambda handler, _: handler.reply(
        200, "text/plain", b"up", [("X-Accel-Redirect", "/team")] * (handler.path == "/accel")
    )
    _, port = gate(
        f"""{ALICE} proxy_set_header X-A $http_x_user-$http_x_team_user; error_page 502 = @team;
        location / {{ proxy_pass http://127.0.0.1:1; }} location @team {{ {BOB} PASS }} location /team {{ {BOB} PASS }}
        location /try {{ try_files /none @team; }} location /accel {{ PASS }} location /mine {{ PASS }}
        location /none {{ try_files /none @none; }} location @none {{ keygate_identity_header ""; PASS }}
        location /quiet {{ try_files /none @quiet; }} location @quiet {{ {TEAM_GATE} PASS }}
        location /off {{ try_files /none @off; }} location @off {{ keygate off; keygate_strip off; PASS }}
        location /mode {{ try_files /none @mode; }} location @mode {{ keygate_auth_mode off; PASS }}
        location /login {{ error_page 401 = @login; keygate_api_key {OTHER} label=carol; PASS }}
        location @login {{ keygate off; PASS }}
        location /second {{ error_page 401 = @second; keygate_api_key {OTHER} label=carol; PASS }}
        location @second {{ PASS }}""",
        "underscores_in_headers on;",
    )
    # A header of a policy that was not asked is a header like any other.
    forged = FORGED + [("X-Team-User", "mallory"), ("X_Team-User", "eve")] * ("bob" in str(LAST_TOLD[target]))
    assert ask(port, target=target, headers=[*forged, RIGHT, TEAM_KEY]).status == 200
    *before, (_, _, headers, _) = upstream.requests
    assert told(headers) == LAST_TOLD[target]
    by_name = dict(LAST_TOLD[target])
    assert dict(headers)["X-A"] == f"{by_name.get('x-user', '')}-{by_name.get('x-team-user', '')}"
    assert [("x-user", "alice") in told(headers) for _, _, headers, _ in before] == [True] * (target == "/accel")


@pytest.mark.parametrize("strip", ["sources", "matched", "off"])
@pytest.mark.parametrize("count", [0, 14, 15, 16, 17, 40])  # nginx keeps 20 headers in a part of its list
def test_the_identity_in_every_place(gate, upstream, strip, count):  # noqa: F811
    """Main request and subrequests have lists that share their parts."""
    _, port = gate(
        f"""{ALICE} keygate_strip {strip}; location / {{ auth_request /auth; try_files /none @app; }}
        location @app {{ mirror /m; PASS }} location = /auth {{ internal; {NOBODY} PASS }}
        location = /m {{ internal; keygate off; {NOBODY} PASS }}""",
        "underscores_in_headers on;",
    )
    filler = [(f"X-Filler-{n}", str(n)) for n in range(count)]
    for forged in ([], FORGED[:1], FORGED):
        upstream.requests.clear()
        assert ask(port, headers=[*forged, *filler, RIGHT, *forged, ("X-Last", "l")]).status == 200
        hosts.wait_until(lambda: len(upstream.requests) == 3)
        for _, path, headers, _ in upstream.requests:
            assert told(headers) == [("x-user", "alice")], path
            assert [item for item in headers if item[0].startswith("X-Filler")] == filler
            assert ("X-Last", "l") in headers and (RIGHT in headers) == (strip == "off")


def test_the_identity_in_variables(gate, upstream):  # noqa: F811
    """They say what is forwarded, and before that what was sent; also where a subrequest runs beside."""
    nginx, port = gate(
        f"""{ALICE} location / {{ set $early $http_x_user; mirror /m; mirror_request_body off;
            proxy_set_header X-A $early-$http_x_user; PASS }}
        location = /m {{ {TEAM_GATE} keygate_identity_header X-User; proxy_set_header X-A -$http_x_user; PASS }}
        location /try {{ try_files /none @next; }}
        location @next {{ set $early $http_x_user; keygate_strip off; proxy_set_header X-A $early-$http_x_user; PASS }}""",
        f"limit_req_zone $http_x_user zone=one:64k rate=999r/s; limit_req zone=one burst=99; {logged('$http_x_user')}",
    )
    for target in ("/v1", "/try"):
        for forged in ([], [("X-User", "mallory")]):
            upstream.requests.clear()
            assert ask(port, target=target, headers=[*forged, RIGHT, TEAM_KEY]).status == 200
            hosts.wait_until(lambda count=1 + (target == "/v1"): len(upstream.requests) == count)
            early = "mallory" if forged else ""
            for _, path, headers, _ in upstream.requests:
                assert dict(headers)["X-A"] == ("-" if path == "/m" else f"{early}-alice"), path
    assert ask(port, headers=[("X-User", "mallory")]).status == 401
    assert log_of(nginx).splitlines() == ["alice"] * 4 + [""]


def test_an_identity_in_a_header_that_nginx_knows(gate, upstream):  # noqa: F811
    """Of which it keeps a pointer, or an array: they are those of what is forwarded."""
    for name, variable in (("X-Forwarded-For", "$proxy_add_x_forwarded_for"), ("User-Agent", "$http_user_agent")):
        _, port = gate(f"""{ALICE.replace("X-User", name)} proxy_set_header X-A {variable};
            location / {{ PASS }} location /again {{ try_files /none @again; }} location @again {{ PASS }}
            location /gone {{ try_files /none @gone; }} location @gone {{ keygate_identity_header ""; PASS }}
            location /open {{ keygate off; PASS }}""")
        for target, expected in (("/", "alice"), ("/again", "alice"), ("/gone", ""), ("/open", "mallory")):
            upstream.requests.clear()
            assert ask(port, target=target, headers=[(name, "mallory"), RIGHT]).status == 200
            sent = {key.lower(): value for key, value in upstream.requests[0][2]}
            also = ", 127.0.0.1" if expected and "add" in variable else "127.0.0.1" if "add" in variable else ""
            assert sent.get("x-a", "") == expected + also, (name, target)
            assert sent.get(name.lower(), "") == expected


@pytest.mark.parametrize("block", BLOCKS)
def test_a_connection_does_not_name_the_identity(gate, upstream, block):  # noqa: F811
    """Also where the operator forwards what the client says of the connection."""
    _, port = gate(f"{ALICE} keygate_strip off; location / {{ {upgrading(block)} }}", MAP)
    for option in ("x-user", "close, X-User ,x", "Upgrade,\tx-USER", "x_user", "keep-alive", ""):
        upstream.requests.clear()
        assert ask(port, headers=[("Connection", option), ("X-User", "mallory"), RIGHT]).status == 200
        [(_, _, headers, _)] = upstream.requests
        assert told(headers) == [("x-user", "alice")]
        connection = dict(headers).get("Connection", "")
        assert "user" not in connection.lower()
        if block == "as received" and "user" not in option.lower():
            assert connection == option


@pytest.mark.parametrize("protocol", ["fastcgi", "scgi", "uwsgi"])
def test_the_identity_before_other_upstreams(gate, protocol):  # noqa: F811
    """As the parameter HTTP_X_USER, once; a Connection that names it is not among them."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        received = []

        def take():
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(5)
                received.append(connection.recv(65536))

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        to = f"include /etc/nginx/{protocol}_params; {protocol}_pass 127.0.0.1:{listener.getsockname()[1]};"
        _, port = gate(f"{ALICE} location / {{ {to} }}", "underscores_in_headers on;")
        assert ask(port, headers=[*FORGED, ("Connection", "x-user"), RIGHT]).status == 502
        thread.join(10)
    assert received[0].count(b"HTTP_X_USER") == 1 and received[0].count(b"alice") == 1
    assert not any(text in received[0] for text in (b"mallory", b"eve", b"HTTP_CONNECTION"))


def test_the_identity_before_grpc(gate, upstream):  # noqa: F811
    """Which is HTTP/2: nginx itself takes it, and forwards what came."""
    behind = hosts.free_port()
    _, port = gate(
        f"{ALICE} location / {{ grpc_pass grpc://127.0.0.1:{behind}; }}",
        f"underscores_in_headers on; server {{ listen 127.0.0.1:{behind} http2; location / {{ PASS }} }}",
    )
    assert ask(port, headers=[*FORGED, ("Connection", "x-user"), RIGHT]).status == 200
    assert told(upstream.requests[0][2]) == [("x-user", "alice")] and KEY not in upstream.seen()


def test_the_identity_over_http2(gate, upstream):  # noqa: F811
    _, port = gate(f"{ALICE} keygate_allow_origin https://app.test; location / {{ PASS }}", options="http2")
    got = ask_http2(port, [("x-user", "mallory"), ("x-api-key", KEY), ("x-user", "eve")])
    assert got.status == 200 and told(upstream.requests[0][2]) == [("x-user", "alice")]
    for method in ("GET", "HEAD", "POST"):
        got = ask_http2(port, [("x-user", "mallory"), ("origin", "https://app.test")], method)
        assert (got.status, got.get("access-control-allow-origin")) == (401, "https://app.test")
        assert got.get("access-control-expose-headers") == "WWW-Authenticate" and got.all("vary") == ["Origin"]
        assert (b"missing_api_key" in got.body) == (method != "HEAD")
    assert len(upstream.requests) == 1


def test_what_another_module_says_who_it_is(gate, upstream):  # noqa: F811
    """It is dropped as the client's is, where it is added before the gate has settled what is forwarded."""
    _, port = gate(
        f"""{ALICE} location / {{ more_set_input_headers 'X-User: root'; try_files /none @app; }}
        location @app {{ more_set_input_headers 'X_User: root'; PASS }}""",
        "underscores_in_headers on;", modules=(hosts.MODULE, HEADERS_MORE),
    )  # fmt: skip
    for forged in ([], FORGED):
        upstream.requests.clear()
        assert ask(port, headers=[*forged, RIGHT]).status == 200
        assert told(upstream.requests[0][2]) == [("x-user", "alice")]


def test_a_mirror_with_a_policy_of_its_own(gate, upstream):  # noqa: F811
    nginx, port = gate(f"""{GATE} location / {{ mirror /m; PASS }}
        location = /m {{ internal; {TEAM_GATE} PASS }}""")
    assert ask(port, headers=[RIGHT, TEAM_KEY]).status == 200
    hosts.wait_until(lambda: len(upstream.requests) == 2)
    assert {request[1] for request in upstream.requests} == {"/v1/models", "/m"}
    assert KEY not in upstream.seen() and TEAM not in str([r for r in upstream.requests if r[1] == "/m"])
    # Who has no key for the mirror is not mirrored, and is answered all the same.
    upstream.requests.clear()
    assert ask(port, headers=[RIGHT]).status == 200
    hosts.wait_until(lambda: len(nginx.gate_lines()) == 1)
    assert [request[1] for request in upstream.requests] == ["/v1/models"]


# Subrequests


@pytest.mark.parametrize("strip, body_first", [("off", "on"), ("off", "off"), ("on", "on"), ("on", "off")])
def test_a_mirror_has_headers_and_variables_of_its_own(gate, upstream, strip, body_first):  # noqa: F811
    """With keygate_strip off as received, while the main request is stripped; and the other way round.
    Without mirror_request_body the mirror is made before the main request is forwarded."""
    other = "on" if strip == "off" else "off"
    set_header = "proxy_set_header X-A $http_authorization;"
    nginx, port = gate(
        f"""{GATE} mirror_request_body {body_first};
        location / {{ keygate_strip {other}; mirror /m; {set_header} PASS }}
        location = /m {{ internal; keygate_strip {strip}; {set_header} {NOBODY} PASS }}""",
        logged("$http_authorization"),
    )
    for body in (b"", b"x" * 100_000):
        upstream.requests.clear()
        with hosts.Connection(port) as connection:
            head = f"POST /v1 HTTP/1.1\r\nHost: a\r\nAuthorization: {RIGHT[1]}\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.send(head.encode())
            connection.send(body)
            assert connection.response().status == 200
        hosts.wait_until(lambda: len(upstream.requests) == 2)
        for _, path, headers, _ in upstream.requests:
            kept = (strip if path == "/m" else other) == "off"
            expected = RIGHT[1] if kept else None
            assert (dict(headers).get("Authorization"), dict(headers).get("X-A")) == (expected, expected), path
    assert (KEY in log_of(nginx)) == (other == "off")


@pytest.mark.parametrize("strip", ["on", "off"])
def test_auth_request_and_the_variables_of_the_main_request(gate, upstream, strip):  # noqa: F811
    """What is set for the subrequest is there for the main request: before it is forwarded, and by what
    comes back."""
    nginx, port = gate(
        f"""{GATE} location / {{ auth_request /auth; auth_request_set $who $upstream_http_x_who;
            proxy_set_header X-Who $who-$set-$back; proxy_set_header X-A $http_authorization; PASS }}
        location = /auth {{ internal; keygate_strip {strip}; set $set "set"; {NOBODY}
            proxy_redirect ~^http://up.test/(?<back>.*)$ /;
            proxy_set_header X-A $http_authorization; PASS }}""",
        logged("$http_authorization"),
    )
    upstream.answer = lambda handler, _: handler.reply(200, "text/plain", b"", [("X-Who", "alice"), ("Location", "http://up.test/back")])
    assert ask(port, "POST", headers=[RIGHT], body=b"x").status == 200
    [(_, _, first, _), (_, _, second, _)] = upstream.requests
    assert dict(first).get("X-A") == (RIGHT[1] if strip == "off" else None)
    assert dict(second).get("X-A") is None and dict(second)["X-Who"] == "alice-set-back"
    assert KEY not in log_of(nginx)


@pytest.fixture
def page(tmp_path):
    (tmp_path / "page.shtml").write_text('[<!--# include virtual="/part" -->]')
    (tmp_path / "page.html").write_text("[page]")
    return f"""location /ssi/ {{ OPEN alias {tmp_path}/; ssi on; ssi_types *; }}
        location /before/ {{ OPEN alias {tmp_path}/; add_before_body /part; addition_types *; }}
        location /after/ {{ OPEN alias {tmp_path}/; add_after_body /part; addition_types *; }}
        location /mirrored {{ OPEN mirror /part; PASS }}
        location = /part {{ {NOBODY} PASS }}"""


WAYS = ("/ssi/page.shtml", "/before/page.html", "/after/page.html", "/mirrored")


@pytest.mark.parametrize("target", WAYS)
def test_a_subrequest_from_an_open_location_is_asked_about(gate, upstream, page, target):  # noqa: F811
    """The main request has not passed the gate, so the subrequest is decided on with its headers."""
    nginx, port = gate(f"{GATE} {page.replace('OPEN', 'keygate off;')}")

    def forwarded():
        return [request for request in upstream.requests if request[1] == "/part"]

    for headers in ([], [WRONG], [("x-api-key", OTHER)]):
        before = len(nginx.gate_lines())
        got = ask(port, target=target, headers=headers)
        assert got.status == 200
        hosts.wait_until(lambda before=before: len(nginx.gate_lines()) == before + 1)
        if target != "/mirrored":
            assert b"api_key" in got.body and b"upstream" not in got.body
        assert forwarded() == []
    got = ask(port, target=target, headers=[RIGHT])
    assert got.status == 200
    hosts.wait_until(lambda: len(forwarded()) == 1)
    assert KEY not in str(forwarded())
    if target != "/mirrored":
        assert b"upstream" in got.body


@pytest.mark.parametrize("target", WAYS)
def test_a_subrequest_is_not_asked_about_twice(gate, upstream, page, target):  # noqa: F811
    """Nor where another module has let the main request pass the same policy."""
    nginx, port = gate(
        f"{GATE} keygate_auth_mode auto; keygate_allow_lan_access on; keygate_explain on; "
        f"{page.replace('OPEN', 'satisfy any; allow 127.0.0.1; deny all;')}".replace(
            "keygate_auth_mode all_except_health;", ""
        )
    )
    for headers in ([RIGHT], []):
        upstream.requests.clear()
        before = len(nginx.gate_lines())
        assert ask(port, target=target, headers=headers).status == 200
        hosts.wait_until(lambda: "/part" in [request[1] for request in upstream.requests])
        assert len(nginx.gate_lines()) == before + 1
    check_denied(ask(port, target="/part"))


def test_the_subrequests_of_a_preflight(gate, upstream):  # noqa: F811
    """They are GET: what OPTIONS is allowed without a key is not theirs. Those of auth_request judge it."""
    _, port = gate(f"""{GATE} location = /part {{ PASS }} location = /auth {{ PASS }}
        location / {{ add_after_body /part; addition_types *; PASS }}
        location /judged {{ auth_request /auth; PASS }}""")
    for method, headers, whole in (
        ("OPTIONS", [], False),
        ("OPTIONS", [WRONG], False),
        ("OPTIONS", [RIGHT], True),
        ("GET", [RIGHT], True),
    ):
        upstream.requests.clear()
        got = ask(port, method, "/v1", headers)
        assert got.status == 200 and got.body.count(b"upstream\n") == 1 + whole
        assert [request[:2] for request in upstream.requests] == [(method, "/v1")] + [("GET", "/part")] * whole
    assert ask(port, "OPTIONS", "/judged").status == 200


def test_auth_request_beside_the_gate(gate, upstream):  # noqa: F811
    """Where it stands in for the gate, its location is one that the gate is off for."""
    upstream.answer = lambda handler, _: handler.reply(
        200 if handler.path != "/auth" or handler.headers.get("Cookie") == "session=1" else 401, "text/plain", b"up"
    )
    _, port = gate(f"""{GATE} satisfy any; location / {{ auth_request /auth; PASS }}
        location = /auth {{ internal; keygate off; PASS }}""")
    session = ("Cookie", "session=1")
    assert ask(port, headers=[session]).body == b"up"
    assert ask(port, headers=[RIGHT]).body == b"up"
    assert ask(port, headers=[session, WRONG]).body == b"up"
    for headers, check in (([], check_denied), ([WRONG], check_invalid), ([("Cookie", "session=2")], check_denied)):
        check(ask(port, headers=headers))
    assert OTHER not in upstream.seen()


# The decision as a record


def test_the_decision_in_a_log(gate):  # noqa: F811
    nginx, port = gate(
        f"""keygate on; keygate_auth_mode auto; keygate_allow_lan_access on; keygate_api_key {OTHER};
        keygate_api_key {KEY} label=alice; location / {{ PASS }} location /open {{ keygate off; PASS }}
        location /strict {{ keygate_auth_mode strict; PASS }}""",
        logged("$keygate_decision", "$keygate_effective_mode"),
    )
    filler = [(f"X-{n}", "1") for n in range(30)]
    health = "all_except_health"
    cases = [
        ("GET", "/", [RIGHT], ("allow", "key_matched", health, "authorization", 0, 1)),
        ("GET", "/", [*filler, ("x-api-key", OTHER), *filler], ("allow", "key_matched", health, "x-api-key", 30, 0)),
        ("GET", "/", [(f"x-key-{n}", "1") for n in range(40)] + [RIGHT], ("allow", "key_matched", health, "authorization", 40, 1)),
        ("GET", "/", [("X-1", ""), ("x-goog-api-key", "no")], ("deny", "key_mismatch", health, "x-goog-api-key", 1, None)),
        ("GET", "/strict", [], ("deny", "credential_missing", "strict", None, None, None)),
        ("GET", "/healthz", [RIGHT], ("allow", "health", health, None, None, None)),
        ("OPTIONS", "/strict", [WRONG], ("allow", "preflight", "strict", None, None, None)),
        ("GET", "/open", [WRONG], None),
    ]
    for method, target, headers, _ in cases:
        with hosts.Connection(port) as connection:
            lines = [f"{method} {target} HTTP/1.0", *(f"{name}: {value}" for name, value in headers)]
            connection.send("\r\n".join(lines).encode() + b"\r\n\r\n")
            connection.response()
    log = log_of(nginx).splitlines()
    assert len(log) == len(cases)
    fields = ("verdict", "reason", "effective_mode", "source", "header_index", "key_index")
    for line, (*_, expected) in zip(log, cases, strict=True):
        record, _, mode = line.rpartition("|")
        if expected is None:
            assert line == "|"
            continue
        assert json.loads(record) == dict(zip(fields, expected, strict=True))
        assert mode == expected[2]


# The error log

PLACES = [
    f"/v1/models&key={KEY}", f"/v1/models%3Fkey={KEY}", f"/{KEY}", f"/v1?key={KEY}", f"/v1/models#{KEY}",
    f"http://gate.test/{KEY}", f"/v1;{KEY}",
]  # fmt: skip


def test_no_part_of_the_target_in_the_error_log(gate):  # noqa: F811
    """Not in the module's lines, at any level; and the method only if it is a known one."""
    nginx, port = gate(f"{GATE} keygate_explain on; location / {{ PASS }}")
    for target in PLACES:
        for method in ("GET", "POST", KEY.upper().replace("-", "_").translate(str.maketrans("0123456789", "A" * 10))):
            ask(port, method, target, [WRONG])
            ask(port, method, target, [RIGHT, ("x-api-key", OTHER), ("x-api-key", OTHER)])
    lines = nginx.gate_lines()
    assert len(lines) == len(PLACES) * 6
    for line in lines:
        assert KEY not in line and OTHER not in line
        assert re.search(r", client: 127\.0\.0\.1, server: , method: (GET|POST|\(other\))$", line), line
        assert " [notice] " in line
    assert sum(line.endswith("(other)") for line in lines) == len(PLACES) * 2


def test_denials_at_the_level_that_holds_no_headers(gate):  # noqa: F811
    """At `notice` the denials are there, and what nginx writes of headers at `info` is not."""
    nginx, port = gate(f"error_log notice.log notice; {GATE} location / {{ PASS }}")
    twice = [("Authorization", f"Bearer {KEY}"), ("Authorization", f"Bearer {KEY}")]
    assert ask(port, headers=twice).status == 400
    ask(port, headers=[(f"bad header", KEY)])
    ask(port, headers=[WRONG])
    log = (nginx.folder / "notice.log").read_text()
    assert "keygate: deny: " in log and KEY not in log and OTHER not in log
