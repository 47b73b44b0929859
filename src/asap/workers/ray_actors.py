"""Workers as actors of a Ray cluster, one for each GPU, or for some CPUs where there are none.

Ray starts them and carries rows and decisions; it retries nothing and writes nothing, since its own retries are endless, its own
checkpoints are blocks of thousands of rows, and its own writers do not keep the order. `crew.py` and the run's store do that.
"""

import os
import pickle
import socket
import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from asap.errors import AsapError, InputError, MissingExtra, UsageError, one_line
from asap.install import install_command
from asap.tables import number_of
from asap.workers.blueprint import Blueprint
from asap.workers.crew import Batch, Crew, Death, Finished, Ready
from asap.workers.devices import pin
from asap.workers.local import decide_rows, description, rows_at_once
from asap.workers.rows import Decided

_LOOPBACK = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"  # at 0, whatever its name, Ray stays on the loopback on every system
_PATIENCE_S = 10.0
_OBJECTS_BYTES = 256 * 1024**2  # of a cluster of one's own: what is under way is a few batches
_CPUS_EACH = 4  # of an actor without a GPU: each holds a copy of the model


@contextmanager
def ray_crew(blueprint: Blueprint, devices: str, address: str | None) -> Iterator[Crew]:
    """A crew of actors on the cluster at an address, or on a cluster of this machine's own that ends with the block."""
    address = (os.environ.get("RAY_ADDRESS") or None) if address is None else address
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if address is None:  # Ray runs the code of whoever reaches it: keep it on the loopback
        os.environ.setdefault(_LOOPBACK, "0")
    else:
        _check_address(address)
    try:
        import ray
    except ImportError as error:
        raise MissingExtra(f"--engine ray needs the package ray; install it with: {install_command('ray')}") from error
    own = {"address": "local", "include_dashboard": False, "object_store_memory": _OBJECTS_BYTES}
    try:
        ray.init(**({"address": address} if address else own), log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise InputError(f"Ray cannot be used at {address or 'this machine'}: {one_line(error)}") from error
    try:
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        yield Crew(blueprint, Actors(ray, blueprint, shares_of(nodes, devices, needs_model=blueprint.needs_model)))
    finally:
        ray.shutdown()


def _check_address(address: str) -> None:
    """Raise UsageError or InputError for an address without a cluster; Ray itself tries for minutes."""
    host, _, port = address.rpartition(":")
    if address == "auto":
        return
    if not host or not port.isdecimal() or "/" in host:
        raise UsageError(f"the Ray address is {address!r}; write host:port of the cluster's head (its port is 6379 by default), or auto")
    try:
        socket.create_connection((_as_ray_resolves(host), int(port)), _PATIENCE_S).close()
    except (OSError, OverflowError) as error:
        raise InputError(f"no Ray cluster answers at {address} ({one_line(error)}); start one with: ray start --head") from error


def _as_ray_resolves(host: str) -> str:
    """The host that Ray will call: for the loopback it takes the machine's own address, unless it is kept there."""
    if host not in ("localhost", "127.0.0.1", "::1") or os.environ.get(_LOOPBACK) == "0":
        return host
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:  # asks for the route; nothing is sent
        probe.connect(("8.8.8.8", 80))
        return str(probe.getsockname()[0])


class Shares(NamedTuple):
    """How many actors there are, on what, and what each gets of the cluster."""

    actors: int
    device: str
    cpus: float
    gpus: float


def shares_of(nodes: Sequence[Mapping[str, float]], devices: str, *, needs_model: bool = True) -> Shares:
    """The actors for a list of devices on nodes with these resources; `auto` is one for each GPU, or for four CPUs where there is none."""
    gpus = sum(int(node.get("GPU", 0)) for node in nodes)
    cpus = [int(node.get("CPU", 0)) for node in nodes if node.get("CPU", 0) >= 1]
    names = [name.strip() for name in devices.split(",")]
    if names == ["auto"]:
        if gpus and needs_model:
            return Shares(gpus, "cuda", 1, 1.0)
        each = min(_CPUS_EACH, max(cpus, default=1))
        return Shares(max(1, sum(node // each for node in cpus)), "cpu", each, 0.0)
    if {*names} not in ({"cpu"}, {"cuda"}):
        raise UsageError(f"--devices is {devices!r}; Ray chooses the places: write auto, or cpu or cuda once for each actor (cuda,cuda)")
    if names[0] == "cpu":
        fitting = (each for each in range(max(cpus, default=1), 0, -1) if sum(node // each for node in cpus) >= len(names))
        return Shares(len(names), "cpu", next(fitting, _fraction(len(names), sum(cpus))), 0.0)
    if not gpus:
        raise UsageError(f"--devices is {devices!r}, and the Ray cluster has no GPU; write auto or cpu")
    return Shares(len(names), "cuda", 1, _fraction(len(names), gpus))


def _fraction(actors: int, places: int) -> float:
    """The share of a place for each of so many actors, if each place gets equally many."""
    return 1.0 / -(-actors // max(1, places))


class Actors:
    """The transport to actors of a Ray cluster."""

    def __init__(self, ray: Any, blueprint: Blueprint, shares: Shares) -> None:
        self._ray, self._blueprint, self._shares = ray, pickle.dumps(blueprint), shares
        self.places = [f"Ray's actor {number}" for number in range(shares.actors)]
        gpus = f", {shares.gpus:.2g} GPU" if shares.gpus else ""
        self.where = f"{number_of(shares.actors, 'Ray actor')} on {shares.device} with {shares.cpus:.2g} CPU{gpus} each"
        options = {"num_cpus": shares.cpus, "num_gpus": shares.gpus, "max_restarts": 0, "max_task_retries": 0}
        self._class = ray.remote(_Actor).options(**options)
        self._actors: dict[int, Any] = {}
        self._pending: dict[int, deque[Any]] = {}  # what each actor has yet to return, in order
        self._nodes: dict[int, str] = {}

    def start(self, number: int) -> None:
        """Start an actor, somewhere in the cluster; it waits for free resources."""
        self._actors[number] = actor = self._class.remote(sys.path)
        self._pending[number] = deque([actor.begin.remote(self._blueprint, self._shares.device, max(1, int(self._shares.cpus)))])

    def send(self, number: int, batch: Batch) -> None:
        """Hand a batch to an actor."""
        self._pending[number].append(self._actors[number].decide.remote(batch))

    def wait(self) -> list[Ready | Finished | Death]:
        """What happened next."""
        earliest = {pending[0]: number for number, pending in self._pending.items() if pending}
        [found], _ = self._ray.wait(list(earliest), num_returns=1)
        number = earliest[found]
        try:
            result = self._ray.get(self._pending[number].popleft())
        except self._ray.exceptions.RayActorError as error:
            return [self._death(number, "its Ray actor died unexpectedly, perhaps for lack of memory", preempted=error.preempted)]
        except self._ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, AsapError):
                raise error.cause from error
            return [self._death(number, one_line(error.cause or error))]
        except self._ray.exceptions.RayError as error:  # what it returned was lost on the way
            return [self._death(number, one_line(error))]
        if isinstance(result, _Begun):
            self._nodes[number] = result.node
            return [Ready(number, result.described, result.rows_at_once)]
        return [Finished(number, result)]

    def _death(self, number: int, how: str, *, preempted: bool = False) -> Death:
        """See an actor off."""
        with suppress(Exception):  # border: whatever Ray still thinks of it
            self._ray.kill(self._actors[number])
        self._pending[number].clear()
        alive = {node["NodeID"] for node in self._ray.nodes() if node["Alive"]}
        return Death(number, how, at_fault=not preempted and self._nodes.get(number) in {*alive, None})


class _Begun(NamedTuple):
    """An actor has its models: what it is, and on which node."""

    described: Mapping[str, Any]
    rows_at_once: int
    node: str


class _Actor:
    """A worker, as Ray runs it."""

    def __init__(self, paths: Sequence[str]) -> None:
        sys.path.extend(path for path in paths if path not in sys.path)  # for own methods, where the nodes share files

    def begin(self, blueprint: bytes, device: str, threads: int) -> _Begun:
        """Load the models."""
        import ray

        pin(device, threads)
        self.pruner = pickle.loads(blueprint).pruner(device)
        return _Begun(description(self.pruner), rows_at_once(self.pruner), ray.get_runtime_context().get_node_id())

    def decide(self, batch: Batch) -> list[Decided]:
        """The decisions about a batch."""
        return decide_rows(self.pruner, batch)
