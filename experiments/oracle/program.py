"""A short Python program as a graph of facts: which values its variables take, and which earlier values each is computed from.

A *fact* is one computed value of one variable. Literals (`a = 7`) stand in the program and are no facts. The facts that the printed
value depends on are *needed*; the others never reach the output.
What this does not do: run Python (`derive.py` does) or say anything about the facts (`trace.py`).
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

Value = int | str | list[int]

NAMES = "abcdeghkmnpqrtuvwyz"
"""Names of variables; f, i and x are those of the function, the loop and the parameter."""
WORDS = ("cat", "sun", "box", "ink", "map", "fog", "pen", "ice", "jam", "owl")
LARGEST = 99
FACTS, IDLE = (6, 8), (2, 4)
"""How many facts are needed, and how many are not (from, to)."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A computed value: `name = filled = value`, after the test `before` of a condition if there is one.

    `check` is a computation that confirms the value, `wrong` another value that a slip gives, `needs` the facts that it comes from.
    """

    name: str
    filled: str
    value: str
    check: str
    wrong: str
    needs: tuple[int, ...]
    before: str = ""


@dataclass(frozen=True, slots=True)
class Literal:
    """A value that stands in the program, in this line (from 1)."""

    name: str
    value: str
    line: int


@dataclass(frozen=True, slots=True)
class Program:
    """The code, its literals, its facts in the order of computation, and the needed ones among them. It prints `printed`."""

    code: str
    literals: Sequence[Literal]
    facts: Sequence[Fact]
    needed: frozenset[int]
    printed: str


@dataclass(slots=True)
class Scope:
    """A program that is being written: the values of its variables, and the last fact about each."""

    chance: random.Random
    names: list[str]
    lines: list[str] = field(default_factory=list)
    values: dict[str, Value] = field(default_factory=dict)
    facts: list[Fact] = field(default_factory=list)
    literals: list[Literal] = field(default_factory=list)
    last_fact: dict[str, int] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)

    def draw(self, kind: type[Value], *, unlike: str = "") -> str | None:
        """A variable of this type, mostly one whose value nothing uses yet; None if there is none."""
        fitting = [name for name, value in self.values.items() if isinstance(value, kind) and name != unlike]
        if not fitting:
            return None
        fresh = [name for name in fitting if name not in self.used and name in self.last_fact]
        return self.chance.choice(fresh if fresh and self.chance.random() < 0.75 else fitting)

    def literal(self, value: Value) -> None:
        """Write `name = value`."""
        name = self.names.pop()
        self.lines.append(f"{name} = {value!r}")
        self.values[name] = value
        self.literals.append(Literal(name, repr(value), len(self.lines)))

    def fact(self, name: str, filled: str, value: Value, check: str, operands: Sequence[str], before: str = "") -> None:
        """Take down that a variable has this value, computed from the values that the operands have now."""
        needs = tuple(sorted({self.last_fact[operand] for operand in operands if operand in self.last_fact}))
        wrong = repr(value + self.chance.choice([-2, -1, 1, 2, 10])) if isinstance(value, int) else ""
        self.facts.append(Fact(name, filled, repr(value), check, wrong if not wrong.startswith("-") else "", needs, before))
        self.last_fact[name] = len(self.facts) - 1
        self.values[name] = value
        self.used |= {operand for operand in operands if operand != name}
        self.used.discard(name)

    def assign(self, formula: str, filled: str, value: Value, check: str, operands: Sequence[str]) -> None:
        """Write `name = formula`, a statement of one fact."""
        name = self.names.pop()
        self.lines.append(f"{name} = {formula}")
        self.fact(name, filled, value, check, operands)


Operation = Callable[[Scope], bool]
"""Writes a statement; False where the values at hand do not suit it."""


def draw_program(chance: random.Random, operations: Sequence[Operation]) -> Program:
    """A program of 6 to 8 needed facts and 2 to 4 idle ones. Drawn until one fits."""
    while True:
        scope = Scope(chance, chance.sample(NAMES, len(NAMES)))
        draw_literals(scope)
        while len(scope.facts) < FACTS[0] + IDLE[0] + chance.randrange(3):
            chance.choice(operations)(scope)
        if program := printed_program(scope):
            return program


def draw_literals(scope: Scope) -> None:
    """Write the literals, with one function above them where a program has one."""
    chance = scope.chance
    if chance.random() < 0.5:
        scope.lines += ["def f(x):", f"    return x {chance.choice('+-*')} {chance.randint(2, 3)} + {chance.randint(1, 9)}"]
    values: list[Value] = [chance.randint(2, 20), chance.randint(2, 20)]
    values.append(chance.sample(range(1, 10), 3) if chance.random() < 0.6 else chance.choice(WORDS))
    for value in chance.sample(values, len(values)):
        scope.literal(value)


def printed_program(scope: Scope) -> Program | None:
    """The program that prints one of the variables, with as many needed and idle facts as there should be; None if none does."""
    earliest = len(scope.facts) - 1 - scope.chance.choice([0, 0, 1, 2])  # else idle facts would mostly stand at the end
    candidates = [name for name, fact in scope.last_fact.items() if fact >= earliest and not isinstance(scope.values[name], list)]
    for name in scope.chance.sample(candidates, len(candidates)):
        needed = ancestors(scope.facts, scope.last_fact[name])
        if FACTS[0] <= len(needed) <= FACTS[1] and IDLE[0] <= len(scope.facts) - len(needed) <= IDLE[1]:
            code = "\n".join([*scope.lines, f"print({name})"])
            return Program(code, scope.literals, scope.facts, needed, str(scope.values[name]))
    return None


def ancestors(facts: Sequence[Fact], last: int) -> frozenset[int]:
    """A fact and all facts that it is computed from."""
    found, waiting = set[int](), [last]
    while waiting:
        found.add(one := waiting.pop())
        waiting += [need for need in facts[one].needs if need not in found]
    return frozenset(found)
