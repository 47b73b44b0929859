"""Loading tokenizers and models through transformers, with one clear sentence where that fails."""

import os
from functools import cache
from pathlib import Path
from typing import Any, Literal

from asap.errors import InputError
from asap.lm.memory import within_memory

Dtype = Literal["auto", "float32", "bfloat16"]

_TIMEOUT = 10.0
_KINDS = {"AutoTokenizer": "tokenizer", "AutoModelForTokenClassification": "token classifier"}
_CACHED = ("config.json", "tokenizer_config.json", "tokenizer.json")


def load_pretrained(auto_class: str, name: str, **options: Any) -> Any:
    """`transformers.<auto_class>.from_pretrained(name)`; never runs code of the repository, nor offers to. Raises InputError."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    import transformers
    from transformers.utils import logging as transformers_logging

    gguf_file = options.get("gguf_file")
    folder = Path(name).expanduser()
    if folder.is_dir():
        if "Tokenizer" not in auto_class and gguf_file is None and not (folder / "config.json").exists():
            raise InputError(f"model folder {name} has no config.json, so it is not a transformers model")
    elif name.startswith((".", "/", "~")) or name.count("/") != 1:
        raise InputError(f"model folder {name} does not exist; give a folder with config.json or a Hub id owner/name")
    else:
        options = {**_hub_options(name), **options}
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    try:
        return getattr(transformers, auto_class).from_pretrained(
            str(folder) if folder.is_dir() else name, trust_remote_code=False, **options
        )
    except Exception as error:  # border: transformers, tokenizers and safetensors report bad files through errors of every type
        shown = name if gguf_file is None else str(folder / gguf_file)
        if "trust_remote_code" in str(error):
            raise InputError(f"{shown} needs Python code from its own repository, and such code is never run; use another model") from error
        what = _KINDS.get(auto_class, "causal language model")
        raise InputError(f"{shown} cannot be loaded as a {what}: {_first_line(error)}") from error


def load_config(name: str) -> Any:
    """The configuration of a model that may be a causal language model: cheap to read, so bad models are refused early."""
    config = load_pretrained("AutoConfig", name)
    if getattr(config, "is_encoder_decoder", False):
        raise InputError(f"{name} is an encoder-decoder model ({config.model_type}), not a causal language model")
    return config


def load_causal_lm_on(device: Any, name: str, **options: Any) -> Any:
    """The causal language model on a device, ready to use. Raises InputError where it does not fit into the memory there."""
    model = within_memory(lambda: load_causal_lm(name, **options).eval().to(device))
    if model is None:
        raise InputError(f"{name} does not fit into the memory of {device}; use a smaller model or another device")
    return model


def load_causal_lm(name: str, **options: Any) -> Any:
    """The causal language model in a folder or on the Hub. transformers would fill missing weights with random numbers: refused."""
    model, report = load_pretrained("AutoModelForCausalLM", name, output_loading_info=True, **options)
    if missing := sorted(report["missing_keys"]):
        raise InputError(
            f"{name} is not a complete causal language model: {len(missing)} of its weights are not in its files, such as {missing[0]}"
        )
    return model


@cache
def _hub_options(name: str) -> dict[str, Any]:
    """Ask the Hub once whether the model is there, as transformers tries for a minute; without the Hub, its local copy is used."""
    from huggingface_hub import HfApi, try_to_load_from_cache
    from huggingface_hub.errors import GatedRepoError, HFValidationError, OfflineModeIsEnabled, RepositoryNotFoundError

    try:
        HfApi().model_info(name, timeout=_TIMEOUT)
    except GatedRepoError as error:
        raise InputError(f"model {name} is gated; ask for access on its page on the Hub and log in with: hf auth login") from error
    except RepositoryNotFoundError as error:
        raise InputError(
            f"there is no folder {name} and no such model on the Hub (if it is private, log in with: hf auth login)"
        ) from error
    except HFValidationError as error:
        raise InputError(f"there is no folder {name}, and it is not a Hub id owner/name either") from error
    except Exception as error:  # border: the HTTP library below differs between versions and has errors of its own
        if any(isinstance(try_to_load_from_cache(name, file), str) for file in _CACHED):
            return {"local_files_only": True}
        why = "HF_HUB_OFFLINE is set" if isinstance(error, OfflineModeIsEnabled) else _first_line(error)
        raise InputError(
            f"there is no folder {name}, and the Hugging Face Hub cannot be reached for a model of that name ({why})"
        ) from error
    return {}


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:300]
