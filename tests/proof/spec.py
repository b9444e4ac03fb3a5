"""The policy once more, as formulas over bit vectors. Written from the text of the policy, not from
the code: it enumerates what can be, and shares nothing with the core.

Lengths are numbers; every byte may be symbolic. A key is (list of bytes, length), the length
symbolic too.
"""

from dataclasses import dataclass

import claripy
from claripy import And, BVV, If, Not, Or

@dataclass(frozen=True)
class Rules:
    """What a configuration says besides its keys and its mode. A source is a name and what is stripped from its
    value: True for `Bearer `, the name of a scheme, or None."""

    sources: tuple = ((b"authorization", True), (b"x-api-key", None), (b"x-goog-api-key", None))
    exempt: tuple = (b"/healthz",)
    match: str = "first"
    preflight: str = "options"
    strip: str = "sources"


DEFAULT = Rules()
PREFLIGHT_HEADERS = (b"origin", b"access-control-request-method")
STRICT, OFF, ALL_EXCEPT_HEALTH = 0, 1, 2
# Section 2.
EFFECTIVE = {
    "strict": STRICT,
    "off": OFF,
    "all_except_health": ALL_EXCEPT_HEALTH,
    "auto": OFF,
    "auto+lan": ALL_EXCEPT_HEALTH,
}
AUTH_OFF, PREFLIGHT, HEALTH, KEY_MATCHED = 1, 2, 3, 4
NO_KEY_CONFIGURED, CREDENTIAL_MISSING, CREDENTIAL_UNUSABLE, KEY_MISMATCH, INVALID_CALL = 16, 17, 18, 19, 32
NONE = -1
TRUE, FALSE = claripy.true(), claripy.false()


@dataclass
class Outcome:
    """What keygate_decision says, as bit vectors."""

    verdict: object
    reason: object
    effective_mode: object
    source: object
    key: object
    flags: object
    header: object

    def fields(self):
        return vars(self)

    def differs(self, other):
        return Or(*(mine != other.fields()[name] for name, mine in self.fields().items()))


def number(value, bits=32):
    return BVV(value % (1 << bits), bits) if isinstance(value, int) else value


def outcome(reason, mode, source=NONE, key=NONE, flags=0, header=NONE):
    allow = BVV(1, 32)
    reason = number(reason)
    verdict = If(Or(*(reason == code for code in (AUTH_OFF, PREFLIGHT, HEALTH, KEY_MATCHED))), allow, BVV(0, 32))
    return Outcome(verdict, reason, number(mode), number(source), number(key), number(flags), number(header, 64))


INVALID = outcome(INVALID_CALL, STRICT)


def choose(condition, one, other):
    return Outcome(**{name: If(condition, value, other.fields()[name]) for name, value in one.fields().items()})


def equal(bytes_, text):
    if len(bytes_) != len(text):
        return FALSE
    return And(TRUE, *(one == other for one, other in zip(bytes_, text)))


def is_name(bytes_, name):
    """Names compare ASCII-case-insensitively and otherwise exactly."""
    if len(bytes_) != len(name):
        return FALSE
    return And(TRUE, *(
        Or(byte == ord(chr(own).lower()), byte == ord(chr(own).upper())) for byte, own in zip(bytes_, name)
    ))


def is_blank(byte):
    return Or(byte == 0x20, byte == 0x09)


def is_field_byte(byte):
    return Or(is_blank(byte), And(byte.UGE(0x21), byte.ULE(0x7E)))


