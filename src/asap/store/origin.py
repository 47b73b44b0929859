"""A cut's reference to the run that it was cut from, whose rows and decisions it reads where they are."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from asap.digest import content_digest
from asap.errors import InputError
from asap.store.content import Database

RUN_FACTS: Mapping[str, type | tuple[type, ...]] = {
    "settings": dict,
    "source": dict,
    "llm": dict,
    "origin": list,
    "rulings": dict,
    "ask_s": (int, float),
    "score_s": (int, float),
}
"""The kinds of what a store knows about its run."""
TABLES = ("samples", "conversations", "columns", "decisions", "input", "turns")


class Origin(NamedTuple):
    """The run's folder as seen from the cut's, and what tells its run and rows from others: digests of its settings and its input."""

    folder: str
    settings: str
    content: str | None

    @classmethod
    def to(cls, root: Path, facts: Mapping[str, Any], cut: Path) -> "Origin":
        """The reference of a cut to a run with these facts."""
        folder = os.path.relpath(root.resolve(), cut.resolve())
        return cls(folder, content_digest(facts.get("settings")), (facts.get("source") or {}).get("content"))

    def root(self, cut: Path) -> Path:
        """The folder of the run."""
        return Path(os.path.normpath(cut.resolve() / self.folder))

    def attach(self, database: Database, cut: Path, name: str) -> str:
        """Have a database read the run's tables from its file, and return its schema. Raises InputError if it is gone, or another now."""
        root = self.root(cut)
        how_to = "put it back, or cut again (asap cut --copy makes a folder that needs no other)"
        if not (root / name).is_file():
            raise InputError(f"{cut} is a cut of {root}, which is not there any more; {how_to}")
        schema = database.attach(root / name, TABLES)
        facts = {
            name: database.value(text, RUN_FACTS.get(name, object))
            for name, text in database.execute(f"SELECT name, value FROM {schema}.facts")
        }
        if Origin.to(root, facts, cut) != self:
            raise InputError(f"{cut} is a cut of {root}, which holds another run or other rows by now; {how_to}")
        return schema
