"""The `events` relation over both tiers: segments (NDJSON) and parts (Parquet), one row an event.

Columns are never guessed: a segment's are named here, a part's are what compaction wrote. Whatever a question does not
name is not read: the text of `properties` stays on disk, and `seq` and `received_at` of the hot tier are not computed.
A line of a merged segment carries both itself, whole; any other has them from the name of its segment.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from evlog.store.layout import LONGEST_LINE, SEQ_BITS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from evlog.engine import Engine
    from evlog.store.snapshot import Part, Segment

    File = TypeVar("File", Part, Segment)

_HOT = """
SELECT event_id,
       CAST(ts AS TIMESTAMP) AS ts,
       event_type, category, user_id, anonymous_id, session_id, target_type, target_id, feature, source,
       properties, context,
       coalesce(CAST(received_at AS TIMESTAMP),
                list_extract(CAST({received} AS TIMESTAMP[]), CAST(file_index AS BIGINT) + 1)) AS received_at,
       CASE WHEN received_at IS NOT NULL THEN seq
            ELSE seq + list_extract(CAST({bases} AS BIGINT[]), CAST(file_index AS BIGINT) + 1)
       END AS seq,
       CAST(CAST(ts AS TIMESTAMP) AS DATE) AS date{key}
FROM   read_json({segments}, format = 'newline_delimited', hive_partitioning = false,
                 maximum_object_size = {longest}, columns = {{
           event_type: 'VARCHAR', event_id: 'VARCHAR', ts: 'VARCHAR', category: 'VARCHAR', user_id: 'VARCHAR',
           anonymous_id: 'VARCHAR', session_id: 'VARCHAR', target_type: 'VARCHAR', target_id: 'VARCHAR',
           feature: 'VARCHAR', source: 'VARCHAR', properties: 'VARCHAR', context: 'VARCHAR',
           seq: 'BIGINT', received_at: 'VARCHAR'}})
"""

_COLD = """
SELECT event_id, ts, event_type, category, user_id, anonymous_id, session_id, target_type, target_id, feature, source,
       properties, context, received_at, seq,
       CAST(ts AS DATE) AS date{key}
FROM   read_parquet({parts}, hive_partitioning = false)
"""

_NONE = """
SELECT CAST(NULL AS VARCHAR) AS event_id,
       CAST(NULL AS TIMESTAMP) AS ts,
       CAST(NULL AS VARCHAR) AS event_type, CAST(NULL AS VARCHAR) AS category, CAST(NULL AS VARCHAR) AS user_id,
       CAST(NULL AS VARCHAR) AS anonymous_id, CAST(NULL AS VARCHAR) AS session_id,
       CAST(NULL AS VARCHAR) AS target_type, CAST(NULL AS VARCHAR) AS target_id, CAST(NULL AS VARCHAR) AS feature,
       CAST(NULL AS VARCHAR) AS source, CAST(NULL AS VARCHAR) AS properties, CAST(NULL AS VARCHAR) AS context,
       CAST(NULL AS TIMESTAMP) AS received_at, CAST(NULL AS BIGINT) AS seq, CAST(NULL AS DATE) AS date{key}
WHERE  FALSE
"""

# kernel/sessions.py in SQL, by its default rule: an id names a session, else a gap of more than 30 minutes ends one.
_SESSIONS = """
CREATE TEMP VIEW sessions AS
WITH gaps AS (
         SELECT user_id, session_id, ts, seq,
                CASE WHEN session_id IS NULL AND epoch_us(ts) - lag(epoch_us(ts)) OVER by_time > 1800000000
                     THEN 1 ELSE 0 END AS breaks
         FROM   events
         WHERE  user_id IS NOT NULL
         WINDOW by_time AS (PARTITION BY user_id, session_id ORDER BY ts, seq)),
     parts AS (
         SELECT *, sum(breaks) OVER (PARTITION BY user_id, session_id ORDER BY ts, seq) AS part
         FROM   gaps),
     found AS (
         SELECT   user_id, session_id, min(ts) AS started, max(ts) AS ended, min(seq) AS seq, count(*) AS events
         FROM     parts
         GROUP BY user_id, session_id, part)
