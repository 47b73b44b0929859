"""Model folders that are made once for all tests of this folder."""

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from lm_helpers import save_model, save_tokenizer

from asap.lm.hf import HFScorer


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
