"""A model that is trained on one arm after the other from the same weights, and writes answers after each.

A unit is one arm with one seed. Units are done in the plan's order until the clock says that the next one would not be finished; those
whose lines are in the files already are not done again.
"""

import argparse
import copy
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from bench import Bench, parser_of
from packed import read_lines
from rounds import Ids, write
from tuning import Recipe, Tuned, encoded, tune

from asap.lm.causal_lm import CausalLM
from asap.lm.hub import Dtype, load_causal_lm
from asap.lm.prompt import render_prompt
from asap.lm.specs import model_folder
from asap.lm.training_rows import TrainRow
from asap.lm.training_template import TrainingTemplate
from asap.lm.transformers import written_text

Unit = tuple[str, int]
UNTRAINED = "untrained"
_FIRST_S = 75.0  # a unit's seconds on a GPU, before one is measured


class Lab:
    """The weights at the start, in float32, and the model that writes, by default in bfloat16 on a GPU."""

    def __init__(self, spec: str, device: str, dtype: Dtype = "auto") -> None:
        folder = model_folder(spec)
        self.lm = CausalLM(folder, spec=spec, dtype=dtype, device=device)
        self.start = load_causal_lm(folder, dtype=torch.float32).to(self.lm.device)
        self.template = TrainingTemplate(self.lm.tokens)
        _ = self.lm.stop_ids

    def encoded(self, rows: Sequence[Mapping[str, Any]], max_length: int) -> list[TrainRow]:
        """Rows as they are trained."""
        return encoded(self.template, rows, max_length)

    def train(self, rows: Sequence[TrainRow], recipe: Recipe, seed: int, go_on: Callable[[], bool]) -> Tuned | None:
        """Train from the start, then let the model that writes have the weights; None where the time was over."""
        model = copy.deepcopy(self.start)
        tuned = tune(model, rows, recipe, seed, go_on=go_on)
        if tuned is not None:
            self.lm.model.load_state_dict(model.state_dict())
        del model
        if self.lm.device.type == "cuda":
            torch.cuda.empty_cache()  # what training took is large, and writing takes other sizes
        return tuned

    def forget(self) -> None:
        """Let the model that writes have the weights of the start."""
        self.lm.model.load_state_dict(self.start.state_dict())

    def prompts(self, requests: Iterable[str]) -> Ids:
        """What the model reads before it answers."""
        return [render_prompt(self.lm.tokens, [{"role": "user", "content": text}]).ids for text in requests]

    def write(self, prompts: Ids, new: int) -> Ids:
        """The answers to all prompts."""
        return write(self.lm.model, prompts, new, self.lm.stop_ids)

    def text(self, ids: Sequence[int]) -> str:
        """The text of written tokens."""
        return written_text(self.lm, ids)


def options(text: str | None, *, out: str, data: str) -> argparse.ArgumentParser:
    """The options of experiments: those of all scripts, and what units need."""
    parser = parser_of(text, out=out)
    parser.add_argument("--minutes", type=float, default=8.0, help="begin no unit that would not be finished by then (default %(default)s)")
    parser.add_argument("--done", type=Path, nargs="*", default=[], help="lines of earlier calls: their units are not done again")
    parser.add_argument("--data", type=Path, default=Path(data), help="what was prepared (default %(default)s)")
    parser.add_argument("--model", help="hf:FOLDER or gguf:FILE (default: the plan's)")
    parser.add_argument("--units", nargs="*", default=[], help="only these, as ARM-SEED")
    return parser


def units_left(args: argparse.Namespace, units: Sequence[Unit], plan: str) -> list[Unit]:
    """The units of a plan that have no line yet, in its order."""
    files = [file for file in (*args.done, Path(args.out)) if file.is_file()]
    known = {(line["arm"], line["seed"]) for file in files for line in read_lines(file) if line["what"] == "unit" and line["plan"] == plan}
    return [unit for unit in units if unit not in known and (not args.units or f"{unit[0]}-{unit[1]}" in args.units)]


def do_units(bench: Bench, units: Sequence[Unit], do: Callable[[Unit], dict[str, Any] | None]) -> None:
    """Do units while there is time for one more, going by the slowest so far."""
    longest = _FIRST_S if bench.device.type == "cuda" else 0.0
    measured = list[float]()
    for unit in units:
        if bench.left_s < longest:
            bench.put("stopped", next="-".join(map(str, unit)), why=f"a unit takes up to {longest:.0f} s")
            return
        started = time.monotonic()
        found = do(unit)
        if found is None:
            bench.put("stopped", next="-".join(map(str, unit)), why="no time is left")
            return
        measured.append(time.monotonic() - started)
        longest = 1.1 * max(measured)
        bench.put("unit", arm=unit[0], seed=unit[1], **found, unit_s=round(measured[-1], 1))
