"""What nginx does with the gate's decisions."""

import base64
import json
import os
import re
import signal
import socket
import subprocess
import threading

import h2.connection
import h2.events
import hosts
import pytest
from hosts import ask, in_memory

KEY = "sk-5f0c4b8e21d97a36"
OTHER = "sk-a97b3310fe64d285"
RIGHT = ("Authorization", f"Bearer {KEY}")
WRONG = ("Authorization", f"Bearer {OTHER}")
GATE = f"keygate on; keygate_auth_mode all_except_health; keygate_api_key {KEY};"


def server(port, body, options=""):
    return f"server {{ listen 127.0.0.1:{port} {options}; {body} }}"


@pytest.fixture
def gate(start, upstream):
    """gate(body) starts nginx with one server before the upstream and returns (nginx, port)."""

    def run(body=f"{GATE} location / {{ PASS }}", http="", options="", **settings):
        port = hosts.free_port()
        to = f"proxy_pass http://127.0.0.1:{upstream.port};"
        text = f"{http}\n{server(port, body, options)}".replace("PASS", to)
        return start(text, port, **settings), port

    return run


def check_denied(response, challenge=hosts.CHALLENGE, code="missing_api_key"):
    assert response.status == 401
    assert response.all("www-authenticate") == [challenge]
    assert response.get("content-type") == "application/json"
    error = response.json()["error"]
    assert (error["type"], error["code"]) == ("authentication_error", code)


def check_invalid(response):
    check_denied(response, hosts.CHALLENGE_INVALID, "invalid_api_key")


def ask_http2(port, headers=(), method="GET", target="/v1/models"):
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        client = h2.connection.H2Connection()
        client.initiate_connection()
        head = [(":method", method), (":scheme", "http"), (":authority", "gate.test"), (":path", target)]
        client.send_headers(1, [*head, *headers], end_stream=True)
        connection.sendall(client.data_to_send())
        response = None
        while True:
            data = connection.recv(65536)
            assert data, "nginx closed the connection"
            for event in client.receive_data(data):
                if isinstance(event, h2.events.ResponseReceived):
                    fields = [(name.decode(), value.decode()) for name, value in event.headers]
                    response = hosts.Response(int(dict(fields)[":status"]), fields, b"")
                elif isinstance(event, h2.events.DataReceived):
                    response.body += event.data
                elif isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset)):
                    return response


# The answer


def test_allowed(gate, upstream):
    nginx, port = gate()
    response = ask(port, headers=[RIGHT])
    assert (response.status, response.body) == (200, b"upstream\n")
    assert len(upstream.requests) == 1
    assert nginx.gate_lines() == []


def test_denied(gate, upstream):
    nginx, port = gate()
    check_denied(ask(port))
    check_invalid(ask(port, headers=[WRONG]))
    check_invalid(ask(port, headers=[("x-api-key", "")]))
    assert upstream.requests == []


def test_head_has_no_body(gate):
    _, port = gate()
    with hosts.Connection(port) as connection:
        first = connection.request("HEAD", "/v1/models")
        assert first.status == 401
        assert int(first.get("content-length")) > 100
        # Were there a body, this would not be a status line.
        assert connection.request("GET", "/v1/models", [RIGHT]).status == 200


@pytest.mark.parametrize("size", [10, 100_000, 3_000_000])
def test_body_of_a_denied_request(gate, upstream, size):
    _, port = gate(http="client_max_body_size 10m;")
    with hosts.Connection(port) as connection:
        check_denied(connection.request("POST", "/v1/messages", body=b"x" * size))
        assert connection.request("POST", "/v1/messages", [RIGHT], b"y" * 10).status == 200
    assert [body for *_, body in upstream.requests] == [b"y" * 10]


def test_chunked_body_of_a_denied_request(gate):
    _, port = gate()
    with hosts.Connection(port) as connection:
        connection.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        connection.send(b"5\r\nhello\r\n0\r\n\r\n")
        check_denied(connection.response())
        connection.send(b"GET / HTTP/1.1\r\nHost: a\r\n" + b"x-api-key: %s\r\n\r\n" % KEY.encode())
        assert connection.response().status == 200


def test_no_100_continue_for_a_denied_request(gate):
    _, port = gate()
    with hosts.Connection(port) as connection:
        connection.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n")
        check_denied(connection.response())


def test_keep_alive_asks_each_time(gate):
    _, port = gate()
    with hosts.Connection(port) as connection:
        for _ in range(3):
            assert connection.request("GET", "/", [RIGHT]).status == 200
            check_invalid(connection.request("GET", "/", [WRONG]))
            check_denied(connection.request("GET", "/"))


def test_pipelined(gate):
    _, port = gate()
    with hosts.Connection(port) as connection:
        one = b"GET / HTTP/1.1\r\nHost: a\r\nx-api-key: %s\r\n\r\n"
        connection.send(b"".join(one % key.encode() for key in (KEY, OTHER, KEY, OTHER)))
        assert [connection.response().status for _ in range(4)] == [200, 401, 200, 401]


def test_gzip_and_charset_do_not_harm_the_body(gate):
    _, port = gate(http="charset utf-8; gzip on; gzip_types *; gzip_min_length 1; msie_padding on;")
    with hosts.Connection(port) as connection:
        check_denied(connection.request("GET", "/", [("User-Agent", "MSIE Chrome")]))
        check_denied(connection.request("GET", "/", [("Accept-Encoding", "gzip")]))
        assert connection.request("GET", "/", [RIGHT]).status == 200


# The target


@pytest.mark.parametrize(
    "target, status",
    [
        ("/healthz", 200),
        ("/healthz?x=1", 200),
        ("//healthz", 401),
        ("/healthz/", 401),
        ("/%68ealthz", 401),
        ("/a/../healthz", 401),
        ("/./healthz", 401),
        ("http://gate.test/healthz", 401),
        ("http://gate.test", 401),
        ("http://gate.test?/healthz", 401),
        ("https://healthz/healthz", 401),
    ],
)
def test_the_target_as_received_decides(gate, target, status):
    _, port = gate(f"{GATE} location / {{ PASS }} location = /healthz {{ PASS }}")
    assert ask(port, "GET", target).status == status


@pytest.mark.parametrize(
    "line, status",
    [
        (b"GET /healthz HTTP/1.0", 200),
        (b"GET /healthz HTTP/1.0  ", 200),
        (b"GET   /healthz   HTTP/1.0", 200),
        (b"HEAD /healthz HTTP/1.0", 200),
        (b"POST /healthz HTTP/1.0", 401),
        (b"GET /healthz/HTTP/1.0 HTTP/1.0", 401),
    ],
)
def test_request_lines(gate, line, status):
    _, port = gate()
    with hosts.Connection(port) as connection:
        connection.send(line + b"\r\n\r\n")
        assert connection.response(head=line.startswith(b"HEAD")).status == status


