"""What the tests share: an ASGI server in miniature, and uvicorn."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parents[2] / "tests/hosts"))
import hosts  # type: ignore[import-not-found]  # noqa: E402

KEY = "sk-Zq7vXw9RkT2mYpLb"
WRONG = "sk-Wd4hNs8FgJ3cVtQz"
STRICT = f'{{"auth_mode":"strict","keys":[{{"key":"{KEY}","label":"alice"}}],"identity_header":"x-user"}}'
HEALTH = STRICT.replace("strict", "all_except_health")
RIGHT = (b"x-api-key", KEY.encode())

Headers = list[tuple[bytes, bytes]]
Scope = dict[str, Any]


def http(method: str = "GET", target: str = "/v1/models", headers: Headers | None = None, **others: Any) -> Scope:
    path, _, query = target.partition("?")
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
        "headers": headers or [], "server": ("gate.test", 80), "client": ("127.0.0.1", 1),
    }
    return scope | others


def websocket(target: str = "/v1/realtime", headers: Headers | None = None, **others: Any) -> Scope:
    scope = http("GET", target, headers) | {"type": "websocket", "scheme": "ws", "subprotocols": []}
    del scope["method"]
    return scope | others


class Served:
    """Keeps the scopes that reach it."""

    def __init__(self) -> None:
        self.scopes: list[Any] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"served"})
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})


def ask(app: Any, scope: Scope, messages: list[dict[str, Any]] | None = None) -> list[Any]:
    """What the application sends. It takes the messages it is told from the list; after them there is no more."""
    sent = []
    left = messages if messages is not None else [{"type": "http.request"}]
    if scope["type"] == "websocket":
        left = [{"type": "websocket.connect"}]

    async def receive() -> Any:
        if not left:
            await asyncio.sleep(60)
        return left.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent


def status(sent: list[Any]) -> Any:
    return sent[0].get("status", sent[0]["type"])


@contextlib.contextmanager
def uvicorn(app: str, folder: Path, *options: str, **environment: str) -> Iterator[int]:
    """Serves an application of tests/apps.py."""
    port = hosts.free_port()
    command = [sys.executable, "-B", "-m", "uvicorn", app, "--port", str(port), *options]
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(command, cwd=HERE, env=environment, stdout=log, stderr=log)
    try:
        end = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert process.poll() is None and time.monotonic() < end, (folder / "log").read_text()
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(15)
