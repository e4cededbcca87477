"""Mutants of the write path, made from its source: each sync dropped, each lock dropped, each pair of steps swapped.

A mutant is the source of one module with one thing wrong. Two kinds are told apart here and never run: those that do not
run (a step swapped before what it reads) and those that do the same (one of the two steps touches no file and no lock).
"""

from __future__ import annotations

import ast
import copy
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from mutant_flow import idle, needs, same
from mutant_kinds import blocks, constants, dropped, loosened, moved, told, unchecked, unlocked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SOURCE = Path(__file__).parent.parent.parent / "evlog"
SWAPPED = {
    "store/durable.py": "Writer.write Writer.sync Writer.drop write_new sync sync_folder replace_whole put_first _scratch folder",
    "store/journal.py": "Staging.adopt Staging.sync staging _leave commit recover _write _apply _drop_if_empty _mark_applied _sweep",
    "store/locks.py": "held maintenance awaited _take owned",
    "store/snapshot.py": "steady _look",
    "store/audit.py": "entry tell _kept _log",
    "store/layout.py": "create",
    "store/links.py": "files seen steady",
    "store/parts.py": "write",
    "store/pseudonym.py": "key_of rotate",
    "store/runs.py": "append",
    "store/tombstones.py": "load",
    "compact/__init__.py": "run _compacted _made _stage _commit _merge",
    "compact/part.py": "in_memory by_engine _adopted _put_apart _odd _by_engine _spilled",
    "purge/leave.py": "apply _settled _Leaving.commit _Leaving._tombstone _quarantine",
    "purge/memory.py": "Memory.take Memory.file",
    "person/erase.py": "erase_each _attempt _bury _tell _settle",
    "person/rewrite.py": "Rewrite.remembered Rewrite.put Rewrite.replace Rewrite._part Rewrite._reindex",
    "person/pending.py": "await_erasure cancel",
    "person/suppress.py": "suppress _commit",
    "person/link.py": "_said",
    "archive/out.py": (
        "Writer.take Writer.settle Writer._sweep Writer._take Writer._name writing _alone copy _copied"
    ),
    "archive/day.py": "_write",
    "archive/restore.py": "restore _Restore.commit _Restore.read _Restore._lifted",
    "ingest/commit.py": "Committer.all_or_nothing Committer.stage Committer.commit Committer._consent Committer._write",
    "ingest/run.py": "_Handling.prepare _Handling.finish",
    "export/folder.py": "staged publish _written",
    "export/resume.py": "save turn",
    "rollup/roll.py": "roll _rolled",
    "rollup/run.py": "Run.all Run._keep_who Run._commit",
    "replay.py": "clear _file _again _rewrite",
    "verify.py": "_index",
}  # fmt: skip
"""The functions of the write protocol, whose steps are swapped; everything else is sought in the whole of these files."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One thing wrong in one module: where, what, and how it comes about; `void` says why it need not be run."""

    file: str
    function: str
    what: str
    tree: ast.Module = field(repr=False)
    change: Callable[[ast.Module], None] = field(repr=False)
    void: str = ""

    @property
    def source(self) -> str:
        """The source of the module with that wrong in it."""
        whole = copy.deepcopy(self.tree)
        self.change(whole)
        return ast.unparse(ast.fix_missing_locations(whole))

    @property
    def name(self) -> str:
        """What tells it from all others, as long as the code stays as it is."""
        return f"{self.file} {self.function}: {self.what}"


def mutants(source: Path = SOURCE) -> list[Mutant]:
    """All mutants of the write path; those that stand twice with the same words are numbered."""
    found: list[Mutant] = []
    for file in SWAPPED:
        found += _of(file, ast.parse((source / file).read_text()))
    counts: dict[str, int] = {}
    numbered = []
    for one in found:
        counts[one.name] = number = counts.get(one.name, 0) + 1
        what = one.what if number == 1 else f"{one.what} ({number})"
        numbered.append(replace(one, what=what))
    return numbered


def _of(file: str, tree: ast.Module) -> Iterator[Mutant]:
    wanted = set(SWAPPED[file].split())
    known = {name for name, _ in _functions(tree)}
    assert wanted <= known, f"{file} has no {wanted - known}"
    for number, (name, function) in enumerate(_functions(tree)):
        for what, change in (
            *dropped(function),
            *unlocked(function),
            *loosened(function),
            *unchecked(function),
            *moved(f"{file} {name}", function),
        ):
            yield _made(file, tree, number, what, change)
        if name in wanted:
            yield from _swaps(file, tree, number)
    for what, change in constants(tree):
        yield Mutant(file, "constants", what, tree, change)


def _functions(tree: ast.Module) -> list[tuple[str, ast.FunctionDef]]:
    """The functions and methods of a module, by name, in order."""
    found = []
    for one in tree.body:
        if isinstance(one, ast.FunctionDef):
            found.append((one.name, one))
        elif isinstance(one, ast.ClassDef):
            found += [(f"{one.name}.{inner.name}", inner) for inner in one.body if isinstance(inner, ast.FunctionDef)]
    return found


def _made(file: str, tree: ast.Module, number: int, what: str, change: Callable[[ast.FunctionDef], None]) -> Mutant:
    """The mutant that comes of changing function `number` of a copy of the module."""
    name = _functions(tree)[number][0]
    return Mutant(file, name, what, tree, lambda whole: change(_functions(whole)[number][1]))


def _swaps(file: str, tree: ast.Module, number: int) -> Iterator[Mutant]:
    """Each adjacent pair of steps the other way round."""
    name, function = _functions(tree)[number]
    bound = {argument.arg for argument in [*function.args.args, *function.args.kwonlyargs]}
    for place, block in enumerate(blocks(function)):
        for at, (first, second) in enumerate(pairwise(block)):
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                continue  # a docstring

            def swap(whole: ast.Module, place: int = place, at: int = at) -> None:
                inner = blocks(_functions(whole)[number][1])[place]
                inner[at], inner[at + 1] = inner[at + 1], inner[at]

            void = needs(function, first, second, bound) or same(first, second) or idle(first, second)
            yield Mutant(file, name, f"`{told(second)}` before `{told(first)}`", tree, swap, void)
