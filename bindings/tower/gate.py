#!/usr/bin/env python3
"""The adapter of the layer's example that forwards. bindings/adapter.py says what it does."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import adapter  # noqa: E402

HERE = Path(__file__).resolve().parent
PROXY = adapter.ROOT / "target/tower/debug/examples/proxy"


def run(config, upstream, listen):
    adapter.build("make", "tower", artifact=PROXY)
    os.execv(PROXY, [PROXY, config, upstream, listen])


if __name__ == "__main__":
    sys.exit(adapter.main(HERE, run))
