"""The keygate API-key gate as ASGI middleware: it answers denied requests with 401 and hands the
others on without the headers that carry the key.

    import keygate_asgi

    gate = keygate_asgi.Gate.from_file("keygate.json")
    app.add_middleware(keygate_asgi.KeygateMiddleware, gate=gate)

The gate is made where the program is loaded, so that a bad configuration ends the start.
`keygate_asgi.env.KeygateMiddleware` does so by itself, for what only takes a name: vLLM.
"""

from ._core import ConfigError, Decision, Policy
from ._gate import Gate
from ._middleware import KeygateMiddleware, drain

__all__ = ["ConfigError", "Decision", "Gate", "KeygateMiddleware", "Policy", "drain"]
