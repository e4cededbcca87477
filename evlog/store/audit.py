"""The audit log: who did what to the people in the store, each entry sealed to the one before it.

An entry is an immutable file, put in place by the commit that did what it tells, so that neither stands without the
other: the newest is `audit/head`, and is called `audit/NUMBER.entry` from when the next one comes. It holds a seal, the
SHA-256 of what it says, and the seal of the entry before it: what is changed, moved or taken out later, shows; if the
newest are taken out, by the head that is gone. That an older one was put in its place, or all seals were made anew, is
told only by a seal that was kept elsewhere. Users stand in it as keyed hashes only (`Tombstones.subject`).
"""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from evlog.errors import StoreDamaged
from evlog.store import durable, journal, locks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from evlog.store.layout import Store

SUFFIX = ".entry"
HEAD = "audit/head"
"""The newest entry, as journal records name it."""
ORIGIN = "0" * 64
"""What the first entry says of the one before it."""

_NAME = re.compile(r"(\d{12})\.entry", re.ASCII)
_SUBJECT = re.compile("[0-9a-f]{32}")
_FIELDS: dict[str, type] = {
    "number": int,
    "at": str,
    "what": str,
    "by": str,
    "subjects": list,
    "details": dict,
    "before": str,
    "seal": str,
}
_OPTIONS = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z
_OTHERS = 0o077  # what anybody but the owner may do with a file
_TRIES = 20

Entry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Act:
    """What was done: the command's word (`user delete`), to whom (keyed hashes), by whom, and counts of what changed.

    `details` hold numbers, dates and words of ours: no id, no text of an event.
    """

    what: str
    at: datetime  # naive UTC
    by: str = ""
    subjects: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wrong:
    """Something in the log that is not as it was written."""

    path: str
    says: str


@dataclass(frozen=True, slots=True)
class Audited:
    """What a look at the whole log saw: how many entries, the newest seal, and what is wrong."""

    entries: int
    head: str
    wrong: tuple[Wrong, ...]


@dataclass(frozen=True, slots=True)
class _Log:
    """The files of the log at one moment: the head, the entries before it by number, and what does not belong there."""

    head: bytes | None
    files: dict[int, bytes]
    strangers: tuple[str, ...]


def entry(staged: journal.Staging, act: Act) -> tuple[str, str]:
    """The staged file of the next entry, and where it belongs: one of the renames of the commit that does the act.

    The caller holds the commit lock and has recovered; a commit takes one entry at most.
    """
    assert all(map(_SUBJECT.fullmatch, act.subjects)), "users stand in the audit log as keyed hashes"
    number, before = _kept(staged.store)
    body = {
        "number": number + 1,
        "at": act.at,
        "what": act.what,
        "by": _sayable(act.by),
        "subjects": sorted(act.subjects),
        "details": {name: _sayable(value) if isinstance(value, str) else value for name, value in act.details.items()},
        "before": before,
    }
    name = f"{staged.serial()}-audit"
    staged.write(name, [_raw({**body, "seal": _seal(body)})])
    return name, HEAD


def _sayable(text: str) -> str:
    r"""The text as JSON can hold it: the bytes of a file name that are no UTF-8 are written out, as `\udcff`."""
    return text.encode("utf-8", "backslashreplace").decode()


def tell(store: Store, act: Act) -> None:
    """Write an entry in a commit of its own: of an act that changes nothing in the store (an export, say)."""
    with journal.staging(store) as staged, locks.commit(store):
        journal.recover(store)
        journal.commit(staged, "audit", [entry(staged, act)])


def read(store: Store) -> list[Entry]:
    """The entries, oldest first; StoreDamaged where one is none."""
    log = _log(store)
    found = []
    for name, raw in _named(log):
        body = _parsed(raw)
        if body is None:
            hint = "see what else is wrong with: evlog audit verify"
            raise StoreDamaged(f"{store.root / name} is no entry of the audit log", hint=hint)
        found.append(body)
    return found


def findings(store: Store) -> list[Wrong]:
    """What is wrong with the log."""
    return list(verify(store).wrong)


def verify(store: Store, *, head: str | None = None) -> Audited:
    """A look at the whole log; `head` is a seal that was kept elsewhere, and must be among its seals."""
    log = _log(store)
    seals = [body["seal"] for _, raw in _named(log) if (body := _parsed(raw)) is not None]
    wrong = [Wrong(f"audit/{name}", "it does not belong to the log") for name in log.strangers]
    wrong += [*_shape(store, log), *_chain(log), *_end(store, log)]
    if head is not None and head not in {ORIGIN, *seals}:
        wrong.append(Wrong("audit", f"no entry bears the seal {head}: the log was cut off, or written anew"))
    return Audited(len(_named(log)), seals[-1] if seals else ORIGIN, tuple(wrong))


