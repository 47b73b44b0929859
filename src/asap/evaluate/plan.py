"""How a model is evaluated: how much it may write, how it samples, and how its answers are read."""

from collections.abc import Sequence
from dataclasses import dataclass

from asap.errors import UsageError
from asap.evaluate.extract import Extract
from asap.think_tags import TagTable, table_with


@dataclass(frozen=True)
class Plan:
    """How to evaluate. `budgets` are smaller token budgets to read off the same greedy run; `gamma` is TokenSkip's ratio."""

    max_new_tokens: int
    samples: int = 1
    temperature: float = 0.0
    top_p: float = 1.0
    budgets: Sequence[int] = ()
    extract: Extract = "benchmark"
    gamma: float | None = None
    gamma_marker: str | None = None
    think_tags: str | None = None
    """A pair OPEN,CLOSE that the model thinks between, beside those of the table."""

    @property
    def table(self) -> TagTable:
        """The tags that answers may think between."""
        return table_with(self.think_tags)

    def check(self) -> None:
        """Raise UsageError for settings that make no sense."""
        table_with(self.think_tags)
        if self.max_new_tokens < 1:
            raise UsageError(f"--max-new-tokens is {self.max_new_tokens}; 1 or more is expected")
        if self.samples < 1:
            raise UsageError(f"--n is {self.samples}; 1 or more is expected")
        if not 0 <= self.temperature <= 2:
            raise UsageError(f"--temperature is {self.temperature:g}; a number from 0 to 2 is expected")
        if not 0 < self.top_p <= 1:
            raise UsageError(f"--top-p is {self.top_p:g}; a number above 0 and at most 1 is expected")
        if self.samples > 1 and self.temperature == 0:
            raise UsageError(f"--n {self.samples} samples at temperature 0 would all be the same; give --temperature, for example 0.6")
        if self.budgets and (self.temperature > 0 or self.samples > 1):
            raise UsageError("--budgets reads smaller budgets off one greedy run; leave --temperature and --n out")
        if wrong := [budget for budget in self.budgets if not 1 <= budget <= self.max_new_tokens]:
            raise UsageError(f"--budgets holds {wrong[0]}; numbers from 1 to --max-new-tokens {self.max_new_tokens} are expected")
        if self.gamma is not None and not 0 < self.gamma <= 1:
            raise UsageError(f"--gamma is {self.gamma:g}; a ratio above 0 and at most 1 is expected")
