"""What must happen regularly, as a crontab or as systemd timers that work as they stand."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evlog.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Job:
    """One command that runs by the clock: when (as cron and as systemd say it), and why."""

    name: str
    cron: str
    calendar: str
    words: tuple[str, ...]
    does: str
    silent: bool = False  # it prints only what is wrong, which belongs into the mail


JOBS = (
    Job("rollup", "15 3 * * *", "*-*-* 03:15:00 UTC", ("rollup", "--wait", "2h"), "counts the days that changed"),
    Job("compact", "45 3 * * *", "*-*-* 03:45:00 UTC", ("compact", "--wait", "2h"), "turns closed days into Parquet"),
    Job("purge", "15 4 * * 0", "Sun *-*-* 04:15:00 UTC", ("purge", "--wait", "2h"),
        "removes days that are older than [retention] raw in evlog.toml says (90d)"),
    Job("erase", "45 4 * * *", "*-*-* 04:45:00 UTC", ("user", "delete", "--due", "--wait", "2h"),
        "carries out the erasures that evlog user delete ID --after 30d has put off"),
    Job("check", "5 * * * *", "*-*-* *:05:00 UTC", ("check",), "says when the numbers cannot be trusted", silent=True),
)  # fmt: skip

_HEAD = """\
# evlog by the clock. Add it to what runs already:  { crontab -l; evlog init --cron; } | crontab -
# A run that goes well says nothing; cron mails what went wrong, and what to do, to MAILTO (or to the owner).
# Times are UTC where cron knows CRON_TZ (cronie); Debian's takes the machine's. The days of the store are UTC anyway.
# Runs that overlap wait for each other.
SHELL=/bin/sh
PATH=/usr/bin:/bin
CRON_TZ=UTC
# MAILTO=you@example.org
"""
_MORE = """
# Take events in; what is stored already is left out, so files may still be growing. It counts as duplicates:
# say [check] duplicates = "none" and lag = "15m" in evlog.toml.
# */10 * * * *  umask 077; {evlog} ingest /var/log/app/events > /dev/null
# Send each event once, as files that any engine reads.
# 30 4 * * *  umask 077; {evlog} export --resume {home}/sent.json --into /srv/lake/events --format parquet
# The state of the store, for a node exporter's textfile folder.
# */5 * * * *  {evlog} status --format prometheus --output /var/lib/node_exporter/evlog.prom
"""
_SCRIPT = """\
# evlog by the clock, as timers of systemd. Read it, then:  evlog init --systemd | sh
# Timers of a user run while nobody is logged in after:  loginctl enable-linger
# What a run said:  journalctl --user -u 'evlog-*'
set -eu
units=${XDG_CONFIG_HOME:-$HOME/.config}/systemd/user
mkdir -p "$units"
"""
_UNITS = """
cat > "$units/evlog-{name}.service" <<'END'
[Unit]
Description=evlog {name}: {does}

[Service]
Type=oneshot
UMask=0077
Nice=10
ExecStart={command}
END
cat > "$units/evlog-{name}.timer" <<'END'
[Unit]
Description=evlog {name}: {does}

[Timer]
OnCalendar={calendar}
Persistent=true

[Install]
WantedBy=timers.target
END
"""


def evlog() -> tuple[str, ...]:
    """The words that start this evlog from anywhere: the command beside its interpreter, else its module."""
    beside = Path(sys.executable).with_name("evlog")
    return (str(beside),) if beside.is_file() else (sys.executable, "-m", "evlog")


def crontab(start: Sequence[str], home: Path) -> str:
    """The crontab of a store: `start` are the words that every command begins with."""
    lines = [f"\n# {job.name} {job.does}.\n{job.cron}  {_line(start, job)}\n" for job in JOBS]
    more = _MORE.format(evlog=_in_cron(start), home=_in_cron([str(home)]))
    return _HEAD + "".join(lines) + more


def systemd(start: Sequence[str]) -> str:
    """A shell script that writes a service and a timer for each job, and starts the timers."""
    units = [
        _UNITS.format(name=job.name, does=job.does, calendar=job.calendar, command=_in_unit([*start, *job.words]))
        for job in JOBS
    ]
    timers = " ".join(f"evlog-{job.name}.timer" for job in JOBS)
    return f"{_SCRIPT}{''.join(units)}\nsystemctl --user daemon-reload\nsystemctl --user enable --now {timers}\n"


def _line(start: Sequence[str], job: Job) -> str:
    """A command of the crontab, which prints nothing where it goes well."""
    return f"umask 077; {_in_cron([*start, *job.words])}{'' if job.silent else ' > /dev/null'}"


def _in_cron(words: Sequence[str]) -> str:
    """The words for a shell that cron starts; cron itself makes a line end of a bare percent sign."""
    return _one_line(" ".join(map(shlex.quote, words))).replace("%", r"\%")


def _in_unit(words: Sequence[str]) -> str:
    """The words for systemd, which has quotes and signs of its own."""
    quoted = [word if shlex.quote(word) == word else _quoted(word) for word in words]
    return _one_line(" ".join(quoted)).replace("%", "%%").replace("$", "$$")


def _quoted(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _one_line(text: str) -> str:
    if "\n" in text or "\r" in text:
        raise UsageError("the path of the store holds a line end", hint="neither cron nor systemd can name it")
    return text
