"""Log-probabilities from last hidden states, in float32 and in little memory: the full matrix of logits never exists."""

from typing import Any

import torch
from torch import Tensor

_VOCABULARY_PIECE = 16_384
_CPU_VOCABULARY_PIECE = 2_048  # its float32 copy stays in the cache
_ROW_PIECE = 512


def head_is_linear(model: Any) -> bool:
    """Whether a model's logits are its last hidden states through its output layer, not scaled or capped; found by trying."""
    head, training = model.get_output_embeddings(), model.training
    if not isinstance(head, torch.nn.Linear) or model.base_model is model or any(parameter.is_meta for parameter in model.parameters()):
        return False
    ids = torch.arange(8, device=head.weight.device)[None] % head.out_features
    try:
        model.eval()
        with torch.no_grad():
            logits = model(input_ids=ids, use_cache=False).logits.float()
            plain = head(model.base_model(input_ids=ids, use_cache=False).last_hidden_state).float()
    finally:
        model.train(training)
    return logits.shape == plain.shape and torch.allclose(logits, plain, rtol=1e-4, atol=1e-4)


def linear_scores(hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, *, entropy: bool = False) -> Tensor:
    """log softmax(hidden · weightᵀ + bias) at `targets`, and the softmax's entropy (NaN without `entropy`), float32.

    hidden [R, H], weight [V, H], targets [R] -> [R, 2]. No more than one piece of logits and of float32 weight exists at a time.
    """
    rows = hidden.float()
    log_sums, means = list[Tensor](), list[Tensor]()
    length = _CPU_VOCABULARY_PIECE if weight.device.type == "cpu" else _VOCABULARY_PIECE
    for start in range(0, weight.shape[0], length):
        piece = weight[start : start + length].float().T
        offset = 0.0 if bias is None else bias[start : start + length].float()
        parts = [log_sum_and_mean(part @ piece + offset, entropy) for part in torch.split(rows, _ROW_PIECE)]
        log_sums.append(torch.cat([log_sum for log_sum, _ in parts]))
        means.append(torch.cat([mean for _, mean in parts]))
    log_sum = torch.logsumexp(torch.stack(log_sums), dim=0)
    # E[logit] over the whole vocabulary, from its pieces; the entropy is the log of the sum minus it.
    mean = (torch.stack(means) * (torch.stack(log_sums) - log_sum).exp()).sum(0)
    target_logits = (rows * weight[targets].float()).sum(-1) + (0.0 if bias is None else bias[targets].float())
    return torch.stack([target_logits - log_sum, log_sum - mean], dim=1)


def log_sum_and_mean(logits: Tensor, entropy: bool) -> tuple[Tensor, Tensor]:
    """Log of the sum of exponentials of each row, and the row's mean under its softmax (NaN without `entropy`)."""
    log_sum = torch.logsumexp(logits, dim=-1)
    if not entropy:
        return log_sum, torch.full_like(log_sum, torch.nan)
    shares = (logits - log_sum[:, None]).exp()
    return log_sum, torch.where(shares > 0, shares * logits, 0.0).sum(-1)
