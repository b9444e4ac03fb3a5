"""Every way by which a request leaves nginx's access phase or enters it again. A location that is
guarded is shut whichever way leads there, as it is with auth_basic. The names are those of the table
in bindings/nginx/README.md."""

import hosts
import pytest
from hosts import ask
from test_nginx import GATE, KEY, OTHER, RIGHT, WRONG, ask_http2, check_denied, check_invalid, gate  # noqa: F401

ORIGIN = "https://app.test"
TELLING = f"""{GATE.replace(KEY, f"{KEY} label=alice")} keygate_identity_header X-User; keygate_allow_origin {ORIGIN};
    gzip_vary on; gzip on; gzip_types *; add_header Vary X always;"""
FORGED = [("X-User", "mallory"), ("x_user", "eve"), ("X-USER", "mallory")]

# NAME: (http, server). PASS forwards, FOLDER holds page.html, index.html and part.html. What is
# asked for is /v1/x unless a third text says so.
ENTRIES = {
    "rewrite last": ("", "location / { rewrite ^ /b/x last; } location /b/ { PASS }"),
    "rewrite break": ("", "location / { rewrite ^ /b/x break; PASS }"),
    "if": ("", 'location / { if ($request_method != "") { PASS } }'),
    "limit_except": ("", "location / { limit_except GET { allow all; } PASS }"),
    "error_page, no location of its own": ("", "error_page 401 /401.html; location / { PASS }"),
    "error_page uri": ("", "error_page 401 /login; location / { PASS } location = /login { PASS }"),
    "error_page = uri": ("", "error_page 401 = /login; location / { PASS } location = /login { PASS }"),
    "error_page =200 uri": ("", "error_page 401 =200 /login; location / { PASS } location = /login { PASS }"),
    "error_page @name": ("", "error_page 401 @deny; location / { PASS } location @deny { PASS }"),
    "error_page = @name": ("", "error_page 401 = @deny; location / { PASS } location @deny { PASS }"),
    "error_page =200 @name": ("", "error_page 401 =200 @deny; location / { PASS } location @deny { PASS }"),
    "error_page into itself": ("", "location / { error_page 401 = /v1/x; PASS }"),
    "recursive_error_pages, uri": (
        "",
        """recursive_error_pages on; error_page 401 = /login;
        location / { PASS } location = /login { PASS }""",
    ),
    "recursive_error_pages, @name": (
        "",
        """recursive_error_pages on; error_page 401 = @deny;
        location / { PASS } location @deny { PASS }""",
    ),
    "error_page to another policy": (
        "",
        """location / { error_page 401 = /team; PASS }
        location = /team { keygate_api_key sk-of-the-team; PASS }""",
    ),
    "error before the access phase: limit_req": (
        "limit_req_zone $server_name zone=one:64k rate=1r/m;",
        """error_page 503 = /busy; location / { limit_req zone=one burst=1 nodelay; PASS }
        location = /busy { PASS }""",
    ),
    "error before the access phase: 404 of internal": (
        "",
        "location / { internal; error_page 404 = /login; PASS } location = /login { PASS }",
    ),
    "error after the gate: satisfy any, auth_request": (
        "",
        """location / { satisfy any; auth_request /auth; error_page 500 = @fallback; PASS }
        location = /auth { internal; keygate off; return 500; } location @fallback { PASS }""",
    ),
    "error after the gate: satisfy any, deny": (
        "",
        """location / { satisfy any; deny all; error_page 401 403 500 = @fallback; PASS }
        location @fallback { PASS }""",
    ),
    "auth_delay": ("", "auth_delay 50ms; error_page 401 = @deny; location / { PASS } location @deny { PASS }"),
    "try_files uri": ("", "location / { root FOLDER; try_files /none /b/x; } location /b/ { PASS }"),
    "try_files @name": ("", "location / { root FOLDER; try_files $uri @app; } location @app { PASS }"),
    "try_files, satisfy any before": (
        "",
        """location / { satisfy any; allow 127.0.0.1; deny all; try_files /none /b/x; }
        location /b/ { PASS }""",
    ),
    "index": ("", "location / { alias FOLDER/; index index.html; } location = /index.html { PASS }", "/"),
    "index, satisfy any before": (
        "",
        """location = / { satisfy any; allow 127.0.0.1; deny all; root FOLDER; index index.html; }
        location = /index.html { PASS }""",
        "/",
    ),
    "X-Accel-Redirect": ("", "location / { keygate off; ACCEL } location /b/ { PASS }"),
    "X-Accel-Redirect to a name": ("", "location / { keygate off; ACCEL_NAME } location @app { PASS }"),
    "post_action": ("", "location / { post_action /after; PASS } location = /after { PASS }"),
    "auth_request": ("", "location / { auth_request /auth; PASS } location = /auth { internal; NOBODY PASS }"),
    "auth_request from an open location": (
        "",
        "location / { keygate off; auth_request /auth; PASS } location = /auth { internal; NOBODY PASS }",
    ),
    "auth_request from an open location, redirected": (
        "",
        """location / { keygate off; auth_request /auth; PASS }
        location = /auth { internal; error_page 401 = @in; NOBODY PASS } location @in { NOBODY PASS }""",
    ),
    "auth_request and the gate, satisfy any": (
        "",
        "location / { satisfy any; auth_request /auth; PASS } location = /auth { internal; NOBODY PASS }",
    ),
    "mirror": ("", "location / { mirror /m; PASS } location = /m { internal; PASS }"),
}


