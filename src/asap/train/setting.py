"""The settings of a recipe: which there are, by TRL's names and types, and which values each may have.

Settings that would change the loss of Eq. 3 or cut rows are refused.
"""

import dataclasses
import difflib
import os
from collections.abc import Callable, Mapping
from enum import Enum
from functools import cache
from importlib.util import find_spec
from types import NoneType
from typing import Any, Literal, NamedTuple, get_args, get_origin

from asap.errors import MissingExtra, UsageError
from asap.install import install_command

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
_TRUTH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


class _Range(NamedTuple):
    """Which numbers a setting may have, and how they are called."""

    holds: Callable[[float], bool]
    called: str
    whole: bool = False


_LARGEST = 1 << 62  # no whole setting is larger, and most programs cannot hold it
_FROM_0 = _Range(lambda value: 0 <= value < float("inf"), "a number of 0 or more")
_ABOVE_0 = _Range(lambda value: 0 < value < float("inf"), "a number above 0")
_SHARE = _Range(lambda value: 0 <= value < 1, "a number of 0 or more and below 1")
_WHOLE = _Range(lambda value: 0 <= value <= _LARGEST, "a whole number of 0 or more", whole=True)
_FROM_1 = _Range(lambda value: 1 <= value <= _LARGEST, "a whole number of 1 or more", whole=True)
_SEED = _Range(lambda value: 0 <= value < 1 << 32, "a whole number from 0 to 4294967295", whole=True)
_RANGES: Mapping[str, _Range] = {
    **dict.fromkeys(("effective_batch_size", "per_device_train_batch_size", "max_length", "logging_steps", "save_steps"), _FROM_1),
    **dict.fromkeys(("lora_r", "lora_alpha", "save_total_limit", "ddp_timeout", "dataset_num_proc", "dataloader_prefetch_factor"), _FROM_1),
    **dict.fromkeys(("torch_empty_cache_steps", "eval_accumulation_steps", "per_device_eval_batch_size", "ddp_bucket_cap_mb"), _FROM_1),
    **dict.fromkeys(("learning_rate", "adam_epsilon", "eval_steps", "pad_to_multiple_of"), _ABOVE_0),
    **dict.fromkeys(("adam_beta1", "adam_beta2", "lora_dropout"), _SHARE),
    **dict.fromkeys(("seed", "data_seed"), _SEED),
    "num_train_epochs": _Range(lambda value: 0 < value <= 100_000, "a number above 0 and of at most 100000"),
    "max_steps": _Range(lambda value: value == -1 or 1 <= value <= _LARGEST, "a whole number of 1 or more, or -1 for all", whole=True),
    "local_rank": _Range(lambda value: -1 <= value <= _LARGEST, "a whole number of -1 or more", whole=True),
}


def checked_setting(key: str, value: Any) -> Any:
    """The value, converted to the setting's type. Raises UsageError if it cannot be set."""
    kinds = _kinds_of(key)
    if isinstance(value, str) and "bool" in kinds and "str" not in kinds:
        value = _TRUTH.get(value.lower(), value)
    if key in _CHOICES:
        if value not in _CHOICES[key] or isinstance(value, int) is not isinstance(value, bool):
            raise _wrong(key, value, f"one of {', '.join(str(choice).lower() for choice in _CHOICES[key])}")
        return value
    if not kinds:  # of a type that is no plain one
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and kinds & {"int", "float"}:
        allowed = _range_of(key, kinds)
        if not allowed.holds(value) or (allowed.whole and value != int(value)):
            raise _wrong(key, value, allowed.called)
        return int(value) if allowed.whole else float(value)
    named = {type(None): "null", bool: "bool", str: "str", list: "list", dict: "dict"}.get(type(value))
    if named in kinds or (isinstance(value, str) and value in kinds):
        return value
    raise _wrong(key, value, _expected(key, kinds))


def is_text(key: str) -> bool:
    """Whether a setting holds nothing but text, so that a word like `no` or 007 stays as it is typed."""
    return _kinds_of(key) <= {"str", "null"}


def _wrong(key: str, value: Any, expected: str) -> UsageError:
    return UsageError(f"{key} is {value!r:.80}; {expected} is expected")


def _range_of(key: str, kinds: frozenset[str]) -> _Range:
    return _RANGES.get(key) or (_FROM_0 if "float" in kinds else _WHOLE)


def _expected(key: str, kinds: frozenset[str]) -> str:
    """What a setting may be, for a message."""
    words = {"bool": "true or false", "str": "text", "list": "a list", "dict": "a mapping", "null": "null"}
    named = [words[kind] for kind in words if kind in kinds and kind != "null"]
    named += [_range_of(key, kinds).called] if kinds & {"int", "float"} else []
    choices = sorted(kinds - {*words, "int", "float"})
    named += [f"one of {', '.join(choices)}"] if choices else []
    return " or ".join([*named, *(["null"] if "null" in kinds else [])])


def _kinds_of(key: str) -> frozenset[str]:
    """The kinds of value that a setting takes. Raises UsageError for one that cannot be set, or that there is not."""
    for reason, names in _FIXED.items():
        if key in names:
            raise UsageError(f"{key} cannot be set: {reason}")
    known = _settings()
    if key not in known:
        near = difflib.get_close_matches(key, known, 1)
        raise UsageError(f"there is no setting {key!r}{f'; did you mean {near[0]}?' if near else ' in TRL'}")
    return known[key]


@cache
def _settings() -> Mapping[str, frozenset[str]]:
    """The settings of TRL's SFTConfig and of a model, with the kinds of value that each takes."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # read when huggingface_hub is imported; TRL reports what it trains
    try:
        from trl import ModelConfig, SFTConfig
    except ImportError as error:
        raise missing_trainer() from error
    fields = {field.name: field.type for field in dataclasses.fields(SFTConfig)}
    fields |= {field.name: field.type for field in dataclasses.fields(ModelConfig) if field.name in MODEL_SETTINGS}
    known = {name: _kinds(kind) for name, kind in fields.items()} | dict.fromkeys(OWN_SETTINGS, frozenset(("int",)))
    return known | {"lora_target_modules": known["lora_target_modules"] | {"str"}, "max_length": frozenset(("int",))}  # peft's all-linear


def _kinds(annotation: Any) -> frozenset[str]:
    """The kinds of value that an annotation allows: names of types, and the values of an enumeration."""
    parts = [annotation] if isinstance(annotation, type) or get_origin(annotation) in (list, dict) else get_args(annotation)
    found = set[str]()
    for part in parts:
        if isinstance(part, type) and issubclass(part, Enum):
            return frozenset(str(member.value) for member in part)  # the text beside it means one of these
        kind = get_origin(part) or part
        found.add("bool" if kind is Literal else "null" if kind is NoneType else getattr(kind, "__name__", "other"))
    return frozenset(found & {"null", "bool", "int", "float", "str", "list", "dict"})


def trainer_is_here() -> bool:
    """Whether TRL is installed, by which settings are checked."""
    return find_spec("trl") is not None


def missing_trainer() -> MissingExtra:
    """The error for missing training packages."""
    return MissingExtra(f"training needs trl, datasets and peft; install them with: {install_command('train')}")
