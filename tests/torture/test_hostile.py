"""Hostile strings in every field, looked at: whatever is shown, a terminal is never steered.

What may not stand in an id is refused, and shown among the rejects as harmlessly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import naughty
import pytest
import torture
from exportkit import evlog
from feed import quick
from hostilekit import SPAN, on_a_terminal, stores

from evlog.render.escape import escape

if TYPE_CHECKING:
    from conftest import Tally

__all__ = ["quick", "stores"]

# -- what people see ----------------------------------------------------------------------------------------------------

REPORTS: tuple[tuple[str, ...], ...] = (
        ("report", "events"), ("report", "targets"), ("report", "durations"), ("report", "revisions"), ("report", "depth"), ("report", "usage"), ("report", "lifecycle"), ("report", "sessions"),
        ("report", "frequency"), ("report", "errors"), ("report", "paths"), ("report", "paths", "--transitions"), ("report", "index"), ("report", "streaks"), ("report", "stickiness"), ("report", "active"),
        ("report", "retention", "--by", "properties.v"), ("dropoff", "--start", "a", "--complete", "ab"), ("report", "trend", "--by", "properties.v"), ("report", "dau", "--by", "user_id"),
        ("report", "returns", "--after", "=1+1", "--return", "NaN"), ("funnel", "*", "*"), ("funnel", "=1+1", "NaN", "\u202egnp.exe"), ("funnel", "*", "--by", "properties.v"), ("funnel", "*", "--by", "user_id"),
        ("report", "experiment", "--variant", "properties.v", "--convert", "NaN"),
        *(("report", "top", key) for key in ("event_type", "user_id", "session_id", "feature", "source", "category", "target_id", "target_type", "properties.v", "context.v", "properties", "context", "event_id")),
)  # fmt: skip
COMMANDS: tuple[tuple[str, ...], ...] = (
        ("overview", "--as-of", "2026-03-10"), ("status", "--as-of", "2026-03-10"), ("check", "--as-of", "2026-03-10"), ("verify",), ("rejects", "list"), ("rejects", "show"), ("rejects", "show", "--limit", "2000"), ("audit", "show"), ("config",),
        ("sql", "SELECT * FROM events ORDER BY seq"), ("sql", "SELECT user_id, properties, context FROM events ORDER BY seq"), ("sql", 'SELECT 1 AS "a\x1b[2Jb\u202ec\u200bd", 2 AS "=1+1"'),
        ("plan", "infer"), ("export", "--all-time"), ("user", "export", "=1+1"), ("user", "export", "\u202egnp.exe"), ("user", "journey", "[red]a[/red]"), ("plan", "show"), ("plan", "lint"),
        ("sql", "SELECT '\x1b[2J\u202e' x FROM nosuch\x1b[31mtable"), ("report", "\x1b[2J\u202enone"), ("report", "top", "a\x1b[2J\u200b=b"), ("report", "dau", "--from", "\x1b[2J\u202e"), ("funnel", "a[\x1b[2J\u206a"),
        ("report", "events", "--where", "\x1b[2J \u202e"), ("ingest", "no\x1b[2J\u202e.ndjson"), ("user", "delete", "a\x1b[2J\u200b"), ("--\x1b[2J",), ("\x1b[2J\u202e",), ("plan", "check", "no\x1b[2J\u202e"), ("report", "dau", "--tz", "\x1b[2J\u206a"),
        ("rejects", "list", "--reason", "\x1b[2J"), ("rejects", "show", "--reason", "\x1b[2J\u202e"), ("report", "dau", "--format", "\x1b[2J"), ("archive", "--older-than", "\x1b[2J", "--to", "\u202e"), ("check", "--expect", "\x1b[2J\u202e>=1"),
        ("user", "link", "\x1b[2J", "\u202e"), ("user", "suppress", "\x1b[2J\u202e"), ("report", "dau", "--plan", "\x1b[2J\u202e"), ("--config", "\x1b[2J\u202e", "status"),
)  # fmt: skip
CALLS = [*((*words, *SPAN) for words in REPORTS), *COMMANDS]
MINE = torture.share(CALLS, 18, "hostile")


def _labelled(words: tuple[str, ...]) -> str:
    return ascii(" ".join(words)[:60])


def test_nothing_that_is_written_out_steers_or_hides() -> None:
    shown = {one: escape(f"a{one}b") for one in naughty.ALL}
    assert not [one for one, told in shown.items() if naughty.steers(told) or "\n" in told]
    hidden = [one for one in naughty.UNSEEN if not set(one) & set(naughty.JOINERS)]
    assert len({shown[one] for one in hidden}) == len(hidden)


@pytest.mark.parametrize("words", MINE, ids=_labelled)
def test_no_terminal_is_steered(stores, monkeypatch, tmp_path, words: tuple[str, ...], tally: Tally) -> None:
    monkeypatch.chdir(tmp_path)
    root = stores["hot"].root
    looks = [(), ("--format", "csv"), ("--format", "json"), ("--format", "ndjson"), ("--plot",)]
    told = 0
    for extra in looks if torture.ALL else looks[:: 1 + len(words) % 2]:
        code, out, err = on_a_terminal(root, *words, *extra, monkeypatch=monkeypatch)
        assert code in {0, 1, 2, 3}, err
        for text in (out, err):
            as_json = extra[1:] in {("json",), ("ndjson",)} or (words[0] == "export" and not extra)
            assert not naughty.steers(text) or as_json, (words, extra)
            assert not {sign for sign in naughty.steers(text) if sign < "\xa0" or sign in "\u202e\u2066\u2028"}, (
                words,
                extra,
            )
            assert "Traceback" not in text
            assert "a bug" not in text
        told += 1
    for form in ("table", "markdown"):
        _, piped, err = evlog(root, *words, "--format", form)
        assert not naughty.steers(piped.decode()), (words, form)
        assert not naughty.steers(err)
        told += 1
    tally("hostile strings, seen", outputs=told)
