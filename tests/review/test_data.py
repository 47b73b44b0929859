"""What is embedded in the page: the right numbers, the same bytes each time, and nothing else."""

import base64
import hashlib
import json
import re
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from review_helpers import decide, sample, write_run

from asap.cli import run
from asap.errors import InputError, UsageError
from asap.review import write_review
from asap.review.data import page_data
from asap.review.folder import FinishedRun
from asap.review.page import REVIEW
from asap.review.traces import Utf16
from asap.sample import Sample
from run_fixtures import prune, read_decisions, refusal, row, write_rows


def made(folder: Path, numbers: range, seed: int = 0) -> Path:
    return write_run(folder, [(sample(number), decide(sample(number), seed)) for number in numbers])


@given(st.text(max_size=30), st.data())
def test_offsets_count_utf16_units(text: str, data: st.DataObject) -> None:
    offset = data.draw(st.integers(0, len(text)))
    assert Utf16(text).of(offset) == len(text[:offset].encode("utf-16-le", "surrogatepass")) // 2


def test_the_index_adds_up_to_the_manifest(tmp_path: Path) -> None:
    out = prune(write_rows(tmp_path / "rows.jsonl", [*(row(number) for number in range(6)), "no JSON"]), tmp_path / "out")
    index = page_data([FinishedRun.open(out)]).overview
    [about], counts = index["runs"], json.loads((out / "manifest.json").read_text("utf-8"))["counts"]
    assert [sum(about[name]) for name in ("before", "coarse", "after", "steps", "gone1", "gone2")] == [
        counts[name] for name in ("tokens_before", "tokens_coarse", "tokens_after", "steps", "steps_coarse", "steps_fine")
    ]
    assert [line["reason"] for line in index["rejected"]] == list(counts["rejected_by"])
    assert index["rejected_total"] == counts["rejected"] == 1
    assert index["traces"]["id"] == [line["id"] for line in read_decisions(out)]


def test_the_series_are_the_tokens_left_in_the_order_of_removal(tmp_path: Path) -> None:
    out = made(tmp_path / "out", range(3))
    data = page_data([FinishedRun.open(out)])
    length = sum(data.overview["runs"][0]["series"])
    left = memoryview(data.series[0])[: 4 * length].cast("I").tolist()
    expected = [
        step["tokens_left"]
        for line in read_decisions(out)
        for step in sorted(line["steps"], key=lambda step: step["rank"])
        if step["removed_by"] != "coarse"
    ]
    assert left == expected


def test_a_cut_of_a_run_is_shown_as_it_was_cut(tmp_path: Path) -> None:
    base = prune(write_rows(tmp_path / "rows.jsonl", [row(number) for number in range(4)]), tmp_path / "base")
    assert run(["cut", str(base), "--budget", "20", "--out", str(tmp_path / "cut")]) == 0
    after = page_data([FinishedRun.open(tmp_path / "cut")]).overview["runs"][0]["after"]
    assert after == [line["tokens_after"] for line in read_decisions(tmp_path / "cut")]


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    out = made(tmp_path / "out", range(5))
    for name in ("one.html", "two.html"):
        write_review(out, tmp_path / name)
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()


def test_above_the_limit_the_same_rows_are_shown_in_any_order(tmp_path: Path) -> None:
    forth = page_data([FinishedRun.open(made(tmp_path / "forth", range(30)))], most=7)
    back = page_data([FinishedRun.open(made(tmp_path / "back", range(29, -1, -1)))], most=7)
    assert (forth.shown, forth.total) == (7, 30)
    assert forth.overview["traces"]["id"] == back.overview["traces"]["id"][::-1]
    fewer = page_data([FinishedRun.open(tmp_path / "forth")], most=3)
    assert set(fewer.overview["traces"]["id"]) < set(forth.overview["traces"]["id"])


def test_two_runs_are_matched_by_content_and_counted_apart(tmp_path: Path) -> None:
    one, two = made(tmp_path / "one", range(6)), made(tmp_path / "two", range(2, 8), seed=1)
    data = page_data([FinishedRun.open(one), FinishedRun.open(two)])
    assert data.overview["traces"]["id"] == [f"row-{number}" for number in range(8)]
    a, b = data.overview["runs"]
    assert [steps < 0 for steps in a["steps"]] == [False] * 6 + [True] * 2
    assert [steps < 0 for steps in b["steps"]] == [True] * 2 + [False] * 6
    kept = [{line["id"]: [step["kept"] for step in line["steps"]] for line in read_decisions(out)} for out in (one, two)]
    common = [f"row-{number}" for number in range(2, 6)]
    assert data.overview["apart"][2:6] == [sum(x != y for x, y in zip(kept[0][name], kept[1][name], strict=True)) for name in common]


