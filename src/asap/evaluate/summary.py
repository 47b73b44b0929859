"""What a run comes to: figures for each benchmark, as JSON, as Markdown, and in the terminal."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from asap.benchmarks.load import Benchmark
from asap.evaluate.metrics import mean, median, pass_at_k, pass_interval
from asap.evaluate.thinking import RATES, thinking_rates
from asap.lm.engine import prefix_caching
from asap.lm.model_size import label_sentence, small_label
from asap.tables import Table, number_cell

Record = Mapping[str, Any]
_KS = (1, 5, 10, 100)
_TOLD = 3
_REASONS = {"reference": "the reference solution does not pass here", "tests": "no tests that can be run"}


def figures(benchmark: Benchmark, verdicts: Sequence[Record]) -> dict[str, Any]:
    """Pass@k and what the verdicts were. `infra` is left out of Pass@k: nothing is known about such an attempt.

    `left_out` holds the problems that cannot be judged here at all, with the reason.
    """
    by_task: dict[str, list[bool]] = defaultdict(list)
    for record in verdicts:
        if record["verdict"] != "infra":
            by_task[record["task_id"]].append(bool(record["passed"]))
    rates = [sum(passed) / len(passed) for passed in by_task.values()]
    samples = min((len(passed) for passed in by_task.values()), default=0)
    at_k = {f"pass@{k}": mean([pass_at_k(len(passed), sum(passed), k) for passed in by_task.values()]) for k in _KS if k <= samples}
    return {
        "benchmark": benchmark.name,
        "problems": len(benchmark.problems),
        "attempted": len({record["task_id"] for record in verdicts}),
        "scored": len(by_task),
        "samples": len(verdicts),
        **at_k,
        "interval": list(pass_interval(rates)) if rates else None,
        **({"thinking": thinking} if (thinking := thinking_rates(verdicts)) else {}),
        "verdicts": dict(sorted(Counter(record["verdict"] for record in verdicts).items())),
        "not_scored": sorted({record["task_id"] for record in verdicts} - set(by_task)),
        "left_out": _left_out(verdicts),
        **_needs(verdicts),
        "untestable": [problem.untestable for problem in benchmark.problems if problem.untestable],
        "public_tests_only": benchmark.public_only,
        "isolation": dict(sorted(Counter(record["isolation"] for record in verdicts if "isolation" in record).items())),
        "sandbox": sorted({record["sandbox"] for record in verdicts if "sandbox" in record}),
        "extraction": sorted({record["extraction"] for record in verdicts if "extraction" in record}),
        "files": benchmark.files,
        "wording": benchmark.wording,
    }


def _left_out(verdicts: Sequence[Record]) -> list[dict[str, str]]:
    """The problems that are left out, in the order of their first attempt: `why` is "reference" or "tests"."""
    first = dict[str, Record]()
    for record in verdicts:
        if "left_out" in record:
            first.setdefault(record["task_id"], record)
    return [{"task_id": task_id, "why": record["left_out"], "detail": record["detail"]} for task_id, record in first.items()]


def _needs(verdicts: Sequence[Record]) -> dict[str, list[dict[str, Any]]]:
    """`needs`, if any: the packages for lack of which attempts could not be judged, whether they are installed, and at which problems."""
    found = dict[str, dict[str, Any]]()
    for record in verdicts:
        if package := record.get("needs"):
            installed = "pip install" not in record["detail"]
            entry = found.setdefault(package, {"package": package, "installed": installed, "task_ids": []})
            entry["task_ids"] += [] if record["task_id"] in entry["task_ids"] else [record["task_id"]]
    return {"needs": list(found.values())} if found else {}


def _remedies(needs: Sequence[Record]) -> list[str]:
    """What to do about missing packages: one sentence for those to install, and one for those to name."""
    told = list[str]()
    for installed in (False, True):
        if wanted := [need for need in needs if need["installed"] is installed]:
            names = [need["package"] for need in wanted]
            where, remedy = "are installed here", f"add --packages {','.join(names)}"
            if not installed:
                where, remedy = "are not installed here", f"pip install {' '.join(names)} into the environment of asap, and {remedy}"
            told.append(f"{_problems(_at(wanted))} {'lacks' if _at(wanted) == 1 else 'lack'} packages that {where}: {remedy}")
    return told


def _at(needs: Sequence[Record]) -> int:
    return len({task_id for need in needs for task_id in need["task_ids"]})


def efficiency(rows: Sequence[Record], wall_s: float, generated: int, concurrency: int) -> dict[str, Any]:
    """Tokens and seconds of generations. `batch_wall_s_per_sample` is the paper's latency: wall time divided by the number of samples."""
    tokens = [row["tokens"] for row in rows if row.get("tokens") is not None]
    seconds = [row["seconds"] for row in rows if row.get("seconds") is not None]
    first = [row["ttft_s"] for row in rows if row.get("ttft_s") is not None]
    thinking = [row["tokens_thinking"] for row in rows if row.get("tokens_thinking") is not None]
    return {
        "tokens_mean": mean(tokens),
        "tokens_median": median(tokens),
        "tokens_thinking_mean": mean(thinking),
        "request_s_mean": mean(seconds),
        "request_s_median": median(seconds),
        "ttft_s_median": median(first),
        "concurrency": concurrency,
        "batch_wall_s_per_sample": wall_s / generated if generated else None,
        "budget_ran_out": sum(row.get("stopped_by") in ("length", "context") for row in rows),
        "loops": sum(bool(row.get("loop")) for row in rows),
    }


