"""Device, number type, longest text and identity of a transformers model in this process."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from asap.errors import UsageError
from asap.lm.hub import Dtype


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
    """Digest of a model folder: whole configuration, and size with first and last MiB of each weight file."""
    digest = hashlib.sha256()
    for file in sorted(folder.glob("*")) if folder.is_dir() else []:
        if file.suffix in (".json", ".safetensors", ".bin", ".model"):
            digest.update(f"{file.name}:{file.stat().st_size}:".encode())
            digest.update(b"".join(_ends_of(file)))
    return digest.hexdigest()[:16]


def _ends_of(file: Path, size: int = 1 << 20) -> Iterable[bytes]:
    with file.open("rb") as stream:
        yield stream.read(size)
        stream.seek(max(0, file.stat().st_size - size))
        yield stream.read(size)
