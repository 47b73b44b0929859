"""Options of the methods that cut inside steps."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from cyclopts import Group, Parameter

from asap.cli.options import Classifier
from asap.errors import UsageError

INSIDE = Group("Methods that cut inside steps: selective-context, llmlingua2, tokenskip", sort_key=3.5)


@Parameter(name="*")
@dataclass(frozen=True)
class Inside:
    """How they cut: named as in AsapSettings."""

    unit: Annotated[Literal["phrase", "sentence", "token"], Parameter(help="selective-context: what it removes.", group=INSIDE)] = "phrase"
    phrases: Annotated[
        Literal["auto", "spacy", "regex"],
        Parameter(help="Who finds its phrases; auto: spaCy where it and its English model are installed, else a rule.", group=INSIDE),
    ] = "auto"
    classifier: Classifier = None
    keep_digits: Annotated[bool, Parameter(negative="", help="llmlingua2, tokenskip: words with a digit go last.", group=INSIDE)] = False
    gammas: Annotated[
        str, Parameter(help="tokenskip without --ratio: the shares that rows draw from, with commas between them.", group=INSIDE)
    ] = "1.0,0.9,0.8,0.7,0.6,0.5"
    marker: Annotated[
        str | None,
        Parameter(
            help="tokenskip: what stands behind the question in training rows, with {gamma} for the share; none for nothing. "
            "[default: a line [Compression ratio: {gamma}]]",
            group=INSIDE,
        ),
    ] = None

    def as_settings(self) -> dict[str, Any]:
        """The fields of AsapSettings that these options set."""
        fields = {name: getattr(self, name) for name in ("unit", "phrases", "keep_digits")}
        chosen = {name: getattr(self, name) for name in ("classifier", "marker") if getattr(self, name) is not None}
        return {**fields, **chosen, "gammas": _shares(self.gammas)}


NOTHING_SAID = Inside()


def _shares(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"--gammas is {text!r}; write numbers with commas between them, for example 1.0,0.75,0.5") from None
