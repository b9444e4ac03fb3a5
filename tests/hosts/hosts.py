"""What the tests of the hosts share: nginx under the tests' control, raw requests, an upstream."""

import contextlib
import http.server
import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODULE = ROOT / "target/nginx/ngx_http_keygate_module.so"
LUA_MODULES = ("/usr/lib/nginx/modules/ndk_http_module.so", "/usr/lib/nginx/modules/ngx_http_lua_module.so")
VECTORS = ROOT / "tests/vectors"

SECONDS = 10  # more than enough for an answer
CHALLENGE = 'Bearer realm="keygate"'
CHALLENGE_INVALID = 'Bearer realm="keygate", error="invalid_token"'


GIVEN = set()


def free_port():
    """Below the range that the system takes clients' ports from: one of these could come between. Each
    once: whoever has it may not have bound it yet."""
    while True:
        port = random.randrange(10_000, 32_000)
        if port in GIVEN:
            continue
        GIVEN.add(port)
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(("0.0.0.0", port))
            return port


def wait_for_port(port, process, seconds=15):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            raise AssertionError(f"the host ended with {process.returncode} instead of listening")
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        time.sleep(0.02)
    raise AssertionError(f"nothing listens on {port} after {seconds} s")


class Response:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    def all(self, name):
        return [value for key, value in self.headers if key == name]

    def get(self, name):
        values = self.all(name)
        assert len(values) < 2, f"{name} is there {len(values)} times"
        return values[0] if values else None

    def json(self):
        return json.loads(self.body)


class Connection:
    """A client that sends exactly the bytes it is given."""

    def __init__(self, port, address="127.0.0.1", timeout=10):
        self.socket = socket.create_connection((address, port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def request(self, method, target, headers=(), body=b"", version="1.1"):
        lines = [f"{method} {target} HTTP/{version}"]
        lines += [f"{name}: {value}" for name, value in headers]
        if not any(name.lower() == "host" for name, _ in headers):
            lines.append("Host: gate.test")
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)
        return self.response(head=method == "HEAD")

    def response(self, head=False):
        line = self.file.readline()
        if not line:
            return None
        match = re.fullmatch(rb"HTTP/1\.[01] (\d{3})(?: .*)?\r\n", line)
        assert match, f"not a status line: {line[:80]!r}"
        headers = []
        while (line := self.file.readline()) not in (b"\r\n", b""):
            name, value = line.decode("latin-1").split(":", 1)
            headers.append((name.lower(), value.strip()))
        response = Response(int(match[1]), headers, b"")
        if head or response.status in (101, 204, 304):
            return response
        if response.get("transfer-encoding") == "chunked":
            while size := int(self.file.readline(), 16):
                response.body += self.file.read(size)
                self.file.readline()
            self.file.readline()
        elif (length := response.get("content-length")) is not None:
            response.body = self.file.read(int(length))
        else:
            response.body = self.file.read()
        return response


def wait_until(holds, seconds=5):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"not so after {seconds} s"
        time.sleep(0.02)


def ask(port, method="GET", target="/v1/models", headers=(), body=b"", address="127.0.0.1"):
    with Connection(port, address) as connection:
        return connection.request(method, target, headers, body)


def lines(*text):
    return "\r\n".join([*text, "", ""]).encode("latin-1")


def exchange(port, data, quiet=1.0):
    """Sends the bytes, and returns all that comes until the host closes or says nothing more."""
    got = b""
    with socket.create_connection(("127.0.0.1", port), SECONDS) as connection:
        try:
            connection.sendall(data)
            connection.settimeout(quiet)
            while more := connection.recv(65536):
                got += more
        except (TimeoutError, ConnectionError):
            pass
    return got


def statuses(data):
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3})\b", data)]


def chunked(method, target, headers, body, trailers):
    return lines(
        f"{method} {target} HTTP/1.1", "Host: gate.test", "Transfer-Encoding: chunked", *headers, "",
        f"{len(body):x}", body, "0", *trailers,
    )


def spelling(name):
    """What a name is a spelling of."""
    return name.lower().replace("_", "-").replace(".", "-")