SELECT user_id,
       row_number() OVER (PARTITION BY user_id ORDER BY started, ended, seq) AS session,
       session_id, started, ended,
       (epoch_us(ended) - epoch_us(started)) / 1000000 AS duration_s,
       events,
       CAST(started AS DATE) AS date
FROM   found
"""
_HOT_KEY, _COLD_KEY, _NO_KEY = ", user_key(user_id) AS user_key", ", user_key", ", CAST(NULL AS BIGINT) AS user_key"
_USERS = """
CREATE TEMP VIEW users AS
SELECT   user_id, min(ts) AS first_seen, max(ts) AS last_seen, count(*) AS events
FROM     events
WHERE    user_id IS NOT NULL
GROUP BY user_id
"""

PARAMETERS = ("segments", "bases", "received", "parts")
"""The names of the parameters, or variables, that stand for the files."""
_SET = {
    "segments": "SET VARIABLE segments = $value",
    "bases": "SET VARIABLE bases = $value",
    "received": "SET VARIABLE received = $value",
    "parts": "SET VARIABLE parts = $value",
}


def relation(hot: Sequence[Segment], cold: Sequence[Part], *, keyed: bool = False) -> tuple[str, dict[str, Any]]:
    """The SQL of all events in these files, and its parameters.

    With `keyed` they have one column more, `user_key`: parts hold it, of segments a function `user_key` must tell it.
    """
    return _union(hot, cold, "${}", keyed=keyed)


def view(hot: Sequence[Segment], cold: Sequence[Part]) -> tuple[str, dict[str, Any]]:
    """The same as a view's body, which takes no parameters: it reads variables, to be set beforehand."""
    return _union(hot, cold, "getvariable('{}')")


def offer(engine: Engine, hot: Sequence[Segment], cold: Sequence[Part]) -> None:
    """Make the view `events` of these files; it names them through variables, since a view takes no parameters."""
    body, variables = view(hot, cold)
    for name, value in variables.items():
        engine.run(_SET[name], {"value": value})
    engine.run(f"CREATE TEMP VIEW events AS {body}")


def offer_more(engine: Engine) -> None:
    """Make the views that stand on `events`: `sessions` (metrics §9, no type left out) and `users`, by the id sent."""
    engine.run(_SESSIONS)
    engine.run(_USERS)


def pruned(files: Sequence[File], first: date | None, last: date | None, *, more: int = 1) -> list[File]:
    """The files of the partitions that may hold local dates from the first to the last (None: no bound).

    Partitions are UTC dates, and no zone is a whole day away from UTC: one day `more` on either side is enough.
    """
    days = timedelta(days=more)
    return [
        file
        for file in files
        if (first is None or file.day >= first - days) and (last is None or file.day <= last + days)
    ]


def _union(
    hot: Sequence[Segment], cold: Sequence[Part], reference: str, *, keyed: bool = False
) -> tuple[str, dict[str, Any]]:
    names = {name: reference.format(name) for name in PARAMETERS}
    pieces: list[str] = []
    params: dict[str, Any] = {}
    if hot:
        pieces.append(_HOT.format(**names, longest=LONGEST_LINE, key=_HOT_KEY if keyed else ""))
        params |= {
            "segments": [str(segment.path) for segment in hot],
            "bases": [segment.name.batch << SEQ_BITS for segment in hot],
            "received": [segment.name.received_at for segment in hot],
        }
    if cold:
        pieces.append(_COLD.format(**names, key=_COLD_KEY if keyed else ""))
        params["parts"] = [str(part.path) for part in cold]
    return "UNION ALL".join(pieces) or _NONE.format(key=_NO_KEY if keyed else ""), params
