"""Random histories of all commands, with power cuts in them and jumps of the clock, against a dictionary that plays evlog."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import torture
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from machine_asks import Asked
from model import UPDATE, Event, Offer, content

if TYPE_CHECKING:
    from conftest import Tally

USERS = ("user-anna-0001", "user-boris-0002", "user-clara-0003")
DEVICES = ("device-dora-0001", "device-emil-0002")
DAYS = ("2026-01-05", "2026-01-06", "2026-01-07", "2026-01-08")
TYPES = ("open", "view", "buy", "share", UPDATE)
FAULTS = ("", "", "", "", "", "", "blank", "bad_json", "bad_time", "missing_field", "placeholder_user")
CODES = ("bad_json", "bad_time", "missing_field", "id_conflict", "future")
COUNTED: Counter[str] = Counter()


@st.composite
def offers(draw: Any) -> Offer:
    """A line: an event of a small world, in which ids repeat and conflict; or what is none."""
    kind, fault = draw(st.sampled_from(TYPES)), draw(st.sampled_from(FAULTS))
    user = draw(st.sampled_from((*USERS, None)))
    device = draw(st.sampled_from((*DEVICES, None, None)))
    note = draw(st.sampled_from((None, None, None, *USERS)))
    given = draw(st.booleans()) if kind == UPDATE else None
    day, hour = draw(st.sampled_from(DAYS)), draw(st.sampled_from((9, 20)))
    event = Event(
        f"e{draw(st.integers(0, 7))}",
        f"{day}T{hour:02}:00:00.000000Z",
        kind,
        user,
        device,
        note and f"met {note}",
        given,
    )
    return line(event, fault)


def line(event: Event, fault: str) -> Offer:
    """The bytes of an event, with something wrong with it."""
    body = {
        "event_id": event.id,
        "ts": "never" if fault == "bad_time" else event.ts.replace(".000000Z", "Z"),
        "event_type": None if fault == "missing_field" else event.type,
        "user_id": "null" if fault == "placeholder_user" else event.user,
        "anonymous_id": event.anonymous,
        "properties": event.properties or None,
    }
    raw = json.dumps({key: value for key, value in body.items() if value is not None}).encode()
    told = replace(
        event,
        type="" if fault == "missing_field" else event.type,
        user=None if fault == "placeholder_user" else event.user,
    )
    raw = {"blank": b"  ", "bad_json": raw[:-1] + b" oops"}.get(fault, raw)
    return Offer(raw, replace(told, content=content(told)), fault)


BATCH = st.lists(offers(), min_size=1, max_size=6)
POWER = st.one_of(st.just(0), st.integers(1, 40), st.integers(20, 160))
CLOCK = st.sampled_from([datetime(2026, 1, day, hour) for day in (6, 8, 9, 10, 12, 15) for hour in (7, 12)])
PLACE = st.integers(0, 9)


class Evlog(RuleBasedStateMachine):
    """All commands, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.machine = Asked(COUNTED)

    def teardown(self) -> None:
        try:
            self.machine.look_about()
        finally:
            self.machine.close()

    @invariant()
    def counted(self):
        COUNTED["steps"] += 1

    def somebody(self, place: int) -> str:
        """An id: one of the small world, or a name that stands for one by now."""
        events = sorted(self.machine.state.events.items())
        known = dict.fromkeys(e.who for _, e in events if e.who is not None and e.who.startswith("anon-"))
        return [*USERS, *DEVICES, *known][place % (5 + len(known))]

    @rule(batch=BATCH, at=POWER, rerun=st.booleans())
    def ingest(self, batch, at, rerun):
        self.machine.ingest([batch], at=at, rerun=rerun)

    @rule(batches=st.lists(BATCH, min_size=2, max_size=3), at=POWER, rerun=st.booleans())
    def ingest_a_stream(self, batches, at, rerun):
        self.machine.ingest(batches, at=at, rerun=rerun)

    @rule(now=CLOCK)
    def the_clock_jumps(self, now):
        self.machine.now = now

    @rule(words=st.sampled_from([(), ("--all",)]), at=POWER)
    def compact(self, words, at):
        self.machine.still("compact", *words, at=at)

    @rule(at=POWER)
    def merge(self, at):
        self.machine.merge(at=at)

    @rule(at=POWER)
    def rollup(self, at):
        self.machine.still("rollup", "--grain", "day", at=at)

    @rule(days=st.integers(1, 8), at=POWER)
    def purge(self, days, at):
        self.machine.purge(days, at=at)

    @rule(days=st.integers(1, 8), at=POWER)
    def archive(self, days, at):
        self.machine.archive_out(days, at=at)

    @rule(at=POWER)
    def restore(self, at):
        self.machine.archive_back(at=at)

    @rule(at=POWER)
    def export(self, at):
        self.machine.export(at=at)

    @rule(at=POWER)
    def replay(self, at):
        self.machine.replay(at=at)

    @rule(code=st.sampled_from([None, *CODES]), at=POWER)
    def clear(self, code, at):
        self.machine.clear(code, at=at)

    @rule(place=PLACE, at=POWER)
    def delete(self, place, at):
        self.machine.delete([self.somebody(place)], at=at)

    @rule(place=PLACE, at=POWER)
    def anonymise(self, place, at):
        self.machine.anonymise(self.somebody(place), at=at)

    @rule(place=PLACE, days=st.integers(0, 3), at=POWER)
    def delete_later(self, place, days, at):
        self.machine.await_erasure(self.somebody(place), days, at=at)

    @rule(place=PLACE, at=POWER)
    def cancel(self, place, at):
        self.machine.cancel(self.somebody(place), at=at)

    @rule(at=POWER)
    def due(self, at):
        self.machine.due(at=at)

    @rule(place=PLACE, lift=st.booleans(), at=POWER)
    def suppress(self, place, lift, at):
        self.machine.suppress(self.somebody(place), lift=lift, at=at)

    @rule(source=PLACE, whose=PLACE, at=POWER)
    def link(self, source, whose, at):
        self.machine.link(self.somebody(source), self.somebody(whose), at=at)

    @rule(source=PLACE, at=POWER)
    def unlink(self, source, at):
        self.machine.unlink(self.somebody(source), at=at)

    @rule(report=st.sampled_from(["dau", "active", "events"]))
    def ask(self, report):
        self.machine.ask(report)

    @rule(place=PLACE)
    def ask_person(self, place):
        self.machine.ask_person(self.somebody(place))

    @rule(what=st.sampled_from(["sql", "funnel", "all"]))
    def look(self, what):
        {"sql": self.machine.ask_sql, "funnel": self.machine.ask_funnel, "all": self.machine.look_about}[what]()


def test_any_history_of_commands_and_power_cuts(tally: Tally) -> None:
    """Under `make torture` the dice differ from run to run; a failure prints what throws them again."""
    COUNTED.clear()
    chosen = settings(
        max_examples=int(os.environ.get("EVLOG_MODEL_EXAMPLES") or torture.much(150, 5)),
        stateful_step_count=torture.much(40, 25),
        derandomize=not torture.ALL,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
        print_blob=True,
        database=None,
    )
    run_state_machine_as_test(Evlog, settings=chosen)
    tally("model", **COUNTED)
