"""What leaves the dictionary that plays evlog, and comes back: days, and people.

Each function tells the state after a command; how the command gets there is evlog's affair.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from kinship import TICK, Closure, Word, Words, kin
from model import TEXT, Event, Kept, State, content

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ERASED = "[erased]"


# -- days out, and back ---------------------------------------------------------------------------------------------------


def purged(state: State, before: str, *, rejects: bool = True) -> State:
    """The state without the days before one; where there are none, no tombstone is written."""
    if any(day < before for day in state.days()):
        events = {key: event for key, event in state.events.items() if key[0] >= before}
        restored = frozenset(day for day in state.restored if day >= before)
        newest = max(before, state.purged_before or before)
        state = replace(state, events=events, purged_before=newest, restored=restored)
    return replace(state, quarantine=tuple(_young(state.quarantine, before))) if rejects else state


def _young(quarantine: Iterable[Kept], before: str) -> Iterable[Kept]:
    for kept in quarantine:
        stay = tuple(one for one in kept.lines if (one.day or kept.received) >= before)
        gone = not stay if kept.lines else kept.received < before
        if not gone:
            yield replace(kept, lines=stay)


def restored(state: State, rows: Iterable[Event]) -> tuple[State, Counter[str]]:
    """The state with archived events, each once, without the erased and without mentions of them."""
    events, back, counts = dict(state.events), set(), Counter[str]()
    for row in rows:
        counts["events"] += 1
        if row.who in state.erased:
            counts["erased"] += 1
            continue
        told = scrubbed(row, dict.fromkeys(state.erased, ERASED))
        counts["duplicates" if told.key in events else "stored"] += 1
        if told.key not in events:
            events[told.key] = replace(told, content=content(told))
            back.add(told.key[0])
    open_again = {day for day in back if state.purged_before is not None and day < state.purged_before}
    return replace(state, events=events, restored=state.restored | open_again), counts


# -- people ---------------------------------------------------------------------------------------------------------------


def scrubbed(event: Event, names: dict[str, str]) -> Event:
    """The event with other words in place of these ids, wherever it names them."""
    note = event.note
    for one, instead in names.items():
        note = note and note.replace(one, instead)
    swap = {None: None, **names}
    user, anonymous = (swap.get(one, one) for one in (event.user, event.anonymous))
    return replace(event, user=user, anonymous=anonymous, note=note)


def erased(state: State, named: Sequence[str]) -> State:
    """The state without these persons: their events, links and rejects, and what waited for them."""
    whole, owners = _going(state, named)
    kept = {key: event for key, event in state.events.items() if event.who not in owners}
    events = {key: scrubbed(event, dict.fromkeys(owners, ERASED)) for key, event in kept.items()}
    lines = [line for line in state.links if line[0] not in owners and line[1] not in owners]
    devices = list(dict.fromkeys(one for found in whole for one in found.devices if one not in owners))
    until = [found.until for found in whole if found.until is not None]
    if devices and until:
        at = max([*until, *(line[2] + TICK for line in state.links)])
        lines += [(one, None, at, -1) for one in devices]
    return replace(_buried(state, owners), events=events, links=tuple(lines))


def anonymised(state: State, named: Sequence[str], names: dict[str, str]) -> State:
    """The state with these names in place of the persons' ids, and of ids that others used too."""
    whole, owners = _going(state, named)
    devices = {one for found in whole for one in found.devices}
    told = {one: names[one] for one in (*owners, *devices) if one in names}
    events = {}
    for key, event in state.events.items():
        own = event.who in owners
        new = scrubbed(event, told)
        events[key] = replace(new, content=f"nobody knows {key}") if own else new
    swap = {None: None, **told}
    lines = tuple((swap.get(a, a) or "", swap.get(b, b), at, seq) for a, b, at, seq in state.links)
    return replace(_buried(state, owners), events=events, links=lines)


def going(state: State, named: Sequence[str]) -> frozenset[str]:
    """Every id that goes with these."""
    return _going(state, named)[1]


def _going(state: State, named: Sequence[str]) -> tuple[list[Closure], frozenset[str]]:
    kinship = state.kinship()
    whole = [kinship.closure(one) for one in named]
    return whole, frozenset(one for found in whole for one in found.ids)


def _buried(state: State, owners: frozenset[str]) -> State:
    quarantine = tuple(
        replace(kept, lines=tuple(x for x in kept.lines if not any(one.encode() in x.offer.raw for one in owners)))
        for kept in state.quarantine
    )
    pending = {one: due for one, due in state.pending.items() if one not in owners}
    return replace(state, erased=state.erased | owners, quarantine=quarantine, pending=pending)


def suppressed(state: State, named: str, now: datetime, *, lift: bool) -> State:
    """The state in which nothing more is stored of a person; or, lifted, in which it is again."""
    whole, words = state.kinship().closure(named), state.words
    if lift:
        meant = {one for x in whole.ids for one in words.group(x)} & words.words.keys()
        at = _after(now, [words.words[one] for one in meant])
        return replace(
            state, words=words.merged(Words({x: Word(at, refused=False) for x in meant if words.words[x].refused}))
        )
    theirs, said = kin([whole]), words.words.get(whole.person)
    if said is None or not said.refused:
        theirs = replace(theirs, words={whole.person: Word(_after(now, [said] if said else []), refused=True)})
    return replace(state, words=words.merged(theirs))


def _after(now: datetime, said: Iterable[Word]) -> str:
    return max([now, *(datetime.strptime(word.at, TEXT) + TICK for word in said)]).strftime(TEXT)


def linked(state: State, source: str, target: str | None, now: datetime) -> State:
    """The state in which an id belongs to a user; to nobody, if none is named."""
    at = max([now, *(line[2] + TICK for line in state.links)])
    return replace(state, links=(*state.links, (source, target, at, -1)))
