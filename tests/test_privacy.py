"""The PII guard: what it finds, what it leaves alone, and that nothing it cleaned is found again."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evlog.event.privacy import REDACTED, Guard, family, is_personal, without_mails

PERSONAL = [
    "name",
    "first_name",
    "lastName",
    "FullName",
    "surname",
    "email",
    "E-Mail",
    "userEmail",
    "user_email",
    "useremail",
    "contact.email",
    "emailAddress",
    "emails",
    "phone",
    "phoneNumber",
    "PHONE",
    "user-phone",
    "tel",
    "mobile",
    "ip",
    "IP",
    "ip_address",
    "ipAddress",
    "IPAddress",
    "clientIP",
    "client_ip",
    "clientip",
    "$ip",
    "userIPv4",
    "remote_addr",
    "REMOTE_ADDR",
    "x_forwarded_for",
    "X-Forwarded-For",
    "address",
    "street",
    "home_address",
    "ssn",
    "passport",
    "passportNumber",
    "password",
    "PASSWD",
    "userPassword",
    "secret",
    "client_secret",
    "token",
    "accessToken",
    "access_token",
    "accesstoken",
    "refresh_token",
    "api_key",
    "apiKey",
    "APIKey",
    "x-api-key",
    "Authorization",
    "cookie",
    "cookies",
    "creditCardNumber",
    "credit_card",
    "card_number",
    "cvv",
    "iban",
    "birthdate",
    "date_of_birth",
    "username",
    "user_name",
    "customer_name",
]
HARMLESS = [
    "event_name",
    "page_name",
    "filename",
    "file_name",
    "tool_name",
    "feature_name",
    "name_count",
    "tokens_used",
    "token_count",
    "email_sent",
    "emailSent",
    "is_email_verified",
    "ip_anonymized",
    "ip_country",
    "hotel",
    "hostel",
    "description",
    "ship",
    "tip",
    "zip",
    "membership",
    "recipe",
    "phonetic",
    "mailbox_size",
    "passwordHash",
    "streetlight",
    "duration_ms",
    "status",
    "message",
    "target_id",
    "secretary",
    "addressed_at",
    "cell",
    "pin",
    "locale",
    "platform",
]


@pytest.mark.parametrize("key", PERSONAL)
def test_a_personal_key_is_known_however_it_is_spelt(key: str):
    assert is_personal(key)
    assert Guard().clean({key: "something"}) == ({key: REDACTED}, (f"properties.{key}",))


@pytest.mark.parametrize("key", HARMLESS)
def test_a_harmless_key_stays(key: str):
    assert family(key) is None
    assert Guard().clean({key: "something"}) == ({key: "something"}, ())


def test_what_tells_nothing_stays():
    held = {
        "tokens": 512,
        "token": 3,
        "name": None,
        "email": "",
        "phone": True,
        "mobile": 1,
        "address": {"lat": 1.5},
        "ips": [],
    }
    assert Guard().clean(held) == (held, ())


def test_digits_go_under_a_key_for_digits():
    cleaned, hits = Guard().clean({"phone": 491711234567, "cvv": 123, "ip": 3232235777, "name": 123456})
    assert cleaned == {"phone": REDACTED, "cvv": REDACTED, "ip": REDACTED, "name": 123456}
    assert hits == ("properties.phone", "properties.cvv", "properties.ip")


def test_depth_and_lists_make_no_difference_and_the_input_stays():
    held = {
        "a": {"b": [{"email": "x"}, {"email": "y", "n": 1}]},
        "contacts": ["call q@w.de now"],
        "name": {"first": ["Bob", 5]},
    }
    before = json.dumps(held)
    cleaned, hits = Guard().clean(held, "context")
    assert cleaned == {
        "a": {"b": [{"email": REDACTED}, {"email": REDACTED, "n": 1}]},
        "contacts": [f"call {REDACTED} now"],
        "name": {"first": [REDACTED, 5]},
    }
    assert hits == ("context.a.b.email", "context.contacts", "context.name.first")
    assert json.dumps(held) == before


def test_keys_that_are_addresses_are_cleaned_and_none_is_lost():
    cleaned, hits = Guard().clean({"bob@x.com": 1, "al@x.com": 2, REDACTED: 3, "@id": 4})
    assert sorted(cleaned.values()) == [1, 2, 3, 4]
    assert not any("x.com" in text for text in (*cleaned, *hits))
    assert cleaned[REDACTED] == 3
    assert cleaned["@id"] == 4


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("bob@example.com", "[redacted]"),
        ("mailto:bob.o'neil+x@mail.example.co.uk?subject=x", "mailto:[redacted]?subject=x"),
        ("müller@bücher.de, x_y@z.io", "[redacted], [redacted]"),
        ("<a@b.co><c@d.co>", "<[redacted]><[redacted]>"),
        ("a@b.com@c.com", "[redacted]@c.com"),
        ("at @bob, x@localhost, pkg@1.2.3, a@b, @b.com, 5@ 6.de", None),
        ("end bob@example.com.", "end [redacted]."),
    ],
)
def test_mail_addresses_go_and_their_surroundings_stay(text: str, left: str | None):
    assert without_mails(text) == (text if left is None else left)
    assert Guard().clean({"note": text})[0] == {"note": text if left is None else left}


@pytest.mark.parametrize(
    ("came", "left"),
    [
        ("203.0.113.77", "203.0.113.0"),
        ("203.0.113.77:8080", "203.0.113.0"),
        ("10.1.2.3, 2001:db8:1:2::5", "10.1.2.0, 2001:db8:1::"),
        ("[2001:db8::1]:80", "2001:db8::"),
        ("fe80::1%eth0", "fe80::"),
        ("::ffff:1.2.3.4", "::ffff:1.2.3.0"),
        ("not one", REDACTED),
        ("1.2.3.4, bob", REDACTED),
    ],
)
def test_truncate_keeps_the_network(came: str, left: str):
    guard = Guard("truncate")
    assert guard.clean({"ip": came}) == ({"ip": left}, ("properties.ip",))
    assert guard.clean({"ip": left}) == ({"ip": left}, ())
    assert Guard("redact").clean({"ip": came})[0] == {"ip": REDACTED}


def test_truncate_redacts_what_is_no_address():
    assert Guard("truncate").clean({"name": "Bob", "ip": 3232235777})[0] == {"name": REDACTED, "ip": REDACTED}


def test_reject_tells_the_field_and_never_the_value():
    guard = Guard("reject")
    _, hits = guard.clean({"user": {"email": "bob@x.com"}})
    (problem,) = guard.problems(hits)
    assert (problem.code, problem.field) == ("pii", "properties.user.email")
    assert "bob" not in problem.says
    assert Guard("redact").problems(hits) == ()


def test_allow_touches_nothing_and_what_is_allowed_is_let_through():
    held = {"name": "bob@x.com", "first_name": "Bob", "a": {"Name": "Al"}}
    assert Guard("allow").clean(held) == (held, ())
    assert Guard(allow=["NAME"]).clean(held)[0] == {**held, "first_name": REDACTED}
    assert Guard().clean(held, allow={"name"})[0] == {
        "name": "bob@x.com",
        "first_name": REDACTED,
        "a": {"Name": REDACTED},
    }
    assert Guard(allow=["first-name", "name"]).clean(held) == (held, ())


def test_safe_keys_say_what_the_names_say_and_remember_only_so_much():
    guard = Guard()
    assert guard.safe_keys({"a": 1, "b": 2})
    assert guard.safe_keys(["a"])
    assert not guard.safe_keys({"a": 1, "email": 2})
    assert not guard.safe_keys(["a@b"])
    assert guard.safe_keys([])
    assert Guard("allow").safe_keys(["email"])
    assert Guard(allow=["email"]).safe_keys(["E-Mail"])
    for number in range(30_000):
        assert guard.safe_keys([f"key_{number}"])
    assert len(guard._safe) <= 10_000


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        ('{"user_id":"u1","properties":{"email":"x","n":1}}', '{"user_id":"u1","properties":{"email":"[redacted]","n":1}}'),
        (r'{"event_data":"{\"name\": \"Bob\", \"n\": 3}"}', '{"event_data":{"name":"[redacted]","n":3}}'),
        ('{"email":"a@b.co","x":1,"phone": 12345, "ok":{"name" : "Bob \\" x", oops', '{"email":"[redacted]","x":1,"phone": "[redacted]", "ok":{"name" : "[redacted]", oops'),
        ('{"note":"bob@x.com", "token": "abc', '{"note":"[redacted]", "token": "[redacted]"'),
        ("\ufffd bob@x.com", "\ufffd [redacted]"),
    ],
)  # fmt: skip
def test_a_line_for_the_quarantine_loses_what_is_personal(raw: str, kept: str):
    assert Guard("reject").redacted_line(raw.encode()) == kept.encode()
    assert Guard("allow").redacted_line(raw.encode()) == raw.encode()


def test_nesting_in_a_line_is_cut_and_never_a_crash():
    deep = "[" * 500 + "]" * 500
    assert Guard().redacted_line(json.dumps({"a": deep, "b": json.dumps({"c": deep})}).encode())
    assert Guard().redacted_line(b"[" * 5000)


SECRET = st.sampled_from(["Bob", "bob@example.com", "203.0.113.7", "0171 234567"])
KEY = st.sampled_from(["a", "b", "page_name", "email", "user_name", "ip", "phone", "token", "x@y.com", REDACTED])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**6) | st.floats(allow_nan=False) | SECRET | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEY, inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.long
@settings(max_examples=500)
@given(st.dictionaries(KEY, JSON, max_size=5), st.sampled_from(["redact", "truncate", "reject"]))
def test_cleaning_twice_is_cleaning_once(held: dict, mode: str):
    guard = Guard(mode)  # type: ignore[arg-type]
    before = json.dumps(held)
    cleaned, hits = guard.clean(held)
    assert json.dumps(held) == before
    assert guard.clean(cleaned) == (cleaned, ())
    assert (hits == ()) == (cleaned == held)
    assert not re.search(r"\w@\w+\.com", json.dumps(cleaned))
    assert shape(cleaned) == shape(held)
    plain = all(not isinstance(value, dict | list) and "@" not in str(value) for value in held.values())
    if plain and guard.safe_keys(held):
        assert hits == ()


def shape(value: object) -> object:
    """How a value is built, names and leaves apart."""
    if isinstance(value, dict):
        return sorted(repr(shape(inner)) for inner in value.values())
    return [shape(inner) for inner in value] if isinstance(value, list) else None


MAIL = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]+@(?:[\w-]{1,63}\.){1,8}[^\W\d_][\w-]{1,62}")


@settings(max_examples=1000)
@given(st.text(alphabet="ab1.@-+ <[]ä_", max_size=40))
def test_mails_are_found_as_the_naive_pattern_finds_them(text: str):
    assert without_mails(text) == MAIL.sub(REDACTED, text)


@given(st.text(max_size=60) | st.text(alphabet='{}[]":,\\ abn@.co', max_size=60))
def test_any_text_can_be_cleaned(text: str):
    guard = Guard()
    assert isinstance(guard.redacted_line(text.encode()), bytes)
    family(text)
