#!/usr/bin/env python3
"""The adapter of keygate-proxy, with KEYGATE_GO=wasm of the one that runs keygate.wasm. bindings/adapter.py
says what it does."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import adapter  # noqa: E402

HERE = Path(__file__).resolve().parent
WASM = os.environ.get("KEYGATE_GO") == "wasm"
PROXY = adapter.ROOT / "target/go" / ("keygate-proxy-wasm" if WASM else "keygate-proxy")


def run(config, upstream, listen):
    adapter.build("make", "go-wasm" if WASM else "go", artifact=PROXY)
    if not config.exists():  # the proxy would write one
        raise adapter.Refused("the configuration cannot be read: there is no such file")
    os.environ.pop("KEYGATE_API_KEY", None)  # a second place of keys, which the proxy would refuse
    options = ["--explain", "--config", config, "--upstream", upstream, "--listen", listen]
    os.execv(PROXY, [PROXY, *options])


if __name__ == "__main__":
    sys.exit(adapter.main(HERE, run))
