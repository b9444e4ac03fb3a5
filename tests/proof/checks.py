"""What is proved: each check runs shipped functions on symbolic input and holds every path against
the specification."""

import ctypes
import functools
import time
from dataclasses import dataclass, field

import claripy
from claripy import And, BVS, BVV, If, Not, Or

import native
import spec
from machine import Machine, Unproved, plain_byte

ENOUGH = 3  # counterexamples to show


@dataclass
class Result:
    name: str
    paths: int = 0
    seconds: float = 0.0
    refuted: list = field(default_factory=list)


@dataclass(frozen=True)
class Plain:
    """Symbolic bytes of 0x21 to 0x7E: any others would branch the paths at each."""

    count: int


@dataclass(frozen=True)
class Shape:
    """A set of lengths. A text is bytes, a number of symbolic bytes, `Plain`, or a tuple of these."""

    name: str
    method: object
    target: object
    headers: tuple = ()
    keys: int = 1
    modes: tuple = tuple(native.MODES)
    rules: spec.Rules = spec.DEFAULT
    fast: bool = False
    push: bool = False
    drops: bool = False  # whether the first header is to be dropped, and not the decision


AUTHORIZATION, X_API_KEY, X_GOOG_API_KEY = (len(name) for name, _ in spec.DEFAULT.sources)
STRICT = ("strict",)
Rules = spec.Rules
ANY = Rules(match="any")
# Two sources whose names cannot be told by their lengths.
ANY_OF_TWO = Rules(sources=((b"x-one", None), (b"x-two", None)), match="any")
TOKEN = Rules(sources=((b"x-key", b"Tok"),))
CORS, NO_PREFLIGHT = Rules(preflight="cors"), Rules(preflight="none")
ORIGIN, REQUEST_METHOD = spec.PREFLIGHT_HEADERS
SHAPES = (
    Shape("no header", 7, 8, fast=True),
    Shape("nothing at all", 0, 0, ((0, 0),), fast=True),
    Shape("health, GET", 3, 8, fast=True),
    Shape("health, HEAD, query or fragment", 4, 11, fast=True),
    Shape("health, path cut short", 3, 7, fast=True),
    Shape("health, two exempt paths", 3, 9, rules=Rules(exempt=(b"/healthz", b"/ready")), fast=True),
    Shape("OPTIONS with a header", 7, 1, ((X_API_KEY, 2),), fast=True),
    Shape("no key", 4, 8, ((X_API_KEY, 2),), keys=0, fast=True),
    Shape("no exempt path's length, no source's length", 4, 3, ((10, 3),), fast=True),
    Shape("x-api-key", 3, 1, ((X_API_KEY, 3),), modes=STRICT, fast=True),
    Shape("x-api-key, a longer value", 3, 1, ((X_API_KEY, 5),), modes=STRICT),
    Shape("x-goog-api-key", 3, 1, ((X_GOOG_API_KEY, 4),), modes=STRICT),
    Shape("authorization, 4 bytes", 3, 1, ((AUTHORIZATION, 4),), modes=STRICT),
    Shape("authorization, Bearer or not", 3, 1, ((AUTHORIZATION, (Plain(6), 1, Plain(2))),), modes=STRICT),
    Shape("authorization, Bearer and 2 bytes", 3, 1, ((AUTHORIZATION, (b"Bearer ", 2)),), modes=STRICT, fast=True),
    Shape("authorization, Bearer and 4 bytes", 3, 1, ((AUTHORIZATION, (b"Bearer ", 4)),), modes=STRICT),
    Shape("authorization, Bearer twice", 3, 1, ((b"Authorization", (b" Bearer Bearer", 2)),), modes=STRICT, fast=True),
    Shape("shadowed pair, names given", 3, 1, ((b"Authorization", 1), (b"x-api-key", 1)), modes=STRICT, fast=True),
    Shape("two headers of one length", 3, 1, ((X_API_KEY, 2), (X_API_KEY, 2)), modes=STRICT),
    Shape("shadowed pair", 3, 1, ((AUTHORIZATION, 2), (X_API_KEY, 2)), modes=STRICT),
    Shape("shadowed pair, the lesser first", 3, 1, ((X_API_KEY, 2), (AUTHORIZATION, 2)), modes=STRICT),
    Shape("three sources, the least first", 3, 1, ((X_GOOG_API_KEY, 1), (X_API_KEY, 1), (AUTHORIZATION, 1)), modes=STRICT),
    Shape("two keys", 3, 1, ((X_API_KEY, 2),), keys=2, modes=STRICT, fast=True),
    Shape("eight keys", 3, 1, ((X_API_KEY, 2),), keys=8, modes=STRICT),
    Shape("all modes and two headers", 4, 8, ((AUTHORIZATION, 1), (X_GOOG_API_KEY, 1))),
    Shape("begin, push, push, finish", 3, 1, ((X_API_KEY, 1), (AUTHORIZATION, 1)), modes=STRICT, push=True, fast=True),
    Shape("begin, push, finish in all modes", 3, 8, ((X_API_KEY, 1),), push=True),
    Shape("any, right in either", 3, 1, ((b"authorization", 1), (b"X-API-Key", 1)), modes=STRICT, rules=ANY, keys=2, fast=True),
    Shape("any, right in either, 2 bytes", 3, 1, ((b"authorization", 2), (b"x-api-key", 2)), modes=STRICT, rules=ANY, keys=2),
    Shape("any, the lesser first", 3, 1, ((b"x-api-key", 1), (b"authorization", 1)), modes=STRICT, rules=ANY, fast=True),
    Shape("any, the lesser first, 2 bytes", 3, 1, ((b"x-api-key", 2), (b"authorization", 2)), modes=STRICT, rules=ANY),
    Shape("any, duplicates", 3, 1, ((b"x-two", 1), (b"x-two", 1), (b"x-one", 1), (b"x-one", 1)), modes=STRICT, rules=ANY_OF_TWO, fast=True),
    Shape("any, two names of one length", 3, 1, ((5, 1), (5, 1)), modes=STRICT, rules=ANY_OF_TWO),
    Shape("any, three sources, the least first", 3, 1, ((X_GOOG_API_KEY, 1), (X_API_KEY, 1), (AUTHORIZATION, 1)), modes=STRICT, rules=ANY),
    Shape("any, all modes", 4, 8, ((AUTHORIZATION, 1), (X_GOOG_API_KEY, 1)), rules=ANY),
    Shape("any, begin, push, push, finish", 3, 1, ((5, 1), (5, 1)), modes=STRICT, rules=ANY_OF_TWO, push=True),
    Shape("scheme", 3, 1, ((b"x-key", (Plain(3), 1, b" ", 1)),), modes=STRICT, rules=TOKEN, fast=True),
    Shape("scheme, spaces", 3, 1, ((b"x-key", (3, b"  ", 2)),), modes=STRICT, rules=TOKEN),
    Shape("scheme, any 5 bytes", 3, 1, ((b"x-key", 5),), modes=STRICT, rules=TOKEN),
    Shape("scheme, any name", 3, 1, ((5, (b"tOK", 3)),), modes=STRICT, rules=TOKEN),
    Shape("preflight: none", 7, 8, ((X_API_KEY, 1),), rules=NO_PREFLIGHT, fast=True),
    Shape("preflight: cors, both", 7, 1, ((ORIGIN, 0), (REQUEST_METHOD, 1)), rules=CORS, fast=True),
    Shape("preflight: cors, one of any name", 7, 1, ((6, 1), (REQUEST_METHOD, 0)), rules=CORS, modes=STRICT, fast=True),
    Shape("preflight: cors, the other of any name", 7, 1, ((ORIGIN, 0), (29, 1)), rules=CORS, modes=STRICT),
    Shape("preflight: cors, one twice", 7, 1, ((ORIGIN, 0), (ORIGIN, 0)), rules=CORS, modes=STRICT, fast=True),
    Shape("preflight: cors, among keys", 7, 1, ((b"x-api-key", 1), (ORIGIN, 0), (b"authorization", 1), (REQUEST_METHOD, 0)), rules=CORS, modes=STRICT),
    Shape("preflight: cors, any, push", 7, 1, ((b"x-api-key", 1), (6, 0), (REQUEST_METHOD, 0)), rules=Rules(match="any", preflight="cors"), modes=STRICT, push=True),
    Shape("drops: sources", 0, 0, ((X_API_KEY, 1),), modes=STRICT, drops=True, fast=True),
    Shape("drops: off", 0, 0, ((7, 1),), modes=STRICT, rules=Rules(strip="off"), drops=True, fast=True),
    Shape("drops: matched", 0, 0, ((b"X.api_key", 3),), modes=STRICT, rules=Rules(strip="matched"), drops=True, fast=True),
    Shape("drops: matched, any name", 0, 0, ((X_API_KEY, 1),), modes=STRICT, rules=Rules(strip="matched"), drops=True),
    Shape("drops: matched, behind Bearer", 0, 0, ((b"authorization", (b"Bearer ", 3)),), modes=STRICT, rules=Rules(strip="matched"), keys=2, drops=True),
    Shape("drops: matched, scheme", 0, 0, ((b"x_key", (b"toK ", 3)),), modes=STRICT, rules=Rules(sources=((b"x-key", b"Tok"),), strip="matched"), drops=True),
)
LENGTHS = range(native.MAX_KEY + 2)
FAST_LENGTHS = (0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 23, 24, 25, 32, 33, 257)


