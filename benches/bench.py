#!/usr/bin/env python3
"""Measures everything, prints the tables, and writes them and the plot into this folder.

bench.py [--report | PART...]

`make bench` runs it, with what it needs built. With parts named, only these are measured anew; with
--report, none. What a person has to say of the goals that were missed is in notes.json, where {name}
stands for a figure of `figures`; the rest of README.md is left as it is.
"""

import csv
import datetime
import io
import json
import os
import pathlib
import re
import subprocess
import sys
import textwrap
import time

from plot import plot

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
OUT = ROOT / "target/benches"
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
    "plain": "a plain gate written by hand",
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
    ("plain", "plain gate by hand", "#2ca02c"),
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


PARTS = {"instructions": instructions, "locked": locked, "go": go, "hosts": hosts, "rust": rust}


def measure(result, names):
    """Measures the parts named anew and keeps the others; each is written when it is there."""
    assert names <= PARTS.keys(), f"the parts are {', '.join(PARTS)}"
    measured = json.loads(result.read_text()) if names < PARTS.keys() else {}
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
            result.write_text(json.dumps(measured, indent=2) + "\n")
    return measured


def goals(measured):
    """What was to be reached: the key of its note, what it is, the figure, and the most that it may be."""
    time = measured["rust"]
    per_header = {
        function: (cases["headers_1000"] - cases["headers_100"]) / 900
        for function, cases in measured["instructions"].items()
    }
    ours = {subject: time[subject]["headers_12"] for subject in time}
    rows = [
        ("floor", "`keygate_decide`, 12 headers, to the floor", ours["capi_verdict"] / ours["floor"], 2),
        ("plain", "`decide` to the plain gate", ours["list"] / ours["plain"], 0.3),
        ("middleware", "`decide` to the middleware", ours["list"] / ours["middleware"], 0.25),
        ("rego", "`decide` to Rego, the faster of both", ours["list"] / min(ours["rego"], ours["rego_vm"]), 1 / 300),
        ("rego_map", "`decide` to Rego, the headers already a map", ours["list"] / ours["rego_vm_map"], 1 / 300),
        ("cedar", "`decide` to Cedar", ours["list"] / ours["cedar"], 1 / 50),
    ]
    names = {"decide": "a list", "push": "header by header", "capi": "C"}
    for function, name in names.items():
        what = f"instructions for a further uninteresting header, {name}"
        rows.append((f"header_{function}", what, per_header[function], 8))
    for subject, name in [("list", "a list"), ("push", "header by header"), ("capi_verdict", "C")]:
        ratio = time[subject]["headers_1000"] / time[subject]["headers_100"]
        rows.append((f"growth_{subject}", f"1,000 headers to 100, {name}", ratio, 10.5))
    if measured["go"]:
        seconds = {name: units["sec/op"][0] for name, units in measured["go"].items()}
        decide = seconds["KeygateDecide"]
        fiber = seconds["FiberKeyAuth"] - seconds["FiberAlone"]
        allocations = measured["go"]["KeygateDecide"]["allocs/op"][0]
        rows += [
            ("go_noop", "Go `DecideRequest` to a bare cgo call", decide / seconds["CgoNoop"], 3),
            ("go_allocations", "Go `DecideRequest`, allocations", allocations, 0),
            ("go_echo", "Go `DecideRequest` to echo's KeyAuth", decide / seconds["EchoKeyAuth"], 1),
            ("go_fiber", "Go `DecideRequest` to fiber's keyauth", decide / fiber, 1),
        ]
    rows.append(("swap", "instructions that lock, in all of the C library: a swapped policy is read by one load", measured["locked"], 0))
    for host, contents in measured["hosts"].items():
        for content, gates in contents.items():
            none = gates["no gate"]
            native = gates["map and if"] - none
            for gate, count in gates.items():
                if not gate.startswith("keygate"):
                    continue
                what = f"{host}, {content}, {gate}: instructions added"
                rows += [
                    (f"{host}_share", f"{what}, to those without a gate", (count - none) / none, 0.02),
                    (f"{host}_native", f"{what}, to those that the native check adds", (count - none) / native, 1),
                ]
    return rows


