"""The middleware by itself: what it sends to a server, and what it hands on."""

from __future__ import annotations

import asyncio
import json
import logging
import pickle
import traceback
from collections.abc import Callable
from typing import Any

import keygate_asgi
import pytest
from asgi import HEALTH, KEY, RIGHT, STRICT, WRONG, Served, ask, http, status, websocket
from keygate_asgi import ConfigError, Gate, KeygateMiddleware, _middleware


def gated(config: str = STRICT, **options: Any) -> tuple[Served, KeygateMiddleware]:
    served = Served()
    return served, KeygateMiddleware(served, Gate(config), **options)


def test_a_denial_is_the_cores() -> None:
    served, app = gated(STRICT[:-1] + ',"allow_origin":"https://a.test"}')
    for headers, code in (([], "missing_api_key"), ([(b"x-api-key", WRONG.encode())], "invalid_api_key")):
        start, body = ask(app, http("POST", headers=headers))
        assert start["status"] == 401 and json.loads(body["body"])["error"]["code"] == code
        told = dict(start["headers"])
        assert told[b"www-authenticate"].startswith(b'Bearer realm="keygate"')
        assert told[b"content-length"] == b"%d" % len(body["body"])
        assert told[b"access-control-allow-origin"] == b"https://a.test" and told[b"vary"] == b"Origin"
        assert all(name == name.lower() for name in told)
        start, body = ask(app, http("HEAD", headers=headers))
        assert start["status"] == 401 and body["body"] == b""
    assert served.scopes == []
    headers = [(b"host", b"a"), (b"x-api-key", WRONG.encode())]
    assert app.gate.decide("GET", b"/", b"", headers).forward(headers) == [], "nothing is forwarded"


def test_a_denial_waits_for_no_body() -> None:
    """The whole answer goes out before anything is read, and ends when the body does."""
    served, app = gated()
    events: list[str] = []

    async def run() -> None:
        async def receive() -> Any:
            events.append("receive")
            return {"type": "http.request", "body": b"x", "more_body": events.count("receive") < 3}

        async def send(message: Any) -> None:
            events.append("last" if message["type"].endswith("body") and not message.get("more_body") else "send")

        await app(http("POST", headers=[(b"content-length", b"3")]), receive, send)

    asyncio.run(run())
    assert events == ["send", "send", "receive", "receive", "receive", "last"] and served.scopes == []


@pytest.mark.parametrize("endless", [False, True], ids=["nothing-comes", "endless"])
def test_a_denied_body_is_not_read_for_ever(monkeypatch: pytest.MonkeyPatch, endless: bool) -> None:
    """No end of the answer: the server closes the connection."""
    monkeypatch.setattr(_middleware, "DRAIN_SECONDS", 2 if endless else 0.1)
    monkeypatch.setattr(_middleware, "DRAIN_BYTES", 1000)
    _, app = gated()
    parts = [{"type": "http.request", "body": b"x" * 100, "more_body": True}] * (20 if endless else 1)
    sent = ask(app, http("POST", headers=[(b"transfer-encoding", b"chunked")]), parts)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert sent[1]["more_body"] is True and len(parts) == (9 if endless else 0)


def test_what_is_allowed_goes_on_without_credentials() -> None:
    served, app = gated()
    sent = [
        (b"host", b"a"), RIGHT, (b"X_Api.Key", b"x"), (b"x-goog-api-key", b"x"), (b"x-user", b"mallory"),
        (b"connection", b"close, X-User x-api-key"), (b"trailer", b"x_user"), (b"upgrade", b"h2c"), (b"accept", b"*/*"),
    ]
    scope = http("POST", headers=sent)
    assert status(ask(app, scope)) == 200
    (got,) = served.scopes
    assert got["headers"] == [
        (b"host", b"a"), (b"connection", b"close"), (b"accept", b"*/*"), (b"x-user", b"alice"),
    ]
    assert scope["headers"] == sent, "the server's own is another scope"
    decision = got["keygate"]
    assert (decision.reason, decision.key_index, decision.key_label, decision.source) == ("key_matched", 0, "alice", "x-api-key")
    assert bool(decision) and decision.header_index == 1 and not decision.one_request


