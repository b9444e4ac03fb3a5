#!/usr/bin/env python3
"""Counts the instructions of a decision and compares them with the baselines beside this file.

counts.py [--measure | --update]

--measure only counts, --update makes what it counts the baselines. The library is expected at
target/capi and GUNGRAUN_RUNNER in the environment.
"""

import json
import os
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
BASELINES = HERE / "baselines.json"
# In either direction: a baseline that is too high guards nothing.
TOLERANCE = 0.02
SLACK = 8  # instructions: a C library picks its memcmp by the processor
# The cases of a group differ in what is secret and in nothing else.
SAME = {
    "the bytes and the length of a key": [
        "secret_last_byte",
        "secret_first_byte",
        "secret_every_byte",
        "secret_prefix",
        "secret_longer",
        "secret_1_byte",
        "secret_256_bytes",
    ],
    "which of eight keys matches, and how many": ["keys_8_first", "keys_8_last", "keys_8_all"],
}


def measure():
    """Instructions by function and case."""
    command = [os.environ.get("CARGO", "cargo"), "bench", "--locked", "--package", "counts"]
    run = subprocess.run(
        [*command, "--", "--output-format=json"],
        cwd=HERE.parent,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    counts = {}
    for line in run.stdout.splitlines():
        result = json.loads(line)
        (case,) = re.findall(r'"(\w+)"', result["description"])
        (profile,) = result["profiles"]
        total = profile["data"]["total"]["metrics"]["Ir"]["values"]["new"]
        counts.setdefault(result["function_name"], {})[case] = total
    return counts


def per_header(counts, kind="headers"):
    """What one more header takes."""
    return (counts[f"{kind}_1000"] - counts[f"{kind}_100"]) / 900


def check(counts, baselines):
    """What is wrong, a line each."""
    if counts.keys() != baselines.keys():
        yield f"measured {sorted(counts)}, but there are baselines for {sorted(baselines)}"
        return
    for function, cases in counts.items():
        expected = baselines[function]
        for case in sorted(cases.keys() | expected.keys()):
            new, old = cases.get(case), expected.get(case)
            if new is None or old is None:
                yield f"{function} {case}: {new} instructions, baseline {old}"
            elif abs(new - old) > old * TOLERANCE + SLACK:
                change = (new - old) / old
                yield f"{function} {case}: {new} instructions, baseline {old} ({change:+.1%})"
        for what, group in SAME.items():
            if len({cases[case] for case in group}) != 1:
                each = ", ".join(f"{case} {cases[case]}" for case in group)
                yield f"{function}: {what} changes the count: {each}"


def compiler():
    return subprocess.check_output(["rustc", "--version"], text=True).strip()


def main():
    counts = measure()
    record = {"compiler": compiler(), "instructions": counts}
    result = HERE.parent.parent / "target/benches/counts.json"
    result.write_text(json.dumps(record, indent=2) + "\n")
    if "--measure" in sys.argv[1:]:
        return 0
    # What is secret must not show, whatever the baselines are.
    baselines = record if "--update" in sys.argv[1:] else json.loads(BASELINES.read_text())
    wrong = list(check(counts, baselines["instructions"]))
    for function, cases in counts.items():
        print(
            f"{function}: {cases['headers_12']} instructions for 12 headers, "
            f"{per_header(cases):.2f} for a further header, "
            f"{per_header(cases, 'as_long'):.2f} for one whose name is as long as a source's"
        )
    if wrong:
        print(*wrong, sep="\n", file=sys.stderr)
        print(
            f"Measured with {record['compiler']}, baselines with {baselines['compiler']}. "
            "If this is meant: make bench-counts UPDATE=1",
            file=sys.stderr,
        )
        return 1
    if baselines is record:
        BASELINES.write_text(json.dumps(record, indent=2) + "\n")
    checked = sum(map(len, counts.values()))
    print(f"{checked} counts within {TOLERANCE:.0%} and {SLACK}; nothing secret changes one")
    return 0


if __name__ == "__main__":
    sys.exit(main())
