"""What a power loss may leave of a recording: every tree that POSIX allows, not only those of one file system.

The model is that of ALICE (Pillai et al., "All File Systems Are Not Created Equal", OSDI 2014) and CrashMonkey (Mohan et
al., "Finding Crash-Consistency Bugs with Bounded Black-Box Crash Testing", OSDI 2018), taken at its weakest:

- A file's content lasts once it was synced. Before, what was written since may be whole, half there, not there at all,
  or zeros of the right length; a rename does not help, so that a name may lead to an empty file.
- A name (made, renamed, removed) lasts once its folder was synced; a sync of the file does not make its name last.
  Before, every name goes its own way: any subset of what happened may be there, whatever the order was.
- A rename is never lost in the middle: the file has the old name, the new one, or both.
- What one folder's sync made last says nothing of its parents: a folder whose own name is gone takes all along.

`trees` yields each tree that may be there after the first so many steps; all of them up to a bound, and above it a
sample with a fixed seed that begins with: nothing lost, all lost, each one alone lost, each one alone kept.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from itertools import islice, product
from typing import TYPE_CHECKING

from shim import ROOT, Tree

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shim import Op, Slot

CONTENTS = 4  # whole, as it was, half, zeros


@dataclass(slots=True)
class _Doubt:
    """Names that may be lost yet, in the order in which they changed; the first must be there if the others are."""

    slots: tuple[Slot, ...]


@dataclass(slots=True)
class Lasting:
    """What lasts for certain after some steps, and what may be lost."""

    sure: Tree
    names: list[_Doubt] = field(default_factory=list)
    files: dict[int, bytes] = field(default_factory=dict)  # what was written since the last sync

    def follow(self, op: Op) -> None:
        """Take one more step."""
        if op.what == "sync":
            self._settle(op.node)
        elif op.what == "write":
            self.files[op.node] = op.data
        elif op.slots:
            self.names.append(_Doubt(op.slots))
            for _, _, node in op.slots:
                if op.what == "mkdir" and node is not None:
                    self.sure.folders.setdefault(node, {})
                elif op.what == "create" and node is not None:
                    self.sure.files.setdefault(node, b"")

    def _settle(self, node: int) -> None:
        """Make a file's content sure, or the names in a folder."""
        if node not in self.sure.folders:
            self.sure.files[node] = self.files.pop(node, self.sure.files.get(node, b""))
            return
        for doubt in self.names:
            last = max((n for n, slot in enumerate(doubt.slots) if slot[0] == node), default=-1)
            for slot in doubt.slots[: last + 1]:  # a new name lasts before the old one goes
                self.sure.put(slot)
            doubt.slots = doubt.slots[last + 1 :]
        self.names = [doubt for doubt in self.names if doubt.slots]

    def choices(self) -> list[int]:
        """How many outcomes each doubt has; the last outcome is that nothing was lost."""
        return [len(doubt.slots) + 1 for doubt in self.names] + [CONTENTS] * len(self.files)

    def tree(self, chosen: Sequence[int]) -> Tree:
        """The tree of these outcomes."""
        found = self.sure.copy()
        for doubt, kept in zip(self.names, chosen, strict=False):
            for slot in doubt.slots[:kept]:
                found.put(slot)
        for (node, data), kept in zip(self.files.items(), chosen[len(self.names) :], strict=True):
            before = found.files.get(node, b"")
            found.files[node] = (before, data[: len(data) // 2], bytes(len(data)), data)[kept]
        return found


def trees(lasting: Lasting, *, bound: int, seed: str) -> Iterator[Tree]:
    """Yield what may be there: every outcome, or a sample of `bound` of them."""
    choices = lasting.choices()
    total = 1
    for count in choices:
        total *= count
    wanted = product(*map(range, choices)) if total <= bound else islice(_sampled(choices, seed), bound)
    for chosen in wanted:
        yield lasting.tree(chosen)


def _sampled(choices: Sequence[int], seed: str) -> Iterator[tuple[int, ...]]:
    every, none = tuple(count - 1 for count in choices), (0,) * len(choices)
    yield every
    yield none
    for number, count in reversed(list(enumerate(choices))):
        for kept in range(count - 1):
            yield (*every[:number], kept, *every[number + 1 :])
        yield (*none[:number], count - 1, *none[number + 1 :])
    chance = random.Random(seed)
    while True:
        yield tuple(chance.choice((0, count - 1, chance.randrange(count))) for count in choices)


def walked(tree: Tree, node: int = ROOT, at: str = "") -> Iterator[tuple[str, int]]:
    """Yield (path, node) of everything that can be reached, folders before what is in them."""
    for name, inner in sorted(tree.folders[node].items()):
        path = f"{at}/{name}" if at else name
        yield path, inner
        if inner in tree.folders:
            yield from walked(tree, inner, path)
