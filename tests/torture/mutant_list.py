"""The list of mutants, `docs/mutants.md`: what catches each, and which do the same as the original, and why."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from mutant_equal import EQUAL
from mutants import mutants

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mutants import Mutant

LIST = Path(__file__).parent.parent.parent / "docs" / "mutants.md"
SURVIVES = "**survives**"
_CELL = re.compile(r"(?<!\\)\|")
_HEAD = """# Mutants

One thing made wrong in the code that writes (and in what a reader lists), by `tests/torture/mutants.py`, from the source: each
sync, lock, recovery and look under a lock left out; each lock shared; each flag of `open` dropped, each mode widened; each two
adjacent steps swapped, some moved further. The checks of a file are tried cheapest first; the first that is red is named.

    .venv/bin/python tests/torture/mutant_runs.py     makes this list again

"""


def known() -> dict[str, str]:
    """What the list says: by the name of a mutant, the check that catches it."""
    if not LIST.exists():
        return {}
    rows = (_CELL.split(line) for line in LIST.read_text("utf-8").splitlines() if line.startswith("| "))
    cells = (tuple(cell.strip().replace("\\|", "|") for cell in row[1:3]) for row in rows if len(row) == 4)
    return {name: caught for name, caught in cells if ": " in name}


def to_run() -> list[Mutant]:
    """The mutants that are not known to do the same as the original."""
    return [one for one in mutants() if not one.void and one.name not in EQUAL]


def write(found: Mapping[str, str]) -> None:
    """Write the list: what was `found`, else what it said before."""
    before, every = known(), mutants()
    rows = {one.name: found.get(one.name, before.get(one.name, "not run yet")) or SURVIVES for one in to_run()}
    void = Counter(one.void.partition(":")[0] for one in every if one.void)
    equal = {one.name: EQUAL[one.name] for one in every if one.name in EQUAL and not one.void}
    caught = sum(1 for said in rows.values() if said not in {SURVIVES, "not run yet"})
    told = [
        (
        f"{len(every)} mutants: {caught} caught, {sum(said == SURVIVES for said in rows.values())} survive, "
        f"{sum(said == 'not run yet' for said in rows.values())} not run yet; {void['does not run']} do not run at all (a step "
        f"reads what the other binds); {void['does the same']} do the same by their flow of data, {len(equal)} for the reasons below.\n"
        ),
        "| mutant | caught by |", "|---|---|",
        *(f"| {_cell(name)} | {_cell(said)} |" for name, said in rows.items()),
        "\n## Those that do the same\n", "| mutant | does the same, because |", "|---|---|",
        *(f"| {_cell(name)} | {_cell(why)} |" for name, why in equal.items()),
    ]  # fmt: skip
    LIST.write_text(_HEAD + "\n".join(told) + "\n", "utf-8")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
