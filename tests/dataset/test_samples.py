"""Reading and writing whole data sets."""

import gzip
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from asap.dataset import FORMATS, Rejected, Shaped, iter_shaped, read_samples, write_samples
from asap.errors import InputError, RowError, UsageError
from asap.sample import Sample

GOOD = {"id": "g", "question": "q", "response": "<think>\nc\n</think>\n\na", "extra": [1]}
NO_THINK = {"id": "n", "question": "q", "response": "a"}
SAMPLES = [Sample(f"r{n}", f"q{n} é😀", f"c{n}\n\nd", f"a{n}", "s" if n % 2 else None) for n in range(4)]


def jsonl(path: Path, *rows: object) -> str:
    """A file with these rows; bytes are written as they are."""
    path.write_bytes(b"".join((row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in rows))
    return str(path)


def test_samples_of_all_sources_come_in_order(tmp_path: Path) -> None:
    one, two = jsonl(tmp_path / "1.jsonl", GOOD, {**GOOD, "id": "h"}), jsonl(tmp_path / "2.jsonl", {**GOOD, "id": 3})
    assert [sample.id for sample in read_samples(two, one)] == ["3", "g", "h"]
    assert next(read_samples(one)).meta == {"extra": [1]}


def test_a_bad_row_is_handed_over_and_reading_goes_on(tmp_path: Path) -> None:
    source = jsonl(tmp_path / "a.jsonl", GOOD, NO_THINK, b"{", b'{"id": 5, "question": "\\ud800", "response": "<think>a</think>b"}', GOOD)
    rejected: list[Rejected] = []
    assert len(list(read_samples(source, on_reject=rejected.append))) == 2
    assert [(row.id, row.source, row.line, row.reason) for row in rejected] == [
        ("n", source, 2, "no_think"),
        (None, source, 3, "bad_json"),
        ("5", source, 4, "lone_surrogate"),
    ]


def test_a_bad_row_raises_with_its_place_where_nobody_takes_it(tmp_path: Path) -> None:
    source = jsonl(tmp_path / "a.jsonl", GOOD, NO_THINK)
    with pytest.raises(RowError) as caught:
        list(read_samples(source))
    assert str(caught.value).startswith(f"no_think: {source}, line 2: ")
    assert (caught.value.reason, caught.value.row_id) == ("no_think", "n")


def test_a_rejected_row_has_the_keys_of_rejected_jsonl() -> None:
    row = Rejected("i", "file\udce9.jsonl", 3, "bad_json", "column 1").as_row()
    assert list(row) == ["id", "source", "line", "reason", "detail"]
    assert json.dumps(row, ensure_ascii=False).encode() == (
        b'{"id": "i", "source": "file\\\\udce9.jsonl", "line": 3, "reason": "bad_json", "detail": "column 1"}'
    )


def test_iter_shaped_gives_every_row_its_place(tmp_path: Path) -> None:
    source = jsonl(tmp_path / "a.jsonl", GOOD, b"", NO_THINK, b"[]")
    rows = list(iter_shaped([source]))
    assert [(place, line) for place, line, _ in rows] == [(source, 1), (source, 3), (source, 4)]
    assert isinstance(rows[0][2], Shaped)
    assert [result.reason for _, _, result in rows if isinstance(result, RowError)] == ["no_think", "not_an_object"]


def test_wrong_columns_are_refused_before_a_source_is_opened() -> None:
    for read in (
        lambda: iter_shaped(["missing.jsonl"], columns={"prompt": "p"}),
        lambda: read_samples("missing.jsonl", columns={"id": "x"}),
    ):
        with pytest.raises(UsageError, match="columns"):
            read()


def test_columns_reach_the_rows(tmp_path: Path) -> None:
    source = jsonl(tmp_path / "a.jsonl", {"p": "q", "g": "c</think>a"})
    assert next(read_samples(source, columns={"question": "p", "response": "g"})).cot == "c"


def test_a_source_that_cannot_be_used_stops_everything_also_with_on_reject(tmp_path: Path) -> None:
    good = jsonl(tmp_path / "a.jsonl", GOOD)
    rows = read_samples(good, str(tmp_path / "missing.jsonl"), on_reject=lambda row: None)
    assert next(rows).id == "g"
    with pytest.raises(InputError, match=r"missing\.jsonl"):
        next(rows)


# --- writing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", [None, *FORMATS])
def test_what_is_written_is_read_again(tmp_path: Path, format: str | None) -> None:
    path = tmp_path / "out.jsonl"
    assert write_samples(path, iter(SAMPLES), format) == 4
    again = list(read_samples(str(path)))
    assert [sample.digest() for sample in again] == [sample.digest() for sample in SAMPLES]
    if format is None:
        assert again == SAMPLES
    assert path.read_bytes().count(b"\n") == 4
    assert "é😀" in path.read_text(encoding="utf-8")


def test_an_unknown_format_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="allowed: trl"):
        write_samples(tmp_path / "out.jsonl", SAMPLES, "csv")
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    def failing() -> Iterator[Sample]:
        yield SAMPLES[0]
        assert len(list(tmp_path.iterdir())) == 2  # the old file and the one in the making
        raise KeyboardInterrupt

    path = tmp_path / "out.jsonl"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt):
        write_samples(path, failing())
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.jsonl"]
    assert path.read_text() == "old"


def test_a_written_file_has_the_usual_rights(tmp_path: Path) -> None:
    write_samples(tmp_path / "out.jsonl", SAMPLES)
    (tmp_path / "other").touch()
    assert stat.S_IMODE((tmp_path / "out.jsonl").stat().st_mode) == stat.S_IMODE((tmp_path / "other").stat().st_mode)


@pytest.mark.parametrize("name", ["missing/out.jsonl", "file/out.jsonl", "folder"])
def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="cannot be written"):
        write_samples(tmp_path / name, SAMPLES)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "folder"]


def test_no_samples_make_an_empty_file(tmp_path: Path) -> None:
    assert write_samples(tmp_path / "out.jsonl", []) == 0
    assert (tmp_path / "out.jsonl").read_bytes() == b""


# --- borders --------------------------------------------------------------------------------------------------------


def test_importing_the_package_imports_nothing_heavy() -> None:
    heavy = ("pyarrow", "datasets", "huggingface_hub", "numpy", "torch", "zstandard")
    code = f"import sys, asap.dataset; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_real_traces_are_read(tmp_path: Path) -> None:
    data = os.environ.get("ASAP_DATA")
    if not data:
        pytest.skip("NOT TESTED ON REAL DATA: set ASAP_DATA to the folder that holds traces/")
    source = Path(data) / "traces" / "kodcode_r1.jsonl.gz"
    samples = list(read_samples(str(source)))
    with gzip.open(source, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    assert [sample.id for sample in samples] == [row["id"] for row in rows]
    for sample, row in zip(samples, rows, strict=True):
        assert sample.question == row["question"]
        assert sample.cot in row["response"]
        assert sample.answer in row["response"]
    write_samples(tmp_path / "again.jsonl", samples)
    assert [sample.digest() for sample in read_samples(str(tmp_path / "again.jsonl"))] == [sample.digest() for sample in samples]
    rejected: list[Rejected] = []
    assert len(list(read_samples(str(source.with_name("math_r1_qwq.jsonl.gz")), on_reject=rejected.append))) == 1901
    assert [row.reason for row in rejected] == ["unclosed_think"]
