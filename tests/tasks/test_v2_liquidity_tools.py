"""v2 liquidity tools against fractions worked by hand and the invariants of the pair."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from math import isqrt

import pytest

from denizen.tasks.catalogue import ToolError
from denizen.tasks.quantities import parse_quantity as q
from denizen.tasks.tools import v2_liquidity as v2

WAD = 10**18


def test_the_scarcer_side_decides_what_is_minted() -> None:
    # 1% of one reserve and 2% of the other: 1% of the supply.
    got = v2.mint(q("10 WETH"), q("60k USDC"), q("3M USDC"), q("1,000 WETH"), q("54.25"))
    assert got.values == {"shares": str(5425 * WAD // 10_000)}
    assert got.number == Decimal("0.5425")
    turned = v2.mint(q("60k USDC"), q("10 WETH"), q("1,000 WETH"), q("3M USDC"), q("54.25"))
    assert turned.values == got.values


def test_the_first_deposit_locks_the_minimum() -> None:
    assert v2.first(q("40000"), q("90000")).values == {"shares": "59000"}
    assert v2.first(q("1234567"), q("7654321")).values["shares"] == str(
        isqrt(1_234_567 * 7_654_321) - 1000
    )
    with pytest.raises(ValueError, match="INSUFFICIENT_LIQUIDITY_MINTED"):
        v2.first(q("1000"), q("1000"))


def test_burning_pays_pro_rata_and_names_the_token() -> None:
    pools = q("1,000 WETH"), q("3M USDC")
    got = v2.burn(q("0.3"), *pools, q("54.7"))
    out, other = int(Fraction(3, 547) * 1000 * WAD), int(Fraction(3, 547) * 3 * 10**12)
    assert got.values == {"out": str(out), "token": "WETH", "other": str(other)}
    turned = v2.burn(q("0.3"), *pools[::-1], q("54.7"))
    assert turned.values == {"out": str(other), "token": "USDC", "other": str(out)}
    assert got.unit == "WETH" and turned.unit == "USDC"


def test_a_share_counts_the_own_deposit() -> None:
    got = v2.share(q("250 WETH"), q("1,000 WETH"))
    assert got.number == 20 and got.unit == "%"  # 250 of 1,250, not of 1,000


def test_the_price_after_a_swap_keeps_the_fee_in_the_pool() -> None:
    got = v2.price_after(q("10 WETH"), q("1,000 WETH"), q("3M USDC"))
    out = 10 * 997 * 3 * 10**12 // (1000 * 1000 + 10 * 997)
    exact = Fraction(3 * 10**12 - out, 10**6) / 1010
    assert got.number is not None and got.unit == "USDC"
    assert abs(Fraction(got.number) - exact) < Fraction(1, 10**30)
    inverse = v2.price_after(q("10 WETH"), q("3M USDC"), q("1,000 WETH"))
    assert inverse.number is not None and abs(inverse.number * got.number - 1) < Decimal("1e-25")
    assert inverse.unit == "WETH"


def test_a_route_takes_the_fee_twice() -> None:
    pools = (q("500k LINK"), q("6M USDT"), q("2M USDT"), q("250k UNI"))
    got = v2.route(q("1,000 LINK"), *pools)
    one = 1000 * WAD * 997 * 6 * 10**12 // (500_000 * WAD * 1000 + 1000 * WAD * 997)
    two = one * 997 * 250_000 * WAD // (2 * 10**12 * 1000 + one * 997)
    assert got.values == {"out": str(two), "token": "UNI", "middle": str(one)}
    a, b, c, d = pools
    assert v2.route(q("1,000 LINK"), b, a, d, c).values == got.values


def test_tokens_that_do_not_fit() -> None:
    weth, usdc, dai = q("1,000 WETH"), q("3M USDC"), q("3M DAI")
    bad = (
        lambda: v2.mint(q("1 WETH"), q("1 WETH"), weth, usdc, q("5")),
        lambda: v2.mint(q("1 WETH"), q("9 USDC"), weth, usdc, q("0")),
        lambda: v2.mint(q("1 DAI"), q("9 USDC"), weth, usdc, q("5")),
        lambda: v2.burn(q("6"), weth, usdc, q("5")),
        lambda: v2.burn(q("1"), weth, weth, q("5")),
        lambda: v2.share(q("1 WETH"), usdc),
        lambda: v2.price_after(q("1 DAI"), weth, usdc),
        lambda: v2.route(q("1 WETH"), weth, usdc, dai, q("5 UNI")),
        lambda: v2.route(q("1 WETH"), weth, usdc, usdc, weth),
        lambda: v2.burn(q("-1"), weth, usdc, q("5")),
        lambda: v2.burn(q("$1"), weth, usdc, q("5")),
    )
    for call in bad:
        with pytest.raises(ToolError):
            call()
