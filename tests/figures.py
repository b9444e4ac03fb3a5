#!/usr/bin/env python3
"""Run a check and write the figures that it prints into a document: figures.py DOCUMENT COMMAND...

They replace what stands between `<!-- figures: COMMAND -->` and `<!-- end of figures -->`. A command prints a
Markdown table, or lines of the form `what: figure`.
"""

import datetime
import pathlib
import platform
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


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


def main():
    document, command = ROOT / sys.argv[1], sys.argv[2:]
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


main()