def test_what_belongs_to_somebody_else_stays() -> None:
    served, app = gated(STRICT[:-1] + ',"strip":"matched","match":"any"}')
    token = (b"authorization", b"Bearer oauth-x")
    assert status(ask(app, http(headers=[token, RIGHT, (b"x-api-key", b"other"), (b"connection", b"x-api-key, authorization")]))) == 200
    # Of the two x-api-key one stays, and so does its name.
    assert served.scopes[0]["headers"] == [
        token, (b"x-api-key", b"other"), (b"connection", b"x-api-key, authorization"), (b"x-user", b"alice"),
    ]


def test_without_a_key_passes_one_request() -> None:
    served, app = gated(HEALTH)
    dropped = [
        (b"upgrade", b"websocket"), (b"http2-settings", b"x"), (b"x-http-method-override", b"POST"),
        (b"X-Original-URL", b"/admin"), (b"connection", b"upgrade, http2-settings"), (b"x-user", b"mallory"), RIGHT,
    ]
    for scope in (http("OPTIONS", headers=dropped), http("GET", "/healthz?x", headers=dropped)):
        assert status(ask(app, scope)) == 200
        assert served.scopes[-1]["headers"] == [] and served.scopes[-1]["keygate"].one_request


@pytest.mark.parametrize(
    "others",
    [
        {"raw_path": None},
        {"raw_path": b"/admin/healthz"},
        {"raw_path": b"/%68ealthz"},
        {"raw_path": b"/healthz#x", "path": "/healthz#x"},
        {"query_string": b"x#y"},
        {"raw_path": b"http://gate.test/healthz", "path": "http://gate.test/healthz"},
        {"path": "/v1/models"},
        {"path": "/healthz/"},
        {"raw_path": b"/healthz?x", "path": "/v1/models"},
        {"method": "POST"},
        {"method": "get"},
    ],
    ids=str,
)
def test_what_is_nearly_exempt_is_denied(others: dict[str, Any]) -> None:
    """The path that decides is the one that was received, and the one that is handed on."""
    served, app = gated(HEALTH)
    scope = http("GET", "/healthz") | others
    if scope["raw_path"] is None:
        del scope["raw_path"]
    assert status(ask(app, scope)) == 401 and served.scopes == []
    assert status(ask(app, http("GET", "/healthz"))) == 200


def test_a_websocket_needs_a_key() -> None:
    served, app = gated(HEALTH)
    extension: dict[str, Any] = {"extensions": {"websocket.http.response": {}}}
    assert ask(app, websocket())[0] == {"type": "websocket.close", "code": 1008}
    start, body = ask(app, websocket(headers=[(b"x-api-key", WRONG.encode())], **extension))
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 401)
    assert json.loads(body["body"])["error"]["code"] == "invalid_api_key"
    # What passes without a key is one request.
    for scope in (websocket("/healthz"), websocket("/healthz", **extension)):
        assert ask(app, scope) == [{"type": "websocket.close", "code": 1008}]
    assert served.scopes == []
    assert status(ask(app, websocket(headers=[RIGHT]))) == "websocket.accept"
    assert served.scopes[0]["headers"] == [(b"x-user", b"alice")]
    served, app = gated('{"auth_mode":"off"}')
    assert status(ask(app, websocket())) == "websocket.accept"


def test_lifespan_passes_and_nothing_unknown() -> None:
    served, app = gated()
    ask(app, {"type": "lifespan"})
    assert served.scopes == [{"type": "lifespan"}]
    with pytest.raises(TypeError):
        ask(app, {"type": "smtp"})
    assert len(served.scopes) == 1


