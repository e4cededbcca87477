"""`evlog overview`: the dashboard."""

import sys
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from evlog.cli import asking, looks, printing
from evlog.cli.command import About, Parameters, built_from, own_parameters
from evlog.cli.option import setting
from evlog.errors import UsageError

if TYPE_CHECKING:
    from typer.core import TyperCommand

    from evlog.cli.call import Call
    from evlog.event.plan import Funnel
    from evlog.query.scope import Scope
    from evlog.store.layout import Store
    from evlog.window import Window

_UNASKED = ("ask__by", "ask__top")  # a dashboard is not broken down
_HELP = "The dashboard: who is there, how far they get, what is used, what fails, what is new."
_LAST = "last"
_DAY = timedelta(days=1)


def overview(name: str) -> "TyperCommand":
    """The command, with the options that every question has."""
    parameters: Parameters = [
        *own_parameters(run),
        *(one for one in asking.parameters() if one.name not in _UNASKED),
        *(setting(known) for known in asking.SETTINGS),
        *printing.parameters("table"),
    ]
    return built_from(name, run, parameters, About("evlog overview --days 30", (1,)), help_=_HELP)


def run(
    call: "Call",
    *,
    since: Annotated[
        str | None,
        Option(
            "--since",
            metavar="DATE|INSTANT|last",
            help="What counts as new; on a terminal by default what came since the last look, "
            "else since the day before the end of the window.",
        ),
    ] = None,
    **given: Any,
) -> None:
    """Print the dashboard, and on a terminal remember that it was seen."""
    from evlog.overview import overview as gathered

    shape, store = printing.shape(given), call.store()
    scope = asking.scope(call, store, given | dict.fromkeys(_UNASKED), table=False)
    seen = shape.table and shape.output is None and call.out.style(sys.stdout).width is not None
    marks, mark = looks.folder(call.environ), store_id(store)
    begin = _since(since, scope.window, looks.last(marks, mark) if seen or since == _LAST else None)
    found = gathered(store, scope, since=begin, funnel=_funnel(call, scope))
    _print(call, found, shape)
    if seen:
        looks.keep(marks, mark, scope.window.until)


def store_id(store: "Store") -> str:
    """What names the store, wherever it lies: the id in its marker."""
    import json

    from evlog.store import durable
    from evlog.store.layout import MARKER

    return str(json.loads(durable.read(store.root / MARKER))["store"])


def _since(said: str | None, window: "Window", mark: datetime | None) -> datetime:
    """The instant after which things are new: what was said, else the last look, else a day before the window's end."""
    from evlog.window import instant, midnight, parse_date

    if said is None or said == _LAST:
        usual = min(midnight(window.last + _DAY, window.tz), window.as_of) - _DAY
        return mark if mark is not None and mark < window.until else usual
    try:
        return (
            midnight(parse_date(said, today=window.today), window.tz) if _is_date(said) else instant(said, tz=window.tz)
        )
    except UsageError as error:
        raise UsageError(f"--since: {error}", hint="write 2026-03-01, 2026-03-01T12:00:00Z or last") from error


def _is_date(text: str) -> bool:
    return ":" not in text


def _funnel(call: "Call", scope: "Scope") -> "tuple[str, Funnel] | None":
    """The first funnel that the plan names, where it has no parts."""
    plan = call.plan()
    if plan is None or scope.parts:
        return None
    return next(iter(plan.funnels.items()), None)


def _print(call: "Call", found: Any, shape: printing.Shape) -> None:
    from evlog.render import overview as dashboard
    from evlog.render.style import Style

    if not shape.table:
        printing.emit(call, dashboard.result(found), shape)
        return
    style = call.out.style(sys.stdout) if shape.output is None else Style()
    call.out.octets(dashboard.text(found, style).encode(style.encoding, "backslashreplace"), shape)
    for note in found.head.notes:
        call.out.note(note)
