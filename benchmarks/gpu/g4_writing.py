"""G4: how fast texts are written on a GPU, with random weights of a real shape: what an evaluation without a server would take.

Run `python benchmarks/gpu/g4_writing.py` there; `--device cpu --shape tiny --prompts 6 --new 12 --batches 2 6 --seconds 120` rehearses
it. Parts, the most wanted first:

    asap      `asap.lm.write.write_tokens`, as `asap evaluate --model hf:…` calls it (a growing cache, a wait at each token)
    plain     the same without the wait at each token
    graph     a loop over a static cache; on a GPU one decoding step is recorded as a CUDA graph and replayed
    static    `generate` with a static cache, which compiles the step
    compiled  the loop of `graph` with torch.compile instead of a recorded graph

Each is timed at several batch sizes until all prompts have their new tokens (164 x 1,024 by default, HumanEval's problems); random weights
end no text, so all are equally long. `tokens_per_s` is of new tokens; `equal` is the share of texts that are those of `asap`.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from bench import Bench, made_samples, parser_of, peak_mib, random_scorer, reset_peak, synchronize
from torch import Tensor

from asap.lm.write import write_tokens

Found = Iterator[dict[str, Any]]
Ids = list[list[int]]
Write = Callable[[Ids, int], Ids]
"""Takes prompts and the number of new tokens; returns these."""


def main() -> None:
    """Run all parts until the time is up."""
    parser = parser_of(__doc__, out="g4.jsonl")
    parser.add_argument("--shape", default="0.5B", help="0.5B, 7B, tiny")
    parser.add_argument("--prompts", type=int, default=164)
    parser.add_argument("--new", type=int, default=1024, help="tokens of each answer (default %(default)s)")
    parser.add_argument("--batches", type=int, nargs="+", default=[164, 32], help="prompts at once (default %(default)s)")
    args = parser.parse_args()
    bench = Bench(args)
    with tempfile.TemporaryDirectory() as folder:
        lm = random_scorer(args.shape, Path(folder), args.device).causal_lm
        _ = lm.model
        bench.put("model", shape=args.shape, dtype=str(lm.dtype), attention=lm.model.config._attn_implementation)
        prompts = [lm.tokens.input_ids(sample.question)[:512] for sample in made_samples(args.prompts)]
        bench.put("prompts", number=len(prompts), tokens=sum(map(len, prompts)), longest=max(map(len, prompts)))
        writer = Writer(bench, lm, prompts, args.new, args.batches)
        parts: dict[str, Callable[[], Found]] = {
            "asap": lambda: writer.timed(writer.by_asap),
            "plain": lambda: writer.timed(writer.by_generate),
            "graph": lambda: writer.timed(writer.by_graph),
            "static": lambda: writer.timed(writer.by_static),
            "compiled": lambda: writer.timed(writer.by_compiled),
        }
        bench.run(parts, args.parts)


class Writer:
    """Writes the same texts in several ways."""

    def __init__(self, bench: Bench, lm: Any, prompts: Ids, new: int, batches: Sequence[int]) -> None:
        self.bench, self.lm, self.prompts, self.new, self.batches = bench, lm, prompts, new, batches
        self.device = bench.device
        self.expected = dict[int, Ids]()

    def timed(self, write: Write) -> Found:
        """All prompts at each batch size, after a few tokens to warm up; no batch is begun when the time is up."""
        for size in self.batches:
            if self.bench.left_s <= 0:
                return
            size = min(size, len(self.prompts))
            reset_peak(self.device)
            started = time.perf_counter()
            write(self.prompts[:size], min(8, self.new))
            synchronize(self.device)
            warm_s, written = time.perf_counter() - started, list[list[int]]()
            started = time.perf_counter()
            for start in range(0, len(self.prompts), size):
                if start and self.bench.left_s <= 0:
                    break
                written += write(self.prompts[start : start + size], self.new)
                synchronize(self.device)
            seconds = time.perf_counter() - started
            expected = self.expected.setdefault(size, written)
            same = [one == other for one, other in zip(written, expected, strict=False)]
            yield {
                "at_once": size,
                "texts": len(written),
                "tokens_per_s": round(sum(map(len, written)) / seconds),
                "ms_a_step": round(1000 * seconds / self.new / -(-len(written) // size), 2),
                "wall_s": round(seconds, 2),
                "warm_up_s": round(warm_s, 2),
                "equal": sum(same) / len(same),
                "peak_mib": peak_mib(self.device),
            }

    def by_asap(self, prompts: Ids, new: int) -> Ids:
        """As the product does."""
        return write_tokens(self.lm, prompts, new)

    def by_generate(self, prompts: Ids, new: int, **options: Any) -> Ids:
        """By `generate`, without looking at each token."""
        ids, mask = self.padded(prompts)
        with torch.inference_mode():
            made = self.lm.model.generate(ids, attention_mask=mask, max_new_tokens=new, do_sample=False, pad_token_id=0, **options)
        found: Ids = made[:, ids.shape[1] :].tolist()
        return found

    def by_static(self, prompts: Ids, new: int) -> Ids:
        """By `generate` with a static cache."""
        return self.by_generate(prompts, new, cache_implementation="static")

    def by_graph(self, prompts: Ids, new: int) -> Ids:
        """By a loop with a recorded step; without a GPU the step is only called."""
        step = Step(self.lm.model, *self.padded(prompts), max(3, new))
        if self.device.type == "cuda":
            step.record()
        else:
            step.warm()
        return step.written(new)

    def by_compiled(self, prompts: Ids, new: int) -> Ids:
        """By a loop with a compiled step."""
        step = Step(self.lm.model, *self.padded(prompts), new)
        step.forward = compiled(self.lm.model)
        return step.written(new)

    def padded(self, prompts: Ids) -> tuple[Tensor, Tensor]:
        """Ids and mask, padded on the left."""
        width = max(map(len, prompts))
        ids = torch.tensor([[0] * (width - len(prompt)) + prompt for prompt in prompts], device=self.device)
        mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=self.device)
        return ids, mask


_COMPILED = dict[int, Any]()


def compiled(model: Any) -> Any:
    """The model's forward, compiled once."""
    return _COMPILED.setdefault(id(model), torch.compile(model.forward, mode="max-autotune-no-cudagraphs"))


