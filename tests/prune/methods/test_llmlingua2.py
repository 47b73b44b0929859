"""LLMLingua-2 by protocol and with a tiny classifier: words, chunks, the share that each chunk loses, what is refused."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from prune_helpers import steps, tokens_of
from tokenizers import decoders
from transformers.utils import logging

from asap.errors import InputError, RowError
from asap.lm.classifier import TokenClassifier
from asap.lm.scorer import NoModel
from asap.prune.asap import Asap
from asap.prune.decision.unit_cut import UnitCut
from asap.prune.decision.units import Laid
from asap.prune.methods.llmlingua2 import ClassifierImportance, Importance, chunk_edges, ends_here, word_units
from asap.prune.methods.phrases import words
from asap.prune.settings import AsapSettings
from asap.sample import Sample

texts = st.lists(steps, min_size=1, max_size=5).map("\n\n".join).filter(str.strip)
SIZES = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "initializer_range": 0.4}


class Heuristic:
    """Says that capitals and digits matter."""

    identity = {"model": "heuristic"}  # noqa: RUF012
    batch_tokens = 0

    def __call__(self, texts: Sequence[str]) -> list[Importance]:
        return [self.of(text) for text in texts]

    def of(self, text: str) -> Importance:
        starts, ends = words(text)
        keep = np.array([0.9 if text[start].isupper() else 0.6 if text[start].isdigit() else 0.1 for start in starts])
        return Importance(starts, ends, keep, np.zeros(len(starts), np.int64))


def save_classifier(folder: Path, kind: str = "bert", **config: object) -> str:
    """A random classifier of two labels with the tiny BERT tokenizer, which gets tokens for start and end."""
    logging.disable_progress_bar()
    backend = type(tokens_of(kind).hf._tokenizer).from_str(tokens_of(kind).hf._tokenizer.to_str())
    backend.decoder = decoders.WordPiece()
    special = {"cls_token": "[CLS]", "sep_token": "[SEP]", "unk_token": "[UNK]", "pad_token": "[PAD]"}
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=backend, **special)
    tokenizer.save_pretrained(folder)
    transformers.set_seed(0)
    sizes = {"vocab_size": len(tokenizer), "max_position_embeddings": 66, **SIZES, **config}
    transformers.BertForTokenClassification(transformers.BertConfig(**sizes)).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> TokenClassifier:
    return TokenClassifier(save_classifier(tmp_path_factory.mktemp("classifier")), device="cpu")


def test_words_go_by_their_probability() -> None:
    text = "Now the sum of 12 and 30 is\n\n    Total 42"
    asap = Asap(NoModel(tokens_of("smollm")), AsapSettings(method="llmlingua2", budget=None, ratio=0.7), importance=Heuristic())
    decision = asap.prune(Sample("a", "q", text, "x")).decision
    tokens = tokens_of("smollm")
    assert decision.tokens_after == tokens.count(decision.apply(text)) <= 0.7 * tokens.count(text)
    assert [word for word in ("Now", "12", "30", "Total", "42") if word in decision.apply(text)] == ["Now", "12", "30", "Total", "42"]
    assert decision.apply(text).startswith("Now")
    assert "\n\n    Total 42" in decision.apply(text)
    assert asap.token_level is not None
    assert asap.token_level.identity == {"classifier": {"model": "heuristic"}}


def test_a_word_has_the_mean_of_its_tokens_and_digits_can_stay() -> None:
    text = "sorted list 7"
    read = Importance(np.array([0, 4, 7, 12]), np.array([4, 6, 11, 13]), np.array([0.25, 0.75, 0.125, 0.0]), np.array([0, 0, 1, 1]))
    units = word_units(text, read)
    assert units.scores == [0.5, 0.125, 0.0]
    assert units.chunks == [1, 2]
    assert word_units(text, read, keep_digits=True).scores == [0.5, 0.125, 1.0]


def test_tokens_without_numbers_reject_the_row() -> None:
    empty = np.empty(0, np.int64)
    with pytest.raises(RowError, match="no number for a word"):
        word_units("word", Importance(empty, empty, np.empty(0), empty))


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 12))
def test_chunks_are_full_or_end_where_they_may(may_end: list[bool], longest: int) -> None:
    edges = chunk_edges(np.array(may_end, np.bool_), longest)
    assert (edges[0], edges[-1]) == (0, len(may_end))
    for start, end in pairwise(edges):
        assert 0 < end - start <= longest
        if end < len(may_end):
            full = start + longest
            places = [place for place in range(start, full) if may_end[place]]
            assert end == (places[-1] + 1 if places else full)


def test_chunks_end_at_full_stops_and_line_breaks() -> None:
    text = "One. Two\nthree e.g 4"
    starts, ends = words(text)
    assert [text[end - 1] for end, may in zip(ends, ends_here(text, starts, ends), strict=True) if may] == [".", "o", "."]


@settings(max_examples=25, deadline=None)
@given(texts)
def test_any_text_has_units_with_a_classifier(classifier: TokenClassifier, text: str) -> None:
    read = ClassifierImportance(classifier)([text])[0]
    assert len(read.starts) == len(read.keep) == len(read.chunks)
    assert np.all((read.keep >= 0) & (read.keep <= 1))
    try:
        units = word_units(text, read)
    except RowError:
        assert not len(read.keep)  # the tokenizer drops all of it
        return
    assert sum(units.lengths) == len(text)
    assert sum(units.chunks or []) == len(units.scores) == len(words(text)[0])


def test_the_classifier_reads_chunks_between_its_own_tokens(classifier: TokenClassifier) -> None:
    """The same numbers as a plain forward of each chunk alone, padding or not."""
    import torch

    text = " ".join(["Sort the list, then take 3 of them. Check it again"] * 14)
    read = ClassifierImportance(classifier)([text])[0]
    hf, expected = classifier.tokens.hf, []
    ids = hf(text, add_special_tokens=False).input_ids
    assert read.chunks[-1] >= 2
    for chunk in range(int(read.chunks[-1]) + 1):
        part = [number for number, of in zip(ids, read.chunks, strict=True) if of == chunk]
        assert len(part) <= classifier.chunk_tokens == 64
        with torch.inference_mode():
            logits = classifier.model(torch.tensor([[hf.cls_token_id, *part, hf.sep_token_id]])).logits
        expected += torch.softmax(logits, -1)[0, 1:-1, 1].tolist()
    assert read.keep == pytest.approx(expected, abs=1e-6)


def test_the_chunks_of_many_texts_share_batches_where_there_is_room(classifier: TokenClassifier, tmp_path: Path) -> None:
    rows = [
        Sample(str(number), "q", f"Sort list {number}, then take 3 of them. Check it again\n\n" * (9 + number), "x") for number in range(9)
    ]
    calls = list[int]()
    batched = TokenClassifier(save_classifier(tmp_path), device="cpu", batch_tokens=1 << 14)
    batched.model.load_state_dict(classifier.model.state_dict())
    for one in (classifier, batched):
        one.model.register_forward_hook(lambda _, __, given, ___: calls.append(len(given["input_ids"])), with_kwargs=True)
    asked = AsapSettings(method="llmlingua2", budget=None, ratio=0.5)
    cuts = [Asap(NoModel(tokens_of("smollm")), asked, importance=ClassifierImportance(one)) for one in (classifier, batched)]
    assert [pruner.batch_tokens for pruner in cuts] == [0, 1 << 14]
    alone = cuts[0].decide(rows)
    one_by_one, calls[:] = [*calls], []
    together = cuts[1].decide(rows)
    assert max(one_by_one) <= 8
    assert len(one_by_one) >= len(rows)
    assert len(calls) < len(one_by_one) / 4
    for one, other in zip(together, alone, strict=True):
        assert isinstance(one, UnitCut)
        assert isinstance(other, UnitCut)
        assert one.units.scores == pytest.approx(other.units.scores, abs=1e-5)
        assert one.spans == other.spans


def test_a_text_that_cannot_be_read_does_not_reject_the_others() -> None:
    class Fails(Heuristic):
        def of(self, text: str) -> Importance:
            if "too long" in text:
                raise RowError("out_of_memory", "classifying this did not fit")
            return super().of(text)

    rows = [Sample(name, "q", text, "x") for name, text in (("a", "Sort 12 of them"), ("b", "this is too long"), ("c", "Take 3"))]
    asked = AsapSettings(method="llmlingua2", budget=None, ratio=0.7)
    found = Asap(NoModel(tokens_of("smollm")), asked, importance=Fails()).decide(rows)
    assert [type(one).__name__ for one in found] == ["UnitCut", "RowError", "UnitCut"]
    assert isinstance(found[1], RowError)
    assert (found[1].reason, found[1].row_id) == ("out_of_memory", "b")


def test_long_texts_lose_the_same_share_everywhere(classifier: TokenClassifier) -> None:
    text = "\n\n".join(f"Sort list {number}, then take 3 of them. Check it again" for number in range(60))
    units = word_units(text, ClassifierImportance(classifier)([text])[0])
    asked = AsapSettings(method="llmlingua2", budget=None, ratio=0.5)
    decision = (
        Asap(NoModel(tokens_of("smollm")), asked, importance=ClassifierImportance(classifier)).prune(Sample("a", "q", text, "x")).decision
    )
    laid, sizes = Laid.of(text, units.lengths), np.cumsum([0, *(units.chunks or [])])
    ends = np.array([end for _, end in decision.spans or []])
    starts = np.array([start for start, _ in decision.spans or []])
    shares = []
    for first, last in pairwise(sizes.tolist()):
        low, high = laid.starts[first], laid.ends[last - 1]
        kept = np.clip(np.minimum(ends, high) - np.maximum(starts, low), 0, None).sum()
        shares.append(kept / (high - low))
    assert len(shares) > 10
    assert max(shares) - min(shares) < 0.35


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: save_classifier(folder, num_labels=3), "has 3 labels; a token classifier with two"),
        (lambda folder: str(folder), "has no config.json"),
        (lambda folder: str(folder / "none"), "does not exist"),
    ],
)
def test_what_is_no_classifier_is_refused(make: Callable[[Path], str], said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said):
        TokenClassifier(make(tmp_path), device="cpu")


def test_a_language_model_is_no_classifier(tmp_path: Path) -> None:
    logging.disable_progress_bar()
    folder = save_classifier(tmp_path)
    config = transformers.BertConfig(vocab_size=len(tokens_of("bert").hf) + 4, max_position_embeddings=66, **SIZES)
    transformers.BertForMaskedLM(config).save_pretrained(folder)
    with pytest.raises(InputError, match="no complete token classifier"):
        TokenClassifier(folder, device="cpu")
