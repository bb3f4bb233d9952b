"""An Aave v3 account: totals, loan to value, health factor and liquidation prices.

Contract: `account_data` gives what Pool.getUserAccountData gives, with its rounding; amounts are
raw units, prices and totals the oracle's base currency (8 decimals), ratios basis points and the
health factor a wad.  Source: Aave v3 technical paper; @aave/core-v3 1.19.3, GenericLogic.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Context, Decimal
from functools import partial
from typing import NamedTuple

from .aave_math import PERCENTAGE_FACTOR, WAD, percent_div, percent_mul, to_uint256, wad_div
from .fixed_point import MAX_UINT256, MathError

HEALTH_FACTOR_LIQUIDATION_THRESHOLD = WAD
_WIDE = Context(prec=60)


class Holding(NamedTuple):
    """One reserve of an account: collateral (0 if it does not count), debt, and e-mode applied."""

    collateral: int
    debt: int
    price: int
    decimals: int
    ltv: int
    liquidation_threshold: int

    def collateral_base(self) -> int:
        """Collateral in base currency, rounded down."""
        return to_uint256(self.collateral * self.price) // int(10**self.decimals)

    def debt_base(self) -> int:
        """Debt in base currency, rounded down."""
        return to_uint256(self.debt * self.price) // int(10**self.decimals)


class AccountData(NamedTuple):
    """Pool.getUserAccountData, and whether some collateral has an LTV of zero."""

    total_collateral_base: int
    total_debt_base: int
    available_borrows_base: int
    current_liquidation_threshold: int
    ltv: int
    health_factor: int
    has_zero_ltv_collateral: bool = False


def account_data(holdings: Sequence[Holding]) -> AccountData:
    """All figures of an account; without debt the health factor is 2^256 - 1."""
    collateral = debt = weighted_ltv = weighted_threshold = 0
    zero_ltv = False
    for holding in holdings:
        _valid(holding)
        debt += holding.debt_base()
        if holding.collateral == 0 or holding.liquidation_threshold == 0:
            continue
        value = holding.collateral_base()
        collateral += value
        weighted_ltv += value * holding.ltv
        weighted_threshold += value * holding.liquidation_threshold
        zero_ltv = zero_ltv or holding.ltv == 0
    ltv = weighted_ltv // collateral if collateral else 0
    threshold = weighted_threshold // collateral if collateral else 0
    factor = wad_div(percent_mul(collateral, threshold), debt) if debt else MAX_UINT256
    return AccountData(
        collateral,
        debt,
        max(percent_mul(collateral, ltv) - debt, 0),
        threshold,
        ltv,
        factor,
        zero_ltv,
    )


def collateral_needed(data: AccountData, amount_base: int) -> int:
    """Collateral (base) that the account's LTV asks for to borrow `amount_base` more, half up."""
    return percent_div(data.total_debt_base + amount_base, data.ltv)


def liquidation_price(holdings: Sequence[Holding], index: int) -> Decimal:
    """Price of holding `index` at which the health factor is exactly 1, the others' held still.

    Solves sum(collateral x price x threshold) = sum(debt x price) without the contract's rounding;
    a net collateral is liquidatable below it, a net debt above it.
    """
    for holding in holdings:
        _valid(holding)
    slope = _net_per_price(holdings[index])
    others = Decimal(0)
    for place, holding in enumerate(holdings):
        if place != index:
            net = _WIDE.multiply(_net_per_price(holding), Decimal(holding.price))
            others = _WIDE.add(others, net)
    price = _WIDE.divide(_WIDE.minus(others), slope) if slope else Decimal(0)
    if price <= 0:
        raise MathError("no positive price of this asset brings the health factor to 1")
    return price


def lowest_safe_price(holdings: Sequence[Holding], index: int) -> int:
    """Smallest integer price of collateral `index` down to which the health factor stays >= 1.

    Falling from today's price, one unit less is the first price at which the contract, with its
    average threshold cut to whole basis points, lets the account be liquidated.
    """
    moved = holdings[index]
    if moved.debt or not moved.collateral or not moved.liquidation_threshold:
        raise MathError("the asset must be collateral of this account and not owed by it")
    if not _safe(holdings, index, moved.price):
        raise MathError("the account can already be liquidated")
    # Cutting the threshold costs less than a basis point: above this price nothing can go wrong.
    high = moved.price
    if _safe_by_far(holdings, index, high):
        high = _first(lambda price: _safe_by_far(holdings, index, price), 1, high)
    # Prices that share one cut threshold form a run; inside a run health falls with the price.
    while True:
        threshold = _threshold(holdings, index, high)
        low = _first(partial(_has_threshold, holdings, index, threshold), 1, high)
        if not _safe(holdings, index, low):
            return _first(lambda price: _safe(holdings, index, price), low, high)
        if low == 1:
            raise MathError("no fall of this asset's price liquidates the account")
        high = low - 1
        if not _safe(holdings, index, high):
            return low


def highest_safe_price(holdings: Sequence[Holding], index: int) -> int:
    """Greatest integer price of debt `index` at which the health factor is still >= 1."""
    moved = holdings[index]
    if not moved.debt or (moved.collateral and moved.liquidation_threshold):
        raise MathError("the asset must be owed by this account and not be its collateral")
    if not _safe(holdings, index, moved.price):
        raise MathError("the account can already be liquidated")
    high = moved.price
    while _safe(holdings, index, high):
        high *= 2
    return _first(lambda price: not _safe(holdings, index, price), moved.price, high) - 1


def _at(holdings: Sequence[Holding], index: int, price: int) -> list[Holding]:
    moved = list(holdings)
    moved[index] = moved[index]._replace(price=price)
    return moved


def _safe(holdings: Sequence[Holding], index: int, price: int) -> bool:
    data = account_data(_at(holdings, index, price))
    return data.health_factor >= HEALTH_FACTOR_LIQUIDATION_THRESHOLD


def _safe_by_far(holdings: Sequence[Holding], index: int, price: int) -> bool:
    """Healthy even with every threshold a basis point lower: true from some price upwards."""
    spare = 0
    for holding in _at(holdings, index, price):
        spare -= holding.debt_base() * PERCENTAGE_FACTOR
        if holding.liquidation_threshold:
            spare += holding.collateral_base() * (holding.liquidation_threshold - 1)
    return spare >= 0


def _threshold(holdings: Sequence[Holding], index: int, price: int) -> int:
    return account_data(_at(holdings, index, price)).current_liquidation_threshold


def _has_threshold(holdings: Sequence[Holding], index: int, threshold: int, price: int) -> bool:
    return _threshold(holdings, index, price) == threshold


def _first(holds: Callable[[int], bool], low: int, high: int) -> int:
    """Smallest price of [low, high] for which `holds`, once true staying true up to `high`."""
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low


def _net_per_price(holding: Holding) -> Decimal:
    """Tokens of collateral at their threshold less tokens owed: what health gains per price."""
    scaled = holding.collateral * holding.liquidation_threshold - holding.debt * PERCENTAGE_FACTOR
    return _WIDE.divide(Decimal(scaled), Decimal(PERCENTAGE_FACTOR * 10**holding.decimals))


def _valid(holding: Holding) -> None:
    if holding.price <= 0:
        raise MathError(f"an oracle price must be positive, not {holding.price}")
    if holding.collateral < 0 or holding.debt < 0 or holding.decimals < 0:
        raise MathError("collateral, debt and decimals must not be negative")
    if not 0 <= holding.ltv <= holding.liquidation_threshold <= PERCENTAGE_FACTOR:
        raise MathError("0 <= LTV <= liquidation threshold <= 100% must hold")
