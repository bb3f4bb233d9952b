"""Morpho Blue: isolated markets of one loan and one collateral asset, counted in shares.

Amounts are raw units, rates per-second wads, LLTV and fee wads (1e18), the oracle price 1e36 times
loan units per collateral unit.  Virtual shares (1e6) and assets (1) guard the share price; every
rounding favours the market.  MathError where the contract would revert.
Source: the Morpho Blue white paper and documentation (markets, liquidation, AdaptiveCurveIRM).
"""

from __future__ import annotations

from decimal import Context, Decimal
from typing import NamedTuple

from .fixed_point import MathError, mul_div, mul_div_rounding_up

WAD = 10**18
VIRTUAL_SHARES = 10**6
VIRTUAL_ASSETS = 1
ORACLE_PRICE_SCALE = 10**36
LIQUIDATION_CURSOR = 3 * WAD // 10
MAX_LIQUIDATION_INCENTIVE_FACTOR = 115 * WAD // 100
MAX_FEE = 25 * WAD // 100
CURVE_STEEPNESS = 4 * WAD
TARGET_UTILIZATION = 9 * WAD // 10
SECONDS_PER_YEAR = 31_536_000
_MAX_UINT128 = (1 << 128) - 1
_WIDE = Context(prec=60)


class Market(NamedTuple):
    """A market's totals, its fee (wad of the interest) and the date of the last accrual."""

    supply_assets: int = 0
    supply_shares: int = 0
    borrow_assets: int = 0
    borrow_shares: int = 0
    last_update: int = 0
    fee: int = 0

    def utilization(self) -> int:
        """Borrowed over supplied (wad, rounded down); zero without supply."""
        return self.borrow_assets * WAD // self.supply_assets if self.supply_assets else 0


class Position(NamedTuple):
    """What an account holds in one market."""

    supply_shares: int = 0
    borrow_shares: int = 0
    collateral: int = 0


class Accrual(NamedTuple):
    """A market after accrual, the interest added and the shares minted to the fee recipient."""

    market: Market
    interest: int
    fee_shares: int


class Liquidation(NamedTuple):
    """What a liquidation takes, what it pays, and the loss suppliers share."""

    market: Market
    position: Position
    seized_assets: int
    repaid_assets: int
    repaid_shares: int
    bad_debt_assets: int
    bad_debt_shares: int


def to_shares_down(assets: int, total_assets: int, total_shares: int) -> int:
    """floor(assets x (totalShares + 1e6) / (totalAssets + 1)): shares a supplier receives."""
    return mul_div(assets, total_shares + VIRTUAL_SHARES, total_assets + VIRTUAL_ASSETS)


def to_shares_up(assets: int, total_assets: int, total_shares: int) -> int:
    """The same rounded up: shares a borrower owes, or a supplier burns."""
    return mul_div_rounding_up(assets, total_shares + VIRTUAL_SHARES, total_assets + VIRTUAL_ASSETS)


def to_assets_down(shares: int, total_assets: int, total_shares: int) -> int:
    """floor(shares x (totalAssets + 1) / (totalShares + 1e6)): assets a supplier receives."""
    return mul_div(shares, total_assets + VIRTUAL_ASSETS, total_shares + VIRTUAL_SHARES)


def to_assets_up(shares: int, total_assets: int, total_shares: int) -> int:
    """The same rounded up: assets a borrower owes."""
    return mul_div_rounding_up(shares, total_assets + VIRTUAL_ASSETS, total_shares + VIRTUAL_SHARES)


def w_taylor_compounded(rate: int, seconds: int) -> int:
    """e^(rate x seconds) - 1 in wad by its first three terms, each rounded down."""
    first = rate * seconds
    second = mul_div(first, first, 2 * WAD)
    return first + second + mul_div(second, first, 3 * WAD)


