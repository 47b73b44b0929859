"""One attempt at a problem, and reading attempts from the files of this and of other tools."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from asap.dataset import Rejected
from asap.dataset.raw import Row
from asap.errors import RowError
from asap.evaluate.attempt_files import attempt_rows
from asap.evaluate.attempt_texts import COLUMNS, ID_COLUMNS, STOPS, ProblemIds, stops_of, texts_of
from asap.think import parts_of
from asap.think_tags import TAGS, TagTable, opened_by
from asap.thinking_names import opens_at_end

_LONG = ("doc", "arguments")  # of lm-evaluation-harness
_CUT_OFF = ("length", "context", "max_tokens", "max_output_tokens", "model_length")


@dataclass(frozen=True, slots=True)
class Attempt:
    """What was written for a problem. `kind` says how `text` becomes a program; `sample` counts from 0 for each problem.

    `measured` holds what else is known of it: tokens, seconds, how it stopped.
    """

    task_id: str
    sample: int
    kind: str
    text: str
    measured: Mapping[str, Any] = field(default_factory=dict)
    table: TagTable = TAGS
    """The tags that a generation may think between."""
    said: str | None = None
    """What the model wrote, if the file has it beside the code that a tool took from it, which `text` is."""

    @property
    def cut_off(self) -> bool:
        """Whether its token budget or the model's context ran out."""
        return any(self.measured.get(name) in _CUT_OFF for name in STOPS)

    @property
    def opened(self) -> bool:
        """Whether its prompt is known to end with an opened thought: by the record `opened`, or by the `prompt` itself."""
        known, prompt = self.measured.get("opened"), self.measured.get("prompt")
        return known if isinstance(known, bool) else isinstance(prompt, str) and bool(opened_by(prompt) or opens_at_end(prompt))

    @property
    def answer(self) -> str | None:
        """The answer of a generation; None if its thinking never ends."""
        return parts_of(self.text, opened=self.opened, table=self.table).answer


def read_attempts(path: Path, known: Sequence[str], benchmark: str | None = None, table: TagTable = TAGS) -> Iterator[Attempt | Rejected]:
    """The attempts in a file or folder of ours or of another tool, in their order. A kind may be UNCLEAR.

    Rows about other benchmarks are passed over if `benchmark` is given. Raises InputError if nothing in the file can be read.
    """
    samples, ids, filters = Counter[str](), ProblemIds(known), list[object]()
    for raw in attempt_rows(path, known):
        if raw.value is None:
            yield Rejected.of(raw.source, raw.line, raw.error or RowError("bad_json", "no object"))
            continue
        if benchmark and raw.value.get("benchmark", benchmark) != benchmark:
            continue
        task_id = None
        try:
            task_id = ids.of(raw.value)
            _check_filter(raw.value, filters)
            texts = texts_of(raw.value)
        except RowError as error:
            yield Rejected.of(raw.source, raw.line, RowError(error.reason, error.detail, error.row_id or task_id))
            continue
        for (kind, text, said), stop in zip(texts, stops_of(raw.value, len(texts)), strict=True):
            measured = {name: value for name, value in raw.value.items() if name not in (*COLUMNS, *ID_COLUMNS, *_LONG, "sample")}
            if stop is not None:
                measured.setdefault("finish_reason", stop)
            yield _thought(Attempt(task_id, samples[task_id], kind, text, measured, table, said))
            samples[task_id] += 1


def _thought(attempt: Attempt) -> Attempt:
    """The attempt; all that the model wrote if it thought: tools take code from thinking that was cut off, too."""
    if attempt.said is None or parts_of(attempt.said, opened=attempt.opened, table=attempt.table).thinking is None:
        return attempt
    return replace(attempt, kind="generation", text=attempt.said, said=None)


def _check_filter(row: Row, seen: list[object]) -> None:
    """lm-evaluation-harness writes a row for each of its filters, each with the same answers: the first one's count. Raises RowError."""
    if "filtered_resps" in row:
        seen.append(row.get("filter"))
        if row.get("filter") != seen[0]:
            raise RowError(
                "other_filter", f"the row is of the filter {row.get('filter')!r}; those of {seen[0]!r}, the first in the file, count"
            )
        del seen[1:]
