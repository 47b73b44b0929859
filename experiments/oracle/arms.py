"""The arms: the same rows with other traces, each cut to half of its tokens unless the arm says otherwise.

| arm | what is left of a trace |
|---|---|
| original | all |
| necessary-only, necessary-removed | the necessary steps, or all others |
| random, random-2 | two draws |
| random-block, keep-ends, keep-tail | what these controls keep |
| asap-fine, asap, alignment, spirit | what these methods keep, by the model that is trained later |
| answer-only | nothing but the word in `NOTHING`, since a trace must not be empty |
"""

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from asap.atomic import replacing
from asap.dataset.shapes import to_sample
from asap.dataset.source import Source
from asap.lm.scorer import NoModel
from asap.lm.specs import load_scorer, load_tokens
from asap.prune.asap import Asap
from asap.prune.decision.step_cut import StepCut
from asap.prune.settings import AsapSettings
from asap.prune.settle import reordered
from asap.run import prune_into
from asap.sample import Sample
from asap.steps import keep_steps, split_steps
from asap.store.work import Store
from asap.workers.local import InProcess

Row = Mapping[str, Any]
Cut = Callable[[Row, Sample], str]
"""What is left of a row's trace."""
HALF = 0.5
NOTHING = "Done."
CONTROLS = {"random": ("random", 0), "random-2": ("random", 1), **{name: (name, 0) for name in ("random-block", "keep-ends", "keep-tail")}}
SCORED = ("asap-fine", "asap", "alignment", "spirit")
ARMS = ("original", "necessary-only", "necessary-removed", *CONTROLS, *SCORED, "answer-only")


def write_arm(arm: str, rows: Path, scores: Path, model: str, out: Path) -> None:
    """Write the rows of an arm, unless they are there. `scores` is where runs with a scorer are kept."""
    if out.is_file():
        return
    with rows.open(encoding="utf-8") as file:
        found = [json.loads(line) for line in file]
    samples = [read_sample(row) for row in found]
    cut = cut_of(arm, rows, scores, model)
    with replacing(out) as target:
        for row, sample in zip(found, samples, strict=True):
            response = sample.frame.join(cut(row, sample), sample.answer)
            target.write(json.dumps({"id": row["id"], "question": row["question"], "response": response}, ensure_ascii=False) + "\n")


def read_sample(row: Row) -> Sample:
    """The sample that the product reads in a row."""
    return to_sample(row).sample


def cut_of(arm: str, rows: Path, scores: Path, model: str) -> Cut:
    """What an arm does to a trace."""
    if arm in CONTROLS:
        method, seed = CONTROLS[arm]
        pruner = Asap(NoModel(load_tokens(model)), AsapSettings(ratio=HALF, method=method, seed=seed))
        return lambda row, sample: pruner.prune(sample).sample.cot
    if arm in SCORED:
        return partial(by_decision, arm, scored(arm, rows, scores, model), load_tokens(model))
    return {
        "original": lambda row, sample: sample.cot,
        "necessary-only": lambda row, sample: labelled(row, sample, necessary=True),
        "necessary-removed": lambda row, sample: labelled(row, sample, necessary=False),
        "answer-only": lambda row, sample: NOTHING,
    }[arm]


def labelled(row: Row, sample: Sample, *, necessary: bool) -> str:
    """The necessary steps, or all others."""
    return keep_steps(sample.cot, split_steps(sample.cot), [(label == "necessary") == necessary for label in row["labels"]])


def scored(arm: str, rows: Path, scores: Path, model: str) -> Mapping[str, StepCut]:
    """The decisions about the rows by id, from a run that goes on where it was; `asap` also holds those of asap-fine and alignment."""
    method = "spirit" if arm == "spirit" else "asap"
    settings = AsapSettings(ratio=HALF, method=method, scores="own" if method == "spirit" else "one-pass")
    prune_into(scores / method, Source([str(rows)]), InProcess(Asap(load_scorer(model), settings)))
    with Store.reading(scores / method) as store:
        return {entry.decision.id: entry.decision for entry in store.entries() if isinstance(entry.decision, StepCut)}


def by_decision(arm: str, decisions: Mapping[str, StepCut], tokens: Any, row: Row, sample: Sample) -> str:
    """What a scored arm leaves of a trace."""
    decision = decisions[str(row["id"])]
    if arm in ("asap-fine", "alignment"):
        decision = reordered(decision, sample, arm.removesuffix("-fine"), tokens).cut(ratio=HALF)
    return decision.apply(sample.cot)
