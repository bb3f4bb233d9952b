"""The v2 pair: by hand, its protocol fee, nobody's profit, and what it refuses."""

from __future__ import annotations

from math import isqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from denizen.protocols import MathError, uniswap_v2


def test_v2_pair_by_hand() -> None:
    pair = uniswap_v2.Pair(time=100)
    pair.send(10**6, 4 * 10**6)
    assert pair.mint("a") == 2 * 10**6 - 1000
    assert pair.total_supply == 2 * 10**6
    pair.time += 10
    pair.send(1000)
    out = uniswap_v2.get_amount_out(1000, 10**6, 4 * 10**6)
    with pytest.raises(MathError, match="K"):
        pair.swap(0, out + 1)
    pair.swap(0, out)
    assert (pair.reserve0, pair.reserve1) == (1_001_000, 4_000_000 - out)
    assert pair.price0_cumulative_last == 10 * (4 << 112)  # 10 s at 4 token1 per token0
    assert pair.price1_cumulative_last == 10 * (1 << 110)
    assert uniswap_v2.average_price(0, pair.price0_cumulative_last, 10) == 4 << 112
    pair.send(5, 6)
    assert pair.skim() == (5, 6)
    pair.send(5, 6)
    pair.sync()
    assert pair.reserve0 == 1_001_005


def test_v2_protocol_fee_is_a_sixth_of_the_growth() -> None:
    """White paper, section 2.4: fees worth f of the pool mint shares worth f / 6."""
    pair = uniswap_v2.Pair(fee_to="treasury")
    pair.send(10**12, 10**12)
    pair.mint("a")
    for _ in range(200):  # to and fro; the fees stay
        for zero in (True, False):
            reserves = pair.reserve0, pair.reserve1
            out = uniswap_v2.get_amount_out(10**10, *(reserves if zero else reserves[::-1]))
            pair.send(*((10**10, 0) if zero else (0, 10**10)))
            pair.swap(*((0, out) if zero else (out, 0)))
    root, root_last = isqrt(pair.reserve0 * pair.reserve1), isqrt(pair.k_last)
    pair.send(1000, 1000)
    pair.mint("b")
    share = pair.shares["treasury"] * 10**9 // pair.total_supply
    sixth = (root - root_last) * 10**9 // (6 * root)
    assert share > 9 * 10**5 and abs(share - sixth) <= sixth // 10**5


@given(st.integers(1, 10**9), st.integers(1, 10**9), st.integers(1, 10**9))
def test_v2_mint_and_burn_never_profit(first: int, second: int, amount: int) -> None:
    pair = uniswap_v2.Pair()
    pair.send(first + 10**4, second + 10**4)
    pair.mint("a")
    amount0 = amount
    amount1 = -(-amount * pair.reserve1 // pair.reserve0)
    pair.send(amount0, amount1)
    reserves, supply = (pair.reserve0, pair.reserve1), pair.total_supply
    worth = min(
        part * supply // held for part, held in zip((amount0, amount1), reserves, strict=True)
    )
    if worth == 0:
        with pytest.raises(MathError, match="MINTED"):
            pair.mint("b")
        return
    assert pair.mint("b") == worth
    pair.send_shares("b", worth)
    try:
        back0, back1 = pair.burn()
    except MathError:  # worth less than a unit of one token
        assert (
            min(worth * held // pair.total_supply for held in (pair.balance0, pair.balance1)) == 0
        )
    else:
        assert back0 <= amount0 and back1 <= amount1


def test_v2_refusals() -> None:
    pair = uniswap_v2.Pair()
    pair.send(1000, 1000)
    with pytest.raises(MathError, match="MINTED"):
        pair.mint("a")
    with pytest.raises(MathError):
        pair.burn()
    pair.send(10**6, 10**6)
    pair.mint("a")
    with pytest.raises(MathError, match="LP tokens"):
        pair.send_shares("a", 10**9)
    for outs, reason in (((0, 0), "OUTPUT"), ((pair.reserve0, 0), "LIQUIDITY"), ((1, 0), "INPUT")):
        with pytest.raises(MathError, match=reason):
            pair.swap(*outs)
    pair.send(uniswap_v2.MAX_UINT112)
    with pytest.raises(MathError, match="OVERFLOW"):
        pair.sync()
