"""Is a position in range: prices or ticks, with the v3 rule lower <= current < upper.

Trap: negative ticks order the other way round in the eye, and the upper bound itself is outside.
"""

from __future__ import annotations

from denizen.tasks.families._make import Draw, answer, make_item
from denizen.tasks.phrasing import near, say_number
from denizen.tasks.types import Family, Item, Split

NAME = "range_status"


def generate(seed: int, split: Split) -> Item:
    """In, below and above range with equal odds; ticks around the pool's own, often negative."""
    draw = Draw(NAME, seed, split, {"price": 0.5, "tick": 0.5})
    rng, pool = draw.rng, draw.pool
    where = rng.choice(("in", "below", "above"))
    if draw.kind == "price":
        centre = near(rng, pool.price, 0.7, 1.4, 4)
        values = [near(rng, centre, a, b, 4) for a, b in ((0.5, 0.9), (0.92, 1.08), (1.1, 1.6))]
        dollar = "$" if pool.price > 0.5 and rng.random() < 0.6 else ""
        texts = [dollar + say_number(rng, value, scale=False) for value in values]
    else:
        centre_tick = rng.choice((-1, -1, 1)) * rng.randrange(2_000, 270_000)
        width = rng.randrange(200, 9_000)
        ticks = (centre_tick - width, centre_tick + rng.randrange(width), centre_tick + width + 7)
        comma = rng.random() < 0.4
        texts = [f"{tick:,}" if comma else str(tick) for tick in ticks]
    low, mid, high = texts
    now, lower, upper = {
        "in": (mid, low, high),
        "below": (low, mid, high),
        "above": (high, low, mid),
    }[where]
    slots = {"now": now, "lower": lower, "upper": upper, "pair": pool.name}
    gold = f"range(now={now}; lower={lower}; upper={upper})"
    return make_item(
        draw, draw.ask(slots), gold, version="v3", difficulty=1 if draw.kind == "price" else 2
    )


def near_misses(item: Item) -> tuple[str, ...]:
    """Current price swapped with a bound."""
    from denizen.tasks.calculator import parse_call

    a = dict(parse_call(item.gold).arguments)
    return (
        answer(f"range(now={a['lower']}; lower={a['now']}; upper={a['upper']})"),
        answer(f"range(now={a['upper']}; lower={a['lower']}; upper={a['now']})"),
    )


FAMILY = Family(
    NAME,
    "in, below or above range",
    ("price", "tick"),
    generate,
    near_misses,
    tools=("range",),
    versions=("v3",),
)
