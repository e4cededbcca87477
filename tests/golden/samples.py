"""Results for the golden files: the shapes that reports have, and a hostile one."""

from datetime import date, datetime, timedelta

from evlog.query.result import Column, Result

AS_OF = datetime(2026, 3, 31, 12, 30)
DEFINITION = {
    "zone": "UTC",
    "window": "2026-03-22 to 2026-03-31",
    "counts": "distinct user_id after identity links",
    "newest_event": datetime(2026, 3, 31, 12, 29, 58, 120000),
    "quarantined": 12,
    "without_user": 1034,
}


def _day(n: int) -> date:
    return date(2026, 3, 22) + timedelta(days=n)


DAU = Result(
    report="dau",
    columns=(Column("date", "date"), Column("dau", "count", bar=True)),
    rows=tuple((_day(n), users) for n, users in enumerate([310, 402, 398, 417, 1204, 377, 0, 212, 405, 188])),
    as_of=AS_OF,
    params={"days": 10, "tz": "UTC", "from": _day(0), "to": _day(9)},
    summary={"dau_avg": 391.3, "peak": 1204, "users": 2841},
    summary_kinds={"dau_avg": "number"},
    definition=DEFINITION,
    events_read=48210,
    complete=False,
    partial=frozenset({9}),
)

ACTIVE = Result(
    report="active",
    columns=(
        Column("date", "date"),
        Column("dau", "count", bar=True),
        Column("wau", "count", bar=True),
        Column("mau", "count", bar=True),
        Column("stickiness", "rate"),
    ),
    rows=tuple(
        (_day(n), 100 + 37 * (n % 4), 420 + 11 * n, 1480 + 5 * n, (100 + 37 * (n % 4)) / (1480 + 5 * n))
        for n in range(10)
    ),
    as_of=AS_OF,
    summary={"dau_avg": 151.8, "users": 2841},
    summary_kinds={"dau_avg": "number"},
    definition=DEFINITION,
)

FUNNEL = Result(
    report="funnel",
    columns=(
        Column("step", "count"),
        Column("event", "text"),
        Column("users", "count"),
        Column("conversion", "rate", bar=True),
        Column("step_conversion", "rate"),
        Column("dropped", "count"),
        Column("median_s", "seconds"),
        Column("mean_s", "seconds"),
        Column("p90_s", "seconds"),
    ),
    rows=(
        (1, "page_view", 12450, 1.0, None, None, None, None, None),
        (2, "exercise_start[properties.part=1]", 8124, 8124 / 12450, 8124 / 12450, 4326, 41.5, 132.25, 410.0),
        (3, "exercise_complete", 3017, 3017 / 12450, 3017 / 8124, 5107, 270.0, 905.0, 86400.0 * 1.5),
        (4, "export", 12, 12 / 12450, 12 / 3017, 3005, 0.85, 3.24, 9.96),
    ),
    as_of=AS_OF,
    summary={"entered": 12450, "converted": 12, "conversion": 12 / 12450, "median_s": 7230.5, "mean_s": None},
    summary_kinds={"conversion": "rate", "median_s": "seconds", "mean_s": "seconds"},
    definition={"zone": "UTC", "window": "14d from step 1", "order": "ordered", "attempt": "best", "ties": "step"},
    marks=frozenset({2}),
    events_read=48210,
)

DROPOFF = Result(
    report="dropoff",
    columns=(
        Column("target_id", "text"),
        Column("started", "count"),
        Column("completed", "count"),
        Column("dropped", "count"),
        Column("completion_rate", "rate"),
        Column("dropoff_rate", "rate", bar=True),
    ),
    rows=(
        ("part-3/reflection", 380, 200, 180, 200 / 380, 180 / 380),
        ("part-2/values", 450, 380, 70, 380 / 450, 70 / 450),
        ("part-1/intro", 500, 450, 50, 0.9, 0.1),
    ),
    as_of=AS_OF,
    definition={"zone": "UTC", "start": "exercise_start", "complete": "exercise_complete", "abandon_after": "24h"},
    marks=frozenset({0}),
)

