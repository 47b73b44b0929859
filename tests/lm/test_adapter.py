"""An adapter on its base gives what the merged model gives; which base it has is checked, and what does not fit is refused."""

import asyncio
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from asap.errors import InputError, MissingExtra, UsageError
from asap.lm import adapter as module
from asap.lm.adapter import Adapter
from asap.lm.causal_lm import CausalLM
from asap.lm.generate import Request
from asap.lm.scorer import ScoreRequest
from asap.lm.scorer_transformers import HFScorer
from asap.lm.specs import load_adapted, load_tokens
from asap.lm.transformers import TransformersGenerator
from asap.spans import Span

peft = pytest.importorskip("peft", reason="PEFT IS NOT INSTALLED: asap-cot[train]")
pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # peft uses a name that transformers replaced

ASKED = ["How many steps are in the list?", "So, the sum of [1, 2, 3] is 6.", "Wait, is 12 + 345 right?"]


def adapter(base: Path, folder: Path, seed: int, **options: object) -> Path:
    """A random adapter of a base, as peft saves it."""
    torch.manual_seed(seed)
    config = peft.LoraConfig(**{"r": 4, "target_modules": "all-linear", "init_lora_weights": False, "task_type": "CAUSAL_LM", **options})
    peft.get_peft_model(transformers.AutoModelForCausalLM.from_pretrained(base), config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def base(model_folder: Callable[..., Path]) -> Path:
    return model_folder("qwen", "llama")


@pytest.fixture(scope="module")
def two(base: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("adapters")
    return {"one": adapter(base, folder / "one", 1), "other": adapter(base, folder / "other", 2, target_modules=["q_proj", "down_proj"])}


def merged(base: Path, place: Path, folder: Path) -> Path:
    shutil.copytree(base, folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(base)
    peft.PeftModel.from_pretrained(model, place).merge_and_unload().save_pretrained(folder)
    return folder


def written(generator: TransformersGenerator) -> list[str]:
    async def run() -> list[str]:
        async with generator:
            requests = [Request([{"role": "user", "content": text}], 16, 0.0) for text in ASKED]
            return [one.text for one in await asyncio.gather(*(generator.generate(request) for request in requests))]

    return asyncio.run(run())


def alone(folder: Path) -> list[str]:
    return written(TransformersGenerator(CausalLM(str(folder)), concurrency=4, measured=True))


def test_adapters_and_their_base_in_one_memory_write_what_models_of_their_own_do(base: Path, two: dict[str, Path], tmp_path: Path) -> None:
    expected = {name: alone(merged(base, place, tmp_path / name)) for name, place in two.items()} | {"base": alone(base)}
    assert len({tuple(texts) for texts in expected.values()}) == 3, "they are to differ"
    generators = load_adapted(two, base_as="base")
    assert list(generators) == ["base", "one", "other"]
    assert len({id(generator._lm.weights) for generator in generators.values()}) == 1  # type: ignore[attr-defined]
    for name in ("one", "other", "one", "base", "other", "base", "one"):
        assert written(generators[name]) == expected[name], name  # type: ignore[arg-type]


def test_an_adapter_is_a_model_wherever_one_is_named(base: Path, two: dict[str, Path], tmp_path: Path) -> None:
    request = ScoreRequest(ASKED[0], ASKED[1], [Span(0, len(ASKED[1]))])
    scorer, whole = HFScorer(str(two["one"])), HFScorer(str(merged(base, two["one"], tmp_path / "merged")))
    [found], [expected], [plain] = (one.score([request]) for one in (scorer, whole, HFScorer(str(base))))
    np.testing.assert_allclose(found.spans[0].logprobs, expected.spans[0].logprobs, atol=2e-5)
    assert np.abs(found.spans[0].logprobs - plain.spans[0].logprobs).max() > 1e-2
    assert load_tokens(f"hf:{two['one']}").fingerprint == load_tokens(f"hf:{base}").fingerprint
    assert scorer.identity["model"] == base.name
    assert scorer.identity["adapter"] == "one"
    assert scorer.identity["adapter_revision"] == Adapter.read(two["one"]).revision


def test_its_own_tokenizer_and_chat_template_count(base: Path, two: dict[str, Path], tmp_path: Path) -> None:
    own = shutil.copytree(two["one"], tmp_path / "own")
    tokenizer = transformers.AutoTokenizer.from_pretrained(base)
    tokenizer.chat_template = "{% for m in messages %}Q: {{ m['content'] }}{% endfor %}"
    tokenizer.save_pretrained(own)
    lms = [generator._lm for generator in load_adapted({"own": own, "one": two["one"]}).values()]  # type: ignore[attr-defined]
    assert [lm.tokens.hf.chat_template == tokenizer.chat_template for lm in lms] == [True, False]


def test_another_base_is_refused_by_weights_where_they_are_known_and_else_by_name(
    base: Path, two: dict[str, Path], tmp_path: Path, model_folder: Callable[..., Path]
) -> None:
    stranger, moved = model_folder("llama3", "llama"), shutil.copytree(base, tmp_path / "moved" / base.name)
    with pytest.raises(InputError, match=f"is an adapter of {base}, not of {stranger}"):
        load_adapted(two, f"hf:{stranger}")
    assert load_adapted(two, f"hf:{moved}")
    trained = tmp_path / "trained"
    shutil.copytree(two["one"], trained / "adapter")
    renamed = shutil.copytree(base, tmp_path / "renamed")
    (trained / "manifest.json").write_text(json.dumps({module.BASE_WEIGHTS: module.weights_digest(str(base))}))
    assert Adapter.read(trained).name == "trained"
    assert load_adapted({"trained": trained}, f"hf:{renamed}")
    shutil.copy(model_folder("qwen", "llama", initializer_range=0.1) / "model.safetensors", renamed)
    with pytest.raises(InputError, match="was trained on other weights than"):
        load_adapted({"trained": trained}, f"hf:{renamed}")


def test_what_does_not_fit_the_base_is_refused(base: Path, two: dict[str, Path], tmp_path: Path, model_folder: Callable[..., Path]) -> None:
    from safetensors.torch import load_file, save_file

    halved = shutil.copytree(two["one"], tmp_path / "halved")
    weights = load_file(halved / "adapter_model.safetensors")
    save_file(dict(list(weights.items())[::2]), halved / "adapter_model.safetensors")
    with pytest.raises(InputError, match="weights have no counterpart, such as"):
        alone(halved)
    larger = adapter(model_folder("qwen", "llama", hidden_size=64, intermediate_size=128), tmp_path / "larger", 3)
    config = json.loads((larger / "adapter_config.json").read_text()) | {"base_model_name_or_path": str(base)}
    (larger / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="larger cannot be put on"):
        alone(larger)


def test_folders_that_hold_no_adapter(two: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=f"{tmp_path} holds no adapter: neither adapter_config.json nor adapter/adapter_config.json"):
        Adapter.read(tmp_path)
    place = shutil.copytree(two["one"], tmp_path / "run" / "adapter")
    config = json.loads((place / "adapter_config.json").read_text())
    for wrong in ({"peft_type": "IA3"}, {"base_model_name_or_path": None}):
        (place / "adapter_config.json").write_text(json.dumps(config | wrong))
        with pytest.raises(InputError, match="describes no LoRA with its base"):
            Adapter.read(place)
    (place / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": "/nowhere/model"}))
    with pytest.raises(InputError, match=r"the base that .* names cannot be used: model folder /nowhere/model does not exist"):
        CausalLM(str(place))
    (place.parent / "settings.json").write_text('{"recipe": "laptop", "template_hash": "0", "values": {}}')
    with pytest.raises(InputError, match="has not ended"):
        Adapter.read(place.parent)
    (two["one"] / "adapter_model.safetensors").rename(tmp_path / "kept")
    with pytest.raises(InputError, match="holds no weights of an adapter"):
        Adapter.read(two["one"])
    (tmp_path / "kept").rename(two["one"] / "adapter_model.safetensors")
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"an adapter needs peft; install it with: pip install .*train"):
        Adapter.read(two["one"])


def test_what_an_adapter_cannot_be_put_on(two: dict[str, Path]) -> None:
    with pytest.raises(UsageError, match="is behind a server; serve the adapter as a model of its own"):
        load_adapted(two, "openai:m")
    with pytest.raises(UsageError, match="is an adapter itself"):
        load_adapted({"other": two["other"]}, f"hf:{two['one']}")
