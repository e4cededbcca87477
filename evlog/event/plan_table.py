"""A TOML table read key by key: typed values out, and every fault collected with its path instead of raised."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evlog.event.reject import shown
from evlog.event.steering import STEERING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_LONG = 80
_BARE = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_MEANT = {
    "enum": "one_of", "values": "one_of", "choices": "one_of", "minimum": "min", "maximum": "max", "regex": "pattern",
    "maxlength": "max_length", "max_len": "max_length", "desc": "description", "props": "properties",
    "additionalproperties": "additional", "additional_properties": "additional", "requires": "required",
    "kind": "type", "end": "complete", "event": "events", "pair": "pairs", "funnel": "funnels",
    "part": "parts", "index": "indices", "indexes": "indices", "component": "components", "error": "errors",
    "request": "requests", "exercises": "targets", "target": "targets", "types": "events", "name": "title",
    "purposes": "purpose", "reason": "purpose",
}  # fmt: skip
"""What people used to other schemas write, and what it is called here."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a plan: the path of the key, and what was expected and came."""

    where: str
    message: str

    @property
    def says(self) -> str:
        """The fault in words: `events.a.properties.b.min: expected a number, got "3"`."""
        return f"{self.where}: {self.message}" if self.where else self.message


def bare(key: str) -> str:
    """`key` as TOML writes it: as it is where it can be, else quoted."""
    return key if _BARE.fullmatch(key) else literal(key)


def literal(value: object) -> str:
    """`value` in TOML; JSON's texts and numbers are TOML's too, if what steers a terminal is written as an escape."""
    return STEERING.sub(_written_out, json.dumps(value, ensure_ascii=False))


def _written_out(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\u{code:04x}" if code < 1 << 16 else f"\\U{code:08x}"


def dotted(*keys: str) -> str:
    """The TOML path of `keys`, for messages: short and printable."""
    return ".".join(key if len(key) <= _LONG and _BARE.fullmatch(key) else shown(key) for key in keys)


def came(value: object) -> str:
    """`value` as a short text for messages, in TOML's words."""
    return "a table" if isinstance(value, dict) else shown(value)


class Table:
    """A TOML table being read: each read takes its key; `close` reports the keys that nobody asked for."""

    def __init__(self, data: dict[str, Any], path: tuple[str, ...], faults: list[Fault]) -> None:
        self._data = data
        self._asked: set[str] = set()
        self.path = path
        self.faults = faults

    def fault(self, key: str, message: str) -> None:
        """Note what is wrong with the value of `key`."""
        self.faults.append(Fault(dotted(*self.path, key), message))

    def has(self, key: str) -> bool:
        """Whether the table has `key`."""
        return key in self._data

    def spoilt(self, key: str) -> bool:
        """Whether a fault of `key` itself is noted already."""
        where = dotted(*self.path, key)
        return any(fault.where == where for fault in self.faults)

    def take(self, key: str, fits: Callable[[Any], bool], expected: str) -> Any:
        """The value of `key` where it fits; None where it is absent, or off (which is noted)."""
        self._asked.add(key)
        value = self._data.get(key)
        if value is None or fits(value):
            return value
        self.fault(key, f"expected {expected}, got {came(value)}")
        return None

    def text(self, key: str, *, default: str = "") -> str:
        """The text at `key`."""
        value = self.take(key, _is_text, "text without control characters")
        return default if value is None else str(value)

    def word(self, key: str, *, needed: bool = False) -> str | None:
        """The non-empty text at `key`, None where there is none; `needed`: its absence is a fault."""
        value: str | None = self.take(key, lambda text: _is_text(text) and bool(text.strip()), "text that is not empty")
        if value is None and needed and key not in self._data:
            self.fault(key, "missing")
        return value

    def words(self, key: str) -> tuple[str, ...]:
        """The list of non-empty texts at `key`, each once."""
        value = self.take(key, _are_texts, "a list of texts")
        return tuple(dict.fromkeys(value or ()))

    def flag(self, key: str, *, default: bool) -> bool:
        """The true or false at `key`."""
        value = self.take(key, lambda flag: isinstance(flag, bool), "true or false")
        return default if value is None else bool(value)

    def one_of(self, key: str, choices: Iterable[str]) -> Any:
        """The word at `key`, out of `choices`; None where it is absent or off."""
        known = tuple(choices)
        value = self.take(key, _is_text, f"one of {', '.join(known)}")
        if value is None or value in known:
            return value
        self.fault(key, f"expected one of {', '.join(known)}, got {came(value)}{_perhaps(value, known)}")
        return None

    def pattern(self, key: str) -> str | None:
        """The regular expression at `key`, as text."""
        value = self.word(key)
        try:
            re.compile(value or "")
        except (re.error, RecursionError, OverflowError) as error:
            self.fault(key, f"expected a regular expression, got {came(value)} ({error})")
            return None
        return value

    def number(self, key: str, *, limit: int, whole: bool) -> float | None:
        """The number at `key`, at most `limit` away from zero."""
        kind = "an integer" if whole else "a number"
        value: float | None = self.take(key, lambda number: _is_number(number, whole=whole), kind)
        if value is not None and abs(value) > limit:
            self.fault(key, f"expected {kind} between -{limit} and {limit}, got {came(value)}")
            return None
        return value

    def tables(self, key: str, *, short: str | None = None, as_written: bool = False) -> Iterator[tuple[str, Table]]:
        """The tables inside the table at `key`, by name (or in the order of the file).

        With `short`, a plain text stands for `{short = text}`.
        """
        inner = self.take(key, lambda table: isinstance(table, dict), "a table") or {}
        for name, data in inner.items() if as_written else sorted(inner.items()):
            held = {short: data} if short and isinstance(data, str) else data
            path = (*self.path, key, name)
            if isinstance(held, dict):
                yield name, Table(held, path, self.faults)
            else:
                self.faults.append(Fault(dotted(*path), f"expected a table, got {came(data)}"))

    def close(self) -> None:
        """Note every key that was not asked for, with the one that was perhaps meant."""
        for key in self._data:
            if key not in self._asked:
                self.fault(key, f"there is no such key{_perhaps(key, self._asked)}")


def _perhaps(word: str, known: Iterable[str]) -> str:
    """What to add to a complaint about `word`: the known word that was perhaps meant."""
    import difflib  # needed for faults alone

    options = list(known)
    meant = _MEANT.get(word.lower())
    close = [meant] if meant in options else difflib.get_close_matches(word[:_LONG].lower(), options, n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def _is_text(value: object) -> bool:
    return isinstance(value, str) and not any(ord(c) < ord(" ") and c not in "\n\t" for c in value)


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(_is_text(text) and text.strip() for text in value)


def _is_number(value: object, *, whole: bool) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, int) if whole else math.isfinite(value)
