"""`--emit-config`: writes the rows and a plain config for another training tool, instead of training.

The rows contain the rendered text, which keeps the tool's own chat template out, and the loss is on the same tokens.
Names and formats: TRL 1.16, axolotl 0.19 (`input_output`, or tokens), LLaMA-Factory 0.9 (alpaca with the template `empty`).
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import yaml

from asap.atomic import replacing
from asap.dataset import dataset_info
from asap.errors import UsageError
from asap.lm.training_rows import TrainRow
from asap.lm.training_template import TrainingTemplate
from asap.ownership import refuse_foreign_files
from asap.rendered_rows import Pair, rendered_row
from asap.sealed import write_sealed
from asap.train.corpus import Corpus
from asap.train.distributed import process
from asap.train.job import PreparedTraining
from asap.train.recipe import accumulation

Tool = Literal["trl", "axolotl", "llamafactory"]


def emit(prepared: PreparedTraining, tool: Tool, out: Path) -> list[Path]:
    """Write DIR/train.jsonl and the tool's config; returns the files: another name for one that was edited, and stays."""
    if prepared.job.wanted.mask_pruned and tool == "llamafactory":
        raise UsageError("LLaMA-Factory lays the loss on whole responses, so --mask-pruned cannot be given to it; use trl or axolotl")
    files = [out / "train.jsonl", out / f"{tool}.yaml"]
    refuse_foreign_files(out, [*(path.name for path in files), "dataset_info.json"], _written_in(out))
    prepared.corpus.write(out)
    rows, config = _WRITERS[tool](prepared, out)
    with replacing(files[0]) as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    text = f"# {_START[tool]} {files[1]}\n" + yaml.safe_dump(config, sort_keys=False, allow_unicode=True, width=140)
    files[1] = write_sealed(files[1], text)
    if tool == "llamafactory":
        files.append(write_sealed(out / "dataset_info.json", json.dumps(dataset_info("train.jsonl"), indent=2) + "\n"))
    prepared.corpus.remove()
    return files


def _written_in(out: Path) -> list[str]:
    """The files that were written here for any tool, as its config tells."""
    configs = {tool: out / f"{tool}.yaml" for tool in _START}
    ours = [path.name for tool, path in configs.items() if path.is_file() and path.read_bytes().startswith(f"# {_START[tool]} ".encode())]
    return [*ours, "train.jsonl", "dataset_info.json"] if ours else []


def _trl(prepared: PreparedTraining, out: Path) -> tuple[Iterable[dict[str, Any]], dict[str, Any]]:
    """TRL: prompt and completion as text, or with masked steps token ids and labels."""
    corpus, template, values = prepared.corpus, prepared.template, dict(prepared.job.values)
    rows = map(_tokens, corpus) if prepared.job.wanted.mask_pruned else _rendered("trl", corpus, template)
    config = {
        "model_name_or_path": prepared.name,
        "datasets": [{"path": "json", "data_files": str((out / "train.jsonl").resolve())}],
        "output_dir": str((out / "model").resolve()),
        **{name: value for name, value in values.items() if name not in ("effective_batch_size", "bf16")},
        "gradient_accumulation_steps": accumulation(values, process().world),
        "bf16": values["bf16"] is not False,
    }
    if values.get("lora_target_modules") == "all-linear":
        config["lora_target_modules"] = ["all-linear"]
    return rows, config


