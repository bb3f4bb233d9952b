"""Yield tools: APR and APY, realised, blended and net rates, break-even, real yield.

APR is simple and APY compounded, both on a year of 365 days; money is in any one currency.  An
impermanent loss counts as a loss whether it is written "3.2%" or "-3.2%".
"""

from __future__ import annotations

from decimal import Decimal

from denizen.protocols import yields
from denizen.tasks.catalogue import Parameter, Result, Tool
from denizen.tasks.quantities import Quantity
from denizen.tasks.tools.display import canonical, figure, percent

COMPOUNDING = {
    "yearly": 1,
    "quarterly": 4,
    "monthly": 12,
    "weekly": 52,
    "daily": 365,
    "hourly": 8760,
    "continuously": 0,
}


def _rate(key: str, rate: Decimal, told: str, *steps: str, **others: str) -> Result:
    return Result(
        {**others, key: canonical(rate)}, f"{percent(rate)} {told}", steps, key, rate * 100, "%"
    )


def apy_from_apr(apr_: Quantity, compounding_: str) -> Result:
    """APY of a simple rate that is compounded so often."""
    if times := COMPOUNDING[compounding_]:
        apy = yields.apr_to_apy(apr_.value, times)
        step = f"(1 + {apr_.value:f} / {times})^{times} - 1 = {percent(apy, 6)}"
    else:
        apy = yields.continuous_apy(apr_.value)
        step = f"e^{apr_.value:f} - 1 = {percent(apy, 6)}"
    return _rate("apy", apy, f"APY, compounded {compounding_}", step)


def apr_from_apy(apy_: Quantity, compounding_: str) -> Result:
    """Simple rate that gives an APY when compounded so often."""
    if times := COMPOUNDING[compounding_]:
        apr = yields.apy_to_apr(apy_.value, times)
        step = f"{times} x ((1 + {apy_.value:f})^(1/{times}) - 1) = {percent(apr, 6)}"
    else:
        apr = yields.continuous_apr(apy_.value)
        step = f"ln(1 + {apy_.value:f}) = {percent(apr, 6)}"
    return _rate("apr", apr, f"APR, compounded {compounding_}", step)


def realised_apr(start_: Quantity, end_: Quantity, period_: Quantity) -> Result:
    """Simple yearly rate from a vault's share price at two times."""
    apr = yields.realised_apr(start_.value, end_.value, period_.value)
    step = f"({end_.value:f} / {start_.value:f} - 1) x 365 / {figure(period_.value)}"
    return _rate("realised_apr", apr, "realised APR", f"{step} = {percent(apr, 6)}")


def blended_apr(
    lp_: Quantity, fees_: Quantity, rewards_: Quantity, lent_: Quantity, rate_: Quantity
) -> Result:
    """APR of an LP stake (fees and rewards) and a deposit (interest) taken together."""
    legs = ((lp_.value, fees_.value), (lp_.value, rewards_.value), (lent_.value, rate_.value))
    apr = yields.blended_apr(lp_.value + lent_.value, legs)
    return _rate(
        "blended_apr",
        apr,
        "blended APR",
        f"a year's income: {' + '.join(f'{a:f} x {r:f}' for a, r in legs)}",
        f"over {lp_.value + lent_.value:f} = {percent(apr, 6)}",
    )


def net_apr(
    gross_: Quantity, il_: Quantity, cost_: Quantity, capital_: Quantity, period_: Quantity
) -> Result:
    """Gross APR less impermanent loss and costs over the period held, against holding."""
    loss = -abs(il_.value)
    apr = yields.net_apr(gross_.value, loss, cost_.value, capital_.value, period_.value)
    return _rate(
        "net_apr",
        apr,
        "net APR",
        f"loss and cost over the period: {loss:f} - {cost_.value:f} / {capital_.value:f}",
        f"x 365 / {figure(period_.value)}, added to {gross_.value:f} = {percent(apr, 6)}",
    )


def break_even(cost_: Quantity, capital_: Quantity, apr_: Quantity) -> Result:
    """Days until a simple yield has paid a cost."""
    days = yields.break_even_days(cost_.value, capital_.value, apr_.value)
    step = f"{cost_.value:f} x 365 / ({capital_.value:f} x {apr_.value:f}) = {figure(days)}"
    return Result({"days": canonical(days)}, f"{figure(days)} days", (step,), "days", days, "days")


