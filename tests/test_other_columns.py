"""The columns that ASAP does not read stand in every output, after a kill, a cut and a merge too."""

import json
import math
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asap.cli import run
from asap.dataset import FORMATS, read_samples, to_sample, write_samples
from asap.dataset.columns import beside, kept_columns, plain, travelling
from asap.errors import RowError, UsageError
from run_fixtures import model_folder, prune, read_rows, row, same_output, write_rows

OWN = ["id", "question", "cot", "answer", "messages"]
CONTROL = ["--method", "keep-tail", "--ratio", "0.5"]


def pruned(source: Path, out: Path, *options: str) -> list[dict[str, Any]]:
    scorer = ["--scorer", f"hf:{model_folder()}", "--device", "cpu"]
    assert run(["prune", str(source), "--out", str(out), *scorer, *CONTROL, *options]) == 0
    return read_rows(out / "pruned.jsonl")


def chat(number: int, **columns: Any) -> dict[str, Any]:
    """A row whose chat alone is read, so that question and answer are names of columns of its own."""
    made = row(number)
    said = f"<think>\n{made['cot']}\n</think>\n\n{made['answer']}"
    return {"messages": [{"role": "user", "content": made["question"]}, {"role": "assistant", "content": said}], **columns}


def test_they_stand_behind_ours_in_their_own_order_in_every_format(tmp_path: Path) -> None:
    others = {"zeta": [1, {"a": None}], "alpha": "ünï", "rate": 0.5, "tests": ["assert f(1)"]}
    source = write_rows(tmp_path / "rows.jsonl", [chat(0, **others), chat(1)])
    first, second = pruned(source, tmp_path / "out", *(word for name in FORMATS for word in ("--format", name)))
    assert list(first) == [*OWN, *others]
    assert {name: first[name] for name in others} == others
    assert list(second) == OWN
    for name in FORMATS:
        written = read_rows(tmp_path / f"out/{name}.jsonl")[0]
        assert list(written)[-4:] == [*others], name
    manifest = json.loads((tmp_path / "out/manifest.json").read_text("utf-8"))
    assert manifest["columns"] == [*others]
    assert "zeta, alpha, rate, tests" in (tmp_path / "out/README.md").read_text("utf-8")


def test_a_column_with_a_name_of_ours_is_renamed_and_one_that_is_ours_replaced(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [chat(0, answer="42", source_answer="book", cot=None, id=3.0)])
    [found] = pruned(source, tmp_path / "out", "--format", "trl")
    assert found["id"] == "3"
    assert found["answer"] == "It is 0."
    assert (found["source_source_answer"], found["source_answer"]) == ("42", "book")
    assert list(found) == [*OWN, "source_source_answer", "source_answer"]
    [again] = pruned(tmp_path / "out/pruned.jsonl", tmp_path / "again")
    assert list(again) == list(found)
    assert read_rows(tmp_path / "out/trl.jsonl")[0].keys() == {"prompt", "completion", "answer", "source_answer", "cot"}


@pytest.mark.parametrize("odd", [{"$oid": "a"}, [1], True, False, []])
def test_an_id_that_can_be_none_costs_no_row_and_travels_along(odd: Any, tmp_path: Path) -> None:
    talk = {"id": odd, "messages": [*chat(1)["messages"], *chat(2)["messages"]]}
    source = write_rows(tmp_path / "rows.jsonl", [{**row(0), "id": odd}, talk, {**row(1), "id": odd, "uuid": "u"}])
    first, second, third = pruned(source, tmp_path / "out", "--format", "trl")
    assert [one["source_id"] for one in (first, second, third)] == [odd] * 3
    assert third["id"] == "u"
    assert len({first["id"], second["id"], "u"}) == 3
    assert [one["id"] for one in read_rows(tmp_path / "out/trl.jsonl")] == [odd] * 3
    assert [next(iter(one)) for one in pruned(source, tmp_path / "none", "--keep-columns", "none")] == ["id"] * 3
    assert "source_id" not in (tmp_path / "none/pruned.jsonl").read_text("utf-8")


