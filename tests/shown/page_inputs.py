"""What a reader has before typing the commands of a page: rows, logs and models of his own, here small ones."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from golden_models import write_models
from reproduce_helpers import SHORT, miniature

from asap.cli import run
from run_fixtures import model_folder, read_rows, tokenizer, write_rows

LOGS = Path(__file__).parents[1] / "evaluate" / "logs"
TRACE = """\
Okay, the value has to be taken {n} times.

First I think of 1: {n} times 1 is {n}. That looks right.

Wait, what about 0? {n} times 0 is 0, so nothing special has to be done.

Alternatively I could add the value {n} times in a loop, but a product is simpler.

Let me check with 5: the result is {five}, as it should be.

So the function returns the product."""
CODE = "```python\ndef times_{n}(value):\n    return value * {n}\n```"


def program_row(n: int) -> dict[str, Any]:
    """A row with a trace of six steps, an answer in code, and a test that it passes."""
    return {
        "id": f"times-{n}",
        "question": f"Write a function times_{n}(value) that returns {n} times the value.",
        "response": f"<think>\n{TRACE.format(n=n, five=5 * n)}\n</think>\n\n{CODE.format(n=n)}",
        "tests": f"assert times_{n}(2) == {2 * n}",
    }


def written(rows: Sequence[Mapping[str, Any]]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        write_rows(path, rows)

    return write


def programs(path: Path) -> None:
    write_rows(path, [program_row(n) for n in range(2, 6)])


def looping(path: Path) -> None:
    """The second row is the one that docs/loops.md tells of."""
    lost = {"question": "What is 1 + 1?", "response": "<think>\n" + "Wait, the first sum counts x twice. " * 60 + "\n</think>\n\n2"}
    write_rows(path, [program_row(2), lost, program_row(3)])


def with_logprobs(path: Path) -> None:
    """Rows with the token ids of their responses and made-up log-probabilities."""
    model = tokenizer()
    rows = [program_row(n) for n in range(2, 4)]
    ids = [model(row["response"])["input_ids"] for row in rows]
    numbers = [[-0.1 - at % 7 for at in range(len(one))] for one in ids]
    table = {name: [row[name] for row in rows] for name in ("id", "question", "response")}
    pq.write_table(pa.table({**table, "token_ids": ids, "logprobs": numbers}), path)


def on_the_hub(path: Path) -> None:
    """A data set of two subsets, as a folder."""
    for subset in ("solutions", "solutions_py"):
        (path / subset).mkdir(parents=True)
        for split in ("train", "test"):
            programs(path / subset / f"{split}.jsonl")


def attempts(count: int) -> Callable[[Path], None]:
    """Writes answers to the first problems of HumanEval."""
    return written([{"task_id": f"HumanEval/{n}", "completion": "    return None\n"} for n in range(count)])


def own_problems(path: Path) -> None:
    test = "def check(candidate):\n    assert candidate(2) == 4\n"
    body = {"canonical_solution": "    return 2 * x\n", "entry_point": "double", "test": test}
    write_rows(path, [{"task_id": "mine/0", "prompt": "def double(x):\n", **body}])


def log_of(number: int) -> Callable[[Path], None]:
    """Writes a log of 300 problems, of which one in seven is wrong, others for each number."""
    return written([{"id": n, "passed": (n + number) % 7 > 0} for n in range(300)])


def scored(share: int) -> Callable[[Path], None]:
    """Writes an evaluation of 12 sums on four topics, of which one in `share` is wrong."""

    def write(path: Path) -> None:
        sums = write_rows(
            path.parent / "sums.jsonl", [{"id": n, "question": f"What is {n} + {n}?", "answer": str(2 * n)} for n in range(12)]
        )
        rows = [{"task_id": n, "generation": f"<think>\n{n} twice.\n</think>\n\n\\boxed{{{2 * n + (n % share == 0)}}}"} for n in range(12)]
        attempts = write_rows(path.with_suffix(".jsonl"), rows)
        assert run(["score", str(attempts), "--benchmark", f"maths:{sums}", "--out", str(path)]) == 0
        verdicts = read_rows(path / "verdicts.jsonl")
        write_rows(path / "verdicts.jsonl", [{**row, "topic": at // 3} for at, row in enumerate(verdicts)])

    return write


def copied(name: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        if (LOGS / name).is_dir():
            path.mkdir()
            shutil.copy(next((LOGS / name).glob("*own_sums*")), path)
        else:
            shutil.copy(LOGS / name, path)

    return write


def experiment(path: Path) -> None:
    """A table of two arms with everything that it names, all of it miniature."""
    miniature(path.parent, SHORT.replace("miniature:", "small:"))
    (path.parent / "mini.yaml").rename(path)


@cache
def golden_models() -> Path:
    folder = model_folder().parent / "golden"
    write_models(folder)
    return folder


GIVEN: Mapping[str, Mapping[str, Callable[[Path], None]]] = {
    "": {"traces.jsonl": programs},
    "docs/data.md": {"rows.jsonl": programs, "rows.parquet": with_logprobs},
    "docs/evaluate.md": {
        "rows.jsonl": programs,
        "attempts.jsonl": attempts(2),
        "answers.jsonl": written([{"id": f"times-{n}", "generation": CODE.format(n=n)} for n in range(2, 6)]),
        "samples.jsonl": attempts(4),
        "mine.jsonl": written([{"task_id": "mine/0", "completion": "    return 2 * x\n"}]),
        "problems.jsonl": own_problems,
        "lm-eval-a": copied("lm_eval"),
        "lm-eval-b": copied("lm_eval"),
        "a.eval": copied("inspect.eval"),
        "b.eval": copied("inspect.eval"),
        "samples_eval_results.json": copied("evalplus_eval_results.json"),
    },
    "docs/loops.md": {"traces.jsonl": looping},
    "docs/methods.md": {"rows.jsonl": programs},
    "docs/recipes/hub.md": {"codeforces": on_the_hub},
    "docs/report.md": {"eval/original": scored(5), "eval/asap": scored(4)},
    "docs/reproduce.md": {"mine.yaml": experiment},
    "docs/statistics.md": {
        **{f"full-{number}": log_of(number) for number in (1, 2, 3)},
        **{f"pruned-{number}": log_of(number + 3) for number in (1, 2, 3)},
    },
    "docs/train.md": {"original-64.jsonl": programs},
}
"""The files of a reader by page ("": on every page), with what writes a small one. A page has to write all others itself, in its order."""


def write_given(page: str, folder: Path) -> None:
    for name, write in {**GIVEN[""], **GIVEN.get(page, {})}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write(folder / name)
