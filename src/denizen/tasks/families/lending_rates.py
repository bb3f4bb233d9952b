"""Lending rates: kinked curves of Aave, Compound v3 and Morpho, APR and APY, interest on a debt.

Trap: the wrong side of the kink, a supply rate without utilisation or reserve factor, Aave's slope
read as Compound's (per unit of utilisation), an APR taken for an APY, Maker's fee for an APR.
"""

from __future__ import annotations

from decimal import Decimal

from denizen.tasks.calculator import parse_call
from denizen.tasks.families._edits import replace_argument
from denizen.tasks.families._make import Draw, answer, make_item
from denizen.tasks.phrasing import cap_decimals, near, plain, say_amount, significant
from denizen.tasks.tools.lending_rates import LENDERS, LENDING_RATE_TOOLS
from denizen.tasks.types import Family, Item, Split

NAME = "lending_rates"
# kind: (weight, difficulty, version, call with slots)
_CURVE = "use={use}; base={base}; slope1={slope1}; slope2={slope2}; optimal={optimal}"
_COMET = "use={use}; base={base}; low={low}; high={high}; kink={kink}"
KINDS: dict[str, tuple[float, int, str, str]] = {
    "aave_borrow": (1.2, 2, "aave v3", f"aave_borrow({_CURVE})"),
    "aave_supply": (1.2, 3, "aave v3", f"aave_supply({_CURVE}; reserve={{reserve}})"),
    "comet_borrow": (1, 2, "compound v3", f"comet_rate(side=borrow; {_COMET})"),
    "comet_supply": (1, 3, "compound v3", f"comet_rate(side=supply; {_COMET})"),
    "morpho_borrow": (0.8, 2, "morpho blue", "morpho_borrow(use={use}; target={target})"),
    "morpho_supply": (
        0.8,
        3,
        "morpho blue",
        "morpho_supply(use={use}; target={target}; fee={fee})",
    ),
    "to_apy": (0.7, 1, "any", "apy_second(apr={apr})"),
    "to_apr": (0.7, 1, "any", "apr_second(apy={apy})"),
    "utilisation": (0.8, 1, "any", "utilisation(cash={cash}; debt={debt})"),
    "interest": (1.8, 3, "", "debt_interest({call})"),
}
# The nearest question to each kind, with the same figures.
_OTHER = {
    "aave_borrow": f"aave_supply({_CURVE}; reserve=10%)",
    "aave_supply": f"aave_borrow({_CURVE})",
    "comet_borrow": f"comet_rate(side=supply; {_COMET})",
    "comet_supply": f"comet_rate(side=borrow; {_COMET})",
    "morpho_borrow": "morpho_supply(use={use}; target={target}; fee=10%)",
    "morpho_supply": "morpho_borrow(use={use}; target={target})",
    "to_apy": "apr_second(apy={apr})",
    "to_apr": "apy_second(apr={apy})",
}
_PAIRS = (
    ("use", "optimal"),
    ("slope1", "slope2"),
    ("low", "high"),
    ("use", "kink"),
    ("use", "target"),
    ("cash", "debt"),
)
PERIODS = ("7 days", "10 days", "2 weeks", "30 days", "45 days", "90 days", "6 months", "1 year")
_SPOKEN = {
    "aave v3": ("Aave v3", "Aave V3"),
    "compound v3": ("Compound v3", "Compound III", "Comet"),
    "morpho blue": ("Morpho Blue", "Morpho"),
    "maker": ("Maker", "MakerDAO", "the Maker protocol"),
}
_RATE_NAMES = {
    "aave v3": ("variable borrow APR", "variable APR"),
    "compound v3": ("borrow APR",),
    "morpho blue": ("borrow APR",),
    "maker": ("stability fee", "yearly stability fee"),
}
# What each percentage slot is drawn from, in points: low, high, step.
_STEPS = {
    "base": ("0", "2.5", "0.25"), "slope1": ("2.5", "9", "0.25"), "slope2": ("20", "310", "5"),
    "optimal": ("40", "92", "1"), "reserve": ("5", "50", "2.5"), "low": ("2.4", "6.5", "0.1"),
    "high": ("18", "420", "1"), "kink": ("78", "94", "1"), "fee": ("2.5", "25", "2.5"),
    "target": ("1.4", "11", "0.05"), "apr": ("1.5", "42", "0.05"), "apy": ("1.5", "48", "0.05"),
    "rate": ("1.5", "19", "0.05"),
}  # fmt: skip
_WETH_PRICE = Decimal(2900)


