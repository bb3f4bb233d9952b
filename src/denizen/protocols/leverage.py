"""Leverage on lending markets: loops, their yield, liquidation, unwinding, delta-neutral sizing.

Rates and ratios are fractions; leverage is collateral value over equity.  Values are in one unit of
account, and prices in that unit, unless a name says raw.  Health factor = collateral x liquidation
threshold / debt, as Aave's documentation defines it.  Each result is the closed form it names.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from typing import NamedTuple

from .exact_decimal import CONTEXT, exact, require
from .fixed_point import MathError

_ONE = Decimal(1)
_BPS = 10_000


class Loop(NamedTuple):
    """Collateral and debt of a leveraged position."""

    collateral: Decimal
    debt: Decimal

    @property
    def leverage(self) -> Decimal:
        """Collateral over equity."""
        return CONTEXT.divide(self.collateral, CONTEXT.subtract(self.collateral, self.debt))


@exact
def leverage_loop(equity: Decimal, ltv: Decimal, rounds: int) -> Loop:
    """Supply, then `rounds` times borrow at `ltv` and supply: equity x (1 - l^(n+1)) / (1 - l)."""
    _ltv(ltv)
    require(equity > 0 and rounds >= 0, "equity must be positive and rounds not negative")
    collateral = equity * (1 - ltv ** (rounds + 1)) / (1 - ltv)
    return Loop(collateral, collateral - equity)


def loop_amounts(principal: int, ltv_bps: int, rounds: int) -> tuple[int, int]:
    """(supplied, borrowed) raw units of one asset, each borrow rounded down as a market allows."""
    if principal <= 0 or rounds < 0:
        raise MathError("the principal must be positive and rounds not negative")
    if not 0 <= ltv_bps < _BPS:
        raise MathError("a loan-to-value lies between 0 and 10,000 basis points")
    supplied, step = principal, principal
    for _ in range(rounds):
        step = step * ltv_bps // _BPS
        supplied += step
    return supplied, supplied - principal


@exact
def max_leverage(ltv: Decimal) -> Decimal:
    """1 / (1 - l): the limit of the loop."""
    _ltv(ltv)
    return 1 / (1 - ltv)


@exact
def ltv_for_leverage(leverage: Decimal) -> Decimal:
    """1 - 1 / leverage."""
    _leverage(leverage)
    return 1 - 1 / leverage


@exact
def rounds_for_leverage(leverage: Decimal, ltv: Decimal) -> int:
    """Fewest rounds of a loop that reach a leverage; MathError if that is its limit or beyond."""
    _leverage(leverage)
    _ltv(ltv)
    if leverage == 1:
        return 0
    require(leverage * (1 - ltv) < 1, f"a loop at {ltv} stays under its limit of 1 / (1 - ltv)")
    guess = (1 - leverage * (1 - ltv)).ln() / ltv.ln() - 1
    rounds = max(int(guess.to_integral_value(ROUND_CEILING)) - 1, 0)
    while (1 - ltv ** (rounds + 1)) < leverage * (1 - ltv):
        rounds += 1
    return rounds


@exact
def loop_apr(supply_rate: Decimal, borrow_rate: Decimal, leverage: Decimal) -> Decimal:
    """supply x L - borrow x (L - 1) on the equity; add incentives to either rate."""
    _leverage(leverage)
    require(supply_rate >= -1 and borrow_rate >= -1, "a rate is not below -100%")
    return supply_rate * leverage - borrow_rate * (leverage - 1)


@exact
def break_even_borrow_rate(supply_rate: Decimal, leverage: Decimal) -> Decimal:
    """Borrow rate at which the loop's net rate is zero: supply x L / (L - 1)."""
    require(leverage > 1, "without debt no borrow rate breaks even")
    return supply_rate * leverage / (leverage - 1)


@exact
def health_factor(collateral: Decimal, debt: Decimal, threshold: Decimal) -> Decimal:
    """collateral x threshold / debt."""
    _threshold(threshold)
    require(collateral >= 0 and debt > 0, "a health factor needs a debt")
    return collateral * threshold / debt


@exact
def liquidation_price(collateral_amount: Decimal, debt: Decimal, threshold: Decimal) -> Decimal:
    """Collateral price, in the debt's unit, at which the health factor is one."""
    _threshold(threshold)
    require(collateral_amount > 0 and debt >= 0, "collateral must be positive")
    return debt / (collateral_amount * threshold)


@exact
def drop_tolerated(health: Decimal) -> Decimal:
    """Fall of the collateral's price to liquidation: 1 - 1 / health factor."""
    require(health >= 1, f"at a health factor of {health} the position is already liquidatable")
    return 1 - 1 / health


@exact
def rise_tolerated(health: Decimal) -> Decimal:
    """Rise of the debt's price to liquidation: health factor - 1."""
    require(health >= 1, f"at a health factor of {health} the position is already liquidatable")
    return health - 1


@exact
def leverage_for_health(health: Decimal, threshold: Decimal) -> Decimal:
    """Greatest leverage with a wanted health factor: h / (h - threshold)."""
    _threshold(threshold)
    require(health >= 1, "a wanted health factor is one or more")
    return health / (health - threshold)


