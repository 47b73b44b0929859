"""`asap score`: judges attempts, without a model."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from asap.cli.options import DATA, RUN, Out, whole
from asap.cli.result import show, show_written
from asap.cli.sandbox_options import SandboxOptions, print_faults, progress_line
from asap.cli.terminal import interrupted


def score(
    attempts: Annotated[
        Path, Parameter(help="JSONL with task_id and solution, completion or generation, or another tool's output (docs/evaluate.md).")
    ],
    /,
    *,
    benchmark: Annotated[
        str,
        Parameter(
            help="humaneval, humaneval+, mbpp+, livecodebench:v4_v5, leetcode, gsm8k, math500, aime24, svamp, traces, humaneval:FILE, "
            "maths:FILE, …",
            group=DATA,
        ),
    ],
    out: Out,
    judging: SandboxOptions = SandboxOptions(),  # noqa: B008
    max_rejected: Annotated[
        int | None, Parameter(help="More rows than this that answer no problem: exit code 1.", group=RUN, converter=whole)
    ] = None,
) -> int:
    """Judge attempts that are there already, ours or another tool's: programs in the sandbox, results of maths by comparison.

    Writes verdicts.jsonl, rejected.jsonl, summary.json and summary.md into --out and prints pass@1. The same command again
    goes on where it was.

    Example: asap score samples.jsonl --benchmark humaneval --out scored
    """
    from asap.benchmarks.load import load_benchmark
    from asap.evaluate.score import SCORED_FILES, score_file
    from asap.evaluate.summary import pass_line
    from asap.ownership import EVALUATED, claim_folder, refuse_sources

    refuse_sources(out, [attempts, *benchmark.split(":", 1)[1:]], SCORED_FILES)
    claim_folder(out, EVALUATED)
    limits, workers = judging.limits, judging.worker_count
    loaded = load_benchmark(benchmark)
    try:
        with judging.comparer(loaded.problems) as comparer, judging.sandbox(loaded.problems) as sandbox:
            summary = score_file(
                attempts,
                loaded,
                out,
                sandbox,
                comparer=comparer,
                extract=judging.extract,
                think_tags=judging.think_tags,
                limits=limits,
                workers=workers,
                on_progress=progress_line(),
            )
    except KeyboardInterrupt:
        return interrupted(out)
    [entry] = summary["benchmarks"]
    code = print_faults(summary)
    show(pass_line(entry), **summary)
    show_written(out, SCORED_FILES)
    return code or int(max_rejected is not None and entry["rejected"] > max_rejected)