def accrue_interest(market: Market, borrow_rate: int, now: int) -> Accrual:
    """Interest of the elapsed seconds on debt and supply; the fee is minted as supply shares."""
    elapsed = now - market.last_update
    if elapsed < 0:
        raise MathError("time runs forward")
    if not 0 <= market.fee <= MAX_FEE:
        raise MathError("the fee lies between 0 and 25%")
    interest = mul_div(market.borrow_assets, w_taylor_compounded(borrow_rate, elapsed), WAD)
    supply = market.supply_assets + interest
    fee = mul_div(interest, market.fee, WAD)
    # The fee's shares are priced as if the fee itself were not yet part of the supply.
    minted = to_shares_down(fee, supply - fee, market.supply_shares) if market.fee else 0
    after = market._replace(
        supply_assets=supply,
        borrow_assets=market.borrow_assets + interest,
        supply_shares=market.supply_shares + minted,
        last_update=now,
    )
    return Accrual(_checked(after), interest, minted)


def supply(market: Market, assets: int) -> tuple[Market, int]:
    """Market and shares minted (rounded down) for assets supplied."""
    _not_negative(assets)
    shares = to_shares_down(assets, market.supply_assets, market.supply_shares)
    return _moved(market, assets, shares, 0, 0), shares


def withdraw(market: Market, assets: int) -> tuple[Market, int]:
    """Market and shares burnt (rounded up) for assets withdrawn; needs idle liquidity."""
    _not_negative(assets)
    shares = to_shares_up(assets, market.supply_assets, market.supply_shares)
    return _liquid(_moved(market, -assets, -shares, 0, 0)), shares


def borrow(market: Market, assets: int) -> tuple[Market, int]:
    """Market and debt shares (rounded up) for assets borrowed; needs idle liquidity."""
    _not_negative(assets)
    shares = to_shares_up(assets, market.borrow_assets, market.borrow_shares)
    return _liquid(_moved(market, 0, 0, assets, shares)), shares


def repay(market: Market, assets: int) -> tuple[Market, int]:
    """Market and debt shares cancelled (rounded down) for assets repaid."""
    _not_negative(assets)
    shares = to_shares_down(assets, market.borrow_assets, market.borrow_shares)
    # Rounding debt up may ask for one unit more than the total: the total stops at zero.
    return _moved(market, 0, 0, -min(assets, market.borrow_assets), -shares), shares


def borrowed(market: Market, position: Position) -> int:
    """Assets a position owes, rounded up."""
    return to_assets_up(position.borrow_shares, market.borrow_assets, market.borrow_shares)


def max_borrow(collateral: int, price: int, lltv: int) -> int:
    """The debt a collateral carries at its LLTV, rounded down twice."""
    return mul_div(mul_div(collateral, price, ORACLE_PRICE_SCALE), lltv, WAD)


def is_healthy(market: Market, position: Position, price: int, lltv: int) -> bool:
    """Debt (rounded up) within LLTV of the collateral (rounded down); equality is healthy."""
    if position.borrow_shares == 0:
        return True
    return max_borrow(position.collateral, price, lltv) >= borrowed(market, position)


def health_factor(market: Market, position: Position, price: int, lltv: int) -> Decimal:
    """Max borrow over debt; below one the position is liquidatable."""
    debt = borrowed(market, position)
    if debt == 0:
        raise MathError("a position without debt has no health factor")
    return _WIDE.divide(Decimal(max_borrow(position.collateral, price, lltv)), Decimal(debt))


def liquidation_price(market: Market, position: Position, lltv: int) -> int:
    """Lowest oracle price (1e36 scale) at which the position is healthy; 0 without debt."""
    debt = borrowed(market, position)
    if debt == 0:
        return 0
    if position.collateral == 0 or lltv == 0:
        raise MathError("no price makes a debt without collateral healthy")
    value = mul_div_rounding_up(debt, WAD, lltv)
    return mul_div_rounding_up(value, ORACLE_PRICE_SCALE, position.collateral)


def liquidation_incentive_factor(lltv: int) -> int:
    """min(1.15, 1 / (1 - 0.3 (1 - LLTV))) in wad, rounded down."""
    if not 0 <= lltv < WAD:
        raise MathError("LLTV lies below one")
    below = WAD - mul_div(LIQUIDATION_CURSOR, WAD - lltv, WAD)
    return min(MAX_LIQUIDATION_INCENTIVE_FACTOR, mul_div(WAD, WAD, below))


