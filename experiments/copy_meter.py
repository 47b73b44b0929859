"""How much a support measures copying: the correlation of the answer lines that a cut leaves with its support, over methods and ratios.

    python -m experiments.copy_meter docs/results

The section "Code" of compare.md has the table without copies, that of compare-before-copies.md the one with them. Cells that both have
count, but not those of the whole trace and of no trace.
"""

import argparse
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

Cells = Mapping[tuple[str, str], Mapping[str, str]]
"""The rows of a table by method and asked share."""


def main() -> None:
    """Print both correlations, over all cells and within each ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="the folder of both pages")
    results = parser.parse_args().results
    without, with_copies = (code_table((results / page).read_text("utf-8")) for page in ("compare.md", "compare-before-copies.md"))
    both = [cell for cell in without if cell in with_copies and not cell[0].endswith(" trace")]
    for ratio in ("", *sorted({asked for _, asked in both}, reverse=True)):
        cells = [cell for cell in both if ratio in ("", cell[1])]
        left = [float(without[cell]["answer lines left %"]) for cell in cells]
        found = [np.corrcoef(left, [float(table[cell]["mean"]) for cell in cells])[0, 1] for table in (with_copies, without)]
        print(f"{ratio or 'all':>5} {len(cells):3} cells: r = {found[0]:.2f} with copies, {found[1]:.2f} without")


def code_table(page: str) -> Cells:
    """The first table of the section "Code"."""
    [_, section] = re.split(r"^## Code$", page, flags=re.MULTILINE)
    return _cells(list(_first_table(section)))


def _first_table(section: str) -> Iterator[Sequence[str]]:
    lines = iter(section.splitlines())
    for line in lines:
        if line.startswith("| method"):
            yield _split(line)
            break
    next(lines, None)
    for line in lines:
        if not line.startswith("|"):
            return
        yield _split(line)


def _split(line: str) -> Sequence[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def _cells(table: Sequence[Sequence[str]]) -> Cells:
    head, *rows = table
    return {(row[0], row[1]): dict(zip(head, row, strict=True)) for row in rows}


if __name__ == "__main__":
    main()
