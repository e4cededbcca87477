"""Surroundings that a cron job, a container or a broken pipe make: no home, no terminal, streams that are closed or full.

Each command ends with a code of the contract and in sentences, never with a traceback.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import bounds
import pytest
import storekit as kit
import torture
from bases import WHERE
from storekit import DAY_1, DAY_2, event

from evlog.store import layout

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Tally

CODES = {0, 1, 2, 3, 4}
COMMANDS: dict[str, tuple[str, ...]] = {
    "ingest": ("ingest", "more.ndjson"),
    "ingest by two": ("ingest", "more.ndjson", "--workers", "2"),
    "rejects list": ("rejects", "list"),
    "rejects show": ("rejects", "show"),
    "rejects replay": ("rejects", "replay"),
    "plan infer": ("plan", "infer", "more.ndjson"),
    "plan show": ("plan", "show"),
    "compact": ("compact", "--all"),
    "rollup": ("rollup", "--grain", "day", "--from", str(DAY_1), "--to", str(DAY_1)),
    "report": ("report", "events", "--all-time"),
    "report list": ("report",),
    "funnel": ("funnel", "seen", "seen", "--all-time"),
    "overview": ("overview", "--as-of", "latest"),
    "user export": ("user", "export", "bob"),
    "user journey": ("user", "journey", "bob"),
    "user delete": ("user", "delete", "bob", "--yes"),
    "user link": ("user", "link", "a device", "bob"),
    "export": ("export", "--all-time", "--format", "csv"),
    "sql": ("sql", "SELECT * FROM events"),
    "status": ("status",),
    "check": ("check",),
    "audit show": ("audit", "show"),
    "verify": ("verify",),
    "config": ("config",),
    "help": ("--help",),
    "purge": ("purge", "--older-than", "90d", "--dry-run"),
    "archive": ("archive", "out", "--older-than", "90d", "--to", "arc", "--dry-run"),
}
FEW = ("ingest by two",)


def _named() -> list[str]:
    return list(COMMANDS if torture.ALL else FEW)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a small store and a file that brings more; copied by who changes it."""
    home = tmp_path_factory.mktemp("surroundings") / "home"
    home.mkdir()
    store = layout.create(home / "s")
    kit.ingest(store, *(event(f"e{n}", DAY_1) for n in range(50)), event("d", DAY_2), b"{bad")
    kit.written(home / "more.ndjson", *(event(f"m{n}", DAY_2) for n in range(50)))
    return home


def _run(home: Path, words: tuple[str, ...], **more: object) -> bounds.Ran:
    env = WHERE | dict(more.pop("env", {}))  # type: ignore[call-overload]
    return bounds.command([sys.executable, "-m", "evlog", "--data", "s", *words], cwd=home, env=env, **more)


