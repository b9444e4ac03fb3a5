"""Writes the test vectors as a C table: vectors.py DIRECTORY >table.c"""

import json
import pathlib
import sys

# Vectors of the JSON around a request, which the C interface does not have.
NOT_OURS = {"input_errors"}

texts = bytearray()
places = {}
tables = {"keys": [], "sources": [], "exempt": [], "headers": []}


def text(value):
    data = value.encode("latin-1")
    if data not in places:
        places[data] = len(places), len(texts), len(data)
        texts.extend(data)
    return places[data][0]


def rows(table, items):
    start = len(tables[table])
    tables[table] += items
    return start, len(items)


def c_string(value):
    return "NULL" if value is None else '"%s"' % value


def row(vector):
    config = dict(vector["input"]["config"])
    # In C no list and an empty one are the same for keys, and an empty api_key is none.
    if config.get("keys") == [] and config.get("api_key"):
        return None
    keys = rows("keys", ["{%d, %d}" % (text(key["key"]), text(key.get("label") or "")) for key in config.get("keys") or []])
    sources = rows(
        "sources",
        ["{%d, %d}" % (text(source["name"]), source.get("bearer") or False) for source in config.get("sources") or []],
    )
    exempt = rows("exempt", ["%d" % text(path) for path in config.get("exempt") or []])
    headers = rows("headers", ["{%d, %d}" % (text(name), text(value)) for name, value in vector["input"]["headers"]])
    output = vector["output"]
    error = "error" in output
    none = {} if error else output
    index = none.get("header_index")
    key = none.get("key_index")
    fields = [
        c_string(vector["name"]),
        text(config["auth_mode"]),
        int(config.get("allow_lan_access") or False),
        int(config.get("sources") == []),
        int(config.get("exempt") == []),
        text(config.get("api_key") or ""),
        *keys,
        *sources,
        *exempt,
        text(vector["input"]["method"]),
        text(vector["input"]["target"]),
        *headers,
        int(error),
        int(none.get("verdict") == "allow"),
        c_string(none.get("reason")),
        c_string(none.get("effective_mode")),
        c_string(none.get("source")),
        "SIZE_MAX" if index is None else index,
        -1 if key is None else key,
        c_string("".join(finding + " " for finding in none.get("findings", []))),
    ]
    return "{%s}" % ", ".join(map(str, fields))


def main():
    vectors = []
    left_out = []
    for path in sorted(pathlib.Path(sys.argv[1]).glob("*.jsonl")):
        if path.stem in NOT_OURS:
            continue
        for line in path.read_text("ascii").splitlines():
            vector = json.loads(line)
            made = row(vector)
            (vectors if made else left_out).append(made or vector["name"])
    if len(vectors) < 1000:
        sys.exit(f"only {len(vectors)} vectors in {sys.argv[1]}")
    for name in left_out:
        print(f"  not to be said in C, left out: {name}", file=sys.stderr)
    print('#include "table.h"\n')
    print("const unsigned char texts[] = {%s};" % ",".join(map(str, texts or b"\0")))
    print("const struct place places[] = {%s};" % ",".join("{%d,%d}" % place[1:] for place in places.values()))
    print("const size_t place_count = %d;" % len(places))
    for table, kind in ("keys", "struct pair"), ("sources", "struct pair"), ("headers", "struct pair"), ("exempt", "unsigned"):
        print("const %s %s[] = {%s};" % (kind, table, ",".join(tables[table]) or ("0" if kind == "unsigned" else "{0,0}")))
    print("const struct vector vectors[] = {\n%s\n};" % ",\n".join(vectors))
    print("const size_t vector_count = %d;" % len(vectors))


main()
