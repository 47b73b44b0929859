"""Traces that end in a loop, and traces that repeat themselves for a reason, made from healthy ones with a fixed seed.

The loops follow a part of a real trace: its last sentences said again and again, as they are, with numbers that count up, with some words
replaced by others, or in an order that is drawn anew each time. What repeats for a reason follows a real trace too: a table, a simulation
step by step, a list of asserts, code with lines that are alike, counting, and chains of "wait".
"""

import random
import re
from collections.abc import Callable

_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_OTHERS = {
    "so": ["thus", "hence", "then"],
    "wait": ["hmm", "hold on", "but wait"],
    "check": ["verify", "look at", "test"],
    "the": ["this", "that"],
    "is": ["equals", "must be", "would be"],
    "let": ["now let", "let"],
    "we": ["I", "one"],
    "correct": ["right", "fine", "true"],
    "but": ["however", "though", "yet"],
    "need": ["have", "want"],
    "because": ["since", "as"],
}
_DOUBTS = ("Wait, no.", "Wait.", "But wait,", "Hmm, wait, let me think again.")
_FEW = 0.12  # of the words are replaced in a repetition


def _piece(draw: random.Random, trace: str) -> tuple[str, list[str]]:
    """A part of a trace, and the one to six sentences that it ends in."""
    sentences = [one for one in _SENTENCE.split(trace) if len(one) > 20]
    last = draw.randint(min(6, len(sentences)), len(sentences))
    several = sentences[max(0, last - draw.randint(1, 6)) : last]
    start = trace.find(several[0])
    return trace[: max(start, 0)], several


def _repeated(draw: random.Random, trace: str, say: Callable[[int, list[str]], str]) -> str:
    before, several = _piece(draw, trace)
    wanted, said, rounds = draw.randint(1_000, 12_000), "", 0
    while len(said) < wanted or rounds < 5:
        said += say(rounds, several) + draw.choice(["\n\n"])
        rounds += 1
    return before + said[: len(said) - draw.randint(0, 30)]  # the last token stands anywhere


def exact(draw: random.Random, trace: str) -> str:
    """The same sentences."""
    return _repeated(draw, trace, lambda _, several: " ".join(several))


def counting_up(draw: random.Random, trace: str) -> str:
    """The same sentences, whose numbers count up; one number is added where there is none."""

    def say(rounds: int, several: list[str]) -> str:
        text = " ".join(several)
        text = text if re.search(r"\d", text) else f"Attempt 1: {text}"
        return re.sub(r"\d+", lambda found: str(int(found[0][:9]) + rounds), text)

    return _repeated(draw, trace, say)


def in_other_words(draw: random.Random, trace: str) -> str:
    """The same sentences, some words of which are others each time."""

    def other(word: str) -> str:
        known = _OTHERS.get(word.lower().strip(",.:"))
        if known and draw.random() < 0.5:
            return draw.choice(known)
        return draw.choice(["really", "again", "now", "just"]) + " " + word if draw.random() < _FEW / 4 else word

    return _repeated(draw, trace, lambda _, several: " ".join(other(word) for word in " ".join(several).split(" ")))


def in_any_order(draw: random.Random, trace: str) -> str:
    """The same sentences, in an order drawn anew each time."""
    return _repeated(draw, trace, lambda _, several: " ".join(draw.sample(several, len(several))))


def table(draw: random.Random, trace: str) -> str:
    """A table of values."""
    step, rows = draw.randint(1, 9), draw.randint(12, 60)
    lines = [f"| {n} | {n * n % 97} | {n * step} | {'yes' if n % 3 else 'no'} |" for n in range(1, rows)]
    return f"{trace}\n\nLet me write the values down.\n\n| n | n*n mod 97 | {step}n | ok |\n|---|---|---|---|\n" + "\n".join(lines)


def simulation(draw: random.Random, trace: str) -> str:
    """A bubble sort, swap by swap."""
    values, lines = [draw.randint(0, 99) for _ in range(draw.randint(6, 10))], list[str]()
    for end in range(len(values) - 1, 0, -1):
        for at in range(end):
            swaps = values[at] > values[at + 1]
            if swaps:
                values[at], values[at + 1] = values[at + 1], values[at]
            lines.append(f"i={end}, j={at}: {'swap' if swaps else 'no swap'}, the list is now {values}")
    return f"{trace}\n\nLet me trace the code step by step.\n\n" + "\n".join(lines)


def asserts(draw: random.Random, trace: str) -> str:
    """Tests of one function."""
    numbers = range(draw.randint(10, 40))
    lines = [f"assert count_pairs({[draw.randint(0, 9) for _ in range(4)]}, {n}) == {draw.randint(0, 6)}" for n in numbers]
    return f"{trace}\n\nLet me write more tests.\n\n```python\n" + "\n".join(lines) + "\n```"


def code(draw: random.Random, trace: str) -> str:
    """Branches of code that are alike."""
    names = draw.sample(["alpha", "beta", "gamma", "delta", "north", "south", "east", "west", "red", "green", "blue", "mean"], 8)
    lines = [f"    elif kind == '{name}':\n        result['{name}'] = result.get('{name}', 0) + 1\n        total += 1" for name in names]
    return f"{trace}\n\n```python\nfor kind in kinds:\n    if not kind:\n        continue\n" + "\n".join(lines) + "\nreturn total\n```"


def counting(draw: random.Random, trace: str) -> str:
    """Numbers in a row, as one who counts on paper writes them."""
    first, step, rows = draw.randint(1, 50), draw.randint(1, 7), draw.randint(40, 300)
    return f"{trace}\n\nLet me count: " + ", ".join(str(first + step * n) for n in range(rows))


def wait_chain(draw: random.Random, trace: str) -> str:
    """Sentences of the trace with a doubt before each."""
    sentences = [one for one in _SENTENCE.split(trace) if len(one) > 20]
    chosen = draw.sample(sentences, min(len(sentences), draw.randint(6, 20)))
    return f"{trace}\n\n" + "\n\n".join(f"{draw.choice(_DOUBTS)} {one}" for one in chosen)


LOOPS = (exact, counting_up, in_other_words, in_any_order)
REASONS = (table, simulation, asserts, code, counting, wait_chain)
