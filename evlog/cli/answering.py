"""What a report takes from the words of a call, and what is done with it: its keywords become options.

Nothing here needs typer, so that `words` can answer without it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

from evlog.cli import asking, printing
from evlog.cli.option import REQUIRED, argument, keywords, option, repeated, setting
from evlog.errors import UsageError
from evlog.frozen import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable

    from evlog.cli.call import Call
    from evlog.cli.option import Option

_FED = {
    "window": "funnel_window",
    "timeout": "session_timeout",
    "abandon_after": "abandon_after",
    "week_start": "week_start",
}
"""Keywords of reports that are settings: with flag, environment, file and default."""

_STEPS = "steps"
_NAMED = ("window", "step_window", "order", "attempt", "ties", "within_session")
"""What a funnel of the plan may say beside its steps."""

_METAVARS: dict[Any, str] = {int: "N", float: "NUMBER", str: "TEXT"}


@dataclass(frozen=True, slots=True)
class Taken:
    """The module of a report, the parameters of its command, and the function that answers what was given for them."""

    module: Any
    parameters: list[Option]
    run: Callable[..., None]


def taken(name: str) -> Taken:
    """What the report called `name` takes; only its module is imported."""
    from evlog.reports import load

    module = load(name)
    own = keywords(module.report)
    fed = {p.name: _FED[p.name] for p in own if p.name in _FED}
    readers: dict[str, Callable[[str], Any]] = {}
    parameters = [
        *(_option(p, readers) for p in own if p.name not in fed),
        *map(setting, fed.values()),
        *asking.parameters(),
        *(setting(known) for known in asking.SETTINGS if known not in fed.values()),
        *printing.parameters(),
    ]

    def run(call: Call, **given: Any) -> None:
        for key, read in readers.items():
            given[key] = _read(key, given[key], read)
        _answer(call, module.report, given | _fed(call, fed, like=given.get("like")))

    return Taken(module, parameters, run)


def _fed(call: Call, fed: dict[str, str], *, like: str | None) -> dict[str, str]:
    """The keywords that settings say, as text; where nobody said anything the report's own default stands.

    What a bundle sets, only a flag may change.
    """
    if not fed:
        return {}
    from evlog.query.funnel.manner import bundled

    said = {key: known for key, known in fed.items() if call.settings.origin(known) != "default"}
    bundle = bundled(like)
    said = {key: known for key, known in said.items() if key not in bundle or known in call.flags}
    return {key: _text(getattr(call.settings, known)) for key, known in said.items()}


def _text(value: Any) -> str:
    return "none" if value is None else printing.spelled(value) if isinstance(value, timedelta) else str(value)


def _answer(call: Call, function: Callable[..., Any], given: dict[str, Any]) -> None:
    from evlog.query.ask import ask

    shape = printing.shape(given)
    store = call.store()
    scope = asking.scope(call, store, given, table=shape.table)
    if _STEPS in given:
        given = _named_funnel(call, given)
    printing.emit(call, ask(store, scope, function, **given), shape)


def _named_funnel(call: Call, given: dict[str, Any]) -> dict[str, Any]:
    """The options of a funnel whose only step names one of the plan: what the plan says, unless a flag does.

    `--like` is a flag for all that its bundle sets.
    """
    plan = call.plan()
    named = plan.funnels.get(given[_STEPS][0]) if plan and len(given[_STEPS]) == 1 else None
    if named is None:
        return given
    from evlog.query.funnel.manner import SIDEWAYS, bundled

    if given.get("like") in SIDEWAYS:
        return given | {_STEPS: named.steps}
    flags = {key for key in _NAMED if key != "window" and given.get(key) is not None}
    flags |= {"window"} if "funnel_window" in call.flags else set()
    said = {key: getattr(named, key) for key in _NAMED if key not in flags | bundled(given.get("like")).keys()}
    told = {key: value for key, value in said.items() if value not in (None, False)}
    return given | told | {_STEPS: named.steps}


def _option(said: Option, readers: dict[str, Callable[[str], Any]]) -> Option:
    """The option of a report's keyword; what typer cannot read itself goes into `readers`."""
    kind, help_ = _unwrapped(said.kind)
    name, default = said.name, said.default
    dashed = f"--{name.rstrip('_').replace('_', '-')}"
    if get_origin(kind) in {tuple, list}:
        readers[name] = tuple
        if name == _STEPS:
            return argument(name, list[str], "STEP…", help_)
        return repeated(name, dashed, "TEXT", help_)
    if kind is str and default is REQUIRED:
        return argument(name, str, name.upper(), help_)
    if timedelta in {kind, *get_args(kind)}:
        from evlog import window

        readers[name] = window.duration if kind is timedelta else window.limit
        shown = None if default is None else printing.spelled(default)
        return option(name, str | None, shown, dashed, metavar="DURATION", help=help_)
    choices = [kind, *get_args(kind)]
    known = next((get_args(one) for one in choices if get_origin(one) is Literal), ())
    if bool in get_args(kind):  # None: nobody said
        return option(name, bool | None, None, f"{dashed}/--no{dashed[1:]}", help=help_, show_default=False)
    metavar = "|".join(map(str, known)) or next((_METAVARS[one] for one in choices if one in _METAVARS), None)
    return option(name, kind, default, dashed, metavar=metavar, help=help_)


def _unwrapped(annotation: Any) -> tuple[Any, str]:
    """The type of a keyword, and its help (the text in `Annotated[type, "help"]`)."""
    if get_origin(annotation) is not Annotated:
        return annotation, ""
    kind, *said = get_args(annotation)
    return kind, sentence(next((text for text in said if isinstance(text, str)), ""))


def _read(key: str, value: Any, read: Callable[[Any], Any]) -> Any:
    if value is None:
        return None
    try:
        return read(value)
    except UsageError as error:
        raise UsageError(f"--{key.replace('_', '-')}: {error}", hint=error.hint) from error


def sentence(help_: str) -> str:
    """The help of an option or a report, as it begins and ends in print."""
    return f"{help_[:1].upper()}{help_[1:]}{'' if help_.endswith(('.', ']')) else '.'}" if help_ else ""
