#!/usr/bin/env python3
"""The adapter of nginx. bindings/adapter.py says what it does."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import adapter  # noqa: E402

HERE = Path(__file__).resolve().parent
MODULE = adapter.ROOT / "target/nginx/ngx_http_keygate_module.so"

# Headers of any size, and no name is left out before the gate sees it; the block for WebSockets
# that people use. A client that has been answered may send for 8 seconds more (nginx's own is 30).
# At `info`, nginx itself would log header lines whole.
CONF = """\
load_module {module};
daemon off;
pid {folder}/pid;
error_log stderr notice;
{user}
worker_processes 1;
worker_rlimit_nofile 8192;
events {{ worker_connections 4096; }}
http {{
    log_format decision escape=none '$keygate_decision';
    access_log /dev/stderr decision if=$keygate_decision;
    client_body_temp_path {folder}/client; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    large_client_header_buffers 8 256k;
    client_max_body_size 0;
    ignore_invalid_headers off;
    underscores_in_headers on;
    lingering_time 8s;
    map $http_upgrade $connection_upgrade {{ default upgrade; "" close; }}
    server {{
        listen {listen};
        keygate on;
        keygate_explain on;
        {directives}
        location / {{
            proxy_pass {upstream};
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
            proxy_buffering off;
            proxy_request_buffering off;
        }}
    }}
}}
"""


def quote(text):
    """A text as nginx's configuration wants it."""
    text = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + text.replace("\r", "\\r").replace("\t", "\\t").replace("\n", "\\n") + '"'


def directives(config):
    """The configuration in nginx's words."""
    for field, what in (("sources", "no source at all"), ("exempt", "no exempt path at all")):
        if config.get(field) == []:
            raise adapter.Refused(f"{field}: nginx's directives cannot say {what}")
    lines = [f"keygate_auth_mode {quote(config['auth_mode'])};"]
    if config.get("allow_lan_access"):
        lines.append("keygate_allow_lan_access on;")
    for field in ("match", "preflight", "strip", "identity_header", "allow_origin"):
        if field in config:
            lines.append(f"keygate_{field} {quote(config[field])};")
    if "api_key" in config:
        lines.append(f"keygate_api_key {quote(config['api_key'])};")
    for key in config.get("keys", ()):
        label = " " + quote("label=" + key["label"]) if key.get("label") else ""
        lines.append(f"keygate_api_key {quote(key['key'])}{label};")
    for source in config.get("sources", ()):
        prefix = " bearer" if source.get("bearer") else ""
        if "scheme" in source:
            prefix = " " + quote("scheme=" + source["scheme"])
        lines.append(f"keygate_source {quote(source['name'])}{prefix};")
    for path in config.get("exempt", ()):
        lines.append(f"keygate_exempt {quote(path)};")
    return "\n        ".join(lines)


def prepare_child():
    """nginx ends with this process, however that ends."""
    os.setsid()
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def relay(pipe):
    """nginx writes to a pipe and not to our standard error, which it could not open by name if that
    is a socket."""
    for line in pipe:
        sys.stderr.buffer.write(line)
        sys.stderr.buffer.flush()


class Gate:
    def __init__(self, folder, config, upstream, listen):
        self.folder, self.config, self.upstream, self.listen = Path(folder), config, upstream, listen
        self.process = None
        self.changed = self.reloading = False

    def write(self):
        text = CONF.format(
            module=MODULE,
            folder=self.folder,
            # The folder is closed to others.
            user="user root;" if os.geteuid() == 0 else "",
            listen=self.listen,
            upstream=self.upstream,
            directives=directives(adapter.read_config(self.config)),
        )
        new = self.folder / "new.conf"
        new.touch(0o600)
        new.write_bytes(text.encode("latin-1"))
        new.rename(self.folder / "nginx.conf")

    def run(self):
        signal.signal(signal.SIGTERM, self.stop)
        signal.signal(signal.SIGINT, self.stop)
        signal.signal(signal.SIGHUP, self.reload)
        self.write()
        self.process = subprocess.Popen(
            ["nginx", "-p", self.folder, "-e", "stderr", "-c", self.folder / "nginx.conf"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            # Debian's nginx is where not everybody looks.
            env=os.environ | {"PATH": os.environ["PATH"] + ":/usr/sbin"},
            preexec_fn=prepare_child,
        )
        relaying = threading.Thread(target=relay, args=(self.process.stderr,), daemon=True)
        relaying.start()
        if self.changed:
            self.reload()
        try:
            status = self.process.wait()
        finally:
            self.kill()
        relaying.join()
        return 0 if status == 0 else 1

    def reload(self, *_):
        """Also while nginx starts, and while a change before this one is put in force."""
        self.changed = True
        if self.process is None or self.reloading:
            return
        self.reloading = True
        # The file appears once nginx has its signal handlers.
        while self.process.poll() is None and not (self.folder / "pid").exists():
            time.sleep(0.01)
        while self.changed:
            self.changed = False
            try:
                self.write()
            except adapter.Refused as refused:
                print(f"the one before stays in force: {refused}", file=sys.stderr, flush=True)
            else:
                self.process.send_signal(signal.SIGHUP)
        self.reloading = False

    def stop(self, *_):
        if self.process is None:
            sys.exit(0)
        self.process.terminate()
        killing = threading.Timer(8, self.kill)
        killing.daemon = True
        killing.start()

    def kill(self):
        """What is left of nginx's process group, which is its own."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


def run(config, upstream, listen):
    adapter.build("make", "nginx", artifact=MODULE)
    with tempfile.TemporaryDirectory(prefix="keygate-nginx-") as folder:
        return Gate(folder, config, upstream, listen).run()


if __name__ == "__main__":
    sys.exit(adapter.main(HERE, run))
