"""The middleware of a gate that the environment names, for what only takes the name of a class, as
`vllm serve --middleware keygate_asgi.env.KeygateMiddleware` does. Where the environment names none,
or a bad one, the import fails, and the start with it.

KEYGATE_CONFIG       the file with the configuration
KEYGATE_KEYS         a key file, where the configuration has no keys
KEYGATE_API_KEY      or the one key itself
KEYGATE_LOG          1: the decision records go to standard error
KEYGATE_EXPLAIN      1: they have the findings
"""

import logging
import os

from . import ConfigError, Gate
from ._middleware import App
from ._middleware import KeygateMiddleware as Middleware


def _gate() -> Gate:
    if os.environ.get("KEYGATE_LOG") == "1":
        log = logging.getLogger("keygate")
        log.addHandler(logging.StreamHandler())
        log.setLevel(logging.INFO)
        log.propagate = False
    config = os.environ.get("KEYGATE_CONFIG")
    if not config:
        raise ConfigError("KEYGATE_CONFIG names no file")
    return Gate.from_file(
        config,
        keys=os.environ.get("KEYGATE_KEYS"),
        key_variable="KEYGATE_API_KEY" if "KEYGATE_API_KEY" in os.environ else None,
    )


gate = _gate()


class KeygateMiddleware(Middleware):
    """The middleware of that gate."""

    def __init__(self, app: App) -> None:
        super().__init__(app, gate, explain=os.environ.get("KEYGATE_EXPLAIN") == "1")
