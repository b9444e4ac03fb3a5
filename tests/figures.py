#!/usr/bin/env python3
"""Write what a check prints into a document.

figures.py record [NAME...]      runs checks of tests/results/checks.toml (all that are not heavy), writes
                                 tests/results/NAME.toml and fills tests/README.md
figures.py fill                  fills tests/README.md with what is in tests/results
figures.py table DOCUMENT COMMAND...
                                 puts what COMMAND prints between `<!-- figures: COMMAND -->` and
                                 `<!-- end of figures -->`: a Markdown table, or lines of the form `what: figure`

A check that fails, or does not print what is looked for, changes nothing.
"""

import datetime
import json
import pathlib
import platform
import re
import shlex
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
RESULTS, INDEX = ROOT / "tests/results", ROOT / "tests/README.md"


def said_by(*command):
    return subprocess.check_output(command, cwd=ROOT, text=True).split(" (")[0].strip()


def table(printed):
    if printed.startswith("|"):
        return printed.strip()
    rows = ["| what | figure |", "|---|---:|"]
    for line in printed.strip().splitlines():
        what, separator, figure = line.partition(": ")
        if not separator:
            sys.exit(f"figures.py: neither a table nor `what: figure`: {line}")
        rows.append(f"| {what} | {figure.strip()} |")
    return "\n".join(rows)


def write_table(document, command):
    document = ROOT / document
    begin, end = f"<!-- figures: {' '.join(command)} -->", "<!-- end of figures -->"
    before = document.read_text()
    block = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if len(block.findall(before)) != 1:
        sys.exit(f"{document}: no block, or more than one, from {begin} to {end}")
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{command[0]} ended with {done.returncode}; {document} is as it was")
    tools = f"{said_by('rustc', '--version')}, gcc {said_by('gcc', '-dumpfullversion')}"
    machine = f"{datetime.date.today()}, {platform.machine()} {platform.system()}, {tools}"
    after = f"{begin}\nPrinted by `{' '.join(command)}` on {machine}:\n\n{table(done.stdout)}\n{end}"
    document.write_text(block.sub(lambda _: after, before))


def run(command):
    """What the command prints, which is passed on."""
    printed = []
    with subprocess.Popen(
        shlex.split(command), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        for line in process.stdout:
            print(line, end="", flush=True)
            printed.append(line)
    if process.returncode:
        sys.exit(f"{command} ended with {process.returncode}; nothing is recorded")
    return "".join(printed)


def picked(check, printed):
    """The figures in what was printed. One that is found more than once is the same each time, or else a sum."""
    figures = {}
    for how in ("find", "add"):
        for figure, pattern in check.get(how, {}).items():
            found = [int(number) for number in re.findall(pattern, printed)]
            if not found or (how == "find" and len(set(found)) > 1):
                sys.exit(f"{check['command']}: {figure}: {pattern} finds {found}; nothing is recorded")
            figures[figure] = sum(found) if how == "add" else found[0]
    return figures


def record(names):
    checks = tomllib.loads((RESULTS / "checks.toml").read_text())
    for name in names or [name for name, check in checks.items() if not check.get("heavy")]:
        check = checks[name]
        figures = picked(check, run(check["command"]))
        lines = [
            f"# Written by `tests/figures.py record {name}`.",
            f"command = {json.dumps(check['command'])}",
            f'date = "{datetime.date.today()}"',
            f'rustc = "{said_by("rustc", "--version").removeprefix("rustc ")}"',
            "\n[figures]",
            *(f"{key} = {json.dumps(text.format(**figures))}" for key, text in check["figures"].items()),
        ]
        (RESULTS / f"{name}.toml").write_text("\n".join(lines) + "\n")
        fill()


def fill():
    results = {path.stem: tomllib.loads(path.read_text()) for path in RESULTS.glob("*.toml") if path.stem != "checks"}

    def cell(found):
        result = results.get(found[1])
        if not result or found[2] not in result["figures"]:
            return found[0]
        return f"| <!-- {found[1]}.{found[2]} -->{result['figures'][found[2]]}, {result['date']} |"

    before = INDEX.read_text()
    after = re.sub(r"\| <!-- ([a-z-]+)\.([a-z-]+) -->[^|]*\|", cell, before)
    if after != before:
        INDEX.write_text(after)


match sys.argv[1:]:
    case ["record", *names]:
        record(names)
    case ["fill"]:
        fill()
    case ["table", document, *command]:
        write_table(document, command)
    case _:
        sys.exit(__doc__)
