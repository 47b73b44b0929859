"""Loading tokenizers and models through transformers, with one clear sentence where that fails."""

import os
from pathlib import Path
from typing import Any

from asap.errors import InputError


def load_pretrained(auto_class: str, name: str, **options: Any) -> Any:
    """`transformers.<auto_class>.from_pretrained(name)`; no code of the repository is run. Raises InputError."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    import transformers
    from transformers.utils import logging as transformers_logging

    looks_local = name.startswith((".", "/", "~")) or name.count("/") != 1
    folder = Path(name).expanduser()
    if looks_local and not folder.is_dir():
        raise InputError(f"model folder {name} does not exist; give a folder with config.json or a Hub id owner/name")
    if folder.is_dir() and auto_class != "AutoTokenizer" and "gguf_file" not in options and not (folder / "config.json").exists():
        raise InputError(f"model folder {name} has no config.json, so it is not a transformers model")
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    try:
        return getattr(transformers, auto_class).from_pretrained(str(folder) if folder.is_dir() else name, **options)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError) as error:
        # transformers reports everything from a missing file to an unknown architecture through these types
        what = "tokenizer" if auto_class == "AutoTokenizer" else "causal language model"
        first_line = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise InputError(f"{name} cannot be loaded as a {what}: {first_line[:300]}") from error
