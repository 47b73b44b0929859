"""Writes lengths.json: tokens of question, trace and answer and the steps of each row of a file, by the bundled tokenizer.

    python benchmarks/gpu/lengths.py traces.jsonl.gz
The lengths of 545 DeepSeek-R1 traces of KodCode's demo are in the repository: numbers alone, no text.
"""

import json
import sys
from pathlib import Path

from asap.dataset import read_samples
from asap.lm.specs import load_tokens
from asap.steps import split_steps

tokens = load_tokens("bundled")
rows = [
    [*tokens.count_many([sample.question, sample.cot]), len(split_steps(sample.cot)), tokens.count(sample.answer)]
    for sample in read_samples(sys.argv[1])
]
columns = ["question", "trace", "steps", "answer"]
body = ",\n".join(json.dumps(row) for row in rows)
Path(__file__).with_name("lengths.json").write_text(f'{{"columns": {json.dumps(columns)}, "rows": [\n{body}\n]}}\n', "utf-8")
