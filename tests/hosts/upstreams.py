"""What stands behind the gates in the tests: a server that writes down every byte, and hypercorn and
websockets as people run them."""

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys
import threading
from typing import NamedTuple

import h11
import hosts
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve

HERE = pathlib.Path(__file__).resolve().parent


class Request(NamedTuple):
    method: str
    target: str
    headers: list  # of (name, value) as they came
    body: bytes
    trailers: list


class Recorder:
    """Takes whatever h11 reads as HTTP/1.1 and agrees to every upgrade, which no server should.

    `early`: it answers without waiting for the body."""

    def __init__(self, early=False):
        self.early = early
        self.requests = []
        self.raw = []  # what each connection brought
        self.tunnelled = []  # what came after a 101
        self.broken = []  # what h11 does not take
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.socket.accept()
                self.raw.append(b"")
                arguments = (connection, len(self.raw) - 1)
                threading.Thread(target=self.serve, args=arguments, daemon=True).start()

    def serve(self, connection, number):
        server = h11.Connection(h11.SERVER)
        with connection, contextlib.suppress(OSError, EOFError):
            try:
                while self.answer(connection, server, number):
                    server.start_next_cycle()
            except h11.ProtocolError as error:
                self.broken.append((str(error), self.raw[number]))

    def receive(self, connection, number):
        data = connection.recv(65536)
        if not data:
            raise EOFError
        self.raw[number] += data
        return data

    def answer(self, connection, server, number):
        """One request. Says whether another may follow."""
        request, body = None, b""
        while True:
            event = server.next_event()
            if event is h11.NEED_DATA:
                server.receive_data(self.receive(connection, number))
            elif isinstance(event, h11.Request):
                request = event
                names = {bytes(name) for name, _ in event.headers}
                if names & {b"upgrade", b"http2-settings"}:
                    self.upgrade(connection, event, server, number)
                    return False
                if self.early:
                    self.keep(request, b"", [])
                    self.reply(connection, server, request)
                    while True:
                        self.receive(connection, number)
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                self.keep(request, body, list(event.headers.raw_items()))
                self.reply(connection, server, request)
                return server.our_state is h11.DONE
            else:
                return False

    def keep(self, request, body, trailers):
        text = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw_items()]
        trailers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in trailers]
        method, target = request.method.decode("latin-1"), request.target.decode("latin-1")
        self.requests.append(Request(method, target, text, body, trailers))

    def reply(self, connection, server, request):
        closing = [("Connection", "close")] if self.early else []
        data = server.send(h11.Response(status_code=200, headers=[("Content-Length", "9"), *closing]))
        if request.method != b"HEAD":
            data += server.send(h11.Data(b"upstream\n"))
        connection.sendall(data + server.send(h11.EndOfMessage()))

    def upgrade(self, connection, request, server, number):
        self.keep(request, b"", [])
        to = dict(request.headers).get(b"upgrade", b"h2c")
        connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " + to + b"\r\n\r\n")
        self.tunnelled.append(server.trailing_data[0])
        while True:
            self.tunnelled[-1] += self.receive(connection, number)

    def targets(self):
        return [request.target for request in self.requests]

    def bytes(self):
        return b"".join(self.raw)


class Hypercorn:
    """hypercorn with the application in app.py."""

    def __init__(self, folder):
        self.log = folder / "requests.log"
        self.log.touch()
        self.port = hosts.free_port()

    def __enter__(self):
        output = open(self.log.with_suffix(".output"), "wb")
        self.process = subprocess.Popen(
            [sys.executable, "-B", "-m", "hypercorn", "--bind", f"127.0.0.1:{self.port}", "app:app"],
            cwd=HERE, env=os.environ | {"REQUESTS": str(self.log)}, stdout=output, stderr=output,
        )
        output.close()
        hosts.wait_for_port(self.port, self.process)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(10)
        finally:
            self.process.kill()

    def requests(self):
        """Method, path and HTTP's version of each."""
        return [tuple(json.loads(line)) for line in self.log.read_text().splitlines()]


class WebSockets:
    """The websockets package's own server. It sends each message back, and closes at "bye"."""

    def __init__(self):
        self.headers = []
        self.closed = []
        self.server = serve(self.echo, "127.0.0.1", 0, max_size=None)
        self.port = self.server.socket.getsockname()[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def echo(self, connection):
        self.headers.append(list(connection.request.headers.raw_items()))
        with contextlib.suppress(ConnectionClosed):
            for message in connection:
                if message == "bye":
                    connection.close(4000, "good bye")
                connection.send(message)
        self.closed.append(connection.close_code)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
