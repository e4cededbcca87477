"""A crowd upon one store: what each member sends, what the members say, and what any snapshot may show of it.

A batch (one call of ingest) has events of several days and users, some of whom are erased, some of which are purged
while it all goes on; one user becomes anonymous, one is suppressed, and a day that was archived before comes back. Any
snapshot shows of each batch all that is neither erased nor purged by then, or nothing of it.
"""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

INGESTS = ("one", "two", "three", "four")
DOOMED = ("doomed_mary", "doomed_john", "doomed_dave")
SAFE = ("ann", "bob", "cleo")
HUSHED, MASKED = "hushed_rose", "masked_lisa"  # is suppressed; becomes anonymous: neither is stored any more then
DEVICES = tuple(f"device-{number}" for number in range(5))
ARCHIVED = "archived"  # who brought the day that is archived before the crowd comes
SHARED = 30  # events that every ingest brings, again and again
SQL = """
SELECT event_id, CAST(date AS VARCHAR) AS day, user_id, json_extract_string(properties, '$.batch') AS batch,
       json_extract_string(properties, '$.friend') AS friend
FROM   {events}
"""
Row = tuple[str, str, str | None, str | None, str | None]


@dataclass(frozen=True, slots=True)
class Scene:
    """Where a crowd meets, on which day, how long, and who of it is killed now and then."""

    root: Path
    today: date
    batches: int  # of each ingest at least
    looks: int  # of all readers at least
    kills: bool  # of ingests, erasures and purges too, not of compactions and rollups alone

    @property
    def data(self) -> Path:
        """The store."""
        return self.root / "store"

    @property
    def days(self) -> tuple[str, ...]:
        """The days of events, today the last; the first two go."""
        return tuple(str(self.today - timedelta(days=ago)) for ago in (6, 5, 3, 2, 0))

    @property
    def doomed_days(self) -> tuple[str, ...]:
        """The days that go, the first first."""
        return self.days[:2]

    @property
    def archived_day(self) -> str:
        """A day that lies in an archive, and is restored."""
        return str(self.today - timedelta(days=9))

    @property
    def over(self) -> bool:
        """Whether everybody is to go home."""
        return (self.root / "over").exists()


@dataclass(frozen=True, slots=True)
class Batch:
    """What one call of ingest brings: events of its own, events that others bring too, and lines that are none."""

    label: str
    own: dict[str, dict[str, Any]]
    common: tuple[dict[str, Any], ...]
    bad: tuple[bytes, ...]

    @property
    def content(self) -> bytes:
        """The lines."""
        lines = [json.dumps(one).encode() for one in (*self.own.values(), *self.common)]
        return b"\n".join([*lines[:3], b"", *self.bad, *lines[3:]]) + b"\n"

    @property
    def read(self) -> int:
        """How many events are offered."""
        return len(self.own) + len(self.common) + len(self.bad)


def batch(scene: Scene, member: str, number: int) -> Batch:
    """The batch of that number of an ingest: it is the same whenever it is asked for."""
    if member == ARCHIVED:
        return _archived(scene, f"{member}-{number}")
    label, place = f"{member}-{number}", INGESTS.index(member)
    own = {}
    for i in range(8):
        user = SAFE[number % 3] if i in (0, 5) else (*DOOMED, *SAFE)[(number + i + place) % 6]
        late = number % 4 == 0  # a purge begins anew when something comes into the days that go
        day = scene.days[(number + 3 * i) % 5 if late and i else 2 + (number + i) % 3]
        told = {"batch": label} | ({"friend": DOOMED[number % 3]} if i in (0, 5) else {})
        own[f"{label}-{i}"] = _event(f"{label}-{i}", day, user, told)
    day = scene.days[2 + number % SHARED % 2]
    for name, user in ((f"{label}-hushed", HUSHED), (f"{label}-masked", MASKED)):
        own[name] = _event(name, day, user, {"batch": label})
    shared = _event(f"both-{number % SHARED}", day, None, {"n": number % SHARED})
    shared["anonymous_id"] = DEVICES[number % len(DEVICES)]
    clash = _event(f"clash-{number % SHARED}", day, None, {"by": member})  # whoever comes first is right
    return Batch(label, own, (shared, shared, clash), (b'{"torn": "%b' % label.encode(), b"null"))


