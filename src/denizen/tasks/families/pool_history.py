"""A pool's past and a range's amounts: fees owed, TWAP, liquidity for amounts and the reverse.

Trap: truncation toward zero, the window's seconds, Q128, and the token that limits a deposit.
"""

from __future__ import annotations

from denizen.protocols.tick_math import sqrt_price_from_price, tick_at_sqrt_price
from denizen.tasks.families._edits import replace_argument
from denizen.tasks.families._make import Draw, answer, liquidity_for, make_item
from denizen.tasks.families._pool_order import moved, swapped, token_order, turned, unequal_pools
from denizen.tasks.phrasing import (
    cap_decimals,
    near,
    say_amount,
    say_number,
    say_price,
    significant,
)
from denizen.tasks.types import Family, Item, Split

NAME = "pool_history"
TOOLS = {
    "fees": "fees_owed",
    "mean_tick": "twap_tick",
    "twap": "twap_price",
    "liquidity": "range_liquidity",
    "deposit": "range_deposit",
    "match": "range_match",
}
LEVELS = {"fees": 2, "mean_tick": 1, "twap": 3, "liquidity": 2, "deposit": 2, "match": 3}
WINDOWS = {
    "30 minutes": 1_800,
    "1,800 seconds": 1_800,
    "10 minutes": 600,
    "600 seconds": 600,
    "15 minutes": 900,
    "1 hour": 3_600,
    "5 minutes": 300,
    "4 hours": 14_400,
    "24 hours": 86_400,
    "45 minutes": 2_700,
    "90 seconds": 90,
    "7 days": 604_800,
}


def generate(seed: int, split: Split) -> Item:
    """Windows of 90 seconds to a week; ranges that begin 3% to 40% below the price."""
    draw = Draw(NAME, seed, split, dict.fromkeys(TOOLS, 1.0))
    kind = draw.kind
    make = _fees if kind == "fees" else _window if kind in ("mean_tick", "twap") else _range
    slots, gold = make(draw)
    hard = LEVELS[kind] + (make is _fees and int(slots["now"]) < int(slots["then"]))
    prompt = draw.ask(slots)
    of = "" if kind in ("fees", "mean_tick") else None
    return make_item(draw, prompt, f"{TOOLS[kind]}({gold})", version="v3", difficulty=hard, pool=of)


def _fees(draw: Draw) -> tuple[dict[str, str], str]:
    """Fees of 10^4 to 10^17 raw units; one reading in six wraps past 2^256."""
    rng = draw.rng
    liquidity = int(significant(rng, 2e12, 9e18, 12)) + rng.randrange(10**3)
    fees = int(significant(rng, 2e4, 9e16, 9))
    growth = (fees << 128) // liquidity + rng.randrange(1 << 100)
    then = rng.randrange(growth, growth * 40)
    if rng.random() < 1 / 6:
        then = (1 << 256) - rng.randrange(growth // 9, growth * 8 // 9)
    now = then + growth & (1 << 256) - 1
    slots = {"L": str(liquidity), "then": str(then), "now": str(now)}
    return slots, "; ".join(f"{name}={value}" for name, value in slots.items())


def _window(draw: Draw) -> tuple[dict[str, str], str]:
    """Two readings whose difference leaves a remainder, so that the rounding shows."""
    rng = draw.rng
    pool = draw.pool = rng.choice(unequal_pools(draw.split))
    order = token_order(draw, pool)
    price = near(rng, pool.price, 0.6, 1.5, 4)
    units = int(order["decimals0"]), int(order["decimals1"])
    direct = price if order["token0"] == pool.base else 1 / price
    tick = tick_at_sqrt_price(sqrt_price_from_price(direct, *units))
    over = rng.choice(tuple(WINDOWS))
    seconds = WINDOWS[over]
    # Readings grow by the tick every second: one to three years of about this tick.
    then = tick * rng.randrange(3 * 10**7, 10**8) + rng.randrange(10**6)
    now = then + tick * seconds + rng.randrange(1, seconds)
    slots = {**order, "then": str(then), "now": str(now), "over": over}
    gold = f"then={then}; now={now}; over={over}"
    if draw.kind == "twap":
        gold += f"; decimals0={units[0]}; decimals1={units[1]}; quoted={order['quoted']}"
    return slots, gold


def _range(draw: Draw) -> tuple[dict[str, str], str]:
    """A range round the price, and what is known of its amounts."""
    rng, pool, kind = draw.rng, draw.pool, draw.kind
    centre = near(rng, pool.price, 0.8, 1.25, 4)
    lower, upper = near(rng, centre, 0.6, 0.97, 4), near(rng, centre, 1.03, 1.6, 4)
    price = near(rng, centre, 0.975, 1.025, 5)
    dollar = "$" if pool.quote in ("USDC", "USDT", "DAI", "GHO") and rng.random() < 0.4 else ""
    worth = significant(rng, 500, 4e5, 3)
    if pool.price < 5 and pool.quote in ("WETH", "ETH"):
        worth /= 2_000
    slots = {
        "lower": dollar + say_number(rng, lower, scale=False),
        "upper": dollar + say_number(rng, upper, scale=False),
        "price": say_price(rng, price, pool),
        "base": pool.base,
        "quote": pool.quote,
    }
    tail = f"lower={slots['lower']}; upper={slots['upper']}; price={slots['price']}"
    base = cap_decimals(near(rng, worth / price, 0.6, 1.6, 3), pool.base)
    quote = cap_decimals(near(rng, worth, 1, 1.0001, 3), pool.quote)
    amounts = [say_amount(rng, base, pool.base), say_amount(rng, quote, pool.quote)]
    side = rng.randrange(2)
    slots |= {"token": (pool.base, pool.quote)[side], "other": (pool.quote, pool.base)[side]}
    if kind == "liquidity":
        slots |= {"a": amounts[side], "b": amounts[1 - side]}
        return slots, f"a={slots['a']}; b={slots['b']}; {tail}"
    if kind == "match":
        slots["amount"] = amounts[side]
        return slots, f"amount={slots['amount']}; {tail}"
    slots["L"] = str(liquidity_for(rng, worth * rng.randrange(3, 30), price, pool))
    return slots, f"L={slots['L']}; {tail}; token={('base', 'quote')[side]}"


def near_misses(item: Item) -> tuple[str, ...]:
    """Readings exchanged, another window, the inverse price, the other token, 1% off."""
    call = item.gold
    match item.kind:
        case "fees":
            misses = [swapped(call, "then", "now"), moved(call, "L", "1.01")]
        case "mean_tick" | "twap":
            misses = [swapped(call, "then", "now"), replace_argument(call, "over", "11 minutes")]
            if item.kind == "twap":
                misses += [turned(call), swapped(call, "decimals0", "decimals1")]
        case "liquidity":
            misses = [moved(moved(call, "a", "1.01"), "b", "1.01"), moved(call, "price", "1.01")]
        case "deposit":
            other = "quote" if "token=base" in call else "base"
            misses = [replace_argument(call, "token", other), moved(call, "L", "1.01")]
        case _:
            misses = [moved(call, "amount", "1.01"), moved(call, "price", "1.01")]
    return tuple(map(answer, misses))


FAMILY = Family(
    NAME,
    "fees owed, TWAP, and the amounts behind liquidity",
    tuple(TOOLS),
    generate,
    near_misses,
    tools=tuple(TOOLS.values()),
    levels=(1, 2, 3),
    versions=("v3",),
)
