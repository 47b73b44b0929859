"""Greedy answers to many prompts at once: a cache of fixed places, and on a GPU each decoding step replayed as a CUDA graph.

Texts are written in rounds. After each, those that have ended leave, and the others go on in a smaller batch, with a cache as long as the
next round needs. A step's attention reads each head of the cache once, where transformers before 5.19 copies it for each of the heads that
share it, seven for Qwen2.5-0.5B: that copy was half of G4's `graph` at 96 texts.
"""

from collections.abc import Sequence
from typing import Any

import torch
import transformers
from torch import Tensor

from asap.lm.memory import within_memory

Ids = list[list[int]]
ROUND = 256
AT_ONCE = 2048
_PREFILL_TOKENS = 1 << 14
_LOOK = 32  # steps between two looks at whether all have ended: each look waits for the device
_ALIGNED = 16  # slots, for the kernels of attention with a mask


def shared_heads(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, scaling: float | None = None, **_: Any
) -> tuple[Tensor, None]:
    """Attention for transformers. One new token for each row: the heads that share keys count as so many tokens, and no key is copied."""
    rows, heads, length, size = query.shape
    groups = key.shape[1]
    if length == 1:
        query = query.reshape(rows, groups, heads // groups, size)
        found = torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=attention_mask, scale=scaling)
        return found.reshape(rows, 1, heads, size), None
    key, value = (one.repeat_interleave(heads // groups, 1) for one in (key, value))
    causal = attention_mask is None  # transformers makes no mask for an attention of this name
    found = torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=attention_mask, scale=scaling, is_causal=causal)
    return found.transpose(1, 2), None


transformers.AttentionInterface.register("shared-heads", shared_heads)


class Slots(transformers.Cache):  # type: ignore[misc]
    """Keys and values of some rows at fixed places: [rows, heads, slots, size] for each layer. `places` are those written next."""

    def __init__(self, layers: Sequence[tuple[Tensor, Tensor]], places: Tensor) -> None:
        super().__init__(layers=[])
        self.kept, self.places = list(layers), places

    @classmethod
    def empty(cls, model: Any, rows: int, slots: int) -> "Slots":
        """A cache for so many rows and slots."""
        config = model.config
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        shape = (rows, config.num_key_value_heads, slots, size)
        layers = [
            (torch.zeros(shape, dtype=model.dtype, device=model.device), torch.zeros(shape, dtype=model.dtype, device=model.device))
            for _ in range(config.num_hidden_layers)
        ]
        return cls(layers, torch.zeros(1, dtype=torch.long, device=model.device))

    def update(self, key_states: Tensor, value_states: Tensor, layer_idx: int, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Write new keys and values, and return all."""
        for kept, new in zip(self.kept[layer_idx], (key_states, value_states), strict=True):
            kept.index_copy_(2, self.places, new)
        return self.kept[layer_idx]

    def get_seq_length(self, *_: Any, **__: Any) -> int:
        """Unused: positions are given."""
        return 0

    def part(self, start: int, end: int, slots: int) -> "Slots":
        """A view of some rows and of the first slots."""
        layers = [(key[start:end, :, :slots], value[start:end, :, :slots]) for key, value in self.kept]
        return Slots(layers, torch.arange(slots, device=self.places.device))

    def moved(self, rows: Tensor, slots: int) -> "Slots":
        """A copy of some rows with more slots; this cache is emptied layer by layer, so that not both are held."""
        layers = []
        while self.kept:
            old = self.kept.pop(0)
            new = [torch.zeros((len(rows), *one.shape[1:2], slots, one.shape[3]), dtype=one.dtype, device=one.device) for one in old]
            for target, source in zip(new, old, strict=True):
                target[:, :, : source.shape[2]] = source[rows, :, :slots]
            layers.append((new[0], new[1]))
        return Slots(layers, self.places)


class Round:
    """Decoding of a batch: all that a step reads and writes lies at fixed places, so that it can be recorded."""

    def __init__(self, model: Any, cache: Slots, token: Tensor, position: Tensor, seen: Tensor, place: int, steps: int, stops: Tensor):
        self.model, self.cache, self.stops, self.steps = model, cache, stops, steps
        device = token.device
        self.token, self.position = token.clone(), position.clone()
        self.place, self.count = torch.tensor([place], device=device), torch.zeros(1, dtype=torch.long, device=device)
        cache.places = self.place
        slots = cache.kept[0][0].shape[2]
        self.mask = torch.full((len(token), 1, 1, slots), torch.finfo(model.dtype).min, dtype=model.dtype, device=device)
        self.mask[:, 0, 0, : seen.shape[1]].masked_fill_(seen, 0.0)
        self.done = torch.zeros_like(token, dtype=torch.bool)
        self.out = torch.zeros((len(token), steps), dtype=torch.long, device=device)

    def advance(self) -> None:
        """One more token for each row; those that have ended repeat their stop."""
        self.mask.index_fill_(3, self.place, 0.0)
        logits = self.model(
            input_ids=self.token, attention_mask=self.mask, position_ids=self.position, past_key_values=self.cache, use_cache=True
        ).logits
        chosen = logits[:, -1].argmax(-1, keepdim=True)
        self.token.copy_(torch.where(self.done, self.token, chosen))
        self.done.logical_or_((self.token == self.stops).any(1, keepdim=True))
        self.out.index_copy_(1, self.count, self.token)
        for one in (self.position, self.place, self.count):
            one.add_(1)

    def recorded(self) -> Any:
        """A graph of a step. The steps before recording do not count: everything is set back."""
        state = (self.token, self.position, self.place, self.count, self.mask, self.done, self.out)
        before = [one.clone() for one in state]
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(min(2, self.steps)):
                self.advance()
        torch.cuda.current_stream().wait_stream(stream)
        for one, value in zip(state, before, strict=True):
            one.copy_(value)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.advance()
        return graph

    def run(self) -> Ids:
        """The tokens that are written, the stops included."""
        step = self.recorded().replay if self.token.device.type == "cuda" else self.advance
        done = 0
        while done < self.steps:
            step()
            done += 1
            if done % _LOOK == 0 and bool(self.done.all()):
                break
        found: Ids = self.out[:, :done].tolist()
        return found


def write(
    model: Any, prompts: Sequence[Sequence[int]], new: int, stops: Sequence[int], *, at_once: int = AT_ONCE, round_: int = ROUND
) -> Ids:
    """The ids that the model writes after each prompt, its stop included, at most `new`. A batch that does not fit is halved."""
    model.set_attn_implementation("shared-heads")
    order = sorted(range(len(prompts)), key=lambda place: -len(prompts[place]))
    found = dict[int, list[int]]()
    waiting = [order[start : start + at_once] for start in range(0, len(order), at_once)]
    while waiting:
        places = waiting.pop(0)
        texts = within_memory(lambda places=places: written(model, [prompts[place] for place in places], new, stops, round_))
        if texts is not None:
            found |= dict(zip(places, texts, strict=True))
        elif len(places) == 1:
            raise RuntimeError(f"a prompt of {len(prompts[places[0]])} tokens does not fit into memory")
        else:
            waiting = [places[: len(places) // 2], places[len(places) // 2 :], *waiting]
    return [found[place] for place in range(len(prompts))]


@torch.inference_mode()
def written(model: Any, prompts: Sequence[Sequence[int]], new: int, stops: Sequence[int], round_: int) -> Ids:
    """The texts of one batch."""
    width = aligned(max(map(len, prompts)))
    padded = torch.tensor([[0] * (width - len(one)) + [*one] for one in prompts], device=model.device)
    seen = torch.tensor([[False] * (width - len(one)) + [True] * len(one) for one in prompts], device=model.device)
    cache = Slots.empty(model, len(prompts), width)
    token = prefilled(model, cache, padded, seen)
    ends = torch.tensor(list(stops), dtype=torch.long, device=model.device)
    texts: Ids = token.tolist()
    rows = torch.tensor([row for row, text in enumerate(texts) if text[-1] not in stops], dtype=torch.long, device=model.device)
    here = rows  # of the batch before
    done = 1
    while len(rows) and done < new:
        steps = min(round_, new - done)
        cache = cache.moved(here, aligned(width + done + steps))
        last = torch.tensor([[texts[row][-1]] for row in rows.tolist()], device=model.device)
        position = seen[rows].sum(1, keepdim=True) + done - 1
        visible = torch.cat([seen[rows], torch.ones((len(rows), done - 1), dtype=torch.bool, device=model.device)], 1)
        batch = Round(model, cache, last, position, visible, width + done - 1, steps, ends).run()
        for row, tokens in zip(rows.tolist(), batch, strict=True):
            texts[row] += up_to_stop(tokens, stops)
        done += steps
        alive = [place for place, row in enumerate(rows.tolist()) if texts[row][-1] not in stops]
        here = torch.tensor(alive, dtype=torch.long, device=model.device)
        rows = rows[here]
    return texts


def prefilled(model: Any, cache: Slots, padded: Tensor, seen: Tensor) -> Tensor:
    """The first new token of each row [rows, 1]; the cache then holds the prompts."""
    width, found = padded.shape[1], list[Tensor]()
    slots = torch.arange(width, device=padded.device)
    for start in range(0, len(padded), max(1, _PREFILL_TOKENS // width)):
        end = min(len(padded), start + max(1, _PREFILL_TOKENS // width))
        here = seen[start:end]
        visible = (slots[None, :] <= slots[:, None]) & here[:, None, :]
        visible = visible | torch.eye(width, dtype=torch.bool, device=padded.device)  # padding sees itself: a softmax of nothing is NaN
        mask = torch.where(visible[:, None], 0.0, torch.finfo(model.dtype).min).to(model.dtype)
        logits = model(
            input_ids=padded[start:end],
            attention_mask=mask,
            position_ids=(here.long().cumsum(1) - 1).clamp(min=0),
            past_key_values=cache.part(start, end, width),
            use_cache=True,
            logits_to_keep=1,
        ).logits
        found.append(logits[:, -1].argmax(-1, keepdim=True))
    return torch.cat(found)


def aligned(slots: int) -> int:
    """As many slots, or some more."""
    return -(-slots // _ALIGNED) * _ALIGNED


def up_to_stop(tokens: list[int], stops: Sequence[int]) -> list[int]:
    """The tokens up to the first stop, with it."""
    return tokens[: next((place for place, token in enumerate(tokens) if token in stops), len(tokens)) + 1]
