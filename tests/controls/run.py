#!/usr/bin/env python3
"""Plants the bugs of bugs.toml, one at a time, in a copy of the tree and runs the check that must
go red. The copy as it is must be green. `run.py NAME...` plants only these.

With --machine MACHINE, those that only that machine of tests/cross can show: the whole suite must
pass here with the bug, and the check go red there. For tests/fuzz, --fuzz TARGET names a target's
bugs and --plant NAME only plants one.

Fails where a bug does not apply, does not build or survives; with --controls it plants one of each
kind, and fails where it does not say so."""

import argparse
import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TREE = ROOT / "target/controls/tree"
BUILD = ROOT / "target/controls/target"
TIMEOUT = 300  # seconds for one check
ENVIRONMENT = os.environ | {
    "CARGO_PROFILE_DEV_DEBUG": "0",
    "CARGO_TERM_COLOR": "never",
    "RUSTFLAGS": "-Awarnings",
}


# What is no bug, or none that could be planted, and what must be said of it.
CONTROLS = [
    {"name": "none", "edits": [["self.count(name.len())", "{ self.count(name.len()) }"]], "outcome": "SURVIVED"},
    {"name": "nonsense", "edits": [["self.count(name.len())", "self.counts(name.len())"]], "outcome": "DOES NOT BUILD"},
    {"name": "nowhere", "edits": [["self.counts(name.len())", "false"]], "outcome": "NOT PLANTED"},
]
CONTROLS = [control | {"like": "-", "check": ["vectors", "every_vector_holds"]} for control in CONTROLS]


def copy_tree(tree):
    """The files that git knows or would add; unchanged ones keep their time, for cargo."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True,
    ).stdout.decode()
    wanted = {name for name in listed.split("\0") if name and (ROOT / name).is_file()}
    for path in tree.rglob("*"):
        if path.is_file() and str(path.relative_to(tree)) not in wanted:
            path.unlink()
    for name in wanted:
        to, data = tree / name, (ROOT / name).read_bytes()
        if not to.is_file() or to.read_bytes() != data:
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_bytes(data)
            shutil.copymode(ROOT / name, to)


def pattern(text):
    """The text with any white space, or none, between its words and signs."""
    tokens = re.findall(r"\w+|[^\w\s]", text)
    gaps = [r"\s+" if a[-1].isalnum() and b[0].isalnum() else r"\s*" for a, b in zip(tokens, tokens[1:])]
    return re.compile("".join(re.escape(t) + g for t, g in zip(tokens, gaps + [""])))


def sources():
    return sorted(path for folder in ("src", "bindings/cli/src") for path in (TREE / folder).rglob("*.rs"))


def plant(edits, sources):
    """Makes the edits. Returns the files as they were, or what went wrong."""
    before, texts = {}, {path: path.read_text() for path in sources}
    for find, put in edits:
        places = [(path, m) for path in sources for m in pattern(find).finditer(texts[path])]
        if len(places) != 1:
            return f"found {len(places)} times, not once: {find}"
        path, match = places[0]
        before.setdefault(path, path.read_text())
        text = texts[path]
        texts[path] = text[: match.start()] + put + text[match.end() :]
    for path in before:
        path.write_text(texts[path])
    return before


@contextlib.contextmanager
def planted(edits, sources):
    """With the edits made, and unmade at the end. What it gives is None, or why they could not be made."""
    before = plant(edits, sources)
    if isinstance(before, str):
        yield f"NOT PLANTED: {before}"
        return
    try:
        yield None
    finally:
        for path, text in before.items():
            path.write_text(text)


def cargo(*arguments, machine=None):
    command = ["cargo", "test", "--quiet", "--locked", "--package", "keygate", "--all-features"]
    build = BUILD
    if machine:
        # Shared with tests/cross, for the standard library that is built there.
        command, build = ["tests/cross/run", machine, "--"], ROOT / "target/cross"
    try:
        return subprocess.run(
            [*command, *arguments], cwd=TREE, env=ENVIRONMENT | {"CARGO_TARGET_DIR": str(build)},
            timeout=TIMEOUT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
    except subprocess.TimeoutExpired:
        return None


def passed(result):
    """How many tests ran and passed."""
    return sum(map(int, re.findall(r"(\d+) passed", result.stdout)))


def check(bug):
    """Runs the bug's check, planted as it is."""
    file, test = bug["check"]
    machine = bug.get("machine")
    if machine:
        here = cargo("--lib", "--tests")
        if here is None or here.returncode != 0:
            return f"SHOWS HERE TOO: {here and here.stdout}"
    built = cargo("--no-run", "--test", file, machine=machine)
    if built is None or built.returncode != 0:
        return f"DOES NOT BUILD: {built and built.stdout}"
    result = cargo("--test", file, "--", "--exact", test, machine=machine)
    if result is None:
        return "TIMED OUT"
    return "SURVIVED" if result.returncode == 0 else "caught"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--machine")
    parser.add_argument("--fuzz", metavar="TARGET")
    parser.add_argument("--plant", metavar="NAME")
    parser.add_argument("--controls", action="store_true")
    arguments = parser.parse_args()
    bugs = tomllib.loads((HERE / "bugs.toml").read_text())["bug"]
    named = {bug["name"]: bug for bug in bugs}
    wanted = arguments.names + [arguments.plant] * bool(arguments.plant)
    if len(named) != len(bugs) or not set(wanted) <= set(named):
        sys.exit("a bug's name is listed twice, or is unknown")
    if arguments.fuzz:
        found = [bug["name"] for bug in bugs if bug.get("fuzz") == arguments.fuzz]
        print("\n".join(found))
        sys.exit(not found)
    begun = time.monotonic()
    copy_tree(TREE)
    if arguments.plant:
        before = plant(named[arguments.plant]["edits"], sources())
        sys.exit(before if isinstance(before, str) else 0)

    bugs = [bug for bug in bugs if "check" in bug and bug.get("machine") == arguments.machine]
    bugs = [bug for bug in bugs if not wanted or bug["name"] in wanted]
    if arguments.controls:
        bugs = CONTROLS
    for file, test in sorted({tuple(bug["check"]) for bug in bugs}):
        result = cargo("--test", file, "--", "--exact", test, machine=arguments.machine)
        if result is None or result.returncode != 0 or passed(result) != 1:
            sys.exit(f"the tree as it is does not pass {file} {test}\n{result and result.stdout}")

    rows, failures = [], 0
    for bug in bugs:
        with planted(bug["edits"], sources()) as problem:
            outcome = problem or check(bug)
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
