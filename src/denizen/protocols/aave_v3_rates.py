"""Aave v3's two-slope interest rates: variable, stable and what suppliers earn.

Contract: `RateStrategy.rates` returns what calculateInterestRates of the contract
DefaultReserveInterestRateStrategy does.  Ratios and rates are rays (rates a year), amounts raw.
Source: Aave v3 technical paper, section on interest rates; @aave/core-v3 1.19.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from .aave_math import PERCENTAGE_FACTOR, RAY, percent_mul, ray_div, ray_mul, wad_to_ray
from .fixed_point import MathError


class Rates(NamedTuple):
    """Rays a year: supply, stable borrow, variable borrow."""

    liquidity: int
    stable: int
    variable: int


@dataclass(frozen=True)
class RateStrategy:
    """Parameters of one reserve's strategy, in ray."""

    optimal_usage_ratio: int
    base_variable_borrow_rate: int
    variable_rate_slope1: int
    variable_rate_slope2: int
    stable_rate_slope1: int = 0
    stable_rate_slope2: int = 0
    base_stable_rate_offset: int = 0
    stable_rate_excess_offset: int = 0
    optimal_stable_to_total_debt_ratio: int = 0

    def __post_init__(self) -> None:
        ratios = (self.optimal_usage_ratio, self.optimal_stable_to_total_debt_ratio)
        if not all(0 <= ratio <= RAY for ratio in ratios):
            raise MathError("optimal ratios lie between 0 and 1 ray")

    @property
    def max_variable_borrow_rate(self) -> int:
        """Variable rate at full usage."""
        slopes = self.variable_rate_slope1 + self.variable_rate_slope2
        return self.base_variable_borrow_rate + slopes

    @property
    def base_stable_borrow_rate(self) -> int:
        """Stable rate of an unused reserve."""
        return self.variable_rate_slope1 + self.base_stable_rate_offset

    def borrow_rates(self, usage_ratio: int, stable_ratio: int = 0) -> tuple[int, int]:
        """(variable, stable) at a usage ratio and a stable share of all debt."""
        variable, stable = self.base_variable_borrow_rate, self.base_stable_borrow_rate
        if usage_ratio > self.optimal_usage_ratio:
            over = usage_ratio - self.optimal_usage_ratio
            excess = ray_div(over, RAY - self.optimal_usage_ratio)
            variable += self.variable_rate_slope1 + ray_mul(self.variable_rate_slope2, excess)
            stable += self.stable_rate_slope1 + ray_mul(self.stable_rate_slope2, excess)
        else:
            optimal = self.optimal_usage_ratio
            variable += ray_div(ray_mul(self.variable_rate_slope1, usage_ratio), optimal)
            stable += ray_div(ray_mul(self.stable_rate_slope1, usage_ratio), optimal)
        if stable_ratio > self.optimal_stable_to_total_debt_ratio:
            over = stable_ratio - self.optimal_stable_to_total_debt_ratio
            excess = ray_div(over, RAY - self.optimal_stable_to_total_debt_ratio)
            stable += ray_mul(self.stable_rate_excess_offset, excess)
        return variable, stable

    def rates(
        self,
        available: int,
        variable_debt: int,
        stable_debt: int = 0,
        average_stable_rate: int = 0,
        reserve_factor: int = 0,
    ) -> Rates:
        """All three rates for what lies in the reserve and what it is owed."""
        debt = variable_debt + stable_debt
        if available < 0 or not 0 <= reserve_factor <= PERCENTAGE_FACTOR:
            raise MathError("liquidity must not be negative nor the reserve factor above 100%")
        if debt == 0:
            variable, stable = self.borrow_rates(0)
            return Rates(0, stable, variable)
        usage = ray_div(debt, available + debt)
        variable, stable = self.borrow_rates(usage, ray_div(stable_debt, debt))
        weighted = ray_mul(wad_to_ray(variable_debt), variable)
        weighted += ray_mul(wad_to_ray(stable_debt), average_stable_rate)
        overall = ray_div(weighted, wad_to_ray(debt))
        kept = PERCENTAGE_FACTOR - reserve_factor
        return Rates(percent_mul(ray_mul(overall, usage), kept), stable, variable)