@functools.cache
def tools(path):
    return native.Library(path), Machine(path)


@functools.cache
def layout(path, keys, rules):
    return native.Layout(tools(path)[0], keys, rules)


def word(value):
    return list(value.to_bytes(8, "little"))


def little(value):
    """The bytes of a symbolic number as they stand in memory."""
    return [value[at + 7 : at] for at in range(0, value.length, 8)]


def text(name, shape, state=None):
    """The bytes of a text of a shape. Where some are `Plain`, the state learns it."""
    parts = shape if isinstance(shape, tuple) else (shape,)
    bytes_ = []
    for part in parts:
        if isinstance(part, bytes):
            bytes_ += [BVV(byte, 8) for byte in part]
        elif isinstance(part, Plain):
            bytes_ += [plain_byte(state, f"{name}_{len(bytes_) + at}") for at in range(part.count)]
        else:
            bytes_ += [BVS(f"{name}_{len(bytes_) + at}", 8) for at in range(part)]
    return bytes_


def symbolic_keys(state, count):
    """Any keys that a policy can hold, and some that it cannot: nothing is said of a key but that
    its length is at most 256 and that each of its bytes could stand in a header value."""
    keys = []
    for index in range(count):
        bytes_ = [BVS(f"key{index}_{at}", 8) for at in range(native.MAX_KEY)]
        length = BVS(f"key{index}_length", 16)
        state.add_constraints(length.ULE(native.MAX_KEY))
        keys.append((bytes_, length))
    return keys