def test_http_0_9(gate):
    _, port = gate()
    for line, body in (
        (b"GET /healthz\r\n", b"upstream"),
        (b"GET /other\r\n", b"missing_api_key"),
        (b"GET /healthzHTTP/1.1\r\n", b"missing_api_key"),  # no version, but part of the target
    ):
        with hosts.Connection(port) as connection:
            connection.send(line)
            assert body in connection.file.read()


def test_many_headers(gate, upstream):
    """nginx keeps headers in lists of 20: the deciding one is found beyond them, and stripped."""
    nginx, port = gate(http="large_client_header_buffers 16 64k;")
    for count in (1, 18, 19, 20, 21, 45):
        filler = [(f"X-Filler-{n}", str(n)) for n in range(count)]
        upstream.requests.clear()
        assert ask(port, headers=[*filler, RIGHT, *filler, ("x-api-key", OTHER)]).status == 200
        [(_, _, headers, _)] = upstream.requests
        sent = [item for item in headers if item[0].startswith("X-Filler")]
        assert sent == filler + filler
        assert KEY not in upstream.seen() and OTHER not in upstream.seen()
        check_invalid(ask(port, headers=[*filler, WRONG, *filler, ("x-api-key", KEY)]))


# Stripping


SPELLINGS = ["Authorization", "X-API-Key", "x_api_key", "x.api.key", "x-goog-api-key", "X_Goog_Api_Key"]


@pytest.mark.parametrize(
    "mode, method, target, carrier",
    [
        ("strict", "GET", "/v1/models", RIGHT),
        ("off", "GET", "/v1/models", RIGHT),
        ("all_except_health", "GET", "/healthz", RIGHT),
        ("strict", "OPTIONS", "/v1/models", RIGHT),
    ],
)
def test_stripping(gate, upstream, mode, method, target, carrier):
    body = f"""keygate on; keygate_auth_mode {mode}; keygate_api_key {KEY};
        location / {{ PASS }} location /kept {{ keygate_strip off; PASS }}"""
    _, port = gate(body, "underscores_in_headers on; ignore_invalid_headers off;")
    headers = [carrier] + [(name, KEY) for name in SPELLINGS[1:]] + [("X-Keep", "kept")]
    assert ask(port, method, target, headers).status == 200
    assert KEY not in upstream.seen()
    assert ("X-Keep", "kept") in upstream.requests[0][2]
    upstream.requests.clear()
    assert ask(port, method, "/kept", headers).status == 200
    [(_, _, seen, _)] = upstream.requests
    assert sum(KEY in value for _, value in seen) == len(SPELLINGS)


# nginx keeps 20 headers in a part of its list. One letter a header: k is kept, d dropped.
LAYOUTS = [
    *("", "k", "d", "dd", "kd", "dk", "kdk", "kddk", "dkd", "kdkdkdkdk"),
    *("k" * 20, "k" * 21, "d" * 20, "d" * 21, "d" * 45),
    *("k" * 19 + "d", "k" * 19 + "dd", "k" * 19 + "ddk", "k" * 20 + "d", "k" * 20 + "dk"),
    *("d" + "k" * 19, "d" + "k" * 20, "d" * 20 + "k", "d" * 20 + "k" * 21, "d" * 40 + "k"),
    *("k" * 20 + "d" * 20 + "k" * 5, "k" * 20 + "d" * 20, "k" * 45 + "d", "kd" * 30, "dkk" * 20),
]
CARRIERS = ("x-api-key", "X-Goog-Api-Key", "X-API-KEY")
# What headers-more puts in at the end of the rewrite phase: as many as to fill a part and more.
ADDED = [(f"X-Added-{n}", f"a{n}") for n in range(25)]
HEADERS_MORE = "/usr/lib/nginx/modules/ngx_http_headers_more_filter_module.so"


def laid_out(layout):
    """The headers of a layout, and those of them that are kept."""
    headers = [
        (f"X-Keep-{n}", f"k{n}") if letter == "k" else (CARRIERS[n % len(CARRIERS)], KEY)
        for n, letter in enumerate(layout)
    ]
    if "d" in layout:  # nginx takes no second one
        headers[layout.index("d")] = RIGHT
    return headers, [(name, value) for name, value in headers if name.startswith("X-Keep")]


def send_alone(port, target, headers):
    """Sends these headers and no others, not even Host."""
    with hosts.Connection(port) as connection:
        lines = [f"GET {target} HTTP/1.0", *(f"{name}: {value}" for name, value in headers)]
        connection.send("\r\n".join(lines).encode() + b"\r\n\r\n")
        return connection.response()


def test_stripping_in_every_place(gate, upstream):
    _, port = gate(f"keygate on; keygate_auth_mode off; location / {{ PASS }}")
    for layout in LAYOUTS:
        headers, kept = laid_out(layout)
        upstream.requests.clear()
        assert send_alone(port, "/", headers).status == 200
        [(_, _, seen, _)] = upstream.requests
        assert [item for item in seen if item[0] not in ("Host", "Connection")] == kept, layout


def test_headers_added_and_removed_after_stripping(gate, upstream):
    """
    Another module adds to the stripped list, and takes from it, after a redirect. The next policy is
    asked with what was received all the same, and what is added is stripped as well.
    """
    upstream.answer = lambda handler, _: handler.reply(
        200, "text/plain", b"done", [("X-Accel-Redirect", "/next")] * (handler.path == "/first")
    )
    added = " ".join(f"more_set_input_headers '{name}: {value}';" for name, value in ADDED)
    _, port = gate(
        f"""{GATE} location = /first {{ PASS }}
        location = /next {{
            internal; keygate_auth_mode strict; more_set_input_headers 'x-api-key: {OTHER}';
            {added} more_clear_input_headers X-Keep-1 X-Keep-19 X-Keep-20 X-Added-3; PASS
        }}""",
        modules=(hosts.MODULE, HEADERS_MORE),
    )
    gone = ("X-Keep-1", "X-Keep-19", "X-Keep-20", "X-Added-3")
    for layout in LAYOUTS:
        if "d" not in layout:
            continue
        headers, kept = laid_out(layout)
        upstream.requests.clear()
        response = send_alone(port, "/first", headers)
        assert (response.status, response.body) == (200, b"done"), layout
        [_, (_, path, seen, _)] = upstream.requests
        seen = [item for item in seen if item[0] not in ("Host", "Connection")]
        assert path == "/next"
        assert seen == [item for item in kept + ADDED if item[0] not in gone], layout


def test_a_stripped_subrequest_leaves_the_main_request(gate, upstream):
    """Its list shares all parts but the first with the main request's."""
    _, port = gate(f"""{GATE} location = /auth {{ internal; PASS }}
        location / {{ auth_request /auth; proxy_set_header X-A $http_authorization; PASS }}
        location /kept {{ auth_request /auth; keygate_strip off; PASS }}""")
    for count in (0, 18, 19, 20, 21, 41):
        filler = [(f"X-Filler-{n}", str(n)) for n in range(count)]
        for target, expected in (("/", 0), ("/kept", 1)):
            upstream.requests.clear()
            assert send_alone(port, target, [*filler, RIGHT, ("X-Last", "l")]).status == 200
            [(_, asked, first, _), (_, path, second, _)] = upstream.requests
            assert (asked, path) == ("/auth", target)
            assert ("X-Last", "l") in first and ("X-Last", "l") in second
            assert RIGHT[1] not in dict(first).values()
            assert list(dict(second).values()).count(RIGHT[1]) == expected, count


