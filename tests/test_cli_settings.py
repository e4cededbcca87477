"""Settings: precedence, origins, and what is said of one that cannot be."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from evlog.cli.settings import resolve
from evlog.cli.specs import SPECS
from evlog.errors import UsageError

OTHER = {
    "data": ("a", "b", "c"), "plan": ("a.toml", "b.toml", "c.toml"), "tz": ("Asia/Tokyo", "Europe/Berlin", "America/Lima"),
    "week_start": ("sunday", "monday", "sunday"), "as_of": ("latest", "2026-01-01", "2026-01-02"), "days": ("7", "8", 9),
    "funnel_window": ("1d", "2d", "none"), "session_timeout": ("5m", "1h", "45m"), "abandon_after": ("1h", "2h", "3h"), "max_line": ("64k", "1MiB", 2048),
    "max_age": ("1y", "2y", "none"), "consent": ("required", "optional", "required"),
    "placeholder_users": ("null", "reject", "null"), "assume_tz": ("+02:00", "Europe/Berlin", "UTC"),
    "flush_interval": ("1s", "2s", "0s"), "max_rejects": ("1", "2%", 3), "workers": ("1", "2", 3),
    "pii": ("allow", "reject", "truncate"), "pii_allow": (["a"], "b,c", ["d"]), "retention": ("1d", "2d", "3d"),
    "remember": (["a"], "b,c", ["d"]), "pseudonym_key": ("a", "b", "c"),
    "rollups_retention": ("1y", "2y", "none"), "late_allowance": ("1d", "3d", "4d"),
    "check_last_days": ("1", "2", 3), "check_rejects": ("2%", "3%", 0.5), "check_nulls": ("2%", "none", "4%"),
    "check_duplicates": ("2%", "0.03", "none"), "check_wrong": ("0%", "2%", "4%"), "check_late": ("1%", "2%", "3%"),
    "check_lag": ("1m", "2h", "none"), "check_freshness": ("1h", "3d", "none"), "check_volume": ("2", "5.5", 4),
    "check_rate_per_user": ("100", "5%", 7), "check_rollup_seconds": ("5", "1.5", 90),
    "check_overdue": ("1d", "3d", "none"), "check_ingest_rate": ("100", "200", 10000),
}  # fmt: skip
"""For each setting: what a flag, the environment and the file say."""


def written(folder: Path, body: str) -> Path:
    path = folder / "evlog.toml"
    path.write_text(body)
    return path


def toml(key: str, value: object) -> str:
    table, dot, name = key.rpartition(".")
    shown = value if isinstance(value, int) else [*value] if isinstance(value, list) else f'"{value}"'
    return f"[{table}]\n{name} = {shown}\n" if dot else f"{name} = {shown}\n"


def test_the_table_of_other_values_is_whole():
    assert OTHER.keys() == {spec.name for spec in SPECS}


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_flag_beats_environment_beats_file_beats_default(spec, tmp_path):
    flag, env, in_file = OTHER[spec.name]
    path = written(tmp_path, toml(spec.key, in_file))
    flags, environ = {spec.name: flag}, {spec.env: env}
    ladder = [
        (resolve({}, {}, tmp_path / "elsewhere"), "default"),
        (resolve({}, {}, tmp_path), f"file {path}: "),
        (resolve({}, environ, tmp_path), f"environment {spec.env}"),
        (resolve(flags, environ, tmp_path), f"flag {spec.option}"),
    ]
    (tmp_path / "elsewhere").mkdir()
    ladder[0] = (resolve({}, {}, Path("/")), "default")
    assert [found.origin(spec.name).startswith(origin) for found, origin in ladder] == [True] * 4
    values = [getattr(found, spec.name) for found, _ in ladder]
    assert len({str(value) for value in values[1:]}) >= 2, values
    alone = [
        getattr(resolve(flags, {}, Path("/")), spec.name),
        getattr(resolve({}, environ, Path("/")), spec.name),
        getattr(resolve({}, {}, tmp_path), spec.name),
    ]
    assert [values[3], values[2], values[1]] == alone


def test_the_defaults():
    found = resolve({}, {}, Path("/"))
    assert (found.data, found.plan, found.tz, found.week_start, found.as_of, found.days) == (
        Path("evlog-data"), None, "UTC", "monday", None, 30,
    )  # fmt: skip
    assert (found.max_line, found.max_age, found.consent, found.pii) == (1 << 20, None, "optional", "redact")
    assert (found.flush_interval, found.retention) == (timedelta(seconds=5), timedelta(days=90))
    assert (found.funnel_window, found.abandon_after) == (timedelta(days=14), timedelta(hours=24))


def test_the_nearest_file_upwards_counts_and_its_paths_are_relative_to_it(tmp_path):
    written(tmp_path, '[store]\npath = "far"\n')
    near = tmp_path / "a"
    below = near / "b" / "c"
    below.mkdir(parents=True)
    path = written(near, '[store]\npath = "events"\n')
    found = resolve({}, {}, below)
    assert (found.data, found.origin("data")) == (near / "events", f"file {path}: [store] path")
    assert resolve({"data": "here"}, {}, below).data == Path("here")
    assert resolve({}, {"EVLOG_DATA": "there"}, below).data == Path("there")


def test_a_plan_beside_the_file_is_the_plan(tmp_path):
    path = written(tmp_path, "")
    assert resolve({}, {}, tmp_path).plan is None
    (tmp_path / "plan.toml").write_text("")
    found = resolve({}, {}, tmp_path)
    assert (found.plan, found.origin("plan")) == (tmp_path / "plan.toml", f"default (beside {path})")
    assert resolve({"plan": "none"}, {}, tmp_path).plan is None


@pytest.mark.parametrize(
    ("bare", "read"), [("2026-03-05", "2026-03-05"), ("2026-03-05T12:00:00Z", "2026-03-05T12:00:00+00:00")]
)
def test_a_date_may_stand_bare_in_the_file(bare, read, tmp_path):
    written(tmp_path, f"[report]\nas_of = {bare}\n")
    assert resolve({}, {}, tmp_path).as_of == read


def test_an_empty_variable_is_none():
    assert resolve({}, {"EVLOG_TZ": ""}, Path("/")).origin("tz") == "default"


def test_a_share_of_rejects_is_a_float_and_a_count_an_int():
    assert resolve({"max_rejects": "1%"}, {}, Path("/")).max_rejects == 0.01
    assert resolve({"max_rejects": "10"}, {}, Path("/")).max_rejects == 10


@pytest.mark.parametrize(
    ("body", "message", "hint"),
    [
        ("days = 3", "days: there is no such setting", "did you mean [report] days?"),
        ("[report]\nday = 3", "[report] day: there is no such setting", "did you mean [report] days?"),
        ("[nothing]\nlike = 3", "[nothing] like: there is no such setting", "evlog config lists every setting"),
        ('store = "x"', "store: there is no such setting", "did you mean [store] path?"),
        ("[report]\ndays = 0", "[report] days: expected a number of days from 1 to 36525, got 0", None),
        ('[report]\ntz = "Mars/Olympus"', '[report] tz: expected a time zone such as UTC or Europe/Berlin, got "Mars/Olympus"', None),
        ("[report]\ntz = 3", "[report] tz: expected a time zone such as UTC or Europe/Berlin, got 3", None),
        ('[ingest]\nconsent = "maybe"', '[ingest] consent: expected optional or required, got "maybe"', None),
        ('[ingest]\nmax_line = "1TB"', '[ingest] max_line: expected a size from 1KiB to 8MiB, got "1TB"', None),
        ("[ingest]\nworkers = true", "[ingest] workers: expected a number from 1 to 64, or none, got true", None),
        ('[ingest]\nmax_rejects = "101%"', '[ingest] max_rejects: expected a number such as 100, or a share such as 1%, or none, got "101%"', None),
        ("[privacy]\npii_allow = [1]", "[privacy] pii_allow: expected a list of names, got an array", None),
        ('[retention]\nraw = "90 dogs"', '[retention] raw: expected a duration such as 30m, 12h or 90d, got "90 dogs"', None),
    ],
)  # fmt: skip
def test_a_bad_file_is_named_with_its_key_and_what_was_expected(body, message, hint, tmp_path):
    path = written(tmp_path, body)
    with pytest.raises(UsageError) as told:
        resolve({}, {}, tmp_path)
    assert (str(told.value), told.value.hint) == (f"{path}: {message}", hint)


def test_a_file_that_is_no_toml(tmp_path):
    path = written(tmp_path, "days = = 3")
    with pytest.raises(UsageError, match="is not TOML") as told:
        resolve({}, {}, tmp_path)
    assert str(told.value).startswith(str(path))


def test_a_file_that_was_named_and_is_not_there(tmp_path):
    with pytest.raises(UsageError, match=r"cannot read .*none\.toml: No such file"):
        resolve({}, {}, tmp_path, tmp_path / "none.toml")


def test_a_bad_flag_and_a_bad_variable_are_named():
    with pytest.raises(UsageError, match=r'^--tz: expected a time zone .*, got "x"$'):
        resolve({"tz": "x"}, {}, Path("/"))
    with pytest.raises(UsageError, match=r'^EVLOG_DAYS: expected a number of days .*, got "0"$'):
        resolve({}, {"EVLOG_DAYS": "0"}, Path("/"))
