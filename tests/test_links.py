"""What people say of ids: kept in files of their own, whole or not at all, refused where it makes no sense."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import storekit as kit
from storekit import event

from evlog.errors import StoreDamaged, UsageError
from evlog.person import closure
from evlog.person import link as saying
from evlog.person.erase import erase
from evlog.store import journal, layout, links, locks
from evlog.store.links import Said

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 1, 20, 12)


@pytest.fixture
def store(tmp_path: Path) -> layout.Store:
    made = layout.create(tmp_path / "s")
    kit.ingest(made, event("1", user="ann", anonymous_id="d1"), event("2", user=None, anonymous_id="d2"), event("3"))
    return made


def said(store: layout.Store) -> list[tuple[str, str | None]]:
    return [(line.source, line.target) for file in links.files(store) for line in file.read()]


def test_a_line_says_who_said_it_and_when(store: layout.Store) -> None:
    told = saying.link(store, "d2", "bob", now=NOW, by="me")
    assert told == saying.Told("d2", "bob", changed=True)
    (file,) = links.files(store)
    assert file.read() == [Said("d2", "bob", NOW, "me", file.name.batch << layout.SEQ_BITS)]
    assert file.path.read_bytes() == b'{"from":"d2","to":"bob","at":"2026-01-20T12:00:00.000000Z","by":"me"}\n'
    assert (file.path.stat().st_mode & 0o777) == 0o600
    kit.sound(store)


def test_a_link_is_no_batch_of_events(store: layout.Store) -> None:
    before = journal.last_received(store)
    saying.link(store, "d2", "bob", now=NOW + timedelta(days=9))
    assert journal.last_received(store) == before
    assert kit.ids(store) == ["1", "2", "3"]


def test_the_clock_may_go_back(store: layout.Store) -> None:
    saying.link(store, "d2", "bob", now=NOW)
    saying.unlink(store, "d2", now=NOW - timedelta(days=1))
    saying.link(store, "d2", "ann", now=NOW - timedelta(days=2))
    moments = [line.at for file in links.files(store) for line in file.read()]
    assert moments == [NOW, NOW + timedelta(microseconds=1), NOW + timedelta(microseconds=2)]
    assert not saying.link(store, "d2", "ann", now=NOW).changed, "what was said last holds"


def test_what_was_said_already_is_not_said_again(store: layout.Store) -> None:
    saying.link(store, "d2", "bob", now=NOW)
    saying.link(store, "bob", "ann", now=NOW)
    assert saying.link(store, "d2", "bob", now=NOW) == saying.Told("d2", "ann", changed=False)
    assert not saying.unlink(store, "ann", now=NOW).changed
    assert not saying.unlink(store, "nobody we know", now=NOW).changed
    assert len(said(store)) == 2
    saying.unlink(store, "d2", now=NOW)
    assert saying.link(store, "d2", "bob", now=NOW).changed, "it was taken back"


def means(store: layout.Store, one: str, person: str) -> bool:
    return closure.asked(store, lambda identity: identity.means(one, person))


def test_what_a_person_says_stands_when_events_say_otherwise(store: layout.Store) -> None:
    """An event linked the id before, so it changes nothing now; but a late event of another user would."""
    assert means(store, "d1", "ann")
    assert saying.link(store, "d1", "ann", now=NOW) == saying.Told("d1", "ann", changed=True)
    assert not saying.link(store, "d1", "ann", now=NOW).changed
    kit.ingest(store, event("4", kit.DAY_2, "eve", anonymous_id="d1"))
    assert means(store, "d1", "ann")
    assert not saying.link(store, "d1", "ann", now=NOW).changed
    kit.ingest(store, event("5", user="eve", anonymous_id="d1", ts="2026-01-20T12:30:00Z"))
    assert not means(store, "d1", "ann"), "what was said last holds"
    assert saying.link(store, "d1", "ann", now=NOW + timedelta(hours=1)).changed
    assert means(store, "d1", "ann")
    assert said(store) == [("d1", "ann")] * 2


def test_what_a_person_says_stands_when_the_chain_breaks(store: layout.Store) -> None:
    saying.link(store, "c1", "c2", now=NOW)
    saying.link(store, "c2", "c3", now=NOW)
    assert closure.of(store, "c1").person == "c3"
    assert saying.link(store, "c1", "c3", now=NOW) == saying.Told("c1", "c3", changed=True)
    saying.unlink(store, "c2", now=NOW)
    assert [closure.of(store, one).person for one in ("c1", "c2")] == ["c3", "c2"]


def test_an_id_that_is_a_user_too_is_not_linked_by_what_events_say_of_it_as_a_device(store: layout.Store) -> None:
    kit.ingest(store, event("4", user="d1"))
    assert saying.link(store, "d1", "ann", now=NOW).changed
    assert not saying.link(store, "d1", "ann", now=NOW).changed


def test_circles_are_refused_with_the_chain(store: layout.Store) -> None:
    saying.link(store, "a", "b", now=NOW)
    saying.link(store, "b", "c", now=NOW)
    before = kit.tree(store.root)
    for source, target, chain in (("b", "a", "b → a → b"), ("c", "a", "c → a → b → c")):
        with pytest.raises(saying.Circle, match=chain) as told:
            saying.link(store, source, target, now=NOW)
        assert told.value.exit_code == 1
    assert kit.tree(store.root) == before
    saying.unlink(store, "b", now=NOW)
    assert saying.link(store, "c", "a", now=NOW).changed


@pytest.mark.parametrize(
    ("source", "target"),
    [("", "u"), ("a", ""), ("a", "a"), ("undefined", "u"), ("a", "NULL"), ("a\nb", "u"), ("a", "x" * 257),
     ("a\udcff", "u"), ("a", "\x1b[31m")],
)  # fmt: skip
def test_ids_that_are_none_are_refused(store: layout.Store, source: str, target: str) -> None:
    with pytest.raises(UsageError):
        saying.link(store, source, target, now=NOW)
    assert said(store) == []


def test_an_erased_id_is_linked_to_nobody(store: layout.Store) -> None:
    erase(store, "bob")
    for source, target in (("bob", "x"), ("x", "bob")):
        with pytest.raises(saying.Erased):
            saying.link(store, source, target, now=NOW)
    assert said(store) == []


def test_whoever_links_at_the_same_time_is_heard_first(store: layout.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look at the store and the commit somebody says the opposite: that is seen, and refused."""
    real, ran = saying._said, []

    def late(store: layout.Store, line: Said, *, since: int) -> bool:
        if not ran:
            ran.append(1)
            saying.link(store, "b", "a", now=NOW)
        return real(store, line, since=since)

    monkeypatch.setattr(saying, "_said", late)
    with pytest.raises(saying.Circle):
        saying.link(store, "a", "b", now=NOW)
    assert said(store) == [("b", "a")]


