"""The clusters of problems (`--cluster`): a column that any of the evaluations has names them for all arms."""

from collections.abc import Sequence
from dataclasses import replace

from asap.errors import UsageError
from asap.evaluate.paired_run import PairedRun


def with_clusters(runs: Sequence[PairedRun]) -> list[PairedRun]:
    """The evaluations with the cluster of each problem, by the first run that names it. Raises UsageError for a problem without one."""
    named = dict[str, dict[str, str]]()
    for run in reversed(runs):
        for benchmark, found in run.benchmarks.items():
            named.setdefault(benchmark, {}).update(found.clusters or {})
    for run in runs:
        for benchmark, found in run.benchmarks.items():
            if lacking := [task_id for task_id in found.shares if task_id not in named[benchmark]]:
                raise UsageError(
                    f"{benchmark}: {len(lacking)} of {len(found.shares)} problems, such as {lacking[0]!r}, have nothing in the column of "
                    f"--cluster, neither in {run.folder} nor in another run; leave --cluster out, or add the column"
                )
    return [replace(run, benchmarks={name: replace(found, clusters=named[name]) for name, found in run.benchmarks.items()}) for run in runs]
