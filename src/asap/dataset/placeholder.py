"""Questions that are none: a dash, "N/A", or one text in nearly all rows, where the question is to be looked up elsewhere."""

from dataclasses import dataclass

_WORDS = frozenset(("n/a", "na", "none", "null", "nil", "nan", "tbd", "todo", "empty", "unknown", "missing", "placeholder", "undefined"))
_LEAST_ROWS = 10
_LONGEST = 40


def is_placeholder(question: str) -> bool:
    """Whether a text only stands for a question: it has no letter and no digit, or is a word that says that there is none."""
    text = question.strip(" \t\r\n<>[](){}.").casefold()
    return text in _WORDS or not any(character.isalnum() for character in question)


@dataclass(slots=True)
class Questions:
    """Counts the questions of rows in constant memory: those that are placeholders, and whether nearly all are the same."""

    rows: int = 0
    placeholders: int = 0
    example: str = ""
    _most: str = ""
    _lead: int = 0
    """How many more rows have the most frequent question than others, if one is that of more than half (Boyer and Moore)."""

    def add(self, question: str) -> bool:
        """Count one more question; whether it is a placeholder."""
        self.rows += 1
        if self._lead == 0:
            self._most = question
        self._lead += 1 if question == self._most else -1
        found = is_placeholder(question)
        if found:
            self.placeholders += 1
            self.example = self.example or question
        return found

    def finding(self) -> str | None:
        """What is wrong with the questions; None if nothing is."""
        if self.placeholders:
            return f"{self.placeholders:,} of {self.rows:,} rows ask {_shown(self.example)}, which is no question"
        if self.rows >= _LEAST_ROWS and 10 * self._lead >= 8 * self.rows:  # then at least nine of ten rows have it
            return f"nearly all of {self.rows:,} rows ask the same: {_shown(self._most)}"
        return None


def _shown(text: str) -> str:
    return repr(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…")
