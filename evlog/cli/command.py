"""A command: a function whose keywords are its options. Here it becomes what typer runs.

@command(example="evlog compact --all", exits=(1, 4))
def compact(call: "Call", *, before: Annotated[str | None, Option(help="…")] = None) -> int | None: ...
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, cast, get_type_hints

import typer
from typer.core import TyperCommand

from evlog.cli.specs import NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from typer._click import Context, HelpFormatter

    from evlog.cli.call import Call
    from evlog.cli.printing import Format

Function = TypeVar("Function", bound="Callable[..., int | None]")

EXITS: dict[int, str] = {
    0: "done",
    1: "failed or refused",
    2: "usage",
    3: "done, but some input was rejected or truncated",
    4: "the store is locked",
    130: "interrupted",
}
_GLOBAL, _SETTING = "global__", "setting__"


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
    everywhere = param.name.startswith(_GLOBAL) or param.name in {"help", f"{_SETTING}data"}
    return "Everywhere" if everywhere else "Options"


def built(name: str, function: Callable[..., int | None]) -> TyperCommand:
    """The typer command of a function marked with `command`."""
    about: About = function.__dict__["about"]
    parameters = [*own_parameters(function), *map(setting, about.settings)]
    if about.prints is not None:
        from evlog.cli import printing

        parameters += printing.parameters(about.prints, also=about.also)
    return built_from(name, function, parameters, about, help_=inspect.getdoc(function) or "")


def built_from(
    name: str, function: Callable[..., int | None], parameters: Sequence[inspect.Parameter], about: About, *, help_: str
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


def signed(run: Callable[..., Any], parameters: Iterable[inspect.Parameter]) -> Callable[..., Any]:
    """`run` with `ctx` and `parameters` for its signature: that is where typer reads options from."""
    context = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    signature = inspect.Signature([context, *parameters])
    run.__signature__ = signature  # type: ignore[attr-defined]
    run.__annotations__ = {name: parameter.annotation for name, parameter in signature.parameters.items()}
    return run


def own_parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """The parameters of a command's function after the first (the call), with their annotations resolved."""
    hints = resolved_hints(function)
    parameters = list(inspect.signature(function).parameters.values())[1:]
    named = [p for p in parameters if p.kind is not inspect.Parameter.VAR_KEYWORD]
    return [p.replace(annotation=hints[p.name], kind=inspect.Parameter.KEYWORD_ONLY) for p in named]


def resolved_hints(function: Callable[..., Any]) -> Mapping[str, Any]:
    """The annotations of `function`; a name that is imported for the type checker only counts as Any."""
    names = dict(function.__globals__)
    while True:
        try:
            return get_type_hints(function, names, include_extras=True)
        except NameError as error:
            names[str(error.name)] = Any


def option(name: str, annotation: Any, default: Any, *flags: str, **more: Any) -> inspect.Parameter:
    """A keyword parameter that typer reads as the option `flags`."""
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(
        name, kind, default=default, annotation=Annotated[annotation, typer.Option(*flags, **more)]
    )


def flag(name: str, word: str, help_: str) -> inspect.Parameter:
    """A keyword that is true when `word` is said."""
    return option(name, bool, False, word, help=help_)


def repeated(name: str, word: str, metavar: str, help_: str) -> inspect.Parameter:
    """A keyword that gathers what `word` is given, however often."""
    return option(name, list[str], [], word, metavar=metavar, help=help_, show_default=False)


def everywhere() -> list[inspect.Parameter]:
    """The options that every command takes, before its name as after it."""
    return [
        setting("data"),
        option(f"{_GLOBAL}config", str | None, None, "--config", metavar="FILE", help="The settings file."),
        flag(f"{_GLOBAL}no_color", "--no-color", "No colour."),
        flag(f"{_GLOBAL}quiet", "--quiet", "No notes, no progress."),
        flag(f"{_GLOBAL}debug", "--debug", "Show where an error comes from."),
    ]


def setting(name: str) -> inspect.Parameter:
    """A setting as a flag."""
    spec = NAMES[name]
    annotation = list[str] | None if spec.kind.many else str | None
    says = f"{spec.help}  [default: {spec.default}]" if spec.default not in {None, ()} else spec.help
    return option(_SETTING + name, annotation, None, spec.option, metavar=spec.kind.metavar, help=says)


def take(call: Call, given: dict[str, Any]) -> None:
    """Move what belongs to the call out of `given`; what was said last, counts."""
    for name in [name for name in given if name.startswith((_GLOBAL, _SETTING))]:
        value = given.pop(name)
        if value is None or value is False or value == []:  # a group before the command may have said it
            continue
        if name.startswith(_SETTING):
            call.flags[name.removeprefix(_SETTING)] = value
        else:
            setattr(call, name.removeprefix(_GLOBAL), value)
