"""The output folder of a whole run keeps what design.md section 5 promises to those who read it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from asap.cli import run
from asap.dataset import read_samples
from asap.dataset.jsonl import opened
from asap.lm.specs import load_tokens
from asap.prune.decision import decision_from_row
from asap.steps import SEPARATOR
from asap.store.work import Store
from run_fixtures import FILES, model_folder, prune, read_decisions, read_rows, row, same_output, tokenizer, write_rows

DECISION = {"coarse", "id", "method", "tokens_before", "tokens_coarse", "tokens_after", "budget", "min_steps", "windows", "steps", "spans"}
STEP = ["index", "start", "end", "tokens", "match", "alignment", "surprisal", "score", "rank", "tokens_left", "kept", "removed_by"]
ODD = "\n\n\n   first\n \t \nsecond  \n\n\n\n\nthird\n\n"
ROWS: list[dict[str, Any] | str] = [
    *(row(number) for number in range(6)),
    {"id": "no think", "question": "q", "response": "just an answer"},
    "this is not JSON",
    {"id": "unclosed", "question": "q", "response": "<think>\nnever closed"},
    {"question": "no id", "cot": row(90)["cot"], "answer": "a"},
    {"id": 7, "question": "q", "response": f"<think>\n{row(91)['cot']}\n</think>\n\na number as its id"},
    {"id": "odd", "question": "odd blank lines", "cot": "x" + ODD + "y", "answer": "a"},
    {"id": "one step", "question": "q", "cot": "only one", "answer": "a"},
    {"id": "r0", "question": "another row with a taken id", "cot": row(92)["cot"], "answer": "a"},
    {"id": "ünï", "question": "q\x00", "cot": "a \u2028 b\x00\n\nc 你好 🙂\n\nd\x85e\n\nsome more words", "answer": "ä"},
]
REASONS = {"no_think": 1, "bad_json": 1, "unclosed_think": 1}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rows(tmp_path_factory.mktemp("source") / "rows.jsonl", ROWS)


@pytest.fixture(scope="module")
def out(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prune(source, tmp_path_factory.mktemp("run") / "out")


@pytest.fixture(scope="module")
def originals(source: Path, out: Path) -> dict[str, str]:
    """The original trace of each row of the output, by the id it got."""
    cots = [sample.cot for sample in read_samples(str(source), on_reject=lambda rejected: None)]
    return dict(zip((decision["id"] for decision in read_decisions(out)), cots, strict=True))


def test_the_folder_holds_the_promised_files_and_nothing_else(out: Path) -> None:
    assert {path.name for path in out.iterdir()} == FILES


def test_rows_have_exactly_the_promised_fields(out: Path) -> None:
    for pruned in read_rows(out / "pruned.jsonl"):
        assert list(pruned) == ["id", "question", "cot", "answer", "messages"]
    for decision in read_rows(out / "decisions.jsonl"):
        assert set(decision) == DECISION
        assert all(list(step) == STEP for step in decision["steps"])
    for rejected in read_rows(out / "rejected.jsonl"):
        assert list(rejected) == ["id", "source", "line", "reason", "detail"]


def test_rows_come_in_input_order_and_none_vanishes(source: Path, out: Path) -> None:
    ids = [pruned["id"] for pruned in read_rows(out / "pruned.jsonl")]
    assert ids == [decision["id"] for decision in read_decisions(out)]
    assert ids[:6] == [f"r{number}" for number in range(6)]
    assert ids[7:] == ["7", "odd", "one step", "r0#2", "ünï"]
    assert len(ids[6]) == 16  # made from the content
    rejected = [(row["id"], row["source"], row["line"], row["reason"]) for row in read_rows(out / "rejected.jsonl")]
    assert rejected == [
        ("no think", str(source), 7, "no_think"),
        (None, str(source), 8, "bad_json"),
        ("unclosed", str(source), 9, "unclosed_think"),
    ]


def test_the_manifest_adds_up(out: Path) -> None:
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    counts, decisions = manifest["counts"], read_decisions(out)
    assert counts["rows"] == len(ROWS) == counts["pruned"] + counts["unchanged"] + counts["rejected"]
    assert counts["pruned"] == sum(not all(step["kept"] for step in decision["steps"]) for decision in decisions)
    assert counts["unchanged"] >= 1
    assert counts["rejected_by"] == dict(sorted(REASONS.items()))
    assert counts["renamed"] == 1
    for name in ("tokens_before", "tokens_coarse", "tokens_after"):
        assert counts[name] == sum(decision[name] for decision in decisions)
    removed = [step["removed_by"] for decision in decisions for step in decision["steps"]]
    assert (counts["steps"], counts["steps_coarse"], counts["steps_fine"]) == (len(removed), removed.count("coarse"), removed.count("fine"))
    assert {"coarse", "fine"} < set(removed)
    for histogram in (counts["histogram_before"], counts["histogram_after"]):
        assert sum(histogram.values()) == len(decisions)
    assert set(manifest) == {"settings", "input_hash", "counts", "llm", "formats", "versions", "seconds"}
    for name in ("scorer", "template_hash", "align_prompt_hash", "tokenizer", "asap", "method"):
        assert manifest["settings"][name], name
    assert set(manifest["settings"]["scorer"]) == {"spec", "model", "revision", "dtype"}


def test_offsets_lead_into_the_original_trace(out: Path, originals: dict[str, str]) -> None:
    for pruned, decision in zip(read_rows(out / "pruned.jsonl"), read_decisions(out), strict=True):
        original, steps = originals[decision["id"]], decision["steps"]
        assert [step["index"] for step in steps] == list(range(len(steps)))
        kept = [original[step["start"] : step["end"]] for step in steps if step["kept"]]
        assert pruned["cot"] == (original if len(kept) == len(steps) else SEPARATOR.join(kept))
        gaps = [0, *(edge for step in steps for edge in (step["start"], step["end"])), len(original)]
        assert all(not original[start:end].strip() for start, end in zip(gaps[::2], gaps[1::2], strict=True))


def test_a_cut_is_a_look_up_in_rank_and_tokens_left(out: Path) -> None:
    for decision in read_decisions(out):
        steps = sorted(decision["steps"], key=lambda step: step["rank"])
        assert [step["rank"] for step in steps] == list(range(len(steps)))
        coarse = [step for step in steps if step["removed_by"] == "coarse"]
        assert steps[: len(coarse)] == coarse
        assert decision["tokens_coarse"] == (coarse[-1]["tokens_left"] if coarse else decision["tokens_before"])
        assert decision["budget"] == max(1, int(decision["tokens_before"] * 0.5))
        gone, tokens = len(coarse), decision["tokens_coarse"]
        while tokens > decision["budget"] and len(steps) - gone > decision["min_steps"]:
            tokens = steps[gone]["tokens_left"]
            gone += 1
        assert decision["tokens_after"] == tokens
        assert [step["kept"] for step in steps] == [False] * gone + [True] * (len(steps) - gone)
        assert [step["removed_by"] for step in steps] == ["coarse"] * len(coarse) + ["fine"] * (gone - len(coarse)) + [None] * (
            len(steps) - gone
        )


def test_tokens_are_real_tokens_of_the_written_trace(out: Path, originals: dict[str, str]) -> None:
    tokens = load_tokens(f"hf:{model_folder()}")
    for pruned, decision in zip(read_rows(out / "pruned.jsonl"), read_decisions(out), strict=True):
        assert decision["tokens_after"] == tokens.count(pruned["cot"])
        assert decision["tokens_before"] == tokens.count(originals[decision["id"]])


def test_budgets_are_counted_with_the_tokenizer_that_is_named(source: Path, tmp_path: Path) -> None:
    tokenizer(270).save_pretrained(tmp_path / "other")
    out = prune(source, tmp_path / "out", "--budget", "40", "--tokenizer", str(tmp_path / "other"))
    tokens = load_tokens(str(tmp_path / "other"))
    decisions = read_decisions(out)
    assert [decision["tokens_after"] for decision in decisions] == [tokens.count(row["cot"]) for row in read_rows(out / "pruned.jsonl")]
    assert any(decision["tokens_after"] <= 40 < decision["tokens_before"] for decision in decisions)


def test_messages_hold_the_trace_in_think_tags(out: Path) -> None:
    for pruned in read_rows(out / "pruned.jsonl"):
        response = f"<think>\n{pruned['cot']}\n</think>\n\n{pruned['answer']}"
        assert pruned["messages"] == [{"role": "user", "content": pruned["question"]}, {"role": "assistant", "content": response}]


def test_where_nothing_is_cut_the_trace_stays_byte_for_byte(source: Path, tmp_path: Path, originals: dict[str, str]) -> None:
    out = prune(source, tmp_path / "out", "--coarse", "none", "--budget", "100000")
    assert [row["cot"] for row in read_rows(out / "pruned.jsonl")] == list(originals.values())
    assert any(ODD in cot for cot in originals.values())
    assert json.loads((out / "manifest.json").read_text("utf-8"))["counts"]["pruned"] == 0


@pytest.mark.parametrize("split", ["fenced", "paper", "line", "sentence"])
def test_stage_one_alone_uses_no_budget(source: Path, tmp_path: Path, split: str) -> None:
    out = prune(source, tmp_path / "out", "--coarse-only", "--step-split", split, "--budget", "1")
    decisions = read_decisions(out)
    assert all(decision["budget"] is None and decision["tokens_after"] == decision["tokens_coarse"] for decision in decisions)
    assert {step["removed_by"] for decision in decisions for step in decision["steps"]} == {None, "coarse"}


def test_training_formats_hold_the_same_rows(source: Path, tmp_path: Path) -> None:
    names = ["trl", "axolotl", "llamafactory", "sharegpt"]
    out = prune(source, tmp_path / "out", *(word for name in (*names, "trl") for word in ("--format", name)))
    expected = [(sample.system, sample.question, sample.cot, sample.answer) for sample in read_samples(str(out / "pruned.jsonl"))]
    for name in names:
        assert [
            (sample.system, sample.question, sample.cot, sample.answer) for sample in read_samples(str(out / f"{name}.jsonl"))
        ] == expected
        assert f"`{name}.jsonl`" in (out / "README.md").read_text("utf-8")
    info = json.loads((out / "dataset_info.json").read_text("utf-8"))
    assert info["llamafactory"]["file_name"] == "llamafactory.jsonl"
    assert set(info["llamafactory"]["columns"].values()) <= set(read_rows(out / "llamafactory.jsonl")[0])
    assert json.loads((out / "manifest.json").read_text("utf-8"))["formats"] == names


def test_a_training_format_never_grows_stale(source: Path, tmp_path: Path) -> None:
    grown = write_rows(tmp_path / "rows.jsonl", ROWS[:3])
    out = prune(grown, tmp_path / "out", "--format", "trl")
    write_rows(grown, ROWS)
    prune(grown, out, "--format", "sharegpt")
    pruned = len(read_rows(out / "pruned.jsonl"))
    assert len(read_rows(out / "trl.jsonl")) == len(read_rows(out / "sharegpt.jsonl")) == pruned == len(ROWS) - len(REASONS)


def test_the_card_is_ready_for_the_hub(out: Path) -> None:
    _, header, body = (out / "README.md").read_text("utf-8").split("---\n", 2)
    card = yaml.safe_load(header)
    assert card["configs"] == [{"config_name": "default", "data_files": "pruned.jsonl"}]
    assert card["license"] == "other"
    assert all(f"| {reason} | {count} |" in body for reason, count in REASONS.items())
    assert "rows.jsonl" in body
    assert f"{len(ROWS)} read = " in body


def test_the_card_names_no_path_of_this_machine(out: Path) -> None:
    text = (out / "README.md").read_text("utf-8")
    assert str(out.parent) not in text
    assert str(model_folder().parent) not in text
    assert str(Path.home()) not in text


def test_no_file_names_a_path_that_was_not_typed(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tiny").symlink_to(model_folder())
    write_rows(Path("rows.jsonl"), ROWS)
    out = prune("rows.jsonl", Path("out"), "--scorer", "hf:tiny", "--format", "trl")
    for file in out.iterdir():
        text = file.read_bytes()
        for place in (tmp_path, model_folder().parent, Path.home(), source.parent):
            assert str(place).encode() not in text, (file, place)


def test_the_same_settings_give_the_same_bytes_in_another_folder(source: Path, out: Path, tmp_path: Path) -> None:
    same_output(out, prune(source, tmp_path / "again"))


def test_decisions_are_rounded_and_without_other_scores_but_exact_in_the_store(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [row(number, steps=60, words=30) for number in range(4)])
    out = prune(source, tmp_path / "out")
    lines = (out / "decisions.jsonl").read_bytes().splitlines()
    with Store.open(out) as store:
        for entry, line in zip(store.entries(), lines, strict=True):
            assert entry.decision is not None
            exact, rounded = entry.decision.cut(ratio=0.5), decision_from_row(json.loads(line))
            assert entry.sample is not None
            assert exact.apply(entry.sample.cot) == rounded.apply(entry.sample.cot)
            for one, other in zip(exact.steps, rounded.steps, strict=True):
                assert other.scores is None
                assert other.surprisal == (None if one.surprisal is None else float(f"{one.surprisal:.6g}"))
                assert replace(one, scores=None, alignment=None, surprisal=None, score=None) == replace(
                    other, alignment=None, surprisal=None, score=None
                )
    again = prune(source, tmp_path / "again", "--all-scores")
    assert "mean-surprisal" in read_decisions(again)[0]["steps"][0]["scores"]
    for name in ("pruned.jsonl", "rejected.jsonl", "README.md"):
        assert (again / name).read_bytes() == (out / name).read_bytes()


def test_decisions_can_be_compressed(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [row(number) for number in range(4)])
    plain = prune(source, tmp_path / "plain")
    out = prune(source, tmp_path / "out")
    for options in (["--zst"], []):  # it stays so
        prune(source, out, *options)
        assert {path.name for path in out.iterdir()} == FILES - {"decisions.jsonl"} | {"decisions.jsonl.zst"}
        with opened(out / "decisions.jsonl.zst") as file:
            assert file.read() == (plain / "decisions.jsonl").read_bytes()
    for folder in (plain, out):
        assert run(["review", str(folder), str(plain), "--out", str(tmp_path / f"{folder.name}.html")]) == 0
    assert run(["cut", str(out), "--ratio", "0.3", "--out", str(tmp_path / "cut"), "--zst"]) == 0
    assert run(["review", str(tmp_path / "cut"), "--out", str(tmp_path / "cut.html")]) == 0
