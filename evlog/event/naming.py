"""The words inside a name, and its style: what inference and lint share."""

from __future__ import annotations

import re
from typing import Literal

Style = Literal["snake_case", "SCREAMING_SNAKE", "camelCase", "kebab-case", "words", "mixed"]

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W_A-Z]+|[^\W_]")
_STYLES: tuple[tuple[Style, re.Pattern[str]], ...] = (
    ("snake_case", re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", re.ASCII)),
    ("SCREAMING_SNAKE", re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*", re.ASCII)),
    ("camelCase", re.compile(r"[A-Za-z][A-Za-z0-9]*", re.ASCII)),
    ("kebab-case", re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", re.ASCII)),
    ("words", re.compile(r"[A-Za-z0-9]+( [A-Za-z0-9]+)*", re.ASCII)),
)


def words(name: str) -> tuple[str, ...]:
    """The words of `name` in small letters, whatever separates them: `exerciseStart` is `exercise`, `start`."""
    return tuple(word.lower() for word in _WORD.findall(name))


def style(name: str) -> Style:
    """How `name` is spelt."""
    return next((style for style, pattern in _STYLES if pattern.fullmatch(name)), "mixed")


def snake(name: str) -> str:
    """`name` in snake_case."""
    return "_".join(words(name))
