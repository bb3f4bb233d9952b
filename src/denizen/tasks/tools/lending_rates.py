"""Lending-rate tools: the kinked curves of Aave v3, Compound v3 and Morpho's adaptive IRM.

Rates are fractions a year in `values`; the engine's own integer rounding (ray, wad, per-second
wads) is kept.  Aave's slopes are rises over a leg, Compound's are per unit of utilisation, and
Compound's supply side has a curve of its own.
"""

from __future__ import annotations

from denizen.protocols import aave_math, compound_v3, morpho_blue
from denizen.protocols.aave_math import RAY
from denizen.protocols.aave_v3_rates import RateStrategy
from denizen.protocols.morpho_blue import WAD
from denizen.tasks.catalogue import Parameter, Result, Tool, ToolError
from denizen.tasks.quantities import Quantity
from denizen.tasks.tools.lending_accrual import ACCRUAL_TOOLS, LENDERS, fixed, from_ray, yearly_rate

__all__ = ["LENDERS", "LENDING_RATE_TOOLS"]
SIDES = ("borrow", "supply")


def _use(share: Quantity, one: int) -> int:
    if share.value > 1:
        raise ToolError(f"a utilisation of {share.text} is above 100%")
    return fixed(share, one)


def _strategy(
    base: Quantity, slope1: Quantity, slope2: Quantity, optimal: Quantity
) -> RateStrategy:
    if not 0 < optimal.value < 1:
        raise ToolError(f"an optimal utilisation of {optimal.text} leaves no kink")
    return RateStrategy(*(fixed(q, RAY) for q in (optimal, base, slope1, slope2)))


def aave_borrow(
    use_: Quantity, base_: Quantity, slope1_: Quantity, slope2_: Quantity, optimal_: Quantity
) -> Result:
    """Variable borrow APR of an Aave v3 reserve at a utilisation."""
    strategy = _strategy(base_, slope1_, slope2_, optimal_)
    rate, _ = strategy.borrow_rates(_use(use_, RAY))
    return yearly_rate("borrow", "apr", from_ray(rate), (_leg(use_, optimal_),))


def aave_supply(
    use_: Quantity,
    base_: Quantity,
    slope1_: Quantity,
    slope2_: Quantity,
    optimal_: Quantity,
    reserve_: Quantity,
) -> Result:
    """Supply APR of an Aave v3 reserve whose debt is all variable."""
    strategy = _strategy(base_, slope1_, slope2_, optimal_)
    used = _use(use_, RAY)
    factor = _use(reserve_, aave_math.PERCENTAGE_FACTOR)
    rates = strategy.rates(RAY - used, used, reserve_factor=factor)
    steps = (
        _leg(use_, optimal_),
        f"supply = borrow x {use_.text} x (1 - {reserve_.text})",
    )
    return yearly_rate(
        "supply", "apr", from_ray(rates.liquidity), steps, borrow_APR=from_ray(rates.variable)
    )


def _leg(use: Quantity, kink: Quantity) -> str:
    side = "above" if use.value > kink.value else "at or below"
    return f"utilisation {use.text} is {side} the kink at {kink.text}"


def comet_rate(
    side_: str,
    use_: Quantity,
    base_: Quantity,
    low_: Quantity,
    high_: Quantity,
    kink_: Quantity,
) -> Result:
    """Compound v3 APR of one side from that side's own curve, yearly parameters."""
    curve = compound_v3.RateCurve.per_year(*(fixed(q, WAD) for q in (base_, low_, high_, kink_)))
    rate = compound_v3.rate_to_apr(curve.rate(_use(use_, WAD)))
    steps = (_leg(use_, kink_), "rate = base + low x min(u, kink) + high x max(u - kink, 0)")
    return yearly_rate(side_, "apr", rate, steps)


def morpho_borrow(use_: Quantity, target_: Quantity) -> Result:
    """Borrow APR of a Morpho Blue market on the AdaptiveCurveIRM, rate at target held fixed."""
    apr = compound_v3.rate_to_apr(_morpho(use_, target_))
    return yearly_rate(
        "borrow", "apr", apr, (f"coefficient from {use_.text} against a target of 90%",)
    )


def morpho_supply(use_: Quantity, target_: Quantity, fee_: Quantity) -> Result:
    """Supply APY of the same market after the market's fee."""
    fee = fixed(fee_, WAD)
    if fee > morpho_blue.MAX_FEE:
        raise ToolError(f"a market fee of {fee_.text} is above the cap of 25%")
    rate = _morpho(use_, target_)
    apy = morpho_blue.supply_apy(rate, _use(use_, WAD), fee)
    steps = (f"supply APY = borrow APY x {use_.text} x (1 - {fee_.text})",)
    return yearly_rate("supply", "apy", apy, steps, borrow_APY=morpho_blue.borrow_apy(rate))


def _morpho(use: Quantity, target: Quantity) -> int:
    at_target = fixed(target, WAD) // morpho_blue.SECONDS_PER_YEAR
    return morpho_blue.curve_borrow_rate(_use(use, WAD), at_target)


_USE = Parameter("use", "utilisation, such as 72%", "percent")
_BASE = Parameter("base", "base rate a year", "percent")
_AAVE = (
    _USE,
    _BASE,
    Parameter("slope1", "rise of the rate up to the optimal utilisation", "percent"),
    Parameter("slope2", "rise of the rate from there to full utilisation", "percent"),
    Parameter("optimal", "optimal utilisation, where the kink is", "percent"),
)
_TARGET = Parameter("target", "rate at target, a year", "percent")
_APR = {"side": "borrow or supply", "apr": "fraction a year, simple"}

LENDING_RATE_TOOLS = (
    Tool(
        "aave_borrow",
        "Aave v3 variable borrow APR from the two-slope curve",
        "aave borrow rate",
        _AAVE,
        aave_borrow,
        _APR,
    ),
    Tool(
        "aave_supply",
        "Aave v3 supply APR from the two-slope curve and the reserve factor",
        "aave supply rate",
        (*_AAVE, Parameter("reserve", "reserve factor", "percent")),
        aave_supply,
        {**_APR, "borrow_APR": "fraction a year, simple"},
    ),
    Tool(
        "comet_rate",
        "Compound v3 APR of one side from that side's own curve",
        "comet curve rate",
        (
            Parameter("side", "whose rate", choices=SIDES),
            _USE,
            _BASE,
            Parameter("low", "yearly slope below the kink, per unit of utilisation", "percent"),
            Parameter("high", "yearly slope above the kink, per unit of utilisation", "percent"),
            Parameter("kink", "utilisation at the kink", "percent"),
        ),
        comet_rate,
        _APR,
    ),
    Tool(
        "morpho_borrow",
        "Morpho AdaptiveCurveIRM borrow APR at a fixed rate at target",
        "morpho borrow rate",
        (_USE, _TARGET),
        morpho_borrow,
        _APR,
    ),
    Tool(
        "morpho_supply",
        "Morpho AdaptiveCurveIRM supply APY after the market fee",
        "morpho supply yield",
        (_USE, _TARGET, Parameter("fee", "the market's fee on interest", "percent")),
        morpho_supply,
        {
            "side": "supply",
            "apy": "fraction a year, compounded",
            "borrow_APY": "fraction a year, compounded",
        },
    ),
    *ACCRUAL_TOOLS,
)