def pass_line(entry: Mapping[str, Any]) -> str:
    """`pass@1 0.616 [0.540, 0.687]` in one line, with all that has to be said beside it."""
    if entry.get("pass@1") is None:
        return f"{entry['benchmark']}: nothing could be scored ({'; '.join(notes_of(entry))})"
    low, high = entry["interval"]
    at_k = ", ".join(f"{name} {value:.4f}" for name, value in entry.items() if name.startswith("pass@") and name != "pass@1")
    notes = notes_of(entry)
    line = f"{entry['benchmark']}: pass@1 {entry['pass@1']:.4f} [{low:.4f}, {high:.4f}]" + (f", {at_k}" if at_k else "")
    return f"{line} over {entry['scored']} of {entry['problems']} problems" + (f" ({'; '.join(notes)})" if notes else "")


def notes_of(entry: Mapping[str, Any]) -> list[str]:
    """What a reader of the figure must know."""
    notes = list[str]()
    if entry["public_tests_only"]:
        notes.append("public tests only: this overstates")
    for why, reason in _REASONS.items():
        if left_out := [one["task_id"] for one in entry["left_out"] if one["why"] == why]:
            notes.append(f"{_problems(len(left_out))} left out: {reason} ({_first(left_out)})")
    if needs := entry.get("needs", []):
        notes.append(f"missing at {_problems(_at(needs))}: {', '.join(need['package'] for need in needs)}")
    if unjudged := sorted({*entry["not_scored"]} - {one["task_id"] for one in entry["left_out"]}):
        notes.append(f"not scored: {_first(unjudged)}")
    if "none" in entry["sandbox"]:
        notes.append("judged without a sandbox: a pass can be forged")
    if together := entry.get("isolation", {}).get("together"):
        notes.append(f"{together} of {entry['samples']} judged in one process with the tests")
    return notes


def faults_of(entry: Mapping[str, Any]) -> list[str]:
    """A sentence for each problem that is left out, the first three of them, and one for all others; and one for unusable tests."""
    left_out = [one for one in entry["left_out"] if one["detail"] not in entry["untestable"]]
    told = [f"{one['task_id']} is left out: {one['detail']}" for one in left_out[:_TOLD]]
    more = len(left_out) - _TOLD
    told += [f"{_problems(more)} more left out; summary.json names them"] if more > 0 else []
    told += _remedies(entry.get("needs", []))
    if untestable := entry["untestable"]:
        told.append(f"{len(untestable)} of {_problems(entry['problems'])} have no tests that can be run; the first: {untestable[0]}")
    return told


def _problems(count: int) -> str:
    return f"{count} problem{'s' if count != 1 else ''}"


def _first(names: Sequence[str]) -> str:
    return ", ".join(names[:_TOLD]) + (" …" if len(names) > _TOLD else "")


def summary_markdown(entries: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]) -> str:
    """The tables of summary.md."""
    parts = [*_head(settings), "", _pass_table(entries).markdown()]
    if any("efficiency" in entry for entry in entries):
        parts += ["", _efficiency_table(entries).markdown()]
    if any("thinking" in entry for entry in entries):
        parts += ["", _thinking_table(entries).markdown()]
    if rules := _rules(entries, settings):
        parts += ["", f"Code taken from answers: {rules}."]
    if rules := _result_rules(entries, settings):
        parts += ["", f"Results compared: {rules}."]
    for entry in entries:
        if faults := faults_of(entry):
            parts += ["", f"## {entry['benchmark']}: left out", "", *(f"- {fault}" for fault in faults)]
    for entry in entries:
        if entry.get("budgets"):
            parts += ["", f"## {entry['benchmark']}: smaller budgets of the same run", "", _budget_table(entry["budgets"]).markdown()]
    parts += ["", "Intervals are of 95 % (Wilson; with several samples a bootstrap over problems). They say how far the problems stand for"]
    parts += ["others like them, not how far another training run or engine would differ."]
    return "\n".join(parts) + "\n"


def _rules(entries: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]) -> str:
    """By whose rule, and which of its blocks, code was taken from the generations of each benchmark."""
    chosen = settings["extract"] if settings["extract"] in ("first", "longest") else "last"
    return _by_rule(entries, {"asap": f"the {chosen} program, by ASAP's rule", "livecodebench": "by LiveCodeBench's rule"})


