"""The tokenizers that count lengths: the scorer's and a chosen one, loaded without loading or converting the model."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from asap.doctor.environment import shown_error
from asap.doctor.finding import Finding
from asap.lm.cache import file_sha256
from asap.lm.gguf import bundled_gguf, converted_folder, gguf_tokenizer
from asap.lm.hub import load_pretrained
from asap.lm.model_cache import damage_in
from asap.lm.scorer import Scorer
from asap.lm.specs import is_spec, load_tokens, model_folder, shipped_columns
from asap.lm.tokens import TokenCounter
from asap.survey import Reader

_CHARACTERS = 4  # in a token, roughly, for want of a tokenizer


@dataclass(frozen=True, slots=True)
class Tokenizers:
    """`trace` counts for a budget, `scorer` for the scorer's context; None if it cannot be loaded. `name` is that of `trace`."""

    trace: TokenCounter | None
    name: str
    scorer: Reader | None

    @property
    def count(self) -> Callable[[Sequence[str]], list[int]]:
        """A function that counts the tokens of each text; without a tokenizer, estimates them from the characters."""
        return _estimated if self.trace is None else self.trace.count_many


def load_tokenizers(scorer: str, tokenizer: str | None, served: Scorer | None = None) -> tuple[Tokenizers, list[Finding]]:
    """The tokenizers, and a finding for each one that could not be loaded. `served` is the scorer where a server has it."""
    if shipped_columns(scorer):  # no model reads
        named = tokenizer or "bundled"
        return Tokenizers(_load_tokens(named), f"tokenizer {named}", None), []
    try:
        reader = Reader(served.tokens, served.context_tokens) if served else Reader(_load_tokens(scorer), _context_tokens(scorer))
        found, problems = Tokenizers(reader.tokens, f"tokenizer of {scorer}", reader), list[Finding]()
    except Exception as error:  # border: a broken transformers can raise anything
        advice = "see the findings about the environment; give another model with --scorer, or only a tokenizer with --tokenizer"
        problems = [Finding("scorer", "warn", f"the tokenizer of {scorer} cannot be read: {shown_error(error)}", advice)]
        found = Tokenizers(None, f"estimate: characters / {_CHARACTERS}", None)
    if tokenizer is not None and tokenizer != scorer:
        try:
            found = replace(found, trace=_load_tokens(tokenizer), name=f"tokenizer {tokenizer}")
        except Exception as error:  # border: as above
            advice = "check the name: --tokenizer takes a Hub id, a folder or a model spec; the lengths below are the scorer's"
            problems.append(Finding("tokenizer", "warn", f"{tokenizer} cannot be read: {shown_error(error)}", advice))
    return found, problems


def _estimated(texts: Sequence[str]) -> list[int]:
    return [-(-len(text) // _CHARACTERS) for text in texts]


def _load_tokens(spec: str) -> TokenCounter:
    place = _place_of_gguf(spec)
    if place is None:
        return load_tokens(spec)
    return TokenCounter.load(str(place), spec) if place.is_dir() else TokenCounter(gguf_tokenizer(place), spec)


def _context_tokens(spec: str) -> int | None:
    place = _place_of_gguf(spec)
    if place is None or place.is_dir():
        config = load_pretrained("AutoConfig", model_folder(spec) if place is None else str(place))
    else:
        config = load_pretrained("AutoConfig", str(place.parent), gguf_file=place.name)
    limit = getattr(config.get_text_config(), "max_position_embeddings", None)
    return limit if isinstance(limit, int) and limit > 1 else None


def _place_of_gguf(spec: str) -> Path | None:
    """The converted model of a spec of a GGUF file, or that file if there is none yet; reading it directly takes seconds longer."""
    if spec == "bundled":
        gguf = bundled_gguf()
    elif is_spec(spec) and spec.startswith("gguf:"):
        gguf = Path(spec.removeprefix("gguf:"))
    else:
        return None
    folder = converted_folder(gguf, file_sha256(gguf, remember=False))
    return folder if damage_in(folder, remember=False) is None else gguf
