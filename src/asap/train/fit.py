"""A training run: trains or continues from the last complete checkpoint, then saves and describes the model.

DIR/settings.json      the run's settings; a run with other settings does not continue here
DIR/rows.jsonl         id, tokens and response tokens of each row, in training order; rejected.jsonl: rows that could not be used
DIR/corpus-KEY/        the encoded rows, for all processes and for the same command again
DIR/steps.jsonl        loss, tokens, seconds and peak memory of each step
DIR/checkpoint-N/      to continue from
DIR/adapter/           of a LoRA run: the adapter with its tokenizer
DIR/                   at the end the model with its tokenizer, README.md (model card), and manifest.json last
"""

import json
import warnings
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from asap.atomic import alone_in, replacing
from asap.dataset.source import Source
from asap.errors import InputError, one_line
from asap.lm.adapter import BASE_WEIGHTS, weights_digest
from asap.lm.cpu import multiply_fast
from asap.lm.cuda import attend_in_any_shape
from asap.lm.hub import load_causal_lm
from asap.lm.memory import is_out_of_memory
from asap.ownership import record_in
from asap.sealed import write_sealed
from asap.train.card import model_card
from asap.train.distributed import process
from asap.train.gather import rows_file
from asap.train.job import PreparedTraining, claim, last_checkpoint, note_saving
from asap.train.recipe import accumulation, lora_options
from asap.train.setting import MODEL_SETTINGS, OWN_SETTINGS, missing_trainer
from asap.train.unsloth import UNSLOTH_PACKAGES, check_unchanged, load_with_unsloth
from asap.versions import versions_of

_WARMED_UP = "so few steps are all warm-up: take more rows or epochs, or --set warmup_steps=0"
_PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate", "datasets", "tokenizers")


