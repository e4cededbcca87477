"""Options, said once: what typer reads for help, errors and completion, and what `words` reads without typer."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

from evlog.cli.specs import NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from evlog.cli.call import Call

_GLOBAL, _SETTING = "global__", "setting__"


@dataclass(frozen=True, slots=True)
class Said:
    """The words of an option (none: an argument), and what else typer is told of it once it is asked."""

    words: tuple[str, ...] = ()
    more: Mapping[str, Any] = field(default_factory=dict)


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
    """A keyword parameter that is read as the option `flags`."""
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, default=default, annotation=Annotated[annotation, Said(flags, more)])


def argument(name: str, annotation: Any, metavar: str, help_: str) -> inspect.Parameter:
    """A keyword parameter that is read from the words that are no option."""
    said = Said(more={"metavar": metavar, "help": help_, "show_default": False})
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[annotation, said])


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


def is_everywhere(name: str) -> bool:
    """Whether every command takes the option of that name."""
    return name.startswith(_GLOBAL) or name == f"{_SETTING}data"


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
