"""A gate on any host, through its adapter: every bindings/*/gate.py, or those in KEYGATE_HOSTS."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time

import hosts

FOUND = {path.parent.name: path for path in sorted((hosts.ROOT / "bindings").glob("*/gate.py"))}
CHOSEN = os.environ.get("KEYGATE_HOSTS", "").split() or list(FOUND)


# What a host may say that it cannot carry, besides vectors.
NAMES = (
    "forwarding/empty-query",
    "forwarding/fragment",
    "forwarding/header-index",
    "forwarding/header-names",
    "forwarding/header-order",
    "forwarding/request-stream",
    "forwarding/target",
    "forwarding/trailers",
    "reload/unused-connection",
)

# A host whose server drops what follows a '#' decides about what is left, and must forward no more.
CUT = "the server drops a fragment before it decides"


def not_carried(host):
    """bindings/HOST/not-carried.txt: names and reasons."""
    path = FOUND[host].parent / "not-carried.txt"
    text = path.read_text() if path.exists() else ""
    return dict(line.split("\t") for line in text.splitlines())


def write_not_carried(host, names):
    text = "".join(f"{name}\t{names[name]}\n" for name in sorted(names))
    (FOUND[host].parent / "not-carried.txt").write_text(text)


class Refused(Exception):
    """The adapter ended instead of listening: its exit status and all that it wrote."""


def said(output):
    """The output, with the strings of lines that are JSON as they are meant."""
    found = []
    for line in output.splitlines():
        try:
            found += [str(value) for value in json.loads(line).values()]
        except (ValueError, AttributeError):
            found.append(line)
    return "\n".join(found)


class Gate:
    def __init__(self, host, folder, upstream_port, settings):
        """`settings` is the object with auth_mode and so on, or the bytes of a whole file."""
        self.host = host
        self.port = hosts.free_port()
        self.config = folder / "config.json"
        self.written = folder / "output.log"
        self.write(settings)
        upstream = f"http://127.0.0.1:{upstream_port}"
        # To append: a test may cut the file.
        with open(self.written, "ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, FOUND[host], "run", self.config, upstream, f"127.0.0.1:{self.port}"],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )
        self.wait_until_ready()

    def wait_until_ready(self):
        # Longer than it takes to build a host.
        end = time.monotonic() + 300
        while not self.accepts():
            if self.process.poll() is not None:
                raise Refused(self.process.returncode, self.log())
            assert time.monotonic() < end, self.log()
            time.sleep(0.02)

    def accepts(self):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def write(self, settings):
        new = self.config.with_suffix(".new")
        new.touch(0o600)
        new.write_bytes(settings if isinstance(settings, bytes) else json.dumps({"proxy": settings}).encode())
        new.rename(self.config)

    def change(self, settings):
        """Tells the host of another configuration."""
        self.write(settings)
        self.process.send_signal(signal.SIGHUP)

    def configure(self, settings, in_force):
        """The same, and waits until `in_force()` has held for half a second: for a moment, a host may
        answer by the old one and by the new one."""
        self.change(settings)
        end = time.monotonic() + 20
        since = time.monotonic()
        while time.monotonic() < since + 0.5:
            if not in_force():
                since = time.monotonic()
            assert since < end, "the configuration is not in force"
            time.sleep(0.02)

    def refuses(self, settings, *says):
        """Tells the host of a configuration that it must not take, and waits until it says one of these."""
        self.write(settings)
        self.refuses_what_is_there(*says)

    def refuses_what_is_there(self, *says):
        """The same of what stands at CONFIG already."""
        before = len(self.log())
        self.process.send_signal(signal.SIGHUP)
        hosts.wait_until(lambda: any(text in said(self.log()[before:]) for text in says), 20)

    def log(self):
        return self.written.read_text("latin-1")

    def records(self):
        """The decisions in the log."""
        found = []
        for line in self.log().splitlines():
            with contextlib.suppress(ValueError):
                record = json.loads(line)
                if isinstance(record, dict) and "verdict" in record:
                    found.append(record)
        return found

    def stop(self):
        """Within 10 seconds, and nothing is left that listens."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                assert self.process.wait(12) == 0, self.log()
            finally:
                self.process.kill()
            # A process that was killed may take a moment to be gone.
            hosts.wait_until(lambda: not self.accepts())
        bad = [line for line in self.log().splitlines() if any(sign in line for sign in SIGNS)]
        assert not bad, bad[:5]


# What no host may write, whatever it is asked: it crashed, or found itself wrong.
SIGNS = ("[alert]", "[emerg]", "exited on signal", "panic", "Traceback", "goroutine ")
