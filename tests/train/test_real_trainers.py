"""LLaMA-Factory, axolotl and verl themselves on the rows that we write: the same tokens and the same loss mask (`make test-trainers`).

TRL, which is installed with the extra `train`, is in test_train_export.py and test_train_rendered.py.
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from train_helpers import encode_row, model_folder, row, template, tokenizer_folder, train_words, write_rows
from trainer_environments import AXOLOTL, LLAMAFACTORY, VERL, Trainer, config_with, environment, ran, rows_in

from agent_rows import SAID_12, user
from asap.cli import run
from asap.dataset import to_sample
from asap.lm.specs import load_tokens
from asap.lm.specs import model_folder as model_folder_of
from asap.lm.training_rows import IGNORED, TrainRow
from asap.lm.training_template import TrainingTemplate
from asap.prune.decision import Decision
from asap.sample import Sample
from asap.store.work import Store
from asap.train.masked import pruned_spans

pytestmark = pytest.mark.slow
# texts that a tool may take for its own: a place holder, an image, white space at a border
ODD = {
    "id": "odd",
    "question": "What is <image>? {{content}}\n",
    "cot": " A {{ placeholder }}, naïve.\n\n\tSo: <video>",
    "answer": "`{0}` it is.",
}
ROWS = [*(row(number, lines=1 + number) for number in range(3)), ODD]
TWO_STEPS = ("max_steps=2", "effective_batch_size=2", "per_device_train_batch_size=1", "bf16=false", "max_length=1024")
FAMILIES = ("r1", "qwen", "llama3")

Row = tuple[list[int], list[int]]


def ours(made: TrainingTemplate, rows: Sequence[dict[str, Any]] = ROWS) -> list[Row]:
    return [of_row(encode_row(made, to_sample(one).sample)) for one in rows]


def of_row(made: TrainRow) -> Row:
    return made.input_ids.tolist(), made.labels.tolist()


def emitted(tool: str, model: str, tmp_path: Path, *options: str, source: Path | None = None) -> Path:
    """The folder that `asap train --emit-config` writes for a tool."""
    source = source or write_rows(tmp_path / "rows.jsonl", ROWS)
    assert run(train_words(source, tmp_path / "out", "--emit-config", tool, *options, model=model, changes=TWO_STEPS)) == 0
    return tmp_path / "out"


def steps_in(folder: Path) -> int:
    return int(json.loads((folder / "model" / "checkpoint-2" / "trainer_state.json").read_text("utf-8"))["global_step"])


def for_transformers_4(tmp_path: Path) -> Path:
    """The bundled model, whose folder names a class of tokenizers that only transformers 5 has."""
    folder = tmp_path / "bundled"
    shutil.copytree(model_folder_of("bundled"), folder)
    config = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
    (folder / "tokenizer_config.json").write_text(json.dumps({**config, "tokenizer_class": "PreTrainedTokenizerFast"}), "utf-8")
    return folder


def test_llamafactory_trains_the_bundled_model_on_the_same_tokens(tmp_path: Path) -> None:
    out = emitted("llamafactory", f"hf:{for_transformers_4(tmp_path)}", tmp_path)
    config_with(out / "llamafactory.yaml", tokenized_path=str(tmp_path / "prepared"))
    ran(LLAMAFACTORY, ["llamafactory-cli", "train", str(out / "llamafactory.yaml")], tmp_path)
    assert rows_in(LLAMAFACTORY, tmp_path / "prepared", tmp_path) == ours(TrainingTemplate(load_tokens("bundled")))
    assert steps_in(out) == 2


@pytest.mark.parametrize("family", FAMILIES)
def test_llamafactory_trains_on_the_same_tokens(family: str, tmp_path: Path) -> None:
    """One BOS where the model has one, and its end-of-sequence token learnt."""
    out = emitted("llamafactory", f"hf:{model_folder(family)}", tmp_path)
    config_with(out / "llamafactory.yaml", tokenized_path=str(tmp_path / "prepared"))
    ran(LLAMAFACTORY, ["llamafactory-cli", "train", str(out / "llamafactory.yaml")], tmp_path)
    assert rows_in(LLAMAFACTORY, tmp_path / "prepared", tmp_path) == ours(template(family))


@pytest.mark.parametrize(("family", "name"), [("r1", "deepseekr1"), ("qwen", "qwen3")])
def test_llamafactorys_own_templates_keep_the_thinking_of_plain_rows(family: str, name: str, tmp_path: Path) -> None:
    """Which is why `--format llamafactory` needs no model: with R1-Distill's, too, all of a response is learnt."""
    source = write_rows(tmp_path / "rows.jsonl", ROWS)
    words = ["prune", str(source), "--out", str(tmp_path / "out"), "--method", "keep-tail", "--ratio", "0.9", "--format", "llamafactory"]
    assert run(words) == 0
    config: dict[str, Any] = {"model_name_or_path": str(model_folder(family)), "stage": "sft", "do_train": True, "max_steps": 1}
    config |= {"dataset_dir": str(tmp_path / "out"), "dataset": "llamafactory", "template": name, "output_dir": str(tmp_path / "model")}
    config |= {"cutoff_len": 1024, "tokenized_path": str(tmp_path / "prepared"), "report_to": "none", "finetuning_type": "full"}
    (tmp_path / "own.yaml").write_text(json.dumps(config), "utf-8")
    ran(LLAMAFACTORY, ["llamafactory-cli", "train", str(tmp_path / "own.yaml")], tmp_path)
    made = template(family).tokens.hf
    learnt = [
        made.decode([label for label in labels if label != IGNORED]) for _, labels in rows_in(LLAMAFACTORY, tmp_path / "prepared", tmp_path)
    ]
    written = [json.loads(line)["output"] for line in (tmp_path / "out/llamafactory.jsonl").read_text("utf-8").splitlines()]
    assert [text.startswith(response) for text, response in zip(learnt, written, strict=True)] == [True] * len(ROWS)


