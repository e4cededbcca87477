"""A report asked for in plain words is answered without typer, whose import alone takes longer than the answer.

Plain are long options that are known, each with a value that typer would take as it stands. Everything else (help,
errors, arguments, completion) is typer's: then nothing is read here, and nothing is done. So both read the same, or
only one of them reads.
"""

from __future__ import annotations

import os
from types import UnionType
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from evlog.cli.option import REQUIRED, everywhere, take
from evlog.errors import EvlogError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from evlog.cli.call import Call
    from evlog.cli.option import Option

_MOST = 18  # digits of a number that is surely one
_TOLD = {"help", "metavar", "min", "show_default"}  # what typer is told of an option, and is heeded here


def answered(words: Sequence[str], call: Call) -> bool:
    """Answer `report NAME` with plain options; False, and nothing happened, where the words are typer's to read."""
    name, said = named(words)
    if name is None or "_EVLOG_COMPLETE" in os.environ:
        return False
    from evlog.cli.answering import taken

    try:
        found = taken(name)
    except EvlogError:
        return False
    given = read(said, [*found.parameters, *everywhere()])
    if given is None:
        return False
    take(call, given)
    found.run(call, **given)
    return True


def named(words: Sequence[str]) -> tuple[str | None, list[str]]:
    """The NAME of `report NAME`, None where that is not asked, and the other words.

    What every command takes may stand before it: the same as behind it, but that what is said last counts.
    """
    place = 0
    if words and words[0].startswith("-"):
        options = {word: one for one in everywhere() for word in one.words}
        while place < len(words) and (said := options.get(words[place].partition("=")[0])):
            place += 1 if said.kind is bool or "=" in words[place] else 2
    command, rest = words[place : place + 2], words[place + 2 :]
    if len(command) < 2 or command[0] != "report":  # noqa: PLR2004 - report NAME
        return None, []
    return command[1], [*words[:place], *rest]


def read(words: Sequence[str], parameters: Iterable[Option]) -> dict[str, Any] | None:
    """What the words give for the parameters, defaults included; None where they are not plain."""
    given: dict[str, Any] = {}
    options: dict[str, Option] = {}
    for one in parameters:
        if not one.words or one.more.keys() - _TOLD or one.default is REQUIRED:
            return None
        given[one.name] = list(one.default) if isinstance(one.default, list) else one.default
        options |= dict.fromkeys(one.words, one)
    rest = list(words)
    while rest:
        word, equals, value = rest.pop(0).partition("=")
        said = options.get(word)
        if said is None:
            return None
        if said.kind is bool:
            if equals:
                return None
            given[said.name] = True
            continue
        if not equals:
            value = rest.pop(0) if rest else ""
        told = _value(value, said)
        if told is None:
            return None
        given[said.name] = [*(given[said.name] or []), told] if _many(said.kind) else told
    return given


def _value(text: str, said: Option) -> Any:
    """The value that a text is for an option; None where only typer knows."""
    kind = said.kind
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
