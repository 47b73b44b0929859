"""Model specs: the one table of what `bundled`, `hf:…`, `gguf:…` and `openai:…` mean, and what each loads."""

import os
import re
from collections.abc import Collection, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from asap.errors import UsageError
from asap.lm.adapter import Adapter, model_adapter, tokenizer_folder
from asap.lm.generate import Generator
from asap.lm.gguf import bundled_gguf, converted
from asap.lm.hub import Dtype
from asap.lm.scorer import Scorer
from asap.lm.spending import SpendingLimit
from asap.lm.tokens import TokenCounter

if TYPE_CHECKING:
    from asap.lm.causal_lm import CausalLM

FORMS = {"openai": "openai:<model>", "hf": "hf:<hub id or folder>", "gguf": "gguf:<file>", "bundled": "bundled"}


class Spec(NamedTuple):
    """A model spec: one of the kinds in FORMS, and what the kind calls the model."""

    kind: str
    name: str = ""

    @classmethod
    def read(cls, text: str, kinds: Collection[str] = tuple(FORMS)) -> "Spec":
        """The spec that a text is. Raises UsageError for any other text, with the kinds that are of use."""
        kind, _, name = text.partition(":")
        if text != "bundled" and (kind not in FORMS or kind == "bundled" or not name):
            *others, last = (FORMS[kind] for kind in kinds)
            raise UsageError(f"unknown model {text!r}; {_meant(text, kinds)}write {', '.join(others)} or {last}")
        return cls(kind, name)


def _meant(text: str, kinds: Collection[str]) -> str:
    """Which spec a name without its kind may stand for: that of a file, a folder, or a model on the Hub."""
    is_folder = os.path.isdir(text)  # noqa: PTH112 (Path raises an error for a long name, and takes no name for this folder)
    kind = "gguf" if text.endswith(".gguf") else "hf" if is_folder or re.fullmatch(r"[\w.-]+/[\w.-]+", text) else None
    return f"did you mean {kind}:{text}? " if kind in kinds else ""


def is_spec(text: str) -> bool:
    """Whether the text has the form of a model spec."""
    return text == "bundled" or text.partition(":")[0] in ("hf", "gguf", "openai", "shipped")


def model_folder(spec: str) -> str:
    """The folder or Hub id of a spec's model; GGUF files are converted once, into the user's cache."""
    kind, name = Spec.read(spec, ("bundled", "hf", "gguf"))
    if kind == "openai":
        raise UsageError(f"{spec!r} is behind a server, which does not hand out its tokenizer; name it with --tokenizer (Hub id or folder)")
    return name if kind == "hf" else str(converted(_gguf_file(kind, name)))


def is_own(spec: str) -> bool:
    """Whether a spec names a function of the user's, as `package.module:function`, that returns a scorer."""
    module, colon, function = spec.partition(":")
    if not (colon and function.isidentifier()) or is_spec(spec) or not all(part.isidentifier() for part in module.split(".")):
        return False
    return find_spec(module.partition(".")[0]) is not None


def is_server(spec: str) -> bool:
    """Whether a model spec names a model behind a server."""
    return spec.startswith("openai:")


def shipped_columns(spec: str) -> list[str]:
    """The columns that `shipped:COLUMN` or `shipped:TOKENS,LOGPROBS` names; none for another spec. Raises UsageError."""
    if not spec.startswith("shipped:"):
        return []
    names = [name.strip() for name in spec.removeprefix("shipped:").split(",")]
    if not all(names) or len(set(names)) != len(names) or len(names) > 2:
        raise UsageError(f"{spec!r} names no columns; write shipped:COLUMN, or shipped:TOKENS,LOGPROBS such as shipped:token_ids,logprobs")
    return names


def load_scorer(
    spec: str = "bundled",
    *,
    dtype: Dtype = "auto",
    device: str = "auto",
    base_url: str | None = None,
    tokenizer: str | None = None,
    concurrency: int | None = None,
) -> Scorer:
    """The scorer that a spec names: `bundled`, `hf:<hub id or folder>`, `gguf:<file>`, or `openai:<model>` on vLLM or SGLang;
    `shipped:<columns>` for rows that were read with their log-probabilities (`asap.dataset.logprobs`); `package.module:function` for a
    function of one's own that returns a scorer.

    `base_url`, `tokenizer` (of the served model: a spec, Hub id or folder) and `concurrency` (requests at once, 16 by default) are for
    servers, `dtype` and `device` for all others. Raises UsageError or InputError.
    """
    _check_text(spec)
    if is_server(spec):
        from asap.lm.scorer_server import ServerScorer

        tokens = load_tokens(tokenizer or spec)  # says what is missing
        return ServerScorer(Spec.read(spec).name, tokens, base_url=base_url, concurrency=concurrency or 16)
    if columns := shipped_columns(spec):
        from asap.lm.scorer_shipped import ShippedScorer

        return ShippedScorer(columns, load_tokens(tokenizer or spec))
    if is_own(spec):
        from asap.lm.scorer_own import own_scorer

        return own_scorer(spec)
    from asap.lm.scorer_transformers import HFScorer

    return HFScorer(model_folder(spec), spec=spec, dtype=dtype, device=device)


def _check_text(spec: object) -> None:
    if not isinstance(spec, str):
        named = f", such as 'gguf:{spec}'" if isinstance(spec, Path) else ""
        raise UsageError(
            f"a model is named by a text such as 'bundled' or 'hf:<hub id or folder>', and not by a {type(spec).__name__}{named}"
        )


