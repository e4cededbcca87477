"""The exact judgement of one event: from a JSON object to its canonical line, or every reason why not.

The order is metrics §13: consent, tombstones, required, type, schema, personal data, time. Refused consent, erased and
suppressed users never become rejects.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from evlog.event import consent, fields, placeholder, times
from evlog.event.record import IDS, TEXTS, Line
from evlog.event.reject import Problem, Rejected, shown
from evlog.event.validator import Validator
from evlog.ingest.ledger import Ledger

if TYPE_CHECKING:
    from evlog.event.consent import Said
    from evlog.event.fields import Draft
    from evlog.ingest.rules import Moment, Rules
    from evlog.ingest.tally import Tally
    from evlog.store.tombstones import Tombstones

_ID_BYTES = 256
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
PLACEHOLDERS = frozenset(case(word) for word in placeholder.WORDS for case in (str.lower, str.upper, str.capitalize))


class NoConsent(Exception):
    """The user refused (or, where it is required, did not give) consent to this, or is suppressed."""


class Erased(Exception):
    """The user was erased."""


class Untold(Rejected):
    """An event is refused before it told whose it is."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """An event that passed: its line (with an empty event_id where it has none) and what was noticed on the way."""

    line: Line
    instant: times.Instant
    conflicts: int
    redacted: tuple[str, ...]


class Judge:
    """Rules and moment, ready to be asked about events. The moment may move on; what is compiled stays."""

    def __init__(self, rules: Rules, moment: Moment) -> None:
        self.rules = rules
        self.moment = moment
        self.validator = Validator(rules.plan)
        self._allowed = {name: rule.pii_allowed for name, rule in rules.plan.events.items()}
        self._anonymous = re.compile(rules.plan.anonymous_ids).fullmatch if rules.plan.anonymous_ids else None
        self._purposes = frozenset(map(consent.purpose, rules.plan.known_purposes)) | {consent.EVERYTHING}
        self._required = "required" in (rules.consent, rules.plan.consent)
        used = (rules.plan.purpose_of(name) for name in (None, *rules.plan.events))
        self._used = frozenset(map(consent.purpose, used))
        self.open_ledger()

    def open_ledger(self) -> None:
        """Begin a block: what is known of consent is what the moment says."""
        self.ledger = Ledger(self.moment.tombstones, self.moment.heard, self._used)

    def erased(self, user: str | None) -> bool:
        """Whether a user was erased; remembered, as one user has many events."""
        return _erased(self.moment.tombstones, user)

    def event(self, value: Any, above: Said = ()) -> Accepted:
        """The accepted event; Rejected, NoConsent or Erased where it is none.

        `above` is what the envelope around it says of consent.
        """
        if not isinstance(value, dict):
            if consent.verdict(above, self.rules.plan.purpose_of(None)) is False:
                raise NoConsent
            raise Untold(Problem("not_object", "", "a JSON object", shown(value)))
        said = (*above, *consent.statements(value))
        draft = self._draft(value, said)
        self._consent(draft, said)
        self._tombstones(draft)
        problems: list[Problem] = []
        found = _ids(draft, problems) | _texts(draft, problems)
        self._user(found, problems)
        event_type = _event_type(draft, problems)
        if event_type is not None:
            problems += self.validator.check(event_type, {**found, "context": draft.context or None}, draft.properties)
            found["category"] = found.get("category") or self.rules.plan.category_of(event_type)
        if found.get("event_id") is None and self.rules.plan.id == "required":
            problems.append(Problem("missing_field", "event_id", "an id", ""))
        redacted = self._guard(draft, event_type, problems)
        instant = self._time(draft, problems)
        if problems or instant is None or event_type is None:
            raise Rejected(*problems, day=instant.text[:10] if instant is not None else None)
        if instant.cut is not None:
            draft.context["ts_original"] = instant.cut
        line = Line(
            event_type,
            found.pop("event_id") or "",
            instant.text,
            **found,
            properties=draft.properties or None,
            context=draft.context or None,
        )
        return Accepted(line, instant, draft.conflicts, redacted)

    def _draft(self, value: dict[str, Any], said: Said) -> Draft:
        try:
            return fields.resolve(value, self.rules.mapping)
        except Rejected as refused:
            self._half_read(value, said)
            raise Untold(*refused.problems, day=self._day(value)) from refused

    def _half_read(self, value: dict[str, Any], said: Said) -> None:
        """Hear what an event says of consent that could not be read as a whole."""
        bare = {key: inner for key, inner in value.items() if key not in (*fields.PROPERTIES, *fields.CONTEXT)}
        try:
            self._consent(fields.resolve(bare), said)
        except Rejected:
            if consent.verdict(said, self.rules.plan.purpose_of(None)) is False:
                raise NoConsent from None

    def _consent(self, draft: Draft, said: Said) -> None:
        """Return if what is said of consent, here and before, lets the event in."""
        event_type = draft.values.get("event_type")
        purpose = self.rules.plan.purpose_of(event_type)
        if event_type == consent.UPDATE:
            said = (*said, *consent.answers(draft.properties))
            self._hear(draft, said)
        given = consent.verdict(said, purpose)
        if given is False or (given is None and self._required):
            raise NoConsent

    def _hear(self, draft: Draft, said: Said) -> None:
        """Take note of what a user says of consent in an event that is about nothing else."""
        words: dict[str, bool] = {}
        for about, granted in said:
            if about in self._purposes:
                words[about] = granted and words.get(about, True)
        user, anonymous = self._who(draft)
        at = self._said_at(draft)
        if at is None:  # a refusal holds all the same, from now on
            at = times.canonical(self.moment.received.replace(tzinfo=UTC))
            words = {about: granted for about, granted in words.items() if not granted}
        if words and not (self.erased(user) or self.erased(anonymous)):
            self.ledger.hear(user, anonymous, words, at)

    def _said_at(self, draft: Draft) -> str | None:
        """When something was said; None where the event does not tell, or tells of a time that cannot be."""
        try:
            text = times.read(draft.values.get("ts"), self.rules.assume).text
        except Rejected:
            return None
        return text if times.OLDEST <= text <= self.moment.latest else None

    def _who(self, draft: Draft) -> tuple[str | None, str | None]:
        """The user and the anonymous id of an event; an id that means nobody is none."""
        user, anonymous = (_told(draft.values.get(name)) for name in ("user_id", "anonymous_id"))
        if user in PLACEHOLDERS:
            return None, anonymous
        if user is not None and self._anonymous is not None and self._anonymous(user):
            return None, anonymous or user
        return user, anonymous

    def _day(self, value: dict[str, Any]) -> str | None:
        """The day of an event that could not be read as a whole."""
        found = next((value[key] for key in fields.ALIASES["ts"] if value.get(key) is not None), None)
        try:
            return times.read(found, self.rules.assume).text[:10]
        except Rejected:
            return None

    def _tombstones(self, draft: Draft) -> None:
        if self.moment.tombstones.users:
            for name in ("user_id", "anonymous_id"):
                value = draft.values.get(name)
                if isinstance(value, str | int) and self.erased(str(value)):
                    raise Erased
        if not self.ledger.quiet:
            purpose = consent.purpose(self.rules.plan.purpose_of(draft.values.get("event_type")))
            if self.ledger.bars(*self._who(draft), purpose):
                raise NoConsent

    def _user(self, found: dict[str, str | None], problems: list[Problem]) -> None:
        user = found.get("user_id")
        if user is None:
            return
        if user in PLACEHOLDERS:
            found["user_id"] = None
            if "null" not in (self.rules.placeholder_users, self.rules.plan.placeholder_users):
                problems.append(Problem("placeholder_user", "user_id", "the id of a user, or none", shown(user)))
        elif self._anonymous is not None and self._anonymous(user):
            found |= {"user_id": None, "anonymous_id": found.get("anonymous_id") or user}

    def _guard(self, draft: Draft, event_type: str | None, problems: list[Problem]) -> tuple[str, ...]:
        allow = self._allowed.get(event_type or "", frozenset())
        guard = self.rules.guard
        draft.properties, hits = guard.clean(draft.properties, "properties", allow=allow)
        draft.context, more = guard.clean(draft.context, "context")
        problems.extend(guard.problems((*hits, *more)))
        return (*hits, *more)

    def _time(self, draft: Draft, problems: list[Problem]) -> times.Instant | None:
        value = draft.values.get("ts")
        if value is None:
            problems.append(Problem("missing_field", "ts", "the time of the event", ""))
            return None
        try:
            instant = times.read(value, self.rules.assume)
        except Rejected as refused:
            problems.extend(refused.problems)
            return None
        if (problem := self.out_of_time(instant.text)) is not None:
            problems.append(problem)
        return instant

    def out_of_time(self, ts: str) -> Problem | None:
        """Why an event of the canonical time `ts` comes at the wrong time, if it does."""
        moment = self.moment
        if ts < times.OLDEST:
            return Problem("bad_time", "ts", "a time from 2000 on", shown(ts))
        if ts > moment.latest:
            return Problem("future", "ts", "a time at most 24 hours ahead", shown(ts))
        if moment.oldest is not None and ts < moment.oldest:
            return Problem("too_old", "ts", f"a time from {moment.oldest[:19]}Z on (max_age)", shown(ts))
        if not self.rules.backfill and moment.tombstones.purged(ts[:10]):
            expected = f"a day that was not purged (before {moment.tombstones.purged_before})"
            return Problem("beyond_retention", "ts", expected, shown(ts))
        return None

    def noted(self, accepted: Accepted, tally: Tally) -> None:
        """Count what was noticed about an accepted event."""
        tally.assumed_tz += accepted.instant.assumed_zone
        tally.epoch += accepted.instant.epoch
        tally.cut += accepted.instant.cut is not None
        tally.skewed += accepted.instant.text > self.moment.skewed_from
        tally.conflicts += accepted.conflicts
        tally.redacted += bool(accepted.redacted)
        tally.redacted_fields.update(accepted.redacted)


def _told(value: Any) -> str | None:
    """An id as text; None where there is none."""
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) and value != "" else None


@lru_cache(maxsize=65_536)
def _erased(tombstones: Tombstones, user: str | None) -> bool:
    return tombstones.erased(user)


def _ids(draft: Draft, problems: list[Problem]) -> dict[str, str | None]:
    """The ids as text; empty is null (but for the event's own id, which must say something if it is there)."""
    found: dict[str, str | None] = {}
    for name in IDS:
        value = draft.values.get(name)
        text: Any = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        if text is None or (text == "" and name != "event_id"):
            found[name] = None
            continue
        problem = _bad_id(name, text)
        if problem is not None:
            problems.append(problem)
        found[name] = text if problem is None else None
    return found


def _bad_id(name: str, text: Any) -> Problem | None:
    if text.__class__ is str and 0 < len(text) <= _ID_BYTES and text.isascii() and text.isprintable():
        return None
    if not isinstance(text, str) or not text:
        return Problem("bad_id", name, "a string or an integer", shown(text))
    if len(text) > _ID_BYTES or len(text.encode("utf-8", "surrogatepass")) > _ID_BYTES:
        return Problem("bad_id", name, f"at most {_ID_BYTES} bytes", f"{len(text.encode())} bytes")
    return Problem("bad_id", name, "no control characters", shown(text)) if _CONTROL.search(text) else None


def _texts(draft: Draft, problems: list[Problem]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for name in TEXTS:
        value: Any = draft.values.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if value is not None and not isinstance(value, str):
            problems.append(Problem("bad_property", name, "a string", shown(value)))
            value = None
        found[name] = value or None
    return found


def _event_type(draft: Draft, problems: list[Problem]) -> str | None:
    value = draft.values.get("event_type")
    if value is None or value == "":
        problems.append(Problem("missing_field", "event_type", "the name of what happened", ""))
    elif not isinstance(value, str):
        problems.append(Problem("bad_property", "event_type", "a string", shown(value)))
    elif (problem := _bad_id("event_type", value)) is not None:
        problems.append(Problem("bad_property", "event_type", problem.expected, problem.got))
    else:
        return value
    return None
