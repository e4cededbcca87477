"""Rollup files: what was counted of one period, replaced whole and never added to.

`rollups/ZONE/GRAIN/FIRST.rollup` is NDJSON. For each standing question (query/standing.py) it has a head line, which
says of what and as of when, and a line per record: metric, dimension, its value, the number.

Beside them `rollups/touched.json` says which partitions changed otherwise than by events that came in, and why: of
what came in the names of segments and parts tell.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Literal

from evlog.errors import StoreDamaged
from evlog.frozen import dataclass
from evlog.store import durable, journal, parts
from evlog.store.layout import day_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from pathlib import Path

    from evlog.store.layout import Store
    from evlog.store.snapshot import Snapshot

SUFFIX = ".rollup"
TOUCHED = "rollups/touched.json"
"""Which partitions changed otherwise than by new events, as journal records name it."""

Grain = Literal["hour", "day", "week", "month"]
"""How long a period is. The hours of a day stand in one file."""

_AT = "%Y-%m-%dT%H:%M:%S.%fZ"
_HEAD = b'{"question":'
_AWAY = "remove it and run: evlog rollup"


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
    records: Sequence[Record]
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
    import orjson  # 10 ms: what reads a few sections needs none of it

    return orjson.dumps(body) + b"\n"


def read(path: Path) -> tuple[Period, dict[str, Section]]:
    """The period of a file, and its sections by the name of their question."""
    try:
        return _read(durable.read(path))
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise StoreDamaged(f"{path} is no rollup", hint=_AWAY) from error


def _read(raw: bytes) -> tuple[Period, dict[str, Section]]:
    heads: list[dict[str, Any]] = []
    held: list[list[Record]] = []
    for body in _parsed(raw):
        if "question" in body:
            heads.append(body)
            held.append([])
        else:
            held[-1].append(_record(body))
    if not heads:
        raise ValueError("it is empty")
    sections = [_section(head, tuple(records)) for head, records in zip(heads, held, strict=True)]
    first, last = (date.fromisoformat(heads[0][name]) for name in ("first", "last"))
    return Period(heads[0]["grain"], first, last, heads[0]["tz"]), {one.question: one for one in sections}


def _parsed(raw: bytes) -> list[Any]:
    """The objects of the lines: read as one list, which costs a third of reading them one by one."""
    lines = raw.removesuffix(b"\n").split(b"\n")
    found: list[Any] = json.loads((b"[" + b",".join(lines) + b"]").decode())
    if len(found) != len(lines):
        raise ValueError("a line is no object")
    return found


def _record(body: dict[str, Any]) -> Record:
    return Record(body["metric"], body["value"], body["dimension"], body["of"], body.get("hour", ""))


def _section(head: dict[str, Any], records: Sequence[Record]) -> Section:
    at = datetime.fromisoformat(head["computed_at"])
    if at.tzinfo is not UTC:
        raise ValueError("its instant is not UTC")
    plain = at.replace(tzinfo=None)  # naive UTC throughout
    return Section(head["question"], head["definition"], head["batch"], plain, records, head["late"])


def sections(path: Path, questions: Collection[str]) -> dict[str, Section]:
    """Those sections of a file that answer these questions, by their names; the others are passed over unread.

    The records of a section are read when they are asked for: of most only the first is.
    """
    try:
        return _wanted(durable.read(path), questions, path)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise StoreDamaged(f"{path} is no rollup", hint=_AWAY) from error


def questions(path: Path) -> list[str]:
    """The names of the questions that a file answers, in its order."""
    try:
        heads = (line for line in durable.read(path).splitlines() if line.startswith(_HEAD))
        return [str(json.loads(head)["question"]) for head in heads]
    except (ValueError, KeyError, TypeError) as error:
        raise StoreDamaged(f"{path} is no rollup", hint=_AWAY) from error


def _wanted(raw: bytes, questions: Collection[str], path: Path) -> dict[str, Section]:
    if not (raw.startswith(_HEAD) and raw.endswith(b"\n")):
        raise ValueError("it does not begin and end as a rollup does")
    found: dict[str, Section] = {}
    for name in questions:
        head = _HEAD + json.dumps(name, ensure_ascii=False).encode() + b","
        begin = 0 if raw.startswith(head) else raw.find(b"\n" + head) + 1
        if begin or raw.startswith(head):
            end = raw.find(b"\n" + _HEAD, begin)
            line, _, rest = raw[begin : len(raw) if end < 0 else end + 1].partition(b"\n")
            found[name] = _section(json.loads(line), Unread(rest, path))
    return found


class Unread(Sequence[Record]):
    """The records of a section, each read when it is asked for."""

    def __init__(self, raw: bytes, path: Path) -> None:
        self._lines = raw.splitlines()
        self._read: list[Record] = []
        self._path = path

    def __len__(self) -> int:
        return len(self._lines)

    def __getitem__(self, place: Any) -> Any:
        return tuple(self)[place]

    def __iter__(self) -> Iterator[Record]:
        for number, line in enumerate(self._lines):
            if number == len(self._read):
                self._read.append(self._record(line))
            yield self._read[number]

    def _record(self, line: bytes) -> Record:
        try:
            return _record(json.loads(line))
        except (ValueError, KeyError, TypeError) as error:
            raise StoreDamaged(f"{self._path} is no rollup", hint=_AWAY) from error


class Shelf:
    """The rollup files of a store by their final names: as a commit that is not wholly applied leaves them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._moved: dict[str, Path] = {}
        self._gone: set[str] = set()
        for record in journal.unapplied(store):
            self._gone.update(record.unlinks)
            for source, target in record.renames:
                if target.endswith(SUFFIX) and durable.is_there(store.root / source):
                    self._moved[target] = store.root / source

    def path(self, target: str) -> Path | None:
        """Where the bytes of a file lie just now, if it is there at all; None if it goes."""
        here = None if target in self._gone else self._store.root / target
        return self._moved.get(target, here)

    def names(self, folder: str) -> list[str]:
        """The files of a folder (`rollups/ZONE/GRAIN`), in order."""
        listed = (f"{folder}/{name}" for name in durable.files(self._store.root / folder, SUFFIX))
        moved = (name for name in self._moved if name.rpartition("/")[0] == folder)
        return sorted({*(name for name in listed if name not in self._gone), *moved})


