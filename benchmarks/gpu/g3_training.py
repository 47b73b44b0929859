"""G3: a training step of a 0.5B-shaped random model on a GPU, with the loss at response positions a few rows at a time (`train/loss.py`)
and with transformers' own at all logits: tokens a second, memory, and whether a small model's loss equals the CPU's.

TRL's fused head, which `asap train` uses on a GPU with Triton, is not here: trl imports datasets and pyarrow.

Run `python benchmarks/gpu/g3_training.py` there; `--device cpu --shape tiny --lengths 128 --seconds 60` rehearses it.
The weights are in bfloat16, with AdamW's moments too: right for time and for what the head costs, not for training.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
import transformers
from bench import SHAPES, Bench, parser_of, peak_mib, reset_peak, synchronize

from asap.train.loss import IGNORED, summed_nll

Found = Iterator[dict[str, Any]]
RESPONSE = 0.75  # of the tokens


def main() -> None:
    """Run both parts, until the time is up."""
    parser = parser_of(__doc__, out="g3.jsonl")
    parser.add_argument("--shape", default="0.5B", choices=list(SHAPES))
    parser.add_argument("--lengths", type=int, nargs="+", default=[4_096, 16_384], help="tokens of the one row (default %(default)s)")
    parser.add_argument("--steps", type=int, default=4, help="steps, the first to warm up (default %(default)s)")
    args = parser.parse_args()
    bench = Bench(args)
    parts: dict[str, Callable[[], Found]] = {"equal": lambda: equal(args), "step": lambda: steps(bench, args)}
    bench.run(parts, args.parts)


def equal(args: argparse.Namespace) -> Found:
    """The losses of a small model in float32, here and on the CPU."""
    losses = {}
    for device in ("cpu", args.device):
        torch.manual_seed(2)
        model = make_model("tiny", torch.device("cpu"), torch.float32).to(device)
        ids, labels = make_row(SHAPES["tiny"]["vocab_size"], 256, torch.device("cpu"))
        for name, loss_of in LOSSES.items():
            losses[device, name] = float(loss_of(model, ids.to(device), labels.to(device)).detach())
    for name in LOSSES:
        here, cpu = losses[args.device, name], losses["cpu", "all logits"]
        yield {"loss": name, "here": here, "cpu": cpu, "relative": abs(here - cpu) / cpu}


def steps(bench: Bench, args: argparse.Namespace) -> Found:
    """Forward, backward and update with one row."""
    dtype = torch.bfloat16 if args.device != "cpu" else torch.float32
    for length in args.lengths:
        for checkpointing in (True, False):
            for name, loss_of in LOSSES.items():
                if bench.left_s <= 0:
                    return
                found = {"loss": name, "tokens": length, "checkpointing": checkpointing}
                try:
                    yield {**found, **step(args, loss_of, length, checkpointing, dtype)}
                except torch.OutOfMemoryError:
                    yield {**found, "out_of_memory": True}


def step(args: argparse.Namespace, loss_of: Callable[..., Any], length: int, checkpointing: bool, dtype: torch.dtype) -> dict[str, Any]:
    """The median time of a step, and the peak of memory."""
    device = torch.device(args.device)
    reset_peak(device)
    model = make_model(args.shape, device, dtype).train()
    if checkpointing:
        model.gradient_checkpointing_enable()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
    ids, labels = make_row(SHAPES[args.shape]["vocab_size"], length, device)
    seconds = list[float]()
    for _ in range(args.steps):
        synchronize(device)
        started = time.perf_counter()
        loss = loss_of(model, ids, labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        synchronize(device)
        seconds.append(time.perf_counter() - started)
    middle = statistics.median(seconds[1:])
    return {"s": round(middle, 4), "tokens_per_s": round(length / middle), "peak_mib": peak_mib(device), "loss_value": float(loss.detach())}


def make_model(shape: str, device: torch.device, dtype: torch.dtype) -> Any:
    """A random model."""
    config = transformers.LlamaConfig(**SHAPES[shape], max_position_embeddings=32_768, use_cache=False)
    torch.manual_seed(1)
    with device:
        return transformers.AutoModelForCausalLM.from_config(config, dtype=dtype)


def make_row(vocabulary: int, length: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Drawn ids, and labels for the response alone."""
    ids = torch.randint(vocabulary, (1, length), generator=torch.Generator().manual_seed(4))
    labels = ids.clone()
    labels[:, : int(length * (1 - RESPONSE))] = IGNORED
    return ids.to(device), labels.to(device)


def pieces(model: Any, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The mean loss, from our pieces."""
    hidden = model.base_model(input_ids=ids, use_cache=False).last_hidden_state
    return summed_nll(hidden, model.get_output_embeddings(), labels) / (labels[:, 1:] != IGNORED).sum()


def all_logits(model: Any, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The mean loss, as transformers computes it."""
    loss: torch.Tensor = model(input_ids=ids, labels=labels, use_cache=False).loss
    return loss


LOSSES: dict[str, Callable[..., torch.Tensor]] = {"pieces": pieces, "all logits": all_logits}

if __name__ == "__main__":
    main()
