"""What went wrong, in one or two lines, and its exit code: the one place where an error meets a person."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from evlog.errors import EvlogError, UsageError
from evlog.frozen import dataclass

if TYPE_CHECKING:
    from types import TracebackType

    from evlog.cli.call import Call

_INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Fault:
    """A sentence, what to do, and the exit code."""

    message: str
    hint: str | None = None
    code: int = 1


def fault(error: BaseException, call: Call) -> Fault:
    """What to say of `error`."""
    if isinstance(error, EvlogError):
        return Fault(str(error), error.hint, error.exit_code)
    if isinstance(error, KeyboardInterrupt):
        kept = call.kept() if call.kept else "what was committed before is kept, nothing is half done"
        return Fault(f"interrupted; {kept}", code=_INTERRUPTED)
    if isinstance(error, MemoryError):
        return Fault("out of memory", "ask for fewer days, or give evlog more memory")
    assert isinstance(error, OSError)
    where = f"{error.filename}: " if error.filename else ""
    return Fault(f"{where}{error.strerror or error}")


class Misread(UsageError):
    """A call that typer cannot read; its own sentences, cut to ours."""

    def __init__(self, error: Any) -> None:
        said = _of_the_parser(error)
        super().__init__(said.message, hint=said.hint)


def _of_the_parser(error: Any) -> Fault:
    """What to say of what typer says."""
    ctx = getattr(error, "ctx", None)
    whole = ctx.command_path if ctx else "evlog"
    path = whole.removeprefix("evlog ")  # the line begins with `evlog: ` as it is
    hint = f"see: {whole} --help"
    if wrong := getattr(error, "option_name", None):
        if type(error).__name__ == "NoSuchOption":
            return Fault(f"{path} has no option {wrong}", _meant(wrong, ctx) or hint)
        return Fault(f"{wrong} needs a value", hint if ctx else None)
    param = getattr(error, "param", None)
    if type(error).__name__ == "MissingParameter" and param is not None:
        return Fault(f"{path}: {_named(param)} is missing", hint)
    if param is not None:
        return Fault(f"{path}: {_named(param)}: {_said(error.message)}", hint)
    return Fault(f"{path}: {_said(error.format_message())}", hint)


def _named(param: Any) -> str:
    return str(param.opts[0] if param.param_type_name == "option" else param.human_readable_name).strip("[]")


def _said(sentence: str) -> str:
    plainer = (
        sentence.replace("valid int range", "valid integer")
        .replace("valid integer range", "valid integer")
        .replace("argument(s)", "argument")
    )
    return (plainer[:1].lower() + plainer[1:]).rstrip(".")


def _meant(wrong: str, ctx: Any) -> str | None:
    from evlog.cli.suggest import did_you_mean

    known = [flag for param in ctx.command.get_params(ctx) for flag in param.opts] if ctx else []
    return did_you_mean(wrong, [flag for flag in known if flag.startswith("--")])


def unforeseen(kind: type[BaseException], error: BaseException, _trace: TracebackType | None) -> None:
    """Say in two lines what nobody foresaw (the hook that replaces Python's traceback)."""
    from evlog.cli.output import complain

    says = f"{kind.__name__}: {error}" if str(error) else kind.__name__
    complain(f"this is a bug in evlog: {says}", "run it again with --debug and report what it prints", sys.stderr)
