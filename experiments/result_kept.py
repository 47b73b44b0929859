"""In how many pruned traces the final result still stands, by method: what support measures on mathematics.

Run `python experiments/result_kept.py RUN`, where RUN is `runs/asap` in a folder of `asap compare`. Each trace is cut to half of its
tokens by each method that its stored scores allow; a result stands there where its characters do.
"""

import argparse
from pathlib import Path

from half import SHARE

from asap.errors import InputError
from asap.lm.specs import load_tokens
from asap.prune.methods import METHODS
from asap.prune.settle import reordered
from asap.prune.support import target_of
from asap.sample import Sample
from asap.store.work import Store


def main() -> None:
    """Print one line for each method."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--tokenizer", default="bundled", help="the one that the run counted with (default %(default)s)")
    options = parser.parse_args()
    tokens = load_tokens(options.tokenizer)
    with Store.open(options.run, create=False) as store:
        decided = [(entry.sample, entry.decision) for entry in store.entries() if entry.sample and entry.decision]
    print(f"| method | of {len(decided)} |\n|---|---|")
    print(f"| full trace | {sum(result_of(sample) in sample.cot for sample, _ in decided)} |")
    for name in [*METHODS, "asap-fine"]:
        method = "asap" if name == "asap-fine" else name
        try:
            orders = [whole if name == whole.method else reordered(whole, sample, method, tokens) for sample, whole in decided]
        except InputError:  # its scores are not stored
            continue
        cuts = [order.cut(sample.cot, lambda: tokens, ratio=SHARE) for (sample, _), order in zip(decided, orders, strict=True)]
        traces = [cut.apply(sample.cot) for (sample, _), cut in zip(decided, cuts, strict=True)]
        if name != "original":
            print(f"| {name} | {sum(result_of(sample) in trace for (sample, _), trace in zip(decided, traces, strict=True))} |")


def result_of(sample: Sample) -> str:
    r"""The result, without the \boxed around it."""
    target = target_of(sample).text
    return target.removeprefix("\\boxed").strip()[1:-1] if target.startswith("\\boxed") else target


if __name__ == "__main__":
    main()
