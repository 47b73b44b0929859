import json
from pathlib import Path

import pytest
from train_helpers import model_folder, row, train_words, write_rows

from asap.atomic import alone_in
from asap.cli import run


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "rows.jsonl", [row(number, lines=1 + 4 * (number == 2)) for number in range(4)])


def refusal(capsys: pytest.CaptureFixture[str], words: list[str]) -> str:
    """The one sentence with which a command is refused."""
    capsys.readouterr()
    code = run(words)
    [message] = [line for line in capsys.readouterr().err.splitlines() if line.startswith("asap: ")]
    assert code == 2, message
    assert "internal error" not in message
    return message


def test_a_row_that_is_too_long_stops_the_run_before_it_starts(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refusal(capsys, train_words(source, tmp_path / "out", changes=("max_length=80",)))
    assert "1 of 4 rows are longer than 80 tokens (the longest, 'r2', has " in said
    for remedy in ("asap cut FOLDER --budget", "--drop-long", "--set max_length="):
        assert remedy in said
    assert not (tmp_path / "out").exists()


def test_long_rows_are_dropped_only_when_asked(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    words = train_words(source, out, "--drop-long", changes=("max_length=80", "max_steps=1", "effective_batch_size=1"))
    assert run(words) == 0
    assert "rows longer than max_length, left out: 1" in capsys.readouterr().err
    assert [json.loads(line)["id"] for line in (out / "rows.jsonl").read_text().splitlines()] == ["r0", "r1", "r3"]
    assert json.loads((out / "manifest.json").read_text())["counts"]["dropped_long"] == 1


def test_every_row_that_is_left_out_or_rewritten_is_noted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is dropped in silence: each reason has its line and its number, and without a reason there is none."""
    rows = [{**row(number), "topic": "sums" if number else "other"} for number in range(5)]
    rows[1]["cot"] = f"cafe\u0301 {rows[1]['cot']}"
    source = write_rows(tmp_path / "rows.jsonl", [*rows, {"id": "bad", "topic": "sums"}])
    ids = write_rows(tmp_path / "ids.jsonl", rows[1:4])
    capsys.readouterr()
    words = train_words(source, tmp_path / "out", "--where", "topic=sums", "--ids-from", str(ids), "--emit-config", "trl")
    assert run(words) == 0
    assert [line.removeprefix("note: ") for line in capsys.readouterr().err.splitlines() if line.startswith("note: ")] == [
        "rows that cannot be used, see rejected.jsonl: 1",
        "rows that do not meet --where, left out: 1",
        "rows not among the ids of --ids-from, left out: 1",
        "rows with characters that the tokenizer rewrites (Unicode NFC): 1",
    ]
    assert run(train_words(write_rows(tmp_path / "good.jsonl", [row(7)]), tmp_path / "none", "--emit-config", "trl")) == 0
    assert "note: " not in capsys.readouterr().err


def test_the_budget_that_is_proposed_is_enough(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from asap.lm.specs import load_tokens

    said = refusal(capsys, train_words(source, tmp_path / "out", changes=("max_length=80",)))
    budget = int(said.split("--budget ")[1].split(")")[0])
    tokens, rows = load_tokens(f"hf:{model_folder('qwen')}"), [json.loads(line) for line in source.read_text().splitlines()]
    while tokens.count(rows[2]["cot"]) > budget:
        rows[2]["cot"] = rows[2]["cot"].rsplit(" ", 1)[0]
    write_rows(source, rows)
    assert run(train_words(source, tmp_path / "out", changes=("max_length=80", "max_steps=1", "effective_batch_size=1"))) == 0


def test_arms_have_the_same_ids_in_the_same_order(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changes = ("max_length=80", "max_steps=1", "effective_batch_size=1")
    first, second = tmp_path / "first", tmp_path / "second"
    assert run(train_words(source, first, "--drop-long", changes=changes)) == 0
    shorter = write_rows(tmp_path / "half.jsonl", [row(number, lines=1) for number in (3, 2, 1, 0)])
    assert run(train_words(shorter, second, "--ids-from", str(first), changes=changes)) == 0
    ids = [[json.loads(line)["id"] for line in (out / "rows.jsonl").read_text().splitlines()] for out in (first, second)]
    assert ids[0] == ids[1] == ["r0", "r1", "r3"]

    lacking = write_rows(tmp_path / "lacking.jsonl", [row(0, lines=1)])
    said = refusal(capsys, train_words(lacking, tmp_path / "third", "--ids-from", str(first), changes=changes))
    assert "lack 2 of its ids, such as 'r1', 'r3'" in said
    said = refusal(capsys, train_words(source, tmp_path / "third", "--ids-from", str(source), "--drop-long", changes=changes))
    assert "none can be left out" in said


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--set", "learning_rat=1"], "there is no setting 'learning_rat'; did you mean learning_rate?"),
        (["--set", "learning_rate=fast"], "learning_rate is 'fast'; a number above 0 is expected"),
        (["--set", "learning_rate=.nan"], "learning_rate is nan; a number above 0 is expected"),
        (["--set", "learning_rate=1e400"], "learning_rate is inf; a number above 0 is expected"),
        (["--set", "max_length=.inf"], "max_length is inf; a whole number of 1 or more is expected"),
        (["--set", "save_steps=1e400"], "save_steps is inf; a whole number of 1 or more is expected"),
        (["--set", "seed=-.inf"], "seed is -inf; a whole number from 0 to 4294967295 is expected"),
        (["--set", "seed=1.5"], "seed is 1.5; a whole number from 0 to 4294967295 is expected"),
        (["--set", "max_length=0"], "max_length is 0; a whole number of 1 or more is expected"),
        (["--set", "use_peft=perhaps"], "use_peft is 'perhaps'; true or false is expected"),
        (["--set", "bf16=maybe"], "bf16 is 'maybe'; one of true, false, auto is expected"),
        (["--set", "learning_rate"], "--set is 'learning_rate'; write key=value"),
        (["--set", "label_smoothing_factor=0.1"], "label_smoothing_factor cannot be set: the loss is that of Eq. 3"),
        (["--set", "truncation_mode=keep_start"], "truncation_mode cannot be set: rows are rendered, checked and never cut"),
        (["--set", "gradient_accumulation_steps=2"], "it follows from effective_batch_size"),
        (["--set", "effective_batch_size=3", "--set", "per_device_train_batch_size=2"], "not a multiple of the 2 rows"),
        (["--set", "lr_scheduler_type=zigzag"], "lr_scheduler_type is 'zigzag'; one of constant, constant_with_warmup, cosine"),
        (["--set", "bf16=true", "--set", "fp16=true"], "the trainer refuses these settings"),
        (["--recipe", "paper"], "choose from laptop, paper-llama-8b, paper-qwen-7b, or give a .yaml file"),
        (["--recipe", "gone.yaml"], "recipe gone.yaml cannot be read"),
        (["--launch", "gone"], "there is no launch config 'gone'; choose from 1x24gb, 1x80gb, 8x80gb"),
        (["--mask-pruned"], "--mask-pruned needs an output folder of asap prune"),
        (["--limit", "0"], "--limit is 0; 1 or more is expected"),
        (["--ids-from", "gone.jsonl"], "there is no such file or folder"),
    ],
)
def test_wrong_options_are_one_sentence(
    options: list[str], expected: str, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert expected in refusal(capsys, train_words(source, tmp_path / "out", *options))
    assert not (tmp_path / "out" / "steps.jsonl").exists()


def test_a_folder_of_another_run_is_not_continued(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert run(train_words(source, out, changes=("max_steps=1",))) == 0
    said = refusal(capsys, train_words(source, out, changes=("max_steps=1", "learning_rate=1e-3")))
    assert "holds a training run with other settings: values.learning_rate is 0.0002 there and 0.001 here; choose another --out" in said
    write_rows(source, [row(9)])
    assert "rows_hash is" in refusal(capsys, train_words(source, out, changes=("max_steps=1",)))


def test_a_folder_with_something_else_is_left_alone(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "config.json").write_text("{}")
    assert "holds config.json, which asap did not write" in refusal(capsys, train_words(source, tmp_path / "out"))


def test_no_usable_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [{"question": "?", "response": "no thoughts"}])
    assert "no usable row" in refusal(capsys, train_words(source, tmp_path / "out"))


def test_a_tokenizer_without_eos_is_refused(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import shutil

    folder = shutil.copytree(model_folder("qwen"), tmp_path / "model")
    config = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
    (folder / "tokenizer_config.json").write_text(json.dumps({**config, "eos_token": None}), "utf-8")
    assert "names no eos_token" in refusal(capsys, train_words(source, tmp_path / "out", model=f"hf:{folder}"))


def test_a_loss_that_is_no_number_stops_the_run(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changes = ("learning_rate=1e30", "warmup_steps=0", "lr_scheduler_type=constant", "effective_batch_size=1", "optim=sgd")
    assert "lower the learning rate" in refusal(capsys, train_words(source, tmp_path / "out", changes=changes))


def test_a_model_that_is_not_there(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "a model behind a server cannot be trained" in refusal(capsys, train_words(source, tmp_path / "out", model="openai:gone"))
    assert "does not exist" in refusal(capsys, train_words(source, tmp_path / "out", model="hf:./gone"))


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json", "adapter_config.json", "vocab.json"])
def test_a_model_of_others_in_the_folder_of_a_run_is_left_alone(
    name: str, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(train_words(source, out, "--max-rejected", "0", changes=("max_steps=1", "bf16=true", "fp16=true"))) == 2  # it only began
    (out / name).write_text("mine")
    said = refusal(capsys, train_words(source, out, changes=("max_steps=1",)))
    assert f"{out / name} is there already, and asap did not write it" in said
    assert (out / name).read_text() == "mine"


@pytest.mark.parametrize("encoded", [False, True])
def test_two_trainings_at_once_do_not_share_a_folder(
    encoded: bool, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = train_words(source, out, changes=("max_steps=1", "effective_batch_size=1"))
    if encoded:
        assert run(words) == 0
        (out / "manifest.json").unlink()
    out.mkdir(exist_ok=True)
    with alone_in(out):
        said = refusal(capsys, words)
    assert said == f"asap: another asap process is working in {out}; wait for it or choose another --out"
    assert run(words) == 0
