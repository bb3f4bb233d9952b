"""A Curve StableSwap pool of 2 to 8 coins: swap, deposit, the three withdrawals, virtual price.

Amounts are raw units; `rates[i]` brings coin i to 18 decimals (1e18 x 10^(18 - decimals)); fees
are of 1e10.  Rounding favours the pool: one unit is kept on every swap and withdrawal.  A pool
is a value: each operation returns the next one.  Source: the plain pool template with
A_PRECISION = 100, as Curve documents it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Context, Decimal

from . import curve_math
from .curve_math import FEE_DENOMINATOR, PRECISION, get_D, get_y, get_y_D
from .fixed_point import MathError

MAX_FEE = FEE_DENOMINATOR // 2
_WIDE = Context(prec=60)


@dataclass(frozen=True)
class StablePool:
    """Balances without the admin's part, rates, amp (A x 100), fees of 1e10, LP supply."""

    balances: tuple[int, ...]
    rates: tuple[int, ...]
    amp: int
    fee: int
    admin_fee: int
    total_supply: int

    def __post_init__(self) -> None:
        if len(self.rates) != len(self.balances) or any(rate <= 0 for rate in self.rates):
            raise MathError("each coin needs a positive rate")
        if min(self.balances) < 0 or self.total_supply < 0:
            raise MathError("balances and supply are not negative")
        if not (0 <= self.fee <= MAX_FEE and 0 <= self.admin_fee <= FEE_DENOMINATOR):
            raise MathError("the fee is at most half and the admin's part of it at most all")

    @property
    def n(self) -> int:
        """Number of coins."""
        return len(self.balances)

    @property
    def xp(self) -> tuple[int, ...]:
        """Balances at 18 decimals, rounded down."""
        return _scaled(self.balances, self.rates)

    @property
    def D(self) -> int:
        """The invariant."""
        return get_D(self.xp, self.amp)


@dataclass(frozen=True)
class Exchange:
    """What a swap pays out, its fee and the admin's part of it (raw units of the out coin)."""

    pool: StablePool
    dy: int
    fee: int
    admin_fee: int


@dataclass(frozen=True)
class Liquidity:
    """A deposit or withdrawal: LP tokens minted or burnt, coins moved, fees a coin (raw units)."""

    pool: StablePool
    lp_tokens: int
    amounts: tuple[int, ...]
    fees: tuple[int, ...]


def virtual_price(pool: StablePool) -> int:
    """D per LP token, of 1e18, rounded down."""
    _has_supply(pool)
    return pool.D * PRECISION // pool.total_supply


def get_dy(pool: StablePool, i: int, j: int, dx: int) -> int:
    """Coin j received for `dx` of coin i, after the fee."""
    return exchange(pool, i, j, dx).dy


