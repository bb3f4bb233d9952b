"""The StableSwap invariant in integers: D, y, the amplification ramp, the dynamic fee, the price.

`xp` are balances brought to 18 decimals, `amp` is A x 100 and A stands for the paper's
A n^(n-1): the pool template with A_PRECISION = 100.  Divisions round down; Newton stops at a
step of one unit and gives up after 255.  Source: Egorov, StableSwap (2019), Curve's documents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from math import prod

from .fixed_point import MAX_UINT256, MathError

A_PRECISION = 100
MAX_A = 10**6
FEE_DENOMINATOR = 10**10
PRECISION = 10**18
MAX_COINS = 8
MAX_ITERATIONS = 255
_WIDE = Context(prec=60)


@dataclass(frozen=True)
class Ramp:
    """A linear change of `amp` between two times in seconds."""

    initial_amp: int
    future_amp: int
    initial_time: int
    future_time: int

    def amp(self, now: int) -> int:
        """`amp` at `now`; the change so far rounds towards the initial figure."""
        if now < self.initial_time:
            raise MathError("the ramp has not begun")
        if now >= self.future_time:
            return self.future_amp
        elapsed, whole = now - self.initial_time, self.future_time - self.initial_time
        change = abs(self.future_amp - self.initial_amp) * elapsed // whole
        return self.initial_amp + (change if self.future_amp > self.initial_amp else -change)


def get_D(xp: Sequence[int], amp: int) -> int:
    """The invariant D: what the balances would total were they equal; 0 for an empty pool."""
    n = _coins(len(xp), amp)
    if any(x < 0 for x in xp):
        raise MathError("a balance is negative")
    total = sum(xp)
    if total == 0:
        return 0
    if 0 in xp:
        raise MathError("a pool with one empty balance has no invariant")
    D, ann = total, amp * n
    for _ in range(MAX_ITERATIONS):
        D_P = D
        for x in xp:
            D_P = _word(D_P * D) // (x * n)
        previous = D
        numerator = _word((ann * total // A_PRECISION + D_P * n) * D)
        D = numerator // ((ann - A_PRECISION) * D // A_PRECISION + (n + 1) * D_P)
        if abs(D - previous) <= 1:
            return D
    raise MathError("D does not converge")


def get_y(i: int, j: int, x: int, xp: Sequence[int], amp: int) -> int:
    """Balance of coin j that keeps D once coin i's is `x`."""
    if i == j or not (0 <= i < len(xp) and 0 <= j < len(xp)):
        raise MathError(f"{i} and {j} are not two of the pool's coins")
    D = get_D(xp, amp)
    others = [x if k == i else held for k, held in enumerate(xp) if k != j]
    return _solve(others, amp, D)


def get_y_D(i: int, xp: Sequence[int], amp: int, D: int) -> int:
    """Balance of coin i at which the pool's invariant is `D`, the other balances as they are."""
    if not 0 <= i < len(xp):
        raise MathError(f"the pool has no coin {i}")
    return _solve([held for k, held in enumerate(xp) if k != i], amp, D)


def _solve(others: Sequence[int], amp: int, D: int) -> int:
    """The missing balance: Newton on y^2 + (S + D / Ann - D) y = D^(n+1) / (n^2n P A)."""
    n = _coins(len(others) + 1, amp)
    if D <= 0 or any(x <= 0 for x in others):
        raise MathError("D and the other balances must be positive")
    ann = amp * n
    c = D
    for x in others:
        c = _word(c * D) // (x * n)
    c = _word(c * D * A_PRECISION) // (ann * n)
    b = sum(others) + D * A_PRECISION // ann
    y = D
    for _ in range(MAX_ITERATIONS):
        previous = y
        divisor = 2 * y + b - D
        if divisor <= 0:
            break
        y = _word(y * y + c) // divisor
        if abs(y - previous) <= 1:
            return y
    raise MathError("y does not converge")


def dynamic_fee(xpi: int, xpj: int, fee: int, offpeg_fee_multiplier: int) -> int:
    """The NG template's fee (of 1e10): `fee` for equal balances, up to multiplier x fee off peg.

    The balances are the means of before and after the swap; the multiplier is of 1e10.
    """
    if xpi <= 0 or xpj <= 0:
        raise MathError("balances must be positive")
    if offpeg_fee_multiplier <= FEE_DENOMINATOR:
        return fee
    closeness = (offpeg_fee_multiplier - FEE_DENOMINATOR) * 4 * xpi * xpj // (xpi + xpj) ** 2
    return offpeg_fee_multiplier * fee // (closeness + FEE_DENOMINATOR)


def spot_price(i: int, j: int, xp: Sequence[int], amp: int) -> Decimal:
    """dy/dx without fee: coin j per coin i, both at 18 decimals, for an endless small trade.

    The invariant's slopes are Ann + D_P / x_i and Ann + D_P / x_j with
    D_P = D^(n+1) / (n^n P): integers up to one division of 60 digits.
    """
    if i == j or not (0 <= i < len(xp) and 0 <= j < len(xp)):
        raise MathError(f"{i} and {j} are not two of the pool's coins")
    D, n = get_D(xp, amp), len(xp)
    if D == 0:
        raise MathError("an empty pool has no price")
    weight = amp * n * n**n * prod(xp)
    power = A_PRECISION * D ** (n + 1)
    rise, fall = xp[j] * (weight * xp[i] + power), xp[i] * (weight * xp[j] + power)
    return _WIDE.divide(Decimal(rise), Decimal(fall))


def depeg(i: int, j: int, xp: Sequence[int], amp: int) -> Decimal:
    """1 - spot price: the share by which coin i trades under coin j (negative: over it)."""
    return _WIDE.subtract(Decimal(1), spot_price(i, j, xp, amp))


def _coins(n: int, amp: int) -> int:
    if not 2 <= n <= MAX_COINS:
        raise MathError(f"a pool holds 2 to {MAX_COINS} coins, not {n}")
    if not A_PRECISION <= amp <= MAX_A * A_PRECISION:
        raise MathError(f"A x {A_PRECISION} lies between {A_PRECISION} and 1e8, not at {amp}")
    return n


def _word(value: int) -> int:
    if value > MAX_UINT256:
        raise MathError("the invariant overflows 256 bits")
    return value