def sound_bytes(state, keys, longest):
    for bytes_, length in keys:
        for at in range(min(longest, native.MAX_KEY)):
            state.add_constraints(Or(length.ULE(at), spec.is_field_byte(bytes_[at])))


def symbolic_policy(state, machine, where, keys, selected=None, modes=STRICT):
    """The bytes of a made policy, with the keys and the mode in their places."""
    blob = [BVV(byte, 8) for byte in where.template]
    for at in where.loose:
        blob[at] = BVS(f"loose_{at}", 8)
    for at, values in where.modes.items():
        blob[at] = BVV(values[modes[0]], 8)
        for number, mode in enumerate(modes[1:], 1):
            blob[at] = If(selected == number, BVV(values[mode], 8), blob[at])
    for (bytes_, length), places, length_at in zip(keys, where.key_bytes, where.key_length):
        for place, byte in zip(places, bytes_):
            blob[place] = byte
        blob[length_at : length_at + 2] = little(length)
    return machine.store(state, blob)


def store_str(state, machine, bytes_):
    return machine.store(state, bytes_, align=1), len(bytes_)


def words(*values):
    return [byte for value in values for byte in word(value)]


def store_request(state, machine, method, target, headers):
    size = ctypes.sizeof(native.Request)
    table = []
    for name, value in headers:
        table += words(*store_str(state, machine, name), *store_str(state, machine, value))
    table_at = machine.store(state, table)
    method, target = (store_str(state, machine, bytes_) for bytes_ in (method, target))
    return machine.store(state, words(size, *method, *target, table_at, len(headers)))


