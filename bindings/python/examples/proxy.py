"""A gate in front of a service, on uvicorn: proxy.py CONFIG http://HOST:PORT LISTEN [h11|httptools]

What is allowed is forwarded, bodies, streams and WebSockets as they come. Errors are answered in one
sentence; nothing of a request is logged but the decision. SIGHUP: the configuration has changed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import signal
import sys
from collections.abc import AsyncIterator, Iterable
from typing import Any

import h11
import uvicorn
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

import keygate_asgi
from keygate_asgi._middleware import Receive, Scope, Send

Headers = list[tuple[bytes, bytes]]

log = logging.getLogger("keygate.proxy")

CONNECT_SECONDS = 10
PART = 1 << 16
UNREACHABLE = (502, "The service behind this proxy cannot be reached.")
# These belong to a connection and not to a message (RFC 9110 section 7.6.1).
OF_THE_CONNECTION = {
    *(b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade"),
    *(b"http2-settings", b"expect"),
}


def target_of(scope: Scope) -> bytes | None:
    """What was decided about; of the absolute form, what an origin is asked for."""
    path, query = scope["raw_path"], scope["query_string"]
    absolute = re.match(rb"(?i)https?://[^/#]+(?=/|$)", path)
    path = path[absolute.end() :] or b"/" if absolute else path
    if scope.get("method") == "CONNECT" or not path.startswith(b"/") or b"#" in path + query:
        return None
    return path + b"?" + query if query else path


def of_the_message(headers: Iterable[tuple[bytes, bytes]], *others: bytes) -> Headers:
    headers = list(headers)
    named = {
        option.strip().lower()
        for name, value in headers
        if name.lower() == b"connection"
        for option in value.split(b",")
    }
    dropped = OF_THE_CONNECTION | named | set(others)
    return [(name, value) for name, value in headers if name.lower() not in dropped]


class Gone(Exception):
    """The client is."""


class Body:
    """A request's body, whether some of it has yet to come, and whether none will."""

    def __init__(self, receive: Receive, follows: bool) -> None:
        self.receive = receive
        self.left = follows
        self.lost = False

    async def parts(self) -> AsyncIterator[bytes]:
        while self.left:
            message = await self.receive()
            if message["type"] != "http.request":
                raise Gone
            self.left = message.get("more_body", False)
            yield message.get("body", b"")

    async def until_gone(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass
        raise Gone


async def end(send: Send, body: Body) -> None:
    """Ends an answer whose length was said, when the request has ended too."""
    if not body.left or await keygate_asgi.drain(body.receive):
        await send({"type": "http.response.body", "body": b""})


async def answer(send: Send, body: Body, status: int, text: str) -> None:
    content = f"{text}\n".encode()
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content, "more_body": True})
    await end(send, body)


