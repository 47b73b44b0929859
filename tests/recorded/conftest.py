"""What the packages returned (recorded by the scripts here), and the tiny models with which they were run."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tiny_models import save_model
from tokenizers import Tokenizer
from transformers.utils import logging

from reference.llmlingua2 import LLMLingua2
from reference.selective_context import SelectiveContext

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def lingua() -> dict[str, Any]:
    """What `llmlingua` returned."""
    return json.loads((HERE / "llmlingua.json").read_text("utf-8"))


@pytest.fixture(scope="session")
def selective() -> dict[str, Any]:
    """What `selective-context` returned."""
    return json.loads((HERE / "selective_context.json").read_text("utf-8"))


@pytest.fixture(scope="session")
def classifiers(lingua: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folders of the token classifiers, by kind."""
    logging.disable_progress_bar()
    return {kind: save_model(kind, made, tmp_path_factory.mktemp(kind)) for kind, made in lingua["tokenizers"].items()}


@pytest.fixture(scope="session")
def replicas(lingua: dict[str, Any], classifiers: dict[str, Path]) -> dict[str, LLMLingua2]:
    """LLMLingua-2 as its package has it, with each classifier and the tokenizer that the record weighs words with."""
    counter = Tokenizer.from_str(json.dumps(lingua["counting"]))

    def replica(kind: str) -> LLMLingua2:
        model = transformers.AutoModelForTokenClassification.from_pretrained(classifiers[kind]).eval()

        def probabilities(ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            return torch.softmax(model(input_ids=ids, attention_mask=mask).logits, dim=-1)[:, :, 1]

        tokenizer = transformers.PreTrainedTokenizerFast.from_pretrained(classifiers[kind])
        return LLMLingua2(tokenizer, probabilities, lambda text: len(counter.encode(text).ids), bert=kind == "bert")

    return {kind: replica(kind) for kind in classifiers}


@pytest.fixture(scope="session")
def language_model(selective: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the language model."""
    logging.disable_progress_bar()
    return save_model("gpt2", selective["tokenizer"], tmp_path_factory.mktemp("gpt2"))


@pytest.fixture(scope="session")
def original(selective: dict[str, Any], language_model: Path) -> SelectiveContext:
    """Selective Context as its package has it, with the phrases that spaCy found when the record was made."""
    model = transformers.GPT2LMHeadModel.from_pretrained(language_model).eval()
    return SelectiveContext(model, transformers.PreTrainedTokenizerFast.from_pretrained(language_model), selective["phrases"].__getitem__)
