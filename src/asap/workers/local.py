"""Decides about rows in this process, and makes of each decision the body that the store keeps.

What this does not do: store anything; the run alone does.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from asap.digest import content_digest
from asap.errors import RowError
from asap.lm.prompt_style import template_hash
from asap.lm.tokens import TokenCounter
from asap.prune.anchored import align_prompt
from asap.prune.asap import Asap
from asap.prune.methods.own import OwnSplit, code_digest
from asap.store.entry import decision_body
from asap.versions import __version__
from asap.workers.rows import Decided, Undecided

_ROWS_ON_GPU = 128


class InProcess:
    """Workers that are none: the pruner decides in this process, one batch after the other."""

    where = ""

    def __init__(self, pruner: Asap) -> None:
        self.pruner, self.settings = pruner, pruner.settings
        self.rows_at_once = rows_at_once(pruner)

    @cached_property
    def described(self) -> Mapping[str, Any]:
        """What the decisions depend on besides the rows."""
        return description(self.pruner)

    @property
    def tokens(self) -> TokenCounter:
        """The tokenizer that counts the budget."""
        return self.pruner.tokens

    def decide(self, batches: Iterator[Sequence[Undecided]]) -> Iterator[Sequence[Decided]]:
        """The decisions about each batch, which are given back before the next batch is taken."""
        return (decide_rows(self.pruner, batch) for batch in batches)


def rows_at_once(pruner: Asap) -> int:
    """How many rows the pruner should get at once: on a GPU they share batches."""
    return 1 if pruner.batch_tokens == 0 else _ROWS_ON_GPU


def description(pruner: Asap) -> dict[str, Any]:
    """What a pruner's decisions depend on besides the rows and the selections, by name; JSON-able."""
    return {
        "asap": __version__,
        "method": pruner.method,
        **pruner.settings.stored(),
        **({"method_code": code_digest(pruner.method)} if ":" in pruner.method else {}),
        **({"step_split_code": code_digest(split.name)} if isinstance(split := pruner.settings.step_split, OwnSplit) else {}),
        **(pruner.token_level.identity if pruner.token_level else {}),
        "context": pruner.context,
        "template_hash": template_hash(pruner.scorer.tokens, pruner.context),
        "align_prompt_hash": content_digest(align_prompt())[:16] if pruner.settings.coarse is not None else None,
        "scorer": pruner.scorer.identity,
        "scorer_context_tokens": pruner.scorer.context_tokens,
        "tokenizer": pruner.tokens.fingerprint,
        "tokenizer_name": pruner.tokens.name,
    }


def decide_rows(pruner: Asap, rows: Sequence[Undecided]) -> list[Decided]:
    """The pruner's decisions about some rows, in order."""
    started = time.perf_counter()
    decisions = pruner.decide([row.sample for row in rows], [row.selection for row in rows])
    each = (time.perf_counter() - started) / len(rows)
    return [
        Decided(row.digest, True, decision_body(decision), each)
        if isinstance(decision, RowError)
        else Decided(row.digest, False, decision_body(decision), each, decision.tokens_before, decision.tokens_after)
        for row, decision in zip(rows, decisions, strict=True)
    ]
