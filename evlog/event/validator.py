"""A plan compiled into one validator: a C call says yes, and only what fails is walked again to say why.

metrics §13: all problems of an event are collected. bool is no integer, 5.0 is no integer, an integer is a number and
stays one, and an explicit null counts as absent.
"""

from __future__ import annotations

import difflib
import math
import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType, ValidationError, convert, defstruct

from evlog.event import times
from evlog.event.privacy import REDACTED, is_personal, without_mails
from evlog.event.reject import Problem, Rejected, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from evlog.event.plan import EventRule, Plan, Property

_INT64_LEAST, _INT64_MOST = -(2**63), 2**63 - 1
_WIRE = {"string", "integer", "number", "boolean"}
_LISTED = 8
_LONG = 80
_HINTS = 500


class Validator:
    """What a plan says, ready to be asked about events."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._compiled = {name: _Compiled(rule) for name, rule in plan.events.items()}
        self._spelling = _Spelling(plan.events)

    def check(self, event_type: str, event: Mapping[str, Any], properties: Mapping[str, Any]) -> tuple[Problem, ...]:
        """Every problem of an event with its canonical fields and its properties; nothing where it is fine."""
        compiled = self._compiled.get(event_type)
        if compiled is None:
            return () if self.plan.is_open else (self._unknown(event_type),)
        try:
            convert(properties, compiled.shape)
        except ValidationError:
            return compiled.explain(event, properties)
        for name in compiled.rule.required:
            if event.get(name) is None:
                return compiled.explain(event, properties)
        for name, fits in compiled.probes:
            value = properties.get(name)
            if value is not None and not fits(value):
                return compiled.explain(event, properties)
        return ()

    def property_type(self, event_type: str) -> Any:
        """The msgspec type of an event type's properties as they stand in JSON; `dict` where they are free.

        A struct with the properties in the order of canonical JSON. An absent one stays absent and a null stays null
        when it is encoded again.
        """
        compiled = self._compiled.get(event_type)
        return dict if compiled is None or compiled.rule.additional else _struct(compiled.rule, wire=True)

    def fast_types(self) -> frozenset[str]:
        """The event types whose properties a typed decode into `property_type` checks entirely.

        The promise: what the decode accepts, `check` accepts too (its required fields apart, see
        `EventRule.required`), encoding it again gives the same JSON values, and no property has the name of personal
        data (unless the plan allows it). The reverse does not hold: what the decode refuses may still be fine (a null
        under an unknown name, an integer of 2^63 and more) and goes to `check`. Left to the caller: `@` in the raw
        line, which may be a mail address, and keys that stand twice, of which a decode takes the last.
        """
        return frozenset(name for name, compiled in self._compiled.items() if compiled.is_fast)

    def explain(self, event_type: str, event: Mapping[str, Any], properties: Mapping[str, Any]) -> tuple[Problem, ...]:
        """What `check` says, found the long way: by walking the event."""
        compiled = self._compiled.get(event_type)
        if compiled is None:
            return () if self.plan.is_open else (self._unknown(event_type),)
        return compiled.explain(event, properties)

    def _unknown(self, event_type: str) -> Problem:
        expected = "an event type of the plan" + self._spelling.hint(event_type)
        return Problem("unknown_type", "event_type", expected, shown(event_type))


class _Spelling:
    """Which known name was perhaps meant; finding it is slow, so hints are remembered, and after 500 no more given."""

    def __init__(self, known: Iterable[str]) -> None:
        self._known = sorted(known)
        self._hints: dict[str, str] = {}

    def hint(self, name: str) -> str:
        """What to add where `name` is unknown: ` (did you mean exercise_start?)`, or nothing."""
        name = name[:_LONG]
        if name not in self._hints and len(self._hints) < _HINTS:
            near = difflib.get_close_matches(name, self._known, n=1, cutoff=0.75)
            self._hints[name] = f" (did you mean {near[0]}?)" if near else ""
        return self._hints.get(name, "")


class _Compiled:
    """One event type: its rule, the struct its properties convert to, and what no struct can check."""

    __slots__ = ("_spelling", "is_fast", "probes", "rule", "shape")

    def __init__(self, rule: EventRule) -> None:
        self.rule = rule
        self.shape = _struct(rule, wire=False)
        self._spelling = _Spelling(rule.properties)
        probes = ((name, _probe(wanted)) for name, wanted in rule.properties.items())
        self.probes = tuple((name, probe) for name, probe in probes if probe is not None)
        self.is_fast = not rule.additional and all(_is_fast(*item) for item in rule.properties.items())

    def explain(self, event: Mapping[str, Any], properties: Mapping[str, Any]) -> tuple[Problem, ...]:
        """Every problem of an event: absent fields first, then properties by name, then unknown ones."""
        absent = [
            Problem("missing_field", name, "a value", "") for name in self.rule.required if event.get(name) is None
        ]
        if not isinstance(properties, dict):
            return (*absent, Problem("bad_property", "properties", "an object", shown(properties)))
        judged = [_judged(name, wanted, properties.get(name)) for name, wanted in sorted(self.rule.properties.items())]
        found = [problem for problem in judged if problem is not None]
        return (*absent, *found, *(() if self.rule.additional else self._strangers(properties)))

    def _strangers(self, properties: dict[str, Any]) -> Iterator[Problem]:
        """A problem for each property that the plan does not name; a null is no property."""
        for name in sorted(properties.keys() - self.rule.properties.keys()):
            if properties[name] is not None:
                expected = "no property of this name" + self._spelling.hint(name)
                yield Problem("bad_property", f"properties.{_printable(name)}", expected, _got(name, properties[name]))


def _is_fast(name: str, rule: Property) -> bool:
    return rule.type in _WIRE and rule.pattern is None and (rule.pii == "allow" or not is_personal(name))


def _struct(rule: EventRule, *, wire: bool) -> Any:
    """The struct of an event type's properties; on the wire, integers must fit the signed 64 bits that msgspec bounds.

    Fields are numbered and renamed, since a property may be called anything.
    """
    fields: list[Any] = []
    for number, (_, wanted) in enumerate(sorted(rule.properties.items())):
        kind = _kind(wanted, wire=wire)
        fields.append((f"p{number}", kind) if wanted.required else (f"p{number}", kind | None | UnsetType, UNSET))
    return defstruct(
        "Properties", fields, kw_only=True, omit_defaults=True, gc=False, forbid_unknown_fields=not rule.additional,
        rename={f"p{number}": name for number, name in enumerate(sorted(rule.properties))},
    )  # fmt: skip


def _kind(rule: Property, *, wire: bool) -> Any:
    """The msgspec type of a property that is there and not null."""
    if rule.one_of:
        return Literal[rule.one_of]
    if rule.type in {"integer", "number"}:
        return _number(rule, wire=wire)
    size = Meta(max_length=rule.max_length) if rule.max_length is not None else Meta()
    return _KINDS[rule.type] if rule.type not in {"string", "array"} else Annotated[_KINDS[rule.type], size]


_KINDS: dict[str, Any] = {
    "string": str, "boolean": bool, "array": list, "object": dict, "instant": str | int | float,
    "any": bool | int | float | str | list | dict,  # everything but null
}  # fmt: skip


def _number(rule: Property, *, wire: bool) -> Any:
    least = None if rule.min is None else math.ceil(rule.min)
    most = None if rule.max is None else math.floor(rule.max)
    if wire:
        least, most = _INT64_LEAST if least is None else least, _INT64_MOST if most is None else most
    whole = Annotated[int, Meta(ge=least, le=most)]
    if rule.type == "integer":
        return whole
    return whole | Annotated[float, Meta(ge=rule.min, le=rule.max)]


def _probe(rule: Property) -> Callable[[Any], bool] | None:
    """A test that msgspec cannot make, for a value of the right type."""
    if rule.pattern is not None:
        full = re.compile(rule.pattern).fullmatch
        return lambda value: full(value) is not None
    return _is_instant if rule.type == "instant" else None


def _is_instant(value: Any) -> bool:
    try:
        times.read(value)
    except Rejected:
        return False
    return True


def _judged(name: str, rule: Property, value: object) -> Problem | None:
    """What is wrong with the value of one property."""
    where = f"properties.{_printable(name)}"
    if value is None:
        return Problem("missing_field", where, expectation(rule), "") if rule.required else None
    if _TESTS[rule.type](value) and _within(rule, value):
        return None
    return Problem("bad_property", where, expectation(rule), _size(rule, value) or _got(name, value))


def _size(rule: Property, value: object) -> str | None:
    """The size of a text or list that is too long, which says more than its beginning."""
    if rule.max_length is None or not isinstance(value, str | list) or len(value) <= rule.max_length:
        return None
    if not _TESTS[rule.type](value):
        return None
    return f"{len(value)} characters" if isinstance(value, str) else f"{len(value)} items"


def _got(name: str, value: object) -> str:
    """`value` for a message, which outlives the event: personal data is not repeated in it."""
    if isinstance(value, str):
        value = REDACTED if is_personal(name) else without_mails(value)
    return shown(value)


_TESTS: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "instant": _is_instant,
    "any": lambda _: True,
}


def _within(rule: Property, value: Any) -> bool:
    """Whether a value of the right type keeps the bounds of its rule."""
    if rule.one_of and value not in rule.one_of:
        return False
    if (rule.min is not None and value < rule.min) or (rule.max is not None and value > rule.max):
        return False
    if rule.max_length is not None and len(value) > rule.max_length:
        return False
    return rule.pattern is None or re.fullmatch(rule.pattern, value) is not None


def expectation(rule: Property) -> str:
    """What a property must be, in words: `an integer >= 0`."""
    if rule.one_of:
        listed = ", ".join(shown(value) for value in rule.one_of[:_LISTED])
        more = len(rule.one_of) - _LISTED
        return f"one of {listed}" + (f" and {more} more" if more > 0 else "")
    words = _WORDS[rule.type]
    if rule.min is not None and rule.max is not None:
        words += f" between {rule.min} and {rule.max}"
    elif rule.min is not None or rule.max is not None:
        words += f" >= {rule.min}" if rule.min is not None else f" <= {rule.max}"
    if rule.max_length is not None:
        words += f" of at most {rule.max_length} " + ("characters" if rule.type == "string" else "items")
    return words if rule.pattern is None else f"{words} that matches {shown(rule.pattern)}"


_WORDS = {
    "string": "a string", "integer": "an integer", "number": "a number", "boolean": "true or false",
    "object": "an object", "array": "an array", "any": "a value",
    "instant": "a time like 2026-01-31T09:30:00Z, or an epoch number between 2000 and 2100",
}  # fmt: skip


def _printable(name: str) -> str:
    text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name[:_LONG])
    return text if len(name) <= _LONG else text + "…"
