"""Proves the machine code of libkeygate.so against the policy, or refutes it."""

import argparse
import multiprocessing
import os
import sys
import time
from pathlib import Path

import checks


def run(task):
    path, check, arguments = task
    return getattr(checks, check)(path, *arguments)


def prove(path, tasks):
    work = [(path, check.__name__, arguments) for check, arguments in tasks]
    with multiprocessing.Pool(os.cpu_count()) as pool:
        for result in pool.imap_unordered(run, work):
            verdict = "refuted" if result.refuted else "proved"
            print(f"{result.name:<48} {result.paths:>6} {result.seconds:>8.1f}  {verdict}", flush=True)
            for text in result.refuted:
                print(f"    {text}", flush=True)
            yield result


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("library", type=Path)
    parser.add_argument("--fast", action="store_true", help="the subset that takes a few minutes at most")
    parser.add_argument("--only", default="", help="checks whose name holds this")
    arguments = parser.parse_args()
    started = time.monotonic()
    tasks = [t for t in checks.tasks(arguments.fast) if arguments.only in f"{t[0].__name__}{t[1]}"]
    print(f"{'check':<48} {'paths':>6} {'seconds':>8}  result")
    results = list(prove(str(arguments.library.resolve()), tasks))
    refuted = sum(bool(result.refuted) for result in results)
    paths = sum(result.paths for result in results)
    print(f"{paths} paths in {time.monotonic() - started:.0f} s")
    print(f"{len(results) - refuted} passed, {refuted} failed")
    return 1 if refuted or not results else 0


if __name__ == "__main__":
    sys.exit(main())
