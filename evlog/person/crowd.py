r"""Everybody who goes with one erasure, and quick answers to who of them a text may speak of.

Each answer is a few mentions to look at closely, and never leaves one out: the needle of an id, a piece that no JSON
writer need escape, stands wherever the id is spoken of. Where a text holds `\u`, it is read as JSON first.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from evlog.person.mention import Mentions, spread, spread_line
from evlog.person.needles import Needles

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from evlog.person.mention import Mention
    from evlog.store.quarantine import Rejected

_ESCAPED = b"\\u"
_AFTER_ESCAPE = frozenset(b"bfnrt")
_APART = "[^-_0-9A-Za-z]"
_FEW = 16  # ids
_WORD = frozenset(b"-_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_JSON = ("properties", "context")
_TEXTS = (
    "event_id", "user_id", "anonymous_id", "session_id", "target_id", "event_type", "category", "target_type",
    "feature", "source",
)  # fmt: skip
_NOBODY = Mentions(())


class Crowd:
    """The ids of everybody who goes with one erasure."""

    def __init__(self, mentions: Mentions) -> None:
        self.mentions = mentions
        self._needles = Needles([one.needle.encode() for one in mentions.each])

    def near(self, texts: Sequence[bytes]) -> list[Mentions]:
        """Whom each of these texts may speak of, if all that is escaped in it was read."""
        begins, raw = [0], b"\n".join(texts)
        for text in texts:
            begins.append(begins[-1] + len(text) + 1)
        found = self._by_place(raw, begins)
        return [self._of(found.get(number, ())) for number in range(len(texts))]

    def near_texts(self, texts: Iterable[Iterable[str]]) -> list[Mentions]:
        """The same of values that are several texts each."""
        return self.near(["\n".join(one).encode("utf-8", "surrogatepass") for one in texts])

    def lines(self, raw: bytes) -> dict[int, Mentions]:
        """Whom each line of stored events (by its number) may speak of; lines that speak of nobody are left out."""
        begins = [0, *(place + 1 for place in _places(raw, b"\n"))]
        found = self._by_place(raw, begins)
        escaped = sorted({bisect_right(begins, place) - 1 for place in _places(raw, _ESCAPED)})
        opened = self.near_texts(spread(_line(raw, begins, number)) for number in escaped)
        near = {number: self._of(held) for number, held in found.items()}
        near |= {number: self._both(near, number, mentions) for number, mentions in zip(escaped, opened, strict=True)}
        everybody = range(len(begins) - raw.endswith(b"\n")) if self._needles.always else ()
        near |= {number: near.get(number) or self._of(()) for number in everybody}
        return {number: mentions for number, mentions in sorted(near.items()) if mentions.each}

    def rows(self, batch: Any) -> dict[int, Mentions]:
        """Whom each row of a record batch of events may speak of; rows that speak of nobody are left out."""
        found: dict[int, set[int]] = defaultdict(set)
        for column in _texts(batch):
            for row, numbers in self._in_column(column).items():
                found[row] |= numbers
        near = {row: self._of(numbers) for row, numbers in found.items()}
        escaped = sorted({row for name in _JSON for row in _escaped(batch.column(name))})
        texts = (_spread_row(batch, row) for row in escaped)
        opened = self.near_texts(texts)
        near |= {row: self._both(near, row, mentions) for row, mentions in zip(escaped, opened, strict=True)}
        everybody = range(batch.num_rows) if self._needles.always else ()
        near |= {row: near.get(row) or self._of(()) for row in everybody}
        return {row: mentions for row, mentions in sorted(near.items()) if mentions.each}

    def in_columns(self, batch: Any) -> bool:
        """Whether any id stands in a record batch of events as it is; texts may be dictionaries."""
        return bool(self._needles.always) or any(map(self._in_column, map(_values, _texts(batch))))

    def rejects(self, found: Sequence[Rejected]) -> list[Mentions]:
        """Whom each line in quarantine may speak of."""
        return self.near_texts((spread_line(one.raw), *spread(one.body)) for one in found)

    def _in_column(self, column: Any) -> Mapping[int, set[int]]:
        """The same of the rows of a column; a few ids are looked for one by one."""
        import pyarrow.compute as pc

        if len(self.mentions.each) > _FEW:
            return self._by_place(*_column(column))
        found: dict[int, set[int]] = defaultdict(set)
        raw = bytes(_column(column)[0])
        for number, one in enumerate(self.mentions.each):
            if one.needle and one.needle.encode() in raw:
                rows = pc.indices_nonzero(pc.fill_null(_matched(column, one), fill_value=False))
                for row in rows.to_pylist():
                    found[row].add(number)
        return found

    def _by_place(self, raw: Any, begins: Any) -> dict[int, set[int]]:
        """The numbers of the ids whose needle stands in each piece of `raw`; pieces are told by where they begin."""
        found: dict[int, set[int]] = defaultdict(set)
        view = memoryview(raw).cast("B")
        each, pieces = self.mentions.each, self._needles.pieces
        hits = list(self._needles.found(view))
        begins = np.asarray(begins).tolist() if hits else []
        for begin, number in hits:
            piece, end = bisect_right(begins, begin) - 1, begin + len(pieces[number])
            stop = begins[piece + 1] if piece + 1 < len(begins) else len(view)
            if piece >= 0 and end <= stop:
                whole = view[begins[piece] : stop]
                if not (each[number].alone and _inside_a_word(whole, begin - begins[piece], end - begins[piece])):
                    found[piece].add(number)
        return found

    def _of(self, numbers: Iterable[int]) -> Mentions:
        held = sorted(self._needles.always.union(numbers))
        return Mentions(tuple(self.mentions.each[number] for number in held)) if held else _NOBODY

    def _both(self, near: Mapping[int, Mentions], number: int, more: Mentions) -> Mentions:
        """Those who are near by either look, in the order of all."""
        if number not in near:
            return more
        held = {*near[number].users, *more.users}
        return Mentions(tuple(one for one in self.mentions.each if one.user in held))


def _inside_a_word(raw: memoryview, begin: int, end: int) -> bool:
    r"""Whether a plain word character stands on either side; what an escape ends with (`\n`) is none."""
    if end < len(raw) and raw[end] in _WORD:
        return True
    if begin == 0 or raw[begin - 1] not in _WORD:
        return False
    return not (begin > 1 and raw[begin - 1] in _AFTER_ESCAPE and raw[begin - 2] == ord("\\"))


def _places(raw: bytes, piece: bytes) -> Iterator[int]:
    place = raw.find(piece)
    while place >= 0:
        yield place
        place = raw.find(piece, place + 1)


def _line(raw: bytes, begins: Sequence[int], number: int) -> Any:
    end = begins[number + 1] if number + 1 < len(begins) else len(raw)
    return orjson.loads(raw[begins[number] : end])


def _column(column: Any) -> tuple[Any, NDArray[np.int32]]:
    """The bytes of a column of texts, one after the other, and where each row begins."""
    _, offsets, data = column.buffers()
    if data is None or not len(column):
        return b"", np.zeros(1, np.int32)
    rows = np.frombuffer(offsets, np.int32, len(column) + 1, column.offset * 4)
    return memoryview(data)[: rows[-1]], rows


def _texts(batch: Any) -> Iterator[Any]:
    return (batch.column(name) for name in (*_TEXTS, *_JSON))


def _matched(column: Any, mention: Mention) -> Any:
    """In which texts of a column an id stands as it is, and not inside another word where only a whole word counts."""
    import pyarrow.compute as pc

    if not mention.alone:
        return pc.match_substring(column, mention.needle)
    return pc.match_substring_regex(column, rf"(?:^|{_APART}|\\[bfnrt]){re.escape(mention.needle)}(?:$|{_APART})")


def _values(column: Any) -> Any:
    """The different values of a column that is a dictionary; else the column."""
    return getattr(column, "dictionary", column)


def escaped(batch: Any) -> bool:
    r"""Whether any JSON in a record batch of events holds `\u`; texts may be dictionaries."""
    return any(_ESCAPED in bytes(_column(_values(batch.column(name)))[0]) for name in _JSON)


def _escaped(column: Any) -> list[int]:
    import pyarrow.compute as pc

    if _ESCAPED not in bytes(_column(column)[0]):
        return []
    rows: list[int] = pc.indices_nonzero(pc.fill_null(pc.match_substring(column, "\\u"), fill_value=False)).to_pylist()
    return rows


def _spread_row(batch: Any, row: int) -> Iterator[str]:
    for name in _JSON:
        text = batch.column(name)[row].as_py()
        if text is not None:
            yield from spread(orjson.loads(text))
