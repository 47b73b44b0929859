"""Eq. 3: the vocabulary projection and the cross-entropy only at response positions, a few rows at a time.

The full logits never exist: for each chunk of rows, the loss and its gradients are computed together, so nothing is computed twice and
only the gradients are kept. Used on CPU and MPS; on GPUs with Triton, TRL's own fused head does the same.
"""

from typing import Any

import torch
from torch import Tensor

from asap.lm.training_rows import IGNORED

_PIECE_BYTES = 64 << 20  # of float32 logits in one chunk


class SummedNll(torch.autograd.Function):
    """The sum of -log p over rows of hidden states: `hidden` [N, H], `weight` [V, H], `bias` [V] or None, `targets` [N].

    Products are in the autocast type if there is one, the softmax in float32.
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor) -> Tensor:
        """The sum, float32; also computes the gradients."""
        device = hidden.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden.dtype
        wants_hidden, wants_weight, wants_bias, _ = ctx.needs_input_grad
        head, rows = weight.to(dtype), hidden.to(dtype)
        grad_hidden = torch.empty_like(rows) if wants_hidden else None
        grad_weight = torch.zeros_like(weight, dtype=torch.float32) if wants_weight else None
        grad_bias = torch.zeros_like(weight[:, 0], dtype=torch.float32) if wants_bias else None
        total = torch.zeros((), device=hidden.device, dtype=torch.float32)
        size = max(1, _PIECE_BYTES // (4 * len(weight)))
        for start in range(0, len(rows), size):
            piece, target = rows[start : start + size], targets[start : start + size, None]
            logits = piece @ head.T
            logits = (logits if bias is None else logits + bias.to(dtype)).float()
            normaliser = logits.logsumexp(-1, keepdim=True)
            total += (normaliser - logits.gather(1, target)).sum()
            if not (wants_hidden or wants_weight or wants_bias):
                continue
            slope = logits.sub_(normaliser).exp_()  # softmax - one-hot: the gradient of the loss by the logits
            slope.scatter_add_(1, target, torch.full_like(slope[:, :1], -1.0))
            if grad_bias is not None:
                grad_bias += slope.sum(0)
            slope = slope.to(dtype)
            if grad_hidden is not None:
                torch.mm(slope, head, out=grad_hidden[start : start + size])
            if grad_weight is not None and dtype == torch.float32:
                grad_weight.addmm_(slope.T, piece)
            elif grad_weight is not None:
                grad_weight += slope.T @ piece
        kept = (grad_hidden, grad_weight, grad_bias)
        ctx.save_for_backward(*kept)
        ctx.dtypes = (hidden.dtype, weight.dtype, bias.dtype if bias is not None else None)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """The kept gradients, times the incoming gradient."""
        pairs = zip(ctx.saved_tensors, ctx.dtypes, strict=True)
        return *(None if kept is None else kept.mul_(grads[0]).to(dtype) for kept, dtype in pairs), None


def summed_nll(hidden: Tensor, head: torch.nn.Module, labels: Tensor) -> Tensor:
    """The sum of -log p of the labels [B, T] that are not -100, each predicted by the hidden state [B, T, H] before it."""
    weight: Any = head.weight
    bias: Any = getattr(head, "bias", None)
    if hasattr(weight, "full_tensor"):  # sharded by FSDP2
        weight, bias = weight.full_tensor(), bias.full_tensor() if bias is not None else None
    wanted = labels[:, 1:] != IGNORED
    total: Tensor = SummedNll.apply(hidden[:, :-1][wanted], weight, bias, labels[:, 1:][wanted])  # type: ignore[no-untyped-call]
    return total
