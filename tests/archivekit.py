"""What the tests of purge and archive share: calls of evlog at a fixed instant, and a store to be emptied."""

from __future__ import annotations

import json
import os
import signal
import sys
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import storekit as kit
from storekit import DAY_2, DAY_3, event

from evlog.cli import clock, leaving
from evlog.cli.run import run
from evlog.store import layout

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

NOW = datetime(2026, 4, 10, 12)
KEPT = NOW.date() - timedelta(days=5)  # a day that stays under any retention of a week or more


class Here:
    """evlog, called in a folder of its own as it stands on a shell's line; `now` plays now."""

    def __init__(self, capfdbinary: Any, root: Path) -> None:
        self._captured, self.root = capfdbinary, root
        self.now = NOW

    def __call__(self, *words: str) -> tuple[int, str, str]:
        """Exit code, stdout, stderr."""
        code = run(words)
        sys.stdout.flush()
        out, err = self._captured.readouterr()
        return code, out.decode(), err.decode()

    def json(self, *words: str, code: int = 0) -> dict[str, Any]:
        """The answer of a call that ends with `code`."""
        done = self(*words, "--format", "json")
        assert done[0] == code, done
        found: dict[str, Any] = json.loads(done[1])
        return found

    @property
    def store(self) -> layout.Store:
        """The store of these calls."""
        return layout.open_store(self.root / "evlog-data")


def calls(monkeypatch: pytest.MonkeyPatch, capfdbinary: Any, tmp_path: Path, *, rolls: bool = False) -> Iterator[Here]:
    """Yield what calls evlog in `tmp_path`, with nothing in its environment that it heeds.

    Unless it `rolls`, nothing is counted before days leave: that takes seconds, and few tests are about it.
    """
    if not rolls:
        monkeypatch.setattr(leaving, "roll", lambda call, store, before: lambda: None)
    here = Here(capfdbinary, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(clock, "now", lambda: here.now)
    for name in [name for name in os.environ if name.startswith("EVLOG_")]:
        monkeypatch.delenv(name)
    before = signal.getsignal(signal.SIGTERM)
    yield here
    signal.signal(signal.SIGTERM, before)


def filled(root: Path) -> layout.Store:
    """A store with three old days, in both tiers, and four that stay, so that less than half of the days are old."""
    store = layout.create(root)
    told = {"x": 1.5, "big": 2**53 + 1, "small": 1e-7, "text": 'é \u0001 "q"', "list": [1, {"q": None}, -0.0, 1e300]}
    kit.ingest(store, event("a1", properties=told), event("a2", user="ann"), event("b1", DAY_2), event("c1", DAY_3))
    kit.here(root, "compact", str(DAY_3))
    later = [event(f"k{n}", KEPT + timedelta(days=n)) for n in range(4)]
    kit.ingest(
        store, event("a3", user=None, anonymous_id="dev"), event("b2", DAY_2, context={"k": "v"}), *later,
        now=NOW - timedelta(hours=1),
    )  # fmt: skip
    return store
