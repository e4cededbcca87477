"""The sample logs are what the simulator writes, and hold what expected.json says, counted a second time from their bytes."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tomllib
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import zstandard

from evlog.event import plan_file

SAMPLES = Path(__file__).parent.parent / "sample_logs"
EXPECTED: dict[str, Any] = json.loads((SAMPLES / "expected.json").read_text())
PLAN: dict[str, Any] = tomllib.loads((SAMPLES / "plan.toml").read_text())
KINDS: dict[str, Any] = {"integer": int, "string": str}


def unpacked(path: Path) -> bytes:
    data = path.read_bytes()
    if path.suffix == ".gz":
        return gzip.decompress(data)
    if path.suffix == ".zst":
        return zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data)).read()
    return data


class Refused(Exception):
    pass


def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in items}) < len(items):
        raise Refused("duplicate_key")
    return dict(items)


def constant(_: str) -> None:
    raise Refused("bad_json")


def parsed(raw: bytes, *, torn: bool) -> Any:
    if len(raw) > 1 << 20:
        raise Refused("line_too_long")
    try:
        text = raw.decode()
        value = json.loads(text, object_pairs_hook=pairs, parse_constant=constant)
    except UnicodeDecodeError as error:
        raise Refused("bad_utf8") from error
    except ValueError as error:
        raise Refused("truncated" if torn else "bad_json") from error
    if "[" * 65 in text:
        raise Refused("too_deep")
    if re.search(r":\d{20,}", text):
        raise Refused("number_range")
    if not isinstance(value, dict):
        raise Refused("not_object")
    return value


def when(text: Any) -> datetime:
    try:
        ts = datetime.fromtimestamp(text, UTC) if isinstance(text, int) else datetime.fromisoformat(text)
    except ValueError as error:
        raise Refused("bad_time") from error
    ts = ts if ts.tzinfo else ts.replace(tzinfo=UTC)
    if ts.year < 2000:
        raise Refused("bad_time")
    if ts.year > 2026:
        raise Refused("future")
    return ts


def checked(row: dict[str, Any]) -> tuple[datetime, dict[str, Any]]:
    """Time and properties of an event that the plan allows; the reasons in the order in which they are checked."""
    if len(row.get("id", "")) > 256:
        raise Refused("bad_id")
    if row.get("user_id") in {"anonymous", "undefined"}:
        raise Refused("placeholder_user")
    time = row.get("created_at", row.get("ts"))
    if time is None or "event_type" not in row:
        raise Refused("missing_field")
    rules = PLAN["events"].get(row["event_type"])
    if rules is None:
        raise Refused("unknown_type")
    if any(row.get(name) is None for name in rules.get("required", [])):
        raise Refused("missing_field")
    properties = json.loads(row.get("event_data") or "{}") | row.get("metadata", {})
    properties |= {"url": row["url"]} if "url" in row else {}
    if set(properties) - set(rules.get("properties", {})) and not rules.get("additional"):
        raise Refused("bad_property")
    for name, rule in rules.get("properties", {}).items():
        value = properties.get(name)
        if value is None:
            assert not rule.get("required")
        elif not obeys(value, rule):
            raise Refused("bad_property")
    return when(time), properties


def obeys(value: Any, rule: dict[str, Any]) -> bool:
    if not isinstance(value, KINDS[rule["type"]]):
        return False
    low, high = rule.get("min", value), rule.get("max", value)
    return low <= value <= high and value in rule.get("one_of", [value])


@dataclass
class Recount:
    """A slow reader of the logs that shares no code with evlog or the simulator."""

    counts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    days: Counter[str] = field(default_factory=Counter)
    types: Counter[str] = field(default_factory=Counter)
    users: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    seen: dict[tuple[str, str], Any] = field(default_factory=dict)
    exercises: list[tuple[datetime, str, str, str]] = field(default_factory=list)

    def line(self, raw: bytes, *, torn: bool) -> None:
        if not raw.strip():
            self.counts["blank"] += 1
            return
        try:
            value = parsed(raw, torn=torn)
        except Refused as refused:
            self.refuse(refused)
            return
        for row in value.get("events", [value]):
            self.event(row)

    def refuse(self, refused: Refused) -> None:
        self.counts.update(["read", "rejected"])
        self.reasons[str(refused)] += 1

    def event(self, row: dict[str, Any]) -> None:
        if row.get("privacy", {}).get("consent_given") is False:
            self.counts.update(["read", "no_consent"])
            return
        try:
            ts, properties = checked(row)
            day = ts.astimezone(UTC).date().isoformat()
            key, content = (day, row.get("id", "")), row | {"event_data": properties}
            self.compare(key, content)
        except Refused as refused:
            self.refuse(refused)
            return
        self.counts["read"] += 1
        if key[1] and self.seen[key] is not content:
            self.counts["duplicates"] += 1
            return
        self.store(row, ts, day, properties)

    def compare(self, key: tuple[str, str], content: Any) -> None:
        if key[1] and self.seen.setdefault(key, content) != content:
            raise Refused("id_conflict")

    def store(self, row: dict[str, Any], ts: datetime, day: str, properties: dict[str, Any]) -> None:
        self.counts["stored"] += 1
        self.days[day] += 1
        self.types[row["event_type"]] += 1
        self.counts["derived_ids"] += "id" not in row
        self.counts["epoch"] += isinstance(row.get("ts"), int)
        self.counts["assumed_tz"] += " " in str(row.get("created_at"))
        self.counts["redacted"] += "@" in json.dumps(properties) or "ip" in properties
        if user := row.get("user_id"):
            if row["event_type"] not in PLAN["inactive"]:
                self.users[day].add(user)
            if row["event_type"] in {"exercise_start", "exercise_complete"}:
                self.exercises.append((ts, row["target_id"], user, row["event_type"]))

    def dropoff(self) -> dict[str, tuple[int, int]]:
        started, completed = defaultdict(set), defaultdict(set)
        for _, target, user, kind in sorted(self.exercises, key=lambda told: (told[0], told[3] == "exercise_complete")):
            if kind == "exercise_start":
                started[target].add(user)
            elif user in started[target]:
                completed[target].add(user)
        return {target: (len(users), len(completed[target])) for target, users in started.items()}


@pytest.fixture(scope="module")
def recount() -> Recount:
    told = Recount()
    for path in sorted((SAMPLES / "logs").iterdir()):
        content = unpacked(path).removeprefix(b"\xef\xbb\xbf")
        lines = content.split(b"\n")
        for raw in lines[:-1]:
            told.line(raw, torn=False)
        if lines[-1]:
            told.line(lines[-1], torn=True)
    return told


def simulated(out: Path, seed: int) -> None:
    script = [sys.executable, str(SAMPLES / "simulate.py"), "--seed", str(seed), "--out", str(out)]
    subprocess.run(script, check=True, capture_output=True)


@pytest.mark.long
def test_the_simulator_writes_the_committed_logs_again(tmp_path: Path) -> None:
    simulated(tmp_path, seed=EXPECTED["seed"])
    names = sorted(path.name for path in (SAMPLES / "logs").iterdir())
    assert sorted(path.name for path in (tmp_path / "logs").iterdir()) == names == sorted(EXPECTED["files"])
    for name in names:  # unpacked: how well a zlib packs is its own affair
        assert unpacked(tmp_path / "logs" / name) == unpacked(SAMPLES / "logs" / name), name
    assert json.loads((tmp_path / "expected.json").read_text()) == EXPECTED


@pytest.mark.long
def test_another_seed_gives_another_log(tmp_path: Path) -> None:
    simulated(tmp_path, seed=3)
    other = json.loads((tmp_path / "expected.json").read_text())
    assert other["ingest"].keys() == EXPECTED["ingest"].keys()
    assert all(other["files"][name] != told for name, told in EXPECTED["files"].items())


def test_expected_names_each_file_by_its_content() -> None:
    for name, told in EXPECTED["files"].items():
        content = unpacked(SAMPLES / "logs" / name)
        assert hashlib.sha256(content).hexdigest() == told["sha256"]
        assert content.count(b"\n") + (content[-1:] != b"\n") == told["lines"]


def test_the_logs_count_what_expected_says(recount: Recount) -> None:
    told = EXPECTED["ingest"]
    assert recount.reasons == told["reasons"]
    assert recount.days == told["partitions"]
    numbers = {name: n for name, n in told.items() if isinstance(n, int)}
    assert {name: recount.counts[name] for name in numbers} == numbers
    assert told["read"] == sum(told[name] for name in ("stored", "duplicates", "rejected", "no_consent", "erased"))


def test_the_answers_hold(recount: Recount) -> None:
    answers = EXPECTED["answers"]
    assert {day: len(users) for day, users in sorted(recount.users.items())} == answers["dau"]
    assert recount.types == answers["event_types"]
    assert recount.dropoff() == {row["target_id"]: (row["started"], row["completed"]) for row in answers["dropoff"]}


def test_every_event_type_of_the_workbook_is_there_and_planned(recount: Recount) -> None:
    workbook = {
        *("session_start", "session_end", "exercise_start", "exercise_complete", "exercise_abandon", "content_view"),
        *("prompt_view", "prompt_submit", "tool_open", "tool_interact", "tool_submit", "page_view", "scroll_depth"),
        "error",
    }
    assert workbook | {"action", "conversion"} == set(recount.types) == set(PLAN["events"])


def test_exercises_differ_in_how_many_drop_off() -> None:
    rates = {row["target_id"]: 1 - row["completed"] / row["started"] for row in EXPECTED["answers"]["dropoff"]}
    assert {target[0] for target in rates} == {"1", "2", "3"}
    assert 0.42 < rates["1.2.1"] < 0.52
    assert rates["1.2.1"] == max(rates.values())
    assert 0.07 < rates["1.1.1"] < 0.13


def test_the_log_is_believable() -> None:
    design, dau = EXPECTED["by_design"], EXPECTED["answers"]["dau"]
    days = {day: datetime.fromisoformat(day).weekday() for day in dau}
    assert len(dau) == 90
    weekend = [n for day, n in dau.items() if days[day] > 4]
    weekday = [n for day, n in dau.items() if days[day] < 5]
    assert sum(weekend) / len(weekend) < 0.75 * sum(weekday) / len(weekday)
    numbers = list(dau.values())
    assert sum(numbers[-28:]) > 3 * sum(numbers[:28])
    assert min(design.values()) > 50


def test_the_samples_stay_small_and_name_nobody() -> None:
    paths = list((SAMPLES / "logs").iterdir())
    assert sum(path.stat().st_size for path in paths) <= 5 << 20
    mails = {mail for path in paths for mail in re.findall(rb"[\w.+-]{1,40}@[\w.-]+", unpacked(path))}
    assert mails == {b"someone@example.org", b"someone.else@example.org"}


def test_the_readme_says_the_same_numbers() -> None:
    told = EXPECTED["ingest"] | EXPECTED["ingest"]["reasons"] | EXPECTED["by_design"]
    rows = re.findall(r"^\| `(\w+)` \| ([\d,]+) \|", (SAMPLES / "README.md").read_text(), re.MULTILINE)
    assert {name: int(n.replace(",", "")) for name, n in rows} == {n: v for n, v in told.items() if isinstance(v, int)}


def test_evlog_takes_the_plan() -> None:
    plan = plan_file.load(SAMPLES / "plan.toml")
    assert set(plan.events) == set(PLAN["events"])
    assert set(plan.pairs) == {"exercise", "prompt", "tool"}
    assert set(plan.funnels) == {"first_exercise", "parts"}


def evlog(store: Path, *words: str | Path, exits: int = 0) -> dict[str, Any]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("EVLOG_")}
    argv = [sys.executable, "-m", "evlog", "--data", str(store), *map(str, words), "--format", "json"]
    done = subprocess.run(argv, check=False, capture_output=True, text=True, env=env)
    assert done.returncode == exits, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    store = tmp_path_factory.mktemp("samples") / "store"
    return store, evlog(store, "ingest", "--plan", SAMPLES / "plan.toml", SAMPLES / "logs", exits=3)


@pytest.mark.long
def test_an_ingest_counts_what_expected_says(ingested: tuple[Path, dict[str, Any]]) -> None:
    assert {name: ingested[1][name] for name in EXPECTED["ingest"]} == EXPECTED["ingest"]


@pytest.mark.long
def test_a_second_ingest_stores_nothing(ingested: tuple[Path, dict[str, Any]]) -> None:
    told, first = (
        evlog(ingested[0], "ingest", "--plan", SAMPLES / "plan.toml", SAMPLES / "logs", exits=3),
        EXPECTED["ingest"],
    )
    assert told["stored"] == 0
    assert told["partitions"] == {}
    assert told["duplicates"] == first["stored"] + first["duplicates"]
    assert told["reasons"] == first["reasons"]


@pytest.mark.long
def test_the_reports_give_the_answers(ingested: tuple[Path, dict[str, Any]]) -> None:
    days = ("--from", "2026-01-01", "--to", "2026-03-31", "--as-of", "2026-03-31", "--plan", SAMPLES / "plan.toml")
    dau = evlog(ingested[0], "report", "dau", *days)
    assert {row["date"]: row["dau"] for row in dau["rows"]} == EXPECTED["answers"]["dau"]
    dropoff = evlog(ingested[0], "dropoff", "--target-type", "exercise", *days)
    names = ("target_id", "started", "completed")
    assert [{name: row[name] for name in names} for row in dropoff["rows"]] == EXPECTED["answers"]["dropoff"]
    events = evlog(ingested[0], "report", "events", *days)
    assert {row["event_type"]: row["events"] for row in events["rows"]} == EXPECTED["answers"]["event_types"]
