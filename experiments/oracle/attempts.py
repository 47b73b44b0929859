"""What a trained model writes about new programs: greedy, in batches, by the product's own writer; each batch is stored when it is done."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from experiments.oracle.arms import Row, read_sample

from asap.atomic import replacing
from asap.lm.causal_lm import CausalLM
from asap.lm.prompt import render_prompt
from asap.lm.transformers import write_tokens, written_text
from asap.prune.support import target_of
from asap.sample import Sample
from asap.think import strip_think


class Attempt(NamedTuple):
    """What a model wrote about a program, its tokens, and whether the output that it predicts is exactly right."""

    id: str
    text: str
    tokens: int
    right: bool


def attempts(model: Path, rows: Sequence[Row], out: Path, *, max_new_tokens: int, batch: int) -> list[Attempt]:
    """The attempts of a model at all rows, those that are stored already and the others. The model is only loaded for these."""
    out.mkdir(parents=True, exist_ok=True)
    lm: CausalLM | None = None
    found = list[Attempt]()
    for start in range(0, len(rows), batch):
        file = out / f"{start:05d}.json"
        if not file.is_file():
            lm = lm or CausalLM(str(model), dtype="float32")
            written = written_by(lm, rows[start : start + batch], max_new_tokens)
            with replacing(file) as target:
                target.write(json.dumps([one._asdict() for one in written], indent=1, ensure_ascii=False) + "\n")
        found += [Attempt(**one) for one in json.loads(file.read_text("utf-8"))]
    return found


def written_by(lm: CausalLM, rows: Sequence[Row], max_new_tokens: int) -> list[Attempt]:
    """The attempts at a batch."""
    prompts = [render_prompt(lm.tokens, read_sample(row).prompt).ids for row in rows]
    texts = [(written_text(lm, ids), len(ids)) for ids in write_tokens(lm, prompts, max_new_tokens)]
    return [Attempt(str(row["id"]), text, count, is_right(text, row)) for row, (text, count) in zip(rows, texts, strict=True)]


def is_right(text: str, row: Row) -> bool:
    r"""Whether the last \boxed{…} behind the thinking is the output; wrong without one, or if the thinking never ends."""
    answer = strip_think(text, opened=False)
    return bool(answer.strip()) and target_of(Sample("", "?", "?", answer)).text == f"\\boxed{{{row['printed']}}}"


def read_rows(file: Path) -> list[Any]:
    """The rows of a file."""
    with file.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]
