"""Days move out whole: plain Parquet that is checked before anything leaves, listed with its checksums, never overwritten."""

from __future__ import annotations

import hashlib
import json
import shutil
import stat
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import archivekit
import pytest
import storekit as kit
from storekit import DAY_1, DAY_2, DAY_3, event

from evlog.archive import day as days
from evlog.archive import log
from evlog.errors import EvlogError
from evlog.event.record import COLUMNS
from evlog.ingest.rules import Rules
from evlog.store import audit, durable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archivekit import Here

OLD = [DAY_1, DAY_2, DAY_3]
BACKFILL = Rules(plan=kit.RULES.plan, backfill=True)


@pytest.fixture
def evlog(monkeypatch: pytest.MonkeyPatch, capfdbinary: Any, tmp_path: Path) -> Iterator[Here]:
    archivekit.filled(tmp_path / "evlog-data")
    yield from archivekit.calls(monkeypatch, capfdbinary, tmp_path)


def parquet(folder: Path, pattern: str = "*/*.parquet") -> list[tuple[Any, ...]]:
    """What a stranger's DuckDB finds in an archive, in the order of the columns of `events`."""
    import duckdb

    with duckdb.connect() as connection:
        names = ", ".join(COLUMNS)
        sql = f"SELECT {names}, date FROM read_parquet($glob, hive_partitioning = true)"
        return sorted(connection.execute(sql, {"glob": f"{folder}/{pattern}"}).fetchall(), key=repr)


def test_days_move_out_as_parquet_that_any_reader_knows(evlog: Here) -> None:
    before = [row for row in kit.rows(evlog.store) if row[-1] in OLD]
    stay = [row for row in kit.rows(evlog.store) if row[-1] not in OLD]
    code, out, err = evlog("archive", "--older-than", "90d", "--to", "arc")
    assert code == 0, err
    assert "2026-01-05" in out
    assert "no erasure reaches an archive" in err
    assert parquet(evlog.root / "arc") == before
    assert kit.rows(evlog.store) == stay
    assert not [path for path in evlog.store.root.rglob("*2026-01-05*") if "rollups" not in path.parts]
    kit.sound(evlog.store)
    late = kit.ingest(evlog.store, event("late"))
    assert late.tally.reasons == {"beyond_retention": 1}


def test_checksums_are_for_everyone_and_files_for_nobody_else(evlog: Here) -> None:
    assert evlog("archive", "--older-than", "90d", "--to", "arc")[0] == 0
    folder = evlog.root / "arc"
    done = subprocess.run(["sha256sum", "-c", "--strict", "SHA256SUMS"], cwd=folder, capture_output=True, check=False)
    assert done.returncode == 0
    assert done.stdout.count(b": OK") == 4
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.glob("date=*")} == {0o700}
    lines = [json.loads(line) for line in (folder / "manifest.ndjson").read_text().splitlines()]
    marker = json.loads((evlog.store.root / "evlog.json").read_text())
    for line, rows in zip(lines, (3, 2, 1), strict=True):
        raw = (folder / line["file"]).read_bytes()
        assert (line["bytes"], line["sha256"]) == (len(raw), hashlib.sha256(raw).hexdigest())
        assert (line["rows"], line["store"], line["format"]) == (rows, marker["store"], marker["format"])
    assert [line["day"] for line in lines] == [str(day) for day in OLD]


def test_out_is_the_same_word_and_a_dry_run_moves_nothing(evlog: Here) -> None:
    before = kit.tree(evlog.root)
    told = evlog.json("archive", "out", "--older-than", "90d", "--to", "arc", "--dry-run")
    assert kit.tree(evlog.root) == before
    done = evlog.json("archive", "out", "--older-than", "90d", "--to", "arc")
    assert [(row["date"], row["events"]) for row in told["rows"]] == [
        (row["date"], row["events"]) for row in done["rows"]
    ]
    assert told["summary"]["events"] == done["summary"]["events"] == 6


