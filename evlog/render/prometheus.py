"""Numbers as Prometheus reads them: its text exposition format 0.0.4."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Sample:
    """A value with its labels; None: there is none, and nothing is written."""

    value: float | None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Family:
    """The samples of one name, and what they are."""

    name: str
    help: str
    samples: tuple[Sample, ...]
    kind: Literal["gauge", "counter"] = "gauge"


def text(families: Iterable[Family]) -> bytes:
    """The families in their order; one without a value is left out whole."""
    return "".join(line for family in families for line in _lines(family)).encode("utf-8", "backslashreplace")


def _lines(family: Family) -> Iterator[str]:
    told = [sample for sample in family.samples if sample.value is not None]
    if told:
        yield f"# HELP {family.name} {_escaped(family.help)}\n"
        yield f"# TYPE {family.name} {family.kind}\n"
    for sample in told:
        assert sample.value is not None
        yield f"{family.name}{_labels(sample.labels)} {_number(sample.value)}\n"


def _labels(labels: Mapping[str, str]) -> str:
    inner = ",".join(f"{name}={_quoted(value)}" for name, value in labels.items())
    return f"{{{inner}}}" if inner else ""


def _quoted(value: str) -> str:
    return '"' + _escaped(value).replace('"', '\\"') + '"'


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n")


def _number(value: float) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if isinstance(value, bool) else repr(value)
