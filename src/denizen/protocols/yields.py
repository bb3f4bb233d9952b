"""Yield: rates and their compounding, fee APR, net and blended returns, in exact Decimals.

Rates are fractions (0.05 is 5%) a year of 365 days unless a name says otherwise; APR is simple,
APY compounded.  A share is of in-range liquidity over the same period as the volume.  Sources:
Compound v2 and v3 developer docs (rates a block and a second), Uniswap v3 white paper section 2
(concentration), GIPS (time-weighted return, modified Dietz).
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Context, Decimal
from typing import NamedTuple

from .exact_decimal import exact, require
from .fixed_point import MathError

DAYS_PER_YEAR = 365
SECONDS_PER_YEAR = 31_536_000
_WIDE = Context(prec=60)


def fee_apr(
    volume: Decimal, fee: Decimal, share: Decimal, position_value: Decimal, days: Decimal
) -> Decimal:
    """volume x fee x share x 365 / days / position_value, as a fraction a year."""
    if position_value <= 0 or days <= 0:
        raise MathError("position value and period must be positive")
    if not (0 <= share <= 1 and 0 <= fee <= 1) or volume < 0:
        raise MathError("share and fee lie between 0 and 1, and volume is not negative")
    earned = _WIDE.multiply(_WIDE.multiply(volume, fee), share)
    yearly = _WIDE.divide(_WIDE.multiply(earned, Decimal(DAYS_PER_YEAR)), days)
    return _WIDE.divide(yearly, position_value)


def liquidity_share(own: int, pool: int) -> Decimal:
    """Own part of the pool's in-range liquidity (which includes it)."""
    if not 0 < own <= pool:
        raise MathError("own liquidity must be positive and part of the pool's")
    return _WIDE.divide(Decimal(own), Decimal(pool))


@exact
def apr_to_apy(apr: Decimal, compounds_per_year: int) -> Decimal:
    """(1 + apr / n)^n - 1; MathError if a period would lose more than everything."""
    if compounds_per_year <= 0:
        raise MathError("the number of compounding periods must be positive")
    base = 1 + apr / compounds_per_year
    require(base >= 0, f"an APR of {apr} loses more than everything in one period")
    return base**compounds_per_year - 1


@exact
def apy_to_apr(apy: Decimal, compounds_per_year: int) -> Decimal:
    """n ((1 + apy)^(1/n) - 1), the inverse of `apr_to_apy`."""
    require(compounds_per_year > 0, "the number of compounding periods must be positive")
    return compounds_per_year * (_power(1 + apy, Decimal(1) / compounds_per_year) - 1)


@exact
def continuous_apy(apr: Decimal) -> Decimal:
    """e^apr - 1: compounding without end."""
    require(apr >= -1, f"an APR of {apr} is below -100%")
    return apr.exp() - 1


@exact
def continuous_apr(apy: Decimal) -> Decimal:
    """ln(1 + apy), the inverse of `continuous_apy`."""
    require(apy > -1, f"an APY of {apy} has no continuous rate")
    return (1 + apy).ln()


@exact
def realised_apr(price_start: Decimal, price_end: Decimal, days: Decimal) -> Decimal:
    """Simple yearly rate from a vault's share price at two times."""
    require(price_start > 0 and price_end >= 0, "share prices must be positive")
    require(days > 0, "the period must be positive")
    return (price_end / price_start - 1) * DAYS_PER_YEAR / days


@exact
def realised_apy(price_start: Decimal, price_end: Decimal, days: Decimal) -> Decimal:
    """(end / start)^(365 / days) - 1, from a vault's share price at two times."""
    require(price_start > 0 and price_end > 0, "share prices must be positive")
    require(days > 0, "the period must be positive")
    return _power(price_end / price_start, DAYS_PER_YEAR / days) - 1


@exact
def per_block_apr(rate: Decimal, blocks_per_day: int = 7200) -> Decimal:
    """rate x blocks a day x 365; a Compound v2 mantissa must be divided by 1e18 first."""
    require(blocks_per_day > 0, "blocks a day must be positive")
    return rate * blocks_per_day * DAYS_PER_YEAR


@exact
def per_block_apy(rate: Decimal, blocks_per_day: int = 7200) -> Decimal:
    """(1 + rate x blocks a day)^365 - 1: Compound v2's own figure, compounding daily."""
    require(blocks_per_day > 0, "blocks a day must be positive")
    return apr_to_apy(rate * blocks_per_day * DAYS_PER_YEAR, DAYS_PER_YEAR)


@exact
def per_second_apr(rate: Decimal) -> Decimal:
    """rate x seconds a year: Compound v3's figure."""
    return rate * SECONDS_PER_YEAR


@exact
def per_second_apy(rate: Decimal) -> Decimal:
    """(1 + rate)^31536000 - 1: Aave's and Maker's figure, compounding every second."""
    return apr_to_apy(rate * SECONDS_PER_YEAR, SECONDS_PER_YEAR)


@exact
def capital_efficiency(price: Decimal, lower: Decimal, upper: Decimal) -> Decimal:
    """Liquidity per value of a range over that of the full range, at a price inside the range."""
    require(0 < lower <= price <= upper and lower < upper, "the price must lie inside the range")
    root = price.sqrt()
    return 2 * root / (2 * root - lower.sqrt() - price / upper.sqrt())


