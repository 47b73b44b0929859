"""What must stand beside the paper's figures: of which table, model and budget they are, and what is otherwise in the runs here."""

from collections.abc import Iterable, Iterator, Sequence

from asap.report.arms import Arm, arms_by_text
from asap.report.figures import ArmResult
from asap.report.paper import PROBLEMS, Beside, PaperFigure, figure_at, is_of_model


def paper_notes(arms: Sequence[Arm], results: Sequence[ArmResult], beside: Beside, figures: Sequence[PaperFigure]) -> list[str]:
    """A sentence or two for each benchmark with a figure of the paper's, in the order of the results."""
    models = {arm.name: arm.models for arm in arms}
    pairs = [(result, found) for result in results if (found := figure_at(beside[result.arm, result.benchmark], result.budget))]
    notes = list[str]()
    for benchmark in dict.fromkeys(result.benchmark for result, _ in pairs):
        here = [(result, found) for result, found in pairs if result.benchmark == benchmark]
        places = _named((result.arm, _place(found)) for result, found in here)
        unlike = _named((result.arm, what) for result, found in here for what in _unlike(result, found, models[result.arm], figures))
        notes.append(f"{benchmark}: the paper's figures are those of {places}." + (f" Here it is otherwise: {unlike}." if unlike else ""))
    return notes


def _place(figure: PaperFigure) -> str:
    return f"{figure.source}: {figure.model} with at most {figure.budget:,} tokens"


def _unlike(result: ArmResult, figure: PaperFigure, models: Sequence[str], figures: Sequence[PaperFigure]) -> Iterator[str]:
    """In what a result is unlike a figure of the paper's, or may be."""
    if not is_of_model(figure, models):
        named = dict.fromkeys(one.model for one in figures if (one.benchmark, one.method) == (figure.benchmark, figure.method))
        others = " and ".join(model for model in named if model != figure.model)
        yield "a model that is not known to be this one" + (f", nor {others}, whose table was not named first" if others else "")
    if result.budget is None:
        yield "a budget that is not known"
    elif result.budget != figure.budget:
        yield f"at most {result.budget:,} tokens"
    if result.problems != PROBLEMS[result.benchmark]:
        yield f"{result.problems:,} of the {PROBLEMS[result.benchmark]:,} problems"


def _named(told: Iterable[tuple[str, str]]) -> str:
    """Each text once, with the arms that it is about behind it."""
    return "; ".join(f"{text} ({names})" for text, names in arms_by_text(told).items())
