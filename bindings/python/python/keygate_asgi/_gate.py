"""The policy in force, and what is told of it."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterable
from typing import Optional, Union

from ._core import ConfigError, Decision, Policy

log = logging.getLogger("keygate")

Path = Union[str, "os.PathLike[str]"]

# Seconds between looks at the files.
INTERVAL = 1.0

# Another method may be a key.
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"))


class Gate:
    """The policy in force, for all that was made of the gate. Another takes effect with the next
    request; what is refused raises `ConfigError`, and the policy before stays.

    It holds no key that Python could show."""

    __slots__ = ("_due", "_files", "_policy", "_stamp")

    def __init__(self, config: Union[str, bytes], *, keys: Union[str, bytes, None] = None) -> None:
        """Of a configuration in JSON. `keys`: the text of a key file, where the JSON has no keys."""
        self._begin(None)
        self._swap(Policy(config, keys))

    @classmethod
    def from_file(
        cls, config: Path, *, keys: Optional[Path] = None, key_variable: Optional[str] = None
    ) -> Gate:
        """Of files, and every change of them. The keys may be in a key file, or one in a variable of
        the environment, instead."""
        gate = cls.__new__(cls)
        gate._begin((os.fspath(config), None if keys is None else os.fspath(keys), key_variable))
        gate.reload()
        return gate

    def _begin(self, files: Optional[tuple[str, Optional[str], Optional[str]]]) -> None:
        self._files = files
        self._stamp: object = None
        self._due = float("inf")

    def reload(
        self, config: Union[str, bytes, None] = None, *, keys: Union[str, bytes, None] = None
    ) -> None:
        """Puts a configuration in force; without one, what the files hold now."""
        if config is not None:
            if self._files:
                raise TypeError("this gate follows its files")
            self._swap(Policy(config, keys))
        elif self._files:
            self._stamp = self._stat()
            self._due = time.monotonic() + INTERVAL
            self._swap(Policy.load(*self._files))
        else:
            raise TypeError("this gate has no file: give it a configuration")

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        if time.monotonic() >= self._due:
            self._follow()
        return self._policy

    def _follow(self) -> None:
        self._due = time.monotonic() + INTERVAL
        if self._stat() == self._stamp:
            return
        try:
            self.reload()
        except ConfigError as error:
            # Half a file is no JSON: the rest of it is another change.
            log.error("%s; the configuration before stays in force", error)

    def _stat(self) -> object:
        def stamp(path: str) -> object:
            try:
                status = os.stat(path)
            except OSError as error:
                return error.errno
            return (status.st_mtime_ns, status.st_size, status.st_ino)

        return [stamp(path) for path in (self._files or ())[:2] if path is not None]

    def _swap(self, policy: Policy) -> None:
        for code, text in policy.lints():
            log.warning("%s: %s", code, text)
        self._policy = policy

    def decide(
        self,
        method: str,
        raw_path: Optional[bytes],
        query: bytes,
        headers: Iterable[Iterable[bytes]],
        *,
        explain: bool = False,
    ) -> Decision:
        """Decides, and writes the decision record."""
        decision = self.policy.decide(method, raw_path, query, headers, explain)
        level = logging.ERROR if decision.reason in ("no_key_configured", "invalid_call") else logging.INFO
        if log.isEnabledFor(level):
            log.log(level, "%s", record(decision, method))
        return decision


def record(decision: Decision, method: str) -> str:
    """The decision record, one line of JSON."""
    fields: dict[str, object] = {
        "verdict": decision.verdict,
        "reason": decision.reason,
        "effective_mode": decision.effective_mode,
        "source": decision.source,
        "header_index": decision.header_index,
        "key_index": decision.key_index,
        "message": decision.text,
        "method": method if method in METHODS else "(other)",
    }
    if decision.key_label is not None:
        fields["key_label"] = decision.key_label
    if decision.findings is not None:
        fields["findings"] = decision.findings
    return json.dumps(fields, separators=(",", ":"))
