"""Exact token counts of every cut of a long trace, and Algorithm 2 as it is written (everything tokenised again each time).

Run `OMP_WAIT_POLICY=PASSIVE python benchmarks/perf/budget.py`, with `--quick` for half a minute instead of several. The text is
made up from a seed. Three tokenizers: the bundled one (SmolLM2) and two that are trained here on such text, one as Qwen's (its
regular expression, ByteLevel BPE) and one as SentencePiece's (Metaspace, line breaks as bytes); or real ones with `--tokenizer`.
It also cuts small random traces at random budgets with both loops and counts how often the result differs.
"""

import argparse
import importlib.metadata
import os
import platform
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from figures import Figure, at_least, at_most

from asap.lm.specs import load_tokens
from asap.lm.tokens import TokenCounter
from asap.prune.decision.step_cut import CoarseReport, StepCut, StepDecision
from asap.prune.fine.joined_tokens import RemovalTokens, removal_tokens
from asap.prune.fine.removal import removal_order
from asap.spans import Span
from asap.steps import SEPARATOR, split_steps

QWEN2_REGEX = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
RATIO = 0.5
SAMPLES = 16  # removals of the naive loop that are timed where all of them would take too long

SENTENCES = """
So we need to {v} the {n} before the {n} is {a}.|Wait, but what if the {n} is {a}? Then {i} would be {d}.|Let me think about the {n} again.
The function {i} takes a {n} and returns the {a} {n}.|Hmm, maybe I should {v} the {n} first.|For example, if {i} = {d}, the answer is {d}.
Alternatively, we could {v} each {n} and keep the {a} one in `{i}`.|That gives {d} + {d} = {d}, which is not what the example says.
But the problem says that the {n} can be {a}, so we have to {v} it.|The time is O({i} log {i}) for {d} items, which should be fine.
In the first test case the {n} is [{d}, {d}, {d}] and the expected {n} is {d}.|I don't think that's right; let's {v} the {n} by hand.
When the {n} is empty, we return {d} and don't {v} anything.|So {i}[{d}] is {a}, and after the loop it's {d}.|Now check the {a} case.
This means that every {n} has at least {d} {a} neighbours.|Okay, so the {a} {n} wins and we {v} the other one.|Yes, that works.
""".strip()
WORDS = {
    "{n}": """list string index array substring window counter loop node graph tree edge path value key dictionary stack queue prefix suffix
    input output element character digit number sum product result case row column grid cell interval range pointer segment condition""",
    "{v}": "sort check update count remove insert merge split reverse compare store compute track skip handle increment reset scan",
    "{a}": "empty sorted longest shortest maximum minimum last first previous next smaller larger equal valid unique negative",
    "{i}": "n i j left right max_len dp[i] total seen nums res target start end curr_sum get_max() word freq memo heap best_so_far",
}
CODE = """
for i in range(n):|    if nums[i] > best:|        best = nums[i]|while left < right:|    total += dp[left]|    left += 1|return res
def solve(nums):|    seen = set()|    # keep the last one|else:|    heap.append((freq[word], word))|x = int(input())|    return -1
""".strip()
CJK = ["我们先检查数组是否为空。", "等等，如果数字是负数呢？", "所以答案是正确的。", "まず配列を並べ替えます。", "つまり答えは三です。"]


class Trace(NamedTuple):
    """A text, its steps and the order in which they go."""

    text: str
    spans: list[Span]
    order: list[int]


class Timing(NamedTuple):
    """Median CPU and wall seconds."""

    cpu: float
    wall: float


