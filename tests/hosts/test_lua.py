"""What only nginx-lua can get wrong: how Lua sees headers, ways into a location besides the client's, what is
loaded when, and changes without a reload."""

import contextlib
import json
import re
import subprocess

import hosts
import pytest
from hosts import runs

LUA = hosts.ROOT / "target/lua"
KEY = "sk-Zq7vXw9RkT2mYpLb"
OTHER = "sk-Wd4hNs8FgJ3cVtQz"
STRICT = {"auth_mode": "strict", "keys": [{"key": KEY, "label": "alice"}], "identity_header": "x-user"}
HEALTH = {**STRICT, "auth_mode": "all_except_health"}
BEARER = ("Authorization", f"Bearer {KEY}")
ACCESS = 'access_by_lua_block { require("keygate").access() }'


def quoted(text):
    return "[==[" + text + "]==]"


def load(settings, **options):
    """Of the texts and names, the arguments of load."""
    given = {"json": json.dumps(settings) if isinstance(settings, dict) else settings, **options}
    return "{ " + ", ".join(f"{name} = {value if isinstance(value, bool) else quoted(str(value))}".replace("True", "true")
                            for name, value in given.items() if value is not None) + " }"


def head(*loads, before="", worker=""):
    calls = "\n".join(f'require("keygate").load {one}' for one in loads)
    return f"""
        lua_package_path "{LUA}/?.lua;;"; lua_package_cpath "{LUA}/?.so;;";
        include {LUA}/keygate.conf;
        underscores_in_headers on; ignore_invalid_headers off;
        init_by_lua_block {{ {before} {calls} }}
        init_worker_by_lua_block {{ {worker} }}
        log_format record escape=none '$keygate_decision';
    """


def proxy(upstream, location="/", extra="", directive="location"):
    return f"""
        {directive} {location} {{
            {extra}
            proxy_pass http://127.0.0.1:{upstream.port};
            proxy_http_version 1.1;
            proxy_set_header Upgrade $keygate_upgrade;
            proxy_set_header Connection $keygate_connection;
        }}
    """


@pytest.fixture
def gate(start, upstream):
    """gate(server, head=...) starts an nginx with the server's directives, and returns it and the port."""

    def run(server, top=None, gated=ACCESS):
        port = hosts.free_port()
        text = (top or head(load(HEALTH))) + f"server {{ listen 127.0.0.1:{port}; {gated}\n{server} }}"
        return start(text, port, modules=hosts.LUA_MODULES), port

    return run


# Headers

def test_duplicates_that_differ_in_case_keep_their_order(gate, upstream):
    """By raw names, Lua has them apart and in any order: a wrong one was rescued by a right one behind it."""
    _, port = gate(proxy(upstream))
    names = ["x-api-key", "X-Api-Key", "X-API-KEY", "x-Api-key", "X-api-Key", "x-aPI-key"]
    for first in names:
        for second in names:
            assert hosts.ask(port, headers=[(first, OTHER), (second, KEY)]).status == 401
            assert hosts.ask(port, headers=[(first, KEY), (second, OTHER)]).status == 200
    assert not runs(KEY, upstream.seen()) and not runs(OTHER, upstream.seen())


def test_the_key_behind_many_headers(gate, recorder):
    """Lua looks at 100 unless it is told otherwise."""
    _, port = gate("large_client_header_buffers 8 256k;" + proxy(recorder))
    filler = [(f"x-{n}", "1") for n in range(300)]
    assert hosts.ask(port, headers=[*filler, BEARER]).status == 200
    assert hosts.ask(port, headers=[*filler, ("x-api-key", OTHER), *filler, ("x-api-key", KEY)]).status == 401
    assert hosts.ask(port, headers=[BEARER, *filler, ("x-user", "mallory"), *filler, ("x-api-key", OTHER)]).status == 200
    seen = recorder.bytes().decode("latin-1")
    assert not runs(KEY, seen) and not runs(OTHER, seen) and "mallory" not in seen


