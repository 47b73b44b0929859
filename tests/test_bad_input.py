"""Whatever is wrong with what a user gives: one clear sentence and exit code 2, or a rejected row and the run goes on."""

import gzip
import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import zstandard
from transformers import BertConfig, BertModel, T5Config, T5ForConditionalGeneration

from asap.cli import run
from asap.lm.specs import load_tokens
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

GOOD = "".join(json.dumps(row(number)) + "\n" for number in range(40)).encode()

Maker = Callable[[Path], object]
UNUSABLE: dict[str, tuple[Maker, str]] = {
    "missing": (lambda path: None, "there is no such file or folder; allowed: JSONL"),
    "folder without data": (lambda path: (path.mkdir(), (path / "a.txt").write_text("x")), "holds no .jsonl"),
    "empty": (lambda path: path.write_bytes(b""), "the file is empty"),
    "blank lines": (lambda path: path.write_bytes(b"\n \n\n"), "the file is empty"),
    "binary": (lambda path: path.write_bytes(bytes(range(256)) * 20), "this is a binary file"),
    "truncated.jsonl.gz": (lambda path: path.write_bytes(gzip.compress(GOOD)[:-300]), "truncated or corrupt"),
    "truncated.jsonl.zst": (lambda path: path.write_bytes(zstandard.compress(GOOD)[:-300]), "truncated or corrupt"),
    "damaged.parquet": (lambda path: path.write_bytes(b"PAR1" + bytes(100)), "truncated or corrupt"),
    "array.json": (lambda path: path.write_text(json.dumps([row(1)])[:-1]), "is not valid JSON after row 1"),
    "no usable row": (lambda path: path.write_bytes(b"nope\n[]\n"), "2 rejected (bad_json 1, not_an_object 1); see"),
}

REJECTED: dict[str, tuple[Any, str, str]] = {
    "invalid JSON": ('{"question": "q", ', "bad_json", "column"),
    "no think part": ({"id": "x", "question": "q", "response": "42"}, "no_think", "neither <think> nor </think>"),
    "unclosed think": ({"id": "x", "question": "q", "response": "<think>\nso\n\nwait"}, "unclosed_think", "never closed"),
    "number for a text": ({"id": "x", "question": 3, "response": "<think>\na\n</think>b"}, "wrong_type", "question"),
    "list for a text": ({"id": "x", "question": "q", "cot": [1], "answer": "b"}, "wrong_type", "cot"),
    "several traces": ({"id": "x", "question": "q", "cot": ["a", "c"], "answer": "b"}, "two_traces", "cot holds 2 texts"),
    "other columns": ({"id": "x", "text": "a"}, "unknown_shape", "--columns"),
    "white-space-only trace": ({"id": "x", "question": "q", "cot": " \n\t\n ", "answer": "b"}, "empty_think", "white space"),
    "empty answer": ({"id": "x", "question": "q", "cot": "a", "answer": " "}, "empty_answer", "white space"),
    "half a surrogate pair": ('{"id": "x\\ud800", "question": "q", "cot": "a\\udc00", "answer": "b"}', "lone_surrogate", "surrogate"),
    "an array": ("[1, 2]", "not_an_object", "array"),
    "too deep": ('{"a":' * 100_000, "bad_json", ""),
    "two traces": ({"id": "x", "question": "q", "cot": "a", "answer": "b</think>c"}, "two_traces", "think tags"),
}

