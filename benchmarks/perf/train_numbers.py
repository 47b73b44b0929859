"""What a step of `asap train --recipe laptop` costs on this CPU in each number type, and whether the losses agree.

    OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE python benchmarks/perf/train_numbers.py kodcode_r1.jsonl.gz [--model hf:FOLDER]

Three ways: float32 multiplied by MKL (torch's own choice), float32 by oneDNN, and bfloat16 (autocast). Each in a process of its own; they
take turns. LoRA and checkpointing as the recipe has them, one row a step: the first tokens of real rows, the same ones for each way. The
first step warms up and does not count; CPU seconds of all threads.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from typing import Any

from train import beginnings

WAYS = ("mkl", "onednn", "bfloat16")


def measure(way: str, spec: str, file: str, tokens: int, steps: int, checkpointing: bool) -> dict[str, Any]:
    """One process's work: CPU seconds a step, the loss of each step, and the peak of its memory."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import TrainerCallback
    from trl import SFTConfig

    from asap.lm.cpu import multiply_by_onednn
    from asap.lm.hub import load_causal_lm, load_pretrained
    from asap.lm.specs import model_folder
    from asap.train.recipe import load_recipe, lora_options
    from asap.train.trainer import ResponseTrainer

    warnings.simplefilter("ignore")
    if way == "onednn":
        multiply_by_onednn()
    recipe, name, marks, losses = load_recipe("laptop"), model_folder(spec), list[float](), list[float]()
    tokenizer = load_pretrained("AutoTokenizer", name)
    rows = [row for row in beginnings(tokenizer, file, tokens) if len(row["input_ids"]) == tokens][: steps + 1]

    class Marks(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *_: Any, **__: Any) -> None:
            marks.append(time.process_time())

        def on_log(self, *_: Any, logs: dict[str, Any] | None = None, **__: Any) -> None:
            losses.extend([float(logs["loss"])] if logs and "loss" in logs else [])

    with tempfile.TemporaryDirectory() as folder:
        arguments = SFTConfig(
            output_dir=folder,
            max_steps=steps + 1,
            per_device_train_batch_size=1,
            gradient_checkpointing=checkpointing,
            bf16=way == "bfloat16",
            use_cpu=True,
            max_length=None,
            learning_rate=recipe["learning_rate"],
            lr_scheduler_type="constant",
            max_grad_norm=recipe["max_grad_norm"],
            report_to="none",
            save_strategy="no",
            disable_tqdm=True,
            logging_steps=1,
            seed=0,
        )
        trainer = ResponseTrainer(
            load_causal_lm(name, dtype=torch.float32),
            arguments,
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
            peft_config=LoraConfig(**lora_options(recipe), task_type="CAUSAL_LM"),
        )
        trainer.add_callback(Marks())
        trainer.train()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"cpu_s": (marks[-1] - marks[0]) / steps, "losses": losses, "peak_mib": peak}


def main(given: argparse.Namespace) -> None:
    """Print one row for each way."""
    found: dict[str, dict[str, Any]] = {}
    for _ in range(given.repeats):
        for way in given.ways:
            words = [given.rows, "--model", given.model, "--one", way, "--tokens", str(given.tokens), "--steps", str(given.steps)]
            words += ["--no-checkpointing"] if given.no_checkpointing else []
            done = subprocess.run([sys.executable, __file__, *words], capture_output=True, text=True, check=True)
            new = json.loads(done.stdout.splitlines()[-1])
            found[way] = {**new, "cpu_s": min(new["cpu_s"], found.get(way, new)["cpu_s"])}
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {versions(('torch', 'transformers', 'trl', 'peft'))}\n")
    print("| way | tokens a CPU s | losses | farthest from float32's | peak MiB |\n|---|---|---|---|---|")
    for way, one in found.items():
        off = max(abs(loss / exact - 1) for loss, exact in zip(one["losses"], found[given.ways[0]]["losses"], strict=True))
        shown = ", ".join(f"{loss:.4f}" for loss in one["losses"])
        print(f"| {way} | {given.tokens / one['cpu_s']:.0f} | {shown} | {off:.1e} | {one['peak_mib']:,.0f} |")


def versions(names: Sequence[str]) -> str:
    """Python and some packages."""
    from asap.versions import versions_of

    return ", ".join([f"Python {platform.python_version()}", *(f"{name} {version}" for name, version in versions_of(names).items())])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", help="a data set that asap reads, with a trace of at least so many tokens in some rows")
    parser.add_argument("--model", default="bundled", help="bundled or hf:FOLDER")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--tokens", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--no-checkpointing", action="store_true")
    parser.add_argument("--one", choices=WAYS, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        one = measure(chosen.one, chosen.model, chosen.rows, chosen.tokens, chosen.steps, not chosen.no_checkpointing)
        print(json.dumps(one))
    else:
        main(chosen)
