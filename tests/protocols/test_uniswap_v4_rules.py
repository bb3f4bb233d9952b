"""v4's fees, hook bits, keys and the arithmetic of hook deltas, against the documented rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from denizen.protocols import MathError
from denizen.protocols import uniswap_v4 as v4
from denizen.protocols import uniswap_v4_hooks as hooks
from denizen.protocols.uniswap_v4 import NATIVE, BalanceDelta, PoolKey
from denizen.protocols.uniswap_v4_hooks import SwapParams

A, B = "0x" + "0a" * 20, "0x" + "0b" * 20
pips = st.integers(0, v4.MAX_LP_FEE)
protocol_pips = st.integers(0, v4.MAX_PROTOCOL_FEE)
int128 = st.integers(-(1 << 127), (1 << 127) - 1)


@given(pips, protocol_pips)
def test_the_protocol_is_paid_first_and_the_lps_from_the_rest(lp: int, protocol: int) -> None:
    fee = v4.swap_fee(lp, protocol)
    assert max(lp, protocol) <= fee <= v4.MAX_LP_FEE
    # Exactly protocol + (1 - protocol) x lp, rounded up to a whole pip.
    rest = (v4.MAX_LP_FEE - protocol) * lp
    assert (fee - protocol - 1) * v4.MAX_LP_FEE < rest <= (fee - protocol) * v4.MAX_LP_FEE


@given(protocol_pips, protocol_pips)
def test_protocol_fees_of_both_directions_share_a_word(down: int, up: int) -> None:
    packed = v4.pack_protocol_fee(down, up)
    assert packed < 1 << 24
    assert (v4.protocol_fee_of(packed, True), v4.protocol_fee_of(packed, False)) == (down, up)


@pytest.mark.parametrize("fees", [(1001, 0), (0, 1001), (-1, 0)])
def test_a_protocol_fee_past_a_tenth_of_a_percent_is_refused(fees: tuple[int, int]) -> None:
    with pytest.raises(MathError, match="ProtocolFeeTooLarge"):
        v4.pack_protocol_fee(*fees)


def test_lp_fees() -> None:
    dynamic = PoolKey(A, B, v4.DYNAMIC_FEE_FLAG, 60, "0x" + "00" * 18 + "0080")
    assert v4.initial_lp_fee(dynamic) == 0
    assert v4.initial_lp_fee(PoolKey(A, B, 3000, 60)) == 3000
    assert v4.lp_fee_for_swap(500, 700) == 500  # no flag: the stored fee
    assert v4.lp_fee_for_swap(500, 700 | v4.OVERRIDE_FEE_FLAG) == 700
    assert v4.lp_fee_for_swap(500, v4.OVERRIDE_FEE_FLAG) == 0
    with pytest.raises(MathError, match="LPFeeTooLarge"):
        v4.lp_fee_for_swap(500, 1_000_001 | v4.OVERRIDE_FEE_FLAG)
    with pytest.raises(MathError, match="LPFeeTooLarge"):
        v4.initial_lp_fee(PoolKey(A, B, 1_000_001, 60))


@given(st.integers(0, (1 << 160) - 1))
def test_hook_bits_both_ways(address: int) -> None:
    granted = v4.hook_permissions(f"0x{address:040x}")
    assert v4.hook_bits(granted) == address & 0x3FFF


def test_hook_bits_are_the_documented_ones() -> None:
    # v4 documentation, "Hook flags": beforeInitialize is bit 13, afterRemoveReturnDelta bit 0.
    assert v4.hook_bits(["beforeInitialize"]) == 1 << 13
    assert v4.hook_bits(["beforeSwap", "afterSwap"]) == 1 << 7 | 1 << 6
    assert v4.hook_bits(["afterRemoveLiquidityReturnDelta"]) == 1
    with pytest.raises(MathError, match="duringSwap"):
        v4.hook_bits(["duringSwap"])


@pytest.mark.parametrize(
    ("permissions", "fee", "valid"),
    [
        ([], 3000, True),  # no hook
        ([], v4.DYNAMIC_FEE_FLAG, False),
        (["beforeSwap"], v4.DYNAMIC_FEE_FLAG, True),
        (["beforeSwapReturnDelta"], 3000, False),
        (["afterSwapReturnDelta", "beforeSwap"], 3000, False),
        (["afterAddLiquidityReturnDelta", "beforeAddLiquidity"], 3000, False),
        (["afterRemoveLiquidityReturnDelta", "afterAddLiquidity"], 3000, False),
        (["beforeSwap", "beforeSwapReturnDelta"], 3000, True),
    ],
)
def test_which_hook_addresses_are_valid(permissions: list[str], fee: int, valid: bool) -> None:
    address = f"0x{v4.hook_bits(permissions):040x}"
    assert v4.is_valid_hook_address(address, fee) is valid


def test_a_hook_without_bits_is_only_good_for_a_dynamic_fee() -> None:
    idle = "0x01" + "00" * 19
    assert not v4.is_valid_hook_address(idle, 3000)
    assert v4.is_valid_hook_address(idle, v4.DYNAMIC_FEE_FLAG)


@pytest.mark.parametrize(
    ("key", "error"),
    [
        (PoolKey(B, A, 3000, 60), "CurrenciesOutOfOrderOrEqual"),
        (PoolKey(A, A, 3000, 60), "CurrenciesOutOfOrderOrEqual"),
        (PoolKey(A, B, 3000, 0), "TickSpacingTooSmall"),
        (PoolKey(A, B, 3000, 32768), "TickSpacingTooLarge"),
        (PoolKey(A, B, 0x800001, 60), "LPFeeTooLarge"),
        (PoolKey(A, B, v4.DYNAMIC_FEE_FLAG, 60), "HookAddressNotValid"),
    ],
)
def test_keys_that_make_no_pool(key: PoolKey, error: str) -> None:
    with pytest.raises(MathError, match=error):
        v4.check_key(key)


def test_keys_that_make_one() -> None:
    v4.check_key(PoolKey(NATIVE, A, 0, 1))
    v4.check_key(PoolKey(A, B, v4.MAX_LP_FEE, 32767))


@given(int128.filter(bool), st.integers(-(1 << 200), 1 << 200).filter(bool))
def test_a_hook_may_use_up_an_amount_but_not_turn_it_round(delta: int, amount: int) -> None:
    total = amount + delta
    if total and (total < 0) != (amount < 0):
        with pytest.raises(MathError, match="HookDeltaExceedsSwapAmount"):
            hooks.amount_to_swap(amount, delta)
    else:
        assert hooks.amount_to_swap(amount, delta) == total


@pytest.mark.parametrize(
    ("zero_for_one", "amount", "currency"),
    [(True, -1, 0), (True, 1, 1), (False, -1, 1), (False, 1, 0)],
)
def test_the_specified_currency(zero_for_one: bool, amount: int, currency: int) -> None:
    # Selling exactly and buying exactly name opposite currencies.
    taken = hooks.swap_hook_delta(SwapParams(zero_for_one, amount, 1), 7, 9)
    assert taken[currency] == 7 and taken[1 - currency] == 9


@given(int128, int128, int128, int128)
def test_deltas_add_and_subtract_within_128_bits(a: int, b: int, c: int, d: int) -> None:
    try:
        left = hooks.minus(BalanceDelta(a, b), BalanceDelta(c, d))
    except MathError:
        assert not all(-(1 << 127) <= x < 1 << 127 for x in (a - c, b - d))
    else:
        assert hooks.plus(left, BalanceDelta(c, d)) == (a, b)


def test_two_unspecified_deltas_overflow() -> None:
    assert hooks.unspecified_delta(-5, 7) == 2
    with pytest.raises(MathError):
        hooks.unspecified_delta((1 << 127) - 1, 1)
