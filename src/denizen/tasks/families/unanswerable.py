"""Questions that lack exactly one needed input, or ask for the future; the answer is to say so.

Trap: figures of the wrong thing stand where the needed one should (TVL for in-range liquidity, a
slippage limit for the fee, the age of a pool for the period), and a tool would take them.
"""

from __future__ import annotations

from decimal import Decimal

from denizen.tasks.calculator import catalogue
from denizen.tasks.families._make import Draw, answer, liquidity_for, make_item
from denizen.tasks.phrasing import (
    cap_decimals,
    near,
    plain,
    say_amount,
    say_money,
    say_number,
    say_price,
    say_version,
    shorten,
    significant,
)
from denizen.tasks.quantities import find_spans, spans_by_kind
from denizen.tasks.reading import DOLLAR_COINS
from denizen.tasks.tools.refusal import MISSING
from denizen.tasks.types import Family, Item, Split

NAME = "unanswerable"
KINDS = dict.fromkeys(MISSING, 1.0) | {"future": 2.0}
# From this many figures on, the missing one hides.
MANY = 4


def generate(seed: int, split: Split) -> Item:
    """The missing inputs in turn, the future twice as often; level 2 has four figures or more."""
    draw = Draw(NAME, seed, split, KINDS)
    prompt = draw.ask(_slots(draw))
    level = 2 if len(find_spans(prompt)) >= MANY else 1
    gold = f"cannot_answer(missing={draw.kind})"
    return make_item(draw, prompt, gold, version="any", difficulty=level)


def _slots(draw: Draw) -> dict[str, str]:
    """Every figure a template may state; the templates of a kind leave out the one it lacks."""
    rng, pool = draw.rng, draw.pool
    price = near(rng, pool.price, 0.8, 1.25, 4)
    depth = significant(rng, 2e5, 4e6, 3) / (1 if pool.quote in DOLLAR_COINS else 2500)
    base = near(rng, depth / price, 0.002, 0.02, 2)
    owed = near(rng, base * price, 0.3, 0.65, 3)
    money = {
        name: say_money(rng, significant(rng, low, high, 3))
        for name, low, high in (("volume", 3e5, 9e7), ("tvl", 1e6, 3e8), ("value", 2e3, 9e5))
    }
    months = rng.randint(2, 20)
    return money | {
        "pair": pool.name,
        "token": pool.base,
        "quote": pool.quote,
        "version": say_version(rng, rng.choice(("v3", "v4"))),
        "amount": say_amount(rng, cap_decimals(base, pool.base), pool.base),
        "debt": say_amount(rng, cap_decimals(owed, pool.quote), pool.quote),
        "price": say_price(rng, price, pool),
        "entry": say_number(rng, near(rng, price, 0.7, 0.95, 4), scale=False),
        "now": say_number(rng, near(rng, price, 1.05, 1.4, 4), scale=False),
        "lower": say_number(rng, near(rng, price, 0.4, 0.68, 4), scale=False),
        "upper": say_number(rng, near(rng, price, 1.45, 1.9, 4), scale=False),
        "liquidity": str(liquidity_for(rng, depth, price, pool)),
        "own_liquidity": str(liquidity_for(rng, depth / rng.randint(40, 900), price, pool)),
        "reserve_base": say_amount(
            rng, cap_decimals(shorten(depth / price, 4), pool.base), pool.base
        ),
        "reserve_quote": say_amount(rng, cap_decimals(shorten(depth, 4), pool.quote), pool.quote),
        "fee": rng.choice(("0.01%", "0.05%", "0.3%", "1%")),
        "slippage": rng.choice(("0.1%", "0.5%", "0.8%", "2%")),
        "share": f"{significant(rng, 0.02, 6, 3):f}%",
        "threshold": f"{rng.randint(70, 88)}%",
        "ltv": f"{rng.randint(50, 68)}%",
        "apr": f"{plain(Decimal(rng.randint(21, 390)) / 10)}%",
        "period": rng.choice(("24h", "3 days", "7 days", "14 days", "30 days")),
        "horizon": rng.choice(("45 days", "60 days", "90 days", "6 weeks", "5 months")),
        "age": f"{months} months",
        "lps": str(rng.randint(14, 940)),
    }


def near_misses(item: Item) -> tuple[str, ...]:
    """Two calls of other tools on the prompt's figures, two other inputs named, made-up figures."""
    other = [m for m in MISSING if m != item.kind]
    named = (other[item.seed % len(other)], other[(item.seed + 5) % len(other)])
    return (
        *(answer(call) for call in _forced(item.prompt)),
        *(answer(f"cannot_answer(missing={missing})") for missing in named),
        f"The {MISSING[item.kind][0]} is not given; with the usual one it comes to 1,234.56.",
        "That cannot be answered.",
    )


def _forced(prompt: str) -> list[str]:
    """Calls that other tools would take from the prompt's figures, some of them used twice."""
    spans = spans_by_kind(prompt)
    calls = ["fact(version=v3; topic=swap_fee)"]
    for tool in catalogue().values():
        kinds = [p.kind for p in tool.parameters]
        if kinds and all(kind in spans for kind in kinds):
            values = (spans[k][n % len(spans[k])] for n, k in enumerate(kinds) if k)
            pairs = zip((p.name for p in tool.parameters), values, strict=True)
            calls.append(f"{tool.name}({'; '.join(f'{n}={v}' for n, v in pairs)})")
    return calls[-2:]


FAMILY = Family(
    NAME,
    "questions that lack an input or ask for the future",
    tuple(KINDS),
    generate,
    near_misses,
    tools=("cannot_answer",),
)
