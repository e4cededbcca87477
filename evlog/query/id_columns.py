"""Which columns of a SELECT hold ids: those called so, if no id comes out under another name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from evlog.engine import TooDeep, connect
from evlog.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = ("user_id", "anonymous_id", "session_id", "person")

_ID = re.compile(rf"(?:{'|'.join(NAMES)})(?:_\d+)?", re.IGNORECASE)
_TELLS_NO_ID = {"count", "count_star", "count_if", "approx_count_distinct", "length", "strlen"}
_TRUTHS = ("COMPARE_", "CONJUNCTION_", "OPERATOR_IS_", "OPERATOR_NOT")  # what is true or false is no id
_ASKS = {"EXISTS", "NOT_EXISTS", "ANY"}  # subqueries that are true or false
_NOT_SHOWN = {"filter", "filter_expr", "order_bys", "orders", "partitions", "when_expr"}  # parts that choose, and order
_SOURCES = {"BASE_TABLE", "SUBQUERY", "JOIN", "EMPTY", "EXPRESSION_LIST"}
_ROLLUPS = "rollups"
_NUMBERS = {"range", "generate_series"}
_HINT = "name what holds an id user_id, anonymous_id or session_id, in every part of the statement"

Node = dict[str, Any]


def is_id(name: str) -> bool:
    """Whether a column is called as ids are; the second of a name bears a number."""
    return _ID.fullmatch(name) is not None


def vet(text: str) -> None:
    """Return if every id that the SELECT shows stands in a column that is called so; else UsageError."""
    with connect() as engine:
        tree = engine.tree(text)
    if tree["error"]:
        raise _unclear("only a SELECT says which of its columns hold ids")
    try:
        _vet_tree(tree)
    except RecursionError:
        raise TooDeep from None


def _vet_tree(tree: Node) -> None:
    tables = {name for node in _nodes(tree) for name in _table_names(node)}
    if _ROLLUPS in tables:
        raise _unclear("rollups hold values of any column, which may be ids")
    for node in _nodes(tree):
        _vet_source(node)
        if "select_list" in node:
            for item in node["select_list"]:
                _vet_item(item, tables)
        if node.get("type") in {"SET_OPERATION_NODE", "RECURSIVE_CTE_NODE"}:
            _vet_set(node)


def _vet_source(node: Node) -> None:
    """Refuse what gives rows or columns in a way that hides which of them are ids."""
    if node.get("aliases") or node.get("column_name_alias"):
        raise _unclear("a list of new names for columns hides which of them are ids")
    source = node.get("from_table")
    for table in _tables(source) if isinstance(source, dict) else ():
        kind = table.get("type")
        described = kind == "SHOW_REF" and table.get("show_type") == "DESCRIBE"
        numbers = kind == "TABLE_FUNCTION" and table.get("function", {}).get("function_name") in _NUMBERS
        if kind not in _SOURCES and not described and not numbers:
            raise _unclear(f"{str(kind).replace('_', ' ').lower()} hides which columns hold ids")


def _tables(source: Node) -> Iterator[Node]:
    yield source
    for side in ("left", "right"):
        if isinstance(source.get(side), dict):
            yield from _tables(source[side])


def _vet_item(item: Node, tables: set[str]) -> None:
    """Refuse a column that shows an id and is not called so."""
    if item.get("class") == "STAR":
        if any(is_id(_renamed(one)) for one in item["rename_list"]):
            raise _unclear("an id is given another name")
        for one in item["replace_list"]:
            _vet_item({**one["value"], "alias": one["key"]}, tables)
        return
    name = item.get("alias") or (item["column_names"][-1] if item.get("class") == "COLUMN_REF" else "")
    if not is_id(name) and _shows_id(item, tables):
        raise _unclear(f"column {name} shows an id, or may" if name else "a column without a name shows an id, or may")


def _renamed(one: Node) -> str:
    return str(one["key"]["column"])


def _shows_id(item: Any, tables: set[str]) -> bool:
    """Whether the value of an expression may be an id, or be made of one."""
    if isinstance(item, list):
        return any(_shows_id(inner, tables) for inner in item)
    if not isinstance(item, dict) or _tells_no_id(item):
        return False
    names = item.get("column_names", [])
    if item.get("class") == "STAR" or any(map(is_id, names)) or (len(names) == 1 and names[0].lower() in tables):
        return True
    return any(_shows_id(inner, tables) for part, inner in item.items() if part not in _NOT_SHOWN)


def _tells_no_id(item: Node) -> bool:
    """Whether an expression is a number of things, or true or false, whatever it is about."""
    counts = str(item.get("function_name", "")).lower() in _TELLS_NO_ID
    return counts or str(item.get("type", "")).startswith(_TRUTHS) or item.get("subquery_type") in _ASKS


def _vet_set(node: Node) -> None:
    """Refuse rows put together of several SELECTs where ids do not stand in the same places."""
    parts = [part["select_list"] for part in node.get("children", [node.get("left"), node.get("right")])
             if isinstance(part, dict) and "select_list" in part]  # fmt: skip
    named = [[item.get("alias") or (item.get("column_names") or [""])[-1] for item in part] for part in parts]
    held = [[name.lower() if is_id(name) else "" for name in names] for names in named]
    stars = any(item.get("class") == "STAR" for part in parts for item in part)
    if stars or any(one != held[0] for one in held):
        raise _unclear("the SELECTs put together do not have their ids in the same columns")


def _nodes(tree: Any) -> Iterator[Node]:
    """Every object of the parse tree."""
    if isinstance(tree, dict):
        yield tree
    for inner in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from _nodes(inner)


def _table_names(node: Node) -> Iterator[str]:
    """What a row of a table may be called as a whole."""
    if "table_name" in node or node.get("type") in _SOURCES:
        yield from (str(node[part]).lower() for part in ("alias", "table_name") if node.get(part))


def _unclear(why: str) -> UsageError:
    return UsageError(f"--pseudonymise: {why}", hint=_HINT)
