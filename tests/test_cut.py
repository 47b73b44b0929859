"""A cut of a finished run is what a fresh run at that budget would have written, byte for byte and without a model."""

import json
import shutil
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from asap.cli import run
from asap.store.work import Store
from run_fixtures import (
    FILES,
    model_folder,
    prune,
    prune_words,
    read_decisions,
    read_rows,
    refusal,
    row,
    same_output,
    tokenizer,
    write_rows,
)

UNBROKEN = row(11, steps=20)
UNBROKEN["cot"] = UNBROKEN["cot"].replace("\n\n", ".\n", 9).replace("\n\n", ". So ")
ROWS = [*(row(number) for number in range(8)), "no JSON", {**row(1), "id": "r1"}, row(9, steps=1), row(10, steps=30), UNBROKEN]
STAGES = {
    "the paper's order": [],
    "without stage 1": ["--coarse", "none"],
    "protected steps": ["--keep-first", "2", "--keep-last", "1"],
    "rescored": ["--rescore", "2"],
    "the paper's steps, raw": ["--step-split", "paper", "--context", "raw"],
    "lines": ["--step-split", "line", "--backfill"],
    "sentences": ["--step-split", "sentence"],
    "backfilled": ["--backfill"],
    "backfilled and protected": ["--backfill", "--keep-last", "1", "--coarse-share", "0.5"],
}
BUDGETS = [
    ["--budget", "1"],
    ["--budget", "17"],
    ["--budget", "60"],
    ["--budget", "100000"],
    ["--ratio", "0.01"],
    ["--ratio", "0.3"],
    ["--ratio", "0.75"],
    ["--ratio", "1.0"],
]


def cut(folder: Path, out: Path, *options: str) -> Path:
    assert run(["cut", str(folder), "--out", str(out), *options]) == 0
    return out


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rows(tmp_path_factory.mktemp("source") / "rows.jsonl", ROWS)


