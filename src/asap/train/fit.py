"""A training run: checks everything, trains or continues from the last complete checkpoint, then saves and describes the model.

DIR/settings.json      the run's settings; a run with other settings does not continue here
DIR/rows.jsonl         id, tokens and response tokens of each row, in training order; rejected.jsonl: rows that could not be used
DIR/steps.jsonl        loss, tokens, seconds and peak memory of each step
DIR/checkpoint-N/      to continue from
DIR/                   at the end the model with its tokenizer, README.md (model card), and manifest.json last
"""

import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asap.atomic import replacing
from asap.dataset.source import Source
from asap.errors import InputError, UsageError, one_line
from asap.lm.hub import load_causal_lm, load_config
from asap.lm.memory import is_out_of_memory
from asap.lm.model import context_limit
from asap.lm.specs import load_tokens, model_folder
from asap.train.card import model_card
from asap.train.corpus import Corpus, Wanted, data_manifest, gather
from asap.train.distributed import process
from asap.train.recipe import MODEL_SETTINGS, OWN_SETTINGS, accumulation, lora_options, missing_trainer
from asap.train.rows import shown_mask
from asap.train.template import TrainingTemplate
from asap.train.unsloth import UNSLOTH_PACKAGES, check_unchanged, load_with_unsloth
from asap.versions import __version__, versions_of

if TYPE_CHECKING:
    from rich.text import Text

_PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate", "datasets", "tokenizers")


