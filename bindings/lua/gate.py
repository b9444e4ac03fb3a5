#!/usr/bin/env python3
"""The adapter of the example, on Debian's nginx. bindings/adapter.py says what it does."""

import os
import sys
import tempfile
from pathlib import Path

BINDINGS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(BINDINGS))
import adapter  # noqa: E402

sys.path.insert(0, str(BINDINGS / "nginx"))
import gate as nginx  # noqa: E402

HERE = Path(__file__).resolve().parent
LUA = adapter.ROOT / "target/lua"

HEAD = """\
daemon off;
pid {folder}/pid;
{user}
worker_processes 1;
worker_rlimit_nofile 8192;
"""
TEMPORARY = "".join(f"    {kind}_temp_path {{folder}}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))


def example(**to):
    """The example, with other places in it."""
    text = (HERE / "examples/nginx.conf").read_text()
    for old, new in (
        ("/var/log/nginx/error.log", "stderr"),
        ("/var/log/nginx/gate.log", "/dev/stderr"),
        ("/usr/local/share/keygate", str(LUA)),
        ("/etc/nginx/keygate.json", str(to["config"])),
        ("listen 8045", f"listen {to['listen']}"),
        ("http://127.0.0.1:9000", to["upstream"]),
        ("http {\n", "http {\n" + TEMPORARY.format(**to)),
    ):
        assert old in text, old
        text = text.replace(old, new)
    # The folder is closed to others.
    return HEAD.format(user="user root;" if os.geteuid() == 0 else "", **to) + text


class Gate(nginx.Gate):
    def write(self):
        """The configuration itself is read by the gate."""
        text = example(folder=self.folder, config=self.config.resolve(), upstream=self.upstream, listen=self.listen)
        (self.folder / "nginx.conf").write_text(text)


def run(config, upstream, listen):
    adapter.build("make", "lua", artifact=LUA / "libkeygate.so")
    with tempfile.TemporaryDirectory(prefix="keygate-lua-") as folder:
        return Gate(folder, config, upstream, listen).run()


if __name__ == "__main__":
    sys.exit(adapter.main(HERE, run))
