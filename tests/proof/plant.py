"""Builds the library with one fault planted in a copy of its source."""

import fcntl
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLACE = ROOT / "target" / "planted"
NOT_COPIED = shutil.ignore_patterns("target", ".git", "node_modules", "__pycache__")


@dataclass(frozen=True)
class Fault:
    """`new` stands for the pattern `old`, which must match; or, where `old` begins with
    `fn`, for that function's body."""

    name: str
    file: str
    old: str
    new: str
    # The checks that must refute it: what `prove.py --only` takes.
    caught_by: tuple = ()
    # Whether it makes time depend on a key.
    leaks: bool = False


FAULTS = (
    Fault(
        "the comparison ends at the first difference",
        "src/policy/secret.rs",
        r"constant_time_eq\(begin, candidate\)",
        "begin.iter().zip(candidate).all(|(own, sent)| core::hint::black_box(own) == sent)",
        ("compare(3,)",),
        leaks=True,
    ),
    Fault(
        "the comparison is ==",
        "src/policy/secret.rs",
        "fn equals",
        "self.bytes.get(..usize::from(self.len)) == Some(candidate) && !candidate.is_empty()",
        ("compare(9,)",),
        leaks=True,
    ),
    Fault(
        "the key's length is no part of equality",
        "src/policy/secret.rs",
        "fn equals",
        """let begin = self.bytes.get(..candidate.len()).filter(|begin| !begin.is_empty());
        begin.is_some_and(|begin| constant_time_eq(begin, candidate))""",
        ("compare(4,)",),
    ),
    Fault(
        "only the low 8 bits of a length are compared",
        "src/policy/secret.rs",
        "fn equals",
        """let Some(begin) = self.bytes.get(..candidate.len()).filter(|begin| !begin.is_empty()) else {
            return false;
        };
        let begins = constant_time_eq(begin, candidate);
        let fact = |begins: bool, len: usize| (usize::from(begins) << 8 | (len & 0xff)).to_ne_bytes();
        constant_time_eq_n(&fact(begins, usize::from(self.len)), &fact(true, candidate.len()))""",
        ("compare(256,)",),
    ),
    Fault(
        "an empty credential equals an empty key",
        "src/policy/secret.rs",
        r"\.filter\(\|&sent\| sent > 0\)",
        ".filter(|_| true)",
        ("compare(0,)",),
    ),
    Fault(
        "an empty key may be configured",
        "src/config.rs",
        r"check\(!secret\.is_empty\(\), ConfigErrorKind::KeyEmpty\)\?;",
        "",
        ("key_made(0, True)",),
    ),
    Fault(
        "the search ends at the key that matches",
        "src/policy/secret.rs",
        "fn find<",
        "(0_u8..).zip(secrets).find(|(_, secret)| core::hint::black_box(secret.equals(candidate))).map(|(index, _)| index)",
        ("two keys",),
        leaks=True,
    ),
    Fault(
        "a wrong authorization falls through to the next header",
        "src/evaluation.rs",
        r"(self\.open &= \(1 << source\) - 1;)",
        r"if key.is_some() || source > 0 { \1 }",
        ("shadowed pair, names given",),
    ),
    Fault(
        "a path that begins like an exempt one is exempt",
        "src/evaluation.rs",
        r"exempt == path\b",
        "path.starts_with(exempt)",
        ("health, HEAD, query or fragment",),
    ),
    Fault(
        "a method is exempt by its first letter",
        "src/evaluation.rs",
        r'b"GET" \| b"HEAD"',
        'b"GET" | [b\'H\', ..]',
        ("health, HEAD, query or fragment",),
    ),
    Fault(
        "a mode is masked",
        "src/ffi.rs",
        r"match number (\{\s*KEYGATE_MODE_STRICT)",
        r"match number & 3 \1",
        ("modes()",),
    ),
    Fault(
        "DEL passes for a byte of a value",
        "src/credential.rs",
        r"0x21\.\.=0x7e",
        "0x21..=0x7f",
        ("shadowed pair, names given",),
    ),
)


def body(source, signature):
    """Where the body of the one function with this beginning stands."""
    found = [match.start() for match in re.finditer(re.escape(signature) + r"\b|" + re.escape(signature), source)]
    assert len(found) == 1, f"{signature!r} is there {len(found)} times"
    start = source.index("{", found[0])
    depth = 0
    for at in range(start, len(source)):
        depth += {"{": 1, "}": -1}.get(source[at], 0)
        if depth == 0:
            return start + 1, at
    raise AssertionError(f"{signature!r} does not end")


def plant(fault):
    tree = PLACE / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(ROOT, tree, ignore=NOT_COPIED)
    file = tree / fault.file
    source = file.read_text()
    if fault.old.startswith("fn "):
        start, end = body(source, fault.old)
        source = source[:start] + "\n        " + fault.new + "\n    " + source[end:]
    else:
        source, times = re.subn(fault.old, fault.new, source)
        assert times, f"{fault.old!r} is not there in {fault.file}"
    file.write_text(source)
    return tree


def build(fault):
    """The directory with the libraries that have the fault."""
    PLACE.mkdir(parents=True, exist_ok=True)
    with open(PLACE / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return build_alone(fault)


def build_alone(fault):
    tree = plant(fault)
    target = PLACE / "target"
    environment = os.environ | {"CARGO_TARGET_DIR": str(target), "RUSTFLAGS": "-Adead_code -Aunused"}
    built = subprocess.run(["make", "lib"], cwd=tree, env=environment, capture_output=True, text=True)
    assert built.returncode == 0, f"{fault.name}: {built.stderr}"
    to = PLACE / re.sub(r"\W+", "-", fault.name)
    to.mkdir(exist_ok=True)
    for library in ("libkeygate.so", "libkeygate.a"):
        shutil.copy2(target / "capi" / library, to)
    return to