class Step:
    """Greedy decoding with a static cache: all that a step reads and writes lies at fixed places, so that it can be recorded."""

    def __init__(self, model: Any, ids: Tensor, mask: Tensor, new: int) -> None:
        rows, width = ids.shape
        self.model, self.forward, self.graph = model, model.forward, None
        self.cache = transformers.StaticCache(config=model.config, max_cache_len=width + new)
        lengths = mask.sum(1)
        self.mask = torch.zeros((rows, width + new), dtype=torch.long, device=ids.device)
        self.mask[:, :width] = mask
        with torch.inference_mode():
            positions = (mask.cumsum(1) - 1).clamp(min=0)
            places = torch.arange(width, device=ids.device)
            # the cache looks at its whole length, so the mask must say what is not written yet
            logits = model(
                input_ids=ids,
                attention_mask=self.seen(places),
                position_ids=positions,
                past_key_values=self.cache,
                cache_position=places,
                logits_to_keep=1,
            ).logits
            self.token = logits[:, -1].argmax(-1, keepdim=True)
        self.position, self.place = lengths[:, None].clone(), torch.tensor([width], device=ids.device)

    def seen(self, places: Tensor) -> Tensor:
        """The additive mask [B, 1, T, S]: each place sees what is before it and no padding."""
        slots = torch.arange(self.mask.shape[1], device=self.mask.device)
        visible = (slots[None, :] <= places[:, None])[None, None] & (self.mask[:, None, None, :] > 0)
        visible = visible | (slots[None, :] == places[:, None])[None, None]  # padding sees itself: a softmax of nothing is NaN
        return torch.where(visible, 0.0, torch.finfo(self.model.dtype).min).to(self.model.dtype)

    def advance(self) -> None:
        """One more token for each row."""
        self.mask.index_fill_(1, self.place, 1)
        logits = self.forward(
            input_ids=self.token,
            attention_mask=self.seen(self.place),
            position_ids=self.position,
            past_key_values=self.cache,
            cache_position=self.place,
        ).logits
        self.token.copy_(logits[:, -1].argmax(-1, keepdim=True))
        self.position.add_(1)
        self.place.add_(1)

    @torch.inference_mode()
    def warm(self) -> None:
        """Two steps that do not count: what they write into the cache is written again, and everything else is set back."""
        counters = [layer.cumulative_length for layer in self.cache.layers if hasattr(layer, "cumulative_length")]
        state = (self.token, self.position, self.place, self.mask, *counters)
        kept = [one.clone() for one in state]
        for _ in range(2):
            self.advance()
        for one, value in zip(state, kept, strict=True):
            one.copy_(value)

    @torch.inference_mode()
    def record(self) -> None:
        """Record a step as a CUDA graph; recording runs nothing."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            self.warm()
        torch.cuda.current_stream().wait_stream(stream)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.advance()

    @torch.inference_mode()
    def written(self, new: int) -> Ids:
        """The new tokens of each row."""
        tokens = [self.token.clone()]
        for _ in range(new - 1):
            if self.graph is None:
                self.advance()
            else:
                self.graph.replay()
            tokens.append(self.token.clone())
        found: Ids = torch.cat(tokens, 1).tolist()
        return found


if __name__ == "__main__":
    main()
