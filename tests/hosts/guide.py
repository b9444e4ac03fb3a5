#!/usr/bin/env python3
"""The guide "401: look at auth_mode first, then at the headers", step by step: what is configured,
what is asked with curl, and what has to come back. `guide.py HOST` prints each command with that
host's answer, and fails at the first that is not as the guide says."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import gates
import hosts

KEY = "sk-4f6a1c09b2d84e7795c3aa10de5b8f21"
NEW = "sk-90c7e55ad3b14b0f8a6d2e71f4c3b826"
OTHER = "sk-from-another-tool"
EMPTY_KEY = "Proxy auth is enabled but api_key is empty; denying request"
MODELS, HEALTH = "/v1/models", "/healthz"
BEARER = f"Authorization: Bearer {KEY}"
X_API_KEY = f"x-api-key: {KEY}"
PLACEHOLDER = "sk-REPLACE_WITH_YOUR_PROXY_API_KEY"


class Ask(NamedTuple):
    """curl -i http://HOST/PATH HEADERS: the answer's status, and what the log says about it."""

    path: str
    headers: tuple
    status: int
    log: str = ""
    method: str = "GET"


def settings(mode, lan=False, key=KEY):
    return {"auth_mode": mode, "allow_lan_access": lan, "api_key": key}


def effective(mode, lan, name):
    """The row of a mode: what each path answers without a key."""
    health, models = {"off": (200, 200), "strict": (401, 401), "all_except_health": (200, 401)}[name]
    log = "auto_resolved" if mode == "auto" else ""
    return settings(mode, lan), [Ask(HEALTH, (), health, log), Ask(MODELS, (), models, log)]


def first_decides():
    """Whichever is sent first: the order of the names counts."""
    names = ("Authorization", "x-api-key", "x-goog-api-key")
    for first, second in ((0, 1), (0, 2), (1, 2)):
        for right, status, log in ((first, 200, ""), (second, 401, "shadowed_match")):
            headers = [f"{names[at]}: {KEY if at == right else OTHER}" for at in (first, second)]
            yield from (Ask(MODELS, tuple(headers[::order]), status, log) for order in (1, -1))


# A title, then configurations with what is asked under each. The first starts the host; each that
# follows is a change of the running one.
GUIDE = {
    "Step 1: is it the gate? /healthz without any header": [
        (settings("all_except_health"), [Ask(HEALTH, (), 200)]),
        (settings("auto", True), [Ask(HEALTH, (), 200, "auto_resolved")]),
        (settings("strict"), [Ask(HEALTH, (), 401, "health_in_strict")]),
    ],
    "Step 2: the effective mode": [
        effective("off", False, "off"),
        effective("strict", False, "strict"),
        effective("off", True, "off"),
        effective("all_except_health", False, "all_except_health"),
        effective("auto", False, "off"),
        effective("strict", True, "strict"),
        effective("auto", True, "all_except_health"),
        effective("all_except_health", True, "all_except_health"),
    ],
    "Step 3: api_key is empty": [
        (
            settings("strict", key=""),
            [
                Ask(path, headers, 401, EMPTY_KEY)
                for path in (MODELS, HEALTH)
                for headers in ((), (BEARER,), ("x-api-key;",))
            ],
        ),
    ],
    "Step 3: a new key needs no restart": [
        (settings("strict"), [Ask(MODELS, (BEARER,), 200)]),
        (
            settings("strict", key=NEW),
            [Ask(MODELS, (BEARER,), 401), Ask(MODELS, (f"Authorization: Bearer {NEW}",), 200)],
        ),
    ],
    "Step 4: the simplest header": [
        (
            settings("all_except_health"),
            [
                Ask(MODELS, (f"Authorization: Bearer {PLACEHOLDER}",), 401, "placeholder"),
                Ask(MODELS, (BEARER,), 200),
                Ask(MODELS, (f"Authorization: {KEY}",), 200),
                Ask(MODELS, (f"x-api-key: {PLACEHOLDER}",), 401, "placeholder"),
                Ask(MODELS, (X_API_KEY,), 200),
                Ask(MODELS, (f"x-goog-api-key: {KEY}",), 200),
                Ask(MODELS, (), 200, method="OPTIONS"),
            ],
        ),
    ],
    "Step 4: the first header decides": [(settings("strict"), [*first_decides()])],
    "Pitfall: auto, and a request from this very machine is denied": [
        (
            settings("auto", True),
            [Ask(MODELS, (), 401, "auto_resolved"), Ask(MODELS, (BEARER,), 200, "auto_resolved")],
        ),
        (settings("auto"), [Ask(MODELS, (), 200, "auto_resolved")]),
    ],
    "Pitfall: x-api-key is right, and Authorization goes first": [
        (
            settings("strict"),
            [
                Ask(MODELS, (X_API_KEY, f"Authorization: Bearer {OTHER}"), 401, "shadowed_match"),
                Ask(MODELS, (X_API_KEY,), 200),
            ],
        ),
    ],
    "Pitfall: no space after Bearer": [
        (
            settings("strict"),
            [Ask(MODELS, (f"Authorization: Bearer{KEY}",), 401, "bearer_no_space"), Ask(MODELS, (BEARER,), 200)],
        ),
    ],
    "Pitfall: every request is denied, and the log says why": [
        (settings("strict", key=""), [Ask(MODELS, (BEARER,), 401, EMPTY_KEY)]),
        (settings("strict"), [Ask(MODELS, (BEARER,), 200)]),
    ],
}


