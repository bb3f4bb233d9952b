"""Value of a concentrated position: the token amounts behind L between two prices.

Trap: out of range the whole position is one token, and value follows the range, not the pool.
"""

from __future__ import annotations

from decimal import Decimal

from denizen.tasks.families._edits import replace_argument
from denizen.tasks.families._make import Draw, answer, liquidity_for, make_item
from denizen.tasks.phrasing import near, plain, say_number, say_price, say_version
from denizen.tasks.types import Family, Item, Split

NAME = "position_value"


def generate(seed: int, split: Split) -> Item:
    """A range of 3% to 60% around a price that is inside it three times in four."""
    draw = Draw(NAME, seed, split, {"value": 1.0})
    rng, pool = draw.rng, draw.pool
    centre = near(rng, pool.price, 0.8, 1.25, 4)
    lower, upper = near(rng, centre, 0.6, 0.97, 4), near(rng, centre, 1.03, 1.6, 4)
    inside = rng.random() < 0.75
    price = near(rng, centre, 0.975, 1.025, 4) if inside else near(rng, centre, 1.62, 1.9, 4)
    version = rng.choice(("v3", "v4"))
    depth = near(rng, Decimal(1), 2e3, 4e5, 3)
    liquidity = liquidity_for(rng, depth if pool.price > 1 else depth / 2000, price, pool)
    dollar = "$" if pool.quote in ("USDC", "USDT", "DAI", "GHO") and rng.random() < 0.4 else ""
    slots = {
        "liquidity": str(liquidity),
        "lower": dollar + say_number(rng, lower, scale=False),
        "upper": dollar + say_number(rng, upper, scale=False),
        "price": say_price(rng, price, pool),
        "version": say_version(rng, version),
    }
    gold = (
        f"value(L={liquidity}; lower={slots['lower']}; upper={slots['upper']}; "
        f"price={slots['price']})"
    )
    return make_item(draw, draw.ask(slots), gold, version=version, difficulty=2 if inside else 3)


def near_misses(item: Item) -> tuple[str, ...]:
    """1% more liquidity; a range that starts 1% higher."""
    from denizen.tasks.calculator import parse_call
    from denizen.tasks.quantities import parse_quantity

    arguments = dict(parse_call(item.gold).arguments)
    more = str(int(Decimal(arguments["L"]) * 101 / 100))
    lower = plain(parse_quantity(arguments["lower"]).value * Decimal("1.01"))
    upper = plain(parse_quantity(arguments["upper"]).value * Decimal("0.99"))
    shifted = replace_argument(replace_argument(item.gold, "lower", lower), "upper", upper)
    return (answer(replace_argument(item.gold, "L", more)), answer(shifted))


FAMILY = Family(
    NAME,
    "amounts and value of a concentrated position",
    ("value",),
    generate,
    near_misses,
    tools=("value",),
    levels=(2, 3),
    versions=("v3", "v4"),
)