def liquidate(
    market: Market,
    position: Position,
    price: int,
    lltv: int,
    seized_assets: int = 0,
    repaid_shares: int = 0,
) -> Liquidation:
    """Seize collateral or repay debt shares (give exactly one); the other follows.

    Once no collateral is left, the remaining debt is taken off the suppliers' assets.
    """
    if min(seized_assets, repaid_shares) < 0 or (seized_assets > 0) == (repaid_shares > 0):
        raise MathError("give either the collateral to seize or the shares to repay")
    if is_healthy(market, position, price, lltv):
        raise MathError("the position is healthy")
    factor = liquidation_incentive_factor(lltv)
    totals = market.borrow_assets, market.borrow_shares
    if seized_assets:
        quoted = mul_div_rounding_up(seized_assets, price, ORACLE_PRICE_SCALE)
        repaid_shares = to_shares_up(mul_div_rounding_up(quoted, WAD, factor), *totals)
    else:
        paid = mul_div(to_assets_down(repaid_shares, *totals), factor, WAD)
        seized_assets = mul_div(paid, ORACLE_PRICE_SCALE, price)
    repaid_assets = to_assets_up(repaid_shares, *totals)
    if repaid_shares > position.borrow_shares:
        raise MathError("more is repaid than the position owes")
    if seized_assets > position.collateral:
        raise MathError("more is seized than the position holds")
    market = _moved(market, 0, 0, -min(repaid_assets, market.borrow_assets), -repaid_shares)
    position = position._replace(
        borrow_shares=position.borrow_shares - repaid_shares,
        collateral=position.collateral - seized_assets,
    )
    bad_shares = position.borrow_shares if position.collateral == 0 else 0
    bad_assets = min(
        to_assets_up(bad_shares, market.borrow_assets, market.borrow_shares), market.borrow_assets
    )
    if bad_shares:
        market = _moved(market, -bad_assets, 0, -bad_assets, -bad_shares)
        position = position._replace(borrow_shares=0)
    return Liquidation(
        market, position, seized_assets, repaid_assets, repaid_shares, bad_assets, bad_shares
    )


def curve_borrow_rate(utilization: int, rate_at_target: int) -> int:
    """AdaptiveCurveIRM at a fixed rate at target: a quarter of it when idle, 4 times when full."""
    if not 0 <= utilization <= WAD or rate_at_target < 0:
        raise MathError("utilization lies between 0 and 1, and a rate is not negative")
    gap = utilization - TARGET_UTILIZATION
    # The contract divides and multiplies signed wads, which truncate towards zero.
    if gap > 0:
        error = gap * WAD // (WAD - TARGET_UTILIZATION)
        coefficient = WAD + (CURVE_STEEPNESS - WAD) * error // WAD
    else:
        error = -gap * WAD // TARGET_UTILIZATION
        coefficient = WAD - (WAD - WAD * WAD // CURVE_STEEPNESS) * error // WAD
    return coefficient * rate_at_target // WAD


def borrow_apy(rate: int) -> Decimal:
    """e^(rate x seconds a year) - 1, as the documentation annualises a per-second wad."""
    year = _WIDE.divide(Decimal(rate * SECONDS_PER_YEAR), Decimal(WAD))
    return _WIDE.subtract(_WIDE.exp(year), Decimal(1))


def supply_apy(rate: int, utilization: int, fee: int) -> Decimal:
    """borrow APY x utilization x (1 - fee), all wads in."""
    used = _WIDE.divide(Decimal(utilization * (WAD - fee)), Decimal(WAD * WAD))
    return _WIDE.multiply(borrow_apy(rate), used)


def _not_negative(assets: int) -> None:
    if assets < 0:
        raise MathError("an amount is not negative")


def _moved(market: Market, supplied: int, shares: int, owed: int, owed_shares: int) -> Market:
    return _checked(
        market._replace(
            supply_assets=market.supply_assets + supplied,
            supply_shares=market.supply_shares + shares,
            borrow_assets=market.borrow_assets + owed,
            borrow_shares=market.borrow_shares + owed_shares,
        )
    )


def _checked(market: Market) -> Market:
    if not all(0 <= total <= _MAX_UINT128 for total in market[:4]):
        raise MathError("a total falls below zero or overflows 128 bits")
    return market


def _liquid(market: Market) -> Market:
    if market.borrow_assets > market.supply_assets:
        raise MathError("the market has not that much idle liquidity")
    return market
