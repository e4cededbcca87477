"""How a table is laid out in the width there is: what gives way first, and to what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evlog.frozen import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from evlog.render.lanes import Lane

    Measure = Callable[[str], int]

BAR_PIPED = 20
_BAR_LEAST, _BAR_MOST = 8, 30


@dataclass(frozen=True, slots=True)
class Layout:
    """Widths of the lanes, blanks between them, width of the bar (0: none), and whether instants are short."""

    widths: tuple[int, ...]
    gap: int = 2
    bar: int = 0
    short: bool = False


@dataclass(frozen=True, slots=True)
class _Attempt:
    bar: bool = False
    broken: bool = True  # headers run over several lines
    short: bool = True
    gap: int = 2
    least: int | None = None  # text may fold to this width


_ATTEMPTS = (
    _Attempt(bar=True, broken=False, short=False),
    _Attempt(bar=True, short=False),
    _Attempt(bar=True),
    _Attempt(broken=False, short=False),
    _Attempt(short=False),
    _Attempt(),
    _Attempt(bar=True, least=24),
    _Attempt(least=24),
    _Attempt(least=16, gap=1),
    _Attempt(least=8, gap=1),
)


def whole(lanes: Sequence[Lane], *, bar: bool, measure: Measure) -> Layout:
    """Return the layout that cuts and folds nothing, for a pipe."""
    widths = tuple(max(_cells(lane, measure), measure(lane.header)) for lane in lanes)
    return Layout(widths, bar=BAR_PIPED * bar)


def fitted(long: Sequence[Lane], short: Sequence[Lane], *, width: int, bar: bool, measure: Measure) -> Layout | None:
    """Return the roomiest layout no wider than `width`; None where no table fits."""
    cells = {True: [_cells(lane, measure) for lane in short], False: [_cells(lane, measure) for lane in long]}
    for attempt in _ATTEMPTS:
        if attempt.bar and not bar:
            continue
        layout = _tried(attempt, long, cells[attempt.short], width=width, measure=measure)
        if layout is not None:
            return layout
    return None


def broken(header: str, width: int, measure: Measure) -> str:
    """Return the header in lines no wider than `width`, broken at as few of its underscores as that takes."""
    lines: list[str] = []
    for piece in _pieces(header):
        joined = f"{lines[-1]}_{piece}" if lines else piece
        if lines and measure(joined) <= width:
            lines[-1] = joined
        else:
            lines.append(piece)
    return "\n".join(lines)


def _tried(
    attempt: _Attempt, lanes: Sequence[Lane], cells: Sequence[int], *, width: int, measure: Measure
) -> Layout | None:
    full = [max(c, _header(lane, attempt, measure)) for lane, c in zip(lanes, cells, strict=True)]
    least = [_least(lane, w, attempt) for lane, w in zip(lanes, full, strict=True)]
    blanks = attempt.gap * (len(lanes) - 1)
    room = width - blanks - sum(least) - (attempt.gap + _BAR_LEAST) * attempt.bar
    if room < 0:
        return None
    widths = _widened(least, full, room)
    left = room - sum(widths) + sum(least)
    bar = min(_BAR_MOST, _BAR_LEAST + left) if attempt.bar else 0
    return Layout(tuple(widths), attempt.gap, bar, attempt.short)


def _widened(least: Sequence[int], full: Sequence[int], room: int) -> list[int]:
    """Return widths between `least` and `full` that use the room, the narrowest lanes first served in full."""
    widths = list(least)
    hungry = sorted((i for i in range(len(full)) if full[i] > least[i]), key=lambda i: full[i] - least[i])
    for served, i in enumerate(hungry):
        share = min(full[i] - least[i], room // (len(hungry) - served))
        widths[i] += share
        room -= share
    return widths


def _least(lane: Lane, full: int, attempt: _Attempt) -> int:
    return min(full, attempt.least) if lane.folds and attempt.least is not None else full


def _cells(lane: Lane, measure: Measure) -> int:
    return max(map(measure, lane.cells), default=0)


def _header(lane: Lane, attempt: _Attempt, measure: Measure) -> int:
    return max(map(measure, _pieces(lane.header)), default=0) if attempt.broken else measure(lane.header)


def _pieces(header: str) -> list[str]:
    """Return the words of a header; one that begins or ends with an underscore is left in one piece."""
    words = header.split("_")
    return words if all(words) else [header]
