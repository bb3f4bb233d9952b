"""Uniswap v4 hooks: what a hook may be called for, and the arithmetic of the deltas it returns.

Contract: a returned delta is from the hook's side (positive: the hook is owed it), in raw units,
and is taken off the caller's.  `Hook` is a hook in the engine: override what its address's bits
grant; a method whose bit is missing is never called.  Source: v4-core Hooks, BalanceDelta and
BeforeSwapDelta (MIT), and the v4 documentation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .fixed_point import MathError
from .uniswap_v4 import BalanceDelta, PoolKey, to_int128

if TYPE_CHECKING:
    from .uniswap_v4_manager import PoolManager

ZERO = BalanceDelta(0, 0)


class SwapParams(NamedTuple):
    """A swap as asked for: negative is an exact input; the limit is a sqrtPriceX96."""

    zero_for_one: bool
    amount_specified: int
    sqrt_price_limit: int


class ModifyLiquidityParams(NamedTuple):
    """A liquidity change as asked for; zero or less calls the remove hooks."""

    tick_lower: int
    tick_upper: int
    liquidity_delta: int
    salt: int = 0


class BeforeSwapReturn(NamedTuple):
    """What beforeSwap returns: its deltas in the two currencies, and an LP fee with its flag."""

    specified: int = 0
    unspecified: int = 0
    lp_fee_override: int = 0


def minus(delta: BalanceDelta, taken: BalanceDelta) -> BalanceDelta:
    """What is left to the caller after a hook's delta."""
    return BalanceDelta(
        to_int128(delta.amount0 - taken.amount0), to_int128(delta.amount1 - taken.amount1)
    )


def plus(a: BalanceDelta, b: BalanceDelta) -> BalanceDelta:
    """Sum of two deltas."""
    return BalanceDelta(to_int128(a.amount0 + b.amount0), to_int128(a.amount1 + b.amount1))


def amount_to_swap(amount_specified: int, specified_delta: int) -> int:
    """What the pool swaps once beforeSwap took or gave its part of the specified amount.

    An exact input may shrink to nothing but not become an exact output, nor the reverse."""
    amount = amount_specified + to_int128(specified_delta)
    if not -(1 << 255) <= amount < 1 << 255:
        raise MathError("the amount to swap overflows 256 bits")
    if specified_delta and (amount > 0 if amount_specified < 0 else amount < 0):
        raise MathError("HookDeltaExceedsSwapAmount: the hook turns the swap round")
    return amount


def unspecified_delta(before: int, after: int) -> int:
    """The hook's delta in the other currency: beforeSwap's and afterSwap's."""
    return to_int128(to_int128(before) + to_int128(after))


def swap_hook_delta(params: SwapParams, specified: int, unspecified: int) -> BalanceDelta:
    """A swap's hook deltas by currency: the specified one is currency0 where an exact input
    sells it or an exact output buys it."""
    if (params.amount_specified < 0) == params.zero_for_one:
        return BalanceDelta(specified, unspecified)
    return BalanceDelta(unspecified, specified)


class Hook:
    """A hook contract in the engine; `sender` is who called the manager.

    Inside, `manager` is unlocked: a hook settles its own deltas with `take`, `settle`, `mint`."""

    def __init__(self, address: str) -> None:
        self.address = address

    def before_initialize(
        self, manager: PoolManager, sender: str, key: PoolKey, sqrt_price: int
    ) -> None:
        """beforeInitialize."""

    def after_initialize(
        self, manager: PoolManager, sender: str, key: PoolKey, sqrt_price: int, tick: int
    ) -> None:
        """afterInitialize."""

    def before_add_liquidity(
        self, manager: PoolManager, sender: str, key: PoolKey, params: ModifyLiquidityParams
    ) -> None:
        """beforeAddLiquidity."""

    def before_remove_liquidity(
        self, manager: PoolManager, sender: str, key: PoolKey, params: ModifyLiquidityParams
    ) -> None:
        """beforeRemoveLiquidity."""

    def after_add_liquidity(
        self,
        manager: PoolManager,
        sender: str,
        key: PoolKey,
        params: ModifyLiquidityParams,
        delta: BalanceDelta,
        fees_accrued: BalanceDelta,
    ) -> BalanceDelta:
        """afterAddLiquidity: the hook's delta."""
        return ZERO

    def after_remove_liquidity(
        self,
        manager: PoolManager,
        sender: str,
        key: PoolKey,
        params: ModifyLiquidityParams,
        delta: BalanceDelta,
        fees_accrued: BalanceDelta,
    ) -> BalanceDelta:
        """afterRemoveLiquidity: the hook's delta."""
        return ZERO

    def before_swap(
        self, manager: PoolManager, sender: str, key: PoolKey, params: SwapParams
    ) -> BeforeSwapReturn:
        """beforeSwap: the hook's deltas and, in a dynamic pool, an LP fee for this swap."""
        return BeforeSwapReturn()

    def after_swap(
        self,
        manager: PoolManager,
        sender: str,
        key: PoolKey,
        params: SwapParams,
        delta: BalanceDelta,
    ) -> int:
        """afterSwap: the hook's delta in the unspecified currency."""
        return 0

    def before_donate(
        self, manager: PoolManager, sender: str, key: PoolKey, amount0: int, amount1: int
    ) -> None:
        """beforeDonate."""

    def after_donate(
        self, manager: PoolManager, sender: str, key: PoolKey, amount0: int, amount1: int
    ) -> None:
        """afterDonate."""