def _archived(scene: Scene, label: str) -> Batch:
    """Events of everybody on the day that is archived; no line of it is bad."""
    users = (*DOOMED, *SAFE)
    own = {
        f"{label}-{i}": _event(f"{label}-{i}", scene.archived_day, users[i % 6], {"batch": label}) for i in range(12)
    }
    return Batch(label, own, (), ())


def accounted(one: Batch, told: dict[str, Any]) -> None:
    """Hold a summary against what was brought."""
    parts = [told[part] for part in ("stored", "duplicates", "rejected", "no_consent", "erased")]
    assert told["read"] == one.read == sum(parts), (told, one.label)
    assert told["blank"] == 1, told
    known = {"bad_json", "not_object", "id_conflict", "beyond_retention"}
    assert set(told["reasons"]) <= known, told
    assert sum(told["reasons"].values()) == told["rejected"], told
    assert (told["reasons"].get("bad_json"), told["reasons"].get("not_object")) == (1, 1), told
    assert told["reasons"].get("id_conflict", 0) <= 1, told


def _event(name: str, day: str, user: str | None, told: dict[str, Any]) -> dict[str, Any]:
    said = {"event_id": name, "ts": f"{day}T00:00:01Z", "event_type": "seen", "properties": told}
    return said if user is None else {**said, "user_id": user}


# -- what the members say ---------------------------------------------------------------------------------------------


