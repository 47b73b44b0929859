"""Rows as token ids and labels: the loss is on the response only (paper Eq. 3), and the text is unchanged.

Every row is decoded again and must give its text byte for byte. A row has exactly one BOS if the tokenizer has one. The EOS at the end
is always learnt, even if it is also the padding token: padding is recognised by its position, not by its id.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from asap.errors import InputError, RowError
from asap.sample import Sample
from asap.spans import Span
from asap.think import OPENED
from asap.train.loss import IGNORED
from asap.train.template import TrainingTemplate

if TYPE_CHECKING:
    from rich.text import Text

_SHOWN = 400  # the most characters of a stretch that are printed


class TrainRow(NamedTuple):
    """One row: token ids, and labels (the id if it is learnt, else -100). `rewritten` if the tokenizer changes the text (NFC)."""

    id: str
    input_ids: NDArray[np.int32]
    labels: NDArray[np.int32]
    rewritten: bool

    @property
    def learnt(self) -> int:
        """The number of tokens with loss."""
        return int((self.labels != IGNORED).sum())


def encode_row(template: TrainingTemplate, sample: Sample, masked: Sequence[Span] = ()) -> TrainRow:
    """The row of a sample. `masked` are character spans of the trace that are context only, without loss.

    A token belongs to the span in which it starts. Raises RowError if the text contains special tokens that would end it early, and
    InputError if decoding does not give the text back.
    """
    tokens, prompt = template.tokens, template.prompt(sample)
    text = prompt + sample.response + template.eos
    encoded = tokens.encode(text)
    ids, starts = encoded.ids, encoded.starts
    first = int(np.searchsorted(encoded.ends, len(prompt), side="right"))  # the first token that reaches into the response
    if first < len(starts) and starts[first] < len(prompt):
        raise RowError("token_across_boundary", f"a token of {tokens.name} joins the end of the prompt and <think>", sample.id)
    if np.flatnonzero(ids[first:] == template.eos_id).tolist() != [len(ids) - first - 1]:
        raise RowError("eos_inside", f"the response holds the token {template.eos}, so the model would learn to stop there", sample.id)
    learnt = np.arange(len(ids)) >= first
    for span in masked:
        offset = len(prompt) + len(OPENED)
        learnt &= (starts < offset + span.start) | (starts >= offset + span.end)
    bos = tokens.bos_id
    if bos is not None and ids[:1].tolist() != [bos]:
        ids, learnt, text = np.concatenate([[bos], ids]), np.concatenate([[False], learnt]), tokens.hf.bos_token + text
    if bos is not None and int((ids == bos).sum()) != 1:
        raise RowError("bos_inside", f"the row's text holds the BOS token {tokens.hf.bos_token}", sample.id)
    rewritten = _check_text(template, ids, text, sample.id)
    return TrainRow(sample.id, ids.astype(np.int32), np.where(learnt, ids, IGNORED).astype(np.int32), rewritten)


def _check_text(template: TrainingTemplate, ids: NDArray[np.int64], text: str, row_id: str) -> bool:
    """Decode the row, compare, and return whether the tokenizer rewrote the text to Unicode's NFC form, which is allowed."""
    again = template.tokens.hf.decode(ids.tolist(), skip_special_tokens=False, clean_up_tokenization_spaces=False)
    if again == text:
        return False
    if again == unicodedata.normalize("NFC", text):
        return True
    place = next((i for i, (a, b) in enumerate(zip(again, text, strict=False)) if a != b), min(len(again), len(text)))
    raise InputError(
        f"row {row_id!r}: the tokenizer of {template.tokens.name} does not give the text back; at character {place} it has "
        f"{again[place : place + 20]!r} for {text[place : place + 20]!r}"
    )


def stretches(template: TrainingTemplate, row: TrainRow) -> Iterable[tuple[bool, str]]:
    """The text of a row in stretches: whether the loss is on a stretch, and its text."""
    learnt = row.labels != IGNORED
    edges = [0, *(np.flatnonzero(np.diff(learnt)) + 1).tolist(), len(learnt)]
    for start, end in pairwise(edges):
        piece = row.input_ids[start:end].tolist()
        yield bool(learnt[start]), template.tokens.hf.decode(piece, skip_special_tokens=False, clean_up_tokenization_spaces=False)


def shown_mask(template: TrainingTemplate, row: TrainRow) -> "Text":
    """A row for people to check: the learnt text is green and between « », the rest dim; long stretches are shortened."""
    from rich.text import Text

    shown = Text()
    for learnt, text in stretches(template, row):
        if len(text) > _SHOWN:
            left_out = len(text) - _SHOWN
            text = f"{text[: _SHOWN // 2]} [… {left_out:,} characters …] {text[-_SHOWN // 2 :]}"
        shown.append(f"«{text}»" if learnt else text, style="green" if learnt else "dim")
    return shown