def main() -> None:
    """Print a table of times, then one of differences."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, nargs="+", default=[500, 2000], help="steps of a trace (default 500 2000)")
    parser.add_argument("--repeats", type=int, default=5, help="timings per figure, the median counts (default %(default)s)")
    parser.add_argument("--prunings", type=int, default=1000, help="random prunings per tokenizer (default %(default)s)")
    parser.add_argument("--tokenizer", nargs="+", default=[], metavar="FOLDER", help="real tokenizers instead of those trained here")
    parser.add_argument("--quick", action="store_true", help="fewer repeats and prunings; the naive loop is always sampled")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--date", default="", help="shown in the header")
    args = parser.parse_args()
    if args.quick:
        args.repeats, args.prunings = min(args.repeats, 3), min(args.prunings, 50)

    print_header(args.date, ["tokenizers"])
    tokenizers = make_tokenizers(args.tokenizer, args.seed)
    print(f"\nBudget loop at {RATIO:.0%} of the tokens, random scores; CPU s (wall s), medians of {args.repeats}; naive loop: see `how`\n")
    print("| tokenizer | steps | tokens | one tokenisation | asap | asap / one | naive | naive / asap | naive, counting fast | how | cut |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for name, tokens in tokenizers.items():
        for count in args.steps:
            trace = make_trace(random.Random(args.seed + count), count)
            one, ours, slow, fast, how, same = time_loops(tokens, trace, args.repeats, whole=count <= 500 and not args.quick)
            cells = [name, f"{count:,}", f"{tokens.count(trace.text):,}", shown(one), shown(ours), f"{ours.cpu / one.cpu:.2f}"]
            cells += [shown(slow), f"{slow.cpu / ours.cpu:.0f}x", f"{shown(fast)}, {fast.cpu / ours.cpu:.0f}x", how, same]
            print(f"| {' | '.join(cells)} |", flush=True)
    print("\nThe same cut: random prunings of 2 to 60 steps, some indented, fenced or Chinese, at ratios from 0.05 to 0.95\n")
    print("| tokenizer | prunings | cuts that differ | counts that differ |\n|---|---|---|---|")
    for name, tokens in tokenizers.items():
        print("| {} | {} | {} | {} |".format(name, args.prunings, *count_differences(tokens, args.prunings, args.seed)), flush=True)


def figures(quick: bool) -> Iterator[Figure]:
    """The lines for `run.py`, each over three tokenizers (as SmolLM2's, Qwen2's, SentencePiece's)."""
    tokenizers = make_tokenizers([], 0)
    for count, limit in ((500, 50), (2000, 300)):
        trace = make_trace(random.Random(count), count)
        loops = [time_loops(tokens, trace, 3 if quick else 5, whole=False) for tokens in tokenizers.values()]
        yield at_most(f"budget loop, {count:,} steps", [loop.ours.cpu / loop.one.cpu for loop in loops], 2.5, "one tokenisation")
        yield at_least(f"budget loop, {count:,} steps", [loop.slow.cpu / loop.ours.cpu for loop in loops], limit, "Algorithm 2 as written")
    prunings = 50 if quick else 1000
    differ = [sum(count_differences(tokens, prunings, 0)) for tokens in tokenizers.values()]
    yield Figure(
        "budget loop, cuts and counts that differ from that", f"{sum(differ)} of {2 * prunings * len(differ):,}", "0", not any(differ)
    )


def print_header(date: str, packages: Sequence[str]) -> None:
    """Where and with what the figures below were made."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    versions = ", ".join(f"{package} {importlib.metadata.version(package)}" for package in packages)
    load = "/".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{date + ': ' if date else ''}{next(names, platform.machine())}, {len(os.sched_getaffinity(0))} cores, load {load}")
    print(f"Python {platform.python_version()}, {versions}, OMP_WAIT_POLICY={os.environ.get('OMP_WAIT_POLICY', 'unset')}")


def median_time(work: Callable[[], object], repeats: int) -> Timing:
    """Time a piece of work some times over."""
    cpu, wall = [], []
    for _ in range(repeats):
        wall_start, cpu_start = time.perf_counter(), time.process_time()
        work()
        cpu.append(time.process_time() - cpu_start)
        wall.append(time.perf_counter() - wall_start)
    return Timing(statistics.median(cpu), statistics.median(wall))


class Loops(NamedTuple):
    """One tokenisation of a trace, ours, the naive loop by the usual and the fast call; how that ran, and whether the cut is the same."""

    one: Timing
    ours: Timing
    slow: Timing
    fast: Timing
    how: str
    same: str


def time_loops(tokens: TokenCounter, trace: Trace, repeats: int, *, whole: bool) -> Loops:
    """Time the ways on one trace. The naive loop is run once in full (`whole`) or timed on some removals."""
    joined = SEPARATOR.join(trace.text[span.start : span.end] for span in trace.spans)
    budget = int(tokens.count(trace.text) * RATIO)
    encoded: list[Timing] = []
    pruned: list[Timing] = []
    for _ in range(repeats):  # turn and turn about, so that a busy moment of the machine hits both
        encoded.append(median_time(lambda: tokens.encode(joined), 1))
        pruned.append(median_time(lambda: cut_at(trace, removal_tokens(trace.text, trace.spans, trace.order, tokens), budget), 1))
    one, ours = (Timing(*map(statistics.median, zip(*times, strict=True))) for times in (encoded, pruned))
    decision = cut_at(trace, removal_tokens(trace.text, trace.spans, trace.order, tokens), budget)
    removed = sum(not step.kept for step in decision.steps)
    counters: list[Callable[[str], int]] = [lambda text: len(tokens.hf.encode(text, add_special_tokens=False)), tokens.count]
    if whole:
        slow = median_time(lambda: naive_cut(trace, budget, counters[0]), 1)
        same = "same" if naive_cut(trace, budget, tokens.count) == kept_of(decision) else "DIFFERENT"
        fast, how = median_time(lambda: naive_cut(trace, budget, tokens.count), 1), "whole, one run"
    else:
        slow, fast = (sampled_naive(trace, removed, counter) for counter in counters)
        same, how = stops_at(trace, removed, budget, tokens), f"{SAMPLES} of {removed} removals, extrapolated"
    return Loops(one, ours, slow, fast, how, same)


def shown(timing: Timing) -> str:
    """Seconds of CPU and, in brackets, of wall time."""
    digits = 3 if timing.cpu < 10 else 0
    return f"{timing.cpu:.{digits}f} ({timing.wall:.{digits}f})"


def naive_cut(trace: Trace, budget: int, count: Callable[[str], int]) -> list[int]:
    """Algorithm 2, line by line: while too long, remove the lowest-scored step and tokenise what is left."""
    kept = list(range(len(trace.spans)))
    waiting = list(trace.order)
    while naive_length(trace, kept, count) > budget and len(kept) > 1:
        kept.remove(waiting.pop(0))
    return kept


def naive_length(trace: Trace, kept: Sequence[int], count: Callable[[str], int]) -> int:
    """The tokens of the kept steps, joined."""
    return count(joined_text(trace, kept))


def sampled_naive(trace: Trace, removed: int, count: Callable[[str], int]) -> Timing:
    """The naive loop's time from `SAMPLES` removals spread evenly over it, the mean times their number."""
    cpu, wall = [], []
    for sample in range(SAMPLES):
        gone = set(trace.order[: round((sample + 0.5) * removed / SAMPLES)])
        kept = [index for index in range(len(trace.spans)) if index not in gone]
        timing = median_time(partial(naive_length, trace, kept, count), 1)
        cpu.append(timing.cpu)
        wall.append(timing.wall)
    return Timing(statistics.mean(cpu) * (removed + 1), statistics.mean(wall) * (removed + 1))


def stops_at(trace: Trace, removed: int, budget: int, tokens: TokenCounter) -> str:
    """Whether a real tokenisation fits the budget after `removed` removals and does not one removal earlier."""
    fits = [
        tokens.count(joined_text(trace, sorted(set(range(len(trace.spans))) - set(trace.order[:gone])))) <= budget
        for gone in (removed - 1, removed)
    ]
    return "same" if fits == [False, True] else "DIFFERENT"


def joined_text(trace: Trace, kept: Sequence[int]) -> str:
    """The kept steps, joined with blank lines."""
    return SEPARATOR.join(trace.text[trace.spans[index].start : trace.spans[index].end] for index in kept)


def cut_at(trace: Trace, lengths: RemovalTokens, budget: int) -> StepCut:
    """What `asap` does with the lengths: a decision, then a look-up."""
    rank = {index: place for place, index in enumerate(trace.order)}
    steps = [
        StepDecision(
            index=index,
            start=span.start,
            end=span.end,
            tokens=lengths.step_tokens[index],
            match=None,
            alignment=None,
            surprisal=None,
            score=None,
            rank=rank[index],
            tokens_left=lengths.tokens_left[rank[index]],
            kept=True,
            removed_by=None,
        )
        for index, span in enumerate(trace.spans)
    ]
    total = lengths.tokens_joined
    whole = StepCut(
        id="",
        method="asap",
        tokens_before=total,
        tokens_coarse=total,
        tokens_after=total,
        budget=None,
        min_steps=1,
        windows=1,
        coarse=CoarseReport("none"),
        steps=steps,
    )
    return whole.cut(budget=budget)


def kept_of(decision: StepCut) -> list[int]:
    """The indices of the steps that stay."""
    return [step.index for step in decision.steps if step.kept]


def count_differences(tokens: TokenCounter, prunings: int, seed: int) -> tuple[int, int]:
    """How many random prunings end in other steps, or in another number of tokens, than the naive loop's."""
    rng = random.Random(seed)
    cuts = counts = 0
    for _ in range(prunings):
        trace = make_trace(rng, rng.randint(2, 60), characters=90, cjk=0.1, indented=0.15)
        budget = max(1, int(tokens.count(trace.text) * rng.uniform(0.05, 0.95)))
        lengths = removal_tokens(trace.text, trace.spans, trace.order, tokens)
        decision = cut_at(trace, lengths, budget)
        kept = naive_cut(trace, budget, tokens.count)
        cuts += kept_of(decision) != kept
        counts += decision.tokens_after != tokens.count(joined_text(trace, kept))
    return cuts, counts


def make_trace(rng: random.Random, count: int, **kinds: float) -> Trace:
    """A text of so many steps and a random order in which they go; `kinds` as in `make_steps`."""
    text = SEPARATOR.join(make_steps(rng, count, **kinds))
    spans = split_steps(text)
    return Trace(text, spans, removal_order([rng.random() for _ in spans]))


def make_steps(rng: random.Random, count: int, characters: float = 240, cjk: float = 0.0, indented: float = 0.05) -> list[str]:
    """Steps as reasoning models write them: mostly sentences, some lists, code (fenced or indented) and sums."""
    templates = SENTENCES.replace("\n", "|").split("|")
    code = CODE.replace("\n", "|").split("|")
    steps = []
    for _ in range(count):
        wanted = max(15.0, rng.gammavariate(3, characters / 3))
        kind = rng.random()
        if kind < cjk:
            step = "".join(rng.choices(CJK, k=max(1, int(wanted / 40))))
        elif kind < cjk + indented:
            step = "    " + "\n    ".join(rng.choices(code, k=max(1, int(wanted / 25))))
        elif kind < cjk + indented + 0.05:
            step = "```python\n" + "\n\n".join("\n".join(rng.choices(code, k=max(1, int(wanted / 40)))) for _ in range(2)) + "\n```"
        elif kind < cjk + indented + 0.13:
            bullet = rng.choice(["{}. ", "- ", "* ", "{}) "])
            step = "\n".join(bullet.format(number + 1) + fill(rng, rng.choice(templates)) for number in range(max(2, int(wanted / 60))))
        elif kind < cjk + indented + 0.18:
            step = "\n".join(fill(rng, "{d} + {d} = {d}") for _ in range(max(1, int(wanted / 15))))
        else:
            step = fill(rng, rng.choice(templates))
            while len(step) < wanted - 30:
                step += " " + fill(rng, rng.choice(templates))
        steps.append(step)
    return steps


def fill(rng: random.Random, template: str) -> str:
    """The template with every slot filled anew."""
    for slot, words in WORDS.items():
        while slot in template:
            template = template.replace(slot, rng.choice(words.split()), 1)
    while "{d}" in template:
        template = template.replace("{d}", str(int(10 ** rng.uniform(0, 4))), 1)
    return template


def make_tokenizers(folders: Sequence[str], seed: int) -> dict[str, TokenCounter]:
    """The bundled tokenizer, then those of the folders, or two that are trained here."""
    tokenizers = {"bundled (SmolLM2)": load_tokens("bundled")}
    if folders:
        return tokenizers | {Path(folder).name: TokenCounter.load(folder) for folder in folders}
    corpus = SEPARATOR.join(make_steps(random.Random(seed + 1), 4000, cjk=0.02))
    return tokenizers | {"Qwen2-like": train_qwen(corpus), "SentencePiece-like": train_sentencepiece(corpus)}


def train_qwen(corpus: str) -> TokenCounter:
    """ByteLevel BPE behind Qwen2's regular expression: a full stop and the blank line behind it are one token."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    tokenizer: Any = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    split = pre_tokenizers.Split(Regex(QWEN2_REGEX), behavior="isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=4000, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator(pieces_of(corpus), trainer)
    return wrapped(tokenizer, "Qwen2-like")


def train_sentencepiece(corpus: str) -> TokenCounter:
    """BPE with spaces as part of the words; line breaks are not in the vocabulary, so each is a byte token, as in Llama 2."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer: Any = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    tokenizer.decoder = decoders.Metaspace()
    special = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(vocab_size=4000, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(corpus.split("\n"), trainer)
    return wrapped(tokenizer, "SentencePiece-like")


def pieces_of(corpus: str, size: int = 50_000) -> Iterator[str]:
    """The corpus in pieces."""
    bounds = [*range(0, len(corpus), size), len(corpus)]
    return (corpus[start:end] for start, end in pairwise(bounds))


def wrapped(tokenizer: Any, name: str) -> TokenCounter:
    """A trained tokenizer as asap takes it."""
    from transformers import PreTrainedTokenizerFast

    return TokenCounter(PreTrainedTokenizerFast(tokenizer_object=tokenizer), name)


if __name__ == "__main__":
    main()
