"""The log-probabilities of a prompt's tokens from a server: what vLLM and SGLang are sent for them, and what they answer.

vLLM: `prompt_logprobs` of /v1/completions. SGLang: `return_logprob` of /generate, by its documentation; nobody here has run it. Both
take token ids and write one token, because they must.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from asap.lm.fields import json_in, list_in, number_in, object_in
from asap.token_logprobs import LEAST_LOGPROB

Logprobs = NDArray[np.float64]
"""One for each token of a prompt; NaN for those before the first that was asked for."""


class Wire(NamedTuple):
    """How to ask one engine: the path (see `Endpoint.post`), the body for the ids of a prompt whose log-probabilities from
    position `first` on are wanted, and the reading of its answer, an object with a value `within`.
    """

    path: str
    body: Callable[[str, Sequence[int], int], Mapping[str, Any]]
    read: Callable[[bytes, Sequence[int], int], Logprobs | None]
    within: str

    def answers(self, content: bytes) -> bool:
        """Whether this is an answer at all, and not a page of somebody between, or cut off."""
        return self.within in object_in(json_in(content))


def _vllm_body(model: str, ids: Sequence[int], first: int) -> Mapping[str, Any]:
    return {"model": model, "prompt": [*ids], "max_tokens": 1, "temperature": 0.0, "prompt_logprobs": 0}


def _read_vllm(content: bytes, ids: Sequence[int], first: int) -> Logprobs | None:
    """The numbers in an answer; None where it holds none, or not all of them."""
    choice = object_in(next(iter(list_in(object_in(json_in(content)).get("choices"))), None))
    given = list_in(choice.get("prompt_logprobs"))
    if len(given) != len(ids):
        return None
    entries = [object_in(object_in(given[place]).get(str(ids[place]))) for place in range(first, len(ids))]
    return _from(first, [entry.get("logprob") for entry in entries])


def _sglang_body(model: str, ids: Sequence[int], first: int) -> Mapping[str, Any]:
    sampling = {"max_new_tokens": 1, "temperature": 0.0}
    return {"input_ids": [*ids], "sampling_params": sampling, "return_logprob": True, "logprob_start_len": max(0, first - 1)}


def _read_sglang(content: bytes, ids: Sequence[int], first: int) -> Logprobs | None:
    """The same. It gives triples (number, id, text) for the prompt's last tokens, null for the first of them."""
    given = list_in(object_in(object_in(json_in(content)).get("meta_info")).get("input_token_logprobs"))
    wanted = [list_in(entry)[:2] for entry in given[max(0, len(given) - (len(ids) - first)) :]]
    if [entry[1:] for entry in wanted] != [[token] for token in ids[first:]]:
        return None
    return _from(first, [entry[0] for entry in wanted])


def _from(first: int, values: Sequence[object]) -> Logprobs | None:
    numbers = [number for value in values if (number := number_in(value)) is not None and number >= LEAST_LOGPROB]
    if len(numbers) < len(values):
        return None
    return np.concatenate([np.full(first, np.nan), np.array(numbers, np.float64)])


VLLM = Wire("/completions", _vllm_body, _read_vllm, "choices")
SGLANG = Wire("generate", _sglang_body, _read_sglang, "meta_info")


def most_bytes(ids: Sequence[int]) -> int:
    """How large the answer about a prompt may be."""
    return (1 << 20) + (len(ids) << 10)
