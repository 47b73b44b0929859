"""`asap compare`: compares methods at equal token counts, without training a model."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from asap.cli.manner import manner
from asap.cli.options import (
    AS_IT_IS,
    METHOD,
    MODEL,
    Classifier,
    Columns,
    HubConfig,
    HubSplit,
    Limit,
    Out,
    RowOptions,
    Sources,
    Tokenizer,
    allow_own_methods,
    at_least,
    floats,
    parse_columns,
    warn_of_dtype,
    whole,
    with_logprobs,
)
from asap.cli.result import show, show_written
from asap.cli.terminal import console_for, interrupted, say
from asap.errors import UsageError

if TYPE_CHECKING:
    from asap.compare.sufficiency import Sufficiency
    from asap.dataset.source import Source
    from asap.lm.scorer import Scorer

DEFAULT_METHODS = (
    *("asap", "asap-fine", "alignment", "first-token-entropy", "mean-surprisal", "step-entropy"),
    *("random", "random-block", "keep-ends", "keep-head", "keep-tail", "longest-first"),
)


def compare(
    source: Sources,
    /,
    *,
    out: Out,
    methods: Annotated[
        tuple[str, ...],
        Parameter(
            help="Those of asap prune --method except original, your own "
            "(package.module:function), and asap-fine, which is asap without its stage 1.",
            group=METHOD,
        ),
    ] = DEFAULT_METHODS,
    ratios: Annotated[tuple[float, ...], Parameter(help="Shares of each trace's tokens to compare at.", group=METHOD, converter=floats)] = (
        0.75,
        0.5,
        0.25,
    ),
    coarse: Annotated[
        Literal["align", "none"], Parameter(help="Stage 1 of asap; with none, asap-fine is asap and left out.", group=METHOD)
    ] = "align",
    step_split: Annotated[str, Parameter(help="How a trace is split, as in asap prune.", group=METHOD)] = "fenced",
    keep_first: Annotated[int, Parameter(help="Steps at the start that always stay, in every method.", group=METHOD, converter=whole)] = 0,
    keep_last: Annotated[int, Parameter(help="Steps at the end that always stay, in every method.", group=METHOD, converter=whole)] = 0,
    strip: Annotated[
        Literal["copies", "none", "both"],
        Parameter(
            help="What the judge does not get to read: copies blanks lines of a trace that are lines of the answer's code, and "
            "statements of a mathematical result, in all traces alike; both measures with and without (docs/methods.md).",
            group=METHOD,
        ),
    ] = "copies",
    cluster: Annotated[
        str | None,
        Parameter(
            help="The column that names the problem of a row. Rows of one problem are one unit of means, intervals and tests. "
            "[default: the question]",
            group=METHOD,
        ),
    ] = None,
    seed: Annotated[int, Parameter(help="Of random, random-block and functional-first.", group=METHOD, converter=whole)] = 0,
    scorer: Annotated[
        str, Parameter(help="Who prunes: bundled, hf:<hub id or folder>, gguf:<file>, openai:<model>, shipped:<columns>.", group=MODEL)
    ] = "bundled",
    judge: Annotated[
        str | None, Parameter(help="Who judges; better another model than the scorer. [default: the scorer]", group=MODEL)
    ] = None,
    base_url: Annotated[
        str | None, Parameter(help="The vLLM or SGLang server of an openai: scorer or judge (docs/scale.md).", group=MODEL)
    ] = None,
    judge_tokenizer: Annotated[str | None, Parameter(help="The tokenizer of an openai: judge. [default: --tokenizer]", group=MODEL)] = None,
    classifier: Classifier = None,
    tokenizer: Tokenizer = None,
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16"],
        Parameter(help="Of both models; auto: bfloat16 on a GPU that has it, else float32.", group=MODEL),
    ] = "auto",
    device: Annotated[str, Parameter(help="auto, cpu, cuda, cuda:N or mps.", group=MODEL)] = "auto",
    generate: Annotated[
        int | None,
        Parameter(
            help="Let the judge also write each answer, of at most so many tokens; the row's own tests in the sandbox, or its gold answer, "
            "say whether it passes.",
            group=METHOD,
            converter=whole,
        ),
    ] = None,
    tests: Annotated[
        str | None,
        Parameter(
            help="With --generate: rows with their own tests (docs/evaluate.md) or gold answers, by id. [default: the sources]",
            group=METHOD,
        ),
    ] = None,
    columns: Columns = None,
    row_options: RowOptions = AS_IT_IS,
    hub_config: HubConfig = None,
    hub_split: HubSplit = None,
    limit: Limit = None,
) -> int:
    """Compare pruning methods at equal tokens by how likely they leave the answer's code or result.

    Writes judged.jsonl, table.md, table.csv, table.tex, table.html, pareto.png and manifest.json into --out. The same command
    again goes on where it was.

    Example: asap compare traces.jsonl --methods asap,random --ratios 0.5 --judge hf:Qwen/Qwen2.5-Coder-0.5B-Instruct --out compared
    """
    from asap.compare.cluster import check_cluster
    from asap.compare.grid import Grid, measure_all, prune_all, pruners_of
    from asap.compare.report import REPORT_FILES, write_report
    from asap.compare.support import SupportScorer
    from asap.compare.table import markdown
    from asap.dataset.source import Source
    from asap.lm.specs import load_scorer, load_tokens
    from asap.ownership import COMPARED, claim_folder, refuse_sources
    from asap.progress import measuring, watcher
    from asap.prune.methods.llmlingua2 import CLASSIFIER, LLMLingua2
    from asap.prune.settings import AsapSettings
    from asap.run import run_settings
    from asap.workers.local import description

    names, shares = _names(methods, coarse), [*ratios]
    allow_own_methods(*names, step_split, scorer, judge or "")
    Grid.check(names, shares)
    # the runs are cut again for each cell, so their own ratio is fixed: with another one they would be other runs
    pruning = AsapSettings(ratio=0.5, coarse=coarse, step_split=step_split, keep_first=keep_first, keep_last=keep_last, seed=seed)
    grid = Grid(names, shares, pruning, LLMLingua2(classifier or CLASSIFIER), strip, cluster)
    if tests is not None and generate is None:
        raise UsageError("--tests is for --generate; add --generate 512, or leave --tests out")
    at_least("generate", generate, 1)
    rules = with_logprobs(row_options.rules(), scorer, tokenizer)
    if rules.logprobs and judge is None:
        raise UsageError(f"{scorer!r} is no model that could judge; name one with --judge, for example --judge bundled")
    rows = Source(source, parse_columns(columns), hub_config, hub_split, at_least("limit", limit, 1), rules=rules)
    refuse_sources(out, [*source, *([tests] if tests else [])])
    check_cluster(rows, cluster)
    claim_folder(out, COMPARED)
    console = console_for(stderr=True)
    try:
        warn_of_dtype(dtype, device)
        load = partial(load_scorer, dtype=dtype, device=device, base_url=base_url)
        reader = load(scorer, tokenizer=tokenizer)
        tokens = load_tokens(tokenizer) if tokenizer else reader.tokens
        pruners = pruners_of(grid, reader, tokens)
        other = reader if judge is None else load(judge, tokenizer=judge_tokenizer or tokenizer)
        settings = {
            "methods": names,
            "ratios": shares,
            "strip": strip,
            "cluster": cluster,
            "step_split": step_split,
            "keep_first": keep_first,
            "keep_last": keep_last,
            "limit": limit,
            "scorer": dict(reader.identity),
            "judge": dict(other.identity),
            "judge_context_tokens": other.context_tokens,
            "generate": generate,
            "tests": tests,
            "runs": {name: run_settings(rows, description(pruner)) for name, pruner in pruners.items()},
        }
        # errors of judge, classifier or tests are found before the hours of pruning
        with SupportScorer.open(other, out) as judge_of, _sufficiency(other, out, rows, tests, generate) as sufficiency:
            judge_of.claim_files(REPORT_FILES, before=REPORT_FILES)
            with watcher(console, whole_row=manner().verbose) as listener:
                totals = prune_all(out, rows, pruners, listener)
            measured = measure_all(out, judge_of, grid, tokens, measuring(console), sufficiency)
            report = write_report(out, measured, settings, totals)
    except KeyboardInterrupt:
        return interrupted(out)
    table = f"{markdown(report.aggregates, report.caption)}\n"
    show(table, results=report.aggregates, caption=report.caption, rows=totals.rows, rejected=totals.rejected)
    show_written(out, report.files)
    if report.no_plot:
        say(f"note: {report.no_plot}", error=True)
    return 0


def _names(methods: Sequence[str], coarse: str) -> list[str]:
    from asap.compare.grid import FINE

    names = [*methods]
    if coarse == "none" and {"asap", FINE} <= {*names}:
        names.remove(FINE)
    return names


def _file_of(tests: str) -> Path:
    if not (path := Path(tests).expanduser()).is_file():
        raise UsageError(f"--tests {tests} is no file; give one with tests or gold answers by id, JSONL or Parquet")
    return path


@contextmanager
def _sufficiency(judge: "Scorer", out: Path, rows: "Source", tests: str | None, generate: int | None) -> "Iterator[Sufficiency | None]":
    """The writer and judge of answers; None without --generate."""
    if generate is None:
        yield None
        return
    from asap.benchmarks.load import own_benchmark
    from asap.benchmarks.problem import GoldResult, gold_rules
    from asap.compare.sufficiency import Sufficiency
    from asap.evaluate.comparer import Comparer
    from asap.evaluate.judge import Judge
    from asap.evaluate.ledger import Ledger
    from asap.evaluate.passing import rows_benchmark
    from asap.evaluate.reference import LimitSettings
    from asap.sandbox import Sandbox, imported_modules

    benchmark = own_benchmark(_file_of(tests), rows.columns, rows.rules) if tests else rows_benchmark(rows)
    programs = [problem for problem in benchmark.problems if not isinstance(problem.check, GoldResult)]
    with ExitStack() as stack:
        ledger = stack.enter_context(Ledger.open(out))
        sandbox = stack.enter_context(Sandbox.open(1, imported=imported_modules(programs))) if programs else None
        comparer = stack.enter_context(Comparer.open(1, gold_rules(benchmark.problems)))
        yield Sufficiency(judge, Judge(sandbox, ledger, LimitSettings(), 1, comparer=comparer), benchmark, generate)
