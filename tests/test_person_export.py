"""Everything about one person, from every tier, in canonical order; nothing about anybody else."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import signal
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import storekit as kit
from storekit import DAY_1, DAY_2, NOW, event

from evlog.cli.run import run
from evlog.event.record import COLUMNS
from evlog.person import export as access
from evlog.person.export import export
from evlog.store import audit, layout, rollups, snapshot
from evlog.store.rollups import Period, Record, Section

PLAN = """
purposes = ["analytics", "marketing"]
[events.seen]
description = "Somebody | looked."
[events.seen.properties.n]
type = "integer"
min = 0
description = "how often"
[events.mail]
purpose = "marketing"
"""


@pytest.fixture
def evlog(monkeypatch, capfdbinary, tmp_path):
    """Run evlog on words in a folder of its own; its exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(os, "fsync", lambda fd: None)
    monkeypatch.setattr("evlog.cli.clock.now", lambda: NOW)
    before = signal.getsignal(signal.SIGTERM)

    def call(*words: str) -> tuple[int, str, str]:
        code = run(("--data", "s", *words))
        sys.stdout.flush()
        out, err = capfdbinary.readouterr()
        return code, out.decode(), err.decode()

    yield call
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def held(evlog, tmp_path):
    """A store in both tiers, with links, lines in quarantine and a rollup that names people."""
    (tmp_path / "plan.toml").write_text(PLAN)
    (tmp_path / "evlog.toml").write_text("")
    store = layout.create(tmp_path / "s")
    kit.ingest(
        store, event("3", DAY_2, "zoe_zoe_zoe", properties={"n": 3, "to": 'Zoë, "x"\n=1+1'}),
        event("1", DAY_1, "zoe_zoe_zoe", anonymous_id="phone_phone"), event("2", DAY_1, None, anonymous_id="phone_phone"),
        event("x", DAY_1, "bob"), {**event("q1", user="zoe_zoe_zoe"), "ts": "x"}, {**event("q2", user="bob", to="zoe_zoe_zoe"), "ts": "x"},
        b'{"userId": "zoe_zoe_zoe", "event_id": "q3"', b'[{"userId": "zoe_zoe_zoe"}, {"uid": "bob"', {**event("q4", user=None, anonymous_id="phone_phone"), "ts": "x"},
    )  # fmt: skip
    kit.here(store.root, "link", "old_old_old", "zoe_zoe_zoe")
    kit.here(store.root, "compact", str(DAY_2))
    period = Period("day", DAY_1, DAY_1, "UTC")
    records = (
        Record("events", 3.0, "target_id", "zoe_zoe_zoe"), Record("events", 2.0, "target_id", "bob"),
        Record("events", 1.0, "feature,target_id", '["f","phone_phone"]'),
    )  # fmt: skip
    path = store.root / period.target
    path.parent.mkdir(parents=True)
    path.write_bytes(rollups.content(period, [Section("targets", "d", 1, datetime(2026, 1, 6), records)]))
    return store


def checked(folder: Path, prefix: str = "") -> dict[str, bytes]:
    """The files that the checksums name, each held against its own."""
    found = {}
    for told in (folder / f"{prefix}SHA256SUMS").read_text().splitlines():
        digest, name = told.split("  ")
        found[name] = (folder / name).read_bytes()
        assert hashlib.sha256(found[name]).hexdigest() == digest
    return found


def read_back(raw: bytes, form: str) -> list[dict[str, Any]]:
    """The rows as a stranger reads them, texts for all but what is JSON."""
    if form == "ndjson":
        rows = [json.loads(one) for one in raw.splitlines()]
    elif form == "json":
        rows = json.loads(raw)["rows"]
    elif form == "csv":
        rows = [{key: cell or None for key, cell in row.items()} for row in csv.DictReader(io.StringIO(raw.decode()))]
    else:
        rows = pq.read_table(io.BytesIO(raw)).to_pylist()
    for row in rows:
        if isinstance(row["properties"], str):
            row["properties"] = json.loads(row["properties"])
    return [{key: row[key] for key in ("event_id", "user_id", "anonymous_id", "properties")} for row in rows]


EVENTS = [
    {"event_id": "1", "user_id": "zoe_zoe_zoe", "anonymous_id": "phone_phone", "properties": None},
    {"event_id": "2", "user_id": None, "anonymous_id": "phone_phone", "properties": None},
    {"event_id": "3", "user_id": "zoe_zoe_zoe", "anonymous_id": None, "properties": {"n": 3, "to": 'Zoë, "x"\n=1+1'}},
]


