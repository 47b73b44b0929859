"""A transformers model in this process: batches do not change greedy answers, stop tokens stop, each text has its own times."""

from itertools import islice

import pytest
import torch
from evaluate_helpers import write

from asap.lm.causal_lm import CausalLM
from asap.lm.generate import Request
from asap.lm.hub import load_causal_lm
from asap.lm.tokens import TokenCounter
from asap.lm.transformers import TransformersGenerator


def asking(text: str, max_new_tokens: int = 24, **options: float) -> Request:
    return Request([{"role": "user", "content": text}], max_new_tokens, **{"temperature": 0.0, **options})  # type: ignore[arg-type]


ASKS = {f"key-{number}": asking("Double x. " * number) for number in (1, 7, 2, 4, 3)}
FIRST = dict(islice(ASKS.items(), 1))


def local_model(folder: str, concurrency: int) -> TransformersGenerator:
    return TransformersGenerator(CausalLM(folder, spec=f"hf:{folder}"), concurrency=concurrency, measured=True)


def test_a_batch_writes_what_each_prompt_alone_would_get(model_folders: dict[str, str]) -> None:
    folder = model_folders["plain"]
    alone, together = (write(local_model(folder, size), ASKS) for size in (1, 4))
    assert {key: (written.text, written.tokens, written.stopped_by) for key, written in alone.items()} == {
        key: (written.text, written.tokens, written.stopped_by) for key, written in together.items()
    }


def test_greedy_is_the_likeliest_token_after_one_bos(model_folders: dict[str, str]) -> None:
    """A literal loop over the model, without generate."""
    folder = model_folders["plain"]
    tokens, model = TokenCounter.load(folder), load_causal_lm(folder).eval()
    ids = [0, *tokens.encode("<|user|>Double x. <|model|>").ids.tolist()]
    written = list[int]()
    with torch.inference_mode():
        while len(written) < 24 and 1 not in written:
            written.append(int(model(torch.tensor([ids + written])).logits[0, -1].argmax()))
    [found] = write(local_model(folder, 1), FIRST).values()
    assert found.prompt_tokens == len(ids)
    assert found.tokens == len(written)
    assert found.text == tokens.hf.decode([token for token in written if token != 1], skip_special_tokens=True)


def test_a_stop_token_ends_a_text_and_the_others_go_on(model_folders: dict[str, str]) -> None:
    folder = model_folders["plain"]
    model = local_model(folder, 5)
    free = write(model, ASKS)
    first = model._lm.tokens.encode(free["key-7"].text).ids  # make a token stop that comes early in one of them
    model._lm.stop_ids = [int(first[3])]
    stopped = write(model, ASKS)
    assert stopped["key-7"].stopped_by == "stop"
    assert stopped["key-7"].tokens <= 4
    for key, written in stopped.items():
        assert free[key].text.startswith(written.text)
        assert (written.stopped_by == "length") is (written.tokens == 24)
        assert written.ttft_s is not None
        assert 0 < written.ttft_s <= written.seconds
    assert stopped["key-7"].seconds <= max(written.seconds for written in stopped.values())


def test_draws_repeat_and_samples_differ(model_folders: dict[str, str]) -> None:
    model = local_model(model_folders["plain"], 2)
    asks = {f"s{sample}": asking("Double x. ", temperature=1.0, draw=sample) for sample in range(3)}
    one, other = write(model, asks), write(model, asks)
    assert {key: written.text for key, written in one.items()} == {key: written.text for key, written in other.items()}
    assert len({written.text for written in one.values()}) > 1


def test_the_thought_that_the_template_opened_is_opened_in_the_text(model_folders: dict[str, str]) -> None:
    folder = model_folders["thinking"]
    [written] = write(local_model(folder, 1), FIRST).values()
    assert written.opened
    assert written.text.startswith("<think>\n")
    assert (written.tokens_thinking, written.tokens_answer) == (written.tokens, 0)


@pytest.mark.parametrize("repeats", [60, 400])
def test_the_context_bounds_a_text_and_a_prompt(repeats: int, model_folders: dict[str, str]) -> None:
    folder = model_folders["plain"]
    [written] = write(local_model(folder, 1), {"long": asking("x " * repeats, 1000)}).values()
    if repeats == 400:
        assert (written.stopped_by, written.text) == ("too_long", "")
    else:
        assert written.stopped_by in ("context", "stop")
        assert written.prompt_tokens + written.tokens <= 256
