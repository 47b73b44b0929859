"""The command line: a thin layer over the library. Options are named after the settings they set."""

import io
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Group, Parameter

from asap import __version__
from asap.errors import AsapError, InputError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from asap.output import Totals
    from asap.prune.asap import Asap, AsapSettings
    from asap.run import Source

METHODS = ("asap",)

app = App(
    name="asap",
    help="Shorten the reasoning traces you train on: whole steps go, every kept word stays verbatim, every cut is explained.",
    version=f"asap {__version__}",
    help_format="plaintext",
    help_epilogue="Everywhere: --config FILE.yaml (option: value), --debug (tracebacks).",
)
_DATA = Group("Reading the data", sort_key=1)
_CUT = Group("How much to cut", sort_key=2)
_METHOD = Group("How to decide", sort_key=3)
_MODEL = Group("Model", sort_key=4)
_RUN = Group("The run", sort_key=5)


def _whole(_: type, tokens: Sequence[Any]) -> int:
    """A whole number; cyclopts itself would round 1.5."""
    text = tokens[0].value
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        raise ValueError(f"{text!r} is not a whole number")
    return int(text)


Sources = Annotated[list[str], Parameter(help="JSONL (.gz, .zst), Parquet, a save_to_disk folder, or a Hub id owner/name.")]
Out = Annotated[Path, Parameter(help="The output folder. The same command again continues what is there.", group=_RUN)]
Budget = Annotated[
    int | None,
    Parameter(help="Tokens that a trace may have; 4096, as in the paper, if --ratio is not given.", group=_CUT, converter=_whole),
]
Ratio = Annotated[float | None, Parameter(help="The share of each trace's tokens that may stay, instead of --budget.", group=_CUT)]
Columns = Annotated[
    str | None, Parameter(help="Which columns to read: question=…,response=… or question=…,cot=…,answer=…; also id, system.", group=_DATA)
]
HubConfig = Annotated[str | None, Parameter(help="Configuration of a Hub data set, such as solutions_py.", group=_DATA)]
HubSplit = Annotated[str | None, Parameter(help="Split of a Hub data set or of a saved DatasetDict.", group=_DATA)]
Limit = Annotated[int | None, Parameter(help="Read only the first so many rows.", group=_DATA, converter=_whole)]
Formats = Annotated[
    list[str] | None, Parameter(name="--format", negative="", help="Also write trl, axolotl, llamafactory or sharegpt rows.", group=_RUN)
]
Tokenizer = Annotated[str | None, Parameter(help="Count the budget with this tokenizer (Hub id or folder).", group=_MODEL)]


