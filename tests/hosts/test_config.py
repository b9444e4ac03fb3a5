"""Bad configurations through every host, at the start and while it runs: each is refused with the
core's sentence, the one before stays in force, and no byte of a key is in what the host says."""

import concurrent.futures
import functools
import json
import os
import re
import signal
import subprocess

import gates
import hosts
import pytest
from hosts import runs

KEY = "sk-Zq7vXw9RkT2mYpLb"
OTHER = "sk-Wd4hNs8FgJ3cVtQz"
LIMIT = 16 << 20
CLI = hosts.ROOT / "target/debug/keygate"


@functools.cache
def sentence(text):
    """What the core says of it, through the command line."""
    command = [CLI, "explain", "--lang", "en", "--config", "/dev/stdin", "--", "curl", "http://gate.test/"]
    environment = {name: value for name, value in os.environ.items() if name != "KEYGATE_API_KEY"}
    checked = subprocess.run(command, input=text, env=environment, capture_output=True, timeout=60)
    assert checked.returncode == 2, (text[:200], checked.stdout)
    return re.fullmatch(r"error: .*? cannot be used: (.*)\n", checked.stderr.decode())[1]


def entry(list_, at, *wrong):
    """Configurations in which one entry in the middle of a list is wrong."""
    good = {
        "keys": [{"key": f"{OTHER}{n}", "label": f"n{n}"} for n in range(5)],
        "sources": [{"name": f"x-{n}"} for n in range(5)],
        "exempt": [f"/{n}" for n in range(5)],
    }[list_]
    for value in wrong:
        config = {"auth_mode": "strict", list_: [*good[:at], value, *good[at + 1 :]]}
        yield f"{list_}[{at}]", json.dumps({"proxy": config}, ensure_ascii=False).encode()


def quoted(*texts):
    return [f'{{"auth_mode":"strict",{text}}}'.encode() for text in texts]


