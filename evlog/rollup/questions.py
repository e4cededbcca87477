"""Which standing questions there are: those of the reports' files, those of the plan, and two that no report asks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from evlog import reports
from evlog.query.standing import Standing, all_of

if TYPE_CHECKING:
    from collections.abc import Iterable

_ROLLUP = re.compile(r"^ROLLUP\b", re.MULTILINE)

HOURS = Standing("hours", grains=("hour",), metrics={})
QUALITY = Standing("quality", grains=("day",), metrics={})


def standing(more: Iterable[Standing]) -> tuple[Standing, ...]:
    """Every question, by name; the files of reports are read, so that only those that have one are imported."""
    files = sorted(Path(str(reports.__file__)).parent.glob("[a-z]*.py"))
    named = [file.stem for file in files if _ROLLUP.search(file.read_text("utf-8"))]
    every = (HOURS, QUALITY, *all_of(reports.load(name) for name in named), *more)
    found = {one.name: one for one in every}
    return tuple(found[name] for name in sorted(found))
