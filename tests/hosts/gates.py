"""A gate on each host, configured alike: {"auth_mode": ..., "allow_lan_access": ..., "api_key": ...}."""

import json
import os
import subprocess

import hosts

GO_PROXY = hosts.ROOT / "target/go/keygate-proxy"


class NginxGate:
    def __init__(self, folder, upstream_port, settings):
        self.port = hosts.free_port()
        self.upstream_port = upstream_port
        self.nginx = hosts.Nginx(folder, self.http(settings))
        self.nginx.start(self.port)

    def http(self, settings):
        lan = "on" if settings.get("allow_lan_access") else "off"
        return f"""server {{
            listen 127.0.0.1:{self.port};
            keygate on;
            keygate_explain on;
            keygate_auth_mode {settings["auth_mode"]};
            keygate_allow_lan_access {lan};
            keygate_api_key {hosts.quote(settings["api_key"])};
            location / {{
                proxy_pass http://127.0.0.1:{self.upstream_port};
                proxy_http_version 1.1;
                proxy_buffering off;
            }}
        }}"""

    def configure(self, settings):
        self.nginx.write(self.http(settings))
        self.nginx.reload()

    def log(self):
        return self.nginx.log()

    def stop(self):
        self.nginx.stop()
        self.nginx.check_health()


class GoGate:
    def __init__(self, folder, upstream_port, settings):
        self.port = hosts.free_port()
        self.config = folder / "config.json"
        self.output = folder / "proxy.log"
        self.write(settings)
        with open(self.output, "wb") as log:
            self.process = subprocess.Popen(
                [
                    GO_PROXY,
                    *("--config", self.config),
                    *("--upstream", f"http://127.0.0.1:{upstream_port}"),
                    *("--listen", f"127.0.0.1:{self.port}"),
                    "--explain",
                ],
                stdout=log,
                stderr=log,
            )
        hosts.wait_for_port(self.port, self.process)

    def write(self, settings):
        new = self.config.with_suffix(".new")
        new.write_text(json.dumps({"proxy": settings}))
        new.chmod(0o600)
        new.rename(self.config)

    def configure(self, settings):
        """The answers before and after differ, so that the change can be awaited from outside."""
        before = self.log().count("\n")
        self.write(settings)
        hosts.wait_until(lambda: self.log().count("\n") > before, 2)

    def log(self):
        return self.output.read_text()

    def stop(self):
        self.process.terminate()
        assert self.process.wait(15) == 0


KINDS = {"nginx": NginxGate, "go": GoGate}
# The make target says which hosts it has built.
CHOSEN = os.environ["KEYGATE_HOSTS"].split()
