"""The file of who was linked: what its first line says is what the entries say."""

from datetime import date, datetime, timedelta

import pytest
import rollkit
import rollups
import storekit
from hypothesis import given
from hypothesis import strategies as st

from evlog.errors import StoreDamaged
from evlog.store import layout, linked
from evlog.store.linked import ANONYMOUS, USER, Linked, entry

FIRST = date(2026, 1, 1)
SUBJECTS = [f"{n:032x}" for n in range(4)]
ENTRIES = st.frozensets(
    st.builds(entry, st.sampled_from([USER, ANONYMOUS]), st.sampled_from(SUBJECTS), st.sampled_from(SUBJECTS))
)
DAYS = st.none() | st.frozensets(st.integers(0, 30).map(lambda n: FIRST + timedelta(days=n)))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return layout.create(tmp_path_factory.mktemp("linked") / "s")


def said(head):
    """The days of the runs, and that no two runs touch."""
    days = [first + timedelta(days=n) for first, last in head.nobodys for n in range((last - first).days + 1)]
    assert all(
        one[1] + timedelta(days=1) < other[0] for one, other in zip(head.nobodys, head.nobodys[1:], strict=False)
    )
    return days


@given(ENTRIES, DAYS)
def test_the_first_line_says_what_the_whole_file_holds(store, entries, days):
    known = Linked(3, datetime(2026, 2, 1), FIRST, entries, days)
    (store.root / linked.LINKED).write_bytes(linked.content(known))
    head = linked.head(store)
    assert linked.load(store) == known
    assert (head.batch, head.until, head.purged_before) == (3, datetime(2026, 2, 1), FIRST)
    assert head.users == sum(one[:1] == USER for one in entries)
    assert head.ids == len({linked.whose(one)[1:] for one in entries})
    assert head.nobodys is None if days is None else said(head) == sorted(days)
    rest = linked.without(store, SUBJECTS[:1])
    assert (rest is None) == (not any(bytes.fromhex(SUBJECTS[0]) in (one[1:17], one[17:]) for one in entries))


def test_an_older_file_and_none_say_that_they_do_not_know(store):
    path = store.root / linked.LINKED
    path.write_bytes(b'{"batch": 2, "until": null, "purged_before": null}\n')
    assert (linked.head(store).users, linked.head(store).nobodys, linked.load(store).nobodys) == (None, None, None)
    path.unlink()
    assert linked.head(store) == linked.Head()
    assert linked.load(store) == Linked()


def test_a_damaged_first_line_is_told(store):
    path = store.root / linked.LINKED
    for damaged in (b"", b"{", b"[]", b'{"batch": 2}'):
        path.write_bytes(damaged)
        with pytest.raises(StoreDamaged):
            linked.head(store)
    path.unlink()


def test_an_older_file_is_completed_by_the_next_rollup(tmp_path):
    made = layout.create(tmp_path / "s")
    storekit.ingest(made, storekit.event("e1", user=None, anonymous_id="a1"))
    rollkit.roll(made, rollups.scope(date(2026, 3, 1)))
    path = made.root / linked.LINKED
    known = linked.load(made)
    assert known.nobodys
    line, _, rest = path.read_bytes().partition(b"\n")
    path.write_bytes(line.partition(b', "users"')[0] + b"}\n" + rest)
    assert linked.head(made).nobodys is None
    rollkit.roll(made, rollups.scope(date(2026, 3, 1)))
    assert linked.load(made).nobodys == known.nobodys
