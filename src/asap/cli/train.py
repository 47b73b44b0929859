"""`asap train`: fine-tunes a model on reasoning traces."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Group, Parameter

from asap.cli.manner import manner
from asap.cli.options import (
    AS_IT_IS,
    DATA,
    MODEL,
    RUN,
    Columns,
    HubConfig,
    HubSplit,
    Limit,
    Out,
    RowOptions,
    Sources,
    at_least,
    parse_columns,
)
from asap.cli.result import show
from asap.cli.terminal import console_for, say
from asap.errors import UsageError
from asap.revealed import revealed

if TYPE_CHECKING:
    from asap.train.job import PreparedTraining

TRAIN = Group("How to train", sort_key=2)


def train(
    source: Sources,
    /,
    *,
    model: Annotated[str, Parameter(help="The model to start from: bundled, hf:<hub id or folder> or gguf:<file>.", group=MODEL)],
    out: Out,
    recipe: Annotated[
        str, Parameter(help="paper-qwen-7b, paper-llama-8b (Appendix A of the paper), laptop, or a .yaml file.", group=TRAIN)
    ] = "laptop",
    set: Annotated[
        list[str] | None,
        Parameter(help="key=value on top of the recipe, with TRL's names; one or more.", group=TRAIN),
    ] = None,
    ids_from: Annotated[
        Path | None,
        Parameter(help="Exactly the rows of this training run, pruned folder or file, in its order: equal arms.", group=DATA),
    ] = None,
    drop_long: Annotated[
        bool, Parameter(negative="", help="Leave out rows longer than max_length instead of stopping.", group=DATA)
    ] = False,
    mask_pruned: Annotated[
        bool,
        Parameter(negative="", help="Full traces as context, the loss only on kept steps (an output folder of asap prune).", group=TRAIN),
    ] = False,
    adapter_only: Annotated[
        bool, Parameter(negative="", help="Of a LoRA keep only the adapter, without a merged model beside it.", group=TRAIN)
    ] = False,
    emit_config: Annotated[
        Literal["trl", "axolotl", "llamafactory"] | None,
        Parameter(help="Write rows and a config for another tool into --out instead of training.", group=RUN),
    ] = None,
    launch: Annotated[
        str | None,
        Parameter(help="Run under accelerate: 1x24gb, 1x80gb, 8x80gb, or a .yaml file of accelerate config.", group=RUN),
    ] = None,
    backend: Annotated[Literal["trl", "unsloth"], Parameter(help="Who trains; unsloth has an environment of its own.", group=RUN)] = "trl",
    columns: Columns = None,
    row_options: RowOptions = AS_IT_IS,
    hub_config: HubConfig = None,
    hub_split: HubSplit = None,
    limit: Limit = None,
    max_rejected: Annotated[int | None, Parameter(help="Stop before training if more rows cannot be used.", group=DATA)] = None,
) -> int:
    """Fine-tune a model on traces, with the loss on `<think>…</think>answer` only; no row is ever cut.

    Writes the model, steps.jsonl, rows.jsonl, rejected.jsonl, settings.json, README.md and manifest.json into --out. The same
    command again goes on from the last checkpoint.

    Examples:

        asap train pruned --model hf:deepseek-ai/DeepSeek-R1-Distill-Qwen-7B --recipe paper-qwen-7b --launch 8x80gb --out trained

        asap train pruned --model bundled --out trained --set learning_rate=1e-4 --set max_length=1024
    """
    if backend == "unsloth":
        from asap.train.unsloth import start_unsloth

        start_unsloth(launch)  # before TRL and transformers are imported
    from asap.dataset.source import Source
    from asap.train.distributed import process
    from asap.train.fit import fit
    from asap.train.gather import Wanted
    from asap.train.job import TrainingJob, claim, prepare
    from asap.train.launch import launched, wanted_launch
    from asap.train.recipe import load_recipe

    at_least("max-rejected", max_rejected, 0)
    launch = wanted_launch(launch)
    rows = Source(source, parse_columns(columns), hub_config, hub_split, at_least("limit", limit, 1), rules=row_options.rules())
    wanted = Wanted(ids_from, drop_long, mask_pruned)
    job = TrainingJob(rows, model, recipe, load_recipe(recipe, set or []), wanted, backend, adapter_only)
    prepared = prepare(job, out, to_train=emit_config is None)
    main = process().is_main
    if main and launch is None:
        _tell(prepared)
    rejected = prepared.corpus.counts["rejected"]
    if max_rejected is not None and rejected > max_rejected:
        prepared.corpus.write(out)
        raise UsageError(f"rows that cannot be used: {rejected}, more than --max-rejected {max_rejected} allows")
    if emit_config is not None:
        from asap.train.export import emit

        files = [str(path) for path in emit(prepared, emit_config, out)]
        show(revealed(f"written: {', '.join(files)}", keep=""), out=str(out), files=files, counts=prepared.corpus.counts)
        return 0
    if launch is not None:  # all checks passed: start the processes that train
        claim(prepared, out, write=False)
        code = launched(launch, [word for word in sys.argv[1:] if word != "--json"])
        if manner().json and code == 0:
            show(None, out=str(out), **json.loads((out / "manifest.json").read_text(encoding="utf-8")))
        return code
    try:
        with _progress_on_stderr():
            manifest = fit(prepared, out, lambda text: say(text, error=True) if main else None)
    except KeyboardInterrupt:
        say(f"asap: interrupted; the same command again goes on from the last checkpoint in {out}", error=True)
        return 130
    if main:
        told = f"{manifest['steps']:,} steps, mean loss {manifest['train_loss']:.4f}; written: {out} (hf:{out} is the trained model)"
        show(revealed(told, keep=""), out=str(out), **manifest)
    return 0


@contextmanager
def _progress_on_stderr() -> Iterator[None]:
    """Send what the trainer prints of its steps to stderr, or nowhere with --quiet, until the block ends."""
    if not manner().quiet:
        with redirect_stdout(sys.stderr):
            yield
        return
    from transformers.utils import logging

    logging.set_verbosity_error()  # which also leaves the trainer's bar out
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        yield


def _tell(prepared: "PreparedTraining") -> None:
    """Print on stderr what the run will train on, and one row with its loss mask."""
    counts = prepared.corpus.counts
    console = console_for(stderr=True)
    console.print("The first row; the loss is on what is green and between « » only:", style="bold")
    console.print(prepared.first_row)
    told = (
        f"{counts['rows']:,} rows, {counts['tokens']:,} tokens ({counts['response_tokens']:,} learnt), longest {counts['longest']:,}; "
        f"template {prepared.template.hash}"
    )
    console.print(told, soft_wrap=True)
    notes = (
        ("rejected", "rows that cannot be used, see rejected.jsonl"),
        ("dropped_long", "rows longer than max_length, left out"),
        ("filtered", "rows that do not meet --where, left out"),
        ("not_in_ids_from", "rows not among the ids of --ids-from, left out"),
        ("rewritten_to_nfc", "rows with characters that the tokenizer rewrites (Unicode NFC)"),
    )
    for name, text in notes:
        if counts.get(name):
            console.print(f"note: {text}: {counts[name]:,}", soft_wrap=True)
