"""The options of every command, each with what it may be: what shells and editors complete.

Commands take records of options, and the options of all commands are taken out before (`asap.cli.manner`); here all stand side by side.
"""

from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, get_args

from asap.cli.lists import is_list


class FlatOption(NamedTuple):
    """One option, or a word without a name. `kind` is the type of a value, `known` are values that people choose from."""

    names: tuple[str, ...]
    kind: type
    several: bool
    help: str
    known: tuple[str, ...] = ()
    only_known: bool = False
    default: Any = None
    positional: bool = False


EVERYWHERE = (
    FlatOption(("--json",), bool, False, "The result as one JSON document on stdout."),
    FlatOption(("--quiet", "-q"), bool, False, "No progress."),
    FlatOption(("--verbose", "-v"), bool, False, "The first row whole."),
    FlatOption(("--debug",), bool, False, "The traceback of an error."),
    FlatOption(("--config",), Path, False, "A file of options, one a line."),
)
"""The options of all commands, which no file of options holds."""


def options_of_command(command: str) -> list[FlatOption]:
    """The options of a command, and before them the words without a name."""
    from asap.cli import app

    arguments = [argument for argument in app[command].assemble_argument_collection() if not argument.children]
    return [_flat(argument) for argument in arguments]


def _flat(argument: Any) -> FlatOption:
    choices = argument.get_choices(force=True) or ()
    default = argument.field_info.default
    named = argument.index is None
    return FlatOption(
        names=(argument.name,) if not named else tuple(argument.parameter.name),
        kind=_kind(argument.hint),
        several=is_list(argument) or (not named and bool(argument.token_count()[1])),
        help=" ".join(str(argument.parameter.help or "").split()),
        known=choices or _known().get(argument.name, ()),
        only_known=bool(choices),
        default=default if isinstance(default, bool | int | float | str | tuple) and not argument.required else None,
        positional=not named,
    )


def _kind(hint: Any) -> type:
    """The type of one value: bool, int, float, Path or str."""
    found = [hint]
    while found:
        one = found.pop(0)
        if one in (bool, int, float, Path):
            return one  # type: ignore[no-any-return]
        found += get_args(one)
    return str


@cache
def _known() -> dict[str, tuple[str, ...]]:
    """By option, the names among which people choose, if others are possible too."""
    from asap.benchmarks.load import BENCHMARK_NAMES
    from asap.dataset.formats import FORMATS
    from asap.prune.methods import METHODS, TOKEN_LEVEL
    from asap.steps import STEP_SPLITS
    from asap.train.recipe import recipe_names

    methods = (*METHODS, *TOKEN_LEVEL)
    return {
        "--method": methods,
        "--methods": (*(name for name in methods if name != "original"), "asap-fine"),
        "--format": (*FORMATS, "parquet"),
        "--benchmark": BENCHMARK_NAMES,
        "--recipe": (*recipe_names(),),
        "--step-split": STEP_SPLITS,
        **dict.fromkeys(("--scorer", "--judge", "--model", "--llm"), ("bundled",)),
    }
