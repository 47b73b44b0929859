"""TRL's SFTTrainer with the loss of Eq. 3 computed at response positions only, and a log of each step's cost."""

import json
import math
import time
import types
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import is_peft_model
from torch import Tensor
from transformers import TrainerCallback
from trl import SFTTrainer

from asap.errors import InputError
from asap.lm.training_rows import IGNORED
from asap.lm.vocabulary_head import find_head
from asap.train.loss import summed_nll

STEPS = "steps.jsonl"


class ResponseTrainer(SFTTrainer):  # type: ignore[misc]
    """An SFTTrainer for rows of `input_ids` and `labels`.

    The loss of a step is the sum over the response tokens of its whole batch (all micro-batches, all processes) divided by their
    number. On a GPU with Triton, TRL's fused head computes it; elsewhere TRL would project every position, so `summed_nll` does.
    With `models_loss` the model's own forward computes it (unsloth's does); InputError if that forward does not accept the number.
    """

    loss_is_scaled_for_ga: bool | None = True
    model_accepts_loss_kwargs: bool

    def __init__(self, *args: Any, models_loss: bool = False, **options: Any) -> None:
        if models_loss:
            self.loss_is_scaled_for_ga = None  # the trainer finds it out from the model
        super().__init__(*args, **options)
        if models_loss and not self.model_accepts_loss_kwargs:
            raise InputError(
                "unsloth's loss for this model does not divide by the response tokens of the whole batch (Eq. 3); take --backend trl"
            )
        self.compute_loss_func = None  # before transformers 5.19 TRL keeps a string there and would call it
        self.model_accepts_loss_kwargs = True  # even for models that ignore it: we always need the count of the whole batch
        inner = self.model.get_base_model() if is_peft_model(self.model) else self.model
        own_head = not models_loss and self.args.device.type not in ("cuda", "xpu") and not self.aux_loss_enabled
        head = find_head(inner) if own_head else None
        self.own_head = head is not None and head.is_linear
        if self.own_head:
            give_summed_nll(inner)

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """Nothing: TRL would write its own card over any README.md at each checkpoint."""

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None) -> Any:
        """The loss of one micro-batch, as its share of the whole batch's."""
        if return_outputs or not self.own_head:
            return super().compute_loss(model, inputs, return_outputs=return_outputs, num_items_in_batch=num_items_in_batch)
        labels = inputs["labels"]
        summed = model(**{name: value for name, value in inputs.items() if name != "labels"}, response_labels=labels)
        count = (labels[:, 1:] != IGNORED).sum() if num_items_in_batch is None else num_items_in_batch
        loss = summed / torch.as_tensor(count, device=summed.device).clamp(min=1)
        # the count is over all processes, but DDP and FSDP average gradients over them
        return loss * self.accelerator.num_processes if num_items_in_batch is not None else loss


def give_summed_nll(model: Any) -> None:
    """Make `model(..., response_labels=labels)` return the summed loss, without logits; other calls are unchanged.

    The loss is computed inside forward, so that DDP's and FSDP's hooks and autocast apply.
    """
    forward = model.forward

    def with_loss(self: Any, *args: Any, response_labels: Tensor | None = None, **inputs: Any) -> Any:
        if response_labels is None:
            return forward(*args, **inputs)
        inputs = {name: value for name, value in inputs.items() if value is not None and name != "labels"}
        hidden = self.base_model(*args, **{**inputs, "use_cache": False}).last_hidden_state
        return summed_nll(hidden, self.get_output_embeddings(), response_labels)

    model.forward = types.MethodType(with_loss, model)


class StepLog(TrainerCallback):  # type: ignore[misc]
    """Writes steps.jsonl, a line for each logged step: loss, rate, tokens and seconds since the line before, peak memory so far.

    `tokens` counts all tokens read, without padding, over all processes; `seconds` is the time inside steps, without saving;
    `peak_mib` is the first process's peak: of its GPU's memory, or of its own without a GPU (`peak_of`). Raises InputError when the
    loss becomes NaN or infinite.
    """

    def __init__(self, folder: Path, device: torch.device, done_steps: int) -> None:
        self.path, self.device = folder / STEPS, device
        kept = [line for line in read_steps(folder) if line["step"] <= done_steps]
        self.path.write_text("".join(json.dumps(line) + "\n" for line in kept), "utf-8")
        self._seconds = 0.0
        self._tokens: int | None = None
        self._started = time.perf_counter()

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Record the time, and on the first step the number of tokens seen before."""
        if self._tokens is None:
            self._tokens = state.num_input_tokens_seen
        self._started = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Add the step's time, after waiting for the GPU to finish its work."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        self._seconds += time.perf_counter() - self._started

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        """Write a line for a training log (not for the summary at the end)."""
        if not logs or "loss" not in logs:
            return
        loss = float(logs["loss"])
        line = {
            "step": state.global_step,
            "loss": loss,
            "grad_norm": float(logs.get("grad_norm", math.nan)),
            "learning_rate": logs.get("learning_rate"),
            "tokens": int(state.num_input_tokens_seen - (self._tokens or 0)),
            "seconds": round(self._seconds, 4),
            "peak_mib": round(peak_bytes(self.device) / 2**20),
            "peak_of": self.device.type,
        }
        self._tokens, self._seconds = state.num_input_tokens_seen, 0.0
        if state.is_world_process_zero:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        if not math.isfinite(loss):
            raise InputError(f"the loss is {loss} at step {state.global_step}; lower the learning rate (--set learning_rate=…)")


def read_steps(folder: Path) -> list[dict[str, Any]]:
    """The lines of steps.jsonl, except a last line that a killed run left half-written."""
    path = folder / STEPS
    lines = path.read_text("utf-8").split("\n")[:-1] if path.is_file() else []
    return [json.loads(line) for line in lines]


def peak_bytes(device: torch.device) -> int:
    """The peak memory use: of a CUDA device by PyTorch's count, otherwise of this process."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    import resource
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
