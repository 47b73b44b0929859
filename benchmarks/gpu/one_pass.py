"""The sums of the vocabulary head in one pass over the logits, a kernel in Triton: a candidate that G2 times, not part of ASAP.

Eager PyTorch passes over them about seven times, eleven with entropies. `TRITON_INTERPRET=1 python benchmarks/gpu/one_pass.py` checks the
numbers on a CPU, where the package `triton` is installed.
"""

import torch
import triton
import triton.language as tl

from asap.lm import vocabulary_head

_BLOCK = 4_096


@triton.jit
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


def log_sum_and_mean(logits: torch.Tensor, entropy: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """As `vocabulary_head.log_sum_and_mean`; the means cost nothing, so they are always there."""
    rows, words = logits.shape
    log_sums, means = (torch.empty(rows, device=logits.device) for _ in range(2))
    _sums_kernel[(rows,)](logits, log_sums, means, logits.stride(0), words=words, block=_BLOCK)
    return log_sums, means


if __name__ == "__main__":
    for shape in ((3, 5_000), (2, 4_096), (5, 17)):
        drawn = torch.randn(shape, generator=torch.Generator().manual_seed(1)) * 20
        drawn[0, 1] = -torch.inf
        pairs = zip(log_sum_and_mean(drawn, True), vocabulary_head.log_sum_and_mean(drawn.double(), True), strict=True)
        print(shape, [float((one - other).abs().max()) for one, other in pairs])
