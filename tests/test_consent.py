"""Consent by purpose, and consent taken back by an event: nothing later is kept, what was there stays, in any order."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from feed import NOBODY, NOW, OPEN, bytes_of, event, feed, ids, line, moment, new_store, quick, refused, written
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_ingest_lanes import said
from torture import much

from evlog.event import consent
from evlog.event.plan import EventRule, Plan, Property
from evlog.event.plan_file import parse
from evlog.event.plan_write import dumps
from evlog.event.starter import STARTER, example
from evlog.ingest import block
from evlog.ingest.block import Block
from evlog.ingest.commit import Committer
from evlog.ingest.parse import Parser
from evlog.ingest.rules import Rules
from evlog.ingest.run import Tolerance, _Handling
from evlog.store import tombstones

if TYPE_CHECKING:
    from evlog.store.layout import Store

__all__ = ["quick"]
PURPOSES = Rules(plan=Plan(purposes=("analytics", "marketing"), events={
    "view": EventRule(additional=True), "mail": EventRule(additional=True, purpose="marketing"),
    "user_consent_update": EventRule(
                properties={name: Property(type="boolean") for name in ("consent_given", "analytics", "marketing")}
            ),
}))  # fmt: skip
WORD = "user_consent_update"


def at(minute: int) -> str:
    return (datetime(2026, 3, 1) + timedelta(minutes=minute)).isoformat() + "Z"


def word(event_id: str, user: str | None = "ann", minute: int = 0, **more: Any) -> bytes:
    """A consent event; without more it takes everything back."""
    said_ = more or {"properties": {"consent_given": False}}
    return line(event_id=event_id, event_type=WORD, user_id=user, ts=at(minute), **said_)


def grant(event_id: str, user: str | None = "ann", minute: int = 0, **more: Any) -> bytes:
    return word(event_id, user, minute, properties={"consent_given": True}, **more)


def seen(event_id: str, user: str | None = "ann", minute: int = 0, **more: Any) -> bytes:
    return line(event_id=event_id, user_id=user, ts=at(minute), **more)


def suppressed(store: Store) -> dict[str, Any]:
    path = store.tombstones / tombstones.SUPPRESSED
    return json.loads(path.read_bytes()) if path.exists() else {}


def kept(store: Store) -> dict[str, bytes]:
    """What a store keeps of events, lines and consent."""
    tops = {"events", "ids", "quarantine", "parquet", "tombstones"}
    files = (path for path in sorted(store.root.rglob("*")) if path.is_file())
    return {str(p): p.read_bytes() for p in files if p.relative_to(store.root).parts[0] in tops}


# -- purposes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "analytics", "marketing"),
    [
        ({"privacy": {"analytics": True, "marketing": False}}, True, False),
        ({"consent": {"analytics": False, "marketing": True}}, False, True),
        ({"consent": {"given": True, "marketing": "denied"}}, True, False),
        ({"consent": False}, False, False),
        ({"privacy": {"consent_given": False, "marketing": True}}, False, False),
        ({"consent": {"purposes": {"marketing": "no"}}}, None, False),
        ({"consent": {"ad_storage": "denied", "analytics_storage": "granted"}}, True, False),
        ({"consent.marketing": "false", "consent.analytics": "true"}, True, False),
        ({"privacy": {"marketing": {"granted": False, "version": 0}}}, None, False),
        ({"privacy": {"ip_anonymized": False}}, None, None),
        ({"properties": {"marketing": False}}, None, None),
    ],
)
def test_a_statement_is_about_everything_or_one_purpose(told, analytics, marketing):
    found = event() | told
    assert (consent.given(found, "analytics"), consent.given(found, "marketing")) == (analytics, marketing)


@pytest.mark.parametrize("name", ["personalisation", "personalization", "Personalization_Storage"])
def test_one_purpose_has_several_spellings(name):
    assert consent.given({"consent": {name: False}}, "personalization") is False


MIXED = [
    line(event_id="v1", privacy={"analytics": True, "marketing": False}), line(event_id="v2", consent={"analytics": False}),
    line(event_id="v3"), line(event_id="m1", event_type="mail", privacy={"analytics": True, "marketing": False}),
    line(event_id="m2", event_type="mail", consent={"analytics": False}), line(event_id="m3", event_type="mail"),
    line(event_id="m4", event_type="mail", consent=False), line(event_id="m5", event_type="mail", consent={"marketing": True}),
]  # fmt: skip


def test_an_event_is_stored_only_if_its_purpose_is_not_refused(tmp_path):
    store = new_store(tmp_path)
    tally = feed(store, written(tmp_path / "log", *MIXED), rules=PURPOSES).tally
    assert (ids(store), tally.no_consent, tally.rejected) == (["v1", "v3", "m2", "m3", "m5"], 3, 0)
    assert not {"v2", "m1", "m4"} & set(bytes_of(store).decode("latin-1").split('"'))


def test_where_consent_is_required_its_purpose_must_be_granted(tmp_path):
    store = new_store(tmp_path)
    rules = Rules(plan=PURPOSES.plan, consent="required")
    tally = feed(store, written(tmp_path / "log", *MIXED), rules=rules).tally
    assert (ids(store), tally.no_consent) == (["v1", "m5"], 6)


def test_without_a_plan_the_purpose_is_analytics(tmp_path):
    store = new_store(tmp_path)
    feed(store, written(tmp_path / "log", *MIXED))
    assert ids(store) == ["v1", "v3", "m1", "m3", "m5"]


def test_an_envelope_refuses_one_purpose_for_all_in_it(tmp_path):
    store = new_store(tmp_path)
    inner = [event(event_id="v"), event(event_id="m", event_type="mail"), 7]
    inner.append(event(event_id="m2", event_type="mail", consent={"marketing": True}))  # a refusal anywhere wins
    raw = json.dumps({"consent": {"marketing": False}, "events": inner}).encode()
    tally = feed(store, written(tmp_path / "log", raw), rules=PURPOSES).tally
    assert (ids(store), tally.no_consent, tally.rejected) == (["v"], 2, 1)


def test_a_plan_knows_purposes():
    plan = parse('purposes = ["research", "marketing"]\n[events.a]\n[events.b]\npurpose = "marketing"')
    assert (plan.purpose_of("a"), plan.purpose_of("b"), plan.purpose_of("other")) == (
        "research",
        "marketing",
        "research",
    )
    assert parse(dumps(plan)) == plan
    assert plan.fingerprint != parse('purposes = ["research"]\n[events.a]\n[events.b]').fingerprint
    assert Plan.open().purpose_of("x") == "analytics"
    assert parse(STARTER).purposes == ()
    assert parse(example()).purpose_of("exercise_start") == "analytics"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[events.a]\npurpose = "marketting"', 'expected one of analytics, personalisation, marketing, got "marketting" (did you mean marketing?)'),
        ('purposes = ["x"]\n[events.a]\npurpose = "analytics"', 'events.a.purpose: expected one of x, got "analytics"'),
        ('purposes = ["given"]', "purposes: expected no word for consent as a whole"),
        ('purposes = ["personalisation", "personalization"]', "purposes: expected each purpose once"),
        ('purpose = "x"', "purpose: there is no such key (did you mean purposes?)"),
    ],
)  # fmt: skip
def test_an_unknown_purpose_is_told_with_those_that_are_known(text, says):
    with pytest.raises(Exception, match=r"plan\.toml") as caught:
        parse(text)
    assert says in str(caught.value)


# -- taken back by an event ---------------------------------------------------------------------------------------------

REFUSALS = [
    {"privacy": {"consent_given": False}}, {"consent": "withdrawn"}, {"properties": {"consent_given": False}},
    {"properties": {"analytics": False}}, {"properties": {"consent": {"analytics": "denied"}}}, {"event_data": '{"consent_given": "no"}'},
    {"properties": {"consent_given": False}, "ts": "nonsense"}, {"consent": False, "properties": "{broken"}, {"granted": False},
    {"event_type": None, "eventName": WORD, "consentGiven": "no"}, {"properties": {"purposes": {"analytics": False}}},
]  # fmt: skip


@pytest.mark.parametrize("told", REFUSALS)
def test_nothing_after_a_refusal_is_kept_and_all_before_it_is(tmp_path, told):
    store = new_store(tmp_path)
    first = written(tmp_path / "one", seen("before", user="zelda_zelda"), seen("x", user="bob"))
    feed(store, first)
    before = kept(store)
    refusal = line(**{"event_id": "refusal", "event_type": WORD, "user_id": "zelda_zelda", **told})
    later = [
        seen("now", user="zelda_zelda", minute=1), refusal, seen("later_1", user="zelda_zelda"), seen("y", user="bob"),
        seen("later_2", user=None, anonymous_id="zelda_zelda"), line(event_id="later_3", user_id="zelda_zelda", ts="x"),
        b'{"user_id":"zelda_zelda","event_id":"later_4"', json.dumps([event(event_id="later_5", user_id="zelda_zelda")]).encode(),
    ]  # fmt: skip
    tally = feed(store, written(tmp_path / "two", *later)).tally
    assert (tally.read, tally.stored, tally.no_consent, tally.rejected) == (8, 2, 6, 0)
    third = feed(store, written(tmp_path / "three", seen("later_6", user="zelda_zelda"), seen("z", user="bob"))).tally
    assert (third.stored, third.no_consent) == (1, 1)
    assert ids(store) == ["before", "x", "now", "y", "z"]
    assert before.items() <= kept(store).items()  # the past, byte by byte
    assert b"later_" not in bytes_of(store)
    assert b"refusal" not in bytes_of(store)


def test_a_grant_takes_it_back_and_is_stored(tmp_path):
    store = new_store(tmp_path)
    path = written(
        tmp_path / "log", seen("a", minute=1), word("w", minute=2), seen("b", minute=3), grant("g", minute=4), seen("c", minute=5)
    )  # fmt: skip
    assert feed(store, path).tally.no_consent == 2
    assert ids(store) == ["a", "g", "c"]
    assert feed(store, written(tmp_path / "more", seen("d", minute=6))).tally.stored == 1


def test_an_older_word_that_comes_again_changes_nothing(tmp_path):
    store = new_store(tmp_path)
    one = written(tmp_path / "one", seen("a", minute=1), word("w", minute=2), seen("b", minute=3))
    two = written(tmp_path / "two", grant("g", minute=4), seen("c", minute=5))
    feed(store, one)
    feed(store, two)
    before = kept(store)
    again = feed(store, one).tally
    assert (again.stored, again.duplicates, again.no_consent) == (0, 1, 2)
    assert kept(store) == before
    assert feed(store, written(tmp_path / "more", seen("d", minute=6))).tally.stored == 1
    feed(store, written(tmp_path / "late", word("late", minute=1), seen("e", minute=7)))
    assert feed(store, written(tmp_path / "after", seen("f", minute=8))).tally.stored == 1


def test_a_grant_that_is_older_than_the_refusal_lifts_nothing(tmp_path):
    store = new_store(tmp_path)
    feed(store, written(tmp_path / "one", word("w", minute=9)))
    assert feed(store, written(tmp_path / "two", grant("g", minute=1), seen("a", minute=10))).tally.no_consent == 2
    assert ids(store) == []


def test_of_two_refusals_the_later_is_the_one_to_outdo(tmp_path):
    store = new_store(tmp_path)
    feed(store, written(tmp_path / "one", word("w", minute=9), word("w2", minute=1)))
    feed(store, written(tmp_path / "two", grant("g", minute=5), seen("a", minute=10)))
    assert ids(store) == []
    feed(store, written(tmp_path / "three", grant("g2", minute=9), seen("b", minute=10)))
    assert ids(store) == ["g2", "b"]


def test_a_purpose_alone_can_be_taken_back(tmp_path):
    store = new_store(tmp_path)
    rows = [
        word("w", minute=1, properties={"marketing": False}), seen("v1", minute=2), seen("m1", minute=2, event_type="mail"),
        word("all", minute=3), seen("v2", minute=4), word("some", minute=5, properties={"analytics": True}),
        seen("v3", minute=6), seen("m2", minute=6, event_type="mail"), grant("g", minute=7), seen("m3", minute=8, event_type="mail"),
    ]  # fmt: skip
    feed(store, written(tmp_path / "log", *rows), rules=PURPOSES)
    assert ids(store) == ["w", "v1", "some", "v3", "g", "m3"]
    assert feed(store, written(tmp_path / "log2", seen("m4", minute=9, event_type="mail")), rules=PURPOSES).tally.stored


def test_it_needs_no_leave_of_the_plan(tmp_path):
    store, closed = new_store(tmp_path), Rules(plan=Plan(events={"view": EventRule()}))
    tally = feed(store, written(tmp_path / "log", word("w"), seen("a"), seen("b", user="bob")), rules=closed).tally
    assert (ids(store), tally.no_consent, tally.rejected) == (["b"], 2, 0)


@pytest.mark.parametrize("nobody", ["undefined", "anonymous", "", None])
def test_nobody_is_not_suppressed(tmp_path, nobody):
    store = new_store(tmp_path)
    rules = Rules(plan=Plan.open(), placeholder_users="null")
    feed(store, written(tmp_path / "log", word("w", user=nobody), seen("a", user=nobody), seen("b")), rules=rules)
    assert ids(store) == ["a", "b"]
    assert suppressed(store) == {}


def test_a_device_that_others_use_is_only_silent_where_nobody_is_signed_in(tmp_path):
    store = new_store(tmp_path)
    rows = [
        seen("a", anonymous_id="tablet"), word("w"), seen("b", user=None, anonymous_id="tablet"),
        seen("c", user="bob", anonymous_id="tablet"), seen("d", user=None, anonymous_id="phone"),
        word("w2", user="eve", anonymous_id="desk", consent=False), seen("e", user=None, anonymous_id="desk"), seen("f", user="bob", anonymous_id="desk"),
    ]  # fmt: skip
    path = written(tmp_path / "log", *rows)
    feed(store, path)
    assert ids(store) == ["a", "c", "d", "f"]
    before = kept(store)
    feed(store, path)
    assert kept(store) == before


def test_an_escaped_spelling_of_the_event_is_heard_in_its_place(tmp_path):
    store = new_store(tmp_path)
    spelt = word("w").replace(b"user_consent_update", b"user\\u005fconsent_\\u0075pdate")
    plain = [seen("a"), spelt, seen("b"), seen("c", user="bob")]
    feed(store, written(tmp_path / "log", *plain))
    assert ids(store) == ["a", "c"]


def test_a_field_that_is_mapped_is_heard(tmp_path):
    store = new_store(tmp_path)
    rules = Rules(plan=Plan.open(), mapping=(("event_type", ("what", "kind")), ("user_id", ("who",))))
    raw = {"ts": at(1), "who": "ann", "what": {"kind": WORD}, "consent": False}
    rows = [json.dumps(raw).encode(), json.dumps(raw | {"what": {"kind": "view"}, "consent": True}).encode()]
    assert feed(store, written(tmp_path / "log", *rows), rules=rules).tally.no_consent == 2


@pytest.mark.parametrize("form", ["whole", "dry"])
def test_what_is_published_at_the_end_or_never_hears_it_too(tmp_path, monkeypatch, form):
    monkeypatch.setattr(block, "BLOCK", 1)
    store = new_store(tmp_path)
    parts = [written(tmp_path / "1", seen("a"), word("w")), written(tmp_path / "2", seen("b"), seen("c", user="bob"))]
    more: dict[str, Any] = {"whole": {"tolerance": Tolerance(count=5)}, "dry": {"dry_run": True}}[form]
    tally = feed(store, *parts, **more).tally
    assert (tally.stored, tally.no_consent, tally.batches) == (2, 2, 2)
    assert bool(suppressed(store)) == (form == "whole")
    assert ids(store) == (["a", "c"] if form == "whole" else [])


# -- any history --------------------------------------------------------------------------------------------------------

KINDS = st.sampled_from(["seen", "seen", "seen", "word", "grant", "bad", "torn", "many", "some"])
STEPS = st.lists(st.tuples(KINDS, st.sampled_from(["ann", "bob", "eve_eve_eve"]), st.integers(0, 5)), max_size=14)


def lines_of(steps: list[tuple[str, str, int]], *, rising: bool = False) -> list[bytes]:
    """The lines of a history; `rising`: each is later than the one before."""
    found = []
    for number, (kind, user, some) in enumerate(steps):
        name, minute = f"#{number}#", number if rising else some
        members = [event(event_id=f"{name}{n}", user_id=who, ts=at(minute)) for n, who in enumerate((user, "bob"))]
        found.append({
            "seen": lambda n=name, u=user, m=minute: seen(n, u, m),
            "word": lambda n=name, u=user, m=minute: word(n, u, m),
            "grant": lambda n=name, u=user, m=minute: grant(n, u, m),
            "some": lambda n=name, u=user, m=minute: word(n, u, m, properties={"marketing": False}),
            "bad": lambda n=name, u=user: line(event_id=n, user_id=u, ts="never"),
            "torn": lambda n=name, u=user: seen(n, u)[:-1],
            "many": lambda held=members: json.dumps(held).encode(),
        }[kind]())  # fmt: skip
    return found


def judged(steps: list[tuple[str, str, int]]) -> tuple[list[str], Counter[str]]:
    """The ids that are stored, and what is counted, by the simplest reading: one line after the other, one block."""
    refused_at: dict[str, int | None] = {}
    granted: dict[str, int] = {}
    stored: list[str] = []
    counts: Counter[str] = Counter()

    def may(user: str, name: str, code: str = "stored") -> None:
        counts["no_consent" if refused_at.get(user) is not None else code] += 1
        if refused_at.get(user) is None and code == "stored":
            stored.append(name)

    for number, (kind, user, minute) in enumerate(steps):
        name = f"#{number}#"
        if kind == "word":
            refused_at[user] = max(minute, granted.get(user, 0), refused_at.get(user) or 0)
            counts["no_consent"] += 1
        elif kind == "grant":
            granted[user] = max(minute, granted.get(user, 0))
            if (refused_at.get(user) or 0) <= minute:
                refused_at[user] = None
            may(user, name)
        elif kind == "many":
            may(user, f"{name}0")
            may("bob", f"{name}1")
        else:
            may(user, name, {"bad": "rejected", "torn": "rejected"}.get(kind, "stored"))
    return stored, counts


@settings(max_examples=much(180, 20), deadline=None, suppress_health_check=list(HealthCheck))
@given(STEPS)
def test_any_history_is_judged_line_by_line(tmp_path_factory, steps):
    where = tmp_path_factory.mktemp("any")
    store = new_store(where)
    tally = feed(store, written(where / "log", *lines_of(steps))).tally
    stored, counts = judged(steps)
    assert ids(store) == stored
    assert Counter(stored=tally.stored, no_consent=tally.no_consent, rejected=tally.rejected) == counts
    found = bytes_of(store)
    gone = {f"#{n}#" for n in range(len(steps))} - {name[: name.rindex("#") + 1] for name in stored}
    waiting = b"".join(kept_.raw for kept_ in refused(store))
    assert not [name for name in gone if name.encode() in found.replace(waiting, b"") and name.encode() not in waiting]


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(STEPS)
def test_the_fast_lane_says_what_the_judge_says(steps):
    known = tombstones.words.Suppressed({NOBODY.subject("bob"): {"": tombstones.words.Word(at(3), refused=True)}})
    gone = tombstones.Tombstones(NOBODY.key, frozenset(), None, (), suppressed=known)
    for rules in (OPEN, PURPOSES):
        fast, exact = (Parser(rules, moment(rules, gone)) for _ in range(2))
        exact._lane = None
        data = b"\n".join(lines_of(steps)) + b"\n"
        one, other = fast.parse(Block.of(data)), exact.parse(Block.of(data))
        assert said(one) == said(other)
        assert (one.heard, one.refusals) == (other.heard, other.refusals)


@settings(max_examples=much(36, 4), deadline=None, suppress_health_check=list(HealthCheck))
@given(STEPS, st.sampled_from([150, 500]))
def test_two_workers_make_the_store_that_one_makes_and_again_changes_nothing(tmp_path_factory, steps, size):
    where = tmp_path_factory.mktemp("workers")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(block, "BLOCK", 1)
        patch.setattr(block, "_READ", size)
        path = written(where / "log", *lines_of(steps, rising=True))
        stores, tallies = [], []
        for workers in (1, 2):
            store = new_store(where / str(workers))
            (store.tombstones / "key").write_bytes(bytes(32))
            tallies.append(feed(store, path, workers=workers).tally)
            stores.append(store)
        one, two = ({name.partition("/store/")[2]: raw for name, raw in kept(store).items()} for store in stores)
        assert one == two
        assert (tallies[0].stored, tallies[0].no_consent) == (tallies[1].stored, tallies[1].no_consent)
        assert suppressed(stores[0]) == suppressed(stores[1])
        for store, workers in zip(stores, (1, 2), strict=True):
            before = kept(store)
            assert feed(store, path, workers=workers).tally.stored == 0
            assert kept(store) == before
    assert ids(stores[0]) == judged([(kind, user, number) for number, (kind, user, _) in enumerate(steps)])[0]


@pytest.mark.parametrize("workers", [1, 2])
def test_an_old_word_holds_in_the_blocks_that_follow_it(tmp_path, monkeypatch, workers):
    """Again, the same run leaves out what it left out, though the user has agreed since."""
    monkeypatch.setattr(block, "BLOCK", 1)
    store = new_store(tmp_path)
    rows = (word("w", minute=1), seen("a", minute=2), seen("b", minute=2), grant("g", minute=3), seen("c", minute=4))
    paths = [written(tmp_path / str(number), row) for number, row in enumerate(rows)]
    for _ in range(2):
        tally = feed(store, *paths, workers=workers).tally
        assert (ids(store), tally.no_consent) == (["g", "c"], 3)


@pytest.mark.long
def test_workers_do_not_wait_for_each_other_for_ever(tmp_path):
    """What one tells the other may be more than a pipe holds: many events without an id, many words of consent."""
    path = tmp_path / "log"
    rows = [line(event_id=None, user_id=f"u{n}") for n in range(12_000)]
    path.write_bytes(b"\n".join(rows + [word(f"w{n}", user=f"u{n}") for n in range(2_000)]) + b"\n")
    words = ("ingest", str(path), "--data", str(tmp_path / "s"), "--workers", "2", "--format", "json")
    done = subprocess.run([sys.executable, "-m", "evlog", *words], capture_output=True, timeout=100, check=False)
    told = json.loads(done.stdout)
    assert (done.returncode, told["stored"], told["no_consent"]) == (0, 12_000, 2_000)


def test_the_words_of_a_run_are_one_entry_of_the_audit_log_a_commit(tmp_path):
    from evlog.store import audit

    store = new_store(tmp_path)
    path = written(tmp_path / "log", word("w"), word("w2", user="bob"), seen("a", user="eve"))
    feed(store, path)
    feed(store, path)
    entries = audit.read(store)
    assert [(one["what"], len(one["subjects"]), one["details"]) for one in entries] == [
        (WORD, 2, {"refused": 2, "granted": 0})
    ]
    assert NOW.isoformat() in entries[0]["at"]


def test_whose_devices_fall_silent_is_asked_of_a_batch_as_it_is_after_the_one_before_it(tmp_path):
    """Two batches are parsed; only the grant in the first makes the refusal in the second a new one."""
    store = new_store(tmp_path)
    feed(store, written(tmp_path / "log", word("w", minute=1)))
    nobodys = seen("d", user=None, minute=5, anonymous_id="tablet")
    blocks = (grant("g", minute=2),), (seen("p", minute=2, anonymous_id="tablet"), word("w2", minute=3), nobodys)
    work = _Handling(store, OPEN, lambda: NOW, Committer(store), lambda *_: tombstones.words.Suppressed())
    batches = [work.prepare(Block.of(b"\n".join(rows) + b"\n")) for rows in blocks]
    for batch in batches:
        work.finish(batch)
    assert ids(store) == ["g", "p"]
