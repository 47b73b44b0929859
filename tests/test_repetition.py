"""Loops at the end of a text: what is one, what only looks like one, and that a text of any length costs no more than its end."""

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import asap
from asap.repetition import looping, repetition

HEALTHY = " ".join(f"Then I think about case {number}, where {number * 7 % 31} of the {number**2} ways are left." for number in range(40))
AGAIN = "Let me check this again, because the sum is not what the question asks for. "


@given(st.text(alphabet="abcdefgh .\n", min_size=3, max_size=200), st.text(max_size=300))
@example("a" + " " * 100 + "b", "")
def test_a_piece_said_again_and_again_at_the_end_is_a_loop(piece: str, before: str) -> None:
    said = " ".join(piece.split()) + " "
    if said.strip():
        assert looping(before + said * (4 + 600 // len(said)))


@pytest.mark.parametrize("rounds", [4, 40, 4000])
def test_a_loop_is_found_behind_any_text_and_shown(rounds: int) -> None:
    found = repetition(HEALTHY + "\n\n" + AGAIN * rounds)
    assert found.is_loop
    assert len(found.text) <= 1 << 16
    assert "say the same" in str(found)
    assert str(found).split("such as ")[1][5:20] in (AGAIN * 3).replace("'", "")


def test_a_loop_may_vary() -> None:
    counted = "".join(f"So the answer is {number}. But wait, {AGAIN}" for number in range(30))
    words = ("really", "now", "again", "once more")
    reworded = "".join(f"So I {words[number % 4]} think that the answer is wrong, and {AGAIN}" for number in range(30))
    sentences = ("First I count them all once more. ", "Then I add them up again. ", AGAIN)
    drawn = "".join(sentences[number * 7 % 11 % 3] for number in range(60))
    assert [looping(HEALTHY + one) for one in (counted, reworded, drawn)] == [True, True, True]


REASONS = {
    "nothing": "",
    "healthy": HEALTHY,
    "three drafts of one text": (str(asap.__doc__) + "\n") * 3,
    "few words": "Wait, no. " * 3,
    "squares": " ".join(str(number * number) for number in range(2000)),
    "counting": ", ".join(map(str, range(1, 3000))),
    "steps": "Wait. " * 200 + " ".join(f"Then step {number} gives {number**2}." for number in range(60)),
    "a table": "| n | square | odd |\n|---|---|---|\n"
    + "\n".join(f"| {n}     | {n * n}     | {'yes' if n % 2 else 'no'} |" for n in range(300)),
    "a simulation": "\n".join(f"i = {n}: total is {n * (n + 1) // 2}, stack is {[n, n + 1, n + 2]}" for n in range(200)),
    "asserts": "\n".join(f"assert gcd({n}, {3 * n}) == {n}" for n in range(1, 90)),
    "code": "\n".join(
        f"        {'    ' * (n % 3)}elif kind == '{c * 3}':\n            counts['{c}'] += {n}" for n, c in enumerate("abcdefgh")
    ),
    "doubts": " ".join(f"Wait, no. Hmm, maybe {word} is meant by it." for word in HEALTHY.split()[:100:7]),
    "a loop that ended": AGAIN * 20 + HEALTHY * 1,
    "a rule": HEALTHY + "\n" + "-" * 120,
}


@pytest.mark.parametrize("reason", REASONS)
def test_what_repeats_for_a_reason_is_no_loop(reason: str) -> None:
    found = repetition(REASONS[reason])
    assert not found.is_loop, (found.times, str(found))


def test_only_the_end_of_a_huge_text_is_looked_at() -> None:
    def cost_s(text: str) -> float:
        started = time.process_time()
        repetition(text)
        return time.process_time() - started

    varied = "".join(map(str, range(200_000)))
    end_s = min(cost_s(varied[:70_000]) for _ in range(3))
    huge = [varied * 10, "x" * 10_000_000, "\n" * 10_000_000 + "x", "x" + "\n" * 10_000_000, "ab " * 4_000_000, "\u2028" * 5_000_000]
    for text in huge:
        assert min(cost_s(text) for _ in range(3)) < 20 * end_s + 0.1
