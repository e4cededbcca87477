"""`evlog plan`: the tracking plan."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from evlog.cli import printing, rules, trial
from evlog.cli.command import command
from evlog.errors import PlanError, UsageError

if TYPE_CHECKING:
    from evlog.cli.call import Call
    from evlog.event.plan import EventRule, Property
    from evlog.query.result import Kind

_ERROR = "error"


@command(example="evlog plan show --format json", settings=("plan",), prints="table")
def show(call: "Call", **given: Any) -> None:
    """Print the tracking plan, an event type a line."""
    from evlog.query.result import Column, Result

    plan = call.plan()
    events = sorted(plan.events.items()) if plan else []
    names = ("event_type", "category", "purpose", "active", "required", "properties", "description")
    columns = tuple(Column(name, "flag" if name == "active" else "text") for name in names)
    rows = tuple(_shown(name, rule, plan.purpose_of(name)) for name, rule in events) if plan else ()
    note = () if events else ("there is no event type in the plan: any well-formed event is accepted",)
    summary: dict[str, Any] = {}
    if plan:
        purposes = ", ".join(plan.known_purposes)
        summary = {
            "version": plan.name, "purposes": purposes, "pairs": len(plan.pairs), "funnels": len(plan.funnels)
        }  # fmt: skip
    kinds: dict[str, Kind] = {"version": "text", "purposes": "text"}
    result = Result("plan", columns, rows, call.now, summary=summary, summary_kinds=kinds, notes=note)
    printing.emit(call, result, printing.shape(given))


def _shown(name: str, rule: "EventRule", purpose: str) -> tuple[Any, ...]:
    known = ", ".join(_property(key, wanted) for key, wanted in rule.properties.items())
    return name, rule.category, purpose, rule.active, ", ".join(rule.required), known, rule.description


def _property(name: str, rule: "Property") -> str:
    return f"{name}{'' if rule.required else '?'}: {rule.type}"


@command(example="evlog plan check events.ndjson", settings=rules.SETTINGS, prints="table")
def check(
    call: "Call",
    *,
    files: Annotated[list[str] | None, Argument(metavar="[FILE…]", help="Files of events; - or none: stdin.")] = None,
    **given: Any,
) -> int:
    """Hold events against the plan without storing them: what would be refused, how often, and where first.

    Of a FILE that ends in .toml it is said whether it is a plan. Exit 1: something would be refused.
    """
    plans = [name for name in files or () if name.endswith(".toml")]
    for name in plans:
        from evlog.event import plan_file

        call.out.note(f"{name}: a plan of {len(plan_file.load(Path(name)).events)} event types")
    if plans and len(plans) == len(files or ()):
        return 0
    found = trial.verdicts(call, [name for name in files or () if name not in plans])
    printing.emit(call, found, printing.shape(given))
    return 1 if found.rows else 0


@command(example="evlog plan lint --plan plan.toml", settings=("plan",), prints="table")
def lint(call: "Call", **given: Any) -> int:
    """Print what in the plan will be regretted. Exit 1: something in it can never work."""
    from evlog.event.lint import lint as findings
    from evlog.query.result import Column, Result

    plan = call.plan()
    if plan is None:
        raise _no_plan()
    rows = tuple((found.level, found.where, found.message) for found in findings(plan))
    columns = (Column("level"), Column("where"), Column("message"))
    note = () if rows else ("nothing to mend",)
    printing.emit(call, Result("lint", columns, rows, call.now, notes=note), printing.shape(given))
    return 1 if any(row[0] == _ERROR for row in rows) else 0


@command(example="evlog plan infer events.ndjson --output plan.toml", settings=rules.SETTINGS)
def infer(
    call: "Call",
    *,
    files: Annotated[
        list[str] | None, Argument(metavar="[FILE…]", help="Files of events; by default the store.")
    ] = None,
    output: Annotated[
        str | None, Option("--output", metavar="FILE", help="Write to FILE, whole or not at all.")
    ] = None,
) -> None:
    """Print a plan that the events keep: of the files, or of all that is stored."""
    from evlog.event.infer import infer as inferred
    from evlog.event.plan_write import dumps

    events = trial.events(call, files) if files else trial.stored_events(call.store())
    text = dumps(inferred(events))
    call.out.octets(text.encode(), printing.Shape(output=output))


@command(
    example="evlog plan add exercise_pause --property 'duration_ms:integer!' --property reason", settings=("plan",)
)
def add(
    call: "Call",
    *,
    event: Annotated[str, Argument(metavar="EVENT", help="The event type.")],
    prop: Annotated[
        list[str] | None,
        Option("--property", metavar="NAME[:TYPE][!]", help="A property; ! where every event must have it."),
    ] = None,
    require: Annotated[list[str] | None, Option("--require", metavar="FIELD", help="A field, as in user_id.")] = None,
    category: Annotated[str | None, Option("--category", metavar="TEXT", help="For events that bring none.")] = None,
    purpose: Annotated[
        str | None, Option("--purpose", metavar="NAME", help="What it is collected for, out of the plan's purposes.")
    ] = None,
    description: Annotated[str, Option("--description", metavar="TEXT", show_default=False, help="In words.")] = "",
    additional: Annotated[bool, Option("--additional", help="Let properties in that are not listed.")] = False,
) -> None:
    """Add an event type, or properties to one, to the plan file; what stands in it stays as it is."""
    from evlog.event import plan_file, plan_write
    from evlog.event.plan import EventRule
    from evlog.render.output import written_whole

    path = call.settings.plan
    if path is None:
        raise _no_plan()
    rule = EventRule(
        category=category,
        description=description,
        required=tuple(require or ()),
        properties=dict(_meant(text) for text in prop or ()),
        additional=additional,
        purpose=purpose,
    )
    known = plan_file.load(path).known_purposes
    if purpose is not None and purpose not in known:
        raise UsageError(f"--purpose: the plan has no purpose {purpose!r}", hint=f"one of: {', '.join(known)}")
    text = plan_write.add(plan_file.text_of(path.read_bytes(), name=str(path)), event, rule, name=str(path))
    try:
        data = text.encode()
    except UnicodeEncodeError as error:
        raise UsageError("what is to be added is not UTF-8") from error
    with written_whole(path) as file:
        file.write(data)
    call.out.note(f"added {event} to {path}")


def _meant(text: str) -> tuple[str, "Property"]:
    from evlog.cli.suggest import did_you_mean
    from evlog.event.plan import PROPERTY_TYPES, Property

    name, colon, kind = text.removesuffix("!").partition(":")
    if not name or (colon and kind not in PROPERTY_TYPES):
        known = f"types: {', '.join(PROPERTY_TYPES)}"
        raise UsageError(
            f"--property: expected NAME, or NAME:TYPE, got {text!r}", hint=did_you_mean(kind, PROPERTY_TYPES) or known
        )
    return name, Property(type=kind or "any", required=text.endswith("!"))  # type: ignore[arg-type]


def _no_plan() -> PlanError:
    return PlanError(
        "there is no tracking plan", hint="evlog init writes one to begin with; or name it with --plan FILE"
    )