USAGE: dict[str, tuple[list[str], list[str]]] = {
    "budget 0": (["--budget", "0"], ["budget is 0", "1 or more"]),
    "budget -5": (["--budget", "-5"], ["budget is -5", "1 or more"]),
    "budget abc": (["--budget", "abc"], ["--budget", "'abc' is not a whole number"]),
    "budget 1.5": (["--budget", "1.5"], ["--budget", "'1.5' is not a whole number"]),
    "budget 0x10": (["--budget", "0x10"], ["--budget", "'0x10' is not a whole number"]),
    "budget and ratio": (["--budget", "5", "--ratio", "0.5"], ["budget 5 and ratio 0.5 were both given", "choose one"]),
    "ratio 0": (["--ratio", "0"], ["ratio is 0.0", "above 0 and at most 1"]),
    "ratio 1.5": (["--ratio", "1.5"], ["ratio is 1.5", "above 0 and at most 1"]),
    "ratio -1": (["--ratio", "-1"], ["ratio is -1.0", "above 0 and at most 1"]),
    "ratio nan": (["--ratio", "nan"], ["ratio is nan", "above 0 and at most 1"]),
    "ratio half": (["--ratio", "half"], ["--ratio is 'half'; a number is expected"]),
    "method": (["--method", "magic"], ["unknown method 'magic'", "choose from asap"]),
    "coarse": (["--coarse", "some"], ["--coarse", "some", "align", "none"]),
    "step split": (["--step-split", "words"], ["step_split", "words", "fenced", "paper", "line", "sentence"]),
    "dtype": (["--dtype", "int8"], ["--dtype", "int8", "auto", "float32", "bfloat16"]),
    "device": (["--device", "abacus"], ["abacus", "auto, cpu, cuda, cuda:N or mps"]),
    "context": (["--context", "talk"], ["--context", "talk", "chat", "raw"]),
    "format": (["--format", "pdf"], ["'pdf'", "trl, axolotl, llamafactory, sharegpt"]),
    "unknown option": (["--bugdet", "5"], ["--bugdet", "--budget"]),
    "limit 0": (["--limit", "0"], ["--limit is 0", "1 or more"]),
    "limit 2.5": (["--limit", "2.5"], ["--limit", "'2.5' is not a whole number"]),
    "keep first -1": (["--keep-first", "-1"], ["keep_first is -1", "0 or more"]),
    "keep last -1": (["--keep-last", "-1"], ["keep_last is -1", "0 or more"]),
    "coarse share 2": (["--coarse-share", "2"], ["coarse_share is 2", "from 0 to 1"]),
    "coarse share nan": (["--coarse-share", "nan"], ["coarse_share is nan", "from 0 to 1"]),
    "rescore -1": (["--rescore", "-1"], ["rescore is -1", "0 or more"]),
    "max rejected -1": (["--max-rejected", "-1"], ["--max-rejected is -1", "0 or more"]),
    "columns without =": (["--columns", "question"], ["--columns is 'question'", "name=column"]),
    "columns without a name": (["--columns", "question=,response=r"], ["--columns is", "name=column"]),
    "columns of no row": (["--columns", "question=a"], ["do not make a row", "allowed in columns"]),
    "unknown column key": (["--columns", "query=a,response=b"], ["'query'", "allowed in columns"]),
    "scorer": (["--scorer", "magic"], ["unknown model 'magic'", "bundled, hf:"]),
    "scorer that is a server": (["--scorer", "openai:gpt"], ["does not hand out its tokenizer", "--tokenizer"]),
    "scorer that is not there": (["--scorer", "hf:/no/such/folder"], ["/no/such/folder does not exist"]),
    "gguf that is not there": (["--scorer", "gguf:/no/such.gguf"], ["/no/such.gguf does not exist"]),
    "tokenizer that is not there": (["--tokenizer", "/no/such/folder"], ["/no/such/folder does not exist"]),
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "rows.jsonl", [row(1), row(2)])


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_source_that_cannot_be_used_is_named(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make, said = UNUSABLE[name]
    make(tmp_path / name)
    message = refusal(capsys, *prune_words(tmp_path / name, tmp_path / "out"), lines=None)
    assert str(tmp_path / name) in message
    assert said in message
    assert not (tmp_path / "out" / "pruned.jsonl").exists() or name == "no usable row"
    dry = refusal(capsys, *prune_words(tmp_path / name, tmp_path / "dry", "--dry-run"), lines=None)
    assert said.removesuffix("; see") in dry
    assert not (tmp_path / "dry").exists()


def test_a_missing_source_is_noticed_before_the_model_is_loaded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    message = refusal(capsys, *prune_words(tmp_path / "none.jsonl", tmp_path / "out", "--scorer", "hf:/no/model"))
    assert "none.jsonl: there is no such file" in message
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", REJECTED)
def test_a_bad_row_is_rejected_with_its_line_and_the_run_goes_on(name: str, tmp_path: Path) -> None:
    bad, reason, detail = REJECTED[name]
    source = write_rows(tmp_path / "rows.jsonl", [row(1), "", bad, row(2)])
    out = prune(source, tmp_path / "out")
    [rejected] = read_rows(out / "rejected.jsonl")
    assert (rejected["source"], rejected["line"], rejected["reason"]) == (str(source), 3, reason)
    assert detail in rejected["detail"]
    assert [value["id"] for value in read_rows(out / "pruned.jsonl")] == ["r1", "r2"]


def test_rows_without_the_named_columns_are_rejected(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [{"q": "q", "r": "<think>\na\n</think>b"}, {"q": "q", "text": "no r"}])
    out = prune(source, tmp_path / "out", "--columns", "question=q,response=r")
    [rejected] = read_rows(out / "rejected.jsonl")
    assert rejected["reason"] == "missing_column"
    assert "'r'" in rejected["detail"]
    message = refusal(capsys, *prune_words(source, tmp_path / "none", "--columns", "question=q,response=x"), lines=None)
    assert f"no usable row in {source}: 2 rejected (missing_column 2); see {tmp_path / 'none'}/rejected.jsonl" == message


def test_when_all_rows_are_rejected_the_reasons_are_still_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = [value for value, _, _ in REJECTED.values()]
    source, out = write_rows(tmp_path / "rows.jsonl", bad), tmp_path / "out"
    message = refusal(capsys, *prune_words(source, out))
    assert f"{len(bad)} rejected" in message
    assert [value["reason"] for value in read_rows(out / "rejected.jsonl")] == [reason for _, reason, _ in REJECTED.values()]
    assert {path.name for path in out.iterdir()} == FILES
    assert (out / "pruned.jsonl").read_bytes() == b""


def test_when_all_rows_fail_while_they_are_scored_it_ends_with_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [{**row(number), "system": "The template refuses this."} for number in range(3)])
    message = refusal(capsys, *prune_words(source, tmp_path / "out"), lines=None)
    assert "3 rejected (template_failed 3); see" in message
    assert len(read_rows(tmp_path / "out" / "rejected.jsonl")) == 3


