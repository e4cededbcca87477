"""Mutants: evlog with one thing wrong in how it writes must not pass."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import mutant_list
import pytest
import torture

if TYPE_CHECKING:
    from conftest import Tally

SOME = 6
CHUNKS = range(torture.much(16, 1))


@pytest.mark.parametrize("chunk", CHUNKS)
def test_mutants_are_caught(chunk: int, tally: Tally) -> None:
    one_in = len(mutant_list.to_run()) // (2 * SOME)
    words = [str(len(CHUNKS)), str(chunk)] if torture.ALL else [str(one_in), "7", "caught"]
    runner = Path(__file__).parent / "mutant_runs.py"
    done = subprocess.run([sys.executable, str(runner), *words], capture_output=True, check=False, timeout=1800)
    assert done.returncode == 0, done.stderr.decode()
    fates = [json.loads(line) for line in done.stdout.splitlines()]
    assert fates
    assert [name for name, caught, _ in fates if not caught] == []
    tally("mutants", mutants=len(fates))
