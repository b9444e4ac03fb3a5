#!/usr/bin/env python3
"""Plants faults in a copy of the tree, for every control.

plant.py                  sees that every fault can be planted
plant.py --list FIELD     the faults that have this field, each with what the field says, tab by tab
plant.py COPY [NAME...]   makes the copy target/planted/COPY with these faults and prints where it is
"""

import argparse
import contextlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Of one format, which the first describes.
TABLES = ("tests/controls/bugs.toml", "tests/hosts/controls.toml")
FIELDS = {"name", "class", "like", "edits", "machine"}
NOTICED_BY = {"check", "fuzz", "checks", "proof", "leaks", "capi", "firmware", "coverage"}
SOURCES = (
    "src/**/*.rs", "bindings/*/src/**/*.rs", "bindings/*/examples/**/*.rs", "bindings/nginx/*.c", "bindings/go/**/*.go",
    "bindings/firmware/*.c", "bindings/wasm/npm/*.js", "bindings/wasm/page/*.js", "bindings/wasm/example/*.mjs",
    "bindings/python/python/**/*.py", "bindings/python/examples/*.py", "bindings/lua/*.lua",
)
# The copy has a target folder of its own: to cargo it is the same package, and in one folder what was
# built of one tree would pass for the other's.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "CARGO_TARGET_DIR"}
ENVIRONMENT |= {"CARGO_TERM_COLOR": "never", "RUSTFLAGS": "-Awarnings"}


class NotPlanted(Exception):
    pass


def faults(field=None, names=()):
    """Those that have the field; of these the named ones, if names are given."""
    found = {}
    for table in TABLES:
        content = tomllib.loads((ROOT / table).read_text())
        for fault in content.pop("fault"):
            unknown = fault.keys() - FIELDS - NOTICED_BY
            if fault["name"] in found or unknown or not fault.keys() & NOTICED_BY:
                sys.exit(f"{fault['name']}: a second one, noticed by nothing, or with unknown fields: {unknown}")
            found[fault["name"]] = fault
        if content:
            sys.exit(f"{table}: unknown tables: {content.keys()}")
    found = {name: fault for name, fault in found.items() if field in (None, *fault)}
    if not set(names) <= found.keys() or not found:
        sys.exit(f"no such fault, or not with {field}: {', '.join(set(names) - found.keys())}")
    return [fault for name, fault in found.items() if not names or name in names]


def copy(name):
    """The files that git knows or would add; unchanged ones keep their time, for cargo."""
    tree = ROOT / "target/planted" / name
    tree.mkdir(parents=True, exist_ok=True)
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True,
    ).stdout.decode()
    wanted = {path for path in listed.split("\0") if path and (ROOT / path).is_file()}
    for top in tree.iterdir():
        # What a folder holds comes before it: one that is empty then would pass for one that is made.
        for path in sorted((top, *top.rglob("*")), reverse=True) if top.name != "target" else ():
            if path.is_symlink() or path.is_file():
                if str(path.relative_to(tree)) not in wanted:
                    path.unlink()
            elif not any(path.iterdir()):
                path.rmdir()
    for path in wanted:
        to, data = tree / path, (ROOT / path).read_bytes()
        if not to.is_file() or to.read_bytes() != data:
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_bytes(data)
            shutil.copymode(ROOT / path, to)
    return tree


def pattern(text):
    """The text with any white space, or none, between its words and signs."""
    tokens = re.findall(r"\w+|[^\w\s]", text)
    gaps = [r"\s+" if a[-1].isalnum() and b[0].isalnum() else r"\s*" for a, b in zip(tokens, tokens[1:])]
    return re.compile("".join(re.escape(t) + g for t, g in zip(tokens, gaps + [""])))


def edited(tree, edits):
    """The files that the edits change, with what is in them after that."""
    paths = sorted(path for glob in SOURCES for path in tree.glob(glob) if not path.name.endswith("_test.go"))
    texts = {path: path.read_text() for path in paths}
    changed = {}
    for find, put in edits:
        places = [(path, match) for path in paths for match in pattern(find).finditer(texts[path])]
        if len(places) != 1:
            raise NotPlanted(f"found {len(places)} times, not once: {find}")
        path, match = places[0]
        text = texts[path]
        changed[path] = texts[path] = text[: match.start()] + put + text[match.end() :]
    return changed


@contextlib.contextmanager
def planted(tree, edits):
    """With the edits made, and unmade at the end. What it gives is None, or why they could not be made."""
    try:
        after = edited(tree, edits)
    except NotPlanted as problem:
        yield f"NOT PLANTED: {problem}"
        return
    before = {path: path.read_text() for path in after}
    try:
        for path, text in after.items():
            path.write_text(text)
        yield None
    finally:
        for path, text in before.items():
            path.write_text(text)


def libraries(fault):
    """The folder with the C libraries that have the fault."""
    tree = copy("libraries")
    with planted(tree, fault["edits"]) as problem:
        if problem:
            sys.exit(f"{fault['name']}: {problem}")
        built = subprocess.run(["make", "lib"], cwd=tree, env=ENVIRONMENT, capture_output=True, text=True)
    if built.returncode:
        sys.exit(f"{fault['name']}: DOES NOT BUILD\n{built.stderr}")
    # A process loads a library of one path only once.
    to = tree / "target/planted" / fault["name"]
    to.mkdir(parents=True, exist_ok=True)
    for library in ("libkeygate.so", "libkeygate.a"):
        shutil.copy2(tree / "target/capi" / library, to)
    return to


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", metavar="FIELD", choices=NOTICED_BY)
    parser.add_argument("copy", nargs="?", metavar="COPY")
    parser.add_argument("names", nargs="*", metavar="NAME")
    arguments = parser.parse_args()
    if arguments.list:
        for fault in faults(arguments.list):
            said = fault[arguments.list]
            print(fault["name"], *([said] if isinstance(said, str) else said), sep="\t")
        return
    if arguments.copy:
        tree = copy(arguments.copy)
        edits = [edit for name in arguments.names for edit in faults(names=[name])[0]["edits"]]
        try:
            for path, text in edited(tree, edits).items():
                path.write_text(text)
        except NotPlanted as problem:
            sys.exit(f"NOT PLANTED: {problem}")
        print(tree)
        return
    every, failed = faults(), 0
    for fault in every:
        try:
            edited(ROOT, fault["edits"])
        except NotPlanted as problem:
            failed += 1
            print(f"{fault['name']}: {problem}")
    print(f"{len(every) - failed} of {len(every)} faults can be planted")
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()
