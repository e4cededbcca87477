"""A funnel that the plan names, and the options of `evlog funnel` as a user gives them."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

TIMES = [("late", "09:00"), ("early", "09:00"), ("late", "10:30"), ("early", "12:00"), ("late", "12:20")]
LOG = "\n".join(
    json.dumps({"event": event, "ts": f"2026-03-01T{at}:00Z", "user_id": "ann", "event_id": f"{event}{at}"})
    for event, at in TIMES
)


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "evlog", "--data", str(folder / "data"), *words]
    return subprocess.run(command, input=LOG, capture_output=True, text=True, cwd=folder, check=False)


def plan(folder: Path, *settings: str) -> None:
    told = "\n".join(settings)
    (folder / "plan.toml").write_text(
        f'[events.early]\n[events.late]\n[funnels.both]\nsteps = ["early", "late"]\n{told}\n'
    )
    (folder / "evlog.toml").write_text('plan = "plan.toml"\n')
    assert run(folder, "ingest").returncode == 0


def asked(folder: Path, *words: str) -> dict[str, object]:
    answer = run(folder, "funnel", *words, "--format", "json", "--all-time", "--as-of", "2026-03-31")
    assert answer.returncode == 0, answer.stderr
    told: dict[str, object] = json.loads(answer.stdout)
    return told


def params(folder: Path, *words: str) -> dict[str, object]:
    found = asked(folder, *words)["params"]
    assert isinstance(found, dict)
    return found


SAID = {
    "window": "2h",
    "step_window": "1h",
    "order": "strict",
    "attempt": "first",
    "ties": "strict",
    "within_session": True,
}


def test_what_the_plan_says_of_it_is_honoured(tmp_path: Path) -> None:
    plan(tmp_path, *(f"{key} = {json.dumps(value)}" for key, value in SAID.items()))
    found = params(tmp_path, "both")
    assert {key: found[key] for key in SAID} == SAID
    assert found["steps"] == ["early", "late"]


def test_a_flag_stands_above_the_plan(tmp_path: Path) -> None:
    plan(tmp_path, *(f"{key} = {json.dumps(value)}" for key, value in SAID.items()))
    flags = {"window": "3h", "step_window": "none", "order": "ordered", "attempt": "all", "ties": "seq"}
    words = [word for key, value in flags.items() for word in (f"--{key.replace('_', '-')}", value)]
    found = params(tmp_path, "both", *words, "--no-within-session")
    assert {key: found[key] for key in SAID} == {**flags, "within_session": False}


@pytest.mark.long
def test_a_bundle_stands_above_the_plan_and_a_flag_above_the_bundle(tmp_path: Path) -> None:
    plan(tmp_path, 'window = "2h"', 'ties = "seq"', 'order = "strict"')
    (tmp_path / "evlog.toml").write_text('plan = "plan.toml"\n[report]\nfunnel_window = "4h"\n')
    assert params(tmp_path, "both")["window"] == "2h"
    found = params(tmp_path, "both", "--like", "posthog")
    assert (found["window"], found["ties"], found["order"], found["cut"]) == ("14d", "step", "ordered", True)
    found = params(tmp_path, "both", "--like", "posthog", "--window", "5h", "--no-cut")
    assert (found["window"], found["cut"]) == ("5h", False)
    assert params(tmp_path, "early", "late")["window"] == "4h"
    assert params(tmp_path, "early", "--like", "clickhouse")["window"] == "4h"
    assert params(tmp_path, "both", "--like", "flags")["window"] == "none"


@pytest.mark.long
def test_it_counts_as_the_plan_says(tmp_path: Path) -> None:
    plan(tmp_path, 'ties = "strict"', 'attempt = "first"', 'window = "1h"')
    words = ("funnel", "both", "--format", "csv", "--all-time")
    users = [line.split(",")[2] for line in run(tmp_path, *words).stdout.splitlines()[1:]]
    assert users == ["1", "0"]
    users = [line.split(",")[2] for line in run(tmp_path, *words, "--attempt", "best").stdout.splitlines()[1:]]
    assert users == ["1", "1"]


@pytest.mark.long
def test_explain_says_why_on_one_line_a_step(tmp_path: Path) -> None:
    plan(tmp_path, 'attempt = "first"')
    words = ("funnel", "both", "--all-time", "--format", "csv", "--window", "80m", "--ties", "strict")
    lines = run(tmp_path, *words, "--explain", "ann").stdout.splitlines()
    assert lines == [
        "step,event,ts,gap_s,status,why",
        "1,early,2026-03-01T09:00:00Z,,done,",
        "2,late,2026-03-01T10:30:00Z,,missing,window over by 10m",
    ]
    told = run(tmp_path, *words, "--explain", "eve")
    assert told.returncode == 0
    assert "no event of user eve" in told.stderr


@pytest.mark.long
def test_options_that_exclude_each_other_are_told(tmp_path: Path) -> None:
    run(tmp_path, "ingest")
    for words, says in {
        ("--order", "sideways"): "sideways",
        ("--anchor-first",): "add --order any",
        ("--explain", "ann", "--by", "plan"): "leave --by out",
    }.items():
        answer = run(tmp_path, "funnel", "early", "late", "--all-time", *words)
        assert answer.returncode == 2
        assert says in answer.stderr
        assert "Traceback" not in answer.stderr
