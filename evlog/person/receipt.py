"""The receipt of an erasure: what was done to which file, for whom, and the proof; no id stands in it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from evlog.person.retold import Share


@dataclass(frozen=True, slots=True)
class Changed:
    """One file that an erasure rewrites or removes."""

    path: str
    tier: str  # events, parquet, quarantine, links, firsts, rollups, pending
    removed: int  # events of the person (or rejects, links, first instants that speak of them)
    mentions: int  # what of others spoke of them: events, rejects, values of a rollup
    before: str | None  # SHA-256 of the file; None of one that is made of ids alone: it would tell a guess is right
    after: str | None  # … of what takes its place; None: nothing does
    renamed: int = 0  # events (or links, first instants) of the person that bear a pseudonym now
    shares: Mapping[int, Share] = field(default_factory=dict)  # of each person, by number


@dataclass(frozen=True, slots=True)
class Erased:
    """One id that was named, as a keyed hash, with the hashes of all ids that went with it, its own first."""

    subject: str
    subjects: tuple[str, ...] = ()
    unlinked: int = 0  # ids that others used too: they stay, and mean nobody now
    person: int = 0  # whose share of the files it is; two ids may be one person's


@dataclass(slots=True)
class Receipt:
    """What an erasure did, and the proof; users stand in it only as keyed hashes."""

    users: tuple[Erased, ...]
    anonymised: bool = False
    dry_run: bool = False
    files: list[Changed] = field(default_factory=list)
    days: tuple[date, ...] = ()  # partitions that are not what they were: they are rolled up again
    audit: int | None = None  # the number of the entry in the audit log
    elsewhere: tuple[str, ...] = ()  # acts that took events out of the store, where no erasure reaches
    scanned: int = 0
    bytes: int = 0
    found_in: tuple[str, ...] = ()  # files in which the scan found an id all the same

    @property
    def subject(self) -> str:
        """The keyed hash of the first id that was named."""
        return self.users[0].subject

    @property
    def subjects(self) -> tuple[str, ...]:
        """The keyed hashes of all ids that went."""
        return tuple(dict.fromkeys(subject for user in self.users for subject in (user.subject, *user.subjects)))

    @property
    def unlinked(self) -> int:
        """How many ids that others used too stay, and mean nobody now."""
        return sum({user.person: user.unlinked for user in self.users}.values())

    @property
    def found(self) -> int:
        """In how many files the scan found an id."""
        return len(self.found_in)

    @property
    def removed(self) -> dict[str, int]:
        """How many events (or rejects, links, first instants) went, by tier."""
        return self._by_tier("removed", ("events", "parquet", "quarantine"))

    @property
    def renamed(self) -> dict[str, int]:
        """How many of them bear a pseudonym now, by tier."""
        return self._by_tier("renamed", ("events", "parquet"))

    @property
    def mentions(self) -> int:
        """How much of others had a mention taken out."""
        return sum(changed.mentions for changed in self.files)

    def share(self, user: Erased, what: str) -> Counter[str]:
        """How much of a tier was one person's: `removed`, `renamed` or `mentions`."""
        found: Counter[str] = Counter()
        for changed in self.files:
            if user.person in changed.shares:
                found[changed.tier] += getattr(changed.shares[user.person], what)
        return found

    def _by_tier(self, what: str, always: tuple[str, ...]) -> dict[str, int]:
        tiers = dict.fromkeys(always, 0)
        for changed in self.files:
            tiers[changed.tier] = tiers.get(changed.tier, 0) + getattr(changed, what)
        return {tier: count for tier, count in tiers.items() if count or tier in always}
