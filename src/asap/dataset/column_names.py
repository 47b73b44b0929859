"""Column names: which columns of a row hold its question, its thinking and its answer, or a chat of all three.

A table of names, and one rule over it (docs/data.md). What a name leaves open, the content decides: a response is whole if there are
think tags in it. A row that can be read in two ways is rejected, and told what to type.

What this does not do: read the values (`asap.dataset.shapes`).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, NoReturn

from asap.dataset.advice import EACH_GENERATION, advised, with_option
from asap.dataset.chat import chat_turns, has_answer, has_question, is_chat, messages_in
from asap.dataset.raw import Row
from asap.dataset.rendered import check_beginning
from asap.errors import RowError
from asap.message_parts import is_number
from asap.think_tags import HARMONY_WORDS, TagTable, has_tag, tag_at_start

Part = Literal["system", "user", "input", "reasoning", "assistant", "chat", "history", "system in chat"]


class Shape(NamedTuple):
    """The columns of a row and what they hold. `also` are other readings, one of which must find the same thinking."""

    needed: Mapping[str, Part]
    optional: Mapping[str, Part]
    also: "tuple[Shape, ...]" = ()

    @property
    def name(self) -> str:
        """The needed columns."""
        return "+".join(self.needed)


CHATS = ("messages", "conversations", "conversation", "reannotated_messages", "interactions", "chat", "dialogue", "dialog")
QUESTIONS = ("question", "prompt", "problem", "query", "instruction", "user_prompt")
LESSER_QUESTIONS = ("input", "user", "human", "message")
"""These hold the question only where no other column does."""
TRACES = (
    *("cot", "reasoning", "reasoning_content", "thinking", "think", "thought", "thoughts", "reasoning_trace"),
    *("chain_of_thought", "complex_cot", "reasoning_details", "deepseek_reasoning", "thinking_trajectories"),
    *("thinking_trajectory", "deepseek_thinking_trajectory", "gemini_thinking_trajectory"),
)
RESPONSES = (
    *("response", "generation", "completion", "attempt", "generated_solution", "generated_response"),
    *("r1_generation", "r1_solution", "deepseek_solution", "deepseek_attempt", "gemini_attempt", "reannotated_assistant_content"),
    *("responses", "generations", "completions", "outputs", "attempts"),
)
"""What a model wrote: the answer beside a trace, or both in one text."""
ANSWERS = ("answer", "solution", "output", "content", "assistant", "bot")
"""These may hold something else, such as the right answer of the data set's author, so a response goes before them."""
SYSTEMS = ("system", "system_prompt")
_TOGETHER = {
    "response": "question",
    "answer": "question",
    "r1_generation": "question",
    "generation": "prompt",
    "completion": "prompt",
    "output": "instruction",
    "solution": "problem",
    "generated_solution": "problem",
    "deepseek_solution": "problem",
}
"""The question that belongs to a response where a row has several."""
_OWN: Mapping[str, Part] = {"question": "user", "cot": "reasoning", "answer": "assistant"}


def find_shape(row: Row, table: TagTable) -> Shape:
    """The shape of a row. Raises RowError if no columns make a sample, or if several do that are not the same."""
    optional = _optional(row)
    if _is_own(row):
        return Shape(_OWN, {**optional, "messages": "system in chat"})  # the rows of pruned.jsonl
    chats = [name for name in _columns(row, (*CHATS, *QUESTIONS, *LESSER_QUESTIONS)) if has_answer(row[name])]
    if len(chats) > 1:  # of R1-Distill-SFT one is without its thinking
        chats = [name for name in _different(row, chats) if has_thinking(row[name], table)] or chats
    questions, traces = _questions(row), _traces(row)
    answers = _answers(row)
    whole = _different(row, (name for name in answers if has_thinking(row[name], table)))
    if not answers and len(traces) == 1 and has_thinking(row[traces[0]], table):
        whole, traces = traces, []
    if not chats and len(only := whole or answers) == 1 and has_question(row[only[0]], [row[name] for name in questions]):
        chat = _of_chat(row, only, traces, table)
        return chat._replace(also=_beside_chat(row, traces, [name for name in answers if name not in only], chat))
    of_chat = _of_chat(row, chats, traces, table) if chats else None
    single = [name for name in whole if not holds_several(row[name])]
    if questions and len(single) == 1:
        beside = [name for name in traces if _is_text(row[name])]
        return _of_columns(row, questions, beside, single[0], *([of_chat] if of_chat and chats[:1] != questions else []))
    if of_chat is not None:
        return of_chat if of_chat.also else of_chat._replace(also=_beside_chat(row, traces, answers, of_chat))
    if questions and (whole or (traces and answers)):
        return _of_columns(row, questions, traces, _one_answer(row, questions, traces, whole or _likeliest(row, answers)))
    if questions and len(answers) == 1:
        return _of_columns(row, questions, [], answers[0])
    if questions and answers:
        _refuse_without_thinking(row, questions, answers)
    return _without_answer(row, optional, table)