@pytest.mark.parametrize("form", ["ndjson", "json", "csv", "parquet"])
def test_every_format_gives_the_same_rows_on_stdout_and_in_a_folder(evlog, held, capfdbinary, form):
    code = run(("--data", "s", "user", "export", "phone_phone", "--format", form))
    sys.stdout.flush()
    out, err = capfdbinary.readouterr()
    assert (code, err) == (0, b"")
    assert read_back(out, form) == EVENTS
    assert evlog("user", "export", "zoe_zoe_zoe", "--format", form, "--to", "out")[0] == 0
    assert read_back(checked(Path("out"))[f"events.{form}"], form) == EVENTS


def test_a_folder_holds_all_that_is_known_and_explains_it(evlog, held):
    code, out, _ = evlog("user", "export", "zoe_zoe_zoe", "--to", "out")
    assert (code, out) == (0, "")
    files = checked(Path("out"))
    assert {path.name for path in Path("out").iterdir()} == {*files, "SHA256SUMS"}
    assert Path("out").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in Path("out").iterdir()} == {0o600}
    person = json.loads(files["person.json"])
    assert set(person["ids"]) == {"zoe_zoe_zoe", "phone_phone", "old_old_old"}
    assert [(one["from"], one["to"]) for one in person["links"]] == [("old_old_old", "zoe_zoe_zoe")]
    assert [(one["of"], one["value"]) for one in person["rollup_values"]] == [
        ("zoe_zoe_zoe", 3.0), ('["f","phone_phone"]', 1.0),
    ]  # fmt: skip
    assert (person["quarantined_lines"], person["quarantined_lines_withheld"]) == (3, 2)
    lines = [json.loads(one)["raw"] for one in files["quarantine.ndjson"].splitlines()]
    assert ["q1" in lines[0], "q3" in lines[1], "q4" in lines[2]] == [True] * 3
    assert b"bob" not in b"".join(files.values())
    fields = json.loads(files["fields.json"])
    assert set(fields["columns"]) == {*COLUMNS, "date"}
    assert all(one["meaning"] for one in fields["columns"].values())
    assert fields["event_types"]["seen"]["properties"]["n"] == {
        "type": "integer", "expected": "an integer >= 0", "meaning": "how often",
    }  # fmt: skip
    assert fields["event_types"]["mail"]["purpose"] == "marketing"
    assert all(text in files["FIELDS.md"].decode() for text in ("how often", "received_at", "Somebody \\| looked."))


def test_what_the_person_said_of_consent_is_handed_out(evlog, held):
    evlog("user", "suppress", "zoe_zoe_zoe")
    evlog("user", "export", "phone_phone", "--to", "out")
    told = json.loads(checked(Path("out"))["person.json"])["consent"]
    assert [(one["id"], one["purpose"], one["refused"]) for one in told] == [("zoe_zoe_zoe", "everything", True)]


@pytest.mark.long
def test_several_ids_have_numbered_folders_whatever_they_are_called(evlog, held, monkeypatch, tmp_path):
    (tmp_path / "ids").write_text("../../evil\n/etc/passwd\nzoe_zoe_zoe\nbob\nzoe_zoe_zoe\n")
    monkeypatch.setattr("sys.stdin", (tmp_path / "ids").open())
    assert evlog("user", "export", "-", "--to", "out")[0] == 0
    assert sorted(path.name for path in Path("out").iterdir()) == ["1", "2", "3", "4"]
    assert not (tmp_path.parent / "evil").exists()
    assert [len(checked(one)["events.ndjson"].splitlines()) for one in sorted(Path("out").iterdir())] == [0, 0, 3, 1]
    assert json.loads(checked(Path("out/1"))["person.json"])["asked_for"] == "../../evil"


def test_a_file_has_the_rest_beside_it(evlog, held):
    Path("u.csv").write_text("old")
    Path("u.csv").chmod(0o644)
    assert evlog("user", "export", "zoe_zoe_zoe", "--format", "csv", "--output", "u.csv")[0] == 0
    files = checked(Path(), "u.csv.")
    assert set(files) == {
        "u.csv", "u.csv.person.json", "u.csv.fields.json", "u.csv.FIELDS.md", "u.csv.quarantine.ndjson"
    }  # fmt: skip
    assert read_back(files["u.csv"], "csv") == EVENTS
    assert {path.stat().st_mode & 0o777 for path in Path().glob("u.csv*")} == {0o600}


def test_rows_and_nothing_else_go_through_a_pipe(evlog, held):
    assert evlog("user", "export", "nobody_nobody") == (0, "", "")
    assert evlog("user", "export", "zoe_zoe_zoe", "--output", "/dev/null") == (0, "", "")
    assert [json.loads(one)["event_id"] for one in evlog("user", "export", "bob")[1].splitlines()] == ["x"]