def test_stripped_headers_are_gone_from_variables_too(gate, upstream):
    body = f"""keygate on; keygate_auth_mode strict; keygate_api_key {KEY};
        keygate_source cookie; keygate_source x-forwarded-for; keygate_source authorization bearer;
        keygate_source user-agent;
        proxy_set_header X-A $http_authorization; proxy_set_header X-B $http_cookie;
        proxy_set_header X-C $cookie_a; proxy_set_header X-D $proxy_add_x_forwarded_for;
        proxy_set_header X-E $http_user_agent; proxy_set_header X-F $remote_user;
        location / {{ PASS }}"""
    nginx, port = gate(body)
    headers = [("Cookie", KEY), ("Cookie", f"a={KEY}"), ("X-Forwarded-For", KEY), RIGHT]
    basic = base64.b64encode(f"{KEY}:{KEY}".encode()).decode()
    assert ask(port, headers=[*headers, ("User-Agent", KEY)]).status == 200
    assert ask(port, headers=[headers[0], ("Authorization", f"Basic {basic}")]).status == 200
    assert KEY not in upstream.seen() and basic not in upstream.seen()
    assert ("X-D", "127.0.0.1") in upstream.requests[0][2]


@pytest.mark.parametrize("protocol", ["fastcgi", "scgi", "uwsgi"])
def test_stripping_before_other_upstreams(gate, protocol):
    """Whatever these are sent as, the key is not in it; without stripping, it is."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        received = []

        def take():
            for _ in range(2):
                connection, _ = listener.accept()
                with connection:
                    connection.settimeout(5)
                    received.append(connection.recv(65536))

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        to = f"include /etc/nginx/{protocol}_params; {protocol}_pass 127.0.0.1:{listener.getsockname()[1]};"
        _, port = gate(f"{GATE} location / {{ {to} }} location /kept {{ keygate_strip off; {to} }}")
        assert ask(port, headers=[RIGHT, ("X-Keep", "kept")]).status == 502
        assert ask(port, target="/kept", headers=[RIGHT]).status == 502
        thread.join(10)
    assert b"kept" in received[0] and KEY.encode() not in received[0]
    assert KEY.encode() in received[1]


# Beside other modules of the access phase


BASIC = ("Authorization", "Basic " + base64.b64encode(b"user:password").decode())
BASIC_WRONG = ("Authorization", "Basic " + base64.b64encode(b"user:wrong").decode())


@pytest.fixture
def users(tmp_path):
    path = tmp_path / "users"
    path.write_text("user:{PLAIN}password\n")
    return f'auth_basic "staff"; auth_basic_user_file {path};'


@pytest.mark.parametrize(
    "headers, status",
    [
        ([], 401),
        ([("x-api-key", KEY)], 200),
        ([BASIC], 200),
        ([BASIC, ("x-api-key", OTHER)], 200),
        ([BASIC_WRONG], 401),
        ([BASIC_WRONG, ("x-api-key", KEY)], 401),
        ([("x-api-key", OTHER)], 401),
    ],
)
def test_satisfy_any(gate, users, headers, status):
    """Authorization is the gate's first source, so a wrong one there is not rescued by x-api-key."""
    _, port = gate(f"{GATE} {users} satisfy any; location / {{ PASS }}")
    response = ask(port, headers=headers)
    assert response.status == status
    if status == 200:
        assert response.all("www-authenticate") == []
        assert response.body == b"upstream\n"
    else:
        challenges = response.all("www-authenticate")
        assert len(challenges) == 2 and 'Basic realm="staff"' in challenges
        assert response.json()["error"]["type"] == "authentication_error"


def test_satisfy_any_with_addresses(gate):
    _, port = gate(f"""{GATE} satisfy any;
        location /in {{ allow 127.0.0.1; deny all; PASS }}
        location /out {{ deny all; PASS }}
        location /off {{ keygate_auth_mode off; deny all; PASS }}""")
    inside = ask(port, target="/in")
    assert inside.status == 200 and inside.all("www-authenticate") == []
    check_denied(ask(port, target="/out"))
    assert ask(port, target="/out", headers=[RIGHT]).status == 200
    # A gate that is off satisfies nothing.
    assert ask(port, target="/off", headers=[RIGHT]).status == 403


def test_satisfy_any_leaves_the_401_of_the_upstream(gate, upstream, users):
    def refuse(handler, _):
        handler.reply(401, "text/plain", b"not from the gate", [("WWW-Authenticate", "Own")])

    upstream.answer = refuse
    _, port = gate(f"{GATE} {users} satisfy any; location / {{ PASS }}")
    response = ask(port, headers=[BASIC])
    assert (response.status, response.body) == (401, b"not from the gate")
    assert response.all("www-authenticate") == ["Own"]


def test_satisfy_all(gate, upstream, users):
    _, port = gate(f"""{GATE} keygate_source x-api-key;
        location / {{ {users} PASS }} location /none {{ deny all; PASS }}""")
    check_denied(ask(port, headers=[BASIC]))
    only_key = ask(port, headers=[("x-api-key", KEY)])
    assert only_key.all("www-authenticate") == ['Basic realm="staff"']
    assert only_key.get("content-type") == "text/html"
    assert ask(port, headers=[("x-api-key", KEY), BASIC]).status == 200
    assert ask(port, target="/none", headers=[("x-api-key", KEY)]).status == 403


def test_another_module_reads_the_header_before_it_is_stripped(gate, upstream, users):
    _, port = gate(f"""{GATE} keygate_source x-api-key; keygate_source authorization;
        location / {{ {users} PASS }}""")
    assert ask(port, headers=[("x-api-key", KEY), BASIC]).status == 200
    assert BASIC[1] not in upstream.seen()


# Redirects within nginx and subrequests


def test_error_page(gate, upstream):
    nginx, port = gate(f"""{GATE} error_page 401 /denied.html;
        location / {{ PASS }}
        location = /denied.html {{ internal; return 200 "of the operator"; }}
        location /named {{ error_page 401 @named; PASS }}
        location @named {{ PASS }}
        location /other {{ error_page 401 =403 /denied.html; PASS }}
        location /away {{ error_page 401 http://login.test/; PASS }}""")
    got = ask(port, headers=[WRONG])
    assert (got.status, got.body) == (401, b"of the operator")
    assert got.all("www-authenticate") == [hosts.CHALLENGE_INVALID]
    assert len(nginx.gate_lines()) == 1

    assert ask(port, target="/other").status == 403
    assert ask(port, target="/away").get("location") == "http://login.test/"
    assert upstream.requests == []

    # A page that is guarded itself: test_nginx_entries.py has the others.
    check_invalid(ask(port, "POST", "/named", [WRONG], b"x"))
    assert len(nginx.gate_lines()) == 4
    assert upstream.requests == []