def test_spans_inside_steps_are_compared_by_their_characters(tmp_path: Path) -> None:
    text = Sample("a", "q", "one two three\n\nfour five\n\nsix", "answer")
    whole = decide(text, share=0, budget=None)
    inside = {**whole.as_row(), "spans": [(0, 3), (7, 24), (26, 29)], "units": {"lengths": [len(text.cot)], "scores": [None]}}
    one, two = write_run(tmp_path / "one", [(text, whole)]), write_run(tmp_path / "two", [(text, inside)])
    assert page_data([FinishedRun.open(one), FinishedRun.open(two)]).overview["apart"] == [1]


def test_the_page_lets_nothing_in(tmp_path: Path) -> None:
    evil = '</script><script>alert(1)</script><img src="https://example.invalid/x.png">'
    text = Sample(evil, evil, f"{evil}\n\nstep\u2028two\u202e", evil)
    out = write_run(tmp_path / "<b>&run", [(text, decide(text))])
    write_review(out, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "example.invalid" not in page
    assert "<title>&lt;b&gt;&amp;run" in page
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    [style] = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    assert len(scripts) == 1
    [policy] = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    for text_of, name in ((scripts[0], "script-src"), (style, "style-src")):
        digest = base64.b64encode(hashlib.sha256(text_of.encode()).digest()).decode()
        assert f"{name} 'sha256-{digest}'" in policy
    assert set(re.findall(r"https?://[^\s\"'`]*", page)) == {"http://www.w3.org/2000/svg"}
    for block in re.findall(r'<script type="application/octet-stream" id="[a-z0-9-]+">(.*?)</script>', page, re.DOTALL):
        zlib.decompress(base64.b64decode(block, validate=True))


def test_the_script_names_each_thing_once() -> None:
    names = re.findall(r"^(?:async )?(?:function\*?|const|let|class) (\w+)", REVIEW.script(), re.MULTILINE)
    assert len(names) == len(set(names)), sorted(name for name in set(names) if names.count(name) > 1)
    assert not re.search(r"^(import|export) ", REVIEW.script(), re.MULTILINE)


def test_what_cannot_be_shown_is_refused_in_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = str(tmp_path / "page.html")
    assert "there is no folder" in refusal(capsys, "review", str(tmp_path / "nowhere"), "--out", page)
    out = made(tmp_path / "out", range(2))
    (tmp_path / "out" / "manifest.json").rename(tmp_path / "kept")
    assert "unfinished run" in refusal(capsys, "review", str(out), "--out", page)
    (tmp_path / "kept").rename(out / "manifest.json")
    assert "limit is 0" in refusal(capsys, "review", str(out), "--out", page, "--limit", "0")
    assert "is a folder" in refusal(capsys, "review", str(out), "--out", str(tmp_path))
    assert not Path(page).exists()
    with (out / "decisions.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"id": "elsewhere"}\n')
    assert "work.sqlite does not have" in refusal(capsys, "review", str(out), "--out", page)
    with pytest.raises(UsageError, match="limit"):
        write_review(out, Path(page), most=0)
    (out / "decisions.jsonl").write_text("{\n", "utf-8")
    with pytest.raises(InputError, match="not JSON"):
        write_review(out, Path(page))


def test_the_command_says_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = made(tmp_path / "out", range(12))
    assert run(["review", str(out), "--out", str(tmp_path / "a" / "page.html"), "--limit", "5"]) == 0
    assert "5 of 12 traces (see --limit)" in capsys.readouterr().out
    source = write_rows(tmp_path / "refused.jsonl", [row(1), {**row(2), "system": "The template refuses this."}])
    assert run(["review", str(prune(source, tmp_path / "refused")), "--out", str(tmp_path / "page.html")]) == 0
    assert "page.html, 1 traces, " in capsys.readouterr().out


def test_each_module_imports_what_it_uses_and_no_more() -> None:
    """The modules end up in one scope, where a missing import would not be noticed."""
    modules = REVIEW.sources()
    order = list(modules)
    names, line = r"^export (?:async )?(?:function|const) (\w+)", r'^import \{(.*?)\} from "(?:\./|\.\./page/)(.*?)";'
    exported = {found: name for name, text in modules.items() for found in re.findall(names, text, re.M)}
    for name, text in modules.items():
        imported = {word.strip(): source for words, source in re.findall(line, text, re.M) for word in words.split(",")}
        code = re.sub(r"^import .*$", "", text, flags=re.M).replace("...", " ")
        used = {word for word in imported if re.search(rf"(?<![\w.]){word}\b", code)}
        assert used == set(imported), name
        assert all(exported.get(word) == source for word, source in imported.items()), name
        assert order.index(name) >= max((order.index(source) for source in imported.values()), default=0), name
