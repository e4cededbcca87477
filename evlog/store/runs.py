"""A summary line per run, of jobs that somebody watches: `runs/rollup.log`, `runs/ingest.log`.

The one kind of file that is appended to. A line is one write; a line that was torn by a crash is skipped when read.
What a run did is in the store already: nothing is derived from these lines but what `check` tells. No id, no file name.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal

import orjson

from evlog.store import durable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from evlog.store.layout import Store

Job = Literal["ingest", "rollup"]
_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND


def append(store: Store, job: Job, line: Mapping[str, Any]) -> None:
    """Append one line (JSON values; instants naive UTC); synced."""
    path = store.runs / f"{job}.log"
    whole = orjson.dumps(dict(line), option=orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z) + b"\n"
    with durable.told_once("write", path):
        is_new = not durable.is_there(path)
        fd = durable.writing(path, _APPEND)
        try:
            os.write(fd, whole)
            os.fsync(fd)
        finally:
            os.close(fd)
    if is_new:
        durable.sync_folder(store.runs)


def read(store: Store, job: Job) -> Iterator[dict[str, Any]]:
    """Yield the lines of a job, oldest first."""
    try:
        raw = durable.read(store.runs / f"{job}.log")
    except FileNotFoundError:
        return
    for line in raw.splitlines():
        try:
            yield orjson.loads(line)
        except ValueError:
            continue  # torn by a crash
