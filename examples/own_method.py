"""Two custom methods for `asap prune --method`; docs/methods.md explains them.

asap prune examples/traces.jsonl --limit 2 --method examples.own_method:fewest_digits --ratio 0.5 --out out/digits
asap prune examples/traces.jsonl --limit 2 --method examples.own_method:last_token_surprisal --ratio 0.5 --out out/last
"""

from asap import Scoring, Steps


def fewest_digits(steps: Steps) -> list[float]:
    """Removes steps without digits first. Needs no model."""
    return [float(sum(character.isdigit() for character in text)) for text in steps.texts]


def last_token_surprisal(steps: Steps) -> Scoring[list[float]]:
    """Removes the steps with the least surprising last token first. The scorer reads the trace once."""
    read = yield from steps.read()
    return [-float(step.logprobs[-1]) if len(step.logprobs) else 0.0 for step in read]
