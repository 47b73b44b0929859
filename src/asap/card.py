"""Cards: the README.md of an output folder, generated from its manifest, which makes the folder ready to publish."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import PurePath
from typing import Any

from markupsafe import Markup

from asap.dataset.formats import MAY_LOSE_THINKING, RENDERED_BY_TOOLS
from asap.lm.engine import engine_name, prefix_caching
from asap.tables import markdown_escaped

_BAR = 24  # characters of the longest bar of the histogram


def dataset_card(manifest: Mapping[str, Any]) -> str:
    """The card of pruned rows in Markdown, with the Hub's YAML header. It does not depend on the manifest's `seconds`."""
    counts = manifest["counts"]
    values = {
        **manifest,
        "sources": [public_name(name) for name in manifest["settings"]["sources"]],
        "columns": [public_name(name) for name in manifest.get("columns", [])],
        "llm": manifest["settings"]["llm"],
        "engine": engine_line(manifest["llm"] or {}),
        "format_model": public_name(manifest.get("format_model", "")),
        "messages": [name for name in manifest["formats"] if name in RENDERED_BY_TOOLS and "format_model" not in manifest],
        "may_lose_thinking": MAY_LOSE_THINKING,
        "overruled": overruled_line(counts.get("overruled", {})),
        "histogram": histogram_rows(counts["histogram_before"], counts["histogram_after"]),
    }
    return rendered_card("asap", "card.md.j2", values)


def engine_line(identity: Mapping[str, Any]) -> str:
    """What is known of the server that wrote the replies: engine, prefix caching, samplers sent and not taken; empty without any."""
    engine = identity.get("engine") or {}
    if not engine:
        return ""
    known = [engine_name(engine), f"prefix caching {prefix_caching(identity)}"]
    if samplers := identity.get("samplers"):
        known.append("sent " + ", ".join(f"{name} {value:g}" for name, value in samplers.items()))
    if "not_sent" in identity:
        known.append(f"not taken: {identity['not_sent']}")
    return "; ".join(known)


def overruled_line(counts: Mapping[str, int]) -> str:
    """What a person decided instead of the stages (`--overrule`); empty if nothing."""
    if not counts:
        return ""
    words = {"steps_kept": "steps kept", "steps_removed": "steps removed", "rows_whole": "rows left whole", "rows_dropped": "rows dropped"}
    told = ", ".join(f"{counts[name]:,} {text}" for name, text in words.items() if name in counts) or "what the cut did anyway"
    over = f"; {counts['rows_over_budget']:,} of these rows are above their budget" if "rows_over_budget" in counts else ""
    return f"a person decided: {told}; nothing else was cut or put back to make up for it{over}"


def rendered_card(package: str, template: str, values: Mapping[str, Any]) -> str:
    """A package's template with its values filled in. Every name in it must have a value."""
    return str(_template(package, template).render(values))


@cache
def _template(package: str, name: str) -> Any:
    import jinja2

    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, finalize=_in_markdown
    )
    return environment.from_string(files(package).joinpath(name).read_text(encoding="utf-8"))


def _in_markdown(value: object) -> str:
    """A value on one line, escaped for Markdown: no name of a file or model makes a link, an image or a tag. Markup stays as it is."""
    if isinstance(value, Markup):
        return value
    text = str(value)
    escaped = markdown_escaped(text, brackets=True)
    return " " * text.startswith(" ") + escaped + " " * (text.endswith(" ") and text != " ")


def public_name(source: str) -> str:
    """A source or model spec without this machine's folders, on one line."""
    kind, colon, name = source.rpartition(":") if source.startswith(("hf:", "gguf:")) else ("", "", source)
    name = PurePath(name).name if PurePath(name).is_absolute() else name
    return " ".join(f"{kind}{colon}{name}".split())


def histogram_rows(before: Mapping[str, int], after: Mapping[str, int]) -> list[tuple[str, str]]:
    """The rows of a text histogram: a token range, and one bar each for before and after."""
    tops = sorted({int(top) for top in (*before, *after)})
    most = max([*before.values(), *after.values()], default=1)

    def bar(count: int) -> str:
        return f"{'█' * round(_BAR * count / most):<{_BAR}} {count:>6}"

    rows = [
        (f"{top // 2 + 1 if top > 1 else 0:>7}-{top:<7}", f"{bar(before.get(str(top), 0))}  {bar(after.get(str(top), 0))}") for top in tops
    ]
    return [(Markup(tokens), Markup(bars)) for tokens, bars in rows]
