"""Pruning as a step of a datatrove pipeline: each document is a row, its text the response. docs/plugins.md explains it.

python examples/datatrove_step.py examples out/datatrove
"""

import sys

from datatrove.data import DocumentsPipeline
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter

import asap


class PruneStep(PipelineStep):  # type: ignore[misc]  # datatrove has no types
    """Shortens the trace in each document's text. A row that cannot be pruned is left out, and counted with its reason."""

    name = "ASAP"
    type = "PRUNE"

    def __init__(self, scorer: str = "bundled", response: str = "response", **settings: object) -> None:
        super().__init__()
        self.scorer, self.response, self.settings = scorer, response, settings

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        """The documents with shorter texts. The model is loaded here, in the process of the task."""
        pruner = asap.Asap(self.scorer, self.settings)
        for document in data:
            row = {**document.metadata, "id": document.id, self.response: document.text}
            try:
                with self.track_time():
                    pruned = pruner.prune(asap.to_sample(row).sample)
            except asap.RowError as error:
                self.stat_update(f"rejected_{error.reason}")
                continue
            self.stat_update("tokens_before", value=pruned.decision.tokens_before, unit="doc")
            self.stat_update("tokens_after", value=pruned.decision.tokens_after, unit="doc")
            document.text = pruned.sample.response
            yield document


def main(source: str, out: str, scorer: str = "bundled") -> None:
    """Prune the traces.jsonl of a folder; `out` gets the documents, and in `out`/logs what datatrove counted."""
    steps = [
        JsonlReader(source, text_key="response", glob_pattern="traces.jsonl"),
        PruneStep(scorer, ratio=0.5, coarse="none", scores="own"),
        JsonlWriter(out, expand_metadata=True, compression=None),
    ]
    LocalPipelineExecutor(steps, tasks=1, logging_dir=f"{out}/logs").run()


if __name__ == "__main__":
    main(*sys.argv[1:])