def store_output(state, machine):
    """Room for a decision that holds anything but its size."""
    size = ctypes.sizeof(native.Decision)
    rest = [BVS(f"out_{at}", 8) for at in range(8, size)]
    return machine.store(state, words(size) + rest)


def load(state, at, bytes_):
    return state.memory.load(at, bytes_, endness="Iend_LE")


def decided(state, out):
    """The decision that was written, and whether the call returned its verdict and nothing else."""
    fields = {
        name: load(state, out + getattr(native.Decision, name).offset, getattr(native.Decision, name).size)
        for name, _ in native.Decision._fields_
    }
    size = fields.pop("size")
    agrees = And(size == ctypes.sizeof(native.Decision), state.regs.eax == fields["verdict"])
    return spec.Outcome(**fields), agrees


def decide(machine, state, policy, request):
    out = store_output(state, machine)
    return [(final, out) for final in machine.call(state, "keygate_decide", (policy, request, out))]


def push_by_push(machine, state, policy, method, target, headers):
    size = 8 * native.EVALUATION_WORDS
    evaluation = machine.store(state, [BVS(f"evaluation_{at}", 8) for at in range(size)])
    method, target = (store_str(state, machine, bytes_) for bytes_ in (method, target))
    stored = [(store_str(state, machine, name), store_str(state, machine, value)) for name, value in headers]
    out = store_output(state, machine)
    # A text of two words is passed in registers where two are left, and else on the stack.
    states = machine.call(state, "keygate_evaluation_begin", (evaluation, size, policy, *method), target)
    for name, value in stored:
        states = [
            after
            for before in states
            for after in machine.call(before, "keygate_evaluation_push", (evaluation, *name, *value))
        ]
    return [
        (after, out) for before in states for after in machine.call(before, "keygate_evaluation_finish", (evaluation, out))
    ]


def shown(state, given, also=()):
    """One example of what was given, in words."""
    also = tuple(also)

    def number(value):
        return state.solver.eval(value, extra_constraints=also) if not isinstance(value, int) else value

    # One model for all: each value found is fixed before the next is asked for.
    lines = []
    for name, value in given.items():
        if isinstance(value, list):
            found = [number(byte) for byte in value]
            also += tuple(byte == one for byte, one in zip(value, found) if not isinstance(byte, int))
            lines.append(f"{name} {bytes(found)!r}")
        elif isinstance(value, tuple):
            bytes_, length = value
            size = number(length)
            also += (length == size,)
            found = [number(byte) for byte in bytes_[:size]]
            also += tuple(byte == one for byte, one in zip(bytes_, found))
            lines.append(f"{name} {bytes(found)!r} (length {size})")
        else:
            found = number(value)
            also += (value == found,) if not isinstance(value, int) else ()
            lines.append(f"{name} {found}")
    return ", ".join(lines), also


def signed(value):
    return value - (1 << 32) if value >> 31 and value < 1 << 32 else value


