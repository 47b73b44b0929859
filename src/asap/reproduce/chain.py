"""The stages of a table at one scale: data, then for each arm pruning, training and evaluating, then statistics and the report."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from asap.benchmarks.files import data_file
from asap.dataset.containers import files_of
from asap.errors import UsageError
from asap.reproduce.arms import VARIANTS, ArmSettings, Variant
from asap.reproduce.stage import ResultOf, RowsLike, Stage, Typed, option_words
from asap.reproduce.table import EvaluationSettings, Experiment, Scale, benchmarks_in
from asap.reproduce.work import evaluation_work, pruning_work, training_work

_REVIEWED = "1000"
"""Traces on a review page, of which a browser still loads a thousand with 12,000 tokens each (some 20 MB)."""


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

    @property
    def heading(self) -> str:
        """What the chain is about: the table's title, its scale, and which of its comparisons it is."""
        return _heading(self.table, self.scale, self.variant)


def _heading(table: Experiment, scale: Scale, variant: Variant) -> str:
    return f"{table.title}, scale {scale.name}: {VARIANTS[variant.name]}"


def scale_of(table: Experiment, name: str) -> Scale:
    """The scale of this name. Raises UsageError if the table lacks it."""
    if name not in table.scales:
        raise UsageError(f"{table.name} has no scale {name!r}; choose --scale {', '.join(table.scales)}")
    return table.scales[name]


def chain_of(table: Experiment, scale_name: str, variant_name: str | None = None, sources: Sequence[str] | None = None) -> Chain:
    """The chain of a table at a scale, with other rows if `sources` are given. Without a variant, that of the paper, or the only one.

    Raises UsageError if the table lacks the scale or the variant.
    """
    scale = scale_of(table, scale_name)
    variant = _variant(scale, variant_name)
    scale = replace(scale, rows=replace(scale.rows, sources=tuple(sources or map(_source, scale.rows.sources))))
    data = _data(scale)
    pruned = _pruned(scale, variant, data)
    reviews = [_review(stage) for stage in pruned.values() if stage is not data]
    trained = _trained(scale, variant, data, pruned)
    evaluated = {
        (arm.name, seed, evaluation.name): _evaluated(scale, arm, seed, evaluation, trained)
        for arm in variant.arms
        for seed in (scale.seeds if arm.trained else scale.seeds[:1])
        for evaluation in scale.evaluations
    }
    compared = [*_compared(scale, variant, evaluated)]
    reports = [_report(table, scale, paper, variant, trained, evaluated) for paper in table.papers or ("",)]
    stages = dict.fromkeys([data, *pruned.values(), *reviews, *trained.values(), *evaluated.values(), *compared, *reports])
    return Chain(table, scale, variant, tuple(stages), pruned, trained, evaluated)


def _variant(scale: Scale, name: str | None) -> Variant:
    [only, *others] = scale.variants.values()
    wanted = name or ("paper" if others else only.name)
    if wanted not in scale.variants:
        instead = "add --equal-tokens" if only.name == "equal-tokens" else "leave --equal-tokens out"
        raise UsageError(f"{scale.place} has no {wanted} arms, only {only.name}: {instead}")
    return scale.variants[wanted]


def _source(name: str) -> str:
    """Rows that a table's file names: where they are, or among the traces under $ASAP_DATA."""
    found = None if Path(name).exists() else data_file([f"traces/{name}"])
    return str(found or name)


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


def _review(pruned: Stage) -> Stage:
    """The page that shows what was cut from the traces of an arm."""
    return Stage("review", pruned.label, ("review", ResultOf(pruned), "--limit", _REVIEWED))


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
    names = (name.partition(":")[2] for name in benchmarks_in(evaluation.options))
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
    scale: Scale,
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
    words += ["--reference", variant.reference, "--title", _heading(table, scale, variant), *(["--paper", paper] if paper else [])]
    return Stage("report", paper, tuple(words))
