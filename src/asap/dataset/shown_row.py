"""A row as people are shown how it was read."""

from asap.dataset.shapes import Shaped

_SHOWN = 200  # characters of each text


def render_row(shaped: Shaped) -> str:
    """A short plain text that shows how a row was read."""
    lines = [f"shape: {shaped.shape}", f"id: {shaped.sample.id}"]
    return "\n".join(lines + [f"{name} ({len(text):,} characters): {_shortened(text)}" for name, text in _parts(shaped)])


def row_line(shaped: Shaped) -> str:
    """One line that says how a row was read."""
    lengths = ", ".join(f"{name} {len(text):,}" for name, text in _parts(shaped))
    return f"the first row, {shaped.sample.id}, was read as {shaped.shape}; lengths in characters: {lengths} (-v shows it)"


def _parts(shaped: Shaped) -> list[tuple[str, str]]:
    sample = shaped.sample
    parts = (("system", sample.system), ("question", sample.question), ("trace", sample.cot), ("answer", sample.answer))
    return [(name, text) for name, text in parts if text is not None]


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
