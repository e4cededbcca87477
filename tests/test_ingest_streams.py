"""Where lines come from: pipes that stay open, many small files, folders, globs, CSV; and what stops on the way."""

import gzip
import json
import os
import threading
import time

import pytest
from feed import NOW, OPEN, feed, ids, line, new_store, plain, quick, refused, stored, written

from evlog.ingest import block, csv_lines
from evlog.ingest.run import Options, run
from evlog.ingest.source import Source, SourceError, sources

__all__ = ["quick"]


def eventually(check) -> None:
    give_up = time.monotonic() + 10
    while not check() and time.monotonic() < give_up:
        time.sleep(0.01)
    assert check()


def in_background(store, name, **options):
    found = []

    def work() -> None:
        found.append(run(store, [Source(str(name))], OPEN, clock=lambda: NOW, options=Options(workers=1, **options)))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread, found


def test_a_pipe_that_stays_open_is_committed_as_it_goes(tmp_path):
    store = new_store(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    thread, found = in_background(store, tmp_path / "pipe", flush_interval=0.1)
    with (tmp_path / "pipe").open("wb", buffering=0) as pipe:
        pipe.write(line(event_id="a") + b"\n" + line(event_id="b")[:20])
        eventually(lambda: ids(store) == ["a"])
        pipe.write(line(event_id="b")[20:] + b"\n")
        eventually(lambda: ids(store) == ["a", "b"])
        assert thread.is_alive()
        pipe.write(line(event_id="c"))
    thread.join(10)
    assert ids(store) == ["a", "b", "c"]
    assert found[0].tally.read == 3


def test_a_pipe_that_never_falls_silent_is_committed_too(tmp_path):
    store = new_store(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    thread, _ = in_background(store, tmp_path / "pipe", flush_interval=0.2)
    with (tmp_path / "pipe").open("wb", buffering=0) as pipe:
        for number in range(2000):
            pipe.write(line(event_id=f"e{number}") + b"\n")
            time.sleep(0.005)
            if ids(store):
                break
        assert ids(store)
    thread.join(10)


def test_the_first_bytes_may_come_one_by_one(tmp_path):
    store = new_store(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    thread, _ = in_background(store, tmp_path / "pipe", flush_interval=0.1)
    with (tmp_path / "pipe").open("wb", buffering=0) as pipe:
        for byte in b"\xef\xbb\xbf" + line()[:4]:
            pipe.write(bytes([byte]))
            time.sleep(0.005)
        pipe.write(line()[4:] + b"\n")
    thread.join(10)
    assert ids(store) == ["e1"]
    assert refused(store) == []


def test_an_interrupt_keeps_what_was_read(tmp_path, monkeypatch):
    store = new_store(tmp_path)
    path = written(tmp_path / "log", line(), line(event_id="e2"))

    def pieces(stream, flush_interval, room):
        yield stream.read(1000)
        raise KeyboardInterrupt

    monkeypatch.setattr(block, "_pieces", pieces)
    outcome = feed(store, path)
    assert (outcome.interrupted, outcome.tally.stored) == (True, 2)
    assert ids(store) == ["e1", "e2"]


def test_many_small_files_share_batches(tmp_path):
    store = new_store(tmp_path)
    (tmp_path / "in").mkdir()
    for number in range(60):
        written(tmp_path / "in" / f"{number:03d}.ndjson", line(event_id=f"e{number}"), b"{bad", end=b"")
    tally = feed(store, *[found.name for found in sources([str(tmp_path / "in")])]).tally
    assert (tally.stored, dict(tally.reasons), tally.batches) == (60, {"truncated": 60}, 1)
    assert ids(store) == [f"e{number}" for number in range(60)]
    assert len(refused(store)) == 1  # one line, sixty times
    assert refused(store)[0].body["source"].endswith("000.ndjson")


def test_line_numbers_and_offsets_are_those_of_each_source(tmp_path, monkeypatch):
    monkeypatch.setattr(block, "_READ", 50)
    store = new_store(tmp_path)
    one = written(tmp_path / "one", b"\xef\xbb\xbf{bad 0", line(), b"", b"{bad 1", line(event_id="e2"))
    two = written(tmp_path / "two", line(event_id="e3"), b"{bad 2\r", b"x" * 3000, b"{bad 3", end=b"")
    import dataclasses

    feed(store, one, two, rules=dataclasses.replace(OPEN, max_line=1000))
    places = {kept.raw[:6]: (kept.body["source"], kept.body["line"], kept.body["offset"]) for kept in refused(store)}
    held = ((one, 1, b"{bad 0"), (one, 4, b"{bad 1"), (two, 2, b"{bad 2"), (two, 3, b"xxxxxx"), (two, 4, b"{bad 3"))
    for path, number, start in held:
        assert places[start] == (str(path), number, path.read_bytes().index(start))


def test_a_folder_gives_its_event_files_in_order_of_names(tmp_path):
    for name in (
        "b.ndjson",
        "a.jsonl.gz",
        "sub/c.json",
        "sub/d.LOG",
        "x.csv",
        "notes.md",
        ".hidden.ndjson",
        "y.parquet",
        "z.ndjson.zst",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = [os.path.relpath(source.name, tmp_path) for source in sources([str(tmp_path)])]
    assert found == ["a.jsonl.gz", "b.ndjson", "x.csv", "z.ndjson.zst", "sub/c.json", "sub/d.LOG"]


def test_globs_and_names_that_look_like_globs(tmp_path):
    for name in ("a1.ndjson", "a2.ndjson", "b.ndjson", "[x].ndjson"):
        (tmp_path / name).touch()
    assert [source.name for source in sources([f"{tmp_path}/a*.ndjson"])] == [f"{tmp_path}/a{n}.ndjson" for n in (1, 2)]
    assert [source.name for source in sources([f"{tmp_path}/[x].ndjson"])] == [f"{tmp_path}/[x].ndjson"]
    assert [source.name for source in sources([])] == ["-"]


@pytest.mark.parametrize("name", ["nope.ndjson", "no*pe", "dir/none.gz"])
def test_a_file_that_is_not_there_is_named_and_nothing_is_read(tmp_path, name):
    with pytest.raises(SourceError, match="there is no file .*" + name.replace("*", r"\*")):
        sources([str(tmp_path / name)])


def test_a_source_that_cannot_be_read_stops_the_run_after_what_came_before(tmp_path):
    store = new_store(tmp_path)
    with pytest.raises(SourceError, match="cannot read"):
        feed(
            store, written(tmp_path / "log", line()), tmp_path / "gone", written(tmp_path / "more", line(event_id="e2"))
        )
    assert ids(store) == ["e1"]


def test_a_broken_stream_does_not_stop_the_next(tmp_path):
    store = new_store(tmp_path)
    (tmp_path / "log.gz").write_bytes(gzip.compress(line() + b"\n")[:-4])
    outcome = feed(store, tmp_path / "log.gz", written(tmp_path / "more", line(event_id="e2")))
    assert ids(store) == ["e1", "e2"]
    assert [name for name, _ in outcome.broken] == [str(tmp_path / "log.gz")]


def csv_fed(tmp_path, text: str | bytes, name: str = "log.csv"):
    store = new_store(tmp_path)
    (tmp_path / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return store, feed(store, tmp_path / name)


def test_csv_rows_are_events(tmp_path):
    text = (
        "\ufeffid,timestamp,event,userId,amount,paid,zip,note,empty\r\n"
        '1,2026-03-01 10:00:00,order,007,1.50,true,01234,"a ""b"", c\nd",\r\n'
        "2,1772359200,view,7,-3,FALSE,-0,1e5,\r\n"
    )
    store, outcome = csv_fed(tmp_path, text)
    assert (outcome.tally.assumed_tz, outcome.tally.epoch) == (1, 1)
    assert [body | {"ts": body["ts"][11:19]} for body in plain(store)] == [
        {
            "event_id": "1", "ts": "10:00:00", "event_type": "order", "user_id": "007",
            "properties": {"amount": "1.50", "paid": True, "zip": "01234", "note": 'a "b", c\nd'},
        },
        {
            "event_id": "2", "ts": "10:00:00", "event_type": "view", "user_id": "7",
            "properties": {"amount": -3, "paid": "FALSE", "zip": "-0", "note": "1e5"},
        },
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("1", 1), ("-1", -1), ("0", 0), ("-0", "-0"), ("00", "00"), ("+1", "+1"), ("1.0", 1.0), ("1.10", "1.10"), ("0.1", 0.1),
        ("1e5", "1e5"), ("true", True), ("True", "True"), ("null", "null"), ("NaN", "NaN"), (" 1", " 1"), ("٣", "٣"), ("1٣", "1٣"), ("0.٣", "0.٣"),
        ("9" * 18, 10**18 - 1), ("9" * 19, "9" * 19), ("9007199254740993", 2**53 + 1), ("0.1234567890123456789", "0.1234567890123456789"),
    ],
)  # fmt: skip
def test_a_cell_is_a_number_only_where_its_text_stays_the_same(cell, value):
    found = csv_lines._value(cell)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize("packed", ["log.csv", "log.csv.gz"])
def test_rows_that_do_not_fit_are_refused_and_their_neighbours_are_not(tmp_path, packed):
    text = b"event,ts\na,2026-03-01T10:00:00Z\nb\nc,2026-03-01T10:00:00Z,x\n\nd\xff,2026-03-01T10:00:00Z\ne,2026-03-01T10:00:00Z\n"
    store, outcome = csv_fed(tmp_path, gzip.compress(text) if packed.endswith("gz") else text, packed)
    assert [body["event_type"] for body in stored(store)] == ["a", "e"]
    assert dict(outcome.tally.reasons) == {"bad_json": 2, "bad_utf8": 1}
    assert (outcome.tally.read, outcome.tally.blank) == (5, 1)
    assert [kept.raw for kept in refused(store)] == [
        b"1 cells under 2 names: b", b"3 cells under 2 names: c,2026-03-01T10:00:00Z,x", b"d\xff,2026-03-01T10:00:00Z",
    ]  # fmt: skip


def test_a_quote_that_is_never_closed_ends_the_stream_and_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_lines, "_FIELD_LIMIT", 1000)
    store, outcome = csv_fed(tmp_path, 'event,ts\na,2026-03-01T10:00:00Z\nb,"' + "x\n" * 2000)
    assert [body["event_type"] for body in stored(store)] == ["a"]
    assert "is no CSV" in outcome.broken[0][1]


def test_a_column_that_stands_twice_is_an_error(tmp_path):
    with pytest.raises(SourceError, match="the column 'event' stands twice"):
        csv_fed(tmp_path, "event,ts,event\na,2026-03-01T10:00:00Z,b\n")


@pytest.mark.parametrize("text", ["", "\n", "event,ts\n", "event,ts"])
def test_csv_without_rows_is_nothing(tmp_path, text):
    store, outcome = csv_fed(tmp_path, text)
    assert (outcome.tally.read, outcome.broken, ids(store)) == (0, [], [])


def test_consent_in_a_column(tmp_path):
    store, outcome = csv_fed(
        tmp_path, "event,ts,privacy.consent_given\na,2026-03-01T10:00:00Z,false\nb,2026-03-01T10:00:00Z,true\n"
    )
    assert (outcome.tally.no_consent, [body["event_type"] for body in stored(store)]) == (1, ["b"])


def test_csv_and_ndjson_in_one_run(tmp_path):
    store = new_store(tmp_path)
    (tmp_path / "a.csv").write_text("event,ts\na,2026-03-01T10:00:00Z\n")
    (tmp_path / "odd").write_text("event,ts\nb,2026-03-01T10:00:00Z\n")
    feed(store, written(tmp_path / "log", line()), tmp_path / "a.csv", written(tmp_path / "more", line(event_id="e2")))
    assert [json.dumps(body["event_type"]) for body in stored(store)] == ['"view"', '"a"', '"view"']
    assert feed(store, tmp_path / "odd", input_format="csv").tally.stored == 1
