"""The times of many events at once: where they have the usual forms, looked at as columns of characters."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from evlog.event.reject import Rejected
from evlog.event.times import TAILS, read

if TYPE_CHECKING:
    from datetime import tzinfo

_FORMS = {width: b"0000-00-00T00:00:00.000000"[: width - 1] + b"Z\n" for width in TAILS}
_ZEROS = bytes.maketrans(b"123456789", b"0" * 9)
_FEW = 4  # each is told sooner than all
_DAY = len("2026-01-31")
_HOUR, _MINUTE, _SECOND = 11, 14, 17  # where they begin
_LAST_HOUR, _FIVE = int.from_bytes(b"23", "big"), ord("5")


@dataclass(frozen=True, slots=True)
class Stamps:
    """Many times: their canonical texts, the days that occur, and how many had no zone or were epoch numbers.

    `colons`: how many the texts have more than what came.
    """

    texts: list[str]
    days: frozenset[str]
    assumed_tz: int = 0
    epoch: int = 0
    colons: int = 0


def read_all(came: list[Any], assume: tzinfo) -> Stamps | None:
    """What `times.read` says of each of these; None where it refuses one, or has to cut one."""
    if len(came) > _FEW:
        with suppress(TypeError):  # numbers
            if (found := all_usual(came)) is not None:
                return found
    try:
        instants = [read(one, assume) for one in came]
    except Rejected:
        return None
    if any(instant.cut is not None for instant in instants):
        return None
    texts = [instant.text for instant in instants]
    days = frozenset(text[:_DAY] for text in texts)
    assumed, epoch = (sum(told) for told in zip(*((one.assumed_zone, one.epoch) for one in instants), strict=True))
    return Stamps(texts, days, assumed, epoch, "".join(texts).count(":") - "".join(map(str, came)).count(":"))


def all_usual(came: list[str]) -> Stamps | None:
    """What `times.usual` says of each of these, in a few steps for all; None where it may say None of one."""
    width = len(came[0])
    joined = "\n".join(came) + "\n"
    packed = joined.encode()
    if packed.translate(_ZEROS) != _FORMS.get(width, b"") * len(came):  # else each has this form, as none spans lines
        return _of_one_width(came)
    table = np.frombuffer(packed, np.uint8).reshape(len(came), width + 1)
    hours = np.ascontiguousarray(table[:, _HOUR : _HOUR + 2]).view(">u2")
    if hours.max() > _LAST_HOUR or table[:, [_MINUTE, _SECOND]].max() > _FIVE:
        return None
    one_day = (table[:, :_DAY] == table[0, :_DAY]).all()
    days = frozenset([came[0][:_DAY]] if one_day else [text[:_DAY] for text in came])
    if not all(map(_is_day, days)):
        return None
    tail = TAILS[width]
    return Stamps(came if tail == "Z" else joined.replace("Z", tail).split("\n")[:-1], days)


def _of_one_width(came: list[str]) -> Stamps | None:
    """The same of times of several widths: where all that is left of each is digits, Z was its last letter."""
    widths = set(map(len, came))
    if len(widths) == 1 or not widths <= TAILS.keys() or "".join(came).count("Z") != len(came):
        return None
    texts = [text[:-1] + TAILS[len(text)] for text in came]
    found = all_usual(texts)
    return found if found is not None and found.texts is texts else None


@lru_cache(maxsize=1024)
def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
