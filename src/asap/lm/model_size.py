"""How many parameters a model has, and the label that figures of small models carry.

What this does not do: load a model or ask the Hub. A folder's safetensors files tell the shapes of its tensors; else the name tells,
as in `Qwen2.5-Coder-0.5B`.
"""

import json
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from asap.lm.gguf import BUNDLED_NAME

SMALL = 3_000_000_000
"""Below so many parameters, a model is called small."""
_NAMED = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)\s?([BMbm])(?![A-Za-z])")
_LARGEST_HEADER = 1 << 27


def parameters_of(spec: str) -> int | None:
    """How many parameters the model of a spec, or of a name, has; None if neither its files nor its name tell."""
    kind, _, name = spec.partition(":")
    name = name or kind
    if spec == "bundled":
        return _in_name(BUNDLED_NAME)
    folder = Path(name).expanduser()
    counted = _in_files(sorted(folder.glob("*.safetensors"))) if kind == "hf" and folder.is_dir() else None
    return counted or _in_name(name)


def _in_name(name: str) -> int | None:
    found = _NAMED.search(re.sub(r"[-_/]", " ", name))
    return round(float(found[1]) * (1e9 if found[2] in "Bb" else 1e6)) if found else None


def _in_files(paths: Sequence[Path]) -> int | None:
    """The parameters in safetensors files, by their headers; None for an adapter or a damaged file."""
    total = 0
    for path in paths:
        if path.name.startswith("adapter"):
            return None
        try:
            with path.open("rb") as file:
                size = int.from_bytes(file.read(8), "little")
                header = json.loads(file.read(size)) if size < _LARGEST_HEADER else {}
            total += sum(math.prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None
    return total or None


def size_label(parameters: Iterable[int | None]) -> str | None:
    """What figures of these models must carry: None if all are known to be large."""
    known = list(parameters)
    small = sorted({count for count in known if count is not None and count < SMALL})
    unknown = any(count is None for count in known)
    if small:
        sizes = ", ".join(map(shown_size, small))
        return f"figures of {'a small model' if len(small) == 1 else 'small models'} ({sizes})" + (
            " and of one whose size is not known" if unknown else ""
        )
    return "figures of a model whose size is not known" if unknown else None


def small_label(specs: Iterable[str | None]) -> str | None:
    """The label that the small ones among these models give to figures; None if none of them is known to be small."""
    return size_label(count for spec in specs if spec is not None and (count := parameters_of(spec)) is not None)


def label_sentence(label: str) -> str:
    """A label as a sentence of its own: `Figures of a small model (135M).`"""
    return f"{label[0].upper()}{label[1:]}."


def shown_size(count: int) -> str:
    """135M, 1.5B"""
    if count >= 1e9:
        return f"{count / 1e9:.1f}".removesuffix(".0") + "B"
    return f"{count / 1e6:.0f}M" if count >= 1e6 else f"{count:,} parameters"
