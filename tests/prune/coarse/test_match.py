"""Each test holds `asap.prune.coarse.match` to difflib and to a literal Algorithm 1, or one property of `snap` to brute force."""

import gzip
import json
import os
import random
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from fractions import Fraction
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import LCSseq

from asap.errors import UsageError
from asap.prune.coarse import match
from asap.prune.coarse.match import Match, gestalt, matches, snap

TAUS = (0.0, 0.25, 0.5, 0.6, 2 / 3, 0.75, 0.8, 1.0)


def difflib_ratio(original: str, candidate: str) -> float:
    return SequenceMatcher(None, original, candidate, autojunk=False).ratio()


def algorithm_1(original_steps: Sequence[str], coarse_steps: Sequence[str], tau: float = 0.6) -> bool:
    """The paper's lines 6 to 24, one by one."""
    origin_idx = 0
    for s_coarse in coarse_steps:
        found_match = False
        while origin_idx < len(original_steps):
            s_origin = original_steps[origin_idx]
            score = difflib_ratio(s_origin, s_coarse)
            if score >= tau:
                found_match = True
                origin_idx += 1
                break
            origin_idx += 1
        if not found_match:
            return False
    return True


def assignments(original_steps: Sequence[str], coarse_steps: Sequence[str], tau: float) -> Iterator[tuple[tuple[int, ...], list[float]]]:
    """Every order-preserving assignment with all pairs at `tau` or above, in lexicographic order."""
    ratios = [[difflib_ratio(original, coarse) for original in original_steps] for coarse in coarse_steps]
    for indices in combinations(range(len(original_steps)), len(coarse_steps)):
        chosen = [row[index] for row, index in zip(ratios, indices, strict=True)]
        if all(ratio >= tau for ratio in chosen):
            yield indices, chosen


def check_snap(original_steps: Sequence[str], coarse_steps: Sequence[str], tau: float = 0.6) -> list[Match] | None:
    """What holds for every answer of `snap`, whatever the input."""
    snapped = snap(original_steps, coarse_steps, tau)
    assert (snapped is None) == (not matches(original_steps, coarse_steps, tau))
    if snapped is not None:
        indices = [found.step for found in snapped]
        assert len(indices) == len(coarse_steps)
        assert indices == sorted(set(indices))
        for found, step in zip(snapped, coarse_steps, strict=True):
            assert found.similarity == difflib_ratio(original_steps[found.step], step)
            assert found.similarity >= tau
    return snapped


letters = st.text("ab \n", max_size=9)
steps = st.lists(st.text("ab", max_size=5) | letters, max_size=6)


@given(st.text("abc", max_size=60), st.text("abc", max_size=60))
@settings(max_examples=200, deadline=None)
def test_gestalt_equals_difflib_on_repetitive_text(a: str, b: str) -> None:
    assert gestalt(a, b) == difflib_ratio(a, b)


@given(st.text(max_size=40), st.text(max_size=40))
@settings(max_examples=200, deadline=None)
def test_gestalt_equals_difflib_on_any_text(a: str, b: str) -> None:
    assert gestalt(a, b) == difflib_ratio(a, b)
    assert gestalt(a, a[::2] + b) == difflib_ratio(a, a[::2] + b)


