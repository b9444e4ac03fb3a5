"""Branches of src/ that no test takes: python3 coverage.py REPORT, a JSON report of cargo-llvm-cov.

Fails where one is not among those with a reason below."""

import json
import sys
from pathlib import Path

REASONED = {
    ("config_buf.rs", "if list.push(item).is_err() {"): "never true: both sides have the same capacity",
}
# What C calls is tested from C, outside of cargo test: tests/c.
ELSEWHERE = {"ffi.rs"}


def main():
    branches, gaps = 0, 0
    for file in json.loads(Path(sys.argv[1]).read_text())["data"][0]["files"]:
        path = Path(file["filename"])
        name = str(path).rsplit("/src/", 1)[1]
        if name in ELSEWHERE:
            continue
        taken = {}
        for line, column, _, _, true, false, *_ in file["branches"]:
            seen = taken.setdefault((line, column), [0, 0])
            seen[0] += true
            seen[1] += false
        lines = path.read_text().splitlines()
        for (line, _), seen in sorted(taken.items()):
            branches += 2
            text = lines[line - 1].strip()
            for side, count in zip(("true", "false"), seen):
                if count == 0:
                    reason = REASONED.get((name, text))
                    gaps += reason is None
                    print(f"{name}:{line}: never {side}: {text}  ({reason or 'NO REASON'})")
    print(f"{branches} branches outside {', '.join(sorted(ELSEWHERE))}, {gaps} not taken without a reason")
    sys.exit(gaps != 0 or branches == 0)


main()
