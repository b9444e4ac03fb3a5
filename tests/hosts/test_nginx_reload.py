"""Reloads of nginx that test_reload.py cannot ask every host for."""

import os
import signal

import hosts

KEY, OTHER = "sk-aaaaaaaaaaaaaaaa", "sk-bbbbbbbbbbbbbbbb"


def http(port, mode="strict"):
    return f"""
        server {{
            listen 127.0.0.1:{port};
            keygate on; keygate_auth_mode {mode}; keygate_api_key {KEY};
            location / {{ empty_gif; }}
        }}"""


def check(port):
    assert hosts.ask(port, headers=[("x-api-key", KEY)]).status == 200
    assert hosts.ask(port, headers=[("x-api-key", OTHER)]).status == 401


def test_a_bad_reload_changes_nothing(start):
    port = hosts.free_port()
    nginx = start(http(port), port)
    nginx.write(http(port, "strikt"))
    os.kill(nginx.process.pid, signal.SIGHUP)
    hosts.wait_until(lambda: "[emerg]" in nginx.log())
    assert 'keygate_auth_mode: must be "off", "strict"' in nginx.log()
    check(port)
    # What the log shows above was asked for; the next look at it begins anew.
    nginx.error_log.write_text("")


def test_a_new_module_is_in_force_after_a_reload(start, tmp_path):
    """Replaced by rename, the module can be loaded anew; the master survives it."""
    port = hosts.free_port()
    copy = tmp_path / "module.so"
    copy.write_bytes(hosts.MODULE.read_bytes())
    nginx = start(http(port), port)
    nginx.config.write_text(nginx.config.read_text().replace(str(hosts.MODULE), str(copy)))
    nginx.reload()
    for _ in range(3):
        new = tmp_path / "module.new"
        new.write_bytes(hosts.MODULE.read_bytes())
        new.rename(copy)
        nginx.reload()
        check(port)