def fit(prepared: PreparedTraining, out: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Train, or continue from the last checkpoint in `out`, or do nothing if the run is finished; returns the manifest.

    Raises Busy if another training is under way there.
    """
    with alone_in(out) if process().is_main else nullcontext():
        return _fit(prepared, out, say)


def _fit(prepared: PreparedTraining, out: Path, say: Callable[[str], None]) -> dict[str, Any]:
    main = process().is_main
    settings = claim(prepared, out, write=main)
    if (out / "manifest.json").is_file():
        say(f"{out} holds this run, finished; nothing was trained")
        finished = record_in(out / "manifest.json")
        if finished is None or not {"steps", "train_loss"} <= finished.keys():
            raise InputError(f"{out / 'manifest.json'} was changed since this run wrote it; choose another --out")
        return finished
    checkpoint = last_checkpoint(out)
    if checkpoint is not None:
        say(f"going on from {checkpoint}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # from TRL and peft, about names that transformers has replaced
        trainer = _trainer(prepared, out, checkpoint)
        if repeated := _repeated(trainer):
            say(f"note: the last step of an epoch repeats {repeated} of its first sequences, so that all processes have equal work")
        trained = _train(trainer, checkpoint)
        _save(trainer, prepared, out)
    from asap.train.trainer import read_steps

    steps = read_steps(out)
    if steps and not any(step["learning_rate"] for step in steps):
        say(f"note: nothing was learnt: the learning rate was 0 in every step; {_WARMED_UP}")
    losses = [step["loss"] for step in steps]  # the trainer's own mean leaves out what a killed run trained before
    trained_loss = sum(losses) / len(losses) if losses else trained.training_loss
    manifest = _manifest(prepared, settings, trainer, trained.global_step, trained_loss)
    if main:
        if (card := write_sealed(out / "README.md", model_card(manifest))).name != "README.md":
            say(f"note: {out / 'README.md'} was edited, and stays as it is; the new card is {card}")
        with replacing(out / "manifest.json") as file:
            file.write(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")
    return manifest


def _repeated(trainer: Any) -> int:
    """The number of sequences that accelerate repeats at the end of an epoch; a single process repeats none."""
    world = process().world
    return -len(trainer.train_dataset) % (trainer.args.per_device_train_batch_size * world) if world > 1 else 0


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


def _trainer(prepared: PreparedTraining, out: Path, checkpoint: Path | None) -> Any:
    """The trainer of a job, with its model loaded."""
    try:
        from datasets import Dataset, disable_progress_bars

        from asap.train.trainer import ResponseTrainer, StepLog
    except ImportError as error:
        raise missing_trainer() from error
    disable_progress_bars()
    attend_in_any_shape()
    values, unsloth = prepared.job.values, prepared.job.backend == "unsloth"
    options = {name: value for name, value in values.items() if name not in (*MODEL_SETTINGS, *OWN_SETTINGS)}
    options["bf16"] = _bf16(values["bf16"])
    args = _arguments(options, out, accumulation(values, process().world))
    model, lora = (load_with_unsloth(prepared.name, values), None) if unsloth else _model(prepared.name, values)
    tokenizer = prepared.template.tokens.hf
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    data = Dataset.from_file(str(prepared.corpus.file)).select_columns(["input_ids", "labels"])
    try:
        trainer = ResponseTrainer(
            model=model, args=args, train_dataset=data, processing_class=tokenizer, peft_config=lora, models_loss=unsloth
        )
    except (ValueError, ImportError) as error:  # border: peft and the trackers refuse values with these
        raise InputError(f"the trainer refuses these settings: {one_line(error)}") from error
    if unsloth:
        check_unchanged(trainer, options, prepared.corpus)
    done = int(json.loads((checkpoint / "trainer_state.json").read_text("utf-8"))["global_step"]) if checkpoint else 0
    if process().is_main:
        trainer.add_callback(StepLog(out, trainer.args.device, done))
    return trainer


def _model(name: str, values: Mapping[str, Any]) -> tuple[Any, Any]:
    """The model to train and, with use_peft, the LoRA configuration that the trainer applies."""
    import torch
    from peft import LoraConfig

    if not torch.accelerator.is_available():
        multiply_fast()
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
    """Whether to compute in bfloat16; `auto` means on a GPU that supports it. On a CPU the losses would depend on its kind."""
    if wanted != "auto":
        return bool(wanted)
    import torch

    return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)


def _save(trainer: Any, prepared: PreparedTraining, out: Path) -> None:
    """Save the trained model and its tokenizer in `out`; for a LoRA run, the merged model, and the adapter in out/adapter."""
    lora, merged = prepared.job.values["use_peft"], not prepared.job.adapter_only
    if process().is_main:
        note_saving(prepared)
    trainer.save_model(str(out / "adapter" if lora else out))
    if process().is_main and merged:
        if lora:
            from peft import AutoPeftModelForCausalLM

            AutoPeftModelForCausalLM.from_pretrained(out / "adapter").merge_and_unload().save_pretrained(out)
        prepared.template.tokens.hf.save_pretrained(out)
    trainer.accelerator.wait_for_everyone()


def _manifest(prepared: PreparedTraining, settings: Mapping[str, Any], trainer: Any, steps: int, loss: float) -> dict[str, Any]:
    base = weights_digest(prepared.name) if prepared.job.values["use_peft"] else None
    return {
        "settings": dict(settings),
        **({BASE_WEIGHTS: base} if base else {}),
        "data": _data_manifest(prepared.job.source),
        "counts": dict(prepared.corpus.counts),
        "steps": steps,
        "train_loss": round(float(loss), 6),
        "device": str(trainer.args.device.type),
        "processes": process().world,
        "bf16": trainer.args.bf16,
        "versions": versions_of((*_PACKAGES, *UNSLOTH_PACKAGES) if settings["backend"] == "unsloth" else _PACKAGES),
    }


def _data_manifest(source: Source) -> list[dict[str, Any]]:
    """The origin of the rows: each source, and how it was pruned if it has a manifest."""
    known = []
    for name in source.names:
        path = Path(rows_file(name))
        manifest = path.parent / "manifest.json"
        about: dict[str, Any] = {"source": name, "method": None}
        if path.name == "pruned.jsonl" and manifest.is_file():
            written = record_in(manifest) or {}
            settings = written["settings"] if isinstance(written.get("settings"), dict) else {}
            about |= {key: settings.get(key) for key in ("method", "coarse", "budget", "ratio", "sources", "seed")}
            scorer = settings.get("scorer")
            about["scorer"] = scorer.get("model") if isinstance(scorer, dict) else None
            about["input_hash"] = written.get("input_hash")
        known.append(about)
    return known
