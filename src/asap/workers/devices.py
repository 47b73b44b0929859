"""The devices that `--devices` names, one for each process of a run."""

from collections.abc import Sequence

import torch

from asap.lm.model import pick_device


def devices_of(text: str, *, needs_model: bool = True) -> list[str]:
    """The devices of a list with commas; one may come up twice. `auto` is every GPU, or else the one device of this machine.

    Raises UsageError for one that cannot be used here.
    """
    if text == "auto":
        gpus = torch.cuda.device_count() if needs_model and torch.cuda.is_available() else 0
        return [f"cuda:{number}" for number in range(gpus)] or [str(pick_device("auto")) if needs_model else "cpu"]
    return [_usable(name.strip()) for name in text.split(",")]


def threads_each(devices: Sequence[str]) -> int:
    """The threads that each process may use: its share of this process's own."""
    return max(1, torch.get_num_threads() // len(devices))


def pin(device: str, threads: int) -> None:
    """Keep the process to its device and to its share of the processor."""
    torch.set_num_threads(threads)
    if device.startswith("cuda:"):
        torch.cuda.set_device(device)


def _usable(name: str) -> str:
    """The device's name. To look at a GPU is not to use it: that would take memory there for this process."""
    kind, _, number = name.partition(":")
    if kind == "cuda" and torch.cuda.is_available() and (number or "0").isdecimal() and int(number or 0) < torch.cuda.device_count():
        return f"cuda:{int(number or 0)}"
    return str(pick_device(name))
