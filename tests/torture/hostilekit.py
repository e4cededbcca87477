"""A store full of hostile strings, and a terminal to look at it."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Self

import naughty
import pytest
from exportkit import INTERRUPTED, Said, evlog
from feed import event, feed, new_store, written

from evlog.cli.run import run
from evlog.event.plan import Plan
from evlog.event.privacy import Guard
from evlog.ingest.rules import Rules

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from evlog.store.layout import Store

ALLOWING = Rules(plan=Plan.open(), guard=Guard("allow"))
IDS = ("event_type", "event_id", "user_id", "anonymous_id", "session_id", "target_id")
TEXTS = ("category", "target_type", "feature", "source")
SPAN = ("--from", "2026-03-01", "--to", "2026-03-09", "--as-of", "2026-03-10")
CLEAN = [one for one in naughty.ALL if not any(sign < " " or "\x7f" <= sign <= "\x9f" for sign in one)]
PLACEHOLDERS = {"null", "none", "undefined", "anonymous"}


def _events() -> Iterator[dict[str, Any]]:
    """An event for each string, in every field that may hold it; the others keep it in their texts and properties."""
    for number, one in enumerate(naughty.ALL):
        name = one if one in CLEAN else f"n{number}"
        user = f"u{number}" if name.lower() in PLACEHOLDERS else name
        fields = dict.fromkeys(IDS, name) | {"user_id": user} | dict.fromkeys(TEXTS, one)
        more = {
            "properties": {"v": one, one: {one: [one]}, "status": one, "n": number},
            "context": {"v": one, one: one},
        }
        day = f"2026-03-0{1 + number % 9}"
        yield event(**fields | {"ts": f"{day}T10:{number // 60:02d}:{number % 60:02d}Z"} | more)
    for number, one in enumerate(naughty.LONG):
        yield event(
            event_id=f"long{number}", user_id=f"long{number}", feature=one, source=one, properties={"v": one, one: one}
        )


SENT = {one["event_id"]: one for one in _events()}


def _refused() -> Iterator[dict[str, Any]]:
    """Events with a string where it may not stand, or beside what makes them bad."""
    for one in naughty.ALL:
        yield event(event_id=f"x{one}", ts=f"at {one}", note=one)
        if one not in CLEAN:
            yield from (event(**{"event_id": "y", field: one}) for field in IDS)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Store]:
    """The same events as segments and as parts, with the refused ones in quarantine."""
    found = {}
    for name in ("hot", "cold"):
        home = tmp_path_factory.mktemp(name)
        found[name] = store = new_store(home)
        path = written(home / "log \x1b[31m\u202e.ndjson", *(json.dumps(one).encode() for one in SENT.values()))
        assert feed(store, path, rules=ALLOWING).tally.stored == len(SENT)
        bad = written(home / "bad", *(json.dumps(one).encode() for one in _refused()), *_broken())
        assert feed(store, bad, rules=ALLOWING).tally.stored == 0
        if name == "cold":
            assert evlog(store.root, "compact", "--all")[0] == 0
    return found


def _broken() -> Iterator[bytes]:
    for one in naughty.ALL:
        if "\n" not in one:
            yield b'{"event_type":' + one.encode()
            yield json.dumps({"a": {one: 1}}).encode()[:-2] + b"," + json.dumps(one).encode() + b":2}}"


class Terminal(Said):
    """Catches what a call writes to a terminal of 80 columns."""

    def __enter__(self) -> Self:
        super().__enter__()
        sys.stdout.isatty = lambda: True  # type: ignore[method-assign]
        return self


def on_a_terminal(root: Path, *words: str, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str, str]:
    """Run evlog as if somebody looked: its exit code, and what they see."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm-256color")
    with Terminal() as said:
        code = run(["--data", str(root), "--no-color", *words])
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    return code, said.out.getvalue().decode(), said.err.getvalue().decode()