def say(scene: Scene, member: str, **what: Any) -> None:
    """Add a line to what a member said; it is there as soon as this returns."""
    fd = os.open(scene.root / f"{member}.said", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(fd, json.dumps(what).encode() + b"\n")
    finally:
        os.close(fd)


@dataclass(slots=True)
class Heard:
    """What the members said so far: batches stored, users erased, days gone, looks taken, faults found."""

    scene: Scene
    stored: dict[str, dict[str, Any]] = field(default_factory=dict)
    erased: dict[str, dict[str, Any]] = field(default_factory=dict)
    gone: dict[str, dict[str, Any]] = field(default_factory=dict)
    done: dict[str, dict[str, Any]] = field(default_factory=dict)  # what else: suppressed, masked, restored, links
    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    _read: Counter[Path] = field(default_factory=Counter)

    def listen(self) -> Heard:
        """The same, with what was said since."""
        for path in sorted(self.scene.root.glob("*.said")):
            with path.open("rb") as file:
                file.seek(self._read[path])
                for line in file:
                    self._read[path] += len(line)
                    self._take(json.loads(line))
        return self

    def _take(self, said: dict[str, Any]) -> None:
        for what, into in (("stored", self.stored), ("erased", self.erased), ("gone", self.gone), ("done", self.done)):
            if what in said:  # what is brought again adds what was not yet there
                before = into.get(said[what], {}).get("events", 0)
                into[said[what]] = said | ({"events": before + said["events"]} if "events" in said else {})
        if "fault" in said:
            self.faults.append(said["fault"])
        self.counts.update(said.get("counts", {}))


# -- what a snapshot may show -----------------------------------------------------------------------------------------


@dataclass(slots=True)
class Judge:
    """One reader's memory: what it saw must stay, but for whom is erased and what is purged."""

    scene: Scene
    batches: set[str] = field(default_factory=set)
    common: set[str] = field(default_factory=set)
    lost_users: set[str] = field(default_factory=set)
    lost_days: set[str] = field(default_factory=set)
    _spoken: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))  # of whom which events spoke

    def faults(self, rows: list[Row], heard: Heard | None) -> list[str]:
        """What is wrong with a snapshot; `heard` is what had been acknowledged before it was taken."""
        twice = [key for key, count in Counter((name, day) for name, day, *_ in rows).items() if count > 1]
        found = [f"{name} of {day} is there twice" for name, day in twice]
        own = {row[0]: row for row in rows if row[3] is not None}
        labels = {str(row[3]) for row in own.values()}
        common = {row[0] for row in rows if row[3] is None}
        lost_users = set(DOOMED) - {row[2] for row in own.values()} if own else self.lost_users
        lost_days = set(self.scene.doomed_days) - {row[1] for row in own.values()} if own else self.lost_days
        found += self._whole(own, labels, lost_users, lost_days) + _masked(own, labels)
        found += [f"{one} was seen and is gone" for one in sorted((self.batches - labels) | (self.common - common))]
        if len(labels) > 8:  # by then every user and every day occurs
            found += [f"{one} is back" for one in sorted((self.lost_users - lost_users) | (self.lost_days - lost_days))]
            found += self._mentions(own, lost_users)
            self.lost_users, self.lost_days = lost_users, lost_days
        if heard is not None:
            found += [f"{one} was acknowledged and is not there" for one in sorted(set(heard.stored) - labels)]
            found += [f"{one} was erased and is there" for one in sorted(set(heard.erased) - lost_users)]
            found += [f"{one} is purged and is there" for one in sorted(set(heard.gone) - lost_days)]
            found += self._promised(own, labels, heard)
        self.batches, self.common = labels, common
        return found

    def _whole(self, own: dict[str, Row], labels: set[str], users: set[str], days: set[str]) -> list[str]:
        wanted: set[str] = set()
        for label in labels:
            member, _, number = label.partition("-")
            for name, event in batch(self.scene, member, int(number)).own.items():
                if event.get("user_id") not in users and event["ts"][:10] not in days:
                    wanted.add(name)
        wanted -= {name for name in wanted - set(own) if name.endswith(("-hushed", "-masked"))}  # came too late
        less, more = wanted - set(own), set(own) - wanted
        return [f"batches in part: without {sorted(less)[:9]}, with {sorted(more)[:9]}"] if less or more else []

    @staticmethod
    def _promised(own: dict[str, Row], labels: set[str], heard: Heard) -> list[str]:
        """What else was acknowledged and does not hold."""
        users = {row[2] for row in own.values()}
        found = ["masked and still there by name"] if "masked" in heard.done and MASKED in users else []
        late = {label for label, told in heard.stored.items() if told.get("hushed")}
        found += [
            f"{one} was stored though suppressed" for one in sorted(f"{one}-hushed" for one in late) if one in own
        ]
        return found + (
            ["restored and not there"] if "restored" in heard.done and f"{ARCHIVED}-0" not in labels else []
        )

    def _mentions(self, own: dict[str, Row], lost: set[str]) -> list[str]:
        """An event that spoke of somebody before the erasure does so no more after it."""
        found = []
        for name, row in own.items():
            if row[4] in DOOMED and row[4] not in lost:
                self._spoken[row[4]].add(name)
        for user in lost:
            said = sorted(name for name in self._spoken[user] if name in own and own[name][4] == user)
            found += [f"{name} speaks of {user}" for name in said]
        return found


def _masked(own: dict[str, Row], labels: set[str]) -> list[str]:
    """Who becomes anonymous does so in all events at once, and brings no more."""
    names = {row[2] for name, row in own.items() if name.endswith("-masked")}
    found = [f"anonymous in part: {sorted(map(str, names))}"] if len(names) > 1 else []
    without = {one for one in labels if not one.startswith(ARCHIVED) and f"{one}-masked" not in own}
    return found + ([f"{MASKED} is named, and not in {sorted(without)[:9]}"] if MASKED in names and without else [])