def test_internal_redirects_are_asked_once(gate, upstream, tmp_path):
    (tmp_path / "index.html").write_text("index")
    upstream.answer = lambda handler, _: handler.reply(
        200, "text/plain", b"", [("X-Accel-Redirect", "/files/index.html")]
    )
    nginx, port = gate(f"""keygate on; keygate_auth_mode auto; keygate_allow_lan_access on;
        keygate_api_key {KEY}; keygate_explain on;
        location / {{ PASS }}
        location /files/ {{ alias {tmp_path}/; }}
        location /try {{ root {tmp_path}; try_files /none /files/index.html; }}""")
    # In auto, an explained request always has a line: one line is one question.
    for target in ("/", "/try", "/files/"):
        before = len(nginx.gate_lines())
        got = ask(port, target=target, headers=[RIGHT])
        assert (got.status, got.body) == (200, b"index")
        assert len(nginx.gate_lines()) == before + 1
    check_denied(ask(port))
    check_denied(ask(port, target="/files/"))


def test_a_redirect_to_another_policy_is_asked_again(gate, upstream):
    """With what was received: neither the stripped headers nor the method of the error page."""
    upstream.answer = lambda handler, _: handler.reply(
        200, "text/plain", b"", [("X-Accel-Redirect", "/inner")]
    ) if handler.path.startswith("/outer") else handler.reply(404, "text/plain", b"")
    _, port = gate(f"""keygate on; keygate_auth_mode strict; keygate_api_key {KEY};
        location /outer {{ PASS }}
        location /inner {{ internal; keygate_api_key {OTHER}; keygate_source x-goog-api-key;
            empty_gif; }}
        location = /healthz {{ proxy_intercept_errors on; error_page 404 =200 /up; PASS }}
        location = /up {{ keygate_auth_mode all_except_health; keygate_api_key {OTHER};
            empty_gif; }}""")
    assert ask(port, target="/outer", headers=[RIGHT, ("x-goog-api-key", OTHER)]).status == 200
    check_denied(ask(port, target="/outer", headers=[RIGHT]))
    check_invalid(ask(port, target="/outer", headers=[RIGHT, ("x-goog-api-key", KEY)]))
    # The error page is fetched with GET; what was received is POST, and so not exempt.
    assert ask(port, "GET", "/healthz", headers=[RIGHT]).status == 200
    check_invalid(ask(port, "POST", "/healthz", headers=[RIGHT]))


def test_subrequests(gate, upstream, tmp_path):
    (tmp_path / "page.shtml").write_text('<!--# include virtual="/part" -->')
    nginx, port = gate(f"""keygate on; keygate_auth_mode auto; keygate_allow_lan_access on;
        keygate_api_key {KEY}; keygate_explain on;
        location /asked {{ auth_request /auth; PASS }}
        location /mirrored {{ mirror /mirror; PASS }}
        location /ssi {{ alias {tmp_path}; ssi on; ssi_types *; }}
        location = /auth {{ internal; PASS }}
        location = /mirror {{ internal; PASS }}
        location = /part {{ PASS }}""")
    for target, paths in (
        ("/asked", {"/auth", "/asked"}),
        ("/mirrored", {"/mirror", "/mirrored"}),
        ("/ssi/page.shtml", {"/part"}),
    ):
        upstream.requests.clear()
        before = len(nginx.gate_lines())
        assert ask(port, target=target, headers=[RIGHT]).status == 200
        # A mirrored request is not waited for by nginx.
        hosts.wait_until(lambda: len(upstream.requests) == len(paths))
        assert {path for _, path, _, _ in upstream.requests} == paths
        assert KEY not in upstream.seen()
        assert len(nginx.gate_lines()) == before + 1
        upstream.requests.clear()
        check_invalid(ask(port, target=target, headers=[WRONG]))
        assert upstream.requests == []


def test_auth_request_can_be_given_the_credential(gate, upstream):
    _, port = gate(f"""{GATE} location / {{ auth_request /auth; PASS }}
        location = /auth {{ internal; keygate_strip off; PASS }}""")
    assert ask(port, target="/v1", headers=[RIGHT]).status == 200
    seen = {path: headers for _, path, headers, _ in upstream.requests}
    assert RIGHT in seen["/auth"] and RIGHT not in seen["/v1"]


# HTTP/2


def curl(*arguments):
    command = ["curl", "--silent", "--show-error", "--include", "--max-time", "10", *arguments]
    text = subprocess.run(command, capture_output=True, check=True).stdout
    head, _, body = text.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = [tuple(line.lower().split(": ", 1)) for line in lines[1:]]
    return lines[0], hosts.Response(int(lines[0].split()[1]), headers, body)


def test_http2(gate, upstream):
    nginx, port = gate(options="http2")
    url = f"http://127.0.0.1:{port}"
    h2 = ["--http2-prior-knowledge", "--path-as-is"]

    line, got = curl(*h2, f"{url}/v1/models", "-H", f"Authorization: Bearer {KEY}")
    assert line.startswith("HTTP/2 200") and got.body == b"upstream\n"
    assert KEY not in upstream.seen()
    for arguments, code in (
        ([], "missing"),
        (["-H", f"x-api-key: {OTHER}"], "invalid"),
    ):
        line, got = curl(*h2, f"{url}/v1/models", *arguments)
        assert line.startswith("HTTP/2 401")
        assert got.json()["error"]["code"] == f"{code}_api_key"
        assert len(got.all("www-authenticate")) == 1
    _, got = curl(*h2, f"{url}/v1/models", "--head")
    assert got.status == 401 and got.body == b""
    for target, status in (("/healthz", 200), ("//healthz", 401), ("/%68ealthz", 401)):
        assert curl(*h2, url + target)[1].status == status
    assert curl(*h2, f"{url}/v1", "-X", "OPTIONS")[1].status == 200
    assert KEY not in nginx.log() and OTHER not in nginx.log()


@pytest.mark.parametrize("size", [0, 10, 60_000])
def test_http2_body_of_a_denied_request(gate, size):
    """The answer arrives whole, and the connection goes on."""
    _, port = gate(options="http2")
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        client = h2.connection.H2Connection()
        client.initiate_connection()
        bodies = {1: b"", 3: b""}
        statuses = {}
        for stream, key in ((1, OTHER), (3, KEY)):
            client.send_headers(
                stream,
                [
                    (":method", "POST"),
                    (":scheme", "http"),
                    (":authority", "gate.test"),
                    (":path", "/v1/messages"),
                    ("x-api-key", key),
                ],
            )
            for begin in range(0, size, 10_000):
                client.send_data(stream, b"x" * min(10_000, size - begin))
            client.end_stream(stream)
            connection.sendall(client.data_to_send())
            ended = False
            while not ended:
                data = connection.recv(65536)
                assert data, "nginx closed the connection"
                for event in client.receive_data(data):
                    if isinstance(event, h2.events.ResponseReceived):
                        statuses[event.stream_id] = dict(event.headers)[b":status"]
                    elif isinstance(event, h2.events.DataReceived):
                        bodies[event.stream_id] += event.data
                        client.acknowledge_received_data(event.flow_controlled_length, stream)
                    elif isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset)):
                        ended |= event.stream_id == stream
                connection.sendall(client.data_to_send())
            # Room for the next body, whatever nginx has not read of this one.
            size = min(size, 10)
    assert statuses == {1: b"401", 3: b"200"}
    assert b"invalid_api_key" in bodies[1] and bodies[3] == b"upstream\n"


