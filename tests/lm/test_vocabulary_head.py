"""Log-probabilities from hidden states equal those of the model's own logits, scaled or capped ones too, without all of these logits."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from lm_helpers import TRACE, scores, whole
from torch.utils._python_dispatch import TorchDispatchMode

from asap.lm.scorer_transformers import HFScorer
from asap.lm.vocabulary_head import VocabularyHead, log_sum_and_mean

TOLERANCE = 1e-4  # nats, float32
VOCABULARY = 50_000
LINEAR = ["llama", "qwen2", "gpt2"]
BENT = {"gemma2": (1.0, 3.0), "cohere": (0.0625, None), "cohere2": (0.3, None), "granite": (0.125, None), "minicpm3": (1 / 3, None)}
UNKNOWN = {"logits_scaling": 2.0}  # a name that Llama does not know, so its logits are not scaled
Folders = Callable[..., Path]


class Largest(TorchDispatchMode):
    """Records the number of elements of the largest tensor that was made."""

    numel = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for one in out if isinstance(out, tuple | list) else [out]:
            self.numel = max(self.numel, one.numel() if isinstance(one, torch.Tensor) else 0)
        return out


def expected_of(folder: Path, subject: HFScorer, dtype: torch.dtype = torch.float32) -> np.ndarray[Any, Any]:
    """log p of every token of the trace but the first, and the entropies, from the model's own logits."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()
    ids = subject.tokens.encode(TRACE).ids
    with torch.inference_mode():
        table = torch.log_softmax(model(input_ids=torch.from_numpy(ids)[None]).logits[0, :-1].double(), dim=-1)
    chosen = table.gather(1, torch.from_numpy(ids[1:, None])).squeeze(1)
    return torch.stack([chosen, -(table.exp() * table).sum(-1)], dim=1).numpy()


