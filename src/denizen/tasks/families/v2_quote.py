"""Uniswap v2 quotes: exact input with price impact, and exact output.

Trap: v2 charges 0.30% whatever the asker hopes, and exact output rounds up.
"""

from __future__ import annotations

from denizen.tasks.families._edits import scaled_each
from denizen.tasks.families._make import Draw, answer, make_item
from denizen.tasks.phrasing import cap_decimals, near, say_amount, significant
from denizen.tasks.types import Family, Item, Split

NAME = "v2_quote"


def generate(seed: int, split: Split) -> Item:
    """A pair with 50 to 5,000 base tokens a side (or their worth), a trade of 0.01% to 4% of it."""
    draw = Draw(NAME, seed, split, {"in": 0.6, "out": 0.4})
    rng, pool = draw.rng, draw.pool
    base = significant(rng, 2e4, 4e6) / pool.price if pool.price > 5 else significant(rng, 2e3, 9e5)
    base = cap_decimals(near(rng, base, 1, 1.0001), pool.base)
    quote = cap_decimals(near(rng, base * pool.price, 0.97, 1.03), pool.quote)
    sells_base = rng.random() < 0.5
    mine, other = (base, quote) if sells_base else (quote, base)
    token, other_token = (pool.base, pool.quote) if sells_base else (pool.quote, pool.base)
    amount = cap_decimals(near(rng, mine, 0.0001, 0.04, rng.choice((2, 3, 3))), token)
    traded = say_amount(rng, amount, token)
    own, far = say_amount(rng, mine, token), say_amount(rng, other, other_token)
    if draw.kind == "in":
        slots = {"amount_in": traded, "reserve_in": own, "reserve_out": far}
        slots |= {"token_in": token, "token_out": other_token}
    else:
        slots = {"amount_out": traded, "reserve_in": far, "reserve_out": own}
        slots |= {"token_in": other_token, "token_out": token}
    prompt = draw.ask(slots)
    a, b = (own, far) if prompt.index(own) < prompt.index(far) else (far, own)
    gold = f"v2_{draw.kind}({draw.kind}={traded}; a={a}; b={b})"
    return make_item(draw, prompt, gold, version="v2", difficulty=1 if draw.kind == "in" else 2)


def near_misses(item: Item) -> tuple[str, ...]:
    """The other direction of the quote, a 1% larger trade, half the trade."""
    call = item.gold
    kind, other = item.kind, "out" if item.kind == "in" else "in"
    flipped = call.replace(f"v2_{kind}({kind}=", f"v2_{other}({other}=")
    return (answer(flipped), *(answer(c) for c in scaled_each(call, kind, ("1.01", "0.5"))))


FAMILY = Family(
    NAME,
    "Uniswap v2 swap quotes with price impact",
    ("in", "out"),
    generate,
    near_misses,
    tools=("v2_in", "v2_out"),
    versions=("v2",),
)
