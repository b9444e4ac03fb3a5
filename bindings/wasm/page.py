#!/usr/bin/env python3
"""Puts the page about 401 together, in one file: target/wasm/keygate-401.html. Its examples are the commands
of bindings/cli/401.md: a shell runs each, with a `keygate` that tells what it was given. `page.py rows`
prints them, for the tests."""

import base64
import gzip
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
GUIDE = ROOT / "bindings/cli/401.md"
BUILT = ROOT / "target/wasm"
TELL = f"""#!{sys.executable}
import json, sys
print(json.dumps([sys.argv[1:], sys.stdin.buffer.read().decode()]))
"""


def rows():
    """Of each command in the guide: its section, what is said ahead of it, and the command. What stands in a
    comment that begins with `zh: ` is the same in Chinese."""
    group = title = None
    inside, said_of = False, {}
    for line in GUIDE.read_text().splitlines():
        if line.startswith("```"):
            inside = line == "```console"
        elif inside and line.startswith("$ "):
            yield group, title, line[2:]
        elif inside or not line:
            continue
        elif said := re.fullmatch(r"<!-- zh: (.*) -->", line):
            said_of["zh"] = said[1]
        else:
            said_of = {"en": line.removeprefix("## ").rstrip(":")}
            if line.startswith("## "):
                group = said_of
            else:
                title = said_of


def told(command, folder):
    """What a shell makes of it: the arguments, and standard input."""
    output = subprocess.run(
        ["sh", "-c", command], stdin=subprocess.DEVNULL, capture_output=True, check=True, text=True,
        env={"PATH": f"{folder}:{os.environ['PATH']}", "LC_ALL": "C"},
    ).stdout
    return json.loads(output)


def example(arguments, text):
    """The same for the page's boxes."""
    made = {"mode": "strict", "lan": False, "key": "", "paste": ""}
    words = iter(arguments)
    subcommand = next(words)
    for word in words:
        match word:
            case "--auth-mode":
                made["mode"] = next(words)
            case "--allow-lan-access":
                made["lan"] = True
            case "--api-key":
                made["key"] = next(words)
            case "--config":
                if next(words) != "/dev/stdin":
                    raise ValueError("a configuration that is not in the guide")
                made["config"], text = text.rstrip("\n"), ""
            case "--":
                # As somebody would write it.
                made["paste"] = shlex.join(words)
            case _:
                raise ValueError(f"an option that the page does not have: {word}")
    if subcommand == "explain" and not made["paste"]:
        made["paste"] = text
    return made


def examples():
    with tempfile.TemporaryDirectory() as folder:
        stub = Path(folder) / "keygate"
        stub.write_text(TELL)
        stub.chmod(0o700)
        return [
            {"command": command, "group": group, "title": title, **example(*told(command, folder))}
            for group, title, command in rows()
        ]


def main():
    found = examples()
    if sys.argv[1:] == ["rows"]:
        json.dump(found, sys.stdout)
        return
    for row in found:
        del row["command"]
    script = (HERE / "page/page.js").read_text()
    style = (HERE / "page/page.css").read_text()
    digest = lambda text: "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"  # noqa: E731
    parts = {
        "csp": (
            f"default-src 'none'; script-src {digest(script)} 'wasm-unsafe-eval'; style-src {digest(style)}; "
            "img-src data:; base-uri 'none'; form-action 'none'"
        ),
        "style": style,
        "rows": json.dumps(found, ensure_ascii=False).replace("<", "\\u003c"),
        "module": base64.b64encode(gzip.compress((BUILT / "page.wasm").read_bytes(), 9, mtime=0)).decode(),
        "script": script,
    }
    page = (HERE / "page/page.html").read_text()
    (BUILT / "keygate-401.html").write_text(re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], page))


if __name__ == "__main__":
    main()
