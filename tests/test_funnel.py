"""The funnel report over a store, against exhaustive search and by hand."""

import random
import tempfile
from datetime import date, datetime, timedelta
from pathlib import Path

import logs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracle import funnel as oracle
from oracle import funnel_report as oracle_report
from questions import ONE_THREAD
from torture import much

from evlog.errors import UsageError
from evlog.query.ask import ask
from evlog.query.scope import Scope
from evlog.query.where import parse as condition
from evlog.reports.funnel import report
from evlog.window import Window

FIRST, LAST = date(2026, 3, 2), date(2026, 3, 3)
AS_OF = tuple(map(datetime.fromisoformat, ("2026-03-04T06:00", "2026-03-10")))  # an instant, and the end of a date


def window(*, as_of=AS_OF[1], tz="UTC", first=FIRST, last=LAST):
    day = as_of.date() - timedelta(days=as_of == AS_OF[1])
    return Window(first, last, as_of, day, tz)


def answered(events, *, cold=False, scope=None, **options):
    with tempfile.TemporaryDirectory() as folder:
        made = logs.store(Path(folder) / "store", events, cold=cold)
        return ask(made, scope or Scope(window()), report, limits=ONE_THREAD, **options)


def told(text, **options):
    return answered(logs.events(text), **options)


def users(result):
    names = [column.name for column in result.columns]
    return [row[names.index("users")] for row in result.rows]


PROPERTIES = ({}, {"plan": "x"}, {"plan": "y", "n": 2}, {"plan": "x", "n": 1})


