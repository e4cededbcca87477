"""Stores of any size, made from a seed straight to Parquet: what ingest and compact would have left of these events.

    python tests/benchmarks/stores.py --events 10000000 --days 365 --rollup

Parts, id indexes and commits are written by evlog's own functions, so that `evlog verify` holds; only the way there is
short. A store is made once and kept under the name of its shape and of the code that wrote it.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from datetime import timedelta
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))  # the folder that holds this package, whichever way this file is started

from benchmarks import people  # noqa: E402
from benchmarks.people import LAST_DAY, Day, Shape  # noqa: E402
from evlog.event.record import entry  # noqa: E402
from evlog.store import ids, journal, layout, locks, parts, tombstones  # noqa: E402
from evlog.store.layout import PART, PART_IDS, SEQ_BITS, Store  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from evlog.store.journal import Staging

EVLOG = Path(sys.executable).with_name("evlog")
AS_OF = str(LAST_DAY)
_AT_ONCE = 50  # days that one commit makes visible
_OWN = ("runs", "locks", "staging")  # folders whose files are written in place: a copy has its own


def made(room: Path, shape: Shape, *, rollup: bool = False) -> Path:
    """The store of a shape below `room`, made if it is not there yet; with `rollup`, all rollups are up to date."""
    root = room / f"store-{shape.events}-{shape.days}-{shape.seed}-{_code()}"
    if not root.exists():
        scratch = root.with_suffix(".making")
        shutil.rmtree(scratch, ignore_errors=True)
        fill(layout.create(scratch), people.days(shape))
        scratch.rename(root)
    if rollup:
        rolled_up(root)
    return root


def rolled_up(root: Path) -> None:
    """Bring the rollups of a store up to date; who asks for them must not measure the first time."""
    argv = [str(EVLOG), "--data", str(root), "rollup", "--as-of", AS_OF, "--quiet"]
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, env=clean_environment())


def log(room: Path, shape: Shape) -> Path:
    """The events of a shape as NDJSON in order of time, made if it is not there yet."""
    path = room / f"log-{shape.events}-{shape.days}-{shape.seed}-{_code()}.ndjson"
    if not path.exists():
        scratch = path.with_suffix(".making")
        with scratch.open("wb") as target:
            for day in people.days(shape):
                target.write("\n".join([*day.lines.to_pylist(), ""]).encode())
        scratch.rename(path)
    return path


def copied(root: Path, target: Path) -> Path:
    """The store `root` once more at `target`, in an instant: published files are never written to, so links will do."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(root, target, copy_function=os.link, ignore=shutil.ignore_patterns(*_OWN))
    for name in _OWN:
        if (root / name).exists():
            shutil.copytree(root / name, target / name)
    return target


def fill(store: Store, days: Iterable[Day]) -> None:
    """Put days of events into a store as parts, some to a commit; each has a batch of its own."""
    known, keys = tombstones.load(store), np.empty(0, np.int64)
    left = iter(days)
    while some := next(left, None):
        with journal.staging(store) as staged, locks.commit(store):
            journal.recover(store)
            before, batches = journal.newest(store), 0
            renames: list[tuple[str, str]] = []
            for day in chain([some], islice(left, _AT_ONCE - 1)):
                batches += 1
                more = (known.user_key(people.user(number)) for number in range(len(keys), int(day.who.max()) + 1))
                keys = np.concatenate([keys, np.fromiter(more, np.int64)])
                renames += _staged(staged, day, keys, batch=before + batches)
            staged.sync()
            journal.commit(staged, "compact", renames, batches=batches)


def _staged(staged: Staging, day: Day, keys: NDArray[np.int64], *, batch: int) -> list[tuple[str, str]]:
    """Stage the part of a day and its ids; what they will be called."""
    rows = len(day.who)
    received = np.datetime64(day.day + timedelta(days=1), "us").astype(np.int64)
    own = {
        "seq": pa.array((batch << SEQ_BITS) + np.arange(rows)),
        "user_key": pa.array(keys[day.who]),
        "received_at": pa.array(np.full(rows, received)).cast(pa.timestamp("us")),
    }
    columns = {**day.columns, **own}
    order = np.lexsort((np.arange(rows), keys[day.who]))  # as compaction sorts: user, then time, then arrival
    parts.write(staged.file(f"{batch}.part"), _batches(columns, rows, order), covers=batch)
    staged.adopt(f"{batch}.part")
    staged.write(f"{batch}.ids", ids.chunks(_ids(day)))
    return [
        (f"{batch}.ids", f"ids/{day.day}/{PART_IDS}"),
        (f"{batch}.part", f"parquet/date={day.day}/{PART}"),
    ]


def _batches(columns: dict[str, Any], rows: int, order: NDArray[np.intp]) -> list[Any]:
    """The columns of a part, in order, those that these events do not have empty; some rows at a time."""
    found = [columns.get(field.name, pa.nulls(rows, field.type)) for field in parts.schema()]
    table = pa.Table.from_arrays(found, schema=parts.schema()).take(pa.array(order))
    batches: list[Any] = table.to_batches(max_chunksize=parts.ROW_GROUP)
    return batches


def _ids(day: Day) -> ids.Ids:
    """The id index of a day."""
    event_ids, lines = day.columns["event_id"].to_pylist(), day.lines.cast(pa.binary()).to_pylist()
    return ids.arranged(ids.entries(b"".join(map(entry, event_ids, lines))))


def _code() -> str:
    """A few letters that change with the code that says what lies in such a store."""
    files = [HERE / "people.py", HERE / "stores.py", *(Path(module.__file__ or "") for module in (parts, ids, layout))]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:6]


def clean_environment() -> dict[str, str]:
    """The environment without settings of evlog's."""
    return {name: value for name, value in os.environ.items() if not name.startswith("EVLOG_")}


def main() -> None:
    """Make a store (and its log), and print where it lies."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--days", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rollup", action="store_true", help="with its rollups")
    parser.add_argument("--log", action="store_true", help="the same events as NDJSON too")
    parser.add_argument("--room", type=Path, default=HERE.parents[1] / "build" / "bench")
    asked = parser.parse_args()
    asked.room.mkdir(parents=True, exist_ok=True)
    shape = Shape(asked.events, asked.days, asked.seed)
    print(made(asked.room, shape, rollup=asked.rollup))
    if asked.log:
        print(log(asked.room, shape))


if __name__ == "__main__":
    main()
