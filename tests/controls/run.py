#!/usr/bin/env python3
"""Plants the bugs of bugs.toml that a test of the core must notice, one at a time, in a copy of the
tree and runs the check that must go red. The copy as it is must be green. `run.py NAME...` plants
only these.

With --machine MACHINE, those that only that machine of tests/cross can show: the whole suite must
pass here with the bug, and the check go red there.

Fails where a bug does not apply, does not build or survives; with --controls it plants one of each
kind, and fails where it does not say so."""

import argparse
import re
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "plant"))
import plant  # noqa: E402

TIMEOUT = 300  # seconds for one check
ENVIRONMENT = plant.ENVIRONMENT | {"CARGO_PROFILE_DEV_DEBUG": "0"}


# What is no bug, or none that could be planted, and what must be said of it.
CONTROLS = [
    {"name": "none", "edits": [["self.count(name.len())", "{ self.count(name.len()) }"]], "outcome": "SURVIVED"},
    {"name": "nonsense", "edits": [["self.count(name.len())", "self.counts(name.len())"]], "outcome": "DOES NOT BUILD"},
    {"name": "nowhere", "edits": [["self.counts(name.len())", "false"]], "outcome": "NOT PLANTED"},
]
CONTROLS = [control | {"like": "-", "check": ["vectors", "every_vector_holds"]} for control in CONTROLS]


def cargo(tree, *arguments, machine=None):
    command = ["cargo", "test", "--quiet", "--locked", "--package", "keygate", "--all-features"]
    if machine:
        command = ["tests/cross/run", machine, "--"]
    try:
        return subprocess.run(
            [*command, *arguments], cwd=tree, env=ENVIRONMENT,
            timeout=TIMEOUT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
    except subprocess.TimeoutExpired:
        return None


def passed(result):
    """How many tests ran and passed."""
    return sum(map(int, re.findall(r"(\d+) passed", result.stdout)))


def check(tree, bug):
    """Runs the bug's check, planted as it is."""
    file, test = bug["check"]
    machine = bug.get("machine")
    if machine:
        here = cargo(tree, "--lib", "--tests")
        if here is None or here.returncode != 0:
            return f"SHOWS HERE TOO: {here and here.stdout}"
    built = cargo(tree, "--no-run", "--test", file, machine=machine)
    if built is None or built.returncode != 0:
        return f"DOES NOT BUILD: {built and built.stdout}"
    result = cargo(tree, "--test", file, "--", "--exact", test, machine=machine)
    if result is None:
        return "TIMED OUT"
    return "SURVIVED" if result.returncode == 0 else "caught"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--machine")
    parser.add_argument("--controls", action="store_true")
    arguments = parser.parse_args()
    begun = time.monotonic()
    tree = plant.copy("cross" if arguments.machine else "core")
    if arguments.controls:
        bugs = CONTROLS
    else:
        bugs = [bug for bug in plant.faults("check", arguments.names) if bug.get("machine") == arguments.machine]
    for file, test in sorted({tuple(bug["check"]) for bug in bugs}):
        result = cargo(tree, "--test", file, "--", "--exact", test, machine=arguments.machine)
        if result is None or result.returncode != 0 or passed(result) != 1:
            sys.exit(f"the tree as it is does not pass {file} {test}\n{result and result.stdout}")

    rows, failures = [], 0
    for bug in bugs:
        with plant.planted(tree, bug["edits"]) as problem:
            outcome = problem or check(tree, bug)
        failures += not outcome.startswith(bug.get("outcome", "caught"))
        rows.append((bug["name"], bug["like"], ": ".join(bug["check"]), outcome.splitlines()[0]))
        print(f"{outcome}: {bug['name']}", file=sys.stderr, flush=True)

    print("| bug | like | check | |\n|---|---|---|---|")
    for row in rows:
        print("|", " | ".join(row), "|")
    done = "told apart" if arguments.controls else "caught"
    print(f"{len(rows) - failures} of {len(rows)} planted bugs {done} in {time.monotonic() - begun:.0f} s")
    sys.exit(failures != 0 or not rows)


if __name__ == "__main__":
    main()
