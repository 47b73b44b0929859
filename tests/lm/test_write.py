"""Texts of a batch that have ended leave it, and all are those that the model writes alone."""

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers

from asap.lm.causal_lm import CausalLM
from asap.lm.write import Watch, write_tokens

NEW = 24
ARCHITECTURES = ["qwen2", "mistral", "cohere2", "gpt2"]
PROMPTS = [[5 + row + place % (3 + row) for place in range(3 + 4 * row)] for row in range(9)]


def loaded(folder: Path, stops: set[int]) -> CausalLM:
    lm = CausalLM(str(folder), dtype="float32", device="cpu")
    lm.__dict__["stop_ids"] = sorted(stops)
    return lm


def alone(folder: Path, prompt: list[int], stops: set[int]) -> list[int]:
    """The likeliest token again and again, each by a reading of the whole text."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    written = list[int]()
    with torch.inference_mode():
        while len(written) < NEW and not stops.intersection(written):
            written.append(int(model(input_ids=torch.tensor([prompt + written])).logits[0, -1].argmax()))
    return written


@pytest.fixture(params=ARCHITECTURES)
def folder(request: pytest.FixtureRequest, model_folder: Callable[..., Path]) -> Path:
    return model_folder("qwen", request.param)


def stops_of(folder: Path) -> set[int]:
    """Tokens at which the texts end at different places, some of them never."""
    free = [alone(folder, prompt, set()) for prompt in PROMPTS]
    return {free[row][place] for row, place in ((0, 2), (2, 9), (4, 5), (6, 14))}


def test_a_batch_writes_what_each_prompt_gets_alone(folder: Path) -> None:
    stops = stops_of(folder)
    expected = [alone(folder, prompt, stops) for prompt in PROMPTS]
    assert len({*map(len, expected)}) > 2
    assert write_tokens(loaded(folder, stops), PROMPTS, NEW) == expected


def test_texts_that_have_ended_leave(model_folder: Callable[..., Path]) -> None:
    folder = model_folder("qwen", "qwen2")
    lm, read = loaded(folder, stops_of(folder)), list[tuple[int, int]]()
    lm.model.register_forward_pre_hook(lambda _, __, named: read.append(tuple(named["input_ids"].shape)), with_kwargs=True)
    written = write_tokens(lm, PROMPTS, NEW)
    assert read[0] == (len(PROMPTS), len(PROMPTS[-1]))  # the prompts are read once
    assert {places for _, places in read[1:]} == {1}
    rows = [rows for rows, _ in read]
    assert rows == sorted(rows, reverse=True)
    steps = [sum(len(text) >= step for text in written) for step in range(1, max(map(len, written)) + 1)]
    for going_on, held in zip(steps, rows, strict=True):
        assert going_on > held * 3 / 4, "a quarter of the batch had ended"


def test_times_count_on_when_texts_leave(model_folder: Callable[..., Path]) -> None:
    folder = model_folder("qwen", "qwen2")
    watch = Watch()
    written = write_tokens(loaded(folder, stops_of(folder)), PROMPTS, NEW, watch=watch)
    times = [watch.after_s(count) for count in range(1, max(map(len, written)) + 1)]
    assert times == sorted(times)
    with pytest.raises(IndexError):
        watch.after_s(len(times) + 1)


def test_draws_are_the_same_again(model_folder: Callable[..., Path]) -> None:
    folder = model_folder("qwen", "qwen2")
    lm = loaded(folder, set(range(0, 300, 7)))
    first, again, other = (write_tokens(lm, PROMPTS, NEW, temperature=1.0, seed=seed) for seed in (1, 1, 2))
    assert first == again != other
    assert len({*map(len, first)}) > 1
    assert all(not {*text[:-1]}.intersection(lm.stop_ids) for text in first)


def test_nobody_wants_the_rest(model_folder: Callable[..., Path]) -> None:
    folder = model_folder("qwen", "qwen2")
    unwanted = threading.Event()
    unwanted.set()
    assert [len(text) for text in write_tokens(loaded(folder, {1}), PROMPTS, NEW, watch=Watch(unwanted))] == [1] * len(PROMPTS)


def test_a_model_with_recurrent_layers_keeps_its_batch_together(tmp_path: Path, tokenizer_folder: Callable[[str], Path]) -> None:
    folder = shutil.copytree(tokenizer_folder("qwen"), tmp_path / "mamba")
    torch.manual_seed(1)
    config = transformers.MambaConfig(vocab_size=400, hidden_size=32, state_size=4, num_hidden_layers=2, use_cache=True)
    transformers.MambaForCausalLM(config).save_pretrained(folder)
    prompts = [[row + place * row for place in range(6)] for row in range(1, 6)]  # of one length: padding would change the states
    free = [alone(folder, prompt, set()) for prompt in prompts]
    stops = {free[0][1], free[1][8]}
    assert write_tokens(loaded(folder, stops), prompts, NEW) == [alone(folder, prompt, stops) for prompt in prompts]