def test_rows_with_a_taken_id_are_kept_under_another_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{**row(number), "id": name} for number, name in enumerate(["a", "a", "a#2", "a", "b"])]
    out = prune(write_rows(tmp_path / "rows.jsonl", rows), tmp_path / "out")
    ids = [value["id"] for value in read_rows(out / "pruned.jsonl")]
    assert ids == ["a", "a#2", "a#2#2", "a#3", "b"]
    assert "note     rows whose id was taken: 3; #2, #3, … was appended" in capsys.readouterr().out


def test_zero_bytes_in_a_text_are_kept(tmp_path: Path) -> None:
    odd = {"id": "n\x00", "question": "\x00", "cot": "a\x00b\n\n\x00\n\nlast", "answer": "\x00."}
    out = prune(
        write_rows(tmp_path / "rows.jsonl", [odd, {**odd, "answer": "other"}]), tmp_path / "out", "--ratio", "1.0", "--coarse", "none"
    )
    first, second = read_rows(out / "pruned.jsonl")
    assert {name: first[name] for name in odd} == odd
    assert second["id"] == "n\x00#2"


def test_of_a_step_of_ten_megabytes_only_the_start_is_read(tmp_path: Path) -> None:
    huge = {"id": "huge", "question": "q", "cot": "first step\n\n" + " numbers" * 1_310_720, "answer": "a"}
    source = write_rows(tmp_path / "rows.jsonl", [huge])
    out = prune(source, tmp_path / "out", "--budget", "50", "--coarse", "none", "--scores", "own")
    [decision] = read_decisions(out)
    assert decision["tokens_before"] > 1_000_000
    assert decision["windows"] == 1  # of the model's 2,048 tokens; all of it would take more than a thousand
    assert sum(step["kept"] for step in decision["steps"]) == 1