def test_a_column_named_as_the_id_must_hold_one(tmp_path: Path) -> None:
    with pytest.raises(RowError, match="id is dict; a string or a number is expected"):
        to_sample({**row(0), "id": "a", "n": {"a": 1}}, {"id": "n", "question": "question", "cot": "cot", "answer": "answer"})


def test_names_in_which_training_tools_look_for_something_are_not_used(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [{**row(0), "labels": "hard", "text": "all", "prompt": "p", "tools": []}])
    [found] = pruned(source, tmp_path / "out", "--format", "trl")
    assert list(found) == [*OWN, "labels", "text", "prompt", "tools"]
    [trained] = read_rows(tmp_path / "out/trl.jsonl")
    assert list(trained) == ["prompt", "completion", "source_labels", "source_text", "source_prompt", "tools"]


@pytest.mark.parametrize(("typed", "names"), [("none", []), ("b", ["b"]), ("c, a", ["a", "c"]), ("all", ["a", "b", "c"])])
def test_fewer_are_kept_on_demand_and_the_manifest_says_so(typed: str, names: list[str], tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [chat(0, a=1, b=2, c=3)])
    [found] = pruned(source, tmp_path / "out", "--keep-columns", typed)
    assert list(found) == [*OWN, *names]
    manifest = json.loads((tmp_path / "out/manifest.json").read_text("utf-8"))
    asked = None if typed == "all" else [name for name in typed.replace(" ", "").split(",") if name != "none"]
    assert (manifest["settings"].get("keep_columns"), manifest.get("columns", [])) == (asked, names)


def test_a_column_to_keep_that_no_row_has_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [chat(0, level=1)])
    assert run(["prune", str(source), "--out", str(tmp_path / "out"), *CONTROL, "--keep-columns", "level,levle"]) == 2
    assert "--keep-columns names 'levle', which no row has; its other columns are: level" in capsys.readouterr().err
    assert not (tmp_path / "out/pruned.jsonl").exists()
    assert run(["prune", str(write_rows(source, [row(0)])), "--dry-run", *CONTROL, "--keep-columns", "answer"]) == 2
    assert "--keep-columns names 'answer', which no row has; its other columns are: none" in capsys.readouterr().err


@pytest.mark.parametrize("typed", [[""], ["a", "", "b"]])
def test_names_without_a_name_are_refused(typed: list[str]) -> None:
    with pytest.raises(UsageError, match="write all, none, or names"):
        kept_columns(typed)


def test_equal_samples_keep_different_columns_and_cuts_merges_and_further_runs_have_them(tmp_path: Path) -> None:
    rows = [{**row(number % 3), "id": f"x{number}", "from": f"book {number}", "page": number} for number in range(9)]
    source = write_rows(tmp_path / "rows.jsonl", rows)
    expected = [(f"x{number}", f"book {number}", number) for number in range(9)]

    def found(out: Path) -> list[tuple[Any, ...]]:
        return [(row["id"], row["from"], row["page"]) for row in read_rows(out / "pruned.jsonl")]

    out = prune(source, tmp_path / "out")
    assert found(out) == expected
    same_output(out, prune(source, out))
    for name, copied in (("cut", []), ("copy", ["--copy"])):
        assert run(["cut", str(out), "--ratio", "0.7", "--out", str(tmp_path / name), *copied]) == 0
        assert found(tmp_path / name) == expected
    parts = [str(prune(source, tmp_path / f"shard-{index}", "--shard", f"{index}/2")) for index in range(2)]
    assert run(["merge", *parts, "--out", str(tmp_path / "merged")]) == 0
    same_output(out, tmp_path / "merged")


