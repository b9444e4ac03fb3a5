"""ASGI: what a server says becomes a question to the gate, and its answer what the server is told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, MutableMapping
from typing import Any, Callable, Optional
from urllib.parse import unquote

from ._core import Decision, body_follows
from ._gate import Gate

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# Of a body that nobody reads.
DRAIN_BYTES = 16 << 20
DRAIN_SECONDS = 5.0


class KeygateMiddleware:
    """Answers denied requests, and hands the others to `app`, with the decision as
    `scope["keygate"]`.

    It takes a `Gate` and no configuration: Starlette makes its middleware when the first request is
    there, and that is too late to find a mistake."""

    def __init__(self, app: App, gate: Gate, *, explain: bool = False) -> None:
        """`explain`: the codes of the explanation go into the decision record."""
        if not isinstance(gate, Gate):
            raise TypeError("gate must be a keygate_asgi.Gate")
        self.app = app
        self.gate = gate
        self.explain = explain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "lifespan":
            await self.app(scope, receive, send)
            return
        if kind not in ("http", "websocket"):
            raise TypeError("keygate decides about http and websocket alone")
        decision = self.gate.decide(
            scope["method"] if kind == "http" else "GET",
            _received(scope),
            scope.get("query_string", b""),
            scope["headers"],
            explain=self.explain,
        )
        if not decision.allowed:
            await (_deny if kind == "http" else _deny_websocket)(scope, receive, send, decision)
        elif kind == "websocket" and decision.one_request:
            # A connection is more than the one request that passes without a key.
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        else:
            # A copy, and no other name for what had the credential: a traceback may show this frame.
            scope = {**scope, "headers": decision.forward(scope["headers"]), "keygate": decision}
            await self.app(scope, receive, send)


def _received(scope: Scope) -> Optional[bytes]:
    """The path as it was received. None, by which nothing is exempt, where the server does not say or
    something in front has changed the path since: what is handed on is another one."""
    raw: Optional[bytes] = scope.get("raw_path")
    if raw is None or raw.decode("latin-1") == scope["path"] or unquote(raw) == scope["path"]:
        return raw
    return None


async def _deny(scope: Scope, receive: Receive, send: Send, decision: Decision) -> None:
    status, headers, body = decision.denial()
    if scope["method"] == "HEAD":
        body = b""
    left = body_follows(scope["headers"])
    await send({"type": "http.response.start", "status": status, "headers": headers})
    # All of it, by its length. The end is said when the request's body is read, since a server that
    # closes before may keep the client from seeing its answer, and one that does not may wait for ever.
    await send({"type": "http.response.body", "body": body, "more_body": left})
    if left and await drain(receive):
        await send({"type": "http.response.body", "body": b""})


async def _deny_websocket(scope: Scope, receive: Receive, send: Send, decision: Decision) -> None:
    await receive()  # websocket.connect
    if "websocket.http.response" not in (scope.get("extensions") or ()):
        await send({"type": "websocket.close", "code": 1008})  # before it is accepted: 403
        return
    status, headers, body = decision.denial()
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})


async def drain(receive: Receive) -> bool:
    """Reads what is left of a request's body. False: it is too long, or does not come; whoever then
    returns without an end to the answer has the connection closed."""

    async def read() -> bool:
        size = 0
        while size <= DRAIN_BYTES:
            message = await receive()
            if message["type"] != "http.request" or not message.get("more_body"):
                return True
            size += len(message.get("body", b""))
        return False

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return True  # on trio: its server has limits of its own
    try:
        return await asyncio.wait_for(read(), DRAIN_SECONDS)
    except asyncio.TimeoutError:
        return False
