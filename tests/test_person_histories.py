"""Random histories with random ids in every hiding place: after the erasure nothing is found, and others are as before."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import storekit as kit
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from idsearch import places
from storekit import DAY_1, DAY_2, event
from torture import much

from evlog.person import counted, erase, link, pending
from evlog.store import layout, rollups
from evlog.store.rollups import Period, Record, Section

if TYPE_CHECKING:
    from evlog.person.receipt import Receipt

USERS = st.one_of(
    st.sampled_from(
        [
            'a"b',
            "ünï-cödé-ïd",
            "用户一二三",
            "o'neill",
            "x",
            "42",
            "1234567890",
            "a\\b\\c\\d\\e",
            "user/with/slash",
            "q" * 60,
            "<b>&amp;</b>",
            "\u2028sep",
            "${x}{y}",
        ]
    ),
    st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=12).filter(lambda s: s.strip() == s),
)
PLACES = (
    "user",
    "anonymous",
    "note",
    "deep",
    "key",
    "json",
    "json json",
    "target",
    "session",
    "category",
    "refused",
    "broken",
    "escaped",
    "none",
)


def told(place: str, number: int, user: str) -> dict[str, Any] | bytes:
    """An event, or a line, that speaks of a user in the given place."""
    name, day = f"#{number}", (DAY_1, DAY_2)[number % 2]
    inner = json.dumps({"u": [user]})
    return {
        "user": lambda: event(name, day, user),
        "anonymous": lambda: event(name, day, None, anonymous_id=user),
        "note": lambda: event(name, day, note=f"by {user} today"),
        "deep": lambda: event(name, day, properties={"a": [{"b": [1, {"c": user}]}]}),
        "key": lambda: event(name, day, properties={"by": {user: 1}}),
        "json": lambda: event(name, day, properties={"text": inner}),
        "json json": lambda: event(name, day, properties={"text": json.dumps({"more": inner})}),
        "target": lambda: event(name, day, target_type="user", target_id=user),
        "session": lambda: event(name, day, session_id=user),
        "category": lambda: event(name, day, category=user),
        "refused": lambda: {**event(name, day, user), "ts": "never"},
        "broken": lambda: json.dumps(event(name, day, user), ensure_ascii=False).encode()[:-1] + b" oops",
        "escaped": lambda: json.dumps(event(name, day, user)).encode()[:-1] + b" oops",
        "none": lambda: event(name, day, "somebody else entirely"),
    }[place]()


@settings(max_examples=much(75, 8), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    USERS,
    st.lists(st.lists(st.sampled_from(PLACES), min_size=1, max_size=8), min_size=1, max_size=3),
    st.sets(st.integers(0, 2)),
    st.sets(st.sampled_from(("rollup", "link", "pending"))),
)
def test_any_history(user: str, batches: list[list[str]], compacted: set[int], beside: set[str]) -> None:
    assume(user not in ("seen", "bob", "user", "by", "today", "note", "text", "more", "u", "a", "b", "c"))
    assume(not any(user in word for word in ("somebody else entirely", "somebody", "else", "entirely", "#")))
    with tempfile.TemporaryDirectory(dir=kit.FAST) as folder:
        store = layout.create(Path(folder) / "s")
        number = 0
        for index, batch in enumerate(batches):
            found = [told(place, number := number + 1, user) for place in batch]
            kit.ingest(store, *found)
            if index in compacted:
                kit.here(store.root, "compact", str(DAY_2))
        _told_beside(store, user, beside)
        before = {row[0]: row for row in kit.rows(store)}
        theirs = {row[0] for row in before.values() if row[4] == user or (row[4] is None and row[5] == user)}
        receipt = erase.erase(store, user)
        _nowhere(store, user, kept={row[0] for row in before.values()} - theirs, batches=batches)
        assert receipt.found == 0
        after = {row[0]: row for row in kit.rows(store)}
        assert after.keys() == before.keys() - theirs
        untouched = [name for name, row in after.items() if row[4] == "somebody else entirely"]
        assert {name: after[name] for name in untouched} == {name: before[name] for name in untouched}
        assert receipt.removed["events"] + receipt.removed["parquet"] == len(theirs)
        assert receipt.mentions == sum(after[name] != before[name] for name in after) + _scrubbed(receipt)
        kit.sound(store)
        outcome = kit.ingest(store, *[told("user", n, user) for n in range(1, 5)], event("new", DAY_1, note="fine"))
        assert (outcome.tally.erased, outcome.tally.stored) == (4, 1)
        _nowhere(store, user, kept=set(after), batches=batches)


def _nowhere(store: layout.Store, user: str, *, kept: set[str], batches: list[list[str]]) -> None:
    """A long id is found nowhere; a short one only where the histories put it as the session or the category of another."""
    found = places(store.root, user)
    if len(user.encode()) >= 8:
        assert found == []
        return
    told = {f"#{number}": place for number, place in enumerate((one for batch in batches for one in batch), 1)}
    chances = sum(told[name] in ("session", "category") for name in kept)
    assert [text for _, text in found if text == user] == [user] * chances
    assert all(text == user or (name.endswith(".parquet") and chances) for name, text in found)


def _told_beside(store: layout.Store, user: str, beside: set[str]) -> None:
    """Put the id where no event is: in values of rollups, in a link, among those who wait."""
    if "rollup" in beside:
        values = [
            ("plan", [user]),
            ("target_type,target_id", ["user", user]),
            ("plan,note", [None, f"by {user} today"]),
        ]
        records = tuple(Record("events", 2, dimension, counted.spelled(held)) for dimension, held in values)
        period = Period("day", DAY_1, DAY_1, "UTC")
        path = store.root / period.target
        path.parent.mkdir(parents=True)
        path.write_bytes(rollups.content(period, [Section("top", "d", 1, kit.NOW, records)]))
    if "link" in beside:
        link.link(store, "a device so dear", user, now=kit.NOW, by="me")
    if "pending" in beside:
        pending.await_erasure(store, [user], due=kit.NOW, mode="delete", now=kit.NOW)
    if beside:
        assert places(store.root, user) or user.isdigit()


def _scrubbed(receipt: Receipt) -> int:
    return sum(one.mentions for one in receipt.files if one.tier in ("quarantine", "rollups"))
