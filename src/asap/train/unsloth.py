"""`--backend unsloth`: the library that the paper trained with (Appendix A) loads the model and computes the loss; the rest is ours.

Rows, masks, checkpoints, the step log and the saved files are the same as with TRL alone. Importing unsloth changes transformers and
TRL, so it must be imported before them; it needs older versions of both, hence a separate environment (extra `unsloth`). It may change
settings and rows for speed; such a run is refused.
"""

import importlib.util
import os
import sys
from collections.abc import Iterable, Mapping
from contextlib import redirect_stdout
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from asap.errors import InputError, MissingExtra, UsageError, one_line
from asap.install import install_command
from asap.lm.cache import cache_folder
from asap.lm.hub import load_config
from asap.lm.model import context_limit
from asap.lm.training_rows import TrainRow
from asap.train.distributed import process
from asap.train.recipe import lora_options

UNSLOTH_PACKAGES = ("unsloth", "unsloth_zoo")
_DECISIVE = (
    *("learning_rate", "lr_scheduler_type", "warmup_steps", "num_train_epochs", "max_steps", "optim", "weight_decay", "max_grad_norm"),
    *("per_device_train_batch_size", "bf16", "packing", "padding_free", "seed"),
)


def start_unsloth(launch: str | None) -> None:
    """Import unsloth. Raises MissingExtra if it is not installed, UsageError or InputError if it cannot train."""
    if launch is not None or process().world > 1:
        raise UsageError("--backend unsloth trains in one process; leave --launch out, or take --backend trl")
    if importlib.util.find_spec("unsloth") is None:
        raise MissingExtra(f"--backend unsloth needs unsloth; install it with: {_command()}")
    if os.environ.get("HF_HUB_DISABLE_TELEMETRY", "1") != "0":
        os.environ.setdefault("UNSLOTH_DISABLE_STATISTICS", "1")
    os.environ.setdefault("UNSLOTH_COMPILE_LOCATION", str(cache_folder() / "unsloth"))  # the default is the current folder
    try:
        with redirect_stdout(sys.stderr):
            import unsloth  # noqa: F401
    except ImportError as error:
        raise MissingExtra(f"unsloth cannot be imported ({_short(error)}); install it with: {_command()}") from error
    except (NotImplementedError, RuntimeError) as error:  # no device that it supports, or a PyTorch that does not match the device
        raise InputError(f"unsloth cannot train on this machine: {_short(error)}") from error


def _command() -> str:
    return f"{install_command('unsloth')} in an environment of its own, without the extra train"


def load_with_unsloth(name: str, values: Mapping[str, Any]) -> Any:
    """The model in a folder or on the Hub, with all parameters trainable or, with use_peft, with a LoRA."""
    import torch
    from unsloth import FastLanguageModel

    longest = min(values["max_length"], context_limit(load_config(name)))  # beyond the model's own limit, unsloth stretches RoPE
    checkpointing = "unsloth" if values.get("gradient_checkpointing") else False
    chosen = {option: values[option] for option in ("attn_implementation",) if values.get(option)}
    try:
        with redirect_stdout(sys.stderr):
            model, _ = FastLanguageModel.from_pretrained(
                model_name=str(Path(name).expanduser()),
                max_seq_length=longest,
                dtype=getattr(torch, values["dtype"]),
                load_in_4bit=False,
                full_finetuning=not values["use_peft"],
                use_gradient_checkpointing=checkpointing,
                use_exact_model_name=True,  # else unsloth takes a copy of the model from another repository
                trust_remote_code=False,
                **chosen,
            )
            if not values["use_peft"]:
                return model
            return FastLanguageModel.get_peft_model(
                model,
                **lora_options(values),
                use_gradient_checkpointing=checkpointing,
                random_state=values.get("seed", 42),
            )
    except Exception as error:  # border: unsloth, transformers and peft raise errors of every type
        raise InputError(f"unsloth cannot load {name} with these settings: {_short(error)}") from error


def check_unchanged(trainer: Any, asked: Mapping[str, Any], rows: Iterable[TrainRow]) -> None:
    """Raise InputError if unsloth changed a setting that decides the result, or a row."""
    for name in _DECISIVE:
        used = getattr(trainer.args, name)
        used = getattr(used, "value", used)  # a member of an enumeration
        if name in asked and used != asked[name]:
            raise InputError(f"unsloth trains with {name}={used} where {asked[name]} is asked for; set it to that, or take --backend trl")
    held = trainer.train_dataset.with_format("numpy")
    if not trainer.args.packing and not all(_equal(made, row) for made, row in zip_longest(held, rows)):
        raise InputError("unsloth changed the rows, and no row is cut or changed in training; take --backend trl")


def _equal(made: Mapping[str, Any] | None, row: TrainRow | None) -> bool:
    """Whether the trainer's row is the one that was given to it."""
    if made is None or row is None:
        return False
    return np.array_equal(made["input_ids"], row.input_ids) and np.array_equal(made["labels"], row.labels)


def _short(error: Exception) -> str:
    return one_line(error)[:300] or type(error).__name__
