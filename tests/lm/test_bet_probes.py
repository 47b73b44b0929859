"""The probes of the bets in experiments/ on one kept reading give what the model gives when it reads each text, or each mask, anew."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lm_helpers import QUESTION, TRACE

from asap.errors import AsapError, UsageError
from asap.lm.scorer_transformers import HFScorer
from asap.lm.specs import load_scorer
from asap.prune.trace import Steps, Trace
from asap.sample import Sample
from asap.steps import split_steps

ANSWER = "Use this.\n\n```python\ndef add(numbers):\n    return sum(numbers)\n```\n"
SAMPLE = Sample("1", QUESTION, TRACE, ANSWER)
ARCHITECTURES = ["llama", "gpt2", "granite", "qwen2"]


@pytest.fixture(autouse=True)
def _from_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))


def steps_for(model: Any) -> Steps:
    return Trace.of(SAMPLE, "fenced", "raw", model, model.tokens, 0).steps(range(len(split_steps(TRACE))))


def literal(model: HFScorer, ids: Any, mask: Any = None) -> Any:
    """The log-probabilities of all ids but the first, by the model's own logits in one pass."""
    given = {} if mask is None else {"attention_mask": mask}
    with torch.inference_mode():
        logits = model.model(torch.from_numpy(np.asarray(ids))[None], use_cache=False, **given).logits[0].double()
    return torch.log_softmax(logits[:-1], -1).gather(1, torch.from_numpy(np.asarray(ids))[1:, None]).squeeze(1).numpy()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_transition_is_that_of_a_text_in_which_the_steps_stand_side_by_side(architecture: str, scorer: Callable[..., Any]) -> None:
    from experiments.bets.bridge import transitions
    from experiments.bets.laid import Laid
    from experiments.bets.sketch import Tail

    model = scorer("r1", architecture)
    steps = steps_for(model)
    laid = Laid.of(steps, Tail("\n</think>\n\n", "", []), model.tokens)
    ends = [*laid.begins[1:].tolist(), len(laid.ids)]
    costs = transitions(model.causal_lm, steps)
    assert {stop - start for start, stop in costs} > {1, 2, 3, 4}
    for (start, stop), cost in costs.items():
        first = int(laid.begins[stop - 1])
        behind = laid.ids[first : min(first + 16, ends[stop - 1])]
        ids = np.concatenate([laid.ids[: laid.begins[start]], behind])
        assert cost == pytest.approx(-literal(model, ids)[-len(behind) :].mean(), rel=1e-4)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_step_is_hidden_from_the_answer_and_from_nothing_else(architecture: str, scorer: Callable[..., Any]) -> None:
    check_hidden(scorer("smol", architecture))


def test_the_bundled_model_hides_steps_like_any_other() -> None:
    check_hidden(load_scorer("bundled", dtype="float32", device="cpu"))


def check_hidden(model: Any) -> None:
    from experiments.bets.laid import Laid
    from experiments.bets.sketch import Tail
    from experiments.bets.two_end import losses

    steps, tail = steps_for(model), Tail.of(SAMPLE)
    laid = Laid.of(steps, tail, model.tokens)
    read, places = int(laid.begins[-1]), np.array([0, 3, 5])
    found = losses(model.causal_lm, steps, tail, places)
    ids = laid.ids[: laid.text + 6]
    whole = literal(model, ids)[laid.text + places - 1].mean()
    for (start, end), lost in zip(pairwise(laid.begins.tolist()), found, strict=True):
        sees = np.tri(len(ids), dtype=bool)
        sees[read:, start:end] = False
        mask = torch.zeros(sees.shape).masked_fill(~torch.from_numpy(sees), torch.finfo(torch.float32).min)[None, None]
        assert lost == pytest.approx(whole - literal(model, ids, mask)[laid.text + places - 1].mean(), abs=2e-4)
    assert np.abs(found).max() > 1e-3


def test_the_ids_of_a_trace_are_those_of_its_text(scorer: Callable[..., Any]) -> None:
    from experiments.bets.laid import Laid
    from experiments.bets.sketch import Tail

    for family in ("r1", "qwen", "smol", "llama3"):
        model = scorer(family, "llama")
        steps, tail = steps_for(model), Tail.of(SAMPLE)
        laid = Laid.of(steps, tail, model.tokens)
        texts = [model.tokens.hf.decode(laid.ids[start:end]) for start, end in pairwise([*laid.begins.tolist(), laid.text, len(laid.ids)])]
        assert [text.strip() for text in texts[:-2]] == [text.strip() for text in steps.texts]
        assert [text.strip() for text in texts[-2:]] == [tail.lead.strip(), tail.text.strip()]


def test_models_that_cannot_be_probed_exactly_are_refused(scorer: Callable[..., Any]) -> None:
    from experiments.bets.bridge import transitions

    model = scorer("llama3", "gemma2")
    with pytest.raises(UsageError, match=r"bets need|no probe can be exact"):
        transitions(model.causal_lm, steps_for(model))


def test_a_trace_longer_than_the_context_is_a_row_error(model_folder: Callable[..., Any]) -> None:
    from experiments.bets.prefill import Prefill

    model = HFScorer(str(model_folder("r1", "llama")), device="cpu")
    with pytest.raises(AsapError, match="reads the trace at once"):
        Prefill(model.causal_lm, np.zeros(model.causal_lm.context_tokens + 1, np.int64))
