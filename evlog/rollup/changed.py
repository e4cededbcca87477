"""Which known numbers of a period are others now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evlog.rollup.asked import LATE, Change

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evlog.store.rollups import Period, Section


def changed(period: Period, old: Section, new: Section, *, why: str) -> Iterator[Change]:
    """Yield each value that differs, in the order of the new answer; then what is not there any more."""
    before, after, report = _values(old), _values(new), new.question.partition(" ")[0]
    for key in (*after, *(key for key in before if key not in after)):
        metric, dimension, of, hour = key
        was, now = before.get(key), after.get(key)
        if was != now:
            at = hour or period.first.isoformat()
            yield Change(period.grain, at, metric, dimension, of, was, now, why, report)


def later(period: Period, *, old: int, new: int) -> Change:
    """That events came into a frozen period: they stand beside its numbers."""
    return Change(period.grain, period.first.isoformat(), "late", "", "", old, new, LATE)


def _values(section: Section) -> dict[tuple[str, str, str, str], float | None]:
    return {(one.metric, one.dimension, one.of, one.hour): one.value for one in section.records}
