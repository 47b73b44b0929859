"""The model that a spec names, as one that writes."""

from pathlib import Path
from typing import TYPE_CHECKING

from asap.errors import UsageError
from asap.lm.hub import Dtype
from asap.lm.specs import load_tokens

if TYPE_CHECKING:
    from asap.evaluate.writing import Generator


def load_generator(
    spec: str,
    *,
    base_url: str | None = None,
    concurrency: int | None = None,
    tokenizer: str | None = None,
    dtype: Dtype = "auto",
    device: str = "auto",
) -> "Generator":
    """The generator of a spec: `openai:<model>`, `hf:<hub id or folder>`, `gguf:<file>` or `bundled`.

    `base_url` and `tokenizer` are for servers, `dtype` and `device` for hf: models. `concurrency` None: 16 requests at a server,
    a batch of 4 for hf: models (32 on a GPU), 1 otherwise. Raises UsageError, InputError or MissingExtra.
    """
    kind, _, name = spec.partition(":")
    if spec != "bundled" and (kind not in ("openai", "gguf", "hf") or not name):
        raise UsageError(f"unknown model {spec!r}; write openai:<model>, hf:<hub id or folder>, gguf:<file> or bundled")
    for option, value in (("base-url", base_url), ("tokenizer", tokenizer)):
        if kind != "openai" and value:
            raise UsageError(f"--{option} is about a server, and {spec!r} runs here; write openai:<model> or leave --{option} out")
    if concurrency is not None and concurrency < 1:
        raise UsageError(f"--concurrency is {concurrency}; 1 or more is expected")
    if kind == "openai":
        from asap.evaluate.server import ServerModel

        return ServerModel(name, base_url=base_url, concurrency=concurrency or 16, tokens=load_tokens(tokenizer) if tokenizer else None)
    if kind == "hf":
        import torch

        from asap.evaluate.local import LocalModel

        on_gpu = device.startswith("cuda") or (device == "auto" and torch.cuda.is_available())
        return LocalModel(name, spec=spec, concurrency=concurrency or (32 if on_gpu else 4), dtype=dtype, device=device)
    from asap.evaluate.server import GgufModel
    from asap.lm.gguf import bundled_gguf

    return GgufModel(bundled_gguf() if spec == "bundled" else Path(name), spec=spec, concurrency=concurrency or 1)