def test_the_audit_log_knows_where_archives_went(evlog: Here) -> None:
    assert log.archives(evlog.store) == []
    done = evlog.json("archive", "--older-than", "90d", "--to", "arc")
    evlog("archive", "--older-than", "90d", "--to", "arc")  # nothing is left to go: nothing is said
    [found] = log.archives(evlog.store)
    manifest = hashlib.sha256((evlog.root / "arc" / "manifest.ndjson").read_bytes()).hexdigest()
    assert (found.to, found.first, found.last) == (str(evlog.root / "arc"), DAY_1, DAY_3)
    assert (found.days, found.events, found.copied, found.encryption) == (3, 6, False, "")
    assert found.manifest == manifest == done["summary"]["manifest"]
    assert found.at == evlog.now
    assert audit.findings(evlog.store) == []


def test_a_copy_leaves_the_store_as_it_is(evlog: Here) -> None:
    before = kit.rows(evlog.store)
    code, _, err = evlog("archive", "--older-than", "90d", "--to", "arc", "--copy")
    assert code == 0, err
    assert kit.rows(evlog.store) == before
    assert parquet(evlog.root / "arc") == [row for row in before if row[-1] in OLD]
    assert [one.copied for one in log.archives(evlog.store)] == [True]
    assert kit.ingest(evlog.store, event("late")).tally.stored == 1


def test_the_same_day_again_is_not_written_again(evlog: Here) -> None:
    evlog("archive", "--older-than", "90d", "--to", "arc", "--copy")
    before = kit.tree(evlog.root / "arc")
    assert evlog("archive", "--older-than", "90d", "--to", "arc")[0] == 0
    assert kit.tree(evlog.root / "arc") == before
    kit.ingest(evlog.store, event("late"), rules=BACKFILL)
    litter = [evlog.root / "arc" / name for name in (".manifest.ndjson.1.tmp", "date=2026-01-05/.events.parquet.1.tmp")]
    for path in litter:  # of a process that died
        path.touch()
    assert evlog("archive", "--older-than", "90d", "--to", "arc")[0] == 0
    after = kit.tree(evlog.root / "arc")
    new = "date=2026-01-05/events-2.parquet"
    assert after.keys() - before.keys() == {new}
    assert {name for name in before if before[name] != after[name]} == {"manifest.ndjson", "SHA256SUMS"}
    assert [row[0] for row in parquet(evlog.root / "arc", "*/events-2.parquet")] == ["late"]
    assert evlog("archive", "verify", "arc")[0] == 0


