#!/usr/bin/env python3
"""What a request costs nginx's worker in time on its processor, as a table: without a gate, with a check by
hand in Lua, and with this gate. All of them are asked in turns; each figure is the best of many turns."""

import socket
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/hosts"))
import hosts  # noqa: E402

KEY = "sk-Zq7vXw9RkT2mYpLb"
TURNS, TIMES, BATCH = 12, 4000, 50
LUA = ROOT / "target/lua"
CONFIG = f'{{"auth_mode":"all_except_health","keys":[{{"key":"{KEY}","label":"alice"}}]}}'
SUBJECTS = {
    "/none": "no gate",
    "/hand": "Lua by hand, which compares one header",
    "/gate": "keygate",
    "/gate-logs": "keygate that writes the decision record to `/dev/null`",
}
CONF = f"""
    lua_package_path "{LUA}/?.lua;;"; lua_package_cpath "{LUA}/?.so;;";
    include {LUA}/keygate.conf;
    init_by_lua_block {{ require("keygate").load {{ json = [==[{CONFIG}]==] }} }}
    keepalive_requests 1000000;
    access_log off;
    server {{
        listen 127.0.0.1:PORT;
        location /none {{ empty_gif; }}
        location /hand {{
            access_by_lua_block {{
                if ngx.var.uri ~= "/healthz" and ngx.var.http_authorization ~= "Bearer {KEY}" then
                    ngx.status = 401
                    ngx.header["Content-Type"] = "application/json"
                    ngx.say('{{"error":"unauthorized"}}')
                    return ngx.exit(401)
                end
                ngx.req.clear_header("Authorization")
            }}
            empty_gif;
        }}
        location = /gate {{ access_by_lua_block {{ require("keygate").access() }} empty_gif; }}
        location = /gate-logs {{
            access_log /dev/null keygate;
            access_by_lua_block {{ require("keygate").access() }}
            empty_gif;
        }}
    }}
"""
# What an OpenAI SDK sends.
HEADERS = [
    "Host: 127.0.0.1:8045", "Accept-Encoding: gzip, deflate", "Connection: keep-alive", "Accept: application/json",
    "Content-Type: application/json", "User-Agent: OpenAI/Python 3.54.0", "X-Stainless-Lang: python",
    "X-Stainless-Package-Version: 3.54.0", "X-Stainless-OS: Linux", "X-Stainless-Arch: x64",
]


def spent(worker):
    """Nanoseconds on a processor."""
    return int(Path(f"/proc/{worker}/schedstat").read_text().split()[0])


def turn(port, worker, target, key):
    """Microseconds for one request."""
    one = hosts.lines(f"GET {target} HTTP/1.1", *HEADERS, f"Authorization: Bearer {key}")
    with hosts.Connection(port) as connection:
        before = spent(worker)
        for _ in range(TIMES // BATCH):
            connection.send(one * BATCH)
            for _ in range(BATCH):
                assert connection.response().status == (200 if key == KEY or target == "/none" else 401)
        return (spent(worker) - before) / TIMES / 1000


def main():
    with tempfile.TemporaryDirectory() as folder:
        port = hosts.free_port()
        with hosts.Nginx(folder, CONF.replace("PORT", str(port)), modules=hosts.LUA_MODULES).start(port) as nginx:
            hosts.ask(port)
            (worker,) = nginx.children()
            best = {}
            for _ in range(TURNS):
                for target in SUBJECTS:
                    for key in (KEY, "x" * len(KEY)):
                        took = turn(port, worker, target, key)
                        best[target, key == KEY] = min(took, best.get((target, key == KEY), took))
    print("| | allowed, µs | denied, µs |\n|---|---:|---:|")
    for target, what in SUBJECTS.items():
        denied = f"{best[target, False]:.1f}" if target != "/none" else "-"
        print(f"| {what} | {best[target, True]:.1f} | {denied} |")


if __name__ == "__main__":
    main()
