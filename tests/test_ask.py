"""A question over `seen`: what it must not be given."""

import logs
import pytest
from questions import ONE_THREAD, scoped

from evlog import engine
from evlog.query.ask import ask


@pytest.mark.parametrize("name", ["types", "first", "to_date", "tz", "by_key", "parts", "segments", "where_0"])
@pytest.mark.parametrize("way", ["rows", "arrays", "keep"])
def test_a_parameter_of_seen_cannot_be_given_anew(tmp_path, name, way):
    store = logs.store(tmp_path / "store", logs.events("2026-03-01 10:00 ann page_view"))
    scope, _ = scoped({"from": "2026-03-01", "to": "2026-03-01", "where": ["event_type=page_view"]})
    sql, words = f"SELECT ${name} AS given FROM seen", ("given",) if way == "keep" else ()
    with pytest.raises(AssertionError, match=f"parameters of `seen` given anew: {name}$"):
        ask(store, scope, lambda question: getattr(question, way)(*words, sql, {name: 1}), limits=ONE_THREAD)


def test_footers_of_parts_are_kept_for_reports_alone():
    for limits, kept in ((engine.USUAL, False), (engine.ASKED, True)):
        with engine.connect(limits) as connection:
            assert connection.rows("SELECT current_setting('parquet_metadata_cache')") == [(kept,)]
