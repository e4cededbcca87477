"""The text of the plan that `evlog init` writes: settings as they are, and an example to uncomment."""

from __future__ import annotations

STARTER = """\
# The tracking plan: which event types exist, and what each must say.
#
# As it stands it is open: any well-formed event is accepted. It closes with the first [events.…] table: from then on
# event types and properties that it does not name are refused and wait in quarantine.
# Draw one from the events that came in:    evlog plan infer
# Look it over:                             evlog plan lint

version = ""                     # what to call this plan beside a number; empty: a hash of what it says
id = "optional"                  # "required": an event without an id is refused; else one is derived from its content
consent = "optional"             # "required": an event that does not say yes is not stored
placeholder_users = "reject"     # "null": users such as "anonymous" or "undefined" are nobody
# anonymous_ids = "anon-.*"      # a user_id that wholly matches is an anonymous_id
# purposes = ["analytics", "personalisation", "marketing"]   # what people may refuse; the first is the usual one
inactive = []                    # event types that do not make their user active: sent by a server, not by a person

# [events.exercise_start]
# description = "A person opened an exercise for the first time, or again."
# category = "exercise"                          # given to events that bring none
# required = ["user_id", "target_id"]            # fields that must be there
# purpose = "analytics"                          # not stored of users who refused it
#
# [events.exercise_complete]
# description = "A person handed an exercise in."
# category = "exercise"
# required = ["user_id", "target_id"]
# additional = false                             # true: properties that are not listed here are let in
#
# [events.exercise_complete.properties]
# device = "string"                              # short for { type = "string" }
# mode = { type = "string", one_of = ["solo", "group"] }
#
# [events.exercise_complete.properties.duration_ms]
# type = "integer"                               # string, integer, number, boolean, object, array, instant, any
# min = 0
# required = true
#
# [pairs.exercise]                               # for drop-off and times to complete
# start = "exercise_start"
# complete = "exercise_complete"
# target_type = "exercise"
# abandon_after = "24h"
#
# [funnels.first_exercise]
# steps = ["exercise_start", "exercise_complete"]
# window = "14d"
"""


def example() -> str:
    """The starter plan with its example uncommented."""
    head, mark, rest = STARTER.partition("# [events.")
    return head + "\n".join(line.removeprefix("#").removeprefix(" ") for line in (mark + rest).split("\n"))
