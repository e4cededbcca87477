"""What two commands may come to that meet upon one store: the end of one of the two serial orders, or a locked store."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pairs
from pairs import MAINTENANCE

from evlog.errors import EvlogError

if TYPE_CHECKING:
    from pathlib import Path

LOCKED, REFUSED = 4, 1


class End(NamedTuple):
    """How two commands ended, and what can be told of the store then."""

    codes: tuple[int, int]
    store: dict[str, str]


class Alone:
    """What commands come to that run one after the other; each order is tried once."""

    def __init__(self, base: Path) -> None:
        self.base, self._ends = base, dict[tuple[str, ...], tuple[tuple[int, ...], dict[str, str], str]]()

    def end(self, *names: str) -> tuple[tuple[int, ...], dict[str, str], str]:
        """Exit codes, what can be told, what a reader sees."""
        if names not in self._ends:
            home = pairs.copied(self.base, self.base.with_name("-".join(["alone", *names])))
            codes = tuple(code(name, home) for name in names)
            self._ends[names] = codes, pairs.told(home), pairs.seen(home)
        return self._ends[names]

    def ends(self, first: str, second: str) -> list[End]:
        """How the two may end."""
        one, other = self.end(first, second), self.end(second, first)
        found = [End((one[0][0], one[0][1]), one[1]), End((other[0][1], other[0][0]), other[1])]
        if {first, second} <= MAINTENANCE:
            found.append(End((0, LOCKED), self.end(first)[1]))
        for place, (name, another) in enumerate([(first, second), (second, first)]):
            if name == "export" and another in ("delete", "anonymise"):  # it says so, and nothing counts as sent
                codes = (REFUSED, 0) if place == 0 else (0, REFUSED)
                found.append(End(codes, self.end(another)[1]))
        return found

    def looks(self, first: str, second: str) -> set[str]:
        """What a reader may see on the way."""
        orders = [(), (first,), (second,), (first, second), (second, first)]
        return {self.end(*names)[2] for names in orders}


def built(folder: Path) -> Alone:
    """What commands come to upon the store of `pairs.build`, made in `folder`."""
    base = folder / "base"
    base.mkdir()
    pairs.build(base)
    return Alone(base)


def code(name: str, home: Path) -> int:
    """The exit code of a command, run here."""
    try:
        pairs.run(name, home)
    except EvlogError as error:
        return error.exit_code
    return 0


def differs(end: End, allowed: list[End]) -> list[object]:
    """What is otherwise than in each of the ends that are allowed."""
    return [
        (
            one.codes,
            end.codes,
            {key: (text, end.store[key]) for key, text in one.store.items() if text != end.store[key]},
        )
        for one in allowed
    ]
