"""The tables of a comparison of runs, in Markdown."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from asap.lm.model_size import label_sentence
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
    if label := compared.get("label"):
        parts += [f"**{label_sentence(label)}**", ""]
    for name, run in zip(names, runs, strict=True):
        if run["differs"]:
            these = "these differ" if len(runs) == 1 else f"A and {name} differ in these"
            parts += [f"Besides the models {these}, and may be the reason for what is found:"]
            parts += [*(f"- {text}" for text in run["differs"]), ""]
        for only, has in (("only_a", "A"), ("only_b", name)):
            if run[only]:
                parts += [f"Only {has} has {', '.join(map(markdown_escaped, run[only]))}, which is not compared.", ""]
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
    score, shown, ranks = _score([entry for _, entry in named]), list[str](), ""
    for name, entry in named:
        found, where = entry["pass"], f"{name or 'B'} {{}} on {markdown_escaped(entry['benchmark'])}"
        if found["p_holm"] >= ALPHA:
            continue
        if _one_sign(found["interval"]):
            side = "is higher" if found["difference"] > 0 else "is lower"
            shown.append(f"{where.format(side)} ({found['difference']:+.4f}, p {found['p_holm']:.2g})")
        else:
            ranks += f" {where.format('differs')} by ranks (p {found['p_holm']:.2g}), but which is higher on average is not shown."
    if shown:
        return f"A difference in {score} is shown: {'; '.join(shown)}.{ranks}"
    if ranks:
        return ranks.strip()
    return f"No difference in {score} is shown, which does not show that there is none: asap certify tells what would."


def _one_sign(interval: Sequence[float]) -> bool:
    """Whether an interval leaves no doubt which is higher: signed ranks may differ where means do not."""
    return min(interval) > 0 or max(interval) < 0


def _paths(runs: Sequence[_Entry]) -> list[str]:
    return [run["b"] for run in runs]


def _left_out(name: str, entry: _Entry) -> list[str]:
    """Which problems are in no pair, or in none of a cost, one line each."""
    said, left_out = list[str](), entry["left_out"]
    for only, has in (("only_a", "A"), ("only_b", name or "B")):
        if entry[only]:
            said.append(f"{_problems(entry[only])} only in {has}, left out (--common)")
    if left_out:
        named = ", ".join(map(markdown_escaped, left_out[:3])) + (" …" if len(left_out) > 3 else "")
        said.append(f"{_problems(len(left_out))} in no pair, since one of the runs could not judge it: {named}")
    for column, what in _COSTS.items():
        if (found := entry.get(column)) and (known := found["problems"]) < entry["problems"]:
            said.append(f"{what} known of {known} of {entry['problems']} problems in both runs")
    where = markdown_escaped(f"{name}, {entry['benchmark']}" if name else entry["benchmark"])
    return [line for one in said for line in ("", f"{where}: {one}.")]


def _problems(count: int) -> str:
    return f"{count} problem{'s are' if count > 1 else ' is'}"


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
            _smallest(entry, found, ".4f"),
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
            _smallest(entry, found, ",.2f"),
        ]
        for name, entry in named
        for column, what in _COSTS.items()
        if (found := entry.get(column))
    ]
    return Table(header, rows, "lllr" if several else "llr")


def _smallest(entry: _Entry, found: _Entry, how: str) -> str:
    """What would have shown: nothing on a single problem or cluster."""
    if not isfinite(found["smallest_difference"]):
        return f"none: one {'cluster' if 'clusters' in entry else 'problem'}"
    return format(found["smallest_difference"], how)


def _between(ends: Sequence[float], digits: int) -> str:
    if not all(map(isfinite, ends)):
        return "not known"
    return f"{ends[0]:+,.{digits}f} to {ends[1]:+,.{digits}f}"
