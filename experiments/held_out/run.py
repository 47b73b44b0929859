"""The test of the bets, run once: `asap compare` on both kinds of rows, then the rule. README.md is the plan.

Run `python -m experiments.held_out.run --code kodcode_r1.jsonl.gz --maths math_r1_qwq.jsonl.gz --out DIR` from the repository's root. It
may be interrupted, or stop after `--minutes`: the same command goes on where it was. Rows, bets and rule must be those of plan.json.

`--rehearse` does the same on 3 of the rows that were used before, with the bundled model as judge, which shows that it runs and nothing
else. `--calibrate` has the judge read one used row and says how long the test will take.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.held_out.decide import markdown, staying, values_of, verdicts
from experiments.held_out.rows import Row, code_rows, digest, maths_rows, read_rows, used_rows, write_rows

from asap.atomic import replacing
from asap.digest import content_digest
from asap.lm.specs import load_scorer
from asap.prune.support import support_request
from asap.sample import Sample

ROOT = Path(__file__).parents[2]
PLAN = ROOT / "experiments" / "held_out" / "plan.json"
CODE = ("src/asap", "experiments/bets", "experiments/held_out")
KINDS = ("code", "maths")
REHEARSED = 3
STOPPED = 130


def main() -> int:
    """Run what is left of the test; 0 when it is decided, STOPPED where the time was over."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--code", type=Path, required=True, help="kodcode_r1.jsonl.gz")
    parser.add_argument("--maths", type=Path, required=True, help="math_r1_qwq.jsonl.gz")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--judge", help="a folder with the model of the plan, as hf:FOLDER (default: the plan's, from the Hub)")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--only", choices=KINDS, help="run one kind of rows, beside the other one in another process; decide nothing")
    parser.add_argument("--minutes", type=float, help="stop after so many, to go on another time")
    parser.add_argument("--rehearse", action="store_true")
    parser.add_argument("--calibrate", action="store_true")
    options = parser.parse_args()
    plan = json.loads(PLAN.read_text("utf-8"))
    sources = {"code": read_rows(options.code), "maths": read_rows(options.maths)}
    judge = options.judge or ("bundled" if options.rehearse else plan["judge"])
    if options.calibrate:
        print(json.dumps(calibrated(sources, judge, options.device, plan)))
        return 0
    chosen = rehearsed(sources) if options.rehearse else {"code": code_rows(sources["code"]), "maths": maths_rows(sources["maths"])}
    if not options.rehearse:
        check(plan, chosen, options.out)
    ends = time.monotonic() + options.minutes * 60 if options.minutes else None
    for kind in [options.only] if options.only else KINDS:
        write_rows(options.out / f"{kind}.jsonl", chosen[kind])
        if code := compare(kind, options.out, plan, judge, options.device, ends):
            return code
    return 0 if options.only else decide(options.out, plan)


def rehearsed(sources: Mapping[str, Sequence[Row]]) -> dict[str, list[Row]]:
    """Rows that the test does not use: the first of those that were used before, and of another model on the maths questions."""
    other = [row for row in sources["maths"] if row["model"].endswith("R1") and row["response"].count("</think>") == 1]
    shortest = sorted(other, key=lambda row: len(row["response"]))[:REHEARSED]
    maths = [{"id": f"maths-{number}", "question": row["question"], "response": row["response"]} for number, row in enumerate(shortest)]
    return {"code": used_rows(sources["code"])[:REHEARSED], "maths": maths}


def check(plan: Mapping[str, Any], chosen: Mapping[str, Sequence[Row]], out: Path) -> None:
    """End with a sentence unless rows, bets and rule are those of the plan, and the package the one that began in this folder."""
    for kind, rows in chosen.items():
        if [len(rows), digest(rows)] != plan["rows"][kind]:
            sys.exit(f"the {kind} rows are not those of plan.json: {len(rows)} with digest {digest(rows)}")
    if digests(*CODE[1:]) != plan["digests"]:
        sys.exit("experiments/bets or experiments/held_out is not what plan.json names: the test is of that code only")
    started, now = out / "started.json", {"asap": digests("src/asap"), "commit": commit()}
    if not started.exists():
        out.mkdir(parents=True, exist_ok=True)
        write(started, json.dumps(now) + "\n")
    elif (before := json.loads(started.read_text("utf-8")))["asap"] != now["asap"]:
        sys.exit(f"this test began with the code of commit {before['commit']}; check that out to go on")


def digests(*folders: str) -> dict[str, str]:
    """The digest of each folder's source files; of the plan itself none."""
    files = {folder: sorted((ROOT / folder).rglob("*.py")) for folder in folders}
    return {
        folder: content_digest([[str(path.relative_to(ROOT)), path.read_text("utf-8")] for path in paths])[:16]
        for folder, paths in files.items()
    }


def commit() -> str:
    """The commit that is checked out."""
    done = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def command(kind: str, out: Path, plan: Mapping[str, Any], judge: str, device: str) -> list[str]:
    """The words of `asap compare` for one kind of rows."""
    methods, ratios = ",".join([*plan["methods"], *plan["bets"]]), ",".join(map(str, plan["ratios"]))
    where = ["compare", str(out / f"{kind}.jsonl"), "--out", str(out / kind), "--methods", methods, "--ratios", ratios]
    models = ["--scorer", plan["scorer"], "--judge", judge, "--dtype", plan["dtype"], "--device", device]
    return [*where, "--strip", "copies", "--seed", str(plan["seed"]), *models]


def compare(kind: str, out: Path, plan: Mapping[str, Any], judge: str, device: str, ends: float | None) -> int:
    """Run `asap compare` on one kind of rows until it is done; its exit code, STOPPED where the time was over."""
    words = command(kind, out, plan, judge, device)
    print(" ".join(["asap", *words]), flush=True)
    running = subprocess.Popen([sys.executable, "-m", "asap", *words], cwd=ROOT)
    try:
        return running.wait(None if ends is None else max(1.0, ends - time.monotonic()))
    except subprocess.TimeoutExpired:
        running.terminate()  # what is decided and judged is kept
        running.wait()
        print("the time is over; the same command goes on here", flush=True)
        return STOPPED


def write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    with replacing(path) as file:
        file.write(text)


def decide(out: Path, plan: Mapping[str, Any]) -> int:
    """Apply the rule to what was judged; writes decision.json and decision.md."""
    values = {}
    for kind in KINDS:
        judged = (out / kind / "judged.jsonl").read_text("utf-8").splitlines()
        values |= values_of(kind, map(json.loads, judged))
    found = verdicts(values, plan["bets"])
    said = [{**one._asdict(), "against": {name: d._asdict() for name, d in one.against.items()}, "passes": one.passes} for one in found]
    write(out / "decision.json", json.dumps({"stay": staying(found), "verdicts": said}, indent=1) + "\n")
    write(out / "decision.md", markdown(found))
    print(markdown(found))
    return 0


def calibrated(sources: Mapping[str, Sequence[Row]], judge: str, device: str, plan: Mapping[str, Any]) -> dict[str, float]:
    """The judge's tokens a second on one used row, read whole and twice, and what all rows of the test would take at that."""
    model = load_scorer(judge, dtype=plan["dtype"], device=device)
    [used] = used_rows(sources["code"])[:1]
    request = support_request(model.tokens, _sample(used), _sample(used).cot)
    tokens = len(model.tokens.input_ids(request.context + request.text))
    model.score([request])
    begun, used_cpu = time.perf_counter(), time.process_time()
    model.score([request] * 2)
    seconds, cpu = time.perf_counter() - begun, time.process_time() - used_cpu
    total = judged_tokens(model.tokens, {"code": code_rows(sources["code"]), "maths": maths_rows(sources["maths"])}, plan)
    speeds = {"tokens a second": 2 * tokens / seconds, "tokens a second of CPU": 2 * tokens / cpu}
    return {
        **speeds,
        "tokens": total,
        "hours of judging": total / (2 * tokens / seconds) / 3600,
        "hours of CPU": total / (2 * tokens / cpu) / 3600,
    }


def judged_tokens(tokens: Any, chosen: Mapping[str, Sequence[Row]], plan: Mapping[str, Any]) -> float:
    """About how many tokens the judge will read: each row without a trace, with the whole one, and with each method's cuts."""
    methods, total = len(plan["methods"]) + len(plan["bets"]), 0.0
    for rows in chosen.values():
        for row in rows:
            sample = _sample(row)
            request = support_request(tokens, sample, "")
            bare, trace = tokens.count(request.context + request.text), tokens.count(sample.cot)
            total += bare * (2 + methods * len(plan["ratios"])) + trace * (1 + methods * sum(plan["ratios"]))
    return total


def _sample(row: Row) -> Sample:
    trace, _, answer = row["response"].partition("</think>")
    return Sample(row["id"], row["question"], trace.removeprefix("<think>").strip("\n"), answer.strip(), tested_code=row.get("tested_code"))


if __name__ == "__main__":
    sys.exit(main())
