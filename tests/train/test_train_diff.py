"""`asap diff-runs` on trainings: settings of the recipe, rows and their tokens."""

from pathlib import Path

from train_helpers import row, train_words, write_rows

from asap.cli import run
from asap.run_diff import diff_runs


def test_trainings_tell_settings_rows_and_tokens(tmp_path: Path) -> None:
    rows = [row(number) for number in range(3)]
    sources = [write_rows(tmp_path / "rows.jsonl", rows), write_rows(tmp_path / "other.jsonl", [row(0, lines=5), *rows[1:]])]
    steps = ("max_steps=1", "effective_batch_size=1")
    assert run(train_words(sources[0], tmp_path / "a", changes=steps)) == 0
    assert run(train_words(sources[0], tmp_path / "b", changes=(*steps, "learning_rate=1e-3"))) == 0
    assert run(train_words(sources[1], tmp_path / "c", changes=steps)) == 0
    assert not diff_runs(tmp_path / "a", tmp_path / "a").differing
    [rate] = diff_runs(tmp_path / "a", tmp_path / "b").recorded["settings"]
    assert (rate.name, rate.b) == ("values.learning_rate", 0.001)
    found = diff_runs(tmp_path / "a", tmp_path / "c")
    assert {one.name for one in found.recorded["rows"]} == {"sources", "rows_hash", "data"}
    assert "1 of the 3 rows that both have, with another number of tokens: r0" in found.told["outcome"]
    assert "settings" not in found.differing
