"""A miniature experiment: a model of two layers, rows of the oracle family, and new programs as a benchmark of mathematics."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "lm"))
sys.path.insert(0, str(Path(__file__).parents[2]))

from experiments.oracle.generate import oracle_rows
from lm_helpers import save_model, save_tokenizer

HEAD = """
title: Miniature
scales:
  miniature:
    about: A model of two layers, which says nothing about any method.
    device: cpu
    model: {spec: "hf:tiny", parameters: 29.0e3}
    rows: {source: rows.jsonl, number: 10, steps: 14, question: 100, trace: 236, answer: 17, from: counted}
    train:
      recipe: laptop
      set: {use_peft: false, max_length: 4096, effective_batch_size: 2, save_steps: 2, disable_tqdm: true, gradient_checkpointing: false}
    evaluate:
      new:
        options: {benchmark: "maths:problems.jsonl", max-new-tokens: 12, budgets: "6", device: cpu}
        answers: 6
        tokens: 12
        from: its budget
"""
SHORT = (
    HEAD
    + """
    paper:
      reference: zero-shot
      arms:
        zero-shot: {train: false}
        half: {prune: {method: keep-tail, ratio: 0.5}}
"""
)
SERVED = (
    HEAD.replace('budgets: "6", device: cpu', '"base-url": "http://127.0.0.1:{port}/v1", concurrency: 1')
    + """
    serve: "{python} {server} --model {model} --served-model-name {name}"
    paper:
      reference: zero-shot
      arms:
        zero-shot: {train: false}
"""
)
WHOLE = (
    HEAD
    + """
    paper:
      reference: original
      same-rows: original
      arms:
        original: {}
        asap: {prune: {ratio: 0.5}}
    equal-tokens:
      reference: random
      same-rows: asap
      arms:
        asap: {prune: {ratio: 0.5}}
        random: {cut: {of: asap, method: random, ratio: 0.5}}
        original: {rows-like: asap}
"""
)


def miniature(folder: Path, table: str) -> Path:
    """A folder with a model, rows, problems and a table; `asap reproduce` runs in it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tiny").mkdir()
    save_model("llama", save_tokenizer("qwen", folder / "tiny"), initializer_range=0.05)
    rows = [{**row, "expected_answer": row["printed"]} for row in oracle_rows(16, 1, "r1")]
    problems = [{name: row[name] for name in ("id", "question", "expected_answer")} for row in rows[10:]]
    for name, written in (("rows.jsonl", rows[:10]), ("problems.jsonl", problems)):
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in written), "utf-8")
    (folder / "mini.yaml").write_text(table, "utf-8")
    return folder
