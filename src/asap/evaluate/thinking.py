"""Whether a model still thinks: after a fine-tuning it may answer at once, open no thought, an empty one, or one that never ends.

Every generation is of exactly one kind. Reasoning-trace collapse is the fall of the share of complete ones; the shares have the names of
the package thinkpack (VR, ER, TR, MR and Rpass@1) and agree with it. A problem counts once, however many samples it has.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from asap.evaluate.attempt import Attempt
from asap.evaluate.metrics import mean
from asap.think import parts_of
from asap.think_tags import tag_at_start

Thinking = Literal["complete", "empty", "unclosed", "missing"]
RATES: Mapping[Thinking, str] = {"complete": "VR", "empty": "ER", "unclosed": "TR", "missing": "MR"}
"""What the share of each kind is called."""
_UNANSWERED = ("too_long", "content_filter", "server_error", "bad_request")
"""How requests stopped that a model wrote nothing for."""


def thinking_of(attempt: Attempt) -> Thinking | None:
    """The kind of a generation's thinking; None of what is no generation.

    A thought is empty if there is nothing but white space between its tags.
    """
    if attempt.kind != "generation" or attempt.measured.get("stopped_by") in _UNANSWERED:
        return None
    thinking, answer = parts_of(attempt.text, opened=attempt.opened, table=attempt.table)
    if thinking is None:
        return "missing"
    if answer is None:
        return "unclosed"
    opening = tag_at_start(thinking, attempt.table)
    return "complete" if thinking[opening.end if opening else 0 :].strip() else "empty"


def thinking_rates(verdicts: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """The shares of each kind among verdicts that name it, and Rpass@1, Pass@1 of the complete ones; empty without any.

    Rpass@1 is a mean over the problems with a complete one that could be judged, and None if there is none.
    """
    known = [record for record in verdicts if record.get("thinking") in RATES]
    if not known:
        return {}
    rates = {name: _mean_by_problem([(record["task_id"], record["thinking"] == kind) for record in known]) for kind, name in RATES.items()}
    complete = [record for record in known if record["thinking"] == "complete" and record["verdict"] != "infra"]
    return {**rates, "Rpass@1": _mean_by_problem([(record["task_id"], record["passed"]) for record in complete])}


def _mean_by_problem(found: Sequence[tuple[str, bool]]) -> float | None:
    """The mean over problems of the share of their values that hold."""
    by_task: dict[str, list[bool]] = defaultdict(list)
    for task_id, value in found:
        by_task[task_id].append(value)
    return mean([sum(values) / len(values) for values in by_task.values()])
