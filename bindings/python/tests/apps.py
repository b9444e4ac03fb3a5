"""What the tests serve."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import FastAPI, WebSocket
from keygate_asgi import env
from starlette.responses import StreamingResponse

app = FastAPI()
# As `vllm serve --middleware NAME` does: by the class alone.
app.add_middleware(env.KeygateMiddleware)


@app.get("/healthz")
async def healthz() -> str:
    return "ok"


@app.get("/v1/stream")
async def stream() -> StreamingResponse:
    async def events() -> Any:
        for number in range(3):
            yield f"data: {number}\n\n"
            await asyncio.sleep(0.3)

    return StreamingResponse(events(), media_type="text/event-stream")


@app.websocket("/v1/realtime")
async def realtime(socket: WebSocket) -> None:
    await socket.accept()
    while True:
        await socket.send_text(await socket.receive_text())
