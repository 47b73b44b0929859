"""`asap prune`: rows in, shorter traces out."""

import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter

from asap.cli.options import (
    CUT,
    LLM,
    METHOD,
    MODEL,
    RUN,
    Budget,
    Columns,
    Formats,
    HubConfig,
    HubSplit,
    Limit,
    Out,
    Ratio,
    Sources,
    Tokenizer,
    allow_own_methods,
    at_least,
    console_for,
    parse_columns,
    print_summary,
    whole,
)
from asap.cli.settings import field_texts, options_of, record_of, refuse_others, typed
from asap.errors import InputError, UsageError
from asap.prune.coarse.align import Align
from asap.prune.coarse.rewrite import Rewrite
from asap.prune.coarse.select import Select
from asap.prune.methods import METHODS, TOKEN_LEVEL
from asap.prune.methods.llmlingua2 import LLMLingua2
from asap.prune.methods.selective_context import SelectiveContext
from asap.prune.methods.spirit import Spirit
from asap.prune.methods.tokenskip import TokenSkip
from asap.prune.settings import STAGE_1, AsapSettings, flat

if TYPE_CHECKING:
    from asap.dataset.source import Source
    from asap.dry_run import DryRun
    from asap.lm.generate import Generator
    from asap.lm.scorer import Scorer
    from asap.lm.spending import SpendingLimit
    from asap.prune.asap import Asap


_INSIDE = Group("Methods that cut inside steps: selective-context, llmlingua2, tokenskip", sort_key=3.5)
_RECORDS: dict[type, Group] = {
    AsapSettings: METHOD,
    Align: METHOD,
    Select: LLM,
    Rewrite: LLM,
    Spirit: METHOD,
    SelectiveContext: _INSIDE,
    LLMLingua2: _INSIDE,
    TokenSkip: _INSIDE,
}
_CUT = dict.fromkeys(("backfill", "support_floor", "gap", "keep_first", "keep_last"), CUT)
_GROUPS = {**_CUT, "context": MODEL, "classifier": MODEL}
_TEXTS = field_texts(AsapSettings)

if TYPE_CHECKING:
    SettingsOptions = Any
else:
    SettingsOptions = options_of(_RECORDS, groups=_GROUPS, without=("budget", "ratio", "method", "coarse"))
_NOTHING_TYPED = SettingsOptions()


@Parameter(name="*")
@dataclass(frozen=True)
class Model:
    """Which model scores."""

    scorer: Annotated[str, Parameter(help="bundled, hf:<hub id or folder> or gguf:<file>.", group=MODEL)] = "bundled"
    tokenizer: Tokenizer = None
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16"],
        Parameter(help="Of the scorer and an hf: LLM; auto: bfloat16 on a GPU that has it.", group=MODEL),
    ] = "auto"
    device: Annotated[str, Parameter(help="auto, cpu, cuda, cuda:N or mps.", group=MODEL)] = "auto"


@Parameter(name="*")
@dataclass(frozen=True)
class Llm:
    """The LLM of stage 1, how it is asked, and what it may cost."""

    llm: Annotated[
        str | None,
        Parameter(help="openai:<model> (any OpenAI-compatible server), hf:<hub id or folder>, gguf:<file> or bundled.", group=LLM),
    ] = None
    base_url: Annotated[str | None, Parameter(help="The server, for example http://127.0.0.1:8000/v1.", group=LLM)] = None
    concurrency: Annotated[int | None, Parameter(help="Requests at once. [default: 16 for servers]", group=LLM, converter=whole)] = None
    llm_context: Annotated[
        int | None,
        Parameter(help="Tokens that prompt and reply may have together. [default: what the server tells]", group=LLM, converter=whole),
    ] = None
    llm_tokenizer: Annotated[str | None, Parameter(help="The LLM's tokenizer (Hub id or folder), for exact counts.", group=LLM)] = None
    replies: Annotated[
        list[Path] | None, Parameter(negative="", help="Use the replies in this output folder instead of asking again.", group=LLM)
    ] = None
    batch: Annotated[bool, Parameter(negative="", help="Hand requests in as batches (/v1/batches): slower, often cheaper.", group=LLM)] = (
        False
    )
    pilot: Annotated[
        int | None, Parameter(help="Ask about so many rows first, so that the cost of the others is known.", group=LLM, converter=whole)
    ] = None
    max_cost: Annotated[float | None, Parameter(help="Stop before more US dollars are spent; the run can go on later.", group=LLM)] = None
    max_requests: Annotated[int | None, Parameter(help="Stop after so many requests.", group=LLM, converter=whole)] = None
    price_in: Annotated[float | None, Parameter(help="US dollars per million prompt tokens. [default: the list price]", group=LLM)] = None
    price_out: Annotated[float | None, Parameter(help="US dollars per million reply tokens.", group=LLM)] = None


