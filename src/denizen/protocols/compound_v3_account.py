"""Accounts of Compound III: borrowing against collateral, absorption and the collateral shop.

Prices share one scale, factors are wads (1e18), amounts raw units; worth rounds down on both
sides of a check, as in Comet.  A liquidation price is the lowest one still safe.  MathError where
Comet reverts.  Source: the Compound III documentation (collateral and borrowing, liquidation).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from .compound_v3 import FACTOR_SCALE, Totals, mul_factor
from .fixed_point import MathError, div_rounding_up


class Base(NamedTuple):
    """The borrowable asset: price, units of one token, smallest debt allowed (raw units)."""

    price: int
    scale: int
    borrow_min: int = 0


@dataclass(frozen=True)
class Collateral:
    """A collateral balance: price in the base price's scale, factors in wads."""

    balance: int
    price: int
    scale: int
    borrow_collateral_factor: int
    liquidate_collateral_factor: int
    liquidation_factor: int

    def __post_init__(self) -> None:
        """Comet refuses a borrow factor that does not lie under the liquidate factor."""
        if self.balance < 0 or self.price < 0 or self.scale <= 0:
            raise MathError("balance and price are not negative, and the scale is positive")
        low, high = self.borrow_collateral_factor, self.liquidate_collateral_factor
        if not (0 <= low < high <= FACTOR_SCALE and 0 <= self.liquidation_factor <= FACTOR_SCALE):
            raise MathError("factors need 0 <= borrow < liquidate <= 1 and liquidation <= 1")

    def value(self) -> int:
        """Worth in the price's scale, rounded down."""
        return mul_price(self.balance, self.price, self.scale)


class Absorption(NamedTuple):
    """An absorbed account: its new balance, and what left the protocol's reserves."""

    totals: Totals
    principal: int
    base_paid_out: int
    credited_value: int
    seized: tuple[int, ...]


def mul_price(n: int, price: int, scale: int) -> int:
    """Worth of n raw units, rounded down."""
    return n * price // scale


def div_price(value: int, price: int, scale: int) -> int:
    """Raw units worth a value, rounded down."""
    if price <= 0:
        raise MathError("a price must be positive")
    return value * scale // price


def withdraw_base(
    totals: Totals, principal: int, amount: int, base: Base, collaterals: Sequence[Collateral] = ()
) -> tuple[Totals, int]:
    """Totals and principal after a withdrawal, which borrows what was not supplied."""
    if amount < 0:
        raise MathError("an amount is not negative")
    balance = totals.present_value(principal) - amount
    after = totals.principal_value(balance)
    if balance < 0 and -balance < base.borrow_min:
        raise MathError(f"a debt of {-balance} is below baseBorrowMin {base.borrow_min}")
    if balance < 0 and not is_borrow_collateralized(totals, after, base, collaterals):
        raise MathError("the borrow is not collateralised")
    return totals.moved(principal, after), after


def is_borrow_collateralized(
    totals: Totals, principal: int, base: Base, collaterals: Sequence[Collateral]
) -> bool:
    """Whether the borrow collateral factors cover the debt, which more borrowing requires."""
    covered = sum(mul_factor(c.value(), c.borrow_collateral_factor) for c in collaterals)
    return principal >= 0 or covered >= debt_value(totals, principal, base)


def is_liquidatable(
    totals: Totals, principal: int, base: Base, collaterals: Sequence[Collateral]
) -> bool:
    """Whether the debt is worth more than the liquidate collateral factors cover."""
    return principal < 0 and _covered(collaterals) < debt_value(totals, principal, base)


def debt_value(totals: Totals, principal: int, base: Base) -> int:
    """Worth of an account's debt, rounded down; zero for a supplier."""
    return mul_price(max(-totals.present_value(principal), 0), base.price, base.scale)


def _covered(collaterals: Sequence[Collateral]) -> int:
    return sum(mul_factor(c.value(), c.liquidate_collateral_factor) for c in collaterals)


def liquidation_price(
    totals: Totals,
    principal: int,
    base: Base,
    collateral: Collateral,
    others: Sequence[Collateral] = (),
) -> int:
    """Lowest price of `collateral` that is still safe while the others hold; 0 if any is."""
    need = debt_value(totals, principal, base) - _covered(others)
    if need <= 0:
        return 0
    if collateral.balance == 0:
        raise MathError("no price saves an account without that collateral")
    value = div_rounding_up(need * FACTOR_SCALE, collateral.liquidate_collateral_factor)
    return div_rounding_up(value * collateral.scale, collateral.balance)


def liquidation_scale(
    totals: Totals, principal: int, base: Base, collaterals: Sequence[Collateral]
) -> int:
    """Lowest wad that all collateral prices may be multiplied by together and still be safe."""

    def safe(scale: int) -> bool:
        moved = [replace(c, price=mul_factor(c.price, scale)) for c in collaterals]
        return not is_liquidatable(totals, principal, base, moved)

    if safe(0):
        return 0
    if not any(c.balance * c.price for c in collaterals):
        raise MathError("no price saves an account without collateral")
    low, high = 0, 1
    while not safe(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if safe(middle) else (middle, high)
    return high


def absorb(
    totals: Totals, principal: int, base: Base, collaterals: Sequence[Collateral]
) -> Absorption:
    """All collateral seized at its liquidationFactor; a debt it leaves uncovered is forgiven."""
    if not is_liquidatable(totals, principal, base, collaterals):
        raise MathError("the account is not liquidatable")
    credited = sum(mul_factor(c.value(), c.liquidation_factor) for c in collaterals)
    before = totals.present_value(principal)
    balance = max(before + div_price(credited, base.price, base.scale), 0)
    after = totals.principal_value(balance)
    seized = tuple(c.balance for c in collaterals)
    return Absorption(totals.moved(principal, after), after, balance - before, credited, seized)


def quote_collateral(
    collateral: Collateral, base: Base, base_amount: int, store_front_price_factor: int
) -> int:
    """Collateral for a base amount: the price less storeFrontPriceFactor x liquidation penalty."""
    discount = mul_factor(store_front_price_factor, FACTOR_SCALE - collateral.liquidation_factor)
    price = mul_factor(collateral.price, FACTOR_SCALE - discount)
    if price <= 0:
        raise MathError("the discounted price is zero")
    return base.price * base_amount * collateral.scale // price // base.scale


def buy_collateral(
    collateral: Collateral,
    base: Base,
    base_amount: int,
    store_front_price_factor: int,
    minimum: int,
    reserves: int,
    target_reserves: int,
) -> int:
    """Collateral bought; `collateral.balance` is what the protocol holds for sale."""
    if reserves >= target_reserves:
        raise MathError("reserves are at their target: nothing is for sale")
    bought = quote_collateral(collateral, base, base_amount, store_front_price_factor)
    if bought < minimum:
        raise MathError(f"{bought} is less than the minimum {minimum}")
    if bought > collateral.balance:
        raise MathError(f"the protocol holds {collateral.balance}, less than {bought}")
    return bought
