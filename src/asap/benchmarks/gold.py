"""The gold answer of a maths row: in one of the columns of published data sets, plain, behind GSM8K's `####`, or as verl has it."""

from collections.abc import Mapping

from asap.benchmarks.decoding import decoded
from asap.maths_result import after_mark

_COLUMNS = ("expected_answer", "ground_truth", "final_answer", "gold_answer", "gold", "reference_answer", "answer")
_OUTER = ("reward_model", "verification_info")
_LONGEST = 300  # characters; longer texts are explanations


def gold_of(task: Mapping[str, object]) -> str | None:
    """The gold answer in the columns of a row that hold no response; None if there is none."""
    for name in _OUTER:
        inner = decoded(task.get(name))
        if isinstance(inner, Mapping) and (text := _gold_text(inner.get("ground_truth"))):
            return text
    return next((text for name in _COLUMNS if (text := _gold_text(task.get(name)))), None)


def _gold_text(value: object) -> str | None:
    if isinstance(value, (list, tuple)) and len(value) == 1:
        value = value[0]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        return None
    text = after_mark(value)
    text = value.strip() if text is None else text
    return text if text and len(text) <= _LONGEST else None