def test_strings_live_as_long_as_the_library_reads_them(gate, upstream):
    """With collections all the time."""
    _, port = gate(proxy(upstream), head(load(STRICT, explain=True), before="collectgarbage('setpause', 100) collectgarbage('setstepmul', 1000)"))
    with hosts.Connection(port) as connection:
        for n in range(300):
            filler = [(f"x-{n}-{m}", "v" * (n % 50 + m)) for m in range(40)]
            assert connection.request("GET", f"/{n}", [*filler, BEARER]).status == 200
            assert connection.request("GET", f"/{n}", [*filler, ("x-api-key", KEY[:-1] + "~")]).status == 401


# Ways in

ERRORS = {
    "plain": "error_page 401 /e;",
    "named": "error_page 401 = @e;",
    "another-status": "error_page 401 =200 /e;",
    "500": "error_page 401 500 = @e;",
    "satisfy": "satisfy any; deny all; error_page 401 403 = @e;",
    "try-files": "try_files /none @e;",
    "intercept": "error_page 401 = @e; recursive_error_pages on; proxy_intercept_errors on;",
}


@pytest.mark.parametrize("how", ERRORS)
def test_a_denied_request_stays_denied(gate, upstream, how):
    ungated = "access_by_lua_block { return }"  # the worst that the place of an error page can have
    _, port = gate(
        proxy(upstream, extra=ERRORS[how]) + proxy(upstream, "= /e", ungated) + proxy(upstream, "@e", ungated)
    )
    for method in ("GET", "HEAD", "POST", "DELETE", "PUT"):
        for headers in ([], [("x-api-key", OTHER)], [("Content-Length", "0")]):
            assert hosts.ask(port, method, "/v1/models", headers).status == 401, method
    if how != "satisfy":
        assert hosts.ask(port, headers=[BEARER]).status == 200
    assert KEY not in upstream.seen()
    assert all(path == "/v1/models" and dict(headers).get("x-user") == "alice" for _, path, headers, _ in upstream.requests)


REDIRECTS = {
    "try_files": ("try_files /none @next;", "@next"),
    "try_files-uri": ("try_files /none /next;", "= /next"),
    "error_page": ("error_page 404 = @next; root /nonexistent;", "@next"),
    "exec": ('content_by_lua_block { ngx.exec("@next") }', "@next"),
    "exec-uri": ('content_by_lua_block { collectgarbage() ngx.exec("/next") }', "= /next"),
}


@pytest.mark.parametrize("how", REDIRECTS)
def test_an_allowed_request_stays_allowed(gate, upstream, how):
    """The location behind an internal redirect asks the gate again, when the key has been dropped."""
    first, place = REDIRECTS[how]
    _, port = gate(f"location / {{ {first} }}" + proxy(upstream, place))
    with hosts.Connection(port) as connection:
        for _ in range(3):
            assert connection.request("GET", "/v1/models", [BEARER, ("X-User", "mallory")]).status == 200
            assert connection.request("GET", "/v1/models", [("x-api-key", OTHER)]).status == 401
            assert connection.request("GET", "/healthz", [("x-api-key", OTHER), ("x-user", "eve")]).status == 200
    seen = [[value for name, value in headers if name.lower() == "x-user"] for _, _, headers, _ in upstream.requests]
    assert seen == [["alice"], []] * 3
    assert not runs(KEY, upstream.seen()) and not runs(OTHER, upstream.seen())


def test_two_gates_on_the_way(gate, upstream):
    """The second decides by its own policy, on the headers as they came and not as the first has left them."""
    second = {"auth_mode": "strict", "keys": [{"key": OTHER, "label": "bob"}], "sources": [{"name": "x-other"}], "identity_header": "x-user"}
    open_ = {"auth_mode": "off"}
    top = head(load(HEALTH), load(second, name="second"), load(open_, name="open"))
    _, port = gate(
        """location /a { try_files /none @second; }
           location /o { access_by_lua_block { require("keygate").access("open") } try_files /none @first; }"""
        + proxy(upstream, "@second", 'access_by_lua_block { require("keygate").access("second") }')
        + proxy(upstream, "@first"), top,
    )
    for key, other, status in ((KEY, OTHER, 200), (KEY, KEY, 401), (OTHER, OTHER, 401)):
        assert hosts.ask(port, target="/a", headers=[("x-api-key", key), ("x-other", other)]).status == status
    assert hosts.ask(port, target="/o", headers=[BEARER]).status == 200
    assert hosts.ask(port, target="/o", headers=[("x-api-key", OTHER)]).status == 401
    assert hosts.ask(port, target="/o").status == 401
    assert len(upstream.requests) == 2
    assert [dict(headers).get("x-user") for _, _, headers, _ in upstream.requests] == ["bob", "alice"]


