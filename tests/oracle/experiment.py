"""An experiment by definition (metrics §18.10): who saw what first, who converted, and how likely that is.

The statistics take other roads than evlog: Wilson's limits by bisection, normal and chi-square tails by integration.
"""

from math import exp, lgamma, log, pi, sqrt

from oracle import people

Z = 1.959963984540054


def users(events, scope, *, exposure, goal, within=None):
    """Each exposed user's group, variant, whether they converted, may still, and crossed; and those without a variant."""
    window = scope.window
    seen = [e for e in people.seen(events, scope) if e["person"] is not None]
    found, unnamed = {}, set()
    for who in {e["person"] for e in seen}:
        mine = sorted((e for e in seen if e["person"] == who), key=lambda e: (e["ts"], e["seq"]))
        shown = [e for e in mine if e["event_type"] == exposure and window.first <= e["date"] <= window.last]
        named = [e for e in shown if variant(e) is not None]
        if shown and not named:
            unnamed.add(who)
        if named:
            first = named[0]
            goals = [e for e in mine if e["event_type"] == goal and e is not first and e["ts"] >= first["ts"]]
            done = any(within is None or e["ts"] - first["ts"] <= within for e in goals)
            may = not done and (within is None or first["ts"] + within >= window.until)
            crossed = len({variant(e) for e in named}) > 1
            found[who] = (first.get(scope.by, "(none)") if scope.by else "", variant(first), done, may, crossed)
    return found, unnamed


def variant(event):
    value = event.get("properties", {}).get("variant")
    return None if value is None else str(value)


def wilson(part, whole):
    """The shares whose score test does not reject `part` of `whole`, found by halving."""
    share = part / whole

    def rejected(truth):
        return (share - truth) ** 2 > Z * Z * truth * (1 - truth) / whole

    return halved(share, 0.0, rejected), halved(share, 1.0, rejected)


def halved(inside, outside, rejected):
    if not rejected(outside):
        return outside
    for _ in range(200):
        middle = (inside + outside) / 2
        if rejected(middle):
            outside = middle
        else:
            inside = middle
    return inside


def newcombe(part, whole, other, other_whole):
    one, two = part / whole, other / other_whole
    (low, high), (other_low, other_high) = wilson(part, whole), wilson(other, other_whole)
    return (
        one - two - sqrt((one - low) ** 2 + (other_high - two) ** 2),
        one - two + sqrt((high - one) ** 2 + (two - other_low) ** 2),
    )


def p_value(part, whole, other, other_whole):
    """The z test as its square: a chi-square of the 2x2 table, without correction."""
    table = [[part, whole - part], [other, other_whole - other]]
    columns = [sum(column) for column in zip(*table, strict=True)]
    if 0 in columns:
        return None
    total = whole + other_whole
    statistic = sum(
        (cell - size * column / total) ** 2 / (size * column / total)
        for row, size in zip(table, (whole, other_whole), strict=True)
        for cell, column in zip(row, columns, strict=True)
    )
    return chi_square_beyond(statistic, 1)


def chi_square_beyond(statistic, freedom, steps=20_000):
    """The tail of the density, by Simpson's rule over t = sqrt(x): smooth at 0 for every degree."""
    if statistic <= 0:
        return 1.0
    constant = log(2) - freedom / 2 * log(2) - lgamma(freedom / 2)

    def density(t):
        if t == 0:
            return sqrt(2 / pi) if freedom == 1 else 0.0
        return exp(constant + (freedom - 1) * log(t) - t * t / 2)

    low = sqrt(statistic)
    high = low + 12
    width = (high - low) / steps
    inner = sum((4 if n % 2 else 2) * density(low + n * width) for n in range(1, steps))
    return (density(low) + inner + density(high)) * width / 3
