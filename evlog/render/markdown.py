"""The rows of a result as a Markdown table, with numbers as people read them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from evlog.render.lanes import lanes
from evlog.render.style import UNICODE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from evlog.query.result import Result

_MARKUP = re.compile(r"[\\|`*\[\]<>&~$]|(?<![^\W_])_|_(?![^\W_])")  # an underscore inside a word is none


def table(result: Result) -> Iterator[bytes]:
    """Yield the table in one piece; in cells, all that Markdown or HTML would obey is escaped."""
    shown = lanes(result, UNICODE)
    if not shown:
        return
    heads = [_line(_literal(lane.header) for lane in shown), _line("---:" if lane.right else "---" for lane in shown)]
    body = (_line(map(_literal, cells)) for cells in zip(*(lane.cells for lane in shown), strict=True))
    yield "".join([*heads, *body]).encode()


def _literal(text: str) -> str:
    return _MARKUP.sub(r"\\\g<0>", text)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |\n"
