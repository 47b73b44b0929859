"""What it costs to prune by shipped log-probabilities, and whether they give the model's own order, also after another prompt.

Run `python benchmarks/perf/shipped_logprobs.py TRACES.jsonl.gz --rows 12`. The log-probabilities are the bundled model's own, made here by
one plain forward pass after the prompt that ASAP's scorer reads (`same`), after the question alone (`raw`), and after a long system
message (`system`), as a teacher may have had. The rows are real traces of at most `--tokens` tokens.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

import torch
from scipy.stats import spearmanr
from transformers import AutoModelForCausalLM

from asap.dataset import read_samples
from asap.dataset.logprobs import LogprobColumns
from asap.lm.prompt_style import render_context
from asap.lm.scorer_shipped import ShippedScorer
from asap.lm.specs import load_scorer, model_folder
from asap.lm.token_bytes import token_bytes
from asap.lm.tokens import TokenCounter
from asap.prune.asap import Asap
from asap.prune.decision.step_cut import StepCut
from asap.prune.settings import AsapSettings
from asap.sample import Sample

SETTINGS = AsapSettings(ratio=0.5, coarse="none", scores="own")
SYSTEM = "You are a careful assistant. Reason step by step, check every result, and give the final answer at the end. " * 8


def context_of(sample: Sample, tokens: TokenCounter, kind: str) -> str:
    """The text before the trace."""
    system = [{"role": "system", "content": SYSTEM}] if kind == "system" else []
    return render_context(tokens, [*system, *sample.prompt], "raw" if kind == "raw" else "chat")


def shipped_row(sample: Sample, tokens: TokenCounter, lm: torch.nn.Module, kind: str) -> dict[str, list[float]]:
    """The columns that a teacher would ship with a row."""
    context = context_of(sample, tokens, kind)
    before = len(tokens.input_ids(context))
    ids = tokens.input_ids(f"{context}{sample.cot}\n</think>\n\n{sample.answer}")
    with torch.no_grad():
        logits = lm(torch.tensor([ids])).logits[0, before - 1 : -1]
        found = torch.log_softmax(logits.float(), -1).gather(1, torch.tensor(ids[before:])[:, None])[:, 0]
    return {"token_ids": ids[before:], "logprobs": found.tolist()}


def decided(pruner: Asap, samples: Sequence[Sample]) -> tuple[list[StepCut], float]:
    """The decisions, and the CPU seconds that they took."""
    started = time.process_time()
    decisions = [pruner.decide([sample])[0] for sample in samples]
    return [one for one in decisions if isinstance(one, StepCut)], time.process_time() - started


def agreement(ours: Sequence[StepCut], theirs: Sequence[StepCut]) -> tuple[float, float, int]:
    """The mean Spearman correlation of the steps' surprisals, the share of equal cuts by steps, and the rows in the very same order."""
    pairs = [([s.surprisal for s in a.steps], [s.surprisal for s in b.steps]) for a, b in zip(ours, theirs, strict=True)]
    same = [x.kept == y.kept for a, b in zip(ours, theirs, strict=True) for x, y in zip(a.steps, b.steps, strict=True)]
    orders = sum([s.rank for s in a.steps] == [s.rank for s in b.steps] for a, b in zip(ours, theirs, strict=True))
    return statistics.mean(float(spearmanr(*pair).statistic) for pair in pairs), statistics.mean(same), orders


def short(samples: Iterator[Sample], count: Callable[[str], int], most: int) -> Iterator[Sample]:
    """Those whose trace has several steps and at most so many tokens."""
    return (sample for sample in samples if sample.cot.count("\n\n") > 7 and count(sample.cot) <= most)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("traces")
    parser.add_argument("--rows", type=int, default=12)
    parser.add_argument("--tokens", type=int, default=1500)
    options = parser.parse_args()
    scorer = load_scorer("bundled", device="cpu")
    lm = AutoModelForCausalLM.from_pretrained(model_folder("bundled"), dtype=torch.float32).eval()
    found = short(read_samples(options.traces, on_reject=lambda row: None), scorer.tokens.count, options.tokens)
    samples = list(islice(found, options.rows))
    tokens = sum(scorer.tokens.count(sample.cot) for sample in samples)
    scored, seconds = decided(Asap(scorer, SETTINGS), samples)
    print(f"{len(samples)} rows, {tokens:,} tokens of traces, {sum(len(one.steps) for one in scored)} steps")
    print(f"bundled model: {seconds:.2f} CPU s, {1e6 * seconds / tokens:,.0f} s a million tokens")
    columns = LogprobColumns(["token_ids", "logprobs"], token_bytes(scorer.tokens))
    for kind in ("same", "raw", "system"):
        lines = [json.dumps(shipped_row(sample, scorer.tokens, lm, kind)) for sample in samples]
        started = time.process_time()
        read = [
            replace(sample, logprobs=columns.of_row(json.loads(line), sample.cot, sample.answer))
            for sample, line in zip(samples, lines, strict=True)
        ]
        reading = time.process_time() - started
        looked_up, seconds = decided(Asap(ShippedScorer(columns.names, scorer.tokens), SETTINGS), read)
        rho, kept, orders = agreement(scored, looked_up)
        print(
            f"shipped, {kind} context: {reading:.2f} + {seconds:.2f} CPU s, {1e6 * (reading + seconds) / tokens:,.1f} s a million tokens; "
            f"Spearman {rho:.4f}, {kept:.1%} of the steps decided alike at half, {orders} of {len(samples)} rows in the very same order"
        )


if __name__ == "__main__":
    main()
