"""The machine that is asked questions, too: each answer is counted by hand from the dictionary."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from machine import Machine

_END = "2026-01-31"
_LATE = "2026-02-20"


class Asked(Machine):
    """A store, the dictionary, and questions to both."""

    def ask(self, report: str) -> None:
        """Ask what can be counted by hand: of the days that were never purged, since frozen numbers stay as they were."""
        first = max(self.state.purged_before or "2026-01-01", "2026-01-01")
        found = [event for key, event in self.state.events.items() if key[0] >= first]
        kinship = self.state.kinship()
        held = [(event, kinship.of(event.user, event.anonymous)) for event in found]
        span = ("--from", first, "--to", _END, "--as-of", _LATE, "--format", "json")
        days = {key[0] for key in self.state.events if key[0] >= first}
        dau = {day: len({p for e, p in held if e.ts[:10] == day and p is not None}) for day in days}
        rows = self._answer("report", report, *span)["rows"]
        if report in {"dau", "active"}:
            assert {row["date"]: row["dau"] for row in rows if row["dau"]} == {d: n for d, n in dau.items() if n}
            return
        assert {row["event_type"]: row["events"] for row in rows} == Counter(event.type for event in found)
        people = {
            kind: len({p for e, p in held if e.type == kind and p is not None}) for kind in {e.type for e in found}
        }
        assert {row["event_type"]: row["users"] for row in rows} == people

    def ask_sql(self) -> None:
        """Count all events, those of days that were purged too."""
        rows = self._answer("sql", "SELECT date, count(*) AS n FROM events GROUP BY date", "--format", "json")["rows"]
        assert {row["date"]: row["n"] for row in rows} == Counter(day for day, _ in self.state.events)

    def ask_funnel(self) -> None:
        """Ask a funnel of two steps: by trying all pairs of events."""
        first = max(self.state.purged_before or "2026-01-01", "2026-01-01")
        kinship, steps = self.state.kinship(), {"open": [], "buy": []}
        for key, event in self.state.events.items():
            person = kinship.of(event.user, event.anonymous)
            if event.type in steps and person is not None and key[0] >= first:
                steps[event.type].append((person, event.ts))
        entered = {person for person, _ in steps["open"]}
        converted = {p for p, opened in steps["open"] for q, bought in steps["buy"] if p == q and bought >= opened}
        span = ("--from", first, "--to", _END, "--as-of", _LATE, "--format", "json")
        rows = self._answer("funnel", "open", "buy", *span)["rows"]
        assert [row["users"] for row in rows] == [len(entered), len(converted)]

    def ask_person(self, named: str) -> None:
        """Ask for all that is known of a person."""
        kinship = self.state.kinship()
        person = kinship.person(named)
        theirs = [e for e in self.state.events.values() if kinship.of(e.user, e.anonymous) == person]
        theirs += [
            e for e in self.state.events.values() if e.user is None and e.anonymous == person and e not in theirs
        ]
        ran = self.run("user", "export", named)
        assert ran.code == 0, ran.err
        assert Counter(json.loads(line)["event_id"] for line in ran.out.splitlines()) == Counter(e.id for e in theirs)

    def look_about(self) -> None:
        """Run what only looks: nothing is wrong, and the numbers are those of the dictionary."""
        assert self.run("verify").code == 0
        assert self.run("audit", "verify").code == 0
        [told] = self._answer("status", "--format", "json")["rows"]
        told = told["events"], told["erased_users"], told["purged_before"]
        assert told == (len(self.state.events), len(self.state.erased), self.state.purged_before)

    def _answer(self, *words: str) -> dict[str, Any]:
        ran = self.run(*words)
        assert ran.code == 0, ran.err
        answer: dict[str, Any] = json.loads(ran.out)
        return answer
