"""G3: what a training step costs on a GPU, with random weights of real shapes: three ways to the loss of Eq. 3.

    full    transformers' own loss, from all logits
    asap    `asap.train.loss.summed_nll`: today on CPUs only
    trl     the kernel of TRL's fused head (Triton), which `asap train` uses on GPUs

Run `python benchmarks/gpu/g3_training.py` there; `--device cpu --shapes tiny --lengths 64 --steps 1 --seconds 120` rehearses it. Parts,
the most wanted first: equal (losses and gradients beside float64 on the CPU), speed (whole steps: tokens a second, memory), head (the
head alone, with pieces of several sizes), unsloth.

TRL's way needs its wheel and nothing that it depends on (1 MB: `pip download --no-deps trl==1.16.0`, and there `pip install --no-deps
--no-index WHEEL`); with trainer and data set they would be 67 MB, of which pyarrow alone is 55, so the trainers' loops are not
compared here. One row is one micro-batch; rows are 1/4 question and 3/4 response. Weights are float32, products bfloat16 (autocast), the
optimizer is AdamW, as in the recipes.
"""

import importlib.util
import sys
import time
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch
import transformers
from bench import SHAPES, Bench, parser_of, peak_mib, reset_peak, synchronize
from torch import Tensor

from asap.lm.training_rows import IGNORED
from asap.train import loss
from asap.train.loss import summed_nll

Found = Iterator[dict[str, Any]]
Loss = Callable[[Any, Tensor, Tensor], Tensor]
"""Takes the model, ids [1, T] and labels [1, T]; returns the mean loss of the learnt tokens."""


def main() -> None:
    """Run all parts until the time is up."""
    parser = parser_of(__doc__, out="g3.jsonl")
    parser.add_argument("--shapes", nargs="+", default=["0.5B"], help="of the parts speed and head: 0.5B, 7B, tiny")
    parser.add_argument("--lengths", type=int, nargs="+", default=[4096, 16_384], help="tokens of a row")
    parser.add_argument("--steps", type=int, default=5, help="that count, after one to warm up (default %(default)s)")
    args = parser.parse_args()
    bench = Bench(args)
    ways = ways_here()
    bench.put("ways", here=list(ways), trl=missing("trl") or "installed", unsloth=missing("unsloth") or "installed")
    parts: dict[str, Callable[[], Found]] = {
        "equal": lambda: equal(bench, ways),
        "speed": lambda: speed(bench, ways, args.shapes, args.lengths, args.steps),
        "head": lambda: head(bench, ways, args.shapes, args.lengths),
        "unsloth": unsloth,
    }
    bench.run(parts, args.parts)


def ways_here() -> dict[str, Loss]:
    """The ways that this machine can go."""
    return {"asap": by_asap, **({"trl": by_trl} if missing("trl") is None else {}), "full": by_transformers}


def missing(package: str) -> str | None:
    """Why a package cannot be used; None if it can."""
    return None if importlib.util.find_spec(package) else f"{package} is not installed, so its way was NOT run"


def by_transformers(model: Any, ids: Tensor, labels: Tensor) -> Tensor:
    """From all logits."""
    found: Tensor = model(input_ids=ids, labels=labels, use_cache=False).loss
    return found


def by_definition(model: Any, ids: Tensor, labels: Tensor) -> Tensor:
    """As Eq. 3 is written, in the model's own numbers."""
    logprobs = torch.log_softmax(model(input_ids=ids, use_cache=False).logits[:, :-1], -1)
    wanted = labels[:, 1:] != IGNORED
    return -logprobs[wanted].gather(1, labels[:, 1:][wanted][:, None]).mean()


def by_asap(model: Any, ids: Tensor, labels: Tensor) -> Tensor:
    """With our head."""
    hidden = model.base_model(input_ids=ids, use_cache=False).last_hidden_state
    return summed_nll(hidden, model.get_output_embeddings(), labels) / learnt(labels)


def by_trl(model: Any, ids: Tensor, labels: Tensor) -> Tensor:
    """With TRL's kernel."""
    hidden = model.base_model(input_ids=ids, use_cache=False).last_hidden_state
    wanted = labels[:, 1:] != IGNORED
    return trl_sum(hidden[:, :-1][wanted], model.get_output_embeddings().weight, labels[:, 1:][wanted]) / learnt(labels)


