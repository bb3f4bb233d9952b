"""Curve StableSwap: quotes of two and three coins, price and depeg within a pool, LP tokens.

Trap: it is not x*y=k, A_precise() is A x 100, and the fee comes off the output.
"""

from __future__ import annotations

from decimal import Decimal

from denizen.tasks.calculator import parse_call
from denizen.tasks.families._edits import exchanged, replace_argument, scaled, scaled_each
from denizen.tasks.families._make import Draw, answer, make_item
from denizen.tasks.families._token_sets import GROUPS
from denizen.tasks.phrasing import (
    cap_decimals,
    near,
    say_amount,
    say_number,
    say_percent,
    significant,
)
from denizen.tasks.types import Family, Item, Split

NAME = "stable_swap"
FEES = tuple(map(Decimal, ("0.04", "0.04", "0.01", "0.02", "0.03", "0.005", "0.015", "0.06")))
COINS_A = (100, 200, 200, 250, 400, 500, 850, 1000, 1500, 2000)
LOW_A = (50, 80, 100, 120, 150, 200, 300, 400)
KINDS = {
    "quote": 0.25,
    "precise": 0.13,
    "quote3": 0.18,
    "price": 0.12,
    "depeg": 0.12,
    "virtual_price": 0.1,
    "one_coin": 0.1,
}
LEVELS = {"quote": 1, "price": 1, "depeg": 2, "virtual_price": 2}


def generate(seed: int, split: Split) -> Item:
    """Balances of 200 thousand to 80 million dollars a coin; trades of 0.1% to 12% of one."""
    draw = Draw(NAME, seed, split, KINDS)
    rng, kind = draw.rng, draw.kind
    coins, low, high = rng.choice(GROUPS[split])
    names = rng.sample(coins, 3 if kind == "quote3" else 2)
    skewed = kind in ("price", "depeg")
    size = significant(rng, low, high, 4)
    ratios = rng.choice(((0.12, 0.5), (0.2, 0.7), (1.6, 6))) if skewed else (0.35, 1.9)
    amounts = [size, *(near(rng, size, *ratios) for _ in names[1:])]
    held = [cap_decimals(a, n) for a, n in zip(amounts, names, strict=True)]
    said = [say_amount(rng, a, n) for a, n in zip(held, names, strict=True)]
    traded = cap_decimals(near(rng, held[0], 0.001, 0.12, rng.choice((2, 3, 4))), names[0])
    ampl = rng.choice(LOW_A if skewed else COINS_A)
    # LP tokens have grown by 0.5% to 19%; neither figure is that of A.
    supply = near(rng, sum(held, Decimal()), 0.84, 0.995, rng.choice((4, 5, 6)))
    slots = {
        "amount_in": say_amount(rng, traded, names[0]),
        "balance_in": said[0],
        "balance_out": said[1],
        "balance_other": said[-1],
        "token_in": names[0],
        "token_out": names[1],
        "A": say_number(rng, Decimal(ampl), scale=False),
        "A_precise": say_number(rng, Decimal(ampl * 100), scale=False),
        "fee": say_percent(rng, rng.choice(FEES)),
        "supply": say_number(rng, supply),
        "lp": say_number(rng, _not(ampl, near(rng, supply, 0.002, 0.15, 3))),
    }
    # The one that is asked about: sold, priced, or (LP tokens) taken out.
    slots |= {
        "token": names[0],
        "balance": said[0],
        "against": names[1],
        "balance_against": said[1],
    }
    prompt = draw.ask(slots)
    hard = LEVELS.get(kind, 3)
    return make_item(
        draw,
        prompt,
        _gold(kind, slots, prompt),
        version="curve",
        difficulty=hard + (kind == "quote" and rng.random() < 0.4),
        pool="/".join(names),
    )


def _not(taken: int, value: Decimal) -> Decimal:
    return value if value != taken else value + 1


def _gold(kind: str, slots: dict[str, str], prompt: str) -> str:
    own, far = slots["balance_in"], slots["balance_out"]
    a, b = (own, far) if prompt.index(own) < prompt.index(far) else (far, own)
    ampl, fee, supply = slots["A"], slots["fee"], slots["supply"]
    if kind == "quote":
        return f"curve_in(in={slots['amount_in']}; a={a}; b={b}; A={ampl}; fee={fee})"
    if kind == "precise":
        head = f"curve_in_precise(in={slots['amount_in']}; a={a}; b={b}"
        return f"{head}; A_precise={slots['A_precise']}; fee={fee})"
    if kind == "quote3":
        head = f"curve3_in(in={slots['amount_in']}; sold={own}; bought={far}"
        return f"{head}; other={slots['balance_other']}; A={ampl}; fee={fee})"
    if kind == "virtual_price":
        return f"curve_virtual(a={a}; b={b}; A={ampl}; supply={supply})"
    if kind == "one_coin":
        head = f"curve_one_coin(lp={slots['lp']}; to={own}; other={far}"
        return f"{head}; A={ampl}; fee={fee}; supply={supply})"
    tool = "curve_price" if kind == "price" else "curve_gap"
    return f"{tool}(coin={own}; against={far}; A={ampl})"


def near_misses(item: Item) -> tuple[str, ...]:
    """Constant product, another scale of A, no fee, another coin out, the other direction."""
    call, kind = item.gold, item.kind
    values = dict(parse_call(call).arguments)
    scale = "0.01" if kind == "precise" else "100"
    misses = [scaled(call, "A_precise" if kind == "precise" else "A", scale)]
    if "fee=" in call:
        misses.append(replace_argument(call, "fee", "0%"))
    if kind in ("quote", "precise"):
        misses.append(f"v2_in(in={values['in']}; a={values['a']}; b={values['b']})")
    if kind in ("quote", "precise", "quote3"):
        misses += scaled_each(call, "in", ("1.01",))
    if kind == "quote3":
        misses.append(exchanged(call, "bought", "other"))
    if kind == "one_coin":
        misses.append(exchanged(call, "to", "other"))
    if kind in ("price", "depeg"):
        misses.append(exchanged(call, "coin", "against"))
    if kind == "virtual_price":
        misses.append(scaled(call, "supply", "1.01"))
    return tuple(map(answer, misses))


FAMILY = Family(
    NAME,
    "Curve StableSwap quotes, prices, depegs and LP tokens",
    tuple(KINDS),
    generate,
    near_misses,
    tools=(
        "curve_in",
        "curve_in_precise",
        "curve3_in",
        "curve_price",
        "curve_gap",
        "curve_virtual",
        "curve_one_coin",
    ),
    levels=(1, 2, 3),
    versions=("curve",),
)