def test_headers_are_pairs_of_bytes() -> None:
    """Lists do as well; anything else is an error, of the server's and not for the client."""
    served, app = gated()
    assert status(ask(app, http(headers=[[b"x-api-key", KEY.encode()]]))) == 200  # type: ignore[list-item]
    for wrong in ([("x-api-key", KEY)], [(b"x-api-key",)], [b"x-api-key"], [(b"x-api-key", KEY.encode(), b"")], None, [None]):
        with pytest.raises((TypeError, KeyError)) as raised:
            ask(app, http() | {"headers": wrong})
        assert KEY not in str(raised.value)
    assert len(served.scopes) == 1


# The configuration

def test_a_bad_configuration_is_refused_where_it_is_given() -> None:
    for text, says in (
        ("", "valid JSON"),
        ('{"auth_mode":"open"}', "auth_mode"),
        ('{"apiKey":"%s"}' % KEY, "api_key: "),
        ('{"auth_mode":"strict","api_key":"%s","keys":[{"key":"%s"}]}' % (KEY, KEY), "keys"),
        ('{"auth_mode":"strict","%s":1}' % KEY, "line 1"),
        ('{"auth_mode":"strict","api_key":"%s\\n"}' % KEY, "line feed"),
    ):
        with pytest.raises(ConfigError, match=says) as raised:
            Gate(text)
        assert KEY[:6] not in "".join(traceback.format_exception(ConfigError, raised.value, None)[-1:])
    # There is no way to give the middleware one, which is made when it is too late.
    for wrong in (None, STRICT, {"auth_mode": "off"}):
        with pytest.raises(TypeError):
            KeygateMiddleware(Served(), wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        KeygateMiddleware(Served())  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        Gate({"auth_mode": "strict", "api_key": KEY})  # type: ignore[arg-type]


def test_keys_from_elsewhere(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    config, keys = tmp_path / "keygate.json", tmp_path / "keys"
    config.write_text('{"auth_mode":"strict"}')
    keys.write_text(f"# people\n{WRONG}\n{KEY} label=bob\n")
    request: Any = ("GET", b"/", b"", [RIGHT])
    assert Gate('{"auth_mode":"strict"}', keys=keys.read_bytes()).decide(*request).key_label == "bob"
    gate = Gate.from_file(config, keys=keys)
    assert gate.decide(*request).key_index == 1
    monkeypatch.setenv("THE_KEY", KEY)
    assert Gate.from_file(str(config), key_variable="THE_KEY").decide(*request).reason == "key_matched"
    with pytest.raises(ConfigError, match="from a key file and from THE_KEY"):
        Gate.from_file(config, keys=keys, key_variable="THE_KEY")
    monkeypatch.setenv("THE_KEY", "")
    attempts: list[Callable[[], Gate]] = [
        lambda: Gate.from_file(config, key_variable="THE_KEY"),
        lambda: Gate.from_file(config, key_variable="NOT_SET"),
        lambda: Gate.from_file(config, keys=tmp_path / "none"),
        lambda: Gate.from_file(tmp_path),
        lambda: Gate(STRICT, keys=keys.read_text()),
    ]
    for wrong in attempts:
        with pytest.raises(ConfigError) as raised:
            wrong()
        assert KEY not in str(raised.value)


def test_a_change_takes_effect_and_a_bad_one_does_not(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "keygate.json"
    path.write_text(STRICT)
    gate = Gate.from_file(path)
    served = Served()
    app = KeygateMiddleware(served, gate)

    def answers(key: str) -> Any:
        return status(ask(app, http(headers=[(b"x-api-key", key.encode())])))

    def change(text: str) -> None:
        path.with_suffix(".new").write_text(text)
        path.with_suffix(".new").rename(path)

    assert (answers(KEY), answers(WRONG)) == (200, 401)
    change(STRICT.replace(KEY, WRONG))
    assert answers(KEY) == 200, "the file is looked at once a second"
    gate._due = 0
    assert (answers(KEY), answers(WRONG)) == (401, 200)
    for bad in ('{"auth_mode":"stric","api_key":"%s"}' % KEY, '{"auth_mode":"off"'):
        change(bad)
        gate._due = 0
        caplog.clear()
        assert (answers(KEY), answers(WRONG)) == (401, 200)
        assert "the configuration before stays in force" in caplog.text and KEY not in caplog.text
        with pytest.raises(ConfigError):
            gate.reload()
        assert (answers(KEY), answers(WRONG)) == (401, 200)
    path.unlink()
    gate._due = 0
    assert (answers(KEY), answers(WRONG)) == (401, 200)
    change(STRICT)
    gate.reload()
    assert (answers(KEY), answers(WRONG)) == (200, 401)
    with pytest.raises(TypeError):
        gate.reload(STRICT)
    gate = Gate(STRICT)
    gate.reload(STRICT.replace(KEY, WRONG))
    assert not gate.decide("GET", b"/", b"", [RIGHT])
    with pytest.raises(TypeError):
        gate.reload()


def test_lints_are_warnings_at_the_start_and_after_a_change(caplog: pytest.LogCaptureFixture) -> None:
    gate = Gate('{"auth_mode":"strict","api_key":"short"}')
    assert [record.levelname for record in caplog.records] == ["WARNING"] and "key_short: " in caplog.text
    caplog.clear()
    gate.reload('{"auth_mode":"off","api_key":"%s"}' % KEY)
    assert "open: " in caplog.text


# What is told

def test_each_decision_is_one_record(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "keygate")
    _, app = gated(explain=True)
    ask(app, http("POST", "/v1/models?key=" + KEY, headers=[(b"a", b"b"), (b"authorization", f"Bearer{KEY}".encode())]))
    ask(app, http(KEY, headers=[RIGHT]))
    _, plain = gated('{"auth_mode":"strict"}')
    caplog.records.pop() if caplog.records[-1].levelname == "WARNING" else None
    ask(plain, http())
    first, second, third = (json.loads(record.getMessage()) for record in caplog.records)
    assert first == {
        "verdict": "deny", "reason": "key_mismatch", "effective_mode": "strict", "source": "authorization", "header_index": 1,
        "key_index": None, "message": first["message"], "method": "POST",
        "findings": ["bearer_no_space", "key_in_query"],
    }
    assert (second["reason"], second["method"], second["key_label"]) == ("key_matched", "(other)", "alice")
    assert third["reason"] == "no_key_configured" and "findings" not in third
    assert [record.levelname for record in caplog.records] == ["INFO", "INFO", "ERROR"]
    assert {record.name for record in caplog.records} == {"keygate"} and KEY[:6] not in caplog.text


def test_nothing_shows_a_key() -> None:
    gate = Gate(STRICT)
    decision = gate.decide("GET", b"/", b"", [RIGHT])
    for thing in (gate, gate.policy, decision, KeygateMiddleware(Served(), gate)):
        assert KEY[:6] not in f"{thing!r} {thing!s} {[getattr(thing, name) for name in dir(thing)]}"
    for thing in (gate, gate.policy, decision):
        with pytest.raises(TypeError):
            pickle.dumps(thing)


def test_no_frame_of_ours_shows_a_key(tmp_path: Any) -> None:
    """As tools that print local variables see it, where a configuration is refused and where what is
    behind the gate fails."""
    path = tmp_path / "keygate.json"
    path.write_text('{"auth_mode":"stric","api_key":"%s"}' % KEY)

    async def failing(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError

    def ours(run: Any) -> list[str]:
        try:
            run()
        except Exception as error:  # noqa: BLE001
            frames = traceback.TracebackException.from_exception(error, capture_locals=True).stack
            return [str(frame.locals) for frame in frames if "keygate_asgi" in frame.filename]
        raise AssertionError

    shown = ours(lambda: Gate.from_file(path))
    shown += ours(lambda: ask(KeygateMiddleware(failing, Gate(STRICT)), http(headers=[RIGHT])))
    assert len(shown) >= 3 and not [text for text in shown if KEY in text]


def test_what_is_public() -> None:
    assert set(keygate_asgi.__all__) == {"ConfigError", "Decision", "Gate", "KeygateMiddleware", "Policy", "drain"}
    with pytest.raises(ValueError, match="may pass"):
        Gate('{"auth_mode":"off"}').decide("GET", b"/", b"", []).denial()
