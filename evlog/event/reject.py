"""Why a line is no event: stable codes, and for people the field, what was expected and what came."""

from __future__ import annotations

from dataclasses import dataclass

CODES: dict[str, str] = {
    "line_too_long": "the line is longer than max_line",
    "bad_utf8": "not valid UTF-8, or half of a surrogate pair",
    "truncated": "the last line ends before its JSON does",
    "too_deep": "nested deeper than 64 levels",
    "bad_json": "not one JSON value",
    "duplicate_key": "a key stands twice in one object",
    "number_range": "an integer beyond 64 bits",
    "not_object": "JSON, but not an object",
    "bad_id": "an id that is no string or integer, too long, or with control characters",
    "placeholder_user": "a user id that means nobody",
    "missing_field": "a required field is absent",
    "unknown_type": "an event type that the plan does not know",
    "bad_property": "a field or property of the wrong type or value",
    "pii": "personal data where the guard is set to reject",
    "bad_time": "a time that cannot be read, or before 2000",
    "future": "a time more than 24 hours ahead",
    "too_old": "older than max_age",
    "beyond_retention": "a day that was purged",
    "id_conflict": "the id is stored already, with other content",
}
"""Every reject code and its meaning, in the order of validation (metrics §13): the first that applies is the reason."""

_RANK = {code: rank for rank, code in enumerate(CODES)}
_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a line: its code, the field, what was expected there and what came."""

    code: str
    field: str
    expected: str
    got: str

    @property
    def says(self) -> str:
        """The problem in words: `properties.duration_ms: expected an integer >= 0, got "soon"`."""
        where = f"{self.field}: " if self.field else ""
        return f"{where}expected {self.expected}, got {self.got}" if self.got else f"{where}expected {self.expected}"


class Rejected(Exception):
    """A line is refused; carries every problem, the one that gives the reason first, and the day if it is known."""

    def __init__(self, *problems: Problem, day: str | None = None) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: _RANK[problem.code]))
        self.day = day
        super().__init__(self.problems[0].says)

    @property
    def code(self) -> str:
        """The reason: the code of the first problem."""
        return self.problems[0].code


def shown(value: object) -> str:
    """`value` as a short, printable text for messages: JSON-like, control characters escaped, cut at 80."""
    if isinstance(value, str):
        text = f'"{value[: 2 * _SHOWN]}"'
    elif value is None or isinstance(value, bool):
        text = {None: "null", True: "true", False: "false"}[value]
    elif isinstance(value, dict):
        text = "an object"
    elif isinstance(value, list):
        text = "an array"
    else:
        text = repr(value)
    text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
