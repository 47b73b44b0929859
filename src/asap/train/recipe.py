"""Recipes: YAML files with every hyper-parameter, which `--set key=value` overrides. The names are TRL's."""

from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from asap.errors import UsageError
from asap.train.setting import checked_setting, is_text
from asap.yaml_text import yaml_mapping, yaml_value


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


def load_recipe(name: str, changes: Sequence[str] = (), *, checked: bool = True) -> dict[str, Any]:
    """The values of a recipe (a name, or a YAML file) with `key=value` changes. Raises UsageError if they are invalid.

    `checked`: each value is one that its setting may have, which only TRL tells. Raises MissingExtra without it.
    """
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
    values |= _changes(changes, is_text if checked else lambda key: False)
    return _complete({key: checked_setting(key, value) for key, value in values.items()} if checked else values, name)


def _changes(texts: Sequence[str], is_text: Callable[[str], bool]) -> dict[str, Any]:
    """The values of `--set`. Raises UsageError for a setting that is given twice."""
    typed = dict[str, str]()
    for text in texts:
        key, equals, value = (part.strip() for part in text.partition("="))
        if not (key and equals and value):
            raise UsageError(f"--set is {text!r}; write key=value, for example --set learning_rate=1e-5")
        if key in typed:
            raise UsageError(f"--set gives {key} twice, {typed[key]!r} and {value!r}; leave one of them out")
        typed[key] = value
    return {key: _read(key, value, is_text(key)) for key, value in typed.items()}


def _read(key: str, text: str, is_text: bool) -> Any:
    """The value in a text that was typed for a setting, which may be one whose values are texts."""
    try:
        value = yaml_value(text)
    except (RecursionError, ValueError):
        raise UsageError(f"--set {key} is {text!r:.80}, which is not valid YAML") from None
    return text if is_text and not isinstance(value, str | None) else value


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
