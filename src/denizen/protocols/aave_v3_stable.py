"""Stable-rate debt of Aave v3 before 3.2: one user's debt and the reserve's average.

Contract: the same record holds a user's principal, rate and time of last change, or a reserve's
total, average rate and time; balances grow by compounded interest at their own rate.
Amounts are raw units, rates rays a year.  Source: @aave/core-v3 1.19.3, StableDebtToken.
"""

from __future__ import annotations

from typing import NamedTuple

from .aave_math import calculate_compounded_interest, ray_div, ray_mul, to_uint128, wad_to_ray
from .fixed_point import MathError


class StableDebt(NamedTuple):
    """Principal at `timestamp` and the rate it grows by."""

    principal: int = 0
    rate: int = 0
    timestamp: int = 0

    def balance(self, now: int) -> int:
        """Principal and interest, half up."""
        if self.principal == 0:
            return 0
        return ray_mul(
            self.principal, calculate_compounded_interest(self.rate, now - self.timestamp)
        )


def mint(
    user: StableDebt, total: StableDebt, amount: int, rate: int, now: int
) -> tuple[StableDebt, StableDebt]:
    """(user, total) after borrowing `amount` at `rate`: both rates become weighted averages."""
    return _add(user, amount, rate, now), _add(total, amount, rate, now)


def _add(debt: StableDebt, amount: int, rate: int, now: int) -> StableDebt:
    before = debt.balance(now)
    weighted = ray_mul(debt.rate, wad_to_ray(before)) + ray_mul(rate, wad_to_ray(amount))
    average = ray_div(weighted, wad_to_ray(before + amount))
    return StableDebt(before + amount, to_uint128(average), now)


def burn(
    user: StableDebt, total: StableDebt, amount: int, now: int
) -> tuple[StableDebt, StableDebt, StableDebt]:
    """(user, total, total as the repricing that follows sees it) after repaying `amount`."""
    owed = user.balance(now)
    if amount > owed:
        raise MathError(f"{amount} is more than the stable debt of {owed}")
    left = StableDebt() if amount == owed else StableDebt(owed - amount, user.rate, now)
    supply = total.balance(now)
    nothing = StableDebt(0, 0, now)
    if supply <= amount:
        return left, nothing, nothing
    whole = ray_mul(total.rate, wad_to_ray(supply))
    part = ray_mul(user.rate, wad_to_ray(amount))
    # The total and the sum of users round apart, so what remains may weigh less than nothing.  The
    # contract then stores no debt at all, yet prices the reserve with the remainder once.
    if part >= whole:
        return left, nothing, StableDebt(supply - amount, 0, now)
    average = ray_div(whole - part, wad_to_ray(supply - amount))
    remaining = StableDebt(supply - amount, to_uint128(average), now)
    return left, remaining, remaining