@pytest.fixture(scope="module")
def finished(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prune(source, tmp_path_factory.mktemp("finished") / "out")


@pytest.mark.parametrize("stages", STAGES.values(), ids=STAGES)
def test_a_cut_equals_a_fresh_run(source: Path, tmp_path: Path, stages: list[str]) -> None:
    base = prune(source, tmp_path / "base", "--budget", "33", *stages)
    for number, budget in enumerate(BUDGETS if stages == [] else BUDGETS[1:7:2]):
        fresh = prune(source, tmp_path / f"fresh{number}", *budget, *stages)
        same_output(fresh, cut(base, tmp_path / f"cut{number}", *budget))


def test_a_run_of_stage_one_alone_can_be_cut(source: Path, tmp_path: Path) -> None:
    base = prune(source, tmp_path / "base", "--coarse-only")
    same_output(prune(source, tmp_path / "fresh", "--budget", "40"), cut(base, tmp_path / "cut", "--budget", "40"))


def test_a_cut_of_a_cut_equals_a_cut(finished: Path, tmp_path: Path) -> None:
    once = cut(finished, tmp_path / "once", "--budget", "20")
    twice = cut(once, tmp_path / "twice", "--ratio", "0.9")
    same_output(cut(finished, tmp_path / "direct", "--ratio", "0.9"), twice)
    assert {path.name for path in twice.iterdir()} == FILES


def test_a_cut_keeps_its_promises_for_every_budget(finished: Path, tmp_path: Path) -> None:
    after = []
    for budget in range(1, 90, 8):
        out = cut(finished, tmp_path / f"cut{budget}", "--budget", str(budget))
        decisions = read_decisions(out)
        fits = [
            value["tokens_after"] <= budget or sum(step["kept"] for step in value["steps"]) == value["min_steps"] for value in decisions
        ]
        assert all(fits)
        after.append(sum(value["tokens_after"] for value in decisions))
    assert after == sorted(after)


def test_a_cut_writes_training_formats(finished: Path, tmp_path: Path) -> None:
    out = cut(finished, tmp_path / "cut", "--budget", "20", "--format", "sharegpt")
    traces = [value["conversations"][-1]["value"] for value in read_rows(out / "sharegpt.jsonl")]
    assert traces == [value["messages"][-1]["content"] for value in read_rows(out / "pruned.jsonl")]


def test_a_cut_leaves_the_run_as_it_was(finished: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in finished.iterdir() if path.name != "work.sqlite"}
    cut(finished, tmp_path / "cut", "--budget", "20")
    assert {path.name: path.read_bytes() for path in finished.iterdir() if path.name != "work.sqlite"} == before


def test_the_run_of_a_cut_can_be_continued_from_it(
    source: Path, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = cut(finished, tmp_path / "cut", "--budget", "20")
    capsys.readouterr()
    prune(source, out, "--budget", "20")
    assert "0 traces to score" in capsys.readouterr().err


def test_the_same_cut_again_is_fine_and_another_is_refused(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = cut(finished, tmp_path / "cut", "--budget", "20")
    before = (out / "manifest.json").read_bytes()
    cut(finished, out, "--budget", "20")
    assert (out / "manifest.json").read_bytes() == before
    message = refusal(capsys, "cut", str(finished), "--out", str(out), "--budget", "21")
    assert "budget is 20 there and 21 here" in message


def test_a_cut_refers_to_the_rows_and_scores_of_its_run(source: Path, finished: Path, tmp_path: Path) -> None:
    long = prune(write_rows(tmp_path / "long.jsonl", [row(number, steps=200) for number in range(20)]), tmp_path / "long")
    out = cut(long, tmp_path / "cut", "--budget", "20")
    assert (out / "work.sqlite").stat().st_size < (long / "work.sqlite").stat().st_size / 2
    copied = cut(long, tmp_path / "copied", "--budget", "20", "--copy")
    same_output(out, copied)
    again = cut(out, tmp_path / "again", "--budget", "19")  # it refers to the run, not to the cut
    shutil.rmtree(out)
    for folder in (again, copied):
        assert run(["review", str(folder), "--out", str(tmp_path / "page.html")]) == 0
    shutil.rmtree(long)
    assert run(["review", str(copied), "--out", str(tmp_path / "page.html")]) == 0


def test_a_cut_moves_with_its_run_and_a_run_that_is_gone_or_another_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "both").mkdir()
    source = write_rows(tmp_path / "rows.jsonl", [row(number) for number in range(3)])
    base = prune(source, tmp_path / "both/base")
    cut(base, tmp_path / "both/deep/cut", "--budget", "20")
    (tmp_path / "both").rename(tmp_path / "moved")
    base, out, page = tmp_path / "moved/base", tmp_path / "moved/deep/cut", str(tmp_path / "page.html")
    assert run(["review", str(out), "--out", page]) == 0
    base.rename(tmp_path / "gone")
    for words in (["review", str(out), "--out", page], ["cut", str(out), "--budget", "9", "--out", str(tmp_path / "other")]):
        assert refusal(capsys, *words).startswith(f"{out} is a cut of {base}, which is not there any more; put it back, or cut again")
    assert "is a cut of" in refusal(capsys, *prune_words(source, out, "--budget", "20"), lines=None)
    cut(tmp_path / "gone", out, "--budget", "20")  # cut again, it refers to the run where it is now
    assert run(["review", str(out), "--out", page]) == 0
    write_rows(source, [row(number) for number in range(4)])
    prune(source, tmp_path / "gone")
    message = refusal(capsys, "review", str(out), "--out", page)
    assert message.startswith(f"{out} is a cut of {tmp_path / 'gone'}, which holds another run or other rows by now; ")


def test_a_cut_that_goes_on_as_a_run_needs_no_other_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [row(number) for number in range(3)])
    out = cut(prune(source, tmp_path / "base"), tmp_path / "cut", "--budget", "20")
    write_rows(source, [row(number) for number in range(5)])
    capsys.readouterr()
    prune(source, out, "--budget", "20")
    assert "2 traces to score (3 of 5 were done before)" in capsys.readouterr().err
    shutil.rmtree(tmp_path / "base")
    same_output(prune(source, tmp_path / "fresh", "--budget", "20"), prune(source, out, "--budget", "20"))


def test_a_folder_that_has_its_rows_keeps_them_when_it_is_cut_again(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [row(number) for number in range(3)])
    base, out = prune(source, tmp_path / "base"), prune(source, tmp_path / "run", "--budget", "20")
    cut(base, out, "--budget", "20")
    shutil.rmtree(base)
    assert run(["review", str(out), "--out", str(tmp_path / "page.html")]) == 0
    same_output(out, prune(source, tmp_path / "fresh", "--budget", "20"))


def test_a_run_can_be_cut_and_looked_at_while_another_cut_reads_it(finished: Path, tmp_path: Path) -> None:
    with Store.reading(finished), Store.reading(cut(finished, tmp_path / "one", "--budget", "20")):
        cut(finished, tmp_path / "two", "--budget", "21")
        assert run(["review", str(tmp_path / "one"), "--out", str(tmp_path / "page.html")]) == 0
    assert {path.name for path in finished.iterdir()} == FILES


def test_another_method_cuts_to_the_length_of_the_run(source: Path, finished: Path, tmp_path: Path) -> None:
    shares = prune(source, tmp_path / "shares", "--ratio", "0.4", "--coarse", "none")
    for base, length in ((shares, ["--ratio", "0.4"]), (cut(finished, tmp_path / "budgets", "--budget", "20"), ["--budget", "20"])):
        said = cut(base, tmp_path / f"said{length[1]}", "--method", "random", *length)
        same_output(cut(base, tmp_path / f"unsaid{length[1]}", "--method", "random"), said)


def test_what_cannot_be_cut_is_refused_in_a_sentence(
    source: Path, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = str(tmp_path / "cut")
    assert "there is no folder" in refusal(capsys, "cut", str(tmp_path / "nowhere"), "--budget", "5", "--out", target)
    assert "a cut needs a budget (tokens) or a ratio" in refusal(capsys, "cut", str(finished), "--out", target)
    assert "choose one" in refusal(capsys, "cut", str(finished), "--out", target, "--budget", "5", "--ratio", "0.5")
    assert "budget is 0" in refusal(capsys, "cut", str(finished), "--out", target, "--budget", "0")
    assert "ratio is 1.5" in refusal(capsys, "cut", str(finished), "--out", target, "--ratio", "1.5")
    assert "there is no format 'x'" in refusal(capsys, "cut", str(finished), "--out", target, "--budget", "5", "--format", "x")
    (tmp_path / "link").symlink_to(finished)
    for same in (finished, tmp_path / "link", finished / ".." / finished.name):
        assert "choose another --out" in refusal(capsys, "cut", str(finished), "--out", str(same), "--budget", "5")
    assert not Path(target).exists()


def test_an_unfinished_run_cannot_be_cut(source: Path, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    half = Path(shutil.copytree(finished, tmp_path / "half"))
    with Store.open(half) as store, store.transaction():
        store._db.execute("DELETE FROM decisions WHERE digest = (SELECT MIN(digest) FROM decisions)")
    words = ["cut", str(half), "--budget", "9", "--out", str(tmp_path / "cut")]
    assert "unfinished run; run the same asap prune again" in refusal(capsys, *words)
    prune(source, half)
    assert run(words) == 0
    with Store.open(tmp_path / "only claimed") as store:  # killed while it read: settings, but no rows
        store.set_fact("settings", {"budget": 4096})
    assert "unfinished run" in refusal(capsys, "cut", str(tmp_path / "only claimed"), "--budget", "9", "--out", str(tmp_path / "none"))


def test_a_folder_of_another_version_is_refused_in_a_sentence(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = Path(shutil.copytree(finished, tmp_path / "old"))
    with Store.open(old) as store, store.transaction():
        for digest, body in store._db.execute("SELECT digest, body FROM decisions"):
            fields = json.loads(zlib.decompress(body))
            del fields["coarse"]
            store._db.execute("UPDATE decisions SET body = ? WHERE digest = ?", (zlib.compress(json.dumps(fields).encode()), digest))
    words = ["cut", str(old), "--budget", "9", "--out", str(tmp_path / "cut")]
    said = refusal(capsys, *words)
    assert "another version of asap (its decisions differ in 'coarse')" in said
    assert words[1] in said  # the folder that was given, and nothing is left of the other
    assert not Path(words[words.index("--out") + 1]).exists()


def test_a_backfilled_cut_needs_the_tokenizer_of_the_run(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    used = tmp_path / "tokenizer"
    tokenizer(270).save_pretrained(used)
    base = prune(source, tmp_path / "base", "--backfill", "--tokenizer", str(used))
    fresh = prune(source, tmp_path / "fresh", "--backfill", "--tokenizer", str(used), "--budget", "30")
    same_output(fresh, cut(base, tmp_path / "cut", "--budget", "30"))
    tokenizer(300).save_pretrained(used)
    words = ["cut", str(base), "--budget", "31", "--out", str(tmp_path / "other")]
    assert "is not the tokenizer that the run was made with" in refusal(capsys, *words)
    shutil.rmtree(used)
    assert f"{used} does not exist" in refusal(capsys, *words)


def test_a_cut_needs_no_model_and_imports_none(finished: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from asap.cli import run; code = run(sys.argv[1:]); "
        "print(code, [name for name in ('torch', 'transformers', 'tokenizers') if name in sys.modules])"
    )
    words = ["cut", str(finished), "--budget", "20", "--out", str(tmp_path / "cut")]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 []"
    assert done.stderr == ""


def test_the_manifest_of_a_cut_names_its_own_budget(finished: Path, tmp_path: Path) -> None:
    out = cut(finished, tmp_path / "cut", "--budget", "20")
    settings = json.loads((out / "manifest.json").read_text("utf-8"))["settings"]
    assert (settings["budget"], settings["ratio"]) == (20, None)
    assert settings["tokenizer_name"] == f"hf:{model_folder()}"
    assert prune_words("a", out)[1] == "a"
