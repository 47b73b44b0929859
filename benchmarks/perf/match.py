"""CPU time of Algorithm 1 on one long trace: difflib with and without its autojunk heuristic, and `asap.prune.coarse.match`.

Run `python benchmarks/perf/match.py`. The text is made up from a seed: steps of about 305 characters, a few sentences each,
words as frequent as in English (Zipf). It measures the validator and `snap` on one core; it says nothing on how often real
replies fall into each case.
"""

import argparse
import os
import platform
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from difflib import SequenceMatcher
from itertools import accumulate

import rapidfuzz
from figures import Figure, at_least

from asap.prune.coarse.match import matches, snap

TAU = 0.6
Validator = Callable[[Sequence[str], Sequence[str]], bool]


def main() -> None:
    """Print one row per case and validator."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=300, help="steps of the original (default %(default)s)")
    parser.add_argument("--kept", type=int, default=100, help="steps of the reply (default %(default)s)")
    parser.add_argument("--characters", type=int, default=305, help="mean characters of a step (default %(default)s)")
    parser.add_argument("--repeats", type=int, default=5, help="timings per figure, the median counts (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    rng = random.Random(args.seed)
    original = make_steps(rng, args.steps, args.characters)
    validators: dict[str, Validator] = {
        "difflib, autojunk on": lambda o, c: by_difflib(o, c, autojunk=True),
        "difflib, autojunk off": lambda o, c: by_difflib(o, c, autojunk=False),
        "asap matches": matches,
        "asap snap": lambda o, c: snap(o, c) is not None,
    }
    print(f"Python {platform.python_version()}, rapidfuzz {rapidfuzz.__version__}")
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}")
    mean = statistics.mean(map(len, original))
    print(f"{args.steps} steps of {mean:.0f} characters (mean) against {args.kept}, tau {TAU}, CPU ms, median of {args.repeats}\n")
    print(f"{'case':<14} {'validator':<22} {'CPU ms':>8} {'off / this':>11} {'verdict':>8}  same as off")
    for case, reply in make_replies(rng, original, args.kept).items():
        report(case, original, reply, validators, args.repeats)


def figures(quick: bool) -> Iterator[Figure]:
    """The lines for `run.py`: the verdict on a verbatim, a near-verbatim and two failing replies."""
    rng = random.Random(0)
    original = make_steps(rng, 300, 305)
    validators: dict[str, Validator] = {"difflib": lambda o, c: by_difflib(o, c, autojunk=False), "asap": matches}
    found = [timed(original, reply, validators, 1 if quick else 5) for reply in make_replies(rng, original, 100).values()]
    faster = [statistics.median(times["difflib"]) / statistics.median(times["asap"]) for times, _ in found]
    speed = at_least("check of a rewritten trace", faster, 30, "difflib")
    yield speed._replace(met=speed.met and all(verdicts["difflib"] == verdicts["asap"] for _, verdicts in found))


def timed(
    original: Sequence[str], reply: Sequence[str], validators: dict[str, Validator], repeats: int
) -> tuple[dict[str, list[float]], dict[str, bool]]:
    """CPU milliseconds and verdict of every validator, turn and turn about, so that a busy moment of the machine hits all of them."""
    times: dict[str, list[float]] = {name: [] for name in validators}
    verdicts: dict[str, bool] = {}
    for _ in range(repeats):
        for name, validator in validators.items():
            start = time.process_time()
            verdicts[name] = validator(original, reply)
            times[name].append(1000 * (time.process_time() - start))
    return times, verdicts


def report(case: str, original: Sequence[str], reply: Sequence[str], validators: dict[str, Validator], repeats: int) -> None:
    """Print one row per validator."""
    times, verdicts = timed(original, reply, validators, repeats)
    reference = statistics.median(times["difflib, autojunk off"])
    for name in validators:
        median = statistics.median(times[name])
        same = "yes" if verdicts[name] == verdicts["difflib, autojunk off"] else "NO"
        print(f"{case:<14} {name:<22} {median:8.2f} {reference / median:10.1f}x {verdicts[name]!s:>8}  {same}")


def by_difflib(original: Sequence[str], coarse: Sequence[str], autojunk: bool) -> bool:
    """Algorithm 1, line by line."""
    index = 0
    for step in coarse:
        found = False
        while index < len(original) and not found:
            found = SequenceMatcher(None, original[index], step, autojunk=autojunk).ratio() >= TAU
            index += 1
        if not found:
            return False
    return True


def make_replies(rng: random.Random, original: Sequence[str], kept: int) -> dict[str, list[str]]:
    """A verbatim selection, one with one word in fourteen changed or dropped, and ones that break at the start and half way."""
    verbatim = [original[index] for index in sorted(rng.sample(range(len(original)), kept))]
    near = [retype(rng, step) for step in verbatim]
    alien = make_steps(rng, 1, len(verbatim[0]))
    return {
        "verbatim": verbatim,
        "near-verbatim": near,
        "failing": alien + verbatim[1:],
        "failing late": near[: kept // 2] + alien + near[kept // 2 + 1 :],
    }


def retype(rng: random.Random, step: str) -> str:
    """The step with about 7 % of its words replaced, dropped or doubled."""
    words: list[str] = []
    for word in step.split(" "):
        change = rng.choice(["", "thus", f"{word} {word}"]) if rng.random() < 0.07 else word
        words.extend(change.split())
    return " ".join(words)


def make_steps(rng: random.Random, count: int, characters: int) -> list[str]:
    """Steps of sentences over 3,000 made-up words; lengths spread as in traces (standard deviation about half the mean)."""
    words = make_words(rng, 3000)
    weights = list(accumulate(1 / rank for rank in range(1, len(words) + 1)))
    steps = []
    for _ in range(count):
        wanted = max(20.0, rng.gammavariate(4, characters / 4))
        text = ""
        while len(text) < wanted:
            sentence = " ".join(rng.choices(words, cum_weights=weights, k=rng.randint(5, 20)))
            text += f"{sentence[0].upper()}{sentence[1:]}. "
        steps.append(text[: int(wanted)].strip())
    return steps


def make_words(rng: random.Random, count: int) -> list[str]:
    """Distinct words of letters as frequent as in English, the short ones first."""
    words: set[str] = set()
    while len(words) < count:
        letters = rng.choices(
            "etaoinshrdlcumwfgypbvk", weights=[13, 9, 8, 8, 7, 7, 6, 6, 6, 4, 4, 3, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1], k=rng.randint(2, 9)
        )
        words.add("".join(letters))
    return sorted(words, key=lambda word: (len(word), word))


if __name__ == "__main__":
    main()