def _result_rules(entries: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]) -> str:
    """By which rule, and by whom, the results of each benchmark of mathematics were compared."""
    by = settings.get("compared_by", "math-verify")
    number = "the number in the last box, behind the last ####, or the last of the answer (GSM8K's rule)"
    return _by_rule(entries, {"gsm8k": number, "math-verify": f"the last box, else the last expression, by {by}"})


def _by_rule(entries: Sequence[Mapping[str, Any]], rules: Mapping[str, str]) -> str:
    return "; ".join(f"{entry['benchmark']}: {rules[rule]}" for entry in entries for rule in entry["extraction"] if rule in rules)


def _head(settings: Mapping[str, Any]) -> list[str]:
    """Who wrote, and how."""
    model = settings.get("model")
    packages = [f"Packages: {', '.join(' '.join(pair) for pair in settings['packages'].items())}."] if "packages" in settings else []
    if model is None:
        return ["# Scored attempts", *([""] if packages else []), *packages]
    engine = model.get("engine", {})
    version = engine.get("version") or engine.get("build_info") or ""
    drawn = f"temperature {settings['temperature']:g}, top-p {settings['top_p']:g}" if settings["temperature"] else "greedy"
    ratio = f", asked for the ratio {settings['gamma']:g}" if settings.get("gamma") is not None else ""
    name = f"Written by {engine.get('name', 'an unknown engine')} {version}".rstrip()
    known = [f"{name}: at most {settings['max_new_tokens']:,} new tokens, {drawn}{ratio}, prefix caching {prefix_caching(model)}."]
    if samplers := model.get("samplers"):
        known.append(f"Also sent: {', '.join(f'{sampler} {value:g}' for sampler, value in samplers.items())}.")
    if unsent := model.get("not_sent"):
        known.append(f"**Not taken by the server, so that its own values count: {unsent}.**")
    if "adapter" in model:
        known.append(f"The model is {model['model']} with the adapter {model['adapter']}.")
    small = small_label([model["spec"]]) or small_label([model.get("model")])
    return [f"# {model['spec']}", "", *([f"**{label_sentence(small)}**", ""] if small else []), *known, *packages]


def _pass_table(entries: Sequence[Mapping[str, Any]]) -> Table:
    rows = [
        [
            entry["benchmark"],
            str(entry["scored"]),
            number_cell(entry.get("pass@1"), 4),
            _interval(entry["interval"]) if entry["interval"] else "–",
            ", ".join(f"{name} {count}" for name, count in entry["verdicts"].items()),
            "; ".join(notes_of(entry)),
        ]
        for entry in entries
    ]
    return Table(["benchmark", "problems", "Pass@1", "95 % interval", "verdicts", "note"], rows, "lrrl")


_EFFICIENCY = [
    ("tokens_mean", "tokens, mean", 0),
    ("tokens_median", "median", 0),
    ("tokens_thinking_mean", "thinking", 0),
    ("request_s_mean", "s per request", 2),
    ("request_s_median", "median", 2),
    ("ttft_s_median", "to first token", 2),
    ("concurrency", "at once", 0),
    ("batch_wall_s_per_sample", "batch wall / N", 2),
    ("budget_ran_out", "out of budget", 0),
    ("loops", "loops", 0),
]
"""The figures of `efficiency` in the order of the table: name, heading, digits after the point."""


def _efficiency_table(entries: Sequence[Mapping[str, Any]]) -> Table:
    costs = [(entry["benchmark"], entry["efficiency"]) for entry in entries if entry.get("efficiency")]
    rows = [[name, *(number_cell(cost[figure], digits) for figure, _, digits in _EFFICIENCY)] for name, cost in costs]
    return Table(["benchmark", *(heading for _, heading, _ in _EFFICIENCY)], rows, "lr")


def _thinking_table(entries: Sequence[Mapping[str, Any]]) -> Table:
    """The shares of generations by their thinking, and Pass@1 of those that thought to the end."""
    header = ["benchmark", *(f"thinking {kind} ({name})" for kind, name in RATES.items()), "Pass@1 of the complete (Rpass@1)"]
    known = [(entry["benchmark"], entry["thinking"]) for entry in entries if "thinking" in entry]
    return Table(header, [[name, *(number_cell(rates[rate], 4) for rate in (*RATES.values(), "Rpass@1"))] for name, rates in known], "lr")


def _budget_table(budgets: Sequence[Mapping[str, Any]]) -> Table:
    rows = [
        [
            number_cell(row["budget"], 0),
            number_cell(row["pass@1"], 4),
            _interval(row["interval"]) if row["interval"] else "–",
            number_cell(row["tokens_mean"], 0),
            number_cell(row["request_s_mean"], 2),
            number_cell(row["budget_ran_out"], 0),
        ]
        for row in budgets
    ]
    return Table(["budget", "Pass@1", "95 % interval", "tokens, mean", "s per request (scaled)", "out of budget"], rows, "rrlr")


def _interval(ends: Sequence[float]) -> str:
    return f"{ends[0]:.4f}–{ends[1]:.4f}"
