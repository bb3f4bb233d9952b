"""v4 tools against the flag values that v4-core's Hooks and LPFeeLibrary document."""

from __future__ import annotations

from decimal import Decimal

import pytest

from denizen.tasks.catalogue import ToolError
from denizen.tasks.quantities import parse_quantity as q
from denizen.tasks.reading import names_label
from denizen.tasks.tools import v4_pool as v4

# v4-core Hooks.sol (MIT): name and bit of every flag.
BITS = {
    "beforeInitialize": 13, "afterInitialize": 12, "beforeAddLiquidity": 11,
    "afterAddLiquidity": 10, "beforeRemoveLiquidity": 9, "afterRemoveLiquidity": 8,
    "beforeSwap": 7, "afterSwap": 6, "beforeDonate": 5, "afterDonate": 4,
    "beforeSwapReturnDelta": 3, "afterSwapReturnDelta": 2,
    "afterAddLiquidityReturnDelta": 1, "afterRemoveLiquidityReturnDelta": 0,
}  # fmt: skip


def hook(bits: int, high: int = 0xABCDEF << 120) -> str:
    return f"0x{high | bits:040x}"


def test_every_permission_is_its_own_bit() -> None:
    assert tuple(BITS) == v4.PERMISSIONS
    for name, bit in BITS.items():
        for other in BITS:
            got = v4.hook_has(q(hook(1 << bit)), other).values["granted"]
            assert got == ("yes" if other == name else "no")
        # Higher bits of the address grant nothing.
        assert v4.hook_has(q(hook(0, high=1 << 14 + bit)), name).values["granted"] == "no"


def test_all_permissions_listed_in_any_order_and_no_other() -> None:
    got = v4.hook_list(q(hook(1 << 7 | 1 << 3 | 1 << 10)))
    assert got.values == {"permissions": "afterAddLiquidity, beforeSwap, beforeSwapReturnDelta"}
    for right in (
        "afterAddLiquidity, beforeSwap and beforeSwapReturnDelta",
        "`beforeSwapReturnDelta`, `beforeSwap`, `afterAddLiquidity`",
        "It has afterAddLiquidity, beforeSwap, and beforeSwapReturnDelta.",
    ):
        assert names_label(got, right)[0], right
    for wrong in (
        "afterAddLiquidity, beforeSwap",
        "beforeSwap, afterSwap",
        "afterAddLiquidity, beforeSwap, beforeSwapReturnDelta and afterSwap",
    ):
        assert not names_label(got, wrong)[0], wrong
    with pytest.raises(ToolError):
        v4.hook_list(q(hook(0)))


@pytest.mark.parametrize(
    ("fee", "label"),
    [
        (0x800000, "dynamic"),
        (0x800000 | 3000, "invalid"),
        (0x400000, "invalid"),
        (3000, "static"),
        (0, "static"),
        (1_000_000, "static"),
        (1_000_001, "invalid"),
    ],
)
def test_the_dynamic_flag_stands_alone(fee: int, label: str) -> None:
    assert v4.fee_field(q(str(fee))).values == {"fee": label}


def test_only_a_flagged_fee_overrides() -> None:
    assert v4.fee_override(q("3000"), q("500")).number == Decimal("0.3")
    assert v4.fee_override(q("3000"), q(str(0x400000 + 500))).number == Decimal("0.05")
    assert v4.fee_override(q("3000"), q(str(0x400000))).values["lp_fee"] == "0"
    for returned in (0x400000 + 1_000_001, 1 << 24):
        with pytest.raises(ValueError, match=r"LPFeeTooLarge|24-bit"):
            v4.fee_override(q("3000"), q(str(returned)))


def test_the_protocol_is_paid_first_and_lps_from_the_rest() -> None:
    # 1 - (1 - 0.1%)(1 - 5%) = 5.095%
    assert v4.total_fee(q("5%"), q("0.1%")).number == Decimal("5.095")
    assert v4.total_fee(q("0.3%"), q("10 bps")).values["fee"] == str(1000 + 3000 - 3)
    # 1 + 1 - 0.000001 pips: the product is rounded down
    assert v4.total_fee(q("0.0001%"), q("0.0001%")).values["fee"] == "2"
    for lp, protocol in (("0.3%", "0.11%"), ("101%", "0.1%"), ("0.00001%", "0.1%")):
        with pytest.raises(ValueError, match=r"at most|finer"):
            v4.total_fee(q(lp), q(protocol))


def test_the_lower_address_is_currency0_and_native_always() -> None:
    low, high, native = hook(1, 0), "0xF" + "0" * 39, "0x" + "0" * 40
    assert v4.currency(q(low), q(high)).values["position"] == "currency0"
    assert v4.currency(q(high), q(low)).values["position"] == "currency1"
    for token in (low, high):
        assert v4.currency(q(native), q(token)).values["position"] == "currency0"
        assert v4.currency(q(token), q(native)).values["position"] == "currency1"
    with pytest.raises(ToolError):
        v4.currency(q("0x" + "ab" * 20), q("0x" + "AB" * 20))


@pytest.mark.parametrize(
    ("swap", "first", "second", "left"),
    [
        ("-2,000 USDC", ("settle", "1,500 USDC"), ("burn", "100 USDC"), "-400000000"),
        ("-2,000 USDC", ("settle", "2,600 USDC"), ("take", "100 USDC"), "500000000"),
        ("1.2 WETH", ("take", "1 WETH"), ("mint", "0.2 WETH"), "0"),
        ("1.2 WETH", ("take", "1 WETH"), ("mint", "0.5 WETH"), "-300000000000000000"),
    ],
)
def test_deltas_are_the_callers(
    swap: str, first: tuple[str, str], second: tuple[str, str], left: str
) -> None:
    calls = (first[0], q(first[1])), (second[0], q(second[1]))
    for one, two in (calls, calls[::-1]):
        assert v4.delta(q(swap), *one, *two).values["delta"] == left


def test_deltas_of_two_tokens_do_not_mix() -> None:
    with pytest.raises(ToolError):
        v4.delta(q("-2,000 USDC"), "settle", q("1 WETH"), "take", q("5 USDC"))
    with pytest.raises(ToolError):
        v4.delta(q("-2,000 USDC"), "settle", q("-5 USDC"), "take", q("5 USDC"))
