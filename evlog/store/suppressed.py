"""Of whom nothing more is stored: what users said last of consent, and which other ids are theirs, as keyed hashes.

A word is a refusal or a grant, of everything or of one purpose, and the instant it is from. The later word holds, so
that an old one that comes again changes nothing. Words stay when they are taken back, for the same reason.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FILE = "suppressed.json"
EVERYTHING = ""
"""In place of a purpose: all of them."""


@dataclass(frozen=True, slots=True)
class Word:
    """What was said last: at which instant (canonical text), and whether it was a refusal."""

    at: str
    refused: bool


@dataclass(frozen=True)
class Suppressed:
    """The words that hold, by subject and purpose, and the subjects that an id goes by in place of its own.

    `kin` are ids that mean one person. `shared` are ids that others use too: they go by the person only where an event
    has no user.
    """

    words: Mapping[str, Mapping[str, Word]] = field(default_factory=dict)
    kin: Mapping[str, frozenset[str]] = field(default_factory=dict)
    shared: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.words)

    @cached_property
    def subjects(self) -> frozenset[str]:
        """Every id of which something is known here."""
        return frozenset(self.words.keys() | self.kin.keys() | self.shared.keys())

    def last(self, subject: str, purpose: str) -> Word | None:
        """The last word about a purpose, be it about that one or about everything."""
        said = self.words.get(subject, {})
        found = [said[about] for about in {purpose, EVERYTHING} if about in said]
        return max(found, key=lambda word: (word.at, word.refused), default=None)

    def refuses(self, subject: str, purpose: str = EVERYTHING) -> bool:
        """Whether the last word of a subject is that nothing is to be stored for a purpose."""
        word = self.last(subject, purpose)
        return word is not None and word.refused

    def roots(self, subject: str) -> frozenset[str]:
        """The subjects whose words hold for an id: its own, or the persons it means."""
        return self.kin.get(subject) or frozenset({subject})

    def group(self, subject: str) -> frozenset[str]:
        """Every subject that means the same person as this one."""
        roots = self.roots(subject)
        return roots | {subject} | {one for one, found in self.kin.items() if found & roots}

    def theirs(self, user: str | None, anonymous: str | None) -> frozenset[str]:
        """The subjects that an event with these ids (as subjects) goes by."""
        found = frozenset(one for id_ in (user, anonymous) if id_ for one in (id_, *self.kin.get(id_, ())))
        return found if user or anonymous is None else found | self.shared.get(anonymous, frozenset())

    def merged(self, other: Suppressed) -> Suppressed:
        """Both together; where both have a word from one instant, that of `other` holds."""
        words = {**self.words}
        for subject, said in other.words.items():
            mine = words.get(subject, {})
            newer = {about: word for about, word in said.items() if about not in mine or word.at >= mine[about].at}
            words[subject] = {**mine, **newer}
        return Suppressed(words, _joined(self.kin, other.kin), _joined(self.shared, other.shared))

    def content(self) -> dict[str, Any]:
        """The body of the file."""
        words = {
            subject: {about: [word.at, word.refused] for about, word in sorted(said.items())}
            for subject, said in sorted(self.words.items())
        }
        return {"words": words, "kin": _listed(self.kin), "shared": _listed(self.shared)}


def of(body: Mapping[str, Any]) -> Suppressed:
    """What the body of the file says; an error of its kind where it is none."""
    words = {
        str(subject): {str(about): Word(str(at), bool(refused)) for about, (at, refused) in said.items()}
        for subject, said in body.get("words", {}).items()
    }
    return Suppressed(words, _sets(body.get("kin", {})), _sets(body.get("shared", {})))


def grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, frozenset[str]]:
    """The pairs (an id, a subject it goes by), gathered by id."""
    found: dict[str, frozenset[str]] = {}
    for one, subject in pairs:
        found[one] = found.get(one, frozenset()) | {subject}
    return found


def _joined(one: Mapping[str, frozenset[str]], other: Mapping[str, frozenset[str]]) -> Mapping[str, frozenset[str]]:
    return {**one, **{key: one.get(key, frozenset()) | found for key, found in other.items()}} if other else one


def _listed(held: Mapping[str, frozenset[str]]) -> dict[str, list[str]]:
    return {subject: sorted(found) for subject, found in sorted(held.items())}


def _sets(held: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    return {str(subject): frozenset(map(str, found)) for subject, found in held.items()}
