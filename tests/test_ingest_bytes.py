"""Bytes before lines: ends, marks, encodings, lines without end, packed streams that break off or explode."""

import bz2
import gzip

import pytest
import zstandard
from feed import bytes_of, feed, ids, line, new_store, quick, refused, written

from evlog.event.plan import Plan
from evlog.event.reject import CODES
from evlog.ingest import block, source
from evlog.ingest.rules import Rules

__all__ = ["quick"]
FIRST, LAST = line(event_id="first"), line(event_id="last", user_id="bob")


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_last_line_that_breaks_off_is_truncated(tmp_path, cut):
    store = new_store(tmp_path)
    path = written(tmp_path / "log", FIRST, LAST[:-cut], end=b"")
    tally = feed(store, path).tally
    assert (tally.stored, dict(tally.reasons)) == (1, {"truncated": 1})
    assert refused(store)[0].raw == LAST[:-cut]


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\r", b"\n\n", b"  ", b" \n \n", b"\n\r\n"])
def test_a_last_line_that_is_whole_is_accepted(tmp_path, end):
    store = new_store(tmp_path)
    tally = feed(store, written(tmp_path / "log", FIRST, LAST, end=end)).tally
    assert (tally.stored, tally.rejected) == (2, 0)


@pytest.mark.parametrize(
    ("data", "read", "blank"),
    [
        (b"", 0, 0), (b"\n", 0, 1), (b"\n\n\n", 0, 3), (b"\r\n \t\r\n", 0, 2), (FIRST + b"\r\n\r\n" + LAST + b"\r\n", 2, 1),
        (b"\xef\xbb\xbf" + FIRST + b"\n" + LAST, 2, 0), (b"\xef\xbb\xbf", 0, 0), (b"\xef\xbb\xbf\r\n" + FIRST, 1, 1),
        (b" " + FIRST + b" \n\t" + LAST + b"\t\n", 2, 0),
    ],
)  # fmt: skip
def test_blanks_and_marks_are_no_events(tmp_path, data, read, blank):
    store = new_store(tmp_path)
    (tmp_path / "log").write_bytes(data)
    tally = feed(store, tmp_path / "log").tally
    assert (tally.read, tally.stored, tally.blank) == (read, read, blank)


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
def test_wide_encodings_are_refused_whole_and_what_came_before_is_stored(tmp_path, codec):
    store = new_store(tmp_path)
    good = written(tmp_path / "a", FIRST)
    (tmp_path / "b").write_bytes((FIRST + b"\n" + LAST).decode().encode(codec))
    with pytest.raises(source.SourceError, match="is UTF-16"):
        feed(store, good, tmp_path / "b")
    assert ids(store) == ["first"]
    assert refused(store) == []


@pytest.mark.parametrize("length", [501, 502, 5_000, 1_100_000, 3_000_001])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
def test_a_line_that_is_too_long_is_refused_by_its_head_alone(tmp_path, length, end):
    store = new_store(tmp_path)
    rules = Rules(plan=Plan.open(), max_line=500)
    raw = b'{"pad": "' + b"x" * (length - 11) + b'"}'
    data = FIRST + b"\n" + raw + end + (LAST + b"\n" if end else b"")
    (tmp_path / "log").write_bytes(data)
    tally = feed(store, tmp_path / "log", rules=rules).tally
    assert (tally.stored, dict(tally.reasons)) == (2 if end else 1, {"line_too_long": 1})
    kept = refused(store)[0]
    assert (kept.body["line"], kept.body["offset"], kept.whole) == (2, len(FIRST) + 1, False)
    assert kept.body["length"] == length + (end == b"\r\n")
    assert kept.raw == raw[: block.KEPT_HEAD] if length > block.KEPT_HEAD else kept.raw.strip() == raw


@pytest.mark.parametrize("length", [498, 499, 500])
def test_a_line_as_long_as_allowed_is_read(tmp_path, length):
    raw = line()[:-1] + b', "x": "' + b"y" * (length - len(line()) - 9) + b'"}'
    assert len(raw) == length
    tally = feed(new_store(tmp_path), written(tmp_path / "log", raw), rules=Rules(plan=Plan.open(), max_line=500)).tally
    assert tally.stored == 1


@pytest.mark.parametrize("pieces", [1, 7, 64, 1000])
def test_the_same_long_line_is_one_reject_however_it_was_read(tmp_path, monkeypatch, pieces):
    store = new_store(tmp_path)
    rules = Rules(plan=Plan.open(), max_line=500)
    path = written(tmp_path / "log", FIRST, b'{"pad":"' + b"x" * 3000 + b'"}', LAST, end=b"\r\n")
    feed(store, path, rules=rules)
    monkeypatch.setattr(block, "_READ", pieces)
    assert feed(store, path, rules=rules).tally.rejected == 1
    assert len(refused(store)) == 1