def trl_sum(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    """The sum of -log p by TRL's kernel, in the pieces that TRL takes."""
    if "trl.trainer.utils" not in sys.modules:  # it wants pandas and datasets for what only DeepSpeed needs
        sys.modules["trl.trainer.utils"] = types.SimpleNamespace(maybe_gather_lm_head_ctx=lambda *_: nullcontext())  # type: ignore[assignment]
    from trl.kernels.chunked_logprob import ChunkedLogProbFunction

    found: Tensor = ChunkedLogProbFunction.apply(hidden, weight, None, targets, 1.0, 32_768, None, 1.0, ("log_probs",))[0]
    return -found.sum()


def asap_sum(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    """The sum of -log p by our head."""
    found: Tensor = loss.SummedNll.apply(hidden, weight, None, targets)  # type: ignore[no-untyped-call]
    return found


def full_sum(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    """The sum of -log p from all logits."""
    return torch.nn.functional.cross_entropy((hidden @ weight.to(hidden.dtype).T).float(), targets, reduction="sum")


def learnt(labels: Tensor) -> Tensor:
    """How many tokens have a loss."""
    return (labels[:, 1:] != IGNORED).sum()


def model_of(shape: str, device: torch.device, *, checkpointing: bool = False) -> Any:
    """A model with random weights, the same for each call on a kind of device."""
    config = transformers.LlamaConfig(**SHAPES[shape], max_position_embeddings=32_768)
    torch.manual_seed(1)
    with device:
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32).train()
    if checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return model


def row_of(tokens: int, words: int, seed: int) -> tuple[Tensor, Tensor]:
    """Ids and labels of a row of drawn tokens."""
    ids = torch.randint(words, (1, tokens), generator=torch.Generator().manual_seed(seed))
    labels = ids.clone()
    labels[:, : tokens // 4] = IGNORED
    return ids, labels


def autocast(device: torch.device, on: bool = True) -> Any:
    """Products in bfloat16."""
    return torch.autocast(device.type, torch.bfloat16) if on else nullcontext()


def equal(bench: Bench, ways: Mapping[str, Loss]) -> Found:
    """Three steps of a tiny model: the losses and the first gradient, beside those of float64 on the CPU from all logits."""
    start = model_of("tiny", torch.device("cpu")).state_dict()
    exact = steps_of(start, by_definition, torch.device("cpu"), torch.float64, mixed=False)
    for name, way in ways.items():
        for mixed in (False, True):
            losses, gradient = steps_of(start, way, bench.device, torch.float32, mixed=mixed)
            yield {
                "way": name,
                "products": "bfloat16" if mixed else "float32",
                "losses": losses,
                "exact": exact[0],
                "loss_off": max(abs(one - other) / other for one, other in zip(losses, exact[0], strict=True)),
                "gradient_off": float((gradient - exact[1]).norm() / exact[1].norm()),
            }


def steps_of(
    start: Mapping[str, Tensor], way: Loss, device: torch.device, dtype: torch.dtype, *, mixed: bool
) -> tuple[list[float], Tensor]:
    """The losses of three steps of plain descent from some weights, and the first gradient of the embedding, which is the head too."""
    model = model_of("tiny", device).to(dtype)
    model.load_state_dict(start)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    losses, gradient = list[float](), torch.empty(0)
    for step in range(3):
        ids, labels = (one.to(device) for one in row_of(96, SHAPES["tiny"]["vocab_size"], seed=step))
        with autocast(device, mixed):
            found = way(model, ids, labels)
        found.backward()  # type: ignore[no-untyped-call]
        if not losses:
            gradient = model.get_input_embeddings().weight.grad.double().cpu()
        losses.append(found.item())
        optimizer.step()
        optimizer.zero_grad()
    return losses, gradient


def speed(bench: Bench, ways: Mapping[str, Loss], shapes: Sequence[str], lengths: Sequence[int], steps: int) -> Found:
    """Whole steps: forward, backward, AdamW."""
    for shape in shapes:
        for tokens in lengths:
            for checkpointing in (True, False):
                for name, way in ways.items():
                    if bench.left_s <= 0:
                        return
                    about = {"shape": shape, "tokens": tokens, "checkpointing": checkpointing, "way": name}
                    try:
                        yield {**about, **timed_steps(bench.device, shape, tokens, checkpointing, way, steps)}
                    except torch.OutOfMemoryError:
                        yield {**about, "out_of_memory": True}
                    reset_peak(bench.device)


def timed_steps(device: torch.device, shape: str, tokens: int, checkpointing: bool, way: Loss, steps: int) -> dict[str, Any]:
    """Seconds of a step, tokens a second, and the most memory."""
    reset_peak(device)
    model = model_of(shape, device, checkpointing=checkpointing)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)
    rows = [row_of(tokens, SHAPES[shape]["vocab_size"], seed) for seed in range(steps + 1)]
    seconds, losses = list[float](), list[float]()
    for ids, labels in rows:
        synchronize(device)
        started = time.perf_counter()
        with autocast(device):
            found = way(model, ids.to(device), labels.to(device))
        found.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
        losses.append(found.item())  # waits for the device
        seconds.append(time.perf_counter() - started)
    step_s = sum(seconds[1:]) / steps
    timing = {"step_s": round(step_s, 4), "tokens_per_s": round(tokens / step_s), "first_step_s": round(seconds[0], 2)}
    return {**timing, "peak_mib": peak_mib(device), "losses": [round(one, 5) for one in losses]}


def head(bench: Bench, ways: Mapping[str, Loss], shapes: Sequence[str], lengths: Sequence[int]) -> Found:
    """The head alone, forward and backward, on random hidden states; ours with pieces of several sizes."""
    sums: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {"asap": asap_sum, "trl": trl_sum, "full": full_sum}
    default = loss._PIECE_BYTES
    for shape in shapes:
        for tokens in lengths:
            pieces = [("asap", size << 20) for size in (64, 256, 1024, 4096)]
            for name, size in [*pieces, *((name, default) for name in ways if name != "asap")]:
                if bench.left_s <= 0:
                    return
                about = {"shape": shape, "rows": 3 * tokens // 4, "way": name, **({"piece_mib": size >> 20} if name == "asap" else {})}
                loss._PIECE_BYTES = size
                try:
                    yield {**about, **timed_head(bench.device, shape, 3 * tokens // 4, sums[name])}
                except torch.OutOfMemoryError:
                    yield {**about, "out_of_memory": True}
                finally:
                    loss._PIECE_BYTES = default


def timed_head(device: torch.device, shape: str, rows: int, summed: Callable[[Tensor, Tensor, Tensor], Tensor]) -> dict[str, Any]:
    """Seconds of forward and backward, the best of three after one to warm up, and the most memory above the inputs."""
    size = SHAPES[shape]
    torch.manual_seed(2)
    with device:
        hidden = torch.randn(rows, size["hidden_size"]).bfloat16().requires_grad_()
        weight = (torch.randn(size["vocab_size"], size["hidden_size"]) * 0.02).requires_grad_()
        targets = torch.randint(size["vocab_size"], (rows,))
    reset_peak(device)
    before, seconds = peak_mib(device) or 0, list[float]()
    for _ in range(4):
        synchronize(device)
        started = time.perf_counter()
        with autocast(device):
            found = summed(hidden, weight, targets)
        found.backward()  # type: ignore[no-untyped-call]
        synchronize(device)
        seconds.append(time.perf_counter() - started)
        gradient = float(hidden.grad.float().norm()) if hidden.grad is not None else 0.0
        hidden.grad = weight.grad = None
    above = None if peak_mib(device) is None else (peak_mib(device) or 0) - before
    return {"s": round(min(seconds[1:]), 4), "above_mib": above, "nll": found.item() / rows, "gradient_norm": gradient}


def unsloth() -> Found:
    """Whether it can be imported; a comparison needs a real model and takes minutes, so it is a run of its own."""
    yield {"here": missing("unsloth") or "it is installed: run asap train --backend unsloth beside --backend trl"}


if __name__ == "__main__":
    main()
