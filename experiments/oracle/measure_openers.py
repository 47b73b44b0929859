"""Counts with which words the steps of DeepSeek-R1's traces begin, by kind of step.

Run `python -m experiments.oracle.measure_openers kodcode_r1.jsonl.gz`; it writes openers.json beside this file.

A step is a paragraph of the thinking. Its opener is its first word if that is one of `WRITTEN`, else none. Its kind follows from the
rest of it alone, so that the opener does not decide its own kind, by the first of these rules that finds a word; all others count as
necessary. The rule is a word list and no judgement: it says how R1 begins sentences that speak of checking, not which steps R1 needed.
"""

import argparse
import gzip
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from experiments.oracle.openers import COUNTS, LABELS, NONE, WRITTEN, Label

from asap.atomic import replacing
from asap.lm.cache import file_sha256
from asap.steps import split_steps
from asap.think import split_think

RULES: Mapping[Label, Sequence[str]] = {
    "dead-end": (
        *("wrong", "mistakes?", "incorrect(ly)?", "not (right|correct|needed|necessary)", r"confus\w*", "misread", r"misunderst\w*"),
        *("(doesn't|does not|won't|wouldn't|not) work", "another (way|approach|idea|possibility)", "no, ", "scratch that"),
    ),
    "verification": (
        *(r"check\w*", r"verif\w*", r"confirm\w*", "test(s|ed|ing)?", "correct(ly)?", "matche?s"),
        *("as expected", "expected (output|result)", "makes sense", "works"),
    ),
    "restated": (
        *("the (problem|question|function|task|example) (says|states|asks|is|should|needs|requires|shows)", "in other words", "that is"),
        *("as (given|stated|said|mentioned)", "again", "recall", "remember", "we (have|know)", "given"),
    ),
}


def main() -> None:
    """Write the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("traces", type=Path, help="rows with a response, as JSON lines in gzip")
    traces: Path = parser.parse_args().traces
    counts = {label: Counter[str]() for label in LABELS}
    rows = 0
    for cot in thinking_of(traces):
        rows += 1
        for span in split_steps(cot):
            opener, rest = opened(cot[span.start : span.end].strip())
            counts[kind_of(rest)][opener] += 1
    with replacing(COUNTS) as file:
        found = {label: {opener: counts[label][opener] for opener in WRITTEN} for label in LABELS}
        about = {"traces": rows, "steps": sum(map(Counter.total, counts.values())), "sha256": file_sha256(traces)}
        command = f"python -m experiments.oracle.measure_openers {traces.name}"
        file.write(json.dumps({"command": command, **about, "counts": found}, indent=1) + "\n")
    print("| opener | " + " | ".join(LABELS) + " |\n|---|" + "---:|" * len(LABELS))
    for opener in WRITTEN:
        shares = (f"{counts[label][opener] / counts[label].total():.1%}" for label in LABELS)
        print(f"| {opener} | {' | '.join(shares)} |")
    print("| steps | " + " | ".join(f"{counts[label].total():,}" for label in LABELS) + " |")


def thinking_of(traces: Path) -> Iterator[str]:
    """The thinking of each row that comes to an end."""
    with gzip.open(traces, "rt", encoding="utf-8") as file:
        for line in file:
            response = json.loads(line)["response"]
            if response.count("</think>") == 1:
                yield split_think(response).cot


def opened(step: str) -> tuple[str, str]:
    """A step's opener, and the rest of it."""
    word = re.match(r"[A-Za-z]*", step)
    assert word is not None
    return (word[0], step[word.end() :]) if word[0] in WRITTEN else (NONE, step)


def kind_of(rest: str) -> Label:
    """The kind of a step, from what stands after its opener."""
    return next((label for label, words in RULES.items() if re.search(rf"\b({'|'.join(words)})\b", rest, re.IGNORECASE)), "necessary")


if __name__ == "__main__":
    main()
