"""How often the same person submits the same target again (metrics §11)."""

from __future__ import annotations

from datetime import timedelta
from math import fsum
from typing import TYPE_CHECKING, Annotated, Any

from evlog.query import answer, pairs, where
from evlog.query.result import Column
from evlog.window import limit

if TYPE_CHECKING:
    from evlog.query.ask import Question
    from evlog.query.result import Result

HELP = "how often users submit the same target again"
EXAMPLE = "evlog report revisions --target-type exercise --days 30"

_UNVERSIONED = "CAST(NULL AS DOUBLE)"
_BASE = """
WITH wanted AS (
         SELECT unnest($submits) AS event_type, unnest($only) AS only_type)
SELECT coalesce(target_id, '(none)') AS target_id, target_type, person, grp, ts, seq, userless, in_range,
       1 AS events,
       {version} AS version
FROM   seen
WHERE  list_contains($submits, event_type)
       AND ($target_type IS NULL OR target_type = $target_type)
       AND EXISTS (
           FROM  wanted
           WHERE wanted.event_type = seen.event_type AND (only_type = '' OR only_type = seen.target_type))
"""
_MINE = """
WITH timed AS (
         SELECT place, grp, target_type, target_id, person, version,
                ts - lag(ts) OVER (PARTITION BY place, target_type, target_id, person ORDER BY ts, seq) AS pause
         FROM   {rows}
         WHERE  person IS NOT NULL),
     mine AS (
         SELECT   place, grp, target_type, target_id, person,
                  count(*) AS submissions,
                  coalesce(max(version) - min(version), count(*) - 1) AS revisions
         FROM     timed
         WHERE    pause IS NULL OR pause >= $least
         GROUP BY place, grp, target_type, target_id, person)
"""
_TARGETS = """
SELECT   grp, target_id,
         count(*) AS users,
         CAST(sum(submissions) AS BIGINT) AS submissions,
         count(*) FILTER (revisions > 0) AS revised_users,
         list(revisions ORDER BY revisions) AS revisions,
         target_type
FROM     mine
GROUP BY place, grp, target_type, target_id
ORDER BY place, revised_users / users DESC, users DESC, target_type NULLS LAST, target_id
"""
_OVERALL = """
SELECT count(DISTINCT (target_type, target_id)), count(DISTINCT person), CAST(coalesce(sum(submissions), 0) AS BIGINT),
       count(DISTINCT person) FILTER (revisions > 0), coalesce(list(revisions ORDER BY revisions), [])
FROM   mine
"""
_EVERYWHERE = "(SELECT *, 1 AS place FROM base)"
_FITTED = """
SELECT count(*) FILTER (person IS NOT NULL), count(*) FILTER (version IS NOT NULL)
FROM   base
"""
COLUMNS = (
    Column("target_id"),
    Column("users", "count"),
    Column("submissions", "count"),
    Column("revised_users", "count"),
    Column("revision_rate", "rate", bar=True),
    Column("mean_revisions", "number"),
    Column("max_revisions", "number"),
)


def report(
    question: Question,
    *,
    event: Annotated[tuple[str, ...], "event type that submits (default: the completions of the plan's pairs)"] = (),
    target_type: Annotated[str | None, "only targets of this type"] = None,
    min_gap: Annotated[str | None, "a submission sooner after the one before it is the same, such as 5s"] = "0s",
    version_field: Annotated[str | None, "property with a version number: revisions are its span"] = None,
) -> Result:
    """For each target, who submitted it, how often, and who did so again."""
    wanted = _wanted(question, event)
    least = limit(min_gap or "none") or timedelta(0)
    version, params = where.number_sql(where.path(version_field), "version") if version_field else (_UNVERSIONED, {})
    types = {"submits": [name for name, _ in wanted], "only": [kind or "" for _, kind in wanted]}
    question.keep("base", _BASE.format(version=version), {**params, **types, "target_type": target_type})
    withheld = answer.group(question)
    found = question.engine.rows(_MINE.format(rows="shown") + _TARGETS, {"least": least})
    kept = answer.large_enough(question, found, users=2)
    rows = [_row(*row) for row in kept]
    return answer.result(
        question,
        "revisions",
        columns=(*COLUMNS, Column("target_type", aside=len({row[-1] for row in rows}) < 2)),  # noqa: PLR2004 - types
        rows=rows,
        rule=_rule(version_field, least),
        options={
            "events": types["submits"],
            "target_type": target_type,
            "min_gap": least,
            "version_field": version_field,
        },
        summary=_summary(question, least),
        kinds={"revision_rate": "rate", "mean_revisions": "number"},
        definition={"submissions": ", ".join(types["submits"])},
        withheld=withheld + len(found) - len(kept),
        notes=_unfitted(question, types["submits"], version_field),
    )


def _wanted(question: Question, events: tuple[str, ...]) -> list[tuple[str, str | None]]:
    """The event types that submit, each with the target type it is looked at for."""
    if events:
        return [(name, None) for name in sorted(set(events))]
    known = pairs.known(question, hint="give --event TYPE")
    return sorted({(pair.complete, pair.target_type) for pair in known}, key=lambda one: (one[0], one[1] or ""))


def _row(  # noqa: PLR0917 - the columns of the row, in order
    group: str,
    target_id: str,
    users: int,
    submissions: int,
    revised: int,
    revisions: list[float],
    target_type: str | None,
) -> tuple[Any, ...]:
    mean = fsum(revisions) / users
    return (group, target_id, users, submissions, revised, revised / users, mean, revisions[-1], target_type)


def _summary(question: Question, least: timedelta) -> dict[str, Any]:
    """The same over all targets; a user counts once, and is revised with any target revised."""
    sql = _MINE.format(rows=_EVERYWHERE) + _OVERALL
    targets, users, submissions, revised, revisions = question.engine.rows(sql, {"least": least})[0]
    return {
        "targets": targets,
        "users": users,
        "submissions": submissions,
        "revised_users": revised,
        "revision_rate": revised / users if users else None,
        "mean_revisions": fsum(revisions) / len(revisions) if revisions else None,
    }


def _rule(version_field: str | None, least: timedelta) -> str:
    counted = "submissions of a user and target, less one"
    if least:
        counted += f"; those less than {pairs.spelled(least)} after the one before them are the same"
    if version_field:
        counted = f"the span of {version_field}, where it is given; else {counted}"
    return f"revisions: {counted}; revised: at least one"


def _unfitted(question: Question, types: list[str], version_field: str | None) -> list[str]:
    """A note where nothing was submitted, or nothing has the version asked for."""
    submitted, versioned = question.engine.rows(_FITTED)[0]
    if not submitted:
        return [f"nobody submitted: no event of a user is one of {', '.join(types)}"]
    return [f"no event has {version_field} as a number"] if version_field and not versioned else []
