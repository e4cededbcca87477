"""The language of `--where`: how it reads, what it means, and that nothing typed is ever part of the SQL."""

import re
from datetime import date, datetime

import logs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import where as oracle
from torture import much

from evlog import engine
from evlog.errors import UsageError
from evlog.query import view, where
from evlog.query.where import Condition, parse
from evlog.store.snapshot import snapshot


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("event_type=signup", Condition(("event_type",), "=", ("signup",))),
        ("properties.status>=500", Condition(("properties", "status"), ">=", ("500",))),
        ("status >= 500", Condition(("properties", "status"), ">=", ("500",))),
        ("  plan  !=  pro team ", Condition(("properties", "plan"), "!=", ("pro team",))),
        ("context.device.os ~ mac", Condition(("context", "device", "os"), "~", ("mac",))),
        ("a.b=1", Condition(("properties", "a", "b"), "=", ("1",))),
        ('properties."a.b".c=1', Condition(("properties", "a.b", "c"), "=", ("1",))),
        ('"properties".x=1', Condition(("properties", "properties", "x"), "=", ("1",))),
        ("plan in pro, team ,x", Condition(("properties", "plan"), "in", ("pro", "team", "x"))),
        ("plan not-in pro", Condition(("properties", "plan"), "not-in", ("pro",))),
        ("user_id exists", Condition(("user_id",), "exists")),
        ("in in a", Condition(("properties", "in"), "in", ("a",))),
        ("a=b in c", Condition(("properties", "a"), "=", ("b in c",))),
        ("a=>=b", Condition(("properties", "a"), "=", (">=b",))),
        ("a=", Condition(("properties", "a"), "=", ("",))),
        ("größe>1", Condition(("properties", "größe"), ">", ("1",))),
        ("properties=x", Condition(("properties",), "=", ("x",))),
        ("date>=2026-03-01", Condition(("date",), ">=", ("2026-03-01",))),
    ],
)
def test_how_conditions_read(text, condition):
    assert parse(text) == condition
    assert parse(str(condition)) == condition
    assert where.is_condition(text)


@pytest.mark.parametrize(
    "text",
    ["", "plan", "=x", "plan in", "plan exists x", "a b=c", "a..b=1", ".a=1", 'a.""=1', "a,b=1", "plan is pro", "in a"],
)
def test_what_is_no_condition_is_told(text):
    with pytest.raises(UsageError) as told:
        parse(text)
    assert told.value.hint


@pytest.mark.parametrize("text", ["ts>=yesterday", "received_at=5", "ts in 2026-01-01,x"])
def test_instants_are_told_before_anything_is_read(text):
    with pytest.raises(UsageError, match="is no instant"):
        parse(text)


EVENTS = logs.events(
    """
    2026-03-01 00:00        u1 a  n=1 s="1" t=true f=1.0 x=null
    2026-03-01 12:00        u2 b  n=20 s=Äpfel t="true" big=9007199254740993
    2026-03-02 23:59:59.5   -  a  n=-3.5 s=tea_time anonymous_id=z feature=Tea
    2026-03-03 00:00        u1 c  n="abc" o={"k":{"d":5,"q\\"uote":"y","a/b~c":1}} l=[1,"2"]
    2026-03-03 08:00        u3 a  n=1e3 quo'te=1 $x=2 a.b=3 feature=tea target=exercise/e1
    """
)
FOUND = [
    ("n=1", [0]),
    ("s=1", [0]),
    ("t=true", [0, 1]),
    ("f=1", []),
    ("f=1.0", [0]),
    ("x exists", []),
    ("x!=1", []),
    ("n!=1", [1, 2, 3, 4]),
    ("zz!=1", []),
    ("zz not-in 1", []),
    ("n>1", [1, 4]),
    ("n<=1", [0, 2]),
    ("n>=aaa", [3]),
    ("s>=1", [0]),
    ("n in 1,20,abc", [0, 1, 3]),
    ("n not-in 1,20,abc", [2, 4]),
    ("s~ÄPF", [1]),
    ("s ~ a t", [2]),
    ("feature~TEA", [2, 4]),
    ("feature=tea", [4]),
    ("user_id exists", [0, 1, 3, 4]),
    ("user_id!=u1", [1, 4]),
    ("anonymous_id exists", [2]),
    ("ts>=2026-03-03", [3, 4]),
    ("ts=2026-03-02T23:59:59.5Z", [2]),
    ("ts<2026-03-01T13:00:00+01:00", [0]),
    ("ts in 2026-03-01,2026-03-03", [0, 3]),
    ("ts~23:59:59.5", [2]),
    ("received_at>2029-01-01", [0, 1, 2, 3, 4]),
    ("date=2026-03-03", [3, 4]),
    ("date<2026-03-02", [0, 1]),
    ("date>2026", [0, 1, 2, 3, 4]),
    ("seq>=3", [3, 4]),
    ("seq=3", [3]),
    ("big=9007199254740993", [1]),
    ("o.k.d=5", [3]),
    ("o.k exists", [3]),
    ('properties.o.k.q"uote=y', [3]),
    ('o.k."a/b~c"=1', [3]),
    ("o={}", []),
    ('l=[1,"2"]', [3]),
    ("quo'te=1", [4]),
    ("$x=2", [4]),
    ('"a.b"=3', [4]),
    ("a.b=3", []),
    ("target_type=exercise", [4]),
    ("context exists", []),
    ("event_type in a", [0, 2, 4]),
]