def command(gate, one):
    options = ["-X", one.method] if one.method != "GET" else []
    headers = [text for header in one.headers for text in ("-H", header)]
    return ["curl", "-i", *options, f"http://127.0.0.1:{gate.port}{one.path}", *headers]


def curl(gate, one):
    """The status, and the answer as curl shows it."""
    run = [*command(gate, one), "-sS", "--max-time", "10"]
    text = subprocess.run(run, capture_output=True, check=True, text=True).stdout
    assert text.startswith("HTTP/1.1 "), text
    return int(text.split()[1]), text


class Differs(Exception):
    """An answer that is not the guide's."""


def check(gate, upstream, one):
    """Asks, and returns the answer and what was logged. An answer that is not the guide's is an error."""
    records, written, before = len(gate.records()), len(gate.log()), len(upstream.requests)
    status, text = curl(gate, one)
    hosts.wait_until(lambda: len(gate.records()) > records, 20)
    if status != one.status:
        raise Differs(f"{one} is answered {status}")
    if one.log and one.log not in gate.log()[written:]:
        raise Differs(f"the log does not say {one.log}: {gate.log()[written:]}")
    if status == 401 and 'www-authenticate: bearer realm="keygate"' not in text.lower():
        raise Differs(f"{one} is denied without the challenge: {text}")
    forwarded = len(upstream.requests) - before
    # A host may answer /healthz itself.
    if forwarded not in ((0,) if status == 401 else (0, 1) if one.path == HEALTH else (1,)):
        raise Differs(f"{one} was forwarded {forwarded} times")
    return text, gate.log()[written:]


def go_through(title, start, upstream, show=lambda *_: None):
    """`start(settings)` starts a gate. `show` gets each configuration, and each question with its
    answer."""
    gate = None
    for configured, asked in GUIDE[title]:
        if gate is None:
            gate = start(configured)
        else:

            def in_force(asked=asked):
                try:
                    return all(check(gate, upstream, one) for one in asked)
                except Differs:
                    return False

            gate.configure(configured, in_force)
        show(configured)
        for one in asked:
            show(command(gate, one), *check(gate, upstream, one))
    for key in (KEY, NEW):
        assert key not in gate.log(), "a key is in the log"
        assert key not in upstream.seen(), "a key was forwarded"


def show(what, answer="", log=""):
    if isinstance(what, dict):
        print(f"-- {json.dumps(what)}")
        return
    print("   $", *(f'"{word}"' if " " in word or ";" in word else word for word in what))
    for line in answer.splitlines():
        if line.startswith(("HTTP/", "{")) or line.lower().startswith("www-authenticate"):
            print(f"     {line}")
    for line in log.splitlines():
        print(f"     log: {line}")
    print()


def main(host):
    with hosts.Upstream() as upstream:
        for title in GUIDE:
            print(f"== {title}")
            with tempfile.TemporaryDirectory(prefix="keygate-guide-") as folder:
                running = []

                def start(configured, folder=folder, running=running):
                    running.append(gates.Gate(host, Path(folder), upstream.port, configured))
                    return running[0]

                try:
                    go_through(title, start, upstream, show)
                finally:
                    for gate in running:
                        gate.stop()
    print(f"{sum(len(asked) for parts in GUIDE.values() for _, asked in parts)} commands, each answered as the guide says.")


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in gates.FOUND:
        sys.exit(f"Usage: guide.py {'|'.join(gates.FOUND)}")
    try:
        main(sys.argv[1])
    except Differs as differs:
        sys.exit(f"guide.py: {differs}")
