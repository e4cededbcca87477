"""One export on its way: from the store to a stream or a folder, told to the audit log; its resume point comes last."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from evlog.cli import printing, streams

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import date
    from pathlib import Path

    from evlog.cli.call import Call
    from evlog.export.events import Asked
    from evlog.export.resume import Point
    from evlog.query.where import Condition
    from evlog.store.layout import Store
    from evlog.store.pseudonym import Key
    from evlog.window import Window


@dataclass(frozen=True, slots=True)
class To:
    """Where an export goes: as `shape` says, or into a folder; and the resume point that it begins at."""

    shape: printing.Shape
    into: Path | None = None
    partition: Literal["day", "month"] = "day"
    resume: Path | None = None
    wait: float | None = 0.0
    key: Key | None = None  # of pseudonyms

    @property
    def undated(self) -> bool:
        """Whether the rows go without their date: it is the name of their folder, as Hive has it."""
        return self.into is not None and self.partition == "day"


@dataclass(slots=True)
class Sent:
    """What went out."""

    events: int = 0
    first: date | None = None
    last: date | None = None

    def counted(self, days: Iterable[tuple[date, Iterable[Any]]]) -> Iterator[tuple[date, Iterator[Any]]]:
        """The days as they come, while they are counted."""
        for day, batches in days:
            self.first, self.last = self.first or day, day
            yield day, self._each(batches)

    def _each(self, batches: Iterable[Any]) -> Iterator[Any]:
        for batch in batches:
            self.events += batch.num_rows
            yield batch


class Export:
    """An export: what it sends, and where to."""

    def __init__(self, call: Call, store: Store, to: To, where: tuple[Condition, ...]) -> None:
        self.call = call
        self.store = store
        self.to = to
        self.where = where

    def once(self, window: Window | None) -> None:
        """Send every event there is, of the window if one is given."""
        from evlog.export import events, folder

        if self.to.into is not None:
            folder.must_be_empty(self.to.into)
        asked = events.Asked(-1, events.newest(self.store), self.where, window, every=True)
        self._tell(self._send(asked), asked)

    def on(self, point: Path) -> None:
        """Send what came in since the resume point in that file, and move the point.

        Files of a run that was cut short are made anew before anything else, under the names they were to have.
        """
        from evlog.export import events, folder, resume

        self.call.kept = lambda: "the resume point stands where it stood: run it again"
        with resume.turn(self.store, point, wait=self.to.wait) as word:
            begins = not point.exists()  # a point at commit 0 is no beginning: a store without events was exported then
            newest = events.newest(self.store)
            at = resume.load(point, resume.begin(self.store, self.where), newest=newest)
            if self.to.into is not None and begins:
                folder.must_be_empty(self.to.into)
            begun = at.pending if self.to.into is not None else None
            for upto in sorted({begun or newest, newest}):
                at = self._moved(point, at, upto, word)

    def _moved(self, file: Path, at: Point, upto: int, word: str) -> Point:
        """Send what the commits up to `upto` brought; the point after it, which is written last of all."""
        from evlog.export import events, resume

        asked = events.Asked(at.batch, upto, self.where)
        if self.to.into is not None:
            resume.save(file, replace(at, pending=upto))
        sent = self._send(asked, word=word, again=at.pending == upto)
        after = replace(at, batch=upto, pending=None)
        resume.save(file, after)
        self._tell(sent, asked)
        return after

    def _send(self, asked: Asked, *, word: str = "", again: bool = False) -> Sent:
        """Send the events; what was counted. The audit log hears of it before a file has its name."""
        from evlog.export import events, folder

        sent, to = Sent(), self.to
        days = sent.counted(events.days(self.store, asked))
        if to.into is None:
            with streams.opened(to.shape) as stream:
                self._streamed(stream, (batch for _, held in days for batch in held), partial(self._audit, asked, sent))
            return sent
        files = folder.Files(to.into, asked.after, asked.upto, to.shape.format, to.partition)
        with folder.staged(files, word or os.urandom(8).hex()) as scratch:
            with events.unerased(self.store):
                sums = folder.write(files, scratch, days, self._write)
            self._audit(asked, sent)
            folder.publish(files, scratch, sums, again=again)
        return sent

    def _streamed(self, stream: BinaryIO, batches: Iterator[Any], audit: Callable[..., None]) -> None:
        """Write events to a stream. What went out of one that was cut short went out all the same."""
        from evlog.export.events import unerased

        try:
            with unerased(self.store):
                self._write(stream, batches)
        except BaseException:
            if self.to.shape.output is None:
                audit(complete=False)
            raise
        audit()

    def _write(self, stream: BinaryIO, batches: Iterable[Any]) -> None:
        from evlog.export.events import schema
        from evlog.render import streamed

        columns = schema()
        if self.to.undated:
            columns = columns.remove(columns.get_field_index("date"))
        shape, on_stdout = self.to.shape, self.to.into is None and self.to.shape.output is None
        style = self.call.out.style(sys.stdout) if on_stdout else None
        told = batches if self.to.key is None else _pseudonymised(batches, self.to.key)
        shown = (batch.select(columns.names) for batch in told)
        streamed.write(stream, shown, schema=columns, form=shape.format, raw_csv=shape.raw_csv, style=style)
        stream.flush()

    def _audit(self, asked: Asked, sent: Sent, *, complete: bool = True) -> None:
        """Tell the audit log that events go out: how many, of which commits and days; conditions are only counted."""
        if not sent.events:
            return
        details = {
            "events": sent.events,
            "from": sent.first,
            "to": sent.last,
            "after_commit": max(asked.after, 0),
            "upto_commit": asked.upto,
            "conditions": len(self.where),
            "format": self.to.shape.format,
            "pseudonymised": self.to.key is not None,
            "complete": complete,
        }
        told(self.call, self.store, details)

    def _tell(self, sent: Sent, asked: Asked) -> None:
        """Say what went out: who exports expects everything, unless they said otherwise, and is told."""
        if not sent.events:
            note = "no event came in since the last run" if asked.after > 0 else "there is no event to send"
            self.call.out.note(note)
            return
        days = f"of {sent.first}" if sent.first == sent.last else f"of {sent.first} to {sent.last}"
        if asked.after > 0:
            which = f"they came with commits {asked.after + 1} to {asked.upto}"
        elif asked.window is not None:
            which = f"asked for {asked.window.first} to {asked.window.last}"
        else:
            which = "all that the conditions let through" if self.where else "all there are"
        self.call.out.note(f"sent {printing.several(sent.events, 'event')} {days}; {which}")


def _pseudonymised(batches: Iterable[Any], key: Key) -> Iterator[Any]:
    """The batches with pseudonyms for ids."""
    import pyarrow as pa

    from evlog.query.pseudonym import event

    for batch in batches:
        yield pa.RecordBatch.from_pylist([event(key, row) for row in batch.to_pylist()], batch.schema)


def told(call: Call, store: Store, details: dict[str, Any]) -> None:
    """Tell the audit log of an export."""
    from evlog.store import audit

    by = call.environ.get("USER") or call.environ.get("LOGNAME") or "evlog user"
    audit.tell(store, audit.Act("export", call.now, by, details=details))
