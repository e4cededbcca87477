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
    """At most three of `known`: those that begin with `word`, else those that look like it, the likeliest first."""
    from difflib import get_close_matches

    bare = {name.strip("-"): name for name in sorted(set(known))}
    said = word.strip("-")
    begun = [name for name in bare if said and name.startswith(said)]
    return [bare[name] for name in (begun or get_close_matches(said, bare))[:3]]
