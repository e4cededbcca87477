"""The tree of commands, each loaded when it is asked for."""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

import typer
from typer.core import TyperGroup

from evlog import __version__
from evlog.cli.command import built, signed, write_options
from evlog.cli.faults import Misread
from evlog.cli.option import everywhere, flag, take
from evlog.cli.table import COMMANDS, Entry
from evlog.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from typer._click import Command, Context, HelpFormatter

    from evlog.cli.call import Call

_PARSER_FAULT: type[Exception] = typer.BadParameter.__mro__[2]
"""What typer raises for a call it cannot read; its name lives in a private module (0.20: in click)."""

_HELP = """Product analytics without a service: append-only event logs in, exact answers out.

\b
  evlog ingest < events.ndjson
  evlog report dau --days 30
  evlog purge --older-than 90d"""


class Group(TyperGroup):
    """Commands that are known by name and loaded one at a time."""

    entries: Mapping[str, Entry] = COMMANDS
    noun = "command"

    def list_commands(self, _ctx: Context) -> list[str]:
        """Give the names, in the order of the table."""
        return list(self.entries)

    def get_command(self, _ctx: Context, cmd_name: str) -> Command | None:
        """Load the command called `cmd_name`."""
        entry = self.entries.get(cmd_name)
        return loaded(cmd_name, entry) if entry else None

    def resolve_command(self, ctx: Context, args: list[str]) -> tuple[str | None, Command | None, list[str]]:
        """Find the command that `args` begin with, or say which was perhaps meant."""
        name = args[0]
        found = self.get_command(ctx, name)
        if found is None and not ctx.resilient_parsing:
            raise self.unknown(ctx, name)
        return name if found else None, found, args[1:]

    def unknown(self, ctx: Context, name: str) -> UsageError:
        """Say that there is no such command."""
        from evlog.cli.suggest import did_you_mean

        hint = did_you_mean(name, self.list_commands(ctx)) or f"see them all with: {ctx.command_path} --help"
        words = (self.noun, *ctx.command_path.split()[1:], name)
        return UsageError(f"there is no {' '.join(filter(None, words))}", hint=hint)

    def format_options(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Write the options, then the commands."""
        self.format_commands(ctx, formatter)
        write_options(self.get_params(ctx), ctx, formatter)

    def format_commands(self, _ctx: Context, formatter: HelpFormatter) -> None:
        """Write each command's line from the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in self.entries.items()])


def loaded(name: str, entry: Entry) -> Command:
    """The typer command of an entry; this imports its module and no other command's."""
    if entry.inner:
        return group(name, entry.help, entry.inner)
    module, _, attribute = entry.target.partition(":")
    function = getattr(import_module(f"evlog.cli.{module}"), attribute)
    return cast("Command", function(name)) if entry.makes else built(name, function)


def read(words: list[str], call: Call) -> int:
    """Do what `words` ask, as typer reads them; the exit code. Misread where it cannot."""
    tree = root()
    if "_EVLOG_COMPLETE" in os.environ:
        tree.main(words, prog_name="evlog")
    try:
        with tree.make_context("evlog", words, obj=call) as context:
            code: Any = tree.invoke(context)
    except typer.Exit as left:
        code = left.exit_code
    except _PARSER_FAULT as error:
        raise Misread(error) from error
    return int(code or 0)


def root() -> Group:
    """The `evlog` command."""
    return group("evlog", _HELP, COMMANDS, completion=True)


def group(
    name: str,
    help_: str,
    entries: Mapping[str, Entry],
    *,
    cls: type[Group] = Group,
    completion: bool = False,
    alone: Callable[[typer.Context, Group], None] | None = None,
) -> Group:
    """A group of commands; `alone` is what it does without one: else the root prints its help, another says so."""
    app = typer.Typer(name=name, add_completion=completion, rich_markup_mode=None, pretty_exceptions_enable=False)

    def run(**given: Any) -> None:
        ctx: typer.Context = given.pop("ctx")
        if given.pop("version", False):
            ctx.obj.out.text(f"evlog {__version__}")
            raise typer.Exit
        take(ctx.obj, given)
        if ctx.invoked_subcommand is None:
            (alone or _alone)(ctx, made)

    settings = {"help_option_names": ["-h", "--help"]}
    callback = app.callback(cls=cls, help=help_, invoke_without_command=True, context_settings=settings)
    version = [flag("version", "--version", "Say which evlog this is.")] if completion else []
    callback(signed(run, [*version, *everywhere()]))
    made = cast("Group", typer.main.get_command(app))
    made.entries = entries
    return made


def _alone(ctx: typer.Context, made: Group) -> None:
    if ctx.parent is None:
        ctx.obj.out.text(ctx.get_help())
        return
    known = ", ".join(made.list_commands(cast("Any", ctx)))
    raise UsageError(
        f"{ctx.command_path.removeprefix('evlog ')}: say which: {known}",
        hint=f"see what each does with: {ctx.command_path} --help",
    )
