"""Why first-token surprisal is no better than chance here, and whether the usual remedies help.

Run `python experiments/surprisal_fixes.py ROWS RUN --out DIR`, where RUN is what `asap prune ROWS --scores one-pass` wrote (such as
`runs/asap` in a folder of `asap compare`). It prints what the surprisal of a step goes with, then cuts each trace to half of its tokens
by surprisal and by each remedy, asks a judge how likely the answer's code is then (`asap.prune.support`), and prints the
differences from random removal. Verdicts are kept in DIR; the same command goes on where it was.

- by word: surprisal minus its mean over all steps that begin with the same word
- by place: surprisal minus its mean over all steps in the same tenth of their trace
- last quarter kept, ends kept: surprisal, but the last quarter of the steps, or the first and the last three, go last
- with place, with alignment: the sum of the ranks
"""

import argparse
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from half import kept_steps
from remedies import ranks_added
from scipy.stats import spearmanr

from asap import read_samples
from asap.compare.support import SupportScorer
from asap.lm.specs import load_scorer, load_tokens
from asap.prune.settle import reordered
from asap.sample import Sample
from asap.spans import Span
from asap.stats import interval
from asap.steps import join_steps
from asap.store.work import Store

TENTHS = 10
SHOWN = 12


class Trace(NamedTuple):
    """A row with its steps and what was stored about each: by name, one number a step."""

    sample: Sample
    spans: list[Span]
    stored: Mapping[str, list[float]]

    @property
    def places(self) -> list[float]:
        """Where each step stands, from 0 to 1."""
        return [index / max(1, len(self.spans) - 1) for index in range(len(self.spans))]

    @property
    def words(self) -> list[str]:
        """The first word of each step."""
        return [re.match(r"\s*(\w*)", self.sample.cot[span.start : span.end])[1].lower() for span in self.spans]  # type: ignore[index]


