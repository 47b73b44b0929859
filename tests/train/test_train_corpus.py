import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from train_helpers import encode_row, model_folder, row, steps_of, template, train_words, write_rows

from asap.cli import run
from asap.dataset import to_sample
from asap.dataset.source import Source
from asap.errors import InputError, UsageError
from asap.train import gather as gathering
from asap.train import shared
from asap.train.corpus import Corpus
from asap.train.gather import Wanted, gather
from asap.train.shared import corpus_key, shared_corpus

ROWS = [row(number, lines=1 + number % 4) for number in range(11)]
CHANGES = ("max_steps=2", "effective_batch_size=2", "learning_rate=1e-3", "warmup_steps=0", "save_steps=1")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "rows.jsonl", ROWS)


def corpora(out: Path) -> list[str]:
    return sorted(path.name for path in (*out.glob("corpus-*"), *out.glob(".corpus-*")))


def gathered(source: Path, folder: Path, wanted: Wanted | None = None, *, samples: bool = False) -> Corpus:
    folder.mkdir()
    return gather(Source([str(source)]), template("qwen"), 4096, wanted or Wanted(), folder, samples=samples)


@pytest.mark.parametrize("at_once", [1, 3, 256])
def test_the_file_holds_every_row_as_it_was_encoded(at_once: int, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "_BATCH_ROWS", at_once)
    corpus, digest = gathered(source, tmp_path / "corpus", samples=True), hashlib.sha256()
    for made, one in zip(corpus, ROWS, strict=True):
        expected = encode_row(template("qwen"), to_sample(one).sample)
        assert (made.id, made.rewritten) == (expected.id, expected.rewritten)
        np.testing.assert_array_equal(made.input_ids, expected.input_ids)
        np.testing.assert_array_equal(made.labels, expected.labels)
        digest.update(expected.input_ids.tobytes() + expected.labels.tobytes())
    assert corpus.hash == digest.hexdigest()
    assert [(sample, list(masked)) for sample, masked in corpus.kept()] == [(to_sample(one).sample, []) for one in ROWS]
    assert corpus.counts["rows"] == len(ROWS)
    assert corpus.counts["tokens"] == sum(len(made.input_ids) for made in corpus)


@pytest.mark.parametrize("at_once", [2, 256])
def test_rows_are_in_the_order_of_ids_from(at_once: int, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "_BATCH_ROWS", at_once)
    order = [7, 0, 9, 3, 8]
    wanted = Wanted(ids_from=write_rows(tmp_path / "order.jsonl", [ROWS[number] for number in order]))
    corpus = gathered(source, tmp_path / "corpus", wanted, samples=True)
    assert [made.id for made in corpus] == [sample.id for sample, _ in corpus.kept()] == [f"r{number}" for number in order]
    assert corpus.counts["not_in_ids_from"] == 6
    straight = gathered(write_rows(tmp_path / "straight.jsonl", [ROWS[number] for number in order]), tmp_path / "straight")
    assert corpus.hash == straight.hash != gathered(source, tmp_path / "all").hash


def test_the_same_command_maps_what_is_there_and_a_changed_one_encodes_again(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(train_words(source, out, changes=CHANGES)) == 0
    [first] = corpora(out)
    with monkeypatch.context() as patched:
        patched.setattr(gathering, "encode_rows", lambda *_: pytest.fail("encoded again"))
        assert run(train_words(source, out, changes=CHANGES)) == 0
    before = {path.name: path.read_bytes() for path in (out / first).iterdir()}
    write_rows(source, ROWS[::-1])
    assert run(train_words(source, out, changes=CHANGES)) == 2  # other rows do not continue a run, and leave what it needs
    assert "rows_hash is" in capsys.readouterr().err
    assert corpora(out) == [first]
    assert {path.name: path.read_bytes() for path in (out / first).iterdir()} == before
    (out / "manifest.json").unlink()
    for checkpoint in out.glob("checkpoint-*"):
        (checkpoint / "trainer_state.json").unlink()  # nothing is left to continue from
    assert run(train_words(source, out, changes=CHANGES)) == 0
    [second] = corpora(out)
    assert second != first


def test_killed_while_encoding_it_starts_the_encoding_again(tmp_path: Path) -> None:
    """The rows come through a pipe, so that the kill hits in the middle."""
    out, pipe = tmp_path / "out", tmp_path / "rows.jsonl"
    rows = [row(number, lines=3) for number in range(600)]
    os.mkfifo(pipe)
    words = train_words(pipe, out, changes=CHANGES)
    process = subprocess.Popen([sys.executable, "-m", "asap", *words], stdout=subprocess.DEVNULL)
    with pipe.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(one) + "\n" for one in rows[:400])
        file.flush()
        while not any(path.stat().st_size > 1000 for path in out.glob(".corpus-*/rows.arrow")):
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
    pipe.unlink()
    write_rows(pipe, rows)
    assert [name[0] for name in corpora(out)] == ["."]
    assert run(words) == 0
    assert run(train_words(pipe, tmp_path / "whole", changes=CHANGES)) == 0
    assert corpora(out) == corpora(tmp_path / "whole")
    assert len(corpora(out)) == 1
    for name in ("rows.jsonl", "settings.json", "model.safetensors"):
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    assert [step["loss"] for step in steps_of(out)] == [step["loss"] for step in steps_of(tmp_path / "whole")]


