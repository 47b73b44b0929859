"""A crew whose workers die at any moment: each row is decided exactly once, and only a row that kills twice is rejected."""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asap.errors import InputError
from asap.prune.coarse.selection import NOT_ASKED
from asap.prune.settings import AsapSettings
from asap.sample import Sample
from asap.versions import __version__
from asap.workers.blueprint import Blueprint
from asap.workers.crew import Batch, Crew, Death, Finished, Ready
from asap.workers.rows import Decided, Undecided

BLUEPRINT = Blueprint(AsapSettings(method="random"))
DESCRIBED = {"asap": __version__, "scorer": "one"}


class Mortal:
    """Workers without models that do one thing whenever someone waits: become ready, answer, or die.

    They die of poisonous rows, and whenever `chance` says so, which is nobody's fault. `said` is what each says of itself.
    """

    def __init__(
        self, number: int, poison: set[str], chance: Sequence[int] = (), said: Mapping[int, Mapping[str, Any]] | None = None
    ) -> None:
        self.places, self.where = [f"place {place}" for place in range(number)], "in tests"
        self.poison, self.chance, self.said = poison, deque(chance), said or {}
        self.batches: dict[int, deque[Batch] | None] = {}  # None: not ready
        self.waiting: dict[int, deque[Batch]] = {}
        self.starts = 0

    def start(self, number: int) -> None:
        self.starts += 1
        self.batches[number], self.waiting[number] = None, deque()

    def send(self, number: int, batch: Batch) -> None:
        assert self.batches[number] is not None, "it is not ready"
        assert len(self.waiting[number]) < 2
        self.waiting[number].append(batch)

    def wait(self) -> Sequence[Ready | Finished | Death]:
        can = [number for number in self.batches if self.batches[number] is None or self.waiting[number]]
        assert can, "a crew waits for workers that have nothing to do"
        drawn = self.chance.popleft() if self.chance else 0
        number = can[drawn % len(can)]
        if self.batches[number] is None:
            self.batches[number] = deque()
            return [Ready(number, self.said.get(number, DESCRIBED), 2)]
        if drawn > 90:
            return [Death(number, "the machine went", at_fault=False)]
        current, *ahead = self.waiting[number]
        lost = ahead[0] if ahead else []  # it answered, began with the next, and died before the answer had left
        if self.poison & {row.digest for row in (*current, *lost)}:
            return [Death(number, "of poison")]
        return [Finished(number, [Decided(row.digest, False, b"", 0.0) for row in self.waiting[number].popleft()])]


def rows(count: int) -> list[Undecided]:
    return [Undecided(str(number), Sample(str(number), "q", str(number), "a"), NOT_ASKED) for number in range(count)]


@given(
    workers=st.integers(1, 4),
    count=st.integers(0, 30),
    at_once=st.integers(1, 5),
    poison=st.sets(st.integers(0, 29), max_size=4),
    chance=st.lists(st.integers(0, 100), max_size=60),
)
def test_every_row_is_decided_once_and_only_poison_is_rejected(
    workers: int, count: int, at_once: int, poison: set[int], chance: list[int]
) -> None:
    mortal = Mortal(workers, {str(number) for number in poison}, chance)
    every = rows(count)
    batches = iter([every[start : start + at_once] for start in range(0, count, at_once)])
    decided = [one for batch in Crew(BLUEPRINT, mortal).decide(batches) for one in batch]
    assert sorted(one.digest for one in decided) == sorted(row.digest for row in every)
    assert {int(one.digest) for one in decided if one.failed} == {number for number in poison if number < count}


def test_workers_are_started_only_for_work() -> None:
    mortal = Mortal(5, set())
    crew = Crew(BLUEPRINT, mortal)
    assert crew.described == DESCRIBED
    assert crew.rows_at_once == 2
    assert mortal.starts == 1
    assert len(list(crew.decide(iter([rows(2)])))) == 1
    assert mortal.starts == 1
    assert len(list(crew.decide(iter([rows(2), rows(1), rows(1), rows(1)])))) == 4
    assert mortal.starts == 3


def test_workers_that_die_whatever_they_read_end_the_run() -> None:
    mortal = Mortal(2, {str(number) for number in range(100)})
    with pytest.raises(InputError, match=r"died 51 times without a decision in between, the last on place \d \(of poison\)"):
        list(Crew(BLUEPRINT, mortal).decide(iter([rows(100)])))


def test_a_worker_that_would_decide_otherwise_ends_the_run() -> None:
    crew = Crew(BLUEPRINT, Mortal(2, set(), [1] * 9, said={1: {"asap": __version__, "scorer": "other"}}))
    assert crew.described == DESCRIBED
    with pytest.raises(InputError, match=r"the worker on place 1 would decide otherwise .* scorer is other there and one elsewhere"):
        list(crew.decide(iter([rows(1)] * 9)))
    with pytest.raises(InputError, match=r"asap is 0\.0 there"):
        assert Crew(BLUEPRINT, Mortal(1, set(), said={0: {**DESCRIBED, "asap": "0.0"}})).described
