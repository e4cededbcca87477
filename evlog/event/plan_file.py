"""A plan.toml as a Plan; everything that is wrong with it is told at once, each with its path."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from evlog.errors import PlanError
from evlog.event import consent
from evlog.event.plan import (
    MEASURES,
    PROPERTY_TYPES,
    REQUIRABLE,
    Component,
    EventRule,
    Funnel,
    Index,
    Pair,
    Part,
    Plan,
    Property,
)
from evlog.event.plan_table import Fault, Table, came, dotted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from evlog.event.plan import Measure, PropertyType

_LARGEST = 1 << 20  # a plan of a megabyte has thousands of event types
_DOTS = 1000  # dotted keys cost tomllib the square of their length
_SHOWN = 20
_STEPS = 32
_INT64 = 2**63 - 1
_EXACT = 2**53  # beyond it a float bound is no longer the number that was written
_LENGTH = 2**31
_DURATION = re.compile(r"\d{1,9}[smhdwy]|none", re.ASCII)
_FORBIDDEN = re.compile(r'["\\\x00-\x1f]')


def load(path: Path) -> Plan:
    """The plan in the file at `path`; PlanError when it cannot be read or says what a plan cannot say."""
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise PlanError(f"the tracking plan {path} cannot be read: {reason}") from error
    return parse(text_of(data, name=str(path)), name=str(path))


def text_of(data: bytes, *, name: str = "plan.toml") -> str:
    """The text of a plan's bytes; a byte order mark is dropped."""
    if len(data) > _LARGEST:
        raise PlanError(f"{name}: expected a plan of at most {_LARGEST} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise PlanError(f"{name}: line {line} is not UTF-8") from error


def parse(text: str, *, name: str = "plan.toml") -> Plan:
    """The plan that `text` describes; PlanError, with all that is wrong, when it describes none."""
    faults: list[Fault] = []
    plan = _plan(Table(_toml(text, name=name), (), faults))
    if faults:
        raise PlanError(_told(name, faults))
    return plan


def _toml(text: str, *, name: str) -> dict[str, Any]:
    import tomllib

    if len(text) > _LARGEST:
        raise PlanError(f"{name}: expected a plan of at most {_LARGEST} characters")
    if any(line.count(".") > _DOTS for line in text.splitlines()):
        raise PlanError(f"{name}: expected lines with at most {_DOTS} dots")
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise PlanError(f"{name}: nested too deeply") from error
    except ValueError as error:  # TOMLDecodeError, or a number of thousands of digits
        said = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(error))
        raise PlanError(f"{name}: not TOML: {said}") from error


def _told(name: str, faults: list[Fault]) -> str:
    if len(faults) == 1:
        return f"{name}: {faults[0].says}"
    lines = [f"{name} has {len(faults)} faults:", *(f"  {fault.says}" for fault in faults[:_SHOWN])]
    more = len(faults) - _SHOWN
    return "\n".join([*lines, f"  and {more} more"] if more > 0 else lines)


def _plan(table: Table) -> Plan:
    purposes = _purposes(table)
    plan = Plan(
        version=table.text("version"),
        id=table.one_of("id", ("required", "optional")) or "optional",
        consent=table.one_of("consent", ("required", "optional")) or "optional",
        placeholder_users=table.one_of("placeholder_users", ("reject", "null")) or "reject",
        anonymous_ids=table.pattern("anonymous_ids"),
        purposes=purposes,
        inactive=table.words("inactive"),
        errors=table.words("errors"),
        requests=table.words("requests"),
        events={name: _event(inner, purposes) for name, inner in table.tables("events") if _named(inner, name)},
        pairs={name: _pair(inner) for name, inner in table.tables("pairs") if _named(inner, name)},
        funnels={name: _funnel(inner) for name, inner in table.tables("funnels") if _named(inner, name)},
        parts={name: _part(inner) for name, inner in table.tables("parts", as_written=True) if _named(inner, name)},
        indices={name: _index(inner) for name, inner in table.tables("indices") if _named(inner, name)},
    )
    table.close()
    return plan


