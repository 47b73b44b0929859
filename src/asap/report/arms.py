"""The arms of a report: evaluations, which are seeds of an arm where they have its name, and the training runs behind them.

An evaluation finds its training by the model folder that it names. A training found so, or named itself, tells tokens and cost, and by
the data that it was trained on the pruning run with its review page.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from asap.errors import InputError, UsageError
from asap.evaluate.paired_run import PairedRun, read_run
from asap.lm.model_size import parameters_of
from asap.ownership import EVALUATED, PRUNED, TRAINED, file_id, record_in, run_in
from asap.report.named_paths import places_of
from asap.train.cost import Cost, cost_of


@dataclass(frozen=True)
class Training:
    """A training run: its folder, its cost, the model that it began with, and the folders of the pruning runs it learnt from."""

    folder: Path
    cost: Cost
    model: str
    pruned: Sequence[Path]


@dataclass
class Arm:
    """One name of a report: its evaluations (seeds, or other benchmarks) and trainings, and what has to be said about them."""

    name: str
    runs: list[PairedRun] = field(default_factory=list)
    trainings: list[Training] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def of(self, benchmark: str) -> list[PairedRun]:
        """The evaluations that attempted a benchmark: the seeds of this arm there."""
        return [run for run in self.runs if benchmark in run.benchmarks]

    @property
    def parameters(self) -> list[int | None]:
        """How many parameters each model of this arm has, as far as its files or its name tell."""
        found = [parameters_of(spec) for spec in self.models]
        return found or [parameters_of(f"named:{self.name}")]

    @property
    def models(self) -> list[str]:
        """The specs of the models that the trainings began with, or that were evaluated as they are."""
        evaluated = [spec for run in self.runs if (spec := _spec(run)) is not None and trained_in(spec, run.folder) is None]
        return list(dict.fromkeys([*(training.model for training in self.trainings), *evaluated]))

    @property
    def trained_tokens(self) -> float | None:
        """The tokens of all steps, as the mean over the trainings; None if no training is known."""
        tokens = [training.cost.tokens for training in self.trainings]
        return sum(tokens) / len(tokens) if tokens else None


def read_arms(words: Sequence[str], *, cluster: str | None = None) -> list[Arm]:
    """The arms of RUN arguments, FOLDER or NAME=FOLDER, in order. `cluster` names the column of problems that belong together.

    Raises InputError for what is no run, and UsageError for a repeated one or a problem without a cluster.
    """
    named = list(_named(words))
    for at, (_, folder) in enumerate(named):
        if any(file_id(folder) is not None and file_id(folder) == file_id(other) for _, other in named[:at]):
            raise UsageError(f"{folder} is named twice; several seeds of an arm are several folders")
    arms = dict[str, Arm]()
    for name, folder in named:
        arm = arms.setdefault(name, Arm(name))
        found = run_in(folder)
        if found == TRAINED or (found is None and (folder / "steps.jsonl").is_file()):
            arm.trainings.append(training_in(folder))
        elif found == EVALUATED or (folder / "verdicts.jsonl").is_file():
            arm.runs.append(read_run(folder, cluster=cluster))
        else:
            what = f"holds a run of {found}" if found else "holds no run" if folder.is_dir() else "is not there"
            raise InputError(f"{folder} {what}; report takes output folders of asap evaluate, asap score and asap train")
    if cluster:
        clustered = iter(_with_clusters([run for arm in arms.values() for run in arm.runs]))
        for arm in arms.values():
            arm.runs = [next(clustered) for _ in arm.runs]
    for arm in arms.values():
        _find_trainings(arm)
    return list(arms.values())


def _with_clusters(runs: Sequence[PairedRun]) -> list[PairedRun]:
    """The evaluations with the cluster of each problem, by the first run that names it. Raises UsageError for a problem without one."""
    named = dict[str, dict[str, str]]()
    for run in reversed(runs):
        for benchmark, found in run.benchmarks.items():
            named.setdefault(benchmark, {}).update(found.clusters or {})
    for run in runs:
        for benchmark, found in run.benchmarks.items():
            if lacking := [task_id for task_id in found.shares if task_id not in named[benchmark]]:
                raise UsageError(
                    f"{benchmark}: {len(lacking)} of {len(found.shares)} problems, such as {lacking[0]!r}, have nothing in the column of "
                    f"--cluster, neither in {run.folder} nor in another run; leave --cluster out, or add the column"
                )
    return [replace(run, benchmarks={name: replace(found, clusters=named[name]) for name, found in run.benchmarks.items()}) for run in runs]


def _named(words: Iterable[str]) -> Iterator[tuple[str, Path]]:
    """The name and folder of each argument; a folder without a name has its own, or its whole path where two would be the same."""
    parts = [(None, Path(word)) if Path(word).exists() or "=" not in word else _split(word) for word in words]
    plain = [folder.resolve().name for name, folder in parts if name is None]
    for name, folder in parts:
        own = folder.resolve().name
        yield name or (own if plain.count(own) == 1 else str(folder)), folder


def _split(word: str) -> tuple[str | None, Path]:
    parts = word.split("=")
    splits = [("=".join(parts[:at]), "=".join(parts[at:])) for at in range(1, len(parts))]  # a name may hold an =, and so may a folder
    name, folder = next((split for split in splits if Path(split[1]).exists()), splits[0])
    if not name.strip() or not folder:
        raise UsageError(f"{word!r}: a run is written FOLDER or NAME=FOLDER")
    return " ".join(name.split()), Path(folder)


def _find_trainings(arm: Arm) -> None:
    """Add the trainings that the evaluations of an arm name, and say where there are none."""
    known = {file_id(training.folder) for training in arm.trainings}
    for run in arm.runs:
        spec = _spec(run)
        folder = None if spec is None else trained_in(spec, run.folder)
        if folder is not None and file_id(folder) not in known:
            known.add(file_id(folder))
            arm.trainings.append(training_in(folder))
    if not arm.trainings:
        specs = list(dict.fromkeys(_spec(run) or "attempts of an unnamed model" for run in arm.runs))
        arm.notes.append(f"no training of asap train was found behind {', '.join(specs)}, so its training tokens are not known")


def _spec(run: PairedRun) -> str | None:
    spec = run.summary.get("settings", {}).get("model", {}).get("spec")
    return spec if isinstance(spec, str) else None


def trained_in(spec: str, evaluation: Path) -> Path | None:
    """The folder of the training run that the model spec of an evaluation names."""
    kind, _, name = spec.partition(":")
    if kind != "hf" or not name:
        return None
    for path in places_of(name, evaluation):
        for folder in (path, path.parent) if path.name == "adapter" else (path,):  # asap train leaves an adapter beside its merged model
            if folder.is_dir() and run_in(folder) == TRAINED:
                return folder
    return None


def training_in(folder: Path) -> Training:
    """The training run in a folder. Raises InputError."""
    cost, settings = cost_of(folder), record_in(folder / "settings.json") or {}
    model = settings.get("model")
    sources = [source for source in settings.get("sources", []) if isinstance(source, str)]
    return Training(folder, cost, model if isinstance(model, str) else "", [*_pruned(sources, folder)])


def _pruned(sources: Iterable[str], training: Path) -> Iterator[Path]:
    """The pruning runs among the sources of a training."""
    for source in sources:
        for path in places_of(source, training):
            folder = path if path.is_dir() else path.parent
            if path.exists() and run_in(folder) == PRUNED:
                yield folder
                break


def arms_by_text(told: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The names of the arms, with commas, of which each text is told: one entry for a text."""
    arms = dict[str, list[str]]()
    for arm, text in told:
        arms.setdefault(text, []).append(arm)
    return {text: ", ".join(names) for text, names in arms.items()}


def settings_of(arm: Arm) -> dict[str, Any]:
    """Where an arm comes from, for report.json and the page."""
    return {
        "name": arm.name,
        "evaluations": [str(run.folder) for run in arm.runs],
        "models": arm.models,
        "parameters": arm.parameters,
        "trainings": [str(training.folder) for training in arm.trainings],
        "trained_tokens": arm.trained_tokens,
        "notes": arm.notes,
    }
