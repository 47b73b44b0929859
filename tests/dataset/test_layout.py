"""The files of a folder: told apart by subset and split as `datasets` tells them, and chosen by name or refused."""

import gzip
import json
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dataset_helpers import refusal, values, write

from asap.dataset.layout import chosen_files
from asap.dataset.state import state_of
from asap.store.work import Store


def folder_of(folder: Path, files: Mapping[str, int]) -> Path:
    """A folder with these files, each with so many rows that tell where they stand."""
    for name, rows in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        found = [{"at": f"{name}:{row}"} for row in range(rows)]
        if path.suffix == ".parquet":
            pq.write_table(pa.Table.from_pylist(found), path)
        elif path.suffix == ".json":
            path.write_text(json.dumps(found), "utf-8")
        else:
            text = "".join(json.dumps(row) + "\n" for row in found).encode()
            path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return folder


def names(folder: Path, **options: str) -> list[str]:
    files = chosen_files(folder, options.get("subset"), options.get("split"))
    return [file.relative_to(folder).as_posix() for file in files]


SPLITS = {
    "sharded as the Hub has it": (
        "data/train-00000-of-00002.parquet",
        "data/train-00001-of-00002.parquet",
        "data/test-00000-of-00001.parquet",
    ),
    "sharded without the folder": ("train-00000-of-00002.parquet", "train-00001-of-00002.parquet", "incorrect-00000-of-00001.parquet"),
    "folders": ("train/a.jsonl", "train/more/b.jsonl", "dev/a.jsonl"),
    "folders with more in their names": ("my-train/a.jsonl", "train_2/b.jsonl", "valid.v1/a.jsonl"),
    "file names": ("train.jsonl", "train_2.jsonl", "test.jsonl"),
    "words in file names": ("maths-train.jsonl.gz", "training v2.jsonl.gz", "eval-hard.jsonl.gz"),
    "exported by the Hub": ("default/train/0000.parquet", "default/train/0001.parquet", "default/validation/0000.parquet"),
}


@pytest.mark.parametrize("files", SPLITS.values(), ids=SPLITS)
def test_splits_are_told_apart_and_the_choice_is_asked_for(files: tuple[str, ...], tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "f", dict.fromkeys(files, 2))
    assert names(folder, split="train") == sorted(files[:2])
    found = refusal(folder)
    assert found.startswith(f"{folder}: the folder has several splits; choose one with --split: train (2 files, ")
    if files[0].endswith("parquet"):
        assert "train (2 files, 4 rows), " in found
        assert "(1 file, 2 rows)" in found
    with pytest.raises(Exception, match="there is no split 'trian'; allowed for --split: train"):
        names(folder, split="trian")


@pytest.mark.parametrize("files", SPLITS.values(), ids=SPLITS)
def test_the_same_rows_as_datasets_reads(files: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if "incorrect-00000-of-00001.parquet" in files or "default/train/0000.parquet" in files:
        pytest.skip("datasets reads no split of another name outside of data/, and knows no subset without a card")
    datasets = pytest.importorskip("datasets", reason="needs the extra hub")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    folder = folder_of(tmp_path / "f", dict.fromkeys(files, 2))
    theirs = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
    for split in theirs:
        assert sorted(row["at"] for row in values(folder, hub_split=split)) == sorted(theirs[split]["at"])  # type: ignore[index]


def test_one_split_needs_no_choice_and_a_name_without_a_split_has_none(tmp_path: Path) -> None:
    assert names(folder_of(tmp_path / "one", {"test-1.jsonl": 1, "test-2.jsonl": 1})) == ["test-1.jsonl", "test-2.jsonl"]
    plain = folder_of(tmp_path / "plain", {"constraint.jsonl": 1, "latest.jsonl": 1, "devices.jsonl": 1})
    assert names(plain) == ["constraint.jsonl", "devices.jsonl", "latest.jsonl"]
    assert "no file is named after a split such as train or test, so there is no 'train'; leave --split out" in refusal(
        plain, hub_split="train"
    )


def test_files_of_no_split_beside_a_split_are_not_left_out_in_silence(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "f", {"train.jsonl": 1, "extra.jsonl": 1})
    assert "choose one with --split: train (1 file, " in refusal(folder)
    assert "of no split, such as extra.jsonl: name them as sources" in refusal(folder)
    assert names(folder, split="train") == ["train.jsonl"]


def test_folders_that_are_no_splits_are_subsets(tmp_path: Path) -> None:
    files = {"solutions/train-00000-of-00001.parquet": 1, "solutions_py/train-00000-of-00001.parquet": 2, "solutions_py/test.parquet": 3}
    folder = folder_of(tmp_path / "f", files)
    assert "several subsets; choose one with --subset: solutions (1 file, 1 rows), solutions_py (2 files, 5 rows)" in refusal(folder)
    assert names(folder, subset="solutions") == ["solutions/train-00000-of-00001.parquet"]
    assert "several splits" in refusal(folder, hub_config="solutions_py")
    assert len(values(folder, hub_config="solutions_py", hub_split="test")) == 3
    assert "there is no subset 'py'; allowed for --subset: solutions" in refusal(folder, hub_config="py")
    (folder / "more.jsonl").write_text('{"at": 1}\n')
    assert "default (1 file, 0.0 MB)" in refusal(folder)


CARD = """---
license: mit
configs:
- config_name: hard
  data_files:
  - split: train
    path: [one/a-*.jsonl, one/b.jsonl]
  - split: test
    path: two/*.jsonl
- config_name: easy
  data_files: three.jsonl
- config_name: gone
  data_files: ../other/*.jsonl
- config_name: rest
  data_dir: four
---
# A card
"""


def test_the_card_says_which_files_belong_together(tmp_path: Path) -> None:
    files = ("one/a-1.jsonl", "one/a-2.jsonl", "one/b.jsonl", "one/c.jsonl", "two/train.jsonl", "three.jsonl", "four/test.jsonl")
    folder = folder_of(tmp_path / "f", dict.fromkeys(files, 1))
    folder_of(tmp_path / "other", {"a.jsonl": 1})
    (folder / "README.md").write_text(CARD, "utf-8")
    assert "choose one with --subset: hard (4 files, 0.0 MB), easy (1 file, 0.0 MB), rest (1 file" in refusal(folder)
    assert names(folder, subset="hard", split="train") == ["one/a-1.jsonl", "one/a-2.jsonl", "one/b.jsonl"]
    assert names(folder, subset="hard", split="test") == ["two/train.jsonl"]
    assert names(folder, subset="easy") == ["three.jsonl"]
    assert names(folder, subset="rest") == ["four/test.jsonl"]


@pytest.mark.parametrize("configs", ["", "configs:\n", "configs: [1, {}]\n", "configs:\n- data_files: x/*\n", "configs:\n- data_dir: ..\n"])
def test_a_card_that_names_nothing_that_is_here_leaves_it_to_the_names(configs: str, tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "f", {"a.jsonl": 1})
    (folder / "README.md").write_text(f"---\n{configs}---\n", "utf-8")
    assert names(folder) == ["a.jsonl"]


def test_a_card_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "f", {"a.jsonl": 1})
    (folder / "README.md").write_text("---\nconfigs: [\n---\n", "utf-8")
    assert "README.md: its front matter is not valid YAML" in refusal(folder)


