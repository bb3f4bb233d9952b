"""Liquidation prices on Aave, Compound, Morpho and Maker, and the fall to them.

Trap: LTV or the borrow factor in place of the liquidation threshold, a ratio taken for a share
(150% is not 66.7% of the price), a short that is liquidated above its price, a fall measured from
the liquidation price.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from denizen.tasks.calculator import parse_call
from denizen.tasks.families._edits import replace_argument, scaled_each
from denizen.tasks.families._lending_market import (
    THRESHOLDS,
    assets,
    below,
    coins,
    debt_of,
    leg,
    legs,
    other_percents,
    say_dollars,
    say_points,
)
from denizen.tasks.families._make import Draw, answer, make_item
from denizen.tasks.phrasing import plain, say_amount
from denizen.tasks.tools.liquidation_price import LIQUIDATION_PRICE_TOOLS, PROTOCOLS
from denizen.tasks.types import Family, Item, Split

NAME = "liquidation_price"
_LOAN = "collateral={collateral}; factor={factor}; debt={debt}"
# kind: (weight, difficulty, version, call)
KINDS: dict[str, tuple[float, int, str, str]] = {
    "price": (1.1, 1, "aave v3", f"liq_price(protocol=aave v3; {_LOAN})"),
    "usd": (
        1,
        1,
        "aave v3",
        "liq_usd(collateral={collateral}; threshold={factor}; debt={debt})",
    ),
    "ltv_trap": (1, 2, "aave v3", f"liq_price(protocol=aave v3; {_LOAN})"),
    "compound": (1, 2, "compound v3", f"liq_price(protocol=compound v3; {_LOAN})"),
    "morpho": (1, 1, "morpho blue", f"liq_price(protocol=morpho blue; {_LOAN})"),
    "maker": (1, 2, "maker", f"liq_price(protocol=maker; {_LOAN})"),
    "multi": (
        1.2,
        3,
        "aave v3",
        "liq_price2(asked={collateral}; threshold={factor}; other={other}; "
        "other_price={other_price}; other_threshold={other_factor}; debt={debt})",
    ),
    "short": (
        1,
        2,
        "aave v3",
        "short_price(collateral={collateral}; threshold={factor}; debt={debt})",
    ),
    "drop": (
        1.4,
        3,
        "",
        "liq_drop(protocol={lender}; collateral={collateral}; price={price}; factor={points};"
        " debt={debt})",
    ),
}
_LLTVS = tuple(map(Decimal, ("62.5", "77", "86", "91.5", "94.5")))
_RATIOS = tuple(map(Decimal, ("130", "135", "140", "145", "150", "155", "160", "170", "175")))
_TERMS = {
    "aave v3": "liquidation threshold",
    "compound v3": "liquidate collateral factor",
    "morpho blue": "LLTV",
    "maker": "liquidation ratio",
}
_SPOKEN = {
    "aave v3": ("Aave v3", "Aave", "Aave V3"),
    "compound v3": ("Compound v3", "Compound III", "Comet"),
    "morpho blue": ("Morpho Blue", "Morpho"),
    "maker": ("Maker", "MakerDAO"),
}
_FACTORS = {"morpho blue": _LLTVS, "maker": _RATIOS}


def _loan(draw: Draw, lender: str) -> dict[str, str]:
    """One collateral, a debt that leaves 4% to 60% until liquidation."""
    rng = draw.rng
    quote = "DAI" if lender == "maker" else rng.choice(coins(draw.split))
    held = leg(draw, rng.choice(assets(draw.split)), quote, 5e3, 2e6)
    points = rng.choice(_FACTORS.get(lender, THRESHOLDS))
    limit = held.worth * 100 / points if lender == "maker" else held.worth * points / 100
    debt = debt_of(draw, limit, 0.4, 0.96, quote)
    slots = {"collateral": held.said, "factor": say_points(points), "token": held.token}
    slots |= {"ltv": say_points(below(draw, points)), "price": held.told, "coin": quote}
    slots |= {"points": slots["factor"], "lender": lender}
    if draw.kind == "drop":
        slots["factor"] = f"{_TERMS[lender]} {slots['points']}"
        slots["protocol"] = rng.choice(_SPOKEN[lender])
    said = say_dollars(draw, debt) if draw.kind == "usd" else say_amount(rng, debt, quote)
    return slots | {"debt": said}


def _multi(draw: Draw) -> dict[str, str]:
    quote = draw.rng.choice(coins(draw.split))
    asked, other = sorted(legs(draw, quote, 2), key=lambda one: one.worth, reverse=True)
    factors = draw.rng.sample(THRESHOLDS, 2)
    safe, rest = asked.worth * factors[0] / 100, other.worth * factors[1] / 100
    share = Decimal(str(round(draw.rng.uniform(0.3, 0.93), 3)))
    debt = debt_of(draw, rest + safe * share, 0.99, 1.01, quote)
    slots = {"collateral": asked.said, "token": asked.token, "factor": say_points(factors[0])}
    slots |= {"other": other.said, "other_price": other.told, "other_token": other.token}
    slots |= {"other_factor": say_points(factors[1]), "coin": quote}
    return slots | {"debt": say_amount(draw.rng, debt, quote)}


def _short(draw: Draw) -> dict[str, str]:
    rng, quote = draw.rng, draw.rng.choice(coins(draw.split))
    owed = leg(draw, rng.choice(assets(draw.split)), quote, 4e3, 9e5)
    points = rng.choice(THRESHOLDS)
    held = debt_of(draw, owed.worth * 100 / points, 1.05, 2.2, quote)
    slots = {"collateral": say_amount(rng, held, quote), "factor": say_points(points)}
    return slots | {"debt": owed.said, "token": owed.token, "coin": quote}


_DRAWN: dict[str, Callable[[Draw], dict[str, str]]] = {"multi": _multi, "short": _short}


def generate(seed: int, split: Split) -> Item:
    """Loans of $2k to $1.9M that are healthy now and liquidatable after a move of the price."""
    draw = Draw(NAME, seed, split, {kind: row[0] for kind, row in KINDS.items()})
    _, difficulty, version, call = KINDS[draw.kind]
    version = version or draw.rng.choice(PROTOCOLS)
    slots = _DRAWN[draw.kind](draw) if draw.kind in _DRAWN else _loan(draw, version)
    prompt, gold = draw.ask(slots), call.format(**slots)
    pool = f"{slots['token']}/{slots['coin']}"
    return make_item(draw, prompt, gold, version=version, difficulty=difficulty, pool=pool)


def near_misses(item: Item) -> tuple[str, ...]:
    """The trap's factor, the ratio's inverse, another protocol, the other asset, amounts 1% off."""
    call, given = item.gold, dict(parse_call(item.gold).arguments)
    name = "factor" if "factor" in given else "threshold"
    misses = scaled_each(call, "asked" if "asked" in given else "collateral", ("1.01", "0.96"))
    for trap in other_percents(item, tuple(given.values())):
        misses.append(replace_argument(call, name, trap))
    if given.get("protocol") == "maker":
        inverse = plain(round(10000 / Decimal(given["factor"].rstrip("%")), 2))
        misses.append(replace_argument(call, "factor", f"{inverse}%"))
    if "protocol" in given:
        misses += [
            replace_argument(call, "protocol", p) for p in PROTOCOLS if p != given["protocol"]
        ]
    if "other" in given:
        swapped = replace_argument(call, "threshold", given["other_threshold"])
        misses.append(replace_argument(swapped, "other_threshold", given["threshold"]))
        misses.append(
            f"liq_price(protocol=aave v3; collateral={given['asked']}; "
            f"factor={given['threshold']}; debt={given['debt']})"
        )
    return tuple(answer(miss) for miss in misses)


FAMILY = Family(
    NAME,
    "liquidation prices and the fall to them",
    tuple(KINDS),
    generate,
    near_misses,
    tools=tuple(tool.name for tool in LIQUIDATION_PRICE_TOOLS),
    levels=(1, 2, 3),
    versions=PROTOCOLS,
)