# Logs and variables


def test_log_of_a_denial(gate):
    nginx, port = gate()
    ask(port, "POST", f"/v1/models?key={KEY}", [WRONG, ("Referer", f"http://x/?key={KEY}")], b"x")
    [line] = nginx.gate_lines()
    assert " [notice] " in line
    assert re.search(
        r"keygate: deny: The deciding header's value equals no configured key \(key_mismatch\), "
        r"client: 127\.0\.0\.1, server: , method: POST$",
        line,
    )


def test_log_of_an_empty_key(gate):
    nginx, port = gate('keygate on; keygate_auth_mode strict; keygate_api_key ""; location / { PASS }')
    check_denied(ask(port, headers=[RIGHT]), hosts.CHALLENGE, "invalid_api_key")
    [line] = nginx.gate_lines()
    assert " [error] " in line
    assert "Proxy auth is enabled but api_key is empty; denying request (no_key_configured)" in line


def test_explanations_are_logged_where_asked_for(gate):
    body = f"{GATE} location / {{ PASS }} location /why {{ keygate_explain on; PASS }}"
    nginx, port = gate(body)
    joined = ("Authorization", f"Bearer{KEY}")
    ask(port, headers=[joined])
    ask(port, target=f"/why?api_key={KEY}", headers=[joined, ("x-api-key", KEY)])
    ask(port, target="/why", headers=[RIGHT, ("x-api-key", OTHER)])
    ask(port, target="/why", headers=[RIGHT])
    lines = nginx.gate_lines()
    assert len(lines) == 3
    assert "findings" not in lines[0]
    assert "(key_mismatch), findings: shadowed_match bearer_no_space key_in_query, " in lines[1]
    assert "keygate: allow: " in lines[2] and "(key_matched), findings: shadowed_present, " in lines[2]


def test_findings_in_a_log(gate):
    """The codes of a request, where explanations are asked for; whoever was asked first."""
    nginx, port = gate(
        f"""{GATE} location / {{ PASS }} location /why {{ keygate_explain on; PASS }}
        location /later {{ error_page 401 /why; PASS }} location /off {{ keygate off; keygate_explain on; PASS }}""",
        """log_format gate escape=none '[$keygate_findings]$keygate_decision'; access_log gate.log gate;""",
    )
    joined = ("Authorization", f"Bearer{KEY}")
    requests = [
        ("/why", [joined, ("x-api-key", KEY)], "shadowed_match bearer_no_space"),
        ("/why?api_key=k", [joined], "bearer_no_space key_in_query"),
        ("/why", [RIGHT, ("x-api-key", OTHER)], "shadowed_present"),
        ("/why", [RIGHT], ""),
        ("/later", [joined], "bearer_no_space"),
        ("/", [joined], ""),
        ("/off", [joined], ""),
    ]
    for target, headers, _ in requests:
        ask(port, target=target, headers=headers)
    nginx.stop()
    lines = (nginx.folder / "gate.log").read_text().splitlines()
    for (target, _, findings), line in zip(requests, lines, strict=True):
        codes, _, record = line.partition("]")
        assert codes == f"[{findings}"
        if target == "/off":
            assert record == ""
        elif target == "/":
            assert "findings" not in json.loads(record)
        else:
            assert json.loads(record)["findings"] == findings.split()


def test_no_key_in_the_error_log(gate):
    """In any place of a request, in any state of it, at the level of debugging as of info."""
    nginx, port = gate(f"{GATE} keygate_explain on; location / {{ PASS }}")
    for key in (KEY, OTHER):
        for name in ("Authorization", "x-api-key", "api-key", "Cookie", "Referer"):
            for value in (key, f"Bearer {key}", f"Bearer{key}", f'"{key}"', f"Basic {key}", key[:-1], key + "x"):
                ask(port, target=f"/v1?key={key}&api_key={key}", headers=[(name, value)])
    assert len(nginx.gate_lines()) > 50
    assert KEY[3:11] not in nginx.log() and OTHER[3:11] not in nginx.log()


def test_variables(gate):
    nginx, port = gate(
        f"""keygate on; keygate_auth_mode strict; keygate_api_key {KEY} label=alice;
        keygate_api_key {OTHER}; location / {{ PASS }} location /open {{ keygate off; PASS }}
        location /early {{ set $early "$keygate_verdict"; add_header X-Early "[$early]"; PASS }}""",
        """log_format gate "$keygate_verdict $keygate_reason $keygate_source $keygate_key_label";
        access_log $LOG gate;""".replace("$LOG", "gate.log"),
    )
    requests = [
        ([RIGHT], "allow key_matched authorization alice"),
        ([("x-api-key", OTHER)], "allow key_matched x-api-key -"),
        ([("x-goog-api-key", "no")], "deny key_mismatch x-goog-api-key -"),
        ([], "deny credential_missing - -"),
    ]
    for headers, _ in requests:
        ask(port, headers=headers)
    ask(port, target="/open", headers=[RIGHT])
    assert ask(port, target="/early", headers=[RIGHT]).get("x-early") == "[]"
    nginx.stop()
    lines = (nginx.folder / "gate.log").read_text().splitlines()
    assert lines == [line for _, line in requests] + ["- - - -", "allow key_matched authorization alice"]


# The configuration


def test_levels(gate):
    """A list of one's own replaces the inherited one; the rest is inherited one by one."""
    http = f"keygate on; keygate_auth_mode strict; keygate_api_key {KEY}; keygate_api_key {OTHER};"
    _, port = gate(
        """keygate_source x-gate;
        location / { PASS }
        location /key { keygate_api_key sk-location; PASS }
        location /source { keygate_source x-other bearer; PASS }
        location /mode { keygate_auth_mode all_except_health; keygate_exempt /mode/up; PASS }
        location /none { keygate_auth_mode off; PASS }
        location /open { keygate off; location /open/closed { keygate on; PASS } PASS }""",
        http,
    )

    def status(target, *headers):
        return ask(port, target=target, headers=headers).status

    for key in (KEY, OTHER):
        assert status("/", ("x-gate", key)) == 200
        assert status("/", ("x-api-key", key)) == 401
        assert status("/key", ("x-gate", key)) == 401
        assert status("/source", ("x-other", f"Bearer {key}")) == 200
        assert status("/source", ("x-gate", key)) == 401
    assert status("/key", ("x-gate", "sk-location")) == 200
    assert status("/mode") == 401
    assert status("/mode/up") == 200
    assert status("/healthz") == 401
    assert status("/none") == 200
    assert status("/open") == 200
    assert status("/open/closed") == 401
    assert status("/open/closed", ("x-gate", KEY)) == 200


