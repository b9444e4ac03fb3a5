"""Branches of src/ that no test takes: the Rust tests by cargo-llvm-cov, and the C library by its
callers in tests/c, each branch counted over both. Fails where one is not among those with a reason
below. With --controls it plants branches that no test takes, and fails where one is not found.

The Makefile says where the tools are: CARGO_LLVM_COV, LLVM_COV, LLVM_PROFDATA."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
WORK = ROOT / "target/coverage"

sys.path.insert(0, str(HERE / "plant"))
import plant  # noqa: E402

# Of the slots of the texts, while the core is compiled: where one is wrong, it does not compile.
COMPILED = [
    "while let [first, after @ ..] = rest {",
    "if *first == b'{' {",
    "while row < Self::NAMES.len() {",
    "while at < name.len() && at < text.len() && name[at] == text[at] {",
    "if at == name.len() && at < text.len() && text[at] == b'}' {",
]
REASONED = {("template.rs", text): "decided while the core is compiled" for text in COMPILED} | {
    ("text.rs", "if let Some(slot) = Slot::named(slot) {"):
        "never false: a text with an unknown slot does not compile",
    ("policy.rs", "let Ok(label) = Vec::from_slice(key.label) else {"):
        "never false: the configuration has refused a label that is too long",
    ("policy.rs", "let Some(name) = Name::new(source.name) else {"):
        "never false: the configuration has refused a name that is empty or too long",
}
CALLS = "1000000"  # random ones of tests/c/hostile.c


def run(*command, tree, **environment):
    command = [str(word) for word in command]
    environment = os.environ | {"CARGO_TARGET_DIR": str(WORK), "RUSTC_BOOTSTRAP": "1"} | environment
    done = subprocess.run(
        command, cwd=tree, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{done.stdout}")


def from_rust(tree):
    report = WORK / "rust.json"
    run(os.environ["CARGO_LLVM_COV"], "llvm-cov", "--branch", "--locked", "--package", "keygate", "--all-features",
        "--tests", "--json", "--output-path", report, tree=tree)
    return report


def from_c(tree):
    """The archive holds rustc's own profiler, which the option of the linker starts."""
    work, report = WORK / "c", WORK / "c.json"
    for old in work.glob("*.profraw"):
        old.unlink()
    run("cargo", "rustc", "--locked", "--profile", "capi", "--lib", "--features", "capi", "--crate-type", "staticlib",
        "--", "-Cinstrument-coverage", "-Zcoverage-options=branch", tree=tree)
    run(tree / "tests/c/callers", WORK / "capi/libkeygate.a", work, CALLS, "-u", "__llvm_profile_runtime",
        tree=tree, LLVM_PROFILE_FILE=str(work / "%p.profraw"))
    run(os.environ["LLVM_PROFDATA"], "merge", "-sparse", *work.glob("*.profraw"), "-o", work / "profdata", tree=tree)
    with report.open("w") as out:
        subprocess.run([os.environ["LLVM_COV"], "export", work / "vectors", "-object", work / "hostile",
                        f"-instr-profile={work / 'profdata'}"], stdout=out, check=True)
    return report


def branches(reports, source):
    """How often each branch of a file below source went either way."""
    taken = {}
    for report in reports:
        for file in json.loads(report.read_text())["data"][0]["files"]:
            path = Path(file["filename"])
            if not path.is_relative_to(source):
                continue
            for line, column, _, _, true, false, *_ in file["branches"]:
                seen = taken.setdefault((path, line, column), [0, 0])
                seen[0] += true
                seen[1] += false
    return taken


def gaps(tree):
    """The sides never taken, as (file, text, what to print), and how many sides there are."""
    taken, found = branches((from_rust(tree), from_c(tree)), tree / "src"), []
    for (path, line, _), seen in sorted(taken.items()):
        text = path.read_text().splitlines()[line - 1].strip()
        for side, count in zip(("true", "false"), seen):
            if count == 0:
                found.append((path.name, text, f"{path.relative_to(tree)}:{line}: never {side}: {text}"))
    return found, 2 * len(taken)


def controls():
    faults, tree = plant.faults("coverage"), plant.copy("coverage")
    with plant.planted(tree, [edit for fault in faults for edit in fault["edits"]]) as problem:
        if problem:
            sys.exit(problem)
        done = subprocess.run([sys.executable, tree / "tests/coverage.py"], env=plant.ENVIRONMENT, stdout=subprocess.PIPE, text=True)
    missed = [fault["name"] for fault in faults if not re.search(fault["coverage"], done.stdout, re.M)]
    print(f"{len(faults) - len(missed)} of {len(faults)} planted branches found; not: {', '.join(missed) or 'none'}")
    sys.exit(bool(missed) or done.returncode == 0)


def main():
    if "--controls" in sys.argv:
        controls()
    found, count = gaps(ROOT)
    for name, text, row in found:
        print(f"{row}  ({REASONED.get((name, text), 'NO REASON')})")
    bare = sum((name, text) not in REASONED for name, text, _ in found)
    print(f"{count - len(found)} of {count} branches taken; {bare} not taken without a reason")
    sys.exit(bare != 0 or count == 0)


main()
