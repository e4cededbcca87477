"""The PII guard: personal data in properties and context, found by the name of its key or by looking like mail.

A key is personal when its last words are: `email`, `user_email`, `contactEmail` are, `email_sent` is not. `name` counts
alone or after a word for a person, so `event_name` is none. What is under a personal key, at any depth, goes; but true,
false, null and empty text tell nothing and stay, and a number stays too (`tokens = 512` is a count) unless the key
stands for digits (a phone, card, account, passport, IP address) and it has three or more. Under any other key, mail
addresses in text are found behind a prefilter on `@`, and keys that hold one are cleaned as well.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from evlog.event.reject import Problem

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

Mode = Literal["redact", "truncate", "reject", "allow"]
Family = Literal["text", "digits", "ip"]
MODES: tuple[Mode, ...] = ("redact", "truncate", "reject", "allow")
REDACTED = "[redacted]"

_REMEMBERED = 10_000
_LONG = 200
_DIGITS_FROM = 100
_SHOWN = 80
_DEEPEST = 64
_IP = (
    "ip", "ips", "ipv4", "ipv6", "ip address", "ip addresses", "ip addr", "ip addrs", "remote addr", "client addr",
    "client ip", "remote ip", "user ip", "real ip", "source ip", "x forwarded for", "forwarded for",
)  # fmt: skip
_DIGITS = (
    "phone", "phones", "phone number", "phone numbers", "user phone", "phone no", "telephone", "tel", "mobile",
    "mobile number", "cell phone", "fax", "msisdn", "ssn", "social security", "social security number", "passport",
    "passport number", "passport no", "tax id", "national id", "driver license", "drivers license", "driving licence",
    "credit card", "credit card number", "card number", "cc number", "debit card", "cvv", "cvc", "iban",
    "bank account", "account number", "routing number", "sort code", "pin code", "password", "passwords", "passwd",
    "pwd", "passphrase", "pass phrase", "passcode", "user password", "date of birth", "birth date", "birthday", "dob",
)  # fmt: skip
_TEXT = (
    "email", "emails", "mail", "mails", "user email", "user mail", "email address", "email addresses", "mail address",
    "e mail", "address", "addresses", "home address", "street", "street name", "street address", "secret", "secrets",
    "client secret", "secret key", "private key", "token", "tokens", "access token", "refresh token", "id token",
    "auth token", "api token", "session token", "jwt", "api key", "api keys", "access key", "authorization", "cookie",
    "cookies", "credential", "credentials", "surname", "last name", "first name", "full name", "middle name",
    "given name", "family name", "maiden name", "nick name", "display name", "real name", "legal name", "user name",
    "customer name", "person name", "contact name", "client name", "member name", "patient name", "student name",
    "teacher name", "author name", "sender name", "recipient name", "employee name", "parent name", "child name",
    "owner name", "holder name", "cardholder name",
)  # fmt: skip
_TAILS: dict[str, Family] = {}
_TAILS.update(dict.fromkeys(_TEXT, "text"))
_TAILS.update(dict.fromkeys(_DIGITS, "digits"))
_TAILS.update(dict.fromkeys(_IP, "ip"))
_WHOLE: dict[str, Family] = {name.replace(" ", ""): kind for name, kind in _TAILS.items()}
_WHOLE |= {"name": "text", "names": "text", "bearer": "text"}  # personal only where they are the whole key
_MOST_WORDS = 3  # of a personal name
_WORD = re.compile(r"IPv[46]|[A-Z]+(?![a-z])|[A-Z]?[^\W_A-Z]+|[^\W_]")

_LOCAL_REVERSED = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]*")  # of a mail address, read from the @ backwards
_DOMAIN = re.compile(r"@(?:[\w-]{1,63}\.){1,8}[^\W\d_][\w-]{1,62}")
_PORT = re.compile(r"(?:(\d+\.\d+\.\d+\.\d+)|\[(.*)\])(?::\d+)?\Z", re.ASCII)
_MEMBER = re.compile(r'"((?:[^"\\]|\\.){1,200})"(\s*:\s*)("(?:[^"\\]|\\.)*"?|[^\s,{}\[\]"]+)')


@lru_cache(maxsize=_REMEMBERED)
def family(key: str) -> Family | None:
    """What kind of personal data a key of this name holds; None for a harmless one."""
    words = [word.lower() for word in _WORD.findall(key[-_LONG:])]
    if (whole := _WHOLE.get("".join(words))) is not None:
        return whole
    tails = (" ".join(words[-count:]) for count in range(_MOST_WORDS, 0, -1))
    return next((_TAILS[tail] for tail in tails if tail in _TAILS), None)


def is_personal(key: str) -> bool:
    """Whether a key of this name holds personal data."""
    return family(key) is not None


class Guard:
    """Cleans JSON objects of personal data, in one of four modes.

    `redact`: the value becomes `[redacted]`, a mail address inside text alone. `truncate`: IP addresses lose their last
    octet (IPv6: all but 48 bits), the rest is redacted. `reject`: the event is refused, see `problems`. `allow`:
    nothing is touched. Keys named by `allow` are let through, whatever they hold; case and separators do not matter.
    """

    __slots__ = ("_allowed", "_safe", "mode")

    def __init__(self, mode: Mode = "redact", *, allow: Iterable[str] = ()) -> None:
        self.mode = mode
        self._allowed = frozenset(map(_squeezed, allow))
        self._safe: set[str] = set()

    def safe_keys(self, keys: Collection[str]) -> bool:
        """Whether no key here is personal by name; remembered, so that asking again costs one set operation."""
        if self._safe.issuperset(keys) or self.mode == "allow":
            return True
        safe = [key for key in keys if self._is_safe(key)]
        if len(self._safe) < _REMEMBERED:
            self._safe.update(safe)
        return len(safe) == len(keys)

    def clean(
        self, value: dict[str, Any], prefix: str = "properties", *, allow: Collection[str] = ()
    ) -> tuple[dict[str, Any], tuple[str, ...]]:
        """`value` without personal data (itself, where it has none), and the path of each field that had some.

        `allow` names keys of `value` that are let through whole, as a plan's `pii = "allow"` does. Cleaning twice is
        cleaning once, and finds nothing the second time.
        """
        if self.mode == "allow" or (self.safe_keys(value) and _is_plain(value)):
            return value, ()
        hits: dict[str, None] = {}
        cleaned = self._object(value, prefix, None, hits, allow)
        return (cleaned, tuple(hits)) if hits else (value, ())

    def problems(self, hits: Iterable[str]) -> tuple[Problem, ...]:
        """The problems of an event with personal data at `hits`: some in mode `reject`, none in the others."""
        expected = 'no personal data (rename the field, or give it pii = "allow" in the plan)'
        return tuple(Problem("pii", field, expected, "") for field in hits) if self.mode == "reject" else ()

    def redacted_line(self, raw: bytes) -> bytes:
        """A raw line without personal data, for the quarantine; JSON inside its texts is opened and cleaned as well.

        A line that is no JSON loses its mail addresses, and what follows a personal key.
        """
        import orjson

        if self.mode == "allow":
            return raw
        try:
            held = orjson.loads(raw)
        except orjson.JSONDecodeError:
            text = without_mails(raw.decode("utf-8", "replace"))
            return _MEMBER.sub(self._without_value, text).encode()
        return orjson.dumps(self._value(_opened(held, 0), "", None, {}))

    def _without_value(self, match: re.Match[str]) -> str:
        key, between, value = match.groups()
        harmless = self._is_safe(key) or value in {"null", "true", "false", '""'}
        return match[0] if harmless else f'"{key}"{between}"{REDACTED}"'

    def _is_safe(self, key: str) -> bool:
        return ("@" not in key and family(key) is None) or _squeezed(key) in self._allowed

    def _object(
        self, value: dict[str, Any], path: str, kind: Family | None, hits: dict[str, None], allow: Collection[str] = ()
    ) -> dict[str, Any]:
        """`value` cleaned; `kind`: the family of the key it stands under."""
        cleaned: dict[str, Any] = {}
        alike = 0  # names that were taken: two addresses under one name stay two keys
        for key, inner in value.items():
            if key in allow or (self._allowed and _squeezed(key) in self._allowed):
                cleaned[key] = inner
                continue
            told = without_mails(key) if "@" in key else key
            where = f"{path}.{told[:_SHOWN]}"
            if told != key:
                hits[where] = None
            bare = told
            while told in cleaned or (told != key and told in value):
                alike += 1
                told = f"{bare}_{alike}"
            cleaned[told] = self._value(inner, where, family(key) or kind, hits)
        return cleaned

    def _value(self, value: Any, path: str, kind: Family | None, hits: dict[str, None]) -> Any:
        if isinstance(value, dict):
            return self._object(value, path, kind, hits)
        if isinstance(value, list):
            return [self._value(item, path, kind, hits) for item in value]
        cleaned = self._leaf(value, kind)
        if cleaned is not value:
            hits[path] = None
        return cleaned

    def _leaf(self, value: Any, kind: Family | None) -> Any:
        """`value` itself where it may stay, else what stands in its place."""
        if isinstance(value, str):
            if kind is None:
                return without_mails(value) if "@" in value else value
            if not value or value == REDACTED:
                return value
            told = _truncated(value) if kind == "ip" and self.mode == "truncate" else REDACTED
            return value if told == value else told
        digits = kind in {"digits", "ip"} and isinstance(value, int | float) and abs(value) >= _DIGITS_FROM
        return REDACTED if digits else value


def without_mails(text: str) -> str:
    """`text` with `[redacted]` in place of each mail address; `text` itself where there is none.

    Goes from one @ to the next, so the time is linear: a pattern for the whole address would start at every letter.
    """
    kept: list[str] = []
    start = low = 0  # what is kept so far ends at start; an address may begin at low
    while (at := text.find("@", low)) >= 0:
        local = _LOCAL_REVERSED.match(text[low:at][::-1])
        length = local.end() if local else 0
        domain = _DOMAIN.match(text, at) if length else None
        if domain is None:
            low = at + 1
            continue
        kept += (text[start : at - length], REDACTED)
        start = low = domain.end()
    return "".join([*kept, text[start:]]) if kept else text


def _is_plain(value: dict[str, Any]) -> bool:
    """Whether no value needs a look: none is an object or a list, no text has an @."""
    for inner in value.values():
        if isinstance(inner, str):
            if "@" in inner:
                return False
        elif isinstance(inner, dict | list):
            return False
    return True


def _squeezed(key: str) -> str:
    return "".join(_WORD.findall(key[-_LONG:])).lower()


def _truncated(text: str) -> str:
    """A list of IP addresses without what tells one house from its neighbours; `[redacted]` where one is none."""
    networks = [_network(part.strip()) for part in text.split(",")]
    return REDACTED if None in networks else ", ".join(filter(None, networks))


def _network(text: str) -> str | None:
    """An IPv4 address without its last octet, an IPv6 one without all but 48 bits; None for anything else."""
    import ipaddress

    bare = _PORT.sub(r"\1\2", text).partition("%")[0]
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv4Address):
        return str(ipaddress.IPv4Address(int(address) >> 8 << 8))
    if address.ipv4_mapped is not None:
        return f"::ffff:{_network(str(address.ipv4_mapped))}"
    return str(ipaddress.IPv6Address(int(address) >> 80 << 80))


def _opened(value: Any, depth: int) -> Any:
    """`value` with the JSON inside its texts in place of them; what lies too deep is dropped."""
    if depth > _DEEPEST:
        return REDACTED
    if isinstance(value, str) and value[:1] in {"{", "["}:
        import orjson

        try:
            return _opened(orjson.loads(value), depth + 1)
        except orjson.JSONDecodeError:
            return value
    if isinstance(value, dict):
        return {key: _opened(inner, depth + 1) for key, inner in value.items()}
    return [_opened(inner, depth + 1) for inner in value] if isinstance(value, list) else value
