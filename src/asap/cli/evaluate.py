"""`asap evaluate`: a model's Pass@1, tokens and seconds on benchmarks of code and maths."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Group, Parameter

from asap.cli.options import DATA, MODEL, Out, at_least, warn_of_dtype, whole
from asap.cli.sandbox_options import SandboxOptions, interrupted, print_faults, progress_line
from asap.cli.terminal import say
from asap.errors import UsageError

WRITING = Group("Writing", sort_key=3)


def evaluate(
    *,
    model: Annotated[str, Parameter(help="openai:<model>, hf:<hub id or folder>, gguf:<file> or bundled.", group=MODEL)],
    benchmark: Annotated[
        str,
        Parameter(
            help="humaneval, humaneval+, mbpp+, livecodebench:v1_v3, leetcode, gsm8k, math500, aime24, svamp, traces, humaneval:FILE, "
            "maths:FILE, …; several with commas.",
            group=DATA,
        ),
    ],
    max_new_tokens: Annotated[
        int, Parameter(help="Tokens that an answer may have, its thinking included.", group=WRITING, converter=whole)
    ],
    out: Out,
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
        str | None, Parameter(help="Smaller token budgets to read off the same run, with commas: 1024,2048.", group=WRITING)
    ] = None,
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

    Example: asap evaluate --model openai:my-model --base-url http://127.0.0.1:8000/v1 --benchmark humaneval,humaneval+
    --max-new-tokens 6144 --out out/my-model
    """
    from asap.benchmarks.load import load_benchmark
    from asap.evaluate.ledger import EVALUATION_FILES, Ledger
    from asap.evaluate.run import Evaluation, Plan
    from asap.evaluate.summary import pass_line
    from asap.lm.specs import load_llm
    from asap.ownership import EVALUATED, claim_folder, refuse_sources

    plan = Plan(max_new_tokens, n, temperature, top_p, _numbers(budgets), judging.extract, gamma, gamma_marker, judging.think_tags)
    plan.check()
    refuse_sources(out, [file for name in benchmark.split(",") if (file := name.partition(":")[2])], EVALUATION_FILES)
    claim_folder(out, EVALUATED)
    limits, workers, first = judging.limits, judging.worker_count, at_least("limit", limit, 1)
    names = [name.strip() for name in benchmark.split(",")]
    if len(set(names)) < len(names):
        raise UsageError(f"--benchmark {benchmark}: a benchmark is named twice")
    loaded = [load_benchmark(name) for name in names]
    loaded = [replace(entry, problems=entry.problems[:first]) for entry in loaded]
    warn_of_dtype(dtype, device)
    generator = load_llm(model, base_url=base_url, concurrency=concurrency, tokenizer=tokenizer, dtype=dtype, device=device, measured=True)
    evaluation = Evaluation(out, loaded, generator, plan, progress_line())
    try:
        with Ledger.open(out) as ledger:
            if generate_only:
                evaluation.generate(ledger)
                say(f"written: {out}/attempts.jsonl")
                return 0
            problems = [problem for entry in loaded for problem in entry.problems]
            # first: no answers are written that cannot be judged
            with judging.comparer(problems) as comparer, judging.sandbox(problems) as sandbox:
                evaluation.leave_out(ledger, sandbox, limits, workers, comparer)
                evaluation.generate(ledger)
                summary = evaluation.judge(ledger, sandbox, limits, workers, comparer)
    except KeyboardInterrupt:
        return interrupted(out)
    code = print_faults(summary)
    print((Path(out) / "summary.md").read_text(encoding="utf-8"))
    for entry in summary["benchmarks"]:
        print(pass_line(entry))
    say(f"written: {out}/attempts.jsonl, verdicts.jsonl, summary.json, summary.md")
    return code


def _numbers(text: str | None) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(",")) if text else ()
    except ValueError:
        raise UsageError(f"--budgets is {text!r}; write whole numbers with commas between them, for example 1024,2048") from None
