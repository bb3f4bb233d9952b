"""Aave v3: what users do to a market, with the contract's checks, order and rounding.

Contract: every action takes a Market and returns another one; it raises MathError where the Pool
reverts.  `None` for an amount means all of it.  Not modelled: aToken transfers, repaying with
aTokens, rate swaps and rebalancing, flash loans, bridges, credit delegation.
Source: Aave v3 technical paper; certified against @aave/core-v3 1.19.3 by evm/certify/aave_v3.
"""

from __future__ import annotations

from dataclasses import replace

from . import aave_v3_stable as stable
from .aave_math import ray_div, ray_mul, to_uint128
from .aave_v3_account import (
    AccountData,
    Holding,
    account_data,
    collateral_needed,
    highest_safe_price,
    liquidation_price,
    lowest_safe_price,
)
from .aave_v3_liquidation import (
    Liquidation,
    calculate_available_collateral_to_liquidate,
    close_factor,
    liquidate,
    liquidation,
)
from .aave_v3_market import TREASURY, EModeCategory, Market, Position, User
from .aave_v3_rates import Rates, RateStrategy
from .aave_v3_reserve import Reserve, ReserveConfig
from .aave_v3_rules import (
    add_variable_debt,
    credit,
    may_be_collateral,
    release_isolated_debt,
    require,
    validate_borrow,
    validate_health_and_ltv,
    validate_healthy,
    validate_stable_borrow,
)
from .aave_v3_stable import StableDebt

__all__ = [
    "TREASURY",
    "AccountData",
    "EModeCategory",
    "Holding",
    "Liquidation",
    "Market",
    "Position",
    "RateStrategy",
    "Rates",
    "Reserve",
    "ReserveConfig",
    "User",
    "account_data",
    "borrow",
    "calculate_available_collateral_to_liquidate",
    "close_factor",
    "collateral_needed",
    "highest_safe_price",
    "liquidate",
    "liquidation",
    "liquidation_price",
    "lowest_safe_price",
    "mint_to_treasury",
    "repay",
    "set_e_mode",
    "set_use_as_collateral",
    "supply",
    "withdraw",
]


def supply(market: Market, user: str, asset: str, amount: int) -> Market:
    """Deposit: aTokens at the current index; a first deposit becomes collateral if it may."""
    reserve = market.fresh(asset)
    config = reserve.config
    require(amount > 0, "the amount must be positive")
    require(config.active and not config.frozen and not config.paused, f"{asset} is closed")
    if config.supply_cap:
        supplied = ray_mul(
            reserve.scaled_supply + reserve.accrued_to_treasury, reserve.liquidity_index
        )
        require(supplied + amount <= config.supply_cap * config.unit, "over the supply cap")
    scaled = ray_div(amount, reserve.liquidity_index)
    require(scaled > 0, "the deposit is worth no aToken")
    reserve = replace(
        reserve.repriced(market.timestamp, added=amount),
        available=reserve.available + amount,
        scaled_supply=to_uint128(reserve.scaled_supply + scaled),
    )
    market = market.with_reserve(asset, reserve)
    return credit(market, user, asset, scaled)


def withdraw(market: Market, user: str, asset: str, amount: int | None) -> Market:
    """Redeem aTokens for the underlying, leaving the account healthy."""
    reserve = market.fresh(asset)
    position = market.position(user, asset)
    balance = ray_mul(position.scaled_supply, reserve.liquidity_index)
    amount = balance if amount is None else amount
    require(0 < amount <= balance, f"the balance is {balance}")
    require(reserve.config.active and not reserve.config.paused, f"{asset} is closed")
    scaled = ray_div(amount, reserve.liquidity_index)
    require(0 < scaled <= position.scaled_supply, "the amount is worth no aToken")
    reserve = replace(
        reserve.repriced(market.timestamp, taken=amount),
        available=reserve.available - amount,
        scaled_supply=reserve.scaled_supply - scaled,
    )
    was_collateral = position.collateral
    position = replace(
        position,
        scaled_supply=position.scaled_supply - scaled,
        collateral=was_collateral and amount != balance,
    )
    market = market.with_reserve(asset, reserve).with_position(user, asset, position)
    if was_collateral and market.borrowed_assets(user):
        validate_health_and_ltv(market, user, asset)
    return market


