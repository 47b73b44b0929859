"""Model folders that are made once for all tests of this folder."""

import math
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch
import transformers
from lm_helpers import TABLE, puts_before, save_model, save_tokenizer
from tokenizers import Tokenizer, models, pre_tokenizers

from asap.lm.scorer_transformers import HFScorer


@pytest.fixture(scope="session")
def tokenizer_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder with a family's tokenizer."""
    return cache(lambda family: save_tokenizer(family, tmp_path_factory.mktemp(f"tokenizer-{family}")))


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory, tokenizer_folder: Callable[[str], Path]) -> Callable[..., Path]:
    """The folder with a family's tokenizer and a random model of an architecture; the sizes go to the model's configuration."""

    @cache
    def make(family: str, architecture: str, **sizes: object) -> Path:
        folder = tmp_path_factory.mktemp(f"{family}-{architecture}")
        shutil.copytree(tokenizer_folder(family), folder, dirs_exist_ok=True)
        return save_model(architecture, folder, **sizes)

    return make


@pytest.fixture(scope="session")
def scorer(model_folder: Callable[..., Path]) -> Callable[..., HFScorer]:
    """The scorer of a family's tokenizer and an architecture, with the defaults of a user without a GPU."""
    return cache(lambda family, architecture, **sizes: HFScorer(str(model_folder(family, architecture, **sizes)), device="cpu"))


@pytest.fixture(scope="session")
def table_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama without layers: one-hot embeddings, and a head whose columns are the logarithms of the table."""
    folder, words = tmp_path_factory.mktemp("table"), list(TABLE)
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<s>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = puts_before(tokenizer, "<s>")
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>").save_pretrained(folder)
    size = len(words)
    config = transformers.LlamaConfig(
        vocab_size=size,
        hidden_size=size,
        intermediate_size=size,
        num_hidden_layers=0,
        num_attention_heads=1,
        rms_norm_eps=1e-12,
        max_position_embeddings=4096,
    )
    model = transformers.LlamaForCausalLM(config)
    with torch.no_grad():
        model.model.embed_tokens.weight.copy_(torch.eye(size))
        logarithms = torch.tensor([[math.log(TABLE[current][following]) for current in words] for following in words])
        model.lm_head.weight.copy_(logarithms / math.sqrt(size))  # RMSNorm makes a one-hot vector sqrt(size) long
    model.save_pretrained(folder)
    return folder
