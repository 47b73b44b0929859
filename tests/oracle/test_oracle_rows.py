"""The oracle family: answers are what Python prints, labels are what the derivation says, and the surface gives little away."""

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from experiments.oracle.derive import Claim, Reading, claim_of, derived
from experiments.oracle.generate import check, drawn, main, oracle_rows
from experiments.oracle.measure_openers import kind_of, opened
from experiments.oracle.openers import COUNTS, LABELS, SETTINGS, WRITTEN, frequencies
from experiments.oracle.ranking import auc, auc_by_fact
from experiments.oracle.surface import SURFACES, steps_of
from experiments.oracle.trace import STEPS, with_openers

from asap import read_samples, split_steps
from asap.prune.support import target_of

ROWS = 300


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    return [*oracle_rows(ROWS, 7, "r1")]


def program_of(row: dict[str, Any]) -> str:
    return str(row["question"]).partition("```python\n")[2].removesuffix("\n```")


def test_a_fresh_python_prints_every_answer(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    (tmp_path / "all.py").write_text("\n".join([program_of(row) for row in rows]))
    said = subprocess.run([sys.executable, "-I", str(tmp_path / "all.py")], capture_output=True, text=True, check=True).stdout
    assert said.splitlines() == [row["printed"] for row in rows]


def test_the_product_reads_the_rows_with_the_same_steps_and_answer(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    samples = [*read_samples(tmp_path / "rows.jsonl")]
    assert [sample.id for sample in samples] == [row["id"] for row in rows]
    for sample, row in zip(samples, rows, strict=True):
        spans = split_steps(sample.cot)
        assert [sample.cot[span.start : span.end] for span in spans] == steps_of(row)
        assert len(spans) == len(row["labels"]) == len(row["facts"])
        assert target_of(sample).text == f"\\boxed{{{row['printed']}}}"
        assert sample.response == row["response"]


def test_the_necessary_steps_derive_the_answer_and_none_can_go(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        reading = Reading.of(program_of(row))
        necessary = [text for text, label in zip(steps_of(row), row["labels"], strict=True) if label == "necessary"]
        assert derived(reading, necessary) == row["printed"]
        assert all(derived(reading, necessary[:place] + necessary[place + 1 :]) is None for place in range(len(necessary)))


def test_each_fact_has_one_first_statement_and_only_necessary_ones_come_first(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        seen = set[int]()
        for label, fact in zip(row["labels"], row["facts"], strict=True):
            assert (label == "necessary") == (fact is not None and fact not in seen and label != "dead-end")
            assert label != "restated" or fact is None or fact in seen
            seen |= {fact} - {None}


def test_a_wrong_label_is_noticed() -> None:
    program, steps = drawn(random.Random(3))
    texts = with_openers(random.Random(0), steps, "r1")
    check(program, steps, texts)
    idle = next(place for place, step in enumerate(steps) if step.label != "necessary")
    with pytest.raises(ValueError, match="the labels are wrong"):
        check(program, [*steps[:idle], steps[idle]._replace(label="necessary"), *steps[idle + 1 :]], texts)
    first = next(place for place, step in enumerate(steps) if step.label == "necessary")
    with pytest.raises(ValueError, match="the answer does not follow"):
        check(program, [*steps[:first], steps[first]._replace(label="restated"), *steps[first + 1 :]], texts)


def test_traces_have_12_to_30_steps_of_which_half_the_characters_are_necessary(rows: list[dict[str, Any]]) -> None:
    assert all(STEPS[0] <= len(row["labels"]) <= STEPS[1] for row in rows)
    assert {label for row in rows for label in row["labels"]} == {*LABELS}
    steps = [(label, len(text)) for row in rows for label, text in zip(row["labels"], steps_of(row), strict=True)]
    share = sum(length for label, length in steps if label == "necessary") / sum(length for _, length in steps)
    assert 0.4 < share < 0.5  # openers belong to all


def test_length_and_position_give_little_away_where_openers_are_independent() -> None:
    found = [*oracle_rows(ROWS, 8, "independent")]
    for feature in SURFACES.values():
        assert 0.44 < np.mean([auc(feature(steps_of(row)), [label == "necessary" for label in row["labels"]]) for row in found]) < 0.56


def test_settings_differ_in_openers_only(rows: list[dict[str, Any]]) -> None:
    for row, other in zip(rows, oracle_rows(ROWS, 7, "independent"), strict=True):
        assert {**row, "response": "", "setting": ""} == {**other, "response": "", "setting": ""}
        assert [bare(text) for text in steps_of(row)] == [bare(text) for text in steps_of(other)]


def bare(text: str) -> str:
    return next((text.removeprefix(opener) for opener in WRITTEN.values() if opener and text.startswith(opener)), text)


def test_openers_are_drawn_as_they_were_counted(rows: list[dict[str, Any]]) -> None:
    steps = [(label, text) for row in rows for label, text in zip(row["labels"], steps_of(row), strict=True)]
    for label in LABELS:
        texts = [text for one, text in steps if one == label]
        share = np.mean([text.startswith("Wait, ") for text in texts])
        expected = frequencies()[label][[*WRITTEN].index("Wait")] / sum(frequencies()[label])
        assert abs(share - expected) < 0.1
    marked = [text.startswith("Wait, ") for row in oracle_rows(ROWS, 7, "independent") for text in steps_of(row)]
    labels = [label for label, _ in steps]
    shares = [np.mean([mark for mark, one in zip(marked, labels, strict=True) if one == label]) for label in LABELS]
    assert max(shares) - min(shares) < 0.08


def test_the_counts_name_their_command() -> None:
    assert "measure_openers" in json.loads(COUNTS.read_text("utf-8"))["command"]


def test_the_same_seed_gives_the_same_bytes_and_fewer_rows_are_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, count in (("a", 20), ("b", 20), ("c", 5)):
        monkeypatch.setattr(sys, "argv", ["generate", "--rows", str(count), "--seed", "3", "--out", str(tmp_path / name)])
        main()
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").read_bytes().startswith((tmp_path / "c").read_bytes())


@pytest.mark.parametrize(
    ("step", "claim"),
    [
        ("c = 7+5 = 12.", Claim("c", "12")),
        ("So 7+5 = 12 = c.", Claim("c", "12")),
        ("Wait, 9<=22, d = 22+2 = 24.", Claim("d", "24")),
        ("9<=9, 9+6 = 15 = u.", Claim("u", "15")),
        ("But y = [3, 1]+[7] = [3, 1, 7].", Claim("y", "[3, 1, 7]")),
        ("'cat'+'q' = 'catq' = u.", Claim("u", "'catq'")),
        ("h = 5 in line 2.", Claim("h", "5")),
        ("line 4: t = [1, 9, 6].", Claim("t", "[1, 9, 6]")),
        ("c: 12-5 = 7.", None),
        ("Let me see, 12-5 = 7: c.", None),
        ("y: it ends in 7.", None),
    ],
)
def test_what_a_step_claims(step: str, claim: Claim | None) -> None:
    assert claim_of(step) == claim


def test_a_slip_and_a_claim_without_its_operands_derive_nothing() -> None:
    reading = Reading.of("a = 7\nb = a + 1\nfor i in [2, 3]:\n    b = b + i\nif b > a:\n    c = b - a\nelse:\n    c = a + 2\nprint(c)")
    steps = ["b = 7+1 = 8.", "8+2 = 10 = b.", "b = 10+3 = 13.", "13>7, c = 13-7 = 6."]
    assert derived(reading, steps) == "6"
    assert derived(reading, ["b = 7+1 = 9.", *steps]) == "6"
    assert derived(reading, ["b = 7+1 = 9.", *steps[1:]]) is None
    assert all(derived(reading, steps[:place] + steps[place + 1 :]) is None for place in range(4))


def test_auc_by_hand() -> None:
    assert auc([3, 1, 2, 2], [True, False, True, False]) == (1 + 1 + 1 + 0.5) / 4
    assert np.isnan(auc([1, 2], [True, True]))


def test_a_score_that_prefers_the_later_copy_is_not_punished_by_fact() -> None:
    labels, facts = ["necessary", "restated", "necessary", "dead-end", "verification"], [0, 0, 1, 2, None]
    scores = [0.0, 4.0, 3.0, 1.0, 2.0]
    assert auc(scores, [label == "necessary" for label in labels]) == pytest.approx(1 / 3)
    assert auc_by_fact(scores, labels, facts) == 1.0


def test_chance_is_a_half_by_fact() -> None:
    labels, facts = ["necessary", "restated", "necessary", "dead-end", *["verification"] * 4], [0, 0, 1, 2, *[None] * 4]
    draws = np.random.default_rng(0).random((4000, len(labels)))
    assert abs(np.mean([auc_by_fact(scores, labels, facts) for scores in draws]) - 0.5) < 0.02


@pytest.mark.parametrize(
    ("step", "opener", "kind"),
    [
        ("Wait, no, that is wrong.", "Wait", "dead-end"),
        ("Let's check the sample.", "Let", "verification"),
        ("So the problem says n is positive.", "So", "restated"),
        ("def f(x):", "none", "necessary"),
        ("Check", "none", "verification"),
        ("Wait", "Wait", "necessary"),
    ],
)
def test_the_kind_of_an_r1_step_does_not_follow_from_its_opener(step: str, opener: str, kind: str) -> None:
    assert opened(step)[0] == opener
    assert kind_of(opened(step)[1]) == kind


def test_there_are_two_settings() -> None:
    assert SETTINGS == ("independent", "r1")
