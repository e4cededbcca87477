"""`evlog user`: what is known of a user, handed out; which ids are one person."""

from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument

from evlog.cli import asking, consent, printing
from evlog.cli.command import About, Parameters, built_from, command
from evlog.cli.option import setting
from evlog.errors import UsageError

if TYPE_CHECKING:
    from typer.core import TyperCommand

    from evlog.cli.call import Call
    from evlog.person.link import Told
    from evlog.query.ask import Question
    from evlog.query.result import Result

_ID = Argument(metavar="ID", help="A user id, or - to read ids from stdin, one a line.")
_FROM = Argument(metavar="ANON", help="The id that belongs to a user, or - to read it from stdin.")
_TO = Argument(metavar="ID", help="The user it belongs to, or - to read it from stdin.")


@command(example="evlog user link device-7f3a u_42")
def link(call: "Call", *, anon: Annotated[str, _FROM], user: Annotated[str, _TO]) -> None:
    """Say that events of one id belong to a user, past ones too; reports, export and delete go by it from now on.

    The id may be an anonymous one, or a user id that was given up. What is said last holds; `unlink` takes it back.
    Ids that an event carries together, and those of alias events, are linked without a word.
    """
    from evlog.cli import clock
    from evlog.person import link as saying

    source, target = _pair(anon, user)
    told = saying.link(call.store(), source, target, now=clock.now(), by=_who(call))
    if told.changed:
        call.out.note(f"events of {source} belong to {target} now; take it back with: evlog user unlink {source}")
    else:
        call.out.note(f"{source} is linked to {told.person} already: nothing was changed")


@command(example="evlog user unlink device-7f3a")
def unlink(call: "Call", *, anon: Annotated[str, _FROM]) -> None:
    """Take back all that was said of an id up to now, by people or by events: it is itself again.

    Nothing was rewritten by the link, so every answer is what it was before. A later event that links it holds again.
    """
    from evlog.cli import clock
    from evlog.person import link as saying

    for source in consent.ids([anon]):
        told: Told = saying.unlink(call.store(), source, now=clock.now(), by=_who(call))
        call.out.note(
            f"{source} is itself again; what was said of it up to now no longer holds"
            if told.changed
            else f"{source} is linked to nobody: nothing was changed"
        )


def _pair(anon: str, user: str) -> tuple[str, str]:
    """The two ids; those given as `-` are read from stdin, one a line."""
    given = [anon, user]
    found = [anon, user] if "-" not in given else consent.ids(["-"])
    if given == ["-", "-"] and len(found) == len(given):
        return found[0], found[1]
    if "-" in given and len(found) == 1:
        return (found[0], user) if anon == "-" else (anon, found[0])
    if "-" in given:
        raise UsageError(f"stdin names {len(found)} ids", hint="one a line, for each - that was said")
    return anon, user


def _who(call: "Call") -> str:
    """Who says so, as far as the system knows."""
    return call.environ.get("USER") or call.environ.get("LOGNAME") or "evlog user"


def journey(name: str) -> "TyperCommand":
    """The command that prints what one user did: the report of that name, about an id."""
    from inspect import Parameter

    user = Parameter("user", Parameter.KEYWORD_ONLY, annotation=Annotated[str, _ID])
    parameters: Parameters = [user, *asking.parameters(), *map(setting, asking.SETTINGS), *printing.parameters()]
    about = About("evlog user journey u_42 --days 7", (1,))
    says = "What one user did, event by event, under each id that means them; as report journey has it."
    return built_from(name, _journey, parameters, about, help_=says)


def _journey(call: "Call", *, user: str, **given: Any) -> None:
    from evlog.query.ask import ask
    from evlog.reports import load

    shape, store = printing.shape(given), call.store()
    scope = asking.scope(call, store, given, table=shape.table)
    ids = consent.ids([user])
    if len(ids) > 1:
        raise UsageError(f"a journey is one user's, not that of {len(ids)}")

    def told(question: "Question") -> "Result":
        return load("journey").report(question, user=question.identity.person(ids[0]))

    printing.emit(call, ask(store, scope, told), shape)
