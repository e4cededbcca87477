"""What is handed out to a person: their events as a file, and beside it what makes them readable, and proves them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from evlog.cli import clock
from evlog.cli.printing import several
from evlog.cli.progress import progress
from evlog.errors import EvlogError, PlanError, UsageError, WriteFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from evlog.cli.call import Call
    from evlog.cli.printing import Shape
    from evlog.cli.progress import Seen
    from evlog.event.plan import Plan
    from evlog.person.held import Held
    from evlog.query.result import Column, Kind
    from evlog.store.layout import Store

    Write = Callable[[IO[bytes]], None]

_SUFFIX = {"table": "txt", "markdown": "md"}
_EVENTS, _PERSON, _REFUSED, _MACHINE, _READABLE, _SUMS = (
    "events", "person.json", "quarantine.ndjson", "fields.json", "FIELDS.md", "SHA256SUMS"
)  # fmt: skip
_HOLDS = {
    _EVENTS: "every event of the person, in the order of time",
    _PERSON: "ids of the person, links, words of consent, counts that name them",
    _REFUSED: "lines that were refused and wait to be mended",
    _MACHINE: "the meaning of columns, event types and properties",
}
_KINDS: dict[str, Kind] = {"TIMESTAMP": "instant", "DATE": "date", "BIGINT": "count"}
_JSON = ("properties", "context")
_MODE = 0o600
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Request:
    """Who is handed out, of which store, and in which shape."""

    call: Call
    store: Store
    users: tuple[str, ...]
    shape: Shape


def events(request: Request, to: IO[bytes], *, seen: Seen, shown: bool = False) -> int:
    """Write the events of these users to a file that can be written over; how many. `shown`: it goes to stdout next."""
    from evlog.person import export
    from evlog.render import streamed

    shape, style = request.shape, request.call.out.style(sys.stdout) if shown else None
    if shape.format not in streamed.FORMATS:
        return _drawn(request, to, shown=shown)

    def write(some: Iterator[Any]) -> None:
        to.seek(0)
        to.truncate()
        told = _told(some, lambda: seen(to.tell()))
        if shape.format == "parquet":
            streamed.write(to, told, schema=export.schema(), form=shape.format)  # type: ignore[arg-type]
        else:
            rows, look = chain.from_iterable(told), partial(streamed.write_rows, raw_csv=shape.raw_csv, style=style)
            look(to, rows, columns=_columns(), form=shape.format)  # type: ignore[arg-type]

    return export.stream(request.store, request.users, write, arrow=shape.format == "parquet")


def _columns() -> tuple[Column, ...]:
    from evlog.event.record import COLUMNS
    from evlog.query.result import Column

    kinds: dict[str, Kind] = {"ts": "instant", "received_at": "instant", "seq": "count", "date": "date"}
    kinds |= dict.fromkeys(_JSON, "json")
    return tuple(Column(name, kinds.get(name, "text")) for name in (*COLUMNS, "date"))


def _told(some: Iterator[Any], tell: Callable[[], None]) -> Iterator[Any]:
    for piece in some:
        yield piece
        tell()


def _drawn(request: Request, to: IO[bytes], *, shown: bool) -> int:
    """The same as a table for the eye, which must know all of its rows."""
    from evlog import render
    from evlog.person import export
    from evlog.query.result import Column, Result
    from evlog.render.style import Style

    call, shape = request.call, request.shape
    tables = [export.export(request.store, one) for one in request.users]
    columns: tuple[Column, ...] = tuple(
        Column(name, "json" if name in _JSON else _KINDS.get(kind, "text"))
        for name, kind in zip(tables[0].names, tables[0].types, strict=True)
    )
    rows = tuple(row for table in tables for row in table.rows)
    result = Result("export", columns, rows, call.now, events_read=len(rows))
    style = call.out.style(sys.stdout) if shown else Style()
    render.write(result, to, form=shape.format, style=style, raw_csv=shape.raw_csv, bare=True)  # type: ignore[arg-type]
    return len(rows)


def audited(request: Request, rows: int, *, files: int = 0) -> None:
    """Tell the audit log that events of these users are handed out: before they are."""
    from evlog.store import audit, tombstones

    call, known = request.call, tombstones.load(request.store)
    by = call.environ.get("USER") or call.environ.get("LOGNAME") or "evlog user"
    details = {"rows": rows, "format": request.shape.format, **({"files": files} if files else {})}
    subjects = tuple(dict.fromkeys(map(known.subject, request.users)))
    audit.tell(request.store, audit.Act("user export", clock.now(), by, subjects, details))


def is_plain(path: Path) -> bool:
    """Whether a file is to be written at `path`, not a pipe or a device."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        mode = stat.S_IFREG
    if stat.S_ISDIR(mode):
        raise UsageError(f"{path} is a folder", hint="name the file to write in it, or say --to for a folder")
    return stat.S_ISREG(mode)


