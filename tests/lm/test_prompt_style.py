"""What stands before the trace: the question in the model's own words, one BOS, one opened think tag."""

from collections.abc import Callable
from pathlib import Path

import pytest
from lm_helpers import BOS, FAMILIES, QUESTION, TRACE, naive_ids, save_tokenizer, visible_steps

from asap.errors import RowError, UsageError
from asap.lm.prompt_style import PromptStyle, default_context, render_context, template_hash
from asap.lm.scorer import ScoreRequest
from asap.lm.scorer_transformers import HFScorer
from asap.lm.tokens import TokenCounter
from asap.lm.windows import Windowed

Folder = Callable[[str], Path]
every_family = pytest.mark.parametrize("family", FAMILIES)
every_style = pytest.mark.parametrize("style", ["chat", "raw"])
PROMPT = [{"role": "user", "content": QUESTION}]
WITH_SYSTEM = [{"role": "system", "content": "Be brief."}, *PROMPT]


@pytest.fixture
def counter(tokenizer_folder: Folder) -> Callable[[str], TokenCounter]:
    return lambda family: TokenCounter.load(str(tokenizer_folder(family)))


def read_ids(scorer: HFScorer, context: str) -> list[int]:
    """The ids that the scorer feeds to the model when it scores the whole trace."""
    [window] = Windowed.of(ScoreRequest(context, TRACE, visible_steps(TRACE)), scorer.tokens, scorer.context_tokens).windows
    return window.ids.tolist()


def test_raw_is_the_question_a_line_break_and_an_opened_tag(counter: Callable[[str], TokenCounter]) -> None:
    assert render_context(counter("qwen"), PROMPT, "raw") == QUESTION + "\n<think>\n"


def test_raw_sets_the_system_message_before_the_question(counter: Callable[[str], TokenCounter]) -> None:
    assert render_context(counter("qwen"), WITH_SYSTEM, "raw") == f"Be brief.\n\n{QUESTION}\n<think>\n"


def test_chat_is_the_template_and_an_opened_tag(counter: Callable[[str], TokenCounter]) -> None:
    expected = f"<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n{QUESTION}<|im_end|>\n<|im_start|>assistant\n<think>\n"
    assert render_context(counter("qwen"), WITH_SYSTEM, "chat") == expected


def test_a_tag_that_the_template_opened_is_not_opened_again(counter: Callable[[str], TokenCounter]) -> None:
    expected = f"<｜begin▁of▁sentence｜><｜User｜>{QUESTION}<｜Assistant｜><think>\n"
    assert render_context(counter("r1"), PROMPT, "chat") == expected


@pytest.mark.parametrize("end", ["<think>", "<think>\n", "<think>\n\n", "<think> "])
def test_however_the_template_opens_the_tag_one_line_break_follows(counter: Callable[[str], TokenCounter], end: str) -> None:
    tokens = counter("r1")
    tokens.hf.chat_template = tokens.hf.chat_template.replace("<think>\n", end)
    assert render_context(tokens, PROMPT, "chat").endswith("<｜Assistant｜><think>\n")


@every_family
@every_style
def test_the_tag_is_opened_exactly_once_at_the_end(counter: Callable[[str], TokenCounter], family: str, style: PromptStyle) -> None:
    context = render_context(counter(family), PROMPT, style)
    assert context.count("<think>") == 1
    assert context.endswith("<think>\n")
    assert context.count(QUESTION) == 1


@every_style
def test_the_tag_is_one_token_where_the_vocabulary_has_it(counter: Callable[[str], TokenCounter], style: PromptStyle) -> None:
    tokens = counter("r1")
    ids = tokens.encode(render_context(tokens, PROMPT, style)).ids.tolist()
    think = tokens.hf.convert_tokens_to_ids("<think>")
    assert ids.count(think) == 1
    assert ids[-2:] == [think, *tokens.encode("\n").ids.tolist()]


@pytest.mark.parametrize(("family", "architecture"), [("qwen", "qwen2"), ("r1", "qwen2"), ("llama3", "llama"), ("smol", "gpt2")])
@every_style
def test_the_scorer_feeds_one_bos_or_none(scorer: Callable[..., HFScorer], family: str, architecture: str, style: PromptStyle) -> None:
    subject = scorer(family, architecture)
    ids = read_ids(subject, render_context(subject.tokens, PROMPT, style))
    bos = BOS[family]
    expected = [] if bos is None else [0]
    assert [place for place, token in enumerate(ids) if bos is not None and token == subject.tokens.bos_id] == expected
    assert subject.tokens.hf.convert_tokens_to_ids(subject.tokens.hf.bos_token or "none") not in ids[1:]


@every_style
def test_sentencepiece_gets_one_bos(scorer: Callable[..., HFScorer], style: PromptStyle) -> None:
    subject = scorer("sentencepiece", "llama")
    ids = read_ids(subject, render_context(subject.tokens, PROMPT, style))
    assert ids[0] == subject.tokens.bos_id == 1
    assert 1 not in ids[1:]


@every_family
@every_style
def test_the_context_is_fed_as_the_tokenizer_reads_it(
    scorer: Callable[..., HFScorer], tokenizer_folder: Folder, family: str, style: PromptStyle
) -> None:
    subject = scorer(family, "llama")
    context = render_context(subject.tokens, PROMPT, style)
    expected, _ = naive_ids(tokenizer_folder(family), family, context + TRACE)
    assert read_ids(subject, context) == expected[: len(read_ids(subject, context))]
    assert len(expected) - len(read_ids(subject, context)) == 1  # the last token is predicted, not read


def test_a_template_that_refuses_a_system_message_rejects_the_row(counter: Callable[[str], TokenCounter]) -> None:
    with pytest.raises(RowError, match="System role not supported") as caught:
        render_context(counter("sentencepiece"), WITH_SYSTEM, "chat")
    assert caught.value.reason == "template_failed"
    assert "\n" not in str(caught.value)


def test_chat_without_a_template_is_refused(tmp_path: Path) -> None:
    save_tokenizer("llama3", tmp_path)
    (tmp_path / "chat_template.jinja").unlink()
    tokens = TokenCounter.load(str(tmp_path))
    assert default_context(tokens) == "raw"
    with pytest.raises(UsageError, match="--context raw"):
        render_context(tokens, PROMPT, "chat")


@every_family
def test_a_template_is_used_where_there_is_one(counter: Callable[[str], TokenCounter], family: str) -> None:
    assert default_context(counter(family)) == "chat"


def test_the_template_hash_follows_the_template(counter: Callable[[str], TokenCounter]) -> None:
    tokens = counter("qwen")
    before = template_hash(tokens, "chat")
    assert before == template_hash(counter("smol"), "chat")  # the same template, another tokenizer
    assert before != template_hash(counter("r1"), "chat")
    assert template_hash(tokens, "raw") is None
