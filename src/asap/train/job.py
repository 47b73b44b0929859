"""A training job before it starts: its settings, all checks that need no training, and the claim of its output folder."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asap.atomic import replacing
from asap.dataset.source import Source
from asap.errors import InputError, UsageError
from asap.json_values import told_apart
from asap.lm.hub import load_config
from asap.lm.model import context_limit
from asap.lm.specs import load_tokens, model_folder
from asap.lm.training_rows import shown_mask
from asap.lm.training_template import TrainingTemplate
from asap.ownership import TRAINED, claim_folder, record_in, refuse_foreign_files, refuse_sources
from asap.train.corpus import Corpus
from asap.train.distributed import process
from asap.train.gather import Wanted, gather, rows_file
from asap.train.recipe import accumulation
from asap.train.shared import corpus_key, ids_file, remove_others, shared_corpus
from asap.versions import __version__

if TYPE_CHECKING:
    from rich.text import Text

_ROWS_HASH = "rows_hash"
_SAVED = "saved"  # in the folder of a corpus, once the model's files beside it are ours
_OF_A_MODEL = (
    *("config.json", "generation_config.json", "*.safetensors", "*.safetensors.index.json", "pytorch_model*", "training_args.bin"),
    *("tokenizer*", "special_tokens_map.json", "added_tokens.json", "chat_template*", "adapter", "adapter_*"),
)


@dataclass(frozen=True)
class TrainingJob:
    """A training job: the source, the model spec, the recipe's values, the wanted rows, and the backend (trl or unsloth).

    `adapter_only`: of a LoRA run only the adapter is kept, without a merged model.
    """

    source: Source
    model: str
    recipe: str
    values: Mapping[str, Any]
    wanted: Wanted
    backend: str = "trl"
    adapter_only: bool = False

    def settings(self, template: TrainingTemplate) -> dict[str, Any]:
        """Everything that determines the trained model apart from the rows, by name; JSON-able."""
        return {
            "asap": __version__,
            "model": self.model,
            "recipe": self.recipe,
            "values": dict(self.values),
            "backend": self.backend,
            **({"adapter_only": True} if self.adapter_only else {}),
            **self.source.as_settings(),
            "wanted": {name: str(value) if isinstance(value, Path) else value for name, value in asdict(self.wanted).items()},
            "template_hash": template.hash,
            "tokenizer": template.tokens.fingerprint,
        }


@dataclass(frozen=True)
class PreparedTraining:
    """A job that passed every check: its rows, its template and the model's folder or Hub id."""

    job: TrainingJob
    name: str
    template: TrainingTemplate
    corpus: Corpus

    @property
    def first_row(self) -> "Text":
        """The first row with its loss mask, for people to check."""
        return shown_mask(self.template, next(iter(self.corpus)))


def prepare(job: TrainingJob, out: Path, *, to_train: bool = True) -> PreparedTraining:
    """Check everything that can be checked without training, and encode the rows into `out` unless they are there already.

    Rows that are not to train here keep their samples. Raises UsageError or InputError; then `out` is as it was.
    """
    if job.model.startswith("openai:"):
        raise UsageError(
            f"--model {job.model}: a model behind a server cannot be trained; name bundled, hf:<hub id or folder> or gguf:<file>"
        )
    if job.adapter_only and not job.values["use_peft"]:
        raise UsageError("--adapter-only is about a LoRA, and this run trains all parameters; add --set use_peft=true")
    claim_folder(out, TRAINED)
    refuse_sources(out, _files_read(job))
    name = model_folder(job.model)
    limit = min(job.values["max_length"], context_limit(load_config(name)))
    accumulation(job.values, process().world)
    template = TrainingTemplate(load_tokens(job.model))
    settings = job.settings(template)
    if to_train:
        _refuse_other(out, settings)
        _refuse_foreign_model(out, template)

    def make(folder: Path) -> None:
        corpus = gather(job.source, template, limit, job.wanted, folder, samples=not to_train)
        if to_train:
            _refuse_other(out, {**settings, _ROWS_HASH: corpus.hash})

    key = corpus_key(job.source, template, limit, job.wanted, samples=not to_train)
    return PreparedTraining(job, name, template, shared_corpus(out, key, make))


def claim(prepared: PreparedTraining, out: Path, *, write: bool) -> dict[str, Any]:
    """Claim the folder for this run and return the run's settings. Raises InputError if it belongs to another run."""
    settings = {**prepared.job.settings(prepared.template), _ROWS_HASH: prepared.corpus.hash}
    _refuse_other(out, settings)
    if write:
        remove_others(prepared.corpus)
        prepared.corpus.write(out)
        with replacing(out / "settings.json") as file:
            file.write(json.dumps(settings, indent=2, ensure_ascii=False) + "\n")
    return settings


def note_saving(prepared: PreparedTraining) -> None:
    """Note that the files of a model which lie in the run's folder from now on are ours."""
    (prepared.corpus.folder / _SAVED).touch()


def last_checkpoint(out: Path) -> Path | None:
    """The newest complete checkpoint: trainer_state.json is the file that the trainer writes last."""
    whole = list[tuple[int, Path]]()
    for path in out.glob("checkpoint-*"):
        try:
            whole.append((int(json.loads((path / "trainer_state.json").read_text("utf-8"))["global_step"]), path))
        except (OSError, ValueError, LookupError, TypeError):
            continue
    return max(whole)[1] if whole else None


def _files_read(job: TrainingJob) -> list[str | Path]:
    """The files of rows, ids and settings that a job reads."""
    ids = [] if job.wanted.ids_from is None else [ids_file(job.wanted.ids_from)]
    return [*map(rows_file, job.source.names), *ids, *([job.recipe] if Path(job.recipe).suffix in (".yaml", ".yml") else [])]


def _refuse_other(out: Path, settings: Mapping[str, Any]) -> None:
    """Raise InputError if the folder belongs to a run with other settings."""
    stored = record_in(out / "settings.json")
    if stored is not None:
        names = {*stored, *settings} - ({_ROWS_HASH} - settings.keys())
        differing = [name for name in sorted(names) if stored.get(name) != settings.get(name)]
        if differing and (last_checkpoint(out) or (out / "manifest.json").is_file()):
            shown = told_apart(stored, settings, differing)
            raise InputError(f"{out} holds a training run with other settings: {shown}; choose another --out")


def _refuse_foreign_model(out: Path, template: TrainingTemplate) -> None:
    """Raise InputError for a file in a run's folder that the trained model would replace, unless the run has begun to save it."""
    if (out / "manifest.json").is_file() or any(out.glob(f"corpus-*/{_SAVED}")):
        return
    patterns = (*_OF_A_MODEL, *(name for name in template.tokens.hf.vocab_files_names.values() if isinstance(name, str)))
    refuse_foreign_files(out, (path.name for pattern in patterns for path in out.glob(pattern)), ())