def test_json_files_count_where_there_are_no_others(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "f", {"rows.json": 3, "config.json": 1, ".hidden.json": 1, "__pycache__/x.json": 1})
    assert len(values(folder)) == 3
    folder_of(folder, {"rows.jsonl": 1})
    assert names(folder) == ["rows.jsonl"]


def test_results_inside_a_folder_are_no_source(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "f", {"rows.jsonl": 1})
    with Store.open(folder / "pruned"):
        folder_of(folder, {"pruned/pruned.jsonl": 1})
    assert names(folder) == ["rows.jsonl"]


def test_a_data_set_in_the_cache_of_the_hub_is_read_from_its_only_snapshot(tmp_path: Path) -> None:
    files = {"blobs/0123": 1, "refs/main": 1, "snapshots/aaa/train.jsonl": 2}
    folder = folder_of(tmp_path / "datasets--own--rows", files)
    assert len(values(folder)) == 2
    folder_of(folder, {"snapshots/bbb/train.jsonl": 1})
    assert "several snapshots" in refusal(folder)
    assert "aaa, bbb" in refusal(folder)


def test_the_state_is_that_of_the_chosen_files(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "f", {"train.jsonl": 1, "test.jsonl": 1})
    found = state_of([str(folder)], hub_split="train")
    assert found is not None
    assert [Path(part.name).name for part in found] == ["train.jsonl"]
    assert state_of([str(folder)]) is None


def test_a_file_has_neither_subset_nor_split(tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", b'{"a": 1}\n')
    assert refusal(file, hub_split="train") == f"{file} is one file, which has no split 'train': leave --split out, or name its folder"
    assert "has no subset 'x'" in refusal(file, hub_config="x")


LISTS = {
    "in one line": lambda rows: json.dumps(rows),
    "pretty": lambda rows: json.dumps(rows, indent=2),
    "with a byte order mark": lambda rows: "\ufeff[\n" + json.dumps(rows)[1:],
    "without blanks": lambda rows: json.dumps(rows, separators=(",", ":")),
    "with blank lines": lambda rows: "\n\n" + json.dumps(rows).replace("}, {", "}\n\n,\n\n{") + "\n\n",
}


@pytest.mark.parametrize("how", LISTS.values(), ids=LISTS)
@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.json.gz"])
def test_a_list_of_rows_is_read_row_by_row(name: str, how: object, tmp_path: Path) -> None:
    rows = [{"n": number, "text": "é😀\u2028" * (1 + number * 40_000), "deep": {"a": [1.5, None]}} for number in range(5)]
    text = how(rows).encode()  # type: ignore[operator]
    assert values(write(tmp_path / name, gzip.compress(text) if name.endswith("gz") else text)) == rows


def test_an_entry_that_is_no_row_costs_only_itself(tmp_path: Path) -> None:
    assert values(write(tmp_path / "a.json", b'[{"a": 1}, 12345, null, "x", [2], {"a": 3}]')) == [
        {"a": 1},
        None,
        None,
        None,
        None,
        {"a": 3},
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[{"a": 1}, {"a": 2', "after row 1"),
        ('[{"a": 1}', "after row 1 (it ends in the middle)"),
        ('[{"a": 1} {"a": 2}]', "after row 1 ('{' where ',' or the end of the list is expected)"),
        ('[{"a": 1}, ]', "after row 1"),
        ('[{"a": 1}] [', "after row 1 (something stands after the end"),
        ('[{"a": 1}, {"b": "' + "x" * 600_000, "after row 1"),
        ('[{"a": 1}, {"b": tru, "c": "' + "x" * 600_000 + '"}]', "after row 1 (Expecting value)"),
        ('[{"a": 1}, {"b": ' + "[" * 200_000, "after row 1"),
    ],
    ids=range(8),
)
def test_a_broken_list_is_refused_at_its_row(text: str, said: str, tmp_path: Path) -> None:
    found = refusal(write(tmp_path / "a.json", text.encode()))
    assert found.startswith(f"{tmp_path}/a.json: the list of rows is not valid JSON")
    assert said in found
