"""Files and folders of other tools: each read as the attempts that it holds, and what is not clear refused."""

import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from evaluate_helpers import FENCE, OWN, read_rows, write_rows

from asap.benchmarks.load import load_benchmark
from asap.dataset import Rejected
from asap.errors import InputError
from asap.evaluate.attempt import Attempt, read_attempts
from asap.evaluate.attempt_texts import UNCLEAR
from asap.evaluate.reference import LimitSettings
from asap.evaluate.score import score_file

if TYPE_CHECKING:
    from asap.sandbox import Sandbox

KNOWN = ["Own/0", "Own/1"]
A, B = "def f(x):\n    return x + 1\n", "def f(x):\n    return x\n"
Found = list[tuple[str, int, str, str]]


def found_in(path: Path) -> Found:
    rows = list(read_attempts(path, KNOWN))
    assert not [row for row in rows if isinstance(row, Rejected)]
    return [(row.task_id, row.sample, row.kind, row.text) for row in rows if isinstance(row, Attempt)]


def of_json(tmp_path: Path, value: object, name: str = "out.json") -> Found:
    (tmp_path / name).write_text(json.dumps(value), encoding="utf-8")
    return found_in(tmp_path / name)


def of_rows(tmp_path: Path, *rows: dict[str, Any]) -> Found:
    return found_in(write_rows(tmp_path / "rows.jsonl", list(rows)))


BOTH: Found = [("Own/0", 0, UNCLEAR, A), ("Own/0", 1, UNCLEAR, B), ("Own/1", 0, UNCLEAR, B)]
LM_EVAL = {"doc_id": 0, "doc": {"task_id": "Own/0"}, "target": "", "arguments": {}, "resps": [["    return x + 1\n"]]}
INSPECT = {
    "id": "Own/0",
    "epoch": 1,
    "output": {"model": "m", "completion": A, "choices": [{"message": {"role": "assistant", "content": A}}]},
}


def test_lists_in_the_benchmarks_order(tmp_path: Path) -> None:
    assert of_json(tmp_path, [[A, B], [B]]) == BOTH
    with pytest.raises(InputError, match="holds 1 lists, but the benchmark has 2 problems, so which list belongs to which is not known"):
        of_json(tmp_path, [[A, B]])


def test_an_object_of_problems(tmp_path: Path) -> None:
    assert of_json(tmp_path, {"Own/0": [A, B], "Own/1": B}) == BOTH
    assert of_json(tmp_path, {"Own/0": [{"solution": A, "base_status": "pass"}], "Own/1": {"completion": "x"}}) == [
        ("Own/0", 0, "solution", A),
        ("Own/1", 0, "completion", "x"),
    ]
    assert of_json(tmp_path, {"date": "d", "hash": "h", "eval": {"Own/0": [{"task_id": "Own/0", "solution": A}]}}) == [
        ("Own/0", 0, "solution", A)
    ]


