"""The scores of every method for the steps of the oracle's rows, by the product's own runs, which are resumed row by row.

One run (`asap prune --scores every`) holds the scores of all methods that need a model; those of controls follow from the trace. A method
of one's own (`package.module:function`) has a run of its own. A kill loses the row that was being scored.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from experiments.oracle.generate import oracle_rows
from experiments.oracle.openers import Setting

from asap.atomic import replacing
from asap.dataset.source import Source
from asap.errors import InputError
from asap.lm.scorer import Scorer
from asap.lm.tokens import TokenCounter
from asap.prune.asap import Asap
from asap.prune.decision.step_cut import StepCut
from asap.prune.methods import METHODS
from asap.prune.settings import AsapSettings
from asap.prune.settle import reordered
from asap.run import prune_into
from asap.sample import Sample
from asap.store.work import FILE, Store
from asap.workers.local import InProcess

HALF = 0.5


@dataclass(frozen=True, slots=True)
class Scored:
    """The runs of one scorer on the rows of one setting, in a folder of their own; `own` are methods of one's own."""

    folder: Path
    setting: Setting
    seed: int
    own: Sequence[str] = ()
    every: bool = True
    """Whether `spirit` and `leave-one-out` are scored too, which read half of the trace again for each step."""
    skip: int = 0
    """How many of the first rows are left out."""

    @property
    def rows(self) -> Path:
        """The file of rows."""
        return self.folder / "rows.jsonl"

    def run(self, method: str = "asap") -> Path:
        """The folder of a method's run; the paper's holds the scores of all that are built in."""
        return self.folder / method.replace(":", "-").replace("/", "-")

    def write_rows(self, count: int) -> None:
        """Write the rows of the first `count` that are not left out, unless as many are there."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.rows.is_file() and self.rows.read_bytes().count(b"\n") >= count - self.skip:
            return
        with replacing(self.rows) as file:
            rows = islice(oracle_rows(count, self.seed, self.setting), self.skip, None)
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)

    def score(self, scorer: Scorer, count: int) -> None:
        """Score the first `count` rows by all methods, as far as they are not scored yet."""
        source = Source([str(self.rows)], limit=count)
        settings = AsapSettings(ratio=HALF, scores="every" if self.every else "one-pass")
        prune_into(self.run(), source, InProcess(Asap(scorer, settings)))
        for method in self.own:
            prune_into(self.run(method), source, InProcess(Asap(scorer, AsapSettings(ratio=HALF, method=method))))


class Traced(NamedTuple):
    """A scored row: its columns, and by method one score for each step."""

    row: Mapping[str, Any]
    scores: Mapping[str, Sequence[float]]


def traces(scored: Scored, tokens: TokenCounter) -> Iterator[Traced]:
    """The rows that every run has scored, with `asap` for both stages and `asap-fine` for the paper's score on the whole trace."""
    rows = {row["id"]: row for row in map(json.loads, scored.rows.read_text("utf-8").splitlines())}
    own = [(method, {cut.id: cut for cut, _ in decided(scored.run(method))}) for method in scored.own]
    for cut, sample in decided(scored.run()):
        if all(cut.id in cuts for _, cuts in own):
            found = {"asap": [float(step.rank) for step in cut.steps]}
            for name in METHODS:
                if name != "original" and (order := stored(cut, sample, name, tokens)):
                    found["asap-fine" if name == "asap" else name] = scores_in(order)
            yield Traced(rows[cut.id], found | {method: scores_in(cuts[cut.id]) for method, cuts in own})


def decided(run: Path) -> Iterator[tuple[StepCut, Sample]]:
    """The decisions of a run, up to the first row that is not decided yet, with their samples."""
    if not (run / FILE).is_file():
        return
    with Store.reading(run) as store, suppress(InputError):
        for entry in store.entries():
            if isinstance(entry.decision, StepCut) and entry.sample:
                yield entry.decision, entry.sample


def stored(cut: StepCut, sample: Sample, method: str, tokens: TokenCounter) -> StepCut | None:
    """A method's order of removal on the whole trace; None if its scores are not stored."""
    try:
        return reordered(cut, sample, method, tokens)
    except InputError:
        return None


def scores_in(cut: StepCut) -> list[float]:
    """The score of each step."""
    return [step.score for step in cut.steps if step.score is not None]