def random_log(draw):
    """Few hours, so that many events are tied; they begin before the range and end after it."""
    people = (*(f"u{number}" for number in range(draw.choice((4, 9)))), None)
    begin, hours = draw.choice(((0, 20), (24, 24), (0, 110)))
    return [
        random_event(draw, number, draw.choice(people), begin + 2 * draw.randint(0, hours // 2)) for number in range(36)
    ]


def random_event(draw, number, person, hour):
    ts = datetime.fromisoformat("2026-03-01T12:00") + timedelta(hours=hour)
    found = {"event_id": f"e{number}", "event_type": draw.choice("abc"), "ts": ts, "seq": number}
    return {**found, "properties": draw.choice(PROPERTIES), **({"user_id": person} if person else {})}


def random_question(draw):
    return {
        "steps": tuple(draw.choice(sorted(oracle.FITS)) for _ in range(draw.randint(1, 3))),
        "tz": draw.choice(("UTC", "America/Los_Angeles")),
        "window": draw.choice((None, timedelta(0), timedelta(hours=6), timedelta(days=1), timedelta(days=14))),
        "ties": draw.choice(("step", "strict", "seq")),
        "attribution": draw.choice(("first", "last")),
        "cut": draw.random() < 0.3,
        "by": draw.random() < 0.6,
        "top": draw.choice((None, 1)),
        "min_users": draw.choice((0, 3)),
    }


@pytest.mark.parametrize("seed", range(100))
def test_any_question_is_answered_as_search_answers_it(seed):
    draw = random.Random(seed)
    events, asked, as_of = random_log(draw), random_question(draw), draw.choice(AS_OF)
    until = as_of + timedelta(microseconds=as_of == AS_OF[0])
    rows, summary = oracle.answer(events, oracle.Asked(first=FIRST, last=LAST, until=until, **asked))
    by = "plan" if asked["by"] else None
    scope = Scope(window(as_of=as_of, tz=asked["tz"]), by=by, top=asked["top"], min_users=asked["min_users"])
    limit = "none" if asked["window"] is None else f"{asked['window'] // timedelta(seconds=1)}s"
    options = {name: asked[name] for name in ("steps", "ties", "attribution", "cut")}
    found = answered(events, cold=draw.random() < 0.2, scope=scope, window=limit, **options)
    assert [pytest.approx(row) for row in rows] == list(found.rows)
    assert found.summary == pytest.approx(summary)


LATE = """
2026-03-03 23:59 ann a
2026-03-05 12:00 ann b
2026-03-02 10:00 bob a
2026-03-02 11:00 bob b
2026-03-01 23:59 cid a
2026-03-02 00:01 cid b
"""


def test_a_later_step_may_come_after_the_range_but_not_with_cut():
    assert users(told(LATE, steps=("a", "b"))) == [2, 2]
    assert users(told(LATE, steps=("a", "b"), cut=True)) == [2, 1]
    assert users(told(LATE, steps=("a", "b"), window="36h")) == [2, 1]


def test_who_may_still_come_further_is_counted_and_marked():
    running = Scope(window(as_of=AS_OF[0]))
    result = told(LATE, steps=("a", "b"), scope=running)
    assert users(result) == [2, 1]
    assert result.summary["open"] == 1
    assert result.partial == {1}
    over = told(LATE, steps=("a", "b"), scope=running, window="6h")
    assert (over.summary["open"], over.partial) == (0, frozenset())


def test_without_a_limit_everyone_unfinished_may_still_come_further():
    result = told("2026-03-02 10:00 ann a", steps=("a", "b"), window="none")
    assert result.summary["open"] == 1
    assert result.definition["funnel_window"] == "none"
    assert result.partial_means == "1 entrant may still come further"


def test_a_user_of_a_group_below_the_top_is_counted_once_among_the_others():
    text = "\n".join(f"2026-03-02 10:0{n} u{n} a plan={plan}" for n, plan in enumerate("xxyyzw"))
    scope = Scope(window(), by="plan", top=1)
    result = told(text, scope=scope, steps=("a",))
    assert [(row[0], row[3]) for row in result.rows] == [("x", 2), ("(other)", 4)]
    assert told(text, scope=Scope(window(), by="plan"), steps=("a",)).rows[-1][0] == "z"


def test_small_groups_are_withheld_and_it_says_how_many():
    text = "\n".join(f"2026-03-02 10:0{n} u{n} a plan={plan}" for n, plan in enumerate("xxyz"))
    result = told(text, scope=Scope(window(), by="plan", min_users=2), steps=("a",))
    assert [row[0] for row in result.rows] == ["x"]
    assert result.notes == ("2 groups withheld: fewer than 2 users, or else the numbers of such could be computed",)
    assert result.summary["entered"] == 4


@pytest.mark.parametrize("options", [{"unit": "session"}, {"unit": "order"}, {"attempt": "all", "window": "0s"}])
def test_groups_are_withheld_by_users_whatever_is_counted(options):
    text = """
    2026-03-02 10:00 ann a plan=x order=1 session_id=s
    2026-03-02 11:00 ann a plan=x order=2 session_id=t
    2026-03-02 11:00 bob a plan=y order=3 session_id=s
    2026-03-02 11:00 cid a plan=y order=4 session_id=s
    2026-03-02 11:00 dan a plan=z order=5 session_id=u
    """
    for attribution in ("first", "all"):
        scope = Scope(window(), by="plan", min_users=2)
        result = told(text, scope=scope, steps=("a", "b"), attribution=attribution, **options)
        assert [(row[0], row[3]) for row in result.rows] == [("y", 2), ("y", 0)]
        assert result.summary["entered"] == 5


def test_where_holds_for_every_step_and_users_may_be_anonymous():
    text = """
    2026-03-02 10:00 ann a plan=x
    2026-03-02 11:00 ann b plan=y
    2026-03-02 10:00 - a plan=x anonymous_id=k
    2026-03-02 11:00 - b plan=x anonymous_id=k
    """
    assert users(told(text, steps=("a", "b"), scope=Scope(window(), where=(condition("plan=x"),)))) == [1, 0]
    result = told(text, steps=("a", "b"), scope=Scope(window(), include_anon=True))
    assert users(result) == [2, 2]
    assert told(text, steps=("a", "b")).definition["events_without_user"] == 2


def test_a_step_that_no_event_fits_is_pointed_out():
    result = told("2026-03-02 10:00 ann a", steps=("a", "bee", "c"))
    assert result.notes == ("no event fits step 2 (bee), 3 (c)",)
    assert users(result) == [1, 0, 0]


def test_nobody_entered():
    result = told("2026-03-02 10:00 ann b", steps=("a", "b"))
    assert [row[2:] for row in result.rows] == [(0, None, None, 0, None, None, None)] * 2
    assert result.summary["conversion"] is None


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"steps": ("a", "")}, "names no event"),
        ({"steps": ("a",), "window": "soon"}, "no duration"),
        ({"steps": ("a",), "ties": "none"}, "--ties"),
        ({"steps": ("a",), "attribution": "none"}, "--attribution"),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused(options, says):
    with pytest.raises(UsageError, match=says):
        told("2026-03-02 10:00 ann a", **options)