WAITING = """
import sys
from pathlib import Path
from asap.train.shared import shared_corpus
def make(folder):
    raise SystemExit("the second process encodes")
print(shared_corpus(Path(sys.argv[1]), "key", make).counts["rows"])
"""


def test_the_other_processes_wait_for_the_first(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    environment = {**os.environ, "RANK": "1", "WORLD_SIZE": "2"}
    waiting = subprocess.Popen([sys.executable, "-c", WAITING, str(out)], env=environment, stdout=subprocess.PIPE, text=True)
    corpus = shared_corpus(out, "key", lambda folder: gather(Source([str(source)]), template("qwen"), 4096, Wanted(), folder))
    assert waiting.communicate() == (f"{corpus.counts['rows']}\n", None)
    assert waiting.returncode == 0


def test_a_process_that_sees_nothing_of_the_first_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(shared, "_PATIENCE", 0.1)
    with pytest.raises(InputError, match="on a disk that all machines of the run share"):
        shared_corpus(tmp_path, "key", lambda folder: pytest.fail("encoded"))


def test_several_processes_cannot_read_one_pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    source = Source([str(tmp_path / "pipe")])
    keys = [corpus_key(source, template("qwen"), 9, Wanted(), samples=False) for _ in range(2)]
    assert keys[0] != keys[1]  # nobody knows what will come out of it
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="can be read only once, and 2 processes train"):
        corpus_key(source, template("qwen"), 9, Wanted(), samples=False)


def test_the_key_follows_the_bytes_and_the_settings(source: Path, tmp_path: Path) -> None:
    def key(family: str = "qwen", limit: int = 9, rows: int | None = None, **wanted: object) -> str:
        return corpus_key(Source([str(source)], limit=rows), template(family), limit, Wanted(**wanted), samples=False)  # type: ignore[arg-type]

    assert key() == key()
    ids = write_rows(tmp_path / "ids.jsonl", ROWS[:2])
    keys = [key(), key("r1"), key(limit=8), key(rows=3), key(drop_long=True), key(ids_from=ids)]
    write_rows(ids, ROWS[:3])
    keys.append(key(ids_from=ids))
    status = source.stat()
    text = source.read_text("utf-8")
    source.write_text(text.replace("What is 3", "What is 4"), "utf-8")
    os.utime(source, ns=(status.st_atime_ns, status.st_mtime_ns))  # neither size nor time tells the change
    keys.append(key())
    assert len(set(keys)) == len(keys)


def test_a_damaged_file_is_refused_with_the_remedy(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert run(train_words(source, out, changes=CHANGES)) == 0
    file = out / corpora(out)[0] / "rows.arrow"
    file.write_bytes(file.read_bytes()[:200])
    assert run(train_words(source, out, changes=CHANGES)) == 2
    assert "remove its folder, and the same command encodes the rows again" in capsys.readouterr().err


def test_a_model_that_reads_other_tokens_has_other_rows(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for family in ("qwen", "r1"):
        assert run(train_words(source, out, "--max-rejected", "0", "--emit-config", "trl", model=f"hf:{model_folder(family)}")) == 0
    assert corpora(out) == []  # what was encoded for another tool is not left behind