@dataclass(frozen=True)
class TrainingJob:
    """A training job: the source, the model spec, the recipe's values, the wanted rows, and the backend (trl or unsloth)."""

    source: Source
    model: str
    recipe: str
    values: Mapping[str, Any]
    wanted: Wanted
    backend: str = "trl"

    def settings(self, template: TrainingTemplate, corpus: Corpus) -> dict[str, Any]:
        """Everything that determines the trained model, by name; JSON-able."""
        return {
            "asap": __version__,
            "model": self.model,
            "recipe": self.recipe,
            "values": dict(self.values),
            "backend": self.backend,
            **self.source.as_settings(),
            "wanted": {name: str(value) if isinstance(value, Path) else value for name, value in asdict(self.wanted).items()},
            "template_hash": template.hash,
            "tokenizer": template.tokens.fingerprint,
            "rows_hash": corpus.hash,
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
        return shown_mask(self.template, self.corpus.rows[0])


def prepare(job: TrainingJob) -> PreparedTraining:
    """Read and check everything that can be checked without training. Raises UsageError or InputError."""
    if job.model.startswith("openai:"):
        raise UsageError(
            f"--model {job.model}: a model behind a server cannot be trained; name bundled, hf:<hub id or folder> or gguf:<file>"
        )
    name = model_folder(job.model)
    config = load_config(name)
    accumulation(job.values, process().world)
    template = TrainingTemplate(load_tokens(job.model))
    corpus = gather(job.source, template, min(job.values["max_length"], context_limit(config)), job.wanted)
    return PreparedTraining(job, name, template, corpus)


def fit(prepared: PreparedTraining, out: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Train, or continue from the last checkpoint in `out`, or do nothing if the run is finished; returns the manifest."""
    main = process().is_main
    settings = claim(prepared, out, write=main)
    if (out / "manifest.json").is_file():
        say(f"{out} holds this run, finished; nothing was trained")
        finished: dict[str, Any] = json.loads((out / "manifest.json").read_text("utf-8"))
        return finished
    checkpoint = last_checkpoint(out)
    if checkpoint is not None:
        say(f"going on from {checkpoint}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # from TRL and peft, about names that transformers has replaced
        trainer = _trainer(prepared, out, checkpoint)
        trained = _train(trainer, checkpoint)
        _save(trainer, prepared, out)
    manifest = _manifest(prepared, settings, trainer, trained)
    if main:
        with replacing(out / "README.md") as file:
            file.write(model_card(manifest))
        with replacing(out / "manifest.json") as file:
            file.write(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")
    return manifest


def _train(trainer: Any, checkpoint: Path | None) -> Any:
    """Train from a checkpoint or from the start; raises InputError if memory does not suffice."""
    try:
        return trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        raise InputError(
            f"training did not fit into memory on {trainer.args.device}; try --set use_peft=true, --set gradient_checkpointing=true, "
            "a smaller per_device_train_batch_size, or shorter rows"
        ) from error


def last_checkpoint(out: Path) -> Path | None:
    """The newest complete checkpoint: trainer_state.json is the file that the trainer writes last."""
    whole = list[tuple[int, Path]]()
    for path in out.glob("checkpoint-*"):
        try:
            whole.append((int(json.loads((path / "trainer_state.json").read_text("utf-8"))["global_step"]), path))
        except (OSError, ValueError, KeyError):
            continue
    return max(whole)[1] if whole else None


def claim(prepared: PreparedTraining, out: Path, *, write: bool) -> dict[str, Any]:
    """Claim the folder for this run and return the run's settings. Raises InputError if it belongs to another run."""
    settings = prepared.job.settings(prepared.template, prepared.corpus)
    path = out / "settings.json"
    if path.is_file():
        stored = json.loads(path.read_text("utf-8"))
        differing = [name for name in sorted({*stored, *settings}) if stored.get(name) != settings.get(name)]
        if differing and (last_checkpoint(out) or (out / "manifest.json").is_file()):
            shown = "; ".join(f"{name} is {_short(stored.get(name))} there and {_short(settings.get(name))} here" for name in differing)
            raise InputError(f"{out} holds a training run with other settings: {shown}; choose another --out")
    elif out.is_dir() and any((out / name).exists() for name in ("work.sqlite", "config.json", "manifest.json")):
        raise InputError(f"{out} holds something else than a training run; choose another --out")
    if write:
        prepared.corpus.write(out)
        with replacing(path) as file:
            file.write(json.dumps(settings, indent=2, ensure_ascii=False) + "\n")
    return settings


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 120 else text[:117] + "..."


def _trainer(prepared: PreparedTraining, out: Path, checkpoint: Path | None) -> Any:
    """The trainer of a job, with its model loaded."""
    try:
        from datasets import Dataset, disable_progress_bars

        from asap.train.trainer import ResponseTrainer, StepLog
    except ImportError as error:
        raise missing_trainer() from error
    disable_progress_bars()
    values, unsloth = prepared.job.values, prepared.job.backend == "unsloth"
    options = {name: value for name, value in values.items() if name not in (*MODEL_SETTINGS, *OWN_SETTINGS)}
    options["bf16"] = _bf16(values["bf16"])
    args = _arguments(options, out, accumulation(values, process().world))
    model, lora = (load_with_unsloth(prepared.name, values), None) if unsloth else _model(prepared.name, values)
    tokenizer = prepared.template.tokens.hf
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    rows = [{"input_ids": row.input_ids, "labels": row.labels} for row in prepared.corpus.rows]
    data = Dataset.from_list(rows)
    try:
        trainer = ResponseTrainer(
            model=model, args=args, train_dataset=data, processing_class=tokenizer, peft_config=lora, models_loss=unsloth
        )
    except (ValueError, ImportError) as error:  # border: peft and the trackers refuse values with these
        raise InputError(f"the trainer refuses these settings: {one_line(error)}") from error
    if unsloth:
        check_unchanged(trainer, options, prepared.corpus.rows)
    done = int(json.loads((checkpoint / "trainer_state.json").read_text("utf-8"))["global_step"]) if checkpoint else 0
    if process().is_main:
        trainer.add_callback(StepLog(out, trainer.args.device, done))
    return trainer


def _model(name: str, values: Mapping[str, Any]) -> tuple[Any, Any]:
    """The model to train and, with use_peft, the LoRA configuration that the trainer applies."""
    import torch
    from peft import LoraConfig

    kept = {option: values[option] for option in ("attn_implementation",) if values.get(option)}
    model = load_causal_lm(name, dtype=getattr(torch, values["dtype"]), **kept)
    if not values["use_peft"]:
        return model, None
    return model, LoraConfig(**lora_options(values), task_type="CAUSAL_LM")


def _arguments(options: dict[str, Any], out: Path, accumulate: int) -> Any:
    """The trainer's arguments: the recipe's, and those that our runs require."""
    import torch
    from trl import SFTConfig

    if not torch.accelerator.is_available():
        options["use_cpu"] = True
    options.setdefault("padding_free", False)  # else unsloth chooses
    if not options.get("packing"):
        options["max_length"] = None  # no row may be cut: longer ones were refused before
    unpadded = options.get("packing") or options.get("padding_free")
    try:
        return SFTConfig(
            **options,
            output_dir=str(out),
            gradient_accumulation_steps=accumulate,
            include_num_input_tokens_seen="all" if unpadded else "non_padding",
            logging_nan_inf_filter=False,
        )
    except (ValueError, TypeError, ImportError) as error:  # border: TRL and transformers refused a value that the user chose
        raise InputError(f"the trainer refuses these settings: {one_line(error)}") from error


def _bf16(wanted: bool | str) -> bool:
    """Whether to compute in bfloat16; `auto` means on a GPU that supports it."""
    if wanted != "auto":
        return bool(wanted)
    import torch

    return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)


def _save(trainer: Any, prepared: PreparedTraining, out: Path) -> None:
    """Save the trained model and its tokenizer in `out`; for a LoRA run, the merged model, and the adapter in out/adapter."""
    tokenizer = prepared.template.tokens.hf
    if not prepared.job.values["use_peft"]:
        trainer.save_model(str(out))
    else:
        trainer.save_model(str(out / "adapter"))
        if process().is_main:
            from peft import AutoPeftModelForCausalLM

            AutoPeftModelForCausalLM.from_pretrained(out / "adapter").merge_and_unload().save_pretrained(out)
    if process().is_main:
        tokenizer.save_pretrained(out)
    trainer.accelerator.wait_for_everyone()


def _manifest(prepared: PreparedTraining, settings: Mapping[str, Any], trainer: Any, trained: Any) -> dict[str, Any]:
    return {
        "settings": dict(settings),
        "data": data_manifest(prepared.job.source),
        "counts": prepared.corpus.counts,
        "steps": trained.global_step,
        "train_loss": round(float(trained.training_loss), 6),
        "device": str(trainer.args.device.type),
        "processes": process().world,
        "bf16": trainer.args.bf16,
        "versions": versions_of((*_PACKAGES, *UNSLOTH_PACKAGES) if settings["backend"] == "unsloth" else _PACKAGES),
    }
