"""Has a model write answers; the row stored of each holds the text with all of its thinking, tokens and times."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from asap.lm.generate import EndpointError, Generation, Generator, Request, RequestRefused
from asap.lm.tokens import TokenCounter
from asap.think import answer_starts, head_of
from asap.think_tags import TAGS, TagTable

OnRow = Callable[[str, Mapping[str, Any]], None]
"""Takes the key of a request and the row of its answer."""
_OUTCOMES = {"context_too_long": "too_long", "content_filter": "content_filter"}
"""What the refusals are called that would come again, as ways to stop."""


async def write_all(
    model: Generator,
    requests: Mapping[str, Request],
    on_row: OnRow,
    table: TagTable = TAGS,
    *,
    refused_before: Collection[str] = (),
    on_refused: Callable[[str], None] = lambda key: None,
) -> None:
    """Have the model answer all requests; `on_row` takes each answer as it comes. Raises EndpointError and InputError.

    What gets no usable answer ends the run when all others are answered, and `on_refused` takes its key. Where it was refused in a former
    run as well (`refused_before`), it is an attempt that failed, so that no answer can keep a run from its end.
    """
    refused = dict[str, RequestRefused]()

    async def write(key: str, request: Request) -> None:
        try:
            row = await _row(model, request, table)
        except RequestRefused as error:
            if key not in refused_before:
                refused[key] = error
                return
            row = _refused_row(error)
        on_row(key, row)

    async with model:
        try:
            async with asyncio.TaskGroup() as group:
                for key, request in requests.items():
                    group.create_task(write(key, request))
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None
    for key in refused:
        on_refused(key)
    if refused:
        raise _unanswered(list(refused.values()))


def _unanswered(refused: Sequence[RequestRefused]) -> EndpointError:
    others = f" ({len(refused)} requests in all)" if len(refused) > 1 else ""
    return EndpointError(
        f"{refused[0].detail}{others}; what was written is kept, and the same command asks again (what gets no usable answer then either, "
        "from a server that answers others, counts as a failed attempt)"
    )


async def _row(model: Generator, request: Request, table: TagTable) -> dict[str, Any]:
    """The row of an answer. A prompt that is too long for the model, or that a provider's filter refuses, is an outcome."""
    try:
        return row_of(await model.generate(request), model.tokens, table)
    except RequestRefused as error:
        if error.reason not in _OUTCOMES:
            raise
        return _refused_row(error)


def _refused_row(error: RequestRefused) -> dict[str, Any]:
    """The row of an attempt without a text."""
    return row_of(Generation("", _OUTCOMES.get(error.reason, error.reason), error.prompt_tokens, 0, opened=error.opened), None)


def row_of(generation: Generation, tokens: TokenCounter | None, table: TagTable = TAGS) -> dict[str, Any]:
    """The row of a generation. `opened`: the prompt had opened the thinking, and the tag was put before the text again.

    `stopped_by`: "stop", "length" (its budget), "context" (the model's context), "too_long" (the prompt alone is too long),
    "content_filter", "server_error" and "bad_request" (no usable answer, in two runs) or the server's own word. Tokens that neither
    server nor tokenizer counted are 0.
    """
    text = generation.whole()
    prompt_tokens, total = generation.prompt_tokens, generation.completion_tokens
    if generation.counted_here:
        prompt_tokens, total = (prompt_tokens, tokens.count(text)) if tokens else (0, 0)
    thinking, answer = token_shares(text, total, tokens, table)
    out_of_context = generation.context_ran_out and generation.finish_reason == "length"
    return {
        "text": text,
        "stopped_by": "context" if out_of_context else generation.finish_reason,
        "prompt_tokens": prompt_tokens,
        "tokens": total,
        "tokens_thinking": thinking,
        "tokens_answer": answer,
        "ttft_s": generation.ttft_s,
        "seconds": generation.seconds,
        "opened": bool(generation.opened),
    }


def token_shares(text: str, total: int, tokens: TokenCounter | None, table: TagTable) -> tuple[int | None, int | None]:
    """Of `total` tokens those of the thinking, its closing tag included, and those of the answer; the share of each is counted anew."""
    if tokens is None:
        return None, None
    start = answer_starts(text, table)
    if not start:
        return (total, 0) if start is None else (0, total)
    thinking = min(total, tokens.count(text[:start].removeprefix(head_of(text, table))))
    return thinking, total - thinking
