"""`evlog user delete`: a person leaves every tier, or keeps no name in any; now, or after a period of grace."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from evlog.cli import consent, maintaining, printing
from evlog.cli.command import command
from evlog.errors import UsageError

if TYPE_CHECKING:
    from datetime import timedelta

    from evlog.cli.call import Call
    from evlog.person.pending import Mode, Waiting
    from evlog.person.receipt import Erased, Receipt
    from evlog.query.result import Kind, Result
    from evlog.store.layout import Store

_ID = Argument(metavar="[ID]", help="A user id, or - to read ids from stdin, one a line; none with --due.")
_ANONYMISE = Option("--anonymise", help="Keep the events under a random pseudonym: every number stays what it is.")
_AFTER = Option(
    "--after", metavar="DURATION", help="A period of grace: remove nothing before it ends, and --due says so."
)
_CANCEL = Option("--cancel", help="Take back an erasure that waits.")
_DUE = Option("--due", help="Erase everybody whose period of grace has ended; for cron.")
_TIERS = ("events", "parquet", "quarantine", "links", "firsts")
_RENAMED = ("events", "parquet", "links", "firsts")
_COUNTS = frozenset({"removed", "renamed", "mentions"})
_MOST, _MANY = 5, 20  # names that a note lists, hashes that a person is shown


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the options ask for."""

    anonymise: bool
    after: "timedelta | None"
    cancel: bool
    due: bool
    dry_run: bool

    @property
    def mode(self) -> "Mode":
        """What is to become of the person."""
        return "anonymise" if self.anonymise else "delete"


@command(example="evlog user delete u_42 --dry-run", exits=(1, 4), prints="table")
def delete(
    call: "Call",
    *,
    user: Annotated[str | None, _ID] = None,
    anonymise: Annotated[bool, _ANONYMISE] = False,
    after: Annotated[str | None, _AFTER] = None,
    cancel: Annotated[bool, _CANCEL] = False,
    due: Annotated[bool, _DUE] = False,
    dry_run: Annotated[bool, maintaining.DRY_RUN] = False,
    yes: Annotated[bool, maintaining.YES] = False,
    wait: Annotated[str | None, maintaining.WAIT] = None,
    **given: Any,
) -> int:
    """Erase a user from every tier, for good: events go, mentions by others become `[erased]`, nothing comes back.

    Every id that means the user now goes too, links and all; an id that others used as well is unlinked.

    With --anonymise the events stay, and each of these ids becomes a random one: counts, funnels and retention do not
    change, and what became what is kept nowhere. Properties stay, but for mentions of the ids: where they tell who it
    was, delete instead.

    The answer is a receipt: each file that was rewritten with its checksums, and what a scan of all files found after.
    Exit 1: it found something.
    """
    asked = _Asked(anonymise, _duration(after), cancel, due, dry_run)
    _vet(asked, user)
    shape, seconds = printing.shape(given), maintaining.seconds(wait)
    store, users = call.store(), consent.ids([user]) if user is not None else []
    if asked.after is not None or asked.cancel:
        printing.emit(call, _awaited(call, store, users, asked), shape)
        return 0
    if not dry_run:
        _confirm(store, users, asked, call=call, yes=yes)
    receipts = _erased(call, store, users, asked, wait=seconds)
    printing.emit(call, _told(call, store, receipts, asked, table=shape.table), shape)
    return 1 if any(receipt.found for receipt in receipts) else 0


def _duration(text: str | None) -> "timedelta | None":
    from evlog.window import duration

    if text is None:
        return None
    try:
        return duration(text)
    except UsageError as error:
        raise UsageError(f"--after: {error}", hint=error.hint) from error


def _vet(asked: _Asked, user: str | None) -> None:
    """Return if the options go together."""
    said = [
        name
        for name, is_said in (("--after", asked.after is not None), ("--cancel", asked.cancel), ("--due", asked.due))
        if is_said
    ]
    if asked.anonymise and (asked.cancel or asked.due):
        said.append("--anonymise")
    if len(said) > 1 and said != ["--after"]:
        raise UsageError(f"{' and '.join(said)} do not go together", hint="give one of them")
    if asked.due and user is not None:
        raise UsageError("--due erases everybody whose time has come", hint="leave out the ID, or --due")
    if not asked.due and user is None:
        raise UsageError("user delete: ID is missing", hint="see: evlog user delete --help")


