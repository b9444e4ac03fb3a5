#!/usr/bin/env python3
"""The adapter of the example that forwards, on uvicorn. bindings/adapter.py says what it does."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import adapter  # noqa: E402

HERE = Path(__file__).resolve().parent
PYTHON = adapter.ROOT / "target/python/env/bin/python"
INSTALLED = adapter.ROOT / "target/python/env/installed"


def run(config, upstream, listen):
    adapter.build("make", "python", artifact=INSTALLED)
    # KEYGATE_HTTP: uvicorn's other parser, httptools.
    parser = os.environ.get("KEYGATE_HTTP", "h11")
    os.execv(PYTHON, [PYTHON, "-B", HERE / "examples/proxy.py", config, upstream, listen, parser])


if __name__ == "__main__":
    sys.exit(adapter.main(HERE, run))
