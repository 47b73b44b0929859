"""Draw the plots of the comparisons in docs/results again, from the tables below them, with the looks that methods have today.

Usage: python docs/plots.py. Needs matplotlib (`pip install -e ".[compare]"`). The numbers are those that are printed there.
"""

from pathlib import Path

from asap.compare.aggregate import Aggregate
from asap.compare.measurement import Measure
from asap.compare.plot import pareto

RESULTS = Path(__file__).with_name("results")
PLOTS: dict[str, tuple[str, Measure]] = {
    "compare.md": ("code-without-copies.png", "support without copies"),
    "compare-before-copies.md": ("code.png", "support"),
}
CAPTION = "24 rows on 24 problems; pruned by SmolLM2-135M-Instruct (Q4_1, bfloat16), judged by Qwen2.5-Coder-0.5B-Instruct (bfloat16)."


def main() -> None:
    """Draw the plot of each page from the first table that follows it."""
    for page, (name, measure) in PLOTS.items():
        lines = (RESULTS / page).read_text("utf-8").partition(f"]({name})\n\n")[2].partition("\n\n")[0].splitlines()
        header, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
        pareto([aggregate(dict(zip(header, row, strict=True)), measure) for row in rows], RESULTS / name, CAPTION)
        print(f"written: docs/results/{name}")


def aggregate(row: dict[str, str], measure: Measure) -> Aggregate:
    """What the plot needs of a row of the table."""
    mean, low, high = map(float, row["minus full trace"].replace("[", "").replace("]", "").replace(",", "").split())
    rows, share = int(row["rows"]), float(row["kept %"].removesuffix(" *")) / 100
    return Aggregate(
        measure=measure,
        ratio=float(row["asked %"]) / 100,
        method=row["method"],
        rows=rows,
        problems=int(row.get("problems", rows)),
        share=share,
        marked=row["kept %"].endswith("*"),
        rows_off=int(row["rows off"]),
        value=float(row["mean"]),
        mean=mean,
        low=low,
        high=high,
        against={},
        last_kept=float(row["end kept %"]) / 100,
        dangling=float(row["dangling"]),
        open_fences=float(row["open fences"]),
        answer_lines=None,
        near_copies=None,
    )


if __name__ == "__main__":
    main()