@pytest.mark.parametrize("architecture", [*LINEAR, *BENT])
def test_scores_and_entropies_equal_those_of_the_models_own_logits(model_folder: Folders, architecture: str) -> None:
    folder = model_folder("smol", architecture)
    subject = HFScorer(str(folder), device="cpu")
    [scored] = subject.score([whole(TRACE)._replace(entropy=True)])
    actual = np.stack([scored.spans[0].logprobs, scored.spans[0].entropies], axis=1)[1:]
    np.testing.assert_allclose(actual, expected_of(folder, subject), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_scale_and_cap_are_found(model_folder: Folders, dtype: Any) -> None:
    def head_of(architecture: str) -> VocabularyHead | None:
        return HFScorer(str(model_folder("smol", architecture)), device="cpu", dtype=dtype).head

    for architecture, (scale, cap) in BENT.items():
        head = head_of(architecture)
        assert head is not None
        assert (head.scale, head.cap, head.is_linear) == (scale, cap, False)
    for architecture in LINEAR:
        head = head_of(architecture)
        assert head is not None
        assert head.is_linear


def test_a_scale_that_the_logits_do_not_have_is_not_believed(model_folder: Folders) -> None:
    subject = HFScorer(str(model_folder("smol", "llama", **UNKNOWN)), device="cpu")
    assert subject.head is None
    np.testing.assert_allclose(scores(subject, whole(TRACE))[1:], expected_of(Path(subject.causal_lm.name), subject)[:, 0], atol=TOLERANCE)


@pytest.mark.parametrize(
    ("architecture", "sizes", "most"),
    [*((name, {}, 512 * 2_048) for name in ("qwen2", *BENT)), ("llama", UNKNOWN, 512 * VOCABULARY)],
)
def test_the_full_logits_never_exist(model_folder: Folders, architecture: str, sizes: dict[str, float], most: int) -> None:
    subject = HFScorer(str(model_folder("smol", architecture, vocab_size=VOCABULARY, **sizes)), device="cpu")
    tokens = subject.tokens.count(TRACE * 4)
    with Largest() as largest:
        subject.score([whole(TRACE * 4)._replace(entropy=True)])
    assert tokens > 600
    assert largest.numel <= max(most, 48 * VOCABULARY)


@pytest.mark.parametrize("architecture", ["cohere", "gemma2"])
def test_a_bfloat16_model_with_bent_logits_has_no_rounded_scores(model_folder: Folders, architecture: str) -> None:
    subject = HFScorer(str(model_folder("smol", architecture)), device="cpu", dtype="bfloat16")
    found = scores(subject, whole(TRACE))[1:]
    own = expected_of(Path(subject.causal_lm.name), subject, torch.bfloat16)[:, 0]
    assert np.abs(found - own).max() < 0.2  # the model rounds its logits
    assert np.abs(found - found.astype(np.float16)).max() > 1e-4


def test_entropy_is_exact_where_a_word_is_impossible() -> None:
    logits = torch.tensor([[0.0, 0.0, -torch.inf, 0.0]])
    log_sum, mean = log_sum_and_mean(logits.clone(), entropy=True)
    assert float(log_sum) == pytest.approx(np.log(3))
    assert float(log_sum - mean) == pytest.approx(np.log(3))


@pytest.mark.parametrize("vocabulary", [1, 7, 2_048, 2_049, 20_000])
@pytest.mark.parametrize("rows", [1, 512, 513])
@pytest.mark.parametrize("has_bias", [True, False])
def test_the_pieced_head_equals_a_log_softmax(vocabulary: int, rows: int, has_bias: bool) -> None:
    generator = torch.Generator().manual_seed(vocabulary + rows)
    hidden, weight = torch.randn(rows, 8, generator=generator), torch.randn(vocabulary, 8, generator=generator)
    bias = torch.randn(vocabulary, generator=generator) * 3 if has_bias else None
    targets = torch.randint(vocabulary, (rows,), generator=generator)
    targets[0] = vocabulary - 1
    logits = torch.nn.functional.linear(hidden.double(), weight.double(), bias if bias is None else bias.double())
    expected = torch.log_softmax(logits, -1).gather(1, targets[:, None]).squeeze(1)
    actual = VocabularyHead(weight, bias).scores(hidden, targets)[:, 0]
    torch.testing.assert_close(actual.double(), expected, rtol=0, atol=1e-5)


def test_the_pieced_head_survives_huge_logits() -> None:
    hidden, weight = torch.tensor([[1000.0]]), torch.tensor([[1.0], [-1.0], [0.0]])
    assert VocabularyHead(weight).scores(hidden, torch.tensor([0]))[:, 0].tolist() == [0.0]
    assert VocabularyHead(weight).scores(hidden, torch.tensor([1]))[:, 0].tolist() == [-2000.0]


def test_a_half_precision_head_is_computed_in_float32() -> None:
    generator = torch.Generator().manual_seed(3)
    hidden, weight = torch.randn(40, 64, generator=generator).bfloat16(), torch.randn(900, 64, generator=generator).bfloat16()
    targets = torch.randint(900, (40,), generator=generator)
    expected = torch.log_softmax(hidden.float() @ weight.float().T, -1).gather(1, targets[:, None]).squeeze(1)
    actual = VocabularyHead(weight).scores(hidden, targets)[:, 0]
    assert actual.dtype == torch.float32
    torch.testing.assert_close(actual, expected, rtol=0, atol=TOLERANCE)


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed: the kernel for CUDA is NOT tested")
def test_the_kernel_for_cuda_gives_the_sums_of_float64() -> None:
    code = """
import torch
from asap.lm.triton_sums import sums_in_one_pass
from asap.lm.vocabulary_head import eager_log_sum_and_mean
for shape in ((3, 5_000), (2, 4_096), (5, 17)):
    logits = torch.randn(shape, generator=torch.Generator().manual_seed(1)) * 20
    logits[0, 1] = -torch.inf
    for one, other in zip(sums_in_one_pass(logits), eager_log_sum_and_mean(logits.double(), True)):
        torch.testing.assert_close(one.double(), other, rtol=1e-6, atol=1e-5)
"""
    subprocess.run([sys.executable, "-c", code], env={**os.environ, "TRITON_INTERPRET": "1"}, check=True)
