"""The problem that a row of attempts is about and the texts in it, wherever tools put them.

A column says what its texts are: a `solution` is a whole program, a `completion` continues the prompt, a `generation` is what a model
wrote. Where neither column nor file says so, the kind is `UNCLEAR`, and the text itself tells (`asap.evaluate.told`).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from asap.benchmarks.decoding import decoded
from asap.dataset.chat import chat_turns
from asap.dataset.raw import Row
from asap.errors import RowError
from asap.evaluate.attempt_files import UNTOLD
from asap.message_parts import REASONING_KEYS
from asap.think_tags import IN_THINK

UNCLEAR = "unclear"
ID_COLUMNS = ("task_id", "question_id", "problem_id", "id", "custom_id")
COLUMNS = {
    "generation": "generation",
    "solution": "solution",
    "completion": "completion",
    "code_list": "solution",  # LiveCodeBench: all samples of a problem in one row
    "generations": "generation",
    "solutions": "solution",
    "completions": "completion",
    "filtered_resps": UNCLEAR,  # lm-evaluation-harness: what it judged
    "code": "solution",
    "generated_code": "solution",
    "program": "solution",
    UNTOLD: UNCLEAR,  # inspect, bigcode-evaluation-harness
    "output_list": "generation",
    "outputs": UNCLEAR,
    "response": "generation",
    "responses": "generation",
    "prediction": UNCLEAR,
    "predictions": UNCLEAR,
    "resps": UNCLEAR,
    "messages": "generation",
    "conversations": "generation",
    "choices": "generation",
    "raw_generation": "generation",
    "raw_solution": UNCLEAR,
}
"""The columns with texts and what they hold; the first with a text that is not empty counts."""

SAID = ("output_list", "resps", "raw_generation", "response", "responses", "messages", "conversations", "choices", "output", "raw_solution")
"""Columns with what a model wrote, which may stand beside the code that a tool took from it."""

_CHATS = ("messages", "conversations")
_INSIDE = ("completion", "choices", "message", "content", "text", "body", "output")
STOPS = ("stopped_by", "finish_reason", "stop_reason")
"""Where it is recorded how a text ended: in the row, or beside each text in what a server sent."""


class ProblemIds:
    """The ids of a benchmark's problems, also as other tools write them: `HumanEval_0`, or the number alone if all ids begin alike."""

    def __init__(self, known: Sequence[str]) -> None:
        self._known = {name: name for name in known}
        self._files = _unambiguous([(name.replace("/", "_"), name) for name in known])
        begin_alike = len({name.rpartition("/")[0] for name in known}) == 1
        self._numbers = {end: name for name in known if begin_alike and (end := name.rpartition("/")[2]).isdecimal()}

    def of(self, row: Row) -> str:
        """The problem that a row is about. Raises RowError."""
        doc = decoded(row.get("doc"))
        for place in (row, doc) if isinstance(doc, Mapping) else (row,):
            for column in ID_COLUMNS:
                if (given := _id(place.get(column))) is not None:
                    return self._named(column, given)
        raise RowError("no_task_id", "the row has no task_id (a text); which problem it answers is not known")

    def _named(self, column: str, given: str) -> str:
        # `id` and `custom_id` may just number the rows
        found = (
            self._known.get(given) or self._files.get(given) or (self._numbers.get(given) if column not in ("id", "custom_id") else None)
        )
        if found is None:
            like = f", whose ids are such as {next(iter(self._known))!r}" if self._known else ""
            raise RowError("unknown_task", f"{column} {given[:80]!r} is no problem of this benchmark{like}", given)
        return found


def _unambiguous(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    names = [alias for alias, _ in pairs]
    return {alias: name for alias, name in pairs if names.count(alias) == 1} if len(names) != len({*names}) else dict(pairs)


def _id(value: object) -> str | None:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) and value != "" else None


def texts_of(row: Row) -> list[tuple[str, str, str | None]]:
    """The texts of a row with their kinds, and what the model wrote where a text is only the code that a tool took from it.

    A column that is null or empty does not hide one that is filled. Raises RowError.
    """
    held = [(column, kind, row[column]) for column, kind in COLUMNS.items() if row.get(column) not in (None, [], {})]
    empty = list[str]()
    for column, kind, value in held:
        texts = _texts(column, value)
        if any(texts):
            said: Sequence[str | None] = [] if kind == "generation" or column in SAID else _said(held, len(texts))
            return [(kind, *pair) for pair in zip(texts, said or [None] * len(texts), strict=True)]
        empty = empty or texts
    if empty:
        return [(held[0][1], text, None) for text in empty]
    if nulls := [column for column in COLUMNS if column in row]:
        raise RowError("wrong_type", f"{nulls[0]} is {'null' if row[nulls[0]] is None else 'empty'}; a text is expected")
    raise RowError("no_attempt", f"the row has none of the columns {', '.join(COLUMNS)}")


def stops_of(row: Row, count: int) -> list[str | None]:
    """How each of `count` texts ended, as recorded beside them in the objects of servers and inspect."""
    for column in (*SAID, "outputs"):
        if len(found := [*_stops(row.get(column))]) == count:
            return found
    return [None] * count


def _stops(value: object) -> Iterator[str | None]:
    if isinstance(value, list):
        for one in value:
            yield from _stops(one)
    elif isinstance(value, Mapping):
        told = next((stop for name in STOPS if isinstance(stop := value.get(name), str)), None)
        if value.get("status") == "incomplete":  # of the Responses API
            told = "length"
        if told is not None:
            yield told
        else:
            yield from _stops(next((value[name] for name in ("choices", "body", "output") if value.get(name)), None))


def _texts(column: str, value: object) -> list[str]:
    return [*_flat(decoded(value) if column in _CHATS else value, column)]


def _said(held: Sequence[tuple[str, str, object]], count: int) -> list[str]:
    """What a model wrote, a text for each of `count`; nothing if no column holds so many."""
    for column, _, value in held:
        with suppress(RowError):
            if column in SAID and len(texts := _texts(column, value)) == count:
                return texts
    return []


def _flat(value: object, place: str) -> Iterator[str]:
    """The texts in a value: itself, those of a list, an answer of a chat, or of the objects in which servers and inspect put them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list) and any(isinstance(one, Mapping) and ("role" in one or "from" in one) for one in value):
        yield _last_answer(value, place)
    elif isinstance(value, list) and any(isinstance(one, Mapping) and "type" in one for one in value):
        yield _last_answer([{"role": "assistant", "content": value}], place)  # parts, some of which may be thinking
    elif isinstance(value, list):
        for at, one in enumerate(value):
            yield from _flat(one, f"{place}[{at}]")
    elif isinstance(value, Mapping) and ("role" in value or any(key in value for key in REASONING_KEYS)):
        yield _last_answer([{"role": "assistant", **value}], place)
    elif isinstance(value, Mapping) and (inside := next((name for name in _INSIDE if value.get(name)), None)):
        yield from _flat(value[inside], f"{place}.{inside}")
    else:
        raise RowError("wrong_type", f"{place} is {'null' if value is None else type(value).__name__}; a text is expected")


def _last_answer(messages: Sequence[object], place: str) -> str:
    """What an assistant said last, with its thinking."""
    last = chat_turns(messages, place)[-1]
    if last.role != "assistant":
        raise RowError("no_answer", f"{place} ends with a message of the {last.role}; one of the assistant is expected")
    return IN_THINK.join(last.reasoning, last.content) if last.reasoning else last.content
