"""No command replaces an input or a file that asap did not write, whatever its --out is and however a path is spelled."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from asap.cli import run
from asap.errors import InputError
from asap.evaluate.ledger import Ledger
from asap.ownership import COMPARED, EVALUATED, PRUNED, TRAINED, check_file, claim_folder, refuse_sources, run_in
from asap.recut import recut
from run_fixtures import model_folder, prune, prune_words, refusal, row, write_rows

QUICK = ("--method", "keep-tail")


def content(folder: Path) -> dict[str, bytes]:
    """All files below a folder; of databases only that they are there, since opening one may write to it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(("-wal", "-shm")))
    return {str(path.relative_to(folder)): b"" if path.suffix == ".sqlite" else path.read_bytes() for path in files}


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return write_rows(tmp_path / "data" / "rows.jsonl", map(row, range(3)))


@pytest.fixture
def pruned(rows: Path, tmp_path: Path) -> Path:
    return prune(rows, tmp_path / "pruned", *QUICK, "--format", "trl")


def changed(folder: Path, sql: str) -> None:
    with closing(sqlite3.connect(folder / "work.sqlite")) as store:
        store.execute(sql)
        store.commit()


def refused(capsys: pytest.CaptureFixture[str], watched: Path, *words: str) -> str:
    """What a refused command says; it must have changed nothing."""
    before = content(watched)
    said = refusal(capsys, *words)
    assert content(watched) == before
    return said


def as_it_is(path: Path) -> str:
    return str(path)


def with_dots(path: Path) -> str:
    return f"{path.parent}/./../{path.parent.name}/{path.name}"


def relative(path: Path) -> str:
    return os.path.relpath(path)


def by_symlink(path: Path) -> str:
    link = path.parent.parent / "link.jsonl"
    link.symlink_to(path)
    return str(link)


def by_linked_folder(path: Path) -> str:
    link = path.parent.parent / "linked"
    link.symlink_to(path.parent)
    return str(link / path.name)


def by_hard_link(path: Path) -> str:
    link = path.parent.parent / "hard.jsonl"
    link.hardlink_to(path)
    return str(link)


SPELLINGS = [as_it_is, with_dots, relative, by_symlink, by_linked_folder, by_hard_link]


@pytest.mark.parametrize("spelled", SPELLINGS)
@pytest.mark.parametrize("name", ["pruned.jsonl", "trl.jsonl"])
def test_prune_does_not_write_over_its_source(
    pruned: Path, capsys: pytest.CaptureFixture[str], spelled: Callable[[Path], str], name: str
) -> None:
    said = refused(capsys, pruned.parent, *prune_words(spelled(pruned / name), pruned, *QUICK, "--format", "trl"))
    assert "choose another --out" in said