def real_yield(
    revenue_: Quantity, emissions_: Quantity, capital_: Quantity, period_: Quantity
) -> Result:
    """Yearly yield paid from revenue, new tokens left out."""
    split = yields.real_yield(revenue_.value, emissions_.value, capital_.value, period_.value)
    return Result(
        {"real_apr": canonical(split.revenue_apr), "emission_apr": canonical(split.emission_apr)},
        f"{percent(split.emission_apr)} comes from emissions; "
        f"the real yield is {percent(split.revenue_apr)}",
        (
            f"real = {revenue_.value:f} x 365 / {figure(period_.value)} / {capital_.value:f}",
            f"revenue is {percent(split.real_share)} of all that was paid",
        ),
        "real_apr",
        split.revenue_apr * 100,
        "%",
    )


def required_apr(il_: Quantity, period_: Quantity) -> Result:
    """Fee APR that offsets an impermanent loss over a period."""
    apr = yields.required_fee_apr(-abs(il_.value), period_.value)
    step = f"{abs(il_.value):f} x 365 / {figure(period_.value)} = {percent(apr, 6)}"
    return _rate("required_apr", apr, "fee APR offsets it", step)


_COMPOUNDING = Parameter("compounding", "how often interest is added", choices=tuple(COMPOUNDING))
_CAPITAL = Parameter("capital", "capital it is earned on", "number")
_IL = Parameter("il", "impermanent loss over the period", "percent")
_YEARLY = "fraction a year, simple"

YIELD_MATH_TOOLS = (
    Tool(
        "apy_from_apr",
        "APY of an APR under stated compounding",
        "APY from APR",
        (Parameter("apr", "the simple yearly rate", "percent"), _COMPOUNDING),
        apy_from_apr,
        {"apy": "fraction a year, compounded"},
    ),
    Tool(
        "apr_from_apy",
        "APR behind an APY under stated compounding",
        "APR from APY",
        (Parameter("apy", "the compounded yearly rate", "percent"), _COMPOUNDING),
        apr_from_apy,
        {"apr": _YEARLY},
    ),
    Tool(
        "realised_apr",
        "simple yearly rate from a vault's share price at two times",
        "realised APR",
        (
            Parameter("start", "share price at the start", "number"),
            Parameter("end", "share price at the end", "number"),
            Parameter("period", "time between the two", "period"),
        ),
        realised_apr,
        {"realised_apr": _YEARLY},
    ),
    Tool(
        "blended_apr",
        "APR of an LP stake (fees and rewards) and a lending deposit together",
        "blended APR",
        (
            Parameter("lp", "value in the LP stake", "number"),
            Parameter("fees", "fee APR of the LP stake", "percent"),
            Parameter("rewards", "incentive APR of the LP stake", "percent"),
            Parameter("lent", "value lent", "number"),
            Parameter("rate", "lending APR", "percent"),
        ),
        blended_apr,
        {"blended_apr": _YEARLY},
    ),
    Tool(
        "net_apr",
        "APR after impermanent loss and costs, against holding",
        "net APR after losses",
        (
            Parameter("gross", "gross APR", "percent"),
            _IL,
            Parameter("cost", "gas and other costs over the period, in money", "number"),
            _CAPITAL,
            Parameter("period", "time held", "period"),
        ),
        net_apr,
        {"net_apr": _YEARLY},
    ),
    Tool(
        "break_even",
        "days until a yield has paid a cost",
        "days to break even",
        (
            Parameter("cost", "the cost, in money", "number"),
            _CAPITAL,
            Parameter("apr", "the simple yearly rate earned", "percent"),
        ),
        break_even,
        {"days": "days"},
    ),
    Tool(
        "real_yield",
        "yearly yield from revenue alone, without token emissions",
        "real yield",
        (
            Parameter("revenue", "fees or revenue paid out in the period", "number"),
            Parameter("emissions", "value of new tokens paid out in the period", "number"),
            _CAPITAL,
            Parameter("period", "the period", "period"),
        ),
        real_yield,
        {"real_apr": _YEARLY, "emission_apr": _YEARLY},
    ),
    Tool(
        "required_apr",
        "fee APR that offsets an impermanent loss over a period",
        "fee APR that offsets",
        (_IL, Parameter("period", "time in which the loss arose", "period")),
        required_apr,
        {"required_apr": _YEARLY},
    ),
)
