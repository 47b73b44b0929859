"""Scores a text behind each prefix of others: how likely the answer is after no step, the first step, the first two and so on.

All steps are read once (`asap.lm.kept`), and behind each of them only the tail: all tails side by side, or one after another.
"""

from collections.abc import Iterator

import numpy as np

from asap.lm.causal_lm import CausalLM
from asap.lm.kept import Asked, KeptText
from asap.lm.scorer import PrefixRequest, Scored, TokenScores
from asap.lm.tokens import Encoded, TokenCounter
from asap.lm.word_cache import by_words


def prefixes(lm: CausalLM, request: PrefixRequest, context_tokens: int, *, beside: bool) -> Scored | None:
    """The scores of the tail behind each prefix; None where the longest text cannot be kept (`KeptText.of`).

    `beside`: the model reads tails side by side (`asap.lm.kept.reads_beside`).
    """
    asked = [*each_asked(lm.tokens, request)]
    kept = KeptText.of(lm, asked[-1].ids, context_tokens)
    if kept is None:
        return None
    logprobs = [*kept.asked_logprobs(asked[::-1], beside=beside)][::-1]  # the longest first
    found = zip(asked, logprobs, strict=True)
    return Scored([TokenScores(one.starts, one.ends, values, np.full(len(values), np.nan)) for one, values in found], 1)


def each_asked(tokens: TokenCounter, request: PrefixRequest) -> Iterator[Asked]:
    """The text of each prefix with its tail, which is asked about.

    The longest text is tokenised once; of each other one, only what follows the last place in it where a word begins.
    """
    longest = request.context + request.text(len(request.steps))
    whole = tokens.encode(longest)
    borders = by_words(tokens).borders(longest, whole, len(request.context))
    for count in range(len(request.steps) + 1):
        text = request.context + request.text(count)
        common = len(text) - len(request.lead) - len(request.tail)
        last = int(np.searchsorted(borders, common - 1)) - 1  # the character behind a border's space is in both texts, too
        encoded = tokens.encode(text) if last < 0 else _rejoined(tokens, whole, text, int(borders[last]))
        yield Asked.of_encoded(tokens, encoded, len(text), len(text) - len(request.tail))


def _rejoined(tokens: TokenCounter, whole: Encoded, text: str, border: int) -> Encoded:
    """The tokens of a text that is as the whole one up to a border."""
    before = int(np.searchsorted(whole.starts, border))
    behind = tokens.encode("a" + text[border:])  # since some tokenizers treat the start of a text specially
    shift = border - 1
    return Encoded(
        *(np.concatenate([one[:before], other[1:] + by]) for one, other, by in zip(whole, behind, (0, shift, shift), strict=True))
    )
