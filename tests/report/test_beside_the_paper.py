"""The paper's figures beside ours: of which table, model and budget they are, on how many problems, and what is otherwise here."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asap.cli import run
from asap.report.paper import PROBLEMS, cells_beside, figure_at, paper_figures

Scored = Callable[..., Path]
QWEN, LLAMA = "DeepSeek-R1-Distill-Qwen-7B", "DeepSeek-R1-Distill-Llama-8B"
LARGEST = f"arXiv 2508.05988v2, Table 15: {QWEN} with at most 6,144 tokens"


def as_gsm8k(folder: Path, *, model: str | None = None, tokens: int | None = None, budgets: tuple[int, ...] = ()) -> Path:
    """Let a run be one of GSM8K, by a model and with a budget."""
    for name in ("verdicts.jsonl", "summary.json"):
        (folder / name).write_text((folder / name).read_text().replace("maths:sums.jsonl", "gsm8k"))
    summary = json.loads((folder / "summary.json").read_text())
    summary["settings"] |= {"max_new_tokens": tokens, **({"model": {"spec": model}} if model else {})}
    rows = [{"budget": budget, "pass@1": 0.25, "interval": [0.1, 0.5], "tokens_mean": budget / 2} for budget in budgets]
    summary["benchmarks"][0]["budgets"] = rows
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder


@pytest.fixture(scope="module")
def unknown(scored: Scored) -> Path:
    return as_gsm8k(scored("own-unknown", range(6)))


@pytest.fixture(scope="module")
def llama(scored: Scored) -> Path:
    return as_gsm8k(scored("own-llama", range(9)), model=f"hf:deepseek-ai/{LLAMA}", tokens=2048, budgets=(1024,))


def texts_of(out: Path, *words: object) -> dict[str, str]:
    assert run(["report", *map(str, words), "--out", str(out)]) == 0
    return {path.suffix: path.read_text() for path in out.iterdir()}


def test_every_figure_is_on_a_benchmark_whose_size_is_known() -> None:
    tables = "table1,table2,table4,figure3," + ",".join(f"table{number}" for number in range(6, 19))
    assert {figure.benchmark for figure in paper_figures(tables)} == {*PROBLEMS}


def test_a_budget_or_model_that_is_not_known_is_said(unknown: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = texts_of(tmp_path, f"original={unknown}", "--paper", "table15")
    said = (
        f"gsm8k: the paper's figures are those of {LARGEST} (original). Here it is otherwise: a model that is not known to be this one "
        "(original); a budget that is not known (original); 12 of the 1,319 problems (original)."
    )
    assert said in capsys.readouterr().out
    assert f"- {said}\n" in texts[".md"].partition("## Outcomes")[0]
    assert [line for line in texts[".tex"].splitlines() if ": Results." in line and said in line]
    assert said in json.loads(texts[".json"])["said_of_results"]
    [row] = csv.DictReader(texts[".csv"].splitlines())
    told = {name: row[name] for name in ("problems", "budget", "paper_model", "paper_budget", "paper_problems", "paper_source")}
    assert told == {
        "problems": "12",
        "budget": "",
        "paper_model": QWEN,
        "paper_budget": "6144",
        "paper_problems": "1319",
        "paper_source": "arXiv 2508.05988v2, Table 15",
    }


@pytest.mark.parametrize("tables", ["table3", "Table 3", "TABLE3, table15"])
def test_what_the_paper_says_of_training_is_said(unknown: Path, tmp_path: Path, tables: str) -> None:
    texts = texts_of(tmp_path, f"original={unknown}", "--paper", tables)
    assert "ASAP's training takes 75.6 % fewer tokens a sample" in texts[".md"]


def test_the_page_says_it_too(visit: Callable[..., Any], unknown: Path, tmp_path: Path) -> None:
    texts_of(tmp_path, f"original={unknown}", "--paper", "table15")
    told = visit(tmp_path / "report.html").get_by_role("region", name="Results").inner_text()
    assert f"those of {LARGEST} (original). Here it is otherwise: a model that is not known" in told
    assert "[object" not in told


@pytest.mark.parametrize("tables", ["table15,table10", "table10,table15"])
def test_the_model_of_a_run_chooses_and_else_the_table_that_is_named_first(unknown: Path, llama: Path, tmp_path: Path, tables: str) -> None:
    texts = texts_of(tmp_path, f"original={unknown}", f"asap={llama}", "--paper", tables)
    of = f"arXiv 2508.05988v2, Table 10: {LLAMA} with at most 2,048 tokens"
    places, other = (f"{LARGEST} (original); {of} (asap)", LLAMA) if tables.startswith("table15") else (f"{of} (original, asap)", QWEN)
    assert json.loads(texts[".json"])["said_of_results"] == [
        f"gsm8k: the paper's figures are those of {places}. Here it is otherwise: a model that is not known to be this one, nor {other}, "
        "whose table was not named first (original); a budget that is not known (original); 12 of the 1,319 problems (original, asap)."
    ]


def test_the_same_model_budget_and_problems_need_no_more_words() -> None:
    found = paper_figures("table15,table10")
    assert {figure.model for figure in cells_beside(found, "gsm8k", "asap", [f"openai:{LLAMA.lower()}"])} == {LLAMA}
    assert figure_at(cells_beside(found, "gsm8k", "asap", [QWEN]), 1024).budget == 1024  # type: ignore[union-attr]
    assert cells_beside(found, "gsm8k", "mine", [QWEN]) == []
    twice = cells_beside(paper_figures("table11,table1"), "humaneval+", "asap", [QWEN])
    assert sorted(figure.budget for figure in twice) == [1024, 2048, 4096, 6144]
    assert {figure.table for figure in twice} == {"table11"}  # named first


def test_budgets_are_those_of_one_model_of_the_paper(llama: Path, tmp_path: Path) -> None:
    texts = texts_of(tmp_path, f"asap={llama}", "--paper", "table15,table10")
    assert "the paper" not in texts[".md"].partition("by token budget")[2].partition("## Outcomes")[0]  # Llama's has no 1,024 there
    texts = texts_of(tmp_path, f"asap={llama}", "--paper", "table15")
    assert f"asap, the paper (arXiv 2508.05988v2, Table 15: {QWEN})" in texts[".md"]
    [smaller] = [row for row in csv.DictReader(texts[".csv"].splitlines()) if row["budget"] == "1024"]
    published = figure_at(cells_beside(paper_figures("table15"), "gsm8k", "asap", []), 1024)
    assert published is not None
    assert (smaller["paper_budget"], float(smaller["paper_accuracy"])) == ("1024", published.accuracy)


def test_numbers_of_problems_stand_beside_and_unequal_ones_are_not_ranked(scored: Scored, unknown: Path, tmp_path: Path) -> None:
    lone = as_gsm8k(scored("own-lone", range(12)))
    rows = (lone / "verdicts.jsonl").read_text().splitlines()
    (lone / "verdicts.jsonl").write_text(rows[0] + "\n")
    texts = texts_of(tmp_path / "one", f"original={unknown}", f"lone={lone}", "--paper", "table15")
    results = texts[".md"].partition("## Against")[0]
    assert "| original | 12 | 50.00 |" in results
    assert "| original, the paper | 1,319 | 91.05 |" in results
    assert "| lone | 1 | 100.00 |" in results
    assert "Best and second are not marked on gsm8k: the arms do not have the same problems there." in results
    assert r"\textbf" not in texts[".tex"]
    (lone / "verdicts.jsonl").write_text("\n".join([*rows, ""]).replace('"sum/0"', '"sum/other"'))  # as many, but others
    results = texts_of(tmp_path / "others", f"original={unknown}", f"lone={lone}")[".md"].partition("## Against")[0]
    assert "**" not in results.replace("**Figures of a model whose size is not known.**", "")
    assert "are not marked on gsm8k" in results


def test_one_shared_problem_is_said_in_words(scored: Scored, tmp_path: Path) -> None:
    base, lone = scored("base", range(6)), scored("own-single", [0], problems=12)
    rows = (lone / "verdicts.jsonl").read_text().splitlines()
    (lone / "verdicts.jsonl").write_text(rows[0] + "\n")
    for number, words in enumerate(([f"lone={lone}"], [f"lone={lone}", f"lone={scored('better', range(2, 12))}"])):
        texts = texts_of(tmp_path / str(number), f"base={base}", *words)
        assert texts[".md"].count("| none: one problem |") == 2  # of Pass@1, of tokens
        assert "| not known |" in texts[".md"]
        for kind in (".md", ".tex", ".csv", ".json"):
            assert "inf" not in texts[kind].replace("infra", ""), kind


def test_a_benchmark_is_named_once(scored: Scored, tmp_path: Path) -> None:
    base, broken = scored("base", range(6)), scored("own-broken", range(6))
    rows = [json.loads(line) for line in (broken / "verdicts.jsonl").read_text().splitlines()]
    (broken / "verdicts.jsonl").write_text("".join(json.dumps({**row, "verdict": "infra"}) + "\n" for row in rows))
    said = json.loads(texts_of(tmp_path, f"base={base}", f"broken={broken}")[".json"])["said"]
    [text] = [text for text in said if "is not compared" in text]
    assert text == (
        "broken is not compared with base on maths:sums.jsonl: none of the 12 problems that both runs answer could be judged in both"
    )


def test_curves_and_bars_are_drawn(visit: Callable[..., Any], scored: Scored, tmp_path: Path) -> None:
    """Two runs with budgets: a curve each with a point for each budget and the whole one, the paper's curves, and a bar for each arm."""
    words = list[str]()
    for name, right, budgets in (("asap", range(9), (1024, 2048)), ("asap-fine", range(5), (1024,)), ("original", range(7), ())):
        folder = as_gsm8k(scored(f"own-drawn-{name}", right), tokens=4096, budgets=budgets)
        words.append(f"{name}={folder}")
    texts_of(tmp_path, *words, "--paper", "table15")
    page = visit(tmp_path / "report.html", height=4000)
    curves = page.locator("figure", has_text="by token budget")
    assert curves.count() == 1
    points = curves.locator("path.line:not(.paper)").evaluate_all("all => all.map(line => line.getAttribute('d').split('L').length)")
    assert points == [3, 2]  # original has one budget, which is no curve
    assert curves.locator("g .mark").count() == 5
    assert curves.locator("g .whisker").count() == 5
    published = curves.locator("path.line.paper").evaluate_all("all => all.map(line => line.getAttribute('d').split('L').length)")
    found = [len(cells_beside(paper_figures("table15"), "gsm8k", name, [])) for name in ("asap", "asap-fine", "original")]
    assert published == [count for count in found if count > 1]
    assert curves.locator(".mark.hollow").count() == sum(published)
    bars = page.get_by_role("region", name="With and without the stages").locator("svg.bars")
    assert bars.count() == 1
    assert bars.locator("text.name").all_text_contents() == ["asap", "asap-fine", "original"]
    widths = [float(width) for width in bars.locator("rect.bar").evaluate_all("all => all.map(bar => bar.getAttribute('width'))")]
    assert widths == pytest.approx([widths[0], widths[0] * 5 / 9, widths[0] * 7 / 9])
    assert bars.locator(".published").count() == sum(count > 0 for count in found)
