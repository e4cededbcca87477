"""What `evlog purge` promises: rolled up first or not at all, a dry run that is exact, told in the audit log."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import archivekit
import pytest
import storekit as kit
from archivekit import NOW
from storekit import DAY_1, DAY_2, DAY_3, event

from evlog import purge
from evlog.errors import EvlogError
from evlog.ingest.rules import Rules
from evlog.purge import NotRolledUp, Signed
from evlog.store import audit, layout, rollups
from evlog.store.rollups import Period, Record, Section
from evlog.store.snapshot import StoreBusy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from archivekit import Here

OLD = [DAY_1, DAY_2, DAY_3]
BACKFILL = Rules(plan=kit.RULES.plan, backfill=True)


@pytest.fixture
def evlog(monkeypatch: pytest.MonkeyPatch, capfdbinary: Any, tmp_path: Path) -> Iterator[Here]:
    archivekit.filled(tmp_path / "evlog-data")
    yield from archivekit.calls(monkeypatch, capfdbinary, tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> layout.Store:
    return archivekit.filled(tmp_path / "s")


@pytest.fixture
def rolling(monkeypatch: pytest.MonkeyPatch, capfdbinary: Any, tmp_path: Path) -> Iterator[Here]:
    archivekit.filled(tmp_path / "evlog-data")
    yield from archivekit.calls(monkeypatch, capfdbinary, tmp_path, rolls=True)


def rolled(store: layout.Store, *periods: tuple[str, date, date]) -> list[str]:
    """Rollup files of these periods (grain, first, last); their names."""
    names = []
    for grain, first, last in periods:
        period = Period(grain, first, last, "Europe/Berlin")  # type: ignore[arg-type]
        section = Section("dau", "d", 1, NOW, (Record("dau", 3.0),))
        path = store.root / period.target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(rollups.content(period, [section]))
        names.append(period.target)
    return names


# -- rolled up first -----------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_the_reports_go_on_telling_the_numbers_of_purged_days(rolling: Here) -> None:
    asked = ("--from", "2026-01-04", "--to", "2026-01-08")
    before = rolling.json("report", "dau", *asked)
    assert [row["dau"] for row in before["rows"]] == [0, 2, 1, 1, 0]
    done = rolling.json("purge", "--older-than", "90d")
    assert done["summary"]["days"] == 3
    assert not {row[-1] for row in kit.rows(rolling.store)} & set(OLD)
    after = rolling.json("report", "dau", *asked)
    assert after["rows"] == before["rows"]
    assert after["source"] != "events"
    kit.sound(rolling.store)


def test_where_the_rollup_fails_nothing_goes_unless_it_is_forced(
    rolling: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    from evlog import rollup

    def broken(*_: object, **__: object) -> None:
        raise EvlogError("no number could be made")

    monkeypatch.setattr(rollup, "finish", broken)
    before = kit.tree(rolling.store.root)
    for words in (("purge",), ("archive", "--to", "arc")):
        code, _, err = rolling(*words, "--older-than", "90d")
        assert code == 1
        assert "no number could be made" in err
        assert "nothing was removed" in err
        assert kit.tree(rolling.store.root) == before
        assert not [path for path in rolling.root.glob("arc/**/*") if path.is_file()]
    code, _, err = rolling("purge", "--older-than", "90d", "--force")
    assert code == 0
    assert "forced: the final rollups of these days were not made: no number could be made" in err
    assert not {row[-1] for row in kit.rows(rolling.store)} & set(OLD)


def test_what_comes_in_after_the_rollup_is_rolled_up_too(store: layout.Store) -> None:
    counted = []

    def roll() -> None:
        counted.append(len(kit.rows(store)))
        if len(counted) == 1:
            kit.ingest(store, event("meanwhile"))

    done = purge.apply(store, DAY_2, roll=roll)
    assert counted == [10, 11]
    assert done.events == 4
    assert "meanwhile" not in kit.ids(store)


def test_a_day_that_never_rests_is_not_purged(store: layout.Store) -> None:
    def roll() -> None:
        kit.ingest(store, event(f"new{len(kit.rows(store))}"))

    with pytest.raises(StoreBusy, match=r"events kept coming into days .* none of them went") as told:
        purge.apply(store, DAY_2, roll=roll)
    assert told.value.hint == f"run it again once nothing sends events from before {DAY_2} any more"
    assert len([row for row in kit.rows(store) if row[-1] == DAY_1]) == 3 + 5


def test_nothing_is_rolled_up_where_nothing_goes(store: layout.Store) -> None:
    def roll() -> None:
        raise EvlogError("asked for")

    assert purge.apply(store, DAY_1, roll=roll).days == ()
    with pytest.raises(NotRolledUp, match="asked for"):
        purge.apply(store, DAY_2, roll=roll)


# -- rollups that are old themselves ---------------------------------------------------------------------------------------


def test_rollups_go_once_their_period_is_over_for_long_enough(evlog: Here) -> None:
    month, last = date(2025, 12, 1), date(2025, 12, 31)
    gone = rolled(
        evlog.store, ("day", last, last), ("month", month, last), ("week", date(2025, 12, 22), date(2025, 12, 28))
    )
    stays = rolled(
        evlog.store, ("day", date(2026, 1, 1), date(2026, 1, 1)), ("week", date(2025, 12, 29), date(2026, 1, 4))
    )
    days = str((NOW.date() - date(2026, 1, 1)).days)
    done = evlog.json("purge", "--older-than", "90d", "--rollups-older-than", f"{days}d")
    assert done["summary"]["rollups"] == 3
    assert set(rollups.files(evlog.store)) == set(stays)
    assert not set(gone) & set(rollups.files(evlog.store))


def test_rollups_go_where_no_day_does_and_stay_where_nobody_says_so(evlog: Here) -> None:
    rolled(evlog.store, ("day", date(2020, 1, 1), date(2020, 1, 1)))
    assert evlog.json("purge", "--older-than", "3000d")["summary"]["rollups"] == 0
    done = evlog.json("purge", "--older-than", "700d", "--rollups-older-than", "2y")
    assert (done["summary"]["days"], done["summary"]["rollups"]) == (0, 1)
    assert rollups.files(evlog.store) == {}


def test_rollups_are_kept_no_shorter_than_events(evlog: Here) -> None:
    before = kit.tree(evlog.store.root)
    code, _, err = evlog("purge", "--older-than", "90d", "--rollups-older-than", "89d")
    assert (code, "as long as events at least (90 days)" in err) == (2, True)
    assert evlog("purge", "--older-than", "90d", "--rollups-older-than", "36h")[0] == 2
    assert kit.tree(evlog.store.root) == before


# -- told ------------------------------------------------------------------------------------------------------------------


def test_a_dry_run_tells_exactly_what_the_purge_then_does(evlog: Here) -> None:
    rolled(evlog.store, ("day", date(2024, 1, 1), date(2024, 1, 1)), ("day", DAY_3, DAY_3))
    kit.ingest(evlog.store, b"{bad", now=NOW - timedelta(days=95))
    before = kit.tree(evlog.store.root)
    words = ("purge", "--older-than", "90d", "--rollups-older-than", "1y")
    told = evlog.json(*words, "--dry-run")
    assert kit.tree(evlog.store.root) == before
    done = evlog.json(*words)
    assert told == done
    assert done["summary"].items() >= {"days": 3, "events": 6, "rejects": 1, "rollups": 1}.items()
    after = kit.tree(evlog.store.root)
    assert sum(row["files"] for row in done["rows"]) == len(
        [name for name in before.keys() - after.keys() if "2026-01-0" in name and "rollup" not in name]
    )


def test_the_audit_log_knows_what_went_and_by_whom(evlog: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "keeper")
    evlog("purge", "--older-than", "90d", "--dry-run")
    assert audit.read(evlog.store) == []
    evlog("purge", "--older-than", "90d")
    evlog("purge", "--older-than", "90d")  # nothing is left to go: nothing is said
    [entry] = audit.read(evlog.store)
    assert (entry["what"], entry["by"], entry["subjects"]) == ("purge", "keeper", [])
    assert entry["at"].startswith("2026-04-10T12:00:00")
    assert entry["details"] == {"before": "2026-01-10", "days": 3, "events": 6, "rejects": 0, "rollups": 0}
    assert audit.findings(evlog.store) == []


def test_the_entry_stands_in_the_commit_that_removes(store: layout.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from evlog.store import journal

    real, seen = journal.commit, []

    def commit(staged: Any, why: str, renames: Any, **more: Any) -> int:
        seen.append((why, [target.partition("/")[0] for _, target in renames], bool(more["unlinks"])))
        return real(staged, why, renames, **more)

    monkeypatch.setattr(journal, "commit", commit)
    purge.apply(store, DAY_2, signed=Signed(NOW, "me"))
    [(why, folders, removes)] = seen
    assert (why, sorted(folders), removes) == ("purge", ["audit", "firsts", "tombstones"], True)


# -- sanity ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [("purge",), ("archive", "--to", "arc")])
def test_a_clock_that_stands_before_the_newest_events_is_not_trusted(evlog: Here, words: tuple[str, ...]) -> None:
    before = kit.tree(evlog.store.root)
    evlog.now = NOW - timedelta(hours=2)
    code, _, err = evlog(*words, "--older-than", "90d")
    assert (code, "the clock stands before" in err) == (1, True)
    assert kit.tree(evlog.store.root) == before
    assert evlog(*words, "--older-than", "90d", "--force")[0] == 0


def test_more_than_half_of_the_days_need_a_word(evlog: Here) -> None:
    before = kit.tree(evlog.store.root)
    code, _, err = evlog("purge", "--older-than", "2d", "--force")
    assert (code, "more than half of the 7 days" in err) == (1, True)
    assert kit.tree(evlog.store.root) == before
    assert evlog("purge", "--older-than", "2d", "--yes")[0] == 0


def test_the_environment_cannot_play_now(evlog: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVLOG_AS_OF", "2030-01-01")
    assert evlog.json("purge", "--older-than", "90d", "--dry-run")["summary"]["days"] == 3
    assert evlog.json("purge", "--older-than", "90d", "--dry-run", "--as-of", "2026-04-07")["summary"]["days"] == 2
    assert evlog("purge", "--as-of", "latest")[0] == 2


@pytest.mark.long
def test_the_rollup_plays_by_the_same_now(rolling: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    from evlog import rollup

    real, seen = rollup.finish, []

    def finish(store: Any, asked: Any, **more: Any) -> Any:
        seen.append((asked.scope.window.as_of, more["before"], more["held"]))
        return real(store, asked, **more)

    monkeypatch.setattr(rollup, "finish", finish)
    monkeypatch.setenv("EVLOG_AS_OF", "2030-01-01")
    assert rolling("purge", "--older-than", "90d", "--as-of", "2026-04-07")[0] == 0
    assert [(str(at), day, held) for at, day, held in seen] == [("2026-04-08 00:00:00", DAY_3, True)]
