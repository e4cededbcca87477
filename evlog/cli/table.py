"""Every command: where it lives, and what it does in one line, so that `evlog --help` loads none of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Entry:
    """A command (a function in a module), or a group of commands."""

    help: str
    target: str = ""  # module:function below evlog.cli; `makes` says that the function returns the typer command
    makes: bool = False
    inner: Mapping[str, Entry] = field(default_factory=dict)


REJECTS = {
    "list": Entry("What was refused, by reason.", "commands.rejects:rejects_list"),
    "show": Entry("The refused lines themselves, with the field and what was expected.", "commands.rejects:show"),
    "replay": Entry("Offer refused lines again, once plan or settings are mended.", "commands.rejects:replay"),
    "clear": Entry("Throw refused lines away.", "commands.rejects:clear"),
}
PLAN = {
    "show": Entry("The tracking plan, an event type a line.", "commands.plan:show"),
    "check": Entry("Check a file of events against the plan; nothing is stored.", "commands.plan:check"),
    "add": Entry("Add an event type to the plan.", "commands.plan:add"),
    "infer": Entry("Write a plan from the events that came in.", "commands.plan:infer"),
    "lint": Entry("What in the plan will be regretted: names, types, missing pairs.", "commands.plan:lint"),
}
USER = {
    "export": Entry("All events of a user.", "commands.access:export"),
    "delete": Entry("Erase a user from every tier, for good.", "commands.erasure:delete"),
    "suppress": Entry("Store nothing more of a user; the past stays.", "commands.suppress:suppress"),
    "rotate-key": Entry("A new key for --pseudonymise; the old one is gone.", "commands.pseudonym:rotate"),
    "link": Entry("Say that events of an id belong to a user.", "commands.user:link"),
    "unlink": Entry("Take back what was said of an id.", "commands.user:unlink"),
    "journey": Entry("What one user did, event by event.", "commands.user:journey", makes=True),
}
ARCHIVE = {
    "out": Entry("Move old days out, as Parquet with checksums.", "commands.archive:out"),
    "restore": Entry("Bring archived days back.", "commands.archive:restore"),
    "verify": Entry("Hold an archive against its checksums.", "commands.archive:verify"),
}
AUDIT = {
    "show": Entry("Who did what to the people in the store, oldest first.", "commands.audit:show"),
    "verify": Entry("Whether an entry was changed or taken out.", "commands.audit:verify"),
}
COMMANDS: dict[str, Entry] = {
    "init": Entry("A settings file, a starter tracking plan and an empty store.", "commands.init:init"),
    "ingest": Entry("Take events in from files, folders or stdin.", "commands.ingest:ingest"),
    "rejects": Entry("What was refused, why, and in again once mended.", inner=REJECTS),
    "plan": Entry("The tracking plan: which event types exist and what each must say.", inner=PLAN),
    "compact": Entry("Turn closed days into Parquet.", "commands.compact:compact"),
    "rollup": Entry("Count what is new by hour, day, week and month, and say what changed.", "commands.rollup:rollup"),
    "report": Entry("Answer a question; alone it lists the reports.", "reports:group", makes=True),
    "funnel": Entry("How many users take each of the steps, in order.", "reports:report", makes=True),
    "dropoff": Entry("What is started and not completed, worst first.", "reports:report", makes=True),
    "overview": Entry(
        "The dashboard on one screen, and what is new since the last look.", "commands.overview:overview", makes=True
    ),
    "purge": Entry("Remove whole days of events that are old enough.", "commands.purge:purge"),
    "archive": Entry("Move old days out, as Parquet with checksums; and back.", "commands.archive:group", makes=True),
    "user": Entry("What is known of a user: hand it out, or erase it; and which ids are one.", inner=USER),
    "export": Entry("Events, or a report, as files for other tools; each event once.", "commands.export:export"),
    "sql": Entry("Ask the events in SQL; reads only.", "commands.sql:sql"),
    "status": Entry("What the store holds, how fresh it is, what waits.", "commands.status:status"),
    "check": Entry("Whether the numbers can be trusted: quality, freshness, jobs.", "commands.check:check"),
    "audit": Entry("Who did what to the people in the store.", inner=AUDIT),
    "verify": Entry("Check every file of the store.", "commands.verify:verify"),
    "config": Entry("Each setting and where it came from.", "commands.config:config"),
}
