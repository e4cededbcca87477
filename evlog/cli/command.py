"""A command: a function whose keywords are its options. Here it becomes what typer runs.

@command(example="evlog compact --all", exits=(1, 4))
def compact(call: "Call", *, before: Annotated[str | None, Option(help="…")] = None) -> int | None: ...
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, cast

import typer
from typer.core import TyperCommand

from evlog.cli.option import REQUIRED, Option, everywhere, is_everywhere, resolved_hints, setting, take

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from typer._click import Context, HelpFormatter

    from evlog.cli.call import Call
    from evlog.cli.printing import Format

Function = TypeVar("Function", bound="Callable[..., int | None]")
Parameters = Sequence[inspect.Parameter | Option]
"""What typer is to read: parameters as it knows them, and options said once for it and for `words`."""

EXITS: dict[int, str] = {
    0: "done",
    1: "failed or refused",
    2: "usage",
    3: "done, but some input was rejected or truncated",
    4: "the store is locked",
    130: "interrupted",
}


@dataclass(frozen=True, slots=True)
class About:
    """What a command's help says beside its options, and the settings that are flags of it."""

    example: str
    exits: tuple[int, ...] = ()
    settings: tuple[str, ...] = ()
    prints: Format | None = None  # the format it prints in unless told otherwise
    also: tuple[str, ...] = ()  # formats that only this command speaks

    @property
    def epilog(self) -> str:
        """The end of the help: an example that works, and the exit codes (0, 2 and 130 are everybody's)."""
        codes = sorted({0, 2, 130, *self.exits})
        said = "\n".join(f"  {code:<3}  {EXITS[code]}" for code in codes)
        examples = "\n".join(f"  {line}" for line in self.example.splitlines())
        return f"Example:\n{examples}\n\nExit codes:\n{said}"


def command(
    *,
    example: str,
    exits: tuple[int, ...] = (1,),
    settings: tuple[str, ...] = (),
    prints: Format | None = None,
    also: tuple[str, ...] = (),
) -> Callable[[Function], Function]:
    """Mark a function as a command; `settings` names those it takes as flags, with `prints` it takes `--format` too.

    `also` are formats beside those that every command speaks; it writes them itself.
    """

    def marked(function: Function) -> Function:
        function.__dict__["about"] = About(example, exits, settings, prints, also)
        return function

    return marked


class Command(TyperCommand):
    """A command whose help keeps what belongs everywhere apart, and its epilog as written."""

    def format_options(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Write arguments, own options, and those of every command."""
        write_options(self.get_params(ctx), ctx, formatter)

    def format_epilog(self, _ctx: Context, formatter: HelpFormatter) -> None:
        """Write example and exit codes."""
        formatter.write(f"\n{self.epilog}\n" if self.epilog else "")


def write_options(params: Iterable[Any], ctx: Context, formatter: HelpFormatter) -> None:
    """Write the options of a command in three sections; those of every command come last."""
    sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": [], "Everywhere": []}
    for param in params:
        record = param.get_help_record(ctx)
        if record is not None:
            sections[_section(param)].append(record)
    for title, records in sections.items():
        if records:
            with formatter.section(title):
                formatter.write_dl(records)


def _section(param: Any) -> str:
    if param.param_type_name == "argument":
        return "Arguments"
    return "Everywhere" if param.name == "help" or is_everywhere(param.name) else "Options"


def built(name: str, function: Callable[..., int | None]) -> TyperCommand:
    """The typer command of a function marked with `command`."""
    about: About = function.__dict__["about"]
    parameters: Parameters = [*own_parameters(function), *map(setting, about.settings)]
    if about.prints is not None:
        from evlog.cli import printing

        parameters = [*parameters, *printing.parameters(about.prints, also=about.also)]
    return built_from(name, function, parameters, about, help_=inspect.getdoc(function) or "")


def own_parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """The parameters of a command's function after the first (the call), with their annotations resolved."""
    hints = resolved_hints(function)
    parameters = list(inspect.signature(function).parameters.values())[1:]
    named = [p for p in parameters if p.kind is not inspect.Parameter.VAR_KEYWORD]
    return [p.replace(annotation=hints[p.name], kind=inspect.Parameter.KEYWORD_ONLY) for p in named]


def built_from(
    name: str,
    function: Callable[..., int | None],
    parameters: Parameters,
    about: About,
    *,
    help_: str,
) -> TyperCommand:
    """The typer command that hands the call, and what was given for `parameters`, to `function`."""

    def run(**given: Any) -> int | None:
        call: Call = given.pop("ctx").obj
        take(call, given)
        return function(call, **given)

    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    settings = {"help_option_names": ["-h", "--help"]}
    marked = app.command(name, cls=Command, help=help_, epilog=about.epilog, context_settings=settings)
    marked(signed(run, [*parameters, *everywhere()]))
    return cast("TyperCommand", typer.main.get_command(app))


def signed(run: Callable[..., Any], parameters: Iterable[inspect.Parameter | Option]) -> Callable[..., Any]:
    """`run` with `ctx` and `parameters` for its signature: that is where typer reads options from."""
    context = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    signature = inspect.Signature([context, *map(_for_typer, parameters)])
    run.__signature__ = signature  # type: ignore[attr-defined]
    run.__annotations__ = {name: parameter.annotation for name, parameter in signature.parameters.items()}
    return run


def _for_typer(one: inspect.Parameter | Option) -> inspect.Parameter:
    """The parameter as typer wants it: with its own word for what is said of it."""
    if isinstance(one, inspect.Parameter):
        return one
    meant = typer.Option(*one.words, **one.more) if one.words else typer.Argument(**one.more)
    default = inspect.Parameter.empty if one.default is REQUIRED else one.default
    return inspect.Parameter(
        one.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[one.kind, meant]
    )