def _kept(store: Store) -> tuple[int, str]:
    """The number and the seal of the newest entry, which has from now on a name of its own beside `head`.

    Where it is gone, a number is left out; where it is unreadable, it keeps its place: so both still show afterwards.
    """
    log = _log(store)
    highest = max(log.files, default=0)
    if log.head is None:
        return (highest + 1, ORIGIN) if highest or _begun(store) else (0, ORIGIN)
    if own := _copy_of(log, log.head):
        with durable.told_once("make", store.root / own), suppress(FileExistsError):  # left by an act never committed
            (store.root / own).hardlink_to(store.root / HEAD)
        durable.sync_folder(store.audit)
    body = _parsed(log.head)
    if body is None:
        return int(own.rpartition("/")[2].removesuffix(SUFFIX)), hashlib.sha256(log.head).hexdigest()
    return max(body["number"], highest), body["seal"]


def _log(store: Store) -> _Log:
    """The log as it stands between two acts."""
    head = _read(store)
    for _ in range(_TRIES):
        names = [(name, _NAME.fullmatch(name)) for name in durable.files(store.audit, "")]
        files = {int(match[1]): durable.read(store.audit / name) for name, match in names if match}
        strange = [name for name, match in names if match is None and name != "head"]
        strange += [*durable.others(store.audit), *durable.folders(store.audit)]
        before, head = head, _read(store)
        if head == before:
            break
    return _Log(head, files, tuple(strange))


def _read(store: Store) -> bytes | None:
    try:
        return durable.read(store.root / HEAD)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreDamaged(f"{store.root / HEAD} cannot be read: {error.strerror}") from error


def _named(log: _Log) -> list[tuple[str, bytes]]:
    """The entries by the names of their files, oldest first; what stands twice, once."""
    found = [(_name(number), raw) for number, raw in sorted(log.files.items())]
    if log.head is None:
        return found
    own = _copy_of(log, log.head)
    return [*((name, raw) for name, raw in found if name != own), (HEAD, log.head)]


def _copy_of(log: _Log, head: bytes) -> str:
    """The name under which the newest entry stands once more, or will."""
    body = _parsed(head)
    same = next((number for number, raw in log.files.items() if raw == head), max(log.files, default=0) + 1)
    number = same if body is None else body["number"]
    return _name(number) if log.files.get(number, head) == head else ""


def _name(number: int) -> str:
    return f"audit/{number:012d}{SUFFIX}"


def _shape(store: Store, log: _Log) -> Iterator[Wrong]:
    """What can be told of each file alone."""
    for name, raw in _named(log):
        body = _parsed(raw)
        if body is None:
            yield Wrong(name, "it is no entry of the log")
        elif body["seal"] != _seal({key: value for key, value in body.items() if key != "seal"}):
            yield Wrong(name, f"it was changed: what it says is not what its seal {body['seal'][:12]}… was made of")
        elif name not in {HEAD, _name(body["number"])}:
            yield Wrong(name, f"it is entry {body['number']} under another name")
        if (store.root / name).lstat().st_mode & _OTHERS:
            yield Wrong(name, "others than its owner may use it: it must have the mode 0600")


def _chain(log: _Log) -> Iterator[Wrong]:
    """What can be told of each entry by the one before it."""
    number, seal = 0, ORIGIN
    for name, raw in _named(log):
        body = _parsed(raw)
        if body is None:
            number, seal = number + 1, hashlib.sha256(raw).hexdigest()
            continue
        if body["number"] <= number:
            yield Wrong(name, f"entry {body['number']} stands after entry {number}")
        elif body["number"] > number + 1:
            yield Wrong("audit", f"{_missing(number + 1, body['number'] - 1)} before {name}")
        elif body["before"] != seal:
            other = f"it came after another entry {number} than this" if number else "it came after another entry"
            yield Wrong(name, f"{other}: one of them was changed")
        number, seal = body["number"], body["seal"]


def _missing(first: int, last: int) -> str:
    return f"entry {first} is missing" if first == last else f"entries {first} to {last} are missing"


def _end(store: Store, log: _Log) -> Iterator[Wrong]:
    """What tells that the newest entries were taken out."""
    if log.head is None and (log.files or _begun(store)):
        yield Wrong(HEAD, "the newest entry is missing")


def _begun(store: Store) -> bool:
    """Whether one of the last commits wrote an entry."""
    for name in durable.files(store.journal, ".done"):
        with suppress(FileNotFoundError, ValueError, KeyError, TypeError):  # trimmed just now, or for others to tell
            if any(target == HEAD for _, target in orjson.loads(durable.read(store.journal / name))["renames"]):
                return True
    return False


def _parsed(raw: bytes) -> Entry | None:
    """The entry that `raw` spells, to the letter; None if it is none."""
    try:
        body = orjson.loads(raw)
    except ValueError:
        return None
    if not isinstance(body, dict) or list(body) != list(_FIELDS):
        return None
    typed = all(type(body[name]) is kind for name, kind in _FIELDS.items())
    return body if typed and all(isinstance(one, str) for one in body["subjects"]) and _raw(body) == raw else None


def _raw(body: Entry) -> bytes:
    return orjson.dumps(body, option=_OPTIONS | orjson.OPT_APPEND_NEWLINE)


def _seal(body: Entry) -> str:
    return hashlib.sha256(orjson.dumps(body, option=_OPTIONS)).hexdigest()
