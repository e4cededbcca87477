"""How a table may look: what the command line found out about where it goes."""

from __future__ import annotations

from evlog.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The marks that tables are drawn with."""

    null: str
    warn: str
    dot: str  # between the facts of a line
    rule: str  # under the header
    bars: str  # from the thinnest to the full block
    sparks: str  # from the lowest to the highest
    marks: str  # one for each line of a chart
    shades: str  # from the lightest to the darkest
    axes: str  # of a chart: upright, with a tick, corner, level, with a tick
    blank: str  # a cell that is not known yet
    cut: str  # where text was too long


UNICODE = Glyphs(
    null="–",  # noqa: RUF001 - a dash
    warn="⚠",
    dot=" · ",
    rule="─",
    bars="▏▎▍▌▋▊▉█",
    sparks="▁▂▃▄▅▆▇█",
    marks="●▲■◆○△□◇",
    shades="░▒▓█",
    axes="│┤└─┬",
    blank="·",
    cut="…",
)
ASCII = Glyphs(
    null="-",
    warn="!",
    dot=" | ",
    rule="-",
    bars="#",
    sparks="_.:-=+*#",
    marks="*+ox#@%&",
    shades=".:+#",
    axes="|++-+",
    blank=".",
    cut="~",
)
DEEP = 256
NARROWEST = 20  # below this the terminal itself has to wrap
PICTURE = 80  # columns of a picture in a pipe


@dataclass(frozen=True, slots=True)
class Style:
    """Where a table goes: `width` columns of a terminal, or None for a pipe, where nothing is cut or folded.

    A picture has no other size than it is given: in a pipe it is `picture` columns wide.
    """

    width: int | None = None
    colour: bool = False
    encoding: str = "utf-8"
    ascii_only: bool = False
    colours: int = 16  # of a terminal with colour; 256 are enough for a scale
    picture: int = PICTURE

    @property
    def deep(self) -> bool:
        """Return whether a scale can be shown in colours."""
        return self.colour and self.colours >= DEEP

    @property
    def canvas(self) -> int:
        """Return the columns of a picture."""
        return max(self.picture if self.width is None else self.width, NARROWEST)

    @property
    def glyphs(self) -> Glyphs:
        """Return marks that the encoding can carry."""
        unicode = self.encoding.lower().replace("-", "").replace("_", "") == "utf8" and not self.ascii_only
        return UNICODE if unicode else ASCII
