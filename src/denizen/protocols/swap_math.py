"""One swap step at constant liquidity: how far the price moves, what goes in, out and to fees.

`compute_swap_step` is v4's and `compute_swap_step_v3` is v3's: they part where the input runs out
before the target.  In both a negative amount is an exact input and a positive one an exact output
(v4's convention); fees are in pips (1e-6).
Source: Uniswap v4-core SwapMath and v3-sdk SwapMath (both MIT).
"""

from __future__ import annotations

from typing import NamedTuple

from .fixed_point import MAX_UINT128, MathError
from .sqrt_price_math import next_sqrt_price_from_input, next_sqrt_price_from_output

PIPS = 1_000_000
_MAX_UINT160 = (1 << 160) - 1


class SwapStep(NamedTuple):
    """Price reached, and the amounts in (without fee), out and of the fee, in raw units."""

    sqrt_price_next: int
    amount_in: int
    amount_out: int
    fee_amount: int


def compute_swap_step(
    sqrt_price: int, sqrt_target: int, liquidity: int, amount_remaining: int, fee_pips: int
) -> SwapStep:
    """v4: swap until the target price or until the amount is used up."""
    _check(sqrt_price, sqrt_target, liquidity, amount_remaining, fee_pips)
    if fee_pips == PIPS and amount_remaining >= 0:
        raise MathError("an exact output is impossible at a fee of 100%")
    exact_in = amount_remaining < 0
    return SwapStep(
        *step_v4(sqrt_price, sqrt_target, liquidity, abs(amount_remaining), fee_pips, exact_in)
    )


def compute_swap_step_v3(
    sqrt_price: int, sqrt_target: int, liquidity: int, amount_remaining: int, fee_pips: int
) -> SwapStep:
    """v3: as v4, but an input that runs out is measured anew and the rest of it is the fee."""
    _check(sqrt_price, sqrt_target, liquidity, amount_remaining, fee_pips)
    if fee_pips == PIPS:
        raise MathError("v3 has no fee of 100%")
    exact_in = amount_remaining < 0
    return SwapStep(
        *step_v3(sqrt_price, sqrt_target, liquidity, abs(amount_remaining), fee_pips, exact_in)
    )


# The steps as the pools call them: unsigned amount, plain tuple, no checks.  With arguments of the
# contracts' types (uint160 prices, uint128 liquidity, amounts below 2^255) none of the contracts'
# overflow checks can fail, since no amount is used past what lies between price and target.


def step_v4(
    price: int, target: int, liquidity: int, amount: int, fee: int, exact_in: bool
) -> tuple[int, int, int, int]:
    """(price reached, amount in, amount out, fee)."""
    if exact_in:
        after_fee = amount * (PIPS - fee) // PIPS
        amount_in = _amount_in(price, target, liquidity)
        if after_fee < amount_in:
            reached = next_sqrt_price_from_input(price, liquidity, after_fee, price >= target)
            out = _amount_out(price, reached, liquidity)
            return reached, after_fee, out, amount - after_fee
        if fee == PIPS:
            return target, amount_in, _amount_out(price, target, liquidity), amount_in
        paid = -(-amount_in * fee // (PIPS - fee))
        return target, amount_in, _amount_out(price, target, liquidity), paid
    return _exact_out(price, target, liquidity, amount, fee)


def step_v3(
    price: int, target: int, liquidity: int, amount: int, fee: int, exact_in: bool
) -> tuple[int, int, int, int]:
    """(price reached, amount in, amount out, fee)."""
    if exact_in:
        after_fee = amount * (PIPS - fee) // PIPS
        amount_in = _amount_in(price, target, liquidity)
        if after_fee < amount_in:
            # Rounding never carries this price onto the target: the input is less than the real
            # amount up to there, not only less than that amount rounded up.
            reached = next_sqrt_price_from_input(price, liquidity, after_fee, price >= target)
            amount_in = _amount_in(price, reached, liquidity)
            return reached, amount_in, _amount_out(price, reached, liquidity), amount - amount_in
        paid = -(-amount_in * fee // (PIPS - fee))
        return target, amount_in, _amount_out(price, target, liquidity), paid
    return _exact_out(price, target, liquidity, amount, fee)


def _exact_out(
    price: int, target: int, liquidity: int, amount: int, fee: int
) -> tuple[int, int, int, int]:
    reached, amount_out = target, _amount_out(price, target, liquidity)
    if amount < amount_out:
        reached = next_sqrt_price_from_output(price, liquidity, amount, price >= target)
        amount_out = amount
    amount_in = _amount_in(price, reached, liquidity)
    return reached, amount_in, amount_out, -(-amount_in * fee // (PIPS - fee))


def _amount_in(price: int, reached: int, liquidity: int) -> int:
    """Token0 in if the price falls, token1 if it rises, rounded up (SqrtPriceMath, inlined)."""
    if price >= reached:
        return -((-liquidity << 96) * (price - reached) // price // reached)
    return -(-liquidity * (reached - price) >> 96)


def _amount_out(price: int, reached: int, liquidity: int) -> int:
    """Token1 out if the price falls, token0 if it rises, rounded down."""
    if price >= reached:
        return liquidity * (price - reached) >> 96
    return (liquidity << 96) * (reached - price) // reached // price


def _check(price: int, target: int, liquidity: int, amount: int, fee: int) -> None:
    if not (0 < price <= _MAX_UINT160 and 0 < target <= _MAX_UINT160):
        raise MathError("a sqrtPriceX96 is a positive 160-bit number")
    if not 0 <= liquidity <= MAX_UINT128:
        raise MathError("liquidity is an unsigned 128-bit number")
    if not -(1 << 255) <= amount < 1 << 255:
        raise MathError("a swap's amount is a signed 256-bit number")
    if not 0 <= fee <= PIPS:
        raise MathError(f"fee of {fee} pips is outside 0..{PIPS}")
