"""The options of stage 1's LLM: the model, the requests, and the limits on the cost."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from asap.cli.options import LLM, RUN, at_least, whole
from asap.errors import UsageError
from asap.lm.hub import Dtype
from asap.prune.coarse.align import Align
from asap.prune.coarse.rewrite import Rewrite
from asap.prune.settings import flat

if TYPE_CHECKING:
    from asap.llm_pass import LlmOptions
    from asap.lm.generate import Generator
    from asap.lm.spending import SpendingLimit
    from asap.think_tags import TagTable


@Parameter(name="*")
@dataclass(frozen=True)
class Llm:
    """The LLM of stage 1, how it is asked, and what it may cost."""

    llm: Annotated[
        str | None,
        Parameter(help="openai:<model> (any OpenAI-compatible server), hf:<hub id or folder>, gguf:<file> or bundled.", group=LLM),
    ] = None
    base_url: Annotated[
        str | None, Parameter(help="The server, for example http://127.0.0.1:8000/v1; of an openai: scorer too.", group=LLM)
    ] = None
    concurrency: Annotated[int | None, Parameter(help="Requests at once. [default: 16 for servers]", group=LLM, converter=whole)] = None
    llm_context: Annotated[
        int | None,
        Parameter(help="Tokens that prompt and reply may have together. [default: what the server tells]", group=LLM, converter=whole),
    ] = None
    llm_tokenizer: Annotated[str | None, Parameter(help="The LLM's tokenizer (Hub id or folder), for exact counts.", group=LLM)] = None
    replies: Annotated[
        list[Path] | None, Parameter(negative="", help="Use the replies in this output folder instead of asking again.", group=LLM)
    ] = None
    batch: Annotated[bool, Parameter(negative="", help="Hand requests in as batches (/v1/batches): slower, often cheaper.", group=LLM)] = (
        False
    )
    pilot: Annotated[
        int | None,
        Parameter(
            help="Try so many rows and stop: what the stages remove of them, and how long all rows take. With --llm it asks about them and "
            "pays for that, keeps the replies in --out, and says what the others will cost.",
            group=RUN,
            converter=whole,
        ),
    ] = None
    max_cost: Annotated[float | None, Parameter(help="Stop before more US dollars are spent; the run can go on later.", group=LLM)] = None
    max_requests: Annotated[int | None, Parameter(help="Stop after so many requests.", group=LLM, converter=whole)] = None
    price_in: Annotated[float | None, Parameter(help="US dollars per million prompt tokens. [default: the list price]", group=LLM)] = None
    price_out: Annotated[float | None, Parameter(help="US dollars per million reply tokens.", group=LLM)] = None

    def check(self, coarse: str | None, values: Mapping[str, Any], *, for_scorer: bool = False) -> None:
        """Raise UsageError unless the options of the LLM are consistent. `for_scorer`: those of a server may be the scorer's."""
        of_llm = {name: default for name, default in flat(Rewrite()) if name not in dict(flat(Align()))}
        named = [field.name for field in fields(self) if getattr(self, field.name) != field.default and field.name not in ("llm", "pilot")]
        named += [name for name, value in values.items() if name in of_llm and value != of_llm[name]]
        if for_scorer:
            named = [name for name in named if name not in ("base_url", "concurrency")]
        if self.llm is None and coarse in ("select", "rewrite"):
            raise UsageError(f"--coarse {coarse} needs --llm, for example --llm openai:deepseek-chat; without an LLM use align or none")
        if self.llm is None and named:
            raise UsageError(f"--{named[0].replace('_', '-')} is about the LLM of stage 1, and there is none: add --llm")
        if self.llm is not None and coarse in ("align", "none"):
            raise UsageError(f"--coarse {coarse} asks no LLM, so --llm has no use; choose --coarse select or rewrite, or leave --llm out")
        for name, least in (("concurrency", 1), ("pilot", 1), ("max_requests", 1), ("llm_context", 256)):
            at_least(name.replace("_", "-"), getattr(self, name), least)
        for name in ("price_in", "price_out", "max_cost"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < float("inf"):
                raise UsageError(f"--{name.replace('_', '-')} is {value:g}; 0 or more is expected")
        if self.batch and self.concurrency is not None:
            raise UsageError("--concurrency has no use with --batch, which hands in all requests at once; leave one of them out")
        if (self.price_in is None) != (self.price_out is None):
            raise UsageError("--price-in and --price-out go together: US dollars per million prompt and reply tokens")

    def spending(self) -> "SpendingLimit":
        """The limits on what the LLM may cost, at the list price unless the user typed another one."""
        from asap.lm.specs import Spec
        from asap.lm.spending import Price, SpendingLimit, find_price

        spec = Spec.read(self.llm) if self.llm else None
        price = find_price(spec.name, self.base_url) if spec and spec.kind == "openai" else None
        if self.price_in is not None and self.price_out is not None:
            price = Price(self.price_in, self.price_out)
        return SpendingLimit(price, max_cost=self.max_cost, max_requests=self.max_requests)

    def generator(self, spending: "SpendingLimit", out: Path | None, *, dtype: Dtype, device: str) -> "Generator | None":
        """The LLM; None without --llm. `out` is the folder of the run."""
        from asap.lm.specs import load_llm

        if self.llm is None:
            return None
        return load_llm(
            self.llm,
            base_url=self.base_url,
            concurrency=self.concurrency,
            spending=spending,
            context_tokens=self.llm_context,
            tokenizer=self.llm_tokenizer,
            batch=self.batch,
            out=out,
            dtype=dtype,
            device=device,
        )

    def run_options(self, spending: "SpendingLimit", table: "TagTable") -> "LlmOptions":
        """The options of a run's pass over its rows with the LLM."""
        from asap.llm_pass import LlmOptions

        return LlmOptions(spending, self.replies or [], self.pilot, table)
