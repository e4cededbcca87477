"""How an answer is printed: `--format`, `--output`, `--raw-csv`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

from evlog.cli.option import flag, option, setting
from evlog.errors import UsageError
from evlog.frozen import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from evlog.cli.call import Call
    from evlog.cli.option import Option
    from evlog.query.result import Result

Format = Literal["table", "json", "ndjson", "csv", "markdown", "parquet"]
_PREFIX = "print__"


@dataclass(frozen=True, slots=True)
class Shape:
    """The format of an answer, and the file it goes to (None: stdout; `-` says so too)."""

    format: Format = "table"
    output: str | None = None
    raw_csv: bool = False
    plot: bool = False
    pseudonymise: bool = False

    @property
    def table(self) -> bool:
        """Whether a person reads it."""
        return self.format == "table"


def parameters(default: Format | None = None, *, also: tuple[str, ...] = ()) -> list[Option]:
    """The options that say how an answer is printed; what names no default of its own is a report, and can be drawn.

    `also` are formats that the command writes itself.
    """
    known: Any = Literal[(*get_args(Format), *also)]
    formats = "|".join(get_args(known))
    drawn = [flag("print__plot", "--plot", "A picture in place of the table.")] if default is None else []
    return [
        *drawn,
        *(pseudonyms() if default is None else []),
        option("print__format", known, default or "table", "--format", metavar=formats, help="How rows are printed."),
        option(
            "print__output", str | None, None, "--output", metavar="FILE", help="Write to FILE, whole or not at all."
        ),
        flag("print__raw_csv", "--raw-csv", "Leave cells of CSV as they are, formulas of a spreadsheet too."),
    ]


def pseudonyms() -> list[Option]:
    """The options of an answer in which ids may stand."""
    says = "Pseudonyms for user_id, anonymous_id and session_id: keyed hashes that stay the same under one key."
    return [flag("print__pseudonymise", "--pseudonymise", says), setting("pseudonym_key")]


def shape(given: dict[str, Any]) -> Shape:
    """What was given for `parameters`, taken out of `given`."""
    said = {name.removeprefix(_PREFIX): given.pop(name) for name in list(given) if name.startswith(_PREFIX)}
    if said["output"] == "-":
        said["output"] = None
    found = Shape(**said)
    if found.plot and not found.table:
        raise UsageError(f"--plot draws what --format {found.format} writes", hint="give one of them")
    return found


def emit(call: Call, result: Result, shape: Shape, *, bare: bool = False) -> None:
    """Print `result`: rows to stdout or the file, its notes to stderr."""
    if shape.pseudonymise:
        result = pseudonymised(call, result)
    call.out.result(result, shape, bare=bare)
    for note in result.notes:
        call.out.note(note)


def pseudonymised(call: Call, result: Result) -> Result:
    """The answer with pseudonyms for ids, by the key of this call."""
    from evlog.query import pseudonym
    from evlog.store.pseudonym import key_of

    return pseudonym.pseudonymised(result, key_of(call.store(), call.settings.pseudonym_key))


def counted(call: Call, name: str, counts: Mapping[str, int], *, dry_run: bool = False) -> Result:
    """The counts of an operation as a result: one row of them."""
    from evlog.query.result import Column, Result

    columns = tuple(Column(known, "count") for known in counts)
    notes = ("dry run: nothing was changed",) if dry_run else ()
    return Result(name, columns, (tuple(counts.values()),), call.now, notes=notes)


def several(count: int, noun: str) -> str:
    """`count` of a thing in words: 1 day, 1,204 days."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def spelled(length: timedelta) -> str:
    """A duration as people type it: 90d, 12h, 30m, 5s."""
    seconds = int(length.total_seconds())
    for unit, size, least in (("d", 86_400, 2), ("h", 3600, 1), ("m", 60, 1)):  # a day is said as 24h
        if seconds >= least * size and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