def test_another_method_on_the_way_is_decided_anew(gate, upstream):
    """An error page makes GET of OPTIONS, which passed without a key."""
    _, port = gate("location / { error_page 404 405 = /next; root /nonexistent; }" + proxy(upstream, "= /next"))
    assert hosts.ask(port, "OPTIONS", "/v1/models").status == 401
    assert hosts.ask(port, "OPTIONS", "/v1/models", [("x-api-key", OTHER)]).status == 401
    assert upstream.requests == []
    assert hosts.ask(port, "OPTIONS", "/v1/models", [BEARER]).status == 200


def test_the_target_as_received_decides(gate, upstream):
    _, port = gate("rewrite ^/admin(/.*)$ $1; rewrite ^/private$ /healthz;" + proxy(upstream))
    for target in ("/admin/healthz", "/private", "/x/../healthz", "//healthz", "/%68ealthz"):
        assert hosts.ask(port, target=target).status == 401, target
    assert upstream.requests == []
    assert hosts.ask(port, target="/healthz").status == 200


def test_a_version_that_is_part_of_the_target(gate, upstream):
    """HTTP/0.9 has no version: what looks like one belongs to the target, which is forwarded whole."""
    _, port = gate(proxy(upstream))
    for target in ("/healthzHTTP/1.1", "/healthzHTTP/0.9"):
        with hosts.Connection(port) as connection:
            connection.send(f"GET {target}\r\n".encode())
            assert b"missing_api_key" in connection.file.read()
    assert upstream.requests == []


def test_a_header_that_was_read_before_the_gate(gate, upstream):
    """nginx keeps what $http_... was then: such a request goes nowhere, and the log says which."""
    nginx, port = gate("if ($http_x_api_key) { set $x 1; }" + proxy(upstream, extra="proxy_set_header X-Copy $http_x_api_key;"))
    assert hosts.ask(port, target=f"/v1?key={OTHER}", headers=[("x-api-key", KEY)]).status == 500
    hosts.wait_until(lambda: "$http_x_api_key was read before the gate" in nginx.log())
    assert not runs(KEY, nginx.log()) and not runs(OTHER, nginx.log())
    assert hosts.ask(port, headers=[BEARER]).status == 200
    assert not runs(KEY, upstream.seen())


def test_what_fails_stays_failed(gate, upstream):
    """An error page without a gate takes the place of no answer of ours."""
    _, port = gate("if ($http_x_api_key) { set $x 1; } error_page 500 = @e;" + proxy(upstream)
                   + proxy(upstream, "@e", "access_by_lua_block { return }"))
    for method in ("GET", "HEAD", "POST"):
        assert hosts.ask(port, method, headers=[("x-api-key", KEY)]).status == 500
    assert upstream.requests == []


def test_an_upgrade_that_was_read_before_the_gate(gate, upstream):
    _, port = gate("if ($http_upgrade) { set $x 1; }" + proxy(upstream, extra="proxy_set_header X-Up $http_upgrade;"))
    headers = [("Upgrade", "h2c"), ("Connection", "Upgrade")]
    assert hosts.ask(port, "OPTIONS", headers=headers).status == 500
    assert upstream.requests == []


def test_subrequests_have_no_key(gate, upstream):
    """A mirror and an authentication's request see what is forwarded, or go to the operator's own."""
    _, port = gate(proxy(upstream, extra="mirror /mirror;") + proxy(upstream, "= /mirror", "internal;"))
    assert hosts.ask(port, headers=[BEARER, ("x_api_key", KEY)]).status == 200
    hosts.wait_until(lambda: len(upstream.requests) == 2)
    assert hosts.ask(port, headers=[("x-api-key", OTHER)]).status == 401
    assert len(upstream.requests) == 2 and not runs(KEY, upstream.seen())


# What is loaded, and when

def test_a_gate_that_was_never_loaded_denies(gate, upstream):
    nginx, port = gate(proxy(upstream), head())
    for method, target in (("GET", "/v1"), ("OPTIONS", "/"), ("GET", "/healthz"), ("HEAD", "/healthz")):
        assert hosts.ask(port, method, target, [BEARER]).status == 401
    assert upstream.requests == []
    hosts.wait_until(lambda: "everything is denied" in nginx.log())


