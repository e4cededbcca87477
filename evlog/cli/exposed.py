"""Numbers for a monitor, to stdout or into the folder that its exporter reads."""

from __future__ import annotations

import os
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from evlog.cli.call import Call
    from evlog.cli.printing import Shape
    from evlog.render.prometheus import Family

FORMAT = "prometheus"
_READABLE = 0o644  # the exporter is another user; no number here is about a person


def emit(call: Call, families: Iterable[Family], shape: Shape) -> None:
    """Print the families; a file is written whole, and a new one may be read by everybody."""
    from evlog.render import prometheus
    from evlog.render.output import written_whole

    data = prometheus.text(families)
    if shape.output is None:
        call.out.octets(data, shape)
        return
    path = Path(shape.output)
    new = not path.exists()
    with written_whole(path) as file:
        file.write(data)
        if new:
            os.fchmod(file.fileno(), _READABLE)


def seconds(moment: datetime | None) -> float | None:
    """An instant (naive UTC) as Prometheus counts time."""
    return None if moment is None else moment.replace(tzinfo=UTC).timestamp()