def has_thinking(value: object, table: TagTable) -> bool:
    """Whether a text, one of several, or the answer of a chat has thinking in it."""
    if is_chat(value):
        try:
            answers = [turn for turn in chat_turns(value, "") if turn.role == "assistant"]
        except RowError:  # reading it will tell
            return True
        return any(turn.reasoning or has_thinking(turn.content, table) for turn in answers)
    if isinstance(value, str):
        return has_tag(value, [tags for tags in table if tags is not HARMONY_WORDS]) or tag_at_start(value, table) is not None
    several = value.values() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple)) else ()
    return any(has_thinking(one, table) for one in several)


def holds_several(value: object) -> bool:
    """Whether a value is a list of more than one text or object, which are no chat."""
    return isinstance(value, (list, tuple)) and len(value) > 1 and not is_chat(value)


def _of_columns(row: Row, questions: Sequence[str], traces: Sequence[str], answer: str, *also: Shape) -> Shape:
    question = _one_question(row, questions, answer)
    if len(traces) > 1:
        _refuse("two_traces", traces, [{"question": question, "cot": trace, "answer": _partner(trace, row) or answer} for trace in traces])
    parts: dict[str, Part] = {question: "user", **dict.fromkeys(traces, "reasoning"), answer: "assistant"}
    optional = _optional(row)
    if question.lower() == "instruction":
        context: dict[str, Part] = {"context": "input"} if isinstance(row.get("context"), str) else {}
        optional |= {"input": "input", **context, "history": "history"}
    return Shape(parts, {name: part for name, part in optional.items() if name not in parts}, also)


def _of_chat(row: Row, chats: Sequence[str], traces: Sequence[str], table: TagTable) -> Shape:
    chat = chats[0]
    if not traces or has_thinking(row[chat], table):
        also = (Shape({other: "chat"}, _optional(row)) for other in chats[1:] if has_thinking(row[other], table))
        return Shape({chat: "chat"}, _optional(row), tuple(also))
    if len(traces) > 1:
        _refuse("two_traces", traces, [{"messages": chat, "cot": trace} for trace in traces])
    return Shape({chat: "chat", traces[0]: "reasoning"}, _optional(row))


def _beside_chat(row: Row, traces: Sequence[str], answers: Sequence[str], of_chat: Shape) -> tuple[Shape, ...]:
    """The readings of a row by a trace and an answer beside a chat that has both."""
    names = [name for name in _columns(row, (*QUESTIONS, *LESSER_QUESTIONS, *CHATS)) if not has_answer(row[name])]
    questions = [name for name in names if isinstance(row[name], str) or is_chat(row[name])]
    if not (questions and answers) or len(of_chat.needed) > 1:
        return ()
    return tuple(_of_columns(row, questions[:1], [trace], answer) for trace in traces for answer in answers)


def _optional(row: Row) -> dict[str, Part]:
    return {next(iter(_columns(row, SYSTEMS)), "system"): "system"}


def _is_own(row: Row) -> bool:
    """Whether question, trace and answer have ASAP's own names, and no other column could be the answer unless there are messages."""
    if not (_is_filled(row.get("question")) and _is_filled(row.get("cot"))) or row.get("answer") is None:
        return False
    if "messages" in row:
        return _is_filled(row["answer"])
    return not [name for name in _answers(row) if row[name] != row["answer"]]


def _questions(row: Row) -> list[str]:
    """The columns that may hold the question: chats without an answer, else those of the first names, else those of the lesser ones."""
    chats = [name for name in _columns(row, (*CHATS, *QUESTIONS, *LESSER_QUESTIONS)) if is_chat(row[name])]
    open_chats = [name for name in chats if not has_answer(row[name])]
    with_history = [name for name in chats if name.lower() not in CHATS]
    return open_chats[:1] or with_history[:1] or _columns(row, QUESTIONS) or _columns(row, LESSER_QUESTIONS)


def _one_question(row: Row, questions: Sequence[str], answer: str) -> str:
    different = _different(row, questions)
    if len(different) == 1:
        return different[0]
    together = _TOGETHER.get(answer.lower())
    found = next((name for name in different if name.lower() == together), None)
    return found or _refuse("two_questions", different, [{"question": name, "response": answer} for name in different])


def _traces(row: Row) -> list[str]:
    """The columns that may hold the trace, without those that only say in a few words whether there is one, or of which kind."""
    found = [name for name in _columns(row, TRACES) if not _is_label(row[name])]
    return _different(row, found)


def _answers(row: Row) -> list[str]:
    """The columns that may hold the answer. A number, where no text is, may be one, but what a model wrote is none (`attempt`: 3)."""
    found = _columns(row, (*RESPONSES, *ANSWERS))
    return [name for name in found if not (is_number(row[name]) and plain_name(name) in RESPONSES)] or found


