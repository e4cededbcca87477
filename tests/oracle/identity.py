"""Which ids are one person (metrics §13), by plain loops: what was said last of an id holds, circles lose their latest.

Events are dicts with `ts` and `seq`; `lines` are (from, to or None, at, seq): what people said.
"""

KEYS = ("previous_id", "previousId", "alias", "$anon_distinct_id", "from")
ALIASES = {"alias", "user_alias", "identify", "$identify", "$create_alias"}
NOBODY = {"", "null", "none", "undefined", "anonymous", "00000000-0000-0000-0000-000000000000"}


def resolve(events, until, lines=()):
    """Two dicts: whom each user id means, and whom each anonymous id means where there is no user; and circles cut."""
    both, directed, mutual = _claims([e for e in events if e["ts"] < until])
    manual = [(one, to, (at, seq)) for one, to, at, seq in lines if to is not None and _ok(one, to)]
    back = {one: max(at for o, to, at, _ in lines if o == one and to is None) for one, to, _, _ in lines if to is None}
    corrected = {one: max(said for o, _, said in manual if o == one) for one, _, _ in manual}

    def stands(one, said):
        return one not in back or said[0] > back[one]

    both, directed, manual = ([c for c in cs if stands(c[0], c[2])] for cs in (both, directed, manual))
    pairs = [
        (a, b, said)
        for a, b, said in mutual
        if all(stands(one, said) and said > corrected.get(one, (said[0].min, -1)) for one in (a, b))
    ]
    named, cut = _without_circles(directed + manual)
    users = _persons(_latest(named), pairs)
    candidates = {}
    for one, to, said in both + directed + manual + pairs + [(b, a, said) for a, b, said in pairs]:
        candidates.setdefault(one, []).append((said, to))
    nobodys = {one: users.get(max(found)[1], max(found)[1]) for one, found in candidates.items()}
    return {one: to for one, to in users.items() if one != to}, nobodys, cut


def _without_circles(claims):
    """When each pair of ids was last said to be linked, and how many pairs are left out for closing a circle."""
    named = {}
    for one, to, said in claims:
        if one != to:
            named[one, to] = max(said, named.get((one, to), said))
    cut = 0
    while circle := _circle(_latest(named)):
        del named[max(circle, key=lambda pair: (named[pair], pair))]
        cut += 1
    return named, cut


def _persons(onward, pairs):
    """Whom each id means: ids that are mutual share all ends they know of, until nobody learns anything."""
    everyone = {x for pair in onward.items() for x in pair} | {x for a, b, _ in pairs for x in (a, b)}
    known = {one: {_end(onward, one)} for one in everyone}
    learnt = True
    while learnt:
        learnt = False
        for a, b, _ in pairs:
            shared = known[a] | known[b]
            for one in everyone:
                if known[one] & shared and not known[one] >= shared:
                    known[one] |= shared
                    learnt = True
    return {one: min(known[one]) for one in everyone}


def _claims(events):
    both, directed, mutual = [], [], []
    for e in events:
        user, anonymous, said = e.get("user_id"), e.get("anonymous_id"), (e["ts"], e["seq"])
        if user is not None and anonymous is not None:
            both.append((anonymous, user, said))
        if e["event_type"] not in ALIASES:
            continue
        told = [e.get("properties", {}).get(key) for key in KEYS]
        other = next((x for x in told if x), None)
        if e["event_type"] == "$create_alias" and other is not None:
            if user is None:
                directed.append((anonymous, other, said))
            elif other != user:
                mutual.append((user, other, said))
        else:
            directed.append((other or anonymous, user, said))
    return [[c for c in claims if _ok(c[0], c[1])] for claims in (both, directed, mutual)]


def _ok(*ids):
    return all(
        one is not None and one.lower() not in NOBODY and "[erased]" not in one and "[redacted]" not in one
        for one in ids
    )


def _latest(named):
    onward = {}
    for (one, to), said in named.items():
        if one not in onward or (said, to) > onward[one]:
            onward[one] = (said, to)
    return {one: to for one, (_, to) in onward.items()}


def _circle(onward):
    for start in onward:
        path, one = [], start
        while one in onward and len(path) <= len(onward):
            path.append((one, onward[one]))
            one = onward[one]
            if one == start:
                return path
    return []


def _end(onward, one):
    while one in onward:
        one = onward[one]
    return one
