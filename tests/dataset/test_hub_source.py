"""Data sets on the Hub, as far as they can be tested without it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dataset_helpers import ROWS, TEXT, values, write

from asap.dataset.hub import loaded_rows, looks_like_hub_id
from asap.dataset.parquet_types import types_in
from asap.dataset.source import Source
from asap.errors import InputError, MissingExtra
from asap.install import install_command


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("open-r1/codeforces-cots", True),
        ("a/b.c_d-e", True),
        ("data/train.jsonl", False),
        ("a/b.parquet", False),
        ("a/b.jsonl.gz", False),
        ("a", False),
        ("a/b/c", False),
        ("/a/b", False),
        ("./a", False),
        ("../a", False),
        ("a/..", False),
        ("", False),
    ],
)
def test_a_hub_id_is_owner_slash_name(name: str, expected: bool) -> None:
    assert looks_like_hub_id(name) is expected


def test_an_existing_path_goes_before_a_hub_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "owner").mkdir()
    write(tmp_path / "owner" / "name", TEXT)
    assert values("owner/name") == ROWS


def test_a_hub_id_without_the_extra_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtra, match=re.escape(install_command("hub"))):
        values("owner/name")


@pytest.mark.parametrize("setting", [{"HF_ENDPOINT": "http://127.0.0.1:9"}, {"HF_HUB_OFFLINE": "1"}])
def test_a_hub_that_cannot_be_reached_gives_one_sentence_without_waiting(tmp_path: Path, setting: dict[str, str]) -> None:
    pytest.importorskip("datasets", reason="needs the extra hub")
    imports = "import time; waits = []; time.sleep = waits.append\nfrom asap.dataset import iter_rows\nfrom asap.errors import InputError\n"
    code = imports + "try: list(iter_rows('nobody/nothing'))\nexcept InputError as error: print(error, waits)"
    # a process of its own: huggingface_hub reads its settings when it is imported
    environment = {**os.environ, "HF_HOME": str(tmp_path), **setting}
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout.startswith("nobody/nothing: there is no such file or folder, and ")
    assert done.stdout.endswith(" []\n")
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


@pytest.fixture
def repository(tmp_path: Path) -> str:
    """A data set repository as the Hub has it, with two configs; `datasets` loads it with the code it has for the Hub."""
    datasets = pytest.importorskip("datasets", reason="needs the extra hub")
    datasets.disable_progress_bars()
    for name in ("one-train", "one-test", "two-train"):
        write(tmp_path / f"{name}.jsonl", TEXT)
    write(tmp_path / "none.jsonl", b"")
    card = """---
configs:
- config_name: one
  data_files: [{split: train, path: one-train.jsonl}, {split: test, path: one-test.jsonl}]
- config_name: two
  data_files: [{split: train, path: two-train.jsonl}]
- config_name: broken
  data_files: [{split: train, path: none.jsonl}]
---
"""
    write(tmp_path / "README.md", card.encode())
    return str(tmp_path)


def test_a_config_and_a_split_are_read(repository: str) -> None:
    rows = list(loaded_rows(repository, "one", "test"))
    assert [row.value for row in rows] == ROWS
    assert [row.line for row in rows] == [1, 2, 3, 4, 5]


def test_the_types_of_its_columns_are_known_without_asking_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is no path and looks like one on the Hub; `datasets` alone is told where it lies."""
    datasets = pytest.importorskip("datasets", reason="needs the extra hub")
    columns = {"question": ["q"], "response": ["<think>\na\n</think>\n\nb"], "level": pa.array([3], pa.int8())}
    pq.write_table(pa.table({**columns, "when": pa.array([0], pa.timestamp("ms"))}), tmp_path / "train.parquet")
    load, names, asked = datasets.load_dataset, datasets.get_dataset_config_names, list[str]()
    monkeypatch.setattr(datasets, "load_dataset", lambda name, *rest, **more: asked.append(name) or load(str(tmp_path), *rest, **more))
    monkeypatch.setattr(datasets, "get_dataset_config_names", lambda name: names(str(tmp_path)))
    monkeypatch.setattr("asap.dataset.hub._check_on_hub", lambda name: None)
    source = Source([f"somebody/{tmp_path.name}"])
    assert len(list(source.rows())) == 1
    types = types_in(source.types())
    assert (types["level"], types["when"]) == (pa.int8(), pa.timestamp("ms"))
    assert len(asked) == 1


def test_a_single_split_needs_no_option(repository: str) -> None:
    assert len(list(loaded_rows(repository, "two", None))) == 5


@pytest.mark.parametrize(
    ("config", "split", "expected"),
    [
        (None, None, "choose one with --subset: one, two, broken"),
        ("three", None, "there is no subset 'three'; allowed for --subset: one, two, broken"),
        ("one", None, "choose one with --split: train, test"),
        ("two", "test", "there is no split 'test'; allowed for --split: train"),
    ],
)
def test_a_choice_that_is_missing_or_wrong_lists_what_there_is(
    repository: str, config: str | None, split: str | None, expected: str
) -> None:
    with pytest.raises(InputError) as caught:
        list(loaded_rows(repository, config, split))
    assert expected in str(caught.value)


def test_a_broken_data_set_gives_one_sentence(repository: str) -> None:
    with pytest.raises(InputError) as caught:
        list(loaded_rows(repository, "broken", None))
    assert "\n" not in str(caught.value)
