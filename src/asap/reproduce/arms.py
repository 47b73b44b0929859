"""The arms of a table: how the thinking of each one's rows is shortened, and what they are compared at."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from asap.errors import UsageError
from asap.reproduce.fields import Fields, Options
from asap.reproduce.options import OPTIONS

VARIANTS = {
    "paper": "the paper's comparison, at unequal trace tokens",
    "equal-tokens": "all arms at equal trace tokens",
}
"""The two comparisons that a scale may have, in plain words."""


@dataclass(frozen=True)
class ArmSettings:
    """One arm: how the thinking of its rows is shortened, if at all.

    `cut_of` names the arm whose run is cut again; `replies_of` the arm whose LLM replies are used again; `rows_like` the arm whose trace
    tokens the first rows of this one shall have. `kept` is how many tokens of a trace stay, for the plan, where the settings do not tell.
    """

    name: str
    trained: bool
    prune: Options
    cut: Options
    cut_of: str | None
    replies_of: str | None
    rows_like: str | None
    kept: float | None
    evaluate: Options


@dataclass(frozen=True)
class Variant:
    """The arms of a comparison. All others are compared with `reference`, and train on the rows on which `same_rows` trains."""

    name: str
    reference: str
    same_rows: str | None
    arms: tuple[ArmSettings, ...]


def read_variant(name: str, fields: Fields) -> Variant:
    """The arms under one name of VARIANTS. Raises UsageError."""
    arms = tuple(_arm(arm) for arm in fields.each("arms"))
    names = {arm.name: arm for arm in arms}
    same_rows = fields.values.get("same-rows") and fields.text("same-rows")
    if "reference" not in fields.values:
        raise UsageError(f"{fields.place} lacks reference, the arm that the others are compared with; write one of {', '.join(names)}")
    reference = fields.text("reference")
    for what, named in (("reference", reference), ("same-rows", same_rows)):
        if named is not None and named not in names:
            raise UsageError(f"{fields.at(what)} is {named!r}; an arm is expected: {', '.join(names)}")
    if same_rows is not None and (not names[same_rows].trained or names[same_rows].rows_like):
        raise UsageError(f"{fields.at('same-rows')} is {same_rows!r}; an arm that trains on all rows is expected")
    for place, arm in enumerate(arms):
        _check_others(fields.at("arms"), arm, {other.name: other for other in arms[:place]})
    return Variant(name, reference, same_rows, arms)


def _check_others(place: str, arm: ArmSettings, earlier: Mapping[str, ArmSettings]) -> None:
    """Raise UsageError unless the arms that an arm names stand above it, and have what it needs of them."""
    for what, name in (("cut: of", arm.cut_of), ("replies-of", arm.replies_of), ("rows-like", arm.rows_like)):
        if name is not None and not (name in earlier and (earlier[name].prune or (what == "rows-like" and earlier[name].cut))):
            able = [other.name for other in earlier.values() if other.prune or (what == "rows-like" and other.cut)]
            raise UsageError(
                f"{place}: {arm.name}: {what} is {name!r}; an arm above it that is pruned is expected: {', '.join(able) or 'there is none'}"
            )


def _arm(found: Fields) -> ArmSettings:
    name = found.place.rpartition(": ")[2]
    fields = Fields.of(found.values, found.place, ("prune", "cut", "train", "replies-of", "rows-like", "kept-tokens", "evaluate"))
    for what in ("prune", "cut"):
        if fields.values.get(what, True) in ({}, None):
            raise UsageError(
                f"{fields.at(what)} is empty; write an option, such as ratio: 0.5, or leave it out: the arm then trains on whole traces"
            )
    prune = fields.options("prune", OPTIONS["prune"])
    cut, cut_of = dict(fields.options("cut", ("of", *OPTIONS["cut"]))), None
    if cut:
        cut_of = str(cut.pop("of", ""))
    if prune and cut:
        raise UsageError(f"{fields.place} has both prune and cut; choose one")
    trained: Any = fields.values.get("train", True)
    if not isinstance(trained, bool):
        raise UsageError(f"{fields.at('train')} is {trained!r:.60}; true or false is expected")
    if not trained and len(fields.values) > 1:
        raise UsageError(f"{fields.place} is not trained, so it takes nothing beside train: false")
    kept = fields.number("kept-tokens") if "kept-tokens" in fields.values else None
    replies_of, rows_like = (fields.text(key) if key in fields.values else None for key in ("replies-of", "rows-like"))
    return ArmSettings(name, trained, prune, cut, cut_of, replies_of, rows_like, kept, fields.options("evaluate", ("gamma",)))