def _likeliest(row: Row, answers: Sequence[str]) -> list[str]:
    """Of answers without thinking: what a model wrote, before what may be the right answer."""
    written = [name for name in answers if name.lower() in RESPONSES]
    return _different(row, written or answers)


def _one_answer(row: Row, questions: Sequence[str], traces: Sequence[str], answers: Sequence[str]) -> str:
    if len(answers) == 1:
        return answers[0]
    beside = {"cot": traces[0]} if traces else {}
    last = "answer" if traces else "response"
    partners = {_partner(trace, row) for trace in traces}
    matching = [name for name in answers if name in partners]
    return (
        matching[0] if matching else _refuse("two_answers", answers, [{"question": questions[0], **beside, last: name} for name in answers])
    )


def _partner(trace: str, row: Row) -> str | None:
    """The answer that belongs to a trace: of the same model by the first word of its name, as in deepseek_attempt, or the content."""
    if trace.lower() == "reasoning_content":
        return next(iter(_columns(row, ("content",))), None)
    model = trace.lower().partition("_")[0]
    return next((name for name in _columns(row, RESPONSES) if name.lower().startswith(f"{model}_")), None)


def _refuse(reason: str, columns: Sequence[str], choices: Sequence[Mapping[str, str]]) -> NoReturn:
    what = {"two_questions": "question", "two_traces": "thinking", "two_answers": "answer"}[reason]
    raise advised(reason, f"{' and '.join(columns)} differ: name the one with the {what}, ", *choices)


def _refuse_without_thinking(row: Row, questions: Sequence[str], answers: Sequence[str]) -> NoReturn:
    one, other = sorted(answers[:2], key=lambda name: -len(str(row[name])))
    raise advised(
        "no_think",
        f"none of {', '.join(answers)} holds think tags, and no column holds a trace; if one of them is the thinking, name them, for "
        "example ",
        {"question": questions[0], "cot": one, "answer": other},
    )


def _refuse_unknown(row: Row, thinking: Sequence[str]) -> NoReturn:
    question = next(iter(_questions(row)), "...")
    how = ({"messages": name} if is_chat(row[name]) else {"question": question, "response": name} for name in thinking)
    raise advised("unknown_shape", f"there is thinking in {' and '.join(thinking)}, but which columns make a row is unknown: ", *how)


def _without_answer(row: Row, optional: Mapping[str, Part], table: TagTable) -> Shape:
    """The shape of a row with a chat that lacks its answer, for which it will be rejected."""
    chats = _columns(row, CHATS)
    if chats:
        return Shape({chats[0]: "chat"}, optional)
    for name, value in row.items():
        if plain_name(name) in RESPONSES and holds_several(value) and all(map(has_answer, messages_in(value))):
            said = f"{name} holds {len(messages_in(value))} chats: {EACH_GENERATION} makes a row of each"
            raise with_option("several_generations", said)
        check_beginning(name, value)
    thinking = [name for name, value in row.items() if has_thinking(value, table)]
    if thinking:
        _refuse_unknown(row, thinking)
    raise advised(
        "unknown_shape",
        f"the row has the columns {listed(row)}; none of them is known to hold thinking and answer (docs/data.md); name the columns with ",
        {"question": "...", "response": "..."},
    )


def listed(row: Row) -> str:
    """The names of a row's columns."""
    return ", ".join(f"{name!r} (null)" if value is None else repr(name) for name, value in row.items()) or "none"


def _columns(row: Row, names: Iterable[str]) -> list[str]:
    """The columns of these names, in any case: those that hold something, else those that are there."""
    spelled: dict[str, list[str]] = {}
    for name in row:
        spelled.setdefault(plain_name(name), []).append(name)
    there = [name for known in names for name in spelled.get(known, ()) if row[name] is not None and not isinstance(row[name], bool)]
    return [name for name in there if _is_text(row[name])] or there


def plain_name(name: str) -> str:
    """The name of a column as this module has it: `Chain of Thought` is chain_of_thought."""
    return name.strip().lower().replace(" ", "_").replace("-", "_")


def _different(row: Row, columns: Iterable[str]) -> list[str]:
    """The columns without those that repeat an earlier one."""
    found = list[str]()
    for name in columns:
        if all(row[name] != row[earlier] for earlier in found):
            found.append(name)
    return found


def _is_filled(value: object) -> bool:
    return bool(value.strip()) if isinstance(value, str) else value is not None and value != []


def _is_text(value: object) -> bool:
    return isinstance(value, (str, list, tuple)) and _is_filled(value)


def _is_label(value: object) -> bool:
    """Whether a value is one word, or up to three that are only letters, such as `detailed thinking on`."""
    words = value.split(maxsplit=3) if isinstance(value, str) else []
    return len(words) == 1 or (0 < len(words) <= 3 and all(word.isalpha() for word in words))
