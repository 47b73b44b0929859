"""The model card (README.md) of a trained model, made from its manifest."""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import PurePath
from typing import Any

from asap.dataset.hub import looks_like_hub_id
from asap.lm.gguf import BUNDLED_NAME


def card_text(manifest: Mapping[str, Any]) -> str:
    """The card in Markdown, with the Hub's YAML header; of paths on this machine only the last part is told."""
    import jinja2

    template = files("asap.train").joinpath("model_card.md.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
    spec = manifest["settings"]["model"]
    name = BUNDLED_NAME if spec == "bundled" else _shown(spec.partition(":")[2])
    data = [{"ratio": None, "budget": None, "scorer": None, "input_hash": None, **source} for source in manifest["data"]]
    return environment.from_string(template).render(
        {
            **manifest,
            "name": name.split("/")[-1],
            "base_model": name if spec.startswith("hf:") and looks_like_hub_id(name) else None,
            "settings": {**manifest["settings"], "model": _shown(spec)},
            "data": [{**source, "shown": _shown(source["source"])} for source in data],
        }
    )


def _shown(text: str) -> str:
    kind, colon, name = text.rpartition(":") if text.startswith(("hf:", "gguf:")) else ("", "", text)
    name = PurePath(name).name if PurePath(name).is_absolute() else name
    return f"{kind}{colon}{name}".replace("|", "\\|")