HOSTILE = Result(
    report="top",
    columns=(
        Column("value", "text"),
        Column("events", "count"),
        Column("avg_score", "number"),
        Column("last", "instant"),
        Column("whole", "flag"),
        Column("retained", "list", item="count"),
        Column("properties", "json"),
    ),
    rows=(
        (
            "\x1b[31mred\x1b[0m\x07",
            2**53 + 1,
            0.5,
            datetime(2026, 3, 1, 4, 5, 6),
            True,
            [3, 2, None],
            '{"b":1,"a":"\\u001b[2J"}',
        ),
        ("=cmd|'/c calc'!A1", -5, None, datetime(2026, 3, 1, 4, 5, 6, 789000), False, [10], "[1,2]"),
        ("a|b\nc\td\r\\", 0, 1e-9, None, None, None, None),
        ("[bold]not markup[/bold] :smile: `x` <b>", 1, float("nan"), None, True, [], '"text"'),
        ("\u202eevil\u2066\x9b1m\u2028", 1, 3.0, None, True, [1, 2, 3], "{}"),
        ("日本語 🎉 é", 1, -2.25, None, True, None, "{torn"),
        ("-12.5", 1, 0.1, None, True, None, "null"),
        ('"quoted", and @more', 1, 0.1, None, True, None, "0"),
        ("@SUM(A1)", 1, 0.1, None, True, None, "0"),
        ("", None, 0.1, None, True, None, "0"),
    ),
    as_of=AS_OF,
    params={"property": "\x1b]0;title\x07", "where": ["a=b|c"]},
    summary={"\x1b[1mkey": "\x1b[2Jvalue", "parts": {"=a": 1, "b\n": 2}, "nothing": {}},
    definition={"zone": "\x1b[31mUTC"},
    marks=frozenset({0}),
    partial=frozenset({0, 2}),
)

EMPTY = Result(
    report="revisions",
    columns=(
        Column("target_id", "text"),
        Column("users", "count", bar=True),
        Column("rate", "rate"),
        Column("last", "instant"),
        Column("day", "date"),
        Column("n", "list"),
        Column("ok", "flag"),
        Column("properties", "json"),
    ),
    rows=(),
    as_of=AS_OF,
)


def _kept(cohort: int, size: int) -> tuple[list[int | None], list[float | None]]:
    """A cohort of which fewer come back each week; the last weeks of the young ones are not over."""
    known = [round(size * (1 if n == 0 else 0.62 / (n + 0.4 + 0.07 * cohort))) for n in range(8 - cohort)]
    counts = [*known, *([None] * cohort)]
    return counts, [None if count is None or not size else count / size for count in counts]


RETENTION = Result(
    report="retention",
    columns=(
        Column("cohort", "date"),
        Column("size", "count"),
        Column("retained", "list", item="count", aside=True),
        Column("rate", "list", item="rate", heat=True),
    ),
    rows=tuple(
        (date(2026, 2, 2) + timedelta(weeks=n), size, *_kept(n, size))
        for n, size in enumerate([1204, 388, 402, 0, 417, 350, 12, 210])
    ),
    as_of=AS_OF,
    summary={"rate": [1.0, 0.418, 0.251, 0.183, 0.139, 0.113, 0.094, 0.084], "users": 2983},
    summary_kinds={"rate": "rate"},
    definition={"zone": "UTC", "cohort": "first-ever", "period": "week"},
    partial=frozenset({7}),
)

GROUPED = Result(
    report="dau",
    columns=(Column("group"), Column("date", "date"), Column("dau", "count", bar=True)),
    rows=tuple(
        (group, _day(n), None if (place, n) == (2, 4) else (place * 7 + n * (3 + place)) % (41 - 4 * place))
        for place, group in enumerate(["web", "phone", "tablet", "日本語 client", "e", "f", "g", "h", "i", "(other)"])
        for n in range(10)
    ),
    as_of=AS_OF,
    definition={"zone": "UTC"},
)

SAMPLES = {
    "dau": DAU,
    "active": ACTIVE,
    "funnel": FUNNEL,
    "dropoff": DROPOFF,
    "hostile": HOSTILE,
    "empty": EMPTY,
    "retention": RETENTION,
}
