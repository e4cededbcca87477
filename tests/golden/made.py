"""Results out of thin air, for properties that every result must keep."""

from datetime import date, datetime

from hypothesis import strategies as st

from evlog.query.result import Column, Result

STEERING = "".join(
    map(chr, [*range(0x20), *range(0x7F, 0xA0), 0x61C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A)])
)

TEXT = st.text(
    st.one_of(st.sampled_from(f"{STEERING}ab |`*_<[]\\=+-@'\",;é日🎉"), st.characters(exclude_categories=["Cs"])),
    max_size=30,
)
_FLOATS = st.floats(allow_nan=True, allow_infinity=True)
VALUES = {
    "text": TEXT,
    "date": st.dates(date(1970, 1, 1), date(2100, 1, 1)),
    "instant": st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)),
    "count": st.integers(-(2**63), 2**63 - 1),
    "number": _FLOATS,
    "rate": _FLOATS,
    "seconds": _FLOATS,
    "flag": st.booleans(),
    "list": st.lists(st.none() | st.integers(0, 10**9), max_size=4),
    "json": st.sampled_from(['{"a":"\\u001b[2J"}', "[1,2]", "null", "{torn", '"\x9b"', ""]),
}


@st.composite
def results(draw, *, kinds=tuple(VALUES), least=0):
    taken = draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=6))
    columns = tuple(
        Column(
            draw(TEXT.filter(bool)), kind, bar=kind in ("count", "number", "rate") and draw(st.booleans()), item="count"
        )
        for kind in taken
    )
    rows = draw(st.lists(st.tuples(*(st.none() | VALUES[kind] for kind in taken)), min_size=least, max_size=10))
    numbers = st.frozensets(st.integers(0, len(rows) - 1)) if rows else st.just(frozenset())
    facts = st.dictionaries(TEXT, TEXT | st.integers() | _FLOATS | st.none() | st.lists(TEXT, max_size=2), max_size=3)
    return Result(
        report=draw(TEXT),
        columns=columns,
        rows=tuple(rows),
        as_of=datetime(2026, 3, 31, 12, 30),
        params=draw(facts),
        summary=draw(facts),
        definition=draw(facts),
        marks=draw(numbers),
        partial=draw(numbers),
    )
