"""A server on 127.0.0.1 that gives the log-probabilities of a prompt, computed by a real model, in the words of vLLM or SGLang."""

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from scripted_server import Scripted, ScriptedServer
from tokenizers import Tokenizer

PAGES = {
    "vllm": {"/version": '{"version": "0.32.0"}', "/metrics": 'vllm:cache_config_info{enable_prefix_caching="True"} 1.0\n'},
    "sglang": {"/get_server_info": '{"version": "0.5.4", "dtype": "bfloat16", "disable_radix_cache": false, "model_path": "/srv/tiny"}'},
    "other": {},
}
Change = Callable[[list[float | None], int], list[float | None]]


class LogprobServer(ScriptedServer):
    """Serves the model of a folder as `tiny`. `change` spoils the numbers of an answer, given how many were sent before."""

    def __init__(
        self, folder: Path, engine: str = "vllm", *, context: int = 4096, change: Change | None = None, tokenizer: Path | None = None
    ) -> None:
        models = [{"id": "tiny", "owned_by": engine, "max_model_len": context, "root": "/srv/tiny"}]
        super().__init__(self._answer, models=models, pages=PAGES[engine])
        self.model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
        self.tokenizer = Tokenizer.from_file(str((tokenizer or folder) / "tokenizer.json"))
        self.context, self.change, self.answered = context, change, 0
        self._one_at_a_time = threading.Lock()

    def _answer(self, request: dict[str, Any], number: int) -> Scripted:
        if isinstance(request.get("prompt"), str):
            ids = self.tokenizer.encode(request["prompt"], add_special_tokens=False).ids
            return Scripted(body={"count": len(ids), "max_model_len": self.context, "tokens": ids})
        ids = request.get("prompt") or request["input_ids"]
        if request.get("model", "tiny") != "tiny":
            return Scripted(status=404, body={"error": {"message": f"The model `{request['model']}` does not exist."}})
        if len(ids) + 1 > self.context:
            return Scripted(status=400, body={"error": {"message": f"This model's maximum context length is {self.context} tokens."}})
        logprobs = self._logprobs(ids)
        if "input_ids" in request:
            return Scripted(body=_sglang(ids, logprobs, request))
        return Scripted(body=_vllm(ids, logprobs if request.get("prompt_logprobs") == 0 else None))

    def _logprobs(self, ids: Sequence[int]) -> list[float | None]:
        with self._one_at_a_time, torch.inference_mode():
            rows = torch.log_softmax(self.model(input_ids=torch.tensor([ids])).logits[0].float(), dim=-1)
            found = [None, *(float(rows[place, token]) for place, token in enumerate(ids[1:]))]
            self.answered += 1
            return self.change(found, self.answered - 1) if self.change else found


def _vllm(ids: Sequence[int], logprobs: Sequence[float | None] | None) -> Mapping[str, Any]:
    entries = None
    if logprobs is not None:
        entries = [
            None if value is None else {str(token): {"logprob": value, "rank": 1, "decoded_token": "x"}}
            for token, value in zip(ids, logprobs, strict=True)
        ]
    return {"choices": [{"index": 0, "text": "x", "finish_reason": "length", "prompt_logprobs": entries}], "usage": None}


def _sglang(ids: Sequence[int], logprobs: Sequence[float | None], request: Mapping[str, Any]) -> Mapping[str, Any]:
    first = request["logprob_start_len"]
    values = [None, *logprobs[first + 1 :]]
    entries = [[value, token, None] for value, token in zip(values, ids[first:], strict=True)]
    return {"text": "x", "meta_info": {"input_token_logprobs": entries, "output_token_logprobs": [[-1.0, 1, None]]}}
