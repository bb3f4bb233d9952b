"""Liquidations: what is repaid, what is seized, what is left, on four protocols.

Trap: half the debt or all of it (health factor 0.95), the bonus is paid on top of the debt's worth
and the protocol's fee comes off the bonus alone, Compound's discount is a share of the penalty,
Morpho's bonus is never stated but follows from the LLTV.
"""

from __future__ import annotations

from decimal import Decimal

from denizen.tasks.calculator import parse_call
from denizen.tasks.families._edits import replace_argument, scaled_each
from denizen.tasks.families._lending_market import (
    THRESHOLDS,
    assets,
    coins,
    debt_of,
    leg,
    say_points,
)
from denizen.tasks.families._make import Draw, answer, make_item
from denizen.tasks.phrasing import plain, say_amount
from denizen.tasks.tools.liquidation import LIQUIDATION_TOOLS
from denizen.tasks.types import Family, Item, Split

NAME = "liquidation"
_SALE = "repaid={debt}; price={price}"
# kind: (weight, difficulty, version, call)
KINDS: dict[str, tuple[float, int, str, str]] = {
    "close": (1, 1, "aave v3", "aave_close(debt={debt}; health={health})"),
    "seize": (1, 1, "aave v3", f"aave_seize({_SALE}; bonus={{bonus}})"),
    "net": (1.2, 2, "aave v3", f"aave_net({_SALE}; bonus={{bonus}}; fee={{fee}})"),
    "most": (
        1.2,
        3,
        "aave v3",
        "aave_most(debt={debt}; health={health}; price={price}; bonus={bonus})",
    ),
    "capped": (
        1,
        3,
        "aave v3",
        "aave_capped(repaid={debt}; balance={collateral}; price={price}; bonus={bonus})",
    ),
    "absorb": (
        1,
        3,
        "compound v3",
        "comet_absorb(collateral={collateral}; price={price}; liquidate={liquidate};"
        " liquidation={liquidation}; debt={debt})",
    ),
    "buy": (
        1,
        2,
        "compound v3",
        "comet_buy(paid={debt}; price={price}; liquidation={liquidation}; store={store})",
    ),
    "morpho_seize": (1, 2, "morpho blue", f"morpho_seize({_SALE}; lltv={{lltv}})"),
    "morpho_repay": (
        1,
        2,
        "morpho blue",
        "morpho_repay(seized={collateral}; price={price}; lltv={lltv})",
    ),
    "maker_tab": (0.8, 1, "maker", "maker_tab(debt={debt}; penalty={penalty})"),
    "maker_left": (
        1,
        3,
        "maker",
        "maker_left(collateral={collateral}; price={price}; penalty={penalty}; debt={debt})",
    ),
}
# Percentages in points, as the protocols set them.
_RATES = {
    "bonus": "4 4.5 5 5.5 6 6.5 7 7.5 8.5 9",
    "fee": "10 12 15 20 30",
    "liquidation": "88 90 92 93 94 95 96",
    "store": "50 60 65 70 75 80",
    "lltv": "62.5 77 86 91.5 94.5",
    "penalty": "8 10 11 12 13 14 15",
}  # fmt: skip
_POINTS = {name: tuple(map(Decimal, text.split())) for name, text in _RATES.items()}
# Debt over the collateral's worth, where the question gives both.
_LOADS = {"capped": (1.02, 1.6), "maker_left": (0.6, 0.84)}


def generate(seed: int, split: Split) -> Item:
    """Loans of $10k to $3M, liquidated at the protocols' own bonuses, factors and penalties."""
    draw = Draw(NAME, seed, split, {kind: row[0] for kind, row in KINDS.items()})
    rng = draw.rng
    _, difficulty, version, call = KINDS[draw.kind]
    quote = "DAI" if version == "maker" else rng.choice(coins(split))
    held = leg(draw, rng.choice(assets(split)), quote, 1.2e4, 3e6)
    points = {name: rng.choice(values) for name, values in _POINTS.items()}
    liquidate = rng.choice(THRESHOLDS)
    load = _LOADS.get(draw.kind, (0.5, 0.95))
    if draw.kind == "absorb":
        # Past the liquidate factor, not past what the liquidation factor credits.
        least, most = liquidate / 100, points["liquidation"] / 100
        load = (float(least) + 0.01, float(most) - 0.01)
    debt = debt_of(draw, held.worth, *load, quote)
    # Below 0.95 all of the debt may be repaid, above it half.
    health = Decimal(rng.randrange(951, 999) if rng.random() < 0.5 else rng.randrange(880, 950))
    slots = {name: say_points(value) for name, value in points.items()}
    slots |= {"liquidate": say_points(liquidate), "health": plain(health.scaleb(-3))}
    slots |= {"collateral": held.said, "price": held.told, "token": held.token, "coin": quote}
    slots["debt"] = say_amount(rng, debt, quote)
    prompt, gold = draw.ask(slots), call.format(**slots)
    pool = f"{held.token}/{quote}"
    return make_item(draw, prompt, gold, version=version, difficulty=difficulty, pool=pool)


def near_misses(item: Item) -> tuple[str, ...]:
    """Close factor of the other side, bonus or fee forgotten or swapped, amounts 1% off."""
    call, given = item.gold, dict(parse_call(item.gold).arguments)
    misses = []
    if "health" in given:
        flipped = "0.93" if Decimal(given["health"]) > Decimal("0.95") else "0.97"
        misses.append(replace_argument(call, "health", flipped))
    for a, b in (("bonus", "fee"), ("liquidate", "liquidation"), ("liquidation", "store")):
        if a in given and b in given:
            misses.append(replace_argument(replace_argument(call, a, given[b]), b, given[a]))
    if item.kind in ("net", "capped"):
        misses.append(
            f"aave_seize(repaid={given['repaid']}; price={given['price']}; bonus={given['bonus']})"
        )
    for name, other in (("bonus", "3%"), ("lltv", "80%"), ("penalty", "9%")):
        if name in given:
            misses.append(replace_argument(call, name, other))
    name = next(
        n for n in ("balance", "collateral", "seized", "repaid", "paid", "debt") if n in given
    )
    misses += scaled_each(call, name, ("1.01", "0.99"))
    return tuple(answer(miss) for miss in misses)


FAMILY = Family(
    NAME,
    "liquidations on Aave, Compound, Morpho and Maker",
    tuple(KINDS),
    generate,
    near_misses,
    tools=tuple(tool.name for tool in LIQUIDATION_TOOLS),
    levels=(1, 2, 3),
    versions=("aave v3", "compound v3", "morpho blue", "maker"),
)
