"""Runs the suites against each mutant, cheapest first, until one is red; `python mutant_runs.py` writes docs/mutants.md.

A process imports everything once and forks a child for each mutant, which gets the code of one function put in place of
what is imported, runs the checks of its file, and says which was the first to fail.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import resource
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

TESTS = Path(__file__).parent.parent
if __name__ == "__main__":
    sys.path[:0] = [str(TESTS), str(TESTS / "torture")]

import mutant_list  # noqa: E402 - found by the lines above
import watched  # noqa: E402
from mutant_checks import checks  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import CodeType, ModuleType

    from mutants import Mutant

_WHEN = {
    "test_each_step": {},
    "test_after_a_crash": {"left": True},
    "test_when_another_dies_meanwhile": {"died": True},
}
_SECONDS = 180  # a child that takes longer will never end


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a mutant: the first check that failed, and what it said; none if it survives."""

    mutant: Mutant
    caught: str
    says: str = ""


def fates(some: Iterable[Mutant], known: dict[str, str] | None = None) -> Iterator[Fate]:
    """Yield what becomes of each mutant; what is `known` to catch one is tried first, and all else where it does not."""
    watched.bases()
    for one in some:
        first = (known or {}).get(one.name, "")
        told = _tried(one, [first]) if "::" in first else ""
        caught, _, says = (told or _tried(one, checks(one.file))).partition("\n")
        yield Fate(one, caught, says)


def _tried(mutant: Mutant, some: list[str]) -> str:
    """The first of these checks that fails upon a mutant, and what it says, in two lines; empty if none does."""
    assert _in_a_child(lambda: _built(some)) == "built", "evlog itself fails"
    return _in_a_child(lambda: _first_red(mutant, some))


def _built(some: list[str]) -> str:
    """Build the homes that checks begin with, as long as nothing is wrong with evlog."""
    for check in some:
        if check.startswith("test_watched.py"):
            test, _, name = check.partition("::")[2].removesuffix("]").partition("[")
            watched.base(name, left=_WHEN[test].get("left", False))
    return "built"


def _first_red(mutant: Mutant, some: list[str]) -> str:
    try:
        put_in_place(mutant)
    except SyntaxError as error:
        return f"it does not compile\n{error.msg}"
    for check in some:
        if says := _failure(check):
            return f"{check}\n{says}" if "::" in check else f"{says}\n{check}"
    return ""


def _failure(check: str) -> str:
    """What a check says that fails; empty if it does not."""
    file, _, test = check.partition("::")
    if file == "test_watched.py":
        name = test.partition("[")[2].removesuffix("]")
        try:
            return "; ".join(watched.faults(name, **_WHEN[test.partition("[")[0]])[:2]).replace("\n", " ")
        except Exception as error:  # noqa: BLE001 - whatever a mutant does
            return f"{type(error).__name__}: {error}".replace("\n", " ") or "error"
    return _by_pytest(check)


def _by_pytest(check: str) -> str:
    """What fails in a file of tests, or a single test; empty if nothing does."""
    import pytest

    failed: list[str] = []

    class Hears:
        def pytest_runtest_logreport(self, report: Any) -> None:
            if report.failed:
                failed.append(report.nodeid.rpartition("/")[2])

    file, _, test = check.partition("::")
    path = next(one for one in (TESTS / "torture" / file, TESTS / file) if one.exists())
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        pytest.main(
            [
                "-x",
                "-q",
                "-p",
                "no:cacheprovider",
                "--no-header",
                "--hypothesis-seed=0",
                f"{path}{'::' if test else ''}{test}",
            ],
            plugins=[Hears()],
        )
    return failed[0] if failed else ""


def put_in_place(mutant: Mutant) -> None:
    """Let the imported module do what the mutant does."""
    name = "evlog." + mutant.file.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
    module = importlib.import_module(name)
    code = compile(mutant.source, str(module.__file__), "exec", dont_inherit=True)
    if mutant.function == "constants":
        _reset(module, code)
        return
    scratch: dict[str, Any] = {"__name__": name, "__file__": module.__file__}
    exec(code, scratch)
    old, new = _function(vars(module), mutant.function), _function(scratch, mutant.function)
    old.__code__ = new.__code__


def _function(names: dict[str, Any], path: str) -> Any:
    """The function of this name, out of what wraps it."""
    owner, _, name = path.rpartition(".")
    found = vars(names[owner])[name] if owner else names[name]
    found = getattr(found, "fget", None) or getattr(found, "__func__", None) or found
    while hasattr(found, "__wrapped__"):
        found = found.__wrapped__
    return found


def _reset(module: ModuleType, code: CodeType) -> None:
    """Give constants of a module their new values, wherever they were imported."""
    scratch: dict[str, Any] = {"__name__": module.__name__, "__file__": module.__file__}
    exec(code, scratch)
    for name, value in scratch.items():
        if isinstance(value, int) and name.strip("_").isupper() and value != getattr(module, name):
            for one in [one for key, one in sys.modules.items() if key.startswith("evlog.")]:
                if one is module or (not name.startswith("_") and hasattr(one, name)):
                    setattr(one, name, value)


def _in_a_child(work: Callable[[], str]) -> str:
    """What `work` returns in a child of its own; that it never ended, or how it died."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        os.close(ours)
        signal.alarm(_SECONDS)
        resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
        try:
            os.write(theirs, (work() or "").encode(errors="replace")[:4000])
        finally:
            os._exit(0)
    os.close(theirs)
    with os.fdopen(ours, "rb") as file:
        told = file.read().decode(errors="replace")
    _, status = os.waitpid(pid, 0)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    return f"it never ends\n{signal.Signals(status).name}" if os.WIFSIGNALED(status) else told


def main(words: list[str]) -> None:
    """Run mutants, print a line of JSON for each, and write the list.

    With `ONE_IN FIRST` a share, and no list; with `caught` behind that, a share of those that the list says are caught.
    """
    todo, listed = mutant_list.to_run(), mutant_list.known()
    if "caught" in words:
        todo = [one for one in todo if listed.get(one.name, "").startswith("test_watched.py::")]
    chosen = todo[int(words[1]) :: int(words[0])] if words else todo
    found: dict[str, str] = {}
    for fate in fates(chosen, listed):
        found[fate.mutant.name] = fate.caught
        print(json.dumps([fate.mutant.name, fate.caught, fate.says]), flush=True)
    if not words:
        mutant_list.write(found)


if __name__ == "__main__":
    main(sys.argv[1:])
