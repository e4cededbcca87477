"""What in a plan will be regretted: names that drift apart, personal data, references to nothing, gaps.

Levels: an *error* can never work, a *warning* will hurt, a *note* would help. One finding each, ordered by place.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from evlog.event.naming import snake, style, words
from evlog.event.plan_table import dotted
from evlog.event.privacy import family

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from evlog.event.plan import Component, Plan

Level = Literal["error", "warning", "note"]

_RANK = {"error": 0, "warning": 1, "note": 2}
_SHORT = 5  # one letter apart means nothing in shorter names
_ACTIONS = {
    "abandon", "accept", "add", "begin", "book", "cancel", "change", "choose", "click", "close", "complete", "create",
    "delete", "download", "edit", "end", "enter", "fail", "finish", "follow", "join", "leave", "like", "load", "log",
    "login", "logout", "open", "pause", "play", "post", "publish", "purchase", "read", "register", "reject", "remove",
    "rename", "resume", "save", "scroll", "search", "select", "send", "share", "show", "sign", "skip", "start", "stop",
    "submit", "tap", "toggle", "update", "upload", "use", "view", "visit", "watch", "write",
}  # fmt: skip
_ENDINGS = ("ted", "ed", "d", "s", "ing")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to mend: how bad, where in the plan, and what."""

    level: Level
    where: str
    message: str


def lint(plan: Plan) -> tuple[Finding, ...]:
    """Every finding about `plan`, errors first."""
    findings = {*_names(plan), *_alike(plan), *_properties(plan), *_references(plan), *_parts(plan), *_gaps(plan)}
    return tuple(sorted(findings, key=lambda found: (_RANK[found.level], found.where, found.message)))


def _names(plan: Plan) -> Iterator[Finding]:
    """Names against the convention: snake_case or SCREAMING_SNAKE throughout, the object first, then the action."""
    styles = Counter(style(name) for name in plan.events)
    house = "SCREAMING_SNAKE" if styles["SCREAMING_SNAKE"] > styles["snake_case"] else "snake_case"
    for name in plan.events:
        where = dotted("events", name)
        wanted = snake(name).upper() if house == "SCREAMING_SNAKE" else snake(name)
        if style(name) != house and wanted:
            yield Finding("warning", where, f"not in {house} as the others are: {wanted}")
        said = words(name)
        if len(said) > 1 and _stem(said[0]) in _ACTIONS and _stem(said[-1]) not in _ACTIONS:
            yield Finding("note", where, f"name the object first, then the action: {_turned(name, house)}")


def _turned(name: str, house: str) -> str:
    first, *rest = words(name)
    turned = "_".join((*rest, first))
    return turned.upper() if house == "SCREAMING_SNAKE" else turned


def _stem(word: str) -> str:
    """The action inside a word: `completed`, `completes` and `completing` are `complete`."""
    if word in _ACTIONS:
        return word
    for ending in _ENDINGS:
        bare = word.removesuffix(ending)
        for candidate in (bare, bare + "e"):
            if bare != word and candidate in _ACTIONS:
                return candidate
    return word


def _alike(plan: Plan) -> Iterator[Finding]:
    """Names that are perhaps one: spelt differently, in another tense, one slip of a key apart."""
    for one, other, why in _twins(plan.events):
        yield Finding("warning", dotted("events", other), f"perhaps the same as {one}: {why}")
    for name, rule in plan.events.items():
        for one, other, why in _twins(rule.properties):
            yield Finding("warning", dotted("events", name, "properties", other), f"perhaps the same as {one}: {why}")


