r"""Lists: an option of several values takes them with commas, with spaces or again and again, in every command and in a file of options.

`\,` is a comma inside a value, a word that is a file or folder is one value, and among KEY=VALUE a comma separates only before a KEY=.
"""

import os
import re
from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Any

from asap.errors import UsageError

_COMMA = r"\s*(?<!\\),\s*"
_KEY = r"\s*[A-Za-z_][\w.-]*\s*="


def values_in(text: str) -> list[str]:
    """The values of a list in one word."""
    if "," not in text or _is_there(text):
        return [text]
    comma = rf"{_COMMA}(?={_KEY}|\Z)" if re.match(_KEY, text) else _COMMA
    return [part.replace("\\,", ",") for part in re.split(comma, text) if part]


def lists_in(words: Sequence[str]) -> Callable[..., None]:
    """What completes the parser's work on these words: the values of each list, and what it took from the command's own words."""

    def complete(_app: Any, _commands: Any, arguments: Any) -> None:
        lists = [argument for argument in arguments if is_list(argument)]
        _return_words(words, lists, [argument for argument in arguments if argument.index is not None and not argument.tokens])
        for argument in lists:
            made = [token.evolve(value=value) for token in argument.tokens for value in values_in(token.value)]
            if argument.tokens and not made:
                raise UsageError(f"{argument.name} is {argument.tokens[0].value!r}, which names nothing; write a value, or leave it out")
            argument.tokens = made

    return complete


def is_list(argument: Any) -> bool:
    """Whether an argument of a command is an option that takes several values."""
    return argument.index is None and bool(argument.token_count()[1])


def _return_words(words: Sequence[str], lists: Sequence[Any], missing: Sequence[Any]) -> None:
    """Give each argument without a word the last one of a list, a file or folder if there is one, as in `--format trl traces.jsonl`."""
    places = {word: place for place, word in enumerate(words)}
    for argument in reversed(missing):
        ends = [(owner, token) for owner in lists for token in _ends(owner.tokens)]
        if not ends:
            return
        owner, token = max(ends, key=lambda end: (_is_there(end[1].value), places[end[1].value]))
        owner.tokens.remove(token)
        argument.tokens.append(token.evolve(keyword=None, index=0))


def _is_there(name: str) -> bool:
    return os.path.exists(name)  # noqa: PTH110 (Path raises an error for a long name)


def _ends(tokens: Sequence[Any]) -> list[Any]:
    """The last word behind each mention of a list that has more than one."""
    last = [token for token, following in zip_longest(tokens, tokens[1:]) if following is None or following.index == 0]
    return [token for token in last if token.index > 0 and token.source == "cli"]
