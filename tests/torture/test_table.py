"""The table of bad input: lines of every row among good ones, by every way in.

Whatever the way, each bad line is refused for its reason, in words that name its field, at its place, and kept as it
came (or not at all); the books balance; the good lines give the bytes they give alone; the same input again adds nothing.
"""

from __future__ import annotations

import gzip
import json
import os
import sys
from dataclasses import dataclass
from itertools import product
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
import storekit
import torture
import zstandard
from badrows import GONE, LIMIT, ROWS, TORN, Row
from feed import NOW, bytes_of, feed, new_store, quick, refused, stored, written
from lines import agreed, good, line, many

from evlog import replay
from evlog.event.reject import CODES
from evlog.ingest import block, fast
from evlog.ingest.block import KEPT_HEAD
from evlog.ingest.source import Source

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Tally
    from lines import Bad

    from evlog.store import layout
    from evlog.store.quarantine import Rejected

__all__ = ["quick"]
CASES = torture.much(30, 8)
UNKEPT = ("no consent", "erased")


@dataclass(frozen=True, slots=True)
class Way:
    """How lines come in: from what, through how many processes, by which lane, in blocks of which size."""

    source: str
    workers: int
    lane: str
    blocks: str

    def __str__(self) -> str:
        return f"{self.source}-{self.workers}-{self.lane}-{self.blocks}"


WAYS = [Way(*way) for way in product(("file", "stdin", "gz", "zst"), (1, 2), ("fast", "slow"), ("whole", "cut"))]


def _ways(name: str) -> list[Way]:
    """All ways; with the other tests two for each row, one of them through two processes for every sixth row."""
    if torture.ALL:
        return WAYS
    number = [*ROWS].index(name)
    alone, both = ([way for way in WAYS if way.workers == n] for n in (1, 2))
    return [alone[number * 5 % len(alone)], (both if number % 6 == 0 else alone)[(number * 5 + 7) % len(alone)]]


POINTS = [(name, way) for name in ROWS for way in _ways(name)]


def _mixed(bad: list[Bad], fine: list[bytes]) -> list[Bad | bytes]:
    """Bad lines among good ones: at the beginning, at the end, alone and in runs in between."""
    mixed: list[Bad | bytes] = []
    for number, one in enumerate(bad):
        mixed += [one, *fine[number * 2 : number * 2 + (0, 1, 2)[number % 3]]]
    return [*[one for one in mixed if one is not bad[-1]], *fine[len(bad) * 2 :], bad[-1]]


