"""A report asked for in plain words is answered without typer, whose import alone takes longer than the answer.

Plain are long options that are known, each with a value that typer would take as it stands. Everything else (help,
errors, arguments, completion) is typer's: then nothing is read here, and nothing is done. So both read the same, or
only one of them reads.
"""

from __future__ import annotations

import os
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

from evlog.cli.option import Said, everywhere, take
from evlog.errors import EvlogError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from inspect import Parameter

    from evlog.cli.call import Call

_MOST = 18  # digits of a number that is surely one
_TOLD = {"help", "metavar", "min", "show_default"}  # what typer is told of an option, and is heeded here


def answered(words: Sequence[str], call: Call) -> bool:
    """Answer `report NAME` with plain options; False, and nothing happened, where the words are typer's to read."""
    if len(words) < 2 or words[0] != "report" or "_EVLOG_COMPLETE" in os.environ:  # noqa: PLR2004 - report NAME
        return False
    from evlog.cli.answering import taken

    try:
        found = taken(words[1])
    except EvlogError:
        return False
    given = read(words[2:], [*found.parameters, *everywhere()])
    if given is None:
        return False
    take(call, given)
    found.run(call, **given)
    return True


def read(words: Sequence[str], parameters: Iterable[Parameter]) -> dict[str, Any] | None:
    """What the words give for the parameters, defaults included; None where they are not plain."""
    given: dict[str, Any] = {}
    options: dict[str, tuple[str, Any, Any]] = {}
    for one in parameters:
        kind, said = get_args(one.annotation) if get_origin(one.annotation) is Annotated else (None, None)
        if not isinstance(said, Said) or not said.words or said.more.keys() - _TOLD or one.default is one.empty:
            return None
        given[one.name] = list(one.default) if isinstance(one.default, list) else one.default
        options |= dict.fromkeys(said.words, (one.name, kind, said))
    rest = list(words)
    while rest:
        word, equals, value = rest.pop(0).partition("=")
        name, kind, said = options.get(word, ("", None, None))
        if not name:
            return None
        if kind is bool:
            if equals:
                return None
            given[name] = True
            continue
        if not equals:
            value = rest.pop(0) if rest else ""
        told = _value(kind, value, said)
        if told is None:
            return None
        given[name] = [*(given[name] or []), told] if _many(kind) else told
    return given


def _value(kind: Any, text: str, said: Said) -> Any:
    """The value that a text is for a kind; None where only typer knows."""
    if not text or text.startswith("-"):
        return None
    kinds = set(get_args(kind)) - {type(None)} if isinstance(kind, UnionType) else {kind}
    if get_origin(kind) is Literal:
        return text if text in get_args(kind) else None
    if kinds == {str} or _many(kind):
        return text
    if kinds == {int} and text.isascii() and text.isdigit() and len(text) <= _MOST:
        return int(text) if int(text) >= said.more.get("min", 0) else None
    return None


def _many(kind: Any) -> bool:
    """Whether an option may be said several times: a list of texts."""
    return kind == list[str] or list[str] in get_args(kind)
