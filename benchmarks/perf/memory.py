"""What runs of many rows cost: CPU seconds, peak memory and bytes on disk of each command, at several sizes.

`python benchmarks/perf/memory.py --rows 1000,10000 --folder SCRATCH` makes rows of about 3,000 tokens in 120 steps from a seed, prunes them
in two shards (`--method keep-tail`: no model, so that what is measured is the run itself), merges these, prunes the merged folder again
with nothing left to do, cuts, reviews and examines it. Every command is a process of its own. Above `--prune` rows the shards are built
instead of pruned: rows are read as always, and get the decisions that 1,000 of them, with all the different traces, got by pruning.
Rows and folders are removed as soon as nothing needs them; at 200,000 rows about 12 GB are used at a time.
"""

import argparse
import json
import os
import platform
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from figures import Figure

from asap.dataset.shard import Shard
from asap.dataset.source import Source
from asap.events import Listener
from asap.reading import read_into
from asap.store.entry import decision_body
from asap.store.work import Store
from asap.tables import Table

WORDS = "so the sum of two numbers is first wait check that loop again then answer list index value 42 17 x = y + 1 because hence returns"
STEPS, WORDS_A_STEP, TRACES = 120, 22, 1000
SHARDS = 2
METHOD = ["--method", "keep-tail", "--ratio", "0.5"]


