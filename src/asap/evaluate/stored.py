"""What a row of evaluation.sqlite has to be, so that one which was edited or damaged never becomes a figure.

What this does not do: tell a row whose values are possible from the one that was written.
"""

from dataclasses import fields
from typing import Any, get_args

from asap.benchmarks.problem import Isolation
from asap.lm.fields import count_in, number_in
from asap.sandbox.verdict import Kind, Verdict, Word

_KEPT = tuple(word for word in get_args(Word) if word != "infra")
_OF_A_VERDICT = {*(field.name for field in fields(Verdict)), "passed"} - {"tests", "needs"}


def is_verdict(record: object) -> bool:
    """Whether a value is the record of a verdict that is kept, with nothing beside it: `infra` never is. That on a result is short."""
    if not isinstance(record, dict) or not _OF_A_VERDICT.issuperset(record):
        return False
    if record.keys() == {"verdict", "passed", "detail"}:
        return is_comparison([record["verdict"], record["detail"]]) and record["passed"] is (record["verdict"] == "pass")
    counts = [record.get(name) for name in ("passed_checks", "checks", "calls")]
    return (
        record.get("verdict") in _KEPT
        and record.get("passed") is (record["verdict"] == "pass")
        and record.get("isolation") in get_args(Isolation)
        and record.get("sandbox") in get_args(Kind)
        and isinstance(record.get("detail"), str)
        and isinstance(record.get("limits"), dict)
        and all(isinstance(record.get(name, False), bool) for name in ("wall_only", "retried"))
        and all(_is_amount(record.get(name)) for name in ("cpu_s", "wall_s", "peak_mb"))
        and all(count is None or count_in(count) is not None for count in counts)
    )


def is_reference_run(found: object) -> bool:
    """Whether a value says what a reference solution did."""
    if not isinstance(found, dict) or found.get("verdict") not in _KEPT:
        return False
    tests = found.get("tests", [])
    return (
        isinstance(found.get("detail"), str)
        and _is_amount(found.get("cpu_s"))
        and (found.get("needs") is None or isinstance(found["needs"], str))
        and isinstance(found.get("outputs", []), list)
        and isinstance(tests, list)
        and all(isinstance(test, list) and len(test) == 2 and all(isinstance(word, str) for word in test) for test in tests)
        and ("tests" not in found or found.get("isolation") in get_args(Isolation))
    )


def is_comparison(value: object) -> bool:
    """Whether a value says how an answer compares with a gold answer."""
    return isinstance(value, list) and len(value) == 2 and value[0] in ("pass", "fail", "no-answer") and isinstance(value[1], str)


def is_written(value: object) -> bool:
    """Whether a value holds the answer that a model wrote after a trace."""
    return isinstance(value, dict) and isinstance(value.get("text"), str)


def wrong_in_generation(row: object) -> str | None:
    """What is wrong with the row of a generation; None if nothing is."""
    if not isinstance(row, dict):
        return f"it is {row!r:.60}"
    shares = [row.get(name) for name in ("tokens_thinking", "tokens_answer")]
    counts = [count for share in shares if (count := count_in(share)) is not None]
    fits = {
        "text": isinstance(row.get("text"), str),
        "stopped_by": isinstance(row.get("stopped_by"), str),
        "opened": isinstance(row.get("opened"), bool),
        "session": count_in(row.get("session"), 1) is not None,
        "prompt_tokens": count_in(row.get("prompt_tokens")) is not None,
        "tokens": count_in(row.get("tokens")) is not None,
        "tokens_thinking": shares == [None, None] or (len(counts) == len(shares) and sum(counts) == row.get("tokens")),
        "ttft_s": row.get("ttft_s") is None or _is_amount(row["ttft_s"]),
        "seconds": _is_amount(row.get("seconds")),
    }
    return next((f"its {name} is {row.get(name)!r:.60}" for name, is_right in fits.items() if not is_right), None)


def wrong_in_identity(value: object) -> str | None:
    """What is wrong with what a model said of itself, as far as it is read again; None if nothing is."""
    fits = isinstance(value, dict) and all(isinstance(value.get(name) or {}, dict) for name in ("engine", "samplers"))
    return None if fits else f"it is {value!r:.60}"


def _is_amount(value: Any) -> bool:
    found = number_in(value)
    return found is not None and found >= 0
