"""Lines of text with looks: what pictures are made of, until they are written for the terminal there is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from evlog.render.style import Glyphs, Style

_LOOKS = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
}
PENS = ("cyan", "magenta", "yellow", "green", "blue", "red", "bold", "dim")
"""The looks of lines beside each other, in the order of their marks."""


@dataclass(frozen=True, slots=True)
class Ink:
    """Text of one look: a name out of the table above, the codes of a terminal, or nothing."""

    text: str
    look: str = ""


Line = tuple[Ink, ...]


def plain(text: str, look: str = "") -> Line:
    """Return a line of one look."""
    return (Ink(text, look),)


def width(line: Line) -> int:
    """Return the columns that a line takes."""
    from rich.cells import cell_len  # 3 ms; the tables of the whole package are another module

    return sum(cell_len(ink.text) for ink in line)


def padded(line: Line, columns: int) -> Line:
    """Return the line with blanks up to that many columns."""
    return (*line, Ink(" " * max(0, columns - width(line))))


def cropped(line: Line, columns: int) -> Line:
    """Return as much of the line as fits."""
    if width(line) <= columns:
        return line
    kept, room = [], columns
    for ink in line:
        fits = Ink(ink.text[: _fitting(ink.text, room)], ink.look)
        kept.append(fits)
        room -= width((fits,))
    return tuple(kept)


def clipped(text: str, columns: int, glyphs: Glyphs) -> str:
    """Return the text in no more than that many columns; where it was cut, it says so."""
    from rich.cells import cell_len

    if cell_len(text) <= columns:
        return text
    return f"{text[: _fitting(text, columns - 1)]}{glyphs.cut}" if columns > 0 else ""


def folded(text: str, columns: int) -> list[str]:
    """Return the text in lines no wider than `columns`, broken at blanks where there are any."""
    from rich.cells import cell_len

    lines, rest = [], text
    while cell_len(rest) > columns:
        fits = max(1, _fitting(rest, columns))
        at = rest.rfind(" ", 1, fits + 1)
        lines.append(rest[: at if at > 0 else fits])
        rest = rest[at + 1 :] if at > 0 else rest[fits:]
    return [*lines, rest]


def _fitting(text: str, columns: int) -> int:
    """Return how many of the first characters fit."""
    from rich.cells import cell_len

    taken = 0
    for count, char in enumerate(text):
        taken += cell_len(char)
        if taken > columns:
            return count
    return len(text)


def packed(segments: Iterable[Line], columns: int, gap: str = "  ") -> list[Line]:
    """Return the segments in lines no wider than `columns`, broken between segments."""
    lines: list[Line] = []
    for segment in segments:
        joined = (*lines[-1], Ink(gap), *segment) if lines else segment
        if lines and width(joined) <= columns:
            lines[-1] = joined
        else:
            lines.append(segment)
    return lines


def painted(lines: Sequence[Line], style: Style) -> str:
    """Return the lines as text for the terminal, each ending in a newline; without colour also without blanks there."""
    return "".join(f"{_line(line, colour=style.colour)}\n" for line in lines)


def _line(line: Line, *, colour: bool) -> str:
    if not colour:
        return "".join(ink.text for ink in line).rstrip(" ")
    return "".join(_coloured(ink) for ink in line)


def _coloured(ink: Ink) -> str:
    code = _LOOKS.get(ink.look, ink.look)
    return f"\x1b[{code}m{ink.text}\x1b[0m" if code and ink.text else ink.text