def _twins(names: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    ordered = sorted(names)
    told: set[tuple[str, str]] = set()
    for why, keys in (("spelt differently", _spelling), ("another form of the word", _tense), ("one letter", _slips)):
        groups: dict[object, list[str]] = defaultdict(list)
        for name in ordered:
            for key in keys(name):
                groups[key].append(name)
        for group in groups.values():
            pairs = ((one, other) for at, one in enumerate(group) for other in group[at + 1 :])
            fresh = [pair for pair in pairs if pair not in told and not _meant(*pair)]
            told.update(fresh)
            yield from ((one, other, why) for one, other in fresh)


def _spelling(name: str) -> Iterator[object]:
    yield "".join(words(name))


def _tense(name: str) -> Iterator[object]:
    yield tuple(map(_stem, words(name)))


def _slips(name: str) -> Iterator[object]:
    """What two names share that are one letter, or two swapped ones, apart."""
    if len(name) > _SHORT:
        yield from {name[:at] + name[at + 1 :] for at in range(len(name))} | {name}
        yield from {("swap", name[:at], *sorted(name[at : at + 2]), name[at + 2 :]) for at in range(len(name) - 1)}


def _meant(one: str, other: str) -> bool:
    """Whether two names differ on purpose: by digits (`part_1`, `part_2`) or a lone letter (`start_x`, `start_y`)."""
    if sorted(filter(str.isdigit, one)) != sorted(filter(str.isdigit, other)):
        return True
    return any(
        len(word) == len(twin) == 1 and word != twin for word, twin in zip(words(one), words(other), strict=False)
    )


def _properties(plan: Plan) -> Iterator[Finding]:
    """Properties that hold personal data, and those that are one thing here and another there."""
    types: dict[str, dict[str, str]] = defaultdict(dict)
    for name, rule in sorted(plan.events.items()):
        for key, wanted in sorted(rule.properties.items()):
            where = dotted("events", name, "properties", key)
            types[key].setdefault(wanted.type, name)
            holds = wanted.type in {"string", "object", "array", "any"} or family(key) in {"digits", "ip"}
            if family(key) and wanted.pii != "allow" and holds and wanted.type != "boolean":
                yield Finding("warning", where, 'personal data by its name: drop it, or say pii = "allow"')
            if wanted.one_of and len(wanted.one_of) == 1:
                yield Finding("note", where, "has one value only, so it says nothing")
    for key, found in types.items():
        if len(found) > 1:
            told = ", ".join(f"{kind} in {name}" for kind, name in found.items())
            yield Finding("warning", f"properties.{dotted(key)}", f"one name, several types: {told}")


def _references(plan: Plan) -> Iterator[Finding]:
    """What names event types, or pairs, that the plan does not know."""
    for key, names in (("inactive", plan.inactive), ("errors", plan.errors), ("requests", plan.requests)):
        yield from _unknown(plan, key, names)
    for key, pair in plan.pairs.items():
        where = dotted("pairs", key)
        yield from _unknown(plan, where, filter(None, (pair.start, pair.complete, pair.abandon)))
        if len({pair.start, pair.complete, pair.abandon}) < len(("start", "complete", "abandon")):
            yield Finding("error", where, "start, complete and abandon are not three different types")
    for key, funnel in plan.funnels.items():
        for step in funnel.steps:
            yield from _unknown(plan, dotted("funnels", key), types_of(step))
    for key, index in plan.indices.items():
        for name, component in index.components.items():
            yield from _component(plan, dotted("indices", key, "components", name), component)


def _component(plan: Plan, where: str, component: Component) -> Iterator[Finding]:
    """What a component of an index names that is not there."""
    yield from _unknown(plan, where, component.events)
    if component.pair is not None and component.pair not in plan.pairs:
        yield Finding("error", where, f"the plan has no pair {component.pair}")
    rules = [plan.events[name] for name in component.events or plan.events if name in plan.events]
    named = (component.property or "").removeprefix("properties.").partition(".")[0]
    if named and rules and not any(rule.additional or named in rule.properties for rule in rules):
        yield Finding("warning", where, f"none of its event types has a property {named}")


def _parts(plan: Plan) -> Iterator[Finding]:
    """Targets that stand in several parts: most often a slip."""
    holder: dict[str, str] = {}
    for name, part in plan.parts.items():
        for target in part.targets:
            if holder.setdefault(target, name) != name:
                yield Finding("warning", dotted("parts", name), f"{target} is in {holder[target]} too")


def types_of(step: str) -> tuple[str, ...]:
    """The event types that a funnel step names: `a|b[x=1]?` names a and b, `*` none."""
    head = step.partition("[")[0].strip().removesuffix("?")
    return tuple(name for part in head.split("|") if (name := part.strip()) and name != "*")


def _unknown(plan: Plan, where: str, names: Iterable[str]) -> Iterator[Finding]:
    if not plan.is_open:
        strangers = (name for name in names if name not in plan.events)
        yield from (Finding("error", where, f"the plan has no event type {name}") for name in strangers)


def _gaps(plan: Plan) -> Iterator[Finding]:
    """What a reader of the plan would miss: descriptions, categories, event types of a purpose."""
    categorised = any(rule.category for rule in plan.events.values())
    for name, rule in plan.events.items():
        if not rule.description:
            yield Finding("note", dotted("events", name), "has no description")
        if categorised and rule.category is None:
            yield Finding("note", dotted("events", name), "has no category, while others have")
    used = {plan.purpose_of(name) for name in plan.events}
    for purpose in plan.purposes if plan.events else ():
        if purpose not in used:
            yield Finding("note", "purposes", f"no event type is collected for {purpose}")
