"""Each event once: across lines, batches, runs and processes; and runs that publish all, nothing, or not at all."""

import json
import multiprocessing
import random
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from feed import NOW, OPEN, event, feed, ids, line, new_store, plain, quick, refused, stored, written
from hypothesis import given, settings
from hypothesis import strategies as st
from torture import much

from evlog.ingest import block
from evlog.ingest.commit import Committer
from evlog.ingest.contents import Contents
from evlog.ingest.run import Tolerance, TooManyRejects
from evlog.store import durable, layout, tombstones

__all__ = ["quick"]


def nameless(**fields: object) -> bytes:
    return line(event_id=None, **fields)


def files(root: Path) -> dict[str, bytes]:
    """Every file below `root` but locks, with its content."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and "locks" not in path.parts
    }


def test_a_second_run_stores_nothing_and_writes_nothing(tmp_path):
    store = new_store(tmp_path)
    path = written(tmp_path / "log", *(line(event_id=f"e{n}") for n in range(50)), nameless(), nameless(), b"{bad")
    first = feed(store, path).tally
    before = files(store.root / "events") | files(store.root / "ids") | files(store.root / "quarantine")
    again = feed(store, path, now=NOW + timedelta(hours=1)).tally
    assert (first.stored, first.duplicates, first.derived_ids) == (52, 0, 2)
    assert (again.stored, again.duplicates, again.rejected) == (0, 52, 1)
    assert files(store.root / "events") | files(store.root / "ids") | files(store.root / "quarantine") == before


@pytest.mark.parametrize(
    "retry",
    [
        lambda raw: raw,
        lambda raw: json.dumps(json.loads(raw), indent=None, separators=(" , ", " : ")).encode(),
        lambda raw: json.dumps(dict(reversed(json.loads(raw).items()))).encode(),
        lambda raw: raw.replace(b"10:00:00Z", b"10:00:00.000Z"),
        lambda raw: raw.replace(b"10:00:00Z", b"12:00:00+02:00"),
        lambda raw: raw.replace(b'"ts"', b'"timestamp"').replace(b'"user_id"', b'"userId"'),
        lambda raw: raw.replace(b'"properties"', b'"event_data"'),
        lambda raw: json.dumps(json.loads(raw) | {"properties": json.dumps(json.loads(raw)["properties"])}).encode(),
        lambda raw: raw[:-1] + b', "session_id": null, "context": {}}',
        lambda raw: raw.replace(b'"view"', rb'"\u0076iew"'),
        lambda raw: b'{"events":[' + raw + b"]}",
        lambda raw: raw + b"\r",
    ],
)
def test_a_retry_that_says_the_same_in_other_words_is_a_duplicate(tmp_path, retry):
    store = new_store(tmp_path)
    raw = line(properties={"a": 1, "b": [1.5, "x"]})
    tally = feed(store, written(tmp_path / "log", raw, retry(raw))).tally
    assert (tally.stored, tally.duplicates, tally.rejected) == (1, 1, 0)
    assert feed(store, written(tmp_path / "again", retry(raw))).tally.duplicates == 1


def test_one_id_on_two_days_is_two_events(tmp_path):
    store = new_store(tmp_path)
    raws = [line(ts="2026-03-01T23:59:59Z"), line(ts="2026-03-02T00:00:00Z"), line(ts="2026-03-02T01:00:00+01:00")]
    tally = feed(store, written(tmp_path / "log", *raws)).tally
    assert (tally.stored, tally.duplicates, tally.rejected) == (2, 1, 0)
    assert [body["day"] for body in stored(store)] == ["2026-03-01", "2026-03-02"]


def test_equal_events_without_ids_stay_apart_in_one_input_and_collapse_across_inputs(tmp_path):
    store = new_store(tmp_path)
    three = written(tmp_path / "three", nameless(), nameless(user_id="bob"), nameless(), nameless())
    two = written(tmp_path / "two", nameless(), nameless())
    assert feed(store, three).tally.stored == 4
    assert feed(store, three).tally.stored == 0
    assert feed(store, two).tally.stored == 0
    together = new_store(tmp_path / "together")
    tally = feed(together, two, three, two).tally
    assert (tally.stored, tally.duplicates, tally.derived_ids) == (4, 4, 8)
    assert sorted(ids(together)) == sorted(ids(store))
    assert len(set(ids(store))) == 4


def test_derived_ids_do_not_depend_on_how_the_input_is_cut(tmp_path, monkeypatch):
    path = written(
        tmp_path / "log", *[nameless(n=n % 3) for n in range(40)], *[line(event_id=f"e{n}") for n in range(5)]
    )
    found = []
    for size, workers in ((block.BLOCK, 1), (200, 1), (200, 2), (1, 2)):
        monkeypatch.setattr(block, "BLOCK", size)
        monkeypatch.setattr(block, "_READ", max(size, 50))
        store = new_store(tmp_path / f"{size}-{workers}")
        assert feed(store, path, workers=workers).tally.stored == 45
        assert feed(store, path, workers=workers).tally.stored == 0
        found.append(ids(store))
    assert found[0] == found[1] == found[2] == found[3]


mixed = st.lists(
    st.one_of(
        st.builds(line, event_id=st.integers(0, 8).map("e{}".format), feature=st.sampled_from(["a", "b"]), ts=st.sampled_from(["2026-03-01T10:00:00Z", "2026-03-02T10:00:00.5Z", 1772359200])),
        st.builds(nameless, n=st.integers(0, 2), ts=st.sampled_from(["2026-03-01T10:00:00Z", "2026-03-02 10:00:00"])),
        st.builds(line, event_id=st.integers(0, 8).map("e{}".format), consent=st.booleans()),
        st.sampled_from([b"{bad", b"", b"null", line(ts="x"), b"[]", b'{"events":[%b,7,%b]}' % (line(), nameless())]),
    ),
    max_size=25,
)  # fmt: skip


@settings(max_examples=much(36, 4), deadline=None)
@given(raws=mixed, data=st.data())
def test_the_same_lines_give_the_same_store_however_they_are_read(tmp_path_factory, raws, data):
    where = tmp_path_factory.mktemp("cut")
    path = written(where / "log", *raws)
    whole = new_store(where / "whole")
    tally = feed(whole, path).tally
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(block, "BLOCK", data.draw(st.integers(1, 400)))
        patch.setattr(block, "_READ", data.draw(st.integers(20, 400)))
        pieces, pair = new_store(where / "pieces"), new_store(where / "pair")
        cut = feed(pieces, path).tally
        forked = feed(pair, path, workers=2).tally
    assert plain(pieces) == plain(pair) == plain(whole)
    for other in (cut, forked):
        assert replace(other, batches=0) == replace(tally, batches=0)
    reasons = [
        sorted((kept.code, kept.body["line"], kept.body["offset"], kept.raw) for kept in refused(store))
        for store in (whole, pieces, pair)
    ]
    assert reasons[0] == reasons[1] == reasons[2]


def _ingest(root: Path, path: Path, barrier: object) -> None:
    barrier.wait()
    feed(layout.open_store(root), path)


def test_two_ingests_at_once_store_each_event_once(tmp_path, monkeypatch):
    monkeypatch.setattr(block, "BLOCK", 20_000)
    monkeypatch.setattr(block, "_READ", 5_000)
    store = new_store(tmp_path)
    raws = [line(event_id=f"e{n}", n=n) if n % 5 else nameless(n=n % 7) for n in range(3_000)]
    path = written(tmp_path / "log", *raws)
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(3)
    running = [context.Process(target=_ingest, args=(store.root, path, barrier)) for _ in range(3)]
    for process in running:
        process.start()
    for process in running:
        process.join(60)
    assert [process.exitcode for process in running] == [0, 0, 0]
    assert len(ids(store)) == len(set(ids(store))) == 3_000
    assert feed(store, path).tally.stored == 0


def test_events_without_ids_keep_theirs_when_a_user_is_erased_meanwhile(tmp_path, monkeypatch):
    """The block is parsed again: its events must not count twice, or the next run would store them again."""
    store = new_store(tmp_path)
    path = written(tmp_path / "log", nameless(), nameless(), nameless(user_id="gone_gone"))
    look, calls = Committer._name_the_nameless, []

    def interrupted(self, batch):
        look(self, batch)
        if not calls:
            calls.append(1)
            known = tombstones.load(store)
            gone = tombstones.users_file(known, also=known.subject("gone_gone"))
            durable.replace_whole(store.tombstones / tombstones.USERS, gone)

    monkeypatch.setattr(Committer, "_name_the_nameless", interrupted)
    tally = feed(store, path).tally
    assert (tally.stored, tally.erased) == (2, 1)
    assert tombstones.load(store).erased("gone_gone")
    assert feed(store, path).tally.stored == 0


@settings(deadline=None)
@given(
    st.lists(st.lists(st.sampled_from([b"a}", b"b}", b"c}"]), max_size=6), max_size=30),
    st.randoms(use_true_random=False),
)
def test_ordinals_count_equal_contents_and_forget_what_is_taken_back(batches: list[list[bytes]], chance: random.Random):
    contents, seen = Contents(), {b"a}": 0, b"b}": 0, b"c}": 0}
    for batch in batches:
        if chance.random() < 0.3:
            contents.ordinals(batch)
            contents.forget()
        wanted = []
        for content in batch:
            wanted.append(seen[content])
            seen[content] += 1
        assert contents.ordinals(batch) == wanted


def test_the_first_of_an_id_stays_whichever_lane_it_took(tmp_path):
    """The judge is asked after the lane has taken what is plain; the order of arrival counts."""
    store = new_store(tmp_path)
    raws = [line(feature="first", x=[1]), line(feature="second"), line(event_id="e2"), line(event_id="e3", x=[1])]
    feed(store, written(tmp_path / "log", *raws, nameless()))
    assert [body.get("feature") for body in stored(store)] == ["first", None, None, None]
    segment = next(store.root.glob("events/*/*.ndjson")).read_bytes().splitlines()
    assert [json.loads(raw)["event_id"] for raw in segment[:3]] == ["e1", "e2", "e3"]
    assert refused(store)[0].raw == raws[1]


@pytest.mark.parametrize(("limit", "fine"), [({"count": 2}, True), ({"count": 1}, False), ({"share": 0.34}, True), ({"share": 0.33}, False), ({"count": 0}, False)])  # fmt: skip
def test_more_rejects_than_tolerated_publish_nothing(tmp_path, monkeypatch, limit, fine):
    monkeypatch.setattr(block, "BLOCK", 1)
    monkeypatch.setattr(block, "_READ", 100)
    store = new_store(tmp_path)
    feed(store, written(tmp_path / "before", line(event_id="before")))
    path = written(
        tmp_path / "log", line(), b"{bad", line(event_id="e2"), line(event_id="e3", ts="x"), nameless(), line()
    )
    before = files(store.root)
    if fine:
        tally = feed(store, path, tolerance=Tolerance(**limit)).tally
        assert (
            (tally.read, tally.stored, tally.duplicates, tally.rejected) == (6, 3, 1, 2)
            if "count" in limit
            else tally.stored
        )
        assert len(refused(store)) == 2
        assert feed(store, path).tally.stored == 0
        assert len(ids(store)) == 4
        return
    with pytest.raises(TooManyRejects, match="2 of 6 events were refused"):
        feed(store, path, tolerance=Tolerance(**limit))
    assert files(store.root) == before
    assert refused(store) == []


def test_a_dry_run_counts_all_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(block, "BLOCK", 100)
    monkeypatch.setattr(block, "_READ", 100)
    store = new_store(tmp_path)
    feed(store, written(tmp_path / "before", line(event_id="before")))
    path = written(
        tmp_path / "log", *[line(event_id="before", feature="z")] * 2, line(event_id="before"), line(), b"{bad", line(), line(feature="x"), nameless(), nameless(), line(feature="x")
    )  # fmt: skip
    before = files(store.root)
    dry = feed(store, path, dry_run=True).tally
    assert files(store.root) == before
    wet = feed(store, path).tally
    assert replace(dry, batches=0) == replace(wet, batches=0)
    assert (wet.stored, wet.duplicates, wet.rejected) == (3, 2, 5)


def test_a_compacted_day_is_known_too(tmp_path):
    from datetime import date

    from evlog import compact

    store = new_store(tmp_path)
    path = written(tmp_path / "log", line(), nameless(), line(event_id="e2"))
    feed(store, path)
    compact.run(store, before=date(2026, 3, 2))
    again = feed(store, written(tmp_path / "more", line(), line(feature="x"), nameless(), line(event_id="e3"))).tally
    assert (again.stored, again.duplicates, again.rejected) == (1, 2, 1)


def test_seq_follows_the_order_of_arrival(tmp_path, monkeypatch):
    monkeypatch.setattr(block, "BLOCK", 300)
    monkeypatch.setattr(block, "_READ", 300)
    raws = [
        line(event_id=f"e{n}", ts=f"2026-03-0{1 + n % 3}T10:00:00Z", **({"x": [n]} if n % 2 else {})) for n in range(40)
    ]
    envelope = json.dumps({"events": [event(event_id=f"m{n}") for n in range(4)]}).encode()
    path = written(tmp_path / "log", *raws[:20], envelope, *raws[20:])
    wanted = [f"e{n}" for n in range(20)] + [f"m{n}" for n in range(4)] + [f"e{n}" for n in range(20, 40)]
    for workers in (1, 2):
        store = new_store(tmp_path / str(workers))
        feed(store, path, workers=workers)
        assert ids(store) == wanted


def test_rules_without_dedupe_store_again_what_another_run_stored(tmp_path):
    store = new_store(tmp_path)
    path = written(tmp_path / "log", line())
    feed(store, path)
    assert feed(store, path, rules=replace(OPEN, dedupe=False)).tally.stored == 1
