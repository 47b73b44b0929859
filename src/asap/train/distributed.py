"""Which process of a training run this is, as accelerate and torchrun tell it."""

import os
from typing import NamedTuple


class Process(NamedTuple):
    """A process's number and how many there are; the one with number 0 writes and prints."""

    rank: int
    world: int

    @property
    def is_main(self) -> bool:
        """Whether this process writes and prints."""
        return self.rank == 0


def process() -> Process:
    """This process, from the launcher's environment; without a launcher it is alone."""
    return Process(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")))
