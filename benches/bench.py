#!/usr/bin/env python3
"""Measures everything, prints the tables, and writes them and the plot into this folder.

bench.py [--report | PART...]

`make bench` runs it, with what it needs built. With parts named, only these are measured anew; with
--report, none. The figures are kept in results.json. What a person has to say of the goals that were missed
is in notes.json, where {name} stands for a figure of `figures`; the rest of README.md is left as it is.
"""

import csv
import datetime
import io
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import textwrap
import time

from plot import plot

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
OUT = ROOT / "target/benches"
RESULTS = HERE / "results.json"
TOOLS = ROOT / "target/tools/bin"
COUNTS = [1, 12, 32, 100, 1000]
ROUNDS = 3
GO_ROUNDS = 10

# By subject: what it is.
SUBJECTS = {
    "capi_verdict": "keygate, `keygate_decide` without a decision",
    "capi": "keygate, `keygate_decide` with a decision",
    "list": "keygate, `Policy::decide` of a list",
    "push": "keygate, header by header",
    "map": "keygate, `Policy::decide` of an `http::HeaderMap`",
    "floor": "the floor, in C",
    "by_hand": "a gate written by hand in C",
    "plain": "a plain gate in Rust",
    "middleware": "a service's middleware on `http::HeaderMap`, its configuration cloned from a lock",
    "bearer": "`tower-http`'s bearer validation",
    "rego": "Rego, regorus's interpreter",
    "rego_vm": "Rego, regorus's virtual machine",
    "rego_vm_map": "Rego, the same, the headers already a map of lower-case names",
    "cedar": "Cedar, the headers already a record of lower-case names",
}
# What is drawn: the subject, its label and its colour.
DRAWN = [
    ("rego_vm", "Rego (regorus)", "#8c564b"),
    ("cedar", "Cedar", "#b8860b"),
    ("middleware", "middleware on HeaderMap", "#7f7f7f"),
    ("bearer", "tower-http bearer", "#9467bd"),
    ("plain", "plain gate, Rust", "#2ca02c"),
    ("by_hand", "gate by hand, C", "#17becf"),
    ("capi_verdict", "keygate, C ABI", "#d62728"),
    ("list", "keygate, Rust", "#ff7f0e"),
    ("floor", "floor, C", "#1f77b4"),
]


def run(command, folder=HERE, **environment):
    process = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return process.stdout


def rust():
    """Nanoseconds by subject and case: the least of the rounds' medians."""
    home = OUT / "criterion"
    best = {}
    for number in range(ROUNDS):
        print(f"round {number + 1} of {ROUNDS}", file=sys.stderr)
        cargo = [os.environ.get("CARGO", "cargo"), "bench", "--locked", "--package", "peers"]
        environment = {"CARGO_TARGET_DIR": str(OUT), "CRITERION_HOME": str(home)}
        run([*cargo, "--", "--quiet"], **environment)
        for subject in [*SUBJECTS, "explain"]:
            found = list(home.glob(f"{subject}/*/new/estimates.json"))
            assert found, f"no measurement of {subject}"
            for path in found:
                case = path.parent.parent.name
                median = json.loads(path.read_text())["median"]["point_estimate"]
                cases = best.setdefault(subject, {})
                cases[case] = min(median, cases.get(case, median))
    return best


def go():
    """By benchmark and unit what benchstat makes of ten rounds, the packages by turns."""
    log = OUT / "go.txt"
    common = ["go", "test", "-run", "^$", "-count", "1", "-benchmem", "-benchtime", "0.1s", "-bench"]
    with log.open("w") as file:
        for _ in range(GO_ROUNDS):
            file.write(run([*common, "^Benchmark(CgoNoop|HandWritten)$", "."], ROOT / "bindings/go"))
            file.write(run([*common, ".", "."], HERE / "go"))
    table = run([str(TOOLS / "benchstat"), "-ignore", "pkg", "-format", "csv", str(log)])
    results, unit = {}, None
    for row in csv.reader(io.StringIO(table)):
        if len(row) > 1 and row[0] == "" and row[1].endswith("/op"):
            unit = row[1]
        elif len(row) > 1 and unit and row[0] not in ("", "geomean"):
            name = re.sub(r"-\d+$", "", row[0])
            results.setdefault(name, {})[unit] = (float(row[1]), row[2])
    return results


def hosts():
    result = OUT / "hosts.json"
    run([sys.executable, "hosts/hosts.py", str(result)])
    return json.loads(result.read_text())


def instructions():
    run([sys.executable, "counts/counts.py", "--measure"], CARGO_TARGET_DIR=str(OUT))
    return json.loads((OUT / "counts.json").read_text())["instructions"]


