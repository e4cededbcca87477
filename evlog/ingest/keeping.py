"""What the lanes share: which lines and times they may take, and how many events at once are kept on their days."""

from __future__ import annotations

import re
from io import BytesIO
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING

from xxhash import xxh3_64_digest, xxh3_128_digest

from evlog.event import times

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    import numpy as np
    from numpy.typing import NDArray

    from evlog.ingest.parsed import Parsed
    from evlog.ingest.rules import Moment
    from evlog.ingest.stamps import Stamps

    Places = NDArray[np.int64]

_HIDING = re.compile(rb"\\u00[0-7]")  # an ASCII character that is not spelt as itself


def is_plain(text: bytes) -> bool:
    """Whether no mail address is in `text`, and nothing that could hide one, or a quote or colon."""
    if b"@" in text or b"\x7f" in text:
        return False
    return b"\\" not in text or not _HIDING.search(text)


def in_time(moment: Moment, texts: list[str], days: Collection[str]) -> bool:
    """Whether all these times are well within the limits of the moment, and none of their days is purged."""
    oldest = max(times.OLDEST, moment.oldest or "")
    if not oldest[:10] < min(days) <= max(days) < moment.skewed_from[:10] and not (
        oldest <= min(texts) and max(texts) <= moment.skewed_from
    ):
        return False
    return not any(map(moment.tombstones.purged, days))


def tell(stamps: Stamps, out: Parsed) -> None:
    """Count the events with these times, and what was assumed of them."""
    out.tally.read += len(stamps.texts)
    out.tally.assumed_tz += stamps.assumed_tz
    out.tally.epoch += stamps.epoch


def keep(ids: list[str], stamps: Stamps, lines: bytes, places: Places, out: Parsed) -> None:
    """Keep events, each on its day: their ids, times and lines; `places`: where those begin, as their `seq` says."""
    if len(stamps.days) == 1:
        _keep_day(stamps.texts[0][:10], ids, lines, places, out)
        return
    rows: dict[str, list[int]] = {}
    for row, ts in enumerate(stamps.texts):
        rows.setdefault(ts[:10], []).append(row)
    told = BytesIO(lines).readlines()
    for name, mine in rows.items():
        _keep_day(name, [ids[row] for row in mine], b"".join([told[row] for row in mine]), places[mine], out)


def wait(texts: Iterable[str], lines: Iterable[bytes], places: Places, out: Parsed) -> None:
    """Let events without an id wait for one: their times, their lines without a `seq`, and where those begin."""
    for ts, line, place in zip(texts, lines, places.tolist(), strict=True):
        out.anonymous.append((ts[:10], place, line[:-1], place))


def _keep_day(name: str, ids: list[str], lines: bytes, places: Places, out: Parsed) -> None:
    """Keep events of one day: their lines, and the entries of their ids. The content ends where the seq begins."""
    cuts = [-len(f',"seq":{here}}}\n') for here in (places[0], places[-1])]
    told = BytesIO(lines).readlines()  # a quarter of what `split` takes
    contents: Iterable[bytes] = map(itemgetter(slice(cuts[0])), told)
    if cuts[0] != cuts[1]:
        contents = (line[: line.rindex(b',"seq":')] for line in told)
    names = map(xxh3_128_digest, [one.encode() for one in ids])
    hashes = map(xxh3_64_digest, contents)
    day = out.day(name)
    day.lines += lines
    day.ids += b"".join(chain.from_iterable(zip(names, hashes, strict=True)))
    day.origins.frombytes(places.tobytes())