def outcome_shown(state, outcome, also):
    return " ".join(
        f"{name}={signed(state.solver.eval(value, extra_constraints=also))}" for name, value in outcome.fields().items()
    )


def cover(result, before, states):
    """Whatever is possible at the start is possible on one of the paths: none got lost."""
    solver = claripy.Solver()
    solver.add(before)
    solver.add(Not(Or(spec.FALSE, *(And(spec.TRUE, *state.solver.constraints) for state in states))))
    if solver.satisfiable():
        result.refuted.append(f"{len(states)} paths do not cover every input")


def dropped(state, machine, policy, asked, name, value):
    """What `keygate_policy_drops` is called with: the last text goes over the stack."""
    size = ctypes.sizeof(native.Decision)
    rest = [BVS(f"decision_{at}", 8) for at in range(16, size)]
    decision = machine.store(state, words(size) + little(asked["verdict"]) + little(asked["reason"]) + rest)
    name, value = (store_str(state, machine, bytes_) for bytes_ in (name, value))
    return (policy, decision, *name, *value), ()


def hold_drops(result, before, finals, expected, given):
    result.paths = len(finals)
    cover(result, before, finals)
    for state in finals:
        for text in dict.fromkeys(state.globals.get("leaks", ())):
            result.refuted.append(f"{text}: {shown(state, given)[0]}")
        secret = state.globals.get("branches", ())
        if len(secret) > 1:
            result.refuted.append(f"{len(secret)} branches on a key where 1 can be on the answer: {shown(state, given)[0]}")
        wrong = (state.regs.al != 0) != expected
        if state.solver.satisfiable(extra_constraints=[wrong]):
            example, also = shown(state, given, (wrong,))
            answer = state.solver.eval(state.regs.al, extra_constraints=also)
            result.refuted.append(f"{example}: {'dropped' if answer else 'kept'}, against the policy")


def hold(result, before, finals, expected, given, branches):
    """Each path against the specification."""
    result.paths = len(finals)
    cover(result, before, [state for state, _ in finals])
    for state, out in finals:
        for text in dict.fromkeys(state.globals.get("leaks", ())):
            result.refuted.append(f"{text}: {shown(state, given)[0]}")
        secret = state.globals.get("branches", ())
        if len(secret) > branches:
            places = ", ".join(f"{at:#x}" for at in dict.fromkeys(secret))
            result.refuted.append(
                f"{len(secret)} branches on a key where {branches} can be on the verdict, at {places}: {shown(state, given)[0]}"
            )
        got, agrees = decided(state, out)
        wrong = Or(Not(agrees), got.differs(expected))
        if state.solver.satisfiable(extra_constraints=[wrong]):
            example, also = shown(state, given, (wrong,))
            result.refuted.append(
                f"{example}: got {outcome_shown(state, got, also)}; the policy says {outcome_shown(state, expected, also)}"
            )
        if len(result.refuted) >= ENOUGH:
            return


def timed(check):
    @functools.wraps(check)
    def run(path, *arguments):
        started = time.process_time()
        try:
            result = check(path, *arguments)
        except Unproved as reason:
            result = Result(check.__name__ + str(arguments), refuted=[f"not proved: {reason}"])
        result.seconds = time.process_time() - started
        return result

    return run


