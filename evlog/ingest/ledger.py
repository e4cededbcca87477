"""Who may be stored, line by line: what users say of consent counts from the line on in which they say it.

A ledger is kept for one block, in order of arrival. It begins with what the store knows and what the run has heard in
the blocks before; what it has heard at its end is handed on to the next.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING

from evlog.event.consent import UPDATE
from evlog.store.suppressed import EVERYTHING, Suppressed, Word

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from evlog.store.tombstones import Tombstones

_UPDATE = UPDATE.encode()
_ESCAPED = re.compile(rb"\\u00[5-7]")  # how a letter of the type could be spelt otherwise; no writer of JSON does so


def quiet(lines: bytes) -> int | None:
    """How many bytes come before the first line that may hold a consent event; None where none may."""
    places = [place for place in (lines.find(_UPDATE), _escaped(lines)) if place >= 0]
    return lines.rfind(b"\n", 0, min(places)) + 1 if places else None


def _escaped(lines: bytes) -> int:
    found = _ESCAPED.search(lines) if b"\\" in lines else None
    return -1 if found is None else found.start()


@dataclass(frozen=True, slots=True)
class Heard:
    """What a run has heard of consent: words and kin that may have to be kept, and who refuses by order of arrival."""

    said: Suppressed = field(default_factory=Suppressed)
    now: Mapping[tuple[str, str], bool] = field(default_factory=dict)  # (subject, purpose) → refused

    def knowing(self, more: Suppressed) -> Heard:
        """The same, and which ids are whose."""
        return Heard(self.said.merged(more), self.now)


SILENCE = Heard()


class Ledger:
    """What is known of consent at one place of a block: by the store, and beside it by what was said in the run."""

    def __init__(self, tombstones: Tombstones, heard: Heard, purposes: Collection[str]) -> None:
        self._key = tombstones.key
        self._purposes = purposes  # those that events are collected for
        self._stored = tombstones.suppressed
        self._words = {subject: dict(said) for subject, said in heard.said.words.items()}
        self._shared = dict(heard.said.shared)
        self._said = Suppressed(self._words, heard.said.kin, self._shared)  # of this run; it grows
        self._now = dict(heard.now)
        self._granted: dict[str, str] = {}  # when the last grant of this block was from: what comes after it outdoes it
        self._silent: set[str] = set()  # who refused something at any place of this block
        self.refusals: dict[str, str] = {}  # subject → id, of those who refuse what they did not refuse before

    @property
    def heard(self) -> Heard:
        """What the run has heard up to here."""
        return Heard(Suppressed(self._words, self._said.kin, self._shared), self._now)

    @property
    def quiet(self) -> bool:
        """Whether nothing is known of anybody."""
        return not (self._stored.subjects or self._words or self._shared or self._said.kin)

    def watched(self, one: str | None) -> bool:
        """Whether anything is known of an id: if not, it may be stored."""
        return not self.quiet and one is not None and self._is_known(self._subject(one))

    def watches(self, ids: Iterable[str | None]) -> bool:
        """Whether anything is known of any of these ids."""
        if self.quiet:
            return False
        subjects = {_subject(self._key, one) for one in ids if one is not None}
        known = (self._stored.subjects, self._words.keys(), self._said.kin.keys(), self._shared.keys())
        return not all(held.isdisjoint(subjects) for held in known)

    def bars(self, user: str | None, anonymous: str | None, purpose: str) -> bool:
        """Whether an event with these ids, collected for `purpose`, is not to be stored."""
        if not (self.watched(user) or self.watched(anonymous)):
            return False
        subjects = [None if one is None else self._subject(one) for one in (user, anonymous)]
        return any(self._refuses(subject, purpose) for subject in self._theirs(*subjects))

    def silences(self, name: str) -> bool:
        """Whether a line that cannot be read is not kept since it names this id; so it is where in doubt."""
        if not self.watched(name):
            return False
        theirs = self._theirs(None, self._subject(name))
        return any(self._refuses(subject, about) for subject in theirs for about in self._purposes)

    def silenced(self, name: str) -> bool:
        """Whether this id is, or was at any place of the block, one of which nothing is kept."""
        return self.silences(name) or (bool(self._silent) and self._subject(name) in self._silent)

    def hear(self, user: str | None, anonymous: str | None, words: Mapping[str, bool], at: str) -> None:
        """Take note of what a user says of consent: by purpose, whether it is agreed to."""
        mine, device = (None if one is None else self._subject(one) for one in (user, anonymous))
        for about, granted in sorted(words.items()):  # what is said of everything comes first
            word = Word(at, refused=not granted)
            for subject in self._meant(mine or device, word):
                self._hear(subject, about, word, user or anonymous or "")
            if granted and mine and device:
                self._hear(device, about, word, "")
        if mine and device and not all(words.values()):
            self._shared[device] = self._shared.get(device, frozenset()) | {mine}

    def _meant(self, subject: str | None, word: Word) -> frozenset[str]:
        """The subjects that a word is about: a refusal is the person's, a grant frees every id that means them."""
        if subject is None:
            return frozenset()
        if not word.refused and self._is_known(subject):
            return self._stored.group(subject) | self._said.group(subject)
        kin = self._stored.kin.get(subject, frozenset()) | self._said.kin.get(subject, frozenset())
        return kin or frozenset({subject})

    def _hear(self, subject: str, about: str, word: Word, one: str) -> None:
        newest = max(word.at, self._granted.get(subject, ""))
        if word.refused:
            if about == EVERYTHING or about in self._purposes:
                self._silent.add(subject)
            word = Word(newest, refused=True)
        else:
            self._granted[subject] = newest
            if not self._is_known(subject):
                return
        if about == EVERYTHING:
            self._now = {key: refused for key, refused in self._now.items() if key[0] != subject}
        self._now[subject, about] = word.refused
        if not self._counts(subject, about, word):
            return
        before = self._last(subject, about)
        if word.refused and not (before is not None and before.refused):
            self.refusals[subject] = one
        self._words.setdefault(subject, {})[about] = word

    def _counts(self, subject: str, about: str, word: Word) -> bool:
        """Whether a word holds from now on: it is not older than what it outdoes, and a grant outdoes something."""
        said = self._all(subject)
        if word.refused:
            before = self._last(subject, about)
            return before is None or word.at >= before.at
        if about in said:
            return word.at >= said[about].at
        others = said.values() if about == EVERYTHING else [said[EVERYTHING]] if EVERYTHING in said else []
        return any(other.refused and word.at > other.at for other in others)

    def _all(self, subject: str) -> dict[str, Word]:
        """All that is known to be said of a subject, by purpose."""
        found = dict(self._stored.words.get(subject, {}))
        for about, word in self._words.get(subject, {}).items():
            if about not in found or word.at >= found[about].at:
                found[about] = word
        return found

    def _is_known(self, subject: str) -> bool:
        said = self._said
        return subject in self._stored.subjects or any(subject in one for one in (said.words, said.kin, said.shared))

    def _theirs(self, user: str | None, anonymous: str | None) -> frozenset[str]:
        return self._stored.theirs(user, anonymous) | self._said.theirs(user, anonymous)

    def _last(self, subject: str, about: str) -> Word | None:
        return Suppressed({subject: self._all(subject)}).last(subject, about)

    def _refuses(self, subject: str, about: str) -> bool:
        now = self._now.get((subject, about), self._now.get((subject, EVERYTHING), False))
        word = self._last(subject, about)
        return now or (word is not None and word.refused)

    def _subject(self, one: str) -> str:
        return _subject(self._key, one)


@lru_cache(maxsize=65_536)
def _subject(key: bytes, one: str) -> str:
    """As `Tombstones.subject`; remembered, since one user has many events."""
    return blake2b(one.encode("utf-8", "surrogatepass"), key=key, digest_size=16).hexdigest()
