"""How fast a device is: tokens a second, as measured, and nothing where nobody has measured."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from asap.errors import UsageError
from asap.reproduce.fields import Fields
from asap.reproduce.stage import READ_FLOPS, Work
from asap.yaml_text import yaml_mapping

_ALIKE = 1.1
"""The largest factor between the parameters of two models that count as equally large."""
_KINDS = ("read", "write", "train")


@dataclass(frozen=True)
class Rate:
    """Tokens a second in one kind of work by a model of so many parameters, at so many operations a parameter for each token, and where
    that figure stands.
    """

    kind: str
    parameters: float
    tokens: float
    flops: float
    measured: str


@dataclass(frozen=True)
class Device:
    """A device with its measured rates."""

    name: str
    about: str
    rates: Sequence[Rate]

    def hours(self, work: Work) -> float | None:
        """The hours for some work; None if a rate that it needs was not measured. A training of another kind goes by its operations."""
        flops = (READ_FLOPS * work.read, READ_FLOPS * work.written, work.trained_flops * work.trained)
        needed = [(self.rate(kind, work.parameters), amount) for kind, amount in zip(_KINDS, flops, strict=True) if amount]
        known = [amount / (rate.flops * rate.tokens) for rate, amount in needed if rate is not None]
        return sum(known) / 3600 if len(known) == len(needed) else None

    def rate(self, kind: str, parameters: float) -> Rate | None:
        """The rate of models of this size."""
        alike = (rate for rate in self.rates if rate.kind == kind and 1 / _ALIKE <= rate.parameters / parameters <= _ALIKE)
        return next(alike, None)


def load_device(name: str) -> Device:
    """The device of this name. Raises UsageError for an unknown one."""
    top = Fields.of(yaml_mapping(files("asap.reproduce").joinpath("devices.yaml").read_text("utf-8"), "devices.yaml", ""), "devices.yaml")
    if name not in top.values:
        raise UsageError(f"no rates of a device {name!r} are known; choose --device {', '.join(top.values)}")
    found = top.inner(name, ("about", "rates"))
    entries = [Fields.of(entry, found.at("rates"), ("parameters", "flops", "from", *_KINDS)) for entry in found.values["rates"]]
    rates = [
        Rate(kind, entry.number("parameters"), entry.number(kind), _flops(kind, entry), entry.text("from"))
        for entry in entries
        for kind in _KINDS
        if kind in entry.values
    ]
    return Device(name, found.text("about"), rates)


def _flops(kind: str, entry: Fields) -> float:
    return entry.number("flops") if kind == "train" else READ_FLOPS
