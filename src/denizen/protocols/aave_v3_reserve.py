"""One reserve of Aave v3: its configuration, indices, rates and the treasury's share.

Contract: a frozen record; `updated` brings the indices to a time and `repriced` sets the rates for
liquidity added or taken, in the order every action does.  Amounts are raw units, indices and rates
rays, factors basis points.  Source: Aave v3 technical paper; @aave/core-v3 1.19.3, ReserveLogic.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from .aave_math import (
    PERCENTAGE_FACTOR,
    RAY,
    calculate_compounded_interest,
    calculate_linear_interest,
    percent_mul,
    ray_div,
    ray_mul,
    to_uint128,
)
from .aave_v3_rates import RateStrategy
from .aave_v3_stable import StableDebt
from .fixed_point import MathError

DEBT_CEILING_DECIMALS = 2


@dataclass(frozen=True)
class ReserveConfig:
    """Risk parameters: basis points, caps in whole tokens (0: none), a ceiling in cents."""

    decimals: int
    ltv: int = 0
    liquidation_threshold: int = 0
    liquidation_bonus: int = 0
    reserve_factor: int = 0
    liquidation_protocol_fee: int = 0
    supply_cap: int = 0
    borrow_cap: int = 0
    debt_ceiling: int = 0
    e_mode_category: int = 0
    borrowing_enabled: bool = True
    stable_borrowing_enabled: bool = False
    borrowable_in_isolation: bool = False
    siloed_borrowing: bool = False
    active: bool = True
    frozen: bool = False
    paused: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.ltv <= self.liquidation_threshold <= PERCENTAGE_FACTOR:
            raise MathError("0 <= LTV <= liquidation threshold <= 100% must hold")
        if self.liquidation_threshold and self.liquidation_bonus <= PERCENTAGE_FACTOR:
            raise MathError("a liquidation bonus is above 10,000 basis points: 10,500 pays 5%")
        factors = (self.reserve_factor, self.liquidation_protocol_fee)
        if not all(0 <= factor <= PERCENTAGE_FACTOR for factor in factors):
            raise MathError("reserve factor and protocol fee lie between 0 and 100%")

    @property
    def unit(self) -> int:
        """Raw units of one token."""
        return int(10**self.decimals)

    def isolated(self, amount: int) -> int:
        """An amount borrowed in isolation, in the ceiling's cents, rounded down."""
        if self.decimals < DEBT_CEILING_DECIMALS:
            raise MathError("isolation mode needs a token of two decimals or more")
        return int(to_uint128(amount // 10 ** (self.decimals - DEBT_CEILING_DECIMALS)))


@dataclass(frozen=True)
class Reserve:
    """State: underlying held, scaled totals, indices and rates as of `last_update`."""

    config: ReserveConfig
    strategy: RateStrategy
    available: int = 0
    scaled_supply: int = 0
    scaled_variable_debt: int = 0
    stable_debt: StableDebt = field(default_factory=StableDebt)
    liquidity_index: int = RAY
    variable_borrow_index: int = RAY
    liquidity_rate: int = 0
    stable_borrow_rate: int = 0
    variable_borrow_rate: int = 0
    last_update: int = 0
    accrued_to_treasury: int = 0
    isolation_debt: int = 0

    def normalized_income(self, now: int) -> int:
        """The liquidity index at a time: linear interest since the last update."""
        growth = calculate_linear_interest(self.liquidity_rate, now - self.last_update)
        return ray_mul(growth, self.liquidity_index)

    def normalized_debt(self, now: int) -> int:
        """The variable borrow index at a time: compounded interest since the last update."""
        growth = calculate_compounded_interest(self.variable_borrow_rate, now - self.last_update)
        return ray_mul(growth, self.variable_borrow_index)

    def total_variable_debt(self, now: int) -> int:
        """All variable debt with interest."""
        return ray_mul(self.scaled_variable_debt, self.normalized_debt(now))

    def updated(self, now: int) -> Reserve:
        """Indices at `now`, and the reserve factor's part of the interest owed to the treasury."""
        if now == self.last_update:
            return self
        income, debt = self.liquidity_index, self.variable_borrow_index
        if self.liquidity_rate:
            income = to_uint128(self.normalized_income(now))
        if self.scaled_variable_debt:
            debt = to_uint128(self.normalized_debt(now))
        return replace(
            self,
            liquidity_index=income,
            variable_borrow_index=debt,
            last_update=now,
            accrued_to_treasury=self.accrued_to_treasury + self._accrued(income, debt, now),
        )

    def _accrued(self, next_income: int, next_debt: int, now: int) -> int:
        """Scaled aTokens the treasury earns between the last update and `now`."""
        if self.config.reserve_factor == 0:
            return 0
        stable = self.stable_debt
        before = ray_mul(self.scaled_variable_debt, self.variable_borrow_index)
        before += stable.balance(self.last_update) if stable.principal else 0
        after = ray_mul(self.scaled_variable_debt, next_debt) + stable.balance(now)
        amount = percent_mul(after - before, self.config.reserve_factor)
        return to_uint128(ray_div(amount, next_income))

    def repriced(
        self, now: int, added: int = 0, taken: int = 0, stable_debt: StableDebt | None = None
    ) -> Reserve:
        """Rates as they are once `added` came in and `taken` went out; moves no liquidity.

        `stable_debt` stands in for the stored one, as stable.burn asks for.
        """
        stable = self.stable_debt if stable_debt is None else stable_debt
        if taken > self.available + added:
            raise MathError(f"the reserve holds {self.available + added}, not {taken}")
        rates = self.strategy.rates(
            self.available + added - taken,
            ray_mul(self.scaled_variable_debt, self.variable_borrow_index),
            stable.balance(now),
            stable.rate,
            self.config.reserve_factor,
        )
        return replace(
            self,
            liquidity_rate=to_uint128(rates.liquidity),
            stable_borrow_rate=to_uint128(rates.stable),
            variable_borrow_rate=to_uint128(rates.variable),
        )
