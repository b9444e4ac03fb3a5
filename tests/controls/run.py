#!/usr/bin/env python3
"""Plants the bugs of bugs.toml, one at a time, in a copy of the tree and runs the check that must
go red. The copy as it is must be green. `run.py NAME...` plants only these.

Fails where a bug does not apply, does not build or survives."""

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
    "CARGO_TARGET_DIR": str(BUILD),
    "CARGO_PROFILE_DEV_DEBUG": "0",
    "CARGO_TERM_COLOR": "never",
    "RUSTFLAGS": "-Awarnings",
}


def copy_tree():
    """The files that git knows or would add; unchanged ones keep their time, for cargo."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True,
    ).stdout.decode()
    wanted = {name for name in listed.split("\0") if name and (ROOT / name).is_file()}
    for path in TREE.rglob("*"):
        if path.is_file() and str(path.relative_to(TREE)) not in wanted:
            path.unlink()
    for name in wanted:
        to, data = TREE / name, (ROOT / name).read_bytes()
        if not to.is_file() or to.read_bytes() != data:
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_bytes(data)
            shutil.copymode(ROOT / name, to)


def pattern(text):
    """The text with any white space, or none, between its words and signs."""
    tokens = re.findall(r"\w+|[^\w\s]", text)
    gaps = [r"\s+" if a[-1].isalnum() and b[0].isalnum() else r"\s*" for a, b in zip(tokens, tokens[1:])]
    return re.compile("".join(re.escape(t) + g for t, g in zip(tokens, gaps + [""])))


def plant(edits):
    """Makes the edits. Returns the files as they were, or what went wrong."""
    sources = sorted((TREE / "src").rglob("*.rs"))
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


def cargo(*arguments):
    command = ["cargo", "test", "--quiet", "--locked", "--package", "keygate", "--all-features", *arguments]
    try:
        return subprocess.run(
            command, cwd=TREE, env=ENVIRONMENT, timeout=TIMEOUT, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
    except subprocess.TimeoutExpired:
        return None


def passed(result):
    """How many tests ran and passed."""
    return sum(map(int, re.findall(r"(\d+) passed", result.stdout)))


def main():
    bugs = tomllib.loads((HERE / "bugs.toml").read_text())["bug"]
    names = [bug["name"] for bug in bugs]
    wanted = [argument for argument in sys.argv[1:] if argument != "--plant"]
    if len(set(names)) != len(names) or not set(wanted) <= set(names):
        sys.exit("a bug's name stands twice, or is unknown")
    bugs = [bug for bug in bugs if not wanted or bug["name"] in wanted]
    begun = time.monotonic()
    copy_tree()
    if wanted != sys.argv[1:]:
        planted = plant(bugs[0]["edits"])
        sys.exit(planted if isinstance(planted, str) else 0)

    checks = sorted({tuple(bug["check"]) for bug in bugs})
    for file, test in checks:
        result = cargo("--test", file, "--", "--exact", test)
        if result is None or result.returncode != 0 or passed(result) != 1:
            sys.exit(f"the tree as it is does not pass {file} {test}\n{result and result.stdout}")

    rows, failures = [], 0
    for bug in bugs:
        file, test = bug["check"]
        before = plant(bug["edits"])
        if isinstance(before, str):
            outcome = f"NOT PLANTED: {before}"
        else:
            try:
                built = cargo("--no-run", "--test", file)
                if built is None or built.returncode != 0:
                    outcome = f"DOES NOT BUILD: {built and built.stdout}"
                else:
                    result = cargo("--test", file, "--", "--exact", test)
                    if result is None:
                        outcome = "TIMED OUT"
                    elif result.returncode == 0:
                        outcome = "SURVIVED"
                    else:
                        outcome = "caught"
            finally:
                for path, text in before.items():
                    path.write_text(text)
        failures += outcome != "caught"
        rows.append((bug["name"], bug["like"], f"{file}: {test}", outcome))
        print(f"{outcome}: {bug['name']}", file=sys.stderr, flush=True)

    print("| bug | like | check | |\n|---|---|---|---|")
    for row in rows:
        print("|", " | ".join(row), "|")
    print(f"{len(rows) - failures} of {len(rows)} planted bugs caught in {time.monotonic() - begun:.0f} s")
    sys.exit(failures != 0)


if __name__ == "__main__":
    main()
