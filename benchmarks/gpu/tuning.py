"""Training of all parameters on one GPU in seconds: `asap train`'s rows, template and loss (Eq. 3), and a plain loop around them.

`asap train` itself keeps checkpoints and a model on disk, and needs trl and datasets; here an arm is trained within seconds, written with,
and forgotten. What differs: rows are drawn by a generator of our own, the same in all arms of a seed; a step's rows share padded
micro-batches, which changes no loss. Weights are float32, products bfloat16 on a GPU, as in the recipes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

import torch
import transformers
from torch import Tensor

from asap.dataset.shapes import to_sample
from asap.errors import RowError
from asap.lm.training_rows import TrainRow, encode_rows
from asap.lm.training_template import TrainingTemplate
from asap.train import loss
from asap.train.loss import IGNORED, summed_nll

MICRO_TOKENS = 1 << 14
"""Padded tokens at once; without checkpointing they take 33 GB of a 0.5B model (G3)."""
_PIECE_ON_GPU = 1 << 30  # of float32 logits: larger than on a CPU, as G3's part `head` found


class Recipe(NamedTuple):
    """What `asap train`'s recipes call these."""

    learning_rate: float
    num_train_epochs: int
    effective_batch_size: int
    min_lr_rate: float = 0.1
    warmup_steps: float = 0.03
    max_grad_norm: float = 0.2


class Tuned(NamedTuple):
    """What a training took: steps, tokens read, without padding, and learnt, and the loss of each step."""

    steps: int
    tokens: int
    learnt: int
    losses: list[float]


def encoded(template: TrainingTemplate, rows: Sequence[Mapping[str, Any]], max_length: int) -> list[TrainRow]:
    """The rows as token ids and labels. Raises RowError for one that cannot be trained: arms must have the same rows."""
    made = encode_rows(template, [(to_sample(row).sample, ()) for row in rows])
    for row in made:
        if isinstance(row, RowError):
            raise row
        if len(row.input_ids) > max_length:
            raise RowError("too_long", f"the row has {len(row.input_ids)} tokens, more than {max_length}", row.id)
    return [row for row in made if isinstance(row, TrainRow)]


def batches(rows: int, recipe: Recipe, seed: int) -> Iterator[list[int]]:
    """The rows of each step: they follow from the number of rows and the seed alone."""
    for epoch in range(recipe.num_train_epochs):
        order = torch.randperm(rows, generator=torch.Generator().manual_seed(1000 * seed + epoch)).tolist()
        for start in range(0, rows, recipe.effective_batch_size):
            yield order[start : start + recipe.effective_batch_size]


def tune(
    model: Any,
    rows: Sequence[TrainRow],
    recipe: Recipe,
    seed: int,
    *,
    micro_tokens: int = MICRO_TOKENS,
    go_on: Callable[[], bool] = lambda: True,
) -> Tuned | None:
    """Train the model's parameters in place; None where `go_on` said no before the end."""
    cuda = model.device.type == "cuda"
    if cuda:
        loss._PIECE_BYTES = _PIECE_ON_GPU
    torch.manual_seed(seed)
    model.train()
    steps = list(batches(len(rows), recipe, seed))
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate, weight_decay=0.0, fused=cuda)
    schedule = transformers.get_scheduler(
        "cosine_with_min_lr",
        optimizer,
        num_warmup_steps=-int(-len(steps) * recipe.warmup_steps // 1),
        num_training_steps=len(steps),
        scheduler_specific_kwargs={"min_lr_rate": recipe.min_lr_rate},
    )
    losses = list[Tensor]()
    for places in steps:
        if not go_on():
            return None
        losses.append(step_loss(model, [rows[place] for place in places], micro_tokens))
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.max_grad_norm)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
    read, learnt = (
        recipe.num_train_epochs * sum(count(row) for row in rows) for count in (lambda row: len(row.input_ids), lambda row: row.learnt)
    )
    return Tuned(len(steps), read, learnt, torch.stack(losses).tolist())


def step_loss(model: Any, rows: Sequence[TrainRow], micro_tokens: int) -> Tensor:
    """The loss of a step's rows, whose gradients are added: the sum over their learnt tokens by the number of these."""
    learnt = sum(int((row.labels[1:] != IGNORED).sum()) for row in rows)
    total = torch.zeros((), device=model.device)
    for micro in micro_batches(rows, micro_tokens):
        ids, labels = padded(micro, model.device)
        with torch.autocast("cuda", torch.bfloat16) if model.device.type == "cuda" else nullcontext():
            # padding is on the right, where no token of a row looks, so no mask is needed
            hidden = model.base_model(input_ids=ids, use_cache=False).last_hidden_state
            found = summed_nll(hidden, model.get_output_embeddings(), labels) / learnt
        found.backward()  # type: ignore[no-untyped-call]
        total += found.detach()
    return total


def micro_batches(rows: Sequence[TrainRow], micro_tokens: int) -> Iterator[list[TrainRow]]:
    """The rows by length, in batches of at most so many padded tokens."""
    waiting = sorted(rows, key=lambda row: -len(row.input_ids))
    while waiting:
        number = max(1, micro_tokens // len(waiting[0].input_ids))
        yield waiting[:number]
        waiting = waiting[number:]


def padded(rows: Sequence[TrainRow], device: torch.device) -> tuple[Tensor, Tensor]:
    """Ids and labels, padded on the right."""
    width = max(len(row.input_ids) for row in rows)
    ids = torch.zeros((len(rows), width), dtype=torch.long)
    labels = torch.full((len(rows), width), IGNORED, dtype=torch.long)
    for place, row in enumerate(rows):
        ids[place, : len(row.input_ids)] = torch.tensor(row.input_ids)
        labels[place, : len(row.labels)] = torch.tensor(row.labels)
    return ids.to(device, non_blocking=True), labels.to(device, non_blocking=True)