@app.command
def prune(
    source: Sources,
    /,
    *,
    out: Out | None = None,
    budget: Budget = None,
    ratio: Ratio = None,
    method: Annotated[str, Parameter(help="The pruning method: asap.", group=_METHOD)] = "asap",
    coarse: Annotated[
        Literal["align", "none"],
        Parameter(help="Stage 1: `align` drops steps that the answer does not make likelier; `none` skips it.", group=_METHOD),
    ] = "align",
    coarse_share: Annotated[
        float, Parameter(help="`align` drops at most this share of the steps: the lowest quantile.", group=_METHOD)
    ] = 0.25,
    coarse_only: Annotated[bool, Parameter(negative="", help="Leave stage 2 out.", group=_METHOD)] = False,
    step_split: Annotated[
        Literal["fenced", "paper"], Parameter(help="`fenced` keeps code blocks whole; `paper` splits at every blank line.", group=_METHOD)
    ] = "fenced",
    backfill: Annotated[bool, Parameter(negative="", help="Re-add the highest-scored removed steps that still fit.", group=_CUT)] = False,
    keep_first: Annotated[int, Parameter(help="Steps at the start that always stay.", group=_CUT, converter=_whole)] = 0,
    keep_last: Annotated[int, Parameter(help="Steps at the end that always stay.", group=_CUT, converter=_whole)] = 0,
    rescore: Annotated[
        int, Parameter(help="Score again after every so many removals; 0: once, as in the paper.", group=_METHOD, converter=_whole)
    ] = 0,
    scorer: Annotated[str, Parameter(help="bundled, hf:<hub id or folder> or gguf:<file>.", group=_MODEL)] = "bundled",
    tokenizer: Tokenizer = None,
    context: Annotated[
        Literal["chat", "raw"] | None,
        Parameter(
            help="What stands before a trace: the chat template, or the bare question. [default: chat if there is a template]", group=_MODEL
        ),
    ] = None,
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16"], Parameter(help="auto: bfloat16 on a GPU that has it, else float32.", group=_MODEL)
    ] = "auto",
    device: Annotated[str, Parameter(help="auto, cpu, cuda, cuda:N or mps.", group=_MODEL)] = "auto",
    columns: Columns = None,
    hub_config: HubConfig = None,
    hub_split: HubSplit = None,
    limit: Limit = None,
    format: Formats = None,
    max_rejected: Annotated[int | None, Parameter(help="Exit with 1 if more rows were rejected.", group=_RUN, converter=_whole)] = None,
    dry_run: Annotated[bool, Parameter(negative="", help="Read and count, score nothing, write nothing.", group=_RUN)] = False,
) -> int:
    """Prune the reasoning traces of a data set.

    Writes pruned.jsonl, decisions.jsonl, rejected.jsonl, manifest.json and a dataset card into --out.

    Examples:

        asap prune traces.jsonl --out pruned --ratio 0.5

        asap prune open-r1/codeforces-cots --hub-config solutions_py --out pruned --scorer hf:deepseek-ai/DeepSeek-R1-Distill-Qwen-7B
    """
    from asap.dataset.formats import format_of
    from asap.run import Source

    if method not in METHODS:
        raise UsageError(f"unknown method {method!r}; choose from {', '.join(METHODS)}")
    for name in format or []:
        format_of(name)
    rows = Source(source, parse_columns(columns), hub_config, hub_split, _at_least("limit", limit, 1))
    _at_least("max-rejected", max_rejected, 0)
    settings = {
        "budget": 4096 if budget is None and ratio is None else budget,
        "ratio": ratio,
        "coarse": coarse,
        "coarse_share": coarse_share,
        "coarse_only": coarse_only,
        "step_split": step_split,
        "context": context,
        "backfill": backfill,
        "keep_first": keep_first,
        "keep_last": keep_last,
        "rescore": rescore,
    }
    if dry_run:
        return _dry_run(rows, settings, tokenizer or scorer)
    if out is None:
        raise UsageError("--out is missing: name the folder to write, for example --out pruned")
    return _prune(rows, out, settings, (scorer, dtype, device), tokenizer, format or [], max_rejected)


@app.command
def cut(
    folder: Annotated[Path, Parameter(help="An output folder of asap prune.")],
    /,
    *,
    out: Out,
    budget: Budget = None,
    ratio: Ratio = None,
    format: Formats = None,
) -> int:
    """Cut a finished run again at another budget: no model, the same files as a fresh run.

    Example: asap cut pruned --budget 1024 --out pruned-1024
    """
    from asap.dataset.formats import format_of
    from asap.run import recut

    for name in format or []:
        format_of(name)
    _print_summary(recut(folder, out, budget=budget, ratio=ratio, formats=format or []), out)
    return 0


