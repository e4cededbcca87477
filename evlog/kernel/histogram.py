"""How many times to convert lie between fixed edges (metrics §7.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from evlog.kernel.rules import FOREVER

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]

_SECOND = 1_000_000
EDGES = tuple(seconds * _SECOND for seconds in (10, 60, 600, 3_600, 86_400, 259_200, 604_800))


def histogram(times: Ints, window: int = FOREVER) -> list[tuple[int | None, int]]:
    """Upper edges with the number of times above the edge before and not above this one; the last edge is the window.

    Edges beyond the window are left out; without a window the last stretch is open: its edge is None. Microseconds.
    """
    edges = [edge for edge in EDGES if edge < window]
    counts = np.bincount(np.searchsorted(edges, times, side="left"), minlength=len(edges) + 1).tolist()
    return list(zip([*edges, None if window >= FOREVER else window], counts, strict=True))
