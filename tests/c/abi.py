#!/usr/bin/env python3
"""Compares the C interface with its last release, tests/c/released.txt.

abi.py [--update]   --update makes this tree the release: for whoever releases

The functions and structs are those of the library, from its debug info; the numbers are the header's.
Within one KEYGATE_ABI_VERSION nothing goes and nothing changes. Functions and numbers may be new, and a
struct that begins with its size may have new fields at its end.
"""

import argparse
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RELEASED = Path(__file__).with_name("released.txt")
BUILD = ROOT / "target/abi"
GROW = ("keygate_config", "keygate_config_error", "keygate_request", "keygate_decision")


def build():
    subprocess.run(
        ["cargo", "rustc", "--quiet", "--locked", "--profile", "capi", "--lib", "--features", "capi", "--crate-type",
         "cdylib", "--target-dir", BUILD, "--", "-C", "link-arg=-Wl,-soname,libkeygate.so.2"],
        cwd=ROOT, check=True, env=os.environ | {"CARGO_PROFILE_CAPI_DEBUG": "2"},
    )
    return BUILD / "capi/libkeygate.so"


def described(library, header):
    """The interface, a line for each thing."""
    root = ElementTree.fromstring(subprocess.run(["abidw", library], check=True, capture_output=True).stdout)
    exported = {symbol.get("name") for symbol in root.iterfind("./elf-function-symbols/elf-symbol")}
    by_id = {node.get("id"): node for node in root.iter() if node.get("id")}

    def named(identity):
        node = by_id[identity]
        if node.tag == "pointer-type-def":
            return f"*{named(node.get('type-id'))}"
        if node.tag == "array-type-def":
            return f"[{named(node.get('type-id'))}; {node.find('subrange').get('length')}]"
        if node.tag == "class-decl" and node.get("name").startswith("keygate_"):
            structs[node.get("name")] = node
        return node.get("name")

    structs, lines = {}, []
    for function in root.iter("function-decl"):
        if function.get("name") in exported:
            takes = ", ".join(named(parameter.get("type-id")) for parameter in function.iterfind("parameter"))
            lines.append(f"function {function.get('name')}({takes}) {named(function.find('return').get('type-id'))}")
    done = set()
    while structs.keys() - done:
        name = min(structs.keys() - done)
        done.add(name)
        lines.append(f"struct {name} {int(structs[name].get('size-in-bits')) // 8}")
        for member in structs[name].iterfind("data-member"):
            field = member.find("var-decl")
            at = int(member.get("layout-offset-in-bits")) // 8
            lines.append(f"field {name}.{field.get('name')} {at} {named(field.get('type-id'))}")
    if len(lines) <= len(exported):
        sys.exit(f"abi.py: {library} has no debug info")
    for number in re.findall(r"^#define (KEYGATE_\w+ .*)", header, re.M):
        if not number.startswith("KEYGATE_VERSION"):
            lines.append(f"number {number}")
    return sorted(lines)


def broken(released, now):
    """What a program that was compiled against the release could not live with."""
    sizes = {name: int(size) for name, size in (line.split()[1:] for line in released if line.startswith("struct "))}
    current, problems = dict(line.split()[1:] for line in now if line.startswith("struct ")), []
    for line in released:
        kind, name = line.split()[:2]
        if kind == "struct" and name in GROW and name in current:
            if int(current[name]) < sizes[name]:
                problems.append(f"smaller: {line}")
        elif line not in now:
            problems.append(f"gone or changed: {line}")
    for line in now:
        kind, name, *rest = line.split()
        struct = name.split(".")[0]
        if kind == "field" and line not in released and struct in sizes:
            if struct not in GROW or int(rest[0]) < sizes[struct]:
                problems.append(f"not at the end of a struct that may grow: {line}")
    return problems


def controls(now):
    """What must be seen and what must not: releases that this tree would have changed so."""
    def without(start):
        return [line for line in now if not line.startswith(start)]

    def instead(old, new):
        assert old in now, f"{old}: abi.py's controls have to be written anew"
        return [new if line == old else line for line in now]

    last = next(line for line in now if line.startswith("field keygate_config.allow_origin "))
    seen = (
        [*now, "function keygate_allow(*keygate_policy) bool"],
        instead("field keygate_decision.verdict 8 i32", "field keygate_decision.verdict 12 i32"),
        instead("field keygate_request.header_count 48 usize", "field keygate_request.header_count 48 u32"),
        instead("struct keygate_policy 4096", "struct keygate_policy 2048"),
        instead("number KEYGATE_ERR_SIZE (-3)", "number KEYGATE_ERR_SIZE (-2)"),
        without("field keygate_request.method "),
        without("field keygate_key.label "),
        [*now, "field keygate_config.more 128 u64"],
    )
    for release in seen:
        assert broken(sorted(release), now), set(release) ^ set(now)
    config = next(line for line in now if line.startswith("struct keygate_config "))
    smaller = f"struct keygate_config {last.split()[2]}"
    for release in (now, without("function keygate_lints("), [smaller if x == config else x for x in now if x != last]):
        assert not broken(sorted(release), now), broken(sorted(release), now)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--update", action="store_true")
    arguments = parser.parse_args()
    now = described(build(), (ROOT / "include/keygate.h").read_text())
    if arguments.update:
        RELEASED.write_text("\n".join(now) + "\n")
    controls(now)
    problems = broken(RELEASED.read_text().splitlines(), now)
    for problem in problems:
        print(f"abi.py: {problem}", file=sys.stderr)
    kinds = [line.split()[0] for line in now]
    print(*(f"{kinds.count(kind)} {kind}s" for kind in ("function", "struct", "field", "number")), sep=", ")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
