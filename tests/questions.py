"""Questions that tests put: a scope out of a case's options, random logs with scopes to ask them in, and the asking."""

from datetime import date, datetime, timedelta

import logs
from hypothesis import strategies as st

from evlog import reports, window
from evlog.cli.asking import of_plan
from evlog.engine import Limits
from evlog.event.plan_file import parse
from evlog.query import where
from evlog.query.ask import ask
from evlog.query.scope import Pair, Scope

ONE_THREAD = Limits(threads=1)  # for such small logs, starting threads is most of the work
SCOPE = ("by", "top", "min_users", "include_anon")
SETS = ("inactive", "active_events", "errors", "requests")


def scoped(options):
    """The scope that a case's options say, and what is left of them: the options of the report itself."""
    rest = dict(options)
    tz, last = rest.pop("tz", "UTC"), rest.pop("to")
    now = window.as_of(rest.pop("as_of", last), tz=tz, now=datetime(2030, 1, 1))
    asked = window.resolve(now, tz=tz, week_start=rest.pop("week_start", "monday"), first=rest.pop("from"), last=last)
    plan = of_plan(parse(rest.pop("plan"))) if "plan" in rest else {}
    if "pairs" in rest:
        plan["pairs"] = tuple(Pair(*pair) for pair in rest.pop("pairs"))
    return Scope(
        asked,
        where=tuple(where.parse(text) for text in rest.pop("where", ())),
        **plan,
        **{key: rest.pop(key) for key in SCOPE if key in rest},
        **{key: tuple(rest.pop(key)) for key in SETS if key in rest},
    ), rest


PLACES = [  # a zone, and days around one of its turns, or a leap day
    ("UTC", date(2024, 2, 28)),
    ("Europe/Berlin", date(2026, 3, 28)),
    ("America/New_York", date(2025, 11, 1)),
    ("Asia/Kathmandu", date(2025, 12, 30)),
]
MOMENTS = [timedelta(0), timedelta(hours=4), timedelta(hours=5), timedelta(hours=22), timedelta(hours=23)]
TICKS = [timedelta(0), timedelta(microseconds=-1), timedelta(microseconds=1), timedelta(minutes=17)]


@st.composite
def questions(draw, kinds):
    """A log full of ties, midnights and nobodies around a turn of the clock, and a scope for it."""
    tz, around = draw(st.sampled_from(PLACES))
    length, before = draw(st.integers(1, 9)), draw(st.integers(0, 3))
    first = around - timedelta(before)
    last = first + timedelta(length - 1)
    instant = window.midnight(last + timedelta(1), tz) + draw(
        st.sampled_from([timedelta(0), timedelta(hours=-7), timedelta(days=3)])
    )
    now = (
        window.AsOf(instant, last)
        if draw(st.booleans()) and instant == window.midnight(last + timedelta(1), tz)
        else window.at(instant, tz)
    )
    count = draw(st.integers(0, 25))
    events = [_event(draw, around, kinds, number) for number in range(count)]
    scope = Scope(
        window.Window(first, last, now.instant, now.day, tz),
        where=draw(st.sampled_from([(), (where.parse("n>0"),), (where.parse("feature!=x"),)])),
        include_anon=draw(st.booleans()),
        inactive=draw(st.sampled_from([(), (kinds[0],)])),
    )
    return events, scope


def _event(draw, around, kinds, number):
    day = datetime.combine(around, datetime.min.time()) + timedelta(draw(st.integers(-9, 9)))
    moment = day + draw(st.sampled_from(MOMENTS)) + draw(st.sampled_from(TICKS))
    event = {"event_type": draw(st.sampled_from(kinds)), "event_id": f"e{number}", "ts": moment, "seq": number}
    for key, values in {
        "user_id": ["u1", "u2", "u3", None],
        "anonymous_id": ["u1", None],
        "feature": ["x", "y", None],
        "target_id": ["t1", "t2", None],
        "target_type": ["t", None],
    }.items():
        value = draw(st.sampled_from(values))
        if value is not None:
            event[key] = value
    return {**event, "properties": {"n": draw(st.integers(0, 2))}}


def answers(tmp_path_factory, events, scope, cold, /, **names):
    store = logs.store(tmp_path_factory.mktemp("store"), events, cold=cold)
    return [
        ask(store, scope, reports.load(name).report, limits=ONE_THREAD, **options) for name, options in names.items()
    ]
