"""`--shard i/n`: the share of a source's rows that one of several runs prunes; `asap merge` puts the runs together."""

import re
from dataclasses import dataclass

from asap.errors import UsageError


@dataclass(frozen=True, order=True, slots=True)
class Shard:
    """Shard `index` of `of`, counted from 0, as Kubernetes and Slurm count their jobs."""

    index: int
    of: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """The shard that `i/n` names. Raises UsageError for anything else."""
        found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text, re.ASCII)
        if not found or int(found[1]) >= int(found[2]):
            raise UsageError(f"--shard is {text!r}; write i/n, counted from 0: of eight shards 0/8 is the first and 7/8 the last")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.index}/{self.of}"

    def holds(self, position: int, digest: str | None) -> bool:
        """Whether a row is in this shard: by its content, so that equal rows stay together, or by its position if it is unusable."""
        return (position if digest is None else int(digest[:15], 16)) % self.of == self.index
