"""A scorer of one's own: any function that gives each token of a text a log-probability. docs/plugins.md explains it.

python examples/own_scorer.py
asap prune examples/traces.jsonl --limit 2 --scorer examples.own_scorer:unigrams --coarse none --ratio 0.5 --out out/unigrams
"""

import math
from collections import Counter

import asap


def unigrams() -> asap.OwnScorer:
    """A scorer without a neural model: a token is as likely as it is frequent in the question and the trace."""
    tokens = asap.load_tokens("bundled")

    def logprobs(context: str, text: str) -> list[float]:
        ids = tokens.encode(text).ids.tolist()
        counts = Counter(ids + tokens.encode(context).ids.tolist())
        return [math.log(counts[token] / counts.total()) for token in ids]

    return asap.OwnScorer(logprobs, tokens, "unigrams")


def main() -> None:
    """Prune the first example to half of its tokens."""
    sample = next(iter(asap.read_samples("examples/traces.jsonl")))
    pruned = asap.Asap(unigrams(), {"ratio": 0.5, "coarse": "none"}).prune(sample)
    print(f"{sample.id}: {pruned.decision.tokens_before} tokens -> {pruned.decision.tokens_after}")


if __name__ == "__main__":
    main()
