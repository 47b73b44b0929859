"""Results of maths against gold ones with known verdicts, by both rules, hostile ones among them; math-verify is the real one."""

import gzip
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asap.evaluate import comparer as module
from asap.evaluate.comparer import Comparer
from asap.maths_result import Number, numbers_in, stated_number

needs_math = pytest.mark.skipif(importlib.util.find_spec("math_verify") is None, reason="MATH-VERIFY IS NOT INSTALLED: the extra math")
HERE = [line.split(" ~ ") for line in Path(__file__).with_name("results.txt").read_text("utf-8").splitlines() if " ~ " in line]
DATA = Path(os.environ.get("ASAP_DATA", "/nowhere")) / "benchmarks" / "maths"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="NO MATHS BENCHMARKS under $ASAP_DATA")


@pytest.fixture(scope="module")
def comparer() -> Iterator[Comparer]:
    with Comparer.open(1) as opened:
        yield opened


@needs_math
@pytest.mark.parametrize(("verdict", "gold", "answer"), [(verdict, gold, answer) for rule, verdict, gold, answer in HERE if rule == "math"])
def test_math_verify_gives_the_known_verdict(comparer: Comparer, verdict: str, gold: str, answer: str) -> None:
    assert comparer.compare(gold, answer.replace("⏎", "\n")).verdict == verdict


@pytest.mark.parametrize(
    ("verdict", "gold", "answer"), [(verdict, gold, answer) for rule, verdict, gold, answer in HERE if rule == "gsm8k"]
)
def test_gsm8ks_rule_gives_the_known_verdict(verdict: str, gold: str, answer: str) -> None:
    with Comparer.open(1, ["gsm8k"]) as without_a_process:
        assert without_a_process.compare(gold, answer.replace("⏎", "\n"), "gsm8k").verdict == verdict


def test_an_answer_that_was_cut_off_states_what_is_in_its_box_only() -> None:
    with Comparer.open(1, ["gsm8k"]) as without_a_process:
        assert without_a_process.compare("5", "First 3, then 5", "gsm8k").verdict == "pass"
        found = without_a_process.compare("5", "First 3, then 5", "gsm8k", cut_off=True)
        assert (found.verdict, "budget ran out" in found.detail) == ("no-answer", True)
        assert without_a_process.compare("5", "So \\boxed{5} and th", "gsm8k", cut_off=True).verdict == "pass"
    with Comparer.open(1) as idle:
        assert idle.compare("5", "First 3, then 5", cut_off=True).verdict == "no-answer"
        assert idle.compare("5", "So \\boxed{5} and th", cut_off=True).verdict == "pass"


HOSTILE = {
    "a tower of powers": "9^{9^{9^{9^{9}}}}",
    "a power": "9^{999999999}",
    "nested fractions": "\\frac{1}{" * 1000 + "2" + "}" * 1000,
    "a megabyte of digits": "7" * (1 << 20),
    "a sum without an end in sight": "\\sum_{n=1}^{10^{30}} \\frac{1}{n^n}",
    "factorials of factorials": "9!!!" + "!" * 20,
    "parentheses": "(" * 5000 + "1" + ")" * 5000,
    "deep parentheses": "(" * 100_000 + "1" + ")" * 100_000,
    "a megabyte of braces": "{" * (1 << 19) + "}" * (1 << 19),
    "a binomial": "\\binom{10^9}{5 \\cdot 10^8}",
}


@needs_math
@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_latex_is_never_right_and_holds_up_no_other(comparer: Comparer, name: str) -> None:
    for answer in (f"\\boxed{{{HOSTILE[name]}}}", f"So ${HOSTILE[name]}$"):
        found = comparer.compare("12", answer)
        assert found.verdict in ("infra", "fail", "no-answer")
        assert found.detail
    assert comparer.compare("12", "\\boxed{7+5}").verdict == "pass"


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_latex_is_no_number_of_gsm8k(name: str) -> None:
    with Comparer.open(1, ["gsm8k"]) as without_a_process:
        assert without_a_process.compare("12", f"\\boxed{{{HOSTILE[name]}}}", "gsm8k").verdict == "fail"


