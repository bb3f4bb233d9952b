"""Real Uniswap v4 swaps: a figures-only sample of the ETH/USDC 0.05% pool on Base.

Contract: `load_swaps()` gives the carried rows in block order after checking their SHA-256; no
address or transaction hash is carried.  token0 is native ETH (18 decimals), token1 USDC (6).
Origin, commit and licence are in samples/README.md.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from .sqrt_price_math import amount0_delta, amount1_delta
from .swap_math import compute_swap_step

SHA256 = "80df7d0d222cc2330ab702c8319e0869a348dac2b9529616753e45da077124ea"
_NAME = "uniswap_v4_base_eth_usdc.csv"


class Swap(NamedTuple):
    """One Swap event: signed raw amounts from the swapper's side, state after the swap."""

    block_number: int
    timestamp: int
    amount0: int
    amount1: int
    sqrt_price: int
    liquidity: int
    tick: int
    fee: int


@cache
def load_swaps() -> tuple[Swap, ...]:
    """All rows; raises ValueError if the carried file is not the one that was published."""
    data = (files("denizen.protocols") / "samples" / _NAME).read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != SHA256:
        raise ValueError(f"{_NAME} is corrupt: SHA-256 {found}, expected {SHA256}")
    lines = data.decode("ascii").split("\n")[1:]
    return tuple(Swap(*map(int, line.split(","))) for line in lines if line)


def effective_price(swap: Swap) -> Decimal:
    """USDC per ETH that the swapper got, fee included."""
    return Decimal(abs(swap.amount1)).scaleb(12) / Decimal(abs(swap.amount0))


def reproduced(swap: Swap) -> bool:
    """Whether the engine gives the swap's output exactly from its input and its final state.

    The price before the swap is not in the event: it is derived from the output at constant
    liquidity, so only swaps that crossed no initialised tick can be reproduced.
    """
    zero = swap.amount0 < 0
    paid, got = (-swap.amount0, swap.amount1) if zero else (-swap.amount1, swap.amount0)
    before = _price_before(swap, zero, got)
    if before is None:
        return False
    for candidate in range(before - 2, before + 3):
        step = compute_swap_step(candidate, swap.sqrt_price, swap.liquidity, -paid, swap.fee)
        if step.amount_out == got and step.amount_in + step.fee_amount <= paid:
            used = step.amount_in + step.fee_amount
            if paid - used <= max(1, paid // 10**6):
                return True
    return False


def _price_before(swap: Swap, zero: bool, got: int) -> int | None:
    if swap.liquidity == 0 or got == 0:
        return None
    if zero:
        return swap.sqrt_price + (got << 96) // swap.liquidity
    numerator = swap.liquidity << 96
    denominator = numerator + got * swap.sqrt_price
    return numerator * swap.sqrt_price // denominator


def state_amounts(swap: Swap, sqrt_before: int) -> tuple[int, int]:
    """Token amounts between two prices at the event's liquidity (rounded down)."""
    return (
        amount0_delta(sqrt_before, swap.sqrt_price, swap.liquidity, False),
        amount1_delta(sqrt_before, swap.sqrt_price, swap.liquidity, False),
    )