def test_a_day_that_rots_while_it_is_written_stays_in_the_store(evlog: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    before = kit.rows(evlog.store)
    real = days.written

    def without_the_last(staged: Any, name: str, hot: Any, cold: Any) -> int:
        return real(staged, name, hot[:-1], cold)

    monkeypatch.setattr(days, "written", without_the_last)
    code, _, err = evlog("archive", "--older-than", "90d", "--to", "arc")
    assert code == 1
    assert "not those that its index knows" in err
    assert kit.rows(evlog.store) == before
    assert [path for path in (evlog.root / "arc").rglob("*") if path.is_file()] == []
    monkeypatch.undo()


def test_what_a_disk_gives_back_is_looked_at(evlog: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    before = kit.rows(evlog.store)
    sync = durable.os.fsync

    def rotten(fd: int) -> None:
        sync(fd)
        path = Path(f"/proc/self/fd/{fd}").readlink()
        if ".events" in path.name:
            with path.open("r+b") as file:
                file.write(b"X")

    monkeypatch.setattr("evlog.archive.out.os.fsync", rotten)
    code, _, err = evlog("archive", "--older-than", "90d", "--to", "arc")
    monkeypatch.undo()
    assert code == 1
    assert "does not hold what was written" in err
    assert kit.rows(evlog.store) == before


def test_it_refuses_folders_that_are_not_its_own(evlog: Here, tmp_path: Path) -> None:
    before = kit.rows(evlog.store)
    assert "lie in each other" in evlog("archive", "--to", "evlog-data/x")[2]
    assert "lie in each other" in evlog("archive", "--to", ".")[2]
    (tmp_path / "sums").mkdir()
    (tmp_path / "sums" / "SHA256SUMS").write_text("mine\n")
    assert "of something else" in evlog("archive", "--to", "sums")[2]
    archivekit.filled(tmp_path / "other")
    assert evlog("--data", "other", "archive", "--to", "arc")[0] == 0
    theirs = kit.tree(tmp_path / "arc")
    code, _, err = evlog("archive", "--to", "arc")
    assert (code, "archive of another store" in err) == (1, True)
    assert kit.tree(tmp_path / "arc") == theirs
    assert kit.rows(evlog.store) == before
    assert evlog("archive", "--older-than", "90d")[0] == 2
    assert evlog("archive", "--to", "x", "restore", "arc")[0] == 2


def test_a_link_in_the_archive_is_not_followed(evlog: Here, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "arc").mkdir()
    (tmp_path / "arc" / "date=2026-01-05").symlink_to(tmp_path / "elsewhere")
    code, _, err = evlog("archive", "--to", "arc")
    assert (code, "symlink" in err) == (1, True)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_verify_tells_what_is_wrong_and_needs_no_store(evlog: Here, tmp_path: Path) -> None:
    assert evlog("archive", "--older-than", "90d", "--to", "arc")[0] == 0
    shutil.rmtree(tmp_path / "evlog-data")
    assert evlog.json("archive", "verify", "arc")["summary"] == {"files": 4, "wrong": 0}
    one, two, three = (tmp_path / "arc" / f"date={day}" / "events.parquet" for day in OLD)
    one.write_bytes(one.read_bytes()[:-1] + b"X")
    two.unlink()
    three.write_bytes(three.read_bytes()[:-1])
    (three.parent / "more.parquet").touch()
    (tmp_path / "arc" / "SHA256SUMS").write_text("nothing\n")
    told = evlog.json("archive", "verify", "arc", code=1)
    says = {row["file"]: row["says"] for row in told["rows"]}
    assert says["manifest.ndjson"] == "SHA256SUMS says otherwise"
    assert says["date=2026-01-05/events.parquet"] == "other content"
    assert says["date=2026-01-06/events.parquet"] == "missing"
    assert says["date=2026-01-07/events.parquet"].endswith(f"not {three.stat().st_size + 1}")
    assert says["date=2026-01-07/more.parquet"] == "not in the manifest"
    assert evlog("archive", "verify", "nowhere")[0] == 1


@pytest.mark.parametrize(
    "line",
    [
        b"{}",
        b"[]",
        b"{bad",
        b'{"file":"../../x"}',
        b'{"store":"s","day":"2026-01-05","file":"date=2026-01-05/events.parquet","rows":1,"bytes":1,"sha256":"x","content":"x","recipients":[]}',
        b'{"store":"s","day":"2026-01-05","file":"../x/date=2026-01-05/events.parquet","rows":1,"bytes":1,"sha256":"'
        + b"0" * 64 + b'","content":"' + b"0" * 64 + b'","recipients":[]}',
    ],
)  # fmt: skip
def test_a_manifest_that_is_none_is_refused(evlog: Here, tmp_path: Path, line: bytes) -> None:
    (tmp_path / "arc").mkdir()
    (tmp_path / "arc" / "manifest.ndjson").write_bytes(line + b"\n")
    for words in (("verify", "arc"), ("restore", "arc", "--force"), ("out", "--to", "arc")):
        code, _, err = evlog("archive", *words)
        assert code == 1
        assert "is no entry of a manifest" in err


# -- sealed --------------------------------------------------------------------------------------------------------------


def test_an_age_archive_holds_no_plain_text_and_opens_with_its_key(evlog: Here, tmp_path: Path) -> None:
    before = kit.rows(evlog.store)
    if find_spec("pyrage") is None:
        code, _, err = evlog("archive", "--to", "arc", "--encrypt-to", "age1x")
        assert (code, "evlog-toolkit[archive]" in err) == (1, True)
        return
    import pyrage

    mine, other = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
    (tmp_path / "recipients").write_text(f"# me\n{mine.to_public()}\n\n")
    (tmp_path / "key").write_text(f"# created\n{mine}\n")
    (tmp_path / "wrong").write_text(f"{other}\n")
    assert evlog("archive", "--to", "arc", "--encrypt-to", "recipients")[0] == 0
    files = sorted((tmp_path / "arc").glob("date=*/*"))
    assert [path.name for path in files] == ["events.parquet.age"] * 3
    assert not any(b"PAR1" in path.read_bytes() or b"bob" in path.read_bytes() for path in files)
    assert evlog("archive", "verify", "arc")[0] == 0
    stays = kit.tree(evlog.store.root)
    for words, says in (
        ((), "--identity FILE"),
        (("--identity", "wrong"), "cannot decrypt"),
        (("--identity", "recipients"), "holds no age key"),
        (("--identity", "nowhere"), "holds no age key"),
    ):
        code, _, err = evlog("archive", "restore", "arc", *words)
        assert code in {1, 2}
        assert says in err
        assert str(mine.to_public()) not in err
    assert kit.tree(evlog.store.root) == stays
    assert evlog("archive", "restore", "arc", "--identity", "wrong", "--identity", "key")[0] == 0
    assert kit.rows(evlog.store) == before
    kit.sound(evlog.store)
    sealed = kit.tree(tmp_path / "arc")
    assert evlog("archive", "--to", "arc", "--encrypt-to", str(mine.to_public()))[0] == 0
    assert kit.tree(tmp_path / "arc") == sealed  # the same days for the same reader lie there already
    assert evlog("archive", "restore", "arc", "--identity", "key")[0] == 0
    assert evlog("archive", "--to", "arc", "--encrypt-to", str(other.to_public()))[0] == 0
    assert len(kit.tree(tmp_path / "arc")) == len(sealed) + 3  # another reader: a file of its own
    assert evlog("archive", "--to", "arc", "--encrypt-to", "age1nonsense")[0] == 2
    assert evlog("archive", "--to", "arc", "--encrypt-to", "nofile")[0] == 2


def test_a_gpg_archive_goes_by_the_program(evlog: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = kit.rows(evlog.store)
    if (gpg := shutil.which("gpg")) is not None:
        home = tmp_path / "g"
        home.mkdir(mode=0o700)
        monkeypatch.setenv("GNUPGHOME", str(home))
        words = ["--batch", "--quiet", "--passphrase", "", "--quick-gen-key", "t@example.com", "default", "default"]
        subprocess.run([gpg, *words, "never"], check=True, capture_output=True)
        try:
            code, _, err = evlog("archive", "--to", "arc", "--encrypt-to-gpg", "nobody@example.com")
            assert (code, "gpg failed" in err) == (1, True)
            assert kit.rows(evlog.store) == before
            assert evlog("archive", "--to", "arc", "--encrypt-to-gpg", "t@example.com")[0] == 0
            assert [path.name for path in (tmp_path / "arc").glob("date=*/*")] == ["events.parquet.gpg"] * 3
            assert evlog("archive", "restore", "arc")[0] == 0
        finally:
            subprocess.run(["gpgconf", "--kill", "all"], check=False)
        assert kit.rows(evlog.store) == before
        assert evlog("archive", "--to", "arc", "--encrypt-to-gpg", "--output")[0] == 2
    monkeypatch.setenv("PATH", str(tmp_path))
    code, _, err = evlog("archive", "--to", "brc", "--encrypt-to-gpg", "t@example.com")
    assert (code, "needs the program gpg" in err) == (1, True)


def test_without_the_library_the_error_names_the_extra(evlog: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pyrage", None)
    code, _, err = evlog("archive", "--to", "arc", "--encrypt-to", "age1x")
    assert (code, "pip install 'evlog-toolkit[archive]'" in err) == (1, True)
    assert not (evlog.root / "arc").exists()


def test_what_is_no_parquet_is_told(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"no")
    with pytest.raises(EvlogError, match="is no archived day"):
        list(days.read(tmp_path / "x"))