def _purposes(table: Table) -> tuple[str, ...]:
    """The purposes that a plan names; a word for consent as a whole is none, nor are two spellings of one."""
    names = table.words("purposes")
    for name in names:
        if name in consent.WORDS:
            table.fault("purposes", f"expected no word for consent as a whole, got {came(name)}")
    if len(set(map(consent.purpose, names))) < len(names):
        table.fault("purposes", "expected each purpose once, in one spelling")
    return names


def can_be_named(name: str) -> bool:
    """Whether a plan can have an event type or property of this name."""
    return bool(name.strip()) and not _FORBIDDEN.search(name)


def _named(table: Table, name: str) -> bool:
    """Whether `name` can be the name of an event type or property; noted when it cannot."""
    if can_be_named(name):
        return True
    message = "expected a name without quotes, backslashes and control characters" if name else "expected a name"
    table.faults.append(Fault(dotted(*table.path), message))
    return False


def _event(table: Table, purposes: tuple[str, ...]) -> EventRule:
    rule = EventRule(
        category=table.word("category"),
        description=table.text("description"),
        required=_required(table),
        properties={name: _property(inner) for name, inner in table.tables("properties", short="type")
                    if _named(inner, name)},
        additional=table.flag("additional", default=False),
        active=table.flag("active", default=True),
        purpose=table.one_of("purpose", purposes or consent.PURPOSES),
    )  # fmt: skip
    table.close()
    return rule


def _required(table: Table) -> tuple[str, ...]:
    names = table.words("required")
    for name in names:
        if name not in REQUIRABLE:
            hint = "; a property is required in its own table" if table.has("properties") else ""
            table.fault("required", f"expected some of {', '.join(REQUIRABLE)}, got {came(name)}{hint}")
    return names


def _property(table: Table) -> Property:
    kind: PropertyType = table.one_of("type", PROPERTY_TYPES) or "any"
    if not table.has("type"):
        table.fault("type", f"missing; one of {', '.join(PROPERTY_TYPES)}")
    whole, limit = kind == "integer", _INT64 if kind == "integer" else _EXACT
    rule = Property(
        type=kind,
        required=table.flag("required", default=False),
        min=table.number("min", limit=limit, whole=whole),
        max=table.number("max", limit=limit, whole=whole),
        one_of=_one_of(table, kind),
        pattern=table.pattern("pattern"),
        max_length=_length(table),
        description=table.text("description"),
        pii=table.one_of("pii", ("guard", "allow")) or "guard",
    )
    table.close()
    _suits(table, rule)
    return rule


def _length(table: Table) -> int | None:
    value = table.number("max_length", whole=True, limit=_LENGTH)
    if value is not None and value < 0:
        table.fault("max_length", f"expected an integer >= 0, got {came(value)}")
        return None
    return None if value is None else int(value)


def _one_of(table: Table, kind: str) -> tuple[str | int, ...]:
    fits: Callable[[object], bool] = _fits_integer if kind == "integer" else (lambda value: isinstance(value, str))
    words = "integers" if kind == "integer" else "texts"
    value = table.take(
        "one_of", lambda found: isinstance(found, list) and bool(found) and all(map(fits, found)), f"a list of {words}"
    )
    return tuple(dict.fromkeys(value or ()))


def _fits_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _INT64


_SUITS: dict[str, tuple[str, ...]] = {
    "min": ("integer", "number"), "max": ("integer", "number"), "one_of": ("string", "integer"),
    "pattern": ("string",), "max_length": ("string", "array"),
}  # fmt: skip


def _suits(table: Table, rule: Property) -> None:
    """Note the rules of a property that its type cannot have, or that contradict each other."""
    for key, types in _SUITS.items():
        if table.has(key) and rule.type not in types and table.has("type"):
            table.fault(key, f"expected only with type {' or '.join(types)}, got type {rule.type}")
    if rule.min is not None and rule.max is not None and rule.min > rule.max:
        table.fault("max", f"expected at least min, got {came(rule.max)} with min {came(rule.min)}")
    if rule.one_of and any(table.has(key) for key in ("min", "max", "pattern", "max_length")):
        table.fault("one_of", "expected alone, without min, max, pattern and max_length")


def _pair(table: Table) -> Pair:
    pair = Pair(
        start=table.word("start", needed=True) or "",
        complete=table.word("complete", needed=True) or "",
        abandon=table.word("abandon"),
        target_type=table.word("target_type"),
        abandon_after=_duration(table, "abandon_after") or "24h",
    )
    table.close()
    return pair


