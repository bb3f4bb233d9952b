"""Uniswap v4: what differs from v3 -- signs, fees, hook bits, pool identity.

Contract: v4's sign convention (negative exact input; amounts from the swapper's side), its fee
rules in pips (1e-6), the permission bits in a hook's address and the checks of a PoolKey.  The
engine is `uniswap_v4_manager.PoolManager`.  Source: Uniswap v4-core (MIT libraries
ProtocolFeeLibrary, LPFeeLibrary, Hooks; its interfaces) and the v4 documentation.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from .fixed_point import MathError
from .uniswap_v3 import Pool, SwapResult

MAX_LP_FEE = 1_000_000
DYNAMIC_FEE_FLAG = 0x800000
OVERRIDE_FEE_FLAG = 0x400000
MAX_PROTOCOL_FEE = 1000
MIN_TICK_SPACING, MAX_TICK_SPACING = 1, 32767
# Currency 0x0 is native ETH, and hooks 0x0 is no hook.
NATIVE = "0x" + "00" * 20

_HOOKS = (
    "afterRemoveLiquidityReturnDelta",
    "afterAddLiquidityReturnDelta",
    "afterSwapReturnDelta",
    "beforeSwapReturnDelta",
    "afterDonate",
    "beforeDonate",
    "afterSwap",
    "beforeSwap",
    "afterRemoveLiquidity",
    "beforeRemoveLiquidity",
    "afterAddLiquidity",
    "beforeAddLiquidity",
    "afterInitialize",
    "beforeInitialize",
)


_RETURNS_DELTA = {
    name: name.removesuffix("ReturnDelta") for name in _HOOKS if name.endswith("ReturnDelta")
}


class PoolKey(NamedTuple):
    """A pool's identity: two addresses in order, fee in pips or dynamic, spacing, hook address."""

    currency0: str
    currency1: str
    fee: int
    tick_spacing: int
    hooks: str = NATIVE

    @property
    def is_dynamic(self) -> bool:
        """The fee is set by the hook and starts at zero."""
        return self.fee == DYNAMIC_FEE_FLAG


class BalanceDelta(NamedTuple):
    """Signed raw amounts from the caller's side: negative is owed to the pool."""

    amount0: int
    amount1: int


class SwapEvent(NamedTuple):
    """A swap as a person means it: direction and unsigned raw amounts."""

    zero_for_one: bool
    amount_in: int
    amount_out: int


def classify_swap_event(version: str, amount0: int, amount1: int) -> SwapEvent:
    """Direction of a raw Swap event: v3 amounts are the pool's, v4 amounts the swapper's."""
    if version not in ("v3", "v4"):
        raise MathError(f"{version} Swap events have no signed amounts; v3 and v4 have")
    if amount0 * amount1 > 0 or (amount0 == 0 and amount1 == 0):
        raise MathError("one amount of a swap goes in and the other out")
    paid0 = amount0 > 0 if version == "v3" else amount0 < 0
    if amount0 == 0:
        paid0 = amount1 < 0 if version == "v3" else amount1 > 0
    if paid0:
        return SwapEvent(True, abs(amount0), abs(amount1))
    return SwapEvent(False, abs(amount1), abs(amount0))


def swap(
    pool: Pool, zero_for_one: bool, amount_specified: int, sqrt_price_limit: int | None = None
) -> SwapResult:
    """v4 signs: negative is an exact input; returned amounts are the swapper's deltas."""
    result = pool.swap(zero_for_one, -amount_specified, sqrt_price_limit)
    return result._replace(amount0=-result.amount0, amount1=-result.amount1)


def swap_fee(lp_fee: int, protocol_fee: int) -> int:
    """Total fee in pips: the protocol's part is taken first, the LPs' from what is left."""
    if not 0 <= protocol_fee <= MAX_PROTOCOL_FEE:
        raise MathError(f"v4's protocol fee is at most {MAX_PROTOCOL_FEE} pips (0.1%)")
    if not 0 <= lp_fee <= MAX_LP_FEE:
        raise MathError(f"v4's LP fee is at most {MAX_LP_FEE} pips (100%)")
    # protocol + lp - protocol x lp / 1e6, the product rounded down as the contract does
    return protocol_fee + lp_fee - protocol_fee * lp_fee // MAX_LP_FEE