@pytest.mark.parametrize("before", [0, 300, 600, 1_000_000, 1_048_570, 2_000_000])
@pytest.mark.parametrize(
    "said", [b'"consent": false', b'"privacy": {"consent_given": false}', b'"t": "{\\"consent\\":false}"']
)
def test_a_refusal_anywhere_in_a_line_that_is_too_long_is_heard(tmp_path, before, said):
    store = new_store(tmp_path)
    raw = b'{"zelda": "' + b"x" * before + b'", ' + said + b', "y": "' + b"y" * 600 + b'"}'
    tally = feed(store, written(tmp_path / "log", FIRST, raw, LAST), rules=Rules(plan=Plan.open(), max_line=500)).tally
    assert (tally.stored, tally.no_consent, tally.rejected) == (2, 1, 0)
    assert b"zelda" not in bytes_of(store)


def test_an_endless_line_is_never_in_memory_whole(tmp_path):
    import tracemalloc

    with gzip.open(tmp_path / "log.gz", "wb", compresslevel=1) as out:
        out.writelines(b"x" * 1_000_000 for _ in range(100))
    tracemalloc.start()
    tally = feed(new_store(tmp_path), tmp_path / "log.gz").tally
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert dict(tally.reasons) == {"line_too_long": 1}
    assert peak < 60_000_000


PACKED = {
    "gz": gzip.compress,
    "gz of many members": lambda data: b"".join(gzip.compress(data[at : at + 50]) for at in range(0, len(data), 50)),
    "gz padded with zeros": lambda data: gzip.compress(data) + bytes(512),
    "bz2": bz2.compress,
    "bz2 of many streams": lambda data: b"".join(bz2.compress(data[at : at + 50]) for at in range(0, len(data), 50)),
    "zst": zstandard.ZstdCompressor(write_checksum=True).compress,
    "zst of many frames": lambda data: b"".join(
        zstandard.compress(data[at : at + 50]) for at in range(0, len(data), 50)
    ),
    "zst without a size": lambda data: zstandard.ZstdCompressor(write_content_size=False).compress(data),
}


@pytest.mark.parametrize("name", PACKED)
def test_packed_streams_are_read_as_they_are(tmp_path, name):
    store = new_store(tmp_path)
    (tmp_path / "log").write_bytes(PACKED[name](FIRST + b"\n\n" + LAST))
    outcome = feed(store, tmp_path / "log")
    assert (outcome.tally.stored, outcome.tally.blank, outcome.broken) == (2, 1, [])


@pytest.mark.parametrize("name", ["gz", "gz of many members", "bz2", "zst", "zst of many frames"])
@pytest.mark.parametrize("spoil", ["short by 1", "short by 5", "half", "garbage after", "flipped"])
def test_of_a_stream_that_breaks_off_the_whole_lines_before_are_kept_and_it_is_told(tmp_path, name, spoil):
    store = new_store(tmp_path)
    good = [line(event_id=f"e{n}", properties={"n": hash((n, spoil)) % 10**12}) for n in range(5_000)]
    packed = PACKED[name.replace(" of many members", "").replace(" of many frames", "")](b"\n".join(good) + b"\n")
    if "many" in name:
        packed = PACKED[name.split(" ")[0]](FIRST + b"\n") + packed
    spoilt = {
        "short by 1": packed[:-1],
        "short by 5": packed[:-5],
        "half": packed[: len(packed) // 2],
        "garbage after": packed + b"garbage, garbage, garbage",
        "flipped": packed[: len(packed) * 3 // 4]
        + bytes([packed[len(packed) * 3 // 4] ^ 0xFF])
        + packed[len(packed) * 3 // 4 + 1 :],
    }[spoil]
    (tmp_path / "log").write_bytes(spoilt)
    outcome = feed(store, tmp_path / "log")
    tally = outcome.tally
    if name == "bz2" and spoil == "garbage after":
        assert outcome.broken == []  # the library takes it for padding
    else:
        assert [name for name, _ in outcome.broken] == [str(tmp_path / "log")]
    assert set(ids(store)) - {"first"} <= {f"e{n}" for n in range(5_000)} or spoil == "flipped"
    assert tally.stored >= (5_000 if spoil == "garbage after" else 1 if name != "bz2" else 0)
    assert set(tally.reasons) <= ({"truncated"} if spoil != "flipped" else set(CODES))


@pytest.mark.parametrize("name", ["gz", "bz2", "zst"])
def test_a_bomb_is_let_go(tmp_path, monkeypatch, name):
    monkeypatch.setattr(source, "_RATIO_FROM", 8 << 20)
    store = new_store(tmp_path)
    (tmp_path / "log").write_bytes(PACKED[name](FIRST + b"\n" + (b" " * 99_999 + b"\n") * 640))
    outcome = feed(store, tmp_path / "log")
    assert ids(store) == ["first"]
    assert "more than 250 times" in outcome.broken[0][1]
    assert 0 < outcome.tally.blank < 600