def test_a_module_that_is_not_there_denies(gate, upstream):
    _, port = gate(
        proxy(upstream, extra="error_page 500 = @e;") + proxy(upstream, "@e"),
        head().replace(f"{LUA}/?.lua;;", "/nonexistent/?.lua;;"),
    )
    for method, target in (("GET", "/v1"), ("OPTIONS", "/"), ("GET", "/healthz")):
        assert hosts.ask(port, method, target, [BEARER]).status == 500
    assert upstream.requests == []


def test_variables_that_are_not_there_deny(gate, upstream):
    """Without the include: nothing could be told of a redirect, and nothing passes."""
    top = re.sub("(include|log_format) .*?;", "", head(load(HEALTH)))
    _, port = gate(f"error_page 500 = @e; location / {{ proxy_pass http://127.0.0.1:{upstream.port}; }}"
                   f"location @e {{ proxy_pass http://127.0.0.1:{upstream.port}; }}", top)
    for method, target in (("GET", "/v1"), ("OPTIONS", "/"), ("GET", "/healthz")):
        assert hosts.ask(port, method, target, [BEARER]).status == 500
    assert upstream.requests == []


BAD = {
    "json": (load("{"), "valid JSON"),
    "field": (load({"auth_mode": "open"}), "auth_mode: "),
    "file": (load(None, config="/nonexistent/x.json"), "o such file"),
    "folder": (load(None, config="/"), "/: "),
    "key-file": (load({"auth_mode": "strict"}, key_file="/nonexistent"), "o such file"),
    "both": (load(STRICT, key_env="PATH"), "keys"),
    "no-variable": (load({"auth_mode": "strict"}, key_env="KEYGATE_NO_SUCH"), "KEYGATE_NO_SUCH"),
    "option": (load(HEALTH, explains=True), "explains"),
    "nothing": ("{ }", "config or json"),
    "language": (load(HEALTH, language="fr"), "language"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_configuration_does_not_start(tmp_path, what):
    arguments, says = BAD[what]
    nginx = hosts.Nginx(tmp_path, head(arguments) + f"server {{ listen 127.0.0.1:{hosts.free_port()}; {ACCESS} }}", modules=hosts.LUA_MODULES)
    got = subprocess.run(nginx.command(), capture_output=True, encoding="latin-1", timeout=20)
    assert got.returncode == 1
    assert says in got.stderr + nginx.log()
    assert not runs(KEY, got.stderr + nginx.log())


def test_a_bad_configuration_is_not_reloaded(gate, upstream):
    nginx, port = gate(proxy(upstream))
    text = nginx.config.read_text()
    nginx.config.write_text(text.replace("all_except_health", "open"))
    with contextlib.suppress(AssertionError):
        nginx.reload(2)
    assert "auth_mode: " in nginx.log()
    assert hosts.ask(port).status == 401
    assert hosts.ask(port, headers=[BEARER]).status == 200


# Keys, and changes of them

def test_keys_of_a_file(gate, upstream, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text(f"# ours\n{KEY} label=alice\n{OTHER}\n")
    _, port = gate(proxy(upstream), head(load({"auth_mode": "strict", "identity_header": "x-user"}, key_file=keys)))
    for key in (KEY, OTHER):
        assert hosts.ask(port, headers=[("x-api-key", key)]).status == 200
    assert hosts.ask(port, headers=[("x-api-key", "# ours")]).status == 401
    assert [dict(headers).get("x-user") for _, _, headers, _ in upstream.requests] == ["alice", None]


def test_the_key_of_the_environment(gate, upstream, monkeypatch):
    monkeypatch.setenv("KEYGATE_API_KEY", KEY)
    _, port = gate(proxy(upstream), head(load({"auth_mode": "strict"}, key_env="KEYGATE_API_KEY")))
    assert hosts.ask(port, headers=[BEARER]).status == 200
    assert hosts.ask(port, headers=[("x-api-key", OTHER)]).status == 401


def test_changes_without_a_reload(gate, upstream, tmp_path):
    """On a connection that is open, too; what is bad is told once and changes nothing."""
    config = tmp_path / "keygate.json"

    def write(text):
        new = config.with_suffix(".new")
        new.write_text(text if isinstance(text, str) else json.dumps(text))
        new.rename(config)

    write(STRICT)
    nginx, port = gate(proxy(upstream), head(load(None, config=config), worker='require("keygate").watch(0.1)'))
    with hosts.Connection(port) as old:
        assert old.request("GET", "/", [BEARER]).status == 200
        workers = nginx.children()
        write({"auth_mode": "strict", "api_key": OTHER})
        hosts.wait_until(lambda: hosts.ask(port, headers=[("x-api-key", OTHER)]).status == 200)
        assert old.request("GET", "/", [BEARER]).status == 401
        for text in ("", "{", '{"auth_mode":"off"} {}', '{"auth_mode":"open"}'):
            before = len(nginx.log())
            write(text)
            hosts.wait_until(lambda before=before: "stays in force" in nginx.log()[before:])
            assert old.request("GET", "/", [BEARER]).status == 401
            assert old.request("GET", "/", [("x-api-key", OTHER)]).status == 200
        config.unlink()
        hosts.wait_until(lambda: "o such file" in nginx.log())
        assert old.request("GET", "/", [("x-api-key", OTHER)]).status == 200
        write(STRICT)
        hosts.wait_until(lambda: old.request("GET", "/", [BEARER]).status == 200)
    assert nginx.log().count("stays in force") == 5
    assert nginx.children() == workers


def test_what_was_a_key_is_wiped(gate, upstream, tmp_path):
    """No worker holds the key of a file that it no longer has. The other one shows that looking finds any."""
    config = tmp_path / "keygate.json"
    config.write_text(json.dumps({"auth_mode": "strict", "api_key": KEY}))
    nginx, port = gate(proxy(upstream), head(load(None, config=config), worker='require("keygate").watch(0.1)'))
    config.write_text(json.dumps({"auth_mode": "strict", "api_key": OTHER}))
    hosts.wait_until(lambda: hosts.ask(port, headers=[("x-api-key", "x")]).status == 401)
    (worker,) = nginx.children()

    hosts.wait_until(lambda: hosts.in_memory(worker, OTHER.encode()) > 0)
    assert hosts.in_memory(worker, KEY.encode()) == 0


# What is built

def test_declarations_are_those_of_the_header(tmp_path):
    """As the compiler has them, and as LuaJIT has: sizes, offsets and numbers."""
    header = re.sub(r"/\*.*?\*/", "", (hosts.ROOT / "include/keygate.h").read_text(), flags=re.S)
    found = []
    for name, body in re.findall(r"typedef struct (\w+) \{(.*?)\} \1;", header, re.S):
        found.append((f"sizeof({name})", f'ffi.sizeof("{name}")'))
        for field in re.findall(r"(\w+)(?:\[\w+\])?;", body):
            found.append((f"offsetof({name}, {field})", f'ffi.offsetof("{name}", "{field}")'))
    for name in re.findall(r"#define (KEYGATE_\w+) \(?-?\d+\)?", header):
        found.append((name, f"ffi.C.{name}"))
    assert len(found) > 150
    source = tmp_path / "a.c"
    source.write_text("#include <stdio.h>\n#include <keygate.h>\nint main(void){"
                      + "".join(f'printf("%lld\\n", (long long)({c}));' for c, _ in found) + "}")
    subprocess.run(["gcc", f"-I{hosts.ROOT}/include", "-o", tmp_path / "a", source], check=True)
    wanted = subprocess.run([tmp_path / "a"], capture_output=True, text=True, check=True).stdout.split()
    (tmp_path / "found.lua").write_text("local ffi = ...\nreturn {" + ",".join(lua for _, lua in found) + "}")
    check = f"""
        require "keygate_h"
        local got = loadfile("{tmp_path}/found.lua")(require "ffi")
        local file = io.open("{tmp_path}/got", "w")
        for _, number in ipairs(got) do file:write(tonumber(number), "\\n") end
        file:close()
    """
    nginx = hosts.Nginx(tmp_path, head(before=check) + f"server {{ listen 127.0.0.1:{hosts.free_port()}; }}", modules=hosts.LUA_MODULES)
    nginx.start(int(re.search(r"listen 127.0.0.1:(\d+)", nginx.config.read_text())[1])).stop()
    assert (tmp_path / "got").read_text().split() == wanted
