"""The people of the workbook: who comes, how often, how far they get. Yields a clean log."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

from workbook import DAY, DAYS, END, EXERCISES, FAILURES, ORIGIN, TOOLS, Event, Exercise

if TYPE_CHECKING:
    from random import Random

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz-"
RHYTHM = (1.0, 1.06, 1.02, 0.94, 0.78, 0.46, 0.64)  # Monday to Sunday
HOURS = (1, 1, 1, 0, 0, 1, 2, 4, 6, 7, 7, 8, 9, 8, 7, 7, 8, 9, 11, 14, 15, 12, 7, 3)
INCIDENT = (ORIGIN + 47 * DAY + 15 * 3_600_000, ORIGIN + 47 * DAY + 18 * 3_600_000)  # 17 February, 15 to 18 h UTC


@dataclass(slots=True)
class Person:
    """Somebody who signed up: how keen they are, and where they are in the workbook."""

    id: str
    joined: int
    keen: float
    anonymous: str | None = None
    at_exercise: int = 0
    returning: bool = False  # left the current exercise half done and will complete it
    done: list[Exercise] = field(default_factory=list)


@dataclass(slots=True)
class Sitting:
    """One session while it is written: its clock runs forward as events are told."""

    rng: Random
    id: str
    user: str | None
    anonymous: str | None
    clock: int
    told: list[Event] = field(default_factory=list)

    def tell(self, kind: str, target: tuple[str, str] | None = None, /, **data: Any) -> None:
        """One event now."""
        target_type, target_id = target or (None, None)
        self.told.append(
            Event(
                token(self.rng, 21),
                self.clock,
                self.user,
                self.anonymous,
                self.id,
                kind,
                target_type,
                target_id,
                data or None,
            )
        )

    def wait(self, seconds: float) -> None:
        """About so many seconds pass."""
        self.clock += max(40, round(seconds * 1000 * math.exp(self.rng.gauss(0, 0.5))))


def token(rng: Random, length: int) -> str:
    """An opaque id as nanoid makes them."""
    return "".join(rng.choices(ALPHABET, k=length))


def chance(rng: Random, likely: float) -> bool:
    """Whether something so likely happens."""
    return rng.random() < likely


def poisson(rng: Random, mean: float) -> int:
    """How many of something rare happen."""
    limit, product = math.exp(-mean), rng.random()
    for n in count():
        if product <= limit:
            return n
        product *= rng.random()
    raise AssertionError


def clean_log(rng: Random) -> list[Event]:
    """Every event of the product in its ninety days, in order of time."""
    people: list[Person] = []
    told: list[Event] = []
    for today in range(DAYS):
        rhythm = RHYTHM[(today + 3) % 7]  # the first day is a Thursday
        people += [arrival(rng, today) for _ in range(poisson(rng, (2.6 + 6.4 * today / DAYS) * rhythm))]
        for person in people:
            if rng.random() < eagerness(person, today) * (rhythm if person.joined != today else 1):
                told += visit(rng, person, today)
        for _ in range(poisson(rng, (1.5 + 2.5 * today / DAYS) * rhythm)):
            told += look_around(rng, today)
    return sorted((e for e in told if e.at < END), key=lambda e: (e.at, e.id))


def arrival(rng: Random, today: int) -> Person:
    """A new person; three in ten looked around without signing in first."""
    anonymous = f"a_{token(rng, 14)}" if chance(rng, 0.3) else None
    return Person(f"u_{token(rng, 12)}", today, math.exp(rng.gauss(-0.35, 0.7)), anonymous)


def eagerness(person: Person, today: int) -> float:
    """How likely the person comes today: surely on the first day, then less and less."""
    age = today - person.joined
    if age == 0:
        return 1.0
    finished = 0.35 if person.at_exercise >= len(EXERCISES) else 1.0
    return min(0.95, 0.5 * person.keen / math.sqrt(age) * finished)


def moment(rng: Random, today: int) -> int:
    """A moment of the day, evenings most of all."""
    hour = rng.choices(range(24), HOURS)[0]
    return ORIGIN + today * DAY + hour * 3_600_000 + int(rng.random() * 3_600_000)


def look_around(rng: Random, today: int) -> list[Event]:
    """The session of somebody who never signs in."""
    sitting = Sitting(rng, f"s_{token(rng, 16)}", None, f"a_{token(rng, 14)}", moment(rng, today))
    sitting.tell("session_start")
    browse(sitting, 1 + poisson(rng, 1.2))
    return sitting.told


def browse(sitting: Sitting, pages: int) -> None:
    """A few public pages."""
    for _ in range(pages):
        path = sitting.rng.choice(("/", "/about", "/library", "/pricing", "/stories"))
        sitting.tell("page_view", ("page", path))
        sitting.wait(9)
        if chance(sitting.rng, 0.5):
            sitting.tell("scroll_depth", ("page", path), depth=sitting.rng.choice((25, 50, 75, 100)))
            sitting.wait(6)


def visit(rng: Random, person: Person, today: int) -> list[Event]:
    """One session of a person: on the first day perhaps anonymous at first, with both ids from the sign-in on."""
    first = today == person.joined
    sitting = Sitting(rng, f"s_{token(rng, 16)}", person.id, None, moment(rng, today))
    began = sitting.clock
    if first and person.anonymous:
        sitting.user, sitting.anonymous = None, person.anonymous
    sitting.tell("session_start")
    if first and person.anonymous:
        browse(sitting, 1 + poisson(rng, 0.8))
        sitting.user = person.id
    work(sitting, person)
    if chance(rng, 0.85):
        sitting.wait(15)
        sitting.tell("session_end", duration_ms=sitting.clock - began, events=len(sitting.told) + 1)
    return sitting.told


def work(sitting: Sitting, person: Person) -> None:
    """What a person does in one session: revise, go on with the workbook, play with a tool."""
    rng = sitting.rng
    sitting.tell("page_view", ("page", "/workbook"))
    sitting.wait(5)
    if person.done and chance(rng, 0.18):
        revise(sitting, rng.choice(person.done))
    for _ in range(1 + poisson(rng, 0.8)):
        if person.at_exercise >= len(EXERCISES) or not attempt(sitting, person, EXERCISES[person.at_exercise]):
            break
    if person.done and chance(rng, 0.2):
        use_tool(sitting, rng.choice(list(TOOLS)))


def attempt(sitting: Sitting, person: Person, exercise: Exercise) -> bool:
    """Whether the person completed `exercise`. Those who will not either go on to the next one or lose interest."""
    rng = sitting.rng
    completes = person.returning or rng.random() >= exercise.drop
    now = completes and (person.returning or chance(rng, 0.9))
    person.returning = completes and not now
    began = open_exercise(sitting, exercise)
    answered = exercise.prompts if now else int(rng.random() * exercise.prompts)
    for n in range(answered):
        answer(sitting, f"{exercise.id}-p{n + 1}", exercise.minutes * 60 / exercise.prompts / 2, version=1)
    if exercise.tool and (now or chance(rng, 0.3)):
        use_tool(sitting, exercise.tool, saves=now)
    if now:
        sitting.wait(exercise.minutes * 20)
        took = sitting.clock - began
        sitting.tell("exercise_complete", ("exercise", exercise.id), duration_ms=took, prompts_answered=answered)
        person.done.append(exercise)
    else:
        leave(sitting, exercise, began, answered=answered)
    if not completes and chance(rng, 0.3):
        person.keen *= 0.2
    person.at_exercise += not person.returning
    return now


def open_exercise(sitting: Sitting, exercise: Exercise) -> int:
    """The instant at which the exercise was started, after its page and its instructions were seen."""
    page = ("page", f"/workbook/{exercise.id}")
    sitting.tell("page_view", page)
    sitting.wait(2)
    sitting.tell("content_view", ("content", f"{exercise.id}-intro"))
    sitting.wait(20)
    if chance(sitting.rng, 0.7):
        sitting.tell("scroll_depth", page, depth=sitting.rng.choice((25, 50, 75, 100, 100)))
        sitting.wait(4)
    sitting.tell("exercise_start", ("exercise", exercise.id))
    return sitting.clock


def leave(sitting: Sitting, exercise: Exercise, began: int, *, answered: int) -> None:
    """The exercise is left: two times in three the page notices, else the tab is just closed."""
    if answered < exercise.prompts and chance(sitting.rng, 0.8):
        sitting.tell("prompt_view", ("prompt", f"{exercise.id}-p{answered + 1}"))
    sitting.wait(40)
    if chance(sitting.rng, 0.66):
        sitting.tell("exercise_abandon", ("exercise", exercise.id), duration_ms=sitting.clock - began)


def answer(sitting: Sitting, prompt: str, seconds: float, *, version: int) -> None:
    """A prompt is seen and answered; the log holds the length of the answer, never its words."""
    sitting.tell("prompt_view", ("prompt", prompt))
    sitting.wait(seconds)
    fail(sitting)
    length = round(math.exp(sitting.rng.gauss(5.2, 0.6)))
    sitting.tell("prompt_submit", ("prompt", prompt), length=length, version=version)


def revise(sitting: Sitting, exercise: Exercise) -> None:
    """An answer is written anew."""
    prompt = f"{exercise.id}-p{sitting.rng.randrange(exercise.prompts) + 1}"
    sitting.tell("page_view", ("page", f"/workbook/{exercise.id}"))
    sitting.wait(8)
    answer(sitting, prompt, 70, version=2)


def use_tool(sitting: Sitting, tool_id: str, *, saves: bool = True) -> None:
    """A tool is opened, used, and mostly saved."""
    rng, tool, target = sitting.rng, TOOLS[tool_id], ("tool", tool_id)
    began = sitting.clock
    sitting.tell("tool_open", target, tool=tool.name)
    for _ in range(1 + poisson(rng, 1.1)):
        sitting.wait(tool.seconds / 4)
        sitting.tell("tool_interact", target, tool=tool.name, action=rng.choice(("add", "edit", "move", "remove")))
    if not saves:
        return
    sitting.wait(tool.seconds / 4)
    fail(sitting)
    items = {} if tool.items is None else {"items_count": 1 + poisson(rng, tool.items - 1)}
    sitting.tell("tool_submit", target, tool=tool.name, **items, duration_ms=sitting.clock - began)


def fail(sitting: Sitting) -> None:
    """Now and then a call to the server fails; during the incident often, and always in the same way."""
    incident = INCIDENT[0] <= sitting.clock < INCIDENT[1]
    if sitting.rng.random() < (0.6 if incident else 0.012):
        endpoint, status, message = FAILURES[0] if incident else sitting.rng.choice(FAILURES)
        sitting.tell("error", ("api", endpoint), status=status, message=message)
        sitting.wait(3)