@given(st.text("ab", max_size=30), st.text("ab", max_size=30), st.integers(0, 30))
@settings(max_examples=200, deadline=None)
def test_strings_too_long_for_the_grid_get_the_same_answer(a: str, b: str, longest: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(match, "_LONGEST", longest)
        assert gestalt(a, b) == difflib_ratio(a, b)


def test_a_string_too_long_for_the_grid_is_accepted() -> None:
    long = "ab" * match._LONGEST
    assert gestalt(long, "ab") == difflib_ratio(long, "ab")
    assert gestalt("xab", long) == difflib_ratio("xab", long) > SequenceMatcher(None, "xab", long).ratio() == 0.0


@pytest.mark.parametrize("surrogate", ["\ud83d", "\x00", "長度", "🙂", "e\u0301"])
def test_unusual_characters_count_as_one_code_point_each(surrogate: str) -> None:
    assert gestalt(f"a{surrogate}b", f"{surrogate}b") == difflib_ratio(f"a{surrogate}b", f"{surrogate}b")
    assert matches([f"a{surrogate}b"], [f"{surrogate}b"])


def test_argument_order_is_original_then_candidate() -> None:
    assert gestalt("tide", "diet") == difflib_ratio("tide", "diet") == 0.25
    assert gestalt("diet", "tide") == difflib_ratio("diet", "tide") == 0.5
    assert matches(["diet"], ["tide"], 0.5)
    assert not matches(["tide"], ["diet"], 0.5)


@pytest.mark.parametrize(
    ("original", "candidate"), [("abcdefg", "abc"), ("abcxy", "abcqr"), ("a" * 300 + "b" * 200, "a" * 300 + "c" * 200)]
)
def test_an_exact_tie_at_the_threshold_is_a_match(original: str, candidate: str) -> None:
    assert difflib_ratio(original, candidate) == 0.6
    assert matches([original], [candidate])
    assert check_snap([original], [candidate]) == [Match(0, 0.6)]


def test_no_exact_tie_of_any_length_is_rejected() -> None:
    for total in range(1, 301):
        for common in range(total // 2 + 1):
            original, candidate = "a" * common + "b" * (total - 2 * common), "a" * common
            assert matches([original], [candidate], 2.0 * common / total), (total, common)


def test_just_below_the_threshold_is_no_match() -> None:
    assert difflib_ratio("abcdefgh", "abc") < 0.6
    assert not matches(["abcdefgh"], ["abc"])


def test_a_bound_above_the_threshold_does_not_accept_by_itself() -> None:
    assert LCSseq.similarity("tide", "diet") == 2  # bound 0.5
    assert difflib_ratio("tide", "diet") == 0.25
    assert not matches(["tide"], ["diet"], 0.5)
    assert snap(["tide", "diet"], ["diet"], 0.25) == [Match(1, 1.0)]


def test_steps_in_another_order_are_rejected() -> None:
    original = ["First, sort the list.", "Then walk over all pairs.", "Finally, return the count."]
    assert matches(original, original)
    assert matches(original, [original[0], original[2]])
    assert not matches(original, [original[2], original[0]])
    assert snap(original, [original[2], original[0]]) is None


def test_a_step_is_matched_once() -> None:
    assert matches(["Wait.", "Wait."], ["Wait.", "Wait."])
    assert not matches(["Wait."], ["Wait.", "Wait."])


def test_two_steps_merged_into_one_match_the_longer_one() -> None:
    original = ["We sort the list of numbers before anything else happens here.", "Then we scan."]
    assert check_snap(original, [" ".join(original)]) == [Match(0, difflib_ratio(original[0], " ".join(original)))]
    assert not matches(original, [original[1], " ".join(original)])


def test_a_long_step_that_autojunk_would_reject_is_accepted() -> None:
    text = (
        "Hmm, let me think about how to count the pairs whose sum is even. If both numbers are even, or both are odd, then their "
        "sum must be even too; otherwise it is odd. So one pass that counts odd and even values would do, and no nested loop is "
        "needed at all. Wait, what about negative values? In Python the remainder by two is never negative, which is good."
    )
    original, candidate = text, " ".join(word for place, word in enumerate(text.split()) if place % 4)
    assert len(candidate) >= 200
    assert SequenceMatcher(None, original, candidate).ratio() < 0.6 <= difflib_ratio(original, candidate)
    assert matches([original], [candidate])


def test_nothing_to_match_is_valid() -> None:
    assert matches([], []) is matches(["a"], []) is algorithm_1(["a"], []) is True
    assert snap([], []) == snap(["a"], []) == []
    assert not matches([], ["a"])
    assert snap([], ["a"]) is None


def test_empty_strings_are_alike() -> None:
    assert gestalt("", "") == difflib_ratio("", "") == 1.0
    assert gestalt("", "a") == gestalt("a", "") == 0.0
    assert check_snap(["a", "", ""], ["a", ""], 1.0) == [Match(0, 1.0), Match(1, 1.0)]
    assert not matches(["a"], [""])


@pytest.mark.parametrize("tau", [-0.1, 1.1, 60, float("nan")])
def test_a_threshold_outside_0_to_1_is_refused(tau: float) -> None:
    with pytest.raises(UsageError, match=r"tau is .*; it must be from 0 to 1"):
        matches(["a"], ["a"], tau)
    with pytest.raises(UsageError, match="tau is"):
        snap([], [], tau)


def test_a_better_later_step_wins_over_the_first_good_one() -> None:
    original = ["return the sum of a and b", "return the sum of a and c"]
    assert check_snap(original, ["return the sum of a and c"]) == [Match(1, 1.0)]


def test_a_better_step_is_given_up_where_the_total_gains() -> None:
    assert check_snap(["abcde", "abcdx", "abcdef"], ["abcdef", "abcdx"], 0.5) == [Match(0, 10 / 11), Match(1, 1.0)]


def test_a_pair_below_the_threshold_is_never_part_of_a_better_total() -> None:
    original = ["mnxx", "ghyy", "dizz", "mnop", "ghjk", "tide"]  # the last three: 1.0 + 1.0 + 0.25, with a bound of 0.5 on "tide"
    assert check_snap(original, ["mnop", "ghjk", "diet"], 0.5) == [Match(0, 0.5), Match(1, 0.5), Match(2, 0.5)]


def test_of_equal_steps_the_earliest_are_taken() -> None:
    assert check_snap(["Wait."] * 5, ["Wait."] * 2) == [Match(0, 1.0), Match(1, 1.0)]
    assert check_snap(["x", "Wait!", "Wait?", "Wait?"], ["Wait.", "Wait."]) == [Match(1, 0.8), Match(2, 0.8)]


@given(steps, steps, st.sampled_from(TAUS))
@settings(max_examples=300, deadline=None)
def test_verdicts_equal_algorithm_1(original: list[str], coarse: list[str], tau: float) -> None:
    assert matches(original, coarse, tau) == algorithm_1(original, coarse, tau)


@given(steps, steps.map(lambda coarse: coarse[:4]), st.sampled_from(TAUS))
@settings(max_examples=300, deadline=None)
def test_snap_has_the_best_total_of_all_assignments(original: list[str], coarse: list[str], tau: float) -> None:
    snapped = check_snap(original, coarse, tau)
    totals = [float(sum(map(Fraction, ratios))) for _, ratios in assignments(original, coarse, tau)]
    assert (snapped is None) == (not totals)
    if snapped is not None:
        assert sum(found.similarity for found in snapped) == pytest.approx(max(totals), abs=1e-8)


@given(st.lists(st.sampled_from(["aab", "aba", "abb", "bbb"]), max_size=7), st.lists(st.sampled_from(["aab", "abb"]), max_size=4))
@settings(max_examples=200, deadline=None)
def test_no_earlier_assignment_has_the_same_similarities(original: list[str], coarse: list[str]) -> None:
    snapped = check_snap(original, coarse)
    if snapped is not None:
        best = sorted(found.similarity for found in snapped)
        earliest = next(indices for indices, ratios in assignments(original, coarse, 0.6) if sorted(ratios) == best)
        assert tuple(found.step for found in snapped) == earliest


def near_pair(rng: random.Random) -> tuple[str, str]:
    """Two strings whose similarity is often close to a threshold, with many exact ties among them."""
    alphabet = "abcdefgh"[: rng.randint(2, 8)]
    a = "".join(rng.choices(alphabet, k=rng.randint(1, 60)))
    kept = [character for character in a if rng.random() < 0.7]
    return a, "".join(kept) + "".join(rng.choices(alphabet, k=rng.randint(0, 20)))


def test_ten_thousand_pairs_get_difflib_verdicts_and_ratios() -> None:
    rng = random.Random(5)
    ties = 0
    for _ in range(10_000):
        original, candidate = near_pair(rng)
        ratio = difflib_ratio(original, candidate)
        assert gestalt(original, candidate) == ratio
        for tau in (0.6, ratio):
            ties += ratio == tau
            assert matches([original], [candidate], tau) == (ratio >= tau)
        assert ratio == 1.0 or not matches([original], [candidate], min(1.0, ratio + 1e-12))
    assert ties > 10_000  # every pair once at its own ratio, and some at 0.6


def test_few_of_thirty_thousand_pairs_are_compared_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    compared, blocks = list[str](), match._blocks
    monkeypatch.setattr(match, "_blocks", lambda a, b: (compared.append(b), blocks(a, b))[1])
    rng = random.Random(7)
    words = ["".join(rng.choices("etaoinshrdlu", k=rng.randint(2, 8))) for _ in range(500)]
    original = [" ".join(rng.choices(words, k=50))[:300] for _ in range(300)]
    coarse = [" ".join(word for word in original[index].split() if rng.random() > 0.1) for index in sorted(rng.sample(range(300), 100))]
    assert snap(original, coarse) is not None
    assert len(compared) <= 2 * len(coarse)  # each with the step that Algorithm 1 finds, and with the best one


@pytest.fixture(scope="module")
def traces() -> list[list[str]]:
    folder = os.environ.get("ASAP_DATA")
    if not folder:
        pytest.skip("ASAP_DATA is not set: parity on real traces was NOT checked")
    with gzip.open(Path(folder) / "traces" / "kodcode_r1.jsonl.gz", "rt", encoding="utf-8") as lines:
        responses = [json.loads(line)["response"] for line in lines]
    split = [[step for step in response.split("\n\n") if step.strip()] for response in responses]
    return random.Random(11).sample([trace for trace in split if 10 <= len(trace) <= 60], 20)


def drop_words(rng: random.Random, step: str, share: float) -> str:
    return " ".join(word for word in step.split(" ") if rng.random() >= share)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.5])
def test_real_traces_get_algorithm_1_verdicts(traces: list[list[str]], share: float) -> None:
    rng = random.Random(13)
    for trace in traces:
        kept = sorted(rng.sample(range(len(trace)), len(trace) // 3))
        coarse = [drop_words(rng, trace[index], share) for index in kept]
        assert matches(trace, coarse) == algorithm_1(trace, coarse)
        snapped = check_snap(trace, coarse)
        if share == 0.0:
            assert snapped is not None
            assert all(found.similarity == 1.0 for found in snapped)
        coarse.reverse()
        assert matches(trace, coarse) == algorithm_1(trace, coarse)


def test_a_faithful_reply_to_a_real_trace_snaps_to_the_steps_it_came_from(traces: list[list[str]]) -> None:
    rng = random.Random(17)
    hits = wanted = 0
    for trace in traces:
        kept = [index for index in sorted(rng.sample(range(len(trace)), len(trace) // 3)) if len(trace[index]) > 60]
        snapped = snap(trace, [drop_words(rng, trace[index], 0.1) for index in kept])
        assert snapped is not None
        hits += sum(found.step == index for found, index in zip(snapped, kept, strict=True))
        wanted += len(kept)
    assert hits == wanted
