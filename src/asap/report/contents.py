"""All that a report says, which is written in five forms: page, Markdown, CSV, LaTeX, JSON."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from asap.json_values import as_json
from asap.lm.model_size import size_label
from asap.report.arms import Arm, settings_of
from asap.report.attempt_index import AttemptIndex
from asap.report.figures import ArmResult, Difference
from asap.report.layout import Results
from asap.report.paper import Beside, PaperFigure, figure_at, method_of
from asap.report.paper_notes import paper_notes
from asap.train.cost import Cost, cost_notes
from asap.versions import __version__

_CLUSTERED = "Problems of one cluster (the same {column}) count as one: tests and intervals are over clusters."
_UNRANKED = "Best and second are not marked on {}: the arms do not have the same problems there."
_ONE_SEED = "One run for each arm: nothing here covers another training with another seed."


@dataclass(frozen=True)
class ArmReport:
    """The arms, the first of which is the reference, their results and differences, the paper's figures, and what must be said."""

    title: str
    arms: Sequence[Arm]
    benchmarks: Sequence[str]
    cluster: str | None
    results: Results
    unequal: Sequence[str]
    """The benchmarks on which the arms have other problems than each other."""
    differences: Sequence[Difference]
    paper: list[PaperFigure]
    beside: Beside
    paper_says: Sequence[str]
    attempts: AttemptIndex
    notes: Sequence[str]

    @property
    def reference(self) -> Arm:
        """The arm that the others are compared with."""
        return self.arms[0]

    @property
    def label(self) -> str | None:
        """What the figures of small models, and of unknown ones, carry everywhere."""
        return size_label(count for arm in self.arms for count in arm.parameters)

    @property
    def costs(self) -> list[Cost]:
        """The training cost of each arm: each of its trainings under the name of the arm."""
        found = list[Cost]()
        for arm in self.arms:
            several = len(arm.trainings) > 1
            found += [
                training.cost._replace(arm=f"{arm.name} ({training.folder.name})" if several else arm.name) for training in arm.trainings
            ]
        return found

    @property
    def measured(self) -> list[ArmResult]:
        """The results, benchmark by benchmark and arm by arm."""
        return [self.results[arm.name, name] for name in self.benchmarks for arm in self.arms if (arm.name, name) in self.results]

    @property
    def said_of_clusters(self) -> list[str]:
        """What has to be said beside every interval, if clusters were named."""
        return [_CLUSTERED.format(column=self.cluster)] if self.cluster else []

    @property
    def said_of_results(self) -> list[str]:
        """What has to be said beside the results: what clusters are, what is not ranked, and what the paper's figures are."""
        unranked = [_UNRANKED.format(", ".join(self.unequal))] if self.unequal else []
        return [*self.said_of_clusters, *unranked, *paper_notes(self.arms, self.measured, self.beside, self.paper)]

    @property
    def said(self) -> list[str]:
        """What has to be said beneath all figures."""
        seeds = [result.seeds for result in self.measured]
        one_seed = [_ONE_SEED] if seeds and max(seeds) == 1 else []
        return [*cost_notes(self.costs), *self.paper_says, *self._nothing_published, *one_seed, *self.notes]

    @property
    def _nothing_published(self) -> list[str]:
        """That the paper has no figure for these arms and benchmarks, if its figures were asked for."""
        if not self.paper or any(self.published(result) for result in self.measured):
            return []
        arms, benchmarks = (
            ", ".join(dict.fromkeys(names)) for names in zip(*((one.method, one.benchmark) for one in self.paper), strict=True)
        )
        return [f"The paper has no figure for these arms on these benchmarks: its arms are {arms}, its benchmarks {benchmarks}."]

    def published(self, result: ArmResult) -> PaperFigure | None:
        """The paper's figure for a result."""
        return figure_at(self.beside[result.arm, result.benchmark], result.budget)


def as_record(report: ArmReport) -> dict[str, Any]:
    """The content of report.json: every figure of the report."""
    found = {
        "asap": __version__,
        "title": report.title,
        "reference": report.reference.name,
        "label": report.label,
        "cluster": report.cluster,
        "unequal": report.unequal,
        "arms": [{**settings_of(arm), "method": method_of(arm.name)} for arm in report.arms],
        "results": [
            {**asdict(result), "paper": theirs._asdict() if (theirs := report.published(result)) else None} for result in report.measured
        ],
        "differences": [asdict(one) for one in report.differences],
        "costs": [{name: value for name, value in cost._asdict().items() if name != "conditions"} for cost in report.costs],
        "paper": [*report.paper_says],
        "said_of_results": report.said_of_results,
        "said": report.said,
    }
    told: dict[str, Any] = as_json(found)
    return told
