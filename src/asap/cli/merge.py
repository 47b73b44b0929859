"""`asap merge`: puts the shards of a run together."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from asap.cli.options import AS_USUAL, MaxRejected, Out, Review, Written, too_many_rejected, write_page
from asap.cli.run_summary import print_summary


def merge(
    folders: Annotated[list[Path], Parameter(help="The output folders of asap prune --shard: all of one run, in any order.")],
    /,
    *,
    out: Out,
    written: Written = AS_USUAL,
    review: Review = False,
    max_rejected: MaxRejected = None,
) -> int:
    """Put the shards of a run together: the same files as a run without --shard.

    Checks first that all shards are there, each once, finished, and pruned with the same settings from the same rows. The folder written
    needs the shards no more, and can be cut, reviewed and continued like any other.

    Example: asap merge shard-0 shard-1 shard-2 shard-3 --out pruned
    """
    from asap.merge import merge as merge_shards

    totals = merge_shards(folders, out, files=written.files())
    print_summary(totals, out)
    if review:
        write_page(out)
    return int(too_many_rejected(totals, out, max_rejected))