def exchange(pool: StablePool, i: int, j: int, dx: int) -> Exchange:
    """Swap `dx` of coin i for coin j; the admin's part of the fee leaves the balances."""
    if dx <= 0:
        raise MathError("the amount must be positive")
    _has_coin(pool, i)
    xp = pool.xp
    y = get_y(i, j, xp[i] + dx * pool.rates[i] // PRECISION, xp, pool.amp)
    gross = xp[j] - y - 1
    if gross < 0:
        raise MathError("the amount is too small to buy one unit")
    fee = gross * pool.fee // FEE_DENOMINATOR
    admin = fee * pool.admin_fee // FEE_DENOMINATOR
    rate = pool.rates[j]
    dy, admin = (gross - fee) * PRECISION // rate, admin * PRECISION // rate
    balances = list(pool.balances)
    balances[i] += dx
    balances[j] -= dy + admin
    after = replace(pool, balances=tuple(balances))
    return Exchange(after, dy, fee * PRECISION // rate, admin)


def imbalance_fee(pool: StablePool) -> int:
    """The fee (of 1e10) on what a deposit or withdrawal moves away from balance: n / 4(n - 1)."""
    return pool.fee * pool.n // (4 * (pool.n - 1))


def add_liquidity(pool: StablePool, amounts: Sequence[int]) -> Liquidity:
    """LP tokens for a deposit; the first one needs every coin and mints D."""
    _amounts(pool, amounts)
    added = [held + amount for held, amount in zip(pool.balances, amounts, strict=True)]
    if pool.total_supply == 0:
        if min(amounts) == 0:
            raise MathError("the first deposit needs every coin")
        minted = get_D(_scaled(added, pool.rates), pool.amp)
        after = replace(pool, balances=tuple(added), total_supply=minted)
        return Liquidity(after, minted, tuple(amounts), (0,) * pool.n)
    before = pool.D
    full = get_D(_scaled(added, pool.rates), pool.amp)
    balances, fees, D = _charge(pool, added, before, full)
    if full <= before or before > D:
        raise MathError("the deposit adds nothing")
    minted = pool.total_supply * (D - before) // before
    after = replace(pool, balances=balances, total_supply=pool.total_supply + minted)
    return Liquidity(after, minted, tuple(amounts), fees)


def remove_liquidity(pool: StablePool, lp_tokens: int) -> Liquidity:
    """All coins in proportion, rounded down, without fee."""
    _burnable(pool, lp_tokens)
    out = tuple(held * lp_tokens // pool.total_supply for held in pool.balances)
    balances = tuple(held - paid for held, paid in zip(pool.balances, out, strict=True))
    after = replace(pool, balances=balances, total_supply=pool.total_supply - lp_tokens)
    return Liquidity(after, lp_tokens, out, (0,) * pool.n)


def remove_liquidity_imbalance(pool: StablePool, amounts: Sequence[int]) -> Liquidity:
    """Exact amounts out; LP tokens burnt are rounded up and one more."""
    _amounts(pool, amounts)
    _has_supply(pool)
    left = [held - amount for held, amount in zip(pool.balances, amounts, strict=True)]
    if min(left) < 0:
        raise MathError("the pool does not hold these amounts")
    before = pool.D
    full = get_D(_scaled(left, pool.rates), pool.amp)
    balances, fees, D = _charge(pool, left, before, full)
    burnt = pool.total_supply * (before - D) // before
    if burnt <= 0:
        raise MathError("the withdrawal takes nothing")
    _burnable(pool, burnt + 1)
    after = replace(pool, balances=balances, total_supply=pool.total_supply - burnt - 1)
    return Liquidity(after, burnt + 1, tuple(amounts), fees)


def remove_liquidity_one_coin(pool: StablePool, lp_tokens: int, i: int) -> Liquidity:
    """One coin for LP tokens, after the imbalance fee; one unit is kept."""
    _burnable(pool, lp_tokens)
    _has_coin(pool, i)
    xp, before = pool.xp, pool.D
    D = before - lp_tokens * before // pool.total_supply
    y = get_y_D(i, xp, pool.amp, D)
    rate = imbalance_fee(pool)
    reduced = list(xp)
    for k, x in enumerate(xp):
        ideal = x * D // before
        moved = ideal - y if k == i else x - ideal
        if moved < 0:
            raise MathError("the withdrawal is too small for the pool's precision")
        reduced[k] -= rate * moved // FEE_DENOMINATOR
    gross = (xp[i] - y) * PRECISION // pool.rates[i]
    kept = reduced[i] - get_y_D(i, reduced, pool.amp, D) - 1
    if kept < 0:
        raise MathError("the withdrawal is too small to pay one unit")
    out = kept * PRECISION // pool.rates[i]
    fee = gross - out
    balances = list(pool.balances)
    balances[i] -= out + fee * pool.admin_fee // FEE_DENOMINATOR
    after = replace(pool, balances=tuple(balances), total_supply=pool.total_supply - lp_tokens)
    return Liquidity(after, lp_tokens, _only(pool.n, i, out), _only(pool.n, i, fee))


def spot_price(pool: StablePool, i: int, j: int) -> Decimal:
    """Coin j per coin i at the margin, without fee, in whole coins (rates bring them to par)."""
    return curve_math.spot_price(i, j, pool.xp, pool.amp)


def depeg(pool: StablePool, i: int, j: int) -> Decimal:
    """The share by which coin i trades under coin j; negative if over it."""
    return curve_math.depeg(i, j, pool.xp, pool.amp)


def coin_share(pool: StablePool, i: int) -> Decimal:
    """Coin i's part of all balances at 18 decimals; 1 / n is balance."""
    _has_coin(pool, i)
    if not any(pool.xp):
        raise MathError("an empty pool has no shares")
    return _WIDE.divide(Decimal(pool.xp[i]), Decimal(sum(pool.xp)))


def _charge(
    pool: StablePool, moved: Sequence[int], before: int, full: int
) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """(balances less admin fees, fees, D less all fees) once D goes from `before` to `full`."""
    rate = imbalance_fee(pool)
    fees = tuple(
        rate * abs(full * old // before - new) // FEE_DENOMINATOR
        for old, new in zip(pool.balances, moved, strict=True)
    )
    charged = [new - fee for new, fee in zip(moved, fees, strict=True)]
    if min(charged) < 0:
        raise MathError("the fee is more than the pool would hold")
    balances = tuple(
        new - fee * pool.admin_fee // FEE_DENOMINATOR for new, fee in zip(moved, fees, strict=True)
    )
    return balances, fees, get_D(_scaled(charged, pool.rates), pool.amp)


def _scaled(balances: Sequence[int], rates: Sequence[int]) -> tuple[int, ...]:
    return tuple(held * rate // PRECISION for held, rate in zip(balances, rates, strict=True))


def _only(n: int, i: int, amount: int) -> tuple[int, ...]:
    return tuple(amount if k == i else 0 for k in range(n))


def _amounts(pool: StablePool, amounts: Sequence[int]) -> None:
    if len(amounts) != pool.n or min(amounts) < 0 or not any(amounts):
        raise MathError("one amount a coin, none negative and not all zero")


def _has_coin(pool: StablePool, i: int) -> None:
    if not 0 <= i < pool.n:
        raise MathError(f"the pool has no coin {i}")


def _has_supply(pool: StablePool) -> None:
    if pool.total_supply == 0:
        raise MathError("the pool has no LP tokens")


def _burnable(pool: StablePool, lp_tokens: int) -> None:
    if not 0 < lp_tokens <= pool.total_supply:
        raise MathError("LP tokens burnt must be positive and no more than the supply")