@app.command
def doctor(
    source: Annotated[list[str] | None, Parameter(help="Data to look at; without it only the machine is examined.")] = None,
    /,
    *,
    columns: Columns = None,
    hub_config: HubConfig = None,
    hub_split: HubSplit = None,
    limit: Limit = None,
    scorer: Annotated[str, Parameter(help="The scorer whose context length is compared.", group=_MODEL)] = "bundled",
    tokenizer: Tokenizer = None,
) -> int:
    """Examine this machine, and data if named: what is there, what is wrong, what to do."""
    from asap.doctor import examine, render

    report = examine(
        source or [],
        columns=parse_columns(columns),
        hub_config=hub_config,
        hub_split=hub_split,
        scorer=scorer,
        tokenizer=tokenizer,
        limit=_at_least("limit", limit, 1),
    )
    render(report, _console())
    return 2 if report.status == "fail" else 0


def _prune(
    source: "Source",
    out: Path,
    settings: dict[str, Any],
    model: tuple[str, Any, str],
    tokenizer: str | None,
    formats: list[str],
    max_rejected: int | None,
) -> int:
    from asap.dataset import iter_rows
    from asap.progress import watcher
    from asap.prune.asap import AsapSettings
    from asap.run import prune_into

    checked = AsapSettings(**settings)
    for name in source.names:  # a wrong file name is refused before the model is loaded
        iter_rows(name)
    console = _console(stderr=True)
    try:
        with console.status("loading the scorer") if console.is_terminal else nullcontext():
            pruner = _pruner(checked, model, tokenizer)
        with watcher(console) as listener:
            totals = prune_into(out, source, pruner, formats=formats, listener=listener)
    except KeyboardInterrupt:
        print(f"asap: interrupted; what was done is kept in {out}: the same command again continues there", file=sys.stderr)
        return 130
    _print_summary(totals, out)
    if max_rejected is not None and totals.rejected > max_rejected:
        shown = f"{totals.rejected} rows were rejected, more than --max-rejected {max_rejected} allows; see {out}/rejected.jsonl"
        print(f"asap: {shown}", file=sys.stderr)
        return 1
    return 0


def _pruner(settings: "AsapSettings", model: tuple[str, Any, str], tokenizer: str | None) -> "Asap":
    from asap.lm import load_scorer, load_tokens
    from asap.prune.asap import Asap

    spec, dtype, device = model
    return Asap(load_scorer(spec, dtype=dtype, device=device), settings, tokens=load_tokens(tokenizer) if tokenizer else None)


def _dry_run(source: "Source", settings: dict[str, Any], tokens_from: str) -> int:
    from asap.lm import load_tokens
    from asap.progress import watcher
    from asap.prune.asap import AsapSettings
    from asap.run import no_usable_row, survey

    checked = AsapSettings(**settings)
    with tempfile.TemporaryDirectory(prefix="asap-") as scratch, watcher(_console(stderr=True)) as listener:
        found = survey(Path(scratch), source, checked, load_tokens(tokens_from), listener)
    if not found.usable:
        raise InputError(no_usable_row(source, found.rejected_by))
    print(f"{found.rows} rows read: {found.usable} usable, {found.rejected} rejected")
    for reason, count in found.rejected_by.items():
        print(f"  {reason}: {count}")
    print(
        f"{found.tokens:,} tokens of traces (longest {found.longest:,}); {found.tokens_read:,} tokens would be read by the scorer; "
        f"{found.over_budget} traces are over their budget. Nothing was written."
    )
    return 0


def _print_summary(totals: "Totals", out: Path) -> None:
    lines = [("rows", f"{totals.rows} = {totals.pruned} pruned + {totals.unchanged} unchanged + {totals.rejected} rejected")]
    lines += [("", f"rejected: {reason} {count}") for reason, count in totals.rejected_by.items()]
    lines += [
        ("steps", f"{totals.steps:,}: {totals.steps_coarse:,} removed by stage 1, {totals.steps_fine:,} by stage 2"),
        ("tokens", f"{totals.tokens_before:,} before, {totals.tokens_coarse:,} after stage 1, {totals.tokens_after:,} after stage 2"),
        ("kept", f"{totals.ratio:.1%} of the tokens"),
    ]
    notes = (
        (totals.renamed, "rows had an id that was taken; #2, #3, … was appended"),
        (totals.over_budget, "traces stay over the budget: the steps that must stay are longer"),
        (totals.windowed, "traces were longer than the scorer's context and were scored in windows"),
    )
    lines += [("note", f"{count:,} {text}") for count, text in notes if count]
    if totals.seconds:
        lines.append(("seconds", ", ".join(f"{name} {value:,.1f}" for name, value in totals.seconds.items())))
    lines.append(("written", f"{out}/pruned.jsonl, decisions.jsonl, rejected.jsonl, manifest.json, README.md"))
    print("\n".join(f"{name:<8} {text}" for name, text in lines))


