"""Whether a folder's run is the one that a command would make: the same settings, or a refusal that names what differs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from asap.errors import InputError
from asap.json_values import told_apart

_CUT_SETTINGS = ("budget", "ratio")
"""What `asap cut` changes."""


def refuse_other(folder: Path, stored: Mapping[str, Any], settings: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
    """Raise InputError if a folder's stored settings are not these. It may have `defaults` beside them, those of other methods."""
    ignored = {name: _as_json(value) for name, value in defaults.items()}
    unused = {name for name in stored if name not in settings and stored[name] in (ignored.get(name), None, False)}
    names = sorted({*settings, *stored} - unused)
    differing = [name for name in names if stored.get(name) != settings.get(name)]
    if not differing:
        return
    shown = told_apart(stored, settings, differing)
    advice = "choose another --out"
    if stored.get("llm") and stored.get("llm") == settings.get("llm"):
        advice += f" (with --replies {folder} no reply is paid for twice)"
    if set(differing) <= set(_CUT_SETTINGS):
        cut = f"--budget {settings['budget']}" if settings.get("ratio") is None else f"--ratio {settings['ratio']}"
        advice += f", or re-cut it in a moment: asap cut {folder} {cut} --out OTHER"
    raise InputError(f"{folder} holds a run with other settings: {shown}; {advice}")


def check_settings(file: Path, settings: Mapping[str, Any]) -> None:
    """Raise InputError unless stored settings are those of a run."""
    if missing := [name for name in ("method", "sources", "scorer", "tokenizer", "tokenizer_name") if name not in settings]:
        raise InputError(f"{file} is damaged (its settings lack {', '.join(missing)}); prune the rows again into another --out")


def _as_json(value: object) -> object:
    """A setting as JSON brings it back."""
    return list(value) if isinstance(value, tuple) else value