def _points(draw: Draw, slots: dict[str, str], name: str) -> str:
    """A percentage of the slot's grid that no other slot has."""
    low, high, step = map(Decimal, _STEPS[name])
    while True:
        value = low + step * draw.rng.randrange(int((high - low) / step) + 1)
        if (text := f"{plain(value)}%") not in slots.values():
            return text


def _use(draw: Draw, kink: Decimal) -> str:
    """A utilisation well off the kink, above it as often as below."""
    above = draw.rng.random() < 0.5
    low, high = (kink + 1, Decimal("99.4")) if above else (kink * Decimal("0.35"), kink - 2)
    tenths = draw.rng.randrange(int(low * 10), int(high * 10))
    return f"{plain(Decimal(tenths) / 10 + Decimal('0.03') * draw.rng.randrange(2))}%"


def _amount(draw: Draw, low: float, high: float, token: str) -> Decimal:
    """A token amount worth `low` to `high` dollars."""
    pool, worth = draw.pool, significant(draw.rng, low, high, draw.rng.choice((2, 3, 4)))
    in_ether = pool.quote in ("WETH", "ETH")
    if token == pool.base:
        worth /= pool.price * (_WETH_PRICE if in_ether else 1)
    elif token == pool.quote and in_ether:
        worth /= _WETH_PRICE
    return cap_decimals(near(draw.rng, worth, 1, 1.0001, draw.rng.choice((3, 4))), token)


def _amounts(draw: Draw) -> dict[str, str]:
    """The slots of the kinds about amounts."""
    rng, pool = draw.rng, draw.pool
    token = rng.choice((pool.quote, pool.quote, pool.base))
    if draw.kind == "utilisation":
        cash = _amount(draw, 4e5, 9e7, token)
        debt = cap_decimals(near(rng, cash, 0.2, 12, 4), token)
        return {"cash": say_amount(rng, cash, token), "debt": say_amount(rng, debt, token)}
    lender = rng.choice(LENDERS)
    token = "DAI" if lender == "maker" else token
    slots = {"debt": say_amount(rng, _amount(draw, 3e3, 6e6, token), token)}
    points, slots["period"] = _points(draw, slots, "rate"), rng.choice(PERIODS)
    call = f"protocol={lender}; debt={slots['debt']}; rate={points}; period={slots['period']}"
    slots |= {"rate": f"{points} {rng.choice(_RATE_NAMES[lender])}", "call": call}
    return slots | {"protocol": rng.choice(_SPOKEN[lender]), "lender": lender}


def generate(seed: int, split: Split) -> Item:
    """Curves as lenders set them, utilisations on either side of the kink."""
    draw = Draw(NAME, seed, split, {kind: row[0] for kind, row in KINDS.items()})
    _, difficulty, version, call = KINDS[draw.kind]
    slots: dict[str, str] = {}
    if draw.kind in ("utilisation", "interest"):
        slots = _amounts(draw)
        version = slots.get("lender", version)
    else:
        for name in (p for p in _STEPS if f"{{{p}}}" in call):
            slots[name] = _points(draw, slots, name)
        if "{use}" in call:
            kink = Decimal(slots.get("optimal", slots.get("kink", "90%")).rstrip("%"))
            slots["use"] = _use(draw, kink)
            while list(slots.values()).count(slots["use"]) > 1:
                slots["use"] = _use(draw, kink)
    return make_item(
        draw, draw.ask(slots), call.format(**slots), version=version, difficulty=difficulty
    )


def near_misses(item: Item) -> tuple[str, ...]:
    """The other side or kind of rate, the other protocols, and two figures that change places."""
    call, given = item.gold, dict(parse_call(item.gold).arguments)
    misses = [_OTHER[item.kind].format(**given)] if item.kind in _OTHER else []
    for a, b in _PAIRS:
        if a in given and b in given:
            swapped = replace_argument(replace_argument(call, a, given[b]), b, given[a])
            misses.append(swapped)
    if item.kind == "interest":
        misses += [replace_argument(call, "protocol", p) for p in LENDERS if p != item.version]
        misses.append(replace_argument(call, "period", "21 days"))
    return tuple(answer(miss) for miss in misses)


FAMILY = Family(
    NAME,
    "lending rates, utilisation, compounding and interest",
    tuple(KINDS),
    generate,
    near_misses,
    tools=tuple(tool.name for tool in LENDING_RATE_TOOLS),
    levels=(1, 2, 3),
    versions=("any", *LENDERS),
)
