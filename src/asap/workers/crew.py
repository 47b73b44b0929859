"""Hands batches to workers that may die, and takes back what they decide.

A worker that dies is started again, and the rows that it had under way are tried once more, each alone; a row that kills its worker
twice is rejected as `worker_died`. How workers are started and spoken to is the business of a `Transport`: processes of this machine
(`pool.py`), or Ray's actors (`ray_actors.py`).

What this does not do: store anything, or load a model.
"""

from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from asap.errors import InputError, RowError
from asap.json_values import told_apart
from asap.lm.tokens import TokenCounter
from asap.store.entry import decision_body
from asap.versions import __version__
from asap.workers.rows import Decided, Undecided

if TYPE_CHECKING:
    from asap.workers.blueprint import Blueprint

_AHEAD = 2  # batches at a worker: the one that it works on, and the next
_DEATHS_OF_A_ROW = 2
_DEATHS_IN_A_ROW = 50  # without a decision in between, the machine is to blame and not the rows

Batch = Sequence[Undecided]


class Ready(NamedTuple):
    """A worker has its models: what its decisions depend on, and how many rows it wants at once."""

    number: int
    described: Mapping[str, Any]
    rows_at_once: int


class Finished(NamedTuple):
    """A worker's decisions about the earliest batch that it had."""

    number: int
    decided: Sequence[Decided]


class Death(NamedTuple):
    """A worker is gone, and how. `at_fault` is False where its whole machine went, for which no row is to blame."""

    number: int
    how: str
    at_fault: bool = True


class Transport(Protocol):
    """How to start workers and to speak to them. Workers are numbered; each decides about its batches in the order sent."""

    where: str
    """How many workers there are, and on what, for people to read."""

    @property
    def places(self) -> Sequence[str]:
        """What each worker runs on."""
        ...

    def start(self, number: int) -> None:
        """Start a worker, or start it again after its death."""
        ...

    def send(self, number: int, batch: Batch) -> None:
        """Hand a batch to a worker that is ready."""
        ...

    def wait(self) -> Sequence[Ready | Finished | Death]:
        """What happened next, at least one thing. Raises the AsapError that a worker could not start for."""
        ...


class Crew:
    """Workers of a transport that decide about a run's rows; each is started when there is a batch for it."""

    def __init__(self, blueprint: "Blueprint", transport: Transport) -> None:
        self._blueprint, self._transport = blueprint, transport
        self.settings, self.where = blueprint.settings, transport.where
        self._queues: dict[int, deque[Batch]] = {}  # of the workers that were started: the batches that they have
        self._ready: dict[int, Ready] = {}
        self._said: Mapping[str, Any] | None = None  # by the first that was ready, of itself
        self._free: deque[Batch] = deque()  # batches without a worker: read ahead, or of a worker that died
        self._deaths: Counter[str] = Counter()
        self._deaths_in_a_row = 0

    @property
    def described(self) -> Mapping[str, Any]:
        """What the decisions depend on besides the rows, as the first worker says."""
        return self._first.described

    @property
    def rows_at_once(self) -> int:
        """How many rows a batch should have."""
        return self._first.rows_at_once

    @cached_property
    def tokens(self) -> TokenCounter:
        """The tokenizer that counts the budget."""
        return self._blueprint.load_tokens()

    @cached_property
    def _first(self) -> Ready:
        self._start(0)
        while 0 not in self._ready:
            for event in self._transport.wait():
                self._happened(event)
        return self._ready[0]

    def decide(self, batches: Iterator[Batch]) -> Iterator[Sequence[Decided]]:
        """The decisions about each batch, in any order."""
        while self._hand_out(batches):
            for event in self._transport.wait():
                if decided := self._happened(event):
                    yield decided

    def _hand_out(self, batches: Iterator[Batch]) -> bool:
        """Give each ready worker something to do and something ahead, and start others for what is left; whether anything is to be done."""
        for ahead in range(_AHEAD):
            for number in self._ready:
                if len(self._queues[number]) == ahead and self._waiting(batches, 1) and self._may_take(number, self._free[0]):
                    batch = self._free.popleft()
                    self._queues[number].append(batch)
                    self._transport.send(number, batch)
        for number in range(len(self._transport.places)):
            if number not in self._queues and self._waiting(batches, len(self._queues) - len(self._ready) + 1):
                self._start(number)
        return bool(self._free) or any(self._queues.values())

    def _may_take(self, number: int, batch: Batch) -> bool:
        """Whether a worker may have a batch beside what it has. One that a worker died of is alone there: a last answer may be lost
        in a death, so that of two batches nobody knows which it was.
        """
        queue = self._queues[number]
        return not queue or not any(row.digest in self._deaths for one in (*queue, batch) for row in one)

    def _waiting(self, batches: Iterator[Batch], count: int) -> bool:
        """Whether at least so many batches wait for a worker."""
        while len(self._free) < count and (batch := next(batches, None)) is not None:
            self._free.append(batch)
        return len(self._free) >= count

    def _start(self, number: int) -> None:
        self._ready.pop(number, None)
        self._queues[number] = deque()
        self._transport.start(number)

    def _happened(self, event: Ready | Finished | Death) -> Sequence[Decided]:
        """What has been decided by an event."""
        if isinstance(event, Finished):
            self._deaths_in_a_row = 0
            self._queues[event.number].popleft()
            return event.decided
        if isinstance(event, Ready):
            self._check(event)
            self._ready[event.number] = event
            return []
        return self._died(event)

    def _check(self, ready: Ready) -> None:
        """Raise InputError where a worker would decide otherwise than the others, or than this process says."""
        self._said = self._said or {**ready.described, "asap": __version__}
        here, there = self._said, ready.described
        names = [name for name in {**here, **there} if here.get(name) != there.get(name)]
        if names:
            shown = told_apart(there, here, names, as_here="elsewhere")
            place = self._transport.places[ready.number]
            raise InputError(f"the worker on {place} would decide otherwise than the others: {shown}; make them equal (see --dtype)")

    def _died(self, death: Death) -> Sequence[Decided]:
        """Start a worker again and put back what it had; returns the rejected rows."""
        place = self._transport.places[death.number]
        if death.number not in self._ready and death.at_fault:
            raise InputError(f"the worker on {place} died while it started ({death.how}); is there enough memory for the models?")
        self._deaths_in_a_row += death.at_fault
        if self._deaths_in_a_row > _DEATHS_IN_A_ROW:
            raise InputError(
                f"workers died {self._deaths_in_a_row} times without a decision in between, the last on {place} ({death.how}); what was "
                "done is kept: find the cause and run the same command again"
            )
        current, *ahead = self._queues[death.number] or [[]]
        self._start(death.number)
        self._free.extendleft(reversed(ahead))
        if not death.at_fault:
            self._free.extendleft([current] if current else [])
            return []
        self._deaths.update(row.digest for row in current)
        self._free.extendleft([row] for row in reversed(current) if self._deaths[row.digest] < _DEATHS_OF_A_ROW)
        return [_rejected(row, death) for row in current if self._deaths[row.digest] >= _DEATHS_OF_A_ROW]


def _rejected(row: Undecided, death: Death) -> Decided:
    how = f"the process that read it died twice ({death.how}); every run tries such rows again: give it more memory, or fewer --devices"
    return Decided(row.digest, True, decision_body(RowError("worker_died", how)), 0.0)
