"""The wheel in what people run: FastAPI and Starlette, under uvicorn with each of its parsers, and
what LiteLLM and vLLM do with a middleware."""

from __future__ import annotations

import http.client
import importlib
import json
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import trio
from asgi import HEALTH, HERE, KEY, RIGHT, WRONG, Served, ask, http as request, status, uvicorn
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from keygate_asgi import Gate, KeygateMiddleware
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

PARSERS = pytest.mark.parametrize("parser", ["h11", "httptools"])


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "keygate.json"
    path.write_text(HEALTH)
    return str(path)


def get(port: int, target: str, method: str = "GET", **headers: str) -> tuple[int, bytes, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, target, headers={name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    return response.status, response.read(), response


@PARSERS
def test_uvicorn(tmp_path: Path, config: str, parser: str) -> None:
    with uvicorn("apps:app", tmp_path, "--http", parser, "--no-access-log", KEYGATE_CONFIG=config, KEYGATE_LOG="1", KEYGATE_EXPLAIN="1") as port:
        assert get(port, "/healthz")[:2] == (200, b'"ok"')
        assert get(port, "/healthz", "HEAD")[0] == 405  # FastAPI's own
        assert get(port, "/v1/stream")[0] == 401
        code, body, response = get(port, "/v1/stream", x_api_key=WRONG)
        assert (code, response.headers["www-authenticate"]) == (401, 'Bearer realm="keygate", error="invalid_token"')
        assert json.loads(body)["error"]["code"] == "invalid_api_key"
        code, body, response = get(port, "/v1/stream", "HEAD")
        assert (code, body) == (401, b"") and int(response.headers["content-length"]) > 0
        for target in ("//healthz", "/healthz/", "/%68ealthz", "/healthz%2f", "/v1/../healthz"):
            assert get(port, target)[0] == 401, target
        # A stream arrives as it is made.
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/v1/stream", headers={"authorization": f"Bearer {KEY}"})
        begun, arrived = time.monotonic(), []
        response = connection.getresponse()
        while part := response.read1():
            arrived.append((part, time.monotonic() - begun))
        assert [part for part, _ in arrived] == [b"data: 0\n\n", b"data: 1\n\n", b"data: 2\n\n"]
        assert arrived[-1][1] - arrived[0][1] > 0.4
        # WebSockets
        url = f"ws://127.0.0.1:{port}/v1/realtime"
        with connect(url, additional_headers={"x-api-key": KEY}, proxy=None) as client:
            client.send("hello")
            assert client.recv(10) == "hello"
        with pytest.raises(InvalidStatus) as refused:
            connect(url, proxy=None)
        answer = refused.value.response
        assert answer.status_code == 401 and answer.headers["www-authenticate"] == 'Bearer realm="keygate"'
        assert b"missing_api_key" in (answer.body or b"")
        with pytest.raises(InvalidStatus) as refused:
            connect(f"ws://127.0.0.1:{port}/healthz", proxy=None)
        assert refused.value.response.status_code == 403
    written = (tmp_path / "log").read_text()
    assert KEY not in written
    records = [json.loads(line) for line in written.splitlines() if line.startswith("{")]
    assert records[0]["reason"] == "health" and records[2]["reason"] == "credential_missing" and records[2]["findings"] == []


@PARSERS
def test_a_denied_client_keeps_its_connection_or_loses_it(tmp_path: Path, config: str, parser: str) -> None:
    """It keeps it where it sends all of its body, and loses it where it does not."""
    with uvicorn("apps:app", tmp_path, "--http", parser, KEYGATE_CONFIG=config) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        for body in (b"x" * 300_000, b"y"):
            connection.request("POST", "/v1/models", body)
            response = connection.getresponse()
            assert response.status == 401 and response.read()
        with socket.create_connection(("127.0.0.1", port), 15) as waiting:
            waiting.sendall(b"POST /v1/models HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nx")
            begun = time.monotonic()
            assert waiting.recv(65536).startswith(b"HTTP/1.1 401") and time.monotonic() < begun + 2
            waiting.settimeout(0.5)
            while time.monotonic() < begun + 15:
                try:
                    if not waiting.recv(65536):
                        break
                except socket.timeout:  # of its own in Python 3.9
                    waiting.sendall(b"x")
                except ConnectionError:
                    break
            assert time.monotonic() < begun + 12


@pytest.mark.parametrize("text", ["", '{"auth_mode":"stric"}', None], ids=["empty", "bad", "missing"])
def test_a_bad_configuration_ends_the_start(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "keygate.json"
    if text is not None:
        path.write_text(text)
    environments: list[dict[str, str]] = [{"KEYGATE_CONFIG": str(path)}, {"KEYGATE_CONFIG": ""}, {}]
    for environment in environments:
        command = [sys.executable, "-B", "-m", "uvicorn", "apps:app", "--port", "0"]
        ended = subprocess.run(command, cwd=HERE, env=environment, capture_output=True, text=True, timeout=30)
        assert ended.returncode != 0 and "keygate_asgi.ConfigError: " in ended.stderr, ended.stderr


def test_the_environment(config: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As vLLM loads it: a name of a module and a class, which is called with the application alone."""
    monkeypatch.setenv("KEYGATE_CONFIG", config)
    module, _, name = "keygate_asgi.env.KeygateMiddleware".rpartition(".")
    sys.modules.pop(module, None)
    app = Starlette(routes=[Route("/v1/models", lambda _: PlainTextResponse("served"))])
    app.add_middleware(getattr(importlib.import_module(module), name))
    client = TestClient(app)
    assert client.get("/v1/models").status_code == 401
    assert client.get("/v1/models", headers={"x-api-key": KEY}).text == "served"
    Path(config).write_text('{"auth_mode":"strict"}')
    monkeypatch.setenv("KEYGATE_API_KEY", WRONG)
    sys.modules.pop(module)
    app = Starlette(routes=[Route("/v1/models", lambda _: PlainTextResponse("served"))])
    app.add_middleware(getattr(importlib.import_module(module), name))
    client = TestClient(app)
    assert client.get("/v1/models", headers={"x-api-key": WRONG}).text == "served"
    assert client.get("/v1/models", headers={"x-api-key": KEY}).status_code == 401
    sys.modules.pop(module)


def test_what_a_mount_cuts_off_decides_nothing() -> None:
    """Under /admin, /admin/healthz is not exempt, wherever the gate stands; what a middleware in front
    makes of the path is not either."""
    inner = Starlette(routes=[Route("/healthz", lambda _: PlainTextResponse("inner"), methods=["GET"])])
    gated = KeygateMiddleware(inner, Gate(HEALTH))
    outer = KeygateMiddleware(Starlette(routes=[Mount("/admin", inner)]), Gate(HEALTH))
    for app in (Starlette(routes=[Mount("/admin", gated)]), outer):
        client = TestClient(app)
        assert client.get("/admin/healthz").status_code == 401
        assert client.get("/admin/healthz", headers={"x-api-key": KEY}).text == "inner"
    assert TestClient(gated).get("/healthz").text == "inner"

    served = Served()

    async def cutting(scope: Any, receive: Any, send: Any) -> None:
        await KeygateMiddleware(served, Gate(HEALTH))(scope | {"path": "/healthz", "root_path": "/admin"}, receive, send)

    async def adding(scope: Any, receive: Any, send: Any) -> None:
        await KeygateMiddleware(served, Gate(HEALTH))(scope | {"path": "/admin/healthz"}, receive, send)

    assert status(ask(cutting, request("GET", "/admin/healthz"))) == 401
    assert status(ask(adding, request("GET", "/healthz"))) == 401
    assert served.scopes == []


def test_fastapi_is_told_of_the_decision() -> None:
    app = FastAPI()
    app.add_middleware(KeygateMiddleware, gate=Gate(HEALTH))

    @app.get("/v1/me")
    @app.options("/v1/me")
    async def me(request: Request) -> list[Any]:
        decision = request.scope["keygate"]
        return [decision.reason, decision.key_label, request.headers.get("x-user"), request.headers.get("x-api-key")]

    client = TestClient(app)
    assert client.get("/v1/me", headers=[("x-api-key", KEY), ("X-User", "mallory")]).json() == ["key_matched", "alice", "alice", None]
    assert client.options("/v1/me", headers={"x-api-key": KEY}).json() == ["preflight", None, None, None]
    assert client.post("/v1/me", content=b"x" * 100).status_code == 401
    assert client.get("/docs").status_code == 401 and client.get("/nowhere").status_code == 401


def test_the_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (HERE.parent / "README.md").read_text()
    key = "sk-REPLACE_WITH_YOUR_KEY"
    (tmp_path / "keygate.json").write_text(text.split("```json\n")[1].split("```")[0])
    monkeypatch.chdir(tmp_path)
    program: dict[str, Any] = {}
    exec(text.split("```python\n")[1].split("```")[0], program)  # noqa: S102
    client = TestClient(program["app"])
    assert client.get("/v1/models").status_code == 401
    assert client.get("/v1/models", headers={"x-api-key": key}).json() == "models for alice"


def test_on_trio() -> None:
    """Where there is no asyncio, its server bounds what is read."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError

    app = KeygateMiddleware(Served(), Gate(HEALTH))
    trio.run(app, request("POST", headers=[(b"content-length", b"5")]), receive, send)
    assert sent[0]["status"] == 401 and sent[-1] == {"type": "http.response.body", "body": b""}
    served = Served()
    trio.run(KeygateMiddleware(served, Gate(HEALTH)), request(headers=[RIGHT]), receive, send)
    assert served.scopes
