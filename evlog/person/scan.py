"""The proof of an erasure: every file of the store is read back and searched for the id."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any

import orjson

from evlog.person.mention import Mentions
from evlog.store import parts
from evlog.store.layout import FOLDERS, PART, PART_IDS, segment_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from evlog.person.mention import Mention
    from evlog.store.layout import Store

_LIKE_TIME = re.compile(r"[\d:.TSZ-]+")
_TEXT = (".ndjson", ".rejects", ".links", ".json", ".done")
_PLAIN = ("ts", "received_at")  # times: no id, but an id may look like one
_IDS = ("event_id", "anonymous_id", "session_id", "target_id")


def scan(store: Store, mention: Mentions, *, upto: int) -> tuple[int, int]:
    """How many files were read, and in how many one of the ids was found: as bytes, in names, in decoded strings.

    Files of batches after `upto` are not looked at: they came later. Nor is `staging/`: it is no part of the store.
    """
    files = [path for path in sorted(store.root.rglob("*")) if _counts(path, store, upto)]
    return len(files), sum(_speaks(path, mention, store.root) for path in files)


def _counts(path: Path, store: Store, upto: int) -> bool:
    name = segment_name(path.name)
    inside = store.staging in path.parents or (name is not None and name.batch > upto)
    return path.is_file() and not path.is_symlink() and not inside


def _speaks(path: Path, mention: Mentions, root: Path) -> bool:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return False
    name, unread = str(path.relative_to(root)), _unread(path, raw)
    telling = [one for one in mention.each if not _by_chance(one)]
    if any(one.user in name or one.user.encode() in unread for one in telling):
        return True
    return any(_walked(path, raw, mention, Mentions(tuple(telling))))


def _unread(path: Path, raw: bytes) -> bytes:
    """The bytes of a file that are not decoded: all of a binary file, but of a part its footer alone."""
    if path.suffix == ".parquet":
        return raw[-8 - int.from_bytes(raw[-8:-4], "little") :]
    return b"" if path.suffix in _TEXT else raw


def _by_chance(mention: Mention) -> bool:
    """Whether the id is so short, or so like a number, a time or a word of ours, that bytes and names say nothing."""
    return not mention.long or _LIKE_TIME.fullmatch(mention.user) is not None or mention.user in _words()


def _words() -> str:
    """The words of our own in names of files and in the footer of a part, where an id that is one of them is nobody."""
    return " ".join(
        (*FOLDERS, PART, PART_IDS, "commit maintenance evlog.covers ARROW parquet-cpp-arrow", *parts.schema().names)
    )


def _walked(path: Path, raw: bytes, mention: Mentions, telling: Mentions) -> Iterator[bool]:
    """For each row or line of a file whether it speaks; nothing of a file that has neither.

    In files of our own words only those ids are told that are `telling`.
    """
    if path.suffix == ".parquet":
        for batch in parts.read(path):
            yield from (_event(_row(row), mention) for row in batch.to_pylist())
    elif path.suffix == ".ndjson":
        yield from (_event(orjson.loads(line), mention) for line in raw.split(b"\n") if line)
    elif path.suffix == ".rejects":
        yield from (_reject(orjson.loads(line), mention) for line in raw.split(b"\n") if line)
    elif path.suffix == ".links":
        yield from (_link(orjson.loads(line), mention) for line in raw.split(b"\n") if line)
    elif path.suffix in {".json", ".done"}:
        yield any(telling.spoken(value) for value in orjson.loads(raw).values())


def _link(body: dict[str, Any], mention: Mentions) -> bool:
    ids = (body[name] for name in ("from", "to") if body[name] is not None)
    return any(map(mention.named, ids)) or mention.spoken(body["by"])


def _row(row: dict[str, Any]) -> dict[str, Any]:
    opened = {name: orjson.loads(row[name]) for name in ("properties", "context") if row[name] is not None}
    return {**row, "user_key": None, **opened}


def _event(event: dict[str, Any], mention: Mentions) -> bool:
    """Whether an event speaks of the id: its texts and its JSON; among ids only the id itself."""
    if event.get("user_id") in mention.users:
        return True
    if any(mention.counting(name, event).named(event[name]) for name in _IDS if event.get(name) is not None):
        return True
    rest = event.keys() - {*_IDS, *_PLAIN, "user_id", "seq"}
    return any(mention.counting(name, event).spoken(event[name]) for name in rest)


def _reject(body: dict[str, Any], mention: Mentions) -> bool:
    raw = base64.b64decode(body["raw_base64"]) if "raw_base64" in body else str(body["raw"]).encode()
    told = [body[name] for name in ("source", "field", "expected", "got", "problems")]
    return mention.in_line(raw) or any(mention.spoken(value) for value in told)
