"""What is fuzzed: plain functions of bytes, which end quietly or raise what no evlog may raise."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fuzz import lines, stored, texts

if TYPE_CHECKING:
    from collections.abc import Callable

CORPUS = Path(__file__).parent / "corpus"

TARGETS: dict[str, Callable[[bytes], None]] = {
    "lines": lines.target_lines,
    "judge": lines.target_judge,
    "packed": lines.target_packed,
    "csv": lines.target_csv,
    "times": texts.target_times,
    "dates": texts.target_dates,
    "where": texts.target_where,
    "config": texts.target_config,
    "plan": texts.target_plan,
    "stored": stored.target_stored,
}


def corpus(name: str) -> list[Path]:
    """The inputs that are kept of a target, in order."""
    return sorted(path for path in (CORPUS / name).iterdir() if path.is_file())