def _shell(home: Path, words: tuple[str, ...], tail: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command with a shell's redirections behind it."""
    script = f'"$0" -m evlog --data s "$@" {tail}'
    call = ["sh", "-c", script, sys.executable, *words]
    return subprocess.run(call, cwd=home, env=bounds.plain(WHERE), capture_output=True, check=False, timeout=120)


def _clean(said: str, where: object) -> None:
    assert "Traceback" not in said, (where, said)
    assert "xception" not in said, (where, said)
    assert "bug in evlog" not in said, (where, said)


TAILS = {
    "stdin closed": "<&-",
    "stdout closed": ">&-",
    "stderr closed": "2>&-",
    "all closed": "<&- >&- 2>&-",
    "stdout full": ">/dev/full",
    "stderr full": "2>/dev/full",
    "both full": ">/dev/full 2>/dev/full",
}


@pytest.mark.parametrize("name", _named())
def test_streams_that_are_closed_or_full(name: str, base: Path, tally: Tally, tmp_path: Path) -> None:
    tails = list(TAILS) if torture.ALL else ["all closed", "stdout full"]
    for number, tail in enumerate(tails):
        home = shutil.copytree(base, tmp_path / str(number))
        done = _shell(home, COMMANDS[name], TAILS[tail])
        _clean(done.stderr.decode(), (name, tail))
        assert done.returncode in CODES, (name, tail, done)
        if "stdout full" in tail and "--dry-run" not in COMMANDS[name]:
            assert done.returncode == 1 or not _prints(base, name, tmp_path), (name, tail, done)
        if name.startswith("ingest"):
            assert len(kit.ids(layout.open_store(home / "s"))) == 101, (name, tail)
        kit.sound(layout.open_store(home / "s"))
    tally("closed and full streams", calls=len(tails))


def _prints(base: Path, name: str, tmp_path: Path) -> bool:
    """Whether a command says anything on stdout."""
    home = shutil.copytree(base, tmp_path / "spoken", dirs_exist_ok=True)
    return bool(_run(home, COMMANDS[name]).out)


@pytest.mark.parametrize("name", _named())
def test_a_reader_that_has_heard_enough(name: str, base: Path, tally: Tally, tmp_path: Path) -> None:
    """`| head -1`, and a pipe whose other end is closed before the first word."""
    for number, reader in enumerate(("| head -1 >/dev/null", "| true")):
        home = shutil.copytree(base, tmp_path / str(number))
        done = _shell(home, COMMANDS[name], reader)
        _clean(done.stderr.decode(), (name, reader))
        assert b"roken pipe" not in done.stderr, (name, done.stderr)
    tally("closed pipes", calls=2)


PLACES = {
    "no home": {"HOME": None},
    "a home that cannot be written": {"HOME": "/proc"},
    "a home that is not there": {"HOME": "/nowhere/at/all", "XDG_STATE_HOME": None},
    "no folder for scratch": {"TMPDIR": "/nowhere/at/all"},
    "nothing at all": {"HOME": None, "PATH": None, "TERM": None, "USER": None, "LOGNAME": None, "LANG": None},
    "a dumb terminal": {"TERM": "dumb"},
    "no width": {"COLUMNS": "0"},
    "a negative width": {"COLUMNS": "-5"},
    "a width that is none": {"COLUMNS": "wide"},
    "a huge width": {"COLUMNS": "99999999"},
    "the C locale": {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "ASCII out": {"PYTHONIOENCODING": "ascii"},
    "Latin out": {"PYTHONIOENCODING": "latin-1"},
    "UTF-16 out": {"PYTHONIOENCODING": "utf-16"},
}


@pytest.mark.parametrize("place", PLACES if torture.ALL else ["the C locale"])
def test_an_environment_that_is_poor(place: str, base: Path, tally: Tally, tmp_path: Path) -> None:
    names = list(COMMANDS) if torture.ALL else ["overview"]
    for name in names:
        home = shutil.copytree(base, tmp_path / name.replace(" ", "-"))
        done = _poor(home, name, place)
        _clean(done.err, (name, place))
        assert done.code == _run(shutil.copytree(base, tmp_path / f"{name}-usual"), COMMANDS[name]).code, (name, done)
    tally("poor environments", calls=len(names))


def _poor(home: Path, name: str, place: str) -> bounds.Ran:
    kept = bounds.plain(WHERE)
    for key, value in PLACES[place].items():
        if value is None:
            kept.pop(key, None)
        else:
            kept[key] = value
    done = subprocess.run(
        [sys.executable, "-m", "evlog", "--data", "s", *COMMANDS[name]],
        cwd=home, env=kept, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=120,
    )  # fmt: skip
    return bounds.Ran(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


@pytest.mark.parametrize("name", _named())
def test_a_folder_that_is_gone_from_under_us(name: str, base: Path, tally: Tally, tmp_path: Path) -> None:
    """The store is named by its whole path, and the folder we stand in was removed."""
    home = shutil.copytree(base, tmp_path / "home")
    gone = tmp_path / "gone"
    gone.mkdir()
    words = [str(home / "more.ndjson") if word == "more.ndjson" else word for word in COMMANDS[name]]
    script = 'rmdir "$PWD"; exec "$0" -m evlog --data "$@"'
    call = ["sh", "-c", script, sys.executable, str(home / "s"), *words]
    done = subprocess.run(call, cwd=gone, env=bounds.plain(WHERE), capture_output=True, check=False, timeout=120)
    _clean(done.stderr.decode(), name)
    assert done.returncode in CODES, (name, done)
    tally("folders that are gone", calls=1)


@pytest.mark.parametrize("year", ["1970-01-01", "1999-12-31", "2038-01-20", "2999-06-01"])
def test_a_clock_that_is_years_off(year: str, base: Path, tally: Tally, tmp_path: Path) -> None:
    """No event is lost to a clock that is wrong without its being told, and nothing is removed by one that stands before."""
    if not torture.ALL and year != "1970-01-01":
        pytest.skip("one of the clocks runs with the other tests, all under make torture")
    home = shutil.copytree(base, tmp_path / "home")
    code = (
        "import sys; from datetime import datetime; from evlog.cli import clock\n"
        f"clock.now = lambda: datetime.fromisoformat('{year}T12:00:00')\n"
        "from evlog.cli.main import main; main()"
    )
    before = len(kit.ids(layout.open_store(home / "s")))
    for name in COMMANDS if torture.ALL else ("ingest", "status"):
        if name == "user delete":
            continue
        call = [sys.executable, "-c", code, "--data", "s", *COMMANDS[name]]
        done = subprocess.run(call, cwd=home, env=bounds.plain(WHERE), capture_output=True, check=False, timeout=120)
        _clean(done.stderr.decode(), (name, year))
        assert done.returncode in CODES, (name, done)
    purge = [sys.executable, "-c", code, "--data", "s", "purge", "--older-than", "90d"]
    done = subprocess.run(purge, cwd=home, env=bounds.plain(WHERE), capture_output=True, check=False, timeout=120)
    _clean(done.stderr.decode(), ("purge", year))
    if year < "2026":
        assert len(kit.ids(layout.open_store(home / "s"))) >= before
    kit.sound(layout.open_store(home / "s"))
    tally("clocks", clocks=1)


def test_a_closed_stdin_is_an_empty_one(base: Path, tally: Tally, tmp_path: Path) -> None:
    home = shutil.copytree(base, tmp_path / "home")
    done = _shell(home, ("ingest", "--format", "json"), "<&-")
    _clean(done.stderr.decode(), "stdin")
    assert done.returncode == 0, done
    assert b'"read":0' in done.stdout.replace(b" ", b"")
    tally("closed and full streams", calls=1)
