"""Several adapters on one base in memory: one after the other, as `asap evaluate --adapter` writes, or mixed in the same batches.

    OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE python benchmarks/perf/adapters.py [--model hf:FOLDER]

LoRAs of rank 16 on all linear layers with random weights, the same prompts for each, greedy, as many new tokens for all. Each way runs in a
process of its own: CPU seconds of all threads for the writing, and the peak of the process's memory above what it had with the base loaded.
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
from pathlib import Path

import torch
import transformers

from asap.lm.causal_lm import CausalLM
from asap.lm.specs import model_folder
from asap.lm.write import write_tokens

WAYS = ("one after the other", "mixed")
PROMPT = 120


def make_adapters(name: str, count: int, folder: Path) -> list[Path]:
    """Folders with different adapters."""
    from peft import LoraConfig, get_peft_model

    from asap.lm.hub import load_causal_lm

    made = []
    for number in range(count):
        torch.manual_seed(number)
        model = get_peft_model(load_causal_lm(name), LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"))
        with torch.no_grad():
            for key, weight in model.named_parameters():
                if "lora_B" in key:
                    weight.normal_(std=0.02)
        made.append(folder / str(number))
        model.save_pretrained(str(made[-1]))
    return made


def measure(way: str, name: str, folders: list[Path], prompts: int, new: int, dtype: str) -> dict[str, object]:
    """One process's work."""
    base = CausalLM(name, dtype=dtype, device="cpu")  # type: ignore[arg-type]
    text = base.tokens.input_ids(Path(__file__).read_text() * 3)
    asked = [text[7 * start : 7 * start + PROMPT] for start in range(prompts)]
    base.stop_ids  # noqa: B018 (loads the weights)
    base.weights.eos_ids = []  # so that no answer ends early
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, 0.0

    def write(lm: CausalLM) -> list[list[int]]:
        lm.stop_ids = []
        return write_tokens(lm, asked, new)

    if way == "mixed":
        written, started = mixed(base, folders, asked, new)
    else:
        lms = [CausalLM(str(folder), on=base) for folder in folders]
        for lm in lms:
            lm.model  # noqa: B018 (puts it on the base)
        started = time.process_time()
        written = [ids for lm in lms for ids in write(lm)]
    seconds = time.process_time() - started
    assert {*map(len, written)} == {new}
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return {"seconds": seconds, "mib": peak, "ids": written}


def mixed(base: CausalLM, folders: list[Path], asked: list[list[int]], new: int) -> tuple[list[list[int]], float]:
    """What all adapters write in one batch, and when it began."""
    for folder in folders:
        CausalLM(str(folder), on=base).model  # noqa: B018 (puts it on the base)
    adapters = base.weights.adapters
    peft = adapters._peft
    names = [adapters._names[adapter] for adapter in adapters._names for _ in asked]
    ids = torch.tensor(asked * len(folders))
    started = time.process_time()
    with torch.inference_mode():
        out = peft.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            adapter_names=names,
            max_new_tokens=new,
            do_sample=False,
            eos_token_id=None,
            pad_token_id=0,
        )
    return out[:, ids.shape[1] :].tolist(), started


def main(given: argparse.Namespace) -> None:
    """Print one row for each way."""
    with tempfile.TemporaryDirectory() as scratch:
        name = model_folder(given.model)
        folders = make_adapters(name, given.adapters, Path(scratch))
        found = {}
        for way in WAYS:
            words = ["--one", way, "--model", given.model, "--prompts", str(given.prompts), "--new", str(given.new), "--dtype", given.dtype]
            words += ["--folders", *map(str, folders)]
            done = subprocess.run([sys.executable, __file__, *words], capture_output=True, text=True, check=True)
            found[way] = json.loads(done.stdout.splitlines()[-1])
    versions = f"Python {platform.python_version()}, torch {torch.__version__}, transformers {transformers.__version__}"
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {versions}, {given.dtype}")
    print(f"{given.adapters} adapters, {given.prompts} prompts of {PROMPT} tokens each, {given.new} new tokens\n")
    print("| way | CPU s | against one after the other | MiB above the base | equal texts |\n|---|---|---|---|---|")
    usual = found["one after the other"]
    for way, one in found.items():
        same = sum(a == b for a, b in zip(one["ids"], usual["ids"], strict=True))
        equal = f"{same} of {len(usual['ids'])}"
        print(f"| {way} | {one['seconds']:.1f} | {one['seconds'] / usual['seconds']:.2f} | {one['mib']:,.0f} | {equal} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="bundled")
    parser.add_argument("--adapters", type=int, default=3)
    parser.add_argument("--prompts", type=int, default=8)
    parser.add_argument("--new", type=int, default=24)
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--one", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--folders", nargs="+", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        print(json.dumps(measure(chosen.one, model_folder(chosen.model), chosen.folders, chosen.prompts, chosen.new, chosen.dtype)))
    else:
        main(chosen)
