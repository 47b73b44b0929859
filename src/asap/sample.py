"""The record that every stage reads and writes: a question, the reasoning trace (`cot`) and the answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from math import isfinite
from typing import Any
from uuid import UUID

from asap.conversation import Conversation, Spoken, TurnOf
from asap.digest import content_digest
from asap.errors import RowError, UsageError
from asap.think_tags import IN_THINK, Frame
from asap.token_logprobs import TokenLogprobs


@dataclass(frozen=True, slots=True)
class Sample:
    """One training row. `cot` is the text between the think tags, without its outer newlines."""

    id: str
    question: str
    cot: str
    answer: str
    system: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """The row's other columns, which travel along."""
    tested_code: str | None = field(default=None, compare=False)
    """The code that the row's own tests judged."""
    frame: Frame = IN_THINK
    """The tags around trace and answer, as the response is written."""
    logprobs: TokenLogprobs | None = field(default=None, compare=False)
    """What the row ships about the tokens of its trace, where that is read."""
    turn: TurnOf | None = field(default=None, compare=False)
    """The turn that this is, of a conversation; the question is then what stands before it."""
    heard: Spoken | None = field(default=None, compare=False)
    """What `spoken` is, where it is known without the conversation."""

    @property
    def response(self) -> str:
        """The text that a model is trained to write: the trace in its tags, then the answer."""
        return self.frame.join(self.cot, self.answer)

    @property
    def prompt(self) -> list[dict[str, str]]:
        """The chat messages before the response: the system message, if any, then the question."""
        system = [{"role": "system", "content": self.system}] if self.system else []
        return [*system, {"role": "user", "content": self.question}]

    @property
    def spoken(self) -> Spoken:
        """The chat messages before the response as a model reads them in training, which differ from `prompt` for a turn."""
        if self.heard is not None:
            return self.heard
        return self.turn.conversation.spoken_before(self.turn.number) if self.turn else Spoken(self.prompt)

    @property
    def messages(self) -> list[dict[str, str]]:
        """The whole conversation as chat messages."""
        return [*self.prompt, {"role": "assistant", "content": self.response}]

    def digest(self) -> str:
        """Hex SHA-256 of the content (not of the id): equal texts, with equal log-probabilities if any, have equal digests."""
        frame = self.frame if self.frame != IN_THINK else ()
        shipped = [self.logprobs.stored()] if self.logprobs else []
        return content_digest(self.system, self.question, self.cot, self.answer, *frame, *shipped)

    def stored(self) -> dict[str, Any]:
        """The texts as JSON holds them, without the id."""
        content = {"question": self.question, "cot": self.cot, "answer": self.answer, "system": self.system}
        return {**content, "frame": list(self.frame)} if self.frame != IN_THINK else content

    def as_learnt(self) -> dict[str, Any]:
        """The texts as JSON holds them for training: of a turn also what stands before it as chat messages."""
        return {**self.stored(), "heard": self.spoken} if self.turn else self.stored()

    @classmethod
    def of_stored(cls, row_id: str, content: Mapping[str, Any], tested_code: str | None = None) -> "Sample":
        """The sample that `stored` or `as_learnt` gave this content of."""
        texts = {name: content[name] for name in ("question", "cot", "answer", "system")}
        shipped = TokenLogprobs.of_stored(content["logprobs"]) if "logprobs" in content else None
        frame = Frame(*content.get("frame", IN_THINK))
        heard = Spoken(*content["heard"]) if "heard" in content else None
        return cls(row_id, **texts, tested_code=tested_code, frame=frame, logprobs=shipped, heard=heard)

    @classmethod
    def of_turn(cls, turn: TurnOf) -> "Sample":
        """A turn that thinks, as a sample."""
        conversation, number = turn
        texts = conversation.before(number), conversation.cot(number), conversation.answer(number), conversation.system
        return cls(turn.id, *texts, tested_code=tested_code_in(conversation.row), turn=turn)


