"""`asap prune`: prunes the traces of a data set."""

from contextlib import ExitStack, nullcontext
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter

from asap.cli.llm_options import Llm
from asap.cli.manner import manner
from asap.cli.model_options import Model
from asap.cli.options import (
    AS_IT_IS,
    AS_USUAL,
    CUT,
    DATA,
    LLM,
    METHOD,
    MODEL,
    RUN,
    Budget,
    Columns,
    HubConfig,
    HubSplit,
    KeepColumns,
    Limit,
    MaxRejected,
    Out,
    Ratio,
    Review,
    RowOptions,
    ShardText,
    Sources,
    Written,
    allow_own_methods,
    at_least,
    parse_columns,
    too_many_rejected,
    warn_of_dtype,
    whole,
    with_logprobs,
    write_page,
)
from asap.cli.passing import check_rule, passing_check, print_counts, print_hints
from asap.cli.run_summary import print_summary
from asap.cli.settings import field_texts, options_of, record_of, refuse_others, typed
from asap.cli.terminal import console_for, interrupted, say
from asap.cli.trial import try_run
from asap.cli.where_options import Where
from asap.errors import UsageError
from asap.prune.coarse.align import Align
from asap.prune.coarse.rewrite import Rewrite
from asap.prune.coarse.select import Select
from asap.prune.methods import METHODS, RECORDS, TOKEN_LEVEL, TokenLevelMethod
from asap.prune.methods.method import needs_entropies
from asap.prune.settings import STAGE_1, AsapSettings

if TYPE_CHECKING:
    from asap.dataset.source import Source
    from asap.output import Files
    from asap.reading import RowCheck
    from asap.workers.blueprint import Blueprint


_INSIDE = Group("Methods that cut inside steps: selective-context, llmlingua2, tokenskip", sort_key=3.5)
_OF_METHODS = {record: _INSIDE if issubclass(record, TokenLevelMethod) else METHOD for record in RECORDS}
_RECORDS: dict[type, Group] = {AsapSettings: METHOD, Align: METHOD, Select: LLM, Rewrite: LLM, **_OF_METHODS}
_CUT = dict.fromkeys(("backfill", "support_floor", "gap", "keep_first", "keep_last"), CUT)
_GROUPS = {**_CUT, "context": MODEL, "classifier": MODEL}
_TEXTS = field_texts(AsapSettings)

if TYPE_CHECKING:
    SettingsOptions = Any
else:
    SettingsOptions = options_of(_RECORDS, groups=_GROUPS, without=("budget", "ratio", "method", "coarse", "step_split"))
_NOTHING_TYPED = SettingsOptions()


