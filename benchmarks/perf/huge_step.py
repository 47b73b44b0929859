"""CPU time of a trace with one huge step, of which only the first token is wanted: `asap prune --scores own`, against one tokenisation.

Run `OMP_WAIT_POLICY=PASSIVE python benchmarks/perf/huge_step.py`. The bundled model; the step is one word over and over, or words
that are drawn from a seed. Below it, on a smaller step, what it costs that the default reads every token, for the scores of other methods.
"""

import argparse
import random
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from figures import Figure, at_most

from asap.lm.scorer import Scorer
from asap.lm.specs import load_scorer
from asap.prune.asap import Asap
from asap.prune.settings import AsapSettings
from asap.sample import make_sample

Found = TypeVar("Found")
WORDS = "so the sum of two numbers is first wait check that loop again then answer list because hence maybe window node".split()  # noqa: SIM905


def main() -> None:
    """Print two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, default=10, help="size of the step (default %(default)s)")
    parser.add_argument("--small", type=float, default=0.02, help="size of the step of the second table (default %(default)s)")
    args = parser.parse_args()
    scorer = load_scorer("bundled", device="cpu")
    decide(scorer, "warm up", scores="own")
    print("| step | tokens | one tokenisation, CPU s | `--scores own` | own / one | windows |\n|---|---|---|---|---|---|")
    for name, text in steps(args.megabytes).items():
        one, own, tokens, windows = measured(scorer, text)
        print(f"| {name} | {tokens:,} | {one:.2f} | {own:.2f} | {own / one:.2f} | {windows} |", flush=True)
    print("\n| step | `--scores own`, CPU s | the default | default / own |\n|---|---|---|---|")
    text = drawn(args.small)
    own, _ = timed(lambda: decide(scorer, text, scores="own"))
    default, _ = timed(lambda: decide(scorer, text))
    print(f"| {len(text):,} characters | {own:.2f} | {default:.2f} | {default / own:.0f}x |")


def figures(quick: bool) -> Iterator[Figure]:
    """The line for `run.py`."""
    scorer = load_scorer("bundled", device="cpu")
    decide(scorer, "warm up", scores="own")
    size = 2 if quick else 10
    found = [measured(scorer, text) for text in steps(size).values()]
    yield at_most(f"a step of {size} MB, first token only", [own / one for one, own, _, _ in found], 1.2, "one tokenisation")


def steps(megabytes: float) -> dict[str, str]:
    """The huge steps."""
    return {"one word": repeated(megabytes), "drawn words": drawn(megabytes)}


def measured(scorer: Scorer, step: str) -> tuple[float, float, int, int]:
    """CPU seconds of one tokenisation and of the decision, the step's tokens, and the windows that were read."""
    one, encoded = timed(lambda: scorer.tokens.encode(step))
    own, windows = timed(lambda: decide(scorer, step, scores="own"))
    return one, own, len(encoded.ids), windows


def repeated(megabytes: float) -> str:
    """One word, so many times."""
    return "numbers" + " numbers" * int(megabytes * 1e6 / 8)


def drawn(megabytes: float) -> str:
    """Different words."""
    return " ".join(random.Random(0).choices(WORDS, k=int(megabytes * 1e6 / 5.4)))


def decide(scorer: Scorer, step: str, **settings: Any) -> int:
    """Prune a trace of a short step and this one; returns in how many windows the model read it."""
    sample = make_sample("q", f"first step\n\n{step}", "a", row_id="huge")
    return Asap(scorer, AsapSettings(budget=50, coarse="none", **settings)).prune(sample).decision.windows


def timed(work: Callable[[], Found]) -> tuple[float, Found]:
    """CPU seconds of a call, and what it returns."""
    start = time.process_time()
    found = work()
    return time.process_time() - start, found


if __name__ == "__main__":
    main()
