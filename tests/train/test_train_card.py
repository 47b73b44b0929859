import copy

import pytest

from asap.train.card import model_card

MANIFEST = {
    "settings": {
        "asap": "0.1.0",
        "model": "hf:deepseek-ai/DeepSeek-R1-Distill-Qwen-7B",
        "recipe": "paper-qwen-7b",
        "values": {"learning_rate": 4e-5},
        "backend": "trl",
        "wanted": {"mask_pruned": False},
        "rows_hash": "abc",
        "template_hash": "def",
    },
    "data": [
        {"source": "/home/someone/pruned", "method": "asap", "ratio": None, "budget": 4096, "scorer": "a-scorer", "input_hash": "123"}
    ],
    "counts": {"rows": 5, "rejected": 2, "dropped_long": 0, "tokens": 100, "response_tokens": 80, "longest": 30},
    "steps": 3,
    "train_loss": 1.5,
    "processes": 8,
    "device": "cuda",
    "bf16": True,
    "versions": {"trl": "1.16.0", "transformers": "5.23.0", "torch": "2.13.0"},
}


def test_the_card_tells_the_data_and_no_path() -> None:
    text = model_card(MANIFEST)
    assert "base_model: deepseek-ai/DeepSeek-R1-Distill-Qwen-7B\n" in text
    assert "| pruned | asap | 4096 | a-scorer | 123 |" in text
    assert "| rows | 5, 2 rejected |" in text
    assert "8 x cuda, bfloat16" in text
    assert "/home" not in text


@pytest.mark.parametrize(
    ("spec", "name"), [("bundled", "SmolLM2-135M-Instruct"), ("hf:/home/someone/tiny", "tiny"), ("gguf:/x/some.gguf", "some.gguf")]
)
def test_only_hub_ids_are_linked(spec: str, name: str) -> None:
    manifest = copy.deepcopy(MANIFEST)
    manifest["settings"]["model"] = spec  # type: ignore[index]
    text = model_card(manifest)
    assert "base_model" not in text
    assert f"# {name} fine-tuned" in text
    assert "/home" not in text