LONG = "k" * 257
MODES = 'must be "off", "strict", "all_except_health" or "auto"'
BAD = [
    ("keygate_auth_mode on;", f"keygate_auth_mode: {MODES}"),
    ("keygate_auth_mode STRICT;", f"keygate_auth_mode: {MODES}"),
    (f"keygate_api_key {LONG};", "keygate_api_key: the key is longer than 256 bytes"),
    ('keygate_api_key "k ";', "keygate_api_key: the key starts or ends with a space or a tab"),
    ('keygate_api_key "k\\n";', "keygate_api_key: the key contains a line feed"),
    ("keygate_api_key k\u00a0;", "keygate_api_key: the key contains a no-break space"),
    ("keygate_api_key k; keygate_api_key '';", "keygate_api_key: the key is empty"),
    ("keygate_api_key '' label=a;", "keygate_api_key: the key is empty"),
    ("keygate_api_key $KEYGATE_API_KEY;", "keygate_api_key: the key is a variable that was not expanded"),
    ("keygate_api_key '${KEYGATE_API_KEY}';", "keygate_api_key: the key is a variable that was not expanded"),
    ("keygate_api_key k label=" + "l" * 33 + ";", "keygate_api_key: the label is longer than 32 bytes"),
    ('keygate_api_key k "label=a b";', "keygate_api_key: the label contains a byte outside 0x21 to 0x7E"),
    ("".join(f"keygate_api_key k{n};" for n in range(9)), "keygate_api_key: there are more than 8 keys"),
    (f"keygate_api_key k {KEY};", '"keygate_api_key" directive takes nothing but label=NAME'),
    ("keygate_source 'x key';", "keygate_source: this is not a valid HTTP header name"),
    ("keygate_source '';", "keygate_source: this is not a valid HTTP header name"),
    ("keygate_source a; keygate_source A;", "keygate_source: this header name is listed twice"),
    ("keygate_source " + "n" * 33 + ";", "keygate_source: the header name is longer than 32 bytes"),
    ("".join(f"keygate_source k{n};" for n in range(9)), "keygate_source: there are more than 8 sources"),
    ("keygate_source a Bearer;", '"keygate_source" directive takes nothing but "bearer" or scheme=NAME after'),
    (f"keygate_source a {KEY};", '"keygate_source" directive takes nothing but "bearer" or scheme=NAME after'),
    ("keygate_source a scheme=;", '"keygate_source" directive takes nothing but "bearer" or scheme=NAME after'),
    ("keygate_source a scheme=a:b;", "keygate_source: this is not a valid auth-scheme"),
    ("keygate_source a scheme=" + "s" * 17 + ";", "keygate_source: the scheme is longer than 16 bytes"),
    ("keygate_source Upgrade;", "keygate_source: this header"),
    ("keygate_match all;", 'keygate_match: must be "first" or "any"'),
    (f"keygate_match {KEY};", 'keygate_match: must be "first" or "any"'),
    ("keygate_match any; keygate_match any;", '"keygate_match" directive is duplicate'),
    ("keygate_preflight on;", 'keygate_preflight: must be "options", "cors" or "none"'),
    ("keygate_strip yes;", 'keygate_strip: must be "sources", "matched" or "off"'),
    ("keygate_identity_header 'x user';", "keygate_identity_header: "),
    ("keygate_identity_header X.API_Key;", "keygate_identity_header: "),
    ("keygate_identity_header connection;", "keygate_identity_header: "),
    ("keygate_identity_header x; keygate_identity_header x;", '"keygate_identity_header" directive is duplicate'),
    ("keygate_allow_origin " + "o" * 129 + ";", "keygate_allow_origin: "),
    ("keygate_allow_origin 'a b';", "keygate_allow_origin: "),
    ("keygate_allow_origin *; keygate_allow_origin a;", '"keygate_allow_origin" directive is duplicate'),
    ("keygate_exempt healthz;", "keygate_exempt: the exempt path does not start with /"),
    ("keygate_exempt /a?b;", "keygate_exempt: the exempt path contains ? or #"),
    ("keygate_exempt '/a b';", "keygate_exempt: the exempt path contains a byte outside 0x21 to 0x7E"),
    ("keygate_exempt /" + "p" * 64 + ";", "keygate_exempt: the exempt path is longer than 64 bytes"),
    ("".join(f"keygate_exempt /{n};" for n in range(9)), "keygate_exempt: there are more than 8 exempt paths"),
    ("keygate_auth_mode strict; keygate_auth_mode off;", '"keygate_auth_mode" directive is duplicate'),
    ("keygate maybe;", 'invalid value "maybe" in "keygate" directive'),
    ("keygate_api_key_file none;", "keygate_api_key_file: open() "),
    ("keygate_api_key_file .;", "keygate_api_key_file: "),
    ("keygate on;", f"keygate is on without keygate_auth_mode: it {MODES}"),
]


@pytest.mark.parametrize("level", ["http", "server", "location"])
@pytest.mark.parametrize("text, message", BAD, ids=range(len(BAD)))
def test_bad_configuration(tmp_path, level, text, message):
    nginx = hosts.Nginx(tmp_path, "")
    text = f"\n{text}\n"
    at = {place: text if place == level else "" for place in ("http", "server", "location")}
    http = f"{at['http']} server {{ {at['server']} location / {{ {at['location']} }}\n}}\n"
    line = nginx.write(http) + 1
    got = nginx.test()
    assert got.returncode != 0
    [emerg] = [entry for entry in got.stderr.splitlines() if "[emerg]" in entry]
    assert message in emerg
    assert emerg.endswith(f" in {nginx.config}:{line}")
    assert KEY not in got.stderr and LONG not in got.stderr