def test_a_folder_with_a_file_for_each_program(tmp_path: Path) -> None:
    for name, text in (("Own_1/0.py", B), ("Own_0/10.py", B), ("Own_0/9.py", A)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert found_in(tmp_path) == BOTH
    (tmp_path / "Own_0/notes.txt").write_text("x")
    (tmp_path / "Own_1/1.py").write_bytes(b"\xff")
    (tmp_path / "Other_3").mkdir()
    (tmp_path / "Other_3/0.py").write_text(A)
    refused = [(Path(row.source).name, row.reason) for row in read_attempts(tmp_path, KNOWN) if isinstance(row, Rejected)]
    assert refused == [("0.py", "unknown_task"), ("notes.txt", "not_python"), ("1.py", "bad_utf8")]


def test_lm_eval_harness(tmp_path: Path) -> None:
    assert of_rows(tmp_path, {**LM_EVAL, "filtered_resps": [[A]], "filter": "create_test"}) == [("Own/0", 0, UNCLEAR, A)]
    assert of_rows(tmp_path, {**LM_EVAL, "filtered_resps": [A, B]}) == BOTH[:2]
    assert of_rows(tmp_path, LM_EVAL) == [("Own/0", 0, UNCLEAR, "    return x + 1\n")]
    rows = [{**LM_EVAL, "filtered_resps": [A], "filter": name} for name in ("one", "two", "one")]
    kept = list(read_attempts(write_rows(tmp_path / "two.jsonl", rows), KNOWN))
    assert [row.reason if isinstance(row, Rejected) else row.sample for row in kept] == [0, "other_filter", 1]


def test_a_folder_of_lm_eval_harness(tmp_path: Path) -> None:
    for folder in ("model", "other"):
        (tmp_path / folder).mkdir()
    write_rows(tmp_path / "model/samples_humaneval_2026.jsonl", [{**LM_EVAL, "filtered_resps": [A]}])
    (tmp_path / "model/results_2026.json").write_text("{}", encoding="utf-8")
    assert found_in(tmp_path) == found_in(tmp_path / "model") == BOTH[:1]
    write_rows(tmp_path / "other/samples_humaneval_2026.jsonl", [LM_EVAL])
    with pytest.raises(InputError, match=r"samples of 2 runs \(model/samples_humaneval_2026.jsonl, other/.*\); name one"):
        found_in(tmp_path)


def test_inspect(tmp_path: Path) -> None:
    expected = [("Own/0", 0, UNCLEAR, A)]
    assert of_rows(tmp_path, INSPECT) == expected
    assert of_json(tmp_path, {"version": 2, "status": "success", "samples": [INSPECT]}) == expected
    assert of_rows(tmp_path, {"id": "Own/0", "output": {"choices": INSPECT["output"]["choices"]}}) == expected  # type: ignore[index]
    with zipfile.ZipFile(tmp_path / "log.eval", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.json", "{}")
        archive.writestr("samples/Own_0_epoch_1.json", json.dumps(INSPECT))
    assert found_in(tmp_path / "log.eval") == expected
    (tmp_path / "bad.eval").write_bytes(b"PK")
    with pytest.raises(InputError, match="convert it with: inspect log convert"):
        found_in(tmp_path / "bad.eval")


def test_a_servers_record_says_what_was_cut_off(tmp_path: Path) -> None:
    """As in batches of both interfaces of OpenAI's and in inspect's logs."""
    choices = [{"message": {"role": "assistant", "content": A}, "finish_reason": reason} for reason in ("length", "stop")]
    message = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": A}]}
    thought = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}
    bodies: list[dict[str, Any]] = [
        {"choices": choices},
        {"status": "incomplete", "output": [thought, message]},
        {"status": "completed", "output": [message]},
    ]
    rows = [{"custom_id": "Own/0", "response": {"status_code": 200, "body": body}} for body in bodies]
    rows += [{"id": "Own/0", "output": {"choices": [{"message": choices[0]["message"], "stop_reason": "max_tokens"}]}}]
    found = [row for row in read_attempts(write_rows(tmp_path / "rows.jsonl", rows), KNOWN) if isinstance(row, Attempt)]
    assert [row.cut_off for row in found] == [True, False, True, False, True]
    assert [(row.answer or "").strip() for row in found] == [A.strip()] * 5


def test_chats_and_servers_answers(tmp_path: Path) -> None:
    chat = [{"role": "user", "content": "?"}, {"role": "assistant", "content": A, "reasoning_content": "hm"}]
    thought = f"<think>\nhm\n</think>\n\n{A}"
    assert of_rows(tmp_path, {"task_id": "Own/0", "messages": chat}) == [("Own/0", 0, "generation", thought)]
    assert of_rows(tmp_path, {"task_id": "Own/0", "messages": json.dumps(chat)}) == [("Own/0", 0, "generation", thought)]
    body = {"choices": [{"message": {"role": "assistant", "content": A}}, {"message": {"role": "assistant", "content": B}}]}
    batch = {"custom_id": "Own/1", "response": {"status_code": 200, "body": body}}
    assert of_rows(tmp_path, batch) == [("Own/1", 0, "generation", A), ("Own/1", 1, "generation", B)]


def test_several_samples_in_a_row(tmp_path: Path) -> None:
    for column, kind in (("completion", "completion"), ("solution", "solution"), ("completions", "completion"), ("output", UNCLEAR)):
        assert of_rows(tmp_path, {"task_id": "Own/0", column: [A, B]}) == [("Own/0", 0, kind, A), ("Own/0", 1, kind, B)]


def test_null_or_empty_does_not_hide_what_is_filled(tmp_path: Path) -> None:
    rows = [{"solution": None, "completion": A}, {"generation": "", "solution": A}, {"generation": [], "output": {}, "raw_solution": A}]
    found = of_rows(tmp_path, *({"task_id": "Own/0", **row} for row in rows))
    assert found == [("Own/0", number, kind, A) for number, kind in enumerate(("completion", "solution", UNCLEAR))]
    assert of_rows(tmp_path, {"task_id": "Own/0", "solution": None, "generation": ""}) == [("Own/0", 0, "generation", "")]


def test_ids_as_other_tools_write_them(tmp_path: Path) -> None:
    rows = [{"task_id": 1}, {"task_id": "Own_1"}, {"question_id": 1.0}, {"task_id": None, "problem_id": "Own/1"}, {"doc": {"task_id": 1}}]
    assert {name for name, *_ in of_rows(tmp_path, *({**row, "solution": A} for row in rows))} == {"Own/1"}
    [refused] = read_attempts(write_rows(tmp_path / "a.jsonl", [{"id": 1, "solution": A}]), KNOWN)
    assert isinstance(refused, Rejected), "it may be the number of the row"
    assert refused.detail == "id '1' is no problem of this benchmark, whose ids are such as 'Own/0'"
    path = write_rows(tmp_path / "b.jsonl", [{"task_id": 1, "solution": A}, {"task_id": "Own_1", "solution": A}])
    kept = [row.task_id if isinstance(row, Attempt) else row.reason for row in read_attempts(path, ["Own/1", "Other/2", "Own_1"])]
    assert kept == ["unknown_task", "Own_1"]


@pytest.mark.parametrize(
    ("row", "reason", "detail"),
    [
        ({"completion": {"score": 1}}, "wrong_type", "completion is dict; a text is expected"),
        ({"output": [A, 5]}, "wrong_type", "output[1] is int; a text is expected"),
        ({"solution": None}, "wrong_type", "solution is null; a text is expected"),
        ({"solution": []}, "wrong_type", "solution is empty; a text is expected"),
        ({"messages": [{"role": "user", "content": "?"}]}, "no_answer", "messages ends with a message of the user"),
        ({"answers": A}, "no_attempt", "the row has none of the columns generation, solution, completion"),
    ],
)
def test_rows_without_a_text_are_refused_by_name(row: dict[str, Any], reason: str, detail: str, tmp_path: Path) -> None:
    [refused] = read_attempts(write_rows(tmp_path / "rows.jsonl", [{"task_id": "Own/0", **row}]), KNOWN)
    assert isinstance(refused, Rejected)
    assert (refused.id, refused.reason) == ("Own/0", reason)
    assert refused.detail.startswith(detail)


def test_files_that_are_not_clear(tmp_path: Path) -> None:
    (tmp_path / "lines.json").write_text("".join(json.dumps({"task_id": name, "solution": A}) + "\n" for name in KNOWN))
    assert len(found_in(tmp_path / "lines.json")) == 2, "rows, one a line, whatever the ending"
    for text, message in (("5", "no JSON array or object of attempts"), ("{", "cannot be read as JSON")):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(InputError, match=message):
            found_in(tmp_path / "bad.json")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=r"has no file TASK_ID/SAMPLE\.py"):
        found_in(tmp_path / "folder")


