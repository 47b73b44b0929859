"""Writes rows of the oracle family: a short program whose output is to be predicted, and a trace whose necessary steps are known.

    python -m experiments.oracle.generate --rows 2000 --seed 1 --setting r1 --out rows.jsonl

The same seed gives the same bytes. With another `--setting` programs and steps are the same, and only the openers differ. Each answer
is what Python prints; the necessary steps alone derive it, and none of them can be left out (`derive.py`), or the command stops.
"""

import argparse
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

from experiments.oracle.derive import Reading, derived, printed_by_python
from experiments.oracle.openers import Setting
from experiments.oracle.operations import OPERATIONS
from experiments.oracle.program import Program, draw_program
from experiments.oracle.surface import surface_table
from experiments.oracle.trace import Step, draw_trace, with_openers

from asap.atomic import replacing
from asap.think_tags import IN_THINK

QUESTION = "What does this program print?\n\n```python\n{code}\n```"


def main() -> None:
    """Write the rows, and print how much of a label length and position give away."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0, help="default %(default)s")
    parser.add_argument("--setting", choices=get_args(Setting), default="r1", help="how openers are drawn (default %(default)s)")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    rows = [*oracle_rows(options.rows, options.seed, options.setting)]
    with replacing(options.out) as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    print(surface_table(rows).markdown(padded=True))


def oracle_rows(count: int, seed: int, setting: Setting) -> Iterator[dict[str, Any]]:
    """The rows of a seed, in order; fewer rows are the first of more."""
    for number in range(count):
        program, steps = drawn(random.Random(f"oracle {seed} {number}"))
        texts = with_openers(random.Random(f"openers {seed} {number}"), steps, setting)
        check(program, steps, texts)
        yield {
            "id": f"oracle-{seed}-{number}",
            "question": QUESTION.format(code=program.code),
            "response": IN_THINK.join("\n\n".join(texts), f"The final answer is \\boxed{{{program.printed}}}"),
            "printed": program.printed,
            "labels": [step.label for step in steps],
            "facts": [step.fact for step in steps],
            "setting": setting,
            "seed": seed,
        }


def drawn(chance: random.Random) -> tuple[Program, list[Step]]:
    """A program and its steps. Drawn until the steps are balanced."""
    while True:
        program = draw_program(chance, OPERATIONS)
        if steps := draw_trace(chance, program):
            return program, steps


def check(program: Program, steps: Sequence[Step], texts: Sequence[str]) -> None:
    """Raise ValueError unless the answer is right, the necessary steps derive it, and each of them is needed for that."""
    reading = Reading.of(program.code)
    necessary = [text for text, step in zip(texts, steps, strict=True) if step.label == "necessary"]
    right = printed_by_python(program.code) == program.printed == derived(reading, texts) == derived(reading, necessary)
    spare = [text for place, text in enumerate(necessary) if derived(reading, necessary[:place] + necessary[place + 1 :]) is not None]
    if not right or spare:
        raise ValueError(f"the labels are wrong ({spare or 'the answer does not follow'}):\n{program.code}\n\n" + "\n".join(texts))


if __name__ == "__main__":
    main()