VARIABLES = ["${KEY}", "$KEY", "$_k9", "{{KEY}}", "{{ .Values.key }}", "$env://K", "%KEY%", "${KEYGATE_API_KEY:-x}"]
STRICT = f'{{"auth_mode":"strict","api_key":"{KEY}"}}'
# What the sentence must name besides, and the text.
BAD = [
    # No object, not all of one, more than one
    *(("", text) for text in (b"", b"{}", b"[]", b"null", b"{", b'{"auth_mode":"off"} {}', b"auth_mode: off", b'"off"')),
    *(("proxy", text) for text in (b'{"proxy":null}', b'{"proxy":[]}')),
    *(("auth_mode", text) for text in (b'{"proxy":{}}', b'{"proxy":{"proxy":{"auth_mode":"off"}}}')),
    *(("line 1", STRICT[:at].encode()) for at in range(2, len(STRICT), 7)),
    ("", b"{\"auth_mode\":\"strict\",'api_key':'" + KEY.encode() + b"'}"),
    # Values
    *(("auth_mode", f'{{"auth_mode":{value}}}'.encode()) for value in ('"Off"', '""', "null", "0", '["off"]', f'"{KEY}"')),
    *(("allow_lan_access", text) for text in quoted('"allow_lan_access":"false"', '"allow_lan_access":null')),
    *(("api_key", text) for text in quoted(f'"api_key":["{KEY}"]', '"api_key":7', f'"api_key":"{KEY * 14}"')),
    *(("a space or a tab", text) for text in quoted(f'"api_key":" {KEY}"', f'"api_key":"{KEY}\\t"')),
    *(("api_key", text) for text in quoted(*(f'"api_key":{json.dumps(text)}' for text in VARIABLES))),
    ("keys", quoted(f'"api_key":"{KEY}","keys":[{{"key":"{KEY}"}}]')[0]),
    *(("keys", text) for text in quoted(f'"keys":{{"key":"{KEY}"}}', f'"keys":"{KEY}"')),
    ("keys", json.dumps({"auth_mode": "strict", "keys": [{"key": f"{KEY}{n}"} for n in range(9)]}).encode()),
    *((field, quoted(f'"{field}":{value}')[0]) for field, values in {
        "match": ('"all"', '""', "true", f'"{KEY}"'),
        "preflight": ('"cors "', "false", '"CORS"'),
        "strip": ('"on"', '"none"', "null", f'["{KEY}"]'),
        "identity_header": ('"X_API.Key"', '"Host"', '"upgrade"', '"x user"', '""', "null", f'"{KEY * 2}"', '"Origin"'),
        "allow_origin": ('""', '"https://a b"', '"\\u00e9"', f'["{KEY}"]', f'"{KEY * 7}"'),
    }.items() for value in values),
    # Twice
    ("auth_mode", b'{"auth_mode":"strict","auth_mode":"off"}'),
    ("auth_mode", b'{"auth_mode":"off","auth_mode":"strict"}'),
    ("api_key", quoted(f'"api_key":"{KEY}","api_key":"{OTHER}"')[0]),
    # Another spelling
    *(
        (f"{field}: ", f'{{"{spelt}":"{KEY}"}}'.encode())
        for field, spellings in {
            "auth_mode": ("authMode", "AuthMode", "AUTH_MODE", "auth-mode", "authmode", "auth_Mode"),
            "api_key": ("apiKey", "APIKEY", "api-key", "API_KEY"),
            "allow_lan_access": ("allowLanAccess", "allow-lan-access", "AllowLANAccess"),
            "keys": ("Keys", "KEYS"),
            "sources": ("Sources", "SOURCES"),
            "exempt": ("Exempt", "EXEMPT"),
            "match": ("Match", "matchs"),
            "preflight": ("preFlight", "pre-flight", "preflights"),
            "strip": ("Strip", "strips"),
            "identity_header": ("identityHeader", "identity-header", "identity_headers"),
            "allow_origin": ("allowOrigin", "allow-origin", "allow_origins"),
        }.items()
        for spelt in spellings
    ),
    # An entry in the middle of a list
    *entry("keys", 2, "", KEY, {}, {"label": "a"}, {"key": ""}, {"key": KEY * 14}, {"key": f"{KEY} "}, {"key": [KEY]}),
    *entry("keys", 3, {"Key": KEY}, {"key": KEY, "Label": "a"}, {"key": KEY, "label": KEY * 2}, {"key": KEY, "label": 1}),
    *entry("keys", 1, *({"key": variable, "label": "a"} for variable in VARIABLES)),
    *(
        (f"keys[2].key: the key contains {name}", text)
        for name, byte in {
            "a line feed": "\n", "a carriage return": "\r", "a NUL byte": "\0", "a no-break space": "\u00a0",
            "a zero-width space": "\u200b", "a byte order mark": "\ufeff", "a character that is not ASCII": "\u00e9",
            "a control character": "\x7f",
        }.items()
        for where in (f"{KEY}{byte}", f"{byte}{KEY}", f"{KEY}{byte}{KEY}")
        for _, text in entry("keys", 2, {"key": where})
    ),
    *entry("sources", 1, "authorization", {}, {"name": ""}, {"name": "x y"}, {"name": "X-0"}, {"name": "n" * 33}),
    *entry("sources", 2, {"name": "x", "Bearer": True}, {"name": "x", "bearer": 1}, {"name": "x", "scheme": KEY}),
    *entry("sources", 3, {"name": "x", "bearer": True, "scheme": "a"}, {"name": "x", "scheme": ""}, {"name": "Host"}),
    *entry("exempt", 3, "", "*", "healthz", "/a#b", "/a?b", "/" + "p" * 64, ["/a"]),
    # A key where a name belongs
    *(("", text) for text in (f'{{"{KEY}":"strict"}}'.encode(), *quoted(f'"{KEY}":"{KEY}"', f'"api_key":{KEY}'))),
    *entry("keys", 4, {KEY: "a"}, {"key": OTHER, KEY: KEY}),
    *entry("sources", 0, {"name": f"Bearer {KEY}"}, {KEY: True}, {"name": KEY * 2}),
    *entry("exempt", 0, KEY),
    # Line ends and encodings
    *(
        (line, text.replace("\n", end).encode())
        for text in (f'{{\n"auth_mode":"strict",\n"api_key":"{KEY} "}}', f'{{\n"auth_mode":"strict",\n"api_key":"{KEY}}}')
        for line, end in (("line 3", "\n"), ("line 3", "\r\n"), ("line 1", "\r"))
    ),
    ("line 3", f'\ufeff{{\r"auth_mode":"strict",\n\r\n"api_key":"{KEY} "}}'.encode()),
    *(("", STRICT.encode(name)) for name in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-7", "cp500")
      if STRICT.encode(name) != STRICT.encode()),
    ("", b"\xef\xbb\xbf\xef\xbb\xbf" + STRICT.encode()),
    ("", b"\0" * 100),
    ("", STRICT.encode() + b"\0"),
    ("", b"\x1f\x8b\x08\0\0\0" + bytes(range(256))),
    ("not UTF-8", STRICT.replace("sk-", "sk-\u00e9").encode("latin-1")),
    ("not UTF-8", b'{"n":"\xff","proxy":' + STRICT.encode() + b"}"),
    # Size
    ("line 16777", b"{" + b"\n" * (LIMIT - 100) + STRICT[1:-2].encode() + b' "}'),
    ("column", b'{"auth_mode":"strict","api_key":"' + (KEY * (LIMIT // len(KEY) - 4)).encode() + b'"}'),
    ("", b'{"proxy":' * 80_000 + b'{"auth_mode":"off"}' + b"}" * 80_000),
    ("", b'{"proxy":{"x":' + b"[" * 80_000 + b"]" * 80_000 + b"}}"),
    ("keys", json.dumps({"auth_mode": "strict", "keys": [{"key": KEY}] * 100_000}).encode()),
]
TOO_LONG = b" " * (LIMIT + 1 - len(STRICT)) + STRICT.encode()
VECTORS = sorted({
    ("", json.dumps(json.loads(line)["input"]["config"]).encode())
    for line in (hosts.VECTORS / "config_errors.jsonl").read_text("ascii").splitlines()
})


def refusal(host, folder, text):
    """What the host says as it refuses to start."""
    folder.mkdir()
    try:
        gates.Gate(host, folder, hosts.free_port(), text).stop()
    except gates.Refused as refused:
        status, output = refused.args
        return output if status == 1 and "Traceback" not in output else f"ended with {status}: {output}"
    return "the configuration is taken"


def problem(expected, named, output):
    """What is wrong with a refusal, or None."""
    if expected not in gates.said(output):
        return f"{output[-300:]!r} instead of {expected!r}"
    if named not in expected:
        return f"{expected!r} does not name {named}"
    shown = runs(KEY, output) | runs(OTHER, output) or [text for text in VARIABLES if text in output]
    return f"{output!r} shows a key" if shown else None


@pytest.mark.parametrize("host", gates.CHOSEN)
def test_refused_at_the_start(host, tmp_path):
    texts = BAD + VECTORS
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        outputs = list(pool.map(lambda n: refusal(host, tmp_path / str(n), texts[n][1]), range(len(texts))))
    wrong = [
        (text[:100], found)
        for (named, text), output in zip(texts, outputs, strict=True)
        if (found := problem(sentence(text), named, output))
    ]
    assert not wrong, f"{len(wrong)} of {len(texts)}: {wrong[:8]}"
    too_long = refusal(host, tmp_path / "too-long", TOO_LONG)
    assert "longer than" in too_long or "too large" in too_long


def guarded(gate, key=KEY):
    assert hosts.ask(gate.port).status == 401
    assert hosts.ask(gate.port, headers=[("x-api-key", key)]).status == 200


def test_refused_while_running(new_gate, upstream):
    gate = new_gate(upstream.port, auth_mode="strict", api_key=KEY)
    for _, text in BAD:
        gate.refuses(text, sentence(text))
        guarded(gate)
    gate.refuses(TOO_LONG, "longer than", "too large")
    guarded(gate)
    before = len(gate.log())
    gate.config.unlink()
    gate.process.send_signal(signal.SIGHUP)
    hosts.wait_until(lambda: "o such file" in gate.log()[before:])
    guarded(gate)
    assert not runs(KEY, gate.log()) | runs(OTHER, gate.log())
    # And a good one is taken again.
    good = {"auth_mode": "strict", "api_key": OTHER}
    gate.configure(good, lambda: hosts.ask(gate.port, headers=[("x-api-key", OTHER)]).status == 200)
    guarded(gate, OTHER)
    assert hosts.ask(gate.port, headers=[("x-api-key", KEY)]).status == 401


SECTION = '"auth_mode":"strict",\n"api_key":"KEY"'
GOOD = {
    "as it is": f"{{{SECTION}}}",
    "in proxy": f'{{"port":1,\n"proxy":{{{SECTION}}}}}',
    "byte order mark": f"\ufeff{{{SECTION}}}",
    "CRLF": f"\ufeff{{{SECTION}}}\n".replace("\n", "\r\n"),
    "CR": f"\n{{{SECTION}}}\n".replace("\n", "\r"),
    "escapes": '{"\\u0061uth_mode":"stri\\u0063t","api\\u005fkey":"KEY"}',
    "another's fields": '{"a":{"auth_mode":"off"},"proxy":{"proxy":{"auth_mode":"off"},"x":[1,{}],' + SECTION + "}}",
    "a long number": '{"n":' + "7" * 5000 + ',"proxy":{' + SECTION + "}}",
    "deep": '{"n":' + "[" * 40 + "]" * 40 + ',"proxy":{' + SECTION + "}}",
    "16 MiB": f"PAD{{{SECTION}}}",
}


def test_taken(new_gate, upstream):
    """What looks odd and is right, at the start and while running."""
    gate = new_gate(upstream.port, auth_mode="strict", api_key=OTHER)
    for number, (name, text) in enumerate(GOOD.items()):
        key = f"{KEY}{number}"
        text = text.replace("KEY", key).encode()
        text = text.replace(b"PAD", b" " * (LIMIT + 3 - len(text)))
        try:
            guarded(new_gate(upstream.port, text=text), key)
        except gates.Refused as refused:
            raise AssertionError(f"{name} is refused: {refused}") from None
        gate.configure(text, lambda key=key: hosts.ask(gate.port, headers=[("x-api-key", key)]).status == 200)
        guarded(gate, key)
