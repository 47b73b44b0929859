"""The options that say where a run decides about its rows."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from asap.cli.options import MODEL, RUN
from asap.errors import UsageError

if TYPE_CHECKING:
    from asap.workers.blueprint import Blueprint
    from asap.workers.rows import Workers


@Parameter(name="*")
@dataclass(frozen=True)
class Where:
    """On which devices and machines."""

    devices: Annotated[
        tuple[str, ...],
        Parameter(
            name=("--devices", "--device"),
            help="auto (every GPU, or else the CPU), or a list of cpu, cuda:N and mps: each gets a process of its own. "
            "A device listed twice gets two, which helps where one cannot keep it busy.",
            group=MODEL,
        ),
    ] = ("auto",)
    engine: Annotated[
        Literal["local", "ray"],
        Parameter(help="local: processes of this machine; ray: actors of a Ray cluster, with the same result (docs/scale.md).", group=RUN),
    ] = "local"
    ray_address: Annotated[
        str | None, Parameter(help="The Ray cluster, as host:port or auto. [default: RAY_ADDRESS, or one of this machine's own]", group=RUN)
    ] = None

    @property
    def _listed(self) -> str:
        return ",".join(self.devices)

    def first_device(self, *, needs_model: bool = True) -> str:
        """The device for a model beside the workers' own."""
        from asap.workers.devices import devices_of

        return devices_of(self._listed if self.engine == "local" else "auto", needs_model=needs_model)[0]

    @property
    def gpus(self) -> int:
        """The number of this machine's GPUs that decide."""
        from asap.workers.devices import devices_of

        return sum(device.startswith("cuda") for device in {*devices_of(self._listed)}) if self.engine == "local" else 0

    def workers(self, blueprint: "Blueprint") -> "AbstractContextManager[Workers]":
        """The workers, until the block ends."""
        from asap.workers.pool import local_workers
        from asap.workers.ray_actors import ray_crew

        if self.ray_address is not None and self.engine != "ray":
            raise UsageError("--ray-address is for --engine ray; add it, or leave the address out")
        if self.engine == "ray":
            return ray_crew(blueprint, self._listed, self.ray_address)
        return local_workers(blueprint, self._listed)
