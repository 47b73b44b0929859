"""Why two runs of one kind differ: what their records say about models, samplers, templates, settings, versions, rows and prompts.

It reads what is written in the output folders and computes nothing anew. Times, and what was asked of a server and when, are no reasons.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path
from typing import Any, NamedTuple

from asap.dataset.jsonl import jsonl_rows, read_json
from asap.digest import content_digest
from asap.errors import InputError, UsageError
from asap.evaluate.paired_run import read_summary
from asap.lm.fields import object_in
from asap.ownership import COMPARED, EVALUATED, PRUNED, SCORED, TRAINED, record_in, refuse_absent, run_in

_GROUPS = (
    ("versions", r"asap|runs\.\w+\.asap|versions\..*|packages\..*|compared_by|device|processes|bf16|.*\.engine\..*"),
    ("templates", r"(.*\.)?(template_hash|align_prompt_hash|llm_prompts_hash|wording)"),
    ("samplers", r"(values\.)?(temperature|top_p|seed|samples|max_new_tokens|thinking_tokens|budgets)|.*\.(samplers\..*|min_p|not_sent)"),
    ("models", r"(runs\.\w+\.)?(scorer|judge|model|llm|tokenizer|classifier|backend|base_weights)\b.*|(scorer|judge|tokenizer)_\w+"),
    (
        "rows",
        r"(runs\.\w+\.)?(sources|columns|hub_\w+|where|limit|shard|wanted|data|benchmarks|attempts_file|files|rows_hash|input_hash)\b.*",
    ),
    ("settings", r".*"),
)
"""The groups of what a record says, by its name; the first that fits counts."""
DIFF_GROUPS = ("models", "samplers", "templates", "settings", "versions", "rows", "prompts", "outcome")
_SHOWN_ROWS, _SHOWN_LINES, _SHOWN_CHARACTERS = 3, 12, 100


class RunFiles(NamedTuple):
    """Where the runs of a command keep what is compared. `key` names a row, `prompt` is the column with what was asked."""

    record: str
    rows: str
    key: tuple[str, ...]
    prompt: str | None
    outcome: tuple[str, ...]
    unlike: str
    """What is said of rows whose outcome differs."""


_KINDS: Mapping[str, RunFiles] = {
    PRUNED: RunFiles("manifest.json", "pruned.jsonl", ("id",), "question", ("cot", "messages"), "with another trace"),
    TRAINED: RunFiles("manifest.json", "rows.jsonl", ("id",), None, ("tokens", "response_tokens"), "with another number of tokens"),
    COMPARED: RunFiles(
        "manifest.json",
        "judged.jsonl",
        ("id", "method", "ratio", "measure"),
        None,
        ("tokens", "value"),
        "with another cut or value",
    ),
    EVALUATED: RunFiles(
        "summary.json",
        "verdicts.jsonl",
        ("benchmark", "task_id", "sample"),
        None,
        ("verdict", "tokens"),
        "with another verdict or length",
    ),
}
_ASKED = RunFiles("summary.json", "attempts.jsonl", ("benchmark", "task_id", "sample"), "asked", ("generation",), "with another answer")


class Recorded(NamedTuple):
    """What one record says of both runs; None where a run says nothing."""

    name: str
    a: Any
    b: Any


@dataclass(frozen=True)
class RunDiff:
    """How two runs of one kind differ: by group what is recorded otherwise, and sentences about rows."""

    a: Path
    b: Path
    commands: tuple[str, str]
    """The commands that made them: two only where both kinds of run have the same files, as of `asap evaluate` and `asap score`."""
    recorded: Mapping[str, Sequence[Recorded]]
    told: Mapping[str, Sequence[str]]
    compared: Sequence[str]

    @property
    def differing(self) -> list[str]:
        """The groups in which the runs differ."""
        return [group for group in self.compared if self.recorded.get(group) or self.told.get(group)]

    def as_row(self) -> dict[str, Any]:
        """The difference as JSON."""
        groups = {
            group: {
                **{one.name: {"a": one.a, "b": one.b} for one in self.recorded.get(group, ())},
                **({"rows": list(self.told[group])} if self.told.get(group) else {}),
            }
            for group in self.differing
        }
        same = [group for group in self.compared if group not in groups]
        command = " and ".join(dict.fromkeys(self.commands))
        return {"a": str(self.a), "b": str(self.b), "command": command, "differs": groups, "same": same}

    def text(self) -> str:
        """The difference for people."""
        told = f"they differ in {_listed(self.differing)}" if self.differing else "nothing that is recorded differs"
        first, second = self.commands
        runs = f"two runs of {first}" if first == second else f"a run of {first} and one of {second}"
        lines = [f"a: {self.a}", f"b: {self.b}", f"{runs}; {told}", ""]
        for group in self.differing:
            lines.append(group)
            for one in self.recorded.get(group, ()):
                lines += [f"  {one.name}", f"    a  {_shown(one.a)}", f"    b  {_shown(one.b)}"]
            lines += [f"  {line}" for sentence in self.told.get(group, ()) for line in sentence.split("\n")]
            lines.append("")
        same = [group for group in self.compared if group not in self.differing]
        return "\n".join([*lines, f"equal: {', '.join(same) or 'nothing'}"])


def diff_runs(a: Path, b: Path) -> RunDiff:
    """How run `b` differs from run `a`. Raises UsageError for runs of two kinds, InputError for what is no finished run."""
    try:
        return _difference(a, b)
    except RecursionError:
        raise InputError(f"{a} or {b}: values in its files are nested too deeply to be what asap writes; run its command again") from None


def _difference(a: Path, b: Path) -> RunDiff:
    kinds = [_kind(folder) for folder in (a, b)]
    commands = (_command(a, kinds[0]), _command(b, kinds[1]))
    if kinds[0] != kinds[1]:
        raise UsageError(f"{a} holds a run of {commands[0]} and {b} one of {commands[1]}; two runs of one command can be compared")
    evaluated = kinds[0] == EVALUATED
    facts = [dict(_facts(_record(folder, kinds[0], command))) for folder, command in zip((a, b), commands, strict=True)]
    recorded, told = dict[str, list[Recorded]](), dict[str, list[str]]()
    for name in dict.fromkeys([*facts[0], *facts[1]]):
        values = [fact.get(name) for fact in facts]
        if values[0] != values[1]:
            recorded.setdefault(_group(name), []).append(Recorded(name, *values))
    files = [_KINDS[kinds[0]], *([_ASKED] if evaluated and all((folder / _ASKED.rows).is_file() for folder in (a, b)) else [])]
    for place, one in enumerate(files):
        for group, sentence in _of_rows(a, b, one, alone=place == 0):
            told.setdefault(group, []).append(sentence)
    with_prompts = any(one.prompt for one in files)
    return RunDiff(a, b, commands, recorded, told, [group for group in DIFF_GROUPS if group != "prompts" or with_prompts])


def _kind(folder: Path) -> str:
    refuse_absent(folder)
    found = run_in(folder)
    if found is None:
        raise InputError(f"{folder} holds no run of asap prune, train, evaluate, score or compare")
    return found


def _command(folder: Path, kind: str) -> str:
    """The command that made a run, as far as its files tell: those of an evaluation and of scored attempts are the same."""
    if kind != EVALUATED:
        return kind
    settings = object_in((record_in(folder / _KINDS[kind].record) or {}).get("settings"))
    return EVALUATED if "model" in settings else SCORED if "attempts" in settings else f"{EVALUATED} or {SCORED}"


def _record(folder: Path, kind: str, command: str) -> Mapping[str, Any]:
    path = folder / _KINDS[kind].record
    if not path.is_file():
        raise InputError(f"{folder} holds a run of {command} that has not ended (there is no {path.name}); run its command again")
    found = read_summary(path) if kind == EVALUATED else object_in(read_json(path))
    if not isinstance(found.get("settings"), dict):
        raise InputError(f"{path} is not what asap writes; run its command again")
    return found


def _facts(record: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """What a manifest or summary says, by name. Figures are called outcome.…; times and requests to a server are left out."""
    settings = dict(record["settings"])
    if isinstance(settings.get("attempts"), str):
        settings["attempts_file"] = settings.pop("attempts")
    if settings.get("sessions") == [settings.get("model")]:
        del settings["sessions"]
    yield from _flat(settings)
    others = ("asap", "versions", "input_hash", "columns", "data", "device", "processes", "bf16", "base_weights")
    yield from _flat({name: record[name] for name in others if name in record and (name != "columns" or record[name])})
    figures = {name: record[name] for name in ("counts", "steps", "train_loss") if name in record}
    yield from ((name, value) for name, value in _flat(figures, "outcome.") if "histogram" not in name)
    for entry in record.get("benchmarks", ()):
        about = {name: entry.get(name) for name in ("files", "wording")}
        yield from ((f"{entry['benchmark']}: {name}", value) for name, value in about.items())
        names = [name for name in entry if name in ("problems", "scored", "verdicts", "left_out") or name.startswith("pass@")]
        yield from _flat({name: entry[name] for name in names}, f"outcome.{entry['benchmark']}: ")


def _flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{before}{name}.")
        else:
            yield before + name, value


def _group(name: str) -> str:
    if name.startswith("outcome."):
        return "outcome"
    plain = name.rpartition(": ")[2]
    return next(group for group, pattern in _GROUPS if re.fullmatch(pattern, plain, re.DOTALL))


class _Row(NamedTuple):
    prompt: str | None
    outcome: str


def _rows(folder: Path, kind: RunFiles) -> dict[str, _Row]:
    """The digests of the rows of a run, by what names a row."""
    found = dict[str, _Row]()
    for raw in jsonl_rows(folder / kind.rows):
        if raw.value is None:
            detail = raw.error.detail if raw.error else "no object"
            raise InputError(f"{raw.source}, line {raw.line}: {detail}; run the command of this folder again")
        row = raw.value
        if lacking := [name for name in kind.key if name not in row]:
            raise InputError(f"{raw.source}, line {raw.line}: {lacking[0]} is missing; run the command of this folder again")
        prompt, told = _prompt(row, kind), [row.get(name) for name in kind.outcome]
        outcome = content_digest(row if told == [None] * len(told) else told)[:16]  # conversations have a column of another name
        found[_key(row, kind)] = _Row(None if prompt is None else content_digest(prompt)[:16], outcome)
    return found


def _key(row: Mapping[str, Any], kind: RunFiles) -> str:
    return " ".join(str(row[name]) for name in kind.key if row.get(name) is not None)


def _prompt(row: Mapping[str, Any], kind: RunFiles) -> str | None:
    value = row.get(kind.prompt) if kind.prompt else None
    return value if isinstance(value, str) else None


def _of_rows(a: Path, b: Path, kind: RunFiles, *, alone: bool) -> Iterator[tuple[str, str]]:
    """Sentences about the rows of two runs, each with its group. `alone`: also about rows that only one has."""
    for folder in (a, b):
        if not (folder / kind.rows).is_file():
            raise InputError(f"{folder / kind.rows} is not there; run the command of this folder again")
    ours, theirs = _rows(a, kind), _rows(b, kind)
    both = [key for key in ours if key in theirs]
    for name, mine, others in (("a", ours, theirs), ("b", theirs, ours)):
        if alone and (only := [key for key in mine if key not in others]):
            yield "rows", f"{len(only):,} of the {len(mine):,} rows of {name} {'is' if len(only) == 1 else 'are'} only there: {_some(only)}"
    if alone and [key for key in theirs if key in ours] != both:
        yield "rows", "the rows that both have stand in another order"
    asked = [key for key in both if None not in (ours[key].prompt, theirs[key].prompt) and ours[key].prompt != theirs[key].prompt]
    if asked:
        shown = f"{_some(asked)}; how it differs for {asked[0]}:\n{_prompt_diff(a, b, kind, asked[0])}"
        yield "prompts", f"{len(asked):,} of the {len(both):,} rows that both have, with another prompt: {shown}"
    if unlike := [key for key in both if ours[key].outcome != theirs[key].outcome]:
        yield "outcome", f"{len(unlike):,} of the {len(both):,} rows that both have, {kind.unlike}: {_some(unlike)}"


def _some(keys: Sequence[str]) -> str:
    more = ", …" if len(keys) > _SHOWN_ROWS else ""
    return f"{', '.join(keys[:_SHOWN_ROWS])}{more}"


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _prompt_diff(a: Path, b: Path, kind: RunFiles, key: str) -> str:
    """The lines in which the prompts of a row differ."""
    texts = list[str]()
    for folder in (a, b):
        rows = (raw.value for raw in jsonl_rows(folder / kind.rows) if raw.value)
        texts.append(next(_prompt(row, kind) or "" for row in rows if _key(row, kind) == key))
    one, other = (text.split("\n") for text in texts)
    lines = list(unified_diff(one, other, lineterm="", n=1))[2:]
    shown = [f"{line[:1]} {_shortened(line[1:])}" for line in lines if not line.startswith("@@")]
    return "\n".join([*shown[:_SHOWN_LINES], *(["…"] if len(shown) > _SHOWN_LINES else [])])


def _shortened(line: str) -> str:
    return line if len(line) <= _SHOWN_CHARACTERS else f"{line[: _SHOWN_CHARACTERS // 2]} … {line[-_SHOWN_CHARACTERS // 2 :]}"


def _shown(value: Any) -> str:
    return "not recorded" if value is None else _shortened(json.dumps(value, ensure_ascii=False))
