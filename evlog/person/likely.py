r"""Where ids may stand: what is looked through in bytes and columns before anything is decoded and judged.

An answer is never wrong when it says no. Of every id a piece that no JSON writer need escape stands as it is wherever
the id is spoken of, unless a `\u` stands there; a number may be spelled with an exponent. A short id counts as a whole
value or a whole word only, and not in columns of labels.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from evlog.person.mention import LABELS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evlog.person.mention import Mention, Mentions

_FEW = 16  # ids that are looked for one by one; more of them by patterns of so many:
_MANY = 1_000
_OF_IDS = frozenset({"event_id", "user_id", "anonymous_id", "session_id", "target_id"})  # no JSON is opened in these
_ESCAPED = b"\\u"
_EXPONENT = r"[:,\[][ \t]*-?\d+(?:\.\d+)?[eE]"
_VALUE = r'(?:^|["\]]){}(?:$|["\\\[])'  # a whole value; `[erased]` beside it is nobody's
_WORD = r"(?:^|[^\w-]|\\[bfnrt]){}(?:$|[^\w-])"
_BYTES_EXPONENT = re.compile(_EXPONENT.encode())


class Likely:
    """Several ids, looked for where they may stand."""

    def __init__(self, mentions: Mentions) -> None:
        each = mentions.each
        self._users = sorted(mentions.users)
        self._everywhere = any(not one.needle for one in each)
        self._numbers = any(one.long and one.user.isdigit() for one in each)
        self._pieces = () if len(each) > _FEW else tuple(one.needle.encode() for one in each)
        self._all = list(self._patterns(each))
        self._long = list(self._patterns([one for one in each if one.long]))

    def within(self, raw: bytes) -> bool:
        """Whether one of the ids may stand anywhere in these bytes of JSON."""
        if not self._users:
            return False
        return self._as_it_is(raw) or _ESCAPED in raw or (self._numbers and _BYTES_EXPONENT.search(raw) is not None)

    def lines(self, raw: bytes) -> list[bytes]:
        """The lines of stored JSON in which one of the ids may stand."""
        import pyarrow as pa

        if not self.within(raw):
            return []
        lines = [line for line in raw.split(b"\n") if line]
        near = self._among(pa.array(lines, pa.large_binary()), self._all).to_pylist()
        return [line for line, likely in zip(lines, near, strict=True) if likely]

    def rows(self, batch: Any) -> Any:
        """The rows of a record batch of events in which one of the ids may stand; texts may be dictionaries."""
        import pyarrow as pa
        import pyarrow.compute as pc

        near = pa.repeat(pa.scalar(self._everywhere), batch.num_rows)
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            folded = pa.types.is_dictionary(column.type)
            values = column.dictionary if folded else column
            within = self._as_it_is if name in _OF_IDS else self.within
            if pa.types.is_string(values.type) and within(_bytes(values)):
                found = self._of_column(name, values)
                found = found.take(column.indices) if folded else found
                near = pc.or_(near, pc.fill_null(found, fill_value=False))
        return batch.filter(near)

    def _as_it_is(self, raw: bytes) -> bool:
        return self._everywhere or not self._pieces or any(piece in raw for piece in self._pieces)

    def _of_column(self, name: str, values: Any) -> Any:
        """Which values of a column may speak of one of the ids."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if name == "user_id":  # who is called otherwise is another
            return pc.is_in(values, value_set=pa.array(self._users, pa.string()))
        return self._among(values, self._long if name in LABELS and name != "target_id" else self._all)

    def _among(self, values: Any, patterns: Sequence[str]) -> Any:
        import pyarrow as pa
        import pyarrow.compute as pc

        found = pa.repeat(pa.scalar(self._everywhere), len(values))
        for pattern in patterns:
            found = pc.or_(found, pc.match_substring_regex(values, pattern))
        return found

    def _patterns(self, each: Sequence[Mention]) -> Iterator[str]:
        """What is looked for in texts, one of them for many ids."""
        more = [r"\\u", *([_EXPONENT] if self._numbers else [])]
        for start in range(0, len(each), _MANY):
            told = sorted({_pattern(one) for one in each[start : start + _MANY] if one.needle})
            yield "|".join([*told, *more])


def _pattern(mention: Mention) -> str:
    """What stands in a text, or in JSON as it is written, wherever the id is spoken of."""
    piece = re.sub(r"([^\w\x80-\U0010ffff])", r"\\\1", mention.needle)
    if mention.long:
        return piece
    if mention.user.isdigit() or mention.user.isspace():
        return _VALUE.format(piece)
    return _WORD.format(piece) if mention.alone else piece


def _bytes(values: Any) -> bytes:
    """The bytes of a column of texts, one after the other."""
    _, offsets, data = values.buffers()
    if data is None or not len(values):
        return b""
    begin = int.from_bytes(memoryview(offsets)[values.offset * 4 :][:4], "little")
    last = values.offset + len(values)
    return bytes(memoryview(data)[begin : int.from_bytes(memoryview(offsets)[last * 4 :][:4], "little")])