def parse_columns(text: str | None) -> dict[str, str]:
    """`question=prompt,response=generation` as a mapping."""
    pairs = [part.partition("=") for part in text.split(",")] if text else []
    if any(not (name.strip() and equals and column.strip()) for name, equals, column in pairs):
        raise UsageError(f"--columns is {text!r}; write name=column pairs, for example question=prompt,response=generation")
    columns = {name.strip(): column.strip() for name, _, column in pairs}
    if columns:
        from asap.dataset import check_columns

        check_columns(columns)
    return columns


def _at_least(name: str, value: int | None, least: int) -> int | None:
    if value is not None and value < least:
        raise UsageError(f"--{name} is {value}; {least} or more is expected")
    return value


def _console(*, stderr: bool = False) -> "Console":
    from rich.console import Console

    return Console(stderr=stderr)


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code: 0 done, 1 too many rejected rows, 2 bad usage or input, 130 interrupted."""
    from cyclopts import CycloptsError

    debug = "--debug" in arguments
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a file name or a sign that the terminal cannot show must not end a run
            stream.reconfigure(errors="backslashreplace")
    try:
        words = _with_config([word for word in arguments if word != "--debug"])
        code = app(words, exit_on_error=False, print_error=False, result_action="return_value")
        return code if isinstance(code, int) else 0
    except (AsapError, CycloptsError) as error:
        if debug:
            raise
        print(f"asap: {one_line(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("asap: interrupted", file=sys.stderr)
        return 130
    except Exception as error:  # a fault of ours: no traceback unless it is asked for
        if debug:
            raise
        print(f"asap: internal error: {type(error).__name__}: {error}; run again with --debug and report what it prints", file=sys.stderr)
        return 70


def one_line(error: BaseException) -> str:
    """The message of an error on one line."""
    return " ".join(str(error).split())


def _with_config(arguments: list[str]) -> list[str]:
    """Take `--config FILE.yaml` out of the arguments and let the file answer for options that were not typed."""
    words, path = list[str](), None
    remaining = iter(arguments)
    for word in remaining:
        if word == "--config" or word.startswith("--config="):
            path = word.partition("=")[2] or next(remaining, "")
            if not path:
                raise UsageError("--config needs a file, for example --config asap.yaml")
        else:
            words.append(word)
    app.config = (_config(Path(path), words),) if path is not None else ()
    return words


def _config(path: Path, words: Sequence[str]) -> Callable[..., None]:
    import yaml
    from cyclopts.config import Dict

    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        values = {} if values is None else values
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--config {path} cannot be read ({getattr(error, 'strerror', None) or 'not UTF-8'})") from error
    except yaml.YAMLError as error:
        raise UsageError(f"--config {path} is not valid YAML: {one_line(error)}") from error
    if not isinstance(values, dict):
        raise UsageError(f"--config {path} holds no mapping; write one option a line, for example budget: 1024")
    settings = {str(name).replace("_", "-"): value for name, value in values.items()}
    for typed, instead in (("--ratio", "budget"), ("--budget", "ratio")):  # one stands for the other
        if any(word.partition("=")[0] == typed for word in words):
            settings.pop(instead, None)
    return Dict(settings, use_commands_as_keys=False, source=str(path))