def beside(request: Request, path: Path) -> None:
    """Write the events to `path`, and what belongs to them beside it, under its name and more: all of it or nothing."""
    from evlog.person import held
    from evlog.render.output import written_whole

    about = [held.of(request.store, one) for one in request.users]
    sums: dict[str, str] = {}
    with ExitStack() as files, progress(request.call.out, "export", None) as seen:

        def put(name: str, write: Write) -> None:
            where = path if name == _EVENTS else path.with_name(f"{path.name}.{name}")
            if where.is_symlink():
                raise UsageError(
                    f"{where} is a symlink", hint="what is handed out goes through none: name another file"
                )
            to = files.enter_context(written_whole(where))
            os.fchmod(to.fileno(), _MODE)
            sums[where.name] = _written(to, write)

        rows = _each(request, about, put, seen=seen)
        put(_SUMS, partial(_listed, dict(sums)))
        audited(request, rows, files=len(sums))
    told = several(rows, "event")
    request.call.out.note(f"{told} in {path}, and {len(sums) - 1} files beside it that explain and prove them")


def folder(request: Request, into: Path) -> None:
    """Write a new folder for a person, or with a numbered one for each of several: all of it or nothing."""
    _must_be_new(into)
    try:
        scratch = Path(tempfile.mkdtemp(prefix=".evlog-", suffix=".tmp", dir=into.absolute().parent))
        try:
            rows, files = _filled(request, scratch)
            audited(request, rows, files=files)
            scratch.rename(into)
            _sync(into.absolute().parent)
        except BaseException:
            shutil.rmtree(scratch, ignore_errors=True)
            raise
    except OSError as error:
        raise WriteFailed(f"cannot write {into}: {error.strerror or error}", hint="nothing was written") from error
    request.call.out.note(f"{several(rows, 'event')}, and what explains and proves them: {into}")


def _must_be_new(into: Path) -> None:
    """Refuse what is there already, unless it is an empty folder."""
    if into.is_symlink() or (into.exists() and not into.is_dir()):
        raise UsageError(f"{into} is no folder", hint="name a new one")
    if into.is_dir() and any(into.iterdir()):
        raise EvlogError(f"{into} is not empty; nothing was written", hint="name a new folder")


def _filled(request: Request, scratch: Path) -> tuple[int, int]:
    """Fill the folder; how many events and how many files there are in it."""
    from evlog.person import held

    rows = files = 0
    users = request.users
    with progress(request.call.out, "export", None) as seen:
        for number, user in enumerate(users, 1):
            home = scratch if len(users) == 1 else scratch / f"{number:0{len(str(len(users)))}d}"
            home.mkdir(mode=0o700, exist_ok=True)
            sums: dict[str, str] = {}
            put = partial(_put, home, sums, request.shape)
            rows += _each(replace(request, users=(user,)), [held.of(request.store, user)], put, seen=seen)
            put(_SUMS, partial(_listed, dict(sums)))
            files += len(sums)
            _sync(home)
    _sync(scratch)
    return rows, files


def _put(home: Path, sums: dict[str, str], shape: Shape, name: str, write: Write) -> None:
    told = f"{_EVENTS}.{_SUFFIX.get(shape.format, shape.format)}" if name == _EVENTS else name
    fd = os.open(home / told, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, _MODE)
    with os.fdopen(fd, "w+b") as to:
        sums[told] = _written(to, write)
        os.fsync(fd)


def _each(request: Request, about: Sequence[Held], put: Callable[[str, Write], None], *, seen: Seen) -> int:
    """Put every file but that of the checksums; how many events there are."""
    from evlog.person import meanings

    rows = 0

    def write(to: IO[bytes]) -> None:
        nonlocal rows
        rows = events(request, to, seen=seen)

    told = meanings.machine(_plan(request.call))
    refused = [line for one in about for line in one.refused]
    put(_EVENTS, write)
    people = [one.told() for one in about]
    put(_PERSON, partial(_json, people[0] if len(people) == 1 else people))
    put(_MACHINE, partial(_json, told))
    put(_REFUSED, lambda to: to.writelines(_line(line) for line in refused))
    put(_READABLE, lambda to: _text(to, meanings.readable(told, _HOLDS)))
    return rows


def _plan(call: Call) -> Plan | None:
    """The plan, for what it says of properties; one that cannot be read is no reason to hand out nothing."""
    try:
        return call.plan()
    except PlanError as error:
        call.out.note(f"{error}: what event types mean is left out")
        return None


def _written(to: IO[bytes], write: Write) -> str:
    """The SHA-256 of what `write` writes."""
    write(to)
    to.flush()
    digest, at = hashlib.sha256(), 0
    while piece := os.pread(to.fileno(), _PIECE, at):
        digest.update(piece)
        at += len(piece)
    return digest.hexdigest()


def _listed(sums: dict[str, str], to: IO[bytes]) -> None:
    _text(to, "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items())))


def _json(body: object, to: IO[bytes]) -> None:
    _text(to, json.dumps(body, ensure_ascii=False, indent=2) + "\n")


def _line(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"


def _text(to: IO[bytes], text: str) -> None:
    to.write(text.encode("utf-8", "backslashreplace"))


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
