"""What Aave's data provider shows of a market, read from the engine's state.

Contract: field for field and to the unit what AaveProtocolDataProvider of @aave/core-v3 1.19.3
returns for the same state; amounts are raw units, rates and indices rays, times Unix seconds.
"""

from __future__ import annotations

from typing import NamedTuple

from denizen.protocols.aave_math import ray_mul
from denizen.protocols.aave_v3 import Market


class ReserveData(NamedTuple):
    """AaveProtocolDataProvider.getReserveData."""

    unbacked: int
    accrued_to_treasury: int
    total_supply: int
    total_stable_debt: int
    total_variable_debt: int
    liquidity_rate: int
    variable_borrow_rate: int
    stable_borrow_rate: int
    average_stable_rate: int
    liquidity_index: int
    variable_borrow_index: int
    last_update: int


class UserReserve(NamedTuple):
    """AaveProtocolDataProvider.getUserReserveData."""

    supplied: int
    stable_debt: int
    variable_debt: int
    principal_stable_debt: int
    scaled_variable_debt: int
    stable_rate: int
    liquidity_rate: int
    stable_timestamp: int
    collateral: bool


def reserve_data(market: Market, asset: str) -> ReserveData:
    """getReserveData of the engine's reserve at the market's time."""
    reserve, now = market.reserve(asset), market.timestamp
    return ReserveData(
        0,
        reserve.accrued_to_treasury,
        ray_mul(reserve.scaled_supply, reserve.normalized_income(now)),
        reserve.stable_debt.balance(now),
        reserve.total_variable_debt(now),
        reserve.liquidity_rate,
        reserve.variable_borrow_rate,
        reserve.stable_borrow_rate,
        reserve.stable_debt.rate,
        reserve.liquidity_index,
        reserve.variable_borrow_index,
        reserve.last_update,
    )


def user_reserve(market: Market, user: str, asset: str) -> UserReserve:
    """getUserReserveData of the engine's position at the market's time."""
    position = market.position(user, asset)
    return UserReserve(
        market.supplied(user, asset),
        market.stable_debt(user, asset),
        market.variable_debt(user, asset),
        position.stable_debt.principal,
        position.scaled_variable_debt,
        position.stable_debt.rate,
        market.reserve(asset).liquidity_rate,
        position.stable_debt.timestamp,
        position.collateral,
    )
