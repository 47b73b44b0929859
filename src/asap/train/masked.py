"""`--mask-pruned`: keeps the full trace as context and puts the loss only on the characters that pruning kept.

A kept step is learnt together with the white space after it. The model thus reads digressions without learning to write them.
"""

from asap.prune.decision import Decision
from asap.sample import Sample
from asap.spans import Span


def pruned_spans(decision: Decision, sample: Sample) -> list[Span]:
    """The parts of the original trace that a decision cut, as character spans, with the white space after them."""
    kept = decision.kept_with_space(len(sample.cot))
    edges = [0, *(edge for span in kept for edge in span), len(sample.cot)]
    return [Span(start, end) for start, end in zip(edges[::2], edges[1::2], strict=True) if start < end]
