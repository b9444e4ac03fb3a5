"""Writes the vectors as seeds: python3 seeds.py FOLDER makes FOLDER/decide, config and curl."""

import json
import shlex
import sys
from pathlib import Path

VECTORS = Path(__file__).resolve().parents[1] / "vectors"
MODES = ["off", "strict", "all_except_health", "auto"]
SOURCES = [
    {"name": "authorization", "bearer": True},
    {"name": "x-api-key"},
    {"name": "x-goog-api-key"},
]


def prefix(source):
    if "scheme" in source:
        return "s" if source["scheme"].lower() == "bearer" else "t"
    return "b" if source.get("bearer") else "n"


def request(line):
    """The form that targets/input.rs reads. Fails where a vector does not fit it."""
    config = line["config"]
    mode = MODES.index(config["auth_mode"]) + 4 * bool(config.get("allow_lan_access"))
    mode += 8 * (config.get("match") == "any" or "identity_header" in config)
    mode += 16 * ["options", "cors", "none"].index(config.get("preflight", "options"))
    mode += 64 * ["sources", "matched", "off"].index(config.get("strip", "sources"))
    keys = [key["key"] for key in config.get("keys", [])] or [config.get("api_key", "")]
    sources = [prefix(source) + source["name"] for source in config.get("sources", SOURCES)]
    headers = [text for header in line["headers"] for text in header]
    groups = [[chr(mode)], [key for key in keys if key], sources, config.get("exempt", ["/healthz"])]
    groups += [[line["method"]], [line["target"]], headers]
    return "\xff".join("\xfe".join(group) for group in groups).encode("latin-1")


def command(line):
    """The request as a curl command."""
    words = ["curl", "-X", line["method"], "http://localhost" + line["target"]]
    for name, value in line["headers"]:
        words += ["-H", f"{name}: {value}"]
    return shlex.join(words).encode("latin-1")


def main():
    decide, config, curl = (Path(sys.argv[1]) / name for name in ("decide", "config", "curl"))
    for folder in (decide, config, curl):
        folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(VECTORS.glob("*.jsonl")):
        for number, text in enumerate(path.read_text().splitlines()):
            vector = json.loads(text)["input"]
            name = f"{path.stem}-{number}"
            if isinstance(vector, dict) and "config" in vector:
                (config / name).write_text(json.dumps(vector["config"]))
                (config / f"{name}-proxy").write_text(json.dumps({"port": 1, "proxy": vector["config"]}))
            if not path.stem.endswith("_errors"):
                for folder, seed in (decide, request(vector)), (curl, command(vector)):
                    if len(seed) <= 4096:
                        (folder / name).write_bytes(seed)


main()
