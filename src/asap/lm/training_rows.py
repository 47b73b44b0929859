"""Rows as token ids and labels: the loss is on the response only (paper Eq. 3), and the text is unchanged.

Every row is decoded again and must give its text byte for byte. A row has exactly one BOS if the tokenizer has one. The EOS at the end
is always learnt, even if it is also the padding token: padding is recognised by its position, not by its id.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from asap.errors import InputError, RowError
from asap.lm.training_template import TrainingTemplate
from asap.sample import Sample
from asap.spans import Span

if TYPE_CHECKING:
    from rich.text import Text
    from tokenizers import Encoding

IGNORED = -100
"""The label of a token without loss."""
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


class _Unchecked(NamedTuple):
    """A row, and the text that its ids must give back."""

    row: TrainRow
    text: str


def encode_rows(template: TrainingTemplate, samples: Sequence[tuple[Sample, Sequence[Span]]]) -> list[TrainRow | RowError]:
    """The row of each sample, or the reason why it has none, such as special tokens in its text that would end it early.

    With each sample come character spans of its trace that are context only, without loss; a token belongs to the span in which it
    starts. The tokenizer takes all rows at once, on all cores. Raises InputError if decoding does not give a text back.
    """
    prompts = [_prompt(template, sample) for sample, _ in samples]
    usable = [(prompt, *pair) for prompt, pair in zip(prompts, samples, strict=True) if isinstance(prompt, str)]
    texts = [template.text(prompt, sample) for prompt, sample, _ in usable]
    encodings = template.tokens.backend.encode_batch(texts, add_special_tokens=False)
    made = iter(_checked(template, [_row(template, *parts, encoding) for parts, encoding in zip(usable, encodings, strict=True)]))
    return [prompt if isinstance(prompt, RowError) else next(made) for prompt in prompts]


def _prompt(template: TrainingTemplate, sample: Sample) -> str | RowError:
    try:
        return template.prompt(sample)
    except RowError as error:
        return error


def _row(template: TrainingTemplate, prompt: str, sample: Sample, masked: Sequence[Span], encoding: "Encoding") -> _Unchecked | RowError:
    """The row of an encoded text, not yet decoded again, or the reason why it cannot be one."""
    tokens, text = template.tokens, template.text(prompt, sample)
    ids = np.asarray(encoding.ids, dtype=np.int32)
    first = _token_at(encoding, len(prompt))  # the first token that reaches into the response
    chars = encoding.token_to_chars(first) if first < len(ids) else None
    if chars is not None and chars[0] < len(prompt):
        return RowError(
            "token_across_boundary", f"a token of {tokens.name} joins the end of the prompt and {sample.frame.before.strip()}", sample.id
        )
    if np.flatnonzero(ids[first:] == template.eos_id).tolist() != [len(ids) - first - 1]:
        return RowError("eos_inside", f"the response holds the token {template.eos}, so the model would learn to stop there", sample.id)
    learnt = np.arange(len(ids)) >= first
    if masked:
        starts = np.asarray(encoding.offsets, dtype=np.int64)[:, 0] - len(prompt) - len(sample.frame.before)
        for span in masked:
            learnt &= (starts < span.start) | (starts >= span.end)
    bos = tokens.bos_id
    if bos is not None and ids[:1].tolist() != [bos]:
        ids, learnt, text = np.concatenate([[np.int32(bos)], ids]), np.concatenate([[False], learnt]), tokens.hf.bos_token + text
    if bos is not None and int((ids == bos).sum()) != 1:
        return RowError("bos_inside", f"the row's text holds the BOS token {tokens.hf.bos_token}", sample.id)
    return _Unchecked(TrainRow(sample.id, ids, np.where(learnt, ids, np.int32(IGNORED)), False), text)


def _token_at(encoding: "Encoding", character: int) -> int:
    """The first token that reaches beyond the start of a character."""
    found: int | None = encoding.char_to_token(character)
    return found if found is not None else int(np.searchsorted([end for _, end in encoding.offsets], character, side="right"))


def _checked(template: TrainingTemplate, made: Sequence[_Unchecked | RowError]) -> Iterator[TrainRow | RowError]:
    """The rows, after decoding them again. Raises InputError if one does not give its text back.

    Other texts are allowed only as the tokenizer rewrites them to Unicode's NFC form, and the row says so.
    """
    ids = [one.row.input_ids.tolist() for one in made if isinstance(one, _Unchecked)]
    decoded = iter(template.tokens.backend.decode_batch(ids, skip_special_tokens=False))
    for one in made:
        if isinstance(one, RowError):
            yield one
        elif (again := next(decoded)) == one.text:
            yield one.row
        elif again == unicodedata.normalize("NFC", one.text):
            yield one.row._replace(rewritten=True)
        else:
            raise InputError(_changed(template, one, again))


def _changed(template: TrainingTemplate, made: _Unchecked, again: str) -> str:
    """Where the decoded text differs, for a message."""
    text = made.text
    place = next((i for i, (a, b) in enumerate(zip(again, text, strict=False)) if a != b), min(len(again), len(text)))
    return (
        f"row {made.row.id!r}: the tokenizer of {template.tokens.name} does not give the text back; at character {place} it has "
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