def to_int128(value: int) -> int:
    """The value itself; MathError where the contract's cast would overflow."""
    if not -(1 << 127) <= value < 1 << 127:
        raise MathError("SafeCastOverflow: an amount past 127 bits")
    return value


def uint_to_int128(amount: int) -> int:
    """The same for an amount, which has no sign."""
    if amount < 0:
        raise MathError(f"an amount cannot be negative: {amount}")
    return to_int128(amount)


def pack_protocol_fee(zero_for_one: int, one_for_zero: int) -> int:
    """The two directions' protocol fees in one word: zeroForOne in the low 12 bits."""
    for fee in (zero_for_one, one_for_zero):
        if not 0 <= fee <= MAX_PROTOCOL_FEE:
            raise MathError(f"ProtocolFeeTooLarge: {fee} pips, at most {MAX_PROTOCOL_FEE} (0.1%)")
    return one_for_zero << 12 | zero_for_one


def protocol_fee_of(packed: int, zero_for_one: bool) -> int:
    """One direction's protocol fee in pips, from the packed word."""
    return packed & 0xFFF if zero_for_one else packed >> 12


def check_lp_fee(fee: int) -> int:
    """The fee itself, or MathError if it is above 100%."""
    if not 0 <= fee <= MAX_LP_FEE:
        raise MathError(f"LPFeeTooLarge: {fee} pips, at most {MAX_LP_FEE} (100%)")
    return fee


def initial_lp_fee(key: PoolKey) -> int:
    """LP fee of a new pool in pips: the key's, or zero where it is dynamic."""
    return 0 if key.is_dynamic else check_lp_fee(key.fee)


def lp_fee_for_swap(stored: int, override: int) -> int:
    """LP fee of one swap: a dynamic pool's beforeSwap overrides it by setting 0x400000."""
    if override & OVERRIDE_FEE_FLAG:
        return check_lp_fee(override & ~OVERRIDE_FEE_FLAG)
    return stored


def hook_permissions(address: str) -> frozenset[str]:
    """Permissions encoded in the lowest 14 bits of a hook's address."""
    bits = int(address, 16)
    return frozenset(name for bit, name in enumerate(_HOOKS) if bits >> bit & 1)


def hook_bits(permissions: Iterable[str]) -> int:
    """The lowest 14 address bits that grant exactly these permissions."""
    wanted = set(permissions)
    if unknown := wanted - set(_HOOKS):
        raise MathError(f"no such hook permission: {', '.join(sorted(unknown))}")
    return sum(1 << bit for bit, name in enumerate(_HOOKS) if name in wanted)


def is_valid_hook_address(address: str, fee: int) -> bool:
    """Whether a pool with this fee may name the hook: a delta may only be returned from a hook
    that is called, no hook means no dynamic fee, and a hook must do something or set the fee."""
    granted = hook_permissions(address)
    if any(name in granted and base not in granted for name, base in _RETURNS_DELTA.items()):
        return False
    if int(address, 16) == 0:
        return fee != DYNAMIC_FEE_FLAG
    return bool(granted) or fee == DYNAMIC_FEE_FLAG


def check_key(key: PoolKey) -> None:
    """MathError, named as the contract names it, if no pool can be created with this key."""
    if key.tick_spacing > MAX_TICK_SPACING:
        raise MathError(f"TickSpacingTooLarge: {key.tick_spacing}, at most {MAX_TICK_SPACING}")
    if key.tick_spacing < MIN_TICK_SPACING:
        raise MathError(f"TickSpacingTooSmall: {key.tick_spacing}, at least {MIN_TICK_SPACING}")
    if int(key.currency0, 16) >= int(key.currency1, 16):
        raise MathError("CurrenciesOutOfOrderOrEqual: currency0 must be the lower address")
    if not is_valid_hook_address(key.hooks, key.fee):
        raise MathError(f"HookAddressNotValid: {key.hooks} for a fee of {key.fee}")
    initial_lp_fee(key)
