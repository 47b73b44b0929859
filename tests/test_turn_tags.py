"""`--write-tags` and conversations: the tags inside contents are written anew, all else stays; formats without a field have them too."""

import json
from pathlib import Path
from typing import Any

import pytest

from agent_rows import CHECK, PLAN, ROWS, thinks, user
from asap.cli import run
from asap.dataset import iter_shaped
from asap.dataset.row_rules import RowRules
from asap.errors import RowError
from run_fixtures import read_rows, write_rows

KEPT = {"plan": PLAN.split("\n\n")[-1], "check": CHECK.split("\n\n")[-1]}
MAGISTRAL = "[THINK]\n{cot}\n[/THINK]\n\n{answer}"
CONTENTS = {"think": "<think>\n{cot}\n</think>\n\n{answer}", "magistral": MAGISTRAL, "<zone>,</zone>": "<zone>\n{cot}\n</zone>\n\n{answer}"}
INSIDE: dict[str, Any] = {
    "id": "inside",
    "messages": [
        user(),
        {"role": "assistant", "content": f"<thinking>{PLAN}</thinking>Which file?", "n": 1},
        user("Here."),
        {"role": "assistant", "content": "<think>\n\n</think>\n\nI see."},
        user("Well?"),
        {"role": "assistant", "content": thinks(CHECK, "12"), "reasoning_content": CHECK},
    ],
}


def pruned(folder: Path, rows: list[dict[str, Any]], *options: str) -> Path:
    out = folder / "out"
    source = write_rows(folder / "rows.jsonl", rows)
    formats = [word for name in ("trl", "sharegpt", "llamafactory") for word in ("--format", name)]
    assert run(["prune", str(source), "--method", "keep-tail", "--ratio", "0.4", *options, *formats, "--out", str(out)]) == 0
    return out


@pytest.mark.parametrize("tags", CONTENTS)
@pytest.mark.parametrize("as_text", [False, True])
def test_contents_get_the_tags_and_nothing_else_changes(tags: str, as_text: bool, tmp_path: Path) -> None:
    row = {**INSIDE, "messages": json.dumps(INSIDE["messages"], indent=1)} if as_text else INSIDE
    out = pruned(tmp_path, [row], "--write-tags", tags)
    first = CONTENTS[tags].format(cot=KEPT["plan"], answer="Which file?")
    second = CONTENTS[tags].format(cot=KEPT["check"], answer="12")
    expected = json.loads(json.dumps(INSIDE["messages"]))
    expected[1]["content"], expected[5]["content"], expected[5]["reasoning_content"] = first, second, KEPT["check"]
    [written] = read_rows(out / "pruned.jsonl")
    assert written["messages"] == (json.dumps(expected, indent=1) if as_text else expected)
    [trl], [sharegpt], [alpaca] = (read_rows(out / f"{name}.jsonl") for name in ("trl", "sharegpt", "llamafactory"))
    assert [trl["messages"][place]["content"] for place in (1, 5)] == [first, second]
    assert [sharegpt["conversations"][place]["value"] for place in (1, 3, 5)] == [first, expected[3]["content"], second]
    assert (alpaca["history"][0][1], alpaca["output"]) == (first, second)


def test_thinking_in_fields_stays_there_and_gets_tags_where_a_format_has_no_field(tmp_path: Path) -> None:
    out = pruned(tmp_path, [ROWS["tool calls, thinking beside"]], "--write-tags", "magistral", "--context", "raw")
    [written], [sharegpt] = (read_rows(out / f"{name}.jsonl") for name in ("pruned", "sharegpt"))
    assert (written["messages"][4]["content"], written["messages"][4]["reasoning_content"]) == ("It has 12 lines.", KEPT["check"])
    assert sharegpt["conversations"][4]["value"] == MAGISTRAL.format(cot=KEPT["check"], answer="It has 12 lines.")


def test_keep_leaves_each_rows_own_and_without_it_formats_without_a_field_have_the_usual(tmp_path: Path) -> None:
    for options, shown in (
        (["--write-tags", "keep"], f"<thinking>{KEPT['plan']}</thinking>Which file?"),
        ([], thinks(KEPT["plan"], "Which file?")),
    ):
        folder = tmp_path / str(len(options))
        folder.mkdir()
        out = pruned(folder, [INSIDE], *options)
        [written], [sharegpt] = (read_rows(out / f"{name}.jsonl") for name in ("pruned", "sharegpt"))
        assert written["messages"][1]["content"] == f"<thinking>{KEPT['plan']}</thinking>Which file?"
        assert sharegpt["conversations"][1]["value"] == shown


def test_a_cut_writes_the_same_tags(tmp_path: Path) -> None:
    out = pruned(tmp_path, [INSIDE], "--write-tags", "magistral")
    assert run(["cut", str(out), "--ratio", "0.4", "--format", "sharegpt", "--out", str(tmp_path / "cut")]) == 0
    for name in ("pruned.jsonl", "sharegpt.jsonl"):
        assert (tmp_path / "cut" / name).read_bytes() == (out / name).read_bytes()


def test_an_answer_that_holds_the_tag_that_is_written_is_rejected(tmp_path: Path) -> None:
    """As in a row of columns: it could not be told from the trace again."""
    quoting = {"messages": [user(), {"role": "assistant", "content": thinks(CHECK, "12\n[/THINK]\nor 13")}, user(), user()]}
    source = write_rows(tmp_path / "rows.jsonl", [quoting])
    [(_, _, found)] = iter_shaped([str(source)], rules=RowRules(write_tags="magistral"))
    assert isinstance(found, RowError)
    assert found.reason == "think_in_answer"
