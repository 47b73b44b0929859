"""The output folder: pruned.jsonl, decisions.jsonl, rejected.jsonl, training formats, README.md, and manifest.json last.

One pass over the store writes every file, in input order; each appears whole or not at all. Between two runs with the same input
and settings, the manifest differs only in `seconds` and `llm` (the requests to an LLM).
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import asdict, dataclass, replace
from itertools import count, groupby
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from asap.atomic import remove_partials, replacing
from asap.card import dataset_card
from asap.dataset import Rejected, RowRules, dataset_info
from asap.dataset.columns import line_of
from asap.dataset.formats import FORMATS
from asap.dataset.parquet import write_parquet
from asap.dataset.parquet_types import types_in
from asap.dataset.turn_formats import TrainTurns
from asap.errors import RowError
from asap.lm.training_template import TrainingTemplate
from asap.ownership import record_in
from asap.prune.decision import Decision, decision_line
from asap.prune.decision.overrule import DROPPED
from asap.ratio_marker import NONE, marked
from asap.rendered_rows import check_rendered, template_of
from asap.sample import Sample
from asap.sealed import write_sealed
from asap.store.entry import Entry
from asap.store.work import Store
from asap.totals import Totals
from asap.versions import versions_of
from asap.written_rows import WrittenRows

_Settle = Callable[[Decision, Sample], Decision | RowError]
PARQUET = "pruned.parquet"
_ABOUT = ("seconds", "written", "format_model")
"""What totals hold that is no count."""
_PACKAGES = ("torch", "transformers", "tokenizers", "numpy", "pyarrow")


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
    model: str | None = None
    """The model for which training formats are rendered; None: as before, or chat messages, which the training tool renders."""

    def kept_up(self, store: Store) -> "Files":
        """With the formats and the form that the store's folder has already, so that nothing in it becomes stale."""
        known = store.written()
        there = {name for name in (_written_before(store.folder) if known is None else known) if (store.folder / name).exists()}
        formats = [name for name in FORMATS if name in self.formats or f"{name}.jsonl" in there]
        train = self.train_turns or store.fact("train_turns")
        zst, parquet = self.zst or "decisions.jsonl.zst" in there, self.parquet or PARQUET in there
        model = self.model or (store.fact("format_model") if formats else None)  # a cut knows its run's, and may write no format
        if model:
            check_rendered(formats)
        return replace(self, formats=formats, zst=zst, train_turns=train, parquet=parquet, model=model)

    @property
    def names(self) -> list[str]:
        """The names of all files that are written."""
        explained = "decisions.jsonl.zst" if self.zst else "decisions.jsonl"
        rows = ["pruned.jsonl", explained, "rejected.jsonl", *(f"{name}.jsonl" for name in self.formats)]
        others = [name for name, is_there in (("dataset_info.json", "llamafactory" in self.formats), (PARQUET, self.parquet)) if is_there]
        return [*rows, *others, "manifest.json", "README.md"]


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
    settle: _Settle,
    files: Files | None,
) -> Totals:
    """Write all files of a finished run and return its totals. `settle` makes of each stored decision what is written, or drops its row."""
    files = claim_files(store, files, record=True)
    store.set_fact("train_turns", files.train_turns)
    store.set_fact("format_model", files.model)
    remove_partials(store.folder)
    (store.folder / "manifest.json").unlink(missing_ok=True)
    source = store.fact("source") or {}
    with TemporaryFile(dir=store.folder) if files.parquet else nullcontext() as exact:
        template = template_of(files.model) if files.model else None
        totals, input_hash = _write_rows(store, settings, files, settle, exact, template)
        if exact:
            write_parquet(store.folder / "pruned.jsonl", store.folder / PARQUET, types_in(source.get("types")), exact)
    if files.zst and "decisions.jsonl" in (store.written() or ()):
        (store.folder / "decisions.jsonl").unlink(missing_ok=True)
    totals.renamed = store.renamed()
    totals.filtered, totals.questions = source.get("filtered"), source.get("questions")
    totals.seconds = {name: round(value, 3) for name, value in seconds.items()}
    totals.written, totals.format_model = {name: name for name in files.names}, files.model
    _write_about(store, settings, totals, input_hash, files)
    return totals