def prepared_by_axolotl(config: Path, tmp_path: Path) -> list[Row]:
    """The rows that `axolotl preprocess` makes, in a certain order: axolotl shuffles them."""
    config_with(config, dataset_prepared_path=str(tmp_path / "prepared"))
    ran(AXOLOTL, ["axolotl", "preprocess", str(config)], tmp_path)
    [folder] = (path for path in (tmp_path / "prepared").iterdir() if path.is_dir())
    return sorted(rows_in(AXOLOTL, folder, tmp_path))


def test_axolotl_trains_the_bundled_model_on_the_same_tokens(tmp_path: Path) -> None:
    out = emitted("axolotl", "bundled", tmp_path)
    assert prepared_by_axolotl(out / "axolotl.yaml", tmp_path) == sorted(ours(TrainingTemplate(load_tokens("bundled"))))
    ran(AXOLOTL, ["axolotl", "train", str(out / "axolotl.yaml"), "--launcher", "python"], tmp_path)
    assert steps_in(out) == 2


@pytest.mark.parametrize("family", FAMILIES)
def test_axolotl_prepares_the_same_tokens(family: str, tmp_path: Path) -> None:
    out = emitted("axolotl", f"hf:{model_folder(family)}", tmp_path)
    assert prepared_by_axolotl(out / "axolotl.yaml", tmp_path) == sorted(ours(template(family)))


def halved(tmp_path: Path, rows: Sequence[dict[str, Any]], *options: str) -> Path:
    source = write_rows(tmp_path / "rows.jsonl", list(rows))
    assert run(["prune", str(source), "--out", str(tmp_path / "half"), "--method", "keep-head", "--ratio", "0.5", *options]) == 0
    return tmp_path / "half"


@pytest.mark.parametrize("family", FAMILIES)
def test_axolotl_masks_the_pruned_steps_alike(family: str, tmp_path: Path) -> None:
    """`--mask-pruned`: full traces, of which the parts that were cut carry no loss."""
    half = halved(tmp_path, [row(number, lines=6) for number in range(3)])
    out = emitted("axolotl", f"hf:{model_folder(family)}", tmp_path, "--mask-pruned", source=half)
    with Store.reading(half) as store:
        kept = [
            (one.sample, one.decision) for one in store.entries() if isinstance(one.sample, Sample) and isinstance(one.decision, Decision)
        ]
    expected = [of_row(encode_row(template(family), sample, pruned_spans(decision, sample))) for sample, decision in kept]
    assert prepared_by_axolotl(out / "axolotl.yaml", tmp_path) == sorted(expected)


def stock(name: str, family: str, tmp_path: Path) -> Path:
    """A tiny model with a chat template that TRL ships."""
    import trl

    folder = tmp_path / f"stock-{name}"
    shutil.copytree(model_folder(family), folder)
    made = load_tokens(f"hf:{tokenizer_folder(family)}").hf
    made.chat_template = Path(trl.__file__).parent.joinpath("chat_templates", f"{name}.jinja").read_text("utf-8")
    made.save_pretrained(folder)
    return folder


