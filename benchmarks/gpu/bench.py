"""What the scripts for a GPU share: results as JSON lines, a clock, random models of real shapes, and rows of real lengths.

A machine with a GPU is there for minutes, so each part says what it found at once, a part that fails does not end the others, and
none begins when the time is up. Nothing here imports pyarrow or datasets.
"""

import argparse
import json
import math
import random
import subprocess
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tokenizers
import torch
import transformers

import asap.lm.causal_lm
from asap.lm.scorer_transformers import HFScorer
from asap.lm.vocabulary_head import PIECE_ON_GPU
from asap.sample import Sample
from asap.steps import SEPARATOR

HERE = Path(__file__).parent
SHAPES: dict[str, dict[str, Any]] = {  # as Qwen2.5-Coder (but for the biases of its attention), and one for rehearsals
    "0.5B": {"hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24, "num_attention_heads": 14, "num_key_value_heads": 2}
    | {"vocab_size": 151_936, "tie_word_embeddings": True},
    "7B": {"hidden_size": 3584, "intermediate_size": 18_944, "num_hidden_layers": 28, "num_attention_heads": 28, "num_key_value_heads": 4}
    | {"vocab_size": 152_064, "tie_word_embeddings": False},
    "tiny": {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    | {"vocab_size": 8_000, "tie_word_embeddings": True},
}
WORDS = 5_000


class Bench:
    """Runs parts in order until the time is up, and writes what they find."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.device = torch.device(args.device)
        self.until = time.monotonic() + args.seconds
        self.out = Path(args.out) if args.out else None
        self.put("machine", **machine(self.device))

    @property
    def left_s(self) -> float:
        """Seconds until the end."""
        return self.until - time.monotonic()

    def put(self, what: str, **values: Any) -> None:
        """Print a result as a line of JSON, and append it to the file."""
        line = json.dumps({"what": what, **values, "left_s": round(self.left_s, 1)}, default=str)
        print(line, flush=True)
        if self.out:
            with self.out.open("a", encoding="utf-8") as file:
                file.write(line + "\n")

    def run(self, parts: Mapping[str, Callable[[], Iterable[dict[str, Any]]]], wanted: Sequence[str]) -> None:
        """Run the wanted parts (none named: all)."""
        for name, part in parts.items():
            if wanted and name not in wanted:
                continue
            if self.left_s <= 0:
                self.put(name, skipped="no time is left")
                continue
            try:
                for found in part():
                    self.put(name, **found)
            except Exception as error:  # border: the next part may still work, and nobody can look again
                self.put(name, error=f"{type(error).__name__}: {error}"[:500], where=traceback.format_exc()[-1500:])
            if self.device.type == "cuda":
                torch.cuda.empty_cache()


def parser_of(text: str | None, *, out: str) -> argparse.ArgumentParser:
    """The options that all scripts share."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--seconds", type=float, default=240, help="begin nothing after that (default %(default)s)")
    parser.add_argument("--out", default=out, help="JSON lines are appended to it (default %(default)s)")
    parser.add_argument("--parts", nargs="*", default=[], help="only these")
    return parser


def machine(device: torch.device) -> dict[str, Any]:
    """What ran this: the device, versions, the commit."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=HERE, capture_output=True, text=True, check=False).stdout.strip()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    versions = {"torch": torch.__version__, "transformers": transformers.__version__, "cuda": torch.version.cuda}
    return {"device": name, "threads": torch.get_num_threads(), **versions, "commit": commit, "at": time.strftime("%Y-%m-%d %H:%M:%S")}


def random_scorer(shape: str, folder: Path, device: str, *, kind: type[HFScorer] = HFScorer, **options: Any) -> Any:
    """A scorer with random weights of a shape, made on the device. Its tokenizer knows the words of `made_samples`."""
    made_tokenizer(folder)
    transformers.LlamaConfig(**SHAPES[shape], max_position_embeddings=32_768).save_pretrained(folder)
    asap.lm.causal_lm.load_causal_lm_on = _random_model  # instead of reading a file with weights
    return kind(str(folder), device=device, **options)


def made_tokenizer(folder: Path) -> None:
    """Save a tokenizer of the words w0, w1, …"""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {"<unk>": 0, **{f"w{number}": number + 1 for number in range(WORDS)}}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>").save_pretrained(folder)


def _random_model(device: torch.device, _name: str, *, config: Any, dtype: torch.dtype) -> Any:
    torch.manual_seed(1)
    with device:
        return transformers.AutoModelForCausalLM.from_config(config, dtype=dtype).eval()


def made_samples(limit: int | None = None, *, seed: int = 0, shorten: int = 1) -> Iterator[Sample]:
    """Rows of drawn words with the lengths of real ones (`lengths.json`), in drawn order; `shorten` divides the lengths."""
    rows = json.loads((HERE / "lengths.json").read_text("utf-8"))["rows"]
    rng = random.Random(seed)
    rng.shuffle(rows)
    for number, (question, trace, steps, answer) in enumerate(rows[:limit]):
        words = [" ".join(f"w{rng.randrange(WORDS)}" for _ in range(max(1, count // shorten))) for count in (question, answer)]
        count = max(1, steps // shorten)
        lengths = [max(1, trace // shorten // count)] * count
        cot = SEPARATOR.join(" ".join(f"w{rng.randrange(WORDS)}" for _ in range(length)) for length in lengths)
        yield Sample(str(number), words[0], cot, words[1])


def synchronize(device: torch.device) -> None:
    """Wait for a GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_mib(device: torch.device) -> float | None:
    """The most memory that tensors took on a GPU since `reset_peak`."""
    return round(torch.cuda.max_memory_allocated(device) / 2**20) if device.type == "cuda" else None


def reset_peak(device: torch.device) -> None:
    """Begin anew."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


class Stopwatch:
    """Seconds of a device between the starts and the ends of calls: CUDA's own clock, so that nothing has to wait."""

    def __init__(self, device: torch.device) -> None:
        self.cuda = device.type == "cuda"
        self.device = device
        self.reset()

    def reset(self) -> None:
        """Forget all calls."""
        self._spans = dict[str, list[tuple[Any, Any]]]()

    def timed(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, whose calls are counted under a name."""

        def call(*args: Any, **options: Any) -> Any:
            before = self._now()
            found = work(*args, **options)
            self._spans.setdefault(name, []).append((before, self._now()))
            return found

        return call

    def _now(self) -> Any:
        if not self.cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record(torch.cuda.current_stream(self.device))
        return event

    def seconds(self, name: str) -> float:
        """The sum over the calls under a name."""
        synchronize(self.device)
        spans = self._spans.get(name, [])
        return sum(before.elapsed_time(after) / 1000 if self.cuda else after - before for before, after in spans)


class TimedScorer(HFScorer):
    """A scorer that counts what its model reads, and takes the time of body and head."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.watch = Stopwatch(self.device)
        self.model.base_model.forward = self.watch.timed("body", self.model.base_model.forward)
        if self.head is not None:
            self.head = type("TimedHead", (), {"scores": staticmethod(self.watch.timed("head", self.head.scores))})()
        self.reset()

    def reset(self) -> None:
        """Begin to count anew."""
        self.watch.reset()
        self.read = self.padded = self.wanted = 0

    def _values(self, batch: Any) -> Any:
        self.read += sum(len(job.window.ids) for job in batch)
        self.padded += max(len(job.window.ids) for job in batch) * len(batch)
        self.wanted += sum(len(job.window.rows) for job in batch)
        return super()._values(batch)


@contextmanager
def little_memory(scorer: HFScorer, tokens: int) -> Iterator[str]:
    """Let the device have room for about so many tokens at once; on a CPU an error is raised in the model instead."""
    if scorer.device.type == "cuda":
        torch.cuda.empty_cache()
        total = torch.cuda.get_device_properties(scorer.device).total_memory
        size = scorer.causal_lm.config.get_text_config()
        each = 2 * (6 * size.hidden_size + 4 * size.intermediate_size)
        piece = 4 * math.prod(PIECE_ON_GPU)  # bytes of the head's logits, of which there are a few at once
        fraction = min(1.0, (torch.cuda.memory_reserved(scorer.device) + tokens * each + 4 * piece) / total)
        torch.cuda.set_per_process_memory_fraction(fraction)
        try:
            yield f"fraction {fraction:.4f}"
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0)
        return
    forward = scorer.model.base_model.forward

    def cramped(*args: Any, input_ids: torch.Tensor, **options: Any) -> Any:
        if input_ids.numel() > tokens:
            raise torch.OutOfMemoryError("raised by the rehearsal")
        return forward(*args, input_ids=input_ids, **options)

    scorer.model.base_model.forward = cramped
    try:
        yield f"an error above {tokens} tokens"
    finally:
        scorer.model.base_model.forward = forward