def locked():
    """How many instructions of the C library make other processors wait."""
    code = run(["objdump", "--disassemble", "--no-show-raw-insn", str(ROOT / "target/capi/libkeygate.so")])
    counter = subprocess.run([ROOT / "tests/c/locked"], input=code, stdout=subprocess.PIPE, check=True, text=True)
    return int(counter.stdout)


def layouts():
    return json.loads(run([sys.executable, "layouts/layouts.py"]))


PARTS = {"layouts": layouts, "instructions": instructions, "locked": locked, "go": go, "hosts": hosts, "rust": rust}


def measure(names):
    """Measures the parts named anew and keeps the others; each is written when it is there."""
    assert names <= PARTS.keys(), f"the parts are {', '.join(PARTS)}"
    measured = json.loads(RESULTS.read_text()) if names < PARTS.keys() else {}
    for name in PARTS:
        if name in names:
            print(f"measuring: {name}", file=sys.stderr)
            started = time.monotonic()
            measured[name] = PARTS[name]()
            measured.setdefault("runs", {})[name] = {
                "date": datetime.date.today().isoformat(),
                "minutes": (time.monotonic() - started) / 60,
                "load": os.getloadavg()[2],
            }
            measured["machine"] = machine()
            RESULTS.write_text(json.dumps(measured, indent=1, sort_keys=True) + "\n")
    return measured


def mean(measured, one, other):
    """The geometric mean over the layouts of one time to another."""
    return statistics.geometric_mean(layout[one] / layout[other] for layout in measured["layouts"]["nanoseconds"])


def goals(measured):
    """What was to be reached: the key of its note, what it is, the figure, and the most that it may be."""
    time = measured["rust"]
    count = measured["layouts"]["instructions"]
    per_header = {
        function: (cases["headers_1000"] - cases["headers_100"]) / 900
        for function, cases in measured["instructions"].items()
    }
    ours = {subject: time[subject]["headers_12"] for subject in time}
    rows = [
        ("by_hand", "C: `keygate_decide` to the gate by hand", mean(measured, "decide", "by_hand"), 1.25),
        ("floor", "C: `keygate_decide` to the floor", mean(measured, "decide", "floor"), 2.2),
        ("null", "C: instructions without a decision", count["decide"], 355),
        ("told", "C: instructions with a decision", count["decide_told"], 400),
        ("wrong", "C: instructions for a wrong key", count["wrong"], 600),
        ("header_capi", "C: instructions for a further header", per_header["capi"], 6),
        ("any", "C: `match: any`, the right key second, to `first`", mean(measured, "any_second", "decide"), 1.45),
        ("keys", "C: 8 keys to 1", time["capi"]["keys_8"] / time["capi"]["headers_12"], 1.8),
        ("header_decide", "Rust: instructions for a further header, a list", per_header["decide"], 8),
        ("header_push", "Rust: the same, header by header", per_header["push"], 8),
        ("plain", "Rust: `decide` to the plain gate", ours["list"] / ours["plain"], 0.3),
        ("middleware", "Rust: `decide` to the middleware", ours["list"] / ours["middleware"], 0.25),
        ("rego", "Rust: `decide` to Rego, the faster of both", ours["list"] / min(ours["rego"], ours["rego_vm"]), 1 / 300),
        ("rego_map", "Rust: the same, the headers already a map", ours["list"] / ours["rego_vm_map"], 1 / 300),
        ("cedar", "Rust: `decide` to Cedar", ours["list"] / ours["cedar"], 1 / 50),
    ]
    for subject, name in [("capi_verdict", "C"), ("list", "Rust"), ("push", "Rust, header by header")]:
        ratio = time[subject]["headers_1000"] / time[subject]["headers_100"]
        rows.append((f"growth_{subject}", f"{name}: 1,000 headers to 100", ratio, 10.5))
    seconds = {name: units["sec/op"][0] for name, units in measured["go"].items()}
    decide = seconds["KeygateDecide"]
    fiber = seconds["FiberKeyAuth"] - seconds["FiberAlone"]
    rows += [
        ("go_noop", "Go: `DecideRequest` to a bare cgo call", decide / seconds["CgoNoop"], 2.5),
        ("go_echo", "Go: the same to echo's KeyAuth", decide / seconds["EchoKeyAuth"], 0.8),
        ("go_fiber", "Go: the same to fiber's keyauth", decide / fiber, 1),
        ("go_allocations", "Go: allocations", measured["go"]["KeygateDecide"]["allocs/op"][0], 0),
        ("swap", "instructions that lock, in all of the C library", measured["locked"], 0),
    ]
    for host, contents in measured["hosts"].items():
        for content, gates in contents.items():
            if content != "proxied":
                continue
            none = gates["no gate"]
            for gate, most in [("keygate", 0.036), ("keygate, keygate_strip off", 0.029)]:
                share = (gates[gate] - none) / none
                rows.append((f"{host}_share", f"{host}: instructions added, {content}, {gate}", share, most))
    return rows


