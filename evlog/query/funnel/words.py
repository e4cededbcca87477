"""What a funnel says beside its numbers: its rule, its definition, its notes (metrics §7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evlog.kernel.rules import FOREVER
from evlog.query.funnel.asked import differences
from evlog.query.funnel.manner import MANNERS, USUAL

if TYPE_CHECKING:
    from evlog.query.ask import Question
    from evlog.query.funnel.asked import Asked, Given
    from evlog.query.funnel.read import Read

_ORDERS = {
    "ordered": "whose distinct events fill the steps in order, one event one step",
    "strict": "whose distinct events fill the steps in order, one event one step, with nothing of theirs in between",
    "any": "who did at least so many of the steps, in any order, one event one step",
}
_APART = {
    "flags": "who did the step, each step by itself and in any order; rates may exceed 1",
    "open": "who did the step, whatever came before; step_conversion: of those at the step before, who went on",
}


def rule(asked: Asked) -> str:
    """Who is counted, in words."""
    counted = {"user": "users", "session": "sessions"}.get(asked.unit, f"values of {asked.unit}")
    if asked.rules.attempt == "all":
        counted = f"attempts, one after the other, of {counted}"
    said = _APART[asked.like] if asked.like in _APART else _ORDERS[asked.rules.order]
    if asked.rules.share:
        said = said.replace("whose distinct events", "whose events").replace("one event one step", "shared by steps")
    if asked.rules.anchored:
        said = said.replace("in any order", "step 1 first and the others in any order")
    return f"{counted} {said}"


def definition(question: Question, asked: Asked) -> dict[str, Any]:
    """What the numbers mean; what is as usual is said only of the order, the attempt, the ties and the window."""
    options = asked.options
    if asked.sideways:
        chains: dict[str, Any] = {}
    else:
        chains = {"order": options["order"], "attempt": options["attempt"], "ties": options["ties"]}
    window = options["window"]
    return {
        **chains,
        "funnel_window": window if asked.rules.window >= FOREVER else f"{window} from step 1",
        **({"step_window": f"{options['step_window']} from step to step"} if asked.rules.step_window < FOREVER else {}),
        "later_steps": "in the range" if options["cut"] else "up to as-of",
        **_grouped(question, asked),
        **_told_apart(asked),
        **_unusual(asked),
        **_manner(asked),
    }


def _grouped(question: Question, asked: Asked) -> dict[str, str]:
    if question.scope.by is None:
        return {}
    said = asked.options["attribution"]
    if said == "all":
        said = "all: each value a funnel of its own over the events that carry it; the summary counts distinct users"
    return {"attribution": said}


def _told_apart(asked: Asked) -> dict[str, str]:
    """What a chain keeps to."""
    found: dict[str, str] = {}
    if asked.hold:
        found["held"] = f"{', '.join(_key(path) for path in asked.hold)} the same along the chain; without it ignored"
    if asked.sessions:
        found["sessions"] = f"by session_id, else a gap over {_seconds(asked)} ends one"
    if asked.unit != "user":
        found["unit"] = asked.unit
    return found


def _unusual(asked: Asked) -> dict[str, str]:
    """The options that are not as usual, in words."""
    options, found = asked.options, dict[str, str]()
    if asked.excluded:
        end = "ends the chain" if options["exclusion"] == "drop" else "removes the user"
        texts = [
            f"{asked.excluded[one.bit].text} between {asked.required[one.first - 1] + 1} and "
            f"{asked.required[one.last - 1] + 1}"
            for one in asked.rules.exclusions
        ]
        found["excluded"] = f"{', '.join(texts)}: {end}"
    if asked.optional:
        found["optional"] = "a step with ? is no gate: its users did it before the next step"
    if options["order"] == "strict":
        scope = "any event" if options["strict_scope"] == "all" else "an event of another step"
        found["broken_by"] = f"{scope} in between{_but(asked)}"
    for name, text in (
        ("grace", f"events within {options['grace']} of the first are one instant"),
        ("start", f"{options['start']} start of an attempt"),
        ("complete_only", "entrants whose window is still open are left out"),
    ):
        if options[name] != USUAL[name]:
            found[name] = text
    return found


def _but(asked: Asked) -> str:
    return f" but {', '.join(asked.ignore)}" if asked.ignore else ""


def _manner(asked: Asked) -> dict[str, str]:
    if asked.like is None:
        return {}
    return {"like": f"in the manner of {MANNERS[asked.like].of}: {differences(asked)}"}


def params(asked: Asked, given: Given) -> dict[str, Any]:
    """The options as resolved."""
    shown = {name: value for name, value in asked.options.items() if name != "window"}
    return {
        "steps": [step.text for step in asked.steps],
        "window": asked.options["window"],
        **shown,
        "exclude": list(given.exclude),
        "hold": list(given.hold),
        "ignore": list(asked.ignore),
        "unit": asked.unit,
        "per": asked.per,
        "like": asked.like,
        "histogram": asked.histogram,
    }


def notes(asked: Asked, read: Read) -> list[str]:
    """A note where no event fits a step or an exclusion: a misspelt event looks like one that nobody takes."""
    missing = [f"{place + 1} ({step.text})" for place, step in enumerate(asked.steps) if not read.fitted >> place & 1]
    unmet = [step.text for bit, step in enumerate(asked.excluded) if not read.excluded >> bit & 1]
    return [
        *([f"no event fits step {', '.join(missing)}"] if missing else []),
        *([f"no event fits --exclude {', '.join(unmet)}"] if unmet else []),
    ]


def open_means(count: int, asked: Asked) -> str:
    """What the mark on a row that may still grow says."""
    who = "1 entrant" if count == 1 else f"{count:,} entrants"
    if asked.per is not None:
        return "still running, or its window is"
    if asked.reach >= FOREVER:
        return f"{who} may still come further"
    return f"window{'s' * (count != 1)} of {who} still open"


def _key(path: tuple[str, ...]) -> str:
    return ".".join(path)


def _seconds(asked: Asked) -> str:
    minutes, seconds = divmod(int(asked.timeout.total_seconds()), 60)
    return f"{minutes}m" if not seconds else f"{minutes * 60 + seconds}s"