def main() -> None:
    """Print what surprisal goes with, then what each remedy brings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", help="a data set that asap prune reads")
    parser.add_argument("run", type=Path, help="what asap prune --scores one-pass wrote about it")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tokenizer", default="bundled", help="the one that the run counted with (default %(default)s)")
    parser.add_argument("--judge", default="hf:Qwen/Qwen2.5-Coder-0.5B-Instruct", help="default %(default)s; none: only the first part")
    parser.add_argument("--dtype", default="bfloat16")
    options = parser.parse_args()
    tokens = load_tokens(options.tokenizer)
    traces = read(options.rows, options.run, tokens)
    describe(traces, tokens)
    if options.judge == "none":
        return
    names = scores_of(traces)
    with SupportScorer.open(load_scorer(options.judge, dtype=options.dtype), options.out) as judge:
        found = []
        for number, trace in enumerate(traces):
            support = {"no trace": judge.support(trace.sample, ""), "full trace": judge.support(trace.sample, trace.sample.cot)}
            for name, by_trace in names.items():
                kept = kept_steps(trace.sample, trace.spans, by_trace[number], tokens)
                support[name] = judge.support(trace.sample, join_steps(trace.sample.cot, (trace.spans[index] for index in kept)))
            found.append(support)
            print(f"{number + 1} rows, {judge.computed} verdicts made", flush=True)
    report(found)


def read(rows: str, run: Path, tokens: Any) -> list[Trace]:
    """The rows that the run decided about."""
    with Store.reading(run) as store:
        decided = {entry.id: entry.decision for entry in store.entries() if entry.decision is not None}
    traces = []
    for sample in read_samples(rows):
        if (decision := decided.get(sample.id)) and (steps := decision.steps):
            stored = {name: [(step.scores or {})[name] for step in steps] for name in steps[0].scores or {}}
            stored["alignment"] = [step.alignment or 0.0 for step in steps]
            stored["tokens"] = [step.tokens for step in steps]
            stored["random"] = [step.score or 0.0 for step in reordered(decision, sample, "random", tokens).steps]
            traces.append(Trace(sample, [Span(step.start, step.end) for step in steps], stored))
    return traces


def describe(traces: Sequence[Trace], tokens: Any) -> None:
    """What goes with surprisal, and which beginnings it removes."""
    print("Spearman's correlation of surprisal with …, mean over traces")
    others: dict[str, Callable[[Trace], Sequence[float]]] = {
        "place in the trace": lambda trace: trace.places,
        "length in tokens": lambda trace: trace.stored["tokens"],
        "alignment": lambda trace: trace.stored["alignment"],
        "mean surprisal of the step": lambda trace: trace.stored["mean-surprisal"],
        "entropy": lambda trace: trace.stored["first-token-entropy"],
    }
    for name, values in others.items():
        found = [spearmanr(trace.stored["asap"], values(trace)).statistic for trace in traces if len(trace.spans) > 2]
        print(f"  {name:<28} {np.nanmean(found):+.2f}")
    surprisals, removed = defaultdict[str, list[float]](list), Counter[str]()
    aligned = defaultdict[str, list[float]](list)
    for trace in traces:
        kept = set(kept_steps(trace.sample, trace.spans, trace.stored["asap"], tokens))
        for index, word in enumerate(trace.words):
            surprisals[word].append(trace.stored["asap"][index])
            aligned[word].append(trace.stored["alignment"][index])
            removed[word] += index not in kept
    everything = np.concatenate([np.asarray(values) for values in surprisals.values()])
    total = float(((everything - everything.mean()) ** 2).sum())
    between = sum(len(values) * (np.mean(values) - everything.mean()) ** 2 for values in surprisals.values())
    print(f"\n{len(everything)} steps; the first word alone explains {100 * between / total:.0f} % of the variance of surprisal")
    print("\n| first word | steps | mean surprisal | removed % | mean alignment |\n|---|---|---|---|---|")
    for word in sorted(surprisals, key=lambda word: -len(surprisals[word]))[:SHOWN]:
        values = surprisals[word]
        share = 100 * removed[word] / len(values)
        print(f"| {word or '(none)'} | {len(values)} | {np.mean(values):.2f} | {share:.0f} | {np.mean(aligned[word]):+.3f} |")


def scores_of(traces: Sequence[Trace]) -> dict[str, list[list[float]]]:
    """What each score says of each step of each trace; higher = keep."""
    surprisal = [trace.stored["asap"] for trace in traces]
    places = [trace.places for trace in traces]
    return {
        "surprisal": surprisal,
        "entropy": [trace.stored["first-token-entropy"] for trace in traces],
        "by word": without_group_mean(surprisal, [trace.words for trace in traces]),
        "by place": without_group_mean(surprisal, [[int(TENTHS * 0.999 * place) for place in row] for row in places]),
        "last quarter kept": [with_last(row, len(row) // 4) for row in surprisal],
        "ends kept": [with_last([np.inf, *row[1:]], 3) for row in surprisal],
        "with place": [ranks_added(*pair) for pair in zip(surprisal, places, strict=True)],
        "with alignment": [ranks_added(row, trace.stored["alignment"]) for row, trace in zip(surprisal, traces, strict=True)],
        "alignment": [trace.stored["alignment"] for trace in traces],
        "random": [trace.stored["random"] for trace in traces],
        "keep-tail": places,
    }


def without_group_mean(scores: Sequence[Sequence[float]], groups: Sequence[Sequence[Hashable]]) -> list[list[float]]:
    """The scores minus the mean of their group over all traces; groups of fewer than five steps are one group."""
    sizes = Counter(name for row in groups for name in row)
    named = [[name if sizes[name] >= 5 else None for name in row] for row in groups]
    members = defaultdict[Hashable, list[float]](list)
    for row, names in zip(scores, named, strict=True):
        for score, name in zip(row, names, strict=True):
            members[name].append(score)
    means = {name: float(np.mean(values)) for name, values in members.items()}
    return [[score - means[name] for score, name in zip(row, names, strict=True)] for row, names in zip(scores, named, strict=True)]


def with_last(scores: Sequence[float], count: int) -> list[float]:
    """The scores, with the last steps above all others, the very last highest."""
    start = len(scores) - count
    return [1e6 + index if index >= start else min(score, 1e5) for index, score in enumerate(scores)]


def report(found: Sequence[Mapping[str, float]]) -> None:
    """One row for each score, best first."""
    print("\n| score | rows | minus full trace | minus random |\n|---|---|---|---|")
    for name in sorted(found[0], key=lambda name: -np.mean([row[name] for row in found])):
        cells = []
        for other in ("full trace", "random"):
            differences = [row[name] - row[other] for row in found]
            low, high = interval(differences)
            cells.append(f"{np.mean(differences):+.3f} [{low:+.3f}, {high:+.3f}]")
        print(f"| {name} | {len(found)} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