def prune(
    source: Sources,
    /,
    *,
    out: Out | None = None,
    budget: Budget = None,
    ratio: Ratio = None,
    method: Annotated[str, Parameter(help=_TEXTS["method"], group=METHOD)] = "asap",
    coarse: Annotated[Literal["align", "select", "rewrite", "none"] | None, Parameter(help=_TEXTS["coarse"], group=METHOD)] = None,
    step_split: Annotated[str, Parameter(help=_TEXTS["step_split"], group=METHOD, show_default=False)] = "fenced",
    model: Model = Model(),  # noqa: B008 (frozen)
    where: Where = Where(),  # noqa: B008 (frozen)
    llm: Llm = Llm(),  # noqa: B008 (frozen)
    options: Annotated[SettingsOptions, Parameter(name="*")] = _NOTHING_TYPED,
    columns: Columns = None,
    keep_columns: KeepColumns = None,
    pass_through: Annotated[
        bool,
        Parameter(negative="", help="Write rows without thinking as they are, in their places, instead of rejecting them.", group=DATA),
    ] = False,
    only_passing: Annotated[
        bool,
        Parameter(
            negative="",
            help="Only rows with a right answer: their own tests are run in the sandbox, gold answers of maths compared (--gold-rule). The "
            "others go to rejected.jsonl with the reason (docs/data.md).",
            group=DATA,
        ),
    ] = False,
    reject_loops: Annotated[
        bool,
        Parameter(negative="", help="Reject rows whose trace ends in a loop, the same said again and again (docs/loops.md).", group=DATA),
    ] = False,
    max_trace_tokens: Annotated[
        int | None,
        Parameter(
            help="Reject rows whose trace has more tokens than this before it is pruned, as --budget counts them: no model reads them. Of "
            "a conversation each turn counts by itself (docs/data.md).",
            group=DATA,
            converter=whole,
        ),
    ] = None,
    gold_rule: Annotated[
        Literal["math-verify", "gsm8k"] | None,
        Parameter(
            help="How --only-passing compares an answer with its gold answer: math-verify calculates, gsm8k takes the number that the "
            "answer states, boxed, behind #### or its last. [default: math-verify]",
            group=DATA,
        ),
    ] = None,
    row_options: RowOptions = AS_IT_IS,
    hub_config: HubConfig = None,
    hub_split: HubSplit = None,
    limit: Limit = None,
    shard: ShardText = None,
    written: Written = AS_USUAL,
    review: Review = False,
    max_rejected: MaxRejected = None,
    dry_run: Annotated[
        bool,
        Parameter(
            negative="",
            help="Read and count, and score pieces of the rows for some seconds: how long a run takes here, what --ratio and --budget "
            "leave, and with --llm what it costs. Writes nothing, asks and pays nobody.",
            group=RUN,
        ),
    ] = False,
) -> int:
    """Prune the reasoning traces of a data set.

    Writes pruned.jsonl, decisions.jsonl, rejected.jsonl, manifest.json and a dataset card into --out.

    Examples:

        asap prune traces.jsonl --out pruned --ratio 0.5

        asap prune open-r1/codeforces-cots --subset solutions_py --out pruned --scorer hf:deepseek-ai/DeepSeek-R1-Distill-Qwen-7B

        asap prune traces.jsonl --out pruned --llm openai:deepseek-chat --base-url https://api.deepseek.com --max-cost 5
    """
    from asap.dataset.columns import kept_columns
    from asap.dataset.shard import Shard
    from asap.dataset.source import Source
    from asap.lm.generate import SpendingStop
    from asap.ownership import PRUNED, claim_folder, refuse_sources
    from asap.prune.asap import check_served

    files = written.files()
    allow_own_methods(method, step_split, model.scorer)
    share = None if shard is None else Shard.parse(shard)
    rules = with_logprobs(row_options.rules(), model.scorer, model.tokenizer)
    rows = Source(
        source,
        parse_columns(columns),
        hub_config,
        hub_split,
        at_least("limit", limit, 1),
        share,
        rules=replace(rules, pass_through=pass_through, reject_loops=reject_loops),
        keep_columns=kept_columns(keep_columns),
    )
    at_least("max-rejected", max_rejected, 0)
    check_rule(gold_rule, asked=only_passing)
    values = typed(options)
    model.check()
    llm.check(coarse, values, for_scorer=model.is_served)
    values |= {name: value for name, value in (("budget", budget), ("ratio", ratio), ("step_split", step_split)) if value is not None}
    settings = _settings(method, coarse or ("select" if llm.llm else "none" if model.is_shipped else "align"), values)
    if model.is_shipped:
        check_served(settings)
    if coarse == "align" and method != "asap":  # there the default is ignored
        raise UsageError(f"method {method!r} has no stage 1; leave --coarse out")
    if out is not None:
        refuse_sources(out, source)
        claim_folder(out, PRUNED)
        if review:
            from asap.review import check_page

            check_page(out / "review.html")
    blueprint = _blueprint(settings, model, llm)
    rows = _shorter(rows, at_least("max-trace-tokens", max_trace_tokens, 1), blueprint)
    try:
        if dry_run or llm.pilot:
            try_run(rows, blueprint, where, llm, out, free=dry_run)
            if only_passing:
                print_counts(rows)
            return 0
        if out is None:
            raise UsageError("--out is missing: name the folder to write, for example --out pruned")
        check = passing_check(out, gold_rule, asked=only_passing)
        code = _prune(rows, out, blueprint, model, where, llm, files, max_rejected, check)
    except SpendingStop as error:
        say(f"asap: stopped: {error}", error=True)
        return 130
    if review and code in (0, 1):
        write_page(out)
    return code


