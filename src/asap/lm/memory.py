"""What to do where the memory of a device does not suffice: the one place that knows how libraries say so."""

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_SIGNS = (
    "out of memory",  # CUDA, MPS, and torch.OutOfMemoryError on any device
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUBLAS_STATUS_NOT_INITIALIZED",  # its handle needs memory too
    "can't allocate memory",  # torch's allocator for the CPU, on Linux and macOS
    "not enough memory",  # the same on Windows
    "Invalid buffer size",  # MPS
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that the memory of a device does not suffice."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _SIGNS)


def within_memory(work: Callable[[], T]) -> T | None:
    """The result of the work; None where it did not fit into memory, which is then given back."""
    try:
        return work()
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    _empty_caches()  # not before the error is gone: its traceback keeps the tensors of the work alive
    return None


def _empty_caches() -> None:
    import torch

    torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()
