"""The vectors of metrics §15 through the whole report: logs as letters with seconds, and how far their user comes."""

from datetime import date, datetime, timedelta

import logs
import pytest
from questions import ONE_THREAD

from evlog.query.ask import ask
from evlog.query.scope import Scope
from evlog.reports.funnel import report
from evlog.window import Window

DAY = date(2026, 3, 1)
WAYS = {
    "best": {},
    "ties strict": {"ties": "strict"},
    "ties seq": {"ties": "seq"},
    "strict": {"order": "strict"},
    "any": {"order": "any"},
    "step window": {"window": "none", "step_window": "60s"},
    "first": {"attempt": "first"},
    "first, ties seq": {"attempt": "first", "ties": "seq"},
    "shared": {"share_events": True},
}
VECTORS = {  # log, steps, then the level by the ways above; None: the page does not say
    "V1": ("A0 B60", "A B", (2, 2, 2, 2, 2, 2, 2, None, 2)),
    "V2": ("A0 B61", "A B", (1, 1, 1, 1, 1, 1, 1, None, 1)),
    "V3": ("A0 A50 B100", "A B", (2, 2, 2, 2, 2, 2, 1, None, 2)),
    "V4": ("A0 A30 B45 C75", "A B C", (3, 3, 3, 3, 3, 3, 2, None, 3)),
    "V5": ("A0 B10 A200 B210 C220", "A B C", (3, 3, 3, 3, 3, 3, 2, None, 3)),
    "V6": ("A5 B5 C5", "A B C", (3, 1, 3, 3, 3, 3, 3, None, 3)),
    "V7": ("B5 A5", "A B", (2, 1, 1, 2, 2, 2, None, 1, 2)),
    "V8": ("A0", "A A", (1, 1, 1, 1, 1, 1, 1, None, 2)),
    "V9": ("A0 A10", "A A", (2, 2, 2, 2, 2, 2, 2, None, 2)),
    "V10": ("A0 A1 B2", "A A B", (3, 3, 3, 3, 3, 3, 3, None, 3)),
    "V11": ("A0 X1 B2", "A B", (2, 2, 2, 1, 2, 2, 2, None, 2)),
    "V12": ("A0 X1 A2 B3", "A B", (2, 2, 2, 2, 2, 2, 2, None, 2)),
    "V13": ("A0 X1 B1", "A B", (2, 2, 2, 2, 2, 2, 2, None, 2)),
    "V14": ("B0 A1", "A B", (1, 1, 1, 1, 2, 1, 1, None, 1)),
    "V15": ("A0", "A|B A|B", (1, 1, 1, 1, 1, 1, 1, None, 2)),
    "V16": ("A0 B50 C100", "A B C", (2, 2, 2, 2, 2, 3, 2, None, 2)),
    "V20": ("A0 A1 B1", "A B", (2, 2, 2, 2, 2, 2, 2, None, 2)),
}


def store(tmp_path, log):
    begin = datetime(2026, 3, 1, 9)
    return logs.store(
        tmp_path,
        [
            {
                "event_id": f"e{number}",
                "event_type": word[0],
                "ts": begin + timedelta(seconds=int(word[1:])),
                "seq": number,
                "user_id": "u",
            }
            for number, word in enumerate(log.split())
        ],
    )


def level(made, steps, **options):
    scope = Scope(Window(DAY, DAY, datetime(2026, 3, 31), date(2026, 3, 30)))
    options = {"steps": tuple(steps.split()), "window": "60s", **options}
    result = ask(made, scope, report, limits=ONE_THREAD, **options)
    return sum(row[2] for row in result.rows), result.summary


@pytest.mark.parametrize("name", VECTORS)
def test_a_vector_comes_as_far_as_the_page_says(tmp_path, name):
    log, steps, levels = VECTORS[name]
    made = store(tmp_path, log)
    found = [
        None if wanted is None else level(made, steps, **WAYS[way])[0] for way, wanted in zip(WAYS, levels, strict=True)
    ]
    assert dict(zip(WAYS, found, strict=True)) == dict(zip(WAYS, levels, strict=True))


def test_overlapping_steps_in_one_instant_are_matched_one_to_one(tmp_path):
    """V17: its window is 4 s."""
    made = store(tmp_path, "B5 C5 A5 B3")
    levels = {"best": 4, "ties strict": 2, "ties seq": 2, "strict": 4, "any": 4, "first, ties seq": 2, "shared": 4}
    found = {way: level(made, "B C B|C A|B", **{**WAYS[way], "window": "4s"})[0] for way in levels}
    assert found == levels


def test_an_exclusion_ends_a_chain_but_not_the_attempts_after_it(tmp_path):
    """V18 and V19."""
    assert level(store(tmp_path / "1", "A0 B5 X5 C6"), "A B C", exclude=("X@1..3",))[0] == 2
    assert level(store(tmp_path / "2", "A0 X1 A2 B3"), "A B", exclude=("X@1..2",))[0] == 2


@pytest.mark.parametrize(
    ("log", "last", "first"), [("A0 A50 B100", 50, 50), ("A0 A30 B45 C75", 45, 45), ("A0 A5 B10", 5, 10)]
)
def test_the_time_to_convert_runs_from_the_start_that_was_asked_for(tmp_path, log, last, first):
    steps = "A B C" if "C" in log else "A B"
    made = store(tmp_path, log)
    assert level(made, steps)[1]["median_s"] == last
    assert level(made, steps, start="first")[1]["median_s"] == first