def test_what_other_tools_wrote_is_judged(tmp_path: Path, sandbox: "Sandbox") -> None:
    benchmark = load_benchmark(f"humaneval:{write_rows(tmp_path / 'own.jsonl', [{'task_id': name, **OWN} for name in KNOWN])}")
    fenced = f"{FENCE}python\n{A}{FENCE}"
    rows: list[dict[str, Any]] = [
        {"task_id": 0, "solution": A, "raw_solution": fenced},
        {"task_id": 0, "solution": fenced},
        {"task_id": 0, "completion": f"{FENCE}\n    return x + 1\n{FENCE}"},
        {"task_id": 0, "output": ["    return x + 1\n", B]},
        {"task_id": 0, "messages": [{"role": "assistant", "content": fenced, "reasoning_content": "hm"}]},
        {**LM_EVAL, "doc": {"task_id": "Own/1"}},
        {"task_id": 1, "completion": "return x + 1"},  # as in HumanEval's own evaluation, where it is no function's body
        {"task_id": 1, "response": f"<think>\n{fenced}"},
    ]
    score_file(write_rows(tmp_path / "a.jsonl", rows), benchmark, tmp_path / "out", sandbox, limits=LimitSettings(least_s=2.0))
    found = [row["verdict"] for row in read_rows(tmp_path / "out/verdicts.jsonl")]
    assert found == ["pass", "pass", "pass", "pass", "fail", "pass", "pass", "error", "no-answer"]


@pytest.mark.parametrize("damage", ["encrypted", "deflated", "lzma"])
def test_an_archive_that_cannot_be_unpacked_is_named(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "log.eval"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA if damage == "lzma" else zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("samples/1.json", json.dumps([number**3 for number in range(2000)]))
    packed = bytearray(path.read_bytes())
    if damage == "encrypted":
        packed[6] |= 1
        packed[packed.rindex(b"PK\x01\x02") + 8] |= 1
    else:
        packed[60:400] = b"\xff" * 340
    path.write_bytes(packed)
    with pytest.raises(InputError, match=r"log\.eval: cannot be read as inspect's archive \(.*; convert it with"):
        list(read_attempts(path, KNOWN))


def test_a_sample_that_unpacks_to_gigabytes_is_rejected_alone(tmp_path: Path) -> None:
    path = tmp_path / "log.eval"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("samples/a.json", "w") as bomb:
            for _ in range(260):
                bomb.write(bytes(1 << 20))
        archive.writestr("samples/b.json", json.dumps(INSPECT))
    assert path.stat().st_size < 1 << 21
    bomb_row, attempt = read_attempts(path, KNOWN)
    assert isinstance(bomb_row, Rejected)
    assert (bomb_row.reason, bomb_row.detail) == ("too_long", "samples/a.json has more than 256 MiB")
    assert isinstance(attempt, Attempt)