def borrow(
    market: Market, user: str, asset: str, amount: int, *, stable_rate: bool = False
) -> Market:
    """Borrow within LTV, caps, liquidity, e-mode, isolation mode and siloed borrowing."""
    reserve = market.fresh(asset)
    market = market.with_reserve(asset, reserve)
    validate_borrow(market, user, asset, amount)
    if stable_rate:
        validate_stable_borrow(market, user, asset, amount)
    position, now = market.position(user, asset), market.timestamp
    if stable_rate:
        first = position.stable_debt.principal == 0
        own, total = stable.mint(
            position.stable_debt, reserve.stable_debt, amount, reserve.stable_borrow_rate, now
        )
        position, reserve = (
            replace(position, stable_debt=own),
            replace(reserve, stable_debt=total),
        )
    else:
        first = position.scaled_variable_debt == 0
        scaled = ray_div(amount, reserve.variable_borrow_index)
        require(scaled > 0, "the loan is worth no debt token")
        position, reserve = add_variable_debt(position, reserve, scaled)
    position = replace(position, borrowing=position.borrowing or first)
    isolated = market.isolation_collateral(user)
    if isolated is not None:
        cents = reserve.config.isolated(amount)
        ceiling = market.reserve(isolated)
        grown = to_uint128(ceiling.isolation_debt + cents)
        if isolated == asset:
            reserve = replace(reserve, isolation_debt=grown)
        else:
            market = market.with_reserve(isolated, replace(ceiling, isolation_debt=grown))
    reserve = reserve.repriced(now, taken=amount)
    reserve = replace(reserve, available=reserve.available - amount)
    return market.with_reserve(asset, reserve).with_position(user, asset, position)


def repay(
    market: Market, user: str, asset: str, amount: int | None, *, stable_rate: bool = False
) -> Market:
    """Pay back one kind of debt, at most what is owed."""
    reserve = market.fresh(asset)
    position, now = market.position(user, asset), market.timestamp
    variable = ray_mul(position.scaled_variable_debt, reserve.variable_borrow_index)
    owed_stable = position.stable_debt.balance(now)
    owed = owed_stable if stable_rate else variable
    require(amount is None or amount > 0, "the amount must be positive")
    require(reserve.config.active and not reserve.config.paused, f"{asset} is closed")
    require(owed > 0, f"{user} owes no {asset} of that kind")
    paid = owed if amount is None else min(amount, owed)
    seen: StableDebt | None = None
    if stable_rate:
        own, total, seen = stable.burn(position.stable_debt, reserve.stable_debt, paid, now)
        position, reserve = (
            replace(position, stable_debt=own),
            replace(reserve, stable_debt=total),
        )
    else:
        scaled = ray_div(paid, reserve.variable_borrow_index)
        require(scaled > 0, "the payment is worth no debt token")
        position, reserve = add_variable_debt(position, reserve, -scaled)
    reserve = reserve.repriced(now, added=paid, stable_debt=seen)
    if paid == variable + owed_stable:
        position = replace(position, borrowing=False)
    market = market.with_reserve(asset, replace(reserve, available=reserve.available + paid))
    market = market.with_position(user, asset, position)
    return release_isolated_debt(market, user, asset, paid)


def set_use_as_collateral(market: Market, user: str, asset: str, use: bool) -> Market:
    """Pool.setUserUseReserveAsCollateral."""
    config, position = market.reserve(asset).config, market.position(user, asset)
    require(market.supplied(user, asset) > 0, f"{user} has supplied no {asset}")
    require(config.active and not config.paused, f"{asset} is closed")
    if position.collateral == use:
        return market
    if use:
        require(may_be_collateral(market, user, asset), f"{asset} may not be collateral here")
    market = market.with_position(user, asset, replace(position, collateral=use))
    if not use:
        validate_health_and_ltv(market, user, asset)
    return market


def set_e_mode(market: Market, user: str, category: int) -> Market:
    """Enter or leave (0) an efficiency mode; all borrowed assets must belong to it."""
    record = market.user(user)
    require(category == 0 or category in market.e_modes, f"no e-mode {category}")
    if category:
        inside = (market.in_e_mode(asset, category) for asset in market.borrowed_assets(user))
        require(all(inside), f"a borrowed asset is outside e-mode {category}")
    market = market.with_user(user, replace(record, e_mode=category))
    if record.e_mode:
        validate_healthy(market.account(user))
    return market


def mint_to_treasury(market: Market, asset: str) -> Market:
    """Turn the interest accrued to the treasury into its aTokens."""
    reserve = market.reserve(asset)
    if not reserve.config.active or reserve.accrued_to_treasury == 0:
        return market
    income = reserve.normalized_income(market.timestamp)
    scaled = ray_div(ray_mul(reserve.accrued_to_treasury, income), income)
    reserve = replace(
        reserve, accrued_to_treasury=0, scaled_supply=to_uint128(reserve.scaled_supply + scaled)
    )
    position = market.position(TREASURY, asset)
    position = replace(position, scaled_supply=position.scaled_supply + scaled)
    return market.with_reserve(asset, reserve).with_position(TREASURY, asset, position)