def _confirm(store: "Store", users: list[str], asked: _Asked, *, call: "Call", yes: bool) -> None:
    """Return if somebody agrees. Of those whose time has come it was asked for before: cron need not say it again."""
    from evlog.person import pending

    if asked.due:
        count = sum(one.due <= call.now for one in pending.pending(store))
        if count:
            consent.confirm(f"erase {printing.several(count, 'user')} for good?", yes=yes, cron=True)
        return
    whom = f"user {users[0]}" if len(users) == 1 else f"{len(users)} users"
    question = f"replace {whom} by a pseudonym" if asked.anonymise else f"erase {whom} from every tier"
    consent.confirm(f"{question} for good?", yes=yes)


def _erased(call: "Call", store: "Store", users: list[str], asked: _Asked, *, wait: float | None) -> "list[Receipt]":
    from evlog.person import erase

    if asked.due:
        return erase.due(store, call.now, by=_who(call), wait=wait, dry_run=asked.dry_run)
    how = erase.How(asked.anonymise, asked.dry_run, wait, call.now, _who(call))
    return [erase.erase_each(store, users, how)]


def _who(call: "Call") -> str:
    """Who does it, as far as the system knows."""
    return call.environ.get("USER") or call.environ.get("LOGNAME") or "evlog user"


# -- a period of grace ------------------------------------------------------------------------------------------------


def _awaited(call: "Call", store: "Store", users: list[str], asked: _Asked) -> "Result":
    """Who waits from now on, or does not any more."""
    from evlog.person import pending

    if asked.cancel:
        waiting = [one for one in pending.pending(store) if one.user in set(users)]
        if not asked.dry_run:
            waiting = pending.cancel(store, users, now=call.now, by=_who(call))
        note = f"{printing.several(len(waiting), 'erasure')} taken back: nothing was removed"
    else:
        until = call.now + _grace(asked)
        waiting = [pending.Waiting(user, until, asked.mode) for user in dict.fromkeys(users)]
        if not asked.dry_run:
            pending.await_erasure(store, users, due=until, mode=asked.mode, now=call.now, by=_who(call))
        note = (
            f"nothing is removed before {until}Z, nor without: evlog user delete --due; "
            "take it back with: evlog user delete ID --cancel"
        )
    return _waiting(call, store, waiting, ("dry run: nothing was changed",) if asked.dry_run else (note,))


def _grace(asked: _Asked) -> "timedelta":
    from datetime import timedelta

    return asked.after or timedelta(0)


def _waiting(call: "Call", store: "Store", waiting: "list[Waiting]", notes: tuple[str, ...]) -> "Result":
    from evlog.query.result import Column, Result
    from evlog.store import tombstones

    subject = tombstones.load(store).subject
    columns = (Column("subject"), Column("mode"), Column("due", "instant"))
    rows = tuple((subject(one.user), one.mode, one.due) for one in waiting)
    return Result("erasure", columns, rows, call.now, summary={"users": len(rows)}, notes=notes)


# -- the receipt ------------------------------------------------------------------------------------------------------


def _told(call: "Call", store: "Store", receipts: "list[Receipt]", asked: _Asked, *, table: bool) -> "Result":
    """The receipt: for people a row a file; for machines one for each user and file, and one for each tombstone."""
    from evlog.query.result import Column, Result

    renames = any(receipt.anonymised for receipt in receipts)
    counted = ("renamed", "removed", "mentions") if renames else ("removed", "mentions")
    names = ("path", "tier", *counted, *(() if table else ("subject", "before", "after")))
    rows = tuple(row for receipt in receipts for row in (_by_file if table else _by_user)(receipt, names))
    columns = tuple(Column(name, "count" if name in _COUNTS else "text") for name in names)
    summary = _summary(receipts, renames=renames)
    if table:
        summary["subjects"] = _listed(summary["subjects"].split(", "), most=_MANY)
    else:
        summary |= {
            "marked": [day for receipt in receipts for day in receipt.days],
            "people": [_person(receipt, user) for receipt in receipts for user in receipt.users],
        }
    kinds: dict[str, Kind] = {"subjects": "text", "audit": "text"}
    params = {"store": _store_id(store), "mode": [_mode(receipt) for receipt in receipts], "dry_run": asked.dry_run}
    notes = tuple(_notes(receipts, asked))
    return Result("erasure", columns, rows, call.now, params=params, summary=summary, summary_kinds=kinds, notes=notes)


