"""The model card (README.md) of a trained model, generated from its manifest."""

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from asap.card import public_name, rendered_card
from asap.dataset.hub import looks_like_hub_id
from asap.lm.gguf import BUNDLED_NAME


def model_card(manifest: Mapping[str, Any]) -> str:
    """The card in Markdown, with the Hub's YAML header. Of a local path it names only the last part."""
    spec = manifest["settings"]["model"]
    name = BUNDLED_NAME if spec == "bundled" else public_name(spec.partition(":")[2])
    data = [{"ratio": None, "budget": None, "scorer": None, "input_hash": None, **source} for source in manifest["data"]]
    values = {
        **manifest,
        "name": name.split("/")[-1],
        "base_model": Markup(name) if spec.startswith("hf:") and looks_like_hub_id(name) else None,
        "settings": {**manifest["settings"], "model": public_name(spec)},
        "data": [{**source, "shown": public_name(source["source"])} for source in data],
    }
    return rendered_card("asap.train", "model_card.md.j2", values)
