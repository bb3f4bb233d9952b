"""Fee APR of a concentrated position, from its share of fees or from liquidity.

Trap: APR uses the volume's own period, and the share is of in-range liquidity, not of the TVL.
"""

from __future__ import annotations

from decimal import Decimal

from denizen.tasks.families._edits import replace_argument, scaled
from denizen.tasks.families._make import Draw, answer, make_item
from denizen.tasks.phrasing import near, say_money, say_percent, significant
from denizen.tasks.types import Family, Item, Split

NAME = "fee_apr"
PERIODS = ("24h", "24 hours", "1 day", "3 days", "7 days", "7d", "14 days", "30 days", "30d")


def generate(seed: int, split: Split) -> Item:
    """Volumes of $0.3M to $90M, positions of $2k to $900k, shares of 0.02% to 6%."""
    draw = Draw(NAME, seed, split, {"share": 0.55, "liquidity": 0.45})
    rng = draw.rng
    pool_liquidity = int(significant(rng, 2e12, 9e15, 12)) + rng.randrange(10**3)
    share = significant(rng, 0.02, 6, 3)
    own = int(Decimal(pool_liquidity) * share / 100) + rng.randrange(10**3)
    fee = rng.choice(tuple(map(Decimal, ("0.01", "0.05", "0.05", "0.3", "0.3", "1"))))
    slots = {
        "volume": say_money(rng, significant(rng, 3e5, 9e7, 3)),
        "fee": say_percent(rng, fee),
        "share": f"{share:f}%",
        "value": say_money(rng, near(rng, significant(rng, 2e3, 9e5, 3), 1, 1.0001, 3)),
        "period": rng.choice(PERIODS),
        "position_liquidity": str(own),
        "pool_liquidity": str(pool_liquidity),
    }
    head = f"volume={slots['volume']}; fee={slots['fee']}"
    tail = f"value={slots['value']}; period={slots['period']}"
    if draw.kind == "share":
        gold = f"apr_share({head}; share={slots['share']}; {tail})"
    else:
        gold = f"apr_liquidity({head}; own={own}; pool={pool_liquidity}; {tail})"
    hard = 2 if draw.kind == "share" else 3
    return make_item(draw, draw.ask(slots), gold, version="any", difficulty=hard)


def near_misses(item: Item) -> tuple[str, ...]:
    """Another period, a value 1% off."""
    other = "365 days" if "365 days" not in item.gold else "24h"
    return (
        answer(replace_argument(item.gold, "period", other)),
        answer(scaled(item.gold, "value", "1.01")),
    )


FAMILY = Family(
    NAME,
    "fee APR of a concentrated position",
    ("share", "liquidity"),
    generate,
    near_misses,
    tools=("apr_share", "apr_liquidity"),
    levels=(2, 3),
)
