"""Recipes: YAML files with every hyper-parameter, which `--set key=value` overrides. The names are TRL's.

Settings that would change the loss of Eq. 3 or cut rows are refused.
"""

import dataclasses
import difflib
import os
import re
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from asap.errors import MissingExtra, UsageError
from asap.yaml_text import yaml_mapping

OWN_SETTINGS = ("effective_batch_size",)
"""The settings of a recipe beyond TRL's."""
MODEL_SETTINGS = ("dtype", "attn_implementation", "use_peft", "lora_r", "lora_alpha", "lora_dropout", "lora_target_modules")
"""TRL's settings of the model instead of the trainer."""
_FIXED = {
    "the loss is that of Eq. 3 on the response": (
        "completion_only_loss",
        "assistant_only_loss",
        "loss_type",
        "label_smoothing_factor",
        "use_liger_kernel",
        "liger_kernel_config",
        "average_tokens_across_devices",
    ),
    "rows are rendered, checked and never cut by asap": (
        "truncation_mode",
        "dataset_kwargs",
        "dataset_text_field",
        "chat_template_path",
        "eos_token",
        "pad_token",
        "packing_strategy",
        "remove_unused_columns",
        "shuffle_dataset",
        "eval_packing",
    ),
    "it follows from effective_batch_size": ("gradient_accumulation_steps", "auto_find_batch_size"),
    "it follows from --out and --model": ("output_dir", "model_init_kwargs", "trust_remote_code", "resume_from_checkpoint"),
    "the training cost is measured from it": ("include_num_input_tokens_seen", "logging_nan_inf_filter", "logging_strategy"),
}
_CHOICES: Mapping[str, tuple[Any, ...]] = {"bf16": (True, False, "auto"), "dtype": ("float32", "bfloat16")}
_LARGEST = 1 << 62  # no whole setting is larger, and most programs cannot hold it
_WHOLE_AT_LEAST_1 = ("effective_batch_size", "per_device_train_batch_size", "max_length", "logging_steps", "save_steps", "lora_r")


def lora_options(values: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe's LoRA settings, by peft's names."""
    return {
        "r": values.get("lora_r", 16),
        "lora_alpha": values.get("lora_alpha", 32),
        "lora_dropout": values.get("lora_dropout", 0.0),
        "target_modules": values.get("lora_target_modules", "all-linear"),
    }


def recipe_names() -> list[str]:
    """The names of the recipes that come with asap."""
    return sorted(
        path.name.removesuffix(".yaml") for path in files("asap.train").joinpath("recipes").iterdir() if path.name.endswith(".yaml")
    )


def load_recipe(name: str, changes: Sequence[str] = ()) -> dict[str, Any]:
    """The checked values of a recipe (a name, or a YAML file) with `key=value` changes. Raises UsageError if they are invalid."""
    if name in recipe_names():
        text = files("asap.train").joinpath("recipes", f"{name}.yaml").read_text("utf-8")
    elif Path(name).suffix in (".yaml", ".yml"):
        try:
            text = Path(name).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"recipe {name} cannot be read ({getattr(error, 'strerror', None) or 'not UTF-8'})") from error
    else:
        raise UsageError(f"there is no recipe {name!r}; choose from {', '.join(recipe_names())}, or give a .yaml file")
    values = yaml_mapping(text, f"recipe {name}", "learning_rate: 4.0e-5")
    values = {key: _checked(str(key), value) for key, value in values.items()}
    return _complete(values | dict(_change(text) for text in changes), name)


def _change(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not (key and equals and value):
        raise UsageError(f"--set is {text!r}; write key=value, for example --set learning_rate=1e-5")
    try:
        found = yaml.safe_load(value)
    except (yaml.YAMLError, RecursionError, ValueError):
        raise UsageError(f"--set {key} is {value!r}, which is not valid YAML") from None
    return key.strip(), _checked(key.strip(), found)


def _checked(key: str, value: Any) -> Any:
    """The value, converted to the setting's type. Raises UsageError if it cannot be set."""
    for reason, names in _FIXED.items():
        if key in names:
            raise UsageError(f"{key} cannot be set: {reason}")
    types = _types()
    if key not in types:
        near = difflib.get_close_matches(key, types, 1)
        raise UsageError(f"there is no setting {key!r}{f'; did you mean {near[0]}?' if near else ' in TRL'}")
    if isinstance(value, str) and re.fullmatch(r"[+-]?[0-9.]+[eE][+-]?[0-9]+", value):
        value = float(value)  # YAML 1.1 reads 1e-5 as text
    kind = "whole" if types[key] == "int" or key in _WHOLE_AT_LEAST_1 else types[key]
    if (wrong := _wrong(key, kind, value)) is not None:
        raise UsageError(f"{key} is {value!r}; {wrong} is expected")
    return int(value) if kind == "whole" else float(value) if kind == "float" else value


def _wrong(key: str, kind: str, value: Any) -> str | None:
    """The expected kind of value, if a value does not suit a setting."""
    if key in _CHOICES:
        return None if value in _CHOICES[key] else f"one of {', '.join(str(choice).lower() for choice in _CHOICES[key])}"
    if kind == "bool":
        return None if isinstance(value, bool) else "true or false"
    if kind not in ("whole", "float"):
        return None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "float":
        return None if number and abs(value) <= sys.float_info.max else "a finite number"
    number = number and abs(value) <= _LARGEST
    if key in _WHOLE_AT_LEAST_1:
        return None if number and value == int(value) and value >= 1 else "a whole number of 1 or more"
    return None if number and value == int(value) else "a whole number"


@cache
def _types() -> Mapping[str, str]:
    """The settings of TRL's SFTConfig and of a model, with the names of their types if these are plain."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # read when huggingface_hub is imported; TRL reports what it trains
    try:
        from trl import ModelConfig, SFTConfig
    except ImportError as error:
        raise missing_trainer() from error
    fields = {field.name: field.type for field in dataclasses.fields(SFTConfig)}
    fields |= {field.name: field.type for field in dataclasses.fields(ModelConfig) if field.name in MODEL_SETTINGS}
    plain = {bool: "bool", int: "int", float: "float", str: "str"}
    return {name: plain.get(kind, "any") if isinstance(kind, type) else "any" for name, kind in fields.items()} | dict.fromkeys(
        OWN_SETTINGS, "int"
    )


def missing_trainer() -> MissingExtra:
    """The error for missing training packages."""
    return MissingExtra('training needs trl, datasets, accelerate and peft; install them with: pip install "asap-cot[train]"')


def _complete(values: dict[str, Any], name: str) -> dict[str, Any]:
    missing = [key for key in ("learning_rate", "max_length", "per_device_train_batch_size", "effective_batch_size") if key not in values]
    if missing:
        raise UsageError(f"recipe {name} lacks {', '.join(missing)}")
    return {"bf16": "auto", "dtype": "float32", "use_peft": False, "logging_steps": 1, "report_to": "none", **values}


def accumulation(values: Mapping[str, Any], world: int) -> int:
    """The micro-batches per step and process that make `effective_batch_size` rows (sequences, with packing) over all processes."""
    at_once = values["per_device_train_batch_size"] * world
    if values["effective_batch_size"] % at_once:
        raise UsageError(
            f"effective_batch_size is {values['effective_batch_size']}, not a multiple of the {at_once} rows that are taken at once "
            f"(per_device_train_batch_size {values['per_device_train_batch_size']} x {world} processes)"
        )
    return int(values["effective_batch_size"] // at_once)
