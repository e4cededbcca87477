"""The proof of an erasure: every file of the store is read back and searched for the ids.

It shares no code with the removal but the definition of a mention. Every byte of a file of lines and every text of a
part is looked through (person/likely.py); a line or a row in which an id may stand is decoded to its last text, and
where one stands, the mention is judged column by column.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from evlog.person import counted
from evlog.person.likely import Likely
from evlog.person.mention import Mentions, spread, spread_line
from evlog.person.pending import FILE as PENDING
from evlog.store import durable, linked, parts
from evlog.store.layout import FIRSTS, FOLDERS, PART, PART_IDS, segment_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from evlog.person.mention import Mention
    from evlog.store.layout import Store

_LIKE_TIME = re.compile(r"[\d:.TSZ-]+")
_LINES = frozenset({".ndjson", ".rejects", ".links", ".rollup", ".log", ".json", ".done"})
_AUDIT = re.compile(r"audit/(?:head|\d+\.entry)")
_PLAIN = ("ts", "received_at")  # times: no id, but an id may look like one
_IDS = ("event_id", "anonymous_id", "session_id", "target_id")
_RAW = b'"raw_base64"'  # a refused line that is no text
_OURS = (
    "commit maintenance evlog.covers ARROW parquet-cpp-arrow erasure anonymisation user anonymise user delete --after "
    "--cancel mentions unlinked removed_events removed_parquet removed_quarantine removed_links removed_firsts "
    "removed_rollups removed_pending subjects details"
)


@dataclass(frozen=True, slots=True)
class Scanned:
    """What was read, and in which files one of the ids was found: as bytes, in names, in decoded strings."""

    files: int
    bytes: int
    found: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Search:
    """The ids that are looked for; only those that are `telling` say something in bytes and in words of our own."""

    whole: Mentions
    telling: Mentions
    likely: Likely
    subjects: frozenset[bytes] = frozenset()  # the keyed hashes that what is known beside events may not hold any more


def scan(store: Store, mention: Mentions, *, upto: int, subjects: Iterable[str] = ()) -> Scanned:
    """Search every file; those of batches after `upto` are not looked at: they came later. Nor is `staging/`."""
    telling = Mentions(tuple(one for one in mention.each if not _by_chance(one)))
    search = _Search(mention, telling, Likely(mention), frozenset(bytes.fromhex(one) for one in subjects))
    files = size = 0
    found = []
    for path in sorted(_files(store, store.root)):
        segment = segment_name(path.name)
        if segment is not None and segment.batch > upto:
            continue
        files += 1
        name = path.relative_to(store.root).as_posix()
        try:
            raw = parts.footer(path) if _is_part(name) else durable.read(path)
            size += path.stat().st_size
            speaks = _speaks(path, name, raw, search)
        except FileNotFoundError:
            continue
        if speaks:
            found.append(name)
    return Scanned(files, size, tuple(found))


def _files(store: Store, folder: Path) -> Iterator[Path]:
    """Yield every plain file below a folder but those of `staging/`; no symlink is followed."""
    yield from (folder / name for name in durable.files(folder, ""))
    for name in durable.folders(folder):
        if folder / name != store.staging:
            yield from _files(store, folder / name)


def _speaks(path: Path, name: str, raw: bytes, search: _Search) -> bool:
    unread = _unread(name, raw)
    if any(one.user in name or one.user.encode() in unread for one in search.telling.each):
        return True
    if name in {linked.LINKED, FIRSTS} and any(one in raw.partition(b"\n")[2] for one in search.subjects):
        return True
    return any(_walked(path, name, raw, search))


def _is_part(name: str) -> bool:
    return name.endswith(".parquet")


def _unread(name: str, raw: bytes) -> bytes:
    """The bytes of a file that are not decoded: all of a binary file, as the footer of a part is."""
    decoded = name.endswith(tuple(_LINES)) or _AUDIT.fullmatch(name)
    return b"" if decoded else raw


def _by_chance(mention: Mention) -> bool:
    """Whether the id is so short, or so like a number, a time or a word of ours, that bytes and names say nothing."""
    return not mention.long or _LIKE_TIME.fullmatch(mention.user) is not None or mention.user in _words()


def _words() -> str:
    """The words of our own in names of files, footers and logs, where an id that is one of them is nobody."""
    return " ".join((*FOLDERS, PART, PART_IDS, _OURS, *parts.schema().names))


def _walked(path: Path, name: str, raw: bytes, search: _Search) -> Iterator[bool]:
    """For each row or line of a file in which an id may stand whether it speaks; nothing of one that has neither."""
    suffix = path.suffix
    if _is_part(name):
        for batch in parts.texts(path):
            rows = search.likely.rows(batch).to_pylist()
            yield from _judged([_row(row) for row in rows], search.whole, _event, spread)
        return
    if suffix not in _LINES and not _AUDIT.fullmatch(name):
        return
    if suffix == ".rejects":
        some = raw.split(b"\n") if _RAW in raw or search.likely.within(raw) else []
    else:
        some = search.likely.lines(raw)
    lines = [_line(line) for line in some if line]
    if name == PENDING:
        yield from (one["id"] in search.whole.users for line in lines for one in line["pending"])
    elif suffix == ".ndjson":
        yield from _judged(lines, search.whole, _event, spread)
    elif suffix == ".rejects":
        yield from _judged(lines, search.whole, _reject, _texts_of_reject)
    elif suffix == ".links":
        yield from _judged(lines, search.whole, _link, spread)
    elif suffix == ".rollup":
        yield from _judged(lines, search.whole, _record, spread)
    else:
        ours = [{key: value for key, value in line.items() if key != "by"} for line in lines]  # who did it
        yield from _judged(ours, search.telling, _ours, spread)


def _line(line: bytes) -> dict[str, Any]:
    """A line of JSON; one that was torn by a crash as the text it is."""
    try:
        body = orjson.loads(line)
    except ValueError:
        body = line.decode(errors="replace")
    return body if isinstance(body, dict) else {"line": body}


def _judged(
    bodies: Iterable[dict[str, Any]],
    mention: Mentions,
    judge: Callable[[dict[str, Any], Mentions], bool],
    texts: Callable[[Any], Iterable[str]],
) -> Iterator[bool]:
    """Judge the bodies by those of the ids that stand in their texts, as they are or as JSON spells them."""
    forms = [(one, _forms(one)) for one in mention.each]
    for body in bodies:
        text = "\n".join(texts(body))
        near = tuple(one for one, said in forms if any(form in text for form in said))
        yield judge(body, Mentions(near))


def _forms(mention: Mention) -> tuple[str, ...]:
    spelled = orjson.dumps(mention.user).decode()[1:-1]
    return (mention.user,) if spelled == mention.user else (mention.user, spelled)


def _ours(body: dict[str, Any], mention: Mentions) -> bool:
    return any(mention.spoken(value) for value in body.values())


def _link(body: dict[str, Any], mention: Mentions) -> bool:
    ids = (body[name] for name in ("from", "to") if body[name] is not None)
    return any(map(mention.named, ids)) or mention.spoken(body["by"])


def _record(body: dict[str, Any], mention: Mentions) -> bool:
    """Whether a line of a rollup speaks of an id: the values of a dimension by the rules of their columns."""
    if "question" in body:
        return Mentions(tuple(one for one in mention.each if one.long)).spoken(body["question"])
    names = body["dimension"].split(",")
    values = dict(zip(names, counted.keys(body["dimension"], body["of"]), strict=True))
    return _event(values, mention)


def _row(row: dict[str, Any]) -> dict[str, Any]:
    opened = {name: orjson.loads(row[name]) for name in ("properties", "context") if row[name] is not None}
    return {**row, **dict.fromkeys(("user_key", *_PLAIN)), **opened}


def _event(event: dict[str, Any], mention: Mentions) -> bool:
    """Whether an event speaks of the id: its texts and its JSON; among ids only the id itself."""
    if event.get("user_id") in mention.users:
        return True
    if any(mention.counting(name, event).named(event[name]) for name in _IDS if event.get(name) is not None):
        return True
    rest = event.keys() - {*_IDS, *_PLAIN, "user_id", "seq"}
    return any(mention.counting(name, event).spoken(event[name]) for name in rest)


def _raw(body: dict[str, Any]) -> bytes:
    return base64.b64decode(body["raw_base64"]) if "raw_base64" in body else str(body["raw"]).encode(errors="replace")


def _texts_of_reject(body: dict[str, Any]) -> Iterator[str]:
    yield spread_line(_raw(body))
    yield from spread(body)


def _reject(body: dict[str, Any], mention: Mentions) -> bool:
    told = [body[name] for name in ("source", "field", "expected", "got", "problems")]
    return mention.in_line(_raw(body)) or any(mention.spoken(value) for value in told)
