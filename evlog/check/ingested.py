"""Ingest: what became of the lines that were offered, as the lines of its runs and the quarantine tell."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from evlog.check.finding import Daily, Finding, Measure, by_day, share
from evlog.store import quarantine, runs
from evlog.window import local_date

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from evlog.check.look import Look
    from evlog.store.layout import Store
    from evlog.store.runs import Job
    from evlog.window import Window

COUNTABLE = 16 << 20  # bytes of quarantine that are read to be counted
_NO_RUN = "no run of ingest"
_BUSY = 1_000  # lines a run must offer before its speed says anything
_EVENTS = "SELECT day, CAST(sum(events) AS BIGINT) FROM arrived GROUP BY day ORDER BY day"


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a job, and the local day on which it was."""

    day: date
    said: dict[str, Any]

    def __getitem__(self, name: str) -> float:
        """A number that the run told; 0 where it did not."""
        value = self.said.get(name)
        return value if isinstance(value, int | float) and not isinstance(value, bool) else 0


def of_job(store: Store, window: Window, job: Job) -> list[Run]:
    """The runs in the range; where what plays now lies before the newest run, those of its day: logs of old events."""
    found = [run for line in runs.read(store, job) if (run := _run(line, window)) is not None]
    within = [run for run in found if window.first <= run.day <= window.last]
    if within or not found:
        return within
    newest = max(run.day for run in found)
    return [run for run in found if run.day == newest] if newest > window.last else []


def _run(line: dict[str, Any], window: Window) -> Run | None:
    try:
        at = datetime.fromisoformat(line["at"]).replace(tzinfo=None)
    except (KeyError, TypeError, ValueError):
        return None
    return Run(local_date(at, window.tz), line)


def reject_rate(store: Store, window: Window) -> float | None:
    """The share of the lines offered in the range that were no events; None where none was."""
    found = of_job(store, window, "ingest")
    read = sum(run["read"] for run in found)
    return sum(run["rejected"] for run in found) / read if read else None


def rejects(look: Look, limit: float) -> Iterator[Finding]:
    """The share of the lines offered on a day that were no events (the ingest failure rate of metrics §11)."""
    yield _shares(
        look, "rejected", "lines offered were rejected",
        Measure("rejects", "ingest", "rate", limit, "see why with: evlog rejects list", _NO_RUN),
    )  # fmt: skip


def duplicates(look: Look, limit: float) -> Iterator[Finding]:
    """The share of the lines offered on a day that were stored already."""
    todo = "something sends twice; where files are offered again on purpose: --duplicates none"
    yield _shares(
        look, "duplicates", "lines offered were stored already",
        Measure("duplicates", "consistency", "rate", limit, todo, _NO_RUN),
    )  # fmt: skip


def _shares(look: Look, name: str, what: str, measure: Measure) -> Finding:
    parts: Counter[date] = Counter()
    wholes: Counter[date] = Counter()
    for run in of_job(look.store, look.question.window, "ingest"):
        parts[run.day] += int(run[name])
        wholes[run.day] += int(run["read"])
    return by_day(measure, (share(day, parts[day], wholes[day], what) for day in wholes))


def quarantined(look: Look, limit: float) -> Iterator[Finding]:
    """The share of a day's events that lie in quarantine; a line that tells no day is counted by `rejects` alone."""
    counts = _quarantined(look)
    idle = "no event" if counts is not None else "too large to be counted"
    events = dict(look.question.engine.rows(_EVENTS))
    held = counts or Counter()
    yield by_day(
        Measure("quarantine", "completeness", "rate", limit, "see why with: evlog rejects list", idle),
        (
            share(day, held[day], held[day] + events.get(day, 0), "events lie in quarantine")
            for day in sorted({*held, *events})
            if counts is not None
        ),
    )


def _quarantined(look: Look) -> Counter[date] | None:
    """How many lines lie in quarantine by the day of their event; None where they are too many."""
    window = look.question.window
    files = quarantine.files(look.store)
    try:
        if sum(file.path.stat().st_size for file in files) > COUNTABLE:
            return None
    except FileNotFoundError:  # replayed or purged just now
        return _quarantined(look)
    known = Counter(str(one.body["day"]) for file in files for one in file.read())
    return Counter({day: known[day.isoformat()] for day in window.days if day.isoformat() in known})


def ingest_rate(look: Look, limit: float) -> Iterator[Finding]:
    """How many seconds a thousand lines took; the limit says how many lines a minute there must be at least."""
    busy = [run for run in of_job(look.store, look.question.window, "ingest") if run["read"] >= _BUSY]
    found: list[Daily] = []
    for day in sorted({run.day for run in busy}):
        read, seconds = (sum(run[name] for run in busy if run.day == day) for name in ("read", "seconds"))
        rate = read / seconds * 60 if seconds else None
        says = f"{rate or 0:,.0f} lines a minute on {day}, at least {limit:,.0f} are asked for"
        found.append(Daily(day, None if rate is None else limit / rate, says))
    idle = f"no run of {_BUSY:,} lines"
    yield by_day(Measure("ingest_rate", "ingest", "number", 1.0, "is the disk or the machine busy?", idle), found)
