"""A table's file: its scales, and for each scale the models, the rows, the arms, how they are trained and on what they are evaluated.

The file is checked as a whole before anything runs. It has no logic: `chain.py` makes stages of it.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from asap.benchmarks.load import check_benchmark
from asap.errors import UsageError, one_line
from asap.lm.specs import Spec, is_own, is_server, shipped_columns
from asap.report.paper import paper_figures
from asap.reproduce.arms import VARIANTS, Variant, read_variant
from asap.reproduce.device import load_device
from asap.reproduce.fields import Fields, Options, said_at
from asap.reproduce.options import OPTIONS
from asap.train.recipe import load_recipe
from asap.train.setting import trainer_is_here
from asap.yaml_text import yaml_mapping


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
class EvaluationSettings:
    """One `asap evaluate`. `answers` are written, of `tokens` each, for the plan only; `known_from` says who counted them."""

    name: str
    options: Options
    answers: float
    tokens: float
    known_from: str


@dataclass(frozen=True)
class Scale:
    """A table at one size, and the place where it stands. `serve` is the command of a server that has to run while a model is evaluated."""

    name: str
    place: str
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
    papers = top.texts("paper")
    with said_at(top.at("paper")):
        paper_figures(",".join(papers))
    return Experiment(Path(file).stem, top.text("title"), papers, scales)


def _scale(found: Fields) -> Scale:
    known = ("about", "assumptions", "device", "model", "scorer", "rows", "train", "seeds", "evaluate", "serve", "paper", "equal-tokens")
    fields = Fields.of(found.values, found.place, known)
    model = _model(fields, "model")
    evaluations = tuple(map(_evaluation, fields.each("evaluate")))
    named = [name for name in VARIANTS if name in fields.values]
    variants = {name: read_variant(name, fields.inner(name, ("reference", "same-rows", "arms"))) for name in named}
    if not named:
        raise UsageError(f"{fields.place} has no arms; describe them below {' or '.join(VARIANTS)}")
    serve = _serve(fields, evaluations) if fields.values.get("serve") else None
    if not serve and not is_server(model.spec) and (asked := [one.name for one in evaluations if "base-url" in one.options]):
        raise UsageError(
            f"{fields.at('evaluate')}: {asked[0]}: options has base-url, and no server answers there: {model.spec} is evaluated in this "
            "process; leave base-url out, or add serve, the command of a server"
        )
    if is_server(model.spec) and any(arm.trained for variant in variants.values() for arm in variant.arms):
        raise UsageError(
            f"{fields.at('model')}: spec is {model.spec!r}, behind a server, and arms are trained; write hf:…, gguf:… or bundled"
        )
    if "device" in fields.values:
        with said_at(fields.at("device")):
            load_device(fields.text("device"))
    return Scale(
        name=found.place.rpartition(": ")[2],
        place=found.place,
        about=fields.text("about"),
        assumptions=fields.texts("assumptions"),
        device=fields.text("device", "none"),
        model=model,
        scorer=_model(fields, "scorer") if "scorer" in fields.values else model,
        rows=_rows(fields.inner("rows", ("source", "options", "number", "steps", "question", "trace", "answer", "from"))),
        train=_training(fields),
        seeds=_seeds(fields),
        evaluations=evaluations,
        serve=serve,
        variants=variants,
    )


def _model(scale: Fields, name: str) -> ModelSettings:
    """The model or the scorer, whose spec may have forms that only a scorer's has."""
    fields = scale.inner(name, ("spec", "parameters"))
    spec = fields.text("spec")
    with said_at(fields.at("spec")):
        if name != "scorer" or not (is_own(spec) or shipped_columns(spec)):
            Spec.read(spec)
    return ModelSettings(spec, fields.number("parameters"))


def _rows(fields: Fields) -> Rows:
    sources = fields.texts("source")
    if not sources:
        raise UsageError(f"{fields.place} lacks source")
    return Rows(
        sources,
        fields.options("options", OPTIONS["data"]),
        number=fields.whole("number"),
        steps=fields.number("steps"),
        question=fields.number("question", zero=True),
        trace=fields.number("trace"),
        answer=fields.number("answer", zero=True),
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


def recipe_of(train: Options) -> Mapping[str, Any]:
    """The hyper-parameters of a training, whose values are checked where TRL is here. Raises UsageError."""
    changes = [f"{key}={value}" for key, value in train.get("set", {}).items()]
    return load_recipe(str(train["recipe"]), changes, checked=trainer_is_here())


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
    with said_at(f"{fields.at('options')}: benchmark"):
        for benchmark in benchmarks_in(options):
            check_benchmark(benchmark)
    name = found.place.rpartition(": ")[2]
    return EvaluationSettings(name, options, fields.number("answers"), fields.number("tokens"), fields.text("from"))


def benchmarks_in(options: Options) -> list[str]:
    """The names of the benchmarks in the options of an evaluation."""
    value = options["benchmark"]
    return [name.strip() for text in (value if isinstance(value, list) else [value]) for name in str(text).split(",")]
