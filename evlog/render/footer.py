"""What stands below a table: its summary, and the definition it was counted by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evlog.render.escape import escape
from evlog.render.lanes import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from evlog.query.result import Kind, Result
    from evlog.render.style import Glyphs


def summary(result: Result, glyphs: Glyphs) -> list[list[str]]:
    """Return the facts of the summary in lines: the plain ones together, then a line for each that has parts."""
    whole = {key: value for key, value in result.summary.items() if not _has_parts(value)}
    parts = {key: value for key, value in result.summary.items() if _has_parts(value)}
    lines = [facts(whole, glyphs, kinds=result.summary_kinds)]
    lines += [_opened(key, value, result.summary_kinds.get(key, "count"), glyphs) for key, value in parts.items()]
    return [line for line in lines if line]


def definition(result: Result, glyphs: Glyphs) -> list[str]:
    """Return the facts of the definition, and what `*` means if a row bears it."""
    starred = [f"* {result.partial_means}"] if result.partial else []
    return [*starred, *facts(result.definition, glyphs)]


def facts(values: Mapping[str, Any], glyphs: Glyphs, *, kinds: Mapping[str, Kind] | None = None) -> list[str]:
    """Return `name value` for each of the values, as people read them."""
    return [_fact(key, value, (kinds or {}).get(key, "count"), glyphs) for key, value in values.items()]


def packed(segments: Sequence[str], width: int | None, dot: str, *, measure: Callable[[str], int] = len) -> list[str]:
    """Return the segments in lines no wider than `width`, broken between segments; a long one has a line of its own."""
    lines: list[str] = []
    for segment in segments:
        joined = f"{lines[-1]}{dot}{segment}" if lines else segment
        if lines and (width is None or measure(joined) <= width):
            lines[-1] = joined
        else:
            lines.append(segment)
    return lines


def _fact(key: str, value: Any, kind: Kind, glyphs: Glyphs) -> str:
    name = key.removesuffix("_s") if kind == "seconds" else key
    return f"{escape(name)} {_inner(value, kind, glyphs)}"


def _inner(value: Any, kind: Kind, glyphs: Glyphs) -> str:
    """Return a value; of one with parts, all of them."""
    if isinstance(value, dict):
        return ", ".join(f"{escape(str(key))} {_inner(inner, kind, glyphs)}" for key, inner in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(_inner(inner, kind, glyphs) for inner in value)
    return shown(value, kind, glyphs)


def _has_parts(value: object) -> bool:
    return isinstance(value, dict) or (isinstance(value, (list, tuple)) and any(isinstance(v, dict) for v in value))


def _opened(key: str, value: Any, kind: Kind, glyphs: Glyphs) -> list[str]:
    """Return a fact with parts as the segments of its own line, the name before the first."""
    parts = value.items() if isinstance(value, dict) else ((None, part) for part in value)
    segments = [
        _inner(part, kind, glyphs) if name is None else _fact(str(name), part, kind, glyphs) for name, part in parts
    ]
    return [f"{escape(key)}: {segments[0]}", *segments[1:]] if segments else [f"{escape(key)}: {glyphs.null}"]
