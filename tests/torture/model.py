"""The dictionary that plays evlog: what must be in a store after each command, whatever happened on the way.

It knows no segment, part, journal or lock. A command is a function from a state to the states it goes through, one for
each thing it promises to do as a whole: after a crash the store must be in one of them, or in the one before.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from kinship import Kinship, Ledger, Line, Words, kin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

UPDATE = "user_consent_update"
TEXT = "%Y-%m-%dT%H:%M:%S.%fZ"
_AHEAD = timedelta(hours=24)
Key = tuple[str, str]  # day, event id


@dataclass(frozen=True, slots=True)
class Event:
    """An event: what a reader sees of it, the content it came with, and its place in the store once that is known."""

    id: str
    ts: str
    type: str
    user: str | None = None
    anonymous: str | None = None
    note: str | None = None
    given: bool | None = None
    content: str = ""
    seq: int = -1

    @property
    def key(self) -> Key:
        return self.ts[:10], self.id

    @property
    def who(self) -> str | None:
        return self.user if self.user is not None else self.anonymous

    @property
    def properties(self) -> dict[str, Any]:
        return {key: value for key, value in (("given", self.given), ("note", self.note)) if value is not None}

    @property
    def shown(self) -> tuple[str, ...]:
        """What a reader sees, as one line that can be counted."""
        told = (self.id, self.ts, self.type, self.user, self.anonymous, json.dumps(self.properties, sort_keys=True))
        return tuple(str(one) for one in told)

    def said(self) -> dict[str, object]:
        """The event as the oracle of links takes it."""
        told = {"user_id": self.user, "anonymous_id": self.anonymous, "event_type": self.type, "seq": self.seq}
        return {**told, "ts": datetime.strptime(self.ts, TEXT), "properties": self.properties}


def content(event: Event) -> str:
    """What two deliveries of one event have in common."""
    return repr(event.shown)


@dataclass(frozen=True, slots=True)
class Offer:
    """A line on its way in: as bytes, as the event it is, and what is wrong with it (`blank`, or a code)."""

    raw: bytes
    event: Event = field(repr=False)
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Reject:
    """A line in quarantine: why, and the day of its event if that is known."""

    offer: Offer
    code: str
    day: str | None


@dataclass(frozen=True, slots=True)
class Kept:
    """The rejects of one commit: when it came, every line it ever held, and those that it holds still."""

    received: str
    ever: frozenset[bytes]
    lines: tuple[Reject, ...]


@dataclass(frozen=True)
class State:
    """All that a store must know."""

    events: dict[Key, Event] = field(default_factory=dict)
    quarantine: tuple[Kept, ...] = ()
    links: tuple[Line, ...] = ()
    words: Words = field(default_factory=Words)
    erased: frozenset[str] = frozenset()
    purged_before: str | None = None
    restored: frozenset[str] = frozenset()
    pending: dict[str, tuple[str, str]] = field(default_factory=dict)  # id → due, mode

    def kinship(self) -> Kinship:
        return Kinship([event.said() for event in self.events.values()], self.links)

    def purged(self, day: str) -> bool:
        return self.purged_before is not None and day < self.purged_before and day not in self.restored

    def days(self) -> set[str]:
        return {day for day, _ in self.events}

    def but(self, **changed: Any) -> State:
        """The state with other values of some of its fields."""
        return replace(self, **changed)

    def told(self, hashed: Callable[[str], str]) -> dict[str, Any]:
        """The state as it can be held against what lies on disk, where some ids are only hashes."""
        words = self.words
        return {
            "events": Counter(event.shown for event in self.events.values()),
            "quarantine": Counter((one.offer.raw, one.code) for kept in self.quarantine for one in kept.lines),
            "links": [(source, target, at) for source, target, at, _ in self.links],
            "words": {hashed(one): tuple(word) for one, word in words.words.items()},
            "kin": {hashed(one): {hashed(x) for x in theirs} for one, theirs in words.kin.items()},
            "shared": {hashed(one): {hashed(x) for x in theirs} for one, theirs in words.shared.items()},
            "erased": {hashed(one) for one in self.erased},
            "purged": (self.purged_before, set(self.restored)),
            "pending": dict(self.pending),
        }


# -- events in ----------------------------------------------------------------------------------------------------------


@dataclass
class Run:
    """An ingest on its way: the state it has reached, what it has heard of consent, and what it will say."""

    state: State
    now: datetime
    said: Words = field(default_factory=Words)
    heard: dict[str, bool] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)

    def batch(self, offers: Sequence[Offer]) -> State:
        """The state after a batch: it is judged once more where it says that somebody refuses, with all their ids."""
        ledger, taken, refused, counts = self.judged(offers)
        if ledger.refusals:
            kinship = self.state.kinship()
            events = [offer.event for offer in taken]
            pairs = [(e.anonymous, e.user) for e in events if e.anonymous and e.user in ledger.refusals]
            found = kin(kinship.closure(one) for one in ledger.refusals)
            found = found.merged(Words({}, {}, {str(a): frozenset({str(u)}) for a, u in pairs}))
            if found.kin or found.shared:
                self.said = self.said.merged(found)
                ledger, taken, refused, counts = self.judged(offers)
        self.said, self.heard = ledger.said, ledger.now
        self.counts += counts
        self.state, conflicts = self.stored(taken)
        self._rejected([*refused, *conflicts])
        if self.said.words:
            self.state = replace(self.state, words=self.state.words.merged(self.said))
        return self.state

    def judged(self, offers: Sequence[Offer]) -> tuple[Ledger, list[Offer], list[Reject], Counter[str]]:
        ledger = Ledger(self.state.words, self.said, self.heard)
        taken: list[Offer] = []
        refused: list[Reject] = []
        counts: Counter[str] = Counter()
        for offer in offers:
            told = self.verdict(offer, ledger)
            counts["blank" if told == "blank" else "read"] += 1
            if told in {"no_consent", "erased"}:
                counts[told] += 1
            elif told == "":
                taken.append(offer)
            elif told != "blank":
                readable = offer.fault not in {"bad_json", "bad_time"}
                refused.append(Reject(offer, told, offer.event.ts[:10] if readable else None))
        return ledger, taken, refused, counts

    def verdict(self, offer: Offer, ledger: Ledger) -> str:  # noqa: PLR0911 - an order of reasons
        """What becomes of a line: nothing ("") if it is an event that may be stored."""
        event, state = offer.event, self.state
        if offer.fault == "blank":
            return "blank"
        ids = [one for one in (event.user, event.anonymous) if one is not None]
        if offer.fault == "bad_json":
            named = [*ids, event.id]
            if state.erased.intersection(named):
                return "erased"
            return "no_consent" if any(map(ledger.silences, named)) else "bad_json"
        latest = (self.now + _AHEAD).strftime(TEXT)
        if event.type == UPDATE and event.given is not None:
            self._hear(event, ledger, fits=offer.fault != "bad_time" and event.ts <= latest)
            if not event.given:
                return "no_consent"
        if state.erased.intersection(ids):
            return "erased"
        if ledger.bars(event.user, event.anonymous):
            return "no_consent"
        if offer.fault:
            return offer.fault
        if event.ts > latest:
            return "future"
        return "beyond_retention" if state.purged(event.ts[:10]) else ""

    def _hear(self, event: Event, ledger: Ledger, *, fits: bool) -> None:
        if self.state.erased.intersection({event.user, event.anonymous}) or (event.given and not fits):
            return
        at = event.ts if fits else self.now.strftime(TEXT)
        ledger.hear(event.user, event.anonymous, given=bool(event.given), at=at)

    def stored(self, offers: Iterable[Offer]) -> tuple[State, list[Reject]]:
        """The state with the events, the first of an id being the one, and the conflicts by day."""
        events, conflicts = dict(self.state.events), []
        for offer in offers:
            event = offer.event
            held = events.setdefault(event.key, event)
            if held is event:
                self.counts["stored"] += 1
            elif held.content == event.content:
                self.counts["duplicates"] += 1
            else:
                conflicts.append(Reject(offer, "id_conflict", event.ts[:10]))
        return replace(self.state, events=events), sorted(conflicts, key=lambda one: str(one.day))

    def _rejected(self, refused: list[Reject]) -> None:
        self.counts["rejected"] += len(refused)
        self.reasons.update(one.code for one in refused)
        known = {raw for kept in self.state.quarantine for raw in kept.ever}
        fresh: dict[bytes, Reject] = {}
        for one in refused:
            if one.offer.raw not in known:
                fresh.setdefault(one.offer.raw, one)
        if fresh:
            kept = Kept(self.now.strftime("%Y-%m-%d"), frozenset(fresh), tuple(fresh.values()))
            self.state = replace(self.state, quarantine=(*self.state.quarantine, kept))


def replayed(state: State, now: datetime) -> tuple[list[State], Counter[str]]:
    """The states of a replay: one for each file of rejects. What is accepted, or known, leaves the quarantine."""
    states, counts = [], Counter[str]()
    for place, kept in enumerate(state.quarantine):
        run = Run(state, now)
        ledger, taken, refused, _ = run.judged([one.offer for one in kept.lines])
        run.said = ledger.said
        again, conflicts = run.stored(taken)
        news = {one.offer.raw: one for one in (*refused, *conflicts)}
        stay = tuple(news[one.offer.raw] for one in kept.lines if one.offer.raw in news)
        files = (*state.quarantine[:place], replace(kept, lines=stay), *state.quarantine[place + 1 :])
        words = state.words.merged(run.said) if run.said.words else state.words
        state = replace(again, quarantine=files, words=words)
        counts += run.counts + Counter(stayed=len(stay), left=len(kept.lines) - len(stay))
        states.append(state)
    return states, counts


def cleared(state: State, code: str | None) -> list[State]:
    """The states of throwing rejects away, file by file."""
    states = []
    for place, kept in enumerate(state.quarantine):
        stay = tuple(one for one in kept.lines if code is not None and one.code != code)
        files = (*state.quarantine[:place], replace(kept, lines=stay), *state.quarantine[place + 1 :])
        state = replace(state, quarantine=files)
        states.append(state)
    return states