@pytest.fixture
def entry(gate, tmp_path):  # noqa: F811
    """entry(name) starts nginx with that entry of the table."""
    (tmp_path / "index.html").write_text("index")

    def accel(handler, _):
        to = "@app" if handler.path.startswith("/@app") else "/b/x"
        handler.reply(200, "text/plain", b"", [("X-Accel-Redirect", to)])

    def run(name, options=""):
        http, server = ENTRIES[name][:2]
        servers.append(hosts.Upstream(accel))
        for text, to in {
            "ACCEL_NAME": f"proxy_pass http://127.0.0.1:{servers[-1].port}/@app;",
            "ACCEL": f"proxy_pass http://127.0.0.1:{servers[-1].port};",
            "NOBODY": 'proxy_pass_request_body off; proxy_set_header Content-Length "";',
            "FOLDER": str(tmp_path),
        }.items():
            server = server.replace(text, to)
        return gate(f"{TELLING} {server}", f"underscores_in_headers on; {http}", options)

    servers = []
    yield run
    for server in servers:
        server.__exit__()


def target_of(name):
    return ENTRIES[name][2] if len(ENTRIES[name]) > 2 else "/v1/x"


@pytest.mark.parametrize("name", ENTRIES)
def test_denied_by_every_way(entry, upstream, name):
    nginx, port = entry(name)
    target = target_of(name)
    # nginx has an index for no other methods.
    for method in ("GET", "POST") if target == "/" else ("GET", "POST", "DELETE"):
        body = b"{}" if method == "POST" else b""
        for _ in range(2):
            for headers, check in (([], check_denied), ([WRONG], check_invalid), ([("x-api-key", OTHER)], check_invalid)):
                response = ask(port, method, target, headers, body)
                check(response)
                check_readable(response)
    head = ask(port, "HEAD", target, [WRONG])
    assert (head.status, head.all("www-authenticate")) == (401, [hosts.CHALLENGE_INVALID])
    check_readable(head)
    assert upstream.requests == []
    assert OTHER not in nginx.log()


def check_readable(response):
    """By a script of that site, and by no cache for another."""
    assert response.get("access-control-allow-origin") == ORIGIN
    assert response.get("access-control-expose-headers") == "WWW-Authenticate"
    assert {"Origin", "X"} <= set(response.all("vary"))


@pytest.mark.parametrize("name", ENTRIES)
def test_allowed_by_every_way(entry, upstream, name):
    """And the key's label, not what the client says it is, goes wherever the request goes: but for an
    open location, of which only a subrequest was asked about."""
    _, port = entry(name)
    target = target_of(name)
    with hosts.Connection(port) as connection:
        for _ in range(2):
            got = connection.request("GET", target, [*FORGED, RIGHT])
            assert (got.status, got.body, got.all("www-authenticate")) == (200, b"upstream\n", [])
            assert got.get("access-control-allow-origin") is None
    if target != "/":
        got = ask(port, "POST", target, [("x-api-key", KEY), ("x-other", "1"), *FORGED], b"{}")
        assert (got.status, got.body) == (200, b"upstream\n")
    assert upstream.requests
    assert KEY not in upstream.seen()
    check_told(name, upstream)


def check_told(name, upstream):
    for _, path, headers, _ in upstream.requests:
        told = [value for key, value in headers if hosts.spelling(key) == "x-user"]
        assert told == ([] if "open" in name and path != "/auth" else ["alice"]), path