def main() -> None:
    """Measure each size and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="1000,10000", help="numbers of rows, with commas")
    parser.add_argument("--folder", type=Path, required=True, help="a scratch folder on a disk with room")
    parser.add_argument("--prune", type=int, default=10_000, help="build the shards of more rows than this")
    parser.add_argument("--slow", type=int, default=10_000, help="no doctor and no cut to another method at more rows than this")
    args = parser.parse_args()
    lines = list[list[str]]()
    for rows in map(int, args.rows.split(",")):
        for line in measured(args.folder / str(rows), rows, rows <= args.prune, rows <= args.slow):
            lines.append(line)
            print(" | ".join(line), flush=True)
    header = ["command", "rows", "CPU s", "ms a row", "peak MiB", "MB on disk", "KB a row"]
    print(f"\n{processor()}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}\n")
    print(Table(header, lines, "lr").markdown(padded=True))


def figures(quick: bool) -> Iterator[Figure]:
    """The lines for `run.py`: peak memory and CPU time of each command at 10,000 rows against 1,000."""
    if quick:
        yield Figure("memory of runs of many rows", "not with --quick: each command needs seconds to start")
        return
    small, large = 1000, 10_000
    with tempfile.TemporaryDirectory(prefix="asap-memory-") as folder:
        few, many = ({line[0]: line for line in measured(Path(folder) / str(rows), rows, True, True)} for rows in (small, large))
    for name in (name for name, line in many.items() if line[4]):
        memory, time_a_row = (float(many[name][column]) / float(few[name][column]) for column in (4, 3))
        came = f"{many[name][4]} MiB, {many[name][3]} ms a row; {memory:.2f}x and {time_a_row:.2f}x of those at {small:,}"
        yield Figure(f"{name}, {large:,} rows", came, "memory flat, linear or better", memory <= 1.25 and time_a_row <= 1.1)


def measured(folder: Path, rows: int, prunes: bool, slow: bool) -> Iterator[list[str]]:
    """The lines of the table for one number of rows."""
    folder.mkdir(parents=True)
    source, merged, cut = folder / "rows.jsonl", folder / "merged", folder / "cut"
    write_rows(source, rows)
    yield ["(the rows)", f"{rows:,}", "", "", "", *on_disk(source, rows)]
    for name, seconds in reading(source, folder / "read"):
        yield [name, f"{rows:,}", f"{seconds:.1f}", f"{1000 * seconds / rows:.2f}", "", "", ""]
    shards = [folder / f"shard-{index}" for index in range(SHARDS)]
    for index, shard in enumerate(shards):
        words = ["prune", str(source), *METHOD, "--out", str(shard), "--shard", f"{index}/{SHARDS}"]
        if prunes:
            yield [f"prune, shard {index} of {SHARDS}", f"{rows:,}", *spent(words, rows), *on_disk(shard, rows)]
        else:
            build(source, shard, Shard(index, SHARDS))
        if not prunes and not index:
            yield ["prune, a built shard again", f"{rows:,}", *spent(words, rows), *on_disk(shard, rows)]
    yield ["merge", f"{rows:,}", *spent(["merge", *map(str, shards), "--out", str(merged)], rows), *on_disk(merged, rows)]
    for shard in shards:
        shutil.rmtree(shard)
    yield ["prune again", f"{rows:,}", *spent(["prune", str(source), *METHOD, "--out", str(merged)], rows), *on_disk(merged, rows)]
    cutting = ["cut", str(merged), "--ratio", "0.3", "--out", str(cut)]
    yield ["cut", f"{rows:,}", *spent(cutting, rows), *on_disk(cut, rows)]
    for name, words in (("review", [merged]), ("review, two runs", [merged, cut])):
        page = folder / "page.html"
        yield [name, f"{rows:,}", *spent(["review", *map(str, words), "--out", str(page)], rows), *on_disk(page, rows)]
    shutil.rmtree(cut)
    if slow:
        yield ["cut --method random", f"{rows:,}", *spent([*cutting, "--method", "random"], rows), *on_disk(cut, rows)]
        yield ["doctor", f"{rows:,}", *spent(["doctor", str(source)], rows), "", ""]
    shutil.rmtree(folder)


def write_rows(path: Path, rows: int) -> None:
    """Rows that follow from a seed, with one of 1,000 traces each."""
    chance = random.Random(7)
    steps = ["".join(f"{word} " for word in chance.choices(WORDS.split(), k=chance.randint(11, 33))).strip() for _ in range(20 * STEPS)]
    traces = ["\n\n".join(chance.choices(steps, k=STEPS)) for _ in range(TRACES)]
    with path.open("w", encoding="utf-8") as file:
        for number in range(rows):
            row = {"id": f"row-{number}", "question": f"What is {number}?", "cot": traces[number % TRACES]}
            file.write(json.dumps({**row, "answer": f"```python\nprint({number})\n```"}) + "\n")


def reading(source: Path, folder: Path) -> Iterator[tuple[str, float]]:
    """The CPU seconds of reading alone, in this process: all rows, those of a shard, and a source that is unchanged."""
    for name, shard in (("read", None), ("read one shard of 8", Shard(0, 8)), ("read again, unchanged", Shard(0, 8))):
        with Store.open(folder / str(shard)) as store:
            started = time.process_time()
            read_into(store, Source([str(source)], shard=shard), Listener())
            yield name, time.process_time() - started
    shutil.rmtree(folder)


def build(source: Path, out: Path, shard: Shard) -> None:
    """A shard as `asap prune` leaves it before it writes its files, with decisions from a run over the first rows."""
    first = out.with_name("first")
    if not first.exists():
        spent(["prune", str(source), *METHOD, "--out", str(first), "--limit", str(TRACES)], TRACES)
    with Store.reading(first) as store:
        settings = store.fact("settings")
        bodies = {entry.sample.cot: decision_body(entry.decision) for entry in store.entries() if entry.sample and entry.decision}
    with Store.open(out) as store:
        store.claim({**settings, "shard": str(shard)})
        read_into(store, Source([str(source)], shard=shard), Listener())
        for page in store.batches(200):
            with store.transaction():
                for waiting in page:
                    store.decide(waiting.digest, False, bodies[waiting.sample.cot])
    if shard.index == shard.of - 1:
        shutil.rmtree(first)


def spent(words: list[str], rows: int) -> list[str]:
    """CPU seconds in all and per row, and peak memory of one command, which must work."""
    process = subprocess.Popen([sys.executable, "-m", "asap", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"asap {' '.join(words)} ended with {process.returncode}")
    seconds = used.ru_utime + used.ru_stime
    return [f"{seconds:.1f}", f"{1000 * seconds / rows:.2f}", f"{used.ru_maxrss / 1024:.0f}"]


def on_disk(path: Path, rows: int) -> list[str]:
    """Megabytes of a file, or of the files in a folder, and kilobytes a row."""
    files = [path] if path.is_file() else [file for file in path.iterdir() if file.is_file()]
    size = sum(file.stat().st_size for file in files)
    return [f"{size / 1e6:,.1f}", f"{size / 1e3 / rows:.1f}"]


def processor() -> str:
    """The CPU's name and cores."""
    names = [line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores"


if __name__ == "__main__":
    main()
