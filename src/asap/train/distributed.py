"""This process's number in a training run, from the environment that accelerate and torchrun set."""

import os
from typing import NamedTuple


class Process(NamedTuple):
    """A process's number and the number of processes. Process 0 writes and prints."""

    rank: int
    world: int

    @property
    def is_main(self) -> bool:
        """Whether this process writes and prints."""
        return self.rank == 0


def process() -> Process:
    """This process, from the launcher's environment; without a launcher, the only one."""
    return Process(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")))
