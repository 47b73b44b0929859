"""Every attempt of the arms: how it ended, and its text, packed in pieces that the page inflates one by one.

Attempts of a problem lie beside each other in no file, so the pieces are of one run each: to show two arms, the page inflates two, and one
for the question, which is the first that any run asked; an attempt that was asked otherwise has its own question with it.
Of very large runs the page holds the texts of the first problems, an equal share for each run, and names the file of the others.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from asap.page.embedded import MOST_CHARACTERS, embedded_json
from asap.report.arms import Arm
from asap.report.attempt_index import NOWHERE, OUTCOME_NUMBERS, AttemptIndex
from asap.report.outcomes import Judged, judged_attempts
from asap.report.questions import questions_of

_PIECE_CHARACTERS = 200_000


class _Pieces:
    """Texts, packed as soon as a piece is full, up to a number of characters."""

    def __init__(self, pieces: list[str], most: int) -> None:
        self._pieces, self._left = pieces, most
        self._piece, self._size, self._number = list[dict[str, Any]](), 0, -1
        self.lost = 0
        """The texts for which there was no room."""

    def add(self, text: str, **more: Any) -> tuple[int, int]:
        """The piece and place of a text; NOWHERE if there is no room for it."""
        if len(text) > self._left:
            self._left = 0
            self.lost += 1
            return NOWHERE
        self._left -= len(text)
        if self._size > _PIECE_CHARACTERS:
            self.pack()
        if not self._piece:  # others pack pieces meanwhile
            self._number = len(self._pieces)
            self._pieces.append("")
        self._piece.append({"text": text, **more})
        self._size += len(text)
        return self._number, len(self._piece) - 1

    def pack(self) -> None:
        """End the piece."""
        if self._piece:
            self._pieces[self._number] = embedded_json(self._piece)
        self._piece, self._size = [], 0


class _Questions:
    """The question of each problem, the first that is met."""

    def __init__(self, index: AttemptIndex, most: int) -> None:
        self._index, self._pieces = index, _Pieces(index.pieces, most)
        self._known = dict[tuple[str, int], int]()

    def told(self, benchmark: str, problem: int, asked: str | None) -> str | None:
        """Note what was asked about a problem; returns it if it is not what others were asked."""
        if asked is None:
            return None
        if (benchmark, problem) in self._known:
            return None if self._known[benchmark, problem] == hash(asked) else asked
        self._known[benchmark, problem] = hash(asked)
        self._index.questions[benchmark][problem] = self._pieces.add(asked)
        return None

    def look_up(self, arms: Sequence[Arm]) -> None:
        """Add those questions of which no attempt told, from the benchmarks that lie here."""
        for benchmark, problems in self._index.problems.items():
            for run in (run for arm in arms for run in arm.of(benchmark)):
                if missing := {task_id: number for task_id, number in problems.items() if (benchmark, number) not in self._known}:
                    found = questions_of(run, benchmark)
                    for task_id, number in missing.items():
                        self.told(benchmark, number, found.get(task_id))
        self._pieces.pack()
        if self._pieces.lost:
            self._index.notes.append(f"{self._pieces.lost:,} questions are too much for one page")


def read_attempts_of(arms: Sequence[Arm], benchmarks: Sequence[str], most: int = MOST_CHARACTERS) -> AttemptIndex:
    """The attempts of all arms. Each file is read once, and no more than a piece of texts of a run is held."""
    index = AttemptIndex({name: {} for name in benchmarks}, {name: {} for name in benchmarks}, {name: {} for name in benchmarks})
    share, without = most // (1 + sum(len(arm.runs) for arm in arms)), list[str]()
    questions = _Questions(index, share)
    for arm in arms:
        seeds = Counter[str]()
        for run in arm.runs:
            pieces, lost = _Pieces(index.pieces, share), 0
            for judged in judged_attempts(run):
                problems = index.problems[judged.benchmark]
                problem = problems.setdefault(judged.task_id, len(problems))
                asked = questions.told(judged.benchmark, problem, judged.asked)
                place = NOWHERE if judged.text is None else pieces.add(judged.text, **_beside(judged, asked))
                lost += judged.text is None and judged.verdict != "infra"
                outcome = OUTCOME_NUMBERS[judged.outcome]
                entry = [problem, seeds[judged.benchmark], judged.sample, outcome, judged.tokens, judged.seconds, *place]
                index.attempts[judged.benchmark].setdefault(arm.name, []).append(entry)
            pieces.pack()
            seeds.update(run.benchmarks.keys())
            if lost:
                without.append(f"{lost:,} of {run.folder}")
            if pieces.lost:
                index.notes.append(
                    f"{arm.name}: {pieces.lost:,} texts of {run.folder} are too much for one page; they are in its attempts.jsonl"
                )
    questions.look_up(arms)
    if without:
        index.notes.append(
            f"texts that are not where their run found them, so that none is shown and loops are not counted: {', '.join(without)}"
        )
    return index


def _beside(judged: Judged, asked: str | None) -> dict[str, Any]:
    """What stands beside a text: the verdict, and what was asked where that is not the question of the others."""
    own = {"asked": asked} if asked is not None else {}
    return {"opened": judged.opened, "verdict": judged.verdict, "detail": judged.detail[:2000], **own}
