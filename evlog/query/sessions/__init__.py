"""The events of a question with the session that each belongs to (metrics §9): what every answer over sessions reads.

    found = sessions.read(question, Rule(), numbers={"fills": sql}, texts={"source": "event_type"}, params=values)
    found.session[i], found.person[i], found.ts[i], found.columns["fills"][i], found.words["source"][...]

Rows come by person, time and arrival. Sessions are whole: more is read than was asked for, so that a session which
crosses an edge of the range has all its events. A session lies on the local date of its first event; what the caller
does not count it leaves out by `day`, or by `started`, which holds the sessions that began in the window.

Where there are more events than memory should hold, `each` tells the same in slices: some of the persons, then others.
"""

from evlog.query.sessions.rule import USUAL, Rule, spelled, ticks, timeout
from evlog.query.sessions.slices import each
from evlog.query.sessions.visits import Visits, joined
from evlog.query.sessions.whole import read

__all__ = ["USUAL", "Rule", "Visits", "each", "joined", "read", "spelled", "ticks", "timeout"]
