"""The dataset card (README.md) of an output folder, made from its manifest, so that the folder can be published as it is."""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any


def card_text(manifest: Mapping[str, Any]) -> str:
    """The card in Markdown, with the Hub's YAML header. The same manifest gives the same text, whatever its seconds."""
    import jinja2

    template = files("asap").joinpath("card.md.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
    return environment.from_string(template).render(
        settings=manifest["settings"],
        sources=[_shown(name) for name in manifest["settings"]["sources"]],
        counts=manifest["counts"],
        llm=manifest["settings"]["llm"],
        versions=manifest["versions"],
        formats=manifest["formats"],
        input_hash=manifest["input_hash"],
        histogram=histogram_rows(manifest["counts"]["histogram_before"], manifest["counts"]["histogram_after"]),
    )


def _shown(source: str) -> str:
    """The name of a source for others to read: of a path on this machine the last part, and nothing that breaks a table."""
    name = Path(source).name if Path(source).is_absolute() else source
    return " ".join(name.split()).replace("|", "\\|")


def histogram_rows(before: Mapping[str, int], after: Mapping[str, int], width: int = 24) -> list[tuple[str, str]]:
    """Rows of a text histogram: the token range, and one bar each for before and after."""
    tops = sorted({int(top) for top in (*before, *after)})
    most = max([*before.values(), *after.values()], default=1)

    def bar(count: int) -> str:
        return f"{'█' * round(width * count / most):<{width}} {count:>6}"

    return [
        (f"{top // 2 + 1 if top > 1 else 0:>7}-{top:<7}", f"{bar(before.get(str(top), 0))}  {bar(after.get(str(top), 0))}") for top in tops
    ]
