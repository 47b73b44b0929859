"""The sums of the vocabulary head in one pass over the logits: a kernel in Triton, where eager PyTorch passes over them eleven times.

Importing this needs Triton, which comes with torch's CUDA builds on Linux, and the first call a C compiler.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

_BLOCK = 4_096


@triton.jit  # type: ignore[untyped-decorator]
def _sums_kernel(logits, log_sums, means, stride, words: tl.constexpr, block: tl.constexpr):  # type: ignore[no-untyped-def]  # Triton reads annotations
    """One program for each row: the running maximum, the sum of exponentials, and of their products with the logits."""
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, block)
    largest = -1.0e30
    total = 0.0
    weighted = 0.0
    for start in range(0, words, block):
        found = tl.load(logits + row * stride + start + columns, mask=start + columns < words, other=-1.0e30)
        found = tl.maximum(found, -1.0e30)
        higher = tl.maximum(largest, tl.max(found, axis=0))
        shares = tl.where(start + columns < words, tl.exp(found - higher), 0.0)
        before = tl.exp(largest - higher)
        total = total * before + tl.sum(shares, axis=0)
        weighted = weighted * before + tl.sum(shares * found, axis=0)
        largest = higher
    tl.store(log_sums + row, largest + tl.log(total))
    tl.store(means + row, weighted / total)


def sums_in_one_pass(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Log of the sum of exponentials of each row, and the row's mean under its softmax. logits float32 [R, V] -> [R], [R]."""
    rows, words = logits.shape
    log_sums, means = (torch.empty(rows, device=logits.device) for _ in range(2))
    _sums_kernel[(rows,)](logits, log_sums, means, logits.stride(0), words=words, block=_BLOCK)
    return log_sums, means