@pytest.fixture(scope="module", params=["segments", "parts", "both"])
def asked(request, tmp_path_factory):
    cold = {"segments": False, "parts": True, "both": [date(2026, 3, 2), date(2026, 3, 3)]}[request.param]
    seen = snapshot(logs.store(tmp_path_factory.mktemp("store"), EVENTS, cold=cold))
    with engine.connect(engine.Limits(threads=1)) as open_engine:
        yield lambda conditions: _numbers(open_engine, seen, conditions)


def _numbers(open_engine, seen, conditions):
    events, params = view.relation(seen.hot, seen.cold)
    sql, values = where.as_sql(conditions, "w")
    rows = open_engine.rows(f"SELECT seq FROM ({events}) WHERE {sql} ORDER BY seq", {**params, **values})
    return [seq for (seq,) in rows]


@pytest.mark.parametrize(("text", "found"), FOUND)
def test_what_conditions_find(asked, text, found):
    assert asked([parse(text)]) == found


def test_conditions_are_anded(asked):
    assert asked([parse("event_type=a"), parse("n>0"), parse("s exists")]) == [0]
    assert asked([]) == [0, 1, 2, 3, 4]


WORDS = [
    "1",
    "1.0",
    "-2",
    "1e3",
    "true",
    "",
    "a",
    "A b",
    "Äß",
    "'",
    '"',
    "$w_0",
    "); DROP",
    "%",
    "a.b",
    "/",
    "~",
    "null",
]
KEYS = ["a", "a b", "'", '$w_0"', "a/b", "~1", "ä", "0", "--", "*", "[0]", "#"]
OPS = ["=", "!=", "<", "<=", ">", ">=", "~", "in", "not-in", "exists"]
VALUES = st.sampled_from(WORDS) | st.integers(-3, 3) | st.booleans() | st.none() | st.sampled_from([1.0, -2.5, 0.1])


@st.composite
def conditions(draw):
    op = draw(st.sampled_from(OPS))
    tail = draw(st.lists(st.sampled_from(KEYS), min_size=1, max_size=2))
    path = draw(st.sampled_from([("properties", *tail), ("context", *tail), ("user_id",), ("event_type",), ("seq",)]))
    many = draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=3))
    return Condition(path, op, () if op == "exists" else tuple(many) if op in {"in", "not-in"} else tuple(many[:1]))


JSON = st.dictionaries(
    st.sampled_from(KEYS), VALUES | st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=2), max_size=4
)


@pytest.mark.long
@settings(max_examples=much(180, 20), deadline=None)
@given(
    held=st.lists(st.tuples(st.sampled_from(WORDS[:8]) | st.none(), JSON, JSON), min_size=1, max_size=6),
    asked_for=st.lists(conditions(), min_size=1, max_size=12),
)
def test_conditions_mean_the_same_in_sql_and_in_python(tmp_path_factory, held, asked_for):
    events = [
        {"event_type": "a", "event_id": str(n), "ts": datetime(2026, 3, 1, n), "date": date(2026, 3, 1), "seq": n}
        | {"user_id": user, "properties": properties, "context": context}
        for n, (user, properties, context) in enumerate(held)
    ]
    seen = snapshot(logs.store(tmp_path_factory.mktemp("store"), events))
    with engine.connect(engine.Limits(threads=1)) as open_engine:
        for condition in asked_for:
            expected = [event["seq"] for event in events if oracle.matches(condition, event)]
            assert _numbers(open_engine, seen, [condition]) == expected, condition


@given(st.lists(conditions(), min_size=1, max_size=5))
def test_nothing_typed_is_part_of_the_sql(asked_for):
    sql, params = where.as_sql(asked_for, "w")
    fixed, _ = where.as_sql(
        [Condition((c.path[0], *("k" for _ in c.path[1:])), c.op, c.values) for c in asked_for], "w"
    )
    assert sql == fixed
    assert set(re.findall(r"\$(\w+)", sql)) == set(params)
