"""The options that say which model scores."""

from dataclasses import dataclass
from typing import Annotated, Literal

from cyclopts import Parameter

from asap.cli.options import MODEL, Tokenizer
from asap.errors import UsageError


@Parameter(name="*")
@dataclass(frozen=True)
class Model:
    """Which model scores."""

    scorer: Annotated[
        str,
        Parameter(
            help="bundled, hf:<hub id or folder>, gguf:<file>, or openai:<model> on vLLM or SGLang (docs/scale.md), with --base-url and "
            "the model's --tokenizer; or none: shipped:COLUMN or shipped:TOKENS,LOGPROBS takes what the rows bring (docs/data.md).",
            group=MODEL,
        ),
    ] = "bundled"
    scorer_url: Annotated[
        str | None, Parameter(help="The server of an openai: scorer, where it is another than --base-url.", group=MODEL)
    ] = None
    tokenizer: Tokenizer = None
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16"],
        Parameter(help="Of the scorer and an hf: LLM; auto: bfloat16 on a GPU that has it, else float32.", group=MODEL),
    ] = "auto"

    @property
    def is_shipped(self) -> bool:
        """Whether the rows bring their log-probabilities. Raises UsageError for a wrong spec."""
        from asap.lm.specs import shipped_columns

        return bool(shipped_columns(self.scorer))

    @property
    def is_served(self) -> bool:
        """Whether a server scores."""
        from asap.lm.specs import is_server

        return is_server(self.scorer)

    def check(self) -> None:
        """Raise UsageError for options of a server that is none."""
        if self.scorer_url is not None and not self.is_served:
            raise UsageError(f"--scorer-url is about a server, but {self.scorer!r} runs here; leave it out")
