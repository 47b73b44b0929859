"""LoRA adapters of peft: what a folder's adapter is of, and a model in memory of which one adapter at a time takes part.

`asap train` leaves an adapter in DIR/adapter. Adapters of other kinds than LoRA, and adapters on the Hub, are not read.
"""

import hashlib
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from asap.errors import InputError, MissingExtra, one_line
from asap.install import install_command
from asap.lm.cache import file_sha256
from asap.lm.hub import load_config
from asap.ownership import TRAINED, record_in, run_in, same_file

_CONFIG, _SUBFOLDER = "adapter_config.json", "adapter"
_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
_TOKENIZER = "tokenizer_config.json"
BASE_WEIGHTS = "base_weights"
"""In the manifest of a training: the digest of the weights that an adapter was trained on."""


class Adapter(NamedTuple):
    """An adapter in a folder. `base`: the model that it was trained on, by name; `base_weights`: the digest of its weights, if known."""

    folder: Path
    base: str
    base_weights: str | None = None

    @classmethod
    def read(cls, folder: Path) -> "Adapter":
        """The adapter in a folder of peft, or in the folder of an `asap train`. Raises InputError, or MissingExtra without peft."""
        place = next((place for place in (folder, folder / _SUBFOLDER) if (place / _CONFIG).is_file()), None)
        if place is None:
            raise InputError(f"{folder} holds no adapter: neither {_CONFIG} nor {_SUBFOLDER}/{_CONFIG} is there")
        config = record_in(place / _CONFIG) or {}
        base = config.get("base_model_name_or_path")
        if config.get("peft_type") != "LORA" or not isinstance(base, str) or not base:
            raise InputError(f"{place / _CONFIG} describes no LoRA with its base (peft_type LORA, base_model_name_or_path)")
        if not any((place / name).is_file() for name in _WEIGHTS):
            raise InputError(f"{place} holds no weights of an adapter ({' or '.join(_WEIGHTS)})")
        manifest = record_in(place.parent / "manifest.json") if place.name == _SUBFOLDER else None
        if manifest is None and place.name == _SUBFOLDER and run_in(place.parent) == TRAINED:
            raise InputError(f"the training in {place.parent} has not ended, so its adapter is none yet; run its command again")
        if find_spec("peft") is None:
            raise MissingExtra(f"an adapter needs peft; install it with: {install_command('train')}")
        known = (manifest or {}).get(BASE_WEIGHTS)
        return cls(place, base, known if isinstance(known, str) else None)

    @property
    def name(self) -> str:
        """What to call it: its folder, or that of its training."""
        return (self.folder.parent if self.folder.name == _SUBFOLDER else self.folder).resolve().name

    @property
    def revision(self) -> str:
        """The digest of its configuration, weights and tokenizer."""
        return _digest(self.folder, ".json", ".safetensors", ".jinja", "adapter_model.bin")

    @property
    def tokenizer_folder(self) -> str:
        """The folder or Hub id of its tokenizer: its own, else its base's."""
        return str(self.folder) if (self.folder / _TOKENIZER).is_file() else self.base

    def checked_base(self) -> str:
        """The base's folder or Hub id. Raises InputError where there is no such model now."""
        try:
            load_config(self.base)
        except InputError as error:
            raise InputError(f"the base that {self.folder / _CONFIG} names cannot be used: {error}") from error
        return self.base

    def check_base(self, name: str) -> None:
        """Raise InputError unless a model is the one that this adapter was trained on, by its weights if they are known, or by name."""
        if self.base_weights is not None and (weights := weights_digest(name)) is not None:
            if weights != self.base_weights:
                raise InputError(
                    f"{self.folder} was trained on other weights than {name} has now (its base was {self.base}); name the base that it had"
                )
        elif not _is_named(self.base, name):
            raise InputError(
                f"{self.folder} is an adapter of {self.base}, not of {name}; name its own base, with adapters of that one only (or "
                f"correct base_model_name_or_path in its {_CONFIG}, if both are the same model)"
            )


def model_adapter(name: str) -> Adapter | None:
    """The adapter that a folder holds in the place of a model; None for a model, and for a Hub id."""
    folder = Path(name).expanduser()
    if (folder / "config.json").is_file() or not any((place / _CONFIG).is_file() for place in (folder, folder / _SUBFOLDER)):
        return None
    return Adapter.read(folder)


def tokenizer_folder(name: str) -> str:
    """The folder or Hub id with the tokenizer of a model, which may be an adapter."""
    adapter = model_adapter(name)
    return adapter.tokenizer_folder if adapter else name


def weights_digest(name: str) -> str | None:
    """The digest of the weights in a model folder; None for a Hub id."""
    folder = Path(name).expanduser()
    return _digest(folder, ".safetensors", ".bin") if folder.is_dir() else None


class Adapters:
    """The adapters on a model in memory, put there with their first use. At most one at a time takes part in what the model computes."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._peft: Any = None
        self._names = dict[Adapter, str]()
        self._used: Adapter | None = None

    def use(self, adapter: Adapter | None) -> None:
        """Have the model compute with this adapter, or without any. Raises InputError for one that does not fit it."""
        if adapter == self._used:
            return
        if adapter is None:
            self._peft.base_model.disable_adapter_layers()
        else:
            if adapter not in self._names:
                self._put(adapter)
            self._peft.base_model.enable_adapter_layers()
            self._peft.set_adapter(self._names[adapter])
        self._used = adapter

    def _put(self, adapter: Adapter) -> None:
        from peft import PeftConfig, PeftModel

        name = f"adapter{len(self._names)}"  # peft's names are those of modules, so they have no dots
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what is missing is refused below
                if self._peft is None:
                    self._peft = PeftModel(self._model, PeftConfig.from_pretrained(str(adapter.folder), inference_mode=True), name)
                found = self._peft.load_adapter(str(adapter.folder), name, torch_device=str(self._model.device))
        except Exception as error:  # border: peft reports what does not fit through errors of every type
            raise InputError(f"{adapter.folder} cannot be put on {adapter.base}: {one_line(error):.300}") from error
        if wrong := [*found.missing_keys, *found.unexpected_keys]:
            raise InputError(f"{adapter.folder} does not fit {adapter.base}: {len(wrong)} weights have no counterpart, such as {wrong[0]}")
        self._peft.eval()
        self._names[adapter] = name


def _is_named(base: str, name: str) -> bool:
    """Whether two names mean one model: equal, the same folder, or a folder called like the model."""
    one, other = (Path(text).expanduser() for text in (base, name))
    return base == name or same_file(one, other) or one.resolve().name == other.resolve().name


def _digest(folder: Path, *ends: str) -> str:
    digest = hashlib.sha256()
    try:
        for file in sorted(folder.glob("*")):
            if file.name.endswith(ends) and file.is_file():
                digest.update(f"{file.name}:{file_sha256(file)}\n".encode())
    except OSError as error:
        raise InputError(f"model folder {folder} cannot be read ({error.filename}: {error.strerror})") from error
    return digest.hexdigest()[:16]
