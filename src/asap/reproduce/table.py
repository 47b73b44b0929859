"""A table's file: its scales, and for each scale the models, the rows, the arms, how they are trained and on what they are evaluated.

The file is checked as a whole before anything runs. It has no logic: `chain.py` makes stages of it.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from asap.errors import UsageError, one_line
from asap.reproduce.fields import Fields, Options
from asap.yaml_text import yaml_mapping

_READ = (
    *("columns", "subset", "split", "limit", "where", "each-generation", "only-passing", "gold-rule", "think-tags", "drop-system"),
    *("keep-columns", "max-trace-tokens", "reject-loops"),
)
_DECIDE = ("method", "budget", "ratio", "coarse", "coarse-only", "scores", "seed", "backfill", "step-split", "context", "dtype", "devices")
_STAGE_1 = ("llm", "base-url", "llm-context", "llm-tokenizer", "temperature", "tau", "attempts", "concurrency", "price-in", "price-out")
OPTIONS: Mapping[str, tuple[str, ...]] = {
    "data": _READ,
    "prune": (*_DECIDE, *_STAGE_1, "max-cost", "batch", "suffix-tokens", "classifier"),
    "cut": ("method", "budget", "ratio"),
    "train": ("recipe", "set", "launch", "backend"),
    "evaluate": (
        *("benchmark", "max-new-tokens", "budgets", "limit", "n", "temperature", "top-p", "gamma", "concurrency", "dtype", "device"),
        *("base-url", "packages", "workers"),
    ),
}
"""The options that each kind of stage takes from a file, by the names that the command has for them."""


@dataclass(frozen=True)
class ModelSettings:
    """A model, as `--model` or `--scorer` name it, and its number of parameters."""

    spec: str
    parameters: float


@dataclass(frozen=True)
class Rows:
    """The rows to train on, and their mean size in tokens and steps, for the plan only. `known_from` says who counted them."""

    sources: tuple[str, ...]
    options: Options
    number: int
    steps: float
    question: float
    trace: float
    answer: float
    known_from: str


@dataclass(frozen=True)
class ArmSettings:
    """One arm: how the thinking of its rows is shortened, if at all.

    `cut_of` names the arm whose run is cut again; `replies_of` the arm whose LLM replies are used again; `rows_like` the arm whose trace
    tokens the first rows of this one shall have. `kept` is how many tokens of a trace stay, for the plan, where the settings do not tell.
    """

    name: str
    trained: bool
    prune: Options
    cut: Options
    cut_of: str | None
    replies_of: str | None
    rows_like: str | None
    kept: float | None
    evaluate: Options


@dataclass(frozen=True)
class Variant:
    """The arms of a comparison. All others are compared with `reference`, and train on the rows on which `same_rows` trains."""

    reference: str
    same_rows: str | None
    arms: tuple[ArmSettings, ...]


@dataclass(frozen=True)
class EvaluationSettings:
    """One `asap evaluate`. `answers` are written, of `tokens` each, for the plan only; `known_from` says who counted them."""

    name: str
    options: Options
    answers: float
    tokens: float
    known_from: str


@dataclass(frozen=True)
class Scale:
    """A table at one size. `serve` is the command of a server that has to run while a model is evaluated."""

    name: str
    about: str
    assumptions: tuple[str, ...]
    device: str
    model: ModelSettings
    scorer: ModelSettings
    rows: Rows
    train: Options
    seeds: tuple[int, ...]
    evaluations: tuple[EvaluationSettings, ...]
    serve: str | None
    variants: Mapping[str, Variant]


@dataclass(frozen=True)
class Experiment:
    """An experiment: tables of the paper (`papers` are their names in `asap report --paper`), or one's own."""

    name: str
    title: str
    papers: tuple[str, ...]
    scales: Mapping[str, Scale]


def table_names() -> list[str]:
    """The names of the tables that come with asap."""
    folder = files("asap.reproduce").joinpath("tables")
    return sorted(path.name.removesuffix(".yaml") for path in folder.iterdir() if path.name.endswith(".yaml"))