def prune(
    source: Sources,
    /,
    *,
    out: Out | None = None,
    budget: Budget = None,
    ratio: Ratio = None,
    method: Annotated[str, Parameter(help=_TEXTS["method"], group=METHOD)] = "asap",
    coarse: Annotated[Literal["align", "select", "rewrite", "none"] | None, Parameter(help=_TEXTS["coarse"], group=METHOD)] = None,
    options: Annotated[SettingsOptions, Parameter(name="*")] = _NOTHING_TYPED,
    model: Model = Model(),
    llm: Llm = Llm(),
    columns: Columns = None,
    hub_config: HubConfig = None,
    hub_split: HubSplit = None,
    limit: Limit = None,
    format: Formats = None,
    review: Annotated[
        bool, Parameter(negative="", help="Also write review.html into --out: every cut and why it was made, to look at.", group=RUN)
    ] = False,
    max_rejected: Annotated[int | None, Parameter(help="Exit with 1 if more rows were rejected.", group=RUN, converter=whole)] = None,
    dry_run: Annotated[
        bool, Parameter(negative="", help="Read and count, score nothing, write nothing; with --llm: say what it will cost.", group=RUN)
    ] = False,
) -> int:
    """Prune the reasoning traces of a data set.

    Writes pruned.jsonl, decisions.jsonl, rejected.jsonl, manifest.json and a dataset card into --out.

    Examples:

        asap prune traces.jsonl --out pruned --ratio 0.5

        asap prune open-r1/codeforces-cots --hub-config solutions_py --out pruned --scorer hf:deepseek-ai/DeepSeek-R1-Distill-Qwen-7B

        asap prune traces.jsonl --out pruned --llm openai:deepseek-chat --base-url https://api.deepseek.com --max-cost 5
    """
    from asap.dataset.formats import format_of
    from asap.dataset.source import Source
    from asap.lm.generate import SpendingStop

    for name in format or []:
        format_of(name)
    allow_own_methods(method)
    rows = Source(source, parse_columns(columns), hub_config, hub_split, at_least("limit", limit, 1))
    at_least("max-rejected", max_rejected, 0)
    values = typed(options)
    _check_llm(llm, coarse, values)
    values |= {name: value for name, value in (("budget", budget), ("ratio", ratio)) if value is not None}
    settings = _settings(method, coarse or ("select" if llm.llm else "align"), values)
    if coarse == "align" and method != "asap":  # as a default it means nothing there
        raise UsageError(f"method {method!r} has no stage 1; leave --coarse out")
    try:
        if dry_run:
            return _dry_run(rows, settings, model, llm, out)
        if out is None:
            raise UsageError("--out is missing: name the folder to write, for example --out pruned")
        code = _prune(rows, out, settings, model, llm, format or [], max_rejected)
    except SpendingStop as error:
        print(f"asap: stopped: {error}", file=sys.stderr)
        return 130
    if review and code in (0, 1):
        from asap.review import write_review

        write_review(out, out / "review.html")
        print(f"review   {out}/review.html: open it in a browser")
    return code


