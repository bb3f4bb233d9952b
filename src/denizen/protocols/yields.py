"""Yield: fee APR of a liquidity position and compounding, in exact Decimals.

A share is of in-range liquidity over the same period as the volume.  Rates are fractions a year.
"""

from __future__ import annotations

from decimal import Context, Decimal

from .fixed_point import MathError

DAYS_PER_YEAR = 365
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


def apr_to_apy(apr: Decimal, compounds_per_year: int) -> Decimal:
    """(1 + apr / n)^n - 1."""
    if compounds_per_year <= 0:
        raise MathError("the number of compounding periods must be positive")
    base = _WIDE.add(Decimal(1), _WIDE.divide(apr, Decimal(compounds_per_year)))
    return _WIDE.subtract(_WIDE.power(base, compounds_per_year), Decimal(1))
