"""Frozen dataclasses with slots whose making costs next to nothing, for what a quick answer imports.

The standard decorator writes six functions for each class and compiles them: 0.4 ms a class, and 7 ms for the modules
it needs for that. A report that rollups answer takes 15 ms beside its imports, and has some thirty such classes.

A type checker takes them for the standard ones. So does `dataclasses` itself: its `replace`, `fields`, `asdict` work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from dataclasses import dataclass, field, replace

__all__ = ["dataclass", "field", "replace"]

_MISSING: Any = object()


class _Field:
    """What is said of a field beside its name: what makes its default, and whether `repr` tells it."""

    def __init__(
        self,
        *,
        default_factory: Callable[[], Any] = _MISSING,
        default: Any = _MISSING,
        repr: bool = True,  # noqa: A002 - as the standard has it
    ) -> None:
        self.factory, self.default, self.shown = default_factory, default, repr


class _Fields:
    """The fields as `dataclasses` knows them, made by it when it asks."""

    def __init__(self, said: Mapping[str, _Field]) -> None:
        self._said = said

    def __get__(self, _record: object, owner: type) -> Any:
        import dataclasses  # 7 ms

        kinds = {"factory": "default_factory", "default": "default"}
        more = {
            name: dataclasses.field(
                repr=one.shown,
                **{key: getattr(one, own) for own, key in kinds.items() if getattr(one, own) is not _MISSING},
            )
            for name, one in self._said.items()
        }
        twin = type(owner.__name__, (), {"__annotations__": owner.__annotations__, **more})
        return dataclasses.dataclass(frozen=True)(twin).__dataclass_fields__  # type: ignore[attr-defined]


def _dataclass(*, frozen: bool, slots: bool, order: bool = False) -> Callable[[type], type]:
    """A decorator that makes a class with annotations a frozen dataclass with slots; it makes no others."""
    assert frozen
    assert slots
    return lambda cls: _made(cls, order=order)


def _made(cls: type, *, order: bool) -> type:
    own = dict(cls.__dict__)
    names = tuple(own.get("__annotations__", ()))
    said = {name: _told(own.pop(name, _MISSING)) for name in names}
    for unwanted in ("__dict__", "__weakref__"):
        own.pop(unwanted, None)
    body = {**_METHODS, **(_ORDER if order else {}), **own}
    body |= {"__slots__": names, "__match_args__": names, "__dataclass_fields__": _Fields(said)}
    body["_shown"] = tuple(name for name in names if said[name].shown)
    made = type(cls)(cls.__name__, cls.__bases__, body)
    made.__init__ = _initial(made, said)  # type: ignore[misc]
    return made


def _told(default: Any) -> _Field:
    return default if isinstance(default, _Field) else _Field(default=default)


def _initial(made: type, said: Mapping[str, _Field]) -> Callable[..., None]:
    """The `__init__` of a class."""
    puts = tuple(made.__dict__[name].__set__ for name in said)  # a slot's own way of writing passes `__setattr__` by
    rests = _rests(said)

    def __init__(self: Any, *values: Any, **named: Any) -> None:  # noqa: N807 - it is one
        if named or len(values) not in rests:
            values = _arranged(type(self).__name__, said, values, named)
        else:
            values += rests[len(values)]
        for put, value in zip(puts, values, strict=True):
            put(self, value)

    return __init__


def _rests(said: Mapping[str, _Field]) -> dict[int, tuple[Any, ...]]:
    """What follows so many values where the rest are plain defaults: looked up, it need not be arranged."""
    found, rest = {len(said): ()}, list[Any]()
    for place, one in reversed(list(enumerate(said.values()))):
        if one.default is _MISSING:
            break
        rest.insert(0, one.default)
        found[place] = tuple(rest)
    return found


def _arranged(cls: str, said: Mapping[str, _Field], values: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, ...]:
    """The value of each field; TypeError where one is missing, unknown or given twice."""
    if len(values) > len(said):
        raise TypeError(f"{cls} takes {len(said)} values, not {len(values)}")
    given = dict(zip(said, values, strict=False))
    for name, value in named.items():
        if name in given or name not in said:
            raise TypeError(f"{cls} is given {name!r} twice" if name in given else f"{cls} has no {name!r}")
        given[name] = value
    return tuple(given[name] if name in given else _default(cls, name, one) for name, one in said.items())


def _default(cls: str, name: str, one: _Field) -> Any:
    if one.factory is not _MISSING:
        return one.factory()
    if one.default is _MISSING:
        raise TypeError(f"{cls} is given no {name!r}")
    return one.default


def _values(record: Any) -> tuple[Any, ...]:
    return tuple(getattr(record, name) for name in record.__match_args__)


def _repr(self: Any) -> str:
    told = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._shown)
    return f"{type(self).__qualname__}({told})"


def _eq(self: Any, other: object) -> Any:
    return _values(self) == _values(other) if type(other) is type(self) else NotImplemented


def _hash(self: Any) -> int:
    return hash(_values(self))


def _refused(_self: Any, name: str, _value: object = None) -> NoReturn:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _reduce(self: Any) -> tuple[type, tuple[Any, ...]]:
    return type(self), _values(self)


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, object], Any]:
    return lambda self, other: compare(_values(self), _values(other)) if type(other) is type(self) else NotImplemented


_METHODS: dict[str, Any] = {
    "__repr__": _repr,
    "__eq__": _eq,
    "__hash__": _hash,
    "__setattr__": _refused,
    "__delattr__": _refused,
    "__reduce__": _reduce,
}
_ORDER: dict[str, Any] = {
    "__lt__": _ordered(lambda one, other: one < other),
    "__le__": _ordered(lambda one, other: one <= other),
    "__gt__": _ordered(lambda one, other: one > other),
    "__ge__": _ordered(lambda one, other: one >= other),
}


def _replace(record: Any, /, **changes: Any) -> Any:
    """The record with other values for some of its fields."""
    return type(record)(**{name: getattr(record, name) for name in record.__match_args__} | changes)


if not TYPE_CHECKING:
    dataclass, field, replace = _dataclass, _Field, _replace