def figures(measured):
    """What a note may name, by key: the goals' figures, and some that are in no table of goals."""
    named = {key: number(figure) for key, _, figure, _ in goals(measured)}
    return named | {"instructions_capi": number(measured["instructions"]["capi"]["headers_12"])}


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
    rows = [
        [what, number(figure), number(most), "yes" if figure <= most else "**no**"]
        for _, what, figure, most in goals(measured)
    ]
    return table(["goal", "figure", "at most", "met"], rows)


def missed(measured):
    """A list of what stands between the figures and the goals that were not met."""
    notes = json.loads((HERE / "notes.json").read_text())
    named = figures(measured)
    lines = []
    for key, what in {key: what for key, what, figure, most in goals(measured) if figure > most}.items():
        goal, text = notes.get(key, [what, "not looked into yet."])
        lines.append(wrapped(f"- {goal}: {text.format_map(named)}", "  "))
    return "\n".join(["What stands between the figures and the goals that were not met:\n", *lines])


def time_table(time):
    rows = []
    for subject, name in SUBJECTS.items():
        cells = []
        for count in COUNTS:
            case = f"headers_{count}"
            ratio = time[subject][case] / time["floor"][case]
            cells.append(f"{number(ratio)} ({number(round(time[subject][case], 1))})")
        rows.append([name, *cells])
    return table(["to the floor (ns)", *(f"{count:,}" for count in COUNTS)], rows)


def case_table(time, counts):
    floor = time["floor"]["headers_12"]
    by_time = {"C": "capi", "a list": "list", "header by header": "push", "explained": "explain"}
    by_count = {"C": "capi", "a list": "decide", "header by header": "push"}
    rows = []
    size = lambda case: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", case)]
    for case in sorted(time["capi"], key=size):
        cells = [time[subject].get(case) for subject in by_time.values()]
        cells = ["" if cell is None else number(cell / floor) for cell in cells]
        counted = "secret_last_byte" if case == "key_mismatch" else case
        counted = "keys_8_last" if case == "keys_8" else counted
        for function in by_count.values():
            found = counts[function].get(counted)
            cells.append("" if found is None else number(found))
        rows.append([f"`{case}`", *cells])
    head = ["case", *by_time, *(f"instructions, {name}" for name in by_count)]
    return table(head, rows)


def go_table(go):
    noop = go["CgoNoop"]["sec/op"][0]
    rows = []
    for name, units in sorted(go.items(), key=lambda item: item[1]["sec/op"][0]):
        seconds, spread = units["sec/op"]
        allocations = units["allocs/op"][0]
        rows.append([f"`{name}`", number(seconds / noop), f"{seconds * 1e9:.0f} ± {spread}", number(allocations)])
    return table(["Go, 12 headers", "to a bare cgo call", "ns", "allocations"], rows)


def host_table(hosts):
    rows = []
    for host, contents in hosts.items():
        for content, gates in contents.items():
            none = gates["no gate"]
            for gate, count in gates.items():
                rows.append([f"{host}, {content}, {gate}", f"{count:,.0f}", f"{count - none:+,.0f}", f"{count / none - 1:+.2%}"])
    return table(["host", "instructions a request", "over no gate", "share"], rows)


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
    time = measured["rust"]
    return "\n\n".join(
        [
            wrapped(conditions(measured)),
            goal_table(measured),
            missed(measured),
            "![Time of a decision against the number of headers](cost.svg)",
            time_table(time),
            case_table(time, measured["instructions"]),
            go_table(measured["go"]),
            host_table(measured["hosts"]),
        ]
    )


def main():
    result = OUT / "bench.json"
    if "--report" in sys.argv[1:]:  # of what was measured last
        measured = measure(result, set())
    else:
        measured = measure(result, set(sys.argv[1:]) or PARTS.keys())
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
