"""Uniswap v2 liquidity: LP tokens minted and burnt, pool share, price after a swap, two hops.

Trap: the fee is taken twice on two hops, a share counts the own deposit, the first deposit locks
MINIMUM_LIQUIDITY, and the scarcer side of a deposit decides.
"""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from math import isqrt

from denizen.tasks.calculator import parse_call
from denizen.tasks.families._edits import replace_argument
from denizen.tasks.families._make import Draw, answer, make_item
from denizen.tasks.families._pool_order import moved, swapped
from denizen.tasks.phrasing import (
    POOLS,
    Pool,
    cap_decimals,
    near,
    plain,
    say_amount,
    say_number,
    shorten,
    significant,
)
from denizen.tasks.quantities import decimals_of, parse_quantity
from denizen.tasks.types import Family, Item, Split

NAME = "v2_liquidity"
LEVELS = {"mint": 2, "first": 2, "burn": 2, "share": 1, "after": 3, "route": 3}


@cache
def routes(split: Split) -> tuple[tuple[Pool, Pool], ...]:
    """Pools that share their quote token."""
    pools = POOLS[split]
    return tuple((a, b) for a in pools for b in pools if a.quote == b.quote and a.base != b.base)


def generate(seed: int, split: Split) -> Item:
    """Pairs worth thousands to millions a side; deposits and trades of 0.02% to 5% of one."""
    draw = Draw(NAME, seed, split, dict.fromkeys(LEVELS, 1.0))
    rng, kind = draw.rng, draw.kind
    name = None
    if kind == "first":
        amounts = [int(significant(rng, 2e3, 1e13, 5)) + rng.randrange(900) for _ in range(2)]
        slots = {"amount0": str(amounts[0]), "amount1": str(amounts[1])}
        gold, name = f"amount0={amounts[0]}; amount1={amounts[1]}", ""
    elif kind == "route":
        slots, gold, name = _route(draw)
    else:
        slots, gold = _one_pair(draw)
    prompt, hard = draw.ask(slots), LEVELS[kind]
    return make_item(draw, prompt, f"v2_{kind}({gold})", version="v2", difficulty=hard, pool=name)


def _one_pair(draw: Draw) -> tuple[dict[str, str], str]:
    """Slots and arguments of the kinds about one pair."""
    rng, pool = draw.rng, draw.pool
    base, quote = _reserves(draw, pool)
    sides = [(pool.base, base), (pool.quote, quote)]
    if rng.random() < 0.5:
        sides.reverse()
    (token, mine), (other_token, other) = sides
    pool_a, pool_b = say_amount(rng, mine, token), say_amount(rng, other, other_token)
    slots = {"token": token, "other": other_token, "pool_a": pool_a, "pool_b": pool_b}
    supply = _supply(base, quote, pool)
    slots["supply"] = say_number(rng, supply)
    part = significant(rng, 0.0002, 0.05, 3)
    if draw.kind == "burn":
        slots["lp"] = say_number(rng, shorten(supply * part, rng.choice((3, 4, 5))))
        gold = f"lp={slots['lp']}; out={pool_a}; other={pool_b}; supply={slots['supply']}"
        return slots, gold
    if draw.kind == "mint":
        one, two = (
            cap_decimals(near(rng, side * part, 0.97, 1.03), symbol) for symbol, side in sides
        )
        slots |= {"a": say_amount(rng, one, token), "b": say_amount(rng, two, other_token)}
        gold = f"a={slots['a']}; b={slots['b']}; pool_a={pool_a}; pool_b={pool_b}; "
        return slots, gold + f"supply={slots['supply']}"
    part = significant(rng, 0.002, 0.3 if draw.kind == "share" else 0.05, 3)
    amount = cap_decimals(shorten(mine * part, rng.choice((2, 3, 4))), token)
    slots["amount"] = say_amount(rng, amount, token)
    if draw.kind == "share":
        return slots, f"deposit={slots['amount']}; pool={pool_a}"
    # The price asked about is of one of the two in the other, whichever is sold.
    of, per = (pool_a, pool_b) if token == pool.base or rng.random() < 0.3 else (pool_b, pool_a)
    slots |= {"base": of.rpartition(" ")[2], "quote": per.rpartition(" ")[2]}
    return slots, f"in={slots['amount']}; base={of}; quote={per}"


