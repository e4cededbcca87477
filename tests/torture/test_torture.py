"""The measure itself: a share is spread over all points, whatever it begins with."""

from __future__ import annotations

import torture


def test_a_share_reaches_every_point_for_some_salt() -> None:
    points = list(range(100))
    taken = [torture.share(points, 7, "x" * salt) for salt in range(7)]
    assert sorted(point for share in taken for point in share) == (points if not torture.ALL else sorted(points * 7))
