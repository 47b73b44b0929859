"""`asap review`: writes a page that shows every cut with its reason."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from asap.cli.options import RUN, whole
from asap.cli.result import show
from asap.revealed import revealed


def review(
    folder: Annotated[Path, Parameter(help="An output folder of asap prune or asap cut.")],
    other: Annotated[Path | None, Parameter(help="Another run of the same data, to be shown beside it.")] = None,
    /,
    *,
    out: Annotated[Path, Parameter(help="The page.", group=RUN)] = Path("review.html"),
    limit: Annotated[
        int, Parameter(help="Show at most so many traces; of more, the same ones are chosen each time.", group=RUN, converter=whole)
    ] = 10_000,
) -> int:
    """Write a page that shows every trace of a run, what was cut from it and why, and what another budget would cut.

    The page is one file: it needs no network and no server, and works wherever it is copied.

    Examples:

        asap review pruned --out review.html

        asap review pruned pruned-random --out compared.html
    """
    from asap.review.page import write_review

    written = write_review(folder, out, other, most=limit)
    shown = (
        f"{written.shown:,} traces" if written.shown == written.total else f"{written.shown:,} of {written.total:,} traces (see --limit)"
    )
    told = revealed(f"written: {out}, {shown}, {written.size / 1e6:.1f} MB", keep="")
    show(told, page=str(out), traces_shown=written.shown, traces=written.total, bytes=written.size)
    return 0
