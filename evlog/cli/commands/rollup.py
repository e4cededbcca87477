"""`evlog rollup`: count what is new by hour, day, week and month, and say which known numbers changed."""

from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from evlog.cli import clock, maintaining, printing, rolling
from evlog.cli.command import command
from evlog.cli.progress import progress
from evlog.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

    from evlog.cli.call import Call
    from evlog.query.result import Result
    from evlog.rollup import Asked, Done, Due
    from evlog.window import Window

_EVER = "1900-01-01"
_GRAINS = ("hour", "day", "week", "month")
_COUNTS = ("periods", "first", "records", "numbers_changed", "provisional", "final", "frozen")
_EXPECTED = {"new", "final"}  # why a number changes that nobody took for the last word
_VALUES = ("old", "new")
_NOTHING = "there is nothing new to count"


@command(example="evlog rollup --grain day", exits=(1, 4), settings=rolling.SETTINGS, prints="table")
def rollup(
    call: "Call",
    *,
    grain: Annotated[
        list[str] | None,
        Option("--grain", metavar="|".join(_GRAINS), help="Only periods of that length; repeatable.  [default: all]"),
    ] = None,
    first: Annotated[
        str | None,
        Option("--from", metavar="DATE", help="The first day, included; by default that of the first event."),
    ] = None,
    last: Annotated[str | None, Option("--to", metavar="DATE", help="The last day, included.")] = None,
    days: Annotated[int | None, Option("--days", metavar="N", min=1, help="Only the last N days.")] = None,
    dry_run: Annotated[bool, maintaining.DRY_RUN] = False,
    wait: Annotated[str | None, maintaining.WAIT] = None,
    **given: Any,
) -> None:
    """Count each period that is new, or that changed since it was counted: by late events, an erasure, the plan.

    What is known stays known after the events are purged. Only what changed is counted again; a known number that is
    another now is printed, with the reason.
    """
    from evlog import rollup as rolls

    shape, store = printing.shape(given), call.store()
    asked = rolling.asked(call, store)
    now = asked.scope.window
    span: dict[str, Any] = {"grains": _grains(grain), **_range(now, first, last, days)}
    if dry_run:
        printing.emit(call, _planned(rolls.plan(store, asked, **span), now.as_of), shape)
        return
    done = _rolled(call, asked, {**span, "wait": maintaining.seconds(wait)})
    if not (call.quiet and shape.table and shape.output is None):
        printing.emit(call, _result(done, now.as_of, _params(now, span), table=shape.table), shape)


def _rolled(call: "Call", asked: "Asked", span: dict[str, Any]) -> "Done":
    from evlog import rollup as rolls

    begun = clock.now()
    with progress(call.out, "rollup", None, unit="files") as seen:

        def counted(done: int, total: int) -> None:
            call.kept = lambda: f"{done} of {total} periods are counted; run it again for the rest"
            seen(done, total)

        done = rolls.roll(call.store(), asked, done=counted, **span)
    seconds = (clock.now() - begun).total_seconds()
    rolling.tell(call.store(), done, at=asked.scope.window.as_of, seconds=seconds)
    return done


def _grains(given: list[str] | None) -> tuple[str, ...]:
    for one in given or ():
        if one not in _GRAINS:
            raise UsageError(f"--grain: expected {', '.join(_GRAINS[:-1])} or {_GRAINS[-1]}, got {one!r}")
    return tuple(one for one in _GRAINS if not given or one in given)


def _range(now: "Window", first: str | None, last: str | None, days: int | None) -> "dict[str, date | None]":
    """The range that was asked for; none: all that is held."""
    from evlog.window import AsOf, resolve

    if first is None and last is None and days is None:
        return {"first": None, "last": None}
    if first is None and days is None:
        first = _EVER
    found = resolve(AsOf(now.as_of, now.today), tz=now.tz, days=days, first=first, last=last)
    return {"first": found.first, "last": found.last}


def _planned(due: "tuple[Due, ...]", as_of: "datetime") -> "Result":
    from evlog.query.result import Column, Result

    columns = (Column("grain"), Column("period", "date"), Column("why"), Column("questions", "count"))
    rows = tuple((one.grain, one.period, one.why, len(one.questions)) for one in due)
    notes = ("dry run: nothing was counted", *([] if rows else [_NOTHING]))
    return Result("rollup", columns, rows, as_of, summary={"periods": len(rows)}, notes=notes)


def _result(done: "Done", as_of: "datetime", params: "Mapping[str, Any]", *, table: bool) -> "Result":
    """A row for each known number that changed.

    A person sees those of periods that were over, and of these the totals; where there are none, what was counted.
    """
    from evlog.query.result import Column, Result

    counts: dict[str, int] = {name: getattr(done, name) for name in _COUNTS}
    totals = [one for one in done.changed if one.why not in _EXPECTED and not one.dimension]
    shown = totals if table else done.changed
    notes = [] if done.periods else [_NOTHING]
    if table and not shown:
        columns = tuple(Column(name, "count") for name in counts)
        return Result("rollup", columns, (tuple(counts.values()),), as_of, notes=tuple(notes))
    texts = ("grain", "period", "report", "metric", *(() if table else ("dimension", "of")))
    columns = (*map(Column, texts), *(Column(name, "text" if table else "number") for name in _VALUES), Column("why"))
    rows = tuple(
        (
            *(getattr(one, name) for name in texts),
            *(_spelled(value) if table else value for value in (one.old, one.new)),
            one.why,
        )
        for one in shown
    )
    if len(rows) < len(done.changed):
        notes.append(f"{printing.several(len(done.changed) - len(rows), 'more number')} changed: see --format ndjson")
    return Result("rollup", columns, rows, as_of, params=dict(params), summary=counts, notes=tuple(notes))


def _spelled(value: float | None) -> str | None:
    """A number with all the figures that may tell it from another."""
    return (
        value if value is None else f"{value:,}" if isinstance(value, int) else f"{value:,.4f}".rstrip("0").rstrip(".")
    )


def _params(now: "Window", span: "Mapping[str, Any]") -> dict[str, Any]:
    ends = {"from": span["first"], "to": span["last"]}
    return {"tz": now.tz, "grains": list(span["grains"]), **{key: day and day.isoformat() for key, day in ends.items()}}
