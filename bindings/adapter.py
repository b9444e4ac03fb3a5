"""What the adapters of the hosts (bindings/*/gate.py) share.

    gate.py run CONFIG UPSTREAM LISTEN
    gate.py cannot-carry

`run` builds what is missing and runs the host in the foreground. CONFIG is a JSON file, the object
with auth_mode and the other fields of a configuration or one that holds it under `proxy`; UPSTREAM is http://127.0.0.1:PORT, LISTEN is 127.0.0.1:PORT. It is ready when the port
accepts. The host's log goes to standard error, with the decision on each request as one line of
JSON. A configuration that is refused ends it with 1 and a sentence. SIGHUP: CONFIG has changed; a
bad one is reported and the one before stays. SIGTERM: it ends.

`cannot-carry` prints what the host cannot carry, test vectors and what is named in
tests/hosts/gates.py: name, tab, reason."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CLI = ROOT / "target/debug/keygate"


class Refused(Exception):
    """The sentence that says what is wrong. It holds no byte of a key."""


def build(*command, artifact):
    """Runs the command in the tree's root if the artifact is not there."""
    if not artifact.exists():
        # What it prints must not be taken for the host's own.
        subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=True)


def read_config(path):
    """The configuration, for a host that has none in JSON. The library's own reader looks it over
    first, so that the same text means the same to every host."""
    build("cargo", "build", "--quiet", "--locked", "--package", "keygate-cli", artifact=CLI)
    try:
        text = Path(path).read_bytes()
    except OSError as error:
        raise Refused(f"the configuration cannot be read: {error.strerror}") from None
    checked = subprocess.run(
        [CLI, "explain", "--config", "/dev/stdin", "--", "curl", "http://gate.test/"],
        input=text, capture_output=True, check=False,
        env={name: value for name, value in os.environ.items() if name != "KEYGATE_API_KEY"} | {"LC_ALL": "C"},
    )
    if checked.returncode not in (0, 1):
        raise Refused(checked.stderr.decode(errors="replace").strip())
    # No number is ours, and Python refuses to read an integer of thousands of digits.
    config = json.loads(text.removeprefix(b"\xef\xbb\xbf"), parse_int=float)
    return config.get("proxy", config)


def main(folder, run):
    """`folder` is the host's; `run(config, upstream, listen)` returns the exit status."""
    arguments = sys.argv[1:]
    if arguments == ["cannot-carry"]:
        sys.stdout.write((folder / "not-carried.txt").read_text())
        return 0
    if len(arguments) != 4 or arguments[0] != "run":
        print(__doc__, file=sys.stderr)
        return 2
    _, config, upstream, listen = arguments
    try:
        return run(Path(config), upstream, listen)
    except Refused as refused:
        print(refused, file=sys.stderr)
    except subprocess.CalledProcessError as failed:
        print(f"building ended with {failed.returncode}", file=sys.stderr)
    return 1
