"""The stages of a table at one scale: data, then for each arm pruning, training and evaluating, then statistics and the report."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from asap.dataset.containers import files_of
from asap.errors import UsageError
from asap.reproduce.stage import ResultOf, RowsLike, Stage, Typed, option_words
from asap.reproduce.table import ArmSettings, EvaluationSettings, Experiment, Scale, Variant
from asap.reproduce.work import evaluation_work, pruning_work, training_work


@dataclass(frozen=True)
class Chain:
    """The stages of one variant of a table, in an order in which they can run, and which of them belong to which arm."""

    table: Experiment
    scale: Scale
    variant: Variant
    stages: tuple[Stage, ...]
    pruned: Mapping[str, Stage] = field(default_factory=dict)
    trained: Mapping[tuple[str, int], Stage] = field(default_factory=dict)
    evaluated: Mapping[tuple[str, int, str], Stage] = field(default_factory=dict)


def chain_of(table: Experiment, scale_name: str, variant_name: str, sources: Sequence[str] | None = None) -> Chain:
    """The chain of a table at a scale, with other rows if `sources` are given.

    Raises UsageError if the table lacks the scale or the variant.
    """
    if scale_name not in table.scales:
        raise UsageError(f"{table.name} has no scale {scale_name!r}; choose --scale {', '.join(table.scales)}")
    scale = table.scales[scale_name]
    if variant_name not in scale.variants:
        raise UsageError(f"{table.name} at scale {scale_name} has no variant {variant_name!r}; it has {', '.join(scale.variants)}")
    if sources:
        scale = replace(scale, rows=replace(scale.rows, sources=tuple(sources)))
    variant = scale.variants[variant_name]
    data = _data(scale)
    pruned = _pruned(scale, variant, data)
    trained = _trained(scale, variant, data, pruned)
    evaluated = {
        (arm.name, seed, evaluation.name): _evaluated(scale, arm, seed, evaluation, trained)
        for arm in variant.arms
        for seed in (scale.seeds if arm.trained else scale.seeds[:1])
        for evaluation in scale.evaluations
    }
    compared = [*_compared(scale, variant, evaluated)]
    reports = [_report(table, paper, variant, trained, evaluated) for paper in table.papers or ("",)]
    stages = dict.fromkeys([data, *pruned.values(), *trained.values(), *evaluated.values(), *compared, *reports])
    return Chain(table, scale, variant, tuple(stages), pruned, trained, evaluated)


def _data(scale: Scale) -> Stage:
    """The rows that all arms start from: read, checked, and nothing removed."""
    rows = scale.rows
    words = ["prune", *rows.sources, *option_words(rows.options), "--method", "original", "--scorer", scale.scorer.spec]
    subset, split = (None if name not in rows.options else str(rows.options[name]) for name in ("subset", "split"))
    there = [Path(source) for source in rows.sources if Path(source).exists()]
    return Stage("data", "", tuple(words), files=tuple(str(file) for path in there for file in files_of(path, subset, split)))


def _pruned(scale: Scale, variant: Variant, data: Stage) -> dict[str, Stage]:
    """For each trained arm the stage that made its rows."""
    found = dict[str, Stage]()
    for arm in variant.arms:
        work = pruning_work(scale, arm)
        if arm.prune:
            words: list[Typed] = ["prune", ResultOf(data, file="pruned.jsonl"), "--scorer", scale.scorer.spec, *option_words(arm.prune)]
            words += ["--replies", ResultOf(found[arm.replies_of])] if arm.replies_of else []
            found[arm.name] = Stage("prune", arm.name, tuple(words), work)
        elif arm.cut:
            assert arm.cut_of is not None
            found[arm.name] = Stage("cut", arm.name, ("cut", ResultOf(found[arm.cut_of]), *option_words(arm.cut)))
        elif arm.trained:
            found[arm.name] = data
    return found


def _trained(scale: Scale, variant: Variant, data: Stage, pruned: Mapping[str, Stage]) -> dict[tuple[str, int], Stage]:
    """For each trained arm and seed the stage that trains it. The arm whose rows the others take comes first."""
    arms = sorted((arm for arm in variant.arms if arm.trained), key=lambda arm: arm.name != variant.same_rows)
    found = dict[tuple[str, int], Stage]()
    for seed in scale.seeds:
        for arm in arms:
            words: list[Typed] = ["train", ResultOf(pruned[arm.name]), "--model", scale.model.spec, *option_words(scale.train)]
            words += ["--set", f"seed={seed}"]
            if arm.rows_like:
                words += ["--limit", RowsLike(pruned[arm.name], pruned[arm.rows_like]), "--drop-long"]
            elif arm.name == variant.same_rows:
                words += ["--drop-long"]
            elif variant.same_rows:
                words += ["--ids-from", ResultOf(found[variant.same_rows, seed])]
            recipe = str(scale.train["recipe"])
            files = (recipe,) if Path(recipe).is_file() else ()
            found[arm.name, seed] = Stage("train", _with_seed(scale, arm, seed), tuple(words), training_work(scale, variant, arm), files)
    return found


def _with_seed(scale: Scale, arm: ArmSettings, seed: int) -> str:
    return arm.name if len(scale.seeds) == 1 or not arm.trained else f"{arm.name}-seed{seed}"


def _evaluated(
    scale: Scale, arm: ArmSettings, seed: int, evaluation: EvaluationSettings, trained: Mapping[tuple[str, int], Stage]
) -> Stage:
    """One arm on one group of benchmarks."""
    label = _with_seed(scale, arm, seed)
    options = option_words({**evaluation.options, **arm.evaluate})
    own = trained.get((arm.name, seed))
    model: Typed = ResultOf(own, "hf:") if own else scale.model.spec
    bare: Typed = ResultOf(own) if own else scale.model.spec.removeprefix("hf:")
    words: list[Typed] = ["evaluate", "--model", model, *options]
    if scale.serve:
        words = ["evaluate", "--model", f"openai:{label}", "--tokenizer", bare, *options]
    serve = tuple(bare if word == "{model}" else word.replace("{name}", label) for word in shlex.split(scale.serve or ""))
    names = (part.partition(":")[2] for part in str(evaluation.options["benchmark"]).split(","))
    files = tuple(file for file in names if Path(file).is_file())
    work = evaluation_work(scale, evaluation)
    return Stage("evaluate", f"{label}-{evaluation.name}", tuple(words), work, files, serve)


def _compared(scale: Scale, variant: Variant, evaluated: Mapping[tuple[str, int, str], Stage]) -> Iterator[Stage]:
    """Each arm beside the reference arm of the same seed, on each group of benchmarks."""
    arms = {arm.name: arm for arm in variant.arms}
    for (_, seed, group), stage in evaluated.items():
        of_reference = seed if arms[variant.reference].trained else scale.seeds[0]
        reference = evaluated[variant.reference, of_reference, group]
        if stage is not reference:
            yield Stage("compare", stage.label, ("compare-runs", ResultOf(reference), ResultOf(stage)))


def _report(
    table: Experiment,
    paper: str,
    variant: Variant,
    trained: Mapping[tuple[str, int], Stage],
    evaluated: Mapping[tuple[str, int, str], Stage],
) -> Stage:
    """The report on all arms, each with its evaluations and trainings of all seeds, beside the figures of one table of the paper."""
    words: list[Typed] = ["report"]
    for arm in variant.arms:
        stages = [stage for (name, *_), stage in (*evaluated.items(), *trained.items()) if name == arm.name]
        words += [ResultOf(stage, f"{arm.name}=") for stage in stages]
    words += ["--reference", variant.reference, "--title", table.title, *(["--paper", paper] if paper else [])]
    return Stage("report", paper, tuple(words))
