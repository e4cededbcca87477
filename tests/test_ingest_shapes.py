"""The shapes of docs/events.md, one event each and every event type: no flag, and the columns that come out."""

import json
import re
from pathlib import Path

import pytest
from feed import event, feed, line, new_store, plain, quick, written

from evlog.event.reject import CODES

__all__ = ["quick"]
DOC = (Path(__file__).parents[1] / "docs" / "events.md").read_text("utf-8")
SHAPES = re.search(r"<!-- shapes -->\n```json\n(.*?)\n```", DOC, re.DOTALL).group(1).splitlines()
TS = "2026-01-09T10:00:00.000000Z"
COLUMNS = [
    {
        "event_type": "exercise_complete", "event_id": "a1", "ts": TS, "user_id": "u7", "session_id": "s1",
        "target_type": "exercise", "target_id": "1.2.3", "properties": {"duration_ms": 325000},
    },
    {"event_type": "page_view", "event_id": "ck1", "ts": TS, "user_id": "u7", "properties": {"path": "/dashboard"}},
    {
        "event_type": "LESSON_START", "event_id": "t1", "ts": TS, "category": "NAVIGATION", "user_id": "u7",
        "anonymous_id": "anon-5", "session_id": "s1", "target_type": "lesson", "target_id": "l9",
        "properties": {"courseId": "c1", "lessonId": "l9", "source": "prompt-input"}, "context": {"browser": "Firefox"},
    },
    {
        "event_type": "page_view", "ts": TS, "user_id": "u7", "feature": "dashboard",
        "properties": {"referrer": "https://example.com", "url": "/dashboard"},
    },
    {
        "event_type": "microact_created", "event_id": "e1", "ts": TS, "category": "microact", "user_id": "u7",
        "session_id": "s1", "properties": {"category": "kindness"},
        "context": {"platform": "ios", "privacy": {"consent_given": True, "ip_anonymized": True}},
    },
]  # fmt: skip
OTHERS = [
    ({"type": "tool_open", "targetType": "tool", "targetId": "100000", "data": {"n": 1}, "userId": "u", "sessionId": "s", "timestamp": TS},
     {"event_type": "tool_open", "target_type": "tool", "target_id": "100000", "properties": {"n": 1}, "user_id": "u", "session_id": "s"}),
    ({"event_type": "exercise_start", "event_data": None, "user_id": None, "session_id": None, "created_at": "2026-01-09 10:00:00"},
     {"event_type": "exercise_start"}),
    ({"event_type": "error", "target_type": "api", "target_id": "/api/workbook/response", "created_at": TS,
      "event_data": '{"status": 500, "message": "Database timeout"}'},
     {"event_type": "error", "target_type": "api", "target_id": "/api/workbook/response",
      "properties": {"status": 500, "message": "Database timeout"}}),
    ({"type": "task_created", "userId": "u", "properties": {"taskId": "t", "hasDescription": True}, "createdAt": 1767952800000},
     {"event_type": "task_created", "user_id": "u", "properties": {"taskId": "t", "hasDescription": True}}),
    ({"eventType": "LLM_PROMPT", "eventCategory": "LLM_INTERACTION", "timestamp": TS, "sessionId": "s", "prompt": "write a poem",
      "metadata": {"action": "execute", "timestamp": TS, "isAuthenticated": True, "anonymousId": "anon"}},
     {"event_type": "LLM_PROMPT", "category": "LLM_INTERACTION", "session_id": "s", "anonymous_id": "anon",
      "properties": {"action": "execute", "timestamp": TS, "isAuthenticated": True, "prompt": "write a poem"}}),
    ({"event_type": "action", "user_id": "u", "feature": "button_click", "metadata": {"button_id": "submit-btn"}, "ts": "2026-01-09T10:00:00Z"},
     {"event_type": "action", "user_id": "u", "feature": "button_click", "properties": {"button_id": "submit-btn"}}),
    ({"timestamp": "2026-01-09 10:00:00", "session_id": "s", "action": "page_hit", "event": "hit", "payload": '{\n "pathname": "/"}'},
     {"event_type": "hit", "session_id": "s", "properties": {"action": "page_hit", "pathname": "/"}}),
]  # fmt: skip


def canonical(store):
    """The stored events, derived ids apart."""
    return [
        {key: value for key, value in body.items() if key != "event_id" or not value.startswith("d")}
        for body in plain(store)
    ]


def test_the_documented_shapes_come_out_as_columns(tmp_path):
    store = new_store(tmp_path)
    tally = feed(store, written(tmp_path / "log", *(shape.encode() for shape in SHAPES))).tally
    assert (tally.stored, tally.rejected, tally.conflicts, tally.derived_ids) == (5, 0, 0, 1)
    assert canonical(store) == COLUMNS


@pytest.mark.parametrize(("came", "told"), OTHERS, ids=lambda one: next(iter(one.values())))
def test_other_lines_of_those_products(tmp_path, came, told):
    store = new_store(tmp_path)
    assert feed(store, written(tmp_path / "log", json.dumps(came).encode())).tally.stored == 1
    assert canonical(store) == [{"ts": TS} | told]


def test_an_envelope_as_a_browser_sends_it(tmp_path):
    store = new_store(tmp_path)
    batch = {"events": [json.loads(SHAPES[3])] * 150}
    tally = feed(store, written(tmp_path / "log", json.dumps(batch).encode())).tally
    assert (tally.read, tally.stored, tally.derived_ids) == (150, 150, 150)
    assert canonical(store) == [COLUMNS[3]] * 150


def test_what_evlog_exports_may_come_back(tmp_path):
    """Stored lines, and rows of the view, are the same events."""
    store = new_store(tmp_path)
    path = written(tmp_path / "log", *(shape.encode() for shape in SHAPES), line(ts="2026-03-01T10:00:00.1234567Z"))
    feed(store, path)
    segments = [found.read_bytes() for found in sorted(store.root.glob("events/*/*.ndjson"))]
    rows = [
        json.dumps(
            body
            | {"received_at": "2026-03-10T12:00:00Z", "seq": 9, "date": body["ts"][:10], "feature": body.get("feature")}
        )
        for body in plain(store)
    ]
    (tmp_path / "segments").write_bytes(b"".join(segments))
    for again in (tmp_path / "segments", written(tmp_path / "rows", *(row.encode() for row in rows))):
        tally = feed(store, again).tally
        assert (tally.duplicates, tally.stored, tally.rejected) == (6, 0, 0)


def test_every_reject_code_is_documented_in_its_order():
    assert (
        dict(re.findall(r"^\| `(\w+)` \| ([^`|]+) \|$", DOC.partition("## Why a line is refused")[2], re.MULTILINE))
        == CODES
    )
    assert re.findall(r"^\| `(\w+)` \|", DOC.partition("## Why a line is refused")[2], re.MULTILINE) == list(CODES)


def test_personal_data_is_redacted_and_counted_by_field(tmp_path):
    store = new_store(tmp_path)
    raw = json.dumps(
        event(properties={"email": "a@b.de", "n": 1}, context={"ip": "192.0.2.1"}, note="from a@b.de")
    ).encode()
    tally = feed(store, written(tmp_path / "log", raw)).tally
    assert (tally.redacted, dict(tally.redacted_fields)) == (
        1,
        {"properties.email": 1, "properties.note": 1, "context.ip": 1},
    )
    assert plain(store)[0]["properties"] == {"email": "[redacted]", "n": 1, "note": "from [redacted]"}
    assert plain(store)[0]["context"] == {"ip": "[redacted]"}