def files(store: Store) -> dict[str, Path]:
    """Every rollup file by its final name, and where its bytes lie just now: one that is not wholly applied counts."""
    listed = {
        f"rollups/{zone}/{grain}/{name}": folder / name
        for zone in durable.folders(store.rollups)
        for grain in durable.folders(store.rollups / zone)
        for folder in [store.rollups / zone / grain]
        for name in durable.files(folder, SUFFIX)
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
        body = json.loads(durable.read(path))
        return {date.fromisoformat(day): Touch(int(one["batch"]), str(one["why"])) for day, one in body.items()}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreDamaged(f"{path} cannot be read", hint=_AWAY) from error


def touching(store: Store, days: Iterable[date], *, why: str) -> bytes:
    """The content of `TOUCHED` once the next commit has changed these partitions; the caller holds the commit lock."""
    now = Touch(journal.newest(store) + 1, why)
    known = touched(store) | dict.fromkeys(days, now)
    body = {day.isoformat(): {"batch": one.batch, "why": one.why} for day, one in sorted(known.items())}
    return _dumped(body)


def changes(store: Store, seen: Snapshot) -> Mapping[date, Touch]:
    """The last change of every partition of a snapshot: the newest commit that brought or took events, and why."""
    last = Changes(store, seen)
    return {day: touch for day in last.days if (touch := last.of(day)) is not None}


class Changes:
    """The last change of each partition of a snapshot: the newest commit that brought or took events, and why.

    What a part covers is read when its day is asked for.
    """

    def __init__(self, store: Store, seen: Snapshot) -> None:
        self._store = store
        self._parts = {part.day: part.path for part in seen.cold}
        self._known: dict[date, Touch | None] = {}
        self.touched = touched(store)
        self._hot: dict[date, int] = {}
        for segment in seen.hot:
            self._hot[segment.day] = max(segment.name.batch, self._hot.get(segment.day, -1))

    @property
    def days(self) -> set[date]:
        """The partitions that hold events, or of which something else is known."""
        return {*self._parts, *self._hot, *self.touched}

    def since(self, batch: int) -> set[date]:
        """The partitions that changed after a commit."""
        days = {*self._hot, *self.touched, *self._replaced(batch)}
        return {day for day in days if (touch := self.of(day)) is not None and touch.batch > batch}

    def _replaced(self, batch: int) -> set[date]:
        """The partitions whose part may be newer: those of which commits since speak, or all if some are forgotten."""
        records = journal.since(self._store, batch)
        if records is None:
            return set(self._parts)
        named = (
            target.split("/") for record in records for _, target in record.renames if target.startswith("parquet/")
        )
        return {day for _, folder, *_ in named if (day := day_of(folder)) in self._parts}

    def of(self, day: date) -> Touch | None:
        """The last change of a partition; None where there is none."""
        if day not in self._known:
            self._known[day] = self._last(day)
        return self._known[day]

    def _last(self, day: date) -> Touch | None:
        covered = parts.covers(self._parts[day]) if day in self._parts else -1
        events = max(covered, self._hot.get(day, -1))
        touch = self.touched.get(day)
        if touch is not None and touch.batch > events:
            return touch
        return Touch(events, "events") if events >= 0 else None
