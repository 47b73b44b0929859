"""The answer tokens that a bet looks at, as `--method coverage` chooses them, and steps without what they copy from the answer."""

from asap.compare.copies import Copies
from asap.prune.methods.answer_tokens import Sketch, Tail, sketch
from asap.sample import Sample

__all__ = ["Sketch", "Tail", "sketch", "without_copies"]


def without_copies(sample: Sample, text: str) -> str:
    """A part of the trace without what it copies from the answer."""
    of = Copies.find(sample).of
    for start, end in reversed(of.spans(text) if of else []):
        text = text[:start] + text[end:]
    return text
