"""Concentrated-liquidity quotes (v3 and v4): one swap step at the pool's liquidity and fee.

Trap: the fee of the pool is part of the question, and another tier's fee gives another figure.
"""

from __future__ import annotations

from decimal import Decimal

from denizen.tasks.families._edits import replace_argument, scaled_each
from denizen.tasks.families._make import Draw, answer, liquidity_for, make_item
from denizen.tasks.phrasing import (
    cap_decimals,
    near,
    say_amount,
    say_percent,
    say_price,
    say_version,
    shorten,
)
from denizen.tasks.types import Family, Item, Split

NAME = "cl_quote"
V3_TIERS = tuple(map(Decimal, ("0.01", "0.05", "0.3", "1")))


def generate(seed: int, split: Split) -> Item:
    """A pool about as deep as the real one, a trade that moves the price by well under 2%."""
    draw = Draw(NAME, seed, split, {"in": 1.0})
    rng, pool = draw.rng, draw.pool
    version = rng.choice(("v3", "v4"))
    tier = rng.choice(V3_TIERS)
    if version == "v4" and rng.random() < 0.5:  # v4 pools may set any fee
        tier = Decimal(rng.randrange(1, 2000)) / 1000
    price = near(rng, pool.price, 0.8, 1.25, 4)
    depth = near(rng, Decimal(1), 2e3, 4e5, 3)  # quote value that a doubling would take, roughly
    liquidity = liquidity_for(rng, depth if pool.price > 1 else depth / 2000, price, pool)
    sells_base = rng.random() < 0.5
    token = pool.base if sells_base else pool.quote
    size = depth if pool.price > 1 else depth / 2000
    amount = near(rng, size / price if sells_base else size, 0.0002, 0.01, rng.choice((2, 3, 3)))
    amount = cap_decimals(shorten(amount, 3), token)
    slots = {
        "amount_in": say_amount(rng, amount, token),
        "liquidity": str(liquidity),
        "price": say_price(rng, price, pool),
        "fee": say_percent(rng, tier),
        "version": say_version(rng, version),
        "token_in": token,
        "token_out": pool.quote if sells_base else pool.base,
    }
    gold = (
        f"cl_in(in={slots['amount_in']}; L={liquidity}; price={slots['price']}; fee={slots['fee']})"
    )
    return make_item(
        draw, draw.ask(slots), gold, version=version, difficulty=2 if tier in V3_TIERS else 3
    )


def near_misses(item: Item) -> tuple[str, ...]:
    """v2's fee (or another tier), 1% more in."""
    fee = "0.3%" if "fee=0.3%" not in item.gold and "fee=30 bps" not in item.gold else "0.25%"
    return (
        answer(replace_argument(item.gold, "fee", fee)),
        *(answer(c) for c in scaled_each(item.gold, "in", ("1.01",))),
    )


FAMILY = Family(
    NAME,
    "v3/v4 quotes at constant liquidity",
    ("in",),
    generate,
    near_misses,
    tools=("cl_in",),
    levels=(2, 3),
    versions=("v3", "v4"),
)