def checked_sample(value: object) -> Sample:
    """The value, which is a Sample of texts. Raises UsageError that says how one is made."""
    if isinstance(inside := getattr(value, "sample", None), Sample):
        raise UsageError(f"a {type(value).__name__} was given for a sample; give its attribute sample, of {inside.id!r}")
    if not isinstance(value, Sample):
        raise UsageError(
            f"a {type(value).__name__} was given for a sample; make one of a row with asap.to_sample(row).sample, or of texts with "
            "asap.Sample(id, question, cot, answer)"
        )
    for name in ("id", "question", "cot", "answer"):
        if not isinstance(text := getattr(value, name), str):
            raise UsageError(f"{name} of a sample is a {type(text).__name__}; a text is expected")
    return value


class Unthinking(RowError):
    """A row without thinking that passes through as it is: a sample without a trace, or a conversation."""

    def __init__(self, reason: str, detail: str, whole: Sample | Conversation) -> None:
        super().__init__(reason, detail, whole.id)
        self.whole = whole

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.reason, self.detail, self.whole)

    def stored(self) -> dict[str, Any]:
        """The row as JSON holds it."""
        if isinstance(self.whole, Conversation):
            return {"conversation": self.whole.stored()}
        return {"sample": self.whole.stored(), "meta": self.whole.meta}


def unthinking_of(row_id: str, content: Mapping[str, Any]) -> Sample | Conversation:
    """The row that `Unthinking.stored` gave this content of, under an id."""
    if "conversation" in content:
        return replace(Conversation.of_stored(content["conversation"]), id=row_id)
    return replace(Sample.of_stored(row_id, content["sample"]), meta=content["meta"])


def make_sample(
    question: object,
    cot: object,
    answer: object,
    *,
    row_id: object = None,
    system: object = None,
    meta: Mapping[str, Any] | None = None,
    thinks: bool = True,
) -> Sample:
    """A checked Sample; a row without an id (`id_text`) gets one derived from its content. Raises RowError for an unusable row.

    A row that does not think (`thinks`) may have an empty trace.
    """
    named = {"question": question, "cot": cot, "answer": answer}
    if system is not None:
        named["system"] = system
    shown = id_text(row_id)
    if shown is None and not (row_id in (None, "") or isinstance(row_id, float | Decimal)):
        raise RowError("wrong_type", f"id is {type(row_id).__name__}; a string or a number is expected")
    texts = {name: _checked_text(name, value, shown) for name, value in {"id": shown or "", **named}.items()}
    for name in ("cot", "answer"):
        texts[name] = texts[name].strip("\r\n")
    for name, reason in (("question", "empty_question"), ("cot", "empty_think"), ("answer", "empty_answer")):
        if not texts[name].strip() and (thinks or name != "cot"):
            raise RowError(reason, f"{name} is empty or white space", shown)
    system_text = texts.get("system") or None
    identity = shown or content_digest(system_text, texts["question"], texts["cot"], texts["answer"])[:16]
    return Sample(identity, texts["question"], texts["cot"], texts["answer"], system_text, meta or {}, tested_code_in(meta or {}))


def id_text(value: object) -> str | None:
    """An id as text; None for what cannot be one. A float without a fraction is the whole number that a gap in its column made it of."""
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        if not isfinite(value):
            return None
        return str(int(value)) if value == int(value) else str(value)
    return str(value) if isinstance(value, str | UUID) and value != "" else None


def may_be_id(value: object) -> bool:
    """Whether a value is of a kind that ids are of; a list, an object, true or false is none."""
    return isinstance(value, str | int | float | Decimal | UUID) and not isinstance(value, bool)


def tested_code_in(columns: Mapping[str, Any]) -> str | None:
    """The code that the row's own tests judged, from the column `tested_code`; None if that holds no text."""
    code = columns.get("tested_code")
    return code if isinstance(code, str) and code.strip() else None


def _checked_text(name: str, value: object, row_id: str | None) -> str:
    """The value, if it is a string of valid Unicode (no lone surrogates). Raises RowError otherwise."""
    if not isinstance(value, str):
        raise RowError("wrong_type", f"{name} is {type(value).__name__}; a string is expected", row_id)
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        printable = None if row_id is None else row_id.encode("utf-8", "backslashreplace").decode("utf-8")
        raise RowError(
            "lone_surrogate", f"{name} holds half a surrogate pair at character {error.start}: not valid Unicode", printable
        ) from error
    return value
