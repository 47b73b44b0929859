"""Several generations in a row: columns that are numbered, as one list of them.

What this does not do: choose a generation; read one (`asap.dataset.shapes`).
"""

import re

from asap.dataset.column_names import RESPONSES, TRACES
from asap.dataset.raw import Row

_NUMBERED = re.compile(rf"({'|'.join(sorted((*RESPONSES, *TRACES), key=len, reverse=True))})_?(\d{{1,3}})", re.IGNORECASE)


def listed_generations(row: Row) -> Row:
    """A row whose numbered columns, such as r1_solution_1 and r1_solution_2, are one list; any other as it is."""
    found = {name: match for name in row if name[-1:].isdigit() and (match := _NUMBERED.fullmatch(name))}
    groups: dict[str, list[str]] = {}
    for name, match in sorted(found.items(), key=lambda pair: int(pair[1][2])):
        groups.setdefault(match[1], []).append(name)
    lists = {base: names for base, names in groups.items() if len(names) > 1 and row.get(base) is None}
    if not lists:
        return row
    gone = {name for names in lists.values() for name in names}
    kept = {name: value for name, value in row.items() if name not in gone}
    return {**kept, **{base: [row[name] for name in names if row[name] is not None] for base, names in lists.items()}}
