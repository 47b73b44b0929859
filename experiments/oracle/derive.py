"""Derives what a program prints from the steps of a trace, reading only their text and the program's.

Literals are read in the program. Any other value must be claimed by a step (`c = 7+5 = 12.`), and a claim is believed only if it is
right and its operands are known already; so nothing is derived that the steps do not say. The branch that is taken follows from known
values. What is unknown stays unknown, which hurts only what uses it.
What this does not do: read programs other than those of `program.py`.
"""

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import CodeType
from typing import Any, NamedTuple

_CLAIM = re.compile(
    r"\b(?P<head>[a-z]) = (?:[^:=]+ = )?(?P<of_head>[^:=]+?)(?:\.$|:| in line)"  # c = 7+5 = 12.   c = 12: 12-5 = 7.   line 1: a = 7.
    r"|= (?P<of_tail>[^:=]+) = (?P<tail>[a-z])\.$"  # 7+5 = 12 = c.
)
_BUILTINS = {"len": len, "max": max, "sum": sum}


class Claim(NamedTuple):
    """A step says that a variable has a value, as Python writes it."""

    name: str
    value: str


def claim_of(step: str) -> Claim | None:
    """What a step claims; None if it claims nothing."""
    found = _CLAIM.search(step)
    if found is None:
        return None
    return Claim(found["head"] or found["tail"], found["of_head"] or found["of_tail"])


@dataclass(frozen=True, slots=True)
class Instruction:
    """`target = code`, with what the code reads; `literal`: the program itself says the value. Within a condition, only if it holds."""

    target: str
    code: CodeType
    reads: tuple[str, ...]
    literal: bool
    test: "Instruction | None" = None
    holds: bool = True


class Reading(NamedTuple):
    """A program, read: its function, its instructions in the order of computation, and the name that it prints."""

    functions: Mapping[str, Any]
    instructions: Sequence[Instruction]
    printed: str

    @classmethod
    def of(cls, code: str) -> "Reading":
        """The reading of a program."""
        functions: dict[str, Any] = {"__builtins__": _BUILTINS}
        instructions, printed = list[Instruction](), ""
        for node in ast.parse(code).body:
            if isinstance(node, ast.FunctionDef):
                exec(compile(ast.Module([node], []), "<program>", "exec"), functions)
            elif isinstance(node, ast.Expr):
                printed = ast.unparse(node.value).removeprefix("print(").removesuffix(")")
            else:
                instructions += _instructions(node)
        return cls(functions, instructions, printed)


def _instructions(node: ast.stmt) -> list[Instruction]:
    if isinstance(node, ast.Assign):
        return [_instruction(ast.unparse(node.targets[0]), node.value)]
    if isinstance(node, ast.If):
        test = _instruction("", node.test)
        found = [(one, True) for one in node.body] + [(one, False) for one in node.orelse]
        made = [(_instructions(one)[0], holds) for one, holds in found]
        return [Instruction(one.target, one.code, one.reads, one.literal, test, holds) for one, holds in made]
    assert isinstance(node, ast.For)
    [body] = [_instructions(one)[0] for one in node.body]
    rounds = [(_instruction("i", ast.Constant(item)), body) for item in ast.literal_eval(node.iter)]
    return [one for pair in rounds for one in pair]


def _instruction(target: str, value: ast.expr) -> Instruction:
    reads = tuple(sorted({node.id for node in ast.walk(value) if isinstance(node, ast.Name)} - {"f", *_BUILTINS}))
    code = compile(ast.fix_missing_locations(ast.Expression(value)), "<program>", "eval")
    literal = all(isinstance(node, ast.Constant | ast.List | ast.Load) for node in ast.walk(value))
    return Instruction(target, code, reads, literal)


def derived(program: Reading, steps: Sequence[str]) -> str | None:
    """What the program prints, as far as the steps derive it; None if they do not."""
    claims: dict[str, list[str]] = {}
    for claim in filter(None, map(claim_of, steps)):
        claims.setdefault(claim.name, []).append(claim.value)
    known: dict[str, Any] = {}
    for one in program.instructions:
        test = _computed(program, one.test, known) if one.test else None
        if one.test and (test is None or test != one.holds):
            if test is None:
                known.pop(one.target, None)
            continue
        value = _computed(program, one, known)
        if value is None or not (one.literal or _claimed(claims.get(one.target, []), repr(value))):
            known.pop(one.target, None)
        else:
            known[one.target] = value
    return str(known[program.printed]) if program.printed in known else None


def _computed(program: Reading, one: Instruction, known: Mapping[str, Any]) -> Any:
    """The value of an instruction, or None if something that it reads is unknown."""
    if not all(name in known for name in one.reads):
        return None
    return eval(one.code, {**program.functions, **known})


def _claimed(claims: list[str], value: str) -> bool:
    """Whether a claim that was not used yet gives this value; uses it up, with those before it."""
    if value not in claims:
        return False
    del claims[: claims.index(value) + 1]
    return True


def printed_by_python(code: str) -> str:
    """What Python itself prints for one of our programs, in this process."""
    said = list[str]()
    exec(code, {"__builtins__": {**_BUILTINS, "print": lambda value: said.append(str(value))}})
    return "\n".join(said)
