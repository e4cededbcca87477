"""Rollup files: what was counted of one period, replaced whole and never added to.

`rollups/ZONE/GRAIN/FIRST.rollup` is NDJSON. For each standing question (query/standing.py) it has a head line, which
says of what and as of when, and a line per record: metric, dimension, its value, the number.

Beside them `rollups/touched.json` says which partitions changed otherwise than by events that came in, and why: of
what came in the names of segments and parts tell.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Literal

import orjson

from evlog.errors import StoreDamaged
from evlog.store import durable, journal, parts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from evlog.store.layout import Store
    from evlog.store.snapshot import Snapshot

SUFFIX = ".rollup"
TOUCHED = "rollups/touched.json"
"""Which partitions changed otherwise than by new events, as journal records name it."""

Grain = Literal["hour", "day", "week", "month"]
"""How long a period is. The hours of a day stand in one file."""

_AT = "%Y-%m-%dT%H:%M:%S.%fZ"


@dataclass(frozen=True, slots=True)
class Period:
    """A period of local dates (both included) in a zone; for grain `hour` the day whose hours they are."""

    grain: Grain
    first: date
    last: date
    tz: str

    @property
    def target(self) -> str:
        """Its file, as the journal spells it."""
        return f"rollups/{self.tz.replace('/', '~')}/{self.grain}/{self.first}{SUFFIX}"


@dataclass(frozen=True, slots=True)
class Record:
    """One number: a metric, of one value of a dimension or (both empty) of all, in the period or one hour of it.

    A dimension of several columns is their names, joined by commas; its value is a JSON list then. A value may be an
    id: erasure looks here as well.
    """

    metric: str
    value: float | None
    dimension: str = ""
    of: str = ""
    hour: str = ""  # the instant at which the hour begins, ISO; of grain `hour` only


@dataclass(frozen=True, slots=True)
class Section:
    """The answer to one standing question for a period, from the store at the commit `batch`, as of `computed_at`."""

    question: str
    definition: str  # a hash of all that says what the numbers mean
    batch: int
    computed_at: datetime
    records: tuple[Record, ...]
    late: int = 0  # events of the period that came in after its raw events were purged: they are not counted


@dataclass(frozen=True, slots=True)
class Touch:
    """That a partition changed: at which commit, and why (`late events`, `erasure`, …)."""

    batch: int
    why: str


def content(period: Period, sections: Iterable[Section]) -> bytes:
    """The bytes of a file."""
    return b"".join(line for one in sections for line in _lines(period, one))


def _lines(period: Period, section: Section) -> Iterator[bytes]:
    yield _dumped(
        {
            "question": section.question,
            "grain": period.grain,
            "first": period.first.isoformat(),
            "last": period.last.isoformat(),
            "tz": period.tz,
            "definition": section.definition,
            "batch": section.batch,
            "computed_at": section.computed_at.strftime(_AT),
            "late": section.late,
        }
    )
    for one in section.records:
        body = {"metric": one.metric, "dimension": one.dimension, "of": one.of, "value": one.value}
        yield _dumped(body | ({"hour": one.hour} if one.hour else {}))


def _dumped(body: dict[str, Any]) -> bytes:
    return orjson.dumps(body) + b"\n"


def read(path: Path) -> tuple[Period, dict[str, Section]]:
    """The period of a file, and its sections by the name of their question."""
    try:
        return _read(durable.read(path))
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise StoreDamaged(f"{path} is no rollup", hint="remove it and run: evlog rollup") from error


def _read(raw: bytes) -> tuple[Period, dict[str, Section]]:
    heads: list[dict[str, Any]] = []
    held: list[list[Record]] = []
    for line in raw.splitlines():
        body = orjson.loads(line)
        if "question" in body:
            heads.append(body)
            held.append([])
        else:
            one = Record(body["metric"], body["value"], body["dimension"], body["of"], body.get("hour", ""))
            held[-1].append(one)
    if not heads:
        raise ValueError("it is empty")
    sections = [_section(head, records) for head, records in zip(heads, held, strict=True)]
    first, last = (date.fromisoformat(heads[0][name]) for name in ("first", "last"))
    return Period(heads[0]["grain"], first, last, heads[0]["tz"]), {one.question: one for one in sections}


def _section(head: dict[str, Any], records: list[Record]) -> Section:
    at = datetime.strptime(head["computed_at"], _AT)  # noqa: DTZ007 - naive UTC throughout
    return Section(head["question"], head["definition"], head["batch"], at, tuple(records), head["late"])


def files(store: Store) -> dict[str, Path]:
    """Every rollup file by its final name, and where its bytes lie just now: one that is not wholly applied counts."""
    listed = {
        f"rollups/{zone}/{grain}/{name}": store.rollups / zone / grain / name
        for zone in durable.folders(store.rollups)
        for grain in durable.folders(store.rollups / zone)
        for name in durable.files(store.rollups / zone / grain, SUFFIX)
    }
    return {name: path for name, path in _overlaid(store, listed).items() if name.endswith(SUFFIX)}


def _overlaid(store: Store, listed: dict[str, Path]) -> dict[str, Path]:
    """The files, as a commit that is not wholly applied leaves them."""
    for record in journal.unapplied(store):
        for gone in record.unlinks:
            listed.pop(gone, None)
        for source, target in record.renames:
            if target.startswith("rollups/") and durable.is_there(store.root / source):
                listed[target] = store.root / source
    return listed


def touched(store: Store) -> dict[date, Touch]:
    """The partitions that changed otherwise than by new events."""
    path = _overlaid(store, {TOUCHED: store.root / TOUCHED})[TOUCHED]
    try:
        body = orjson.loads(durable.read(path))
        return {date.fromisoformat(day): Touch(int(one["batch"]), str(one["why"])) for day, one in body.items()}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreDamaged(f"{path} cannot be read", hint="remove it and run: evlog rollup") from error


def touching(store: Store, days: Iterable[date], *, why: str) -> bytes:
    """The content of `TOUCHED` once the next commit has changed these partitions; the caller holds the commit lock."""
    now = Touch(journal.newest(store) + 1, why)
    known = touched(store) | dict.fromkeys(days, now)
    body = {day.isoformat(): {"batch": one.batch, "why": one.why} for day, one in sorted(known.items())}
    return _dumped(body)


def changes(store: Store, seen: Snapshot) -> Mapping[date, Touch]:
    """The last change of every partition of a snapshot: the newest commit that brought or took events, and why."""
    found = {part.day: Touch(parts.covers(part.path), "events") for part in seen.cold}
    for segment in seen.hot:
        if segment.name.batch > found.get(segment.day, Touch(-1, "")).batch:
            found[segment.day] = Touch(segment.name.batch, "events")
    for day, touch in touched(store).items():
        if touch.batch > found.get(day, Touch(-1, "")).batch:
            found[day] = touch
    return found
