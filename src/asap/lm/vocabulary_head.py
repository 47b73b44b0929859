"""Log-probabilities from last hidden states, in float32 and in little memory: the full matrix of logits never exists.

The products of a bfloat16 model are exact in float32, so on CUDA its tensor cores multiply in bfloat16 and add up in float32: they
differ from a float32 product by the order of the sum and no more. A float32 model is multiplied in float32 (TF32 would not do).
"""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

_SCALES = {"logit_scale": 1, "lm_head_multiplier": 1, "logits_scaling": -1}  # of Cohere, Falcon-H1, Granite: the exponent
_CAPS = ("final_logit_softcapping", "logits_soft_cap", "output_logit_soft_cap")  # of Gemma, RecurrentGemma, xLSTM
PIECE_ON_CPU = 2_048, 512  # words of the vocabulary and rows; its float32 copy stays in the cache
PIECE_ON_GPU = 16_384, 2_048
_ROUNDED = 0.02  # what a few roundings to bfloat16 may change, of a logit
_LEAST = -1e30  # stands for minus infinity: zero times it is zero


class VocabularyHead(NamedTuple):
    """What makes logits from last hidden states: cap · tanh(scale · (hidden · weightᵀ + bias) / cap), without a cap the inner part.

    weight [V, H], bias [V]. `multiplies_narrow`: the device multiplies bfloat16 and adds up in float32.
    """

    weight: Tensor
    bias: Tensor | None = None
    scale: float = 1.0
    cap: float | None = None
    multiplies_narrow: bool = False

    @property
    def is_linear(self) -> bool:
        """Whether logits are neither scaled nor capped."""
        return self.scale == 1.0 and self.cap is None

    def bent(self, logits: Tensor) -> Tensor:
        """Scale and cap logits, in place."""
        if self.scale != 1.0:
            logits = logits.mul_(self.scale)
        return logits if self.cap is None else logits.div_(self.cap).tanh_().mul_(self.cap)

    def scores(self, hidden: Tensor, targets: Tensor, *, entropy: bool = False) -> Tensor:
        """Log-probability of the targets, and the entropy of the prediction (NaN without `entropy`), float32.

        hidden [R, H], targets [R] -> [R, 2]. No more than one piece of logits and of float32 weight exists at a time.
        """
        words, rows = PIECE_ON_CPU if self.weight.device.type == "cpu" else PIECE_ON_GPU
        if not self.multiplies_narrow:
            hidden = hidden.float()
        parts, wanted = torch.split(hidden, rows), torch.split(targets, rows)
        log_sums, means = list[Tensor](), list[Tensor]()
        for start in range(0, self.weight.shape[0], words):
            piece = self._piece(slice(start, start + words))
            found = [log_sum_and_mean(self.bent(self._logits(part, *piece)), entropy) for part in parts]
            log_sums.append(torch.cat([log_sum for log_sum, _ in found]))
            means.append(torch.cat([mean for _, mean in found]))
        log_sum = torch.logsumexp(torch.stack(log_sums), dim=0)
        # E[logit] over the whole vocabulary, from its pieces; the entropy is the log of the sum minus it.
        mean = (torch.stack(means) * (torch.stack(log_sums) - log_sum).exp()).sum(0)
        chosen = torch.cat([self._chosen(part, one) for part, one in zip(parts, wanted, strict=True)])
        return torch.stack([self.bent(chosen) - log_sum, log_sum - mean], dim=1)

    def _piece(self, words: slice) -> tuple[Tensor, Tensor | None]:
        """Weight, transposed, and bias of some words of the vocabulary."""
        weight = self.weight[words] if self.multiplies_narrow else self.weight[words].float()
        return weight.T, None if self.bias is None else self.bias[words].float()

    def _logits(self, hidden: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        logits = torch.mm(hidden, weight, out_dtype=torch.float32) if self.multiplies_narrow else hidden @ weight
        return logits if bias is None else logits.add_(bias)

    def _chosen(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """The logit of one word for each row, neither scaled nor capped."""
        logits = (hidden.float() * self.weight[targets].float()).sum(-1)
        return logits if self.bias is None else logits + self.bias[targets].float()


def log_sum_and_mean(logits: Tensor, entropy: bool) -> tuple[Tensor, Tensor]:
    """Log of the sum of exponentials of each row, and the row's mean under its softmax (NaN without `entropy`). May change `logits`."""
    kernel = _kernel_on(logits.device) if logits.is_cuda else None
    if kernel is None:
        return eager_log_sum_and_mean(logits, entropy)
    log_sum, mean = kernel(logits)
    return log_sum, mean if entropy else torch.full_like(log_sum, torch.nan)


def eager_log_sum_and_mean(logits: Tensor, entropy: bool) -> tuple[Tensor, Tensor]:
    """The same on any device, in several passes."""
    if not entropy:
        log_sum = torch.logsumexp(logits, dim=-1)
        return log_sum, torch.full_like(log_sum, torch.nan)
    logits = logits.clamp_(min=_LEAST)
    largest = logits.amax(-1, keepdim=True)
    shares = (logits - largest).exp_()
    total = shares.sum(-1)
    return largest[:, 0] + total.log(), shares.mul_(logits).sum(-1) / total


@cache
def _kernel_on(device: torch.device) -> Callable[[Tensor], tuple[Tensor, Tensor]] | None:
    """The kernel that does the same in one pass; None where trying it on a few rows fails or gives other numbers."""
    try:
        from asap.lm.triton_sums import sums_in_one_pass

        logits = 20 * torch.sin(torch.arange(3 * 5_000, device=device, dtype=torch.float32)).reshape(3, 5_000)
        pairs = zip(sums_in_one_pass(logits), eager_log_sum_and_mean(logits.clone(), True), strict=True)
        return sums_in_one_pass if all(torch.allclose(one, other, rtol=1e-5, atol=1e-4) for one, other in pairs) else None
    except Exception:  # border: without Triton, a C compiler, or a device that it knows, it fails in many ways
        return None


def find_head(model: Any) -> VocabularyHead | None:
    """The head of a model; None where trying shows that its logits are made in a way that is not known here."""
    layer, training = model.get_output_embeddings(), model.training
    if not isinstance(layer, torch.nn.Linear) or model.base_model is model or any(parameter.is_meta for parameter in model.parameters()):
        return None
    head = VocabularyHead(layer.weight, layer.bias, *_scale_and_cap(model.config.get_text_config()))
    ids = torch.arange(8, device=layer.weight.device)[None] % layer.out_features
    try:
        model.eval()
        with torch.no_grad():
            logits = model(input_ids=ids, use_cache=False).logits.float()
            hidden = model.base_model(input_ids=ids, use_cache=False).last_hidden_state
            expected = head.bent(layer(hidden).float().clone())
            narrow = _multiplies_narrow(hidden[0], layer.weight)
    finally:
        model.train(training)
    tolerance = 1e-4 if head.is_linear or layer.weight.dtype == torch.float32 else _ROUNDED
    if logits.shape != expected.shape or not torch.allclose(logits, expected, rtol=tolerance, atol=tolerance):
        return None
    return head._replace(multiplies_narrow=narrow)


def _scale_and_cap(config: Any) -> tuple[float, float | None]:
    """What a configuration says about scaling and capping logits."""
    scale = 1.0
    for name, exponent in _SCALES.items():
        scale *= float(getattr(config, name, None) or 1.0) ** exponent
    cap = next((float(value) for name in _CAPS if (value := getattr(config, name, None))), None)
    return scale, cap


def _multiplies_narrow(hidden: Tensor, weight: Tensor) -> bool:
    """Whether this device and this torch multiply the model's bfloat16 and give float32; found by trying."""
    if weight.dtype != torch.bfloat16 or hidden.dtype != torch.bfloat16:
        return False
    try:
        return torch.mm(hidden[:1], weight[:16].T, out_dtype=torch.float32).dtype == torch.float32
    except (RuntimeError, TypeError):  # a device that cannot (a CPU), a torch before 2.8
        return False
