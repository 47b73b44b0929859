"""The marker at the end of a question that states which share of the trace is kept (TokenSkip, arXiv:2502.12067).

Training rows get it, and an evaluation asks with it for a length.
"""

from asap.errors import UsageError

MARKER = "\n\n[Compression ratio: {gamma}]"
NONE = "none"
_PLACE = "{gamma}"


def marked(question: str, gamma: float | None, marker: str = MARKER) -> str:
    """The question with the marker of a share behind it; as it is for 1.0 or None, or where the marker is `none`."""
    if gamma is None or gamma == 1.0 or marker == NONE:
        return question
    return question + marker.replace(_PLACE, str(float(gamma)))


def check_marker(marker: str) -> None:
    """Raise UsageError unless the marker is `none` or contains {gamma}."""
    if marker != NONE and _PLACE not in marker:
        raise UsageError(f"marker {marker!r} does not tell the ratio: write {_PLACE} where it is to stand, or none for no marker")
