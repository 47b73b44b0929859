"""The questions of a benchmark that lies on this machine, for runs whose attempts do not tell what was asked.

What this does not do: fetch a benchmark, or read LiveCodeBench, whose files have gigabytes of tests.
"""

from asap.benchmarks.files import nothing_fetched
from asap.benchmarks.load import load_benchmark
from asap.errors import AsapError
from asap.evaluate.paired_run import PairedRun
from asap.report.outcomes import file_of


def questions_of(run: PairedRun, benchmark: str) -> dict[str, str]:
    """The questions of a run's benchmark by problem; none if it is not here."""
    kind, _, file = benchmark.partition(":")
    found = file_of(run, "problems") if run.summary.get("settings", {}).get("problems") else None
    if kind == "livecodebench" or (found is None and file and benchmark != "gsm8k:clean"):
        return {}
    try:
        with nothing_fetched():
            loaded = load_benchmark(f"{kind}:{found}" if found else benchmark)
    except AsapError:  # it was moved, or became another
        return {}
    return {problem.task_id: problem.question for problem in loaded.problems if problem.question}