def load_table(name: str) -> Experiment:
    """A table by its name, a beginning of it that no other table has, or the path of a .yaml file. Raises UsageError."""
    if Path(name).suffix in (".yaml", ".yml"):
        try:
            return read_table(Path(name).read_text("utf-8"), name)
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{name} cannot be read ({getattr(error, 'strerror', None) or 'not UTF-8'})") from error
    known = table_names()
    found = [full for full in known if full == name] or [full for full in known if full.startswith(f"{name}_")]
    if len(found) != 1:
        raise UsageError(f"there is no table {name!r}; choose from {', '.join(known)}, or give a .yaml file of your own")
    return read_table(files("asap.reproduce").joinpath("tables", f"{found[0]}.yaml").read_text("utf-8"), f"{found[0]}.yaml")


def read_table(text: str, file: str) -> Experiment:
    """The table in a file's text. Raises UsageError, which names the file, the key and what is allowed."""
    top = Fields.of(yaml_mapping(text, file, "title: My experiment"), file, ("title", "paper", "shared", "scales"))
    scales = {scale.name: scale for scale in map(_scale, top.each("scales"))}
    if not scales:
        raise UsageError(f"{top.at('scales')} is empty; describe at least one scale, such as laptop")
    return Experiment(Path(file).stem, top.text("title"), top.texts("paper"), scales)


def _scale(found: Fields) -> Scale:
    known = ("about", "assumptions", "device", "model", "scorer", "rows", "train", "seeds", "evaluate", "serve", "paper", "equal-tokens")
    fields = Fields.of(found.values, found.place, known)
    model = _model(fields.inner("model", ("spec", "parameters")))
    evaluations = tuple(map(_evaluation, fields.each("evaluate")))
    return Scale(
        name=found.place.rpartition(": ")[2],
        about=fields.text("about"),
        assumptions=fields.texts("assumptions"),
        device=fields.text("device", "none"),
        model=model,
        scorer=_model(fields.inner("scorer", ("spec", "parameters"))) if "scorer" in fields.values else model,
        rows=_rows(fields.inner("rows", ("source", "options", "number", "steps", "question", "trace", "answer", "from"))),
        train=_training(fields),
        seeds=_seeds(fields),
        evaluations=evaluations,
        serve=_serve(fields, evaluations) if fields.values.get("serve") else None,
        variants={name: _variant(fields.inner(name, ("reference", "same-rows", "arms"))) for name in VARIANTS if name in fields.values},
    )


VARIANTS = ("paper", "equal-tokens")
"""The paper's own arms, and the arms at equal trace tokens."""


def _model(fields: Fields) -> ModelSettings:
    return ModelSettings(fields.text("spec"), fields.number("parameters"))


def _rows(fields: Fields) -> Rows:
    sources = fields.texts("source")
    if not sources:
        raise UsageError(f"{fields.place} lacks source")
    return Rows(
        sources,
        fields.options("options", OPTIONS["data"]),
        number=int(fields.number("number")),
        steps=fields.number("steps"),
        question=fields.number("question"),
        trace=fields.number("trace"),
        answer=fields.number("answer"),
        known_from=fields.text("from"),
    )


def _training(fields: Fields) -> Options:
    inner = fields.inner("train", OPTIONS["train"])
    values = dict(inner.values)
    if "set" in values:
        values["set"] = inner.inner("set").values
    if "recipe" not in values:
        raise UsageError(f"{inner.place} lacks recipe")
    return values


def _seeds(fields: Fields) -> tuple[int, ...]:
    seeds = fields.values.get("seeds", [42])
    if not isinstance(seeds, list) or not seeds or not all(type(seed) is int for seed in seeds) or len({*seeds}) < len(seeds):
        raise UsageError(f"{fields.at('seeds')} is {seeds!r:.60}; a list of different whole numbers is expected, such as [42, 43]")
    return tuple(seeds)


