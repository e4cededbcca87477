"""`evlog report NAME`: a report's file becomes a command, its keywords become options."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evlog.cli import app
from evlog.cli.answering import sentence, taken
from evlog.cli.command import About, built_from
from evlog.cli.table import Entry

if TYPE_CHECKING:
    import typer
    from typer.core import TyperCommand

_EXAMPLES = {"dropoff": "evlog dropoff --days 30 --format csv"}


class Reports(app.Group):
    """The reports that stand in the registry."""

    noun = ""


def group(name: str) -> app.Group:
    """The `report` command: alone it lists the reports."""
    from evlog.reports import names

    entries = {known: Entry(help_, "reports:report", makes=True) for known, help_ in names().items()}
    return app.group(name, "Answer a question; alone it lists the reports.", entries, cls=Reports, alone=_listed)


def _listed(ctx: typer.Context, made: app.Group) -> None:
    width = max(map(len, made.entries), default=0)
    for name, entry in made.entries.items():
        ctx.obj.out.text(f"{name:<{width}}  {entry.help}")


def report(name: str) -> TyperCommand:
    """The command of the report called `name`; only its module is imported."""
    found = taken(name)
    example = getattr(found.module, "EXAMPLE", _EXAMPLES.get(name, f"evlog report {name} --days 30"))
    return built_from(name, found.run, found.parameters, About(example, (1,)), help_=sentence(found.module.HELP))
