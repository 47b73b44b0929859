"""What a training step costs: asap's trainer against TRL's own, same model, rows, settings and precision, in one run.

    OMP_WAIT_POLICY=PASSIVE python benchmarks/perf/train.py                 speed and memory, float32 and bfloat16
    OMP_WAIT_POLICY=PASSIVE python benchmarks/perf/train.py --parts loss    held-out loss of float32 and bfloat16 runs

The two trainers take turns, each measurement in a process of its own (peak memory is a process's), whose first step is a
warm-up. CPU seconds are of all threads. Rows are 1/4 question and 3/4 response, random words, so the loss means nothing here;
`--parts loss` uses rows with a pattern to learn instead, or the beginnings of real traces (`--rows FILE`), and evaluates both models in
float32.
"""

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from typing import Any

from figures import Figure, at_least, at_most

WORDS = "okay so the sum of two numbers is first wait check that loop again then answer list because hence return value"


def rows(tokenizer: Any, count: int, tokens: int, seed: int) -> list[dict[str, list[int]]]:
    """Random words of exactly so many tokens; the last three quarters are the response."""
    chance = random.Random(seed)
    made = []
    for _ in range(count):
        ids = tokenizer(" ".join(chance.choices(WORDS.split(), k=2 * tokens)), add_special_tokens=False).input_ids[:tokens]
        made.append({"input_ids": ids, "labels": [-100] * (tokens // 4) + ids[tokens // 4 :]})
    return made


def sums(tokenizer: Any, count: int, seed: int) -> list[dict[str, list[int]]]:
    """Rows with something to learn: steps of an addition, and its answer."""
    chance = random.Random(seed)
    made = []
    for _ in range(count):
        numbers = [chance.randint(10, 99) for _ in range(5)]
        steps = "\n\n".join(
            f"Adding {b} to {a} gives {a + b}." for a, b in zip([sum(numbers[:n]) for n in range(1, 5)], numbers[1:], strict=True)
        )
        before = tokenizer(f"What is {' + '.join(map(str, numbers))}?\n", add_special_tokens=False).input_ids
        after = tokenizer(f"<think>\n{steps}\n</think>\n\nIt is {sum(numbers)}.<|im_end|>", add_special_tokens=False).input_ids
        made.append({"input_ids": before + after, "labels": [-100] * len(before) + after})
    return made


def beginnings(tokenizer: Any, file: str, tokens: int) -> list[dict[str, list[int]]]:
    """The first so many tokens of each row's question and response, in an order that has nothing to do with the file's."""
    from asap import read_samples

    made = []
    for sample in read_samples(file):
        before = tokenizer(f"{sample.question}\n", add_special_tokens=False).input_ids
        after = tokenizer(f"<think>\n{sample.cot}\n</think>\n\n{sample.answer}", add_special_tokens=False).input_ids
        if len(before) < tokens // 2:
            made.append({"input_ids": (before + after)[:tokens], "labels": ([-100] * len(before) + after)[:tokens]})
    random.Random(4).shuffle(made)
    return made


def trainer_of(
    way: str, data: list[dict[str, list[int]]], *, bf16: bool, checkpointing: bool, steps: int, folder: str, held_out: Any = None
) -> Any:
    """A trainer on the bundled model: `asap` or `trl`; everything else is equal."""
    import warnings

    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    from asap.lm.hub import load_causal_lm, load_pretrained
    from asap.lm.specs import model_folder
    from asap.train.trainer import ResponseTrainer

    warnings.simplefilter("ignore")
    arguments = SFTConfig(
        output_dir=folder,
        max_steps=steps,
        per_device_train_batch_size=1,
        per_device_eval_batch_size=1,
        prediction_loss_only=True,
        gradient_checkpointing=checkpointing,
        bf16=bf16,
        use_cpu=True,
        max_length=None,
        learning_rate=1e-4,
        lr_scheduler_type="constant",
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
        logging_steps=1000,
    )
    name = model_folder("bundled")
    make = ResponseTrainer if way == "asap" else SFTTrainer
    return make(
        load_causal_lm(name),
        arguments,
        train_dataset=Dataset.from_list(data),
        eval_dataset=held_out,
        processing_class=load_pretrained("AutoTokenizer", name),
    )


def measure(way: str, precision: str, checkpointing: bool, tokens: int, steps: int) -> dict[str, float]:
    """One process's work: a warm-up step, then the steps that count."""
    from transformers import TrainerCallback

    from asap.lm.hub import load_pretrained
    from asap.lm.specs import model_folder

    marks: list[tuple[float, float]] = []

    class Marks(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *_: Any, **__: Any) -> None:
            marks.append((time.process_time(), time.perf_counter()))

    data = rows(load_pretrained("AutoTokenizer", model_folder("bundled")), steps + 1, tokens, seed=1)
    with tempfile.TemporaryDirectory() as folder:
        trainer = trainer_of(way, data, bf16=precision == "bfloat16", checkpointing=checkpointing, steps=steps + 1, folder=folder)
        trainer.add_callback(Marks())
        trainer.train()
    cpu, wall = (marks[-1][0] - marks[0][0]) / steps, (marks[-1][1] - marks[0][1]) / steps
    return {"cpu_s": cpu, "wall_s": wall, "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def figures(quick: bool) -> Iterator[Figure]:
    """The lines for `run.py`: float32, without checkpointing; the goals are for 1,024 tokens."""
    tokens = 256 if quick else 1024
    best = best_of("float32", False, tokens, 1, 1 if quick else 2)
    speed, memory = best["trl"]["cpu_s"] / best["asap"]["cpu_s"], best["asap"]["peak_mib"] / best["trl"]["peak_mib"]
    yield at_least(f"a training step of {tokens:,} tokens", [speed], 1.25, "TRL's trainer", counts=not quick)
    yield at_most(f"memory of a training step of {tokens:,} tokens", [memory], 0.9, "TRL's trainer", counts=not quick)


def best_of(precision: str, checkpointing: bool, tokens: int, steps: int, repeats: int) -> dict[str, dict[str, float]]:
    """The better of some measurements of both ways, which take turns, each in a process of its own."""
    best: dict[str, dict[str, float]] = {}
    for _ in range(repeats):
        for way in ("trl", "asap"):
            words = ["--one", way, precision, str(int(checkpointing)), str(tokens), str(steps)]
            done = subprocess.run([sys.executable, __file__, *words], capture_output=True, text=True, check=True)
            found = json.loads(done.stdout.splitlines()[-1])
            best[way] = {name: min(value, best.get(way, found)[name]) for name, value in found.items()}
    return best


def compare(precisions: Iterable[str], checkpointing: bool, tokens: int, steps: int, repeats: int) -> None:
    """Print a line for each way, and the ratios."""
    for precision in precisions:
        best = best_of(precision, checkpointing, tokens, steps, repeats)
        for way, found in best.items():
            how = f"{precision:<9} {'checkpointing' if checkpointing else 'no checkpointing'} {way:<5}"
            speed = f"{2 * tokens / found['cpu_s']:>5.0f} tokens in 2 CPU s, step {found['cpu_s']:.1f} CPU s [{found['wall_s']:.1f} s]"
            print(f"{how} {speed}, peak {found['peak_mib']:,.0f} MiB", flush=True)
        speed, memory = best["trl"]["cpu_s"] / best["asap"]["cpu_s"], best["asap"]["peak_mib"] / best["trl"]["peak_mib"]
        print(f"{precision:<9} asap / trl: speed {speed:.2f}x, peak memory {memory:.2f}x", flush=True)


def losses(steps: int, file: str | None) -> None:
    """Held-out loss, evaluated in float32, of a float32 run and a bfloat16 (autocast) run on the same rows in the same order."""
    from datasets import Dataset

    from asap.lm.hub import load_pretrained
    from asap.lm.specs import model_folder

    tokenizer = load_pretrained("AutoTokenizer", model_folder("bundled"))
    every = beginnings(tokenizer, file, 256) if file else sums(tokenizer, steps + 50, seed=2)
    data, held_out = every[:steps], Dataset.from_list(every[steps : steps + 50])
    found = {}
    for precision in ("float32", "bfloat16"):
        with tempfile.TemporaryDirectory() as folder:
            trainer = trainer_of(
                "asap", data, bf16=precision == "bfloat16", checkpointing=False, steps=steps, folder=folder, held_out=held_out
            )
            before = exact_loss(trainer.model, held_out)
            trainer.train()
            found[precision] = exact_loss(trainer.model, held_out)
        print(f"{precision:<9} held-out loss {before:.4f} before, {found[precision]:.4f} after {steps} steps", flush=True)
    print(f"bfloat16 against float32: {100 * (found['bfloat16'] / found['float32'] - 1):+.2f} %")


def exact_loss(model: Any, data: Any) -> float:
    """The mean negative log-likelihood of all labels, in float32 and without autocast."""
    import torch

    total, count = 0.0, 0
    forward = type(model).forward  # not the trainer's, which is wrapped in autocast
    model.eval()
    with torch.no_grad():
        for row in data:
            logits = forward(model, input_ids=torch.tensor([row["input_ids"]])).logits[0, :-1].float()
            labels = torch.tensor(row["labels"][1:])
            wanted = labels != -100
            total += float(torch.nn.functional.cross_entropy(logits[wanted], labels[wanted], reduction="sum"))
            count += int(wanted.sum())
    return total / count


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=["speed", "loss"], default=["speed"])
    parser.add_argument("--precisions", nargs="+", choices=["float32", "bfloat16"], default=["float32", "bfloat16"])
    parser.add_argument("--checkpointing", action="store_true", help="recompute activations, as TRL does by default")
    parser.add_argument("--tokens", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--loss-steps", type=int, default=200)
    parser.add_argument("--rows", help="of --parts loss: a data set that asap reads, of 50 rows more than there are steps")
    parser.add_argument("--one", nargs=5, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        way, precision, checkpointing, tokens, steps = given.one
        print(json.dumps(measure(way, precision, checkpointing == "1", int(tokens), int(steps))))
    else:
        if "speed" in given.parts:
            compare(given.precisions, given.checkpointing, given.tokens, given.steps, given.repeats)
        if "loss" in given.parts:
            losses(given.loss_steps, given.rows)