@needs_math
def test_a_process_that_takes_too_long_or_dies_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    with Comparer.open(1) as opened:
        with monkeypatch.context() as impatient:
            impatient.setattr(module, "_ANSWER_S", 0.0)
            found = opened.compare("1", "\\boxed{" + "9!" * 40 + "}")
            assert (found.verdict, "in time" in found.detail) == ("infra", True)
        assert opened.compare("2", "\\boxed{1+1}").verdict == "pass"
        assert opened.compare("2", "\\boxed{1+2}").verdict == "fail"
        running = opened._free.get()
        assert running is not None
        running.kill()
        running.wait()
        opened._free.put(running)
        assert opened.compare("2", "\\boxed{1+1}").verdict == "infra"
        assert opened.compare("2", "\\boxed{1+1}").verdict == "pass"


@needs_math
@pytest.mark.slow
def test_a_process_that_reached_a_limit_compares_no_other_answer() -> None:
    with Comparer.open(1) as opened:
        assert opened.compare("2", "\\boxed{1+1}").verdict == "pass"
        assert opened.compare("2", "\\boxed{9^{9^{9^9}}}").verdict == "infra"
        assert opened._free.get() is None
        opened._free.put(None)
        assert opened.compare("2", "\\boxed{1+1}").verdict == "pass"


SCRIPT = """
from asap.evaluate.comparer import Comparer
with Comparer.open(1) as comparer:
    print(comparer.compare("2", r"\\boxed{1+1}").verdict, flush=True)
    print(comparer._free.get().pid, flush=True)
    input()
"""


@needs_math
def test_a_script_without_a_guard_can_compare_and_a_killed_one_leaves_no_process(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT, "utf-8")
    (tmp_path / "json.py").write_text("raise SystemExit('the folder of the script is imported')", "utf-8")
    words = [sys.executable, "-P", str(tmp_path / "script.py")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "pass"
        child = int(process.stdout.readline())
        process.kill()
    for _ in range(600):
        state = Path(f"/proc/{child}/stat")
        if not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.1)
    pytest.fail("the process outlives whoever started it")


@given(
    st.fractions(min_value=-(10**9), max_value=10**9, max_denominator=1000),
    st.sampled_from(["{}", "${}$", "x = {}", "{}\\%", "\\text{{about }}{}"]),
)
def test_a_fraction_is_read_however_it_is_framed(value: Fraction, frame: str) -> None:
    above, below = abs(value.numerator), value.denominator
    sign = "-" if value < 0 else ""
    for text in (f"\\frac{{{above}}}{{{below}}}", f"\\dfrac{{{above:,}}}{{{below}}}", f"{above}/{below}"):
        stated = stated_number("So \\boxed{" + frame.format(sign + text) + "}.")
        assert isinstance(stated, Number)
        assert stated.value == value


@given(
    st.integers(-(10**12), 10**12),
    st.sampled_from([",", "{,}", "\\,", "\\!", ",\\!", "\u2009", "\u202f"]),
    st.sampled_from(["", ".", ".0", ".00"]),
)
def test_a_whole_number_is_read_with_any_separator(value: int, separator: str, end: str) -> None:
    stated = stated_number("Well, 17. \\boxed{" + f"{value:,}".replace(",", separator) + end + "}")
    assert isinstance(stated, Number)
    assert stated.value == value


@given(st.text("0123456789.,/-\\{}frac $%=text\n", max_size=60))
def test_any_text_is_read(text: str) -> None:
    stated_number(text)
    assert all(isinstance(number.value, Fraction) for number in numbers_in(text))


def rows(name: str) -> list[dict[str, str]]:
    with gzip.open(DATA / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@needs_data
def test_gsm8ks_solutions_and_results_state_their_own_gold_result() -> None:
    with Comparer.open(1, ["gsm8k"]) as without_a_process:
        for name in ("gsm8k_test", "gsm8k_train"):
            for one in rows(name):
                solution, gold = one["answer"], one["answer"].rpartition("####")[2].strip()
                for answer in (solution, f"\\boxed{{{gold}}}", f"It is {gold}."):
                    assert without_a_process.compare(gold, answer, "gsm8k").verdict == "pass", one


@needs_math
@needs_data
@pytest.mark.slow
def test_worked_solutions_and_results_of_math_equal_their_own_gold_result(comparer: Comparer) -> None:
    for one in rows("math500"):
        for answer in (one["solution"], f"\\boxed{{{one['answer']}}}"):
            assert comparer.compare(one["answer"], answer).verdict == "pass", one