@timed
def compare(path, length):
    """A credential of this length and of any bytes against a key of any bytes and any length."""
    machine = tools(path)[1]
    state = machine.state()
    keys = symbolic_keys(state, 1)
    policy = symbolic_policy(state, machine, layout(path, 1, spec.DEFAULT), keys)
    value = [plain_byte(state, at) for at in range(length)]
    method, target, name = (text("", part) for part in (b"GET", b"/", b"x-api-key"))
    request = store_request(state, machine, method, target, [(name, value)])
    before = state.solver.constraints
    finals = decide(machine, state, policy, request)

    (key,) = keys
    matches = spec.equals_key(value, key)
    unusable = spec.outcome(spec.CREDENTIAL_UNUSABLE, spec.STRICT, 1, header=0)
    mismatch = spec.outcome(spec.KEY_MISMATCH, spec.STRICT, 1, header=0)
    matched = spec.outcome(spec.KEY_MATCHED, spec.STRICT, 1, 0, header=0)
    expected = spec.choose(matches, matched, mismatch) if value else unusable
    result = Result(f"compare, {length} bytes")
    given = {"credential": value, "key": key}
    hold(result, before, finals, expected, given, branches=1)
    # One path for each verdict that the specification knows for this length.
    verdicts = 2 if 0 < length <= native.MAX_KEY else 1
    if len(finals) != verdicts:
        result.refuted.append(
            f"{len(finals)} paths for {verdicts} verdicts; these take different ones: "
            + "; ".join(shown(state, given)[0] for state, _ in finals[:2])
        )
    return result


@timed
def whole(path, number):
    """A whole decision: everything about the request and the keys symbolic but the lengths."""
    shape = SHAPES[number]
    machine = tools(path)[1]
    state = machine.state()
    keys = symbolic_keys(state, shape.keys)
    selected = BVS("mode", 8)
    state.add_constraints(selected.ULT(len(shape.modes)))
    where = layout(path, shape.keys, shape.rules)
    policy = symbolic_policy(state, machine, where, keys, selected, shape.modes)
    method, target = text("method", shape.method), text("target", shape.target)
    headers = [
        (text(f"name{index}", name), text(f"value{index}", value, state))
        for index, (name, value) in enumerate(shape.headers)
    ]
    sound_bytes(state, keys, max((len(value) for _, value in headers), default=0))
    before = state.solver.constraints
    given = {f"key {index}": key for index, key in enumerate(keys)}
    for index, (name, value) in enumerate(headers):
        given |= {f"header {index}": name, f"value {index}": value}
    result = Result(shape.name)
    if shape.drops:
        asked = {name: BVS(name, 32) for name in ("verdict", "reason")}
        finals = machine.call(state, "keygate_policy_drops", *dropped(state, machine, policy, asked, *headers[0]))
        expected = spec.drops(*asked.values(), *headers[0], keys, shape.rules)
        hold_drops(result, before, finals, expected, given | asked)
        return result
    if shape.push:
        finals = push_by_push(machine, state, policy, method, target, headers)
    else:
        request = store_request(state, machine, method, target, headers)
        finals = decide(machine, state, policy, request)

    effective = BVV(spec.EFFECTIVE[shape.modes[0]], 32)
    for at, mode in enumerate(shape.modes[1:], 1):
        effective = If(selected == at, BVV(spec.EFFECTIVE[mode], 32), effective)
    expected = spec.decide(effective, keys, method, target, headers, shape.rules)
    given |= {"mode": effective, "method": method, "target": target}
    # Where any source may decide, what came of one is asked up to three times.
    branches = len(headers) * (3 if shape.rules.match == "any" else 1)
    hold(result, before, finals, expected, given, branches)
    return result


def store_config(state, machine, mode, flags, api_key=None, keys=()):
    """A config of symbolic numbers and texts."""
    size = ctypes.sizeof(native.Config)
    none = (0, 0)
    api_key = none if api_key is None else store_str(state, machine, api_key)
    table = machine.store(state, [byte for key in keys for byte in words(*store_str(state, machine, key), *none)])
    data = words(size) + little(mode) + little(flags) + words(*api_key, table, len(keys))
    return machine.store(state, data + [0] * (size - len(data)))


def init(machine, state, config):
    size = 8 * native.POLICY_WORDS
    policy = machine.store(state, [BVS(f"policy_{at}", 8) for at in range(size)])
    return policy, machine.call(state, "keygate_policy_init", (policy, size, config, 0))


