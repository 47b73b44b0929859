"""Having a model write: what is asked, what comes back, and who can be asked."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from asap.think import CLOSE, OPEN, OPENED, opened_by

if TYPE_CHECKING:
    from asap.lm.tokens import TokenCounter

Message = Mapping[str, str]


class Ask(NamedTuple):
    """One generation that is wanted: the chat messages, and a number that makes repeated samples differ."""

    key: str
    messages: Sequence[Message]
    seed: int


class Settings(NamedTuple):
    """How is written: at most so many new tokens, greedily at temperature 0."""

    max_new_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0


class Written(NamedTuple):
    """What a model wrote. `opened`: the prompt had opened the thinking already, and the tag was put before `text` again.

    `stopped_by`: "stop", "length" (its budget), "context" (the model's context), "too_long" (the prompt alone is too long) or
    the server's own word. `tokens` are those generated; `seconds` runs from the request to the last token.
    """

    text: str
    stopped_by: str
    prompt_tokens: int
    tokens: int
    tokens_thinking: int | None
    tokens_answer: int | None
    ttft_s: float | None
    seconds: float
    opened: bool

    def as_row(self) -> dict[str, Any]:
        """As it is kept."""
        return self._asdict()


Kept = Callable[[Ask, Written], None]


class Generator(Protocol):
    """A model that writes: a server, or one in this process. `identity` is complete once it has written.

    `tokens` counts as the model does (None: its tokenizer is not at hand); `concurrency` is how many texts are written at once.
    """

    identity: Mapping[str, Any]
    concurrency: int
    tokens: "TokenCounter | None"

    async def write(self, asks: Sequence[Ask], settings: Settings, kept: Kept) -> None:
        """Write them all; `kept` is called with each as it comes. Raises EndpointError and InputError."""
        ...


def rendered(tokens: "TokenCounter", messages: Sequence[Message]) -> tuple[list[int], bool]:
    """The token ids of the messages in the model's own template, with exactly one BOS where the model wants one.

    The second value tells whether the template ends with an opened thought. Raises InputError if it refuses the messages.
    """
    import jinja2

    from asap.errors import InputError

    try:
        text = str(tokens.hf.apply_chat_template([dict(message) for message in messages], add_generation_prompt=True, tokenize=False))
    except jinja2.TemplateError as error:
        raise InputError(f"the chat template of {tokens.name} refuses the question: {error}") from error
    ids = tokens.input_ids(text)
    while tokens.bos_id is not None and ids[1:2] == [tokens.bos_id]:  # a template that wrote it too
        del ids[1]
    return ids, opened_by(text)


def reopened(text: str, opened: bool) -> str:
    """The text with the tag that the prompt had written."""
    return OPENED + text if opened else text


def counted(text: str, total: int, tokens: "TokenCounter | None") -> tuple[int | None, int | None]:
    """Of `total` tokens those of the thinking, its closing tag included, and those of the answer; the share of each is counted anew."""
    if tokens is None:
        return None, None
    thought, closing, _ = text.rpartition(CLOSE)
    if not closing:
        return (total, 0) if OPEN in text else (0, total)
    thinking = min(total, tokens.count(thought.removeprefix(OPENED) + closing))
    return thinking, total - thinking
