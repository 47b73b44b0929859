"""A tiny model with random weights, rows for it, and the command line called in this process; shared by the tests of whole runs."""

import atexit
import json
import random
import sqlite3
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.utils import logging

from asap.cli import run
from asap.prune.coarse.llm_reply import ReplyRules
from asap.prune.coarse.rewrite import Rewrite
from asap.prune.coarse.select import Select
from asap.prune.settings import AsapSettings
from asap.sample import Sample

FILES = {"pruned.jsonl", "decisions.jsonl", "rejected.jsonl", "manifest.json", "README.md", "work.sqlite"}
COMPARED = ("pruned.jsonl", "decisions.jsonl", "rejected.jsonl", "README.md")
VOCABULARY = "okay so the sum of two numbers is first wait check that loop again then answer list 42 17 x = y + 1 because hence"
WORDS = VOCABULARY.split()
TEMPLATE = (
    "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system message here') }}{% endif %}"
    "{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}"
)


def tokenizer(vocabulary: int = 330) -> PreTrainedTokenizerFast:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    special = ["<s>", "</s>"]
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, initial_alphabet=alphabet, special_tokens=special, show_progress=False)
    made.train_from_iterator([" ".join(WORDS)] * 3, trainer)
    wrapped = PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>", eos_token="</s>")
    wrapped.chat_template = TEMPLATE
    return wrapped


@cache
def model_folder() -> Path:
    """The tiny model's folder, made once: a real Llama that is loaded the real way, only small. Its template refuses system messages."""
    torch.set_num_threads(1)  # on a busy machine two threads wait for each other most of the time
    logging.disable_progress_bar()
    scratch = tempfile.TemporaryDirectory(prefix="asap-tests-")
    atexit.register(scratch.cleanup)
    folder = Path(scratch.name) / "tiny"
    torch.manual_seed(0)
    made = tokenizer()
    config = LlamaConfig(
        vocab_size=len(made),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=2048,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    made.save_pretrained(folder)
    return folder


def row(number: int, steps: int = 8, words: int = 9) -> dict[str, Any]:
    """A row whose text follows from its number."""
    chance = random.Random(number)
    said = ["\t".expandtabs(chance.choice([0, 0, 4])) + " ".join(chance.choices(WORDS, k=chance.randint(1, words))) for _ in range(steps)]
    return {"id": f"r{number}", "question": f"What is {number}?", "cot": "\n\n".join(said).strip(), "answer": f"It is {number}."}


def parcel_sample() -> Sample:
    """Five steps, of which the third gives the answer away."""
    said = [
        "The question is about a parcel.",
        "Parcels have labels.",
        "The label reads zebra-4417-quince.",
        "So that is known.",
        "Let me check.",
    ]
    return Sample("1", "What does the label of the parcel read?", "\n\n".join(said), "It reads zebra-4417-quince.")


def write_rows(path: Path, rows: Iterable[Mapping[str, Any] | str]) -> Path:
    """JSONL of rows; a text is written as it is."""
    path.write_text("".join((value if isinstance(value, str) else json.dumps(value)) + "\n" for value in rows), encoding="utf-8")
    return path


def read_rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().split(b"\n") if line]


def read_counts(folder: Path) -> dict[str, Any]:
    """The counts of a run's manifest."""
    found: dict[str, Any] = json.loads((folder / "manifest.json").read_text("utf-8"))["counts"]
    return found


def read_decisions(folder: Path) -> list[dict[str, Any]]:
    return read_rows(folder / "decisions.jsonl")


def prune_words(source: Path | str, out: Path | str, *options: str) -> list[str]:
    """The words of `asap prune` with the tiny model; at half of the tokens if the options name no budget and the method has one."""
    much = [] if {"--budget", "--ratio", "--config", "original"} & set(options) else ["--ratio", "0.5"]
    scorer = [] if "--scorer" in options else ["--scorer", f"hf:{model_folder()}"]
    return ["prune", str(source), "--out", str(out), *scorer, *much, *options]


def prune(source: Path | str, out: Path, *options: str) -> Path:
    """Prune in this process, which must work; returns the output folder."""
    assert run(prune_words(source, out, *options)) == 0
    return out


def refusal(capsys: pytest.CaptureFixture[str], *words: str, lines: int | None = 1) -> str:
    """What a command says that must fail with exit code 2: one line on stderr that starts with `asap: `, and no traceback.

    `lines` is how many lines stderr may have in all; None where reading and scoring may have begun before.
    """
    capsys.readouterr()
    code = run(list(words))
    said = capsys.readouterr().err
    assert code == 2, said
    assert "Traceback" not in said
    assert lines is None or said.count("\n") == lines, said
    [message] = [line for line in said.splitlines() if line.startswith("asap: ")]
    assert said.endswith(f"{message}\n")
    assert "internal error" not in message
    return message.removeprefix("asap: ")


def same_output(one: Path, other: Path) -> None:
    """Both folders hold the same bytes, but for the seconds in the manifest."""
    for name in COMPARED:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    assert manifest_without_seconds(one) == manifest_without_seconds(other)


def manifest_without_seconds(folder: Path) -> str:
    """The manifest as it is written, in its order, without `seconds`."""
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    del manifest["seconds"]
    return json.dumps(manifest)


def count_decisions(folder: Path) -> int:
    """How many rows are decided in a folder, read from its store the way any other tool would."""
    if not (folder / "work.sqlite").exists():
        return 0
    connection = sqlite3.connect(folder / "work.sqlite")
    try:
        return int(connection.execute("SELECT COUNT(*) FROM decisions").fetchone()[0])
    except sqlite3.OperationalError:  # killed before the tables were made
        return 0
    finally:
        connection.close()


def asking_settings(coarse: str, *, tau: float = 0.6, **values: Any) -> AsapSettings:
    """Settings with an LLM in stage 1; of the values, those about replies go into its rules."""
    rules = ReplyRules(**{field.name: values.pop(field.name) for field in fields(ReplyRules) if field.name in values})
    return AsapSettings(coarse=Rewrite(tau, rules) if coarse == "rewrite" else Select(rules), **values)
