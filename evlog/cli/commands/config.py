"""`evlog config`: each setting and where it came from."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evlog.cli import printing
from evlog.cli.command import command
from evlog.cli.specs import NAMES, SPECS

if TYPE_CHECKING:
    from evlog.cli.call import Call


@command(
    example="evlog config --tz Europe/Berlin", settings=tuple(name for name in NAMES if name != "data"), prints="table"
)
def config(call: "Call", **given: Any) -> None:
    """Print each setting, its value, and where it came from."""
    from evlog.query.result import Column, Result

    settings = call.settings
    rows = tuple((spec.name, _spelled(getattr(settings, spec.name)), settings.origin(spec.name)) for spec in SPECS)
    columns = (Column("setting"), Column("value"), Column("origin"))
    printing.emit(call, Result("config", columns, rows, call.now), printing.shape(given))


def _spelled(value: object) -> str | None:
    match value:
        case None:
            return None
        case timedelta():
            return printing.spelled(value)
        case tuple():
            return ",".join(map(str, value))
        case float():
            return f"{value:.6%}".rstrip("%").rstrip("0").rstrip(".") + "%"
        case Path():
            return str(value)
    return str(value)
