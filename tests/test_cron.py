"""`evlog init --cron`: lines that work as they stand, say nothing where all is well, and much where it is not."""

from __future__ import annotations

import configparser
import json
import os
import re
import shlex
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import storekit as kit
from exportkit import parquet, summed

from evlog.cli import crontab
from evlog.cli.specs import SPECS
from evlog.store import layout, locks
from evlog.verify import verify

if TYPE_CHECKING:
    from collections.abc import Iterator

EVLOG = Path(sys.executable).with_name("evlog")
NAMES = [job.name for job in crontab.JOBS]
DOC = Path(__file__).parent.parent / "docs" / "cron.md"
FIELD = r"(?:\*(?:/\d+)?|\d+)"


def called(*words: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("EVLOG_")}
    command = [sys.executable, "-m", "evlog", *words]
    return subprocess.run(
        command, cwd=cwd, env=plain | environ, capture_output=True, text=True, check=False, timeout=60
    )


def lines_of(tab: str) -> list[str]:
    """The lines of a crontab that cron would run, and the ones that wait behind a `#` for somebody to want them."""
    return re.findall(rf"^(?:# )?{FIELD}(?: {FIELD}){{4}}  (.*)$", tab, re.MULTILINE)


def started(line: str, home: Path) -> subprocess.Popen[str]:
    """A line as cron starts it: by sh, in the home folder, with hardly a variable."""
    assert not re.search(r"(?<!\\)%", line), "cron would cut the line there"
    environ = {"PATH": "/usr/bin:/bin", "SHELL": "/bin/sh", "HOME": str(home), "LOGNAME": "app"}
    command = ["/bin/sh", "-c", line.replace(r"\%", "%")]
    return subprocess.Popen(
        command,
        cwd=home,
        env=environ,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """The exit code, and what cron would mail."""
    out, err = process.communicate(timeout=120)
    return process.returncode, out + err


def recent(days: int = 4, prefix: str = "e") -> Iterator[str]:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=1, microsecond=0)
    for back in range(1, days + 1):
        for number in range(4):
            moment = (today - timedelta(days=back) + timedelta(hours=5 * number)).isoformat()
            said = {"event_id": f"{prefix}{back}-{number}", "ts": moment, "event_type": "open", "user_id": f"u{number}"}
            yield json.dumps(said) + "\n"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home folder, and in it a project whose path needs quotes."""
    project = tmp_path / "my app 100% $HOME"
    project.mkdir()
    (project / "events.ndjson").write_text("".join(recent()))
    assert called("init", cwd=project).returncode == 0
    assert called("ingest", "events.ndjson", cwd=project).returncode == 0
    return tmp_path


def project_of(home: Path) -> Path:
    return next(path for path in home.iterdir() if path.name.startswith("my app"))


def tab_of(home: Path) -> str:
    done = called("init", "--cron", cwd=project_of(home))
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.long
def test_every_line_runs_and_is_silent_where_all_is_well(home: Path) -> None:
    found = lines_of(tab_of(home))
    assert len(found) == len(NAMES) + 3
    for line in found[: len(NAMES)]:
        assert ended(started(line, home)) == (0, ""), line
    store = layout.open_store(project_of(home) / "evlog-data")
    assert verify(store).findings == []
    assert list(store.rollups.rglob("*.rollup")), "the rollup did something"
    assert list((store.root / "parquet").glob("*/*")), "so did compact"
    assert {path.name for path in home.iterdir()} == {project_of(home).name}, "nothing is left in the home folder"


@pytest.mark.long
def test_the_lines_that_wait_run_too(home: Path, tmp_path: Path) -> None:
    words = {
        "/var/log/app/events": "logs",
        "/srv/lake/events": "lake",
        "/var/lib/node_exporter/evlog.prom": "evlog.prom",
    }
    (home / "logs").mkdir()
    (home / "logs" / "more.ndjson").write_text("".join(recent(2, "more")))
    for line in lines_of(tab_of(home))[len(NAMES) :]:
        for there, here in words.items():
            line = line.replace(there, str(home / here))  # noqa: PLW2901
        assert ended(started(line, home)) == (0, ""), line
    assert len(parquet(f"{home}/lake/*/*.parquet")) == 4 * 4 + 8
    summed(home / "lake")
    assert re.search("^evlog_", (home / "evlog.prom").read_text(), re.MULTILINE)


@pytest.mark.parametrize("name", NAMES)
def test_a_line_that_fails_says_so_and_what_to_do(home: Path, name: str) -> None:
    line = lines_of(tab_of(home))[NAMES.index(name)]
    (project_of(home) / "evlog-data" / "evlog.json").unlink()
    code, mail = ended(started(line, home))
    assert code == 1
    assert mail.startswith("evlog: there is no event store at ")
    assert "create it with: evlog init" in mail


@pytest.mark.long
def test_a_check_that_does_not_hold_is_mailed(home: Path) -> None:
    (project_of(home) / "bad.ndjson").write_text("no json\n" * 40)
    assert called("ingest", "bad.ndjson", cwd=project_of(home)).returncode == 3
    code, mail = ended(started(lines_of(tab_of(home))[NAMES.index("check")], home))
    assert code == 1
    assert "rejects" in mail


@pytest.mark.long
@pytest.mark.parametrize("name", ["rollup", "compact", "purge"])
def test_who_finds_the_store_locked_says_by_whom(home: Path, name: str) -> None:
    store = layout.open_store(project_of(home) / "evlog-data")
    line = lines_of(tab_of(home))[NAMES.index(name)]
    assert "--wait 2h" in line
    with locks.maintenance(store, "archive"):
        code, mail = ended(started(line.replace("--wait 2h", "--wait 0s"), home))
        assert (code, "locked for maintenance by evlog archive" in mail) == (4, True)
        waits = started(line, home)
        with pytest.raises(subprocess.TimeoutExpired):
            waits.wait(1.5)
    assert ended(waits) == (0, "")


@pytest.mark.long
def test_all_at_once_end_well(home: Path) -> None:
    project = project_of(home)
    found = lines_of(tab_of(home))[: len(NAMES)]
    for number in range(2):
        (home / f"{number}.ndjson").write_text("".join(recent(3, f"x{number}-")))
    config = shlex.quote(str(project / "evlog.toml")).replace("%", r"\%")
    ingests = [f"{EVLOG} --config {config} --quiet ingest {home}/{number}.ndjson > /dev/null" for number in range(2)]
    working = [line for line in found if not line.endswith(" check")]
    running = [started(line, home) for line in (*working, *ingests, *working[:2])]
    assert [ended(process) for process in running] == [(0, "")] * len(running)
    store = layout.open_store(project / "evlog-data")
    assert sorted(kit.ids(store)) == sorted(
        json.loads(line)["event_id"] for some in (recent(), recent(3, "x0-"), recent(3, "x1-")) for line in some
    )
    kit.sound(store)


# -- timers -----------------------------------------------------------------------------------------------------------


def units(home: Path) -> dict[str, configparser.ConfigParser]:
    """The units that the script writes, run as a person pipes it into sh."""
    done = called("init", "--systemd", cwd=project_of(home))
    assert (done.returncode, done.stderr) == (0, "")
    tools = home / "bin"
    tools.mkdir()
    (tools / "systemctl").write_text(f'#!/bin/sh\necho "$@" >> {shlex.quote(str(home / "asked"))}\n')
    (tools / "systemctl").chmod(0o700)
    environ = {"PATH": f"{tools}:/usr/bin:/bin", "HOME": str(home)}
    subprocess.run(["/bin/sh"], input=done.stdout, env=environ, cwd=home, text=True, check=True, timeout=60)
    found = {}
    for path in sorted((home / ".config" / "systemd" / "user").iterdir()):
        found[path.name] = parser = configparser.ConfigParser(interpolation=None)
        parser.optionxform = str  # type: ignore[assignment,method-assign]
        parser.read_string(path.read_text())
    return found


def test_the_timers_start_what_the_crontab_starts(home: Path) -> None:
    found = units(home)
    assert set(found) == {f"evlog-{name}.{kind}" for name in NAMES for kind in ("service", "timer")}
    timers = " ".join(f"evlog-{name}.timer" for name in NAMES)
    assert (home / "asked").read_text() == f"--user daemon-reload\n--user enable --now {timers}\n"
    for name, line in zip(NAMES, lines_of(tab_of(home)), strict=False):
        service = found[f"evlog-{name}.service"]["Service"]
        words = [word.replace("%%", "%").replace("$$", "$") for word in shlex.split(service["ExecStart"])]
        assert words == shlex.split(line.replace(r"\%", "%").partition("; ")[2].partition(" > ")[0])
        assert (service["Type"], service["UMask"]) == ("oneshot", "0077")
        assert found[f"evlog-{name}.timer"]["Timer"]["OnCalendar"].endswith(" UTC")


# -- the command itself -----------------------------------------------------------------------------------------------


def test_where_there_is_nothing_it_is_made_first(tmp_path: Path) -> None:
    done = called("init", "site", "--cron", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stderr == "made site/evlog.toml\nmade site/plan.toml\nmade site/evlog-data\n"
    assert f"--config {tmp_path}/site/evlog.toml --quiet rollup" in done.stdout
    again = called("init", "site", "--cron", cwd=tmp_path)
    assert (again.returncode, again.stdout, again.stderr) == (0, done.stdout, "")
    inside = called("init", "--cron", cwd=tmp_path / "site")
    assert (inside.stdout, inside.stderr) == (done.stdout, "")


def test_a_store_that_is_named_is_named_in_every_line(tmp_path: Path) -> None:
    layout.create(tmp_path / "s")
    for done in (
        called("init", "--cron", "--data", "s", cwd=tmp_path),
        called("init", "--cron", cwd=tmp_path, EVLOG_DATA="s"),
    ):
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.count(f"{EVLOG} --data {tmp_path}/s --quiet ") == len(NAMES) + 3
    assert {path.name for path in tmp_path.iterdir()} == {"s"}


def test_what_cron_will_not_know_is_said(tmp_path: Path) -> None:
    called("init", cwd=tmp_path)
    done = called("init", "--cron", cwd=tmp_path, EVLOG_TZ="Europe/Berlin", EVLOG_RETENTION="30d")
    assert "EVLOG_TZ, EVLOG_RETENTION" in done.stderr
    assert "Berlin" not in done.stdout


def test_one_clock_is_enough(tmp_path: Path) -> None:
    done = called("init", "--cron", "--systemd", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_no_line_can_hold_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "two\nlines"
    place.mkdir()
    called("init", cwd=place)
    for clock in ("--cron", "--systemd"):
        done = called("init", clock, cwd=place)
        assert (done.returncode, done.stdout) == (2, "")
        assert "line end" in done.stderr


def test_the_page_shows_what_is_printed() -> None:
    start = ("/usr/local/bin/evlog", "--config", "/srv/app/evlog.toml", "--quiet")
    assert f"```crontab\n{crontab.crontab(start, Path('/srv/app'))}```\n" in DOC.read_text("utf-8")


def test_the_settings_file_names_every_table_once(tmp_path: Path) -> None:
    called("init", cwd=tmp_path)
    text = (tmp_path / "evlog.toml").read_text("utf-8")
    tables = re.findall(r"^\[(.+)\]$", text, re.MULTILINE)
    assert len(tables) == len(set(tables))
    done = called("config", "--format", "json", cwd=tmp_path)
    assert {row["setting"] for row in json.loads(done.stdout)["rows"]} == {spec.name for spec in SPECS}
    (tmp_path / "evlog.toml").write_text(re.sub(r"^# (\w+ = )", r"\1", text, flags=re.MULTILINE), "utf-8")
    assert called("config", cwd=tmp_path).returncode == 0, "every line of it may be uncommented"
