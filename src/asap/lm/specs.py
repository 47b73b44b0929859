"""Model specs: what `bundled`, `hf:<hub id or folder>` and `gguf:<file>` load."""

from pathlib import Path

from asap.errors import UsageError
from asap.lm.gguf import bundled_gguf, converted
from asap.lm.hub import Dtype
from asap.lm.scorer import Scorer
from asap.lm.tokens import TokenCounter


def load_scorer(spec: str = "bundled", *, dtype: Dtype = "auto", device: str = "auto") -> Scorer:
    """The scorer that a spec names: `bundled`, `hf:<hub id or folder>` or `gguf:<file>`."""
    from asap.lm.scorer_transformers import HFScorer

    return HFScorer(model_folder(spec), spec=spec, dtype=dtype, device=device)


def load_tokens(spec: str) -> TokenCounter:
    """The tokenizer of a model spec, without the model; a bare Hub id or folder is accepted too."""
    return TokenCounter.load(model_folder(spec if is_spec(spec) else f"hf:{spec}"), spec)


def is_spec(text: str) -> bool:
    """Whether the text has the form of a model spec."""
    return text == "bundled" or text.partition(":")[0] in ("hf", "gguf", "openai")


def model_folder(spec: str) -> str:
    """The folder or Hub id that a spec stands for; GGUF files are converted once, into the user's cache."""
    kind, _, name = spec.partition(":")
    if spec == "bundled":
        return str(converted(bundled_gguf()))
    if kind == "gguf" and name:
        return str(converted(Path(name)))
    if kind == "hf" and name:
        return name
    if kind == "openai":
        raise UsageError(f"model {spec!r} cannot score: servers do not give log-probabilities of a prompt; use bundled, hf:… or gguf:…")
    raise UsageError(f"unknown model {spec!r}; write bundled, hf:<hub id or folder> or gguf:<file>")
