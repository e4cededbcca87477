"""`evlog check`: whether the numbers can be trusted."""

from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from evlog.cli import asking, checked, exposed, printing
from evlog.cli.command import command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evlog.check.finding import Finding
    from evlog.check.look import Limits
    from evlog.cli.call import Call
    from evlog.query.scope import Scope
    from evlog.store.layout import Store

_LIMITS = (
    "rejects", "nulls", "duplicates", "wrong", "late", "lag", "freshness", "volume", "rate_per_user", "rollup_seconds",
    "overdue", "ingest_rate",
)  # fmt: skip
_SETTINGS = (
    "check_last_days", "as_of", "tz", "week_start", "plan", "retention", *(f"check_{name}" for name in _LIMITS),
)  # fmt: skip
_FED = {"window": "funnel_window", "timeout": "session_timeout", "abandon_after": "abandon_after"}


@command(
    example="evlog check --expect 'dau>=100'",
    settings=_SETTINGS,
    prints="table",
    also=(exposed.FORMAT,),
)
def check(
    call: "Call",
    *,
    expect: Annotated[
        list[str] | None,
        Option(
            "--expect",
            metavar="'KEY OP NUMBER'",
            help="What must hold of the last whole day (or of --days N of them), as in 'dau>=100' or "
            "'dropoff.completion_rate>0.4'; OP is one of >= <= > < = !=.",
        ),
    ] = None,
    only: Annotated[list[str] | None, Option("--only", metavar="NAME", help="Only this check; repeatable.")] = None,
    expect_rollup: Annotated[
        bool, Option("--expect-rollup", help="A store that was never rolled up is overdue too.")
    ] = False,
    **given: Any,
) -> int:
    """Hold the events of the last days, and the jobs, against thresholds. Exit 1: something does not hold.

    Each threshold is a setting; none switches its check off. What cannot be judged is no data, and no failure. With
    --quiet nothing is printed but what failed, a line each.
    """  # fmt: skip
    from evlog import check as checks
    from evlog.check import expect as expecting

    shape = printing.shape(given)
    expectations = [expecting.parse(text) for text in expect or ()]
    store, plan = call.store(), call.plan()
    scope = _scope(call, store)
    options = checks.Options(
        limits=_limits(call),
        only=tuple(only or ()),
        expect_rollup=expect_rollup,
        expectations=expectations,
        days=call.settings.check_last_days if "check_last_days" in call.flags else None,
        report_options=_fed(call),
    )
    found = checks.run(store, scope, options, plan=plan)
    failed = [one for one in found if one.failed]
    _print(call, found, scope, shape)
    for one in failed:
        call.out.error(checked.line(one), None)
    return 1 if failed else 0


def _scope(call: "Call", store: "Store") -> "Scope":
    from evlog.query.scope import Scope
    from evlog.window import resolve

    settings, plan = call.settings, call.plan()
    now = asking.as_of(call, store)
    window = resolve(now, tz=settings.tz, week_start=settings.week_start, days=settings.check_last_days)
    return Scope(window, **(asking.of_plan(plan) if plan else {}))


def _limits(call: "Call") -> "Limits":
    from evlog.check.look import Limits

    said = {name: getattr(call.settings, f"check_{name}") for name in _LIMITS}
    asked = call.settings.origin("retention") != "default"
    return Limits(**said, retention=call.settings.retention, retention_said=asked)


def _fed(call: "Call") -> dict[str, str]:
    """The options of reports that settings say."""
    said = {name: known for name, known in _FED.items() if call.settings.origin(known) != "default"}
    values = {name: getattr(call.settings, known) for name, known in said.items()}
    return {name: "none" if value is None else printing.spelled(value) for name, value in values.items()}


def _print(call: "Call", found: "Sequence[Finding]", scope: "Scope", shape: printing.Shape) -> None:
    """Print what was found; a person who wants quiet hears only of failures, on stderr."""
    if shape.format == exposed.FORMAT:
        exposed.emit(call, checked.families(found, scope), shape)
    elif not (call.quiet and shape.table and shape.output is None):
        printing.emit(call, checked.result(found, scope, table=shape.table), shape)