def _serve(fields: Fields, evaluations: Sequence[EvaluationSettings]) -> str:
    """The command of a server, of which every evaluation says where it answers."""
    command = fields.text("serve")
    try:
        shlex.split(command)
    except ValueError as error:
        raise UsageError(f"{fields.at('serve')} is {command!r:.60}, which is no command ({one_line(error)})") from error
    if lacking := [one.name for one in evaluations if "base-url" not in one.options]:
        raise UsageError(f"{fields.at('evaluate')}: {lacking[0]}: options lacks base-url, where the server of serve answers")
    return command


def _evaluation(found: Fields) -> EvaluationSettings:
    fields = Fields.of(found.values, found.place, ("options", "answers", "tokens", "from"))
    options = fields.options("options", OPTIONS["evaluate"])
    for name in ("benchmark", "max-new-tokens"):
        if name not in options:
            raise UsageError(f"{fields.at('options')} lacks {name}")
    name = found.place.rpartition(": ")[2]
    return EvaluationSettings(name, options, fields.number("answers"), fields.number("tokens"), fields.text("from"))


def _variant(fields: Fields) -> Variant:
    arms = tuple(_arm(arm) for arm in fields.each("arms"))
    names = {arm.name: arm for arm in arms}
    same_rows = fields.values.get("same-rows") and fields.text("same-rows")
    reference = fields.text("reference")
    for what, name in (("reference", reference), ("same-rows", same_rows)):
        if name is not None and name not in names:
            raise UsageError(f"{fields.at(what)} is {name!r}; an arm is expected: {', '.join(names)}")
    if same_rows is not None and (not names[same_rows].trained or names[same_rows].rows_like):
        raise UsageError(f"{fields.at('same-rows')} is {same_rows!r}; an arm that trains on all rows is expected")
    for place, arm in enumerate(arms):
        _check_others(fields.at("arms"), arm, {other.name: other for other in arms[:place]})
    return Variant(reference, same_rows, arms)


def _check_others(place: str, arm: ArmSettings, earlier: Mapping[str, ArmSettings]) -> None:
    """Raise UsageError unless the arms that an arm names stand above it, and have what it needs of them."""
    for what, name in (("cut: of", arm.cut_of), ("replies-of", arm.replies_of), ("rows-like", arm.rows_like)):
        if name is not None and not (name in earlier and (earlier[name].prune or (what == "rows-like" and earlier[name].cut))):
            able = [other.name for other in earlier.values() if other.prune or (what == "rows-like" and other.cut)]
            raise UsageError(
                f"{place}: {arm.name}: {what} is {name!r}; an arm above it that is pruned is expected: {', '.join(able) or 'there is none'}"
            )


def _arm(found: Fields) -> ArmSettings:
    name = found.place.rpartition(": ")[2]
    fields = Fields.of(found.values, found.place, ("prune", "cut", "train", "replies-of", "rows-like", "kept-tokens", "evaluate"))
    prune = fields.options("prune", OPTIONS["prune"])
    cut, cut_of = dict(fields.options("cut", ("of", *OPTIONS["cut"]))), None
    if cut:
        cut_of = str(cut.pop("of", ""))
    if prune and cut:
        raise UsageError(f"{fields.place} has both prune and cut; choose one")
    trained: Any = fields.values.get("train", True)
    if not isinstance(trained, bool):
        raise UsageError(f"{fields.at('train')} is {trained!r:.60}; true or false is expected")
    if not trained and len(fields.values) > 1:
        raise UsageError(f"{fields.place} is not trained, so it takes nothing beside train: false")
    kept = fields.number("kept-tokens") if "kept-tokens" in fields.values else None
    replies_of, rows_like = (fields.text(key) if key in fields.values else None for key in ("replies-of", "rows-like"))
    return ArmSettings(name, trained, prune, cut, cut_of, replies_of, rows_like, kept, fields.options("evaluate", ("gamma",)))
