"""A token classifier that says of each token whether it is to be kept, such as LLMLingua-2's, through transformers.

Any folder or Hub model with two labels works, the second one meaning "keep". No code from a model repository is run.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from asap.errors import InputError, RowError
from asap.lm.cpu import multiply_fast
from asap.lm.hub import Dtype, load_pretrained
from asap.lm.memory import within_memory
from asap.lm.model import identity_of, pick_device, pick_dtype
from asap.lm.tokens import TokenCounter

_SPECIAL = 2  # before and after each chunk
_CHUNKS_AT_ONCE = 8
_GPU_BATCH_TOKENS = 65_536
_MOST = 512


class TokenClassifier:
    """The classifier and its tokenizer. `chunk_tokens` is how many tokens of a text it reads as one chunk, `batch_tokens` how many
    tokens of all chunks at once (0: one text after another).
    """

    def __init__(self, name: str, *, dtype: Dtype = "auto", device: str = "auto", batch_tokens: int | None = None) -> None:
        self.device = pick_device(device)
        folder, kind = name.removeprefix("hf:"), pick_dtype(dtype, self.device)
        if self.device.type == "cpu":
            multiply_fast()
        options = {"dtype": kind, "use_safetensors": True, "output_loading_info": True}
        model, report = load_pretrained("AutoModelForTokenClassification", folder, **options)
        if missing := sorted(report["missing_keys"]):
            raise InputError(f"{folder} is no complete token classifier: {len(missing)} of its weights are missing, such as {missing[0]}")
        if model.config.num_labels != 2:
            raise InputError(f"{folder} has {model.config.num_labels} labels; a token classifier with two, drop and keep, is expected")
        self.tokens = TokenCounter.load(folder)
        self.model = model.eval().to(self.device)
        self.identity = identity_of(folder, name, model.config, kind)
        self.chunk_tokens = min(_MOST, int(getattr(model.config, "max_position_embeddings", _MOST))) - _SPECIAL
        self.batch_tokens = batch_tokens if batch_tokens is not None else (0 if self.device.type == "cpu" else _GPU_BATCH_TOKENS)
        hf = self.tokens.hf
        self.special_ids = tuple(next((token for token in ids if token is not None), None) for ids in _special(hf))
        if None in self.special_ids:
            raise InputError(f"the tokenizer of {folder} has no tokens for the start and the end of a text")

    def keep(self, chunks: Sequence[NDArray[np.int64]]) -> list[NDArray[np.float64]]:
        """The probability of "keep" for each token of each chunk; chunks are read apart, between the tokens for start and end."""
        start, end = self.special_ids
        whole = [np.concatenate([[start], chunk, [end]]).astype(np.int64) for chunk in chunks]
        return [values[1:-1] for values in self.read(whole)]

    def read(self, inputs: Sequence[NDArray[np.int64]]) -> list[NDArray[np.float64]]:
        """The same for inputs as they are. Those of similar length share a batch; one that does not fit into memory is halved."""
        found: list[NDArray[np.float64]] = [np.empty(0)] * len(inputs)
        waiting = sorted(range(len(inputs)), key=lambda number: len(inputs[number]))
        while waiting:
            batch = waiting[: self.batch_tokens // _MOST or _CHUNKS_AT_ONCE]
            values = within_memory(partial(self._run, [inputs[number] for number in batch]))
            if values is None and len(batch) == 1:
                tokens = len(inputs[batch[0]])
                raise RowError("out_of_memory", f"classifying {tokens:,} tokens did not fit into memory on {self.device}")
            if values is None:
                self.batch_tokens = len(batch) // 2 * _MOST
                continue
            for number, one in zip(batch, values, strict=True):
                found[number] = one[: len(inputs[number])]
            waiting = waiting[len(batch) :]
        return found

    @torch.inference_mode()
    def _run(self, inputs: Sequence[NDArray[np.int64]]) -> NDArray[np.float64]:
        ids = np.full((len(inputs), max(map(len, inputs))), self.model.config.pad_token_id or 0)
        mask = np.zeros_like(ids)
        for row, one in enumerate(inputs):
            ids[row, : len(one)], mask[row, : len(one)] = one, 1
        read = {"input_ids": ids, "attention_mask": mask}
        logits = self.model(**{name: torch.from_numpy(values).to(self.device) for name, values in read.items()}).logits
        return torch.softmax(logits.float(), dim=-1)[:, :, 1].cpu().numpy()


def _special(hf: Any) -> list[tuple[int | None, int | None]]:
    """The special tokens around a text: BERT names them cls and sep, others bos and eos."""
    return [(hf.cls_token_id, hf.bos_token_id), (hf.sep_token_id, hf.eos_token_id)]
