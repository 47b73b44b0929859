"""`asap evaluate`: a model's Pass@1, tokens and seconds on benchmarks of code and maths."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter

from asap.cli.options import DATA, MODEL, Out, at_least, warn_of_dtype, whole, wholes
from asap.cli.result import show, show_written
from asap.cli.sandbox_options import SandboxOptions, print_faults, progress_line
from asap.cli.terminal import interrupted
from asap.errors import InputError, UsageError
from asap.revealed import revealed

if TYPE_CHECKING:
    from asap.evaluate.run import Evaluation

WRITING = Group("Writing", sort_key=3)


def evaluate(
    *,
    benchmark: Annotated[
        list[str],
        Parameter(
            help="humaneval, humaneval+, mbpp+, livecodebench:v1_v3, leetcode, gsm8k, math500, aime24, svamp, traces, humaneval:FILE, "
            "maths:FILE, …; one or more.",
            group=DATA,
        ),
    ],
    max_new_tokens: Annotated[
        int, Parameter(help="Tokens that an answer may have, its thinking included.", group=WRITING, converter=whole)
    ],
    out: Out,
    model: Annotated[
        str | None,
        Parameter(help="openai:<model>, hf:<hub id or folder>, gguf:<file> or bundled; of adapters their base, if it moved.", group=MODEL),
    ] = None,
    adapter: Annotated[
        list[str] | None,
        Parameter(
            negative="",
            help="DIR or NAME=DIR: a LoRA that asap train or peft left there, evaluated on its base without merging, into OUT/NAME; of "
            "several, all on one base in memory.",
            group=MODEL,
        ),
    ] = None,
    with_base: Annotated[bool, Parameter(negative="", help="Beside adapters, their base alone, into OUT/base.", group=MODEL)] = False,
    limit: Annotated[int | None, Parameter(help="Only the first so many problems of each benchmark.", group=DATA, converter=whole)] = None,
    base_url: Annotated[str | None, Parameter(help="The server's address, such as http://127.0.0.1:8000/v1.", group=MODEL)] = None,
    tokenizer: Annotated[
        str | None,
        Parameter(help="openai: only. Hub id or folder; prompts go out as token ids then, with exactly one BOS.", group=MODEL),
    ] = None,
    concurrency: Annotated[
        int | None,
        Parameter(help="Answers written at once. [default: 16 by a server, 4 by hf: (32 on a GPU), else 1]", group=MODEL, converter=whole),
    ] = None,
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16"], Parameter(help="hf: only; auto: bfloat16 on a GPU that has it, else float32.", group=MODEL)
    ] = "auto",
    device: Annotated[str, Parameter(help="hf: only; auto, cpu, cuda, cuda:N or mps.", group=MODEL)] = "auto",
    n: Annotated[int, Parameter(help="Answers to each problem.", group=WRITING, converter=whole)] = 1,
    temperature: Annotated[float, Parameter(help="0: the likeliest token, as in the paper.", group=WRITING)] = 0.0,
    top_p: Annotated[float, Parameter(help="Draw from the likeliest tokens of this share only.", group=WRITING)] = 1.0,
    budgets: Annotated[
        tuple[int, ...],
        Parameter(help="Smaller token budgets to read off the same run: 1024,2048.", group=WRITING, converter=wholes),
    ] = (),
    gamma: Annotated[
        float | None, Parameter(help="Ask with TokenSkip's ratio marker, for models that were trained with it.", group=WRITING)
    ] = None,
    gamma_marker: Annotated[
        str | None, Parameter(help="Its marker, as given to asap prune --method tokenskip. [default: the same as there]", group=WRITING)
    ] = None,
    generate_only: Annotated[
        bool, Parameter(negative="", help="Write attempts.jsonl and judge nothing; see asap score.", group=WRITING)
    ] = False,
    judging: SandboxOptions = SandboxOptions(),  # noqa: B008
) -> int:
    """Have a model answer benchmarks, run its programs or compare its results, and report Pass@1, tokens and seconds.

    Writes attempts.jsonl, verdicts.jsonl, summary.json and summary.md into --out. The same command again goes on where it was.
    With an untrained model this is the paper's zero-shot baseline.

    Examples:

        asap evaluate --model openai:my-model --base-url http://127.0.0.1:8000/v1 --benchmark humaneval,humaneval+ --max-new-tokens 6144
        --out out/my-model

        asap evaluate --adapter asap=runs/asap --adapter random=runs/random --benchmark humaneval --max-new-tokens 6144 --out out/arms
    """
    from asap.benchmarks.load import load_benchmark
    from asap.evaluate.ledger import EVALUATION_FILES
    from asap.evaluate.plan import Plan
    from asap.evaluate.run import Evaluation
    from asap.lm.specs import load_adapted, load_llm
    from asap.ownership import EVALUATED, claim_folder, refuse_sources

    plan = Plan(max_new_tokens, n, temperature, top_p, budgets, judging.extract, gamma, gamma_marker, judging.think_tags)
    plan.check()
    if adapter and (base_url or tokenizer):
        raise UsageError(f"--{'base-url' if base_url else 'tokenizer'} is about a server, and an adapter runs here; leave it out")
    adapters = _named(adapter or [], with_base)
    folders = _folders(out, [*(["base"] if with_base else []), *adapters])
    for folder in folders.values():
        refuse_sources(folder, [file for name in benchmark if (file := name.partition(":")[2])], EVALUATION_FILES)
        claim_folder(folder, EVALUATED)
    first = at_least("limit", limit, 1)
    if len({*benchmark}) < len(benchmark):
        raise UsageError(f"--benchmark {','.join(benchmark)}: a benchmark is named twice")
    loaded = [load_benchmark(name) for name in benchmark]
    loaded = [replace(entry, problems=entry.problems[:first]) for entry in loaded]
    warn_of_dtype(dtype, device)
    if adapters:
        base = "base" if with_base else None
        writers = load_adapted(adapters, model, base_as=base, concurrency=concurrency, dtype=dtype, device=device)
    elif model is not None:
        writer = load_llm(model, base_url=base_url, concurrency=concurrency, tokenizer=tokenizer, dtype=dtype, device=device, measured=True)
        writers = {"": writer}
    else:
        raise UsageError("there is no model to evaluate; name one with --model, or adapters with --adapter")
    evaluations = {name: Evaluation(folders[name], loaded, writer, plan, progress_line(name)) for name, writer in writers.items()}
    try:
        return _evaluated({folders[name]: evaluation for name, evaluation in evaluations.items()}, judging, generate_only)
    except KeyboardInterrupt:
        return interrupted(out)


def _evaluated(evaluations: "Mapping[Path, Evaluation]", judging: SandboxOptions, generate_only: bool) -> int:
    """Evaluate into each folder, with one sandbox for all. Returns the exit code."""
    from asap.evaluate.ledger import Ledger
    from asap.evaluate.summary import pass_line

    limits, workers, codes, runs = judging.limits, judging.worker_count, list[int](), list[dict[str, Any]]()
    problems = [problem for benchmark in next(iter(evaluations.values())).benchmarks for problem in benchmark.problems]
    with ExitStack() as stack:
        if not generate_only:  # first: no answers are written that cannot be judged
            comparer, sandbox = stack.enter_context(judging.comparer(problems)), stack.enter_context(judging.sandbox(problems))
        for out, evaluation in evaluations.items():
            with Ledger.open(out) as ledger:
                if generate_only:
                    evaluation.generate(ledger)
                    show_written(out, ["attempts.jsonl"])
                    continue
                evaluation.leave_out(ledger, sandbox, limits, workers, comparer)
                evaluation.generate(ledger)
                summary = evaluation.judge(ledger, sandbox, limits, workers, comparer)
            codes.append(print_faults(summary))
            for entry in summary["benchmarks"]:
                show(pass_line(entry))
            show(f"\n{(out / 'summary.md').read_text(encoding='utf-8')}")
            show_written(out, ["attempts.jsonl", "verdicts.jsonl", "summary.json", "summary.md"])
            runs.append({**summary, "out": str(out)})
    show(None, **(runs[0] if len(runs) == 1 else {"runs": runs}))
    if len(codes) > 1:
        show(revealed(f"asap compare-runs {' '.join(map(str, [*evaluations][:2]))} compares the first two", keep=""))
    return max(codes, default=0)


def _named(texts: Sequence[str], with_base: bool) -> dict[str, Path]:
    """The folders of adapters by the names that they are given, or have."""
    if with_base and not texts:
        raise UsageError("--with-base is about the base of adapters; name them with --adapter")
    named = dict[str, Path]()
    for text in texts:
        name, equals, folder = text.partition("=")
        if not equals or "/" in name:
            name, folder = "", text
        place = Path(folder).expanduser()
        name = name or (place.parent if place.name == "adapter" else place).resolve().name
        if not folder or name in ("", ".", ".."):
            raise UsageError(f"--adapter is {text!r}; write DIR or NAME=DIR, for example asap=runs/asap")
        if name in named or (with_base and name == "base"):
            raise UsageError(f"--adapter: two models would be called {name}; write NAME=DIR with another name")
        named[name] = place
    return named


def _folders(out: Path, names: Sequence[str]) -> dict[str, Path]:
    """The output folder of each name: one inside --out; --out itself where there is no name. Raises InputError."""
    from asap.ownership import run_in

    if names and (found := run_in(out)):
        raise InputError(f"{out} holds a run of {found} itself; with --adapter, choose an --out in which each adapter gets a folder")
    return {name: out / name for name in names} or {"": out}
