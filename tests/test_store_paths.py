"""What lies where: modes, symlinks, names, other formats, damage, and what dead processes leave behind."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest
import storekit as kit
from storekit import DAY_1, DAY_2, event

from evlog.errors import EvlogError, StoreDamaged, StoreLocked, StoreMissing
from evlog.store import durable, journal, layout, locks, snapshot, tombstones
from evlog.verify import verify

if TYPE_CHECKING:
    from pathlib import Path

NASTY = [
    "../../escape",
    "/etc/passwd",
    "a/b",
    "..",
    "date=2026-01-01",
    "x\u2028y",
    "💥" * 20,
    "%2e%2e",
    "$(id)",
    "'; --",
]


@pytest.fixture
def store(tmp_path: Path) -> layout.Store:
    made = layout.create(tmp_path / "s")
    kit.ingest(made, event("a"), event("b", DAY_2, "alice_the_erased"), b"{bad")
    return made


def everything(store: layout.Store) -> None:
    """Every command that writes, once."""
    kit.ingest(store, event("c"), event("d", DAY_2), b"{worse")
    kit.here(store.root, "compact", str(DAY_2))
    kit.here(store.root, "delete", "alice_the_erased")
    kit.here(store.root, "purge", str(DAY_2))


def test_modes_are_narrow_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = layout.create(tmp_path / "deep" / "s")
        kit.ingest(store, event("a"), event("b", DAY_2, "alice_the_erased"), b"{bad")
        everything(store)
    finally:
        os.umask(before)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in [store.root, *store.root.rglob("*")]}
    assert {oct(mode) for path, mode in modes.items() if path.is_dir()} == {"0o700"}
    assert {oct(mode) for path, mode in modes.items() if path.is_file()} == {"0o600"}
    assert any(path.name == "events.parquet" for path in modes) is False  # purged: the mode of a part is seen below


def test_the_mode_of_a_part(store: layout.Store) -> None:
    before = os.umask(0)
    try:
        kit.here(store.root, "compact", "2027-01-01")
    finally:
        os.umask(before)
    assert [oct(stat.S_IMODE(p.stat().st_mode)) for p in (store.root / "parquet").glob("*/*")] == ["0o600"] * 2


@pytest.mark.parametrize("folder", layout.FOLDERS)
def test_a_symlink_in_place_of_a_folder_is_refused(store: layout.Store, folder: str, tmp_path: Path) -> None:
    real = (store.root / folder).rename(tmp_path / "elsewhere")
    (store.root / folder).symlink_to(real)
    before = kit.tree(real)
    for command in (("ingest", "-"), ("compact", "2026-01-06"), ("purge", "2026-01-06"), ("delete", "bob")):
        with pytest.raises(StoreDamaged, match="symlink"):
            kit.here(store.root, *command)
    assert kit.tree(real) == before


@pytest.mark.parametrize("folder", ["events/date=2026-01-05", "ids/2026-01-05"])
def test_a_symlink_in_place_of_a_partition_is_refused_before_anything_is_committed(
    store: layout.Store, folder: str, tmp_path: Path
) -> None:
    real = (store.root / folder).rename(tmp_path / "elsewhere")
    (store.root / folder).symlink_to(real)
    before = kit.tree(real)
    with pytest.raises(StoreDamaged, match="symlink"):
        kit.ingest(store, event("new"))
    assert kit.tree(real) == before
    assert journal.newest(store) == 1
    assert any("commit knows" in one.says or "missing" in one.says for one in _findings(store))


@pytest.mark.parametrize("name", ["².done", "٣.done", "notes"])
def test_a_file_that_is_no_record_counts_no_commit(store: layout.Store, name: str) -> None:
    (store.journal / name).write_bytes(b"")
    assert journal.newest(store) == 1
    assert kit.ingest(store, event("new")).tally.batches == 1
    assert journal.newest(store) == 2


def _findings(store: layout.Store) -> list[object]:
    try:
        return list(verify(store).findings)
    except StoreDamaged as error:
        return [type("Told", (), {"says": f"{error}: no commit knows"})()]


@pytest.mark.parametrize("victim", ["tombstones/users.json", "tombstones/key", "locks/commit", "evlog.json"])
def test_a_symlink_in_place_of_a_file_is_not_followed(store: layout.Store, victim: str, tmp_path: Path) -> None:
    target = tmp_path / "target"
    path = store.root / victim
    if path.exists():
        path.rename(target)
    else:
        target.write_bytes(b'{"users": []}')
    path.symlink_to(target)
    before = target.read_bytes()
    with pytest.raises((EvlogError, OSError)):
        kit.ingest(layout.open_store(store.root), event("new"))
    assert target.read_bytes() == before


def test_a_symlink_in_place_of_a_part_is_not_read(store: layout.Store, tmp_path: Path) -> None:
    kit.here(store.root, "compact", "2027-01-01")
    real = store.part(DAY_1).rename(tmp_path / "elsewhere.parquet")
    store.part(DAY_1).symlink_to(real)
    with pytest.raises(StoreDamaged, match="no plain file"):
        snapshot.snapshot(store)


def test_a_symlink_in_place_of_a_segment_is_not_read_and_found(store: layout.Store, tmp_path: Path) -> None:
    segment = next(store.segments(DAY_1).iterdir())
    segment.symlink_to(segment.rename(tmp_path / "elsewhere"))
    assert kit.ids(store) == ["b"]
    assert any("events/date=2026-01-05" in one.path and "no commit knows" in one.says for one in verify(store).findings)


@pytest.mark.parametrize("name", NASTY)
def test_ids_are_never_path_components(tmp_path: Path, name: str) -> None:
    store = layout.create(tmp_path / "s")
    fields = dict.fromkeys(("anonymous_id", "session_id", "target_id", "source", "feature"), name)
    kit.ingest(store, event(name, DAY_1, name, **fields))
    kit.here(store.root, "compact", str(DAY_2))
    assert kit.ids(store) == [name]
    assert not any(name in str(path.relative_to(store.root)) for path in store.root.rglob("*") if len(name) > 2)
    kit.here(store.root, "delete", name)
    assert kit.ids(store) == []
    kit.sound(store)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s", "s.in"]


def test_no_store_and_other_formats(tmp_path: Path, store: layout.Store) -> None:
    with pytest.raises(StoreMissing, match="no event store"):
        layout.open_store(tmp_path / "nowhere")
    marker = store.root / "evlog.json"
    marker.write_text('{"format": 2}')
    with pytest.raises(StoreDamaged, match="format 2"):
        layout.open_store(store.root)
    marker.write_text("{torn")
    with pytest.raises(StoreDamaged, match="marker"):
        layout.open_store(store.root)


def test_the_key_is_made_once_and_never_made_again(store: layout.Store) -> None:
    key = (store.tombstones / "key").read_bytes()
    layout.create(store.root)
    assert (store.tombstones / "key").read_bytes() == key
    (store.tombstones / "key").unlink()
    with pytest.raises(StoreDamaged, match="missing"):
        tombstones.load(store)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("{torn", "not a commit record"),
        ('{"batch": 2, "why": "x", "renames": [["staging/x"]], "unlinks": []}', "not a commit record"),
        ('{"batch": 2, "why": "x", "renames": [], "unlinks": ["../../outside"]}', "outside"),
        ('{"batch": 2, "why": "x", "renames": [["staging/r/f", "/etc/x"]], "unlinks": []}', "outside"),
        ('{"batch": 2, "why": "x", "renames": [["staging/../../f", "events/x"]], "unlinks": []}', "outside"),
        ('{"batch": 2, "why": "x", "renames": [], "unlinks": ["events"]}', "outside"),
    ],
)
def test_a_damaged_record_is_told_and_nothing_is_done(
    store: layout.Store, body: str, says: str, tmp_path: Path
) -> None:
    (tmp_path / "outside").write_text("mine")
    (store.journal / "000000000002.json").write_text(body)
    before = _without_staging(store)
    for attempt in (lambda: kit.ingest(store, event("new")), lambda: snapshot.snapshot(store)):
        with pytest.raises(StoreDamaged, match=says):
            attempt()
    assert (tmp_path / "outside").read_text() == "mine"
    assert _without_staging(store) == before


def _without_staging(store: layout.Store) -> dict[str, bytes]:
    return {name: data for name, data in kit.tree(store.root).items() if not name.startswith("staging/")}


def test_a_record_whose_staged_file_is_lost_is_told(store: layout.Store) -> None:
    body = (
        '{"batch": 2, "why": "ingest", "renames": [["staging/r/f", "events/date=2026-01-05/x.ndjson"]], "unlinks": []}'
    )
    (store.journal / "000000000002.json").write_text(body)
    with pytest.raises(EvlogError, match="rename"):
        kit.ingest(store, event("new"))


def test_dead_staging_is_swept_up_and_living_is_not(store: layout.Store) -> None:
    dead = store.staging / "dead"
    dead.mkdir()
    (dead / "owner").touch()
    (dead / "1-2026-01-05.lines").write_text("left")
    (store.staging / "deader").mkdir()  # killed before it had an owner
    for litter in (
        store.journal / ".000000000009.json.x.tmp",
        store.tombstones / ".key.x.tmp",
        store.root / ".evlog.json.x.tmp",
    ):
        litter.touch()
    with journal.staging(store) as living:
        living.write("mine", [b"kept"])
        kit.ingest(store, event("new"))
        assert [path.name for path in store.staging.iterdir()] == [living.path.name]
        assert living.file("mine").read_bytes() == b"kept"
    kit.sound(store)


def test_an_interrupt_while_staging_is_removed_leaves_nothing(
    store: layout.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = durable.remove_folder
    calls: list[Path] = []

    def interrupted(path: Path) -> None:
        calls.append(path)
        if len(calls) == 1:
            raise KeyboardInterrupt
        real(path)

    monkeypatch.setattr(durable, "remove_folder", interrupted)
    with pytest.raises(KeyboardInterrupt), journal.staging(store) as staged:
        staged.write("mine", [b"x"])
    assert list(store.staging.iterdir()) == []


def test_no_store_is_made_through_a_symlink(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "s").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreDamaged, match="is a symlink"):
        layout.create(tmp_path / "s")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_folder_above_a_store_may_be_a_symlink(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "here").symlink_to(tmp_path / "elsewhere")
    made = layout.create(tmp_path / "here" / "s")
    kit.ingest(made, event("a"))
    reached = layout.open_store(tmp_path / "elsewhere" / "s")
    assert kit.ids(reached) == ["a"]
    kit.sound(reached)


def test_no_sweep_meets_a_staging_folder_that_has_no_owner_yet(store: layout.Store) -> None:
    """Many are born while others sweep: none is taken for dead."""
    code = textwrap.dedent(f"""
        import sys
        from pathlib import Path
        from evlog.store import durable, journal, layout, locks
        store = layout.open_store(Path({str(store.root)!r}))
        for _ in range(150):
            if sys.argv[1] == "sweep":
                with locks.commit(store):
                    journal.recover(store)
            else:
                with journal.staging(store) as staged:
                    staged.write("x", [b"x"])
                    assert staged.file("x").exists()
    """)
    running = [
        subprocess.Popen([sys.executable, "-c", code, what], stderr=subprocess.PIPE)
        for what in ("sweep", "stage", "stage")
    ]
    said = [process.communicate(timeout=60)[1] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], said


def test_maintenance_is_one_at_a_time_and_names_the_holder(store: layout.Store) -> None:
    with locks.maintenance(store, "compact"):
        for command in (("compact", "2026-01-06"), ("purge", "2026-01-06"), ("delete", "bob")):
            with pytest.raises(StoreLocked, match=f"evlog compact .process {os.getpid()}."):
                kit.here(store.root, *command)
        kit.ingest(store, event("meanwhile"))  # ingest goes on
    assert "meanwhile" in kit.ids(store)
    kit.here(store.root, "compact", "2026-01-06")
