#!/usr/bin/env python3
"""Build the firmware for both machines at two levels of optimisation, run it, print the figures.

run.py [--only NAME]
run.py --controls [NAME...]   plants faults (only these), each of which must turn a run red for its reason
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
OUT = ROOT / "target" / "firmware"
sys.path.insert(0, str(ROOT / "tests" / "plant"))
import plant  # noqa: E402

PACKAGES = "gcc-arm-none-eabi gcc-riscv64-unknown-elf qemu-system-arm qemu-system-misc".split()

MACHINES = {
    "cortex-m4f": {
        "target": "thumbv7em-none-eabihf",
        "tools": "arm-none-eabi-",
        "cflags": ["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"],
        "ldflags": [],
        "qemu": ["qemu-system-arm", "-M", "mps2-an386"],
    },
    "riscv32": {
        "target": "riscv32imac-unknown-none-elf",
        "tools": "riscv64-unknown-elf-",
        "cflags": ["-march=rv32imac_zicsr", "-mabi=ilp32", "-mcmodel=medany"],
        "ldflags": ["-melf32lriscv"],
        "qemu": ["qemu-system-riscv32", "-M", "virt", "-bios", "none"],
    },
}
LEVELS = ("s", "3")

FROM_A_LIST = {"keygate_decide"}
HEADER_BY_HEADER = {f"keygate_evaluation_{name}" for name in ("begin", "push", "finish")}
DECIDING = FROM_A_LIST | HEADER_BY_HEADER
SETTING_UP = {"keygate_policy_init", "keygate_policy_wipe"}
EXPLANATION = {"keygate_explain", "keygate_findings", "keygate_finding_text"}


class Failed(Exception):
    pass


def run(*command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    if done.returncode:
        raise Failed(f"{command[0]} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def library(machine, level):
    built = OUT / "cargo"
    target = machine["target"]
    environment = dict(os.environ, RUSTC="/usr/bin/rustc", RUSTC_BOOTSTRAP="1", CARGO_PROFILE_CAPI_OPT_LEVEL=level)
    environment.pop("RUSTFLAGS", None)
    run(
        os.environ.get("CARGO", "cargo"), "rustc", "--locked", "--profile", "capi", "--lib", "--features", "capi",
        "--crate-type", "staticlib", "--target", target, "-Zbuild-std=core", "--target-dir", built,
        cwd=ROOT, env=environment,
    )  # fmt: skip
    return built / target / "capi" / "libkeygate.a"


def sizes(machine, work, archive):
    """Bytes of code and constants that each part of the library comes to, linked alone."""
    tools = machine["tools"]
    # The second half of the archive, Rust's own, says that it has no symbols: hence the warning.
    symbols = run(f"{tools}nm", "--defined-only", archive).split()
    exported = {name for kind, name in zip(symbols, symbols[1:]) if kind == "T" and name.startswith("keygate_")}
    if not DECIDING | SETTING_UP | EXPLANATION <= exported:
        raise Failed("the library does not export what it should")
    parts = {
        "code, deciding header by header": HEADER_BY_HEADER,
        "code, deciding from a list": FROM_A_LIST,
        "code, both": DECIDING,
        "code, with setting up": DECIDING | SETTING_UP,
        "code, all but the explanation": exported - EXPLANATION,
        "code, everything": exported,
    }
    figures = {}
    for part, names in parts.items():
        wanted = [word for name in sorted(names) for word in ("-u", name)]
        alone = work / "alone.elf"
        link = [f"{tools}ld", *machine["ldflags"], "--gc-sections", "-e", min(names), *wanted, archive]
        try:
            run(*link, "-o", alone)
        except Failed as failed:
            # A panic that the optimiser cannot rule out.
            if part != "code, everything" or "keygate_a_panic_can_be_reached" not in str(failed):
                raise
            figures[part] = "does not link"
            figures["why"] = str(failed)
            continue
        text, data, bss = (int(word) for word in run(f"{tools}size", alone).splitlines()[1].split()[:3])
        if data or bss:
            raise Failed(f"FAILED the library has RAM of its own: {data} and {bss} bytes")
        figures[part] = text
        figures["RAM, the library's own"] = data + bss
    return figures


def firmware(name, level):
    machine = MACHINES[name]
    work = OUT / f"{name}-{level}"
    work.mkdir(parents=True, exist_ok=True)
    archive = shutil.copy(library(machine, level), work / "libkeygate.a")
    figures = sizes(machine, work, archive)
    why = figures.pop("why", None)
    if why and level == "3":
        raise Failed(why)
    defines = [] if why else ["-DEXPLANATION"]
    run(sys.executable, ROOT / "tests/vectors/table.py", work / "table.c")
    sources = [f"{file}.c" for file in ("main", "vectors", "heads", "instructions", "stack", "gate", "head", "output", "semihosting", name)]
    image = work / "firmware.elf"
    run(
        f"{machine['tools']}gcc", *machine["cflags"], "-std=c11", "-O2", "-Wall", "-Wextra", "-Werror",
        "-ffreestanding", "-nostdlib", "-ffunction-sections", "-Wl,--gc-sections,-z,noexecstack", *defines,
        "-I", HERE, "-I", ROOT / "include", "-I", ROOT / "tests/vectors",
        *(HERE / file for file in sources), work / "table.c", archive,
        "-L", HERE, "-T", HERE / f"{name}.ld", "-o", image,
    )  # fmt: skip
    # One instruction takes 2^8 ns of the machine's time, whatever it is: a count, not a duration.
    emulated = subprocess.run(
        [*machine["qemu"], "-display", "none", "-serial", "none", "-monitor", "none", "-semihosting-config",
         "enable=on,target=native", "-icount", "shift=8,sleep=off", "-kernel", str(image)],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    said = emulated.stdout + emulated.stderr
    if emulated.returncode:
        raise Failed(f"{said}the firmware ended with {emulated.returncode}")
    for line in said.splitlines():
        key, _, value = line.rpartition(" ")
        figures[key] = int(value)
    if figures.get("failures") != 0:
        raise Failed(f"{said}no summary")
    return figures


def table(columns):
    rows = list(dict.fromkeys(row for figures in columns.values() for row in figures))
    yield "| | " + " | ".join(columns) + " |"
    yield "|---|" + "---:|" * len(columns)
    for row in rows:
        yield f"| {row} | " + " | ".join(str(figures.get(row, "-")) for figures in columns.values()) + " |"


def check(only):
    columns = {}
    for name in MACHINES:
        for level in LEVELS:
            if only in (None, name, f"{name}-{level}"):
                columns[f"{name} -{level}"] = firmware(name, level)
    print("\n".join(table(columns)))


def check_controls(names):
    faults, tree = plant.faults("firmware", names), plant.copy("firmware")
    for fault in faults:
        with plant.planted(tree, fault["edits"]) as problem:
            if problem:
                raise SystemExit(f"{fault['name']}: {problem}")
            for name in MACHINES:
                # Where the library is rebuilt, at the level that it ships with.
                command = [sys.executable, tree / "bindings/firmware/run.py", "--only", f"{name}-3"]
                done = subprocess.run(command, env=plant.ENVIRONMENT, capture_output=True, text=True)
                seen = [line for line in done.stderr.splitlines() if re.search(fault["firmware"], line)]
                if done.returncode == 0 or not seen:
                    raise SystemExit(f"{name}: {fault['name']} went unseen\n{done.stdout}{done.stderr}")
                print(f"{name}: {fault['name']} is red: {seen[0]}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="NAME", help="cortex-m4f, riscv32, or one with -s or -3")
    parser.add_argument("--controls", nargs="*", metavar="NAME")
    arguments = parser.parse_args()
    if subprocess.run([ROOT / "tests" / "cross" / "install", *PACKAGES]).returncode:
        sys.exit(1)
    try:
        if arguments.controls is not None:
            check_controls(arguments.controls)
        else:
            check(arguments.only)
    except Failed as failed:
        sys.exit(str(failed))


main()
