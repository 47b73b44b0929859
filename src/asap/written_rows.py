"""The rows of the output folder: those of pruned.jsonl, and those of training formats, as chat messages or rendered for a model."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import IO, Any

from asap.conversation import Conversation
from asap.dataset import RowRules
from asap.dataset.columns import line_of, strict_line
from asap.dataset.formats import conversation_row, format_of
from asap.dataset.turn_formats import TrainTurns, learnable, training_rows
from asap.errors import RowError
from asap.lm.training_template import TrainingTemplate
from asap.rendered_rows import pairs_of, rendered_row
from asap.sample import Sample
from asap.totals import Totals


@dataclass(frozen=True, slots=True)
class WrittenRows:
    """The files that the rows are written to: pruned.jsonl, and those of training formats by name."""

    pruned: IO[str]
    formats: Mapping[str, IO[str]]
    train: TrainTurns
    """The turns of conversations that carry the loss in training formats."""
    among_conversations: bool
    totals: Totals
    exact: IO[bytes] | None
    rules: RowRules
    template: TrainingTemplate | None
    """That of the model for which training formats are rendered, if they are."""

    def write(self, whole: Sample | Conversation, thoughts: Mapping[int, str] | None = None, *, asked: str | None = None) -> None:
        """Write a row: a sample, which training formats ask with another question, or a conversation with other thinking in some turns."""
        if isinstance(whole, Conversation):
            self._write_pruned(conversation_row(whole, thoughts or {}))
            if self.template is None:
                for name, file in self.formats.items():
                    self._write_turns(whole, thoughts or {}, name, file)
            else:
                self._write_rendered(self.template, whole, thoughts or {})
            return
        marked_sample = whole if asked is None else replace(whole, question=asked)
        self._write_pruned({**format_of(None)(marked_sample), "question": whole.question})
        if self.template is not None:
            self._write_rendered(self.template, marked_sample, {})
            return
        among = self.among_conversations and self.train == "all"
        for name, file in self.formats.items():
            file.write(line_of(format_of(name, among_conversations=among)(marked_sample)))

    def _write_pruned(self, row: Mapping[str, Any]) -> None:
        """Write a row of pruned.jsonl. If numbers in it are none of JSON's, it is counted, and `exact` gets it as it is."""
        try:
            line = strict_line(row)
            exact = ""
        except ValueError:
            line, exact = line_of(row), json.dumps(row)
            self.totals.not_finite += 1
        self.pruned.write(line)
        if self.exact:
            self.exact.write(f"{exact}\n".encode())

    def _write_turns(self, whole: Conversation, thoughts: Mapping[int, str], name: str, file: IO[str]) -> None:
        """Write the rows of a conversation in a training format, and count what it lacks there."""
        written = False
        for row in training_rows(whole, thoughts, name, self.train, self.rules.tags_of_turns):
            file.write(line_of(row))
            written = True
        if not written:
            self.totals.left_out[name] = self.totals.left_out.get(name, 0) + 1
        elif len(learnable(whole, name, self.train).lines) < len(whole.lines):
            self.totals.shortened[name] = self.totals.shortened.get(name, 0) + 1

    def _write_rendered(self, template: TrainingTemplate, whole: Sample | Conversation, thoughts: Mapping[int, str]) -> None:
        """Write what is learnt of a row into each training format as text, and count what training could not take, by reason."""
        for pair in pairs_of(template, whole, thoughts, self.train, self.rules):
            if isinstance(pair, RowError):
                self.totals.not_rendered[pair.reason] = self.totals.not_rendered.get(pair.reason, 0) + 1
                continue
            for name, file in self.formats.items():
                file.write(line_of(rendered_row(template, name, pair)))