def _mode(receipt: "Receipt") -> str:
    return "anonymise" if receipt.anonymised else "delete"


def _store_id(store: "Store") -> str:
    import json

    from evlog.store import durable
    from evlog.store.layout import MARKER

    return str(json.loads(durable.read(store.root / MARKER))["store"])


def _by_file(receipt: "Receipt", names: tuple[str, ...]) -> "list[tuple[Any, ...]]":
    return [tuple(getattr(changed, name) for name in names) for changed in receipt.files]


def _by_user(receipt: "Receipt", names: tuple[str, ...]) -> "list[tuple[Any, ...]]":
    firsts = {user.person: user for user in reversed(receipt.users)}
    told = []
    for changed in receipt.files:
        facts = {"path": changed.path, "tier": changed.tier, "before": changed.before, "after": changed.after}
        if not changed.shares:
            counts = {name: getattr(changed, name) for name in _COUNTS}
            told.append({**facts, **counts, "subject": None})
        for person, share in changed.shares.items():
            counts = {name: getattr(share, name) for name in _COUNTS}
            told.append({**facts, **counts, "subject": firsts[person].subject})
    buried = dict.fromkeys(_COUNTS, 0) | {"path": "tombstones/users.json", "tier": "tombstones"}
    told += [{**buried, "subject": user.subject, "before": None, "after": None} for user in receipt.users]
    return [tuple(row[name] for name in names) for row in told]


def _person(receipt: "Receipt", user: "Erased") -> dict[str, Any]:
    """What was done for one of those who were named; two ids of one person have the same share."""
    told = {what: dict(+receipt.share(user, what)) for what in ("removed", "renamed", "mentions")}
    return {
        "subject": user.subject,
        "subjects": user.subjects,
        "mode": _mode(receipt),
        **told,
        "unlinked": user.unlinked,
    }


def _summary(receipts: "list[Receipt]", *, renames: bool) -> dict[str, Any]:
    subjects = [subject for receipt in receipts for subject in receipt.subjects]
    renamed = {
        f"renamed_{tier}": sum(receipt.renamed.get(tier, 0) for receipt in receipts)
        for tier in (_RENAMED if renames else ())
    }
    return {
        "users": sum(len(receipt.users) for receipt in receipts),
        "subjects": ", ".join(subjects),
        "ids": len(subjects),
        "unlinked": sum(receipt.unlinked for receipt in receipts),
        **renamed,
        **{f"removed_{tier}": sum(receipt.removed.get(tier, 0) for receipt in receipts) for tier in _TIERS},
        "mentions": sum(receipt.mentions for receipt in receipts),
        "days": sum(len(receipt.days) for receipt in receipts),
        "audit": ", ".join(str(receipt.audit) for receipt in receipts if receipt.audit is not None) or None,
        "scanned": max((receipt.scanned for receipt in receipts), default=0),
        "bytes": max((receipt.bytes for receipt in receipts), default=0),
        "found": sum(receipt.found for receipt in receipts),
    }


def _notes(receipts: "list[Receipt]", asked: _Asked) -> list[str]:
    if not receipts:
        return ["no period of grace has ended: nothing was erased"]
    elsewhere = list(dict.fromkeys(act for receipt in receipts for act in receipt.elsewhere))
    outside = [f"not reached, copies outside the store: {_listed(elsewhere)}"] if elsewhere else []
    if asked.dry_run:
        return ["dry run: nothing was erased", *outside]
    kept = ["properties are kept: what else they tell of the person stands there still"]
    return [_proof(receipts), *(kept if any(one.anonymised for one in receipts) else []), *outside]


def _proof(receipts: "list[Receipt]") -> str:
    found = [name for receipt in receipts for name in receipt.found_in]
    scanned = max(receipt.scanned for receipt in receipts)
    what = f"{len(found)}: {_listed(found)}" if found else "nothing"
    return f"a scan of {scanned} files found {what}; a tombstone keeps new events of the user out"


def _listed(names: list[str], *, most: int = _MOST) -> str:
    more = [f"and {len(names) - most:,} more"] if len(names) > most else []
    return ", ".join([*names[:most], *more])
