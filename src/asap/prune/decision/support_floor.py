"""`--support-floor`: puts removed steps back until the trace supports its answer almost as well as the whole trace does.

The steps return in the reverse of their removal order, stage 1's last. Doubling and halving finds the number of steps to put back,
so a row costs a few passes instead of one for each step. Support need not grow with every step: fewer steps might have been enough,
but the result is always within the floor.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from asap.lm.scorer import Scored, Scoring
from asap.lm.tokens import TokenCounter
from asap.lm.word_cache import by_words
from asap.prune.decision.step_cut import Floor, StepCut
from asap.prune.support import support_of, support_request
from asap.sample import Sample


def floored(decision: StepCut, sample: Sample, floor: float, *, scorer_tokens: TokenCounter, tokens: TokenCounter) -> Scoring[StepCut]:
    """The decision with steps put back until its support is within `floor` nats per token of the whole trace's.

    `scorer_tokens` is the scorer's tokenizer, `tokens` counts the budget. A decision that cuts nothing is returned unchanged.
    """
    if not decision.changed:
        return decision
    removed = [step.index for step in sorted(decision.steps, key=lambda step: -step.rank) if not step.kept]

    supports = dict[int, float]()

    def support(count: int) -> Scoring[float]:
        if count not in supports:
            trace = _restored(decision, removed[:count]).apply(sample.cot)
            [scored] = yield [support_request(scorer_tokens, sample, trace)]
            assert isinstance(scored, Scored)
            supports[count] = support_of(scored, sample)
        return supports[count]

    full = yield from support(len(removed))
    needed = round(full - floor, 6)
    low, high = -1, 0  # putting `low` steps back is not enough
    while (yield from support(high)) < needed:
        low, high = high, min(2 * high + 1, len(removed))
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if (yield from support(middle)) >= needed else (middle, high)
    back = removed[:high]
    restored = _restored(decision, back)
    coarse = [step.index for step in decision.steps if step.index in set(back) and step.removed_by == "coarse"]
    grade: Literal["holds", "mended", "whole"] = "holds" if not back else "whole" if high == len(removed) else "mended"
    found = Floor(full, supports[0], supports[high], grade, sorted(back), coarse)
    return replace(restored, tokens_after=by_words(tokens).count(restored.apply(sample.cot)), floor=found)


def _restored(decision: StepCut, back: Sequence[int]) -> StepCut:
    gone = set(back)
    return replace(decision, steps=[replace(step, kept=True, removed_by=None) if step.index in gone else step for step in decision.steps])
