"""Erasures that wait: a period of grace in which nothing is removed yet, and all can be taken back.

`tombstones/pending.json` says whom to erase from when on. It holds the ids as they were named, since the tombstones
know only hashes; whoever is erased leaves it in the same commit. Who the ids mean is asked when the time has come.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

import orjson

from evlog.errors import EvlogError, StoreDamaged
from evlog.store import audit, durable, journal, locks, tombstones

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from evlog.store.layout import Store

FILE = "tombstones/pending.json"
"""The erasures that wait, as journal records name them."""

Mode = Literal["delete", "anonymise"]
_AT = "%Y-%m-%dT%H:%M:%S.%fZ"


class NobodyWaits(EvlogError):
    """There is no erasure to take back."""

    hint = "what is erased is gone for good; what was never asked for needs no taking back"

    def __init__(self, missing: int, *, named: int) -> None:
        whose = "this id" if named == 1 else f"{missing} of these {named} ids"
        super().__init__(f"no erasure of {whose} waits")


@dataclass(frozen=True, slots=True)
class Waiting:
    """One erasure that waits: of the user id or anonymous id `user`, from the instant `due` on (naive UTC)."""

    user: str
    due: datetime
    mode: Mode = "delete"


def pending(store: Store) -> list[Waiting]:
    """The erasures that wait, the next first."""
    path = store.root / FILE
    try:
        held = [_waiting(one) for one in orjson.loads(durable.read(path))["pending"]]
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError) as error:
        raise StoreDamaged(f"{path} cannot be read", hint="ask again for the erasures that were in it") from error
    return sorted(held, key=lambda one: (one.due, one.user))


def _waiting(body: dict[str, str]) -> Waiting:
    mode: Mode = "anonymise" if body["mode"] == "anonymise" else "delete"
    return Waiting(str(body["id"]), datetime.strptime(body["due"], _AT), mode)  # noqa: DTZ007 - naive UTC throughout


def content(waiting: Iterable[Waiting]) -> bytes:
    """The bytes of the file; none where nobody waits: then there is no file."""
    held = [{"id": one.user, "due": one.due.strftime(_AT), "mode": one.mode} for one in waiting]
    return orjson.dumps({"pending": held}, option=orjson.OPT_APPEND_NEWLINE) if held else b""


def await_erasure(
    store: Store, users: Sequence[str], *, due: datetime, mode: Mode, now: datetime, by: str = ""
) -> None:
    """Let these wait until `due`; what was said last of an id holds."""
    new = {user: Waiting(user, due, mode) for user in users}
    details = {"mode": mode, "due": due.isoformat() + "Z", "ids": len(new)}
    with journal.staging(store) as staged, locks.commit(store):
        journal.recover(store)
        kept = [one for one in pending(store) if one.user not in new]
        subjects = tuple(map(tombstones.load(store).subject, new))
        staged.write("pending", [content([*kept, *new.values()])])
        told = audit.entry(staged, audit.Act("user delete --after", now, by, subjects, details))
        journal.commit(staged, "pending erasure", [("pending", FILE), told])


def cancel(store: Store, users: Sequence[str], *, now: datetime, by: str = "") -> list[Waiting]:
    """Take back the erasures of these ids; those that waited. NobodyWaits, and nothing is changed, if one did not."""
    with journal.staging(store) as staged, locks.commit(store):
        journal.recover(store)
        waiting, named = pending(store), set(users)
        gone = [one for one in waiting if one.user in named]
        if len(gone) < len(named):
            raise NobodyWaits(len(named) - len(gone), named=len(named))
        subjects = tuple(map(tombstones.load(store).subject, sorted(named)))
        left = content(one for one in waiting if one.user not in named)
        if left:
            staged.write("pending", [left])
        act = audit.Act("user delete --cancel", now, by, subjects, {"ids": len(gone)})
        renames = [*([("pending", FILE)] if left else []), audit.entry(staged, act)]
        journal.commit(staged, "pending erasure", renames, unlinks=[] if left else [FILE])
        return gone
