"""Whether the prompts of a file's generations had opened the thinking, where no record says so.

A model's chat template opens the thought for all of its answers or for none. A generation that closes thinking which it does not open
shows that the prompt did. Generations without any tag are then taken as cut off while they were thinking: all of them, if at least two
generations show it and these are more than one in twenty of both together; else only those that are recorded as cut off. A row's `opened`
(true or false) or `prompt` is better evidence, and counts instead.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

from asap.evaluate.attempt import Attempt
from asap.think import closes_unopened, opens_itself

Seen = Literal["closes", "tagless", "known"]
_SHARE = 20  # a stray tag is rarer


@dataclass(slots=True)
class OpenedPrompts:
    """What a file's generations show of their prompts, by model; `assumed` counts those for which it is all that is known."""

    counts: dict[str, Counter[Seen]] = field(default_factory=dict)
    assumed: int = 0

    @classmethod
    def seen_in(cls, attempts: Iterable[Attempt]) -> "OpenedPrompts":
        """What these attempts show."""
        found = cls()
        for attempt in attempts:
            found.counts.setdefault(_model(attempt), Counter())[_kind(attempt)] += 1
        return found

    def told(self, attempts: Iterable[Attempt]) -> Iterator[Attempt]:
        """The attempts, those with `opened` in their record whose prompt opened the thinking."""
        for attempt in attempts:
            seen = self.counts.get(_model(attempt), Counter[Seen]())
            if _is_likely(seen, attempt) and _kind(attempt) == "tagless":
                self.assumed += 1
                text = attempt.text if attempt.said is None else attempt.said
                attempt = replace(attempt, kind="generation", text=text, measured={**attempt.measured, "opened": True})
            yield attempt


def _model(attempt: Attempt) -> str:
    return str(attempt.measured.get("model"))


def _is_likely(seen: Counter[Seen], attempt: Attempt) -> bool:
    closes = seen["closes"]
    return (attempt.cut_off and closes > 0) or (closes > 1 and closes * _SHARE > closes + seen["tagless"])


def _kind(attempt: Attempt) -> Seen:
    if (attempt.kind != "generation" and attempt.said is None) or attempt.opened or isinstance(attempt.measured.get("opened"), bool):
        return "known"
    text = attempt.text if attempt.said is None else attempt.said
    if closes_unopened(text, attempt.table) is not None:
        return "closes"
    return "known" if opens_itself(text, attempt.table) else "tagless"
