"""A field of dots that becomes text: eight dots a cell in braille, one in plain ASCII."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evlog.render.ink import PENS, Ink

if TYPE_CHECKING:
    from evlog.render.ink import Line
    from evlog.render.style import Glyphs

_BRAILLE = 0x2800
_DOTS = ((0x40, 0x80), (0x04, 0x20), (0x02, 0x10), (0x01, 0x08))  # from the lowest row of a cell up: left, right


class Canvas:
    """`columns` by `rows` cells; dots are counted from the lower left, pens from 0."""

    def __init__(self, columns: int, rows: int, glyphs: Glyphs) -> None:
        self.columns, self.rows, self._glyphs = columns, rows, glyphs
        self._across, self._down = (1, 1) if glyphs.rule.isascii() else (2, 4)
        self._dots: dict[tuple[int, int], tuple[int, int]] = {}  # cell -> dots set, pen of the latest
        self._marks: dict[tuple[int, int], int] = {}

    @property
    def size(self) -> tuple[int, int]:
        """Return how many dots it is wide and high."""
        return self.columns * self._across, self.rows * self._down

    def line(self, start: tuple[int, int], end: tuple[int, int], pen: int) -> None:
        """Draw all dots between two, the same in either direction."""
        start, end = sorted((start, end))
        steps = max(abs(end[0] - start[0]), abs(end[1] - start[1]), 1)
        for step in range(steps + 1):
            x, y = (a + _share((b - a) * step, steps) for a, b in zip(start, end, strict=True))
            self._dot(x, y, pen)

    def mark(self, dot: tuple[int, int], pen: int) -> None:
        """Put the pen's mark on the cell of a dot; a later one covers it."""
        self._marks[self.cell(dot)] = pen

    def cell(self, dot: tuple[int, int]) -> tuple[int, int]:
        """Return the cell of a dot: its column, and its row from below."""
        return dot[0] // self._across, dot[1] // self._down

    def lines(self) -> list[Line]:
        """Return the rows of cells, the highest first."""
        return [tuple(self._ink(x, y) for x in range(self.columns)) for y in reversed(range(self.rows))]

    def _dot(self, x: int, y: int, pen: int) -> None:
        cell = self.cell((x, y))
        bit = _DOTS[y % self._down][x % self._across]
        self._dots[cell] = (self._dots.get(cell, (0, pen))[0] | bit, pen)

    def _ink(self, x: int, y: int) -> Ink:
        if (pen := self._marks.get((x, y))) is not None:
            return Ink(self._glyphs.marks[pen % len(self._glyphs.marks)], look(pen))
        if (found := self._dots.get((x, y))) is None:
            return Ink(" ")
        bits, pen = found
        drawn = self._glyphs.marks[pen % len(self._glyphs.marks)] if self._across == 1 else chr(_BRAILLE | bits)
        return Ink(drawn, look(pen))


def look(pen: int) -> str:
    """Return what a pen looks like."""
    return PENS[pen % len(PENS)]


def _share(part: int, whole: int) -> int:
    """Return `part` over `whole` to the nearest integer."""
    return (2 * part + whole) // (2 * whole)
