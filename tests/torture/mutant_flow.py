"""What two steps have to do with each other: whether they can be swapped at all, and whether that would change anything."""

from __future__ import annotations

import ast

_PURE = {
    "len", "str", "int", "bytes", "bool", "sorted", "tuple", "set", "dict", "list", "frozenset", "max", "min", "sum", "any",
    "all", "zip", "enumerate", "range", "map", "filter", "next", "iter", "isinstance", "memoryview", "bytearray", "reversed",
    "replace", "dumps", "loads", "sha256", "hexdigest", "encode", "decode", "startswith", "endswith", "partition",
    "rpartition", "split", "join", "removesuffix", "removeprefix", "items", "values", "keys", "union", "fromkeys",
    "is_relative_to", "with_name", "with_suffix", "relative_to", "isoformat", "strftime", "strptime", "monotonic", "uuid4",
    "urandom", "getpid", "now", "merged", "subject", "relative", "file", "segments", "ids", "part",
    "Record", "Staging", "Firsts", "Act", "Day", "Done", "Tombstones", "Receipt", "Rewrite", "Outcome", "Memory", "Entry",
    "Written", "Snapshot", "Waiting", "Point", "SegmentName", "received_text", "segment_name", "day_of", "wanted",
    "Told", "Said", "Closure", "content", "vet", "schema", "copy", "of_entries", "nullcontext", "defaultdict", "Counter",
    "superset", "issuperset", "digest", "realpath", "joinpath", "is_old", "bodies", "told", "line", "lines",
    "suppressed_file", "days_file", "users_file", "entries", "b2a", "Verified", "Finding", "Replayed", "_Asked",
}  # fmt: skip
"""Calls that touch no file, no lock and nothing that is shared."""

_CHANGERS = {"append", "add", "update", "extend", "insert", "setdefault", "clear", "popitem", "pop", "discard", "close"}
_LEAVING = (ast.Return, ast.Raise, ast.Continue, ast.Break, ast.Yield, ast.YieldFrom)
_FORM = (ast.FunctionDef, ast.Import, ast.ImportFrom, ast.Pass)


def _names(node: ast.AST, kind: type[ast.expr_context]) -> set[str]:
    """The names in a step; not those that only a comprehension binds."""
    inner = {
        id(one)
        for comprehension in ast.walk(node)
        if isinstance(comprehension, _INNER)
        for one in _bound(comprehension)
    }
    names = {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and id(one) in inner}
    found = (one for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, kind))
    return {one.id for one in found if id(one) not in inner and not (kind is ast.Load and one.id in names)}


_INNER = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def _bound(comprehension: ast.AST) -> list[ast.AST]:
    return [one for part in getattr(comprehension, "generators", ()) for one in ast.walk(part.target)]


def stored(node: ast.stmt) -> set[str]:
    """The local names that a step binds or changes in place."""
    found = _names(node, ast.Store)
    if isinstance(node, ast.FunctionDef):
        return {node.name}
    for one in ast.walk(node):
        if isinstance(one, (ast.Import, ast.ImportFrom)):
            found |= {alias.asname or alias.name.partition(".")[0] for alias in one.names}
        if isinstance(one, (ast.Attribute, ast.Subscript)) and isinstance(one.ctx, ast.Store):
            found.add(_root(one))
        if isinstance(one, ast.Call) and isinstance(one.func, ast.Attribute) and one.func.attr in _CHANGERS:
            found.add(_root(one.func.value))
    return found


def _root(node: ast.expr) -> str:
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def read(node: ast.stmt) -> set[str]:
    """The names that a step reads, those that it changes in place among them."""
    found = _names(node, ast.Load)
    return found | (
        {one.target.id for one in [node] if isinstance(one, ast.AugAssign) and isinstance(one.target, ast.Name)}
    )


def needs(function: ast.FunctionDef, first: ast.stmt, second: ast.stmt, arguments: set[str]) -> str:
    """Why `second` cannot stand before `first`: it reads a name that nothing else has bound; empty if it can."""
    inside = _names(second, ast.Store)  # loops and comprehensions bind names of their own
    wanted = (stored(first) & read(second)) - arguments - (inside - stored(first))
    binders = [
        one for one in ast.walk(function) if isinstance(one, ast.stmt) and one is not first and not _holds(one, first)
    ]
    others = {name for one in binders for name in _bound_by(one) if one is not second and not _holds(second, one)}
    bare = sorted(name for name in wanted if name not in others and name in _bound_by(first))
    return f"does not run: it reads `{bare[0]}`, which the other binds" if bare else ""


def _bound_by(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.FunctionDef):
        return {node.name}
    return _names(node, ast.Store) | {name for name in stored(node) if isinstance(node, (ast.Import, ast.ImportFrom))}


def _holds(outer: ast.AST, inner: ast.AST) -> bool:
    return outer is not inner and any(one is inner for one in ast.walk(outer))


def same(first: ast.stmt, second: ast.stmt) -> str:
    """Why the two steps the other way round do the same; empty if they may not."""
    if isinstance(first, ast.FunctionDef) and first.name not in read(second) and not _leaves(second):
        return "does the same: what one of the two defines, the other does not call"
    if isinstance(second, ast.FunctionDef) and not _leaves(first):
        return "does the same: what one of the two defines, the other does not call"
    if any(isinstance(one, _LEAVING) for step in (first, second) for one in ast.walk(step)):
        return ""
    if stored(first) & read(second) or stored(second) & read(first) or stored(first) & stored(second):
        return ""
    if pure(first) or pure(second):
        return "does the same: one of the two touches no file and no lock, and neither reads what the other sets"
    return ""


def _leaves(node: ast.stmt) -> bool:
    return any(isinstance(one, _LEAVING) for one in ast.walk(node))


def pure(node: ast.stmt) -> bool:
    """Whether a step touches no file, no lock, and nothing that others see."""
    if isinstance(node, _FORM):
        return True
    if isinstance(node, (ast.With, ast.Delete, ast.Global)):
        return False
    calls = [one for one in ast.walk(node) if isinstance(one, ast.Call)]
    names = [getattr(one.func, "attr", getattr(one.func, "id", "?")) for one in calls]
    ours = {
        _root(one.func.value) for one in calls if isinstance(one.func, ast.Attribute) and one.func.attr in _CHANGERS
    }
    shared = any(
        isinstance(one, (ast.Attribute, ast.Subscript)) and isinstance(one.ctx, ast.Store) for one in ast.walk(node)
    )
    return all(name in _PURE | _CHANGERS for name in names) and "self" not in ours and not shared


def idle(first: ast.stmt, second: ast.stmt) -> str:
    """Why a pair says nothing: an assertion or an import that holds wherever it stands."""
    return "does the same: an assertion" if any(isinstance(one, ast.Assert) for one in (first, second)) else ""