KINDS = ("a", "b", "c", "x")
MINUTES = st.integers(0, 6).map(lambda n: timedelta(minutes=7 * n))
DAYS = st.sampled_from((timedelta(0), timedelta(hours=1), timedelta(hours=30), timedelta(hours=47), timedelta(days=3)))
SPANS = st.sampled_from(
    (timedelta(0), timedelta(minutes=7), timedelta(minutes=30), timedelta(days=1), timedelta(days=14))
)


@st.composite
def crowded(draw, most=5):
    """A few users with a few events each, many of them tied; some before the range, some after it."""
    events = []
    for user in ("u1", "u2", "u3", None):
        base = datetime(2026, 3, 1, 23, 30) + draw(DAYS)
        for _ in range(draw(st.integers(0, most if user else 1))):
            far = draw(st.sampled_from((timedelta(0), timedelta(0), timedelta(0), timedelta(days=1))))
            event = {
                "event_id": f"e{len(events)}",
                "event_type": draw(st.sampled_from(KINDS)),
                "ts": base + draw(MINUTES) + far,
                "seq": len(events),
                "properties": draw(
                    st.sampled_from(({}, {"plan": "p"}, {"plan": "q"}, {"plan": "p", "k": 1}, {"k": 2}))
                ),
            }
            if draw(st.booleans()):
                event["session_id"] = draw(st.sampled_from(("s1", "s2")))
            events.append(event | ({"user_id": user} if user else {}))
    return events


STEPS = ("a", "b", "c", "a|b", "*")


@st.composite
def asked(draw):
    """A question with any options that agree."""
    count = draw(st.integers(1, 3))
    steps = [draw(st.sampled_from(STEPS)) for _ in range(count)]
    order = draw(st.sampled_from(("ordered", "ordered", "strict", "any")))
    optional = order != "any" and draw(st.booleans())
    if optional:
        steps.insert(draw(st.integers(1, count)), draw(st.sampled_from(("c?", "x?", "a?"))))
    required = [n for n, step in enumerate(steps) if not step.endswith("?")]
    exclude = []
    if count > 1 and draw(st.integers(0, 3)) == 0:
        i = draw(st.integers(0, count - 2))
        exclude.append((draw(st.sampled_from(("x", "b"))), i + 1, draw(st.integers(i + 2, count))))
    ties = draw(st.sampled_from(("step", "step", "strict", "seq")))
    hold = draw(st.sampled_from(((), (), (), ("k",))))
    within = draw(st.sampled_from((False, False, True)))
    unit = (
        draw(st.sampled_from(("user", "user", "session"))) if within else draw(st.sampled_from(("user", "user", "k")))
    )
    by = draw(st.sampled_from((None, "plan")))
    attribution = draw(st.sampled_from(("first", "last", "all", f"step:{draw(st.sampled_from(required)) + 1}")))
    as_of = draw(st.sampled_from(AS_OF))
    return oracle_report.Asked(
        tuple(steps),
        FIRST,
        LAST,
        as_of + timedelta(microseconds=as_of == AS_OF[0]),
        tz=draw(st.sampled_from(("UTC", "America/Los_Angeles"))),
        window=draw(SPANS),
        step_window=draw(st.one_of(st.just(oracle_report.FOREVER), SPANS)),
        order=order,
        attempt=draw(st.sampled_from(("best", "best", "first"))),
        ties=ties,
        start=draw(st.sampled_from(("last", "first"))),
        share=draw(st.sampled_from((False, False, True))),
        anchored=order == "any" and draw(st.booleans()),
        grace=draw(st.sampled_from((timedelta(0), timedelta(minutes=10)))) if ties == "step" else timedelta(0),
        exclude=tuple(exclude),
        remove=draw(st.booleans()) and not (hold or within),
        strict_scope=draw(st.sampled_from(("all", "steps"))) if order == "strict" else "all",
        ignore=draw(st.sampled_from(((), ("x",)))) if order == "strict" else (),
        within_session=within,
        inactive=draw(st.sampled_from(((), ("b",)))),
        hold=hold,
        unit=unit,
        by=by,
        attribution=attribution if by else "first",
        top=draw(st.sampled_from((None, 1))),
        min_users=draw(st.sampled_from((0, 0, 2))),
        cut=draw(st.booleans()),
        complete_only=draw(st.sampled_from((False, False, True))),
        per=draw(st.sampled_from((None, None, "day", "week"))),
        histogram=draw(st.booleans()),
    )


