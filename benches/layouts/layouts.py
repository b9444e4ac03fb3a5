#!/usr/bin/env python3
"""Times `keygate_decide` beside the floor and a gate written by hand, in several layouts of the code.

layouts.py [SLICES]

How long so few instructions take depends on where their loops lie in the lines of the cache. So each of the three is
linked several times, each time moved by 16 bytes, and the geometric mean of the ratios counts. The library is
expected at target/capi. It prints in JSON the nanoseconds of each layout, and how many instructions callgrind counts
within one call, in the first of them.
"""

import functools
import json
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
OUT = ROOT / "target/benches/layouts"
LAYOUTS = range(4)
SYMBOLS = [
    "floor_allows",
    "gate_size",
    "gate_init",
    "gate_decide",
    "keygate_config_init",
    "keygate_policy_init",
    "keygate_decide",
    "keygate_policy_drops",
    "keygate_findings",
]
# What is counted, and within which function.
COUNTED = {
    "floor": "floor_allows",
    "by_hand": "gate_decide",
    "by_hand_told": "gate_decide",
    "decide": "keygate_decide",
    "decide_told": "keygate_decide",
    "any_second": "keygate_decide",
    "wrong": "keygate_decide",
    "drops": "keygate_policy_drops",
    "search": "keygate_findings",
}
SCRIPT = """SECTIONS {{
  .text : ALIGN(64) {{
    . += {pad}; *floor.o(.text .text.*)
    . = ALIGN(64); . += {pad}; *gate.o(.text .text.*)
    . = ALIGN(64); . += {pad}; *(.text .text.*)
  }}
}}
"""


def run(*command):
    subprocess.run([str(word) for word in command], check=True)


def compiled(source, *options):
    to = OUT / f"{source.stem}.o"
    run("gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-I", ROOT / "include", *options, "-c", source, "-o", to)
    return to


@functools.cache
def collected(subject, within):
    out = OUT / "callgrind.out"
    valgrind = ["valgrind", "--quiet", "--tool=callgrind", f"--callgrind-out-file={out}", f"--toggle-collect={within}"]
    run(*valgrind, OUT / "time", "0", subject)
    return int(re.search(r"^summary: (\d+)", out.read_text(), re.M)[1])


def instructions(subject, within):
    """Less what is called while everything is prepared."""
    return collected(subject, within) - collected("none", within)


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    floor, gate = compiled(HERE.parent / "fixture/floor.c"), compiled(HERE / "gate.c")
    objects = []
    for layout in LAYOUTS:
        script, linked = OUT / f"{layout}.ld", OUT / f"layout{layout}.o"
        script.write_text(SCRIPT.format(pad=16 * layout))
        wanted = [f"--undefined={symbol}" for symbol in SYMBOLS]
        run("ld", "-r", *wanted, "-T", script, floor, gate, ROOT / "target/capi/libkeygate.a", "-o", linked)
        run("objcopy", *(f"--keep-global-symbol={symbol}" for symbol in SYMBOLS), linked)
        run("objcopy", *(f"--redefine-sym={symbol}={symbol}_{layout}" for symbol in SYMBOLS), linked)
        objects.append(linked)
    every = " ".join(f"X({layout})" for layout in LAYOUTS)
    timer = compiled(HERE / "time.c", f"-DLAYOUTS(X)={every}")
    run("gcc", timer, *objects, "-Wl,-z,now", "-o", OUT / "time")
    timed = subprocess.check_output([OUT / "time", *sys.argv[1:]], text=True)
    counted = {subject: instructions(subject, f"{within}_0") for subject, within in COUNTED.items()}
    print(json.dumps({"nanoseconds": json.loads(timed), "instructions": counted}, indent=2))


main()
