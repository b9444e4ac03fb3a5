"""What a request costs through the middleware and through others, as a table. All of them are asked in
turns, in one process and without a socket; each row is the best of many turns."""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import keygate_asgi
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

KEY = "sk-Zq7vXw9RkT2mYpLb"
TURNS, TIMES = 60, 400
CONFIG = f'{{"auth_mode":"all_except_health","keys":[{{"key":"{KEY}","label":"alice"}}]}}'
# What an OpenAI SDK sends.
HEADERS = [
    (b"host", b"127.0.0.1:8045"), (b"accept-encoding", b"gzip, deflate"), (b"connection", b"keep-alive"),
    (b"accept", b"application/json"), (b"content-type", b"application/json"), (b"user-agent", b"OpenAI/Python 3.54.0"),
    (b"x-stainless-lang", b"python"), (b"x-stainless-package-version", b"3.54.0"), (b"x-stainless-os", b"Linux"),
    (b"x-stainless-arch", b"x64"), (b"authorization", b"Bearer " + KEY.encode()),
]


async def app(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


class ByHand:
    """As it is written in an hour: one header, compared in constant time, and handed on."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.expected = b"Bearer " + KEY.encode()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] != "/healthz":
            if not hmac.compare_digest(dict(scope["headers"]).get(b"authorization", b""), self.expected):
                await JSONResponse({"error": "unauthorized"}, 401)(scope, receive, send)
                return
        await self.app(scope, receive, send)


class ByStarlette(BaseHTTPMiddleware):
    async def dispatch(self, request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        given = request.headers.get("authorization", "")
        if request.url.path != "/healthz" and not hmac.compare_digest(given.encode(), b"Bearer " + KEY.encode()):
            return JSONResponse({"error": "unauthorized"}, 401)
        return await call_next(request)


async def turn(subject: Any, headers: Any) -> float:
    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        pass

    begun = time.perf_counter()
    for _ in range(TIMES):
        scope = {
            "type": "http", "method": "POST", "path": "/v1/models", "raw_path": b"/v1/models", "query_string": b"",
            "http_version": "1.1", "scheme": "http", "server": ("127.0.0.1", 8045), "headers": list(headers), "root_path": "",
        }
        await subject(scope, receive, send)
    return (time.perf_counter() - begun) / TIMES * 1e6


async def main() -> None:
    gate = keygate_asgi.Gate(CONFIG)
    log = logging.getLogger("keygate")
    log.addHandler(logging.StreamHandler(open("/dev/null", "w")))
    log.propagate = False

    async def logged(scope: Any, receive: Any, send: Any) -> None:
        log.setLevel(logging.INFO)
        await keygate(scope, receive, send)
        log.setLevel(logging.WARNING)

    keygate = keygate_asgi.KeygateMiddleware(app, gate)
    log.setLevel(logging.WARNING)
    subjects: dict[str, Any] = {
        "pure ASGI by hand, which compares one header": ByHand(app),
        "the same as a `BaseHTTPMiddleware` of Starlette": ByStarlette(app),
        "keygate-asgi": keygate,
        "keygate-asgi that writes the decision record to `/dev/null`": logged,
    }
    wrong = [(name, b"Bearer x" if name == b"authorization" else value) for name, value in HEADERS]
    best: dict[tuple[str, bool], float] = {}
    bare = float("inf")
    for _ in range(TURNS):
        bare = min(bare, await turn(app, HEADERS))
        for name, subject in subjects.items():
            for allowed, headers in ((True, HEADERS), (False, wrong)):
                took = await turn(subject, headers)
                best[name, allowed] = min(best.get((name, allowed), took), took)
    first = next(iter(subjects))
    print("| | allowed, µs | denied, µs | allowed, ratio | denied, ratio |\n|---|---:|---:|---:|---:|")
    for name in subjects:
        costs = [best[name, True] - bare, best[name, False]]
        ratios = [costs[0] / (best[first, True] - bare), costs[1] / best[first, False]]
        print(f"| {name} | {costs[0]:.1f} | {costs[1]:.1f} | {ratios[0]:.1f} | {ratios[1]:.1f} |")


asyncio.run(main())
