"""G7's units on a CPU, for those that no GPU came to do: the same rows, recipe, order, and products of the training.

    python benchmarks/gpu/g7_on_cpu.py --units necessary-only-2 --minutes 240 --done docs/results/gpu/g7-*.jsonl --out g7.jsonl

with PYTHONPATH=src:. from the repository's root, and g7_oracle.py's options. A unit takes about an hour of one core that multiplies in
bfloat16, as a GPU does; `--float32` is faster on CPUs that do not. The code of G7 is fixed by its plan, and trains in float32 on a CPU;
this script alone changes that. Sums come in another order than on a GPU, so a unit is another draw of the same training, not a
repetition of it.

A training that is interrupted goes on at its last checkpoint, one for every 25 steps in `--data`; one unit at a time in a folder.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lab
import rounds
import torch
import tuning
from g7_oracle import run
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_post_hook

STEPS = 25


def products_in_bfloat16() -> torch.autocast:
    """What the training's products are made in, as on a GPU."""
    return torch.autocast("cpu", torch.bfloat16)


class Checkpoint:
    """Goes on with a training that `tune` begins anew: its first steps are replayed from what the file holds, without computing."""

    def __init__(self, file: Path, every: int = STEPS) -> None:
        self.file, self.every = file, every
        self.whole_tune, self.whole_loss = tuning.tune, tuning.step_loss
        self.state: dict[str, Any] | None = None

    def __enter__(self) -> "Checkpoint":
        lab.tune, tuning.step_loss = self.tune, self.step_loss
        self.hook = register_optimizer_step_post_hook(self.after_step)
        return self

    def __exit__(self, *_: object) -> None:
        self.hook.remove()
        lab.tune, tuning.step_loss = self.whole_tune, self.whole_loss

    def tune(self, model: Any, rows: Sequence[Any], recipe: Any, seed: int, **options: Any) -> Any:
        """`tune`, whose checkpoint is removed at its end; one of other rows or seed is refused."""
        self.key = [seed, len(rows), sum(int(sum(row.input_ids)) for row in rows)]
        self.model, self.losses, self.replayed = model, list[Tensor](), 0
        self.state = torch.load(self.file, weights_only=True) if self.file.is_file() else None
        if self.state and self.state["key"] != self.key:
            sys.exit(f"{self.file} belongs to another unit; remove it, or finish that one first")
        tuned = self.whole_tune(model, rows, recipe, seed, **options)
        if tuned is not None:
            self.file.unlink(missing_ok=True)
        return tuned

    def step_loss(self, *given: Any) -> Tensor:
        """The loss of a step; of one that is in the file, no gradients."""
        loss: Tensor = self.state["losses"][self.replayed] if self.state else self.whole_loss(*given)
        self.losses.append(loss)
        return loss

    def after_step(self, optimizer: Any, *_: Any) -> None:
        """Count a replayed step and, after the last of them, take over weights and moments; save those of others now and then."""
        if self.state:
            self.replayed += 1
            if self.replayed == len(self.state["losses"]):
                self.model.load_state_dict(self.state["model"])
                optimizer.load_state_dict({**optimizer.state_dict(), "state": self.state["optimizer"]})
                self.state = None
        elif len(self.losses) % self.every == 0:
            state = {"key": self.key, "losses": self.losses, "model": self.model.state_dict(), "optimizer": optimizer.state_dict()["state"]}
            torch.save(state, part := self.file.with_suffix(".part"))
            part.replace(self.file)
            print(f"step {len(self.losses)}, loss {float(self.losses[-1]):.4f}", flush=True)


def main() -> None:
    """Run the units that the options name."""
    words = [word for word in sys.argv[1:] if word != "--float32"]
    if "--float32" not in sys.argv:
        tuning.nullcontext = products_in_bfloat16
    folder = Path(words[words.index("--data") + 1] if "--data" in words else ".gpu/g7")
    folder.mkdir(parents=True, exist_ok=True)
    tuning.tune.__kwdefaults__["micro_tokens"] = 2048  # 5 GiB instead of 9, and no loss changes by it
    rounds.write.__kwdefaults__["at_once"] = 100  # 500 answers at once would take 10 GiB
    with Checkpoint(folder / "training.pt"):
        run(["--device", "cpu", *words])


if __name__ == "__main__":
    main()
