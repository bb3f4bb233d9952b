"""Aave v3 accounts: health factor of one to three collaterals, borrowing power, e-mode.

Trap: LTV limits borrowing, the liquidation threshold limits health; in e-mode the category's
threshold replaces the asset's, outside of it the category says nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from denizen.tasks.calculator import parse_call
from denizen.tasks.families._edits import replace_argument, scaled_each
from denizen.tasks.families._lending_market import (
    CORRELATED,
    THRESHOLDS,
    assets,
    below,
    coins,
    debt_of,
    leg,
    leg_at,
    legs,
    other_percents,
    say_dollars,
    say_points,
)
from denizen.tasks.families._make import Draw, answer, make_item
from denizen.tasks.phrasing import Pool, near, say_amount
from denizen.tasks.tools.lending import LENDING_TOOLS
from denizen.tasks.types import Family, Item, Split

NAME = "health_factor"
_ONE = "collateral={collateral}; price={price}"
_TWO = "".join(f"{w}={{{w}}}; price{n}={{price{n}}}; threshold{n}={{threshold{n}}}; "
               for n, w in ((1, "first"), (2, "second")))  # fmt: skip
_THIRD = "third={third}; price3={price3}; threshold3={threshold3}; "
# kind: (weight, difficulty, call)
KINDS: dict[str, tuple[float, int, str]] = {
    "single": (1.2, 1, f"health1({_ONE}; threshold={{threshold}}; debt={{debt}})"),
    "usd": (1, 1, f"health_usd({_ONE}; threshold={{threshold}}; debt={{debt}})"),
    "token_debt": (
        1,
        2,
        f"health_debt({_ONE}; threshold={{threshold}}; debt={{debt}}; debt_price={{debt_price}})",
    ),
    "multi": (1.2, 2, f"health2({_TWO}debt={{debt}})"),
    "multi3": (1, 3, f"health3({_TWO}{_THIRD}debt={{debt}})"),
    "ltv_trap": (1, 2, f"health1({_ONE}; threshold={{threshold}}; debt={{debt}})"),
    "max_borrow": (1, 1, f"borrow_power({_ONE}; ltv={{ltv}})"),
    "borrow_left": (1, 2, f"borrow_left({_ONE}; ltv={{ltv}}; debt={{debt}})"),
    "e_mode": (1, 3, f"health1({_ONE}; threshold={{e_threshold}}; debt={{debt}})"),
    "e_mode_off": (0.8, 3, f"health1({_ONE}; threshold={{threshold}}; debt={{debt}})"),
}
_E_MODE = tuple(map(Decimal, ("90", "91", "92", "92.5", "93", "93.5", "94", "95", "96")))
_NAMES = ("first", "second", "third")
# Debt over what the thresholds allow: its inverse is the health factor.
_LOAD = (0.42, 1.06)


def _several(draw: Draw, count: int) -> dict[str, str]:
    quote = draw.rng.choice(coins(draw.split))
    held = legs(draw, quote, count)
    shares = draw.rng.sample(THRESHOLDS, count)
    limit = sum((h.worth * s / 100 for h, s in zip(held, shares, strict=True)), Decimal())
    debt = debt_of(draw, limit, *_LOAD, quote, digits=draw.rng.choice((2, 3, 3)))
    said = say_dollars(draw, debt) if count == 3 else say_amount(draw.rng, debt, quote)
    slots = {"debt": said, "coin": quote}
    for number, (name, one, share) in enumerate(zip(_NAMES, held, shares, strict=False), 1):
        slots |= {name: one.said, f"token{number}": one.token}
        slots |= {f"price{number}": one.told, f"threshold{number}": say_points(share)}
    return slots


def _single(draw: Draw) -> dict[str, str]:
    rng, quote = draw.rng, draw.rng.choice(coins(draw.split))
    asset, owed = rng.sample(assets(draw.split), 2)
    held = leg(draw, asset, quote, 4e3, 2e6)
    share = rng.choice(THRESHOLDS)
    ltv = below(draw, share)
    slots = {"collateral": held.said, "price": held.told, "coin": quote, "token": held.token}
    slots |= {"threshold": say_points(share), "ltv": say_points(ltv)}
    limit = held.worth * share / 100
    if draw.kind == "token_debt":
        price = near(rng, owed.price, 0.7, 1.35, 3)
        pair = Pool(owed.base, quote, price)
        load = Decimal(str(round(rng.uniform(*_LOAD), 3)))
        loan = leg_at(draw, pair, float(limit * load * Decimal("0.99")), float(limit * load))
        return slots | {"debt": loan.said, "debt_price": loan.told, "debt_token": owed.base}
    if draw.kind == "borrow_left":
        debt = debt_of(draw, held.worth * ltv / 100, 0.15, 0.85, quote)
    else:
        debt = debt_of(draw, limit, *_LOAD, quote, digits=rng.choice((2, 3, 3)))
    slots["debt"] = say_amount(rng, debt, quote)
    if draw.kind == "usd":
        slots["price"] = say_dollars(draw, held.price, scale=False)
        slots["debt"] = say_dollars(draw, debt if debt != held.price else debt + 1)
    return slots


def _e_mode(draw: Draw) -> dict[str, str]:
    rng, pair = draw.rng, draw.rng.choice(CORRELATED[draw.split])
    price = near(rng, pair.price, 0.985, 1.015, 3)
    worth = (1.5, 60) if pair.quote == "WBTC" else (6, 900)
    held = leg_at(draw, Pool(pair.base, pair.quote, price), *worth)
    share, category = rng.choice(THRESHOLDS), rng.choice(_E_MODE)
    limit = held.worth * (category if draw.kind == "e_mode" else share) / 100
    debt = debt_of(draw, limit, 0.7, 1.03, pair.quote)
    slots = {"collateral": held.said, "price": held.told, "token": pair.base, "coin": pair.quote}
    slots |= {"threshold": say_points(share), "e_threshold": say_points(category)}
    return slots | {"debt": say_amount(rng, debt, pair.quote)}


_DRAWN: dict[str, Callable[[Draw], dict[str, str]]] = {
    "multi": lambda draw: _several(draw, 2),
    "multi3": lambda draw: _several(draw, 3),
    "e_mode": _e_mode,
    "e_mode_off": _e_mode,
}


def generate(seed: int, split: Split) -> Item:
    """Collateral of $4k to $2M, health factors of 0.94 to 2.4."""
    draw = Draw(NAME, seed, split, {kind: row[0] for kind, row in KINDS.items()})
    _, difficulty, call = KINDS[draw.kind]
    slots = _DRAWN.get(draw.kind, _single)(draw)
    prompt, gold = draw.ask(slots), call.format(**slots)
    pool = f"{slots.get('token', slots.get('token1'))}/{slots['coin']}"
    return make_item(draw, prompt, gold, version="aave v3", difficulty=difficulty, pool=pool)


def near_misses(item: Item) -> tuple[str, ...]:
    """The trap's percentage in the place of the right one, thresholds swapped, amounts 1% off."""
    call, given = item.gold, dict(parse_call(item.gold).arguments)
    misses = []
    name = next(n for n in ("threshold", "ltv", "threshold1") if n in given)
    for trap in other_percents(item, tuple(given.values())):
        misses.append(replace_argument(call, name, trap))
    if "threshold2" in given:
        swapped = replace_argument(call, "threshold1", given["threshold2"])
        misses.append(replace_argument(swapped, "threshold2", given["threshold1"]))
    misses += scaled_each(call, "first" if "first" in given else "collateral", ("1.01", "0.97"))
    if item.kind == "borrow_left":
        misses.append(f"borrow_power({call[12:].partition('; debt')[0]})")
    return tuple(answer(miss) for miss in misses)


FAMILY = Family(
    NAME,
    "health factor and borrowing power on Aave v3",
    tuple(KINDS),
    generate,
    near_misses,
    tools=tuple(tool.name for tool in LENDING_TOOLS),
    levels=(1, 2, 3),
    versions=("aave v3",),
)