def is_variable(text):
    """`$NAME`, `${...}`, `{{...}}`, `$env://...`, `%NAME%`."""

    def within(byte, first, last):
        return And(byte.UGE(ord(first)), byte.ULE(ord(last)))

    def is_name(name):
        letters = [Or(within(byte, "A", "Z"), within(byte, "a", "z"), byte == ord("_")) for byte in name]
        if not name:
            return FALSE
        return And(letters[0], *(Or(letter, within(byte, "0", "9")) for letter, byte in zip(letters, name)))

    begins = lambda text, start: equal(text[: len(start)], start)
    return Or(
        And(begins(text, b"$"), is_name(text[1:])),
        And(begins(text, b"${"), text[-1] == ord("}")) if len(text) >= 4 else FALSE,
        And(begins(text, b"{{"), equal(text[-2:], b"}}")) if len(text) >= 4 else FALSE,
        begins(text, b"$env://"),
        And(begins(text, b"%"), text[-1] == ord("%"), is_name(text[1:-1])) if len(text) >= 2 else FALSE,
    )


def path_equals(target, path):
    """What stands before the first `?`. A target that holds `#` has no path."""
    if len(target) < len(path):
        return FALSE
    ends = TRUE if len(target) == len(path) else target[len(path)] == ord("?")
    return And(equal(target[: len(path)], path), ends, *(byte != ord("#") for byte in target))


def equals_key(credential, key):
    """Equal in length and in every byte; nothing empty ever matches."""
    text, length = key
    if not credential or len(credential) > len(text):
        return FALSE
    return And(length == len(credential), *(own == byte for own, byte in zip(text, credential)))


def lowest_key(credential, keys):
    found = BVV(NONE % (1 << 32), 32)
    for index in reversed(range(len(keys))):
        found = If(equals_key(credential, keys[index]), BVV(index, 32), found)
    return found


def windows(value):
    """Every way to trim: (condition, what is left)."""
    for first in range(len(value)):
        for last in range(first, len(value)):
            yield And(
                TRUE,
                *(is_blank(byte) for byte in value[:first]),
                Not(is_blank(value[first])),
                Not(is_blank(value[last])),
                *(is_blank(byte) for byte in value[last + 1 :]),
            ), value[first : last + 1]
    yield And(TRUE, *(is_blank(byte) for byte in value)), []


def readings(trimmed, prefix):
    """Every way to read a credential from a value without white space around it: (condition, whether a prefix
    was stripped, what is left)."""
    if prefix is True and len(trimmed) > len(b"Bearer "):
        stripped = equal(trimmed[: len(b"Bearer ")], b"Bearer ")
        yield stripped, True, trimmed[len(b"Bearer ") :]
        yield Not(stripped), False, trimmed
    elif isinstance(prefix, bytes) and len(trimmed) > len(prefix) + 1:
        begins, rest = is_name(trimmed[: len(prefix)], prefix), trimmed[len(prefix) :]
        begins = And(begins, rest[0] == 0x20)
        # The last byte is no space.
        for spaces in range(1, len(rest)):
            exactly = And(begins, *(byte == 0x20 for byte in rest[:spaces]), rest[spaces] != 0x20)
            yield exactly, True, rest[spaces:]
        yield Not(begins), False, trimmed
    else:
        yield TRUE, False, trimmed


def by_value(value, prefix, keys, mode, source, header):
    """Rules 3.6 to 3.8 for the deciding header."""
    result, none = None, number(NONE)
    for trimmed_so, trimmed in windows(value):
        usable = And(TRUE, *(is_field_byte(byte) for byte in trimmed)) if trimmed else FALSE
        for read_so, stripped, credential in readings(trimmed, prefix):
            key = lowest_key(credential, keys)
            reason = If(
                Not(usable),
                number(CREDENTIAL_UNUSABLE),
                If(key != none, number(KEY_MATCHED), number(KEY_MISMATCH)),
            )
            one = outcome(reason, mode, source, If(usable, key, none), int(stripped), header)
            result = one if result is None else choose(And(trimmed_so, read_so), one, result)
    return result


