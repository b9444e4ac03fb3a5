"""Runs functions of the shared library on symbolic memory."""

import logging

import angr
import claripy
import z3
from angr.engines import HeavyResilienceMixin, HeavyVEXMixin, HooksMixin, SimEngineFailure, SimEngineSyscall
from angr.engines.vex.heavy.heavy import VEXEarlyExit
from claripy import And, Not

logging.getLogger("angr").setLevel(logging.ERROR)
logging.getLogger("cle").setLevel(logging.ERROR)
logging.getLogger("pyvex").setLevel(logging.ERROR)

RETURN = 0x7000_0000
MEMORY = 0x2000_0000
STACK = 0x6FFF_0000
# What the library may need from outside, and is stubbed here.
STUBS = {}
OPTIONAL = {"__cxa_finalize", "__gmon_start__", "_ITM_deregisterTMCloneTable", "_ITM_registerTMCloneTable"}


class Unproved(Exception):
    """The machine did what the method cannot follow."""


def stub(*names):
    def register(procedure):
        STUBS.update(dict.fromkeys(names, procedure))
        return procedure

    return register


def is_secret(expression):
    return any(name.startswith("key") for name in expression.variables)


def concrete(state, value):
    if value.concrete:
        return value.concrete_value
    found = state.solver.eval_upto(value, 2)
    if len(found) != 1:
        raise Unproved("a stub was called with a length or a place that is not one number")
    return found[0]


@stub("memcpy", "memmove")
class Copy(angr.SimProcedure):
    def run(self, to, source, size):
        size = concrete(self.state, size)
        if size:
            self.state.memory.store(to, self.state.memory.load(source, size))
        return to


@stub("memset")
class Fill(angr.SimProcedure):
    def run(self, to, byte, size):
        size = concrete(self.state, size)
        if size:
            self.state.memory.store(to, claripy.Concat(*[byte[7:0]] * size))
        return to


@stub("bcmp", "memcmp")
class Compare(angr.SimProcedure):
    """Right only for telling equal from unequal. Not constant in time, so no secret may get here."""

    def run(self, one, other, size):
        size = concrete(self.state, size)
        if not size:
            return claripy.BVV(0, 64)
        one, other = (self.state.memory.load(at, size) for at in (one, other))
        if is_secret(one) or is_secret(other):
            self.state.globals["leaks"] = (*self.state.globals.get("leaks", ()), "a key is given to memcmp")
        return claripy.If(one == other, claripy.BVV(0, 64), claripy.BVV(1, 64))


class PlainBranches(HeavyVEXMixin):
    """Asks a small solver first: a branch on one byte of known range rarely needs a large one."""

    RANGE = (0x21, 0x7E)
    PREFIX = "plain"
    ANY = claripy.BVS("any", 8)
    known = {}

    def decided(self, guard):
        if not guard.symbolic:
            return guard.is_true()
        if not all(name.startswith(self.PREFIX) for name in guard.variables):
            return None
        leaf, *others = {leaf.hash(): leaf for leaf in guard.leaf_asts() if leaf.symbolic}.values()
        if others:
            return None
        guard = claripy.replace(guard, leaf, self.ANY)
        if guard.hash() not in self.known:
            low, high = self.RANGE
            solver = claripy.Solver()
            solver.add(And(self.ANY.UGE(low), self.ANY.ULE(high)))
            can_be, need_not_be = (solver.satisfiable(extra_constraints=[way]) for way in (guard, Not(guard)))
            self.known[guard.hash()] = None if can_be and need_not_be else can_be
        return self.known[guard.hash()]

    def _perform_vex_stmt_Exit(self, guard, target, jumpkind):
        decided = self.decided(guard != 0)
        if decided is None:
            super()._perform_vex_stmt_Exit(guard, target, jumpkind)
        elif decided:
            place = {"exit_stmt_idx": self.stmt_idx, "exit_ins_addr": self.state.scratch.ins_addr}
            self.successors.add_successor(self.state, target, claripy.true(), jumpkind, **place)
            raise VEXEarlyExit


