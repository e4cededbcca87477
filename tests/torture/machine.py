"""evlog beside the dictionary that plays it: each command run by its words, cut short or not, and what must be there after.

A command that ended must have done all it says; one that was cut short, the first so many of the things it promises to do
as a whole. Then comes a recovery, after which nothing may be wrong or left lying about.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import tempfile
from collections import Counter
from contextlib import nullcontext
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import onlooker
import poweroff
import storekit as kit
from idsearch import places
from model import Offer, Run, State, cleared, replayed
from model_gone import anonymised, erased, going, linked, purged, restored, suppressed

from evlog.ingest import block

if TYPE_CHECKING:
    from collections.abc import Sequence

_COUNTS = ("read", "stored", "duplicates", "rejected", "no_consent", "erased", "blank")


class Machine:
    """A store, the dictionary, a clock, and the folders around the store."""

    def __init__(self, tally: Counter[str]) -> None:
        self.home = Path(kit.FAST or tempfile.gettempdir()) / f"model-{os.getpid()}"  # the same for every history
        shutil.rmtree(self.home, ignore_errors=True)
        self.home.mkdir()
        self.chance = random.Random(1).randbytes  # the same dice, so that a history is the same when it is shrunk
        self.root, self.archive, self.lake = self.home / "store", self.home / "archive", self.home / "lake"
        self.now = datetime(2026, 1, 8, 12)
        self.state = State()
        self.sent: set[int] = set()
        self.unsure = False  # whether an archive was cut short, so that its manifest may be ahead of the audit log
        self.tally = tally
        self.words: tuple[str, ...] = ()
        (self.home / "in.ndjson").write_bytes(b"")
        assert self.run("ingest", str(self.home / "in.ndjson")).code == 0

    def close(self) -> None:
        shutil.rmtree(self.home)

    def run(self, *words: str, at: int = 0) -> poweroff.Ran:
        """Run a command on the store."""
        self.words = words
        self.tally["commands"] += 1
        with mock.patch("os.urandom", self.chance):
            ran = poweroff.evlog("--data", str(self.root), *words, now=self.now, at=at)
        self.tally["crashes"] += ran.off
        return ran

    def do(
        self, *words: str, states: Sequence[State], at: int = 0, codes: tuple[int, ...] = (0,)
    ) -> dict[str, Any] | None:
        """Run a command that leads through these states; what it answered (JSON), None if it was cut short."""
        ran = self.run(*words, at=at)
        if not ran.off:
            assert ran.code in codes, (ran.code, ran.out, ran.err)
            self.settle(states[-1:])
            return json.loads(ran.out) if ran.out.startswith("{") else {}
        self.settle(states[-1:] if ran.out else [self.state, *states], crashed=True)
        return None

    def settle(self, states: Sequence[State], *, crashed: bool = False) -> None:
        """Find which of these states the store is in: before its recovery too, as far as events go."""
        if crashed:
            found = onlooker.seen(self.root)
            fit = [state for state in states if Counter(e.shown for e in state.events.values()) == found]
            assert fit, self.differs(states[-1], {"events": found})
            self.recover()
            states = fit
        held = onlooker.events(self.root)
        told, hashed = onlooker.told(self.root, held), onlooker.hashed(self.root)
        fit = [state for state in states if state.told(hashed) == told]
        assert fit, self.differs(states[-1], told)
        self.state = onlooker.learnt(self.root, held, fit[-1])

    def differs(self, state: State, told: dict[str, Any]) -> str:
        """What is not as it must be, for whoever mends it."""
        must = state.told(onlooker.hashed(self.root))
        rows = [f"{key}:\n  must be {must[key]}\n  but is  {told[key]}" for key in told if told[key] != must[key]]
        return f"after {' '.join(self.words)}:\n" + "\n".join(rows)

    def recover(self) -> None:
        """Let the next command that writes mend what was cut short: nothing is wrong then, nothing lies about."""
        assert self.run("compact", "--before", "2000-01-01").code == 0
        kit.sound(kit.layout.open_store(self.root))

    # -- events in ----------------------------------------------------------------------------------------------------

    def ingest(self, batches: list[list[Offer]], *, at: int, rerun: bool) -> None:
        """Ingest lines, as one batch or as a stream that is committed piece by piece."""
        file = self.home / "in.ndjson"
        pieces = [b"".join(offer.raw + b"\n" for offer in batch) for batch in batches]
        file.write_bytes(b"".join(pieces))
        for power in (at, 0) if rerun else (at,):
            run = Run(self.state, self.now)
            states = [run.batch(batch) for batch in batches]
            with _streaming([len(piece) for piece in pieces]) if len(pieces) > 1 else nullcontext():
                words = ("ingest", str(file), "--workers", "1", "--format", "json")
                answer = self.do(*words, states=states, at=power, codes=(3 if run.counts["rejected"] else 0,))
            if answer is not None:
                self._balanced(answer, run)

    def _balanced(self, answer: dict[str, Any], run: Run) -> None:
        told = {name: answer[name] for name in _COUNTS}
        assert told == {name: run.counts[name] for name in _COUNTS}, (told, run.counts)
        assert answer["reasons"] == dict(run.reasons)
        assert told["read"] == sum(told[name] for name in _COUNTS[1:-1])

    def replay(self, *, at: int) -> None:
        states, counts = replayed(self.state, self.now)
        codes = (3 if counts["stayed"] else 0,)
        answer = self.do("rejects", "replay", "--format", "json", states=states or [self.state], at=at, codes=codes)
        if answer is not None:
            [row] = answer["rows"]
            assert {name: row[name] for name in ("stored", "duplicates", "left", "stayed")} == {
                name: counts[name] for name in ("stored", "duplicates", "left", "stayed")
            }

    def clear(self, code: str | None, *, at: int) -> None:
        reason = ("--reason", code) if code else ()
        states = cleared(self.state, code) or [self.state]
        self.do("rejects", "clear", "--yes", *reason, states=states, at=at)

    # -- days ---------------------------------------------------------------------------------------------------------

    def still(self, *words: str, at: int = 0) -> None:
        """Run a command that changes no answer."""
        self.do(*words, states=[self.state], at=at)

    def merge(self, *, at: int) -> None:
        with mock.patch("evlog.compact._MANY", 1):
            self.still("compact", "--before", "2026-01-01", at=at)

    def purge(self, days: int, *, at: int) -> None:
        state = purged(self.state, self._before(days))
        self.do("purge", "--older-than", f"{days}d", "--force", "--yes", states=[state], at=at)

    def _before(self, days: int) -> str:
        return str(self.now.date() - timedelta(days=days))

    def archive_out(self, days: int, *, at: int) -> None:
        before = self._before(days)
        leaving = [event.shown for key, event in self.state.events.items() if key[0] < before]
        words = ("archive", "--to", str(self.archive), "--older-than", f"{days}d", "--force", "--yes")
        whole = self.do(*words, states=[purged(self.state, before, rejects=False)], at=at) is not None
        self.unsure = (self.unsure and not (whole and leaving)) or not whole
        if not any(key[0] < before for key in self.state.events):
            held = Counter(event.shown for event in onlooker.archive(self.archive))
            assert not Counter(leaving) - held, "what left the store is not in the archive"

    def archive_back(self, *, at: int) -> None:
        if not (self.archive / "manifest.ndjson").exists():
            return
        state, counts = restored(self.state, onlooker.archive(self.archive))
        if self.unsure and self.run("archive", "restore", str(self.archive), "--dry-run").code:
            return  # the manifest is ahead of the audit log, and it says so
        words = ("archive", "restore", str(self.archive), "--format", "json")
        answer = self.do(*words, states=[state], at=at)
        if answer is not None:
            told = {name: answer["summary"][name] for name in ("events", "stored", "duplicates", "erased")}
            assert told == {name: counts[name] for name in told}

    def export(self, *, at: int) -> None:
        """Send what came in since the last time: each event once, whatever cut an earlier run short."""
        point = self.home / "point.json"
        since = self._point(point)
        new = {e.seq for e in self.state.events.values() if e.seq >> kit.layout.SEQ_BITS > since}
        words = ("export", "--resume", str(point), "--into", str(self.lake), "--format", "ndjson")
        self.do(*words, states=[self.state], at=at)
        if self._point(point) > since or not new:
            self.sent |= new if self._point(point) > since else set()
            rows = [row["seq"] for row in onlooker.lake(self.lake)]
            assert Counter(rows) == Counter(self.sent), "sent twice, or not at all"

    def _point(self, point: Path) -> int:
        return int(json.loads(point.read_bytes())["batch"]) if point.exists() else 0

    # -- people -------------------------------------------------------------------------------------------------------

    def delete(self, named: list[str], *, at: int, due: bool = False) -> None:
        gone = going(self.state, named)
        before, state = self.state.erased, erased(self.state, named)
        words = ("--due",) if due else (named[0],)
        answer = self.do("user", "delete", *words, "--yes", "--format", "json", states=[state], at=at)
        if answer is not None or self.state.erased != before:
            self.nowhere(gone)

    def nowhere(self, gone: frozenset[str]) -> None:
        for one in gone:
            assert places(self.root, one) == [], f"{one} was erased"

    def anonymise(self, named: str, *, at: int) -> None:
        """Give a person other names, which only the store can tell: they must be new, one for each id."""
        gone = going(self.state, [named])
        words = ("user", "delete", named, "--anonymise", "--yes", "--format", "json")
        ran = self.run(*words, at=at)
        assert ran.off or ran.code == 0, ran.err
        if ran.off:
            self.recover()
        held = onlooker.events(self.root)
        names = onlooker.renamed(self.root, held, self.state)
        assert len(set(names.values())) == len(names)
        after = anonymised(self.state, [named], names)
        buried = {onlooker.hashed(self.root)(one) for one in gone - self.state.erased}
        done = buried <= onlooker.told(self.root, held)["erased"]
        self.settle([self.state, after] if ran.off else [after])
        if not ran.off or (buried and done):
            self.nowhere(gone)

    def await_erasure(self, named: str, days: int, *, at: int) -> None:
        due = (self.now + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        pending = {**self.state.pending, named: (due, "delete")}
        states = [self.state.but(pending=pending)]
        self.do("user", "delete", named, "--after", f"{days}d", states=states, at=at)

    def cancel(self, named: str, *, at: int) -> None:
        pending = {one: due for one, due in self.state.pending.items() if one != named}
        codes = (0 if named in self.state.pending else 1,)
        self.do("user", "delete", named, "--cancel", states=[self.state.but(pending=pending)], at=at, codes=codes)

    def due(self, *, at: int) -> None:
        now = self.now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        named = [
            one for one, (due, _) in sorted(self.state.pending.items(), key=lambda x: (x[1][0], x[0])) if due <= now
        ]
        if named:
            self.delete(named, at=at, due=True)
        else:
            self.still("user", "delete", "--due", "--yes", at=at)

    def suppress(self, named: str, *, lift: bool, at: int) -> None:
        state = suppressed(self.state, named, self.now, lift=lift)
        self.do("user", "suppress", named, *(("--lift",) if lift else ()), states=[state], at=at)

    def link(self, source: str, target: str, *, at: int) -> None:
        kinship = self.state.kinship()
        words, codes = ("user", "link", source, target), (0,)
        state = linked(self.state, source, target, self.now)
        if source == target:
            state, codes = self.state, (2,)
        elif source in kinship.chain(target) or self.state.erased & {source, target}:
            state, codes = self.state, (1,)
        elif kinship.told(source) == target and kinship.means(source, kinship.person(target)):
            state = self.state
        self.do(*words, states=[state], at=at, codes=codes)

    def unlink(self, source: str, *, at: int) -> None:
        kinship = self.state.kinship()
        known = source in kinship.users or source in kinship.nobodys
        codes = (1 if known and source in self.state.erased else 0,)
        state = linked(self.state, source, None, self.now) if known and codes == (0,) else self.state
        self.do("user", "unlink", source, states=[state], at=at, codes=codes)


def _streaming(sizes: list[int]) -> Any:
    """Let a stream come in pieces of these sizes, and each be committed at once."""

    def pieces(stream: Any, _interval: float, _room: Any) -> Any:
        for size in sizes:
            yield stream.read(size)

    return mock.patch.multiple(block, LINES=1, _pieces=pieces)