@pytest.mark.parametrize("name", ENTRIES)
def test_every_way_over_http2(entry, upstream, name):
    _, port = entry(name, "http2")
    target = target_of(name)
    for headers, check in (([], check_denied), ([WRONG], check_invalid)):
        response = ask_http2(port, [*FORGED, *headers], target=target)
        check(response)
        check_readable(response)
    assert upstream.requests == []
    got = ask_http2(port, [*FORGED, RIGHT], target=target)
    assert (got.status, got.body, got.all("www-authenticate")) == (200, b"upstream\n", [])
    assert KEY not in upstream.seen()
    check_told(name, upstream)


@pytest.mark.parametrize(
    "server, method",
    [
        ("error_page 404 = /fallback;", "GET"),
        ("error_page 404 = /v1/fallback$uri;", "GET"),
        ("error_page 404 = @fallback;", "OPTIONS"),
        ("", "GET"),
    ],
    ids=["error_page uri", "error_page uri with the path", "error_page @name", "X-Accel-Redirect"],
)
def test_a_preflight_that_becomes_another_request(gate, upstream, server, method):  # noqa: F811
    """OPTIONS needs no key; the GET that nginx makes of it does. A name keeps the method."""

    def answer(handler, _):
        away = handler.path == "/v1/secret"
        accel = [("X-Accel-Redirect", "/fallback")] * (away and not server)
        handler.reply(404 if away and server else 200, "text/plain", b"up", accel)

    upstream.answer = answer
    for strip in ("on", "off"):
        _, port = gate(f"""{GATE} keygate_strip {strip}; proxy_intercept_errors on; {server}
            location / {{ PASS }} location @fallback {{ rewrite ^ /fallback break; PASS }}""")
        upstream.requests.clear()
        got = ask(port, "OPTIONS", "/v1/secret")
        if method == "GET":
            check_denied(got)
            check_invalid(ask(port, "OPTIONS", "/v1/secret", [WRONG]))
        else:
            assert got.status == 200
            assert ask(port, "OPTIONS", "/v1/secret", [WRONG]).status == 200
        assert {request[0] for request in upstream.requests} == {"OPTIONS"}
        upstream.requests.clear()
        assert ask(port, "OPTIONS", "/v1/secret", [RIGHT]).status == 200
        assert [request[0] for request in upstream.requests] == ["OPTIONS", method]
    # An exempt path needs none for GET either.
    check_denied(ask(port, "POST", "/healthz"))
    assert ask(port, "OPTIONS", "/healthz").status == 200


def test_the_request_line_is_the_same_after_the_answer(gate, upstream):  # noqa: F811
    """nginx takes the request of a post_action for one of HTTP/0.9, which has no version in its line."""
    _, port = gate(f"""{GATE} location / {{ keygate off; post_action @after; PASS }}
        location @after {{ rewrite ^ /after break; PASS }}""")
    for target, expected in (("/healthz", ["/healthz", "/after"]), ("/v1", ["/v1"])):
        upstream.requests.clear()
        assert ask(port, "GET", target).status == 200
        hosts.wait_until(lambda expected=expected: len(upstream.requests) >= len(expected))
        assert ask(port, "POST", "/v1").status == 200
        assert [request[1] for request in upstream.requests] == [*expected, "/v1"]


@pytest.mark.parametrize(
    "line, code",
    [
        (b"GARBAGE\r\n\r\n", 400),
        (b"GET\r\n\r\n", 400),
        (b"OPTIONS /../x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"OPTIONS /x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET /v1 HTTP/1.1\r\n\r\n", 400),
        (b"TRACE /v1 HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"GET /v1 HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 9000 + b"\r\n\r\n", 494),
        (b"POST /v1 HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n", 413),
        (b"POST /v1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x\r\n\r\n", 501),
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_error_before_the_gate_does_not_pass_it(gate, upstream, line, code):  # noqa: F811
    """What nginx refuses itself can have an error page, too, and the gate is asked about that."""
    nginx, port = gate(f"""{GATE} client_max_body_size 1; error_page {code} = /page;
        location / {{ PASS }}""", "large_client_header_buffers 4 8k;")
    with hosts.Connection(port) as connection:
        connection.send(line)
        got = connection.file.read() if line.startswith((b"GARBAGE", b"GET\r")) else None
        if got is None:
            response = connection.response()
            assert response.status == (200 if b"/healthz" in line else 401)
            if response.status == 401:
                assert "api_key" in response.json()["error"]["code"]
        else:
            assert b"upstream" not in got
    assert [request[:2] for request in upstream.requests] == [("GET", "/page")] * (b"/healthz" in line)
