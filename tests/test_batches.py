"""What shares batches where `batch_tokens` is set, as on a GPU: the numbers of one text after another, in far fewer calls of the model."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from asap.compare.support import SupportScorer
from asap.errors import RowError
from asap.lm.scorer_transformers import HFScorer
from asap.prune.asap import Asap
from asap.prune.decision.unit_cut import UnitCut
from asap.prune.methods.selective_context import SelectiveContext
from asap.prune.settings import AsapSettings
from asap.sample import Sample
from run_fixtures import model_folder, row

SAMPLES = [Sample(**row(number, 12)) for number in range(8)]
WAYS = {
    "align and fine": AsapSettings(ratio=0.5),
    "support floor": AsapSettings(ratio=0.4, support_floor=0.0005),
    "rescore": AsapSettings(ratio=0.5, rescore=2, coarse="none"),
    "selective-context": AsapSettings(ratio=0.5, method=SelectiveContext(phrases="regex")),
}


@pytest.fixture(scope="module")
def alone() -> HFScorer:
    return HFScorer(str(model_folder()), device="cpu")


@pytest.fixture(scope="module")
def batched() -> HFScorer:
    return HFScorer(str(model_folder()), device="cpu", batch_tokens=1 << 14)


@contextmanager
def counted(model: torch.nn.Module) -> Iterator[list[int]]:
    """The number of texts in each call of a model."""
    sizes = list[int]()

    def note(_: torch.nn.Module, __: Any, given: dict[str, Any], ___: Any) -> None:
        sizes.append(len(given["input_ids"]))

    handle = model.register_forward_hook(note, with_kwargs=True)
    yield sizes
    handle.remove()


@pytest.mark.parametrize("way", WAYS)
def test_rows_share_batches(alone: HFScorer, batched: HFScorer, way: str) -> None:
    with counted(alone.model.base_model) as one_by_one:
        expected = [decision for sample in SAMPLES for decision in Asap(alone, WAYS[way]).decide([sample])]
    with counted(batched.model.base_model) as together:
        found = Asap(batched, WAYS[way]).decide(SAMPLES)
    assert set(one_by_one) == {1}
    assert sum(together) == len(one_by_one), "as many texts are read"
    assert len(together) <= len(one_by_one) / 4
    for one, other in zip(found, expected, strict=True):
        assert not isinstance(one, RowError)
        assert not isinstance(other, RowError)
        assert one.kept == other.kept
        assert scores(one) == pytest.approx(scores(other), abs=1e-5)
        assert (one.floor is None) == (other.floor is None)
        if one.floor and other.floor:
            assert one.floor.left == pytest.approx(other.floor.left, abs=1e-5)


def scores(decision: Any) -> list[float]:
    return decision.units.scores if isinstance(decision, UnitCut) else [step.score for step in decision.steps if step.score is not None]


def test_a_judge_reads_all_traces_of_a_row_together(alone: HFScorer, batched: HFScorer, tmp_path: Path) -> None:
    sample = SAMPLES[0]
    traces = ["", sample.cot, *(sample.cot[: 20 * number] for number in range(1, 9)), sample.cot]
    with SupportScorer.open(alone, tmp_path / "alone") as judge, counted(alone.model.base_model) as one_by_one:
        expected = judge.supports(sample, traces)
        assert expected == [judge.support(sample, trace) for trace in traces]
    with SupportScorer.open(batched, tmp_path / "batched") as judge, counted(batched.model.base_model) as together:
        judge.support(sample, traces[3])
        assert judge.supports(sample, traces) == pytest.approx(expected, abs=1e-5)
        assert judge.supports(sample, traces) == [judge.support(sample, trace) for trace in traces]
    assert one_by_one == [1] * len(set(traces))
    assert together == [1, len(set(traces)) - 1], "what is stored is not read again, equal traces are read once"


def test_a_judge_on_a_cpu_stores_each_support_before_it_reads_the_next(
    alone: HFScorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample, score, left = SAMPLES[0], alone.score, [3]

    def killed(requests: Sequence[Any]) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return score(requests)

    traces = [sample.cot[: 20 * number] for number in range(6)]
    with SupportScorer.open(alone, tmp_path) as judge:
        monkeypatch.setattr(alone, "score", killed)
        with pytest.raises(KeyboardInterrupt):
            judge.supports(sample, traces)
        monkeypatch.setattr(alone, "score", score)
        assert np.isfinite(judge.supports(sample, traces)).all()
        assert judge.computed == len(traces)
