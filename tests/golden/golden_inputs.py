"""The rows that the golden runs read: few, small, written for this purpose, each with something that is easily got wrong."""

import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

Row = dict[str, Any]

LAST_WORD: Row = {
    "id": "last-word",
    "question": "Write a function last_word(text) that returns the last word of a text, or an empty string.",
    "cot": """Okay, I need the last word of a text. Words are separated by spaces.

```python
def last_word(text):
    words = text.split()

    return words[-1]
```

Wait, what if the text is empty? Then words is an empty list and words[-1] fails.

```python
def last_word(text):
    words = text.split()

    return words[-1] if words else ""
```

Let me check it: last_word("one two") gives "two", and last_word("") gives "".

Hmm, what about tabs? split() without an argument takes them as well. Good.""",
    "answer": """The text is split at white space, and an empty text has no last word.

```python
def last_word(text):
    words = text.split()

    return words[-1] if words else ""
```
""",
    "test_file": 'from solution import last_word\n\n\ndef test_it():\n    assert last_word("a b") == "b"\n    assert last_word("") == ""\n',
    "reference_solution": 'def last_word(text):\n    words = text.split()\n    return words[-1] if words else ""\n',
}

COUNT_EVEN: Row = {
    "id": "count-even",
    "question": "Write a function count_even(numbers) that counts the even numbers of a list.",
    "cot": """I need to count the even numbers of a list.

A number is even if number % 2 is 0.

First I thought of a loop with a counter. That works, but it takes four lines.

Alternatively, sum() over a generator does it in one line.

But wait, are negative numbers a problem? In Python -3 % 2 is 1, so the test holds for them too.

So the function is:

~~~python
def count_even(numbers):
    return sum(number % 2 == 0 for number in numbers)
~~~

With [1, 2, 4] the result is 2. With an empty list it is 0.""",
    "answer": "```python\ndef count_even(numbers):\n    return sum(number % 2 == 0 for number in numbers)\n```",
    "test_list": ["assert count_even([1, 2, 4]) == 2", "assert count_even([]) == 0"],
    "reference_solution": "def count_even(numbers):\n    return sum(number % 2 == 0 for number in numbers)\n",
}

TRAIN_SPEED: Row = {
    "id": "train",
    "question": "A train goes 90 km in 1.5 hours. How far does it go in 4 hours?",
    "cot": """The train goes 90 km in 1.5 hours.

So its speed is 90 / 1.5 = 60 km/h.

Let me check this: 60 * 1.5 = 90. Yes.

In 4 hours it goes 60 * 4 = 240 km.

Is the speed the same all the time? The question does not say it, but I take it so.

So the answer is $\\boxed{240}$ km.""",
    "answer": "Its speed is 60 km/h, so it goes \\boxed{240} km.",
}

REPEATS: Row = {
    "id": "repeats",
    "system": "You are careful.",
    "question": "Is 51 a prime number?",
    "cot": """Let me check 51.

Wait.

Is 51 divisible by 2? No.

Wait.

Is 51 divisible by 3? 5 + 1 = 6, so yes: 51 = 3 * 17.

Is 51 divisible by 3? 5 + 1 = 6, so yes: 51 = 3 * 17.

So 51 is not a prime number.""",
    "answer": "No: 51 = 3 * 17.",
}

LONG_FENCE: Row = {
    "id": "long-fence",
    "question": "Write out the first numbers.",
    "cot": "First, the list.\n\n```\n" + "\n\n".join(f"{number} {number * number}" for number in range(12)) + "\n```\n\nThat is all of it.",
    "answer": "The list is above.",
}

LONG: Row = {
    "id": "long",
    "question": "What is the sum of the numbers from 1 to 9?",
    "cot": "\n\n".join(
        [
            "I add the numbers one by one.",
            *(f"Then {number}: {number * (number - 1) // 2} + {number} = {number * (number + 1) // 2}." for number in range(1, 10)),
            "So the sum is 45. Let me check: 9 * 10 / 2 = 45. Yes.",
        ]
    ),
    "answer": "The sum is 45.",
}

ODD: Row = {
    "id": "odd characters",
    "question": "What does “日本” mean?",
    "cot": "  The word is 日本.\r\n\r\nIt means Japan 🙂, I think…\r\n \r\n\r\nThat's    it.  ",
    "answer": "Japan.\n",
}

ONE_STEP: Row = {"id": "one step", "question": "Is 2 even?", "cot": "Yes, 2 is even.", "answer": "Yes."}

SAME_ID: Row = {
    "id": "train",
    "question": "And in 5 hours?",
    "cot": "In 5 hours it goes 60 * 5 = 300 km.\n\nWait, is that right? Yes.",
    "answer": "300 km.",
}

CODE_ROWS = [LAST_WORD, COUNT_EVEN]
GOOD_ROWS = [*CODE_ROWS, TRAIN_SPEED, REPEATS, LONG_FENCE, LONG, ODD, ONE_STEP, SAME_ID]
FEW_ROWS = [LAST_WORD, REPEATS, ODD, ONE_STEP]
BAD_ROWS: list[Row | str] = [
    "this is not JSON",
    {"id": "no thought", "question": "Why?", "response": "Because."},
    {"id": "empty thought", "question": "Why?", "response": "<think>\n\n</think>\n\nBecause."},
    {"question": "Why?"},
]


def _response(row: Mapping[str, Any]) -> str:
    return f"<think>\n{row['cot']}\n</think>\n\n{row['answer']}"


def _chat(row: Mapping[str, Any]) -> Row:
    system = [{"role": "system", "content": row["system"]}] if "system" in row else []
    turns = [{"role": "user", "content": row["question"]}, {"role": "assistant", "content": _response(row)}]
    return {"messages": [*system, *turns]}


