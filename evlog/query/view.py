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

File = TypeVar("File", "Part", "Segment")

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
       CAST(CAST(ts AS TIMESTAMP) AS DATE) AS date
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
       CAST(ts AS DATE) AS date
FROM   read_parquet({parts}, hive_partitioning = false)
"""

_NONE = """
SELECT CAST(NULL AS VARCHAR) AS event_id,
       CAST(NULL AS TIMESTAMP) AS ts,
       CAST(NULL AS VARCHAR) AS event_type, CAST(NULL AS VARCHAR) AS category, CAST(NULL AS VARCHAR) AS user_id,
       CAST(NULL AS VARCHAR) AS anonymous_id, CAST(NULL AS VARCHAR) AS session_id,
       CAST(NULL AS VARCHAR) AS target_type, CAST(NULL AS VARCHAR) AS target_id, CAST(NULL AS VARCHAR) AS feature,
       CAST(NULL AS VARCHAR) AS source, CAST(NULL AS VARCHAR) AS properties, CAST(NULL AS VARCHAR) AS context,
       CAST(NULL AS TIMESTAMP) AS received_at, CAST(NULL AS BIGINT) AS seq, CAST(NULL AS DATE) AS date
WHERE  FALSE
"""

_NAMES = ("segments", "bases", "received", "parts")
_SET = {
    "segments": "SET VARIABLE segments = $value",
    "bases": "SET VARIABLE bases = $value",
    "received": "SET VARIABLE received = $value",
    "parts": "SET VARIABLE parts = $value",
}


def relation(hot: Sequence[Segment], cold: Sequence[Part]) -> tuple[str, dict[str, Any]]:
    """The SQL of all events in these files, and its parameters."""
    return _union(hot, cold, "${}")


def view(hot: Sequence[Segment], cold: Sequence[Part]) -> tuple[str, dict[str, Any]]:
    """The same as a view's body, which takes no parameters: it reads variables, to be set beforehand."""
    return _union(hot, cold, "getvariable('{}')")


def offer(engine: Engine, hot: Sequence[Segment], cold: Sequence[Part]) -> None:
    """Make the view `events` of these files; it names them through variables, since a view takes no parameters."""
    body, variables = view(hot, cold)
    for name, value in variables.items():
        engine.run(_SET[name], {"value": value})
    engine.run(f"CREATE TEMP VIEW events AS {body}")


def pruned(files: Sequence[File], first: date | None, last: date | None) -> list[File]:
    """The files of the partitions that may hold local dates from the first to the last (None: no bound).

    Partitions are UTC dates, and no zone is a whole day away from UTC: one day more on either side is enough.
    """
    day = timedelta(days=1)
    return [
        file
        for file in files
        if (first is None or file.day >= first - day) and (last is None or file.day <= last + day)
    ]


def _union(hot: Sequence[Segment], cold: Sequence[Part], reference: str) -> tuple[str, dict[str, Any]]:
    names = {name: reference.format(name) for name in _NAMES}
    pieces: list[str] = []
    params: dict[str, Any] = {}
    if hot:
        pieces.append(_HOT.format(**names, longest=LONGEST_LINE))
        params |= {
            "segments": [str(segment.path) for segment in hot],
            "bases": [segment.name.batch << SEQ_BITS for segment in hot],
            "received": [segment.name.received_at for segment in hot],
        }
    if cold:
        pieces.append(_COLD.format(**names))
        params["parts"] = [str(part.path) for part in cold]
    return "UNION ALL".join(pieces) or _NONE, params
