"""`asap cut --overrule`: what a person decided about steps and rows is in the data, exactly, and is said everywhere."""

import gzip
import re
from pathlib import Path
from typing import Any

import pytest

from agent_rows import ROWS
from asap.cli import run
from asap.prune.decision.overrule import ruling_digest
from asap.prune.settle import settled_by
from asap.recut import tokens_of
from asap.store.work import Store
from run_fixtures import (
    COMPARED,
    manifest_without_seconds,
    prune,
    prune_words,
    read_counts,
    read_decisions,
    read_rows,
    refusal,
    row,
    same_output,
    write_rows,
)


def ruling(folder: Path, row_id: str, **told: Any) -> dict[str, Any]:
    """A ruling on a row, as the page writes it."""
    with Store.reading(folder) as store:
        sample = store.sample(row_id)
        assert sample is not None
        decision = store.decision(sample)
        assert decision is not None
        return {"id": row_id, "digest": ruling_digest(sample, decision), **told}


def write_rulings(path: Path, *rulings: dict[str, Any]) -> str:
    return str(write_rows(path, rulings))


def overrule(folder: Path, out: Path, *rulings: dict[str, Any], options: tuple[str, ...] = ()) -> Path:
    file = write_rulings(out.with_suffix(".rulings"), *rulings)
    assert run(["cut", str(folder), "--overrule", file, "--out", str(out), *options]) == 0
    return out


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    rows = [*(row(number) for number in range(4)), "no JSON", row(10, steps=30)]
    return prune(write_rows(folder / "rows.jsonl", rows), folder / "out", "--ratio", "0.5")


def removed(folder: Path, row_id: str) -> dict[int, str]:
    """Which steps of a row are removed, and by what."""
    [line] = [line for line in read_decisions(folder) if line["id"] == row_id]
    return {step["index"]: step["removed_by"] for step in line["steps"] if not step["kept"]}


