"""What the commands of later stages would refuse, known before the first one: wrong values of options, and what is not on this machine."""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from asap.benchmarks.load import benchmark_files
from asap.dataset.hub import looks_like_hub_id
from asap.errors import InputError
from asap.evaluate.plan import Plan
from asap.lm.specs import Spec
from asap.prune.fine.removal import check_budget
from asap.prune.methods import check_method
from asap.reproduce.chain import Chain
from asap.reproduce.fields import Options, said_at
from asap.reproduce.record import Records
from asap.reproduce.stage import option_words
from asap.reproduce.table import Scale, benchmarks_in, recipe_of
from asap.reproduce.work import pruning_settings
from asap.train.launch import wanted_launch
from asap.train.setting import missing_trainer, trainer_is_here

Parse = Callable[[Sequence[str]], Mapping[str, Any]]
"""The values that a command's parser reads from the words of a command; it raises UsageError."""

_COMMANDS = {
    "data": ("prune", "rows"),
    "prune": ("prune", "rows"),
    "cut": ("cut", "run", "--out", "out"),
    "train": ("train", "rows", "--model", "bundled", "--out", "out"),
    "evaluate": ("evaluate", "--out", "out"),
}
"""The command of each kind of options, with what it needs beside them."""


class _Block(NamedTuple):
    """Options of one kind in a table's file, and where they stand."""

    place: str
    kind: str
    options: Options


def check_options(scale: Scale, parse: Parse) -> None:
    """Raise UsageError for options that their command would refuse, whatever rows and models it gets."""
    for place, kind, options in _blocks(scale):
        with said_at(place):
            values = parse([*_COMMANDS[kind], *option_words(options)])
            if kind in _CHECKS:
                _CHECKS[kind](options, values)


def _blocks(scale: Scale) -> Iterator[_Block]:
    yield _Block(f"{scale.place}: rows: options", "data", scale.rows.options)
    yield _Block(f"{scale.place}: train", "train", scale.train)
    for evaluation in scale.evaluations:
        yield _Block(f"{scale.place}: evaluate: {evaluation.name}: options", "evaluate", evaluation.options)
    for variant in scale.variants.values():
        for arm in variant.arms:
            place = f"{scale.place}: {variant.name}: arms: {arm.name}"
            if arm.prune:
                yield _Block(f"{place}: prune", "prune", arm.prune)
            if arm.cut:
                yield _Block(f"{place}: cut", "cut", arm.cut)
            for evaluation in scale.evaluations if arm.evaluate else ():
                yield _Block(f"{place}: evaluate", "evaluate", {**evaluation.options, **arm.evaluate})


def _check_pruning(options: Options, _: Mapping[str, Any]) -> None:
    pruning_settings(options)
    if "llm" in options:
        Spec.read(str(options["llm"]))


def _check_cut(options: Options, _: Mapping[str, Any]) -> None:
    check_budget(budget=options.get("budget"), ratio=options.get("ratio"))
    check_method(str(options.get("method", "asap")))


def _check_training(options: Options, values: Mapping[str, Any]) -> None:
    recipe_of(options)
    wanted_launch(values.get("launch"))


def _check_evaluation(_: Options, values: Mapping[str, Any]) -> None:
    names = ("max_new_tokens", "temperature", "top_p", "budgets", "gamma")
    Plan(samples=values.get("n", 1), **{name: values[name] for name in names if name in values}).check()


_CHECKS = {"prune": _check_pruning, "cut": _check_cut, "train": _check_training, "evaluate": _check_evaluation}


def check_machine(chain: Chain, records: Records) -> None:
    """Raise InputError or MissingExtra if a stage that is not done needs what is not here: a file, a program, TRL. Fetches official
    benchmarks.
    """
    left = [stage for stage in chain.stages if records.of(stage).state != "done"]
    if any(stage.kind == "train" for stage in left) and not trainer_is_here():
        raise missing_trainer()
    if any(stage.kind == "data" for stage in left):
        for source in chain.scale.rows.sources:
            if not Path(source).exists() and not looks_like_hub_id(source):
                raise InputError(
                    f"{chain.scale.place}: rows: there is no file or folder {source}, nor one of that name in traces/ under the folder "
                    f"that ASAP_DATA names; say where the rows are with --data, for example --data path/to/{Path(source).name}"
                )
    evaluated = [stage for stage in left if stage.kind == "evaluate"]
    for stage in evaluated:
        if stage.serve and isinstance(program := stage.serve[0], str) and shutil.which(program) is None:
            raise InputError(f"{chain.scale.place}: serve: there is no program {program} here, which {stage.name} needs; install it first")
    for evaluation in chain.scale.evaluations if evaluated else ():
        for name in benchmarks_in(evaluation.options):
            _check_files(f"{chain.scale.place}: evaluate: {evaluation.name}", name)


def _check_files(place: str, name: str) -> None:
    """Raise InputError if a file of a benchmark is not here and, for an official one, cannot be fetched now."""
    try:
        files = benchmark_files(name)
    except InputError as error:
        raise InputError(f"{place}: benchmark {name}: {error}") from error
    if lacking := [str(file) for file in files if not file.is_file()]:
        raise InputError(f"{place}: benchmark names {name}, and there is no file {lacking[0]}")