def _settings(method: str, coarse: str, values: dict[str, Any]) -> AsapSettings:
    """The settings that the typed values make; raises UsageError for values of another method or another stage 1."""
    chosen = {**METHODS, **TOKEN_LEVEL}.get(method, method)
    if is_dataclass(chosen):
        chosen = record_of(type(chosen), values)
    stage_1 = record_of(STAGE_1[coarse], values) if coarse in STAGE_1 and (method == "asap" or coarse != "align") else None
    own = {field.name: values.pop(field.name) for field in fields(AsapSettings) if field.name in values}
    settings = AsapSettings(method=chosen, coarse=stage_1, **own)
    refuse_others(values, _RECORDS, f"asap with coarse {coarse}" if method == "asap" else method)
    return settings


def _check_llm(llm: Llm, coarse: str | None, values: Mapping[str, Any]) -> None:
    """Raise UsageError unless the options of the LLM go together."""
    of_llm = {name: default for name, default in flat(Rewrite()) if name not in dict(flat(Align()))}
    named = [field.name for field in fields(llm) if getattr(llm, field.name) != field.default and field.name != "llm"]
    named += [name for name, value in values.items() if name in of_llm and value != of_llm[name]]
    if llm.llm is None and coarse in ("select", "rewrite"):
        raise UsageError(f"--coarse {coarse} needs --llm, for example --llm openai:deepseek-chat; without an LLM use align or none")
    if llm.llm is None and named:
        raise UsageError(f"--{named[0].replace('_', '-')} is about the LLM of stage 1, and there is none: add --llm")
    if llm.llm is not None and coarse in ("align", "none"):
        raise UsageError(f"--coarse {coarse} asks no LLM, so --llm has no use; choose --coarse select or rewrite, or leave --llm out")
    for name, least in (("concurrency", 1), ("pilot", 1), ("max_requests", 1), ("llm_context", 256)):
        at_least(name.replace("_", "-"), getattr(llm, name), least)
    for name in ("price_in", "price_out", "max_cost"):
        value = getattr(llm, name)
        if value is not None and not 0 <= value < float("inf"):
            raise UsageError(f"--{name.replace('_', '-')} is {value:g}; 0 or more is expected")
    if llm.batch and llm.concurrency is not None:
        raise UsageError("--concurrency has no use with --batch, which hands in all requests at once; leave one of them out")
    if (llm.price_in is None) != (llm.price_out is None):
        raise UsageError("--price-in and --price-out go together: US dollars per million prompt and reply tokens")


def _prune(
    source: "Source", out: Path, settings: AsapSettings, model: Model, llm: Llm, formats: Sequence[str], max_rejected: int | None
) -> int:
    from asap.asking import LlmOptions
    from asap.dataset import iter_rows
    from asap.progress import watcher
    from asap.run import prune_into

    for name in source.names:  # a wrong file name is refused before the model is loaded
        iter_rows(name)
    console = console_for(stderr=True)
    spending = _spending(llm)
    try:
        with console.status("loading the scorer") if console.is_terminal else nullcontext():
            pruner = _pruner(settings, model, _generator(llm, model, spending, out) if llm.llm else None)
        with watcher(console) as listener:
            totals = prune_into(
                out, source, pruner, formats=formats, listener=listener, llm_options=LlmOptions(spending, llm.replies or [], llm.pilot)
            )
    except KeyboardInterrupt:
        print(f"asap: interrupted; what was done is kept in {out}: the same command again continues there", file=sys.stderr)
        return 130
    print_summary(totals, out, spending if llm.llm else None)
    if max_rejected is not None and totals.rejected > max_rejected:
        shown = f"{totals.rejected} rows were rejected, more than --max-rejected {max_rejected} allows; see {out}/rejected.jsonl"
        print(f"asap: {shown}", file=sys.stderr)
        return 1
    return 0