@pytest.mark.parametrize("to", [("--to", "out"), ("--output", "u.ndjson")])
def test_it_is_whole_or_not_there(evlog, held, monkeypatch, to):
    before = {path.name for path in Path().iterdir()}

    def breaks(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    for place in ("evlog.render.streamed.write_rows", "evlog.person.meanings.readable", "evlog.store.audit.tell"):
        with monkeypatch.context() as patch:
            patch.setattr(place, breaks)
            code, out, err = evlog("user", "export", "zoe_zoe_zoe", *to)
        assert (code, out, "No space left" in err) == (1, "", True)
        assert {path.name for path in Path().iterdir()} == before


def test_no_symlink_is_followed_and_nothing_is_written_over(evlog, held, tmp_path):
    (tmp_path / "else").mkdir()
    (tmp_path / "kept").write_text("kept")
    Path("folder").symlink_to("else")
    Path("file").symlink_to("kept")
    Path("dangling").symlink_to("nothing")
    Path("u.person.json").symlink_to("kept")
    for words in (("--to", "folder"), ("--to", "kept"), ("--output", "file"), ("--output", "dangling"), ("--output", "u"),
                  ("--output", "else"), ("--to", "new", "--output", "new")):  # fmt: skip
        assert evlog("user", "export", "zoe_zoe_zoe", *words)[0] == 2, words
    (tmp_path / "else" / "mine").write_text("")
    assert evlog("user", "export", "zoe_zoe_zoe", "--to", "else")[0] == 1
    assert ((tmp_path / "kept").read_text(), Path("nothing").exists(), Path("u").exists()) == ("kept", False, False)
    assert [path.name for path in (tmp_path / "else").iterdir()] == ["mine"]
    Path("empty").mkdir()
    assert evlog("user", "export", "zoe_zoe_zoe", "--to", "empty")[0] == 0


def test_every_export_is_in_the_audit_log_before_it_goes_out(evlog, held, monkeypatch):
    evlog("user", "export", "zoe_zoe_zoe")
    evlog("user", "export", "zoe_zoe_zoe", "--to", "out")
    evlog("user", "export", "nobody_nobody", "--output", "u")
    told = audit.read(held)
    assert [(one["what"], one["details"]["rows"]) for one in told[-3:]] == [
        ("user export", 3), ("user export", 3), ("user export", 0),
    ]  # fmt: skip
    assert told[-1]["subjects"] != told[-2]["subjects"] == told[-3]["subjects"]
    monkeypatch.setattr("evlog.store.audit.tell", lambda store, act: (_ for _ in ()).throw(OSError(5, "broken")))
    assert evlog("user", "export", "zoe_zoe_zoe")[:2] == (1, "")


def test_what_was_replaced_while_it_was_read_is_read_again(evlog, held, monkeypatch):
    seen, looks = snapshot.Snapshot.holds, []

    def once(self):
        looks.append(seen(self))
        return len(looks) > 1 and looks[-1]

    monkeypatch.setattr(snapshot.Snapshot, "holds", once)
    rows = [json.loads(one)["event_id"] for one in evlog("user", "export", "zoe_zoe_zoe")[1].splitlines()]
    assert (rows, len(looks)) == (["1", "2", "3"], 2)


def test_many_rows_are_never_all_held_at_once(tmp_path, monkeypatch):
    store = layout.create(tmp_path / "s")
    kit.ingest(store, *(event(f"e{n}", user="zoe") for n in range(20_000)))
    sizes = []

    def seen(pieces):
        sizes.extend(map(len, pieces))

    assert access.stream(store, ["zoe"], seen) == access.stream(store, ["zoe"], seen, arrow=True) == 20_000
    assert max(sizes) <= 8_192


def test_every_event_of_the_user_and_no_other(tmp_path: Path) -> None:
    store = layout.create(tmp_path / "s")
    kit.ingest(
        store, event("3", DAY_2, "zoe"), event("1", DAY_1, "zoe", n=1), event("x", DAY_1, "bob", note="zoe"),
        event("2", DAY_1, None, anonymous_id="zoe"), event("y", DAY_1, "bob", anonymous_id="zoe"), event("z", DAY_1, "zoe2"),
    )  # fmt: skip
    whole = export(store, "zoe")
    assert whole.names == (*COLUMNS[:3], *COLUMNS[3:], "date")
    assert [row[0] for row in whole.rows] == ["1", "2", "3"]
    kit.here(store.root, "compact", str(DAY_2))
    assert export(store, "zoe").rows == whole.rows
    assert export(store, "nobody").rows == []
    kit.here(store.root, "delete", "zoe")
    assert export(store, "zoe").rows == []
    assert [row[0] for row in export(store, "bob").rows] == ["x", "y"]


def test_an_empty_store(tmp_path: Path) -> None:
    assert export(layout.create(tmp_path / "s"), "zoe").rows == []
