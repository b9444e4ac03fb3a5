"""Checks under valgrind that nothing but the verdict depends on a key. See README.md."""

import argparse
import os
import re
import subprocess
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PLACE = ROOT / "target" / "constant_time"
sys.path.insert(0, str(ROOT / "tests/plant"))
import plant  # noqa: E402

ASKED = 3
# As the C libraries are built, and every other level.
LEVELS = ("capi", "1", "2", "3", "s", "z")


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{' '.join(map(str, command))}: {done.stderr[-2000:]}"
    return done.stdout


def library(level):
    target = ROOT / "target" if level == "capi" else PLACE / f"opt-{level}"
    environment = os.environ | {"CARGO_TARGET_DIR": str(target)}
    if level != "capi":
        environment["CARGO_PROFILE_CAPI_OPT_LEVEL"] = level
    run(
        *"cargo rustc --quiet --locked --profile capi --lib --features capi --crate-type staticlib".split(),
        cwd=ROOT, env=environment,
    )
    return target / "capi" / "libkeygate.a"


def driver(name, archive):
    PLACE.mkdir(parents=True, exist_ok=True)
    program = PLACE / f"driver-{name}"
    # Symbols are bound at the start, or the first call counts the linker's work too.
    flags = "-O1 -g -Wall -Wextra -Werror -Wl,-z,now".split()
    run("cc", *flags, f"-I{ROOT / 'include'}", HERE / "driver.c", archive, "-o", program)
    return program


def memcheck(program):
    """Complaints by where they are, and faults by what they are."""
    log = program.with_suffix(".memcheck")
    # Without chasing: valgrind would take two branches to one target for a single one.
    output = run(
        "valgrind", "-q", "--error-limit=no", "--vex-guest-chase=no", f"--log-file={log}", program, "memcheck",
    )
    calls = Counter(re.findall(r"^errors (\d) (\d) (\d+)$", output, re.M))
    asked = defaultdict(set)
    of_groups = re.findall(r"^asked (\d+) (.*)$", output, re.M)
    for errors, group in of_groups:
        asked[group].add(int(errors))
    (cases,) = map(int, re.findall(r"^cases (\d+)$", output, re.M))
    assert cases == sum(calls.values()) + len(of_groups) and calls and asked, "the driver did not finish"
    # Where each complaint is, by the driver's line that called the library: one for each way in.
    places = defaultdict(set)
    for complaint in re.split(r"^==\d+== $", log.read_text(), flags=re.M):
        place = re.search(r" at (0x[0-9A-F]+: \S+)", complaint)
        if place:
            caller = re.search(r": (decide|answer|explain) \(driver\.c:(\d+)\)", complaint)
            # An explanation says much, and branches at as many places.
            if caller is None or caller[1] != "explain":
                places[caller and caller.groups()].add(place[1])
    faults = []
    by_verdict = defaultdict(set)
    for (verdict, possible, errors), _ in calls.items():
        by_verdict[verdict, possible].add(int(errors))
    for (verdict, possible), errors in by_verdict.items():
        # A length that no key can have is denied without a look at any.
        most = 1 if possible == "1" else 0
        if max(errors) > most:
            faults.append(f"{sorted(errors)} branches or addresses on a key in one call, at most {most} on the verdict")
    for caller, found in places.items():
        # Where any source may decide, what came of one is asked up to three times: what to say of it,
        # whether it is better than what there was, and whether it settles the matter.
        if caller is None or len(found) > {"decide": 1, "answer": ASKED}[caller[0]]:
            faults.append(f"{len(found)} places in a call from {caller}: {', '.join(sorted(found))}")
    for group, errors in asked.items():
        # On whether a value is a key, of which there are two; an explanation branches on what it says.
        most = {"decide": 2 * ASKED, "push": 2 * ASKED, "drops": 1}.get(group.split(",")[0], max(errors))
        if len(errors) > 1 or max(errors) > most:
            faults.append(f"{sorted(errors)} branches or addresses on a key in one group: {group}")
    every = set().union(*places.values())
    complaints = sum(int(errors) * times for (_, _, errors), times in calls.items()) + sum(int(one) for one, _ in of_groups)
    return cases, complaints, len(every), faults


def callgrind(program):
    """Instructions by request and verdict, which no key may change."""
    dumps = program.with_suffix(".callgrind")
    dumps.unlink(missing_ok=True)
    output = run(
        "valgrind", "-q", "--tool=callgrind", "--collect-atstart=no", "--combine-dumps=yes",
        f"--callgrind-out-file={dumps}", program, "callgrind",
    )
    (cases,) = map(int, re.findall(r"^cases (\d+)$", output, re.M))
    groups = defaultdict(list)
    for group, count in re.findall(
        r"^desc: Trigger: Client Request: (.*)$(?:\n(?!desc: Trigger).*)*?\n(?:summary|totals): (\d+)$", dumps.read_text(), re.M
    ):
        groups[group].append(int(count))
    assert sum(map(len, groups.values())) == cases > 0, "not every call was counted"
    assert all(min(counts) > 100 for counts in groups.values()), "the calls were not counted"
    faults = [
        f"{group}: {len(set(counts))} counts, {min(counts)} to {max(counts)} instructions"
        for group, counts in groups.items()
        if len(set(counts)) > 1
    ]
    # Whether a value is dropped is found by as many steps, whatever it is by; what is asked after that is not.
    steps = {
        min(counts) - min(groups[group.replace("kept", "dropped")]) for group, counts in groups.items() if ", kept" in group
    }
    if len(steps) != 1:
        faults.append(f"values are dropped in {sorted(steps)} instructions less than they are kept")
    return cases, groups, faults


def check(name, archive, counting=True):
    started = time.monotonic()
    program = driver(name, archive)
    cases, complaints, places, faults = memcheck(program)
    line = f"{name:<8} memcheck: {cases} decisions, {complaints} branches on the verdict, {places} place(s)"
    if counting:
        counted, groups, more = callgrind(program)
        faults += more
        exact = ", ".join(f"{sorted(set(counts))}" for group, counts in groups.items() if group.startswith("1 keys, 35 bytes, decide"))
        line += f"; callgrind: {counted} decisions in {len(groups)} groups, 1 key and 35 bytes {exact}"
    print(f"{line}; {time.monotonic() - started:.0f} s", flush=True)
    for fault in faults[:6]:
        print(f"    {fault}", flush=True)
    return faults


def controls():
    missed = 0
    faults = plant.faults("leaks")
    for fault in faults:
        archive = plant.libraries(fault) / "libkeygate.a"
        print(fault["name"])
        if not check("planted", archive):
            print("    NOT SEEN")
            missed += 1
    print(f"{len(faults) - missed} passed, {missed} failed")
    return missed


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--controls", action="store_true", help="plant faults that leak a key and see each found")
    parser.add_argument("--level", choices=LEVELS, action="append", help="only this optimisation level")
    arguments = parser.parse_args()
    if arguments.controls:
        return 1 if controls() else 0
    levels = arguments.level or LEVELS
    failed = sum(bool(check(level, library(level))) for level in levels)
    print(f"{len(levels) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