def test_a_source_whose_other_columns_change_is_read_again_without_scoring(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [{**row(0), "page": 1}])
    out = prune(source, tmp_path / "out")
    write_rows(source, [{**row(0), "page": 2}])
    capsys.readouterr()
    prune(source, out)
    assert "0 traces to score (1 of 1 were done before)" in capsys.readouterr().err
    assert read_rows(out / "pruned.jsonl")[0]["page"] == 2


def test_values_that_json_has_no_form_for_are_written_as_text(tmp_path: Path) -> None:
    when = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)
    others = {
        "when": when,
        "day": date(2025, 1, 2),
        "clock": time(1, 2, 3),
        "lasted": timedelta(seconds=1.5),
        "price": Decimal("1.250"),
        "blob": b"\xff\x00",
        "nan": math.nan,
        "deep": {"list": [{"blob": b"a", "inf": math.inf}]},
    }
    pq.write_table(pa.Table.from_pylist([{**row(0), **others}]), tmp_path / "rows.parquet")
    [found] = pruned(tmp_path / "rows.parquet", tmp_path / "out", "--format", "trl")
    expected = {
        "when": "2025-01-02T03:04:05+00:00",
        "day": "2025-01-02",
        "clock": "01:02:03",
        "lasted": "1.5",
        "price": "1.250",
        "blob": "/wA=",
        "nan": None,
        "deep": {"list": [{"blob": "YQ==", "inf": None}]},
    }
    assert {name: found[name] for name in others} == expected
    assert {name: read_rows(tmp_path / "out/trl.jsonl")[0][name] for name in others} == expected


def test_a_time_that_python_cannot_hold_costs_no_row(tmp_path: Path) -> None:
    far = pa.array([2**62, 0, None], pa.int64()).cast(pa.timestamp("us"))
    columns = {name: pa.array([row(number)[name] for number in range(3)]) for name in row(0)}
    pq.write_table(pa.table({**columns, "when": far}), tmp_path / "rows.parquet")
    found = pruned(tmp_path / "rows.parquet", tmp_path / "out", "--format", "parquet")
    assert [one["when"] for one in found] == [f"<value out of range: {2**62}>", "1970-01-01T00:00:00", None]
    assert pq.read_table(tmp_path / "out/pruned.parquet")["when"].to_pylist() == [one["when"] for one in found]


def test_half_a_character_in_another_column_costs_no_row(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [json.dumps({**row(0), "no\ud800te": {"a\udc00": ["x\ud83d"]}})])
    [found] = pruned(source, tmp_path / "out")
    assert found["no\ufffdte"] == {"a\ufffd": ["x\ufffd"]}


def test_values_that_are_nested_too_deeply_cost_their_own_row_only(tmp_path: Path) -> None:
    inside: Any = 1
    for _ in range(100_000):
        inside = [inside]
    for others in ({}, {"bytes": b"a"}):
        with pytest.raises(RowError, match="nested too deeply"):
            travelling({**others, "deep": inside})


def test_the_library_writes_them_too(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [chat(0, level="hard")])
    samples = [*read_samples(str(source))]
    assert samples[0].meta == {"level": "hard"}
    write_samples(tmp_path / "written.jsonl", samples)
    assert read_rows(tmp_path / "written.jsonl")[0]["level"] == "hard"


names = st.sampled_from(["id", "answer", "source_answer", "source_source_answer", "x", "source_x", "text"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.decimals() | st.datetimes(),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=3), inside, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(names, st.integers(), max_size=6), st.lists(names, unique=True, max_size=2))
def test_no_value_is_lost_and_none_of_ours_replaced(columns: dict[str, int], taken: list[str]) -> None:
    own = {"id": "mine", "answer": "mine"}
    written = beside(own, columns, taken)
    assert {name: written.pop(name) for name in own} == own
    assert [*written.values()] == [*columns.values()]
    assert not written.keys() & {*taken}


@given(values)
def test_a_plain_value_is_json_and_stays_as_it_is(value: Any) -> None:
    made = plain(value)
    text = json.dumps(made)
    text.encode()
    assert json.dumps(plain(json.loads(text))) == text
