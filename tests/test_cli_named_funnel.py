"""A funnel that the plan names: its steps and settings are taken, and what cannot be honoured is refused, not ignored."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

LOG = "\n".join(
    f'{{"event": "{event}", "ts": "2026-03-01T09:00:00Z", "user_id": "ann", "event_id": "{event}"}}'
    for event in ("late", "early")
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


def test_its_tie_rule_is_honoured(tmp_path: Path) -> None:
    plan(tmp_path, 'ties = "strict"')
    words = ("funnel", "both", "--format", "csv", "--all-time")
    assert [line.split(",")[2] for line in run(tmp_path, *words).stdout.splitlines()[1:]] == ["1", "0"]


@pytest.mark.parametrize(
    "setting", ['order = "any"', 'attempt = "first"', 'step_window = "1h"', "within_session = true"]
)
def test_what_cannot_be_honoured_is_refused(tmp_path: Path, setting: str) -> None:
    plan(tmp_path, setting)
    answer = run(tmp_path, "funnel", "both", "--all-time")
    assert answer.returncode == 2
    assert setting.split(" ", maxsplit=1)[0] in answer.stderr


def test_what_it_says_of_the_usual_is_fine(tmp_path: Path) -> None:
    plan(tmp_path, 'order = "ordered"', 'attempt = "best"')
    assert run(tmp_path, "funnel", "both", "--all-time").returncode == 0
