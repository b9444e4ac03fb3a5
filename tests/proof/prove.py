"""Proves the machine code of libkeygate.so against the policy, or refutes it."""

import argparse
import multiprocessing
import os
import sys
import time
from pathlib import Path

import checks

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "plant"))
import plant  # noqa: E402


def run(task):
    path, check, arguments = task
    return getattr(checks, check)(path, *arguments)


def prove(path, tasks):
    work = [(path, check.__name__, arguments) for check, arguments in tasks]
    # A process keeps what it has learnt: new ones now and then keep the memory within bounds.
    with multiprocessing.Pool(os.cpu_count(), maxtasksperchild=8) as pool:
        for result in pool.imap_unordered(run, work):
            verdict = "refuted" if result.refuted else "proved"
            print(f"{result.name:<48} {result.paths:>6} {result.seconds:>8.1f}  {verdict}", flush=True)
            for text in result.refuted:
                print(f"    {text}", flush=True)
            yield result


def label(check, arguments):
    """What --only looks at, and what a fault names."""
    return checks.SHAPES[arguments[0]].name if check is checks.whole else f"{check.__name__}{arguments}"


def report(results):
    results = list(results)
    refuted = sum(bool(result.refuted) for result in results)
    print(f"{sum(result.paths for result in results)} paths, {sum(result.seconds for result in results):.0f} s of processor")
    print(f"{len(results) - refuted} passed, {refuted} failed")
    return 1 if refuted or not results else 0


def controls(only):
    """Every planted fault has to be refuted."""
    missed = []
    faults = [fault for fault in plant.faults("proof") if only in fault["name"]]
    for fault in faults:
        library = str(plant.libraries(fault) / "libkeygate.so")
        print(f"\n{fault['name']}", flush=True)
        tasks = [task for task in checks.tasks(fast=False) if label(*task) in fault["proof"]]
        results = [check(library, *arguments) for check, arguments in tasks]
        for result in results:
            print(f"    {result.name}: {(result.refuted or ['NOT REFUTED'])[0]}", flush=True)
        if len(tasks) != len(fault["proof"]) or not all(result.refuted for result in results):
            missed.append(fault["name"])
    print(f"\n{len(faults) - len(missed)} passed, {len(missed)} failed")
    return 1 if missed or not faults else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("library", type=Path, nargs="?")
    parser.add_argument("--fast", action="store_true", help="the subset that takes a few minutes at most")
    parser.add_argument("--only", default="", help="checks, or faults, whose name holds this")
    parser.add_argument("--controls", action="store_true", help="plant faults and see each refuted")
    arguments = parser.parse_args()
    if arguments.controls:
        return controls(arguments.only)
    tasks = [task for task in checks.tasks(arguments.fast) if arguments.only in label(*task)]
    started = time.monotonic()
    print(f"{'check':<48} {'paths':>6} {'seconds':>8}  result")
    status = report(prove(str(arguments.library.resolve()), tasks))
    print(f"{time.monotonic() - started:.0f} s in all")
    return status


if __name__ == "__main__":
    sys.exit(main())
