"""The quarantine: lines that were refused, with their reasons, in immutable files beside their index of hashes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evlog.errors import StoreDamaged
from evlog.frozen import dataclass
from evlog.store import durable
from evlog.store.layout import segment_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from evlog.store.layout import SegmentName, Store

SUFFIX = ".rejects"


@dataclass(frozen=True, slots=True)
class Rejected:
    """One line in quarantine, as it was recorded."""

    body: dict[str, Any]

    @property
    def id(self) -> str:
        """What names it: a hash of the line."""
        return str(self.body["id"])

    @property
    def code(self) -> str:
        """The reason code."""
        return str(self.body["code"])

    @property
    def whole(self) -> bool:
        """Whether the line is kept as it came, so that it can be replayed."""
        return bool(self.body["whole"])

    @property
    def raw(self) -> bytes:
        """The line as it came (or what was kept of it)."""
        if "raw_base64" in self.body:
            import base64

            return base64.b64decode(self.body["raw_base64"])
        return str(self.body["raw"]).encode("utf-8", "surrogatepass")

    @property
    def says(self) -> str:
        """What is wrong with it, in words."""
        return "; ".join(str(problem["says"]) for problem in self.body["problems"])


@dataclass(frozen=True, slots=True)
class File:
    """A file of rejects: those of one batch."""

    name: SegmentName
    path: Path

    def read(self) -> Iterator[Rejected]:
        """The rejects in it, in the order they came; nothing if the file has gone meanwhile."""
        try:
            data = durable.read(self.path)
        except FileNotFoundError:
            return
        import orjson  # 10 ms: whoever looks whether there are any needs none of it

        for number, line in enumerate(data.splitlines(), 1):
            try:
                found = Rejected(_checked(orjson.loads(line)))
            except (ValueError, KeyError, TypeError) as error:
                raise StoreDamaged(f"{self.path} line {number} is not a reject") from error
            yield found


def _checked(body: dict[str, Any]) -> dict[str, Any]:
    """The same, if it says all that a reject says; a ValueError, KeyError or TypeError if not."""
    texts = [body[name] for name in ("id", "received_at", "source", "code")]
    texts += [problem["says"] for problem in body["problems"]]
    texts += [] if body["day"] is None else [body["day"]]
    if "raw_base64" in body:
        import base64

        base64.b64decode(body["raw_base64"])
    else:
        texts.append(body["raw"])
    numbers = (body["line"], body["offset"])
    if not (all(isinstance(text, str) for text in texts) and all(type(number) is int for number in numbers)):
        raise TypeError(body)
    if not isinstance(body["whole"], bool):
        raise TypeError(body)
    return body


def files(store: Store) -> list[File]:
    """The files of rejects, oldest first."""
    names = durable.files(store.quarantine, SUFFIX)
    return [File(name, store.quarantine / file) for file in names if (name := segment_name(file)) is not None]


def rejects(store: Store, *, code: str | None = None) -> Iterator[Rejected]:
    """Every line in quarantine, oldest first; of one reason if `code` is given."""
    for file in files(store):
        for found in file.read():
            if code is None or found.code == code:
                yield found


def record(body: dict[str, Any]) -> bytes:
    """A reject as a line of quarantine."""
    import orjson

    return orjson.dumps(body) + b"\n"