def _shipping(row: Mapping[str, Any]) -> Row:
    """A row with the texts of its tokens, of three letters each, and a number for each that follows from its place."""
    text = f"<think>\n{row['cot']}\n</think>\n\n{row['answer']}"
    tokens = [text[place : place + 3] for place in range(0, len(text), 3)]
    numbers = [-((place * 37) % 101) / 16 for place in range(len(tokens))]
    return {**row, "logprobs": {"tokens": tokens, "token_logprobs": numbers}}


def _lines(rows: Sequence[Row | str]) -> str:
    return "".join((row if isinstance(row, str) else json.dumps(row, ensure_ascii=False)) + "\n" for row in rows)


PROBLEMS = [
    {
        "task_id": f"own/{number}",
        "prompt": f'def times_{number}(value):\n    """Return value * {number}."""\n',
        "entry_point": f"times_{number}",
        "canonical_solution": f"    return value * {number}\n",
        "test": f"def check(candidate):\n    assert candidate(2) == 2 * {number}\n    assert candidate(-1) == -{number}\n",
    }
    for number in range(4)
]
ATTEMPTS: list[Row | str] = [
    {"task_id": "own/0", "solution": "def times_0(value):\n    return 0\n"},
    {"task_id": "own/0", "solution": "def times_0(value):\n    return value\n"},
    {"task_id": "own/1", "completion": "    return value\n"},
    {
        "task_id": "own/2",
        "generation": "<think>\nEasy.\n</think>\n\n```python\ndef times_2(value):\n    return value\n```\n\nNo, it is:\n\n"
        "```python\ndef times_2(value):\n    return 2 * value\n```\n",
    },
    {"task_id": "own/3", "generation": "I do not know."},
    {"task_id": "own/3", "solution": "def times_3(value:\n"},
    {"task_id": "elsewhere/1", "solution": "x = 1\n"},
    {"task_id": "own/1"},
    "this is not JSON",
]

SHAPES: list[Row | str] = [
    {"id": 1, "prompt": TRAIN_SPEED["question"], "generation": _response(TRAIN_SPEED)},
    {
        "uuid": "list",
        "prompt": [{"role": "system", "content": "You are careful."}, {"role": "user", "content": REPEATS["question"]}],
        "completion": [{"role": "assistant", "content": _response(REPEATS)}],
    },
    {"conversations": [{"from": "human", "value": ODD["question"]}, {"from": "gpt", "value": _response(ODD)}]},
    {"instruction": SAME_ID["question"], "input": "A train goes 60 km/h.", "output": _response(SAME_ID), "system": "You are quick."},
    {"problem": LONG["question"], "deepseek_reasoning": LONG["cot"], "deepseek_solution": LONG["answer"]},
]

_ARMS: dict[str, tuple[list[int], list[float]]] = {
    "arm-whole": ([900, 300, 500, 700], [9.5, 30.25]),
    "arm-half": ([450, 150, 250, 350], [4.0, 6.5]),
}


def _write_arm(folder: Path, tokens: Sequence[int], seconds: Sequence[float]) -> None:
    """What `asap report` reads of a training run of two rows a step, whose seconds are known."""
    folder.mkdir()
    settings = {"model": "hf:models/scorer", "values": {"effective_batch_size": 2}}
    steps = [
        {
            "step": step + 1,
            "loss": 2.0 - step,
            "tokens": sum(tokens[2 * step : 2 * step + 2]),
            "seconds": took,
            "peak_mib": 1000 + step,
            "peak_of": "cpu",
        }
        for step, took in enumerate(seconds)
    ]
    (folder / "settings.json").write_text(json.dumps(settings), "utf-8")
    (folder / "rows.jsonl").write_text(_lines([{"id": str(number), "tokens": size} for number, size in enumerate(tokens)]), "utf-8")
    (folder / "steps.jsonl").write_text(_lines(steps), "utf-8")


def write_inputs(folder: Path) -> None:
    """Write every input file into the folder."""
    folder.mkdir(parents=True)
    files = {
        "rows.jsonl": _lines([*GOOD_ROWS, *BAD_ROWS]),
        "few.jsonl": _lines([*FEW_ROWS, *BAD_ROWS[:1]]),
        "code.jsonl": _lines(CODE_ROWS),
        "plain.jsonl": _lines([TRAIN_SPEED, ONE_STEP]),
        "chat.jsonl": _lines([_chat(row) for row in (LAST_WORD, REPEATS, TRAIN_SPEED)]),
        "renamed.jsonl": _lines([{"n": 7, "q": row["question"], "r": _response(row)} for row in (TRAIN_SPEED, COUNT_EVEN)]),
        "problems.jsonl": _lines(PROBLEMS),
        "attempts.jsonl": _lines(ATTEMPTS),
        "shapes.jsonl": _lines(SHAPES),
        "shipped.jsonl": _lines([*map(_shipping, CODE_ROWS), TRAIN_SPEED]),
        "settings.yaml": "method: keep-tail\nratio: 0.6\nkeep-first: 1\n",
    }
    for name, text in files.items():
        (folder / name).write_bytes(text.encode())
    (folder / "chat.jsonl.gz").write_bytes(gzip.compress(files["chat.jsonl"].encode(), mtime=0))
    columns = ("id", "question", "cot", "answer")
    table = pyarrow.table({name: [row[name] for row in GOOD_ROWS] for name in columns})
    pyarrow.parquet.write_table(table, folder / "rows.parquet")
    for name, (tokens, seconds) in _ARMS.items():
        _write_arm(folder / name, tokens, seconds)
