#!/usr/bin/env python3
"""Writes npm/layout.js: where the fields of the structs in include/keygate.h lie for wasm32, as clang lays
them out. With --check it changes nothing, and says whether the file is as it should be."""

import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
INCLUDE = HERE.parents[1] / "include"
TO = HERE / "npm/layout.js"


def structs():
    """The structs and the names of their fields. `size` is not among what is written: it is the first of
    those that have it, and in the file it is that of the struct."""
    text = re.sub(r"/\*.*?\*/", "", (INCLUDE / "keygate.h").read_text(), flags=re.S)
    for name, body in re.findall(r"typedef struct (\w+) \{(.*?)\} \1;", text, re.S):
        yield name, re.findall(r"(\w+)(?:\[\w+\])?;", body)


def numbers(found):
    """What the compiler makes of each `sizeof` and `offsetof`."""
    lines = ['#include "keygate.h"']
    for name, fields in found:
        lines.append(f"unsigned at_{name} = sizeof({name});")
        lines += [f"unsigned at_{name}__{field} = offsetof({name}, {field});" for field in fields]
    # clang brings the headers that the freestanding library is made of.
    made = subprocess.run(
        ["clang", "--target=wasm32-unknown-unknown", "-ffreestanding", "-S", "-emit-llvm", f"-I{INCLUDE}", "-xc", "-o", "-", "-"],
        input="\n".join(lines), capture_output=True, text=True, check=True,
    ).stdout
    return {name: int(number) for name, number in re.findall(r"^@at_(\w+) = .*global i32 (\d+)", made, re.M)}


def text():
    found = list(structs())
    values = numbers(found)
    lines = ["// Written by bindings/wasm/layout.py from include/keygate.h. Do not edit.", "export const layout = {"]
    for name, fields in found:
        parts = [f"size: {values[name]}"] + [f"{field}: {values[f'{name}__{field}']}" for field in fields if field != "size"]
        lines.append(f"  {name}: {{ {', '.join(parts)} }},")
    return "\n".join([*lines, "};", ""])


def main():
    if sys.argv[1:] == ["--check"]:
        if TO.read_text() != text():
            sys.exit("bindings/wasm/npm/layout.js is not as include/keygate.h has it: run bindings/wasm/layout.py")
        return
    TO.write_text(text())


if __name__ == "__main__":
    main()
