"""The ways in which a function can be made wrong: each yields what it does, and the change that does it to a copy."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Changes = Iterator[tuple[str, Callable[[ast.FunctionDef], None]]]

SYNCS = {"fsync", "sync", "sync_folder", "adopt", "_sync", "flush"}
WAITS = {"flock", "awaited", "recover", "chmod", "_sweep", "_mark_applied", "drop"}
LOCKS = {"commit", "staging", "held", "maintenance", "_alone"}
FLAGS = {"O_NOFOLLOW": "a symlink is followed", "O_EXCL": "a file that is there is opened"}
MODES = {"FILE_MODE": 0o644, "FOLDER_MODE": 0o755}
MOVES = {
    "store/journal.py _apply": [
        (("gone =", "for path in gone"), "for target, source in"),
        (("_mark_applied",), "gone ="),
        (("_mark_applied",), "for target, source in"),
    ],
}  # fmt: skip
"""Steps that are moved further than over one other: which, and before which."""


def blocks(node: ast.AST) -> list[list[ast.stmt]]:
    """Every list of statements in a function, in a fixed order."""
    found = []
    for one in ast.walk(node):
        for field in ("body", "orelse", "finalbody"):
            block = getattr(one, field, None)
            if isinstance(block, list) and block and isinstance(block[0], ast.stmt):
                found.append(block)
    return found


def _called(node: ast.AST) -> str:
    """The bare name of what a call calls."""
    if not isinstance(node, ast.Call):
        return ""
    return getattr(node.func, "attr", getattr(node.func, "id", ""))


def told(node: ast.AST) -> str:
    """The first line of a statement, short enough for a list."""
    line = ast.unparse(node).splitlines()[0]
    return line if len(line) <= 60 else line[:59] + "…"


def dropped(function: ast.FunctionDef) -> Changes:
    """Each sync, flock and recovery that stands as a statement, left out."""
    for place, block in enumerate(blocks(function)):
        for at, statement in enumerate(block):
            called = _called(statement.value) if isinstance(statement, ast.Expr) else ""
            if called in SYNCS | WAITS:

                def drop(inner: ast.FunctionDef, place: int = place, at: int = at) -> None:
                    blocks(inner)[place][at] = ast.Pass()

                yield f"without `{told(statement)}`", drop


def _withs(function: ast.AST) -> list[ast.With]:
    return [one for one in ast.walk(function) if isinstance(one, ast.With)]


def unlocked(function: ast.FunctionDef) -> Changes:
    """Each lock not taken; each exclusive one shared."""
    for place, block in enumerate(_withs(function)):
        for at, item in enumerate(block.items):
            called = item.context_expr
            if _called(called) in LOCKS and item.optional_vars is None:

                def unlock(inner: ast.FunctionDef, place: int = place, at: int = at) -> None:
                    _withs(inner)[place].items[at].context_expr = ast.parse(
                        "__import__('contextlib').nullcontext()", mode="eval"
                    ).body

                yield f"without the lock `{told(called)}`", unlock
    for place, expression in enumerate(_attributes(function, "LOCK_EX")):

        def share(inner: ast.FunctionDef, place: int = place) -> None:
            _attributes(inner, "LOCK_EX")[place].attr = "LOCK_SH"

        yield f"with a shared lock `{told(expression)}`", share
    for place, call in enumerate(_entered(function)):

        def let(inner: ast.FunctionDef, place: int = place) -> None:
            _entered(inner)[place].args[0] = ast.parse("__import__('contextlib').nullcontext()", mode="eval").body

        yield f"without the lock `{told(call.args[0])}`", let


def _attributes(node: ast.AST, name: str) -> list[ast.Attribute]:
    return [one for one in ast.walk(node) if isinstance(one, ast.Attribute) and one.attr == name]


def _entered(node: ast.AST) -> list[ast.Call]:
    """Locks that an ExitStack takes."""
    calls = (one for one in ast.walk(node) if _called(one) == "enter_context")
    return [one for one in calls if isinstance(one, ast.Call) and ast.unparse(one.args[0]).startswith("locks.")]


def loosened(function: ast.FunctionDef) -> Changes:
    """Flags of `open` left out, modes widened, inside a function."""
    for flag in FLAGS:
        for place, expression in enumerate(_attributes(function, flag)):

            def loose(inner: ast.FunctionDef, flag: str = flag, place: int = place) -> None:
                _attributes(inner, flag)[place].attr = "O_RDONLY"

            yield f"without {told(expression)}", loose
    for mode, wide in MODES.items():
        for place, expression in enumerate(_modes(function, mode)):

            def widen(inner: ast.FunctionDef, mode: str = mode, place: int = place, wide: int = wide) -> None:
                _replace(inner, _modes(inner, mode)[place], ast.Constant(wide))

            yield f"{oct(wide)} for {told(expression)}", widen


def _modes(node: ast.AST, name: str) -> list[ast.expr]:
    found = (one for one in ast.walk(node) if isinstance(one, (ast.Attribute, ast.Name)))
    return [one for one in found if getattr(one, "attr", getattr(one, "id", "")) == name]


def _replace(tree: ast.AST, old: ast.AST, new: ast.AST) -> None:
    for node in ast.walk(tree):
        for field, value in ast.iter_fields(node):
            if value is old:
                setattr(node, field, new)
            elif isinstance(value, list) and any(one is old for one in value):
                setattr(node, field, [new if one is old else one for one in value])


def constants(tree: ast.Module) -> Iterator[tuple[str, Callable[[ast.Module], None]]]:
    """Flags and modes that are constants of the module."""
    for number, statement in enumerate(tree.body):
        if not isinstance(statement, ast.Assign):
            continue
        for flag in FLAGS:
            if _attributes(statement, flag):

                def loose(whole: ast.Module, number: int = number, flag: str = flag) -> None:
                    _attributes(whole.body[number], flag)[0].attr = "O_RDONLY"

                yield f"{told(statement.targets[0])} without os.{flag}", loose
        values = [one for one in ast.walk(statement.value) if isinstance(one, ast.Constant)]
        for place, one in enumerate(values):
            if one.value in (0o600, 0o700):

                def widen(whole: ast.Module, number: int = number, place: int = place) -> None:
                    assert isinstance(whole.body[number], ast.Assign)
                    held = [x for x in ast.walk(whole.body[number].value) if isinstance(x, ast.Constant)]
                    held[place].value |= 0o055 if held[place].value == 0o700 else 0o044

                yield f"{told(statement.targets[0])} with {oct(one.value)} widened", widen


def unchecked(function: ast.FunctionDef) -> Changes:
    """Each look under a lock that ends or repeats the work, left out; and each guarded removal, unguarded."""
    for place, test in enumerate(_checks(function)):

        def skip(inner: ast.FunctionDef, place: int = place) -> None:
            _checks(inner)[place].test = ast.Constant(value=False)

        yield f"never `{told(test)}`", skip
    for place, test in enumerate(_guards(function)):

        def always(inner: ast.FunctionDef, place: int = place) -> None:
            _unguard(inner, _guards(inner)[place])

        yield f"whatever `{told(test)}`", always


def _checks(function: ast.AST) -> list[ast.If]:
    """The `if`s under a lock whose body leaves: `raise`, `return`, `continue`."""
    held = [one for one in _withs(function) if any(_called(item.context_expr) in LOCKS for item in one.items)]
    found = [test for one in held for test in ast.walk(one) if isinstance(test, ast.If)]
    leaving = (ast.Raise, ast.Return, ast.Continue)
    return list(dict.fromkeys(test for test in found if any(isinstance(x, leaving) for x in test.body)))


def _guards(function: ast.AST) -> list[ast.If]:
    """The `if`s that decide whether a folder is removed."""
    tests = (one for one in ast.walk(function) if isinstance(one, ast.If) and not one.orelse)
    return [one for one in tests if any(_called(call) == "rmtree" for call in ast.walk(one))]


def _unguard(function: ast.AST, test: ast.If) -> None:
    """Let the last statement of an `if` stand behind it."""
    for block in blocks(function):
        if any(one is test for one in block):
            at = next(number for number, one in enumerate(block) if one is test)
            block.insert(at + 1, test.body.pop())
            test.body = test.body or [ast.Pass()]


def moved(where: str, function: ast.FunctionDef) -> Changes:
    """Steps moved far, as `MOVES` has it."""
    for steps, before in MOVES.get(where, ()):

        def move(inner: ast.FunctionDef, steps: tuple[str, ...] = steps, before: str = before) -> None:
            taken = [one for one in inner.body if ast.unparse(one).startswith(steps)]
            assert len(taken) == len(steps), steps
            left = [one for one in inner.body if one not in taken]
            at = next(number for number, one in enumerate(left) if ast.unparse(one).startswith(before))
            inner.body[:] = [*left[:at], *taken, *left[at:]]

        yield f"all of `{steps[-1]}` before `{before}`", move