def _settings(method: str, coarse: str, values: dict[str, Any]) -> AsapSettings:
    """The settings made from the typed values. Raises UsageError for values of another method or another stage 1."""
    chosen = {**METHODS, **TOKEN_LEVEL}.get(method, method)
    if is_dataclass(chosen):
        chosen = record_of(type(chosen), values)
    stage_1 = record_of(STAGE_1[coarse], values) if coarse in STAGE_1 and (method == "asap" or coarse != "align") else None
    own = {field.name: values.pop(field.name) for field in fields(AsapSettings) if field.name in values}
    settings = AsapSettings(method=chosen, coarse=stage_1, **own)
    refuse_others(values, _RECORDS, f"asap with coarse {coarse}" if method == "asap" else method)
    return settings


def _shorter(rows: "Source", most: int | None, blueprint: "Blueprint") -> "Source":
    """The source without the rows whose trace has more than `most` tokens, if there is such a limit, counted by the run's tokenizer."""
    if most is None:
        return rows
    from asap.dataset.row_rules import TraceLimit
    from asap.lm.word_cache import by_words

    return replace(rows, rules=replace(rows.rules, longest=TraceLimit(most, by_words(blueprint.load_tokens()).count)))


def _prune(
    source: "Source",
    out: Path,
    blueprint: "Blueprint",
    model: Model,
    where: Where,
    llm: Llm,
    files: "Files",
    max_rejected: int | None,
    check: "RowCheck | None",
) -> int:
    from asap.dataset import iter_rows
    from asap.progress import watcher
    from asap.run import prune_into

    for name in source.names:  # refuses a wrong name or split before loading the model
        iter_rows(name, hub_config=source.hub_config, hub_split=source.hub_split)
    console, settings = console_for(stderr=True), blueprint.settings
    spending = llm.spending()
    try:
        with ExitStack() as stack:
            with console.status("loading the scorer") if console.is_terminal else nullcontext():
                device = where.first_device(needs_model=blueprint.needs_model or llm.llm is not None)
                warn_of_dtype(model.dtype, device)
                generator = llm.generator(spending, out, dtype=model.dtype, device=device)
                workers = stack.enter_context(where.workers(blueprint))
            if (model.is_served or model.is_shipped) and settings.needs_scorer and settings.stored_scores != "own":
                without = ", ".join(method.name for method in settings.stored_methods if needs_entropies(method))
                who = "the rows bring" if model.is_shipped else "a server gives"
                console.print(f"{who} no entropies, so the scores of {without} are not stored", highlight=False, soft_wrap=True)
            if workers.where:
                console.print(f"deciding in {workers.where}", highlight=False)
            listener = stack.enter_context(watcher(console, whole_row=manner().verbose))
            asks = llm.run_options(spending, source.rules.table)
            totals = prune_into(out, source, workers, llm=generator, files=files, listener=listener, llm_options=asks, check=check)
    except KeyboardInterrupt:
        return interrupted(out)
    print_summary(totals, out, spending if llm.llm else None)
    if check:
        print_hints(totals)
    return int(too_many_rejected(totals, out, max_rejected))


def _blueprint(settings: AsapSettings, model: Model, llm: Llm) -> "Blueprint":
    from asap.workers.blueprint import Blueprint

    return Blueprint(settings, model.scorer, model.tokenizer, model.dtype, model.scorer_url or llm.base_url, llm.concurrency)
