"""How a table may look: what the command line found out about where it goes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The marks that tables are drawn with."""

    null: str
    warn: str
    dot: str  # between the facts of a line
    rule: str  # under the header
    bars: str  # from the thinnest to the full block
    sparks: str  # from the lowest to the highest


UNICODE = Glyphs(null="–", warn="⚠", dot=" · ", rule="─", bars="▏▎▍▌▋▊▉█", sparks="▁▂▃▄▅▆▇█")  # noqa: RUF001 - a dash
ASCII = Glyphs(null="-", warn="!", dot=" | ", rule="-", bars="#", sparks="_.:-=+*#")


@dataclass(frozen=True, slots=True)
class Style:
    """Where a table goes: `width` columns of a terminal, or None for a pipe, where nothing is cut or folded."""

    width: int | None = None
    colour: bool = False
    encoding: str = "utf-8"
    ascii_only: bool = False

    @property
    def glyphs(self) -> Glyphs:
        """Return marks that the encoding can carry."""
        unicode = self.encoding.lower().replace("-", "").replace("_", "") == "utf8" and not self.ascii_only
        return UNICODE if unicode else ASCII
