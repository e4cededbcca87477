"""Many pieces of text looked for at once: a thousand ids cost a pass over the bytes, not a thousand.

A few are looked for one by one. Of many, the last bytes of each piece (eight, or as many as it has, rounded down to a
power of two) are a number. Every such number in the text is looked up in a small table, and what passes is compared as
a whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

_CHUNK = 1 << 20
_MANY = 4096
_FEW = 16  # pieces: looking for each of them costs less than a look at all by numbers
_FACTOR = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class _Table:
    """The pieces whose last `width` bytes are looked up: those bytes as sorted numbers, and which pieces end so."""

    width: int
    keys: NDArray[Any]
    ends: tuple[tuple[int, ...], ...]
    passes: NDArray[np.bool_]
    shift: np.uint64

    def places(self, raw: memoryview) -> Iterator[tuple[int, tuple[int, ...]]]:
        """Yield where the last bytes of pieces stand, and which pieces these are."""
        for start in range(0, len(raw), _CHUNK):
            for offset in range(start, start + self.width):
                count = (min(start + _CHUNK + self.width - 1, len(raw)) - offset) // self.width
                if count > 0:
                    yield from self._among(np.frombuffer(raw, f"<u{self.width}", count, offset), offset)

    def _among(self, windows: NDArray[Any], offset: int) -> Iterator[tuple[int, tuple[int, ...]]]:
        hits = np.flatnonzero(self.passes[_hashed(windows, self.shift)])
        found = windows[hits]
        at = np.minimum(np.searchsorted(self.keys, found), len(self.keys) - 1)
        true = self.keys[at] == found
        for window, key in zip(hits[true].tolist(), at[true].tolist(), strict=True):
            yield offset + window * self.width, self.ends[key]


class Needles:
    """Pieces of text, told by their numbers."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self.pieces = tuple(pieces)
        self.always = frozenset(number for number, piece in enumerate(self.pieces) if not piece)
        """The empty ones, which stand everywhere."""
        widths = (8, 4, 2, 1) if len(self.pieces) > _FEW else ()
        self._tables = [table for width in widths if (table := self._table(width)) is not None]

    def found(self, raw: bytes | memoryview) -> Iterator[tuple[int, int]]:
        """Yield where each piece that is not empty begins, and its number."""
        if len(self.pieces) <= _FEW:
            yield from self._one_by_one(bytes(raw))
            return
        view = memoryview(raw).cast("B")  # else bytes from 128 on are negative numbers in some
        for table in self._tables:
            for place, numbers in table.places(view):
                for number in numbers:
                    piece = self.pieces[number]
                    begin = place + table.width - len(piece)
                    if begin >= 0 and view[begin : begin + len(piece)] == piece:
                        yield begin, number

    def _one_by_one(self, raw: bytes) -> Iterator[tuple[int, int]]:
        for number, piece in enumerate(self.pieces):
            place = raw.find(piece) if piece else -1
            while place >= 0:
                yield place, number
                place = raw.find(piece, place + 1)

    def _table(self, width: int) -> _Table | None:
        ends: dict[int, list[int]] = {}
        for number, piece in enumerate(self.pieces):
            if piece and _width(piece) == width:
                ends.setdefault(int.from_bytes(piece[-width:], "little"), []).append(number)
        if not ends:
            return None
        keys = np.array(sorted(ends), f"<u{width}")
        shift = np.uint64(48 if len(ends) <= _MANY else 40)
        passes = np.zeros(1 << (64 - int(shift)), np.bool_)
        passes[_hashed(keys, shift)] = True
        return _Table(width, keys, tuple(tuple(ends[key]) for key in sorted(ends)), passes, shift)


def _width(piece: bytes) -> int:
    return next(width for width in (8, 4, 2, 1) if len(piece) >= width)


def _hashed(numbers: NDArray[Any], shift: np.uint64) -> NDArray[np.uint64]:
    hashed: NDArray[np.uint64] = (numbers.astype(np.uint64) * _FACTOR) >> shift
    return hashed
