"""The names that a text defines, as far as patterns can tell: nothing here parses code.

Traces contain code outside fences too, so a name counts as defined wherever the text around it looks like Python: `def name(`,
`class Name:`, `name =`, `for name in` before an iterable with a call, a bracket or a colon, and at the start of a line `name: int =` and
`import name`. Parameters and one-letter names are ignored.
"""

import re
from collections.abc import Iterator
from keyword import iskeyword

_NAME = r"[^\W\d]\w+"
_TARGETS = r"\(*\*?\w+\)*(?:[ \t]*,[ \t]*\(*\*?\w+\)*)*"
_ITERABLE = r"""(?:[\w.]*["'(\[{:\])]|[\w.]+[ \t]+if\b)"""  # prose continues with another word: "for duplicates in the list"
_TYPE = r"(?:(?:\w+\.)*[A-Z]\w{2,}|int|str|float|bool|bytes|list|dict|set|tuple)(?:\[[^=\n]*\])?(?:[ \t]*\|[^=\n]*)?"
_IMPORTED = r"[\w.]+(?:[ \t]+as[ \t]+\w+)?"
_DEFINITIONS = [
    re.compile(pattern, re.MULTILINE)
    for pattern in (
        rf"\b(?:def|class)[ \t]+({_NAME})[ \t]*[(:\[]",
        rf"\bfor[ \t]+({_TARGETS})[ \t]+in[ \t]+{_ITERABLE}",
        rf"(?:^[ \t]*({_NAME})[ \t]*:[ \t]*{_TYPE}|(?<![\w.])({_NAME}))[ \t]*:?=(?![=~>])",
        rf"^[ \t]*(?:from[ \t]+[\w.]+[ \t]+)?import[ \t]+(\([\w.,\s]*\)|{_IMPORTED}(?:[ \t]*,[ \t]*{_IMPORTED})*)[ \t]*(?:[#;]|$)",
    )
]
_BOUND = re.compile(rf"(?<![\w.]){_NAME}(?![\w.]*[ \t]+as\b)")  # for an import the alias, for a.b the package


def definitions(text: str) -> Iterator[tuple[str, int]]:
    """Each name that a text defines, with its position."""
    for pattern in _DEFINITIONS:
        for found in pattern.finditer(text):
            for name in _BOUND.finditer(text, *found.span(found.lastindex or 0)):
                if not iskeyword(name[0]):
                    yield name[0], name.start()
