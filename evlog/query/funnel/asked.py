"""A funnel as it is asked: what was given, completed by the bundle and the usual, and checked (metrics §7)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, get_args

from evlog.errors import UsageError
from evlog.kernel.rules import FOREVER, Attempt, Exclusion, Order, Rules, Start, Ties
from evlog.query import steps as language
from evlog.query import where
from evlog.query.funnel.manner import MANNERS, SIDEWAYS, USUAL, Like, bundled
from evlog.window import Unit, duration, limit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evlog.query.steps import Step

Taint = Literal["drop", "remove"]
"""What an exclusion does: end the chain, or take the whole user out (metrics §7.9)."""

StrictScope = Literal["all", "steps"]
"""What breaks a strict order: any event, or only one that fits a step (metrics §7.2)."""

TICK = timedelta(microseconds=1)
_WORDS: dict[str, tuple[str, ...]] = {
    "order": get_args(Order),
    "attempt": get_args(Attempt),
    "ties": get_args(Ties),
    "start": get_args(Start),
    "exclusion": get_args(Taint),
    "strict_scope": get_args(StrictScope),
    "per": get_args(Unit),
    "like": get_args(Like),
}
_BETWEEN = re.compile(r"(.*)@([0-9]{1,2})\.\.([0-9]{1,2})", re.DOTALL)
_AT_STEP = re.compile(r"step:([0-9]{1,2})")
_NO_RANGE = re.compile(r"@(?:[0-9.-]*|[^@]*\.\.[^@]*)$")  # meant as one
_EXCLUSION_FORM = "write 'STEP@I..J' with I below J, or STEP alone: between step 1 and the last"


@dataclass(frozen=True, slots=True)
class Given:
    """The options as they were given; None where nobody said anything. Keywords as in `reports.funnel`."""

    steps: tuple[str, ...]
    options: Mapping[str, Any]  # those that a bundle may set, by name as in USUAL
    exclude: tuple[str, ...] = ()
    hold: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    unit: str = "user"
    per: Unit | None = None
    like: Like | None = None
    explain: str | None = None
    histogram: bool = False
    timeout: str = "30m"


@dataclass(frozen=True, slots=True)
class Asked:
    """The question, resolved. `steps` are all steps as written; the rules know only those that are required."""

    steps: tuple[Step, ...]
    required: tuple[int, ...]  # places of the steps that make the chain
    rules: Rules
    options: Mapping[str, Any]  # the options by name, as resolved
    excluded: tuple[Step, ...]  # by bit
    hold: tuple[tuple[str, ...], ...]
    ignore: tuple[str, ...]
    unit: str
    timeout: timedelta
    per: Unit | None
    like: Like | None
    explain: str | None
    histogram: bool

    @property
    def at_step(self) -> int | None:
        """The required step (from 0) whose value a user is counted under; None with another attribution."""
        match = _AT_STEP.fullmatch(self.options["attribution"])
        return self.required.index(int(match[1]) - 1) if match else None

    @property
    def optional(self) -> tuple[int, ...]:
        """The places of the steps that are no gates (metrics §7.10)."""
        return tuple(place for place in range(len(self.steps)) if place not in self.required)

    @property
    def sideways(self) -> bool:
        """Whether steps are counted apart, without chains."""
        return self.like in SIDEWAYS

    @property
    def free(self) -> bool:
        """Whether any step may be the first."""
        return self.rules.order == "any" and not self.rules.anchored

    @property
    def sessions(self) -> bool:
        """Whether events are told apart by session."""
        return bool(self.options["within_session"]) or self.unit == "session"

    @property
    def every_event(self) -> bool:
        """Whether events that fit nothing count: in strict order each of them breaks a chain (metrics §7.2)."""
        return self.rules.order == "strict" and self.options["strict_scope"] == "all"

    @property
    def reach(self) -> int:
        """The longest that may pass from an entry to anything that counts, in microseconds: both windows bound it."""
        gaps = len(self.required) - (0 if self.steps[-1].optional else 1)
        if not gaps or self.rules.step_window >= FOREVER:
            return self.rules.window
        return min(self.rules.window, self.rules.step_window * gaps)


def resolve(given: Given, *, by: bool = False) -> Asked:
    """The funnel that the options mean; UsageError where they exclude each other."""
    for name, known in _WORDS.items():
        _known(name, given.options.get(name, getattr(given, name, None)), known)
    bundle = bundled(given.like)
    options = {name: _first(given.options.get(name), bundle.get(name), usual) for name, usual in USUAL.items()}
    if given.options.get("anchor_first") is None and options["order"] != "any":
        options["anchor_first"] = False
    steps = language.parse(given.steps)
    required = _required(steps, options)
    if given.unit not in ("user", "session"):
        where.path(given.unit)  # told now: whatever else it says must be a key
    _agree(given, options)
    if given.explain is not None and by:
        raise UsageError("--explain tells of one user, not of groups", hint="leave --by out")
    excluded, exclusions = _exclusions(given.exclude, required)
    _attribution(options["attribution"], required, len(steps))
    return Asked(
        steps,
        required,
        _rules(options, len(required), exclusions),
        options,
        excluded,
        tuple(where.path(key) for key in given.hold),
        given.ignore,
        given.unit,
        duration(given.timeout),
        given.per,
        given.like,
        given.explain,
        given.histogram,
    )


def _first(*values: Any) -> Any:
    return next(value for value in values if value is not None)


def _known(option: str, said: str | None, known: Sequence[str]) -> None:
    if said is not None and said not in known:
        raise UsageError(f"--{option.replace('_', '-')} {said!r} is unknown", hint=f"give one of: {', '.join(known)}")


def _rules(options: Mapping[str, Any], steps: int, exclusions: tuple[Exclusion, ...]) -> Rules:
    return Rules(
        steps,
        _ticks("window", options["window"]),
        options["ties"],
        options["order"],
        options["attempt"],
        _ticks("step_window", options["step_window"]),
        exclusions,
        options["exclusion"] == "remove",
        duration(options["grace"]) // TICK,
        options["start"],
        options["share_events"],
        options["anchor_first"],
    )


def _ticks(option: str, text: str) -> int:
    try:
        found = limit(text)
    except UsageError as error:
        raise UsageError(f"--{option.replace('_', '-')}: {error}", hint=error.hint) from None
    return FOREVER if found is None else min(found // TICK, FOREVER)


def _required(steps: tuple[Step, ...], options: Mapping[str, Any]) -> tuple[int, ...]:
    """The places of the steps that are not optional."""
    if steps[0].optional:
        raise UsageError(f"step 1 ({steps[0].text!r}) cannot be optional", hint="leave the ? of the first step out")
    optional = next((step.text for step in steps if step.optional), None)
    if optional and options["order"] == "any":
        raise UsageError(f"with --order any no step is optional ({optional!r})", hint="leave the ? out")
    return tuple(place for place, step in enumerate(steps) if not step.optional)


def _exclusions(
    texts: Sequence[str], required: tuple[int, ...]
) -> tuple[tuple[language.Step, ...], tuple[Exclusion, ...]]:
    """What is excluded, by bit, and between which of the required steps."""
    found: dict[str, int] = {}
    exclusions: list[Exclusion] = []
    for text in texts:
        match = _BETWEEN.fullmatch(text.strip())
        name = (match[1] if match else text).strip()
        if match is None and _NO_RANGE.search(name):
            raise UsageError(f"--exclude {text!r} does not say between which steps", hint=_EXCLUSION_FORM)
        first, last = (int(match[2]), int(match[3])) if match else (1, required[-1] + 1)
        if not 1 <= first < last or not {first - 1, last - 1} <= set(required):
            raise UsageError(f"--exclude {text!r}: there are no such two required steps", hint=_EXCLUSION_FORM)
        bit = found.setdefault(name, len(found))
        exclusions.append(Exclusion(bit, required.index(first - 1) + 1, required.index(last - 1) + 1))
    return language.parse(tuple(found)) if found else (), tuple(exclusions)


def _attribution(said: str, required: tuple[int, ...], steps: int) -> None:
    match = _AT_STEP.fullmatch(said)
    if match is None:
        _known("attribution", said, ("first", "last", "all", "step:N")[: 3 if said == "step:N" else 4])
    elif int(match[1]) - 1 not in required:
        raise UsageError(f"--attribution {said}: there is no such required step", hint=f"the funnel has {steps} steps")


def _agree(given: Given, options: Mapping[str, Any]) -> None:
    """Refuse options that exclude each other, or of which one says nothing."""
    said = {name for name, value in given.options.items() if value not in (None, False)}
    strict, anyhow = options["order"] == "strict", options["order"] == "any"
    for wrong, message, hint in (
        (
            not strict and (given.ignore or "strict_scope" in said),
            "--ignore and --strict-scope say what breaks a strict order",
            "add --order strict",
        ),
        (options["anchor_first"] and not anyhow, "--anchor-first says where any order begins", "add --order any"),
        (
            duration(options["grace"]) and options["ties"] != "step",
            f"--grace makes one instant of several, which --ties {options['ties']} tells apart",
            "leave one of them out",
        ),
        (
            given.unit not in ("user", "session") and options["within_session"],
            "--within-session needs users, since a session belongs to one",
            "leave --unit or --within-session out",
        ),
        (given.explain is not None and given.per, "--explain tells of one user, not of periods", "leave --per out"),
        (given.explain is not None and given.unit != "user", "--explain tells of one user", "leave --unit out"),
    ):
        if wrong:
            raise UsageError(message, hint=hint)
    if given.like in SIDEWAYS:
        _sideways(given, options, said)


def _sideways(given: Given, options: Mapping[str, Any], said: set[str]) -> None:
    """Refuse what asks for chains where there are none."""
    chained = sorted(said - {"cut", "attribution", "window" if given.like == "open" else "cut"})
    chained += [name for name in ("exclude", "hold", "explain", "histogram") if getattr(given, name)]
    if any(text.strip().endswith("?") for text in given.steps):
        raise UsageError(f"--like {given.like} has no optional steps", hint="leave the ? out")
    if chained:
        option = f"--{chained[0].replace('_', '-')}"
        raise UsageError(f"--like {given.like} counts each step by itself: {option} has no place", hint="leave it out")
    if options["attribution"] != "all":
        raise UsageError(f"--like {given.like} takes events by their own values", hint="give --attribution all")


def differences(asked: Asked) -> str:
    """How the bundle differs from the usual, in words."""
    manner = MANNERS[asked.like or ""]
    changed = [
        f"{name.replace('_', ' ')} {_word(value)}"
        for name, value in manner.options.items()
        if value != USUAL[name] and asked.options[name] == value
    ]
    return ", ".join(filter(None, (*changed, manner.says))) or "no difference from the default"


def _word(value: Any) -> str:
    return "yes" if value is True else str(value)