@pytest.mark.parametrize("renamed", [False, True])
def test_a_commit_that_stands_still_counts(
    store: layout.Store, monkeypatch: pytest.MonkeyPatch, *, renamed: bool
) -> None:
    """The record is written, its file perhaps not yet in place: a reader sees the link all the same."""

    def still(store: layout.Store, record: journal.Record) -> None:
        for source, target in record.renames if renamed else ():
            (store.root / source).rename(store.root / target)
        raise KeyboardInterrupt

    monkeypatch.setattr(journal, "_apply", still)
    with pytest.raises(KeyboardInterrupt):
        saying.link(store, "d2", "bob", now=NOW)
    monkeypatch.undo()
    batch = journal.newest(store)
    assert said(store) == [("d2", "bob")]
    assert [line.target for line in links.seen(store, batch) or []] == ["bob"]
    assert links.seen(store, batch - 1) is None, "a look that began before begins anew"
    with locks.commit(store):
        assert journal.recover(store) == 1
    assert said(store) == [("d2", "bob")]
    kit.sound(store)


def test_a_reader_of_an_earlier_commit_begins_anew(store: layout.Store) -> None:
    batch = journal.newest(store)
    kit.ingest(store, event("4"))
    assert links.seen(store, batch) == []
    asked: list[int] = []

    def read(seen: object, lines: list[Said]) -> list[Said]:
        asked.append(len(lines))
        return lines

    real, ran = links.seen, []

    def interrupted(store: layout.Store, batch: int) -> list[Said] | None:
        if not ran:
            ran.append(1)
            saying.link(store, "d2", "bob", now=NOW)
        return real(store, batch)

    links.seen, kept = interrupted, links.seen
    try:
        assert [line.target for line in links.steady(store, read)] == ["bob"]
    finally:
        links.seen = kept
    assert asked == [1]


def test_a_line_that_is_none_is_told(store: layout.Store) -> None:
    saying.link(store, "d2", "bob", now=NOW)
    (file,) = links.files(store)
    for broken in (b"{", b"[]", b'{"from":"a"}', b'{"from":"a","to":null,"at":"then","by":""}'):
        file.path.write_bytes(broken + b"\n")
        with pytest.raises(StoreDamaged, match="line 1 is not a link"):
            links.seen(store, journal.newest(store))


def test_other_files_are_none_of_ours(store: layout.Store) -> None:
    (store.links / "notes.links").write_bytes(b"?\n")
    (store.links / "x.txt").write_bytes(b"?\n")
    assert links.files(store) == []