def test_axolotl_learns_flagged_turns_of_chat_rows_and_no_thinking_of_r1(tmp_path: Path) -> None:
    """Rows of messages (`--format axolotl` without a model): right where the template keeps `reasoning_content`, empty of it elsewhere."""
    messages = [user(), SAID_12, user("And now?"), SAID_12]
    half = halved(tmp_path, [{"id": name, "messages": messages} for name in "ab"], "--format", "axolotl", "--train-turns", "last")
    thought = "The tool says 12."
    for name, family, keeps in (("qwen3", "qwen", True), ("deepseek_r1_distill", "r1", False)):
        data: dict[str, Any] = {"path": str(half / "axolotl.jsonl"), "type": "chat_template", "field_messages": "messages"}
        data |= {"message_field_training": "train", "roles_to_train": [], "train_on_eos": "turn"}
        config: dict[str, Any] = {"base_model": str(stock(name, family, tmp_path)), "datasets": [data], "sequence_len": 2048}
        config |= {"micro_batch_size": 1, "gradient_accumulation_steps": 1, "num_epochs": 1, "learning_rate": 1e-4, "output_dir": "model"}
        scratch = tmp_path / name
        scratch.mkdir()
        (scratch / "own.yaml").write_text(json.dumps(config), "utf-8")
        (ids, labels), _ = prepared_by_axolotl(scratch / "own.yaml", scratch)
        tokenizer = template(family).tokens.hf
        learnt = tokenizer.decode([label for label in labels if label != IGNORED])
        assert ("12 lines." in learnt, thought in tokenizer.decode(ids)) == (True, keeps), name
        assert learnt.count("12 lines.") == 1, "the last turn alone is learnt"


_VERL = """
import json, sys
from transformers import AutoTokenizer
from verl.utils.dataset.multiturn_sft_dataset import MultiTurnSFTDataset
folder, parquet, template, found = sys.argv[1:]
config = {"pad_mode": "no_padding", "max_length": 4096, "truncation": "error"}
if template:
    config["apply_chat_template_kwargs"] = {"chat_template": template}
rows = MultiTurnSFTDataset(parquet, AutoTokenizer.from_pretrained(folder), config)
made = [rows[place] for place in range(len(rows))]
json.dump([[one["input_ids"].tolist(), one["loss_mask"].tolist()] for one in made], open(found, "w"))
"""
JOINED = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
"""The chat template that only joins messages, as docs/train.md has it."""


def read_by_verl(folder: Path, rows: Path, chat_template: str, tmp_path: Path) -> list[Row]:
    import pyarrow.json
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.json.read_json(rows), tmp_path / "rows.parquet")
    found = tmp_path / "verl.json"
    ran(VERL, ["python", "-c", _VERL, str(folder), str(tmp_path / "rows.parquet"), chat_template, str(found)], tmp_path)
    made = json.loads(found.read_text())
    return [(ids, [one if learnt else IGNORED for one, learnt in zip(ids, mask, strict=True)]) for ids, mask in made]


@pytest.mark.parametrize(("family", "name"), [("r1", "deepseek_r1_distill"), ("qwen", "qwen3"), ("llama3", "llama3")])
def test_verl_learns_the_same_tokens_of_rendered_rows(family: str, name: str, tmp_path: Path) -> None:
    folder = stock(name, family, tmp_path)
    half = halved(tmp_path, ROWS, "--format", "verl", "--format-model", f"hf:{folder}")
    pruned = [json.loads(line) for line in (half / "pruned.jsonl").read_text("utf-8").splitlines()]
    assert read_by_verl(folder, half / "verl.jsonl", JOINED, tmp_path) == ours(TrainingTemplate(load_tokens(f"hf:{folder}")), pruned)


def test_verl_learns_no_thinking_of_chat_rows_where_the_template_drops_it(tmp_path: Path) -> None:
    half = halved(tmp_path, ROWS[:1], "--format", "verl")
    folder = stock("deepseek_r1_distill", "r1", tmp_path)
    [(ids, labels)] = read_by_verl(folder, half / "verl.jsonl", "", tmp_path)
    tokenizer = template("r1").tokens.hf
    learnt = tokenizer.decode([label for label in labels if label != IGNORED])
    assert learnt == "t is 1.<｜end▁of▁sentence｜>", "it takes the prompt's length off, with the think tag that the row has not"
    assert "Okay" not in tokenizer.decode(ids)


@pytest.mark.parametrize("tool", [LLAMAFACTORY, AXOLOTL, VERL], ids=lambda tool: str(tool.name))
def test_the_environment_has_the_version_that_the_docs_name(tool: Trainer) -> None:
    package, version = tool.wheels[0].split("==")
    assert list(environment(tool).glob(f"lib/python*/site-packages/{package}-{version}.dist-info"))
    assert f"{package} {version}" in (Path(__file__).parents[2] / "docs" / "train.md").read_text("utf-8")
