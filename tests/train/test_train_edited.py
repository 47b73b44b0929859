"""A card or config that a person edited stays: in a training run that goes on, and where a config is emitted again."""

import json
from pathlib import Path

import pytest
from train_helpers import row, train_words, write_rows

from asap.cli import run


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "rows.jsonl", [row(number) for number in range(3)])


def test_the_card_of_a_training_run_stays(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, changes = tmp_path / "out", ("max_steps=2", "save_steps=1")
    assert run(train_words(source, out, changes=changes)) == 0
    first = (out / "README.md").read_text()
    (out / "manifest.json").unlink()  # as if the run had been killed before
    assert run(train_words(source, out, changes=changes)) == 0
    assert (out / "README.md").read_text() == first
    assert not (out / "README.asap.md").exists()

    (out / "manifest.json").unlink()
    (out / "checkpoint-2" / "trainer_state.json").unlink()  # so that another checkpoint is written
    (out / "README.md").write_text("My model\n")
    capsys.readouterr()
    assert run(train_words(source, out, changes=changes)) == 0
    assert (out / "README.md").read_text() == "My model\n"
    assert (out / "README.asap.md").read_text() == first
    assert f"the new card is {out / 'README.asap.md'}" in capsys.readouterr().err


@pytest.mark.parametrize("tool", ["trl", "axolotl", "llamafactory"])
def test_an_emitted_config_stays(tool: str, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    config = out / f"{tool}.yaml"
    assert run(train_words(source, out, "--emit-config", tool)) == 0
    assert run(train_words(source, out, "--emit-config", tool)) == 0
    assert not (out / f"{tool}.asap.yaml").exists()
    config.write_text(config.read_text() + "deepspeed: mine.json\n")
    edited, expected = config.read_text(), [config.with_name(f"{tool}.asap.yaml")]
    if tool == "llamafactory":
        (out / "dataset_info.json").write_text(json.dumps({"mine": {"file_name": "mine.jsonl"}}))
        expected.append(out / "dataset_info.asap.json")
    capsys.readouterr()
    assert run(train_words(source, out, "--emit-config", tool)) == 0
    assert config.read_text() == edited
    said = capsys.readouterr().out
    for path in expected:
        assert path.is_file()
        assert str(path) in said
