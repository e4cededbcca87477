"""The reports: one file each. A file here, with HELP and `report`, is a report; nothing else lists it."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast, get_args, get_type_hints

from evlog.errors import UsageError
from evlog.frozen import dataclass

if TYPE_CHECKING:
    from evlog.query.ask import Question
    from evlog.query.result import Result

_HELP = re.compile(r'^HELP = "(.*)"$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Option:
    """An option of a report: its keyword, type and default, and its help."""

    name: str
    kind: Any
    default: Any
    help: str


class Report(Protocol):
    """What a report's file holds: one line of help, and the function whose keywords are its options."""

    HELP: str

    def report(self, question: Question, **options: Any) -> Result:
        """The report's answer."""


def names() -> dict[str, str]:
    """Each report with its help, by name; read from the files, since importing them all would cost more."""
    files = sorted(Path(__file__).parent.glob("[a-z]*.py"))
    found = {file.stem: _HELP.search(file.read_text("utf-8")) for file in files}
    return {name: match[1] for name, match in found.items() if match}


def load(name: str) -> Report:
    """The report of that name."""
    path = Path(__file__).parent / f"{name}.py"
    if not (name.isidentifier() and path.is_file() and _HELP.search(path.read_text("utf-8"))):
        import difflib

        known = names()
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else "list them with: evlog report"
        raise UsageError(f"there is no report {name!r}", hint=hint)
    return cast("Report", import_module(f"{__name__}.{name}"))


def options(name: str) -> tuple[Option, ...]:
    """The options of a report, as the signature of its function says them: `Annotated[type, "help"]`."""
    from inspect import signature  # 6 ms

    function = load(name).report
    unseen = {"Question": object, "Result": object}  # imported for the type checker only
    kinds = get_type_hints(function, localns=unseen, include_extras=True)
    keywords = [p for p in signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY]
    return tuple(_option(keyword.name, kinds[keyword.name], keyword.default) for keyword in keywords)


def _option(name: str, kind: Any, default: Any) -> Option:
    said = getattr(kind, "__metadata__", ("",))
    return Option(name, get_args(kind)[0] if said != ("",) else kind, default, str(said[0]))