def runs(key, text, size=6):
    """The pieces of a key in a text."""
    return {key[at : at + size] for at in range(len(key) - size + 1)} & {
        text[at : at + size] for at in range(len(text) - size + 1)
    }


def in_memory(process, text):
    """How often a text stands in what a process can write to, its stack included."""
    found = 0
    with open(f"/proc/{process}/maps") as maps, open(f"/proc/{process}/mem", "rb", 0) as memory:
        for line in maps:
            addresses, access, *_ = line.split()
            if access.startswith("rw"):
                begin, end = (int(number, 16) for number in addresses.split("-"))
                memory.seek(begin)
                found += memory.read(end - begin).count(text)
    return found


class Upstream:
    """Answers 200 to everything and keeps the requests. `answer` may be replaced."""

    def __init__(self, answer=None):
        upstream = self
        self.requests = []
        self.answer = answer

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                upstream.requests.append((self.command, self.path, self.headers.items(), body))
                if upstream.answer:
                    upstream.answer(self, body)
                    return
                self.reply(200, "text/plain", b"upstream\n")

            def reply(self, status, content_type, content, headers=()):
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(content)))
                for name, value in headers:
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            def __getattr__(self, name):
                if name.startswith("do_"):
                    return self.handle_any
                raise AttributeError(name)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def seen(self):
        """Every byte of what arrived, as one text."""
        return "\n".join(
            f"{method} {path} {headers} {body!r}" for method, path, headers, body in self.requests
        )


class Nginx:
    """The distribution's nginx with the module, in a folder of its own."""

    def __init__(self, folder, http, workers=1, modules=(MODULE,)):
        self.folder = pathlib.Path(folder)
        self.config = self.folder / "nginx.conf"
        self.error_log = self.folder / "error.log"
        self.access_log = self.folder / "access.log"
        self.workers = workers
        self.modules = modules
        self.process = None
        self.write(http)

    def write(self, http):
        """Writes the configuration and returns the line on which `http` begins."""
        head = [
            *(f"load_module {module};" for module in self.modules),
            "daemon off;",
            # The folders of the tests are closed to other users.
            *(["user root;"] if os.geteuid() == 0 else []),
            f"worker_processes {self.workers};",
            f"pid {self.folder}/nginx.pid;",
            f"error_log {self.error_log} info;",
            "worker_rlimit_nofile 8192;",
            "events { worker_connections 4096; }",
            "http {",
            f"access_log {self.access_log};",
            *(
                f"{kind}_temp_path {self.folder}/{kind};"
                for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
            ),
        ]
        text = "\n".join(head) + "\n" + http + "\n}\n"
        self.config.write_bytes(text.encode("latin-1"))
        return len(head) + 1

    def command(self, *options):
        # The log to which nginx writes before it has read its configuration.
        early = ["-e", str(self.error_log)]
        return ["nginx", "-p", str(self.folder), *early, "-c", str(self.config), *options]

    def test(self):
        return subprocess.run(
            self.command("-t"), capture_output=True, encoding="latin-1", timeout=20
        )

    def start(self, port):
        self.process = subprocess.Popen(
            self.command(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for_port(port, self.process)
        return self

    def reload(self, seconds=15):
        """Reloads and waits until the new workers have replaced the old ones."""
        before = self.children()
        os.kill(self.process.pid, signal.SIGHUP)
        wait_until(lambda: not self.children() & before, seconds)

    def children(self):
        path = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        return set(pathlib.Path(path).read_text().split())

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(15)
            self.process = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def log(self):
        return self.error_log.read_text("latin-1")

    def gate_lines(self):
        """The lines that the module wrote."""
        return [line for line in self.log().splitlines() if " keygate: " in line]

    def check_health(self):
        """No crash, no alert, nothing that nginx itself found wrong."""
        bad = re.findall(r".*\[(?:alert|emerg|crit)\].*|.*exited on signal.*", self.log())
        assert not bad, bad[:5]


def quote(text):
    """A text as nginx's configuration wants it."""
    text = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + text.replace("\r", "\\r").replace("\t", "\\t").replace("\n", "\\n") + '"'
