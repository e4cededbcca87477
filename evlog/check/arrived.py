"""How events came in: by day and batch, kept once for all checks that ask, and which batches were live.

A batch is live when most of its events in the range came within a day of their time. A file of old events is not: that
it comes late says nothing of clocks or pipelines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from evlog.check.look import LIVE
from evlog.store.layout import SEQ_BITS

if TYPE_CHECKING:
    from evlog.query.ask import Question

_ARRIVED = """
SELECT   day,
         seq >> $seq_bits AS batch,
         max(received_at) AS received,
         count(*) AS events,
         count(*) FILTER (peopled) AS peopled,
         count(*) FILTER (peopled AND user_id IS NULL AND anonymous_id IS NULL) AS nobodys,
         count(*) FILTER (session_id IS NULL) AS sessionless,
         count(*) FILTER (ts > received_at + INTERVAL 5 MINUTE) AS ahead,
         count(*) FILTER (received_at - ts <= $live) AS recent
FROM     (SELECT *, NOT list_contains(CAST($quiet AS VARCHAR[]), event_type) AS peopled FROM seen)
GROUP BY day, batch
"""
_LIVE = """
CREATE TEMP TABLE live AS
SELECT   batch
FROM     arrived
GROUP BY batch
HAVING   2 * sum(recent) > sum(events)
"""


def keep(question: Question) -> None:
    """Keep tables `arrived` (a row per day and batch) and `live` (the batches that came as things happened)."""
    params = {"seq_bits": SEQ_BITS, "live": LIVE, "quiet": list(question.scope.inactive)}
    question.keep("arrived", _ARRIVED, params)
    question.engine.run(_LIVE)
