"""Pseudonyms in output that is handed on: no id comes out, one key joins, another does not, and the key is guarded."""

from __future__ import annotations

import io
import json
import os
import sys
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import pytest
import storekit as kit
from storekit import event

from evlog.cli.run import run
from evlog.errors import EvlogError, UsageError
from evlog.query import id_columns, pseudonym
from evlog.store import audit, layout, tombstones
from evlog.store.pseudonym import KEY, Key, key_of, rotate

if TYPE_CHECKING:
    from pathlib import Path

    from evlog.store.layout import Store

IDS = ("ann-7781", "bob-3301", "device-5512", "visit-0042", "visit-0043")
ONE = Key(b"1" * 32)
OTHER = Key(b"2" * 32)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(os, "fsync", lambda fd: None)
    made = layout.create(tmp_path / "s")
    kit.ingest(
        made,
        event("1", user="ann-7781", session_id="visit-0042", properties={"plan": "pro", "owner": "ann-7781"}),
        event("2", user="bob-3301", session_id="visit-0043", target_type="user", target_id="ann-7781"),
        event("3", user=None, anonymous_id="device-5512", context={"device": ["device-5512"]}),
        event("4", kit.DAY_2, user="ann-7781", event_type="bought", anonymous_id="device-5512"),
    )
    return made


