"""The marker at the end of a question that states the kept share of the trace (TokenSkip, arXiv:2502.12067).

Training rows contain it, and an evaluation requests a length with it.
"""

from asap.errors import UsageError

MARKER = "\n\n[Compression ratio: {gamma}]"
NONE = "none"
_PLACE = "{gamma}"


def marked(question: str, gamma: float | None, marker: str = MARKER) -> str:
    """The question followed by the marker of a share; unchanged for 1.0 or None, or if the marker is `none`."""
    if gamma is None or gamma == 1.0 or marker == NONE:
        return question
    return question + marker.replace(_PLACE, str(float(gamma)))


def check_marker(marker: str) -> None:
    """Raise UsageError unless the marker is `none` or contains {gamma}."""
    if marker != NONE and _PLACE not in marker:
        raise UsageError(f"marker {marker!r} does not tell the ratio: write {_PLACE} where it is to stand, or none for no marker")
