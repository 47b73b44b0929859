"""The tables of a comparison of runs, in Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

from asap.revealed import revealed
from asap.stats import ALPHA
from asap.tables import Table, markdown_escaped

_SMALLEST = "smallest that would show"
_Entry = Mapping[str, Any]
_COSTS = {"tokens": "tokens per answer", "seconds": "seconds per answer", "thinking": "thinking complete (VR)"}


def comparison_markdown(compared: Mapping[str, Any]) -> str:
    """The tables of a comparison of two runs, or of several with the first."""
    runs = compared.get("runs", [compared])
    names = ["B"] if len(runs) == 1 else [f"B{number}" for number in range(1, len(runs) + 1)]
    parts = [revealed(f"{name}: {path}", keep="") for name, path in [("A", compared["a"]), *zip(names, _paths(runs), strict=True)]] + [""]
    for name, run in zip(names, runs, strict=True):
        if run["differs"]:
            these = "these differ" if len(runs) == 1 else f"A and {name} differ in these"
            parts += [f"Besides the models {these}, and may be the reason for what is found:"]
            parts += [*(f"- {text}" for text in run["differs"]), ""]
    named = [(name if len(runs) > 1 else "", entry) for name, run in zip(names, runs, strict=True) for entry in run["benchmarks"]]
    parts += [_verdict(named), "", _pass_table(named).markdown()]
    for name, entry in named:
        parts += _left_out(name, entry)
    costs = _cost_table(named)
    if costs.rows:
        parts += ["", costs.markdown()]
    return "\n".join([*parts, "", *_explained([entry for _, entry in named])])


def _verdict(named: Sequence[tuple[str, _Entry]]) -> str:
    """Which differences of the score are shown, all comparisons together, in a sentence."""
    score, shown = _score([entry for _, entry in named]), list[str]()
    for name, entry in named:
        if (found := entry["pass"])["p_holm"] < ALPHA:
            side = "higher" if found["difference"] > 0 else "lower"
            shown.append(
                f"{name or 'B'} is {side} on {markdown_escaped(entry['benchmark'])} ({found['difference']:+.4f}, p {found['p_holm']:.2g})"
            )
    if shown:
        return f"A difference in {score} is shown: {'; '.join(shown)}."
    return f"No difference in {score} is shown, which does not show that there is none: asap certify tells what would."


def _paths(runs: Sequence[_Entry]) -> list[str]:
    return [run["b"] for run in runs]


def _left_out(name: str, entry: _Entry) -> list[str]:
    if not (left_out := entry["left_out"]):
        return []
    where = f"{name}, {entry['benchmark']}" if name else entry["benchmark"]
    named = ", ".join(left_out[:3]) + (" …" if len(left_out) > 3 else "")
    return ["", f"{where}: {len(left_out)} that one of the runs could not judge are in no pair: {named}."]


def _explained(entries: Sequence[_Entry]) -> list[str]:
    """Which tests and intervals the tables hold, and what they do not cover."""
    score, tests = _score(entries), sorted({entry["pass"]["test"] for entry in entries})
    thinking = [found for entry in entries if (found := entry.get("thinking"))]
    by = sorted({found["interval_by"] for found in [*(entry["pass"] for entry in entries), *thinking]})
    shares = f"{score} and thinking" if thinking else score
    lines = [f"p of {score}: {'; '.join(tests)}. p (Holm) is over all comparisons here together."]
    lines.append(f"Intervals of 95 %, each for itself: {shares}, {' or '.join(by)}; tokens and seconds, Student's t (docs/statistics.md).")
    if metrics := list(dict.fromkeys(metric for entry in entries for metric in entry.get("metric", []))):
        lines.append(f"Metric: {', '.join(metrics)}.")
    if any("clusters" in entry for entry in entries):
        lines.append("Problems of one cluster count as one: tests and intervals are over clusters.")
    lines.append("The last column is the difference that problems as many and as spread as these show with a power of 0.8 at 0.05.")
    return [*lines, "None of it covers another training run with another seed."]


def _score(entries: Sequence[_Entry]) -> str:
    return "the score" if any(entry["pass"].get("graded") for entry in entries) else "Pass@1"


def _pass_table(named: Sequence[tuple[str, _Entry]]) -> Table:
    entries = [entry for _, entry in named]
    clustered, several = any("clusters" in entry for entry in entries), any(name for name, _ in named)
    other = "it" if several else "B"
    header = [*(["run"] if several else []), "benchmark", "problems", *(["clusters"] if clustered else [])]
    header += [
        f"{_score(entries).removeprefix('the ')} A",
        other,
        "only A",
        f"only {other}",
        f"{other} - A",
        "95 % interval",
        "p",
        "p (Holm)",
        _SMALLEST,
    ]
    rows = [
        [
            *([name] if several else []),
            entry["benchmark"],
            str(entry["problems"]),
            *([str(entry.get("clusters", "–"))] if clustered else []),
            f"{found['a']:.4f}",
            f"{found['b']:.4f}",
            str(found["only_a"]),
            str(found["only_b"]),
            f"{found['difference']:+.4f}",
            _between(found["interval"], 4),
            f"{found['p']:.3g}",
            f"{found['p_holm']:.3g}",
            f"{found['smallest_difference']:.4f}",
        ]
        for name, entry in named
        for found in [entry["pass"]]
    ]
    return Table(header, rows, "llr" if several else "lr")


def _cost_table(named: Sequence[tuple[str, _Entry]]) -> Table:
    several = any(name for name, _ in named)
    other = "it" if several else "B"
    header = [*(["run"] if several else []), "benchmark", "", "A", other, f"{other} - A", "95 % interval", "p (Wilcoxon)", _SMALLEST]
    rows = [
        [
            *([name] if several else []),
            entry["benchmark"],
            what,
            f"{found['a']:,.2f}",
            f"{found['b']:,.2f}",
            f"{found['difference']:+,.2f}",
            _between(found["interval"], 2),
            f"{found['p']:.3g}",
            f"{found['smallest_difference']:,.2f}",
        ]
        for name, entry in named
        for column, what in _COSTS.items()
        if (found := entry.get(column))
    ]
    return Table(header, rows, "lllr" if several else "llr")


def _between(ends: Sequence[float], digits: int) -> str:
    return f"{ends[0]:+,.{digits}f} to {ends[1]:+,.{digits}f}"