class Forwarder:
    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        self.host, _, port = upstream.rpartition(":")
        self.port = int(port)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        target = target_of(scope)
        if scope["type"] == "websocket":
            await self.websocket(scope, receive, send, target)
            return
        framing = [(name, value) for name, value in scope["headers"] if name in (b"content-length", b"transfer-encoding")]
        body = Body(receive, bool(framing))
        if target is None:
            await answer(send, body, 400, "This request target cannot be forwarded unchanged.")
            return
        if scope["keygate"].one_request:
            # Neither a preflight nor a health check has a body, and an upstream that reads none would
            # take it for the next request.
            framing = []
        elif any(name == b"transfer-encoding" for name, _ in framing):
            framing = [(b"transfer-encoding", b"chunked")]
        headers = [(b"host", self.upstream.encode()), *of_the_message(scope["headers"], b"host", b"content-length"), *framing]
        try:
            opening = asyncio.open_connection(self.host, self.port)
            reader, writer = await asyncio.wait_for(opening, CONNECT_SECONDS)
        except (OSError, asyncio.TimeoutError):
            log.error("the upstream cannot be reached")
            await answer(send, body, *UNREACHABLE)
            return
        try:
            await self.exchange(Upstream(reader, writer), scope["method"], target, headers, bool(framing), body, send)
        finally:
            writer.close()

    async def exchange(
        self, upstream: Upstream, method: str, target: bytes, headers: Headers, forwards: bool, body: Body, send: Send
    ) -> None:
        async def ask() -> None:
            try:
                await upstream.send(h11.Request(method=method, target=target, headers=headers))
                if not forwards:
                    await upstream.send(h11.EndOfMessage())
                async for part in body.parts():
                    if forwards and part:
                        await upstream.send(h11.Data(data=part))
                if forwards:
                    await upstream.send(h11.EndOfMessage())
                await body.until_gone()
            except Gone:
                body.lost = True
                upstream.writer.transport.abort()

        asking = asyncio.create_task(ask())
        started = False
        try:
            response = await upstream.response()
            headers = of_the_message(response.headers)
            has_length = method == "HEAD" or any(name == b"content-length" for name, _ in headers)
            if body.left and not has_length:
                headers.append((b"connection", b"close"))
            started = True
            await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
            async for part in upstream.parts():
                await send({"type": "http.response.body", "body": part, "more_body": True})
        except (OSError, h11.ProtocolError):
            if body.lost:
                return
            log.error("the upstream failed")
            if not started:
                await self.stop(asking)
                await answer(send, body, *UNREACHABLE)
            return  # without an end, so that nobody takes it for whole
        finally:
            await self.stop(asking)
        if has_length:
            await end(send, body)
        else:
            await send({"type": "http.response.body", "body": b""})

    @staticmethod
    async def stop(task: asyncio.Task[None]) -> None:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, OSError, h11.ProtocolError):
            await task

    async def websocket(self, scope: Scope, receive: Receive, send: Send, target: bytes | None) -> None:
        await receive()  # websocket.connect

        async def refuse(status: int, body: bytes = b"") -> None:
            await send({"type": "websocket.http.response.start", "status": status, "headers": []})
            await send({"type": "websocket.http.response.body", "body": body})

        if target is None:
            await refuse(400)
            return
        headers = [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in of_the_message(scope["headers"], b"host")
            if not name.startswith(b"sec-websocket-")
        ]
        try:
            upstream = await connect(
                f"ws://{self.upstream}{target.decode('latin-1')}",
                additional_headers=headers,
                subprotocols=scope["subprotocols"] or None,
                user_agent_header=None,
                proxy=None,
                max_size=None,
                open_timeout=CONNECT_SECONDS,
            )
        except InvalidStatus as refused:
            await refuse(refused.response.status_code, bytes(refused.response.body or b""))
            return
        except (OSError, asyncio.TimeoutError, ValueError, WebSocketException):
            log.error("the upstream agrees to no WebSocket")
            await refuse(502)
            return
        await send({"type": "websocket.accept", "subprotocol": upstream.subprotocol})
        directions = [
            asyncio.create_task(self.to_upstream(receive, upstream)),
            asyncio.create_task(self.to_client(upstream, send)),
        ]
        _, pending = await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.gather(*directions, return_exceptions=True)
        await upstream.close()

    @staticmethod
    async def to_upstream(receive: Receive, upstream: ClientConnection) -> None:
        with contextlib.suppress(ConnectionClosed, OSError):
            while (message := await receive())["type"] == "websocket.receive":
                text = message.get("text")
                await upstream.send(message["bytes"] if text is None else text)
            code = message.get("code") or 1005
            await upstream.close(1000 if code in (1005, 1006) else code, message.get("reason") or "")

    @staticmethod
    async def to_client(upstream: ClientConnection, send: Send) -> None:
        with contextlib.suppress(ConnectionClosed, OSError):
            async for message in upstream:
                await send({"type": "websocket.send", "text" if isinstance(message, str) else "bytes": message})
        with contextlib.suppress(OSError):
            code = upstream.close_code or 1005
            code, reason = (1000, "") if code in (1005, 1006) else (code, upstream.close_reason or "")
            await send({"type": "websocket.close", "code": code, "reason": reason})


class Upstream:
    """A connection, for one request."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.state = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)

    async def send(self, event: h11.Event) -> None:
        self.writer.write(self.state.send(event) or b"")
        await self.writer.drain()

    async def event(self) -> Any:
        while (event := self.state.next_event()) is h11.NEED_DATA:
            self.state.receive_data(await self.reader.read(PART))
        return event

    async def response(self) -> h11.Response:
        while not isinstance(event := await self.event(), h11.Response):
            if not isinstance(event, h11.InformationalResponse):
                raise ConnectionError
        return event

    async def parts(self) -> AsyncIterator[bytes]:
        while isinstance(event := await self.event(), h11.Data):
            yield bytes(event.data)
        if not isinstance(event, h11.EndOfMessage):
            raise ConnectionError


async def serve(gate: keygate_asgi.Gate, upstream: str, listen: str, http: str) -> None:
    def changed() -> None:
        try:
            gate.reload()
        except keygate_asgi.ConfigError as error:
            log.error("%s; the configuration before stays in force", error)

    host, _, port = listen.rpartition(":")
    app = keygate_asgi.KeygateMiddleware(Forwarder(upstream), gate, explain=True)
    config = uvicorn.Config(
        app,
        host=host,
        port=int(port),
        http=http,
        lifespan="off",
        log_config=None,
        access_log=False,  # it has the target, in which a key may be
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=8,
        h11_max_incomplete_event_size=PART,
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, changed)
    # uvicorn raises it once more when it has ended.
    signal.signal(signal.SIGTERM, lambda *_: None)
    await uvicorn.Server(config).serve()


def main(config: str, upstream: str, listen: str, http: str = "h11") -> int:
    # At INFO, uvicorn logs the targets of WebSockets.
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    logging.getLogger("keygate").setLevel(logging.INFO)
    try:
        gate = keygate_asgi.Gate.from_file(config)
    except keygate_asgi.ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    asyncio.run(serve(gate, upstream.removeprefix("http://"), listen, http))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
