"""The funnels of other products as bundles of options (metrics §16); data only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Like = Literal["posthog", "mixpanel", "amplitude", "clickhouse", "umami", "flags", "open"]
"""In whose manner a funnel is counted. flags: each step by itself; open: each step to the next by itself."""

SIDEWAYS = ("flags", "open")
"""Manners without chains: each step is counted for itself."""

USUAL: dict[str, Any] = {
    "order": "ordered",
    "attempt": "best",
    "ties": "step",
    "window": "14d",
    "step_window": "none",
    "within_session": False,
    "exclusion": "drop",
    "attribution": "first",
    "cut": False,
    "start": "last",
    "grace": "0s",
    "share_events": False,
    "strict_scope": "all",
    "anchor_first": False,
    "complete_only": False,
}
"""What a funnel does unless an option or a bundle says otherwise (metrics §17)."""


@dataclass(frozen=True, slots=True)
class Manner:
    """Whose manner it is, and the options that make it; `says` is what no option can say."""

    of: str
    options: Mapping[str, Any] = field(default_factory=dict)
    says: str = ""


MANNERS: dict[str, Manner] = {
    "posthog": Manner(
        "PostHog",
        {
            "order": "ordered",
            "attempt": "best",
            "window": "14d",
            "ties": "step",
            "exclusion": "remove",
            "attribution": "first",
            "start": "last",
            "cut": True,
        },
    ),
    "mixpanel": Manner(
        "Mixpanel", {"attempt": "first", "window": "7d", "grace": "2s", "exclusion": "drop", "start": "first"}
    ),
    "amplitude": Manner(
        "Amplitude", {"attempt": "best", "window": "1d", "grace": "1s", "start": "first", "anchor_first": True}
    ),
    "clickhouse": Manner("ClickHouse's windowFunnel", {"attempt": "best", "ties": "step", "share_events": True}),
    "umami": Manner(
        "Umami",
        {"window": "none", "step_window": "60m", "within_session": True, "share_events": True, "cut": True},
    ),
    "flags": Manner(
        "flags per user",
        {"window": "none", "cut": True, "attribution": "all"},
        "each step by itself, in any order: rates may exceed 1",
    ),
    "open": Manner(
        "GA4's open funnel",
        {"cut": True, "attribution": "all"},
        "a step counts for whoever did it; from each step to the next among those who did it",
    ),
}
"""Approximations of what the products document; they change theirs."""


def bundled(like: str | None) -> Mapping[str, Any]:
    """The options that the bundle sets; none where there is no such bundle."""
    return MANNERS[like].options if like in MANNERS else {}
