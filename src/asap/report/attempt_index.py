"""How attempts end, and the index of all attempts of a report."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

OUTCOMES = {
    "right": "right",
    "wrong": "wrong",
    "broke": "error or limit",
    "no-answer": "no answer",
    "budget": "budget ran out",
    "looping": "looping",
    "infra": "not judged",
}
"""The outcomes of an attempt and what they are called."""
OUTCOME_NUMBERS = {outcome: number for number, outcome in enumerate(OUTCOMES)}
NOWHERE = (-1, -1)
"""Piece and place of a text that is not on the page."""


@dataclass
class AttemptIndex:
    """The attempts by benchmark and arm.

    `attempts[benchmark][arm]` has one list for each attempt: problem, seed, sample, outcome, tokens, seconds, piece and place in the piece
    (-1: its text is not on the page). Problems, arms and outcomes are numbers: places in `problems`, the arms and OUTCOMES.
    `questions[benchmark]` has piece and place of the question of each problem of which it is known.
    """

    problems: dict[str, dict[str, int]]
    attempts: dict[str, dict[str, list[list[Any]]]]
    questions: dict[str, dict[int, tuple[int, int]]]
    pieces: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def outcomes(self, arm: str, benchmark: str) -> dict[str, int]:
        """How many attempts of an arm at a benchmark ended how."""
        codes = list(OUTCOMES)
        counts = Counter(codes[attempt[3]] for attempt in self.attempts.get(benchmark, {}).get(arm, []))
        return {outcome: counts[outcome] for outcome in OUTCOMES if counts[outcome]}
