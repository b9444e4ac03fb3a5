#!/usr/bin/env python3
"""Write the vectors, and the request heads of tests/c/heads.py, as a C table: table.py OUTPUT

Those of the firmware's not-carried.txt are marked; heads that are too long for it are left out.
"""

import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
NOT_CARRIED = HERE.parents[1] / "bindings/firmware/not-carried.txt"
sys.path.insert(0, str(HERE.parent / "c"))
sys.dont_write_bytecode = True

import heads  # noqa: E402

GATE_BUFFER = 128
# Longer heads are for machines with the memory to hold them.
LONGEST_HEAD = 2048
# Vectors of the JSON around a request, which C programs get from their hosts.
NOT_FOR_US = {"input_errors"}
CHOICES = {
    "match": ("first", "any"),
    "preflight": ("options", "cors", "none"),
    "strip": ("sources", "matched", "off"),
}
UNKNOWN = 99
TEXTS = ("identity_header", "allow_origin")


def text(string):
    data = string.encode("latin-1")
    return '"' + "".join(f"\\{byte:03o}" if chr(byte) in '"\\?' or not 32 <= byte < 127 else chr(byte) for byte in data) + '"'


def span(string):
    return f"{{{text(string)}, {len(string)}}}" if string else "{0, 0}"


def array(kind, items, out, name):
    """Define an array and return the two initialisers that point to it."""
    if not items:
        return "0", 0
    out.append(f"static const {kind} {name}[] = {{{', '.join(items)}}};")
    return name, len(items)


def choice(field, name, names):
    return f"KEYGATE_{field}_{name}".upper() if name in names else str(UNKNOWN)


def row(number, vector, not_carried, out):
    given = vector["input"]
    config = given["config"]
    known = {"auth_mode", "allow_lan_access", "api_key", "keys", "sources", "exempt", *CHOICES, *TEXTS}
    if not set(config) <= known:
        raise SystemExit(f"{vector['name']}: unknown field in the configuration")
    keys = [f"{{{span(key['key'])}, {span(key.get('label', ''))}}}" for key in config.get("keys", [])]
    sources = [
        f"{{{span(source['name'])}, {span(source.get('scheme', ''))}, {int(source.get('bearer', False))}}}"
        for source in config.get("sources", [])
    ]
    exempt = [span(path) for path in config.get("exempt", [])]
    headers = [f"{{{span(name)}, {span(value)}}}" for name, value in given["headers"]]
    flags = ["0"]
    flags += ["KEYGATE_ALLOW_LAN_ACCESS"] * config.get("allow_lan_access", False)
    flags += ["KEYGATE_NO_SOURCES"] * (config.get("sources") == [])
    flags += ["KEYGATE_NO_EXEMPT"] * (config.get("exempt") == [])
    parts = [
        array("keygate_key", keys, out, f"keys_{number}"),
        array("keygate_source", sources, out, f"sources_{number}"),
        array("keygate_str", exempt, out, f"exempt_{number}"),
    ]
    lists = ", ".join(f"{pointer}, {count}" for pointer, count in parts)
    choices = [choice(field, config.get(field, names[0]), names) for field, names in CHOICES.items()]
    rest = ", ".join(choices + [span(config.get(field, "")) for field in TEXTS])
    pointer, count = array("keygate_header", headers, out, f"headers_{number}")
    output = vector["output"]
    names = [output.get(field) or "" for field in ("verdict", "reason", "effective_mode", "source")]
    names.append(",".join(output.get("findings", [])))
    # After a deny, every header is.
    drop = output.get("drop") or ([] if output["verdict"] == "allow" else range(count)) if "drop" in output else None
    drop = "0" if drop is None else text("".join(str(int(index in drop)) for index in range(count)))
    lint = text(",".join(output["lint"])) if "lint" in output else "0"
    places = [-1 if output.get(field) is None else output[field] for field in ("header_index", "key_index")]
    return (
        f"    {{{text(vector['name'])}, {span(config['auth_mode'])},\n"
        f"     {{0, 0, {' | '.join(flags)}, {span(config.get('api_key', ''))}, {lists}, {rest}}},\n"
        f"     {{sizeof(keygate_request), {span(given['method'])}, {span(given['target'])}, {pointer}, {count}}},\n"
        f"     {int(vector['name'] in not_carried)}, {int('error' in output)},\n"
        f"     {', '.join(map(span, names))}, {places[0]}, {places[1]}, {drop}, {lint}}},"
    )


def head_rows():
    rows = [row for row in heads.table() if len(row[2]) <= LONGEST_HEAD]
    for name, mode, head, expected in rows:
        expected = heads.with_small_values(expected, head, GATE_BUFFER)
        verdict, _, reason = expected.partition(" ")
        allow, reason = int(verdict == "allow"), reason or "invalid_call"
        yield f"    {{{text(name)}, {span(mode)}, {span(head.decode('latin-1'))}, {allow}, {text(reason)}}},"


def main(output):
    files = [path for path in sorted(HERE.glob("*.jsonl")) if path.stem not in NOT_FOR_US]
    vectors = [json.loads(line) for path in files for line in path.read_text("ascii").splitlines()]
    if len(vectors) < 1000:
        raise SystemExit(f"only {len(vectors)} vectors in {HERE}")
    not_carried = set(NOT_CARRIED.read_text("ascii").split())
    unknown = not_carried - {vector["name"] for vector in vectors}
    if unknown:
        raise SystemExit(f"not-carried.txt names no vector: {sorted(unknown)}")
    out = ['#include "table.h"', ""]
    rows = [row(number, vector, not_carried, out) for number, vector in enumerate(vectors)]
    out += ["", "const vector vectors[] = {", *rows, "};", f"const uint32_t vector_count = {len(rows)};"]
    rows = list(head_rows())
    out += ["", "const request_head request_heads[] = {", *rows, "};"]
    out += [f"const uint32_t request_head_count = {len(rows)};", f"const keygate_str request_head_key = {span(heads.KEY)};", ""]
    pathlib.Path(output).write_text("\n".join(out), "ascii")


main(sys.argv[1])