@pytest.mark.parametrize("name", USAGE)
def test_an_impossible_wish_is_refused_before_anything_is_done(
    name: str, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options, named = USAGE[name]
    message = refusal(capsys, *prune_words(source, tmp_path / "out", *options))
    assert [part for part in named if part not in message] == [], message
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["prune"], "SOURCE"),
        (["prune", "rows.jsonl"], "--out is missing"),
        (["prune", "rows.jsonl", "--out"], "--out"),
        (["cut", "out"], "--out"),
        (["frobnicate"], 'Unknown command "frobnicate"'),
        (["--frobnicate"], "--frobnicate"),
    ],
)
def test_an_incomplete_command_is_refused(
    words: list[str], named: str, source: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(source.parent)
    assert named in refusal(capsys, *words)


def damaged_model(folder: Path, kind: str) -> Path:
    shutil.copytree(model_folder(), folder)
    if kind == "no config":
        (folder / "config.json").unlink()
    elif kind == "config is not JSON":
        (folder / "config.json").write_text("{")
    elif kind == "unknown architecture":
        (folder / "config.json").write_text('{"model_type": "nothing-known"}')
    elif kind == "truncated weights":
        data = (folder / "model.safetensors").read_bytes()
        (folder / "model.safetensors").write_bytes(data[: len(data) // 2])
    elif kind == "no weights":
        (folder / "model.safetensors").unlink()
    elif kind == "no tokenizer":
        for file in folder.glob("*token*"):
            file.unlink()
    elif kind == "tokenizer is not JSON":
        (folder / "tokenizer.json").write_text("{")
    return folder


@pytest.mark.parametrize(
    "kind",
    ["no config", "config is not JSON", "unknown architecture", "truncated weights", "no weights", "no tokenizer", "tokenizer is not JSON"],
)
def test_a_damaged_model_folder_is_refused(kind: str, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = damaged_model(tmp_path / "model", kind)
    assert str(folder) in refusal(capsys, *prune_words(source, tmp_path / "out", "--scorer", f"hf:{folder}"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["bert", "t5"])
def test_a_model_that_is_not_causal_is_refused(kind: str, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, tokens = tmp_path / kind, tokenizer()
    tokens.save_pretrained(folder)
    size = {"vocab_size": len(tokens), "num_hidden_layers": 1}
    if kind == "bert":
        BertModel(BertConfig(**size, hidden_size=16, intermediate_size=16, num_attention_heads=1)).save_pretrained(folder)
    else:
        T5ForConditionalGeneration(T5Config(**size, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=1)).save_pretrained(folder)
    message = refusal(capsys, *prune_words(source, tmp_path / "out", "--scorer", f"hf:{folder}"))
    assert str(folder) in message
    assert "causal language model" in message


def test_a_device_that_is_not_there_is_refused(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    device = "mps" if torch.cuda.is_available() else "cuda"
    assert device in refusal(capsys, *prune_words(source, tmp_path / "out", "--device", device))


def test_chat_context_needs_a_template(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path(shutil.copytree(model_folder(), tmp_path / "model"))
    for file in folder.glob("*template*"):
        file.unlink()
    assert load_tokens(f"hf:{folder}").hf.chat_template is None
    words = prune_words(source, tmp_path / "out", "--scorer", f"hf:{folder}")
    assert "use --context raw" in refusal(capsys, *words, "--context", "chat", lines=None)
    assert run(words) == 0


@pytest.mark.parametrize("kind", ["a file", "below a file", "in /proc"])
def test_an_output_folder_that_cannot_be_written_is_refused(
    kind: str, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine")
    out = {"a file": tmp_path / "file", "below a file": tmp_path / "file" / "out", "in /proc": Path("/proc/asap-out")}[kind]
    message = refusal(capsys, *prune_words(source, out))
    assert message.startswith(f"output folder {out} cannot be written (")
    assert message.endswith("choose another --out")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="ROOT MAY WRITE EVERYWHERE: a read-only folder was not tested by permissions")
def test_a_read_only_output_folder_is_refused(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").mkdir(mode=0o500)
    assert "cannot be written (Permission denied)" in refusal(capsys, *prune_words(source, tmp_path / "out"))


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Mounts a tmpfs of a size, or mounts it again with other options; skips where that is not allowed."""
    folder = tmp_path / "mounted"
    folder.mkdir()
    mounted = []

    def mounting(options: str) -> Path:
        if mounted:
            options = f"remount,{options}"
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"MOUNTING IS NOT PERMITTED HERE, so a full or read-only disk was not tested: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    yield mounting
    if mounted:
        subprocess.run(["umount", folder], check=True)


def test_a_read_only_file_system_is_refused(source: Path, mount: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    folder = mount("size=1m")
    (folder / "out").mkdir()
    mount("ro")
    for out in (folder / "out", folder / "new"):
        assert "cannot be written (" in refusal(capsys, *prune_words(source, out))


def test_a_finished_run_on_a_read_only_file_system_is_read(source: Path, tmp_path: Path, mount: Callable[..., Path]) -> None:
    folder = mount("size=4m")
    base, page = prune(source, folder / "a b?#%20é"), str(tmp_path / "page.html")
    mount("ro")
    assert run(["cut", str(base), "--ratio", "0.3", "--out", str(tmp_path / "cut")]) == 0
    for read in (base, tmp_path / "cut"):
        assert run(["review", str(read), "--out", page]) == 0
    same_output(prune(source, tmp_path / "fresh", "--ratio", "0.3"), tmp_path / "cut")


@pytest.mark.parametrize("size", ["40k", "120k"])
def test_a_full_disk_loses_nothing(size: str, tmp_path: Path, mount: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [row(number, steps=20) for number in range(30)])
    out = mount(f"size={size}") / "out"
    message = refusal(capsys, *prune_words(source, out), lines=None)
    assert str(out) in message
    assert "full" in message or "No space left on device" in message
    assert not list(out.glob(".*.tmp"))
    assert not (out / "manifest.json").exists()
    mount("size=8m")
    prune(source, out)
    same_output(out, prune(source, tmp_path / "fresh"))


def test_a_file_size_limit_is_told_in_a_sentence(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [row(number) for number in range(30)])
    finished = prune(source, tmp_path / "finished")
    code = (
        "import resource, sys; from asap.cli import run; "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (34_000, 34_000)); sys.exit(run(sys.argv[1:]))"
    )
    assert resource.RLIM_INFINITY in resource.getrlimit(resource.RLIMIT_FSIZE)
    words = ["cut", str(finished), "--budget", "20", "--out", str(tmp_path / "cut")]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("asap: ")
    assert done.stderr.count("\n") == 1
    assert str(tmp_path / "cut") in done.stderr
    assert run(words) == 0


@pytest.mark.parametrize("kind", ["not a database", "first page", "in the middle", "a row"])
def test_a_damaged_store_is_told_and_can_be_moved_away(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [row(number, steps=20) for number in range(20)])
    out = prune(source, tmp_path / "out")
    file = out / "work.sqlite"
    data = bytearray(file.read_bytes())
    if kind == "not a database":
        file.write_bytes(b"something else entirely" * 1000)
    elif kind == "first page":
        file.write_bytes(data[:100] + bytes(4000) + data[4100:])
    elif kind == "in the middle":
        file.write_bytes(data[:4096] + bytes(len(data) - 4096))
    else:
        with Store.open(out) as store:
            store._db.execute("UPDATE decisions SET body = SUBSTR(body, 1, 40) WHERE digest = (SELECT MIN(digest) FROM decisions)")
    for words in (prune_words(source, out), ["cut", str(out), "--budget", "9", "--out", str(tmp_path / "cut")]):
        message = refusal(capsys, *words, lines=None)
        assert f"{file} is damaged (" in message
        assert message.endswith("move it away to start over")
    file.unlink()
    same_output(prune(source, out), prune(source, tmp_path / "fresh"))


def test_a_store_of_another_program_is_refused(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import sqlite3

    (tmp_path / "out").mkdir()
    connection = sqlite3.connect(tmp_path / "out" / "work.sqlite")
    connection.execute("CREATE TABLE input (something TEXT)")
    connection.commit()
    connection.close()
    assert "work.sqlite is damaged, or not a file of asap; move it away" in refusal(capsys, *prune_words(source, tmp_path / "out"))


def test_a_hub_that_cannot_be_reached_is_told_without_waiting(source: Path, tmp_path: Path) -> None:
    """In a process of its own: the Hub's address is read when its library is imported, which alone would try for 23 s and more."""
    words = [prune_words(source, tmp_path / "out", "--scorer", "hf:nobody/nothing"), prune_words("nobody/nothing", tmp_path / "out")]
    environment = {**os.environ, "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path)}
    environment.pop("HF_HUB_OFFLINE", None)
    code = (
        "import time; waits = []; time.sleep = waits.append\n"
        "import json, sys; from asap.cli import run; codes = [run(words) for words in json.loads(sys.argv[1])]; print(codes, waits)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(words)], capture_output=True, text=True, env=environment, cwd=tmp_path, check=True
    )
    assert done.stdout == "[2, 2] []\n"
    said = done.stderr.splitlines()
    assert len(said) == 2
    assert all(line.startswith("asap: ") and "nobody/nothing" in line and "cannot be reached" in line for line in said)
