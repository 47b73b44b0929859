"""The options that several commands share, and the code that they share at start and end."""

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import CoercionError, Group, Parameter

from asap.cli.result import show
from asap.cli.terminal import say
from asap.errors import UsageError
from asap.revealed import revealed

if TYPE_CHECKING:
    from asap.dataset.row_rules import RowRules
    from asap.output import Files
    from asap.totals import Totals

DATA = Group("Reading the data", sort_key=1)
CUT = Group("How much to cut", sort_key=2)
METHOD = Group("How to decide", sort_key=3)
LLM = Group("Stage 1 with an LLM (the key comes from OPENAI_API_KEY)", sort_key=6)
MODEL = Group("Model", sort_key=4)
RUN = Group("The run", sort_key=5)


def whole(_: type, tokens: Sequence[Any]) -> int:
    """A whole number (cyclopts itself rounds 1.5)."""
    text = tokens[0].value
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        raise ValueError(f"{text!r} is not a whole number")
    return int(text)


def wholes(_: type, tokens: Sequence[Any]) -> tuple[int, ...]:
    """A list of whole numbers."""
    return _numbers(tokens, "whole number", lambda token: whole(int, [token]))


def floats(_: type, tokens: Sequence[Any]) -> tuple[float, ...]:
    """A list of numbers."""
    return _numbers(tokens, "number", lambda token: float(token.value))


def _numbers(tokens: Sequence[Any], what: str, read: Callable[[Any], Any]) -> tuple[Any, ...]:
    """The numbers of a list. Raises CoercionError, which names the option."""
    found = list[Any]()
    for token in tokens:
        try:
            found.append(read(token))
        except ValueError:
            raise CoercionError(msg=f"{token.value!r} is not a {what}", token=token) from None
    return tuple(found)


Sources = Annotated[list[str], Parameter(help="JSONL (.gz, .zst), JSON, Parquet, a folder of them, or a Hub id owner/name.")]
Out = Annotated[Path, Parameter(help="The output folder. The same command again continues what is there.", group=RUN)]
Budget = Annotated[
    int | None,
    Parameter(help="Tokens that a trace may have; 4096, as in the paper, if --ratio is not given.", group=CUT, converter=whole),
]
Ratio = Annotated[float | None, Parameter(help="The share of each trace's tokens that may stay, instead of --budget.", group=CUT)]
Columns = Annotated[
    list[str] | None,
    Parameter(
        help="Which columns to read, where their names do not tell (docs/data.md): question=…,response=…, question=…,cot=…,answer=… or "
        "messages=…; also id, system.",
        group=DATA,
    ),
]
HubConfig = Annotated[
    str | None,
    Parameter(name=("--subset", "--hub-config"), help="Subset of a folder or a Hub data set, such as solutions_py.", group=DATA),
]
HubSplit = Annotated[
    str | None,
    Parameter(
        name=("--split", "--hub-split"),
        help="Split of a folder or a Hub data set, such as train; needed if there are several.",
        group=DATA,
    ),
]
KeepColumns = Annotated[
    list[str] | None,
    Parameter(
        help="The other columns that travel along into what is written: all, none, or their names (docs/data.md). [default: all]",
        group=DATA,
    ),
]
Limit = Annotated[int | None, Parameter(help="Read only the first so many rows.", group=DATA, converter=whole)]
ShardText = Annotated[
    str | None,
    Parameter(
        name="--shard",
        help="Prune only one of n equal shares of the rows, i/n counted from 0 as Slurm arrays and Kubernetes do: 0/8 to 7/8. "
        "Each has its own --out; asap merge puts them together.",
        group=RUN,
    ),
]
Review = Annotated[
    bool, Parameter(negative="", help="Also write review.html into --out: every cut and why it was made, to look at.", group=RUN)
]
Cluster = Annotated[str | None, Parameter(help="A column that problems which belong together share; they count as one.", group=RUN)]
MaxRejected = Annotated[int | None, Parameter(help="Exit with 1 if more rows were rejected.", group=RUN, converter=whole)]


@Parameter(name="*")
@dataclass(frozen=True)
class RowOptions:
    """Which rows are read and how, and how their thinking is written."""

    think_tags: Annotated[
        str | None,
        Parameter(
            help="OPEN,CLOSE: think tags of the rows, or of stage 1's LLM, beside <think>, <thought>, [THINK], Harmony's channels and the "
            "others in docs/thinking.md.",
            group=DATA,
        ),
    ] = None
    write_tags: Annotated[
        str | None,
        Parameter(
            help="The tags of the responses that are written: keep (each row's own), think, magistral, begin_of_thought, harmony, another "
            "name in docs/thinking.md, or a pair OPEN,CLOSE. [default: think; rows of pruned.jsonl stay as they are]",
            group=DATA,
        ),
    ] = None
    drop_system: Annotated[
        bool, Parameter(negative="", help="Leave system messages out, for example one that orders other think tags.", group=DATA)
    ] = False

    each_generation: Annotated[
        bool,
        Parameter(
            negative="",
            help="Make a row of each generation where a row holds several, with ID/1, ID/2, … as ids (docs/data.md).",
            group=DATA,
        ),
    ] = False
    where: Annotated[
        list[str] | None,
        Parameter(
            negative="",
            help="COLUMN=VALUE: read only rows whose column holds this text, number, true, false or null; again for more conditions.",
            group=DATA,
        ),
    ] = None

    def rules(self) -> "RowRules":
        """The same for the library. Raises UsageError."""
        from asap.dataset.row_rules import RowRules

        rules = RowRules(self.think_tags, self.write_tags, self.drop_system, self.each_generation, tuple(self.where or ()))
        rules.check()
        return rules


