"""The library called as a program calls it, and what a policy looks like in memory.

No offset inside a policy is written down here: all are found by making policies that differ in one
thing, and the finding is checked against further policies before it is used.
"""

import ctypes
import random
import re
from ctypes import POINTER, Structure, byref, c_int32, c_size_t, c_uint32, c_uint64, c_void_p
from pathlib import Path

MAX_KEY = 256
SOURCE_BEARER = 1
ALLOW_LAN_ACCESS = 1
# (auth_mode, flags) of every way to choose a mode.
MODES = {
    "strict": (0, 0),
    "off": (1, 0),
    "all_except_health": (2, 0),
    "auto": (3, 0),
    "auto+lan": (3, ALLOW_LAN_ACCESS),
}
HEADER = (Path(__file__).resolve().parents[2] / "include" / "keygate.h").read_text()
POLICY_WORDS, EVALUATION_WORDS = (
    int(re.search(rf"^#define KEYGATE_{what}_WORDS (\d+)$", HEADER, re.M)[1]) for what in ("POLICY", "EVALUATION")
)


class Str(Structure):
    _fields_ = [("ptr", c_void_p), ("len", c_size_t)]


class Key(Structure):
    _fields_ = [("secret", Str), ("label", Str)]


class Source(Structure):
    _fields_ = [("name", Str), ("scheme", Str), ("flags", c_uint32)]


class Config(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("auth_mode", c_int32),
        ("flags", c_uint32),
        ("api_key", Str),
        ("keys", POINTER(Key)),
        ("key_count", c_size_t),
        ("sources", POINTER(Source)),
        ("source_count", c_size_t),
        ("exempt", POINTER(Str)),
        ("exempt_count", c_size_t),
        ("match", c_int32),
        ("preflight", c_int32),
        ("strip", c_int32),
        ("identity_header", Str),
        ("allow_origin", Str),
    ]


class Request(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("method", Str),
        ("target", Str),
        ("headers", c_void_p),
        ("header_count", c_size_t),
    ]


class Decision(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("verdict", c_int32),
        ("reason", c_int32),
        ("effective_mode", c_int32),
        ("source", c_int32),
        ("key", c_int32),
        ("flags", c_uint32),
        ("header", c_size_t),
    ]


class Library:
    def __init__(self, path):
        self.path = path
        self.library = ctypes.CDLL(path)
        self.library.keygate_policy_init.argtypes = [c_void_p, c_size_t, c_void_p, c_void_p]

    def policy(self, rules, mode="strict", keys=()):
        """The bytes of a policy that the library itself has made."""
        held = []

        def text(data):
            held.append(ctypes.create_string_buffer(bytes(data), max(1, len(data))))
            return Str(ctypes.addressof(held[-1]), len(data)) if data else Str(None, 0)

        def array(kind, items):
            return (kind * max(1, len(items)))(*items)

        key_array = array(Key, [Key(text(key), Str(None, 0)) for key in keys])
        exempt_array = array(Str, [text(path) for path in rules.exempt])
        source_array = array(Source, [
            Source(text(name), text(prefix if isinstance(prefix, bytes) else b""), SOURCE_BEARER * (prefix is True))
            for name, prefix in rules.sources
        ])
        auth_mode, flags = MODES[mode]
        config = Config(
            size=ctypes.sizeof(Config),
            auth_mode=auth_mode,
            flags=flags,
            keys=key_array,
            key_count=len(keys),
            sources=source_array,
            source_count=len(rules.sources),
            exempt=exempt_array,
            exempt_count=len(rules.exempt),
            match=("first", "any").index(rules.match),
            preflight=("options", "cors", "none").index(rules.preflight),
            strip=("sources", "matched", "off").index(rules.strip),
        )
        storage = (c_uint64 * POLICY_WORDS)()
        status = self.library.keygate_policy_init(storage, ctypes.sizeof(storage), byref(config), None)
        assert status == 0, f"keygate_policy_init: {status}"
        return bytes(storage)


class Layout:
    """Where a policy of so many keys has the bytes and the length of each, and its mode.

    `loose` are the bytes that vary for no reason seen here, such as padding: a proof takes them for
    anything at all.
    """

    SAMPLES = 96

    def __init__(self, library, key_count, rules):
        source = random.Random(1)
        samples = []
        for number in range(self.SAMPLES):
            longest = number < 16
            mode = list(MODES)[number % len(MODES)]
            keys = [random_key(source, MAX_KEY if longest else None) for _ in range(key_count)]
            samples.append((mode, keys, library.policy(rules, mode, keys)))
        self.template = samples[0][2]
        size = range(len(self.template))
        varying = {at for at in size for _, _, blob in samples if blob[at] != self.template[at]}

        def only(matching, what):
            assert len(matching) == 1, f"{what}: {len(matching)} places"
            return matching[0]

        self.key_bytes, self.key_length = [], []
        for index in range(key_count):
            held = [(keys[index].ljust(MAX_KEY, b"\0"), len(keys[index]), blob) for _, keys, blob in samples]
            columns = {}
            for at in varying:
                columns.setdefault(bytes(blob[at] for _, _, blob in held), []).append(at)
            self.key_bytes.append([
                only(columns.get(bytes(text[at] for text, _, _ in held), []), f"byte {at} of key {index}")
                for at in range(MAX_KEY)
            ])
            lengths = [
                at
                for at in varying
                if all(blob[at : at + 2] == length.to_bytes(2, "little") for _, length, blob in held)
            ]
            assert lengths, f"length of key {index}: no place"
            # What the stack held can stand in padding; the nearest is the one that counts, and a
            # wrong guess fails the proof.
            self.key_length.append(min(lengths, key=lambda at: abs(at - self.key_bytes[-1][-1])))

        of_keys = {at for places in self.key_bytes for at in places}
        of_keys |= {at + more for at in self.key_length for more in (0, 1)}
        self.modes = {
            at: values
            for at in varying - of_keys
            if (values := one_value_each(at, samples)) is not None
        }
        self.loose = sorted(varying - of_keys - set(self.modes))


def one_value_each(at, samples):
    """The value of a byte by mode, where the mode alone explains it."""
    values = {mode: {blob[at] for other, _, blob in samples if other == mode} for mode in MODES}
    if any(len(seen) != 1 for seen in values.values()):
        return None
    return {mode: seen.pop() for mode, seen in values.items()}


def random_key(source, length=None):
    length = length or source.choice((1, 2, 7, 8, 9, 255, 256, source.randint(1, MAX_KEY)))
    return bytes(source.choices(range(0x21, 0x7F), k=length))
