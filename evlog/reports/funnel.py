"""How many users take the steps of a funnel, where they stop, and how long each step takes (metrics §7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from evlog.kernel.rules import Attempt, Order, Start, Ties  # noqa: TC001 - what an option may be is read at run time
from evlog.query import answer
from evlog.query.funnel.asked import Given, StrictScope, Taint, resolve
from evlog.query.funnel.manner import Like  # noqa: TC001 - likewise
from evlog.query.result import Column
from evlog.window import Unit  # noqa: TC001 - likewise

if TYPE_CHECKING:
    from evlog.query.ask import Question
    from evlog.query.funnel.asked import Asked
    from evlog.query.result import Result

HELP = "users who take steps in order, and where they stop"
EXAMPLE = "evlog funnel page_view signup 'purchase[properties.plan=pro]' --window 7d"

COLUMNS = (
    Column("step", "count"),
    Column("event"),
    Column("users", "count", bar=True),
    Column("conversion", "rate"),
    Column("step_conversion", "rate"),
    Column("dropped", "count"),
    Column("median_s", "seconds"),
    Column("mean_s", "seconds"),
    Column("p90_s", "seconds"),
)
KINDS: dict[str, Any] = {"conversion": "rate", "median_s": "seconds", "mean_s": "seconds", "p90_s": "seconds"}


def report(
    question: Question,
    *,
    steps: Annotated[
        tuple[str, ...],
        "each 'EVENT', 'EVENT|EVENT' or '*', with '[KEY OP VALUE, …]' if need be; a ? at the end makes it optional",
    ],
    window: Annotated[str | None, "the time from step 1 to the last, such as 7d; none: no limit"] = None,
    step_window: Annotated[str | None, "the time from each step to the next, such as 1h; none: no limit"] = None,
    order: Annotated[
        Order | None, "others may lie between; nothing may; or whatever comes first.  [default: ordered]"
    ] = None,
    attempt: Annotated[
        Attempt | None, "a user's best; the first; or all, one after the other.  [default: best]"
    ] = None,
    ties: Annotated[
        Ties | None, "events of one instant: in the order that helps, never both, or as they arrived.  [default: step]"
    ] = None,
    within_session: Annotated[bool | None, "all steps in one session: its id, else by inactivity"] = None,
    timeout: Annotated[str, "how long nothing may happen within a session that has no id"] = "30m",
    exclude: Annotated[
        tuple[str, ...], "STEP@I..J: none of these between steps I and J (not said: 1 and the last); repeatable"
    ] = (),
    exclusion: Annotated[Taint | None, "drop: ends the chain; remove: takes the user out.  [default: drop]"] = None,
    hold: Annotated[tuple[str, ...], "a key whose value stays the same along the chain; repeatable"] = (),
    attribution: Annotated[
        str | None, "with --by: first, last, all (a funnel a value) or step:N.  [default: first]"
    ] = None,
    cut: Annotated[bool | None, "only events inside the range count, for later steps too"] = None,
    per: Annotated[Unit | None, "a funnel for each period, by when step 1 was taken"] = None,
    unit: Annotated[str, "what is counted: user, session, or the values of a key"] = "user",
    start: Annotated[Start | None, "which of several starts of one conversion.  [default: last]"] = None,
    grace: Annotated[str | None, "events within it are one instant, such as 2s.  [default: 0s]"] = None,
    share_events: Annotated[bool | None, "one event may fill several steps"] = None,
    strict_scope: Annotated[
        StrictScope | None, "what breaks a strict order: all events, or only those of steps.  [default: all]"
    ] = None,
    ignore: Annotated[tuple[str, ...], "an event that does not break a strict order; repeatable"] = (),
    anchor_first: Annotated[bool | None, "with --order any: step 1 comes first"] = None,
    complete_only: Annotated[bool | None, "leave out who may still come further"] = None,
    histogram: Annotated[bool, "how many users took how long for each step"] = False,
    like: Annotated[Like | None, "count in the manner of another product, but for what other options say"] = None,
    explain: Annotated[str | None, "the chain of this user, and why the next step does not count"] = None,
) -> Result:
    """Users at each step of the funnel, along each one's best attempt.

    Step 1 must lie in the range; later steps may come after it, up to what plays now, unless `cut`.
    """
    options = {
        "window": _spelled(window),
        "step_window": _spelled(step_window),
        "order": order,
        "attempt": attempt,
        "ties": ties,
        "within_session": within_session,
        "exclusion": exclusion,
        "attribution": attribution,
        "cut": cut,
        "start": start,
        "grace": grace,
        "share_events": share_events,
        "strict_scope": strict_scope,
        "anchor_first": anchor_first,
        "complete_only": complete_only,
    }
    given = Given(
        tuple(steps), options, tuple(exclude), tuple(hold), tuple(ignore), unit, per, like, explain, histogram, timeout
    )
    asked = resolve(given, by=question.scope.by is not None)
    return _explained(question, asked, given) if explain is not None else _counted(question, asked, given)


def _spelled(duration: str | None) -> str | None:
    return None if duration is None else duration.strip().lower()


def _counted(question: Question, asked: Asked, given: Given) -> Result:
    from evlog.query.funnel import kept, read, words
    from evlog.query.funnel.counted import Counted, counted

    said: list[str] = []

    def count(which: Question) -> tuple[Counted, tuple[int, int]]:
        found = read.keep(which, asked)
        said.extend(words.notes(asked, found))
        return counted(which, asked, found), (found.events, found.userless)

    told = kept.told(question, asked, count)
    numbers, seen, source = told if told is not None else (*count(question), None)
    return answer.result(
        question,
        "funnel",
        columns=_columns(asked),
        rows=numbers.rows,
        rule=words.rule(asked),
        summary=numbers.summary,
        kinds=KINDS,
        options=words.params(asked, given),
        definition=words.definition(question, asked),
        read=seen,
        withheld=numbers.withheld,
        partial=numbers.growing,
        partial_means=words.open_means(numbers.open, asked),
        notes=() if source is not None else said,
        told=source,
    )


def _columns(asked: Asked) -> tuple[Column, ...]:
    from evlog.query.funnel.rows import edge_labels

    period = (Column("period", "date"),) if asked.per else ()
    times = (Column("histogram", "list", item="count", labels=edge_labels(asked)),) if asked.histogram else ()
    return (*period, *COLUMNS, *times)


def _explained(question: Question, asked: Asked, given: Given) -> Result:
    from evlog.query.funnel import read, words
    from evlog.query.funnel.explained import columns, explained

    question = question.by_name()
    found = read.keep(question, asked)
    rows, summary, notes = explained(question, asked)
    return answer.result(
        question,
        "funnel",
        columns=columns(asked),
        rows=rows,
        rule=words.rule(asked),
        summary=summary,
        options={**words.params(asked, given), "explain": asked.explain},
        definition=words.definition(question, asked),
        read=(found.events, found.userless),
        notes=notes,
    )
