"""`asap push`: publishes an output folder on the Hugging Face Hub."""

from pathlib import Path
from typing import Annotated

from cyclopts import Group, Parameter

from asap.cli.result import show
from asap.errors import UsageError

_CARD = Group("The card", sort_key=1)
_FILES = Group("What is published, and for whom", sort_key=2)


def push(
    folder: Annotated[Path, Parameter(help="An output folder of asap prune, cut or merge.")],
    repo: Annotated[str, Parameter(help="The data set repository, OWNER/NAME; it is made if there is none.")],
    /,
    *,
    license: Annotated[
        str | None,
        Parameter(help="The licence of the original rows, as the Hub names it: apache-2.0, cc-by-4.0, mit, other.", group=_CARD),
    ] = None,
    language: Annotated[list[str] | None, Parameter(help="The language of the rows: en, zh, …", group=_CARD)] = None,
    public: Annotated[bool, Parameter(help="Let everybody read it.", negative=(), group=_FILES)] = False,
    with_review: Annotated[bool, Parameter(help="Also review.html, which shows the original traces.", negative=(), group=_FILES)] = False,
    with_originals: Annotated[
        bool,
        Parameter(
            help="Also the stores: work.sqlite (original traces, all scores, names of the sources), replies.sqlite, evaluation.sqlite.",
            negative=(),
            group=_FILES,
        ),
    ] = False,
    replace: Annotated[
        bool, Parameter(help="Write over files with our names in a repository that others changed.", negative=(), group=_FILES)
    ] = False,
    dry_run: Annotated[bool, Parameter(help="Say what would be published, and ask the Hub nothing.", negative=(), group=_FILES)] = False,
) -> int:
    """Publish an output folder on the Hugging Face Hub: rows, decisions and a complete card, in one commit; private by default.

    Original traces stay here, as do all stores and the review page. HF_TOKEN, or `hf auth login`, says who you are.

    Examples:

        asap push pruned me/shorter-traces --license apache-2.0 --language en --dry-run

        asap push pruned me/shorter-traces --license apache-2.0 --language en --public
    """
    from asap.dataset.hub import looks_like_hub_id
    from asap.hub_push import push_parcel
    from asap.publish import parcel_of

    if not looks_like_hub_id(repo):
        raise UsageError(f"{repo!r} is no name of a repository on the Hub; write OWNER/NAME, for example me/shorter-traces")
    parcel = parcel_of(folder, license, language or [], review=with_review, originals=with_originals)
    for piece in parcel.pieces:
        show(f"{piece.size:>14,} bytes  {piece.name}")
    show(f"stays here: {', '.join(parcel.left_out) or 'nothing'}")
    about = {
        "repo": repo,
        "license": parcel.license,
        "files": {piece.name: piece.size for piece in parcel.pieces},
        "left_out": list(parcel.left_out),
    }
    if dry_run:
        show(f"would be published as {repo}, {'public' if public else 'private if it is new'}, licence {parcel.license}", **about)
        return 0
    pushed = push_parcel(parcel, repo, public=public, replace=replace)
    seen = "private" if pushed.private else "public"
    note = " (it was there already; its settings page on the Hub makes it public)" if pushed.private and public else ""
    removed = f"; removed there: {', '.join(pushed.removed)}" if pushed.removed else ""
    show(f"published: {pushed.url}, {seen}{note}, commit {pushed.commit[:8]}{removed}", **about, **pushed._asdict())
    return 0
