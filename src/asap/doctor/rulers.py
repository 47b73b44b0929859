"""What trace lengths are measured with: the scorer's tokenizer or a chosen one, read without the model and without converting it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from asap.doctor.environment import one_line
from asap.doctor.finding import Finding
from asap.lm.gguf import bundled_gguf, converted_folder, gguf_tokenizer, is_complete
from asap.lm.hub import load_pretrained
from asap.lm.specs import is_spec, load_tokens, model_folder

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

    gguf = _unconverted(spec)
    return load_tokens(spec) if gguf is None else TokenCounter(gguf_tokenizer(gguf), spec)


def _context_tokens(spec: str) -> int | None:
    gguf = _unconverted(spec)
    if gguf is None:
        config = load_pretrained("AutoConfig", model_folder(spec))
    else:
        config = load_pretrained("AutoConfig", str(gguf.parent), gguf_file=gguf.name)
    limit = getattr(config.get_text_config(), "max_position_embeddings", None)
    return limit if isinstance(limit, int) and limit > 1 else None


def _unconverted(spec: str) -> Path | None:
    """The GGUF file that a spec names, where it is not converted yet: then it is read as it is, which takes seconds longer."""
    if spec == "bundled":
        gguf = bundled_gguf()
    elif is_spec(spec) and spec.startswith("gguf:"):
        gguf = Path(spec.removeprefix("gguf:"))
    else:
        return None
    return None if is_complete(converted_folder(gguf)) else gguf
