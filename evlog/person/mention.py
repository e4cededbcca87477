"""Where an id is spoken of: found in any string of any value, and taken out of it.

An id of eight bytes and more is a mention wherever it occurs in a text, and in a number. A shorter one counts as a
whole value or a whole word, a short number only as a whole value: `42` inside `1942` or `item 42` is nobody. Blanks,
however many, count as a whole value only. In the columns that hold no people (`event_id`, `event_type`, `category`, …)
a shorter one is there by chance: event 42 is not user 42, and what a target of the type `user` is called is. Another
id is another id: in a column of ids, `user_12` inside `user_123` is no mention of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec

from evlog.event import decode
from evlog.event.fields import ALIASES
from evlog.event.reject import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

ERASED = "[erased]"
_LONG = 8
_SAFE = re.compile(r'[^"\\/\x00-\x1f\x7f]+')  # what no JSON writer need escape
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_TOKEN = re.compile(r'[^\s"{}\[\]:,]+')
_PEOPLE = frozenset({"anonymous", "person", "user"})  # types of targets that are users
LABELS = frozenset(
    {"event_id", "session_id", "target_id", "event_type", "category", "target_type", "feature", "source"}
)
_THEIRS = frozenset((*ALIASES["user_id"], *ALIASES["anonymous_id"]))
_LINKING = frozenset({"previous_id", "previousId", "alias", "$anon_distinct_id", "from"})  # what alias events link by
_WORD = re.compile(r"[\w-]+")
_encode = msgspec.json.Encoder(order="deterministic").encode


@dataclass(frozen=True)
class Mention:
    """The ways in which one id can be spoken of, and what stands in its place afterwards."""

    user: str
    instead: str = ERASED

    @cached_property
    def long(self) -> bool:
        """Whether the id is too long to occur by chance."""
        return len(self.user.encode()) >= _LONG and not self.user.isspace()

    @cached_property
    def needle(self) -> str:
        """The longest piece of the id that stands in JSON as it is: what a raw search looks for first."""
        return max(_SAFE.findall(self.user), key=len, default="")

    @cached_property
    def alone(self) -> bool:
        """Whether only a whole word can speak of the id, so that word characters beside it say that it is another."""
        return not self.long and _WORD.fullmatch(self.user) is not None

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """What counts as a mention inside a text; as JSON inside a string spells it, too."""
        forms = {self.user, msgspec.json.encode(self.user).decode()[1:-1]}
        told = "|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True))
        if self.long:
            return re.compile(told)
        if self.user.isdigit() or self.user.isspace():
            return re.compile(rf"\A(?:{told})\Z")
        return re.compile(rf"(?<![\w-])(?:{told})(?![\w-])")

    @cached_property
    def _among_ids(self) -> re.Pattern[str]:
        return re.compile(rf"(?<![^\W_]){re.escape(self.user)}(?![^\W_])") if self.long else self.pattern

    def within(self, raw: bytes) -> bool:
        """Whether raw JSON may speak of the id; cheap, and never wrong when it says no."""
        return self.needle.encode() in raw or b"\\u" in raw

    def spoken(self, value: Any) -> bool:
        """Whether any string in `value`, keys included, speaks of the id; JSON inside a string is opened."""
        if isinstance(value, str):
            return self._in_text(value) or self.spoken(_opened(value))
        if isinstance(value, dict):
            return any(self.spoken(key) or self.spoken(inner) for key, inner in value.items())
        if isinstance(value, list | tuple):
            return any(map(self.spoken, value))
        return self._numbered(value)

    def without(self, value: Any) -> Any:
        """`value` with what stands in place of the id for every mention."""
        if isinstance(value, str):
            text = ERASED.join(self.pattern.sub(self.instead, piece) for piece in value.split(ERASED))
            inner = _opened(text)
            return _encode(self.without(inner)).decode() if self.spoken(inner) else text
        if isinstance(value, dict):
            return self._without_keys(value)
        if isinstance(value, list | tuple):
            return [self.without(inner) for inner in value]
        return self.instead if self._numbered(value) else value

    def renamed(self, value: Any) -> Any:
        """`value` with what stands in place of the id where a field of users, or of linking, is just the id."""
        if isinstance(value, list):
            return [self.renamed(inner) for inner in value]
        if not isinstance(value, dict):
            return value
        return {
            key: self.instead
            if key in _THEIRS | _LINKING and str(inner) == self.user and not isinstance(inner, bool)
            else self.renamed(inner)
            for key, inner in value.items()
        }

    def named(self, text: str) -> bool:
        """Whether the text in a column of ids speaks of this id."""
        return any(self._among_ids.search(piece) is not None for piece in text.split(ERASED))

    def unnamed(self, text: str) -> str:
        """The text of a column of ids with what stands in place of the id."""
        return ERASED.join(self._among_ids.sub(self.instead, piece) for piece in text.split(ERASED))

    def in_line(self, raw: bytes) -> bool:
        """Whether a line as it came speaks of the id, be it JSON or not; a number in a field of users counts."""
        text = raw.decode(errors="replace")
        if self._in_text(text) or self._in_text(_unescaped(text)):
            return True
        try:
            value = decode.load(raw)
        except Rejected:
            return self.user in _TOKEN.findall(text) or (self.user.isspace() and f'"{self.user}"' in text)
        return self.spoken(value) or self._theirs(value)

    def _in_text(self, text: str) -> bool:
        # what stands for the erased is nobody, whatever the id
        return any(self.pattern.search(piece) is not None for piece in text.split(ERASED))

    def _theirs(self, value: Any) -> bool:
        if isinstance(value, dict):
            here = (str(member) == self.user for key, member in value.items() if key in _THEIRS)
            return any(here) or any(map(self._theirs, value.values()))
        return isinstance(value, list) and any(map(self._theirs, value))

    def _numbered(self, value: Any) -> bool:
        """Whether a number contains the id, which then is too long to be there by chance."""
        return self.long and self.user.isdigit() and not isinstance(value, bool) and self.user in str(value)

    def _without_keys(self, value: dict[str, Any]) -> dict[str, Any]:
        told: dict[str, Any] = {}
        for key, inner in value.items():
            name = self.without(key)
            while name in told:
                name += "+"  # two keys may not become one
            told[name] = self.without(inner)
        return told


@dataclass(frozen=True, slots=True)
class Mentions:
    """The ways in which any of several ids can be spoken of: the ids of one person."""

    each: tuple[Mention, ...]

    @property
    def users(self) -> frozenset[str]:
        """The ids."""
        return frozenset(one.user for one in self.each)

    @property
    def needles(self) -> tuple[str, ...]:
        """What a raw search looks for first: one of these stands wherever an id is spoken of."""
        return tuple(one.needle for one in self.each)

    def counting(self, column: str, event: dict[str, Any]) -> Mentions:
        """Those of the ids that a column of somebody else's event can speak of: all, but where they stand by chance."""
        return Mentions(tuple(one for one in self.each if counts(one, column, event)))

    def within(self, raw: bytes) -> bool:
        """Whether raw JSON may speak of an id; cheap, and never wrong when it says no."""
        return any(one.within(raw) for one in self.each)

    def spoken(self, value: Any) -> bool:
        """Whether any string in `value`, keys included, speaks of an id."""
        return any(one.spoken(value) for one in self.each)

    def without(self, value: Any) -> Any:
        """`value` with what stands in place of the ids for every mention."""
        for one in self.each:
            value = one.without(value)
        return value

    def named(self, text: str) -> bool:
        """Whether the text in a column of ids speaks of an id."""
        return any(one.named(text) for one in self.each)

    def unnamed(self, text: str) -> str:
        """The text of a column of ids with what stands in place of each id."""
        for one in self.each:
            text = one.unnamed(text)
        return text

    def in_line(self, raw: bytes) -> bool:
        """Whether a line as it came speaks of an id."""
        return any(one.in_line(raw) for one in self.each)


