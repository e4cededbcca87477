"""Who is who, and who refuses consent, in the dictionary that plays evlog: plain loops over plain ids.

Whom an id means is asked of the oracle that judges reports (tests/oracle/identity.py). A word of consent is an instant
and a yes or no, of everything; the later word holds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from oracle import identity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

EVER = datetime(9999, 1, 1)
TICK = timedelta(microseconds=1)


class Word(NamedTuple):
    """What was said last: when (canonical text), and whether it was a refusal."""

    at: str
    refused: bool


@dataclass(frozen=True)
class Words:
    """What is known of consent, by id: words; whose word counts in place of its own; whose, where there is no user."""

    words: Mapping[str, Word] = field(default_factory=dict)
    kin: Mapping[str, frozenset[str]] = field(default_factory=dict)
    shared: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def known(self, one: str | None) -> bool:
        return one in self.words or one in self.kin or one in self.shared

    def group(self, one: str) -> frozenset[str]:
        """Every id that goes by the words that this one goes by."""
        roots = self.kin.get(one) or frozenset({one})
        return roots | {one} | {other for other, theirs in self.kin.items() if theirs & roots}

    def theirs(self, user: str | None, anonymous: str | None) -> frozenset[str]:
        """The ids whose words count for an event."""
        found = frozenset(x for one in (user, anonymous) if one for x in (one, *self.kin.get(one, ())))
        return found if user or anonymous is None else found | self.shared.get(anonymous, frozenset())

    def merged(self, other: Words) -> Words:
        newer = {
            one: word for one, word in other.words.items() if one not in self.words or word.at >= self.words[one].at
        }
        return Words({**self.words, **newer}, _joined(self.kin, other.kin), _joined(self.shared, other.shared))


def _joined(one: Mapping[str, frozenset[str]], other: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    return {key: one.get(key, frozenset()) | other.get(key, frozenset()) for key in {**one, **other}}


class Ledger:
    """Consent along the lines of a batch: what the store knows, what the run has heard, and what each line adds."""

    def __init__(self, stored: Words, said: Words, now: Mapping[str, bool]) -> None:
        self.stored = stored
        self.said = Words(dict(said.words), dict(said.kin), dict(said.shared))
        self.now = dict(now)
        self.granted: dict[str, str] = {}
        self.refusals: dict[str, None] = {}

    def bars(self, user: str | None, anonymous: str | None) -> bool:
        """Whether nothing of an event with these ids is stored."""
        if not (self._known(user) or self._known(anonymous)):
            return False
        both = self.stored.theirs(user, anonymous) | self.said.theirs(user, anonymous)
        return any(self._refuses(one) for one in both)

    def silences(self, one: str) -> bool:
        """Whether a line that cannot be read is not kept since it names this id."""
        both = self.stored.theirs(None, one) | self.said.theirs(None, one)
        return self._known(one) and any(self._refuses(other) for other in both)

    def hear(self, user: str | None, device: str | None, *, given: bool, at: str) -> None:
        """A refusal is the person's, a grant frees each id of theirs, and the device it came from."""
        mine = user or device
        for one in sorted(self._meant(mine, given=given)) if mine else ():
            self._hear(one, mine or "", given=given, at=at)
        if user and device and given:
            self._hear(device, "", given=True, at=at)
        if user and device and not given:
            shared = dict(self.said.shared)
            shared[device] = shared.get(device, frozenset()) | {user}
            self.said = Words(self.said.words, self.said.kin, shared)

    def _known(self, one: str | None) -> bool:
        return one is not None and (self.stored.known(one) or self.said.known(one))

    def _meant(self, one: str, *, given: bool) -> frozenset[str]:
        if given and self._known(one):
            return self.stored.group(one) | self.said.group(one)
        return self.stored.kin.get(one, frozenset()) | self.said.kin.get(one, frozenset()) or frozenset({one})

    def _last(self, one: str) -> Word | None:
        said, stored = self.said.words.get(one), self.stored.words.get(one)
        return stored if said is None or (stored is not None and said.at < stored.at) else said

    def _refuses(self, one: str) -> bool:
        word = self._last(one)
        return self.now.get(one, False) or (word is not None and word.refused)

    def _hear(self, one: str, named: str, *, given: bool, at: str) -> None:
        newest = max(at, self.granted.get(one, ""))
        if given:
            self.granted[one] = newest
            if not self._known(one):
                return
        self.now[one] = not given
        word, before = Word(at if given else newest, not given), self._last(one)
        if (given and before is None) or (before is not None and word.at < before.at):
            return
        if not given and not (before is not None and before.refused):
            self.refusals[named] = None
        self.said = Words({**self.said.words, one: word}, self.said.kin, self.said.shared)


