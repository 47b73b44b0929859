"""A trace about a program: its needed facts, and about as much text that the output does not need, each step with its label.

| label | the step states |
|---|---|
| necessary | a needed fact, for the first time |
| restated | a needed fact again, or a literal of the program |
| verification | a needed fact again, with a computation that confirms it |
| dead-end | an idle fact, or a needed one with a slip, which the next step corrects |

Exactly one step states each needed fact first, so exactly these are necessary. All kinds of steps share their forms (`c = 7+5 = 12.`,
`7+5 = 12 = c.`), so neither a form nor a length gives a label away; a verification has its own two, of the same length.
"""

import random
from collections.abc import Sequence
from typing import NamedTuple

from experiments.oracle.openers import Label, Setting, draw_opener
from experiments.oracle.program import Fact, Literal, Program

STEPS = (12, 30)
NECESSARY_SHARE = 0.46
"""The share of a trace's characters that necessary steps have; a cut to half of the tokens keeps a little less than half."""
TOLERANCE = 0.05


class Step(NamedTuple):
    """A step of a trace without its opener. `fact` is the number of the fact that it states rightly; None for a literal or a slip."""

    text: str
    label: Label
    fact: int | None


class Extra(NamedTuple):
    """A step that may be added, between these places among the steps that are there (a place is the number of steps before it)."""

    step: Step
    about: int
    where: str


def draw_trace(chance: random.Random, program: Program) -> list[Step] | None:
    """The steps about a program; None if they cannot be balanced."""
    steps = [Step(stated(chance, program.facts[number]), label_of(program, number), number) for number in fact_order(chance, program)]
    wanted = size(steps, necessary=True) / NECESSARY_SHARE - size(steps, necessary=True)
    extras = drawn_extras(chance, program)
    while extras and size(steps, necessary=False) + len(extras[-1].step.text) / 2 < wanted:
        extra = extras.pop()
        steps.insert(place(chance, program, steps, extra), extra.step)
    share = size(steps, necessary=True) / (size(steps, necessary=True) + size(steps, necessary=False))
    fits = STEPS[0] <= len(steps) <= STEPS[1] and abs(share - NECESSARY_SHARE) <= TOLERANCE
    return steps if fits else None


def label_of(program: Program, number: int) -> Label:
    """The label of the step that states a fact first."""
    return "necessary" if number in program.needed else "dead-end"


def fact_order(chance: random.Random, program: Program) -> list[int]:
    """The facts in the order of computation, but idle ones mostly as soon as they can be computed: they tend to stand late in a program."""
    order = list[int]()
    changing = [literal.name for literal in program.literals] + [fact.name for fact in program.facts]
    for number, fact in enumerate(program.facts):
        earliest = max((order.index(need) + 1 for need in fact.needs), default=0)
        early = number not in program.needed and changing.count(fact.name) == 1
        order.insert(min(chance.randint(earliest, number), chance.randint(earliest, number)) if early else number, number)
    return order


def size(steps: Sequence[Step], *, necessary: bool) -> int:
    """The characters of the necessary steps, or of the others."""
    return sum(len(step.text) for step in steps if (step.label == "necessary") == necessary)


def drawn_extras(chance: random.Random, program: Program) -> list[Extra]:
    """Steps to add, each different, in random order."""
    facts = [(number, program.facts[number]) for number in sorted(program.needed)]
    found = [Extra(Step(stated(chance, fact), "restated", number), number, "after") for number, fact in facts]
    found += [Extra(Step(confirmed(chance, fact), "verification", None), number, "after") for number, fact in facts]
    found += [Extra(Step(stated(chance, fact, fact.wrong), "dead-end", None), number, "before") for number, fact in facts if fact.wrong]
    found += [Extra(Step(read_off(chance, one), "restated", None), first_use(program, one), "ahead") for one in program.literals]
    chance.shuffle(found)
    return found


def place(chance: random.Random, program: Program, steps: Sequence[Step], extra: Extra) -> int:
    """Where an extra step goes: a slip right before its fact, a literal ahead of its use, all else behind its fact while that holds."""
    at = next(place for place, step in enumerate(steps) if step.fact == extra.about)
    if extra.where == "before":
        return at
    if extra.where == "ahead":
        return min(chance.randint(0, at), chance.randint(0, at))
    name = program.facts[extra.about].name
    later = (place for place, step in enumerate(steps) if step.fact is not None and step.fact > extra.about)
    end = next((place for place in later if program.facts[steps[place].fact or 0].name == name), len(steps))
    return min(chance.randint(at + 1, end), chance.randint(at + 1, end))


def first_use(program: Program, literal: Literal) -> int:
    """The first fact that changes the literal's variable; the last fact of all if none does, since the literal holds until then."""
    return next((number for number, fact in enumerate(program.facts) if fact.name == literal.name), len(program.facts) - 1)


def stated(chance: random.Random, fact: Fact, value: str = "") -> str:
    """A step that computes a fact, or with a slip another value."""
    value = value or fact.value
    if chance.random() < 0.5:
        return f"{fact.before}{fact.name} = {fact.filled} = {value}."
    return f"{fact.before}{fact.filled} = {value} = {fact.name}."


def confirmed(chance: random.Random, fact: Fact) -> str:
    """A step that confirms a fact."""
    if chance.random() < 0.5:
        return f"{fact.name}: {fact.check}."
    return f"{fact.check}: {fact.name}."


def read_off(chance: random.Random, literal: Literal) -> str:
    """A step that reads a literal in the program."""
    if chance.random() < 0.5:
        return f"{literal.name} = {literal.value} in line {literal.line}."
    return f"line {literal.line}: {literal.name} = {literal.value}."


def with_openers(chance: random.Random, steps: Sequence[Step], setting: Setting) -> list[str]:
    """The text of each step, as the trace has it."""
    return [draw_opener(chance, step.label, setting) + step.text for step in steps]