@exact
def range_fee_apr(
    full_range_apr: Decimal, price: Decimal, lower: Decimal, upper: Decimal, time_in_range: Decimal
) -> Decimal:
    """Fee APR of a small range position in a pool where the full range earns `full_range_apr`."""
    require(0 <= time_in_range <= 1, "the time in range is a fraction")
    require(full_range_apr >= 0, "a fee APR is not negative")
    return full_range_apr * capital_efficiency(price, lower, upper) * time_in_range


@exact
def concentrated_fee_apr(
    volume: Decimal,
    fee: Decimal,
    own_liquidity: int,
    pool_liquidity: int,
    position_value: Decimal,
    days: Decimal,
    time_in_range: Decimal,
) -> Decimal:
    """`fee_apr` of a position with L of the in-range liquidity, for the time it is in range."""
    require(0 <= time_in_range <= 1, "the time in range is a fraction")
    share = liquidity_share(own_liquidity, pool_liquidity)
    return fee_apr(volume, fee, share, position_value, days) * time_in_range


@exact
def net_apr(
    gross_apr: Decimal, impermanent_loss: Decimal, cost: Decimal, capital: Decimal, days: Decimal
) -> Decimal:
    """Gross APR after an impermanent loss (a fraction, zero or less) and costs (money), a year.

    Against holding the entry amounts: (gross x days/365 + loss - cost/capital) x 365/days.
    """
    require(capital > 0 and days > 0, "capital and period must be positive")
    require(-1 <= impermanent_loss <= 0, "an impermanent loss lies between -1 and 0")
    require(cost >= 0, "a cost is not negative")
    return gross_apr + (impermanent_loss - cost / capital) * DAYS_PER_YEAR / days


@exact
def required_fee_apr(impermanent_loss: Decimal, days: Decimal) -> Decimal:
    """The fee APR, on the value held, that offsets an impermanent loss over the period."""
    require(-1 <= impermanent_loss <= 0, "an impermanent loss lies between -1 and 0")
    require(days > 0, "the period must be positive")
    return abs(impermanent_loss) * DAYS_PER_YEAR / days


@exact
def blended_apr(equity: Decimal, legs: Iterable[tuple[Decimal, Decimal]]) -> Decimal:
    """Sum of amount x rate over own money.

    A leg is (amount, rate): a deposit, an LP stake (once for its fees, once for its incentives)
    or, with a negative amount, a debt at its borrow rate.
    """
    require(equity > 0, "equity must be positive")
    return sum((amount * rate for amount, rate in legs), Decimal(0)) / equity


@exact
def break_even_days(cost: Decimal, capital: Decimal, apr: Decimal) -> Decimal:
    """Days until a simple yield has paid a cost; pass a difference of APRs for a switch."""
    require(cost >= 0 and capital > 0, "a cost is not negative and capital is positive")
    require(apr > 0, "a yield that is not positive never pays the cost back")
    return cost * DAYS_PER_YEAR / (capital * apr)


@exact
def time_weighted_return(periods: Iterable[tuple[Decimal, Decimal]]) -> Decimal:
    """Product of closing / opening values, minus one.

    A period opens after a deposit or withdrawal and closes just before the next (GIPS).
    """
    growth = Decimal(1)
    for opening, closing in periods:
        require(opening > 0 and closing >= 0, "a period opens with a positive value")
        growth *= closing / opening
    return growth - 1


@exact
def modified_dietz(
    opening: Decimal, closing: Decimal, flows: Iterable[tuple[Decimal, Decimal]], days: Decimal
) -> Decimal:
    """Money-weighted return of a period; a flow is (day it came in, amount)."""
    known = list(flows)
    require(days > 0, "the period must be positive")
    require(all(0 <= day <= days for day, _ in known), "a flow lies outside the period")
    total = sum((amount for _, amount in known), Decimal(0))
    weighted = sum((amount * (days - day) / days for day, amount in known), Decimal(0))
    require(opening + weighted > 0, "the average capital must be positive")
    return (closing - opening - total) / (opening + weighted)


class RealYield(NamedTuple):
    """Yield split by who pays it, as fractions a year; `real_share` is revenue over the sum."""

    revenue_apr: Decimal
    emission_apr: Decimal
    real_share: Decimal


@exact
def real_yield(revenue: Decimal, emissions: Decimal, capital: Decimal, days: Decimal) -> RealYield:
    """Revenue passed to holders against the value of new tokens paid to them in a period."""
    require(capital > 0 and days > 0, "capital and period must be positive")
    require(revenue >= 0 and emissions >= 0, "revenue and emissions are not negative")
    require(revenue + emissions > 0, "nothing was paid")
    scale = DAYS_PER_YEAR / days / capital
    return RealYield(revenue * scale, emissions * scale, revenue / (revenue + emissions))


@exact
def dilution_adjusted(nominal: Decimal, inflation: Decimal) -> Decimal:
    """(1 + nominal) / (1 + inflation) - 1: the growth of one's share of the token supply."""
    require(nominal >= -1 and inflation > -1, "a rate is not below -100%")
    return (1 + nominal) / (1 + inflation) - 1


def _power(base: Decimal, exponent: Decimal) -> Decimal:
    require(base > 0, "a growth factor must be positive (a rate above -100%)")
    return base**exponent