class Closure(NamedTuple):
    """Who goes with an id: the person, their ids, the ids they share with others, and when something was said of these."""

    named: str
    person: str
    ids: tuple[str, ...]
    shared: tuple[str, ...] = ()
    until: datetime | None = None
    devices: tuple[str, ...] = ()


Line = tuple[str, "str | None", datetime, int]


class Kinship:
    """Whom ids mean, of these events (as the oracle takes them) and these lines of links."""

    def __init__(self, events: list[dict[str, object]], lines: Iterable[Line]) -> None:
        self.lines = list(lines)
        self.users, self.nobodys, _ = identity.resolve(events, EVER, self.lines)
        self.signed = {str(e["user_id"]) for e in events if e["user_id"] is not None}
        both = [(e["anonymous_id"], e["user_id"], e["ts"]) for e in events if e["user_id"] and e["anonymous_id"]]
        self.said = [(str(one), str(to), at) for one, to, at in both]

    def of(self, user: str | None, anonymous: str | None) -> str | None:
        """The person whose an event with these ids is; None if it is nobody's."""
        if user is not None:
            return self.users.get(user, user)
        return self.nobodys.get(anonymous) if anonymous is not None else None

    def person(self, one: str) -> str:
        """Whom an id means: as a user where it ever was one, else as a device."""
        if one in self.users:
            return self.users[one]
        if one in {*self.users.values(), *self.nobodys.values()} or one in self.signed:
            return one
        return self.nobodys.get(one, one)

    def means(self, one: str, person: str) -> bool:
        """Whether all events of an id are this person's, with and without a user."""
        user = self.users.get(one)
        return self.nobodys.get(one) == person and (user == person if user else one not in self.signed)

    def told(self, one: str) -> str | None:
        """Whom people linked an id to last; None if to nobody."""
        return max(((at, seq, to) for source, to, at, seq in self.lines if source == one), default=(0, 0, None))[2]

    def chain(self, one: str) -> list[str]:
        """The ids from one to the last that it was given up for by hand."""
        found = [one]
        while (onward := self._onward(found[-1])) and onward not in found:
            found.append(onward)
        return found

    def _onward(self, one: str) -> str | None:
        back = max((at for source, to, at, _ in self.lines if source == one and to is None), default=None)
        told = [(at, seq, to) for source, to, at, seq in self.lines if source == one and to is not None]
        return max((x for x in told if back is None or x[0] > back), default=(0, 0, None))[2]

    def closure(self, named: str) -> Closure:
        """Everybody's ids that go when `named` is erased, and those that only lose their link."""
        person = self.person(named)
        members = {one for held in (self.users, self.nobodys) for one, meant in held.items() if meant == person}
        rest = sorted(members - {named, person})
        strangers = {one for one in rest if one in self.signed and self.users.get(one, one) != person}
        claimed = {one for one, to, _ in self.said if self.users.get(to, to) != person}
        shared = tuple(one for one in rest if one in strangers | claimed)
        lined = [(one, at) for one, to, at, _ in self.lines if to is not None]
        until = [at for one, at in (*((one, at) for one, _, at in self.said), *lined) if one in shared]
        ids = tuple(dict.fromkeys((named, person, *(one for one in rest if one not in shared))))
        devices = tuple(one for one in shared if one not in strangers)
        return Closure(named, person, ids, shared, max(until, default=None), devices)


def kin(found: Iterable[Closure]) -> Words:
    """Whose words count for which other ids."""
    alone: dict[str, frozenset[str]] = {}
    shared: dict[str, frozenset[str]] = {}
    for whole in found:
        for one in whole.ids:
            if one != whole.person:
                alone[one] = alone.get(one, frozenset()) | {whole.person}
        for one in whole.shared:
            shared[one] = shared.get(one, frozenset()) | {whole.person}
    return Words({}, alone, shared)