def _route(draw: Draw) -> tuple[dict[str, str], str, str]:
    """An exact input that goes through the quote token two pools share."""
    rng = draw.rng
    first, then = rng.choice(routes(draw.split))
    mine, middle = _reserves(draw, first)
    far, enters = _reserves(draw, then)
    amount = cap_decimals(near(rng, min(mine, enters / first.price), 0.0005, 0.03, 3), first.base)
    slots = {
        "amount": say_amount(rng, amount, first.base),
        "first_a": say_amount(rng, mine, first.base),
        "first_b": say_amount(rng, middle, first.quote),
        "then_a": say_amount(rng, enters, then.quote),
        "then_b": say_amount(rng, far, then.base),
        "token": first.base,
        "middle": first.quote,
        "other": then.base,
    }
    rest = "; ".join(f"{n}={slots[n]}" for n in ("first_a", "first_b", "then_a", "then_b"))
    return slots, f"in={slots['amount']}; {rest}", f"{first.base}/{first.quote}/{then.base}"


def _reserves(draw: Draw, pool: Pool) -> tuple[Decimal, Decimal]:
    """(base, quote) reserves at about the pool's price."""
    rng = draw.rng
    base = significant(rng, 2e4, 4e6) / pool.price if pool.price > 5 else significant(rng, 2e3, 9e5)
    base = cap_decimals(near(rng, base, 1, 1.0001), pool.base)
    return base, cap_decimals(near(rng, base * pool.price, 0.97, 1.03), pool.quote)


def _supply(base: Decimal, quote: Decimal, pool: Pool) -> Decimal:
    """LP tokens of such a pair: the root of the raw reserves' product, less what fees added."""
    raw = int(base.scaleb(decimals_of(pool.base))) * int(quote.scaleb(decimals_of(pool.quote)))
    return shorten(Decimal(isqrt(raw)).scaleb(-18) * Decimal("0.968"), 6)


def near_misses(item: Item) -> tuple[str, ...]:
    """Another pair's or token's place, the share before the deposit, 1% off."""
    call = item.gold
    match item.kind:
        case "mint":
            misses = [moved(moved(call, "a", "1.01"), "b", "1.01"), moved(call, "supply", "1.01")]
            misses.append(swapped(swapped(call, "a", "pool_a"), "b", "pool_b"))
        case "first":
            misses = [moved(call, "amount0", "1.02"), moved(call, "amount1", "0.98")]
        case "burn":
            misses = [swapped(call, "out", "other"), swapped(call, "lp", "supply")]
            misses.append(moved(call, "lp", "1.01"))
        case "share":
            deposit, pool = (parse_quantity(text) for _, text in parse_call(call).arguments)
            before = f"{plain(pool.value - deposit.value)} {pool.unit}"
            misses = [replace_argument(call, "pool", before)]
            misses += [swapped(call, "deposit", "pool"), moved(call, "deposit", "1.01")]
        case "after":
            misses = [swapped(call, "base", "quote"), moved(call, "in", "1.01")]
        case _:
            misses = [swapped(swapped(call, "first_a", "then_a"), "first_b", "then_b")]
            misses += [moved(call, "in", "1.01"), swapped(call, "first_b", "then_a")]
    return tuple(map(answer, misses))


FAMILY = Family(
    NAME,
    "Uniswap v2 LP tokens, pool share, price after a swap, routes",
    tuple(LEVELS),
    generate,
    near_misses,
    tools=tuple(f"v2_{kind}" for kind in LEVELS),
    levels=(1, 2, 3),
    versions=("v2",),
)