def _axolotl(prepared: PreparedTraining, out: Path) -> tuple[Iterable[dict[str, Any]], dict[str, Any]]:
    """axolotl: segments of text with and without loss, or with masked steps token ids and labels."""
    corpus, template, values = prepared.corpus, prepared.template, prepared.job.values
    rows: Iterable[dict[str, Any]]
    data: dict[str, Any] = {"path": str((out / "train.jsonl").resolve())}
    if prepared.job.wanted.mask_pruned:
        data |= {"ds_type": "json"}  # without a type, its rows are tokens
        rows = ({**_tokens(row), "attention_mask": [1] * len(row.input_ids)} for row in corpus)
    else:
        data |= {"type": "input_output"}
        rows = _rendered("axolotl", corpus, template)
    lora = {
        "adapter": "lora",
        "lora_r": values.get("lora_r", 16),
        "lora_alpha": values.get("lora_alpha", 32),
        "lora_dropout": values.get("lora_dropout", 0.0),
        "lora_target_linear": True,
    }
    config = {
        "base_model": prepared.name,
        # as tokenizer.json has it: AutoTokenizer of transformers 5.16 to 5.21 loses the spaces of R1-Distill's
        "tokenizer_type": "PreTrainedTokenizerFast",
        "datasets": [data],
        "train_on_inputs": False,
        "sequence_len": values["max_length"],
        "sample_packing": bool(values.get("packing")),
        "micro_batch_size": values["per_device_train_batch_size"],
        "gradient_accumulation_steps": accumulation(values, process().world),
        "num_epochs": values.get("num_train_epochs", 3),
        "max_steps": values.get("max_steps"),
        "learning_rate": values["learning_rate"],
        "optimizer": values.get("optim", "adamw_torch_fused"),
        "lr_scheduler": values.get("lr_scheduler_type", "linear"),
        "lr_scheduler_kwargs": values.get("lr_scheduler_kwargs"),
        "warmup_ratio": values.get("warmup_steps", 0),
        "max_grad_norm": values.get("max_grad_norm", 1.0),
        "weight_decay": values.get("weight_decay", 0.0),
        "bf16": values["bf16"],
        "gradient_checkpointing": values.get("gradient_checkpointing", True),
        "seed": values.get("seed", 42),
        "output_dir": str((out / "model").resolve()),
        **(lora if values["use_peft"] else {}),
    }
    if config["warmup_ratio"] >= 1:
        config["warmup_steps"] = int(config.pop("warmup_ratio"))
    return rows, {name: value for name, value in config.items() if value is not None}


def _llamafactory(prepared: PreparedTraining, out: Path) -> tuple[Iterable[dict[str, Any]], dict[str, Any]]:
    """LLaMA-Factory: the rendered prompt as instruction, and the template that adds nothing."""
    values, rows = prepared.job.values, _rendered("llamafactory", prepared.corpus, prepared.template)
    config = {
        "model_name_or_path": prepared.name,
        "stage": "sft",
        "do_train": True,
        "finetuning_type": "lora" if values["use_peft"] else "full",
        **(
            {"lora_rank": values.get("lora_r", 16), "lora_alpha": values.get("lora_alpha", 32), "lora_target": "all"}
            if values["use_peft"]
            else {}
        ),
        "dataset_dir": str(out.resolve()),
        "dataset": "train",
        "template": "empty",
        "cutoff_len": values["max_length"],
        "output_dir": str((out / "model").resolve()),
        "per_device_train_batch_size": values["per_device_train_batch_size"],
        "gradient_accumulation_steps": accumulation(values, process().world),
        **{name: values[name] for name in _SHARED if name in values},
        "bf16": values["bf16"] is not False,
    }
    if 0 < config.get("warmup_steps", 0) < 1:  # a share, which transformers 4 has under another name
        config["warmup_ratio"] = config.pop("warmup_steps")
    return rows, config


_SHARED = (
    "learning_rate",
    "num_train_epochs",
    "max_steps",
    "optim",
    "lr_scheduler_type",
    "lr_scheduler_kwargs",
    "warmup_steps",
    "max_grad_norm",
    "weight_decay",
    "seed",
    "gradient_checkpointing",
    "logging_steps",
    "save_steps",
    "report_to",
)
_WRITERS: Mapping[Tool, Callable[[PreparedTraining, Path], tuple[Iterable[dict[str, Any]], dict[str, Any]]]] = {
    "trl": _trl,
    "axolotl": _axolotl,
    "llamafactory": _llamafactory,
}
_START: Mapping[Tool, str] = {"trl": "trl sft --config", "axolotl": "axolotl train", "llamafactory": "llamafactory-cli train"}


def _rendered(tool: Tool, corpus: Corpus, template: TrainingTemplate) -> Iterator[dict[str, Any]]:
    """The rows as text, for a tool."""
    for sample, _ in corpus.kept():
        yield rendered_row(template, tool, Pair(template.prompt(sample), template.completion(sample), {}))


def _tokens(row: TrainRow) -> dict[str, Any]:
    return {"input_ids": row.input_ids.tolist(), "labels": row.labels.tolist()}