class Engine(SimEngineFailure, SimEngineSyscall, HooksMixin, HeavyResilienceMixin, PlainBranches):
    """What of angr's engine is needed here."""


def solver_without_timeout(timeout=None, max_memory=None):
    """Asking z3 how a timeout is set takes longer than most queries; none is wanted anyway."""
    return z3.Solver(ctx=claripy.backends.z3._context)


claripy.backends.z3.solver = solver_without_timeout


def plain_byte(state, name):
    """A byte of 0x21 to 0x7E."""
    byte = claripy.BVS(f"{PlainBranches.PREFIX}_{name}", 8)
    low, high = PlainBranches.RANGE
    state.add_constraints(byte.UGE(low), byte.ULE(high))
    return byte


class Machine:
    def __init__(self, path):
        self.project = angr.Project(path, auto_load_libs=False, use_sim_procedures=False, engine=Engine)
        if self.project.arch.name != "AMD64":
            raise Unproved("only x86-64 is understood")
        needed = {symbol.name for symbol in self.project.loader.main_object.symbols if symbol.is_import}
        unknown = needed - set(STUBS) - OPTIONAL
        if unknown:
            raise Unproved(f"the library needs {sorted(unknown)}, for which there is no stub")
        for name in needed & set(STUBS):
            self.project.hook_symbol(name, STUBS[name]())

    def state(self):
        """No byte and no register has a known value."""
        state = self.project.factory.blank_state(
            addr=RETURN,
            add_options={
                angr.options.SYMBOL_FILL_UNCONSTRAINED_MEMORY,
                angr.options.SYMBOL_FILL_UNCONSTRAINED_REGISTERS,
            },
            remove_options={angr.options.SIMPLIFY_MEMORY_WRITES},
        )
        state.globals["top"] = MEMORY
        # What the ABI promises: the direction flag is clear.
        state.regs.dflag = 1
        state.inspect.b("address_concretization", when=angr.BP_BEFORE, action=watch_address)
        state.inspect.b("exit", when=angr.BP_BEFORE, action=watch_branch)
        return state

    def store(self, state, data, align=16):
        """Puts bytes somewhere and says where."""
        at = -(-state.globals["top"] // align) * align
        data = [claripy.BVV(byte, 8) if isinstance(byte, int) else byte for byte in data]
        if data:
            state.memory.store(at, claripy.Concat(*data))
        state.globals["top"] = at + len(data) + 64
        return at

    def call(self, state, name, registers, stack=()):
        """Every way the function can end from this state."""
        symbol = self.project.loader.find_symbol(name)
        state = state.copy()
        for register, value in zip(("rdi", "rsi", "rdx", "rcx", "r8", "r9"), registers):
            setattr(state.regs, register, value)
        state.regs.rsp = STACK - 8
        for place, value in enumerate((RETURN, *stack)):
            state.memory.store(STACK - 8 + 8 * place, claripy.BVV(value, 64), endness="Iend_LE")
        state.regs.rip = symbol.rebased_addr
        manager = self.project.factory.simulation_manager(state)
        manager.explore(find=RETURN, num_find=1 << 30)
        for kind, states in manager.stashes.items():
            if kind != "found" and states:
                raise Unproved(f"{len(states)} paths are {kind}")
        if manager.errored:
            raise Unproved(f"{len(manager.errored)} paths failed: {manager.errored[0].error}")
        return manager.found


def watch_address(state):
    expression = state.inspect.address_concretization_expr
    if expression is not None and is_secret(expression):
        leak(state, f"an address depends on a key at {state.addr:#x}")


def watch_branch(state):
    guard = state.inspect.exit_guard
    if guard is not None and guard.symbolic and is_secret(guard):
        sites = state.globals.get("branches", ())
        state.globals["branches"] = (*sites, state.scratch.ins_addr)


    target = state.inspect.exit_target
    if isinstance(target, claripy.ast.Base) and is_secret(target):
        leak(state, f"a jump's target depends on a key at {state.addr:#x}")


def leak(state, text):
    state.globals["leaks"] = (*state.globals.get("leaks", ()), text)
