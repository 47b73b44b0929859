"""What the vocabulary head's precision does to scores and removal orders: real traces, one reading of the body for all heads.

Run `python benchmarks/perf/head.py --rows traces.jsonl.gz --limit 20`. The body runs in float32 and in bfloat16 on the CPU. The heads are
emulated by rounding what they multiply and, for logits in bfloat16, what they give: products of bfloat16 numbers are exact in float32,
so what a GPU's bfloat16 head with float32 sums gives for a bfloat16 body is the float32 head's number, up to the order of the sum.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import torch
from budget import median_time, print_header
from numpy.typing import NDArray

from asap.dataset import read_samples
from asap.lm.prompt_style import default_context
from asap.lm.scorer import ScoreRequest
from asap.lm.scorer_transformers import HFScorer
from asap.lm.specs import model_folder
from asap.lm.vocabulary_head import VocabularyHead
from asap.lm.windows import Windowed
from asap.prune.fine.removal import removal_order
from asap.prune.fine.surprisal import first_token_surprisals
from asap.prune.trace import Trace

REFERENCE = ("float32", "float32")
DECIMALS = 6  # as stored


def main() -> None:
    """Score each trace with every head, and print how the first-token surprisals of each differ from the reference's."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", required=True, help="traces, as `asap prune` reads them")
    parser.add_argument("--limit", type=int, default=20, help="how many (default %(default)s)")
    parser.add_argument("--every", type=int, default=1, help="take every so-manieth row (default %(default)s)")
    parser.add_argument("--longest", type=int, default=3000, help="leave out longer traces (default %(default)s tokens)")
    parser.add_argument("--date", default="", help="shown in the header")
    args = parser.parse_args()
    print_header(args.date, ["torch", "transformers"])
    found: dict[tuple[str, str], list[list[float]]] = {}
    scorers = {dtype: HFScorer(model_folder("bundled"), dtype=dtype, device="cpu") for dtype in ("float32", "bfloat16")}
    requests = list(requests_of(args, scorers["float32"]))
    for request in requests:
        for dtype, scorer in scorers.items():
            for head, scores in scored_by_all_heads(scorer, request).items():
                found.setdefault((dtype, head), []).append(scores)
    reference = found[REFERENCE]
    print_times(scorers["float32"], requests)
    print(f"\n{len(reference)} traces, {sum(map(len, reference))} steps; against body and head in float32\n")
    columns = ["body", "head", "mean nats", "99 %", "largest", "ties", "equal orders", "steps in another half"]
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    for (dtype, head), scores in found.items():
        print(f"| {dtype} | {head} | {' | '.join(compared(scores, reference))} |")


def print_times(scorer: HFScorer, requests: Sequence[ScoreRequest]) -> None:
    """CPU seconds of the longest trace: the body, and the head at every token, without and with entropies."""
    laid = [Windowed.of(request, scorer.tokens, scorer.context_tokens) for request in requests]
    [window] = max((one.windows for one in laid), key=lambda windows: len(windows[0].ids))
    ids = torch.from_numpy(window.ids)
    assert scorer.head
    with torch.inference_mode():
        hidden = scorer.model.base_model(input_ids=ids[None], use_cache=False).last_hidden_state[0, :-1]
        body = median_time(lambda: scorer.model.base_model(input_ids=ids[None], use_cache=False), 3)
        heads = [median_time(partial(scorer.head.scores, hidden, ids[1:], entropy=entropy), 3) for entropy in (False, True)]
    shown = [f"{one.cpu:.2f}" for one in (body, *heads)]
    print(f"\n{len(ids)} tokens, CPU s: body {shown[0]}, head {shown[1]}, head with entropies {shown[2]}")


def requests_of(args: argparse.Namespace, scorer: HFScorer) -> Iterator[ScoreRequest]:
    """The first token of every step, for each trace that is not too long."""
    samples = (sample for sample in read_samples(args.rows) if scorer.tokens.count(sample.cot) <= args.longest)
    for sample in islice(samples, 0, args.limit * args.every, args.every):
        trace = Trace.of(sample, "fenced", default_context(scorer.tokens), scorer, scorer.tokens, 0)
        yield trace.steps(range(len(trace.spans))).request._replace(depth=1, entropy=False)


@torch.inference_mode()
def scored_by_all_heads(scorer: HFScorer, request: ScoreRequest) -> dict[str, list[float]]:
    """First-token surprisals of the steps by each head."""
    laid = Windowed.of(request, scorer.tokens, scorer.context_tokens)
    [window] = laid.windows
    hidden = scorer.model.base_model(input_ids=torch.from_numpy(window.ids)[None], use_cache=False).last_hidden_state[0, window.rows]
    assert scorer.head
    targets = torch.from_numpy(window.targets)
    heads: dict[str, Callable[[VocabularyHead, torch.Tensor, torch.Tensor], Any]] = {
        "float32": lambda head, rows, wanted: head.scores(rows, wanted)[:, 0],
        "TF32": lambda head, rows, wanted: head._replace(weight=to_tf32(head.weight)).scores(to_tf32(rows), wanted)[:, 0],
        "bfloat16 in, float32 out": lambda head, rows, wanted: head._replace(weight=head.weight.bfloat16()).scores(rows.bfloat16(), wanted)[
            :, 0
        ],
        "bfloat16 in and out": rounded_logits,
    }
    found = {}
    for name, score in heads.items():
        values: NDArray[np.float64] = np.full((len(laid.wanted), 2), np.nan)
        values[window.places, 0] = score(scorer.head, hidden, targets).double().numpy()
        found[name] = first_token_surprisals(laid.scored(values).spans)
    return found


def to_tf32(values: torch.Tensor) -> torch.Tensor:
    """Rounded to the ten bits that TF32 keeps."""
    bits = values.float().contiguous().view(torch.int32)
    return ((bits + 0xFFF + ((bits >> 13) & 1)) & ~0x1FFF).view(torch.float32)


def rounded_logits(head: VocabularyHead, hidden: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """What `model(ids).logits` of a bfloat16 model leads to."""
    logits = (hidden.bfloat16().float() @ head.weight.bfloat16().float().T).bfloat16().float()
    return torch.log_softmax(logits, -1).gather(1, targets[:, None]).squeeze(1)


def compared(scores: list[list[float]], reference: list[list[float]]) -> list[str]:
    """The cells of a table row."""
    difference = np.abs(np.concatenate(scores) - np.concatenate(reference))
    ties = sum(len(one) - len(set(one)) for one in scores)
    orders = [(removal_order(one), removal_order(other)) for one, other in zip(scores, reference, strict=True)]
    halves = [(set(one[: len(one) // 2]), set(other[: len(other) // 2])) for one, other in orders]
    moved = sum(len(one - other) for one, other in halves)
    shown = [f"{value:.2g}" for value in (difference.mean(), np.quantile(difference, 0.99), difference.max())]
    equal = sum(list(one) == list(other) for one, other in orders)
    return [*shown, str(ties), f"{equal} of {len(orders)}", f"{moved} of {sum(len(one) for one, _ in halves)}"]


if __name__ == "__main__":
    main()
