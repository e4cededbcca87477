"""Options, said once: what typer reads for help, errors and completion, and what `words` reads without typer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_type_hints

from evlog.cli.specs import NAMES
from evlog.frozen import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from evlog.cli.call import Call

_GLOBAL, _SETTING = "global__", "setting__"

REQUIRED: Any = ...
"""In place of a default: there is none, and the option must be said."""


@dataclass(frozen=True, slots=True)
class Option:
    """A keyword that a command is handed, and the words that say it (none: an argument).

    `kind` is its type, `more` what else typer is told of it once it is asked.
    """

    name: str
    kind: Any
    default: Any = REQUIRED
    words: tuple[str, ...] = ()
    more: Mapping[str, Any] = field(default_factory=dict)


def keywords(function: Callable[..., Any]) -> list[Option]:
    """The keywords of a report's function, with their annotations resolved; no words say them yet.

    `inspect` would tell the same, and takes 6 ms to import.
    """
    code, defaults = function.__code__, function.__kwdefaults__ or {}
    names = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    hints = resolved_hints(function) if names else {}
    return [Option(name, hints[name], defaults.get(name, REQUIRED)) for name in names]


def resolved_hints(function: Callable[..., Any]) -> Mapping[str, Any]:
    """The annotations of `function`; a name that is imported for the type checker only counts as Any."""
    names = dict(function.__globals__)
    while True:
        try:
            return get_type_hints(function, names, include_extras=True)
        except NameError as error:
            names[str(error.name)] = Any


def option(name: str, kind: Any, default: Any, *words: str, **more: Any) -> Option:
    """A keyword that is said by `words`."""
    return Option(name, kind, default, words, more)


def argument(name: str, kind: Any, metavar: str, help_: str) -> Option:
    """A keyword that is read from the words that are no option."""
    return Option(name, kind, more={"metavar": metavar, "help": help_, "show_default": False})


def flag(name: str, word: str, help_: str) -> Option:
    """A keyword that is true when `word` is said."""
    return option(name, bool, False, word, help=help_)


def repeated(name: str, word: str, metavar: str, help_: str) -> Option:
    """A keyword that gathers what `word` is given, however often."""
    return option(name, list[str], [], word, metavar=metavar, help=help_, show_default=False)


def everywhere() -> list[Option]:
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


def setting(name: str) -> Option:
    """A setting as a flag."""
    spec = NAMES[name]
    kind = list[str] | None if spec.kind.many else str | None
    says = f"{spec.help}  [default: {spec.default}]" if spec.default not in {None, ()} else spec.help
    return option(_SETTING + name, kind, None, spec.option, metavar=spec.kind.metavar, help=says)


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
