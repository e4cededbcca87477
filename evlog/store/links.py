"""Links as people said them: lines of immutable files, one file for each commit, told by its number like any batch.

A line is `{"from", "to", "at", "by"}`: from `at` on, whoever asks takes events of the id `from` for events of the user
`to`; `to` is null where the id was unlinked. What the events themselves say is never written here (query/identity.py).
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from evlog.errors import StoreDamaged
from evlog.frozen import dataclass
from evlog.store import durable, journal, snapshot
from evlog.store.layout import SEQ_BITS, SegmentName, received_text, segment_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from evlog.store.layout import Store
    from evlog.store.snapshot import Snapshot

T = TypeVar("T")

SUFFIX = ".links"
_TICK = timedelta(microseconds=1)
_TRIES = 20
_AT = "%Y-%m-%dT%H:%M:%S.%fZ"


@dataclass(frozen=True, slots=True)
class Said:
    """One line: the id `source` belongs to the user `target` (None: to nobody any more), said at `at` by `by`."""

    source: str
    target: str | None
    at: datetime  # naive UTC
    by: str = ""
    seq: int = 0  # its place among all lines and events: as `seq` of an event

    def line(self) -> bytes:
        """The line as it stands in a file."""
        import orjson  # 10 ms: in most stores nobody said anything

        said = {"from": self.source, "to": self.target, "at": self.at.strftime(_AT), "by": self.by}
        return orjson.dumps(said) + b"\n"


@dataclass(frozen=True, slots=True)
class File:
    """A file of links: those of one commit. `path` is where its bytes lie just now."""

    name: SegmentName
    path: Path

    @property
    def target(self) -> str:
        """Its final name, as the journal spells it."""
        return f"links/{self.name.file(SUFFIX)}"

    def read(self) -> list[Said]:
        """The lines in it, in order."""
        lines = durable.read(self.path).splitlines()
        return [self._said(line, number) for number, line in enumerate(lines)]

    def _said(self, line: bytes, number: int) -> Said:
        import orjson

        try:
            body = orjson.loads(line)
            at = datetime.strptime(body["at"], _AT)  # noqa: DTZ007 - the whole project is naive UTC here
            target = None if body["to"] is None else str(body["to"])
            return Said(str(body["from"]), target, at, str(body["by"]), (self.name.batch << SEQ_BITS) + number)
        except (ValueError, KeyError, TypeError) as error:
            raise StoreDamaged(f"{self.path} line {number + 1} is not a link") from error


def files(store: Store, *, upto: int | None = None) -> list[File]:
    """The files of links of all commits (up to the number `upto`), in order; one that is not wholly applied counts."""
    listed = {name: store.links / name for name in durable.files(store.links, SUFFIX)}
    for record in journal.unapplied(store):
        for gone in record.unlinks:
            listed.pop(gone.removeprefix("links/"), None)
        for source, target in record.renames:
            folder, _, name = target.partition("/")
            if folder == "links" and durable.is_there(store.root / source):
                listed[name] = store.root / source
    found = [File(named, path) for name, path in listed.items() if (named := _named(name)) is not None]
    return sorted((one for one in found if upto is None or one.name.batch <= upto), key=lambda one: one.name)


def seen(store: Store, batch: int) -> list[Said] | None:
    """Every line that stands at the commit `batch`; None where a later one has changed more than events meanwhile."""
    try:
        said = [line for file in files(store, upto=batch) for line in file.read()]
    except FileNotFoundError:  # renamed under our eyes
        return None
    return None if journal.replaced_since(store, batch) else said


def steady(store: Store, read: Callable[[Snapshot, list[Said]], T]) -> T:
    """What `read` makes of a snapshot and the lines that stand with it, as `snapshot.steady` has it."""

    def both(now: Snapshot) -> T:
        said = seen(store, now.batch)
        if said is None:
            raise _Replaced
        return read(now, said)

    for _ in range(_TRIES):
        with suppress(_Replaced):
            return snapshot.steady(store, both)
    raise _Replaced


class _Replaced(snapshot.StoreBusy):
    """Something was linked or erased after the snapshot was taken."""

    def __init__(self) -> None:
        super().__init__("the links of the store kept changing")


def moment(now: datetime, said: Iterable[Said]) -> datetime:
    """When something new is said: now, and after all that was said before, whatever the clock does."""
    return max([now, *(line.at + _TICK for line in said)])


def file_of(lines: Iterable[Said], *, batch: int, at: datetime) -> tuple[str, bytes]:
    """The name (as the journal spells it) and the content of the file in which commit `batch` says these lines."""
    name = SegmentName(batch, received_text(at), 0)
    return f"links/{name.file(SUFFIX)}", b"".join(line.line() for line in lines)


def _named(name: str) -> SegmentName | None:
    """What the name of a file of links says; None if it is not one of ours.

    The journal must not take it for a batch of events: it would believe that events came just then.
    """
    return segment_name(name.removesuffix(SUFFIX) + ".ids") if name.endswith(SUFFIX) else None