def as_options(q):
    """The question as the report's options."""
    exclude = [f"{kind}@{q.required[i - 1] + 1}..{q.required[j - 1] + 1}" for kind, i, j in q.exclude]
    return {
        "steps": q.steps,
        "window": spelled(q.window),
        "step_window": spelled(q.step_window),
        "exclude": tuple(exclude),
        "exclusion": "remove" if q.remove else "drop",
        "grace": spelled(q.grace),
        "share_events": q.share,
        "anchor_first": q.anchored or None,
        "strict_scope": q.strict_scope if q.order == "strict" else None,
        **{name: getattr(q, name) for name in ("order", "attempt", "ties", "start", "within_session", "hold", "unit")},
        **{name: getattr(q, name) for name in ("attribution", "cut", "complete_only", "per", "histogram", "ignore")},
    }


def spelled(span):
    return "none" if span >= oracle_report.FOREVER else f"{span // timedelta(seconds=1)}s"


@settings(max_examples=much(400, 25), deadline=None, suppress_health_check=list(HealthCheck))
@given(crowded(), asked(), st.booleans())
def test_every_option_counts_as_trying_every_chain_does(events, q, cold):
    rows, summary = oracle_report.answer(events, q)
    now = q.until if q.until == AS_OF[1] else AS_OF[0]
    scope = Scope(window(as_of=now, tz=q.tz), by=q.by, top=q.top, min_users=q.min_users, inactive=q.inactive)
    found = answered(events, cold=cold, scope=scope, **as_options(q))
    assert [pytest.approx(flat(row)) for row in rows] == [flat(row) for row in found.rows]
    if found.definition.get("withheld") and all(
        value is None for value in found.summary.values()
    ):  # it would tell what is withheld
        assert not rows or summary["entered"] < q.min_users
        return
    assert {key: found.summary[key] for key in summary} == pytest.approx(summary)


def flat(row):
    """The row with its histogram opened."""
    return (*row[:-1], *row[-1]) if isinstance(row[-1], list) else tuple(row)


def test_more_than_anybody_would_wait_for_is_refused(monkeypatch):
    """In any order with a step window every set of steps must be tried."""
    monkeypatch.setattr("evlog.kernel.effort._LEAST", 0)
    monkeypatch.setattr("evlog.kernel.effort._EACH", 0)
    log = "\n".join(f"2026-03-03 10:{n:02} ann {kind}" for n, kind in enumerate("abcab"))
    asked = {"steps": ("a|b", "b|c", "a|c"), "order": "any"}
    assert users(told(log, **asked)) == [1, 1, 1]
    with pytest.raises(UsageError, match="too many sets of steps"):
        told(log, step_window="1h", **asked)