def figures(measured):
    """What a note may name, by key: the goals' figures, and some that are in no table of goals."""
    named = {key: number(figure) for key, _, figure, _ in goals(measured)}
    counted = {f"count_{name}": number(count) for name, count in measured["layouts"]["instructions"].items()}
    return named | counted


def number(value):
    if value == int(value):
        return f"{int(value):,}"
    if value <= 0.02:
        return f"1/{1 / value:,.0f}"
    return f"{value:.2f}" if value < 100 else f"{value:,.0f}"


def table(head, rows):
    """The first column is text, the others are numbers."""
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def wrapped(text, indent=""):
    return textwrap.fill(text, 110, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def goal_table(measured):
    """The goals, and in footnotes what stands between the figures and those that were not met."""
    notes = json.loads((HERE / "notes.json").read_text())
    named = figures(measured)
    rows, footnotes = [], {}
    for key, what, figure, most in goals(measured):
        met = "yes"
        if figure > most:
            met = f"**no**[^{key}]"
            footnotes[key] = notes.get(key, "not looked into yet.").format_map(named)
        rows.append([what, number(figure), number(most), met])
    lines = [wrapped(f"[^{key}]: {text}", "    ") for key, text in footnotes.items()]
    return "\n".join([table(["goal, 12 headers", "figure", "at most", "met"], rows), "", *lines])


def peer_table(measured):
    """Everything that decides one request of 12 headers, the fastest first."""
    time = measured["rust"]
    rows = [(name, time[subject]["headers_12"]) for subject, name in SUBJECTS.items()]
    for name, units in measured["go"].items():
        rows.append((f"Go: `{name}`", units["sec/op"][0] * 1e9))
    own = time["capi_verdict"]["headers_12"]
    rows.sort(key=lambda row: row[1])
    cells = [[name, number(round(nanoseconds, 1)), number(nanoseconds / own)] for name, nanoseconds in rows]
    return table(["who decides", "ns", "to `keygate_decide`"], cells)


def count_table(measured):
    """What it takes besides."""
    count = measured["layouts"]["instructions"]
    rows = [
        ["C: a C gate written by hand, without and with a decision", f"{number(count['by_hand'])} and {number(count['by_hand_told'])}"],
        ["C: `match: any`, the right key in the second of two headers", number(count["any_second"])],
        ["C: `keygate_policy_drops` of 12 headers, `strip: matched`", number(count["drops"])],
        ["C: `keygate_findings` of a wrong key, which searches 12 headers for it", number(count["search"])],
    ]
    for host, contents in measured["hosts"].items():
        for content, gates in contents.items():
            for gate, instructions in gates.items():
                share = instructions / gates["no gate"] - 1
                rows.append([f"{host}, {content}, {gate}", f"{instructions:,.0f} ({share:+.1%})"])
    return table(["what", "instructions"], rows)


def version(*command):
    return run(list(command)).splitlines()[0].strip()


def machine():
    model = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())[1]
    nginx = subprocess.run(["nginx", "-v"], stderr=subprocess.PIPE, text=True, check=True)
    tools = [
        version("rustc", "--version"),
        version("gcc", "--version"),
        version("go", "version"),
        nginx.stderr.strip(),
        version("valgrind", "--version"),
    ]
    model = f"{model}, {os.cpu_count()} cores"
    return "; ".join([model, *tools])


def conditions(measured):
    """What was measured when, and beside how much other work."""
    runs = "; ".join(
        f"{name} {run['date']}, {run['minutes']:.1f} min, {run['load']:.1f}" for name, run in measured["runs"].items()
    )
    return (
        f"{measured['machine']}. Each part with its date, how long it took with its builds, and the load average "
        f"of the 15 minutes before its end, since other work ran too: {runs}. "
        f"Rust: the best of {ROUNDS} rounds; Go: {GO_ROUNDS} rounds."
    )


def report(measured):
    return "\n\n".join([goal_table(measured), peer_table(measured), count_table(measured), wrapped(conditions(measured))])


def main():
    if "--report" in sys.argv[1:]:  # of what was measured last
        measured = measure(set())
    else:
        measured = measure(set(sys.argv[1:]) or PARTS.keys())
    text = report(measured)
    print(text)
    readme = HERE / "README.md"
    marks = re.compile(r"(<!-- make bench -->\n).*(\n<!-- the end of it -->)", re.S)
    old = readme.read_text()
    assert marks.search(old), "no place for the tables"
    readme.write_text(marks.sub(lambda found: f"{found[1]}\n{text}\n{found[2]}", old))
    lines = [
        (label, colour, [(count, measured["rust"][subject][f"headers_{count}"]) for count in COUNTS])
        for subject, label, colour in DRAWN
    ]
    (HERE / "cost.svg").write_text(plot(lines))


if __name__ == "__main__":
    main()
