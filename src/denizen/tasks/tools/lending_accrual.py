"""Accrual tools: APR and APY by the second, utilisation, and the interest a debt has gathered.

Rates are fractions a year in `values`.  APR is simple, APY compounds every second; a Maker
stability fee is what a year costs once compounded, so it is no per-second APR.  Interest is that
of one accrual at the end, with each protocol's own integer rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Context, Decimal

from denizen.protocols import aave_math, compound_v3, maker_vaults, morpho_blue, yields
from denizen.protocols.aave_math import RAY
from denizen.protocols.morpho_blue import WAD
from denizen.tasks.catalogue import Parameter, Result, Tool, ToolError
from denizen.tasks.quantities import Quantity, decimals_of
from denizen.tasks.tools.display import canonical, figure, percent, token_amount

# Holds any quantity of a call (256 bits, 40 places) times a ray without rounding.
_WIDE = Context(prec=160)


def fixed(share: Quantity, one: int) -> int:
    """A percentage as a fixed-point integer, rounded down."""
    if share.value < 0:
        raise ToolError(f"{share.text} is negative")
    return int(_WIDE.multiply(share.value, one))


def from_ray(rate: int) -> Decimal:
    """A ray as a Decimal, exactly."""
    return Decimal(rate).scaleb(-27, _WIDE)


def yearly_rate(
    side: str, kind: str, rate: Decimal, steps: tuple[str, ...], **more: Decimal
) -> Result:
    """A yearly rate as the headline; other rates are told before it."""
    told = [f"{name.replace('_', ' ')} {percent(value)}" for name, value in more.items()]
    return Result(
        {"side": side, kind: canonical(rate), **{k: canonical(v) for k, v in more.items()}},
        ", ".join([*told, f"{side} {kind.upper()} {percent(rate)}"]),
        (*steps, f"{side} {kind.upper()} = {percent(rate, 6)}"),
        kind,
        rate * 100,
        "%",
    )


def apy_per_second(apr_: Quantity) -> Result:
    """APY of an APR that compounds every second."""
    apy = yields.apr_to_apy(apr_.value, yields.SECONDS_PER_YEAR)
    return yearly_rate("any", "apy", apy, (f"(1 + {apr_.text} / 31536000)^31536000 - 1",))


def apr_per_second(apy_: Quantity) -> Result:
    """The APR which, compounding every second, gives an APY."""
    apr = yields.apy_to_apr(apy_.value, yields.SECONDS_PER_YEAR)
    return yearly_rate("any", "apr", apr, (f"31536000 x ((1 + {apy_.text})^(1/31536000) - 1)",))


def utilisation(cash_: Quantity, debt_: Quantity) -> Result:
    """Borrowed over borrowed plus idle, both in the same token."""
    if cash_.unit != debt_.unit:
        raise ToolError(f"cash is in {cash_.unit}, debt in {debt_.unit}")
    used = from_ray(aave_math.ray_div(debt_.raw(), cash_.raw() + debt_.raw()))
    return Result(
        {"use": canonical(used)},
        f"{percent(used)} utilisation",
        (f"{debt_.text} / ({cash_.text} + {debt_.text})",),
        "use",
        used * 100,
        "%",
    )


def _aave_owed(raw: int, rate: Quantity, seconds: int) -> int:
    factor = aave_math.calculate_compounded_interest(fixed(rate, RAY), seconds)
    return aave_math.ray_mul(raw, factor)


def _comet_owed(raw: int, rate: Quantity, seconds: int) -> int:
    curve = compound_v3.RateCurve.per_year(fixed(rate, WAD), 0, 0, WAD)
    grown = compound_v3.accrue(compound_v3.Totals(raw, raw), seconds, curve, curve)
    return grown.present_borrow()


def _morpho_owed(raw: int, rate: Quantity, seconds: int) -> int:
    market = morpho_blue.Market(supply_assets=raw, borrow_assets=raw)
    per_second = fixed(rate, WAD) // morpho_blue.SECONDS_PER_YEAR
    return morpho_blue.accrue_interest(market, per_second, seconds).market.borrow_assets


def _maker_owed(raw: int, rate: Quantity, seconds: int) -> int:
    yearly = yields.apy_to_apr(rate.value, yields.SECONDS_PER_YEAR)
    second = _WIDE.divide(_WIDE.multiply(yearly, RAY), yields.SECONDS_PER_YEAR)
    duty = RAY + int(second.to_integral_value())
    ilk = maker_vaults.Ilk(raw, maker_vaults.drip(RAY, duty, seconds), 0, 0, 0)
    return maker_vaults.debt(maker_vaults.Urn(0, raw), ilk) // RAY


_OWED: dict[str, tuple[Callable[[int, Quantity, int], int], str]] = {
    "aave v3": (_aave_owed, "per-second APR, compounded by the binomial's first three powers"),
    "compound v3": (_comet_owed, "per-second APR, simple within one accrual"),
    "morpho blue": (_morpho_owed, "per-second APR, e^(rt) - 1 by its first three terms"),
    "maker": (_maker_owed, "the fee is yearly and effective: duty^31536000 = 1 + fee"),
}
LENDERS = tuple(_OWED)


def debt_interest(protocol_: str, debt_: Quantity, rate_: Quantity, period_: Quantity) -> Result:
    """Interest on a debt over a time, accrued once at its end as the protocol accrues it."""
    owed, rule = _OWED[protocol_]
    # Hours are no finite fraction of a day, so the product is rounded, not cut.
    seconds = int((period_.value * 86_400).to_integral_value())
    raw = debt_.raw()
    interest = owed(raw, rate_, seconds) - raw
    unit = debt_.unit
    return Result(
        {"interest": str(interest), "token": unit, "protocol": protocol_},
        f"{token_amount(interest, unit)} interest",
        (f"{protocol_}: {rule}", f"{figure(debt_.value, 8)} {unit} for {seconds} seconds"),
        "interest",
        Decimal(interest).scaleb(-decimals_of(unit)),
        unit,
    )


ACCRUAL_TOOLS = (
    Tool(
        "apy_second",
        "APY of an APR compounding every second",
        "compounded yearly",
        (Parameter("apr", "simple yearly rate", "percent"),),
        apy_per_second,
        {"side": "any", "apy": "fraction a year, compounded"},
    ),
    Tool(
        "apr_second",
        "APR behind an APY that compounds every second",
        "simple yearly",
        (Parameter("apy", "compounded yearly rate", "percent"),),
        apr_per_second,
        {"side": "any", "apr": "fraction a year, simple"},
    ),
    Tool(
        "utilisation",
        "utilisation of a lending pool from idle cash and debt",
        "utilisation",
        (
            Parameter("cash", "idle liquidity, with its token", "amount"),
            Parameter("debt", "borrowed amount, with its token", "amount"),
        ),
        utilisation,
        {"use": "fraction"},
    ),
    Tool(
        "debt_interest",
        "interest on a debt over a time, as the protocol accrues it",
        "interest accrued",
        (
            Parameter("protocol", "whose accrual", choices=LENDERS),
            Parameter("debt", "the debt at the start, with its token", "amount"),
            Parameter("rate", "borrow APR, or Maker's yearly stability fee", "percent"),
            Parameter("period", "time that passes, such as 30 days", "period"),
        ),
        debt_interest,
        {"interest": "raw units", "token": "symbol", "protocol": "as asked"},
    ),
)
