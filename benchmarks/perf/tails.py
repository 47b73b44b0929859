"""An answer's log-probabilities behind each prefix of a trace: side by side (`asap.lm.kept`), one after another, and reading all anew.

Run `python benchmarks/perf/tails.py`. One run of each way, the bundled model in float32 unless told otherwise; CPU seconds on a CPU,
seconds on a GPU. The text is made from a seed. *floor* is how long the products alone take of what is read side by side, at the speed of
one large product in the same process. OMP_WAIT_POLICY=PASSIVE is set where it is unset: threads that spin while they wait would count
as CPU time.
"""

import argparse
import os
import random
from functools import partial

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from budget import print_header
from leave_out import WORDS, request_of, timed

from asap.lm.prefixes import prefixes
from asap.lm.scorer import PrefixRequest, prefixes_anew
from asap.lm.scorer_transformers import HFScorer
from asap.lm.specs import load_scorer


def main() -> None:
    """Print one row for each number of steps and length of the answer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scorer", default="bundled", help="a model spec: bundled, hf:… or gguf:… (default %(default)s)")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--steps", type=int, nargs="+", default=[20, 60], help="steps of the trace (default %(default)s)")
    parser.add_argument("--words", type=int, nargs="+", default=[8, 60, 240], help="words of the answer (default %(default)s)")
    parser.add_argument("--date", default="", help="shown in the header")
    options = parser.parse_args()
    scorer = load_scorer(options.scorer, dtype=options.dtype, device=options.device)
    assert isinstance(scorer, HFScorer)
    assert scorer._reads_beside, "this model reads no tails side by side"
    print_header(options.date, ["torch", "transformers"])
    print("| steps | tokens of the trace | of the answer | side by side, s | one after another | anew | floor | largest difference, nats |")
    print("|---|---|---|---|---|---|---|---|")
    for steps in options.steps:
        for words in options.words:
            print(row_of(scorer, request_with_answer(steps, words)), flush=True)


def request_with_answer(steps: int, words: int) -> PrefixRequest:
    """A trace of so many steps, and an answer of so many words."""
    request = request_of(steps, 18)
    answer = " ".join(random.Random(words).choices(WORDS, k=words)).capitalize() + "."
    return PrefixRequest(request.context, request.steps, answer, "\n</think>\n\n")


def row_of(scorer: HFScorer, request: PrefixRequest) -> str:
    """A row of the table."""
    kept = partial(prefixes, scorer.causal_lm, request, scorer.context_tokens)
    found, beside = timed(scorer, partial(kept, beside=True))
    _, alone = timed(scorer, partial(kept, beside=False))
    expected, anew = timed(scorer, partial(prefixes_anew, scorer.score, request))
    assert found is not None
    far = max(np.abs(one.logprobs - other.logprobs).max() for one, other in zip(found.spans, expected.spans, strict=True))
    trace, answer = (scorer.tokens.count(text) for text in (request.text(len(request.steps)), request.tail))
    floor = (trace + len(request.steps) * answer) * seconds_a_token(scorer)
    ways = " | ".join(f"{seconds:.2f} ({seconds / beside:.1f}x)" for seconds in (alone, anew))
    return f"| {len(request.steps)} | {trace:,} | {answer} | {beside:.2f} | {ways} | {floor:.2f} | {far:.0e} |"


def seconds_a_token(scorer: HFScorer) -> float:
    """How long the products of a token take: two for each parameter, at the speed of a large product on this device."""
    left, right = (torch.randn(2048, 2048, device=scorer.device, dtype=scorer.dtype) for _ in range(2))
    best = min(timed(scorer, lambda: left @ right)[1] for _ in range(5))
    return float(scorer.model.num_parameters() / 2048**3 * best)


if __name__ == "__main__":
    main()
