"""The clients that people use, as their vendors publish them, through the gate on each host."""

import json
import os
import shutil
import subprocess

import anthropic
import hosts
import openai
import pytest
from google import genai
from google.genai import errors, types

KEY = "sk-5f0c4b8e21d97a36"
WRONG = "sk-a97b3310fe64d285"
MISSING_TEXT = "Missing API key: the gate in front of this service found none in the request."
INVALID_TEXT = "Invalid API key: the gate in front of this service does not accept it."
NODE = hosts.ROOT / "target/hosts/node"
QUESTION = [{"role": "user", "content": "hello"}]


def model_api(handler, body):
    """As much of the three APIs as the calls below need."""
    request = json.loads(body) if body else {}
    path = handler.path.split("?")[0]

    def reply(value):
        handler.reply(200, "application/json", json.dumps(value).encode())

    def stream(events):
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for event in events:
            data = event.encode()
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            handler.wfile.flush()
        handler.wfile.write(b"0\r\n\r\n")

    if path == "/v1/models":
        reply({"object": "list", "data": [{"id": "m", "object": "model", "created": 0, "owned_by": "t"}]})
    elif path == "/v1/chat/completions" and request.get("stream"):
        chunk = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "m"}
        parts = [
            json.dumps({**chunk, "choices": [{"index": 0, "delta": {"content": word}}]})
            for word in ("good ", "day")
        ]
        stream(f"data: {part}\n\n" for part in [*parts, "[DONE]"])
    elif path == "/v1/chat/completions":
        message = {"role": "assistant", "content": "good day"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        reply({"id": "c", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]})
    elif path == "/v1/messages":
        content = [{"type": "text", "text": "good day"}]
        usage = {"input_tokens": 1, "output_tokens": 2}
        reply(
            {
                **{"id": "m1", "type": "message", "role": "assistant", "model": "m"},
                **{"content": content, "stop_reason": "end_turn", "stop_sequence": None, "usage": usage},
            }
        )
    elif path.endswith("/models/m:generateContent"):
        content = {"role": "model", "parts": [{"text": "good day"}]}
        reply({"candidates": [{"content": content, "finishReason": "STOP"}]})
    else:
        handler.reply(404, "text/plain", path.encode())


class Denied(Exception):
    """The client's own authentication error. `str` is the message that it found in the answer."""


def openai_python(url, key, call):
    client = openai.OpenAI(
        base_url=f"{url}/v1", api_key=key or "unused", max_retries=0, timeout=10
    )
    options = {} if key else {"extra_headers": {"Authorization": openai.Omit()}}
    question = {"model": "m", "messages": QUESTION, **options}
    try:
        if call == "models":
            return " ".join(model.id for model in client.models.list(**options))
        if call == "chat":
            reply = client.chat.completions.create(**question)
            return reply.choices[0].message.content
        parts = client.chat.completions.create(**question, stream=True)
        return "".join(part.choices[0].delta.content or "" for part in parts)
    except openai.AuthenticationError as error:
        assert error.status_code == 401
        raise Denied(error.body["message"]) from None


def openai_node(url, key, call):
    # What node imports is found from the folder of the file.
    script = shutil.copy(hosts.ROOT / "tests/hosts/node/openai.mjs", NODE)
    run = subprocess.run(
        ["node", script, f"{url}/v1", key or "", call],
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
    )
    got = json.loads(run.stdout)
    if "text" in got:
        return got["text"]
    assert got["authentication"] and got["status"] == 401, got
    raise Denied(got["message"].removeprefix("401 "))


def anthropic_python(url, api_key, auth_token):
    client = anthropic.Anthropic(
        base_url=url,
        api_key=api_key,
        auth_token=auth_token,
        max_retries=0,
        timeout=10,
    )
    none = {} if api_key or auth_token else {"extra_headers": {"X-Api-Key": anthropic.Omit()}}
    try:
        reply = client.messages.create(model="m", max_tokens=9, messages=QUESTION, **none)
        return reply.content[0].text
    except anthropic.AuthenticationError as error:
        assert error.status_code == 401
        raise Denied(error.body["error"]["message"]) from None


def google(url, key, _):
    # The client insists on a key: without one, it is taken from the request at the last moment.
    def drop(request):
        request.headers.pop("x-goog-api-key")

    options = types.HttpOptions(base_url=url, timeout=10_000)
    if not key:
        options.client_args = {"event_hooks": {"request": [drop]}}
    client = genai.Client(api_key=key or "unused", http_options=options)
    try:
        return client.models.generate_content(model="m", contents="hello").text
    except errors.ClientError as error:
        assert error.code == 401
        raise Denied(error.message) from None


# The client, its arguments with K for the right key and W for a wrong one, and what is to come.
GOOD = "good day"
CASES = [
    (client, (key, call), {"K": "m" if call == "models" else GOOD, "W": INVALID_TEXT, None: MISSING_TEXT}[key])
    for client in (openai_python, openai_node)
    for call in ("models", "chat", "stream")
    for key in ("K", "W", None)
] + [
    (anthropic_python, ("K", None), GOOD),
    (anthropic_python, (None, "K"), GOOD),
    (anthropic_python, ("K", "K"), GOOD),
    (anthropic_python, ("W", "K"), GOOD),
    (anthropic_python, ("K", "W"), INVALID_TEXT),
    (anthropic_python, ("W", None), INVALID_TEXT),
    (anthropic_python, (None, "W"), INVALID_TEXT),
    (anthropic_python, (None, None), MISSING_TEXT),
    (google, ("K", None), GOOD),
    (google, ("W", None), INVALID_TEXT),
    (google, (None, None), MISSING_TEXT),
]


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    """No key, address or proxy of the person who runs this."""
    for name in list(os.environ):
        if name.startswith(("OPENAI_", "ANTHROPIC_", "GOOGLE_", "GEMINI_")) or "proxy" in name.lower():
            monkeypatch.delenv(name)


@pytest.mark.parametrize(
    "client, arguments, expected",
    CASES,
    ids=["-".join([client.__name__, *map(str, arguments)]) for client, arguments, _ in CASES],
)
def test_client(new_gate, upstream, client, arguments, expected):
    upstream.answer = model_api
    gate = new_gate(upstream.port, auth_mode="strict", allow_lan_access=False, api_key=KEY)
    arguments = [{"K": KEY, "W": WRONG}.get(argument, argument) for argument in arguments]
    url = f"http://127.0.0.1:{gate.port}"
    if expected in (INVALID_TEXT, MISSING_TEXT):
        with pytest.raises(Denied) as denied:
            client(url, *arguments)
        assert str(denied.value) == expected
        assert upstream.requests == []
    else:
        assert client(url, *arguments) == expected
        assert len(upstream.requests) == 1
        for key in (KEY, WRONG):
            assert key not in upstream.seen()
    assert KEY not in gate.log() and WRONG not in gate.log()