def test_steps_and_rows_are_as_a_person_decided_and_all_else_as_it_was(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = removed(finished, "r10")
    kept = [number for number in range(30) if number not in gone]
    back, also = [*gone][:2], kept[0]
    told = [
        ruling(finished, "r10", keep=[*back, kept[1]], remove=[also]),
        ruling(finished, "r1", row="whole"),
        ruling(finished, "r2", row="drop"),
    ]
    out = overrule(finished, tmp_path / "out", *told)
    said = capsys.readouterr().out
    assert "person   a person decided: 2 steps kept, 1 steps removed, 1 rows left whole, 1 rows dropped; nothing else was cut" in said
    assert "rejected: dropped 1" in said
    assert removed(out, "r10") == {**{step: by for step, by in gone.items() if step not in back}, also: "person"}
    before = {line["id"]: line for line in read_rows(finished / "pruned.jsonl")}
    after = {line["id"]: line for line in read_rows(out / "pruned.jsonl")}
    assert [*after] == ["r0", "r1", "r3", "r10"]
    assert after["r1"]["cot"] == row(1)["cot"]
    assert {name: after[name] for name in ("r0", "r3")} == {name: before[name] for name in ("r0", "r3")}
    assert read_rows(out / "rejected.jsonl")[0]["reason"] == "dropped"
    [line] = [line for line in read_decisions(out) if line["id"] == "r10"]
    cut = next(line for line in read_decisions(finished) if line["id"] == "r10")
    assert line["overruled"] == {
        "whole": False,
        "keep": sorted([*back, kept[1]]),
        "remove": [also],
        "coarse": sorted(step for step in back if gone[step] == "coarse"),
        "fine": sorted(step for step in back if gone[step] == "fine"),
        "tokens_cut": cut["tokens_after"],
    }
    assert read_counts(out)["overruled"].items() >= {"rows_dropped": 1, "rows_whole": 1, "steps_kept": 2, "steps_removed": 1}.items()
    assert read_counts(out)["rows"] == read_counts(out)["pruned"] + read_counts(out)["unchanged"] + read_counts(out)["rejected"]
    assert "Beside the method, a person decided: 2 steps kept" in (out / "README.md").read_text("utf-8")
    assert run(["review", str(out), "--out", str(tmp_path / "page.html")]) == 0


def test_the_same_rulings_in_any_order_give_the_same_bytes_also_when_cut_again(finished: Path, tmp_path: Path) -> None:
    told = [ruling(finished, "r10", keep=[2, 1], remove=[5]), ruling(finished, "r1", row="whole")]
    one = overrule(finished, tmp_path / "one", *told)
    before = {name: (one / name).read_bytes() for name in (*COMPARED, "manifest.json")}
    overrule(finished, one, *told)
    assert before == {name: (one / name).read_bytes() for name in before}
    turned = [dict(reversed(line.items())) for line in reversed(told)]
    same_output(one, overrule(finished, tmp_path / "two", *turned, options=("--copy",)))


def test_rulings_stay_at_another_budget_and_by_another_method_until_they_are_taken_back(finished: Path, tmp_path: Path) -> None:
    first = overrule(finished, tmp_path / "first", ruling(finished, "r10", keep=[0], remove=[1]), ruling(finished, "r1", row="drop"))
    for number, options in enumerate((["--ratio", "0.2"], ["--method", "random"])):
        plain, again, direct = (tmp_path / f"{name}{number}" for name in ("plain", "again", "direct"))
        assert run(["cut", str(first), *options, "--out", str(again)]) == 0
        assert run(["cut", str(finished), *options, "--out", str(plain)]) == 0
        assert run(["cut", str(finished), *options, "--overrule", str(first.with_suffix(".rulings")), "--out", str(direct)]) == 0
        same_output(again, direct)
        assert 0 not in removed(again, "r10")
        assert 1 in removed(again, "r10")
        assert {i: by for i, by in removed(again, "r10").items() if i > 1} == {i: by for i, by in removed(plain, "r10").items() if i > 1}
    second = overrule(first, tmp_path / "second", ruling(finished, "r1"), ruling(finished, "r3", row="whole"))
    assert read_counts(second)["overruled"].get("rows_dropped", 0) == 0
    assert read_counts(second)["overruled"]["rows_whole"] == 1
    assert 0 not in removed(second, "r10")
    taken = [ruling(finished, name) for name in ("r1", "r3", "r10")]
    same_output(finished, overrule(second, tmp_path / "none", *taken))


def test_a_row_above_its_budget_is_told_and_no_other_is_cut_further(finished: Path, tmp_path: Path) -> None:
    out = overrule(finished, tmp_path / "out", ruling(finished, "r10", row="whole"), options=("--budget", "20"))
    assert read_counts(out)["overruled"] == {"rows_over_budget": 1, "rows_whole": 1}
    assert run(["cut", str(finished), "--budget", "20", "--out", str(tmp_path / "plain")]) == 0
    assert read_decisions(out)[:4] == read_decisions(tmp_path / "plain")[:4]
    assert "1 of these rows are above their budget" in (out / "README.md").read_text("utf-8")


def test_what_cuts_inside_steps_can_be_left_whole_and_its_steps_cannot_be_ruled_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [row(number) for number in range(2)])
    base = prune(source, tmp_path / "base", "--method", "selective-context", "--unit", "token", "--ratio", "0.5")
    out = overrule(base, tmp_path / "out", ruling(base, "r0", row="whole"))
    assert read_rows(out / "pruned.jsonl")[0]["cot"] == row(0)["cot"]
    assert read_rows(out / "pruned.jsonl")[1] == read_rows(base / "pruned.jsonl")[1]
    assert read_decisions(out)[0]["tokens_after"] == read_decisions(out)[0]["tokens_before"]
    assert run(["review", str(out), "--out", str(tmp_path / "page.html")]) == 0
    file = write_rulings(tmp_path / "steps.jsonl", ruling(base, "r1", keep=[0]))
    said = refusal(capsys, "cut", str(base), "--overrule", file, "--out", str(tmp_path / "none"))
    assert "row 'r1' is cut inside its steps by selective-context, so it can only be left whole or dropped" in said


def test_a_conversation_is_dropped_as_one_row(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [*ROWS.values()])
    base = prune(source, tmp_path / "base", "--context", "raw", "--method", "keep-tail")
    turns = [line["id"] for line in read_decisions(base)]
    name = next(turn for turn in turns if "@" in turn)
    whole = name.rpartition("@")[0]
    out = overrule(base, tmp_path / "out", ruling(base, name, row="drop"))
    assert [line["id"] for line in read_rows(out / "pruned.jsonl")] == [
        line["id"] for line in read_rows(base / "pruned.jsonl") if line["id"] != whole
    ]
    assert {line["id"] for line in read_rows(out / "rejected.jsonl")} == {turn for turn in turns if turn.startswith(f"{whole}@")}


def test_a_run_with_a_support_floor_stays_as_it_was_but_for_the_rulings(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [row(number) for number in range(3)])
    base = prune(source, tmp_path / "base", "--ratio", "0.4", "--support-floor", "0.01")
    out = overrule(base, tmp_path / "out", ruling(base, "r1", row="whole"))
    plain = [line for line in read_decisions(base) if line["id"] != "r1"]
    assert [line for line in read_decisions(out) if line["id"] != "r1"] == plain
    assert run(["review", str(out), "--out", str(tmp_path / "page.html")]) == 0


