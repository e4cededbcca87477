"""A store that is fed at given moments and then checked, all through the command line."""

from __future__ import annotations

import json
import os
import signal
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from evlog.cli.run import run

EVENING = datetime(2026, 3, 10, 23)


class Desk:
    """Somebody at a terminal whose clock can be set."""

    def __init__(self, capture: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self._capture = capture
        self.now = EVENING
        monkeypatch.setattr("evlog.cli.clock.now", lambda: self.now)
        self.monkeypatch = monkeypatch

    def evlog(self, *words: str) -> tuple[int, str, str]:
        """What a call of evlog exits with and prints."""
        code = run(words)
        sys.stdout.flush()
        out, err = self._capture.readouterr()
        return code, out.decode(), err.decode()

    def ingest(self, *events: dict[str, Any] | str, at: datetime | None = None) -> int:
        """Take in events (or lines as they are) at a moment."""
        self.now = at or self.now
        lines = [one if isinstance(one, str) else json.dumps(one) for one in events]
        Path("in.ndjson").write_text("\n".join(lines) + "\n")
        return self.evlog("ingest", "in.ndjson", "--quiet")[0]

    def checked(self, *words: str) -> tuple[int, dict[str, dict[str, Any]], str]:
        """Exit code, findings by the name of their check, and what was said on stderr."""
        code, out, err = self.evlog("check", "--format", "json", *words)
        assert out, err
        return code, {row["check"]: row for row in json.loads(out)["rows"]}, err


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch, capfdbinary: Any, tmp_path: Path) -> Any:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(os, "fsync", lambda fd: None)
    for name in [name for name in os.environ if name.startswith("EVLOG_")]:
        monkeypatch.delenv(name)
    before = signal.getsignal(signal.SIGTERM)
    yield Desk(capfdbinary, monkeypatch)
    signal.signal(signal.SIGTERM, before)


def event(name: str, ts: datetime | str, kind: str = "view", user: str | None = "ann", **more: Any) -> dict[str, Any]:
    """An event as somebody sends it."""
    moment = ts if isinstance(ts, str) else f"{ts.isoformat()}Z"
    said = {"event_id": name, "ts": moment, "event_type": kind, "user_id": user, **more}
    return {key: value for key, value in said.items() if value is not None}


def days(first: int, last: int, count: int = 10, **more: Any) -> list[dict[str, Any]]:
    """So many events on each day of March 2026, of a user and a session each."""
    return [
        event(
            f"e{day}-{n}",
            datetime(2026, 3, day, 10, n // 60, n % 60),
            user=f"u{n}",
            **{"session_id": f"s{day}-{n}", **more},
        )
        for day in range(first, last + 1)
        for n in range(count)
    ]


def changed(events: list[dict[str, Any]], which: Any, **said: Any) -> list[dict[str, Any]]:
    """The events, with other values (None: left out) where `which(day, number)` holds."""
    found = []
    for one in events:
        day, number = map(int, one["event_id"][1:].split("-"))
        new = {**one, **said} if which(day, number) else one
        found.append({key: value for key, value in new.items() if value is not None})
    return found


def later(moment: datetime, **more: float) -> datetime:
    return moment + timedelta(**more)
