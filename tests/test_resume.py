"""A run that is killed at any moment goes on where it was: nothing is lost, nothing is doubled, nothing is done again."""

import gzip
import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from asap.cli import run
from asap.sample import Sample
from asap.store.work import Store
from own_process import begin, wait_until
from run_fixtures import FILES, count_decisions, model_folder, prune, prune_words, read_rows, refusal, row, same_output, write_rows

KILLS = 20
COLD_KILLS = 3
ROWS = 150


def to_score(capsys: pytest.CaptureFixture[str]) -> tuple[int, int]:
    """How many traces the last run had to score, and how many were done before, as it said."""
    said = capsys.readouterr().err
    found = re.search(r"^(\d+) traces to score(?: \((\d+) of \d+ were done before\))?$", said, re.MULTILINE)
    assert found, said
    return int(found[1]), int(found[2] or 0)


def test_killed_twenty_times_the_run_ends_as_if_nothing_had_happened(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [*(row(number, steps=12) for number in range(ROWS)), "no JSON", {"id": "no columns"}])
    started = time.monotonic()
    reference = prune(source, tmp_path / "whole", "--format", "trl")
    whole_s = time.monotonic() - started
    out, chance = tmp_path / "killed", random.Random(0)
    words = prune_words(source, out, "--format", "trl")
    for _ in range(COLD_KILLS):  # these die while Python still imports
        process = subprocess.Popen([sys.executable, "-m", "asap", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(chance.uniform(0.05, 1.5))
        process.kill()
        process.wait()
        assert process.returncode == -signal.SIGKILL
    counts, kills, longest_s = [count_decisions(out)], 0, 0.3 * whole_s
    while kills < KILLS:
        life = begin(words, tmp_path / "said")
        life.join(chance.uniform(0.0, longest_s))
        life.kill()
        life.join()
        if life.exitcode == -signal.SIGKILL:
            kills += 1
            if counts[-3:] == [count_decisions(out)] * 3:  # a busy machine: nothing is done yet when they die
                longest_s *= 1.3
        else:  # it came to its end first: kill sooner
            assert life.exitcode == 0
            longest_s *= 0.8
        counts.append(count_decisions(out))
    assert counts == sorted(counts)
    assert len(set(counts)) > 3, "the kills did not fall into the scoring"
    capsys.readouterr()
    prune(source, out, "--format", "trl")
    missing, done = to_score(capsys)
    assert (missing, done) == (ROWS - counts[-1], counts[-1])
    assert done > 0
    same_output(reference, out)
    assert (out / "trl.jsonl").read_bytes() == (reference / "trl.jsonl").read_bytes()
    assert {path.name for path in out.iterdir()} == FILES | {"trl.jsonl"}


@pytest.mark.parametrize("moment", ["pruned", "manifest"])
def test_files_that_a_kill_left_half_written_are_removed(tmp_path: Path, moment: str) -> None:
    out = prune(write_rows(tmp_path / "rows.jsonl", [row(1)]), tmp_path / "out")
    (out / f".{moment}.jsonl.12345.tmp").write_text("{half")
    (out / ".mine.tmp").write_text("not ours")
    prune(tmp_path / "rows.jsonl", out)
    assert {path.name for path in out.iterdir()} == FILES | {".mine.tmp"}


def test_an_interrupted_run_says_how_to_go_on_and_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [row(number, steps=12) for number in range(200)])
    out = tmp_path / "out"
    process = begin(prune_words(source, out), tmp_path / "said")
    wait_until(lambda: "\n1/200" in (tmp_path / "said").read_text(), process)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGINT)
    process.join()
    said = (tmp_path / "said").read_text()
    assert process.exitcode == 130
    assert "Traceback" not in said
    assert said.splitlines()[-1] == f"asap: interrupted; what was done is kept in {out}: the same command again continues there"
    assert not (out / "manifest.json").exists()
    done = count_decisions(out)
    assert 0 < done < 200
    capsys.readouterr()
    prune(source, out)
    assert to_score(capsys) == (200 - done, done)
    assert len(read_rows(out / "pruned.jsonl")) == 200


