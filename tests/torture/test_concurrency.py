"""A crowd of processes upon one store: whole batches, nothing twice, nothing lost, nobody back, as they promised it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import crowd
import held
import members
import pytest
import storekit as kit
import torture
from crowd import Heard, Judge, Scene

from evlog.store import layout, links, quarantine

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Tally

_WRITERS = (*crowd.INGESTS, "erase", "purge", "steward")
_PATIENCE = 450.0  # seconds that nobody takes


@pytest.mark.parametrize("kills", [False, True] if torture.ALL else [False])
def test_a_crowd_upon_one_store(tmp_path: Path, tally: Tally, *, kills: bool) -> None:
    today = datetime.now(UTC).date()
    scene = Scene(tmp_path, today, torture.much(60, 5), torture.much(2600, 30), kills)
    layout.create(scene.data)
    _archived(scene)
    _gather(scene)
    heard = Heard(scene).listen()
    assert heard.faults == []
    tally("crowd, all killed" if kills else "crowd", snapshots=heard.counts["looks"], **_told(heard))
    _ended(scene, heard)


def _archived(scene: Scene) -> None:
    """Archive a day before anybody comes."""
    evlog = [sys.executable, "-m", "evlog", "--data", str(scene.data)]
    given = crowd.batch(scene, crowd.ARCHIVED, 0).content
    subprocess.run([*evlog, "ingest", "-"], input=given, check=True)
    words = ("archive", "out", "--older-than", "8d", "--as-of", str(scene.today), "--to", str(scene.root / "before"))
    subprocess.run([*evlog, *words, "--yes", "--force"], check=True)  # it is all there is, which evlog would ask about


def test_the_judge_sees_what_is_wrong(tmp_path: Path) -> None:
    scene = Scene(tmp_path, datetime.now(UTC).date(), 5, 5, kills=False)
    batches = [crowd.batch(scene, name, number) for name in crowd.INGESTS for number in range(3)]
    rows = [_row(one) for batch in batches for one in batch.own.values()]
    heard, user, day = Heard(scene), crowd.DOOMED[0], scene.days[0]
    assert Judge(scene).faults(rows, heard) == []
    without = [row for row in rows if row[2] != user]
    late = [row for row in rows if row[1] != day]
    spoken = Judge(scene)
    spoken.faults(rows, heard)
    assert any("speaks of" in one for one in spoken.faults(without, heard))
    back = Judge(scene)
    back.faults(late, heard)
    heard.erased[user], heard.gone[day], heard.stored["one-9"] = {}, {}, {}
    heard.stored["one-1"] = {"hushed": True}
    heard.done |= {"masked": {}, "restored": {}}
    half = [
        (*row[:2], "anon-1", *row[3:]) if row[0] == "one-1-masked" else row for row in rows if row[0] != "two-1-masked"
    ]
    told = " ".join(
        [
            *back.faults(rows, heard),
            *Judge(scene).faults([*rows[1:], rows[-1]], None),
            *Judge(scene).faults(half, None),
            *back.faults([], None),
        ]
    )
    for word in ("is back", "was erased and is there", "is purged and is there", "was acknowledged and is not there"):
        assert word in told
    for word in (
        "still there by name",
        "stored though suppressed",
        "restored and not there",
        "in part: [",
        "and not in [",
    ):
        assert word in told
    for word in ("batches in part", "is there twice", "was seen and is gone"):
        assert word in told


def _row(event: dict[str, Any]) -> crowd.Row:
    told = event["properties"]
    return event["event_id"], event["ts"][:10], event.get("user_id"), told["batch"], told.get("friend")


def test_the_engine_draws_nothing_on_stdout() -> None:
    """It would where it takes its caller for a person who types, and a query takes two seconds: amid the answer."""
    code = (
        "from evlog import engine\nwith engine.connect() as c: print(c.rows('SELECT current_setting($s)', {'s': $t}))"
    )
    code = code.replace("$t", "'enable_progress_bar'")
    assert subprocess.check_output([sys.executable, "-c", code]) == b"[(False,)]\n"


def _told(heard: Heard) -> dict[str, int]:
    return {what.replace(" ", "_"): count for what, count in sorted(heard.counts.items()) if what != "looks"}


def _gather(scene: Scene) -> None:
    """Let all members meet, until the last writer is done."""
    context = held.clean()
    all_ = {
        name: context.Process(target=members.guarded, args=(member, scene, name), daemon=False)
        for name, member in members.MEMBERS.items()
    }
    for process in all_.values():
        process.start()
    give_up = time.monotonic() + _PATIENCE
    try:
        while any(all_[name].is_alive() for name in _WRITERS) and not scene.over and time.monotonic() < give_up:
            time.sleep(0.02)
    finally:
        (scene.root / "over").touch()
        for process in all_.values():
            process.join(60)
        late = [name for name, process in all_.items() if process.is_alive()]
        for name in late:
            all_[name].kill()
    assert late == []


def _ended(scene: Scene, heard: Heard) -> None:
    """The store is what was acknowledged: each batch, without those who were erased and the days that went."""
    store = layout.open_store(scene.data)
    judge = Judge(scene)
    found = kit.rows(store, "event_id, CAST(date AS VARCHAR), user_id, properties->>'batch', properties->>'friend'")
    assert judge.faults(found, heard) == []
    assert (set(heard.erased), set(heard.gone)) == (set(crowd.DOOMED), set(scene.doomed_days))
    assert judge.batches == {*heard.stored, f"{crowd.ARCHIVED}-0"}
    stored, *left = (sum(one["events"] for one in what.values()) for what in (heard.stored, heard.erased, heard.gone))
    if not scene.kills:  # what a killed call stored or removed, it never told
        assert len(found) == stored + heard.done["restored"]["events"] - sum(left)
    said = {f"{one.source} {one.target}" for file in links.files(store) for one in file.read()}
    assert said == {one for one in heard.done if one.startswith("device")}
    rejects = Counter(one.raw for one in quarantine.rejects(store))
    assert max(rejects.values()) == 1, "a line is in quarantine twice"
    kit.sound(store)
