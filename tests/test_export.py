"""`evlog export`: every event there is, in formats that say the same, streamed, in folders, and never silently."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import sys
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import exportkit
import pytest
import storekit as kit
from exportkit import SUFFIXES, evlog, ids, lake, read, sent, summed
from storekit import DAY_1, DAY_2, DAY_3, event

from evlog.cli import exporting
from evlog.event.record import COLUMNS
from evlog.export import events, folder
from evlog.render import streamed
from evlog.store import audit, layout

if TYPE_CHECKING:
    from pathlib import Path

    from evlog.store.layout import Store


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("EVLOG_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = layout.create(tmp_path / "s")
    kit.ingest(made, *(event(f"a{n}", DAY_1, f"u{n % 3}", n=n, note='ä,\n"x') for n in range(7)))
    kit.ingest(made, event("b2", DAY_2, "u1", at=[1, {"x": None}]), event("b1", DAY_2, None, anonymous_id="anon-1"))
    return made


def the_store_as_a_reader_sees_it(store: Store) -> list[dict[str, Any]]:
    rows = kit.rows(store, ", ".join((*COLUMNS, "date")))
    return [dict(zip((*COLUMNS, "date"), row, strict=True)) for row in sorted(rows, key=lambda row: (row[1], row[14]))]


def spelled(value: Any, name: str) -> Any:
    if isinstance(value, datetime):
        return value.isoformat() + "Z"
    if isinstance(value, date):
        return value.isoformat()
    return json.loads(value) if name in {"properties", "context"} and isinstance(value, str) and value else value


@pytest.mark.parametrize("cold", [False, True])
@pytest.mark.parametrize("form", SUFFIXES)
def test_every_format_says_what_a_reader_of_the_store_sees(store: Store, form: str, *, cold: bool) -> None:
    if cold:
        kit.here(store.root, "compact", str(DAY_2))
        kit.ingest(store, event("late", DAY_1, "zoe"))
    code, out, err = evlog(store.root, "export", "--format", form, "--output", f"x.{form}")
    assert (code, out) == (0, b""), err
    found = [
        {name: spelled(value, name) for name, value in row.items()}
        for row in read(store.root.parent / f"x.{form}", form)
    ]
    wanted = [
        {name: spelled(value, name) for name, value in row.items()} for row in the_store_as_a_reader_sees_it(store)
    ]
    assert list(found[0]) == [*COLUMNS, "date"]
    if form == "csv":
        wanted = [
            {name: "" if value is None else value for name, value in row.items()} | {"seq": str(row["seq"])}
            for row in wanted
        ]
    assert found == wanted
    assert len(found) == 9 + cold


@pytest.mark.parametrize("form", SUFFIXES)
def test_a_file_and_a_pipe_get_the_same_bytes(store: Store, form: str) -> None:
    evlog(store.root, "export", "--format", form, "--output", "x")
    code, out, _ = evlog(store.root, "export", "--format", form)
    assert code == 0
    assert out == (store.root.parent / "x").read_bytes()
    assert stat.S_IMODE((store.root.parent / "x").stat().st_mode) == 0o600


@pytest.mark.parametrize("form", SUFFIXES)
def test_an_empty_store_gives_an_empty_whole(tmp_path: Path, form: str) -> None:
    made = layout.create(tmp_path / "s")
    code, _, err = evlog(made.root, "export", "--format", form, "--output", "x")
    assert (code, err) == (0, "there is no event to send\n")
    assert read(tmp_path / "x", form) == []
    assert audit.read(made) == []


def test_without_a_range_everything_goes_and_it_is_said(store: Store) -> None:
    kit.ingest(store, event("old", date(2001, 2, 3)))
    code, out, err = evlog(store.root, "export", "--as-of", "latest")
    assert len(out.splitlines()) == 10
    code, out, err = evlog(store.root, "export")
    assert (code, len(out.splitlines())) == (0, 10)
    assert err == f"sent 10 events of 2001-02-03 to {DAY_2}; all there are\n"
    assert evlog(store.root, "export", "--quiet")[2] == ""


@pytest.mark.parametrize(
    ("words", "days"),
    [
        (["--from", "2026-01-06"], {DAY_2, DAY_3}),
        (["--to", "2026-01-05"], {date(2025, 1, 1), DAY_1}),
        (["--from", "2026-01-05", "--to", "2026-01-06"], {DAY_1, DAY_2}),
        (["--days", "2", "--as-of", "2026-01-06"], {DAY_1, DAY_2}),
        (["--as-of", "2026-01-05"], {date(2025, 1, 1), DAY_1}),
        (["--as-of", "2026-01-06T09:59:59Z"], {date(2025, 1, 1), DAY_1}),
        (["--from", "2026-01-05", "--as-of", "2026-01-06T09:59:59Z"], {DAY_1}),
        (["--all-time"], {date(2025, 1, 1), DAY_1, DAY_2, DAY_3}),
        (["--from", "2026-01-06", "--to", "2026-01-06", "--tz", "Asia/Tokyo"], {DAY_2}),
        (["--from", "2026-01-06", "--to", "2026-01-06", "--tz", "Pacific/Kiritimati"], {DAY_1}),
    ],
)
@pytest.mark.parametrize("cold", [False, True])
def test_a_range_lets_its_days_through(tmp_path: Path, words: list[str], days: set[date], *, cold: bool) -> None:
    made = layout.create(tmp_path / "s")
    kit.ingest(made, *(event(f"e{day}", day) for day in (date(2025, 1, 1), DAY_1, DAY_2, DAY_3)))
    if cold:
        kit.here(made.root, "compact", "2026-02-01")
    assert set(ids(sent(made.root, *words))) == {f"e{day}" for day in days}


def test_what_a_settings_file_says_of_reports_cuts_nothing_short(store: Store, tmp_path: Path) -> None:
    (tmp_path / "evlog.toml").write_text("[report]\ndays = 1\n")
    assert len(sent(store.root)) == 9
    assert len(sent(store.root, "--days", "1", "--as-of", "2026-01-06")) == 2


def test_conditions_hold_together(store: Store) -> None:
    assert ids(sent(store.root, "--where", "properties.n>=2", "--where", "user_id in u0,u1")) == ["a3", "a4", "a6"]
    assert ids(sent(store.root, "--where", "anonymous_id exists")) == ["b1"]
    assert ids(sent(store.root, "--where", "ts<2026-01-06", "--where", "user_id=u0")) == ["a0", "a3", "a6"]
    assert sent(store.root, "--where", "user_id='; DROP TABLE events") == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--format", "table"], "--format table is for reports"),
        (["--format", "markdown"], "one of: ndjson, csv, json, parquet"),
        (["--into", "d", "--output", "f"], "--into and --output exclude each other"),
        (["--partition", "day"], "--partition goes with --into DIR"),
        (["--wait", "1s"], "--wait goes with --resume"),
        (["--resume", "r", "--days", "3"], "--resume and --days exclude each other"),
        (["--resume", "r", "--from", "2026-01-01"], "--resume and --from exclude each other"),
        (["--resume", "r", "--as-of", "latest"], "--resume and --as-of exclude each other"),
        (["--resume", "s"], "--resume s is a folder"),
        (["--into", "s/evlog.json"], "--into s/evlog.json is no folder"),
        (["--into", "s/events/lake"], "lies in the store"),
        (["--to", "lake"], "'lake' is no date"),
        (["--to", "lake"], "a folder for files is named by --into DIR"),
        (["--days", "x"], "--days: expected a number of days"),
        (["--report", "dau", "--into", "d"], "--into is for events"),
        (["--report", ""], "--report names no report"),
        (["--report", "nonsense"], "there is no report nonsense"),
        (["--report", "'dau"], "No closing quotation"),
        (["--where", "??"], "'??' is no condition"),
    ],
)
def test_words_that_do_not_go_together(store: Store, words: list[str], says: str) -> None:
    before = kit.tree(store.root)
    code, out, err = evlog(store.root, "export", *words)
    assert (code, out) == (2, b"")
    assert says in err
    assert kit.tree(store.root) == before
    assert {path.name for path in store.root.parent.iterdir()} == {"s", "s.in"}


def test_cells_that_a_spreadsheet_would_run_are_disarmed(tmp_path: Path) -> None:
    made = layout.create(tmp_path / "s")
    kit.ingest(made, event("=1+1", feature="@cmd", session_id="-5"))
    evlog(made.root, "export", "--format", "csv", "--output", "x")
    evlog(made.root, "export", "--format", "csv", "--output", "raw", "--raw-csv")
    told, raw = read(tmp_path / "x", "csv")[0], read(tmp_path / "raw", "csv")[0]
    assert (told["event_id"], told["feature"], told["session_id"]) == ("'=1+1", "'@cmd", "-5")
    assert (raw["event_id"], raw["feature"]) == ("=1+1", "@cmd")


@pytest.mark.parametrize("form", SUFFIXES)
def test_a_folder_is_partitioned_as_hive_has_it(store: Store, tmp_path: Path, form: str) -> None:
    code, out, err = evlog(store.root, "export", "--into", "lake", "--format", form)
    assert (code, out) == (0, b""), err
    found = lake(tmp_path / "lake", form)
    assert sorted(ids(found)) == kit.ids(store)
    assert {row["event_id"]: str(row["date"]) for row in found}["b1"] == str(DAY_2)
    alone = read(next((tmp_path / "lake").glob("*/*")), form)
    assert list(alone[0]) == list(COLUMNS), "the folder alone says the date"
    summed(tmp_path / "lake")
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "lake").rglob("*") if path.is_file()} == {0o600}
    assert {path.name for path in (tmp_path / "lake").glob("date=*")} == {f"date={DAY_1}", f"date={DAY_2}"}


def test_a_stranger_reads_the_folder(store: Store, tmp_path: Path) -> None:
    evlog(store.root, "export", "--into", "lake", "--format", "parquet")
    rows = exportkit.parquet(f"{tmp_path}/lake/*/*.parquet")
    assert {row["event_id"]: row["date"] for row in rows}["a3"] == DAY_1
    evlog(store.root, "export", "--into", "months", "--partition", "month", "--format", "parquet")
    rows = exportkit.parquet(f"{tmp_path}/months/*/*.parquet")
    assert {(str(row["month"]), row["date"]) for row in rows} == {("2026-01", DAY_1), ("2026-01", DAY_2)}
    assert len(list((tmp_path / "months").glob("*/*"))) == 1


def test_a_large_partition_becomes_several_files(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "ROWS", 3)
    monkeypatch.setattr(events, "_BATCH", 2)
    evlog(store.root, "export", "--into", "lake")
    assert [len(read(path, "ndjson")) for path in sorted((tmp_path / "lake").glob(f"date={DAY_1}/*"))] == [3, 3, 1]
    assert sorted(ids(lake(tmp_path / "lake"))) == kit.ids(store)
    summed(tmp_path / "lake")


def test_what_is_there_is_not_overwritten(store: Store, tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake" / "mine.txt").write_text("mine")
    code, _, err = evlog(store.root, "export", "--into", "lake")
    assert code == 1
    assert "is not empty; nothing was written" in err
    assert [path.name for path in (tmp_path / "lake").iterdir()] == ["mine.txt"]
    assert evlog(store.root, "export", "--into", "once")[0] == 0
    before = kit.tree(tmp_path / "once")
    assert evlog(store.root, "export", "--into", "once")[0] == 1
    assert kit.tree(tmp_path / "once") == before


def test_a_write_that_fails_leaves_nothing(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x").write_text("before")

    def fails(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(streamed, "write", fails)
    code, _, err = evlog(store.root, "export", "--output", "x")
    assert (code, (tmp_path / "x").read_text()) == (1, "before")
    assert "No space left on device" in err
    code, _, err = evlog(store.root, "export", "--into", "lake", "--resume", "r")
    assert code == 1
    assert "No space left on device" in err
    assert list((tmp_path / "lake").iterdir()) == []
    assert json.loads((tmp_path / "r").read_text())["batch"] == 0
    assert audit.read(store) == []


def test_the_audit_log_counts_and_names_nobody(store: Store) -> None:
    sent(store.root, "--where", "user_id=u1")
    sent(store.root, "--where", "user_id=nobody")
    [entry] = audit.read(store)
    assert entry["what"] == "export"
    assert entry["details"] == {
        "events": 3, "from": str(DAY_1), "to": str(DAY_2), "after_commit": 0, "upto_commit": 2, "conditions": 1,
        "format": "ndjson", "pseudonymised": False, "complete": True,
    }  # fmt: skip
    assert "u1" not in json.dumps(entry)
    kit.sound(store)


def test_a_reader_that_went_away_is_told_to_the_audit_log_too(store: Store) -> None:
    words = [sys.executable, "-m", "evlog", "--data", str(store.root), "export"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as called:
        called.stdout.close()
        assert called.wait(60) == 0
        assert called.stderr.read() == b""
    [entry] = audit.read(store)
    assert (entry["details"]["complete"], entry["details"]["events"]) == (False, 9)


def test_a_report_is_exported_with_its_options(store: Store, tmp_path: Path) -> None:
    asked = ("--from", "2026-01-05", "--to", "2026-01-06")
    code, out, _ = evlog(store.root, "export", "--report", "dau", *asked, "--format", "csv")
    assert (code, out) == (0, evlog(store.root, "report", "dau", *asked, "--format", "csv")[1])
    assert out == b"date,dau\n2026-01-05,3\n2026-01-06,1\n"
    words = ("--report", "top user_id", "--where", "user_id=u1", *asked, "--format", "parquet")
    assert evlog(store.root, "export", *words, "--output", "top.parquet")[0] == 0
    assert [row["value"] for row in read(tmp_path / "top.parquet", "parquet")] == ["u1"]
    assert [entry["details"]["report"] for entry in audit.read(store)] == ["dau", "top"]


@pytest.mark.parametrize("form", SUFFIXES)
def test_pseudonyms_stand_for_ids_in_every_format(tmp_path: Path, form: str) -> None:
    made = layout.create(tmp_path / "s")
    kit.ingest(
        made,
        event("e1", DAY_1, "alice@id", session_id="sess-77", seen="alice@id"),
        event("e2", DAY_1, None, anonymous_id="device-99", target_type="user", target_id="alice@id"),
        event("e3", DAY_2, "alice@id"),
    )
    assert evlog(made.root, "export", "--format", form, "--output", "plain")[0] == 0
    assert evlog(made.root, "export", "--format", form, "--output", "x", "--pseudonymise")[0] == 0
    said = json.dumps(read(tmp_path / "x", form), default=str)
    assert all(
        one in json.dumps(read(tmp_path / "plain", form), default=str) for one in ("alice@id", "sess-77", "device-99")
    )
    assert not any(one in said for one in ("alice@id", "sess-77", "device-99"))
    rows = {row["event_id"]: row for row in read(tmp_path / "x", form)}
    assert rows["e1"]["user_id"] == rows["e3"]["user_id"] == rows["e2"]["target_id"]
    assert audit.read(made)[-1]["details"]["pseudonymised"] is True
    assert evlog(made.root, "export", "--into", "lake", "--pseudonymise")[0] == 0
    assert {row["user_id"] for row in lake(tmp_path / "lake")} == {rows["e1"]["user_id"], None}


def test_events_that_another_store_counted_go_too(store: Store) -> None:
    """An archive of another store brings lines whose `seq` is of that store."""
    [path] = store.segments(DAY_2).iterdir()
    lines = [
        json.loads(line) | {"received_at": "2026-01-01T00:00:00.000000Z"} for line in path.read_bytes().splitlines()
    ]
    text = "".join(json.dumps(line | {"seq": (10**6 << 26) + line["seq"]}) + "\n" for line in lines)
    path.write_text(text)
    assert ids(sent(store.root))[-2:] == ["b2", "b1"]
    assert "b1" not in ids(sent(store.root, "--resume", "r"))


# -- in little memory -------------------------------------------------------------------------------------------------


def _batches(count: int, rows: int, heard: list[int]) -> Any:
    import pyarrow as pa

    for number in range(count):
        heard.append(number)
        yield pa.RecordBatch.from_pylist([{"event_id": f"{number}-{row}"} for row in range(rows)], events.schema())


@pytest.mark.parametrize("form", SUFFIXES)
def test_a_batch_is_written_before_the_next_but_one_is_asked_for(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streamed, "_GROUP", 2_000)
    heard: list[int] = []
    held: list[int] = []

    class Sink(io.BytesIO):
        def write(self, data: Any) -> int:
            held.extend([heard[-1]] if len(data) > 1_000 and heard else [])
            return super().write(data)

        def writelines(self, lines: Any) -> None:
            for line in lines:
                self.write(line)

    streamed.write(Sink(), _batches(12, 2_000, heard), schema=events.schema(), form=form)
    assert len(heard) == 12
    assert set(held) >= set(range(1, 12)), "each batch had its bytes written before another one came"


def test_a_day_is_read_when_its_turn_comes(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    sorted_ = events._sorted
    monkeypatch.setattr(events, "_sorted", lambda *args: asked.append(1) or sorted_(*args))
    days = events.days(store, events.Asked(-1, 99))
    assert asked == []
    assert (next(days)[0], len(asked)) == (DAY_1, 1)
    assert (next(days)[0], len(asked)) == (DAY_2, 2)


def test_a_large_day_waits_on_the_disk_without_a_name(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_SMALL", 64)
    spools = []
    spooled = events.SpooledTemporaryFile
    monkeypatch.setattr(events, "SpooledTemporaryFile", lambda **said: spools.append(spooled(**said)) or spools[-1])
    days = events.days(store, events.Asked(-1, 99))
    _, batches = next(days)
    assert spools[0]._rolled
    assert list(store.staging.iterdir()) == []
    assert sum(batch.num_rows for batch in batches) == 7
    days.close()
    assert spools[0].closed


# -- while others write -----------------------------------------------------------------------------------------------


def _before_the_second_day(monkeypatch: pytest.MonkeyPatch, act: Any) -> None:
    """Do something once the first day was read and went out."""
    done = []

    def counted(self: Any, days: Any) -> Any:
        for day, batches in days:
            yield day, batches
            if not done:
                done.append(act())

    monkeypatch.setattr(exporting.Sent, "counted", counted)


@pytest.mark.parametrize("command", ["compact", "merge"])
def test_files_that_are_replaced_meanwhile_are_read_again(
    store: Store, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    kit.ingest(store, event("b3", DAY_2), event("c1", DAY_3))
    before = ids(sent(store.root))

    def act() -> None:
        kit.ingest(store, event("later", DAY_2), event("later", DAY_1))
        kit.here(store.root, command, str(DAY_3 if command == "compact" else DAY_1))

    _before_the_second_day(monkeypatch, act)
    assert ids(sent(store.root)) == before
    assert "later" in ids(sent(store.root))


def test_a_day_of_which_files_were_replaced_under_the_reader_is_read_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader had the segments open already when compaction put their events into the part."""
    kit.here(store.root, "compact", str(DAY_2))
    kit.ingest(store, event("hot", DAY_1))
    before = ids(sent(store.root))
    sorted_, seen = events._sorted, []

    def doubled(*args: Any) -> bool:
        seen.append(1)
        if len(seen) > 1:
            return sorted_(*args)
        [segment] = store.segments(DAY_1).iterdir()
        held = segment.read_bytes()
        kit.here(store.root, "compact", str(DAY_2))
        segment.parent.mkdir(exist_ok=True)
        segment.write_bytes(held)
        some = sorted_(*args)
        segment.unlink()
        return some

    monkeypatch.setattr(events, "_sorted", doubled)
    assert ids(sent(store.root)) == before


def test_who_is_erased_meanwhile_is_in_no_file(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, words in enumerate((("--output", "x"), ("--into", "lake"), ())):
        kit.ingest(store, event(f"z{number}", DAY_1, f"zoe-{number}"))
        with monkeypatch.context() as patched:
            _before_the_second_day(patched, lambda number=number: kit.here(store.root, "delete", f"zoe-{number}"))
            code, _, err = evlog(store.root, "export", "--resume", f"r{number}", *words)
        assert code == 1
        assert "a user was erased while the export was made" in err
        point = tmp_path / f"r{number}"
        assert not point.exists() or json.loads(point.read_text())["batch"] == 0
    assert not (tmp_path / "x").exists()
    assert list((tmp_path / "lake").iterdir()) == []
    assert "zoe-1" not in json.dumps(sent(store.root))
    assert evlog(store.root, "export", "--resume", "r1", "--into", "lake")[0] == 0
    assert sorted(ids(lake(tmp_path / "lake"))) == kit.ids(store)
