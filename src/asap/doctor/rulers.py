"""What trace lengths are measured with: the scorer's tokenizer or a chosen one, read without the model and without converting it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asap.doctor.environment import converted_folder, one_line
from asap.doctor.finding import Finding
from asap.lm import is_spec, load_tokens
from asap.lm.gguf import bundled_gguf
from asap.lm.hub import load_pretrained

if TYPE_CHECKING:
    from asap.lm.tokens import TokenCounter

_ESTIMATE = 4  # characters of a token, roughly, where there is no tokenizer


@dataclass(frozen=True, slots=True)
class Ruler:
    """Counts tokens; without a tokenizer it estimates them from the number of characters."""

    tokens: "TokenCounter | None"
    name: str

    def count(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text has."""
        return [-(-len(text) // _ESTIMATE) for text in texts] if self.tokens is None else self.tokens.count_many(texts)


@dataclass(frozen=True, slots=True)
class Rulers:
    """`trace` counts what a budget counts, `scorer` what the scorer reads; `context_tokens` is how much it reads at once, if known."""

    trace: Ruler
    scorer: Ruler
    context_tokens: int | None


def load_rulers(scorer: str, tokenizer: str | None) -> tuple[Rulers, list[Finding]]:
    """The rulers, and a finding for each part that could not be loaded."""
    problems: list[Finding] = []
    estimate = Ruler(None, f"estimate: characters / {_ESTIMATE}")
    try:
        scoring, context_tokens = Ruler(_load_tokens(scorer), f"tokenizer of {scorer}"), _context_tokens(scorer)
    except Exception as error:  # border: transformers, where it is broken, raises anything
        advice = "see the findings about the environment; give another model with --scorer, or only a tokenizer with --tokenizer"
        problems.append(Finding("scorer", "warn", f"the tokenizer of {scorer} cannot be read: {one_line(error)}", advice))
        scoring, context_tokens = estimate, None
    if tokenizer is None or tokenizer == scorer:
        return Rulers(scoring, scoring, context_tokens), problems
    try:
        chosen = Ruler(_load_tokens(tokenizer), f"tokenizer {tokenizer}")
    except Exception as error:  # border: as above
        advice = "check the name: --tokenizer takes a Hub id, a folder or a model spec; the lengths below are the scorer's"
        problems.append(Finding("tokenizer", "warn", f"{tokenizer} cannot be read: {one_line(error)}", advice))
        chosen = scoring
    return Rulers(chosen, scoring, context_tokens), problems


def _load_tokens(spec: str) -> "TokenCounter":
    from asap.lm.tokens import TokenCounter

    gguf = _gguf_file(spec)
    if gguf is None:
        return load_tokens(spec)
    name, options = _place(gguf)
    return TokenCounter(load_pretrained("AutoTokenizer", name, **options), spec)


def _context_tokens(spec: str) -> int | None:
    gguf = _gguf_file(spec)
    name, options = (spec.removeprefix("hf:"), {}) if gguf is None else _place(gguf)
    limit = getattr(load_pretrained("AutoConfig", name, **options).get_text_config(), "max_position_embeddings", None)
    return limit if isinstance(limit, int) and limit > 1 else None


def _gguf_file(spec: str) -> Path | None:
    if spec == "bundled":
        return bundled_gguf()
    return Path(spec.removeprefix("gguf:")) if is_spec(spec) and spec.startswith("gguf:") else None


def _place(gguf: Path) -> tuple[str, dict[str, Any]]:
    """Where to read from: the converted model if there is one, else the GGUF file itself, which takes seconds longer."""
    folder = converted_folder(gguf)
    if (folder / "config.json").exists():
        return str(folder), {}
    return str(gguf.parent), {"gguf_file": gguf.name}
