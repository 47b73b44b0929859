"""How long a run takes: pieces of real rows are read by a real model, and their pace is carried over to all rows."""

import pytest

from asap.calibration import Drawn, Effort, Seconds, TimedPiece, decided, effort_of, pieces, seconds_for
from asap.lm.specs import load_scorer
from asap.prune.asap import Asap
from asap.prune.settings import AsapSettings
from asap.prune.trace import Size
from asap.sample import Sample
from run_fixtures import model_folder, row


def samples(count: int, steps: int) -> list[Sample]:
    rows = (row(number, steps=steps) for number in range(count))
    return [Sample(one["id"], one["question"], one["cot"], one["answer"]) for one in rows]


def test_pieces_double_until_the_longest_trace_and_count_what_is_read() -> None:
    pruner = Asap(load_scorer(f"hf:{model_folder()}", device="cpu"), AsapSettings(ratio=0.5, coarse="none", scores="own"))
    read = pieces(pruner, samples(3, steps=60), seconds=1e9)
    lengths = [piece.length for piece in read]
    assert lengths[:2] == [128, 256]  # the piece of 64 warms up
    assert lengths == sorted(lengths)
    assert all(piece.seconds > 0 for piece in read)
    assert all(piece.effort > piece.length for piece in read)  # one pass, with the question before it


def test_without_time_one_piece_is_read_and_a_method_without_a_model_reads_none() -> None:
    scorer = load_scorer(f"hf:{model_folder()}", device="cpu")
    assert len(pieces(Asap(scorer, AsapSettings(ratio=0.5)), samples(2, steps=60), seconds=0.0)) == 1
    assert pieces(Asap(scorer, AsapSettings(ratio=0.5, method="random")), samples(2, steps=60)) == []
    decisions, piece = decided(Asap(scorer, AsapSettings(ratio=0.5)), samples(2, steps=6))
    assert len(decisions) == 2
    assert piece is not None


def test_the_pace_is_carried_over_and_grows_with_the_length_as_it_did() -> None:
    effort = effort_of(AsapSettings(ratio=0.5, coarse="none", scores="own"), Size(10, 1000, 50), 200, 500)
    assert effort == Effort(1200, 1200, 1_200_000)
    assert effort.plus(effort).high == 2400
    even = [TimedPiece(100, 100, 1.0), TimedPiece(200, 200, 2.0)]
    assert seconds_for(effort, even) == Seconds(0.7 * 12, 1.5 * 12)
    slower = [TimedPiece(100, 100, 1.0), TimedPiece(200, 200, 4.0)]  # 0.01 and 0.02 seconds a token: 0.0001 more for each token of length
    low, high = seconds_for(effort, slower)
    assert low == pytest.approx(0.7 * 12)
    assert high == pytest.approx(1.5 * (0.02 * 1200 + 0.0001 * (1_200_000 - 200 * 1200)))


def test_the_same_rows_are_drawn_whatever_their_order() -> None:
    rows = samples(30, steps=3)
    one, other = Drawn(5), Drawn(5)
    for sample in rows:
        one.add(sample)
    for sample in reversed(rows):
        other.add(sample)
    assert len(one.samples) == 5
    assert one.samples == other.samples