def test_the_same_command_again_scores_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [row(number) for number in range(4)])
    out = prune(source, tmp_path / "out")
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    capsys.readouterr()
    prune(source, out)
    assert to_score(capsys) == (0, 4)
    for name in ("pruned.jsonl", "decisions.jsonl", "rejected.jsonl", "README.md"):
        assert (out / name).read_bytes() == before[name]


def test_of_a_grown_file_only_the_new_rows_are_scored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [row(number) for number in range(4)])
    out = prune(source, tmp_path / "out")
    write_rows(source, [row(9), *(row(number) for number in range(4)), row(8)])
    capsys.readouterr()
    prune(source, out)
    assert to_score(capsys) == (2, 4)
    same_output(out, prune(source, tmp_path / "fresh"))


def test_a_file_in_another_order_is_not_scored_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [row(number) for number in range(5)])
    out = prune(source, tmp_path / "out")
    write_rows(source, [{**row(number), "id": f"renamed {number}"} for number in (4, 2, 0, 1)])
    capsys.readouterr()
    prune(source, out)
    assert to_score(capsys) == (0, 4)
    for name in ("pruned.jsonl", "decisions.jsonl"):
        assert [value["id"] for value in read_rows(out / name)] == [f"renamed {number}" for number in (4, 2, 0, 1)]
    same_output(out, prune(source, tmp_path / "fresh"))


def test_a_limit_can_be_lifted_later(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [row(number) for number in range(6)])
    out = prune(source, tmp_path / "out", "--limit", "3")
    assert to_score(capsys) == (3, 0)
    assert len(read_rows(out / "pruned.jsonl")) == 3
    prune(source, out)
    assert to_score(capsys) == (3, 3)
    same_output(out, prune(source, tmp_path / "fresh"))


def test_rows_that_failed_are_tried_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [row(1), {**row(2), "system": "The template refuses this."}])
    out = prune(source, tmp_path / "out")
    capsys.readouterr()
    prune(source, out)
    assert to_score(capsys) == (1, 1)


def test_a_second_process_on_the_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [row(1)])
    out = prune(source, tmp_path / "out")
    before = (out / "manifest.json").read_bytes()
    with Store.open(out):
        message = refusal(capsys, *prune_words(source, out))
        assert message == f"another asap process is working in {out}; wait for it or choose another --out"
        assert refusal(capsys, "cut", str(out), "--budget", "9", "--out", str(tmp_path / "cut")) == message
    assert (out / "manifest.json").read_bytes() == before
    prune(source, out)


def test_a_folder_of_another_run_is_refused_and_both_values_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, other = write_rows(tmp_path / "rows.jsonl", [row(1)]), write_rows(tmp_path / "other.jsonl", [row(2)])
    out = prune(source, tmp_path / "out", "--budget", "40")
    message = refusal(capsys, *prune_words(source, out, "--budget", "50"))
    assert "budget is 40 there and 50 here" in message
    assert message.endswith(f"re-cut it in a moment: asap cut {out} --budget 50 --out OTHER")
    message = refusal(capsys, *prune_words(source, out, "--ratio", "0.5"))
    assert message.endswith(f"re-cut it in a moment: asap cut {out} --ratio 0.5 --out OTHER")
    assert "asap cut" not in refusal(capsys, *prune_words(source, out, "--budget", "40", "--backfill"))
    message = refusal(capsys, *prune_words(source, out, "--budget", "40", "--keep-last", "2", "--context", "raw"))
    assert "keep_last is 0 there and 2 here" in message
    assert "context is chat there and raw here" in message
    assert "asap cut" not in message
    assert "choose another --out" in message
    message = refusal(capsys, *prune_words(source, out, "--budget", "40", "--step-split", "line"))
    assert "step_split is fenced there and line here" in message
    message = refusal(capsys, *prune_words(other, out, "--budget", "40"))
    assert f"sources is {source} there and {other} here" in message


def test_a_typing_error_in_the_source_does_not_take_the_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = write_rows(tmp_path / "bad.jsonl", ["{", "["])
    refusal(capsys, *prune_words(bad, tmp_path / "out"), lines=None)
    prune(write_rows(tmp_path / "rows.jsonl", [row(1)]), tmp_path / "out", "--budget", "20")
    assert json.loads((tmp_path / "out" / "manifest.json").read_text("utf-8"))["settings"]["budget"] == 20


