"""`evlog rejects`: what was refused, why, and in again once mended."""

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from evlog.cli import clock, consent, maintaining, printing, rules
from evlog.cli.command import command
from evlog.errors import UsageError

if TYPE_CHECKING:
    from evlog.cli.call import Call
    from evlog.store.quarantine import Rejected

_STAYED = 3
_SHOWN = 20  # lines that a table shows unless told otherwise
_REASON = Option("--reason", metavar="CODE", help="Only lines that were refused for it.")


@command(example="evlog rejects list", prints="table")
def rejects_list(call: "Call", **given: Any) -> None:
    """Print the reasons for which lines were refused: how many, and where the first one stood."""
    from evlog.event.reject import CODES
    from evlog.query.result import Column, Result
    from evlog.store import quarantine

    counts: Counter[str] = Counter()
    first: dict[str, Rejected] = {}
    for found in quarantine.rejects(call.store()):
        counts[found.code] += 1
        first.setdefault(found.code, found)
    shape = printing.shape(given)
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    columns = [Column("reason"), Column("lines", "count"), Column("example"), Column("first")]
    rows: list[tuple[Any, ...]] = [(code, count, first[code].says, _place(first[code])) for code, count in ranked]
    if not shape.table:  # in a table the example says enough, and a line should fit
        columns.append(Column("meaning"))
        rows = [(*row, CODES.get(row[0], "")) for row in rows]
    notes = () if rows else ("nothing was refused",)
    summary = {"lines": counts.total()}
    result = Result("rejects", tuple(columns), tuple(rows), call.now, summary=summary, notes=notes)
    printing.emit(call, result, shape)


def _place(found: "Rejected") -> str:
    return f"{found.body['source']}:{found.body['line']}"


@command(example="evlog rejects show --reason bad_json --limit 5", prints="table")
def show(
    call: "Call",
    *,
    reason: Annotated[str | None, _REASON] = None,
    limit: Annotated[
        int | None, Option("--limit", metavar="N", min=1, help="At most N lines; a table shows 20.")
    ] = None,
    **given: Any,
) -> None:
    """Print the lines that were refused: where they stood, what is wrong with them, and the lines themselves."""
    from itertools import islice

    from evlog.query.result import Column, Result
    from evlog.store import quarantine

    shape, store = printing.shape(given), call.store()
    most = limit or (_SHOWN if shape.table else None)
    found = islice(quarantine.rejects(store, code=_known(reason)), most)
    names = ("id", "received_at", "source", "line", "offset", "reason", "problem", "raw")
    columns = tuple(Column(name, "count" if name in {"line", "offset"} else "text") for name in names)
    rows = tuple(_row(one) for one in found)
    notes = (f"the first {most}; more with --limit",) if shape.table and limit is None and len(rows) == most else ()
    printing.emit(call, Result("rejects", columns, rows, call.now, notes=notes), shape)


def _row(found: "Rejected") -> tuple[Any, ...]:
    body, raw = found.body, found.raw.decode("utf-8", "backslashreplace")
    return found.id, body["received_at"], body["source"], body["line"], body["offset"], found.code, found.says, raw


@command(example="evlog rejects replay --reason unknown_type", exits=(1, 3, 4), settings=rules.SETTINGS, prints="table")
def replay(
    call: "Call",
    *,
    reason: Annotated[str | None, _REASON] = None,
    backfill: Annotated[bool, Option("--backfill", help="Let events into days that were purged.")] = False,
    dry_run: Annotated[bool, maintaining.DRY_RUN] = False,
    wait: Annotated[str | None, maintaining.WAIT] = None,
    **given: Any,
) -> int:
    """Offer refused lines again; what is accepted by the plan of today leaves the quarantine.

    Exit 3: some of them are refused still.
    """
    from evlog import replay as replaying

    shape, store = printing.shape(given), call.store()
    held = rules.held_against(call, backfill=backfill)
    told = replaying.run(
        store, held, now=clock.now(), code=_known(reason), wait=maintaining.seconds(wait), dry_run=dry_run
    )
    counts = {
        "stored": told.tally.stored,
        "duplicates": told.tally.duplicates,
        "left": told.left,
        "stayed": told.stayed,
        "unreplayable": told.unreplayable,
    }
    printing.emit(call, printing.counted(call, "replay", counts, dry_run=dry_run), shape)
    return _STAYED if told.stayed else 0


@command(example="evlog rejects clear --reason bad_json --yes", exits=(1, 4))
def clear(
    call: "Call",
    *,
    reason: Annotated[str | None, _REASON] = None,
    dry_run: Annotated[bool, maintaining.DRY_RUN] = False,
    yes: Annotated[bool, maintaining.YES] = False,
    wait: Annotated[str | None, maintaining.WAIT] = None,
) -> None:
    """Throw refused lines away, for good. Offered again they are not kept again."""
    from evlog import replay as replaying
    from evlog.store import quarantine

    store, code = call.store(), _known(reason)
    count = sum(1 for _ in quarantine.rejects(store, code=code))
    if dry_run:
        call.out.note(f"dry run: {printing.several(count, 'line')} would go")
        return
    if count:
        consent.confirm(f"throw {printing.several(count, 'refused line')} away for good?", yes=yes)
        count = replaying.clear(store, code=code, wait=maintaining.seconds(wait))
    call.out.note(f"{printing.several(count, 'line')} thrown away")


def _known(reason: str | None) -> str | None:
    from evlog.cli.suggest import did_you_mean
    from evlog.event.reject import CODES

    if reason is not None and reason not in CODES:
        known = f"one of {', '.join(CODES)}"
        raise UsageError(f"--reason: there is no reason {reason!r}", hint=did_you_mean(reason, CODES) or known)
    return reason
