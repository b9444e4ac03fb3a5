#!/usr/bin/env python3
"""Counts the instructions that a server takes for a request without a gate, with its own key check
and with keygate. A further host is one more entry of HOSTS.

hosts.py RESULT.json   expects the modules to be built

Instructions are counted by callgrind in the server's one process. A server is run twice, with a few
requests and with more of them over one connection; the difference is the requests'.
"""

import json
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
KEY = "sk-0123456789abcdef0123456789abcdef"
FEW, MANY = 100, 700
PORT = 18451
UPSTREAM = PORT + 1
# The twelve headers of the fixture.
REQUEST = f"""GET /v1/models HTTP/1.1
Host: 127.0.0.1:8045
Accept-Encoding: gzip, deflate, br, zstd
Connection: keep-alive
Accept: application/json
Content-Type: application/json
User-Agent: OpenAI/Python 2.8.1
X-Stainless-Lang: python
X-Stainless-Package-Version: 2.8.1
X-Stainless-OS: Linux
X-Stainless-Arch: x64
Authorization: Bearer {KEY}
Content-Length: 0

"""

NGINX = """
daemon off;
master_process off;
error_log stderr crit;
pid {port}.pid;
{load}
events {{ worker_connections 64; }}
http {{
    access_log off;
    keepalive_requests 1000000;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    {http}
    {upstream}
    server {{
        listen 127.0.0.1:{port};
        {server}
        location / {{ {content} }}
    }}
}}
"""
MODULE = ROOT / "target/nginx/ngx_http_keygate_module.so"
MAP = f'map $http_authorization $right {{ default 0; "Bearer {KEY}" 1; }}'
GATE = f"keygate on; keygate_auth_mode all_except_health; keygate_api_key {KEY};"
NGINX_GATES = {
    "no gate": {},
    "map and if": {"http": MAP, "server": "if ($right = 0) { return 401; }"},
    "keygate": {"load": f"load_module {MODULE};", "server": GATE},
    "keygate, keygate_strip off": {
        "load": f"load_module {MODULE};",
        "server": GATE + " keygate_strip off;",
    },
}
NGINX_CONTENT = {
    "proxied": {
        "upstream": f"upstream up {{ server 127.0.0.1:{UPSTREAM}; keepalive 4; }}",
        "content": 'proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection "";',
    },
    "served itself": {"content": "empty_gif;"},
}


def nginx(folder, port, gate, content):
    """The command of an nginx with this gate and content."""
    parts = dict.fromkeys(["load", "http", "upstream", "server", "content"], "")
    conf = folder / f"{port}.conf"
    conf.write_text(NGINX.format(port=port, **(parts | gate | content)))
    return ["nginx", "-p", str(folder), "-c", str(conf)]


def nginx_upstream(folder):
    return nginx(folder, UPSTREAM, {}, {"content": "empty_gif;"})


# By host: the gates, the contents, the command for one of each, and what serves what is proxied.
HOSTS = {"nginx": (NGINX_GATES, NGINX_CONTENT, nginx, nginx_upstream)}


def connect(port):
    for _ in range(200):
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=10)
        except ConnectionRefusedError:
            time.sleep(0.05)
    raise TimeoutError(f"nothing listens on port {port}")


def send(connection, request, expected):
    connection.sendall(request)
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += receive(connection)
    head, body = answer.split(b"\r\n\r\n", 1)
    status = int(head.split()[1])
    assert status == expected, f"status {status}, not {expected}"
    length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
    if length is None:
        raise ValueError("an answer without Content-Length")
    while len(body) < int(length[1]):
        body += receive(connection)


def receive(connection):
    received = connection.recv(65536)
    if not received:
        raise ConnectionError("the server closed the connection")
    return received


def stop(server):
    """Asks until it ends: nginx misses a signal that comes just before it waits for events."""
    for _ in range(30):
        server.terminate()
        try:
            server.wait(timeout=2)
            return
        except subprocess.TimeoutExpired:
            pass
    raise TimeoutError("the server does not end")


def instructions(command, folder, requests, guarded):
    """What the process takes from its start to its end with so many requests in between."""
    out = folder / "callgrind.out"
    out.unlink(missing_ok=True)
    callgrind = ["valgrind", "--tool=callgrind", "-q", f"--callgrind-out-file={out}"]
    server = subprocess.Popen([*callgrind, *command])
    try:
        request = REQUEST.replace("\n", "\r\n").encode()
        with connect(PORT) as connection:
            for _ in range(requests):
                send(connection, request, 200)
            if guarded:  # that there is a gate at all
                send(connection, request.replace(KEY.encode(), KEY[::-1].encode()), 401)
        stop(server)
    finally:
        if server.poll() is None:
            server.kill()
            server.wait()
    return int(re.search(r"^(?:summary|totals): (\d+)", out.read_text(), re.M)[1])


def per_request(command, folder, guarded):
    few, many = (instructions(command, folder, count, guarded) for count in (FEW, MANY))
    return (many - few) / (MANY - FEW)


def measure():
    """Instructions per request by host, content and gate."""
    results = {}
    for host, (gates, contents, command, upstream) in HOSTS.items():
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            behind = subprocess.Popen(upstream(folder))
            try:
                connect(UPSTREAM).close()
                for what, content in contents.items():
                    row = results.setdefault(host, {}).setdefault(what, {})
                    for gate, settings in gates.items():
                        arguments = command(folder, PORT, settings, content)
                        row[gate] = per_request(arguments, folder, settings != {})
                        print(f"{host}, {what}, {gate}: {row[gate]:.0f}", file=sys.stderr)
                    # The same once more: what differs is the measurement's own.
                    arguments = command(folder, PORT, {}, content)
                    row["no gate, again"] = per_request(arguments, folder, False)
            finally:
                behind.terminate()
                behind.wait()
    return results


if __name__ == "__main__":
    pathlib.Path(sys.argv[1]).write_text(json.dumps(measure(), indent=2) + "\n")