def test_each_wrong_file_is_refused_in_a_sentence_and_leaves_nothing(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    right = ruling(finished, "r1", keep=[0])
    everything = [*range(len(read_decisions(finished)[1]["steps"]))]
    wrong: dict[str, list[Any]] = {
        ": the file is empty": [],
        "line 2 cannot be read: column 2: Expecting property name": [right, "{"],
        "line 1 cannot be read: the line holds a JSON number; an object is expected; rule on rows on the page": ["1"],
        "'keeep' is unknown; there are id, digest, row, keep, remove": [{**right, "keeep": [1]}],
        "digest is None; a text is expected": [{"id": "r1", "keep": [0]}],
        "row is 'hole'; whole or drop is expected": [{**right, "keep": [], "row": "hole"}],
        "keep is [True]; a list of the steps' indexes": [{**right, "keep": [True]}],
        "row 'r1' cannot be whole with steps to keep or to remove": [{**right, "row": "whole"}],
        "step 0 of row 'r1' is to be kept and to be removed": [{**right, "remove": [0, 1]}],
        "line 1 is about row 'r1' as well": [right, {**right, "keep": [1]}],
        f"{finished} has no row 'r77' that was decided about": [{**right, "id": "r77"}],
        "row 'r2' has another text or other steps": [{**right, "id": "r2"}],
        f"row 'r1' has no step 99: the index of its steps goes from 0 to {everything[-1]}": [{**right, "keep": [99]}],
        "row 'r1' would lose its last step; keep one, or drop the row": [{**right, "keep": [], "remove": everything}],
    }
    for sentence, rows in wrong.items():
        file = write_rulings(tmp_path / "wrong.jsonl", *rows)
        said = refusal(capsys, "cut", str(finished), "--overrule", file, "--out", str(tmp_path / "none"))
        assert said.startswith(file), said
        assert sentence in said
        assert not (tmp_path / "none").exists()
    cut_off = tmp_path / "rulings.jsonl.gz"
    cut_off.write_bytes(gzip.compress(Path(write_rulings(tmp_path / "right.jsonl", right)).read_bytes())[:-12])
    said = refusal(capsys, "cut", str(finished), "--overrule", str(cut_off), "--out", str(tmp_path / "none"))
    assert said.startswith(f"{cut_off}: the compressed data is truncated or corrupt after line")
    missing = refusal(capsys, "cut", str(finished), "--overrule", str(tmp_path / "gone"), "--out", str(tmp_path / "none"))
    assert missing.startswith(f"{tmp_path / 'gone'}: cannot be read (No such file")


def test_a_ruling_is_never_applied_to_other_steps_of_the_same_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{**row(7), "cot": row(7)["cot"].replace("\n\n", "\n", 3)}]
    fenced, lines = (
        prune(write_rows(tmp_path / "few.jsonl", rows), tmp_path / name, "--step-split", name, "--ratio", "0.5")
        for name in ("fenced", "line")
    )
    file = write_rulings(tmp_path / "rulings.jsonl", ruling(fenced, "r7", keep=[0]))
    assert "other steps" in refusal(capsys, "cut", str(lines), "--overrule", file, "--out", str(tmp_path / "none"))


def test_an_overruled_folder_is_not_continued_as_a_run_without_the_rulings(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = overrule(finished, tmp_path / "out", ruling(finished, "r1", row="whole"))
    said = refusal(capsys, *prune_words(finished.parent / "rows.jsonl", out, "--ratio", "0.5"), lines=None)
    assert re.search(r"overrule is [0-9a-f]{64} there and nothing here", said)
    before = manifest_without_seconds(out)
    other = write_rulings(tmp_path / "other.jsonl", ruling(finished, "r2", row="whole"))
    said = refusal(capsys, "cut", str(finished), "--overrule", other, "--out", str(out))
    assert re.search(r"overrule is [0-9a-f]{64} there and [0-9a-f]{64} here", said)
    assert manifest_without_seconds(out) == before


def test_the_digest_is_that_of_the_settled_decision_too(finished: Path) -> None:
    """A page shows the settled decision and a cut checks the stored one: their steps are the same."""
    with Store.reading(finished) as store:
        told = store.fact("settings")
        settle = settled_by(told, lambda: tokens_of(told))
        for entry in store.entries():
            if entry.sample and entry.decision:
                settled = settle(entry.decision, entry.sample)
                assert ruling_digest(entry.sample, settled) == ruling_digest(entry.sample, entry.decision)
