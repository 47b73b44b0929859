"""One problem of a benchmark, and the kinds of checks for a solution: three that run it, and one that compares its result.

Problems are trusted, solutions are not: the sandbox (`asap.sandbox`) never shows `expected`, `equal` or the source of a
`Program` to the process that runs a solution.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Isolation = Literal["apart", "together"]
ResultRule = Literal["math-verify", "gsm8k"]
"""How a result is compared with the gold one (`asap.evaluate.comparer`)."""


@dataclass(frozen=True, slots=True)
class Calls:
    """Call a function on each input, one at a time; the host compares the outputs.

    `entry_point` is a function's name, or `Class.method` for a class constructed without arguments; of two names
    `Class.method|function`, the first that exists. An input is the
    list of positional arguments. `equal(arguments, output, expected)` is the benchmark's comparison; it gets exact builtin types.
    """

    entry_point: str
    inputs: Sequence[Sequence[Any]]
    expected: Sequence[Any]
    equal: Callable[[Sequence[Any], Any, Any], bool]


@dataclass(frozen=True, slots=True)
class Stdin:
    """Run the whole program on each standard input; the host compares its standard output. `equal(output, expected)`."""

    inputs: Sequence[str]
    expected: Sequence[str]
    equal: Callable[[str, str], bool]


@dataclass(frozen=True, slots=True)
class Program:
    """Test code that calls the solution through a proxy and runs in a separate sandboxed process.

    `source` runs with `entry_point` bound to the proxy; `prelude` (trusted, part of the problem) runs before both. If `check` is a
    name, `check(candidate)` is called afterwards (HumanEval, LeetCodeDataset); if it is None, `source` is a pytest file that imports
    from a module `solution`, and pytest runs it. `isolation`: apart, as said, or together with the solution in one process.
    `outcomes`: what became of each test with the reference solution (its name, and passed, skipped, xfailed or xpassed).
    """

    source: str
    entry_point: str | None
    check: str | None = "check"
    prelude: str = ""
    isolation: Isolation = "apart"
    outcomes: tuple[tuple[str, str], ...] | None = None


@dataclass(frozen=True, slots=True)
class GoldResult:
    """Compare the result that an answer states with the gold one. Nothing is run, so no sandbox is needed."""

    gold: str
    rule: ResultRule


Check = Calls | Stdin | Program
"""What the sandbox checks."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem. `question` is the request to a model; a completion continues `prompt`, which is code (None: nothing to continue).

    `references` are known solutions, whole programs, the best first. `header` is code that every solution may assume, prepended to it
    (a `Program` has its `prelude` for that). `public_only`: the private tests of the benchmark are missing. A `Calls` with fewer
    expected values than inputs gets the others from the reference. `untestable` says why its tests cannot be run, if they cannot.
    `extraction`: the rule by which the benchmark takes code from an answer.
    """

    task_id: str
    question: str
    prompt: str | None
    check: Check | GoldResult
    references: list[str] | tuple[str, ...] = ()  # no Sequence, since a text is one too
    public_only: bool = False
    header: str = ""
    untestable: str = ""
    extraction: Literal["asap", "livecodebench"] = "asap"


def gold_rules(problems: Iterable[Problem]) -> set[ResultRule]:
    """The rules by which the results of these problems are compared."""
    return {problem.check.rule for problem in problems if isinstance(problem.check, GoldResult)}