def _write_rows(
    store: Store,
    settings: Mapping[str, Any],
    files: Files,
    settle: _Settle,
    exact: IO[bytes] | None,
    template: TrainingTemplate | None,
) -> tuple[Totals, str]:
    """Write the files with a line for each row, and return the totals with the hash of the input. `exact`: see `write_parquet`."""
    totals, input_hash, rejected_by, passed_by = Totals(), hashlib.sha256(), Counter[str](), Counter[str]()
    rules = RowRules.of_settings(settings)
    with ExitStack() as stack:
        names = [name for name in files.names if ".jsonl" in name]
        pruned, decisions, rejected, *extra = (stack.enter_context(replacing(store.folder / name)) for name in names)
        formats = dict(zip(files.formats, extra, strict=True))
        among, train = _with_conversations(store), files.train_turns or "all"
        rows = WrittenRows(pruned, formats, train, among, totals, exact, rules, template)
        for group in _in_rows(store.entries(), totals):
            shorter, failed, whole = dict[int, str](), set[int](), None
            for entry in group:
                input_hash.update(_digest_of(entry))
                totals.rows += 1
                if entry.passed is not None and entry.error is not None:
                    passed_by[entry.error.reason] += 1
                    decisions.write(_compact_line({"id": entry.id, "passed": entry.error.reason, "detail": entry.error.detail}))
                    rows.write(entry.passed)
                    continue
                decision = _settled(entry, settle)
                if isinstance(decision, RowError):
                    rejected_by[decision.reason] += 1
                    rejected.write(line_of(Rejected.of(entry.source, entry.line, decision).as_row()))
                    failed |= {entry.turn.number} if entry.turn else set()
                    continue
                assert entry.sample is not None
                sample = replace(entry.sample, cot=decision.apply(entry.sample.cot), logprobs=None)
                totals.add(decision)
                decisions.write(_compact_line(decision_line(decision, all_scores=files.all_scores)))
                if entry.turn:
                    whole, shorter[entry.turn.number] = entry.turn.conversation, sample.cot
                else:
                    rows.write(sample, asked=marked(sample.question, decision.gamma, settings.get("marker", NONE)))
            if whole:
                rows.write(replace(whole, rejected=sorted(failed)), shorter)
    if dropped := rejected_by[DROPPED]:
        totals.overruled["rows_dropped"] = dropped
    totals.rejected, totals.rejected_by = rejected_by.total(), dict(sorted(rejected_by.items()))
    totals.passed, totals.passed_by = passed_by.total(), dict(sorted(passed_by.items()))
    return totals, input_hash.hexdigest()


def _with_conversations(store: Store) -> bool:
    """Whether some rows of a store are conversations, whose columns the other rows then share."""
    return store.has_conversations() or bool((store.fact("source") or {}).get("passed_conversations"))


def _in_rows(entries: Iterable[Entry], totals: Totals) -> Iterator[Iterator[Entry]]:
    """The entries of each row, one after the other: one, or the turns of a conversation, which are counted."""
    alone = count()

    def row_of(entry: Entry) -> int | str:
        totals.turns += entry.turn is not None
        return entry.turn.conversation.id if entry.turn else next(alone)

    for row, group in groupby(entries, row_of):
        totals.conversations += isinstance(row, str)
        yield group


def _write_about(store: Store, settings: Mapping[str, Any], totals: Totals, input_hash: str, files: Files) -> None:
    """Write the files about the run, the manifest last: its existence means that the folder is complete."""
    counts = {name: value for name, value in asdict(totals).items() if name not in _ABOUT and value is not None}
    if not totals.turns:
        del counts["turns"], counts["conversations"]
    if not totals.passed:
        del counts["passed"], counts["passed_by"]
    for name in ("histogram_before", "histogram_after", "coarse_by", "failures_by", "floor_grades", "overruled"):
        counts[name] = {str(key): value for key, value in sorted(counts[name].items())}
    for name in ("unread", "overruled", "not_finite", "shortened", "left_out", "not_rendered"):
        if not counts[name]:
            del counts[name]
    manifest = {
        "settings": dict(settings),
        "input_hash": input_hash,
        **({"columns": columns} if (columns := (store.fact("source") or {}).get("columns")) else {}),
        "counts": counts,
        "llm": store.fact("llm"),
        "formats": [*files.formats, *(["parquet"] if files.parquet else [])],
        **({"train_turns": store.fact("train_turns") or "all"} if totals.turns and files.formats else {}),
        **({"format_model": files.model} if files.model else {}),
        "versions": versions_of(_PACKAGES),
        "seconds": totals.seconds,
    }
    texts: dict[str, tuple[str, tuple[str, ...]]] = {"README.md": (dataset_card(manifest), ())}
    if "llamafactory" in files.formats:
        plain, with_history = (_info_text(with_history=wanted) for wanted in (False, True))
        history = _with_conversations(store) and not files.model
        texts["dataset_info.json"] = (with_history if history else plain, (plain, with_history))
    for name, (text, others) in texts.items():
        totals.written[name] = write_sealed(store.folder / name, text, others).name
    with replacing(store.folder / "manifest.json") as file:
        file.write(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")


def _info_text(*, with_history: bool) -> str:
    return json.dumps(dataset_info("llamafactory.jsonl", with_history=with_history), indent=2) + "\n"


def _digest_of(entry: Entry) -> bytes:
    """A row's part in the hash of the input: its content, or its error."""
    text = entry.sample.digest() if entry.sample else f"rejected:{entry.error}"
    return f"{entry.id}\0{text}\n".encode("utf-8", "backslashreplace")


def _settled(entry: Entry, settle: _Settle) -> Decision | RowError:
    """The decision about a row as it is written, or why there is none."""
    if entry.sample is None or entry.decision is None:
        assert entry.error is not None
        return entry.error
    return settle(entry.decision, entry.sample)


def _compact_line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n"