AS_IT_IS = RowOptions()


def with_logprobs(rules: "RowRules", scorer: str, tokenizer: str | None) -> "RowRules":
    """The rules, which with a shipped: scorer also read the log-probabilities of each row. Raises UsageError for a wrong spec."""
    from asap.dataset.logprobs import LogprobColumns
    from asap.lm.specs import load_tokens, shipped_columns
    from asap.lm.token_bytes import token_bytes

    if not (columns := shipped_columns(scorer)):
        return rules
    return replace(rules, logprobs=LogprobColumns(columns, token_bytes(load_tokens(tokenizer)) if tokenizer else None))


@Parameter(name="*")
@dataclass(frozen=True)
class Written:
    """What the output folder holds beside the usual."""

    format: Annotated[
        list[str] | None,
        Parameter(
            negative="", help="Also write trl, axolotl, llamafactory, sharegpt, verl or rllm rows, or pruned.parquet: parquet.", group=RUN
        ),
    ] = None
    format_model: Annotated[
        str | None,
        Parameter(
            help="Write trl, axolotl, llamafactory and verl rows as the text that asap train learns, for this model (bundled, hf:… or "
            "gguf:…). Without it they are chat messages, and some chat templates (R1-Distill's) drop their thinking: docs/train.md.",
            group=RUN,
        ),
    ] = None
    train_turns: Annotated[
        Literal["all", "thinking", "last"] | None,
        Parameter(
            help="Which turns of conversations carry the loss in trl, axolotl, verl and rllm rows: all of the assistant's, those that "
            "think, or the last (docs/data.md). [default: all]",
            group=RUN,
        ),
    ] = None
    all_scores: Annotated[
        bool,
        Parameter(negative="", help="Write the scores of all stored methods into decisions.jsonl, not only those that decided.", group=RUN),
    ] = False
    zst: Annotated[
        bool,
        Parameter(negative="", help="Write decisions.jsonl.zst instead of decisions.jsonl; a folder that has it keeps to it.", group=RUN),
    ] = False

    def files(self) -> "Files":
        """The same for the library. Raises UsageError for an unknown format."""
        from asap.dataset.formats import format_of
        from asap.dataset.turn_formats import check_train_turns
        from asap.output import Files
        from asap.rendered_rows import check_rendered, template_of

        formats = [name for name in self.format or [] if name != "parquet"]
        for name in formats:
            format_of(name)
        if self.format_model is None:
            check_train_turns(self.train_turns, formats)
        else:
            check_rendered(formats)
            template_of(self.format_model)  # before the hours of scoring
        return Files(formats, self.all_scores, self.zst, self.train_turns, "parquet" in (self.format or ()), self.format_model)


AS_USUAL = Written()


Tokenizer = Annotated[str | None, Parameter(help="Count the budget with this tokenizer (Hub id or folder).", group=MODEL)]

Classifier = Annotated[
    str | None,
    Parameter(
        help="llmlingua2, tokenskip: a token classifier with two labels (Hub id or folder). "
        "[default: microsoft/llmlingua-2-xlm-roberta-large-meetingbank]",
        group=MODEL,
    ),
]


def parse_columns(texts: Sequence[str] | None) -> dict[str, str]:
    """`question=prompt` and `response=generation` as a mapping. Raises UsageError."""
    columns = dict[str, str]()
    for text in texts or ():
        name, _, column = (part.strip() for part in text.partition("="))
        if not (name and column):
            raise UsageError(f"--columns is {text!r}; write name=column pairs, for example question=prompt,response=generation")
        if name in columns:
            raise UsageError(f"--columns names {name} twice, as {columns[name]} and {column}; leave one of them out")
        columns[name] = column
    if columns:
        from asap.dataset import check_columns

        check_columns(columns)
    return columns


def allow_own_methods(*names: str) -> None:
    """Make methods in the current folder importable (`package.module:function`), after all installed packages."""
    if any(":" in name for name in names) and (folder := str(Path.cwd())) not in sys.path:
        sys.path.append(folder)


def at_least(name: str, value: int | None, least: int) -> int | None:
    """The value of an option. Raises UsageError if it is smaller than `least`."""
    if value is not None and value < least:
        raise UsageError(f"--{name} is {value}; {least} or more is expected")
    return value


def too_many_rejected(totals: "Totals", out: Path, most: int | None) -> bool:
    """Whether more rows were rejected than `--max-rejected` allows, which is then said."""
    if most is None or totals.rejected <= most:
        return False
    shown = f"rows rejected: {totals.rejected}, more than --max-rejected {most} allows; see {out}/rejected.jsonl"
    say(f"asap: {shown}", error=True)
    return True


def write_page(out: Path) -> None:
    """Write the page of `--review` into an output folder."""
    from asap.review import write_review

    write_review(out, out / "review.html")
    show(revealed(f"review   {out}/review.html: open it in a browser", keep=""), review=str(out / "review.html"))


def warn_of_dtype(dtype: str, device: str) -> None:
    """Say so where a number type was asked for that is slow on this machine."""
    if dtype != "bfloat16":
        return
    from asap.lm.cpu import slow_dtype_note
    from asap.lm.model import pick_device

    if pick_device(device).type == "cpu" and (note := slow_dtype_note()):
        say(f"asap: {note}", error=True)
