"""One swap step at constant liquidity: how far the price moves, what goes in, out and to fees.

Source: Uniswap v4-core SwapMath (MIT).  The v4 sign convention holds here: a negative amount is
an exact input, a positive one an exact output.  Fees are in pips (1e-6).
"""

from __future__ import annotations

from typing import NamedTuple

from . import sqrt_price_math as spm
from .fixed_point import MathError, mul_div, mul_div_rounding_up

PIPS = 1_000_000


class SwapStep(NamedTuple):
    """Price reached, and the amounts in (without fee), out and of the fee, in raw units."""

    sqrt_price_next: int
    amount_in: int
    amount_out: int
    fee_amount: int


def compute_swap_step(
    sqrt_price: int, sqrt_target: int, liquidity: int, amount_remaining: int, fee_pips: int
) -> SwapStep:
    """Swap until the target price or until the amount is used up."""
    if not 0 <= fee_pips <= PIPS:
        raise MathError(f"fee of {fee_pips} pips is outside 0..{PIPS}")
    zero = sqrt_price >= sqrt_target
    if amount_remaining < 0:
        return _exact_in(sqrt_price, sqrt_target, liquidity, -amount_remaining, fee_pips, zero)
    return _exact_out(sqrt_price, sqrt_target, liquidity, amount_remaining, fee_pips, zero)


def _in(a: int, b: int, liquidity: int, zero: bool) -> int:
    delta = spm.amount0_delta if zero else spm.amount1_delta
    return delta(a, b, liquidity, True)


def _out(a: int, b: int, liquidity: int, zero: bool) -> int:
    delta = spm.amount1_delta if zero else spm.amount0_delta
    return delta(a, b, liquidity, False)


def _exact_in(
    sqrt_price: int, target: int, liquidity: int, amount: int, fee: int, zero: bool
) -> SwapStep:
    after_fee = mul_div(amount, PIPS - fee, PIPS)
    amount_in = _in(target, sqrt_price, liquidity, zero)
    if after_fee >= amount_in:
        reached = target
        paid = amount_in if fee == PIPS else mul_div_rounding_up(amount_in, fee, PIPS - fee)
    else:
        amount_in = after_fee
        reached = spm.next_sqrt_price_from_input(sqrt_price, liquidity, after_fee, zero)
        paid = amount - amount_in
    return SwapStep(reached, amount_in, _out(reached, sqrt_price, liquidity, zero), paid)


def _exact_out(
    sqrt_price: int, target: int, liquidity: int, amount: int, fee: int, zero: bool
) -> SwapStep:
    amount_out = _out(target, sqrt_price, liquidity, zero)
    if amount >= amount_out:
        reached = target
    else:
        amount_out = amount
        reached = spm.next_sqrt_price_from_output(sqrt_price, liquidity, amount_out, zero)
    amount_in = _in(reached, sqrt_price, liquidity, zero)
    if fee == PIPS:
        raise MathError("an exact output is impossible at a fee of 100%")
    return SwapStep(reached, amount_in, amount_out, mul_div_rounding_up(amount_in, fee, PIPS - fee))