def _pruner(settings: AsapSettings, model: Model, llm: "Generator | None") -> "Asap":
    from asap.lm.scorer import NoModel
    from asap.lm.specs import load_scorer, load_tokens
    from asap.prune.asap import Asap
    from asap.prune.token_level import load_importance

    tokens = load_tokens(model.tokenizer) if model.tokenizer else None
    if settings.needs_scorer:
        scorer: Scorer = load_scorer(model.scorer, dtype=model.dtype, device=model.device)
    else:
        scorer = NoModel(load_tokens(model.scorer))
    importance = None
    if settings.needs_classifier:
        importance = load_importance(settings.words.classifier, dtype=model.dtype, device=model.device)
    return Asap(scorer, settings, tokens=tokens, llm=llm, importance=importance)


def _spending(llm: Llm) -> "SpendingLimit":
    from asap.lm.specs import Spec
    from asap.lm.spending import Price, SpendingLimit, find_price

    spec = Spec.read(llm.llm) if llm.llm else None
    price = find_price(spec.name, llm.base_url) if spec and spec.kind == "openai" else None
    if llm.price_in is not None and llm.price_out is not None:
        price = Price(llm.price_in, llm.price_out)
    return SpendingLimit(price, max_cost=llm.max_cost, max_requests=llm.max_requests)


def _generator(llm: Llm, model: Model, spending: "SpendingLimit", out: Path | None) -> "Generator":
    from asap.lm.specs import load_llm

    assert llm.llm is not None
    return load_llm(
        llm.llm,
        base_url=llm.base_url,
        concurrency=llm.concurrency,
        spending=spending,
        context_tokens=llm.llm_context,
        tokenizer=llm.llm_tokenizer,
        batch=llm.batch,
        out=out,
        dtype=model.dtype,
        device=model.device,
    )


def _dry_run(source: "Source", settings: AsapSettings, model: Model, llm: Llm, out: Path | None) -> int:
    from asap.asking import LlmOptions
    from asap.dry_run import dry_run
    from asap.lm.specs import load_tokens
    from asap.progress import watcher
    from asap.run import no_usable_row

    if llm.pilot and out is None:
        raise UsageError("--pilot asks the LLM and pays for it: name the folder that keeps the replies with --out")
    spending = _spending(llm)
    asks = (_generator(llm, model, spending, out), LlmOptions(spending, llm.replies or [], llm.pilot), out) if llm.llm else None
    with tempfile.TemporaryDirectory(prefix="asap-") as scratch, watcher(console_for(stderr=True)) as listener:
        found = dry_run(Path(scratch), source, settings, load_tokens(model.tokenizer or model.scorer), listener, asks)
    rejected_by = {reason: cases.count for reason, cases in sorted(found.survey.rejected.items())}
    if not found.survey.usable:
        raise InputError(no_usable_row(source, rejected_by))
    print(f"{found.survey.rows} rows read: {found.survey.usable} usable, {found.survey.unusable} rejected")
    for reason, count in rejected_by.items():
        print(f"  {reason}: {count}")
    print(
        f"{found.survey.trace_tokens:,} tokens of traces (longest {max(found.survey.tokens):,}); {_reading(found, settings)}; "
        f"{found.over_budget} traces are over their budget. {'Only replies were' if llm.pilot else 'Nothing was'} written."
    )
    return 0


def _reading(found: "DryRun", settings: AsapSettings) -> str:
    """How much a model would read; a range where it depends on what it finds."""
    low, high = map(round, found.reading)
    if not high:
        return "no model would read them"
    who, traces = "token classifier" if settings.needs_classifier else "scorer", found.survey.trace_tokens
    if low == high:
        return f"the {who} would read them about {high / traces:,.1f} times, {high:,} tokens"
    return f"the {who} would read them about {low / traces:,.1f} to {high / traces:,.1f} times, {low:,} to {high:,} tokens"
