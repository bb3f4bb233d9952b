"""Aave v3 liquidations: close factor, bonus, protocol fee, and the whole action.

Contract: `liquidation` gives the amounts and changes nothing; `liquidate` returns the market after
it.  Amounts are raw units, prices base currency, bonus and fee basis points; rounding is the
contract's.  Source: Aave v3 technical paper; @aave/core-v3 1.19.3, LiquidationLogic.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from . import aave_v3_stable as stable
from .aave_math import (
    WAD,
    percent_div,
    percent_mul,
    ray_div,
    ray_mul,
    to_uint256,
)
from .aave_v3_account import HEALTH_FACTOR_LIQUIDATION_THRESHOLD
from .aave_v3_market import TREASURY, Market
from .aave_v3_rules import add_variable_debt, credit, release_isolated_debt, require
from .aave_v3_stable import StableDebt
from .fixed_point import MathError

CLOSE_FACTOR_HF_THRESHOLD = WAD * 95 // 100
DEFAULT_LIQUIDATION_CLOSE_FACTOR = 5000
MAX_LIQUIDATION_CLOSE_FACTOR = 10_000


class Liquidation(NamedTuple):
    """Collateral the liquidator gets, debt repaid for it, collateral the treasury gets."""

    collateral: int
    debt: int
    protocol_fee: int


def close_factor(health_factor: int) -> int:
    """Share of the debt one call may repay: half, or all below a health factor of 0.95."""
    if health_factor > CLOSE_FACTOR_HF_THRESHOLD:
        return DEFAULT_LIQUIDATION_CLOSE_FACTOR
    return MAX_LIQUIDATION_CLOSE_FACTOR


def calculate_available_collateral_to_liquidate(
    debt_to_cover: int,
    collateral_balance: int,
    collateral_price: int,
    collateral_decimals: int,
    debt_price: int,
    debt_decimals: int,
    liquidation_bonus: int,
    protocol_fee: int,
) -> Liquidation:
    """Collateral for a debt at the bonus, cut to the balance (then less debt is needed)."""
    if min(collateral_price, debt_price) <= 0 or min(debt_to_cover, collateral_balance) < 0:
        raise MathError("prices must be positive and amounts not negative")
    collateral_unit, debt_unit = 10**collateral_decimals, 10**debt_decimals
    owed = to_uint256(debt_price * debt_to_cover * collateral_unit)
    base = owed // (collateral_price * debt_unit)
    collateral, debt = percent_mul(base, liquidation_bonus), debt_to_cover
    if collateral > collateral_balance:
        collateral = collateral_balance
        held = to_uint256(collateral_price * collateral * debt_unit)
        worth = held // (debt_price * collateral_unit)
        debt = percent_div(worth, liquidation_bonus)
    if protocol_fee == 0:
        return Liquidation(collateral, debt, 0)
    bonus = collateral - percent_div(collateral, liquidation_bonus)
    fee = percent_mul(bonus, protocol_fee)
    return Liquidation(collateral - fee, debt, fee)


def liquidation(
    market: Market, user: str, collateral: str, debt: str, debt_to_cover: int
) -> Liquidation:
    """Amounts of a liquidation call now; MathError if the account or the assets refuse it."""
    data, e_mode = market.account(user), market.user(user).e_mode
    given, owed = market.reserve(collateral).config, market.reserve(debt).config
    require(debt_to_cover >= 0, "the debt to cover must not be negative")
    for asset, config in ((collateral, given), (debt, owed)):
        require(config.active and not config.paused, f"{asset} is closed")
    unhealthy = data.health_factor < HEALTH_FACTOR_LIQUIDATION_THRESHOLD
    require(unhealthy, "the health factor is 1 or more")
    counts = given.liquidation_threshold > 0 and market.position(user, collateral).collateral
    require(counts, f"{collateral} is not collateral of {user}")
    total = market.debt(user, debt)
    require(total > 0, f"{user} owes no {debt}")
    inside = market.in_e_mode(collateral, e_mode)
    bonus = market.e_modes[e_mode].liquidation_bonus if inside else given.liquidation_bonus
    return calculate_available_collateral_to_liquidate(
        min(debt_to_cover, percent_mul(total, close_factor(data.health_factor))),
        market.supplied(user, collateral),
        market.price(collateral, e_mode),
        given.decimals,
        market.price(debt, e_mode),
        owed.decimals,
        bonus,
        given.liquidation_protocol_fee,
    )


def liquidate(
    market: Market,
    liquidator: str,
    user: str,
    collateral: str,
    debt: str,
    debt_to_cover: int,
    *,
    receive_a_token: bool = False,
) -> Market:
    """Pool.liquidationCall: debt burnt first, then collateral handed over, then the fee."""
    amounts = liquidation(market, user, collateral, debt, debt_to_cover)
    total = market.debt(user, debt)
    balance = market.supplied(user, collateral)
    position = market.position(user, debt)
    position = replace(position, borrowing=position.borrowing and total != amounts.debt)
    market = market.with_position(user, debt, position)
    if amounts.collateral + amounts.protocol_fee == balance:
        position = replace(market.position(user, collateral), collateral=False)
        market = market.with_position(user, collateral, position)
    market = _burn_debt(market, user, debt, amounts.debt)
    market = release_isolated_debt(market, user, debt, amounts.debt)
    if receive_a_token:
        market = _transfer(market, user, liquidator, collateral, amounts.collateral)
    else:
        market = _redeem(market, user, collateral, amounts.collateral)
    if amounts.protocol_fee:
        market = _pay_fee(market, user, collateral, amounts.protocol_fee)
    reserve = market.reserve(debt)
    return market.with_reserve(debt, replace(reserve, available=reserve.available + amounts.debt))


def _burn_debt(market: Market, user: str, asset: str, amount: int) -> Market:
    """Burn variable debt first, then stable; the reserve is repriced as if repaid already."""
    reserve, position = market.fresh(asset), market.position(user, asset)
    variable = ray_mul(position.scaled_variable_debt, reserve.variable_borrow_index)
    seen: StableDebt | None = None
    if variable >= amount:
        scaled = ray_div(amount, reserve.variable_borrow_index)
        require(scaled > 0, "the payment is worth no debt token")
        position, reserve = add_variable_debt(position, reserve, -scaled)
    else:
        scaled = position.scaled_variable_debt
        position, reserve = add_variable_debt(position, reserve, -scaled)
        own, all_debt, seen = stable.burn(
            position.stable_debt, reserve.stable_debt, amount - variable, market.timestamp
        )
        position = replace(position, stable_debt=own)
        reserve = replace(reserve, stable_debt=all_debt)
    reserve = reserve.repriced(market.timestamp, added=amount, stable_debt=seen)
    return market.with_reserve(asset, reserve).with_position(user, asset, position)


def _redeem(market: Market, user: str, asset: str, amount: int) -> Market:
    """Burn a user's aTokens and pay the underlying out."""
    reserve = market.fresh(asset).repriced(market.timestamp, taken=amount)
    scaled = ray_div(amount, reserve.liquidity_index)
    require(scaled > 0, "the collateral is worth no aToken")
    reserve = replace(
        reserve,
        available=reserve.available - amount,
        scaled_supply=reserve.scaled_supply - scaled,
    )
    return _debit(market.with_reserve(asset, reserve), user, asset, scaled)


def _pay_fee(market: Market, user: str, asset: str, fee: int) -> Market:
    """The treasury's part of the bonus, at most what rounding has left the user."""
    income = market.reserve(asset).normalized_income(market.timestamp)
    left = market.position(user, asset).scaled_supply
    if ray_div(fee, income) > left:
        fee = ray_mul(left, income)
    return _transfer(market, user, TREASURY, asset, fee)


def _transfer(market: Market, user: str, to: str, asset: str, amount: int) -> Market:
    """Move aTokens on liquidation; they become the liquidator's collateral, not the treasury's."""
    scaled = ray_div(amount, market.reserve(asset).normalized_income(market.timestamp))
    market = _debit(market, user, asset, scaled)
    if to != TREASURY:
        return credit(market, to, asset, scaled)
    position = market.position(to, asset)
    position = replace(position, scaled_supply=position.scaled_supply + scaled)
    return market.with_position(to, asset, position)


def _debit(market: Market, user: str, asset: str, scaled: int) -> Market:
    position = market.position(user, asset)
    require(scaled <= position.scaled_supply, f"{user} holds less aToken than that")
    left = replace(position, scaled_supply=position.scaled_supply - scaled)
    return market.with_position(user, asset, left)