def of(ids: Iterable[str], *, instead: Mapping[str, str] | None = None) -> Mentions:
    """The ways in which these ids can be spoken of; the longest first, as one may be a piece of another."""
    names = instead or {}
    order = sorted(set(ids), key=lambda one: (-len(one), one))
    return Mentions(tuple(Mention(one, names.get(one, ERASED)) for one in order))


def counts(mention: Mention, column: str, event: dict[str, Any]) -> bool:
    """Whether a column of somebody else's event can speak of the id: not where a short one stands by chance."""
    people = column == "target_id" and str(event.get("target_type")).lower() in _PEOPLE
    return mention.long or people or column not in LABELS


def spread(value: Any) -> Iterator[str]:
    """Yield every text in `value`: keys, numbers as text, and what JSON inside a text holds."""
    if isinstance(value, str):
        yield value
        inner = _opened(value)
        if inner is not None:
            yield from spread(inner)
    elif isinstance(value, dict):
        for key, member in value.items():
            yield from spread(key)
            yield from spread(member)
    elif isinstance(value, list | tuple):
        for member in value:
            yield from spread(member)
    else:
        yield str(value)


def spread_line(raw: bytes) -> str:
    """Every text that a line may hold as it came, be it JSON or not."""
    text = raw.decode(errors="replace")
    try:
        inner = spread(decode.load(raw))
    except Rejected:
        inner = iter(())
    return "\n".join((text, _unescaped(text), *inner))


def _opened(text: str) -> Any:
    """The object or array in a string, None if it holds none."""
    if text.lstrip()[:1] not in {"{", "["}:
        return None
    try:
        return decode.load(text.strip().encode("utf-8", "surrogatepass"))
    except Rejected:
        return None


def _unescaped(text: str) -> str:
    r"""The text with its JSON escapes read, in whatever state the JSON around them is (`\u00e9` → `é`)."""
    text = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text).replace('\\"', '"').replace("\\/", "/")
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\\\\", "\\")
