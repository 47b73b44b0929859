"""What a run hands to its workers and gets back: rows without a decision, and decisions ready to be stored."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from asap.lm.tokens import TokenCounter
from asap.prune.coarse.selection import Selection
from asap.prune.settings import AsapSettings
from asap.sample import Sample


class Undecided(NamedTuple):
    """A row to decide about: the digest that names it in the store, its sample, and the selection of stage 1's LLM."""

    digest: str
    sample: Sample
    selection: Selection


class Decided(NamedTuple):
    """A decision, or why there is none (`failed`), as the body that the store keeps; its seconds, and the tokens before and after."""

    digest: str
    failed: bool
    body: bytes
    seconds: float
    tokens_before: int = 0
    tokens_after: int = 0


class Workers(Protocol):
    """Who decides about the rows of a run."""

    settings: AsapSettings
    where: str
    """How many processes there are besides this one, and on what, for people to read; empty if there are none."""

    @property
    def rows_at_once(self) -> int:
        """How many rows a batch should have."""
        ...

    @property
    def described(self) -> Mapping[str, Any]:
        """What the decisions depend on besides the rows, by name; JSON-able."""
        ...

    @property
    def tokens(self) -> TokenCounter:
        """The tokenizer that counts the budget."""
        ...

    def decide(self, batches: Iterator[Sequence[Undecided]]) -> Iterator[Sequence[Decided]]:
        """The decision about each row of each batch, in any order; takes batches ahead of the decisions that it gives back."""
        ...
