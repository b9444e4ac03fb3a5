#!/usr/bin/env python3
"""Plants the faults that tests of the hosts must notice, one at a time, in a copy of the tree, builds
the hosts there and runs the tests that must go red. With the copy as it is they must be green.
`controls.py NAME...` plants only these.

Fails where a fault does not apply, does not build, or leaves one of its tests green, and where tests
end in any other way than with a test that failed."""

import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/plant"))
import plant  # noqa: E402

SDK = ("test_sdk.py",)
ENVIRONMENT = plant.ENVIRONMENT | {"GODEBUG": "cgocheck=1"}
# The ways in which a host that does not run fails its tests.
NOT_RUNNING = ("instead of listening", "nothing listens on", "raise Refused(")


def copy():
    """The tree. What run.sh installs is shared: it does not depend on the tree's sources."""
    tree, installed = plant.copy("hosts"), ROOT / "target/hosts"
    installed.mkdir(parents=True, exist_ok=True)
    link = tree / "target/hosts"
    link.parent.mkdir(exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(installed)
    return tree


def run(*command, folder, **environment):
    return subprocess.run(
        command, cwd=folder, env=ENVIRONMENT | environment,
        text=True, errors="replace", stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )


def build(tree, checks):
    """The hosts that the checks ask, and the command line, whose reader adapters use. Returns what
    went wrong, or None."""
    commands = [("make", host) for host in sorted({host for host, _, _ in checks})]
    for command in (*commands, ("cargo", "build", "--locked", "--package", "keygate-cli")):
        made = run(*command, folder=tree)
        if made.returncode != 0:
            return f"DOES NOT BUILD\n{made.stdout}"
    return None


def by_pytest(output):
    """How many passed, and how many failed."""
    summary = output.rstrip().rpartition("\n")[2]
    return (sum(map(int, re.findall(rf"(\d+) {word}", summary))) for word in ("passed", "failed"))


def check(tree, host, where, what):
    """Runs the tests. Returns how many passed, how many failed and the output, or how else they ended."""
    status = 1  # where a test fails
    if where.endswith(".py"):
        requirements = "requirements-sdk.txt" if where in SDK else "requirements.txt"
        result = run("./run.sh", requirements, where, "-k", what, folder=tree / "tests/hosts", KEYGATE_HOSTS=host)
        passed, failed = by_pytest(result.stdout)
    elif where.endswith(".mjs"):
        folder = tree / "bindings" / host / "tests"
        run("make", f"bindings/{host}/tests/node_modules", folder=tree)
        result = run("node", "--test", "--test-reporter=tap", f"--test-name-pattern={what}", where, folder=folder)
        passed, failed = (len(re.findall(rf"(?m)^{word} \d+ .*(?<!pattern)$", result.stdout)) for word in ("ok", "not ok"))
    elif host == "python":
        tests = ("-B", "-m", "pytest", "-p", "no:cacheprovider", "-q", f"bindings/python/tests/{where}.py", "-k", what)
        result = run(tree / "target/python/env/bin/python", *tests, folder=tree)
        passed, failed = by_pytest(result.stdout)
    elif ((folder := tree / "bindings" / host) / "Cargo.toml").exists():
        result = run("cargo", "test", "--locked", "--all-features", "--test", where, what, folder=folder)
        passed, failed = (sum(map(int, re.findall(rf"(\d+) {word};", result.stdout))) for word in ("passed", "failed"))
        status = 101
    else:
        tags = ("-tags", "keygate_wasm") if host == "go-wasm" else ()
        result = run("go", "test", *tags, "-count=1", "-v", "-timeout=300s", "-run", f"^({what})$", where, folder=tree / "bindings/go")
        passed, failed = (len(re.findall(rf"(?m)^--- {word}: ", result.stdout)) for word in ("PASS", "FAIL"))
    ended_well = result.returncode == (status if failed else 0) and passed + failed > 0
    if not ended_well or any(text in result.stdout for text in NOT_RUNNING):
        return f"ENDED WITH {result.returncode}\n{result.stdout}"
    return passed, failed, result.stdout


def outcome(tree, fault):
    """Has the hosts built and asked. One text for each of the fault's checks."""
    problem = build(tree, fault["checks"])
    if problem:
        return [problem] * len(fault["checks"])
    texts = []
    for one in fault["checks"]:
        result = check(tree, *one)
        if isinstance(result, tuple):
            passed, failed, _ = result
            result = f"caught: {failed} of {passed + failed}" if failed else "SURVIVED"
        texts.append(result)
    return texts


def main():
    faults = plant.faults("checks", sys.argv[1:])
    begun = time.monotonic()
    tree = copy()

    checks = sorted({tuple(one) for fault in faults for one in fault["checks"]})
    problem = build(tree, checks)
    if problem:
        sys.exit(f"the tree as it is {problem}")
    for one in checks:
        result = check(tree, *one)
        if isinstance(result, str) or result[1]:
            sys.exit(f"the tree as it is does not pass {' '.join(one)}: {result if isinstance(result, str) else result[2]}")

    rows, survived = [], 0
    for fault in faults:
        with plant.planted(tree, fault["edits"]) as problem:
            texts = [problem] * len(fault["checks"]) if problem else outcome(tree, fault)
        survived += not all(text.startswith("caught") for text in texts)
        for (host, where, what), text in zip(fault["checks"], texts, strict=True):
            rows.append((fault["name"], fault.get("like", "-"), host, f"{where}: {what}", text))
            print(f"{text}: {fault['name']}, {host}, {where}", file=sys.stderr, flush=True)

    print("| fault | like | host | tests | |\n|---|---|---|---|---|")
    for row in rows:
        print("|", " | ".join(text.partition("\n")[0] for text in row), "|")
    print(f"{len(faults) - survived} of {len(faults)} planted faults caught in {time.monotonic() - begun:.0f} s")
    sys.exit(survived != 0)


if __name__ == "__main__":
    main()
