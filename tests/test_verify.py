"""Verification sees whatever is wrong with a store, mends what can be derived, and never touches an event."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
import storekit as kit
from storekit import DAY_1, DAY_2, event

from evlog.store import durable, ids, journal, layout, locks
from evlog.verify import verify

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = layout.create(tmp_path_factory.mktemp("base") / "s")
    kit.ingest(made, event("1"), event("2", n=1.5), event("3", DAY_2), b"{bad")
    kit.here(made.root, "compact", str(DAY_2))
    kit.ingest(made, event("4"), event("5"))
    kit.here(made.root, "rollup")
    kit.here(made.root, "link", "a device", "bob")
    kit.sound(made)
    return made.root


@pytest.fixture
def store(base: Path, tmp_path: Path) -> layout.Store:
    return layout.open_store(shutil.copytree(base, tmp_path / "s"))


def segment(store: layout.Store) -> Path:
    return next(store.segments(DAY_1).iterdir())


def index(store: layout.Store) -> Path:
    return next(path for path in store.ids(DAY_1).iterdir() if path.name != layout.PART_IDS)


def edited(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))


def copied(path: Path, name: str) -> None:
    path.with_name(name).write_bytes(path.read_bytes())


def rolled(store: layout.Store) -> Path:
    return store.root / f"rollups/UTC/day/{DAY_1}.rollup"


DAMAGE: dict[str, tuple[Callable[[layout.Store], object], str]] = {
    "a torn segment": (lambda s: edited(segment(s), lambda raw: raw[:-5]), "not whole"),
    "a line that is none": (lambda s: edited(segment(s), lambda raw: b"{oops}\n" + raw), "not a stored event"),
    "a line that is not canonical": (
        lambda s: edited(segment(s), lambda raw: raw.replace(b',"ts"', b', "ts"')),
        "canonical",
    ),
    "a line of another day": (
        lambda s: edited(segment(s), lambda raw: raw.replace(b"2026-01-05T", b"2026-01-06T")),
        "another partition",
    ),
    "an event that changed its id": (
        lambda s: edited(segment(s), lambda raw: raw.replace(b'"4"', b'"9"')),
        "it knows 2 ids",
    ),
    "a rollup that is none": (lambda s: edited(rolled(s), lambda raw: raw[:-9]), "is no rollup"),
    "a rollup of another day": (lambda s: rolled(s).rename(rolled(s).with_name("2026-01-09.rollup")), "it is about"),
    "an act that was changed": (lambda s: edited(s.audit / "head", lambda raw: raw.replace(b"link", b"kiln")), "seal"),
    "an event too many": (
        lambda s: edited(segment(s), lambda raw: raw + raw.splitlines(keepends=True)[0]),
        "it knows 2 ids, its file holds 3",
    ),
    "a segment that is gone": (lambda s: segment(s).unlink(), "no commit knows"),
    "a segment nobody knows": (lambda s: copied(segment(s), "stray.ndjson"), "no commit knows"),
    "a segment of the future": (
        lambda s: copied(segment(s), "000000000099-20260120T120000S000000Z-0.ndjson"),
        "no commit knows",
    ),
    "a covered segment": (
        lambda s: copied(segment(s), "000000000001-20260120T120000S000000Z-0.ndjson"),
        "no commit knows",
    ),
    "an index of nothing": (
        lambda s: copied(index(s), "000000000099-20260120T120000S000000Z-0.ids"),
        "no commit knows",
    ),
    "an index that is gone": (lambda s: index(s).unlink(), "missing or broken"),
    "an index that is torn": (lambda s: edited(index(s), lambda raw: raw[:-3]), "missing or broken"),
    "a part that is torn": (lambda s: edited(s.part(DAY_1), lambda raw: raw[:-20]), "no Parquet file"),
    "an index of a part that is gone": (lambda s: (s.ids(DAY_1) / layout.PART_IDS).unlink(), "missing or broken"),
    "a file in the cold tier": (lambda s: (s.root / "parquet" / "notes.txt").touch(), "no commit knows"),
    "a folder in a partition": (lambda s: (s.segments(DAY_1) / "sub").mkdir(), "no commit knows"),
    "former ids that are torn": (
        lambda s: (s.tombstones / f"{DAY_1}.ids").write_bytes(b"torn"),
        "bring it back from a backup",
    ),
    "a line of links that is none": (
        lambda s: (s.links / "000000000001-20260120T120000S000000Z-0.links").write_bytes(b"{oops}\n"),
        "cannot be read",
    ),
    "a link in a partition": (lambda s: (s.segments(DAY_1) / "x.ndjson").symlink_to("/etc/passwd"), "no commit knows"),
}


@pytest.mark.long
@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_found(store: layout.Store, damage: str) -> None:
    harm, says = DAMAGE[damage]
    harm(store)
    found = verify(store)
    assert not found.holds
    assert any(says in one.says for one in found.findings), found.findings


def test_an_event_in_both_tiers_is_found(store: layout.Store) -> None:
    line = segment(store).read_bytes().replace(b'"4"', b'"1"')
    segment(store).write_bytes(line)
    known = ids.merged([ids.load(index(store)), ids.load(store.ids(DAY_1) / layout.PART_IDS)])
    index(store).write_bytes(b"".join(ids.chunks(known)))
    assert any("stand twice" in one.says for one in verify(store).findings)


def test_what_can_be_derived_is_mended(store: layout.Store) -> None:
    right = index(store).read_bytes()
    name = index(store)
    for harm in (name.unlink, lambda: name.write_bytes(right[:-24]), lambda: name.write_bytes(b"torn")):
        harm()
        before = kit.rows(store)
        assert [one.repairable for one in verify(store).findings] == [True]
        mended = verify(store, repair=True)
        assert mended.holds
        assert [one.path for one in mended.repaired] == [str(name.relative_to(store.root))]
        assert name.read_bytes() == right
        assert kit.rows(store) == before
        kit.sound(store)


def test_a_commit_that_stood_still_is_told_and_mended(store: layout.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_args: object) -> None:
        raise SystemExit

    monkeypatch.setattr(journal, "_apply", stopped)
    with pytest.raises(SystemExit):
        kit.ingest(store, event("new"))
    monkeypatch.undo()
    before = kit.ids(store)
    assert "new" in before
    told = [one for one in verify(store).findings if one.path.startswith("journal")]
    assert [one.repairable for one in told] == [True]
    assert verify(store, repair=True).holds
    assert kit.ids(store) == before
    kit.sound(store)


def test_a_batch_that_comes_meanwhile_is_no_finding(store: layout.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    real, ran = durable.read, []

    def reading(path: Path) -> bytes:
        if path.suffix == ".ndjson" and not ran:
            ran.append(1)
            kit.ingest(store, event("meanwhile"))
        return real(path)

    monkeypatch.setattr(durable, "read", reading)
    assert verify(store).findings == []
    assert ran


def test_it_says_how_far_it_is(store: layout.Store) -> None:
    seen: list[tuple[int, int]] = []
    before = journal.newest(store)
    told = verify(store, seen=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert told.events == 5
    with locks.commit(store):
        assert journal.newest(store) == before