@pytest.fixture
def evlog(store, monkeypatch, capfdbinary, tmp_path):
    """Run evlog on the store; its exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    for name in [name for name in os.environ if name.startswith("EVLOG_")]:
        monkeypatch.delenv(name)

    def call(*words: str, stdin: str = "") -> tuple[int, bytes, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        code = run([*words, "--data", str(store.root)])
        sys.stdout.flush()
        out, err = capfdbinary.readouterr()
        return code, out, err.decode()

    return call


DAYS = ("--from", "2026-01-05", "--to", "2026-01-06", "--as-of", "2026-01-07")
ASKED = [
    ("report", "dau", "--by", "user_id", *DAYS),
    ("report", "dau", "--by", "anonymous_id", *DAYS),
    ("report", "events", "--by", "properties.owner", "--where", "user_id=ann-7781", "--by", "session_id", *DAYS),
    ("report", "sessions", "--by", "user_id", "--include-anon", *DAYS),
    ("report", "targets", *DAYS),
    ("report", "top", "user_id", *DAYS),
    ("report", "top", "session_id", *DAYS),
    ("report", "journey", "--user", "ann-7781", *DAYS),
    ("user", "journey", "bob-3301", *DAYS),
    ("funnel", "seen[user_id=ann-7781]", "bought", "--explain", "ann-7781", *DAYS),
    ("funnel", "seen[user_id in ann-7781,bob-3301]", "bought?", "--by", "user_id", *DAYS),
    ("sql", "SELECT * FROM events ORDER BY seq"),
    ("sql", "SELECT user_id, anonymous_id, session_id, properties FROM events WHERE user_id = 'ann-7781' ORDER BY seq"),
    ("sql", "SELECT * FROM users ORDER BY user_id"),
    ("sql", "SELECT max(user_id) AS user_id, list(session_id) AS session_id FROM events"),
]


@pytest.mark.long
@pytest.mark.parametrize("form", ["table", "json", "csv", "ndjson", "markdown", "parquet"])
def test_no_id_comes_out_in_any_format(evlog, tmp_path, form) -> None:
    for number, words in enumerate(ASKED):
        plain, told = (tmp_path / f"{number}.{name}" for name in ("plain", "told"))
        assert evlog(*words, "--format", form, "--output", str(plain))[0] == 0
        assert evlog(*words, "--format", form, "--output", str(told), "--pseudonymise")[0] == 0, words
        found = [one for one in IDS if one.encode() in told.read_bytes()]
        assert not found, words
    assert any(one.encode() in (tmp_path / "11.plain").read_bytes() for one in IDS)


def rows(said: tuple[int, bytes, str]) -> list[dict[str, Any]]:
    assert said[0] == 0, said
    return json.loads(said[1])["rows"]


def test_one_key_gives_one_pseudonym_wherever_an_id_stands(evlog, store) -> None:
    more = ("--pseudonymise", "--format", "json")
    ann = pseudonym.of(key_of(store), "ann-7781")
    stored = rows(evlog("sql", "SELECT * FROM events ORDER BY seq", *more))
    assert [row["user_id"] for row in stored] == [ann, pseudonym.of(key_of(store), "bob-3301"), None, ann]
    assert stored[1]["target_id"] == ann
    assert json.loads(stored[0]["properties"]) == {"plan": "pro", "owner": ann}
    assert json.loads(stored[2]["context"]) == {"device": [stored[2]["anonymous_id"]]}
    assert {row["group"] for row in rows(evlog("report", "dau", "--by", "user_id", *DAYS, *more))} > {ann}
    asked = json.loads(evlog("report", "journey", "--user", "ann-7781", *DAYS, *more)[1])
    assert asked["params"]["user"] == ann
    assert asked["definition"]["pseudonyms"] == "session_id"


def test_numbers_are_the_same_with_and_without(evlog) -> None:
    for words in (("report", "dau", "--by", "user_id"), ("report", "events"), ("report", "targets")):
        plain, told = (rows(evlog(*words, *DAYS, "--format", "json", *more)) for more in ((), ("--pseudonymise",)))
        numbers = [[value for value in row.values() if not isinstance(value, str)] for row in plain]
        assert numbers == [[value for value in row.values() if not isinstance(value, str)] for row in told]


def test_a_pseudonym_needs_its_key(store) -> None:
    known = key_of(store)
    said = pseudonym.of(known, "ann-7781")
    assert said == pseudonym.of(key_of(store), "ann-7781")
    assert len(said) == 28
    assert said.startswith("p_")
    assert said != pseudonym.of(Key(tombstones.load(store).key), "ann-7781"), "the key of the store is another"
    assert said != pseudonym.of(Key(blake2b(b"").digest()[:32]), "ann-7781")
    assert len({pseudonym.of(key, one) for key in (ONE, OTHER) for one in IDS}) == 2 * len(IDS)
    assert "secret" not in repr(known)
    assert pseudonym.of(known, "\ud800")  # what is no text has one too


def test_the_key_is_made_once_and_for_its_owner_alone(store) -> None:
    path = store.root / KEY
    assert not path.exists()
    first = key_of(store)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.stat().st_size == 32
    assert path.read_bytes() != (store.tombstones / layout.KEY).read_bytes()
    assert key_of(store) == first
    kit.sound(store)


def test_a_new_key_takes_the_old_ones_place(evlog, store) -> None:
    asked = ("sql", "SELECT user_id, anonymous_id FROM events", "--pseudonymise", "--format", "csv")
    before, key = evlog(*asked)[1], (store.root / KEY).read_bytes()
    assert evlog("user", "rotate-key")[0] == 1, "nobody agreed"
    assert evlog("user", "rotate-key", "--dry-run")[0] == 0
    assert evlog(*asked)[1] == before
    assert audit.read(store) == []
    assert evlog("user", "rotate-key", "--yes")[0] == 0
    after = evlog(*asked)[1]
    assert not {word for word in before.replace(b"\n", b",").split(b",") if word.startswith(b"p_")} & set(
        after.replace(b"\n", b",").split(b",")
    )
    assert key not in b"".join(path.read_bytes() for path in store.root.rglob("*") if path.is_file())
    assert [one["what"] for one in audit.read(store)] == ["user rotate-key"]
    assert (store.root / KEY).stat().st_mode & 0o777 == 0o600
    kit.sound(store)


def test_a_key_may_be_kept_elsewhere(evlog, store, tmp_path) -> None:
    (tmp_path / "evlog.toml").write_text('[privacy]\npseudonym_key = "its.key"\n')
    asked = ("sql", "SELECT user_id FROM events", "--pseudonymise", "--format", "csv")
    code, _, err = evlog(*asked)
    assert code == 1
    assert "there is no key of pseudonyms at" in err
    assert evlog("user", "rotate-key", "--yes")[0] == 0
    assert (tmp_path / "its.key").stat().st_mode & 0o777 == 0o600
    assert evlog(*asked)[0] == 0
    assert not (store.root / KEY).exists()
    assert pseudonym.of(key_of(store, tmp_path / "its.key"), "ann-7781").encode() in evlog(*asked)[1]
    (tmp_path / "by.hand").write_text("0123456789abcdef" * 4 + "\n")
    (tmp_path / "by.hand").chmod(0o600)
    (tmp_path / "link").symlink_to(tmp_path / "by.hand")
    assert evlog(*asked, "--pseudonym-key", "by.hand") == evlog(*asked, "--pseudonym-key", "link")
    assert evlog(*asked, "--pseudonym-key", "by.hand")[1] != evlog(*asked)[1]
    assert [one["what"] for one in audit.read(store)] == ["user rotate-key"]


@pytest.mark.parametrize(("mode", "size", "says"), [(0o640, 32, "others may read"), (0o604, 32, "others may read"),
                                                    (0o600, 31, "must hold 32"), (0o600, 5000, "must hold 32")])  # fmt: skip
def test_a_key_that_is_not_safe_is_refused(store, tmp_path, mode, size, says) -> None:
    for path, named in ((tmp_path / "key", True), (store.root / KEY, False)):
        path.write_bytes(b"k" * size)
        path.chmod(mode)
        with pytest.raises(EvlogError, match=says):
            key_of(store, path if named else None)


def test_no_symlink_is_followed_inside_the_store(store, tmp_path) -> None:
    (tmp_path / "key").write_bytes(b"k" * 32)
    (tmp_path / "key").chmod(0o600)
    (store.root / KEY).symlink_to(tmp_path / "key")
    with pytest.raises(EvlogError, match="cannot be read"):
        key_of(store)
    rotate(store, now=kit.NOW)
    assert not (store.root / KEY).is_symlink()
    assert (tmp_path / "key").read_bytes() == b"k" * 32


HIDDEN = [
    "SELECT user_id AS u FROM events",
    "SELECT upper(user_id) FROM events",
    "SELECT e.user_id || 'x' AS name FROM events e",
    "SELECT * RENAME (user_id AS z) FROM events",
    "SELECT * REPLACE (user_id AS feature) FROM events",
    "SELECT events FROM events",
    "SELECT to_json(e) AS j FROM events e",
    "SELECT max(COLUMNS(*)) FROM events",
    "WITH t(a) AS (SELECT user_id FROM events) SELECT a FROM t",
    "WITH t AS (SELECT user_id AS a FROM events) SELECT a FROM t",
    "SELECT x.a FROM (SELECT user_id FROM events) x(a)",
    "SELECT (SELECT max(user_id) FROM events) AS m",
    "SELECT (SELECT user_id FROM events LIMIT 1) AS m",
    "SELECT CASE WHEN feature = 'x' THEN user_id END AS c FROM events",
    "SELECT list(session_id) AS l FROM events",
    "SELECT first_value(user_id) OVER (ORDER BY ts) AS f FROM events",
    "SELECT event_type FROM events UNION ALL SELECT user_id FROM events",
    "SELECT user_id, event_type FROM events UNION SELECT event_type, user_id FROM events",
    "SUMMARIZE events",
    "UNPIVOT events ON user_id INTO NAME n VALUE v",
    "SELECT * EXCLUDE (user_id) FROM events",
    "SELECT user_id, properties FROM events",
    "SELECT COLUMNS('.*_id') FROM events",
    "EXPLAIN SELECT user_id FROM events",
    "SELECT * FROM rollups",
    "SELECT min(anonymous_id) AS first, count(*) AS n FROM events",
]
TOLD = [
    "SELECT * FROM events",
    "SELECT * EXCLUDE (user_id, properties, context) FROM events",
    "SELECT e.* FROM events e JOIN users USING (user_id)",
    "SELECT user_id, count(*) AS n FROM events GROUP BY ALL ORDER BY n, user_id",
    "SELECT count(DISTINCT user_id) AS n, approx_count_distinct(session_id) AS s FROM events",
    "SELECT coalesce(user_id, anonymous_id) AS user_id FROM events",
    "SELECT event_type, ts FROM events WHERE user_id = 'ann-7781' ORDER BY user_id",
    "SELECT row_number() OVER (PARTITION BY user_id ORDER BY ts) AS n FROM events",
    "SELECT user_id IS NULL AS nobody, user_id = 'x' AS x FROM events",
    "SELECT CASE WHEN user_id = 'ann-7781' THEN 1 ELSE 2 END AS c FROM events",
    "SELECT sum(1) FILTER (user_id = 'x') AS n FROM events",
    "SELECT feature FROM events WHERE EXISTS (SELECT 1 FROM users WHERE users.user_id = events.user_id)",
    "WITH t AS (SELECT user_id, ts FROM events) SELECT user_id, max(ts) AS last FROM t GROUP BY 1",
    "SELECT user_id FROM events UNION SELECT user_id FROM users",
    "SELECT a.user_id, b.user_id FROM events a, events b",
    "SELECT range AS n FROM range(3)",
    "SELECT COLUMNS('(user|session)_id') FROM events",
    "DESCRIBE events",
]


@pytest.mark.parametrize("statement", HIDDEN)
def test_a_select_that_shows_an_id_under_another_name_is_refused(evlog, statement) -> None:
    assert evlog("sql", statement)[0] == 0, "it is a statement"
    code, out, err = evlog("sql", statement, "--pseudonymise")
    assert (code, out) == (2, b"")
    assert err.startswith("evlog: --pseudonymise: ")


@pytest.mark.parametrize("statement", TOLD)
def test_a_select_that_calls_ids_by_their_names_is_answered_without_them(evlog, statement) -> None:
    code, out, err = evlog("sql", statement, "--pseudonymise", "--format", "json")
    assert code == 0, err
    assert not [one for one in IDS if one.encode() in out]
    assert len(rows(evlog("sql", statement, "--format", "json"))) == len(json.loads(out)["rows"])


def test_an_answer_cannot_be_told_without_the_look_at_its_statement() -> None:
    with pytest.raises(UsageError):
        id_columns.vet("SELECT user_id AS u FROM events")


def test_an_event_as_a_whole() -> None:
    told = pseudonym.event(
        ONE,
        {
            "event_id": "e1",
            "user_id": "ann",
            "anonymous_id": None,
            "session_id": "s",
            "target_type": "Person",
            "target_id": "bob",
            "properties": {"by": "ann", "to": ["bob", "ann b"], "s": {"s": 1}},
            "context": '{"x":"cid","y":"s"}',
        },
    )
    ann, bob, s = (pseudonym.of(ONE, one) for one in ("ann", "bob", "s"))
    assert told == {
        "event_id": "e1",
        "user_id": ann,
        "anonymous_id": None,
        "session_id": s,
        "target_type": "Person",
        "target_id": bob,
        "properties": {"by": ann, "to": [bob, "ann b"], s: {s: 1}},
        "context": f'{{"x":"cid","y":"{s}"}}',
    }
    exercise = {"user_id": "ann", "target_type": "exercise", "target_id": "ann-1", "properties": "no json: ann"}
    assert pseudonym.event(ONE, exercise) == {**exercise, "user_id": ann}
