"""What it costs to prepare the rows of `asap train`: CPU seconds a row, memory of each process, bytes on disk.

    python benchmarks/perf/train_corpus.py --rows 1000 10000 --processes 1 2 --out FOLDER

Rows of about 3,000 tokens are made up from a seed, each with its own text, and written into FOLDER (12 kB a row). Each figure is of new
processes, which prepare the rows as `asap train` does (with the bundled tokenizer), then read all of them once as a trainer would.
`own` is the largest sum of what a process holds for itself (RssAnon in /proc), sampled every 50 ms; pages of the mapped file, which
the kernel may drop and the processes share, are not in it; `before` is the same before any row is read.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

WORDS = """list string index array substring window counter loop node graph tree edge path value key dictionary stack queue prefix
suffix input output element character digit number sum product result case row column grid cell interval range pointer segment the a
of is and we to so then check if return first last next that this not must for each in it with from empty sorted longest maximum"""
STEPS = 100


def made_up(count: int, tokens: int) -> Iterator[dict[str, str]]:
    """Rows whose traces have about so many tokens in paragraphs of sentences and code."""
    chance = random.Random(0)
    words, drawn = WORDS.split(), max(1, int(tokens / STEPS / 1.22) - 10)
    for number in range(count):
        steps = []
        for place in range(STEPS):
            sentence = " ".join(chance.choices(words, k=drawn))
            steps.append(f"{sentence.capitalize()}, so {chance.choice(words)}[{place}] = {chance.randint(0, 9999)}.")
        yield {"id": f"r{number}", "question": " ".join(chance.choices(words, k=30)) + "?", "cot": "\n\n".join(steps), "answer": steps[-1]}


def rows_file(folder: Path, count: int, tokens: int) -> Path:
    """A file with so many rows, written if it is not there."""
    path = folder / f"rows-{count}x{tokens}.jsonl"
    if not path.is_file():
        partial = path.with_suffix(".tmp")
        with partial.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in made_up(count, tokens))
        partial.rename(path)
    return path


def work(source: str, out: str) -> None:
    """One process: prepares the rows, reads them once, prints what it took."""
    from datasets import Dataset

    from asap.dataset.source import Source
    from asap.lm.specs import load_tokens
    from asap.train.gather import Wanted
    from asap.train.job import TrainingJob, prepare
    from asap.train.recipe import load_recipe

    load_tokens("bundled").count("warm up")
    job = TrainingJob(Source([source]), "bundled", "laptop", load_recipe("laptop", ["max_length=8192"]), Wanted())
    Path(f"{out}.{os.getpid()}").touch()  # the base line of memory is here
    before = time.process_time()
    corpus = prepare(job, Path(out)).corpus
    prepared = time.process_time()
    data = Dataset.from_file(str(corpus.file)).select_columns(["input_ids", "labels"])
    tokens = sum(len(row["input_ids"]) for row in data)
    figures = {"prepare_s": prepared - before, "read_s": time.process_time() - prepared, "tokens": tokens, "rows": len(data)}
    print(json.dumps(figures | {"bytes": corpus.file.stat().st_size}))


def own_kib(process: int) -> int:
    """The anonymous memory of a process."""
    try:
        status = Path(f"/proc/{process}/status").read_text("ascii")
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon")), 0)


def measure(source: Path, out: Path, processes: int) -> dict[str, float]:
    """The figures of one preparation by so many processes of one run."""
    shutil.rmtree(out, ignore_errors=True)
    started = time.perf_counter()
    workers = [
        subprocess.Popen(
            [sys.executable, __file__, "--one", str(source), str(out)],
            env={**os.environ, "RANK": str(rank), "WORLD_SIZE": str(processes)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(processes)
    ]
    base, peak = [0] * processes, [0] * processes
    while any(worker.poll() is None for worker in workers):
        for rank, worker in enumerate(workers):
            held = own_kib(worker.pid)
            if Path(f"{out}.{worker.pid}").exists():
                base[rank] = base[rank] or held
                peak[rank] = max(peak[rank], held)
        time.sleep(0.05)
    figures = [json.loads(worker.communicate()[0].splitlines()[-1]) for worker in workers]
    for worker in workers:
        Path(f"{out}.{worker.pid}").unlink()
    shutil.rmtree(out)
    return {
        "rows": figures[0]["rows"],
        "processes": processes,
        "tokens_a_row": round(figures[0]["tokens"] / figures[0]["rows"]),
        "first_ms_a_row": round(1000 * figures[0]["prepare_s"] / figures[0]["rows"], 2),
        "others_ms_a_row": round(1000 * max((one["prepare_s"] for one in figures[1:]), default=0) / figures[0]["rows"], 3),
        "read_ms_a_row": round(1000 * figures[0]["read_s"] / figures[0]["rows"], 3),
        "wall_s": round(time.perf_counter() - started, 1),
        "before_mib": round(max(base) / 1024),
        "own_mib": round(peak[0] / 1024),
        "others_own_mib": round(max(peak[1:], default=0) / 1024),
        "bytes_a_row": round(figures[0]["bytes"] / figures[0]["rows"]),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--tokens", type=int, default=3000)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--out", type=Path, help="a folder for rows and corpora; both are large")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        work(*given.one)
    else:
        given.out.mkdir(parents=True, exist_ok=True)
        for count in given.rows:
            for processes in given.processes:
                figures = measure(rows_file(given.out, count, given.tokens), given.out / "run", processes)
                print(json.dumps(figures), flush=True)