def test_rows_that_were_all_rejected_are_read_again_with_other_columns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    renamed = [{"id": row(1)["id"], "q": row(1)["question"], "r": f"<think>{row(1)['cot']}</think>{row(1)['answer']}"}]
    source, out = write_rows(tmp_path / "rows.jsonl", renamed), tmp_path / "out"
    assert "unknown_shape 1" in refusal(capsys, *prune_words(source, out), lines=None)
    columns = ["--columns", "question=q,response=r"]
    same_output(prune(source, tmp_path / "fresh", *columns), prune(source, out, *columns))


def test_a_source_that_was_damaged_since_leaves_the_finished_run_usable(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, source = gzip.compress("".join(json.dumps(row(number)) + "\n" for number in range(40)).encode()), tmp_path / "rows.jsonl.gz"
    source.write_bytes(data)
    out = prune(source, tmp_path / "out")
    source.write_bytes(data[:-200])
    assert "truncated or corrupt" in refusal(capsys, *prune_words(source, out), lines=None)
    assert run(["cut", str(out), "--ratio", "0.5", "--out", str(tmp_path / "cut")]) == 0
    same_output(out, tmp_path / "cut")


def test_a_great_many_rows_with_one_id_are_numbered_without_counting_them_again(tmp_path: Path) -> None:
    queries = list[str]()
    with Store.open(tmp_path / "out") as store:
        store._db._connection.set_trace_callback(queries.append)
        with store.new_input() as incoming:
            for number in range(2000):
                incoming.add_sample(number, "s", number, Sample("x", "q", str(number), "a"))
        ids = [waiting.sample.id for page in store.batches(100) for waiting in page]
    assert ids[:3] == ["x", "x#2", "x#3"]
    assert len(set(ids)) == 2000
    assert len(queries) < 10 * 2000


def test_the_store_is_plain_sqlite(tmp_path: Path) -> None:
    out = prune(write_rows(tmp_path / "rows.jsonl", [row(1)]), tmp_path / "out")
    connection = sqlite3.connect(out / "work.sqlite")
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    assert model_folder().name in json.dumps(json.loads((out / "manifest.json").read_text("utf-8"))["settings"]["scorer"])


def read_again(capsys: pytest.CaptureFixture[str]) -> bool:
    """Whether the last run read its source."""
    return "the source is unchanged" not in capsys.readouterr().err


def test_an_unchanged_source_is_not_read_again_and_a_changed_one_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "rows"
    folder.mkdir()
    source = write_rows(folder / "1.jsonl", [row(number) for number in range(4)])
    out = prune(folder, tmp_path / "out")
    first, stamp = (out / "pruned.jsonl").read_bytes(), source.stat()
    for change in (lambda: None, source.touch, lambda: source.write_bytes(source.read_bytes())):
        change()
        capsys.readouterr()
        prune(folder, out)
        assert not read_again(capsys)
        assert (out / "pruned.jsonl").read_bytes() == first
    source.write_bytes(source.read_bytes().replace(b"What is 1?", b"What is 7?"))  # of the same size
    os.utime(source, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    changes = [
        lambda: None,
        lambda: write_rows(folder / "2.jsonl", [row(8)]),
        lambda: (folder / "2.jsonl").rename(folder / "0.jsonl"),
        lambda: (folder / "0.jsonl").unlink(),
    ]
    for number, change in enumerate(changes):
        change()
        capsys.readouterr()
        prune(folder, out)
        assert read_again(capsys)
        same_output(out, prune(folder, tmp_path / f"fresh{number}"))
    prune(folder, out, "--limit", "2")
    assert read_again(capsys)
    assert len(read_rows(out / "pruned.jsonl")) == 2


def test_the_earlier_input_stays_until_a_new_one_is_complete(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [row(number) for number in range(3)])
    out = prune(source, tmp_path / "out")
    with Store.open(out) as store, suppress(KeyError), store.new_input() as incoming:
        for number in range(3000):  # more than one piece
            incoming.add_sample(number, "s", number, Sample("x", "q", str(number), "a"))
        raise KeyError
    capsys.readouterr()
    prune(source, out)
    assert not read_again(capsys)
    same_output(out, prune(source, tmp_path / "fresh"))