def load_tokens(spec: str) -> TokenCounter:
    """The tokenizer of a model spec, without the model; a bare Hub id or folder is accepted too. `shipped:` names none: bundled's."""
    _check_text(spec)
    if is_own(spec):
        return load_scorer(spec).tokens
    spec = "bundled" if shipped_columns(spec) else spec
    return TokenCounter.load(tokenizer_folder(model_folder(spec if is_spec(spec) else f"hf:{spec}")), spec)


def load_llm(
    spec: str,
    *,
    base_url: str | None = None,
    concurrency: int | None = None,
    spending: SpendingLimit | None = None,
    context_tokens: int | None = None,
    tokenizer: str | None = None,
    batch: bool = False,
    out: Path | None = None,
    dtype: Dtype = "auto",
    device: str = "auto",
    measured: bool = False,
) -> Generator:
    """The generator that a spec names: `openai:<model>`, `hf:<hub id or folder>`, `gguf:<file>` or `bundled`.

    `base_url`, `tokenizer` (a spec, Hub id or folder) and `batch` are for servers, `dtype` and `device` for hf: models. With `batch`
    requests go out as a provider's batches, and the folder `out` remembers them. `concurrency` None is what suits the generator:
    16 requests at a server, 1 elsewhere. `measured` is for measuring a model instead of using it: it samples exactly as asked, takes
    times, and names the engine; hf: models then write 4 texts at once (32 on a GPU). Raises UsageError, InputError or MissingExtra.
    """
    _check_text(spec)
    kind, name = Spec.read(spec)
    of_servers = {"base-url": base_url, "tokenizer" if measured else "llm-tokenizer": tokenizer, "batch": batch}
    if kind != "openai" and (given := [option for option, value in of_servers.items() if value]):
        raise UsageError(f"--{given[0]} is about a server, and {spec!r} runs here; write openai:<model> or leave --{given[0]} out")
    if concurrency is not None and concurrency < 1:
        raise UsageError(f"--concurrency is {concurrency}; 1 or more is expected")
    common = _Common(spec, concurrency, spending, context_tokens, measured)
    if kind == "openai":
        return _server(name, common, base_url, tokenizer, batch, out)
    return _transformers(name, common, dtype, device) if kind == "hf" else _llama_cpp(_gguf_file(kind, name), common)


class _Common(NamedTuple):
    """What all generators are made with."""

    spec: str
    concurrency: int | None
    spending: SpendingLimit | None
    context_tokens: int | None
    measured: bool


def _server(name: str, common: _Common, base_url: str | None, tokenizer: str | None, batch: bool, out: Path | None) -> Generator:
    from asap.lm.batch import BatchGenerator
    from asap.lm.openai import OpenAIGenerator

    server = OpenAIGenerator(
        name,
        base_url=base_url,
        concurrency=common.concurrency or 16,
        spending=common.spending,
        context_tokens=common.context_tokens,
        tokens=load_tokens(tokenizer) if tokenizer else None,
        timeout_s=7200.0 if common.measured else 600.0,
        measured=common.measured,
    )
    return BatchGenerator(server, out) if batch else server


def _transformers(name: str, common: _Common, dtype: Dtype, device: str) -> Generator:
    from asap.lm.causal_lm import CausalLM

    if not common.measured and common.concurrency not in (None, 1):
        raise UsageError(f"--concurrency {common.concurrency}: {common.spec!r} writes one reply at a time; leave --concurrency out")
    return _writing(CausalLM(name, spec=common.spec, dtype=dtype, device=device), common)


def _writing(lm: "CausalLM", common: _Common) -> Generator:
    from asap.lm.transformers import TransformersGenerator

    _, concurrency, spending, context_tokens, measured = common
    at_once = concurrency or (1 if not measured else 32 if lm.device.type == "cuda" else 4)
    return TransformersGenerator(lm, concurrency=at_once, context_tokens=context_tokens, spending=spending, measured=measured)


def load_adapted(
    adapters: Mapping[str, Path],
    model: str | None = None,
    *,
    base_as: str | None = None,
    concurrency: int | None = None,
    dtype: Dtype = "auto",
    device: str = "auto",
) -> dict[str, Generator]:
    """A measured generator for each of the adapters, by its name, and under `base_as` one for their base alone: one model in memory.

    `model` is a spec of the base; without it, the base is what the adapters name. One generator writes at a time. Raises UsageError,
    InputError or MissingExtra.
    """
    from asap.lm.causal_lm import CausalLM

    if model is not None and is_server(model):
        raise UsageError(
            f"--adapter is about a model that runs here, and {model!r} is behind a server; serve the adapter as a model of its own (vLLM: "
            "--enable-lora --lora-modules NAME=DIR), and write --model openai:NAME"
        )
    read = {name: Adapter.read(folder) for name, folder in adapters.items()}
    base = model_folder(model) if model is not None else next(iter(read.values())).checked_base()
    if model_adapter(base):
        raise UsageError(f"--model {model} is an adapter itself; name the base of all adapters, or leave --model out")
    on = CausalLM(base, spec=model or f"hf:{base}", dtype=dtype, device=device)
    lms = {} if base_as is None else {base_as: on}
    lms |= {name: CausalLM(str(adapter.folder), on=on) for name, adapter in read.items()}
    return {name: _writing(lm, _Common(lm.identity["spec"], concurrency, None, None, True)) for name, lm in lms.items()}


def _llama_cpp(file: Path, common: _Common) -> Generator:
    from asap.lm.llama_cpp import LlamaCppGenerator

    spec, concurrency, spending, context_tokens, measured = common
    return LlamaCppGenerator(
        file, spec=spec, concurrency=concurrency or 1, context_tokens=context_tokens, spending=spending, measured=measured
    )


def _gguf_file(kind: str, name: str) -> Path:
    return bundled_gguf() if kind == "bundled" else Path(name)
