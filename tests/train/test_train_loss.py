import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from train_helpers import model_folder, row, steps_of, train_words, write_rows

from asap.cli import run
from asap.lm import cpu
from asap.lm.cpu import multiply_fast
from asap.train import loss
from asap.train.fit import _bf16, _model
from asap.train.loss import summed_nll


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("piece_rows", [1, 3, 1000])
def test_sum_and_gradients_are_the_literal_ones(bias: bool, piece_rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    monkeypatch.setattr(loss, "_PIECE_BYTES", 4 * 50 * piece_rows)
    head = torch.nn.Linear(8, 50, bias=bias)
    hidden = torch.randn(2, 9, 8, requires_grad=True)
    labels = torch.randint(0, 50, (2, 9))
    labels[0, :4] = labels[1, 6:] = -100
    literal = -sum(
        torch.log_softmax(head(hidden[b, t]), -1)[labels[b, t + 1]] for b in range(2) for t in range(8) if labels[b, t + 1] != -100
    )
    inputs = [hidden, *head.parameters()]
    expected = torch.autograd.grad(literal / 3, inputs)
    summed = summed_nll(hidden, head, labels)
    torch.testing.assert_close(summed, literal, rtol=1e-5, atol=1e-5)
    for made, wanted in zip(torch.autograd.grad(summed / 3, inputs), expected, strict=True):
        torch.testing.assert_close(made, wanted, rtol=1e-4, atol=1e-6)


def test_a_frozen_head_gets_no_gradient() -> None:
    head = torch.nn.Linear(8, 50, bias=False).requires_grad_(False)
    hidden = torch.randn(1, 5, 8, requires_grad=True)
    summed_nll(hidden, head, torch.randint(0, 50, (1, 5))).backward()
    assert hidden.grad is not None
    assert head.weight.grad is None


def test_autocast_multiplies_in_bfloat16_and_sums_in_float32() -> None:
    torch.manual_seed(0)
    head, hidden, labels = torch.nn.Linear(64, 500, bias=False), torch.randn(1, 40, 64), torch.randint(0, 500, (1, 40))
    exact = summed_nll(hidden, head, labels)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = summed_nll(hidden, head, labels)
    assert rounded.dtype == torch.float32
    assert 0 < abs(rounded - exact) / exact < 2e-3


def eq_3(model: Any, folder: Path, rows: list[dict[str, Any]]) -> tuple[float, int]:
    """Eq. 3 word by word: the negative log-likelihoods of each response token given all before it; and how many there are."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    total, count = 0.0, 0
    for one in rows:
        prompt = f"<|im_start|>user\n{one['question']}<|im_end|>\n<|im_start|>assistant\n"
        response = f"<think>\n{one['cot']}\n</think>\n\n{one['answer']}<|im_end|>"
        before = tokenizer(prompt, add_special_tokens=False).input_ids
        after = tokenizer(response, add_special_tokens=False).input_ids
        for place, token in enumerate(after):
            with torch.no_grad():
                logits = model(input_ids=torch.tensor([before + after[:place]])).logits[0, -1]
            total -= float(torch.log_softmax(logits.double(), -1)[token])
        count += len(after)
    return total, count


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "gemma2"])  # gemma2's logits are capped: TRL's own loss is used there
def test_loss_of_a_step_is_eq_3_however_it_is_accumulated(architecture: str, tmp_path: Path) -> None:
    folder = model_folder("qwen", architecture)
    rows = [row(number, lines=lines) for number, lines in enumerate((1, 3, 2, 1))]  # of unequal lengths
    source = write_rows(tmp_path / "rows.jsonl", rows)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    total, count = eq_3(model, folder, rows)
    losses, heads = [], []
    for at_once in (1, 2, 4):
        out = tmp_path / f"out-{at_once}"
        changes = (f"per_device_train_batch_size={at_once}", "effective_batch_size=4", "max_steps=2", "lr_scheduler_type=constant")
        changes += ("warmup_steps=0", "learning_rate=1e-3", "optim=sgd")
        assert run(train_words(source, out, model=f"hf:{folder}", changes=changes)) == 0
        losses.append([step["loss"] for step in steps_of(out)])
        assert json.loads((out / "manifest.json").read_text())["counts"]["response_tokens"] == count
        heads.append(transformers.AutoModelForCausalLM.from_pretrained(out).get_output_embeddings().weight)
    for first, second in losses:
        assert math.isclose(first, total / count, rel_tol=1e-4)
        assert math.isclose(second, losses[0][1], rel_tol=1e-4)
        assert second != first
    for weight in heads[1:]:
        torch.testing.assert_close(weight, heads[0], rtol=1e-4, atol=1e-6)


def test_packed_rows_do_not_see_each_other(tmp_path: Path) -> None:
    folder = model_folder("qwen")
    rows = [row(number, lines=1 + number) for number in range(3)]
    source = write_rows(tmp_path / "rows.jsonl", rows)
    total, count = eq_3(transformers.AutoModelForCausalLM.from_pretrained(folder), folder, rows)
    changes = ("packing=true", "max_length=2048", "effective_batch_size=1", "max_steps=1")
    assert run(train_words(source, tmp_path / "out", changes=changes)) == 0
    [step] = steps_of(tmp_path / "out")
    assert math.isclose(step["loss"], total / count, rel_tol=1e-4)


def test_a_cpu_trains_in_float32_multiplied_as_the_scorer_multiplies(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = getattr(torch.backends.mkldnn, "matmul", None)
    if settings is None or torch.accelerator.is_available():
        pytest.skip("this torch has no such setting, or this machine a GPU: the multiplication on a CPU was NOT checked")
    monkeypatch.setattr(cpu, "_cpuinfo", dict)  # no CPU of Intel's, which keeps MKL
    before = settings.fp32_precision
    try:
        settings.fp32_precision = "ieee"
        multiply_fast()
        wanted = settings.fp32_precision  # on a CPU that would round it is left alone
        settings.fp32_precision = "ieee"
        model, _ = _model(str(model_folder("qwen")), {"dtype": "float32", "use_peft": False})
        assert settings.fp32_precision == wanted
    finally:
        settings.fp32_precision = before
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    assert _bf16("auto") is False
