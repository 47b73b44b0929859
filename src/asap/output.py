"""The output folder: pruned.jsonl, decisions.jsonl, rejected.jsonl, training formats, README.md, and manifest.json last.

One pass over the store writes every file, in input order; each appears whole or not at all. Between two runs with the same input
and settings, the manifest differs only in `seconds` and `llm` (the requests to an LLM).
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from asap.atomic import remove_partials, replacing
from asap.card import dataset_card
from asap.dataset import Rejected, dataset_info
from asap.dataset.columns import line_of
from asap.dataset.formats import FORMATS, conversation_row, format_of
from asap.dataset.parquet import write_parquet
from asap.dataset.parquet_types import types_in
from asap.dataset.turn_formats import TrainTurns, training_rows
from asap.ownership import record_in
from asap.prune.decision import Decision, decision_line
from asap.ratio_marker import NONE, marked
from asap.sample import Sample
from asap.store.entry import Entry
from asap.store.work import Store
from asap.versions import versions_of

Key = TypeVar("Key", str, int)
Recut = Callable[[Decision, Sample], Decision]
PARQUET = "pruned.parquet"
_PACKAGES = ("torch", "transformers", "tokenizers", "numpy", "pyarrow")


@dataclass(slots=True)
class Totals:
    """Counts and token totals of a finished run: rows = pruned + unchanged + rejected. Each turn that thinks counts as a row."""

    rows: int = 0
    pruned: int = 0
    unchanged: int = 0
    rejected: int = 0
    rejected_by: dict[str, int] = field(default_factory=dict)
    turns: int = 0
    """Rows that are turns of conversations."""
    conversations: int = 0
    """The conversations that they are of; each is one row of pruned.jsonl, unless all of its turns were rejected."""
    filtered: int | None = None
    """Rows that `--where` left out, which `rows` does not count; None without it."""
    renamed: int = 0
    """Rows with a duplicate id, to which `#2`, `#3`, … was appended."""
    over_budget: int = 0
    """Traces that no cut brings under the budget, because the steps that must be kept exceed it."""
    windowed: int = 0
    """Traces longer than the scorer's context."""
    coarse_by: dict[str, int] = field(default_factory=dict)
    """Traces by what decided in stage 1; with an LLM, `align` counts those without a usable reply."""
    attempts: int = 0
    """Pruning replies requested from an LLM."""
    failures_by: dict[str, int] = field(default_factory=dict)
    """Unusable replies by reason."""
    floor_grades: dict[str, int] = field(default_factory=dict)
    """Cut traces by their grade under `--support-floor`."""
    kept_all: int = 0
    """Traces whose every step the LLM kept."""
    steps: int = 0
    steps_coarse: int = 0
    steps_fine: int = 0
    tokens_before: int = 0
    tokens_coarse: int = 0
    tokens_after: int = 0
    histogram_before: dict[int, int] = field(default_factory=dict)
    """Traces by the smallest power of two not below their token count."""
    histogram_after: dict[int, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        """Tokens after pruning as a share of the tokens before."""
        return self.tokens_after / self.tokens_before if self.tokens_before else 1.0

    def add(self, decision: Decision) -> None:
        """Count one decided row."""
        removed = Counter(step.removed_by for step in decision.steps)
        self.pruned += decision.changed
        self.unchanged += not decision.changed
        self.over_budget += decision.budget is not None and decision.floor is None and decision.tokens_after > decision.budget
        self.windowed += decision.windows > 1
        self._count(self.coarse_by, decision.coarse.by)
        for reason in decision.coarse.failures:
            self._count(self.failures_by, reason)
        if decision.floor is not None:
            self._count(self.floor_grades, decision.floor.grade)
        self.attempts += decision.coarse.attempts
        self.kept_all += decision.coarse.by in ("select", "rewrite") and not removed["coarse"]
        self.steps += len(decision.steps)
        self.steps_coarse += removed["coarse"]
        self.steps_fine += removed["fine"]
        self.tokens_before += decision.tokens_before
        self.tokens_coarse += decision.tokens_coarse
        self.tokens_after += decision.tokens_after
        for histogram, tokens in ((self.histogram_before, decision.tokens_before), (self.histogram_after, decision.tokens_after)):
            self._count(histogram, 1 << max(0, tokens - 1).bit_length())

    @staticmethod
    def _count(counts: dict[Key, int], key: Key) -> None:
        counts[key] = counts.get(key, 0) + 1


@dataclass(frozen=True, slots=True)
class Files:
    """What the output folder holds beside the usual, or in another form."""

    formats: Sequence[str] = ()
    """Also these training formats."""
    all_scores: bool = False
    """decisions.jsonl with the scores of methods that did not decide."""
    zst: bool = False
    """decisions.jsonl.zst instead of decisions.jsonl."""
    train_turns: TrainTurns | None = None
    """The turns of conversations that carry the loss in training formats; None: as before, or all."""
    parquet: bool = False
    """The rows of pruned.jsonl as pruned.parquet, too."""

    def kept_up(self, store: Store) -> "Files":
        """With the formats and the form that the store's folder has already, so that nothing in it becomes stale."""
        known = store.written()
        there = {name for name in (_written_before(store.folder) if known is None else known) if (store.folder / name).exists()}
        formats = [name for name in FORMATS if name in self.formats or f"{name}.jsonl" in there]
        train = self.train_turns or store.fact("train_turns")
        zst, parquet = self.zst or "decisions.jsonl.zst" in there, self.parquet or PARQUET in there
        return replace(self, formats=formats, zst=zst, train_turns=train, parquet=parquet)

    @property
    def names(self) -> list[str]:
        """The names of all files that are written."""
        explained = "decisions.jsonl.zst" if self.zst else "decisions.jsonl"
        rows = ["pruned.jsonl", explained, "rejected.jsonl", *(f"{name}.jsonl" for name in self.formats)]
        others = [name for name, is_there in (("dataset_info.json", "llamafactory" in self.formats), (PARQUET, self.parquet)) if is_there]
        return [*rows, *others, "README.md", "manifest.json"]


def claim_files(store: Store, files: Files | None, *, record: bool = False) -> Files:
    """The files that a run will write, kept up. Raises InputError if one of them is there and no run of this folder wrote it.

    With `record`, they are the run's from now on.
    """
    files = (files or Files()).kept_up(store)
    store.claim_files(files.names, before=_written_before(store.folder), record=record)
    return files


def _written_before(folder: Path) -> set[str]:
    """The files that an earlier version, which did not record them, wrote into a folder that holds a run."""
    manifest = record_in(folder / "manifest.json") or {}
    formats = manifest.get("formats", FORMATS)
    return set(Files([name for name in FORMATS if name in formats]).names) | {"decisions.jsonl.zst", "dataset_info.json", PARQUET}


def write_output(
    store: Store,
    settings: Mapping[str, Any],
    *,
    seconds: Mapping[str, float],
    files: Files | None = None,
    recut: Recut | None = None,
) -> Totals:
    """Write all files of a finished run and return its totals. `recut` changes each decision on the way (`asap cut`)."""
    totals, input_hash, rejected_by = Totals(), hashlib.sha256(), Counter[str]()
    files = claim_files(store, files, record=True)
    store.set_fact("train_turns", files.train_turns)
    whole = store.has_conversations()
    remove_partials(store.folder)
    (store.folder / "manifest.json").unlink(missing_ok=True)
    with ExitStack() as stack:
        names = [name for name in files.names if ".jsonl" in name]
        pruned, decisions, rejected, *extra = (stack.enter_context(replacing(store.folder / name)) for name in names)
        for group in _in_rows(store.entries(), totals):
            shorter = dict[int, str]()
            for entry in group:
                input_hash.update(_digest_of(entry))
                totals.rows += 1
                if entry.sample is None or entry.decision is None:
                    rejected_by[entry.error.reason if entry.error else ""] += 1
                    rejected.write(line_of(_rejection(entry)))
                    continue
                decision = recut(entry.decision, entry.sample) if recut else entry.decision
                sample = replace(entry.sample, cot=decision.apply(entry.sample.cot), logprobs=None)
                totals.add(decision)
                decisions.write(_compact_line(decision_line(decision, all_scores=files.all_scores)))
                if entry.turn:
                    shorter[entry.turn.number] = sample.cot
                    continue
                asked = replace(sample, question=marked(sample.question, decision.gamma, settings.get("marker", NONE)))
                pruned.write(line_of({**format_of(None)(asked), "question": sample.question}))
                for file, name in zip(extra, files.formats, strict=True):
                    file.write(line_of(format_of(name, among_conversations=whole and files.train_turns in (None, "all"))(asked)))
            if shorter and (turn := group[0].turn):
                pruned.write(line_of(conversation_row(turn.conversation, shorter)))
                for file, name in zip(extra, files.formats, strict=True):
                    file.writelines(map(line_of, training_rows(turn.conversation, shorter, name, files.train_turns or "all")))
    if files.parquet:
        write_parquet(store.folder / "pruned.jsonl", store.folder / PARQUET, types_in((store.fact("source") or {}).get("types")))
    if files.zst and "decisions.jsonl" in (store.written() or ()):
        (store.folder / "decisions.jsonl").unlink(missing_ok=True)
    totals.rejected, totals.rejected_by = rejected_by.total(), dict(sorted(rejected_by.items()))
    totals.renamed = store.renamed()
    totals.filtered = (store.fact("source") or {}).get("filtered")
    totals.seconds = {name: round(value, 3) for name, value in seconds.items()}
    _write_about(store, settings, totals, input_hash.hexdigest(), files)
    return totals


def _in_rows(entries: Iterable[Entry], totals: Totals) -> Iterator[list[Entry]]:
    """The entries of each row: one, or the turns of a conversation, which are counted."""
    group, last = list[Entry](), None
    for entry in entries:
        name = entry.turn.conversation.id if entry.turn else None
        if group and (name is None or name != last):
            yield group
            group = []
        totals.turns += name is not None
        totals.conversations += name is not None and not group
        group.append(entry)
        last = name
    if group:
        yield group


def _write_about(store: Store, settings: Mapping[str, Any], totals: Totals, input_hash: str, files: Files) -> None:
    """Write the files about the run, the manifest last: its existence means that the folder is complete."""
    counts = {name: value for name, value in asdict(totals).items() if name != "seconds" and value is not None}
    if not totals.turns:
        del counts["turns"], counts["conversations"]
    for name in ("histogram_before", "histogram_after", "coarse_by", "failures_by", "floor_grades"):
        counts[name] = {str(key): value for key, value in sorted(counts[name].items())}
    manifest = {
        "settings": dict(settings),
        "input_hash": input_hash,
        **({"columns": columns} if (columns := (store.fact("source") or {}).get("columns")) else {}),
        "counts": counts,
        "llm": store.fact("llm"),
        "formats": [*files.formats, *(["parquet"] if files.parquet else [])],
        **({"train_turns": store.fact("train_turns") or "all"} if totals.turns and files.formats else {}),
        "versions": versions_of(_PACKAGES),
        "seconds": totals.seconds,
    }
    if "llamafactory" in files.formats:
        with replacing(store.folder / "dataset_info.json") as file:
            file.write(json.dumps(dataset_info("llamafactory.jsonl", with_history=totals.turns > 0), indent=2) + "\n")
    with replacing(store.folder / "README.md") as file:
        file.write(dataset_card(manifest))
    with replacing(store.folder / "manifest.json") as file:
        file.write(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")


def _digest_of(entry: Entry) -> bytes:
    """A row's part in the hash of the input: its content, or its error."""
    text = entry.sample.digest() if entry.sample else f"rejected:{entry.error}"
    return f"{entry.id}\0{text}\n".encode("utf-8", "backslashreplace")


def _rejection(entry: Entry) -> dict[str, Any]:
    assert entry.error is not None
    return Rejected.of(entry.source, entry.line, entry.error).as_row()


def _compact_line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n"
