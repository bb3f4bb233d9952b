"""Balancer weighted pools: exact input, exact output and spot price, weights such as 80/20.

Trap: the 50/50 formula, and a weight that belongs to the other token.
"""

from __future__ import annotations

from decimal import Decimal

from denizen.tasks.calculator import parse_call
from denizen.tasks.families._edits import exchanged, replace_argument, scaled_each
from denizen.tasks.families._make import Draw, answer, make_item
from denizen.tasks.phrasing import cap_decimals, near, say_amount, say_percent, significant
from denizen.tasks.types import Family, Item, Split

NAME = "weighted_pool"
WEIGHTS = tuple(
    (Decimal(a), Decimal(b))
    for a, b in (
        *((80, 20),) * 4,
        *((60, 40), (70, 30), (75, 25), (90, 10), (85, 15), (95, 5), (65, 35), (98, 2)),
        # Two tokens of a pool of three.
        *((40, 35), (50, 25), (45, 30), (60, 20)),
    )
)
FEES = tuple(map(Decimal, ("0.3", "0.1", "0.25", "0.5", "0.2", "0.75", "1", "0.05")))


def generate(seed: int, split: Split) -> Item:
    """Pools of $0.3M to $40M; trades of 0.05% to 8% of a balance, prices near the market's."""
    draw = Draw(NAME, seed, split, {"in": 0.4, "out": 0.33, "price": 0.27})
    rng, pool, kind = draw.rng, draw.pool, draw.kind
    weights = rng.choice(WEIGHTS)
    wbase, wquote = weights if rng.random() < 0.65 else weights[::-1]
    # Held apart from the pool's price by at most 3%: (Bq / Wq) / (Bb / Wb) is the price.
    size = significant(rng, 3e5, 4e7) if pool.quote not in ("WETH", "ETH") else None
    quote = size if size is not None else significant(rng, 1e2, 1.5e4)
    base = cap_decimals(near(rng, quote * wbase / (wquote * pool.price), 0.97, 1.03), pool.base)
    quote = cap_decimals(near(rng, quote, 1, 1.0001), pool.quote)
    tokens = [(pool.base, base, wbase), (pool.quote, quote, wquote)]
    if rng.random() < 0.5:
        tokens.reverse()
    (token, mine, own_weight), (other, far, far_weight) = tokens
    most = 0.08 * float(min(Decimal(1), far_weight / own_weight))
    amount = cap_decimals(near(rng, mine, most / 100, most, rng.choice((2, 3, 3))), token)
    fee = say_percent(rng, rng.choice(FEES))
    traded, own, across = (
        say_amount(rng, value, unit)
        for value, unit in ((amount, token), (mine, token), (far, other))
    )
    near_weight, away_weight = f"{own_weight}%", f"{far_weight}%"
    if kind == "out":
        slots = {"amount_out": traded, "balance_out": own, "balance_in": across}
        slots |= {"weight_out": near_weight, "weight_in": away_weight}
        slots |= {"token_out": token, "token_in": other, "fee": fee}
    elif kind == "in":
        slots = {"amount_in": traded, "balance_in": own, "balance_out": across}
        slots |= {"weight_in": near_weight, "weight_out": away_weight}
        slots |= {"token_in": token, "token_out": other, "fee": fee}
    else:
        slots = {"token": token, "balance": own, "weight": near_weight}
        slots |= {"against": other, "balance_against": across, "weight_against": away_weight}
    prompt = draw.ask(slots)
    if kind == "price":
        gold = (
            f"weighted_price(base={own}; wbase={near_weight}; quote={across}; wquote={away_weight})"
        )
    else:
        sides = [(own, near_weight), (across, away_weight)]
        (a, wa), (b, wb) = sorted(sides, key=lambda side: prompt.index(side[0]))
        head = f"weighted_{kind}({kind}={traded}; a={a}; wa={wa}; b={b}; wb={wb}"
        gold = f"{head}; fee={fee})"
    hard = {"price": 1, "in": 2, "out": 3}[kind]
    return make_item(draw, prompt, gold, version="balancer v2", difficulty=hard)


def near_misses(item: Item) -> tuple[str, ...]:
    """The weights swapped, the 50/50 formula, another fee, the other direction."""
    call, kind = item.gold, item.kind
    values = dict(parse_call(call).arguments)
    first, second = ("wbase", "wquote") if kind == "price" else ("wa", "wb")
    misses = [exchanged(call, first, second)]
    even = replace_argument(call, first, "50%")
    misses.append(replace_argument(even, second, "50%"))
    if kind == "price":
        misses.append(exchanged(exchanged(call, "base", "quote"), first, second))
    else:
        other = "out" if kind == "in" else "in"
        misses.append(call.replace(f"weighted_{kind}({kind}=", f"weighted_{other}({other}="))
        misses.append(f"v2_{kind}({kind}={values[kind]}; a={values['a']}; b={values['b']})")
        misses.append(replace_argument(call, "fee", "0.0001%"))
        misses += scaled_each(call, kind, ("1.01",))
    return tuple(map(answer, misses))


FAMILY = Family(
    NAME,
    "Balancer weighted-pool swaps and spot prices",
    ("in", "out", "price"),
    generate,
    near_misses,
    tools=("weighted_in", "weighted_out", "weighted_price"),
    levels=(1, 2, 3),
    versions=("balancer v2",),
)
