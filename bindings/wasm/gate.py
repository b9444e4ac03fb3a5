#!/usr/bin/env python3
"""The adapter of the package's example that forwards. bindings/adapter.py says what it does."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import adapter  # noqa: E402

HERE = Path(__file__).resolve().parent
PROXY = adapter.ROOT / "target/wasm/example/proxy.mjs"


def run(config, upstream, listen):
    adapter.build("make", "wasm", artifact=PROXY)
    os.execvp("node", ["node", PROXY, config, upstream, listen])


if __name__ == "__main__":
    sys.exit(adapter.main(HERE, run))
