"""What somebody may have meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """A hint that names the known words nearest to `word`, best first; None where nothing is near."""
    near = nearest(word, known)
    return f"did you mean {' or '.join(near)}?" if near else None


def nearest(word: str, known: Iterable[str]) -> list[str]:
    """At most three of `known`, the likeliest first: those that begin with `word`, then those that look like it."""
    from difflib import get_close_matches

    names = sorted(set(known))
    bare = word.strip("-")
    begun = [name for name in names if bare and name.strip("-").startswith(bare)]
    return list(dict.fromkeys(begun + get_close_matches(word, names)))[:3]