def test_prune_does_not_write_over_a_source_in_a_folder_that_is_not_a_run(rows: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = rows.rename(rows.with_name("pruned.jsonl"))
    assert "the folder to write into" in refused(capsys, rows.parent, *prune_words(source, rows.parent, *QUICK))


def test_a_run_does_not_read_its_own_outputs(rows: Path, pruned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "is the folder to write into" in refused(capsys, tmp_path, *prune_words(pruned, pruned, *QUICK))
    said = refused(capsys, tmp_path, *prune_words(pruned, tmp_path / "again", *QUICK))
    assert f"{pruned} is an output folder of asap prune" in said
    assert f"{pruned}/pruned.jsonl" in said
    assert "is an output folder of asap prune" in refusal(capsys, *prune_words(pruned, "x", *QUICK, "--dry-run"))
    said = refused(capsys, tmp_path, *prune_words(rows.parent, rows.parent / "out", *QUICK))
    assert f"{rows.parent / 'out'} lies in the folder {rows.parent}, which is read" in said


def test_a_run_goes_on_from_a_file_of_another_run(pruned: Path, tmp_path: Path) -> None:
    again = prune(pruned / "pruned.jsonl", tmp_path / "again", *QUICK)
    assert len((again / "pruned.jsonl").read_text().splitlines()) == 3


@pytest.mark.parametrize("name", ["README.md", "manifest.json", "pruned.jsonl", "notes.txt", "work.sqlite", "settings.json"])
@pytest.mark.parametrize("text", ["mine", '{"settings": {}}'])
def test_a_folder_that_holds_something_else_is_left_alone(
    rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, text: str
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_text(text)
    for words in (
        prune_words(rows, out, *QUICK),
        ["train", str(rows), "--model", f"hf:{model_folder()}", "--out", str(out)],
        ["compare", str(rows), "--scorer", f"hf:{model_folder()}", "--methods", "random", "--out", str(out)],
        ["evaluate", "--model", "bundled", "--benchmark", "humaneval:x.jsonl", "--max-new-tokens", "8", "--out", str(out)],
        ["score", str(rows), "--benchmark", "humaneval:x.jsonl", "--out", str(out)],
    ):
        assert name in refused(capsys, tmp_path, *words)
        assert [path.name for path in out.iterdir()] == [name]


def test_a_foreign_database_is_not_a_run(rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    out.mkdir()
    changed(out, "CREATE TABLE employees (name TEXT)")
    before = (out / "work.sqlite").read_bytes()
    assert "move it away" in refused(capsys, tmp_path, *prune_words(rows, out, *QUICK))
    assert (out / "work.sqlite").read_bytes() == before


def test_what_holds_nothing_does_not_stand_in_the_way(rows: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / ".git").mkdir(parents=True)
    (out / ".git" / "config").write_text("[core]")
    for name in ("log.txt", "work.sqlite"):
        (out / name).touch()
    prune(rows, out, *QUICK)
    assert (out / ".git" / "config").read_text() == "[core]"


def test_a_log_may_lie_in_the_new_folder(rows: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with (out / "log.txt").open("w") as log:
        log.write("before\n")
        log.flush()
        words = prune_words(rows, out, *QUICK)
        subprocess.run([sys.executable, "-m", "asap", *words], stdout=log, stderr=subprocess.STDOUT, check=True)
    assert "3 = 3 pruned" in (out / "log.txt").read_text()


def test_a_foreign_file_in_a_folder_of_ours_stays(rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = prune(rows, tmp_path / "out", *QUICK)
    (out / "trl.jsonl").write_text("mine")
    prune(rows, out, *QUICK)
    assert (out / "trl.jsonl").read_text() == "mine"
    said = refused(capsys, out, *prune_words(rows, out, *QUICK, "--format", "trl"))
    assert f"{out / 'trl.jsonl'} is there already, and asap did not write it" in said
    (out / "trl.jsonl").unlink()
    prune(rows, out, *QUICK, "--format", "trl")
    (out / "trl.jsonl").write_text("of a run of ours, so it is kept up")
    prune(rows, out, *QUICK)
    assert len((out / "trl.jsonl").read_text().splitlines()) == 3


def test_a_file_that_came_before_the_first_files_were_written_is_not_ours(
    rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = prune(rows, tmp_path / "out", *QUICK)
    changed(out, "DELETE FROM written")  # as if the run had been killed before
    for path in out.iterdir():
        if path.suffix != ".sqlite":
            path.unlink()
    (out / "README.md").write_text("mine")
    assert f"{out / 'README.md'} is there already" in refusal(capsys, *prune_words(rows, out, *QUICK))
    assert (out / "README.md").read_text() == "mine"


def test_a_folder_of_an_earlier_version_is_still_ours(rows: Path, tmp_path: Path) -> None:
    out = prune(rows, tmp_path / "out", *QUICK, "--format", "trl")
    changed(out, "DROP TABLE written")
    (out / "trl.jsonl").write_text("stale")
    (out / "axolotl.jsonl").write_text("mine")
    prune(rows, out, *QUICK)
    assert len((out / "trl.jsonl").read_text().splitlines()) == 3
    assert (out / "axolotl.jsonl").read_text() == "mine"


def test_a_published_folder_without_its_database_is_still_ours(pruned: Path, rows: Path) -> None:
    (pruned / "work.sqlite").unlink()
    assert run_in(pruned) == PRUNED
    prune(rows, pruned, *QUICK)


def test_each_command_keeps_to_folders_of_its_own(pruned: Path, rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    compare = ["compare", str(rows), "--scorer", f"hf:{model_folder()}", "--methods", "random", "--out"]
    assert "holds a run of asap prune" in refused(capsys, tmp_path, *compare, str(pruned))
    assert "holds a run of asap prune" in refused(
        capsys, tmp_path, "train", str(rows), "--model", f"hf:{model_folder()}", "--out", str(pruned)
    )
    with Ledger.open(tmp_path / "scored") as ledger:
        ledger.claim_files("verdicts.jsonl")
    assert run_in(tmp_path / "scored") == EVALUATED
    assert "holds a run of asap evaluate" in refused(capsys, tmp_path, *prune_words(rows, tmp_path / "scored", *QUICK))
    assert run([*compare, str(tmp_path / "compared"), "--ratios", "0.5"]) == 0
    assert run_in(tmp_path / "compared") == COMPARED
    capsys.readouterr()
    assert "holds a run of asap compare" in refused(capsys, tmp_path, *prune_words(rows, tmp_path / "compared", *QUICK))


@pytest.mark.parametrize("spelled", SPELLINGS)
def test_score_does_not_write_over_its_attempts(tmp_path: Path, capsys: pytest.CaptureFixture[str], spelled: Callable[[Path], str]) -> None:
    out = tmp_path / "scored"
    with Ledger.open(out) as ledger:
        ledger.claim_files("verdicts.jsonl")
    attempts = write_rows(out / "verdicts.jsonl", [{"task_id": "a/0", "solution": "pass"}])
    said = refused(capsys, tmp_path, "score", spelled(attempts), "--benchmark", "humaneval:x.jsonl", "--out", str(out))
    assert "choose another --out" in said


def test_score_may_read_the_attempts_that_evaluate_wrote(tmp_path: Path) -> None:
    out = tmp_path / "evaluated"
    out.mkdir()
    attempts = write_rows(out / "attempts.jsonl", [{"task_id": "a/0", "solution": "pass"}])
    refuse_sources(out, [attempts], ["verdicts.jsonl"])
    with pytest.raises(InputError, match="would be replaced"):
        refuse_sources(out, [attempts], ["attempts.jsonl"])


@pytest.mark.parametrize("name", ["work.sqlite", "pruned.jsonl", "manifest.json", "README.md", "../data/rows.jsonl"])
def test_review_replaces_only_a_page(pruned: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    said = refused(capsys, pruned.parent, "review", str(pruned), "--out", str(pruned / name))
    assert "is there already, and is not what this command writes" in said
    page = pruned / "review.html"
    assert run(["review", str(pruned), "--out", str(page)]) == 0
    written = page.read_bytes()
    assert run(["review", str(pruned), "--out", str(page)]) == 0
    assert page.read_bytes() == written
    page.write_text("<html>mine</html>")
    assert "is not what this command writes" in refused(capsys, pruned.parent, *prune_words("x", pruned, *QUICK, "--review"))


def test_tables_and_comparisons_replace_only_their_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = tmp_path / "mine.md"
    mine.write_text("# mine")
    assert "(it is a file)" in refused(capsys, tmp_path, "report", str(tmp_path), "--out", str(mine))
    assert "mine.md, which asap did not write" in refused(capsys, tmp_path, "report", str(tmp_path), "--out", str(tmp_path))
    assert "is not what this command writes" in refused(capsys, tmp_path, "compare-runs", "a", "b", "--out", str(mine))
    check_file(tmp_path / "none", lambda head: False, "x")
    with pytest.raises(InputError, match="is a folder; name a file"):
        check_file(tmp_path, lambda head: True, "x")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="is not a plain file"):
        check_file(tmp_path / "pipe", lambda head: True, "x")


def test_a_cut_does_not_write_into_its_run_by_another_name(pruned: Path, tmp_path: Path) -> None:
    (tmp_path / "linked").symlink_to(pruned)
    before = content(pruned)
    with pytest.raises(ValueError, match="cannot be written into"):
        recut(pruned, tmp_path / "linked", ratio=0.3)
    assert content(pruned) == before


def test_rows_for_another_tool_mark_a_folder(rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", str(rows), "--model", f"hf:{model_folder()}", "--emit-config", "trl", "--out", str(tmp_path / "rows")]
    for _ in range(2):
        assert run(words) == 0
    assert run_in(tmp_path / "rows") == TRAINED
    (tmp_path / "rows" / "axolotl.yaml").write_text("mine: true")
    capsys.readouterr()
    assert "axolotl.yaml is there already" in refusal(capsys, *[word if word != "trl" else "axolotl" for word in words], lines=None)


def test_a_name_with_a_nul_gets_a_sentence(rows: Path, pruned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (prune_words(rows, "a\0b", *QUICK), ["cut", str(pruned), "--ratio", "0.3", "--out", "a\0b"]):
        assert "is not a file name" in refusal(capsys, *words)
    assert "is not a file name" in refusal(capsys, "review", str(pruned), "--out", "a\0b")


def test_a_file_is_not_a_folder(rows: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "it is a file" in refused(capsys, rows.parent, *prune_words(rows, rows, *QUICK))


def test_a_killed_database_without_tables_is_nothing(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "work.sqlite")
    connection.execute("PRAGMA journal_mode=WAL")
    claim_folder(tmp_path, PRUNED)
    assert run_in(tmp_path) is None
    connection.execute("CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
    assert run_in(tmp_path) == PRUNED  # the table is in the log only
    connection.close()
    assert run_in(tmp_path) == PRUNED


def test_a_manifest_of_another_program_is_not_ours(tmp_path: Path) -> None:
    for text in (json.dumps({"name": "an extension", "settings": {}}), "[1]", "{", "[" * 100_000):
        (tmp_path / "manifest.json").write_text(text)
        assert run_in(tmp_path) is None


@pytest.mark.parametrize("name", ["work.sqlite-wal", "evaluation.sqlite-journal"])
def test_no_page_takes_the_name_of_the_log_of_a_database(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="has the name of a file that a run keeps its work in"):
        check_file(tmp_path / name, lambda head: True, "review.html")
