"""Device, number type, longest text and identity of a transformers model in this process."""

import hashlib
from pathlib import Path
from typing import Any

import torch

from asap.errors import InputError, UsageError
from asap.lm.cache import file_sha256
from asap.lm.hub import Dtype

_OF_MODELS = (".json", ".safetensors", ".bin", ".model", ".jinja", ".txt", ".tiktoken")
_ABOUT = ("manifest.json", "settings.json", "stage.json")
"""What `asap train` and `asap reproduce` note beside a model; the last one is written after others have used it."""


def pick_device(device: str) -> torch.device:
    """The device of a name; `auto` is a GPU if the machine has one. Raises UsageError where it cannot be used."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError) as error:  # an unknown name, or hardware that this machine or this torch has not
        raise UsageError(f"device {device!r} cannot be used on this machine; use auto, cpu, cuda, cuda:N or mps") from error
    if chosen.type not in ("cpu", "cuda", "mps"):
        raise UsageError(f"unknown device {device!r}; use auto, cpu, cuda, cuda:N or mps")
    return chosen


def pick_dtype(dtype: Dtype, device: torch.device) -> torch.dtype:
    """`auto` is bfloat16 on a GPU that has it and float32 elsewhere."""
    if dtype == "auto":
        return torch.bfloat16 if device.type == "cuda" and torch.cuda.is_bf16_supported() else torch.float32
    known = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    if dtype not in known:
        raise UsageError(f"unknown dtype {dtype!r}; use auto, float32 or bfloat16")
    return known[dtype]


def context_limit(config: Any) -> int:
    """How many tokens the model can read at once; practically unlimited where its configuration names no limit."""
    limit = getattr(config.get_text_config(), "max_position_embeddings", None)
    return int(limit) if isinstance(limit, int) and limit > 1 else 1 << 30


def identity_of(name: str, spec: str, config: Any, dtype: torch.dtype) -> dict[str, str]:
    """How results name a model: spec, name, revision (of a folder a digest) and number type."""
    folder = Path(name).expanduser()
    revision = getattr(config, "_commit_hash", None) or _folder_digest(folder)
    return {
        "spec": spec,
        "model": folder.name if folder.is_dir() else name,
        "revision": revision,
        "dtype": str(dtype).removeprefix("torch."),
    }


def _folder_digest(folder: Path) -> str:
    """Digest of all bytes that a model folder's configuration, weights, tokenizer and templates have."""
    digest = hashlib.sha256()
    try:
        for file in sorted([*folder.glob("*"), *folder.glob("additional_chat_templates/*")]) if folder.is_dir() else []:
            if file.suffix in _OF_MODELS and file.name not in _ABOUT and file.is_file():
                digest.update(f"{file.relative_to(folder)}:{file_sha256(file)}\n".encode())
    except OSError as error:
        raise InputError(f"model folder {folder} cannot be read ({error.filename}: {error.strerror})") from error
    return digest.hexdigest()[:16]
