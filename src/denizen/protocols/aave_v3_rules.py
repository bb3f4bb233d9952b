"""What Aave v3 checks before it lets an action through, and the bookkeeping actions share.

Contract: every function either returns or raises MathError where ValidationLogic reverts; markets
passed in hold reserves with indices of now where that matters.  Source: Aave v3 technical paper
(isolation mode, siloed borrowing, e-mode, caps); @aave/core-v3 1.19.3.
"""

from __future__ import annotations

from dataclasses import replace

from .aave_math import percent_mul, ray_mul, to_uint128, to_uint256
from .aave_v3_account import (
    HEALTH_FACTOR_LIQUIDATION_THRESHOLD,
    AccountData,
    collateral_needed,
)
from .aave_v3_market import Market, Position
from .aave_v3_reserve import Reserve
from .fixed_point import MathError

MAX_STABLE_RATE_BORROW_SIZE_PERCENT = 2500


def require(condition: bool, otherwise: str) -> None:
    """MathError unless the condition holds."""
    if not condition:
        raise MathError(otherwise)


def may_be_collateral(market: Market, user: str, asset: str) -> bool:
    """Whether a user may switch an asset on: none is on yet, or nothing here is isolated."""
    config = market.reserve(asset).config
    if config.ltv == 0:
        return False
    if not any(at.collateral for at in market.user(user).positions.values()):
        return True
    return config.debt_ceiling == 0 and market.isolation_collateral(user) is None


def validate_borrow(market: Market, user: str, asset: str, amount: int) -> None:
    """Caps, isolation mode, e-mode, collateral and siloed borrowing."""
    reserve = market.reserve(asset)
    config, e_mode = reserve.config, market.user(user).e_mode
    require(amount > 0, "the amount must be positive")
    require(config.active and not config.frozen and not config.paused, f"{asset} is closed")
    require(config.borrowing_enabled, f"{asset} cannot be borrowed")
    if config.borrow_cap:
        owed = ray_mul(reserve.scaled_variable_debt, reserve.variable_borrow_index)
        owed += reserve.stable_debt.balance(market.timestamp)
        require(owed + amount <= config.borrow_cap * config.unit, "over the borrow cap")
    isolated = market.isolation_collateral(user)
    if isolated is not None:
        require(config.borrowable_in_isolation, f"{asset} is not borrowable in isolation mode")
        ceiling = market.reserve(isolated)
        within = ceiling.isolation_debt + config.isolated(amount) <= ceiling.config.debt_ceiling
        require(within, f"over the debt ceiling of {isolated}")
    require(not e_mode or config.e_mode_category == e_mode, f"{asset} is outside the e-mode")
    data = market.account(user)
    require(data.total_collateral_base > 0 and data.ltv > 0, "no collateral to borrow against")
    require(data.health_factor > HEALTH_FACTOR_LIQUIDATION_THRESHOLD, "the account is unhealthy")
    value = to_uint256(market.price(asset, e_mode) * amount) // config.unit
    enough = collateral_needed(data, value) <= data.total_collateral_base
    require(enough, "the collateral does not cover the loan")
    _validate_siloed(market, user, asset)


def _validate_siloed(market: Market, user: str, asset: str) -> None:
    """A siloed asset is borrowed alone."""
    others = [other for other in market.borrowed_assets(user) if other != asset]
    if others:
        alone = any(market.reserve(other).config.siloed_borrowing for other in others)
        own = market.reserve(asset).config.siloed_borrowing
        require(not alone and not own, "a siloed asset cannot be borrowed with another")


def validate_stable_borrow(market: Market, user: str, asset: str, amount: int) -> None:
    """Stable rates: not against the same asset, and at most a quarter of what is there."""
    reserve, position = market.reserve(asset), market.position(user, asset)
    require(reserve.config.stable_borrowing_enabled, f"{asset} has no stable rate")
    same = position.collateral and reserve.config.ltv > 0
    balance = market.supplied(user, asset)
    require(not same or amount > balance, f"{user}'s own {asset} covers the loan")
    largest = percent_mul(reserve.available, MAX_STABLE_RATE_BORROW_SIZE_PERCENT)
    require(amount <= largest, f"a stable loan is at most {largest}")


def validate_healthy(data: AccountData) -> None:
    """A health factor of 1 or more."""
    healthy = data.health_factor >= HEALTH_FACTOR_LIQUIDATION_THRESHOLD
    require(healthy, "the health factor would fall below 1")


def validate_health_and_ltv(market: Market, user: str, asset: str) -> None:
    """After giving up collateral: still healthy, and zero-LTV collateral leaves first."""
    data = market.account(user)
    validate_healthy(data)
    first = not data.has_zero_ltv_collateral or market.reserve(asset).config.ltv == 0
    require(first, "collateral with an LTV of zero must be withdrawn first")


def credit(market: Market, user: str, asset: str, scaled: int) -> Market:
    """Give scaled aTokens; a first balance becomes collateral unless it would isolate the user."""
    position = market.position(user, asset)
    chosen = market.reserve(asset).config.debt_ceiling > 0
    first = position.scaled_supply == 0
    switch = first and not chosen and may_be_collateral(market, user, asset)
    position = replace(
        position,
        scaled_supply=position.scaled_supply + scaled,
        collateral=position.collateral or switch,
    )
    return market.with_position(user, asset, position)


def add_variable_debt(
    position: Position, reserve: Reserve, scaled: int
) -> tuple[Position, Reserve]:
    """Scaled variable debt of a user and of the reserve, grown or (negative) shrunk."""
    own = to_uint128(position.scaled_variable_debt + scaled)
    total = to_uint128(reserve.scaled_variable_debt + scaled)
    return (
        replace(position, scaled_variable_debt=own),
        replace(reserve, scaled_variable_debt=total),
    )


def release_isolated_debt(market: Market, user: str, asset: str, paid: int) -> Market:
    """Take a repayment off the debt ceiling of a user in isolation mode."""
    isolated = market.isolation_collateral(user)
    if isolated is None:
        return market
    cents = market.reserve(asset).config.isolated(paid)
    ceiling = market.reserve(isolated)
    left = max(ceiling.isolation_debt - cents, 0)
    return market.with_reserve(isolated, replace(ceiling, isolation_debt=left))