@exact
def unwind_to_health(
    collateral: Decimal, debt: Decimal, threshold: Decimal, health: Decimal, cost: Decimal
) -> Decimal:
    """Collateral value to sell, its proceeds less `cost` repaying debt, for a health factor.

    x = (h D - C threshold) / (h (1 - cost) - threshold), at most what repays all; 0 if met already.
    """
    _threshold(threshold)
    _cost(cost)
    require(collateral > 0 and debt > 0 and health >= 1, "collateral and debt must be positive")
    missing = health * debt - collateral * threshold
    if missing <= 0:
        return Decimal(0)
    gain = health * (1 - cost) - threshold
    everything = full_unwind(debt, cost)
    sold = everything if gain <= 0 else min(missing / gain, everything)
    require(sold <= collateral, "the collateral does not cover the debt and the cost of selling")
    return sold


@exact
def unwind_to_leverage(
    collateral: Decimal, debt: Decimal, leverage: Decimal, cost: Decimal
) -> Decimal:
    """Collateral value to sell for a lower leverage: (C - L E) / (1 - L cost), E = C - D."""
    _leverage(leverage)
    _cost(cost)
    equity = collateral - debt
    require(debt >= 0 and equity > 0, "the position has no equity")
    excess = collateral - leverage * equity
    if excess <= 0:
        return Decimal(0)
    require(leverage * cost < 1, "selling costs more equity than it frees")
    sold = excess / (1 - leverage * cost)
    require(sold <= collateral, "the collateral does not cover the debt and the cost of selling")
    return sold


@exact
def full_unwind(debt: Decimal, cost: Decimal) -> Decimal:
    """Collateral value whose sale repays the whole debt: D / (1 - cost)."""
    _cost(cost)
    require(debt >= 0, "a debt is not negative")
    return debt / (1 - cost)


@exact
def unwind_steps(collateral: Decimal, debt: Decimal, ltv: Decimal) -> list[Decimal]:
    """Withdrawals, without a flash loan, that each repay debt and stay within `ltv`, to the end."""
    _ltv(ltv)
    require(ltv > 0 and 0 <= debt < collateral * ltv, "nothing can be withdrawn at this debt")
    steps: list[Decimal] = []
    while debt > 0:
        step = min(collateral - debt / ltv, debt)
        collateral, debt = collateral - step, debt - step
        steps.append(step)
    return steps


class FlashLoop(NamedTuple):
    """A one-shot loop: the flash loan, its fee, and the position it leaves."""

    flash: Decimal
    fee: Decimal
    collateral: Decimal
    debt: Decimal


@exact
def flash_loop(equity: Decimal, ltv: Decimal, fee: Decimal) -> FlashLoop:
    """Borrow F in a flash, supply E + F, borrow F (1 + fee) at `ltv` to repay it.

    F = l E / (1 + fee - l); without a fee this is the loop's limit.
    """
    _ltv(ltv)
    _cost(fee)
    require(equity > 0, "equity must be positive")
    flash = ltv * equity / (1 + fee - ltv)
    return FlashLoop(flash, flash * fee, equity + flash, flash * (1 + fee))


class Neutral(NamedTuple):
    """How capital is split so that its value does not follow the volatile asset's price."""

    collateral: Decimal
    borrowed: Decimal
    position: Decimal


@exact
def neutral_borrow(capital: Decimal, ltv: Decimal) -> Neutral:
    """Stable collateral, the volatile half of a 50/50 LP borrowed: c = K / (1 + l), d = l c.

    Neutral to first order at entry: the LP (worth 2 d) holds as much of the asset as is owed.
    """
    _ltv(ltv)
    require(capital > 0, "capital must be positive")
    collateral = capital / (1 + ltv)
    return Neutral(collateral, ltv * collateral, 2 * ltv * collateral)


@exact
def neutral_short(capital: Decimal, short_leverage: Decimal, delta: Decimal) -> Neutral:
    """Long a position of a given delta, short a perpetual on margin: position = K L / (L + delta).

    `collateral` is the margin, `borrowed` the short's notional.
    """
    require(capital > 0 and short_leverage > 0, "capital and leverage must be positive")
    require(0 < delta <= 1, "a delta is the part of the value exposed to the price")
    position = capital * short_leverage / (short_leverage + delta)
    return Neutral(capital - position, position * delta, position)


@exact
def neutral_debt_share(leverage: Decimal) -> Decimal:
    """Part of a leveraged 50/50 LP's debt to take in the volatile asset: L / (2 (L - 1))."""
    require(leverage >= 2, "below a leverage of two even all debt in the asset leaves it long")
    return leverage / (2 * (leverage - 1))


def _ltv(value: Decimal) -> None:
    require(0 <= value < _ONE, f"a loan-to-value of {value} is not between 0 and 1")


def _threshold(value: Decimal) -> None:
    require(0 < value <= _ONE, f"a liquidation threshold of {value} is not between 0 and 1")


def _leverage(value: Decimal) -> None:
    require(value >= _ONE, f"a leverage of {value} is below one")


def _cost(value: Decimal) -> None:
    require(0 <= value < _ONE, f"a cost of {value} is not between 0 and 1")