def decide(mode, keys, method, target, headers, rules=DEFAULT):
    """Section 3, the last rule first. `mode` is the effective one."""
    missing = outcome(CREDENTIAL_MISSING, mode)
    # By each source: whether it is present, and what its first header makes of the request.
    sources = []
    for source, (name, prefix) in enumerate(rules.sources):
        present, first = FALSE, missing
        for header, (sent_name, value) in reversed(list(enumerate(headers))):
            named = is_name(sent_name, name)
            first = choose(named, by_value(value, prefix, keys, mode, source, header), first)
            present = Or(present, named)
        sources.append((present, first))
    result = missing
    for present, first in reversed(sources):
        result = choose(present, first, result)
    if rules.match == "any":
        for present, first in reversed(sources):
            result = choose(And(present, first.reason == KEY_MATCHED), first, result)
    if not keys:
        result = outcome(NO_KEY_CONFIGURED, mode)
    health = And(
        mode == ALL_EXCEPT_HEALTH,
        Or(equal(method, b"GET"), equal(method, b"HEAD")),
        Or(FALSE, *(path_equals(target, path) for path in rules.exempt)),
    )
    result = choose(health, outcome(HEALTH, mode), result)
    result = choose(mode == OFF, outcome(AUTH_OFF, mode), result)
    passes = {
        "options": TRUE,
        "cors": And(*(Or(FALSE, *(is_name(sent, name) for sent, _ in headers)) for name in PREFLIGHT_HEADERS)),
        "none": FALSE,
    }
    return choose(And(equal(method, b"OPTIONS"), passes[rules.preflight]), outcome(PREFLIGHT, mode), result)


BEYOND_ONE_REQUEST = (
    b"upgrade", b"http2-settings", b"x-http-method", b"x-http-method-override", b"x-method-override",
    b"x-original-url", b"x-rewrite-url",
)


def spells(bytes_, name):
    """Equal after folding case and reading `_` and `.` as `-`."""
    if len(bytes_) != len(name):
        return FALSE
    hyphens = lambda byte: Or(*(byte == ord(other) for other in "-_."))
    return And(TRUE, *(
        hyphens(byte) if own == ord("-") else Or(byte == ord(chr(own).lower()), byte == ord(chr(own).upper()))
        for byte, own in zip(bytes_, name)
    ))


def behind_last_blank(trimmed):
    """Every way to read what stands behind the last SP or HTAB of a value: (condition, what is left)."""
    for begin in range(len(trimmed)):
        ends = is_blank(trimmed[begin - 1]) if begin else TRUE
        yield And(ends, *(Not(is_blank(byte)) for byte in trimmed[begin:])), trimmed[begin:]


def holds_key(value, prefix, keys):
    """Section 4: whether a value that is spelled like a source holds one of the keys."""
    is_key = lambda text: lowest_key(text, keys) != number(NONE)
    result = FALSE
    for trimmed_so, trimmed in windows(value):
        found = [is_key(trimmed)]
        found += [And(read_so, is_key(text)) for read_so, _, text in readings(trimmed, prefix)]
        found += [And(so, is_key(text)) for so, text in behind_last_blank(trimmed)]
        result = Or(result, And(trimmed_so, Or(*found)))
    return result


def drops(allow, reason, name, value, keys, rules):
    """Section 4: must a host drop this header, after a decision with this verdict and reason? A configuration
    with an identity header is not asked about."""
    by_strip = {
        "sources": lambda prefix: TRUE,
        "matched": lambda prefix: holds_key(value, prefix, keys),
        "off": lambda prefix: FALSE,
    }[rules.strip]
    source = Or(FALSE, *(And(spells(name, own), by_strip(prefix)) for own, prefix in rules.sources))
    keyless = Or(reason == PREFLIGHT, reason == HEALTH)
    beyond = And(keyless, Or(FALSE, *(spells(name, own) for own in BEYOND_ONE_REQUEST)))
    allows = And(allow == 1, Or(*(reason == code for code in (AUTH_OFF, PREFLIGHT, HEALTH, KEY_MATCHED))))
    return Or(Not(allows), source, beyond)