def hold_status(result, before, states, accepted, given):
    """`keygate_policy_init` accepts exactly what the policy accepts."""
    cover(result, before, states)
    for state in states:
        status = state.regs.eax
        wrong = If(accepted, status != 0, Not(status.SLT(0)))
        if state.solver.satisfiable(extra_constraints=[wrong]):
            example, also = shown(state, given, (wrong,))
            status = signed(state.solver.eval(status, extra_constraints=also))
            result.refuted.append(f"{example}: keygate_policy_init returned {status}")


def after_init(path, name, config_of, accepted, expected, given, headers=(), target=b"/healthz"):
    """Makes a policy and decides with it."""
    machine = tools(path)[1]
    state = machine.state()
    before = state.solver.constraints
    policy, made = init(machine, state, config_of(state, machine))
    result = Result(name)
    hold_status(result, before, made, accepted, given)
    expected = spec.choose(accepted, expected, spec.INVALID)
    paths = 0
    for state in made:
        # What is checked here is the outcome; where init branches on a key, nobody watches.
        state.globals["branches"] = ()
        request = store_request(state, machine, text("", b"GET"), text("", target), headers)
        before = state.solver.constraints
        hold(result, before, decide(machine, state, policy, request), expected, given, branches=len(headers))
        paths += result.paths
    result.paths = paths
    return result


@timed
def modes(path):
    """A config of any mode and any flags, made and used for GET /healthz."""
    mode, flags = BVS("mode", 32), BVS("flags", 32)
    lan, no_sources, no_exempt = (flags & bit != 0 for bit in (1, 2, 4))
    accepted = And(mode.ULE(3), flags & ~7 == 0)
    effective = If(mode == 3, If(lan, BVV(spec.ALL_EXCEPT_HEALTH, 32), BVV(spec.OFF, 32)), mode)
    without, with_exempt = (
        spec.decide(effective, [], text("", b"GET"), text("", b"/healthz"), [], rules)
        for rules in (spec.Rules(exempt=()), spec.DEFAULT)
    )
    expected = spec.choose(no_exempt, without, with_exempt)
    given = {"auth_mode": mode, "flags": flags}
    config = lambda state, machine: store_config(state, machine, mode, flags)
    return after_init(path, "init: every mode and flag of 32 bits", config, accepted, expected, given)


@timed
def key_made(path, length, in_list):
    """A config with any key of this length, made and used for a header with any value as long."""
    key = text("key0", length)
    blank_edge = Or(spec.is_blank(key[0]), spec.is_blank(key[-1])) if key else spec.FALSE
    sound = And(
        spec.TRUE, *(spec.is_field_byte(byte) for byte in key), Not(blank_edge), Not(spec.is_variable(key))
    )
    accepted = spec.FALSE if in_list and not key else sound
    mode, flags = BVV(0, 32), BVV(0, 32)
    config = lambda state, machine: store_config(
        state, machine, mode, flags, **({"keys": [key]} if in_list else {"api_key": key})
    )
    value = text("value0", max(length, 1))
    headers = [(text("", b"X-Api-Key"), value)]
    keys = [(key, BVV(length, 16))] if key else []
    expected = spec.decide(BVV(spec.STRICT, 32), keys, text("", b"GET"), text("", b"/"), headers)
    name = f"init: {'keys' if in_list else 'api_key'} of {length} bytes, then decide"
    return after_init(path, name, config, accepted, expected, {"key": key, "value": value}, headers, b"/")


def tasks(fast):
    """(check, arguments) of everything that is proved; what takes longest first."""
    found = [(whole, (number,)) for number, shape in enumerate(SHAPES) if shape.fast or not fast]
    found += [(modes, ())]
    found += [(key_made, (length, in_list)) for in_list in (False, True) for length in ((0, 1) if fast else (0, 1, 2))]
    found += [(compare, (length,)) for length in reversed(FAST_LENGTHS if fast else LENGTHS)]
    return found
