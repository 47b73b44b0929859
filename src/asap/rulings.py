"""`--overrule FILE`: the rulings of a person, one JSON object a line, as the page of `asap review` writes them.

`{"id": "row-7", "digest": "…", "keep": [4], "remove": [9]}` or `{"id": "row-8", "digest": "…", "row": "whole"}` (or `"drop"`): `keep` and
`remove` list the `index` of steps, as decisions.jsonl does. A line without them takes back what was decided about its row before.
Every ruling is checked against the run before anything is written.

What this does not do: cut (`asap.recut`).
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from asap.dataset.jsonl import jsonl_rows
from asap.digest import content_digest
from asap.errors import InputError, RowError
from asap.lm.tokens import TokenCounter
from asap.prune.decision import Decision
from asap.prune.decision.overrule import DROPPED, Ruling, overruled, ruling_digest
from asap.prune.decision.unit_cut import UnitCut
from asap.sample import Sample
from asap.store.work import Store

_KEYS = ("id", "digest", "row", "keep", "remove")
_HOW = "rule on rows on the page of asap review, which writes such a file"

Settle = Callable[[Decision, Sample], Decision]


class PlacedRuling(NamedTuple):
    """A ruling, and where it stands, for messages."""

    ruling: Ruling
    where: str


Rulings = Mapping[str, PlacedRuling]
"""Rulings by the id of their row."""


def read_rulings(file: Path) -> dict[str, PlacedRuling]:
    """The rulings of a file. Raises InputError for what is no ruling, and for two about one row."""
    found = dict[str, PlacedRuling]()
    for number, row in _rows(file):
        where = f"{file}, line {number}"
        row_id, ruling = _ruling(row, where)
        if row_id in found:
            raise InputError(f"{where}: {found[row_id].where} is about row {row_id!r} as well; put all about a row in one line")
        found[row_id] = PlacedRuling(ruling, where)
    return found


def rulings_with(earlier: Mapping[str, Any] | None, given: Rulings, folder: Path) -> dict[str, PlacedRuling]:
    """The rulings that a run holds already, with those that are given in the place of others about the same rows."""
    stored = {row_id: PlacedRuling(_ruling({"id": row_id, **row}, str(folder))[1], str(folder)) for row_id, row in (earlier or {}).items()}
    return {row_id: placed for row_id, placed in {**stored, **given}.items() if placed.ruling[1:] != Ruling("")[1:]}


def rulings_as_rows(rulings: Rulings) -> dict[str, dict[str, Any]]:
    """The rulings as JSON, in the order of their ids."""
    return {row_id: rulings[row_id].ruling._asdict() for row_id in sorted(rulings)}


def rulings_digest(rulings: Rulings) -> str:
    """What tells these rulings from others: their digest, whatever the order of the lines."""
    return content_digest(rulings_as_rows(rulings))


def check_rulings(rulings: Rulings, store: Store, settle: Settle) -> set[str]:
    """The names of the rows that are dropped; a conversation is one row. Raises InputError for a ruling that does not fit the run."""
    dropped = set[str]()
    for row_id, (ruling, where) in rulings.items():
        sample = store.sample(row_id)
        if sample is None:
            raise InputError(f"{where}: {store.folder} has no row {row_id!r} that was decided about; these rulings are about another run")
        decision = store.decision(sample)
        if decision is None:
            raise InputError(f"{where}: row {row_id!r} was rejected, so there is no cut to overrule; leave this line out")
        if (digest := ruling_digest(sample, decision)) != ruling.digest:
            raise InputError(
                f"{where}: row {row_id!r} has another text or other steps in {store.folder} than the ruling was made about "
                f"(digest {digest}, not {ruling.digest:.40}); rule on it again on the page of this run"
            )
        _check_steps(ruling, decision, sample, settle, f"{where}: row {row_id!r}")
        if ruling.row == "drop":
            dropped.add(_whole_of(sample))
    return dropped


def overruled_by(
    rulings: Rulings, dropped: set[str], settle: Settle, tokens: Callable[[], TokenCounter]
) -> Callable[..., Decision | RowError]:
    """A function that settles a decision, then applies the ruling on its row; a row that is dropped becomes an error with that reason."""

    def decide(decision: Decision, sample: Sample) -> Decision | RowError:
        if _whole_of(sample) in dropped:
            return RowError(DROPPED, "a person dropped this row (--overrule)", sample.id)
        settled = settle(decision, sample)
        placed = rulings.get(sample.id)
        return settled if placed is None else overruled(settled, sample.cot, placed.ruling, tokens)

    return decide


def _whole_of(sample: Sample) -> str:
    return sample.turn.conversation.id if sample.turn else sample.id


def _check_steps(ruling: Ruling, decision: Decision, sample: Sample, settle: Settle, where: str) -> None:
    """Raise InputError unless a ruling names steps of a decision, and leaves one."""
    named = [*ruling.keep, *ruling.remove]
    if not named:
        return
    if max(named) >= len(decision.steps):
        raise InputError(f"{where} has no step {max(named)}: the index of its steps goes from 0 to {len(decision.steps) - 1}")
    settled = settle(decision, sample)
    if isinstance(settled, UnitCut):
        raise InputError(f"{where} is cut inside its steps by {settled.method}, so it can only be left whole or dropped")
    if not ruling.keep and all(not step.kept or step.index in ruling.remove for step in settled.steps):
        raise InputError(f'{where} would lose its last step; keep one, or drop the row ("row": "drop")')


def _rows(file: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for raw in jsonl_rows(file):
        if raw.error:
            raise InputError(f"{file}, line {raw.line} cannot be read: {raw.error.detail}; {_HOW}")
        yield raw.line, raw.value or {}


def _ruling(row: Mapping[str, Any], where: str) -> tuple[str, Ruling]:
    """The id and the ruling of a line."""
    if unknown := [name for name in row if name not in _KEYS]:
        raise InputError(f"{where}: {unknown[0]!r:.80} is unknown; there are {', '.join(_KEYS)}")
    for name in ("id", "digest"):
        if not isinstance(row.get(name), str):
            raise InputError(f"{where}: {name} is {row.get(name)!r:.80}; a text is expected; {_HOW}")
    if row.get("row") not in (None, "whole", "drop"):
        raise InputError(f"{where}: row is {row['row']!r:.80}; whole or drop is expected")
    keep, remove = (_indexes(row.get(name), f"{where}: {name}") for name in ("keep", "remove"))
    if row.get("row") and (keep or remove):
        raise InputError(f"{where}: row {row['id']!r} cannot be {row['row']} with steps to keep or to remove; leave one of the two out")
    if both := {*keep}.intersection(remove):
        raise InputError(f"{where}: step {min(both)} of row {row['id']!r} is to be kept and to be removed; leave one of the two out")
    return row["id"], Ruling(row["digest"], row.get("row"), keep, remove)


def _indexes(found: Any, where: str) -> tuple[int, ...]:
    if found is None:
        return ()
    if not isinstance(found, list) or not all(type(index) is int and index >= 0 for index in found):
        raise InputError(f"{where} is {found!r:.80}; a list of the steps' indexes (0, 1, 2, …) is expected")
    return tuple(sorted({*found}))
