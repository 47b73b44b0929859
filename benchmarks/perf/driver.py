"""CPU time a row of the one process that owns a run, while others decide: how many workers it can feed.

Run `python benchmarks/perf/driver.py [--engine local,ray] [--rows traces.jsonl.gz --limit 96]`. Two worker processes (or Ray actors)
decide with the model taken out, as in `host.py`; only the CPU time of this process counts, all its threads, and only while rows are
handed out and decisions stored. Reading the rows and writing the files come before and after, and are shown beside it.
"""

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from figures import Figure, print_figures
from host import WithoutModelBlueprint, traces

from asap.dataset.source import Source
from asap.events import Listener
from asap.prune.settings import AsapSettings
from asap.run import prune_into
from asap.store.work import Store
from asap.workers.pool import local_workers
from asap.workers.ray_actors import ray_crew
from asap.workers.rows import Workers

GOAL_ROWS_S = 300


class Stopwatch(Listener):
    """Notes the CPU time of this process when the run's parts begin."""

    def __init__(self) -> None:
        self.began = time.process_time()
        self.scoring_began = self.writing_began = 0.0

    def scoring(self, rows: int, rows_missing: int, bytes_missing: int) -> None:
        """Deciding begins."""
        self.scoring_began = time.process_time()

    def writing(self) -> None:
        """Writing begins."""
        self.writing_began = time.process_time()


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", default="local", help="local, ray, or both with a comma (default %(default)s)")
    parser.add_argument("--rows", help="a data set that asap prune reads")
    parser.add_argument("--limit", type=int, default=96, help="how many of its traces (default %(default)s)")
    args = parser.parse_args()
    print(f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}")
    print_figures(figure for engine in args.engine.split(",") for figure in costs(engine, args.rows, args.limit))


def figures(quick: bool) -> Iterator[Figure]:
    """The lines for `run.py`: processes of this machine."""
    return costs("local", None, 32 if quick else 96)


def costs(engine: str, rows: str | None, limit: int) -> Iterator[Figure]:
    """The figures of an engine."""
    blueprint = WithoutModelBlueprint(AsapSettings())
    workers = local_workers(blueprint, "cpu,cpu") if engine == "local" else ray_crew(blueprint, "cpu,cpu", None)
    with traces(rows, limit) as source, tempfile.TemporaryDirectory(prefix="asap-driver-") as folder:
        yield from timed(engine, workers, source, Path(folder) / "out")


def timed(engine: str, workers: AbstractContextManager[Workers], source: Source, out: Path) -> Iterator[Figure]:
    """The figures of one run."""
    with workers as started:
        assert started.rows_at_once > 1
        watch = Stopwatch()
        totals = prune_into(out, source, started, listener=watch)
        ended = time.process_time()
    with Store.open(out, create=False) as store:
        [(stored,)] = store._db.execute("SELECT AVG(LENGTH(body)) FROM decisions")
    decided_s = (watch.writing_began - watch.scoring_began) / totals.rows
    rows_s = 1 / decided_s
    shown = f"{1e3 * decided_s:.2f} ms a row ({totals.tokens_before / totals.rows:,.0f} tokens, {stored / 1024:.1f} KiB stored)"
    yield Figure(
        f"driver, {engine}: handing out and storing",
        f"{rows_s:,.0f} rows/s; {shown}",
        f"{GOAL_ROWS_S} rows/s",
        rows_s >= GOAL_ROWS_S,
    )
    yield Figure(f"driver, {engine}: reading before", f"{1e3 * (watch.scoring_began - watch.began) / totals.rows:.2f} ms a row")
    yield Figure(f"driver, {engine}: writing after", f"{1e3 * (ended - watch.writing_began) / totals.rows:.2f} ms a row")


if __name__ == "__main__":
    main()
