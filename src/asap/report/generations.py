"""Every attempt of the arms: how it ended, and its text, packed in pieces that the page inflates one by one.

Attempts of a problem lie beside each other in no file, so the pieces are of one run each: to show two arms, the page inflates two.
Of very large runs the page holds the texts of the first problems, an equal share for each run, and names the file of the others.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from asap.page.embedded import MOST_CHARACTERS, embedded_json
from asap.report.arms import Arm
from asap.report.attempt_index import OUTCOME_NUMBERS, AttemptIndex
from asap.report.outcomes import judged_attempts

_PIECE_CHARACTERS = 200_000


class _Pieces:
    """The texts of one run, packed as soon as a piece is full, up to a number of characters."""

    def __init__(self, pieces: list[str], most: int) -> None:
        self._pieces, self._left = pieces, most
        self._piece, self._size = list[dict[str, Any]](), 0

    def add(self, text: str, more: dict[str, Any]) -> tuple[int, int]:
        """The piece and place of a text; (-1, -1) if there is no room for it."""
        if len(text) > self._left:
            self._left = 0
            return -1, -1
        self._left -= len(text)
        if self._size > _PIECE_CHARACTERS:
            self.pack()
        self._piece.append({"text": text, **more})
        self._size += len(text)
        return len(self._pieces), len(self._piece) - 1

    def pack(self) -> None:
        """End the piece."""
        if self._piece:
            self._pieces.append(embedded_json(self._piece))
        self._piece, self._size = [], 0


def read_attempts_of(arms: Sequence[Arm], benchmarks: Sequence[str], most: int = MOST_CHARACTERS) -> AttemptIndex:
    """The attempts of all arms. Each file is read once, and no more than a piece of texts is held."""
    index = AttemptIndex({name: {} for name in benchmarks}, {name: {} for name in benchmarks})
    number, without = sum(len(arm.runs) for arm in arms), list[str]()
    for arm in arms:
        seeds = Counter[str]()
        for run in arm.runs:
            pieces, lost, cut = _Pieces(index.pieces, most // max(1, number)), 0, 0
            for judged in judged_attempts(run):
                problems = index.problems[judged.benchmark]
                problem = problems.setdefault(judged.task_id, len(problems))
                place = (-1, -1)
                if judged.text is not None:
                    more = {"opened": judged.opened, "verdict": judged.verdict, "detail": judged.detail[:2000]}
                    place = pieces.add(judged.text, more)
                    cut += place == (-1, -1)
                lost += judged.text is None and judged.verdict != "infra"
                entry = [
                    problem,
                    seeds[judged.benchmark],
                    judged.sample,
                    OUTCOME_NUMBERS[judged.outcome],
                    judged.tokens,
                    judged.seconds,
                    *place,
                ]
                index.attempts[judged.benchmark].setdefault(arm.name, []).append(entry)
            pieces.pack()
            seeds.update(run.benchmarks.keys())
            if lost:
                without.append(f"{lost:,} of {run.folder}")
            if cut:
                index.notes.append(f"{arm.name}: {cut:,} texts of {run.folder} are too much for one page; they are in its attempts.jsonl")
    if without:
        index.notes.append(
            f"texts that are not where their run found them, so that none is shown and loops are not counted: {', '.join(without)}"
        )
    return index