# What is wrong with a list shows where a policy is made of it, and what is to blame stands elsewhere.
ENTRIES = {
    "key": ("keygate_api_key k{n};", 'keygate_api_key "k ";', "keygate_api_key: the key starts or ends with a space"),
    "label": ("keygate_api_key k{n} label=l{n};", f"keygate_api_key k label={'l' * 33};", "keygate_api_key: the label "),
    "source": ("keygate_source x-{n};", "keygate_source X-2;", "keygate_source: this header name is listed twice"),
    "scheme": ("keygate_source x-{n};", "keygate_source x scheme=a:b;", "keygate_source: this is not a valid auth-scheme"),
    "path": ("keygate_exempt /{n};", "keygate_exempt up;", "keygate_exempt: the exempt path does not start with /"),
}
USES = {
    "inherited": "server {{ keygate on; location / {{ }} location /a {{ keygate_auth_mode off; }} }}",
    "off": "server {{ location / {{ }} }}",
    "replaced": "server {{ keygate on; {good} location / {{ }} }}",
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("entry", ENTRIES)
def test_the_line_of_the_entry_to_blame(tmp_path, entry, use):
    """The third entry of a list that stands in http, in a file of its own."""
    good, bad, message = ENTRIES[entry]
    lines = ["keygate_auth_mode strict;", *(good.format(n=n) for n in (1, 2)), bad, good.format(n=4)]
    (tmp_path / "list.conf").write_text("\n".join(lines) + "\n")
    nginx = hosts.Nginx(tmp_path, "")
    nginx.write(f"include {tmp_path}/list.conf;\n{USES[use].format(good=good.format(n=9))}\n")
    got = nginx.test()
    assert got.returncode != 0
    [emerg] = [text for text in got.stderr.splitlines() if "[emerg]" in text]
    assert message in emerg
    assert emerg.endswith(f" in {tmp_path}/list.conf:4")


def test_what_a_location_takes_back(gate, upstream):
    """An empty name or origin is none; and each setting is inherited by itself."""
    _, port = gate(f"""{GATE} keygate_match any; keygate_preflight none; keygate_allow_origin *;
        location / {{ PASS }} location /first {{ keygate_match first; PASS }}
        location /options {{ keygate_preflight options; PASS }} location /quiet {{ keygate_allow_origin ""; PASS }}
        location /token {{ keygate_source x-token scheme=Token; keygate_source authorization bearer; PASS }}""")
    both = [WRONG, ("x-api-key", KEY)]
    for target, status in (("/", 200), ("/first", 401), ("/options", 200), ("/quiet", 200)):
        got = ask(port, target=target, headers=both)
        assert got.status == status
        assert ask(port, "OPTIONS", target).status == (200 if target == "/options" else 401)
        denied = ask(port, target=target)
        assert denied.get("access-control-allow-origin") == (None if target == "/quiet" else "*")
        assert denied.get("vary") is None
    for value, status in ((f"token  {KEY}", 200), (f"Token {KEY}", 200), (KEY, 200), (f"Bearer {KEY}", 401)):
        assert ask(port, target="/token", headers=[("x-token", value)]).status == status


@pytest.mark.parametrize("name, needs", [
    ("x_team", "underscores_in_headers on"), ("x.team", "ignore_invalid_headers off"), ("x!", "ignore_invalid_headers off"),
])  # fmt: skip
def test_a_source_that_nginx_ignores(tmp_path, name, needs):
    """Refused, with what would have it read; where the gate is off it is nobody's."""
    def outcome(http, server_, location):
        nginx = hosts.Nginx(tmp_path, "")
        text = f"{http} server {{ listen 127.0.0.1:1; {server_}\n location / {{ {location} }} }}"
        line = nginx.write(f"keygate_auth_mode strict; keygate_api_key {KEY};\nkeygate_source {name};\n{text}") + 1
        got = nginx.test()
        refused = [text for text in got.stderr.splitlines() if "[emerg]" in text]
        assert (got.returncode != 0) == bool(refused)
        assert not refused or f'"{needs}" in {nginx.config}:{line}' in refused[0]
        return "refused" if refused else "taken"

    assert outcome("", "keygate on;", "") == outcome("", "", "keygate on;") == "refused"
    assert outcome("", "", "") == outcome("", "keygate on; keygate_source x-team;", "") == "taken"
    assert outcome(f"{needs};", "keygate on;", "") == outcome("", f"{needs}; keygate on;", "") == "taken"
    assert outcome("ignore_invalid_headers off;", "keygate on;", "") == "taken"
    if "underscores" not in needs:
        assert outcome("underscores_in_headers on;", "keygate on;", "") == "refused"


def run_key_file(tmp_path, content, mode=0o600, label="", more=""):
    path = tmp_path / "keys"
    path.write_bytes(content)
    os.chmod(path, mode)
    port = hosts.free_port()
    gate = f"keygate on; keygate_auth_mode strict; keygate_api_key_file {path} {label}; {more}"
    answer = "add_header X-Label $keygate_key_label; empty_gif;"
    nginx = hosts.Nginx(tmp_path, server(port, f"{gate} location / {{ {answer} }}"))
    return nginx, port


# Byte order mark, line ends, and a last line with and without one.
FORMS = {
    "plain": (b"", b"\n", b""),
    "last line ended": (b"", b"\n", b"\n"),
    "CR LF": (b"", b"\r\n", b"\r\n"),
    "CR LF, last line not ended": (b"", b"\r\n", b""),
    "byte order mark": (b"\xef\xbb\xbf", b"\n", b"\n"),
    "byte order mark and CR LF": (b"\xef\xbb\xbf", b"\r\n", b"\r\n"),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("first", [["# two keys", ""], []], ids=["comment first", "key first"])
def test_key_file(tmp_path, form, first):
    """The label of a line is that key's, and the directive's is for the others."""
    mark, line_end, end = FORMS[form]
    lines = [*first, f"{KEY} label=alice", "", f"#{OTHER}", OTHER]
    content = mark + line_end.join(line.encode() for line in lines) + end
    nginx, port = run_key_file(tmp_path, content, label="label=file")
    got = nginx.test()
    assert got.returncode == 0 and "warn" not in got.stderr
    with nginx.start(port):
        for key, label in ((KEY, "alice"), (OTHER, "file")):
            response = ask(port, headers=[("x-api-key", key)])
            assert (response.status, response.get("x-label")) == (200, label)
        for key in (f"#{OTHER}", "# two keys", f"{KEY} label=alice", f"\xef\xbb\xbf{KEY}"):
            check_invalid(ask(port, headers=[("x-api-key", key)]))


@pytest.mark.parametrize(
    "content, message",
    [
        (b"# CR CR LF\r\n%s\r\r\n", "the key contains a carriage return"),
        (b"#\n%s \n", "the key starts or ends with a space or a tab"),
        (b"#\n\t%s\n", "the key starts or ends with a space or a tab"),
        (b"#\n%s\0\n", "the key contains a NUL byte"),
        (b"#\n%s\xc2\xa0", "the key contains a no-break space"),
        (b"#\n\xef\xbb\xbf%s\n", "the key contains a byte order mark"),
        (b"#\n%s" + b"x" * 256, "the key is longer than 256 bytes"),
        (b"#\n$KEY\n%s\n", "the key is a variable that was not expanded"),
        (b"#\n%s label=\n", "the label is empty"),
        (b"#\n%s label=two words\n", "the label contains a byte outside"),
        (b"#\r\n%s label=" + b"l" * 33 + b"\r\n", "the label is longer than 32 bytes"),
    ],
)
def test_bad_key_file(tmp_path, content, message):
    nginx, _ = run_key_file(tmp_path, content.replace(b"%s", KEY.encode()))
    got = nginx.test()
    assert got.returncode != 0
    assert f'keygate_api_key_file: "{tmp_path}/keys": line 2: {message}' in got.stderr
    assert re.search(rf" in {nginx.config}:\d+\n", got.stderr)
    assert KEY not in got.stderr


def test_key_files_with_too_much_in_them(tmp_path):
    """What no line is to blame for has the line of the directive."""
    for content, label, more, message in (
        (b"k1\nk2\nk3\nk4\nk5\nk6\nk7\nk8\nk9\n", "", "", "keygate_api_key_file: there are more than 8 keys"),
        (b"k1\nk2\nk3\nk4\nk5\nk6\nk7\nk8\n", "", "keygate_api_key k;", "keygate_api_key: there are more than 8 keys"),
        (KEY.encode(), "label=" + "l" * 33, "", "keygate_api_key_file: the label is longer than 32 bytes"),
    ):
        nginx, _ = run_key_file(tmp_path, content, label=label, more=more)
        got = nginx.test()
        assert got.returncode != 0
        assert re.search(rf"{message}.* in {nginx.config}:\d+\n", got.stderr)
        assert KEY not in got.stderr


def test_key_file_that_is_too_long(tmp_path):
    nginx, _ = run_key_file(tmp_path, b"#" * (16 << 20) + b"\n")
    assert "is not a file of at most 16777216 bytes" in nginx.test().stderr
    nginx, _ = run_key_file(tmp_path, KEY.encode() + b"\n" + b"#" * ((16 << 20) - len(KEY) - 1))
    assert nginx.test().returncode == 0


@pytest.mark.parametrize("mode, warned", [(0o600, False), (0o400, False), (0o640, True), (0o604, True)])
def test_key_file_that_others_can_read(tmp_path, mode, warned):
    nginx, _ = run_key_file(tmp_path, KEY.encode(), mode)
    got = nginx.test()
    assert got.returncode == 0
    assert ("can be read by its group or by everybody" in got.stderr) == warned


def test_warnings(tmp_path):
    nginx, _ = run_key_file(tmp_path, b"# none\n")
    got = nginx.test()
    assert got.returncode == 0
    assert "holds no key" in got.stderr and "keygate lint: no_key: " in got.stderr
    nginx.write(server(hosts.free_port(), "keygate_auth_mode strict;"))
    got = nginx.test()
    assert got.returncode == 0
    assert '"keygate on" stands nowhere' in got.stderr


LINTS = [
    # (directives, the codes)
    (f"keygate_api_key {KEY};", []),
    ("", ["no_key"]),
    (f"keygate_api_key {KEY}; keygate_api_key {KEY};", ["key_repeated"]),
    (f"keygate_api_key 'Bearer {OTHER}';", ["key_bearer"]),
    (f"keygate_auth_mode off; keygate_api_key {KEY};", ["open"]),
    ("keygate_api_key sk-short1;", ["key_short"]),
    (f"keygate_api_key {KEY}; keygate_exempt /health/;", ["exempt_pattern"]),
    (f"keygate_api_key {KEY}; keygate_source x_key;", ["source_underscore"]),
]


@pytest.mark.parametrize("text, codes", LINTS, ids=range(len(LINTS)))
def test_lints(tmp_path, text, codes):
    """Once for each configuration of the gate, at the start and at a reload, where the gate is on, with
    its line and in the library's words."""
    port = hosts.free_port()
    nginx = hosts.Nginx(tmp_path, "")
    text += " keygate_auth_mode strict;" * ("auth_mode" not in text)
    line = nginx.write(f"""underscores_in_headers on;
        {server(port, f"{text} keygate on; location / {{ keygate_strip off; }} location /b {{ keygate_match any; keygate off; }}")}
        """)
    pattern = re.compile(r"\[warn\] (?:\d+#\d+: )?keygate lint: ([a-z_]+): (\S.*) in (\S+):(\d+)$", re.MULTILINE)
    got = nginx.test()
    found = pattern.findall(got.stderr)
    assert got.returncode == 0 and [code for code, *_ in found] == codes
    assert all((path, int(at)) == (str(nginx.config), line + 1) for *_, path, at in found)
    with nginx.start(port):
        ask(port)  # whose answer shows that the worker is there
        nginx.error_log.write_text("")
        nginx.reload()
        assert [code for code, *_ in pattern.findall(nginx.log())] == codes
        for key in re.findall(r"sk-\w+", text):
            assert key[3:9] not in nginx.log() + got.stderr


def test_keys_in_memory(tmp_path):
    """A key from a file is in memory once for each policy, and nowhere else, not in part either."""
    nginx, port = run_key_file(tmp_path, KEY.encode() + b"\n")
    with nginx.start(port):
        for _ in range(2):
            # The answer shows that the worker is there; a key in the request would be in its
            # buffer.
            check_denied(ask(port))
            [worker] = nginx.children()
            for process in (nginx.process.pid, worker):
                for part in (KEY, KEY[:9], KEY[9:]):
                    assert in_memory(process, part.encode()) == 1
            nginx.reload()


def test_keys_in_memory_where_what_is_stripped_differs(tmp_path):
    """Once more for each other way to strip: what one location has decided, another may forward."""
    nginx, port = run_key_file(tmp_path, KEY.encode(), more="keygate_strip matched;")
    nginx.config.write_text(nginx.config.read_text().replace("location / {", "location /b { keygate_strip off; } location / {"))
    with nginx.start(port):
        check_denied(ask(port))
        [worker] = nginx.children()
        for process in (nginx.process.pid, worker):
            assert in_memory(process, KEY.encode()) == 2


def test_keys_in_memory_where_the_gate_is_off(tmp_path):
    """They are looked at, and wiped."""
    port = hosts.free_port()
    (tmp_path / "keys").write_text(KEY)
    (tmp_path / "keys").chmod(0o600)
    gate = f"keygate_auth_mode strict; keygate_api_key_file {tmp_path}/keys;"
    nginx = hosts.Nginx(tmp_path, server(port, f"{gate} location / {{ empty_gif; }}"))
    with nginx.start(port):
        assert ask(port).status == 200
        [worker] = nginx.children()
        for process in (nginx.process.pid, worker):
            for part in (KEY, KEY[:9], KEY[9:]):
                assert in_memory(process, part.encode()) == 0


@pytest.mark.parametrize("wrong", ["in the key file", "behind it"])
def test_keys_in_memory_after_a_refused_reload(tmp_path, wrong):
    """Those of the configuration that was refused are gone, those in force stay."""
    nginx, port = run_key_file(tmp_path, KEY.encode())
    with nginx.start(port):
        (tmp_path / "keys").write_text(OTHER + "\n" + ("bad \n" if wrong == "in the key file" else ""))
        if wrong == "behind it":
            nginx.config.write_text(nginx.config.read_text().replace("keygate on;", "keygate on; keygate_exempt up;"))
        os.kill(nginx.process.pid, signal.SIGHUP)
        hosts.wait_until(lambda: "[emerg]" in nginx.log())
        check_denied(ask(port))
        for part in (OTHER, OTHER[:9], OTHER[9:]):
            assert in_memory(nginx.process.pid, part.encode()) == 0
        assert in_memory(nginx.process.pid, KEY.encode()) == 1
        assert "the key starts or ends" in nginx.log() or "the exempt path" in nginx.log()
        nginx.error_log.write_text("")