def _fed(store: layout.Store, lines: list[bytes], way: Way, row: Row, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The tally of these lines, come in that way; every third line ends in CR LF."""
    ended = (one + (b"\r\n" if number % 3 == 2 else b"\n") for number, one in enumerate(lines))
    data = b"".join(ended)
    path = store.root.parent / f"log.{way.source}"
    path.write_bytes({"gz": gzip.compress, "zst": zstandard.compress}.get(way.source, bytes)(data))
    with monkeypatch.context() as patched:
        if way.lane == "slow":
            patched.setattr(fast, "lane", lambda judge: None)
        if way.blocks == "cut":
            patched.setattr(block, "BLOCK", 900)
            patched.setattr(block, "_READ", 350)
        if way.source != "stdin":
            return feed(store, path, rules=row.rules, workers=way.workers).tally
        with path.open() as stdin:
            patched.setattr(sys, "stdin", stdin)
            return feed(store, "-", rules=row.rules, workers=way.workers).tally


def _content(store: layout.Store, prefix: str) -> dict[str, bytes]:
    """The stored bytes of events whose id begins so, but for their place in the batch."""
    found = {}
    for path in sorted(store.root.glob("events/*/*.ndjson")):
        for raw in path.read_bytes().splitlines():
            name = json.loads(raw)["event_id"]
            if name.startswith(prefix):
                assert name not in found
                found[name] = raw[: raw.rindex(b',"seq":')]
    return found


def _prepared(where: Path, row: Row) -> layout.Store:
    where.mkdir()
    store = new_store(where)
    row.before(store)
    return store


def _held_against(store: layout.Store, lines: list[Bad | bytes], source: str) -> None:
    """Each bad line in quarantine, in its words, at its place; and nothing else there."""
    held = {kept.body["line"]: kept for kept in refused(store)}
    offset, wanted = 0, set()
    for number, one in enumerate(lines, 1):
        ends_in_cr = number % 3 == 0
        if not isinstance(one, bytes) and one.code not in UNKEPT:
            wanted.add(number)
            assert (held[number].body["source"], held[number].body["offset"]) == (source, offset)
            _told(held[number], one)
            _kept(held[number], one, b"\r" * ends_in_cr)
        offset += len(one if isinstance(one, bytes) else one.raw) + 1 + ends_in_cr
    assert set(held) == wanted


def _told(kept: Rejected, one: Bad) -> None:
    assert (kept.code, kept.body["field"]) == (one.code, one.field), (kept.body, one)
    assert one.expected in kept.body["expected"] != "", kept.body
    assert one.code in CODES


def _kept(kept: Rejected, one: Bad, end: bytes) -> None:
    """A line is kept to the byte; of one that is too long its head, as it was never read whole (nor its CR told)."""
    assert kept.whole is one.whole
    if one.code == "line_too_long":
        assert kept.body["length"] == len(one.raw + end)
        assert (one.raw + end).startswith(kept.raw)
        assert LIMIT <= len(kept.raw) <= KEPT_HEAD
    elif one.whole:
        assert (kept.raw, kept.body["length"]) == (one.raw, len(one.raw))


def _secrets(bad: list[Bad]) -> list[bytes]:
    """What of these lines may stand nowhere in the store."""
    words = (word for one in bad if not one.whole or one.code in UNKEPT for word in one.raw.replace(b'"', b" ").split())
    return [word for word in words if word.startswith((b"hush", b"top")) and len(word) > len("topsecret")]


@pytest.mark.parametrize(("name", "way"), POINTS, ids=str)
def test_bad_lines_among_good_ones(tmp_path, monkeypatch, name: str, way: Way, tally: Tally) -> None:
    row = ROWS[name]
    bad = many(row.make, Random(f"{name} {way}"), CASES)
    fine = [agreed(good(n)) if row.consent else good(n) for n in range(CASES * 2 + 3)]
    lines = _mixed(bad, fine)
    fine = [one for one in lines if isinstance(one, bytes)]
    alone, among = _prepared(tmp_path / "alone", row), _prepared(tmp_path / "among", row)
    _fed(alone, fine, way, row, monkeypatch)
    raws = [one if isinstance(one, bytes) else one.raw for one in lines]
    told = _fed(among, raws, way, row, monkeypatch)

    code = bad[0].code
    assert (told.read, told.stored, told.duplicates, told.blank) == (len(lines), len(fine), 0, 0)
    counted = {"no consent": told.no_consent, "erased": told.erased}
    assert counted | {code: told.rejected + counted.get(code, 0)} == {"no consent": 0, "erased": 0} | {code: CASES}
    assert dict(told.reasons) == ({} if code in UNKEPT else {code: CASES})
    assert _content(among, "good") == _content(alone, "good")
    assert len(_content(among, "good")) == len(fine)
    assert _content(among, "bad") == {}
    _held_against(among, lines, "-" if way.source == "stdin" else str(tmp_path / "among" / f"log.{way.source}"))
    everything = bytes_of(among)
    assert not [secret for secret in _secrets(bad) if secret in everything]

    before = storekit.tree(among.root)
    again = _fed(among, raws, way, row, monkeypatch)
    assert (again.stored, again.duplicates, again.rejected) == (0, len(fine), told.rejected)
    assert (again.no_consent, again.erased, again.reasons) == (told.no_consent, told.erased, told.reasons)
    _unchanged(before, storekit.tree(among.root))
    storekit.sound(among)
    tally("bad-input table", cases=CASES, runs=1)


def _unchanged(before: dict[str, bytes], after: dict[str, bytes]) -> None:
    ours = ("events/", "quarantine/", "ids/", "parquet/", "links/")
    kept = [{name: data for name, data in tree.items() if name.startswith(ours)} for tree in (before, after)]
    assert kept[0] == kept[1]


@pytest.mark.parametrize("name", ROWS)
def test_lines_that_stay_bad_stay_and_those_that_are_mended_come_in(
    tmp_path, monkeypatch, name: str, tally: Tally
) -> None:
    row = ROWS[name]
    bad = many(row.make, Random(f"replay {name}"), CASES)
    store = _prepared(tmp_path / "s", row)
    fine = [good(n) for n in range(3)]
    _fed(store, [*fine, *(one.raw for one in bad)], WAYS[0], row, monkeypatch)
    held = [kept.body for kept in refused(store)]
    told = replay.run(store, row.rules, now=NOW)
    whole = sum(one.whole and one.code not in UNKEPT for one in bad)
    assert (told.left, told.stayed, told.unreplayable) == (0, whole, len(held) - whole)
    assert [kept.body for kept in refused(store)] == held
    if row.mended is not None:
        told = replay.run(store, row.mended, now=NOW)
        assert (told.left, told.stayed, told.tally.stored) == (CASES, 0, CASES)
        assert refused(store) == []
        assert (
            _fed(store, [one.raw for one in bad], WAYS[0], Row(row.make, row.mended), monkeypatch).duplicates == CASES
        )
    storekit.sound(store)
    tally("replay of bad input", cases=CASES)


@pytest.mark.parametrize("source", ["file", "gz", "zst", "stdin"])
@pytest.mark.parametrize("lane", ["fast", "slow"])
def test_a_last_line_that_breaks_off_anywhere_is_told_as_such(
    tmp_path, monkeypatch, source, lane, tally: Tally
) -> None:
    count = torture.much(200, 12)
    bad = many(TORN.make, Random(f"torn {source} {lane}"), count)
    store = new_store(tmp_path)
    names = []
    if lane == "slow":
        monkeypatch.setattr(fast, "lane", lambda judge: None)
    pack = {"gz": gzip.compress, "zst": zstandard.compress}.get(source, bytes)
    for number, one in enumerate(bad):
        path = tmp_path / f"{number}.ndjson"
        path.write_bytes(pack(good(number) + b"\n" + one.raw))
        names.append(path)
    if source == "stdin":
        for path in names:
            with path.open() as stdin:
                monkeypatch.setattr(sys, "stdin", stdin)
                assert feed(store, "-").tally.stored == 1
    else:
        assert feed(store, *names).tally.stored == count
    kept = refused(store)
    assert [(one.code, one.raw, one.body["line"]) for one in kept] == [("truncated", one.raw, 2) for one in bad]
    assert [one.body["offset"] for one in kept] == [len(good(n)) + 1 for n in range(count)]
    tally("last lines that break off", cases=count)


def test_a_last_line_that_is_whole_needs_no_newline(tmp_path) -> None:
    store = new_store(tmp_path)
    paths = [written(tmp_path / str(n), line(Random(n)), good(n), end=b"") for n in range(20)]
    assert feed(store, *paths).tally.stored == len(paths) * 2


def test_the_marks_and_blanks_around_lines_are_no_part_of_them(tmp_path, tally: Tally) -> None:
    random = Random("blanks")
    lines = [good(n) for n in range(torture.much(300, 40))]
    store = new_store(tmp_path)
    blanks = 0
    data = b"\xef\xbb\xbf"
    for one in lines:
        between = [random.choice([b"", b" ", b"\t", b"\r", b" \t ", b"\r\r"]) for _ in range(random.randint(0, 3))]
        blanks += len(between)
        around = random.choice([(b"", b""), (b" ", b""), (b"", b" \t"), (b"\t", b"\r")])
        data += around[0] + one + around[1] + random.choice([b"\n", b"\r\n"]) + b"".join(b + b"\n" for b in between)
    (tmp_path / "log").write_bytes(data)
    told = feed(store, tmp_path / "log").tally
    assert (told.read, told.stored, told.blank) == (len(lines), len(lines), blanks)
    plain = new_store(tmp_path / "other")
    feed(plain, written(tmp_path / "plain", *lines))
    assert _content(store, "good") == _content(plain, "good")
    tally("blanks and marks", cases=len(lines) + blanks)


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("kind", ["plain", "gz"])
def test_a_stream_in_another_encoding_is_refused_whole(tmp_path, codec, kind) -> None:
    from evlog.ingest.source import SourceError

    data = b"".join(good(n) + b"\n" for n in range(5)).decode().encode(codec)
    (tmp_path / "log").write_bytes(gzip.compress(data) if kind == "gz" else data)
    store = new_store(tmp_path)
    with pytest.raises(SourceError, match=r"UTF-(16|32), not UTF-8"):
        feed(store, tmp_path / "log")
    assert (stored(store), refused(store)) == ([], [])


def test_every_reason_has_its_row() -> None:
    assert {name.partition(",")[0] for name in ROWS} - set(UNKEPT) | {"truncated"} == set(CODES)


def test_the_kit_makes_lines_as_different_as_it_says() -> None:
    for name, row in ROWS.items():
        found = many(row.make, Random(name), 25)
        assert len({one.raw for one in found}) == len({one.raw.strip() for one in found}), name
        assert not [one for one in found if b"\n" in one.raw]
    assert GONE.encode() in ROWS["erased"].make(Random(1)).raw
    assert Source("-").name == "-"
    assert os.linesep == "\n"
