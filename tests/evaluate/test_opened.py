"""Drafts in thinking that was cut off are no answers, whether the text, a record or the other rows of the file show that it is open."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from evaluate_helpers import RIGHT, answer, benchmark, read_rows, write_rows

from asap.errors import UsageError
from asap.evaluate.attempt import Attempt
from asap.evaluate.opened import OpenedPrompts
from asap.evaluate.score import score_file
from asap.think_tags import TAGS

if TYPE_CHECKING:
    from asap.sandbox import Sandbox

DRAFT = f"Draft:\n{answer(RIGHT['double'])}\nBut wait"
GOOD = answer(RIGHT["double"])


def attempts(*texts: str, **measured: Any) -> list[Attempt]:
    return [Attempt("double", number, "generation", text, measured) for number, text in enumerate(texts)]


def answers(*given: Attempt) -> list[str | None]:
    return [attempt.answer for attempt in OpenedPrompts.seen_in(given).told(given)]


def test_a_draft_never_passes_and_the_answer_after_it_does(tmp_path: Path, sandbox: "Sandbox") -> None:
    cut_off = [row.frame.before + DRAFT for row in TAGS] + [
        f"{row.frame.join('hm', GOOD)}\n{row.frame.before}{DRAFT}" for row in TAGS if row.name != "harmony-words"
    ]
    whole = [row.frame.join(DRAFT.replace("2 * x", "x"), GOOD) for row in TAGS]
    known = [{"generation": DRAFT, "opened": True}, {"generation": DRAFT, "prompt": "<|assistant|>\n<think>\n"}]
    rows = [{"task_id": "double", "generation": text} for text in [*cut_off, *whole]] + [{"task_id": "double", **row} for row in known]
    rows += [{"task_id": "double", "generation": f"<zone>{DRAFT}"}, {"task_id": "double", "generation": f"<zone>hm</zone>{GOOD}"}]
    score_file(write_rows(tmp_path / "a.jsonl", rows), benchmark(), tmp_path / "out", sandbox, think_tags="<zone>,</zone>")
    verdicts = [row["verdict"] for row in read_rows(tmp_path / "out/verdicts.jsonl")]
    assert verdicts == ["no-answer"] * len(cut_off) + ["pass"] * len(whole) + ["no-answer"] * 3 + ["pass"]


def test_thinking_in_parts_and_fields_is_no_answer_either(tmp_path: Path, sandbox: "Sandbox") -> None:
    thought, text = {"type": "thinking", "thinking": DRAFT}, {"type": "text", "text": GOOD}
    messages: list[Any] = [
        {"role": "assistant", "content": None, "reasoning_content": DRAFT},
        {"content": GOOD, "reasoning_content": DRAFT.replace("2 * x", "x")},
        {"role": "assistant", "content": [thought]},
        {"role": "assistant", "content": [thought, text]},
        [{"role": "assistant", "channel": "analysis", "content": DRAFT}],
        [{"role": "assistant", "channel": "analysis", "content": "hm"}, {"role": "assistant", "channel": "final", "content": GOOD}],
    ]
    rows = [{"task_id": "double", "choices": [{"message": message}] if isinstance(message, dict) else message} for message in messages]
    rows += [{"task_id": "double", "generation": parts} for parts in ([thought], [thought, text], [{"type": "reasoning", "text": DRAFT}])]
    score_file(write_rows(tmp_path / "a.jsonl", rows), benchmark(), tmp_path / "out", sandbox)
    verdicts = [row["verdict"] for row in read_rows(tmp_path / "out/verdicts.jsonl")]
    assert verdicts == ["no-answer", "pass"] * 4 + ["no-answer"]


def test_own_tags_must_be_a_pair(tmp_path: Path, sandbox: "Sandbox") -> None:
    path = write_rows(tmp_path / "a.jsonl", [{"task_id": "double", "generation": GOOD}])
    with pytest.raises(UsageError, match="--think-tags is '<a>'; write the opening and the closing tag"):
        score_file(path, benchmark(), tmp_path / "out", sandbox, think_tags="<a>")


def test_rows_that_close_what_they_do_not_open_tell_of_the_others() -> None:
    closing = [f"hm\n</think>\n{GOOD}"] * 2
    assert answers(*attempts(*closing, DRAFT)) == [f"\n{GOOD}"] * 2 + [None]
    assert answers(*attempts(closing[0], GOOD, GOOD)) == [f"\n{GOOD}", GOOD, GOOD], "a stray tag says little about many others"
    assert answers(*attempts(closing[0]), *attempts(GOOD, GOOD, finish_reason="length")) == [f"\n{GOOD}", None, None]
    assert answers(*attempts(*closing), *attempts(GOOD, opened=False)) == [f"\n{GOOD}"] * 2 + [GOOD]
    assert answers(*attempts(*closing), *attempts(GOOD, model="another")) == [f"\n{GOOD}"] * 2 + [GOOD]
    assert answers(*attempts(f"<think>hm</think>{GOOD}", GOOD)) == [GOOD, GOOD], "these open their thinking themselves"
    assert answers(*attempts(f"hm[/THINK]{GOOD}", f"hm[/THINK]{GOOD}", "Use `</think>`.\n" + GOOD)) == [GOOD, GOOD, None]


def test_where_most_were_cut_off_a_few_that_close_it_tell_of_them() -> None:
    closing = [f"hm\n</think>\n{GOOD}"] * 2
    assert answers(*attempts(*closing, *[DRAFT] * 30)) == [f"\n{GOOD}"] * 2 + [None] * 30
    assert answers(*attempts(*closing, *[GOOD] * 60)) == [f"\n{GOOD}"] * 2 + [GOOD] * 60


@pytest.mark.parametrize("columns", [("code_list", "output_list"), ("filtered_resps", "resps"), ("solution", "response")])
def test_code_that_a_tool_took_from_thinking_is_no_answer(tmp_path: Path, sandbox: "Sandbox", columns: tuple[str, str]) -> None:
    code, said = columns
    texts = [f"<think>\n{DRAFT}", f"<think>hm</think>\n{GOOD}", GOOD, f"<think>\n{DRAFT.replace('2 * x', 'x')}</think>\n{GOOD}"]
    closing, tagless = f"hm</think>\n{GOOD}", DRAFT
    rows = [{"task_id": "double", code: [RIGHT["double"]], said: [text], "model": "a"} for text in texts]
    rows += [{"task_id": "double", code: [RIGHT["double"]], said: [text], "model": "b"} for text in (closing, closing, tagless)]
    score_file(write_rows(tmp_path / "a.jsonl", rows), benchmark(), tmp_path / "out", sandbox)
    verdicts = [row["verdict"] for row in read_rows(tmp_path / "out/verdicts.jsonl")]
    assert verdicts == ["no-answer", "pass", "pass", "pass", "pass", "pass", "no-answer"]


def test_solutions_and_completions_do_not_think() -> None:
    given = [*attempts(f"hm</think>{GOOD}"), Attempt("double", 1, "solution", RIGHT["double"])]
    prompts = OpenedPrompts.seen_in(given)
    assert [attempt.opened for attempt in prompts.told(given)] == [False, False]
    assert prompts.assumed == 0