def _funnel(table: Table) -> Funnel:
    funnel = Funnel(
        steps=_steps(table),
        description=table.text("description"),
        window=_duration(table, "window"),
        step_window=_duration(table, "step_window"),
        order=table.one_of("order", ("ordered", "strict", "any")),
        attempt=table.one_of("attempt", ("best", "first", "all")),
        ties=table.one_of("ties", ("step", "strict", "seq")),
        within_session=table.flag("within_session", default=False),
    )
    table.close()
    return funnel


def _steps(table: Table) -> tuple[str, ...]:
    expected = f"a list of 1 to {_STEPS} steps"
    steps = table.take("steps", lambda found: isinstance(found, list) and 1 <= len(found) <= _STEPS, expected)
    if not table.has("steps"):
        table.fault("steps", f"missing; {expected}")
    for step in steps or ():
        if not (isinstance(step, str) and step.strip()):
            table.fault("steps", f"expected each step to be a text that is not empty, got {came(step)}")
    return tuple(step for step in steps or () if isinstance(step, str))


def _part(table: Table) -> Part:
    part = Part(targets=table.words("targets"), required=table.words("required"), title=table.text("title"))
    if not part.targets and not table.spoilt("targets"):
        table.fault("targets", "expected at least one target id")
    for name in part.required:
        if name not in part.targets:
            table.fault("required", f"expected some of the targets, got {came(name)}")
    table.close()
    return part


def _index(table: Table) -> Index:
    inner = list(table.tables("components", as_written=True))
    if not inner and not table.spoilt("components"):
        table.fault("components", "expected at least one component")
    index = Index(
        components={name: _component(one) for name, one in inner if _named(one, name) and _free(one, name)},
        description=table.text("description"),
    )
    table.close()
    return index


_TAKEN = ("group", "period", "score", "users")  # other columns of the report


def _component(table: Table) -> Component:
    measure: Measure = table.one_of("measure", MEASURES) or "events"
    if not table.has("measure"):
        table.fault("measure", f"missing; one of {', '.join(MEASURES)}")
    highest = table.number("max", limit=_EXACT, whole=False)
    component = Component(
        measure=measure,
        max=1.0 if highest is None else highest + 0.0,
        min=(table.number("min", limit=_EXACT, whole=False) or 0) + 0.0,
        weight=_weight(table),
        events=table.words("events"),
        property=table.word("property"),
        pair=table.word("pair"),
        description=table.text("description"),
    )
    if table.has("measure") and not table.spoilt("measure"):
        _suits_measure(table, measure)
    if component.min == component.max and not table.spoilt("max"):
        table.fault("max", f"expected another number than min, got {came(component.max)}")
    table.close()
    return component


def _free(table: Table, name: str) -> bool:
    """Whether a column can be called `name`; noted when it cannot."""
    if name in _TAKEN:
        table.faults.append(Fault(dotted(*table.path), f"expected another name than {', '.join(_TAKEN)}"))
    return name not in _TAKEN


def _weight(table: Table) -> float:
    value = table.number("weight", limit=_EXACT, whole=False)
    if value is not None and value <= 0:
        table.fault("weight", f"expected a number above 0, got {came(value)}")
    return 1.0 if value is None else value + 0.0


_NEEDS: dict[str, tuple[str, ...]] = {"property": ("sum", "avg"), "pair": ("rate",)}


def _suits_measure(table: Table, measure: Measure) -> None:
    """Note what a component lacks for its measure, and what it cannot have with it."""
    for key, measures in _NEEDS.items():
        if measure in measures and not table.has(key):
            table.fault(key, "missing")
        if measure not in measures and table.has(key):
            table.fault(key, f"expected only with measure {' or '.join(measures)}, got measure {measure}")
    if measure == "rate" and table.has("events"):
        table.fault("events", "expected no event types: the pair names them")
    if measure != "rate" and not table.has("max"):
        table.fault("max", "missing")


def _duration(table: Table, key: str) -> str | None:
    expected = "a duration such as 30m, 24h, 14d or none"
    value: str | None = table.take(
        key, lambda text: isinstance(text, str) and _DURATION.fullmatch(text) is not None, expected
    )
    return value
