"""Fees owed, TWAP and range amounts against fractions and the white paper's real formulas."""

from __future__ import annotations

from decimal import Context, Decimal

import pytest

from denizen.tasks.catalogue import Result, ToolError
from denizen.tasks.quantities import parse_quantity as q
from denizen.tasks.tools import pool_history as ph
from denizen.tasks.tools.ticks import DIRECT, INVERSE

WIDE = Context(prec=60)
LOWER, UPPER, PRICE = q("2,500"), q("$4,000"), q("3,250 USDC per WETH")
SA, SB, SP = (WIDE.sqrt(Decimal(n).scaleb(-12)) for n in (2500, 4000, 3250))


def close(result: Result, exact: Decimal, slack: str = "1e-11") -> bool:
    assert result.number is not None
    return abs(result.number / exact - 1) < Decimal(slack)


def test_fees_come_from_the_growth_times_liquidity_over_q128() -> None:
    got = ph.fees_owed(q("1000"), q(str(7 << 120)), q(str((7 << 120) + (5 << 127))))
    assert got.values == {"fees": "2500"}
    # one unit less of growth is rounded down
    short = (7 << 120) + (5 << 127) - 1
    assert ph.fees_owed(q("1000"), q(str(7 << 120)), q(str(short))).values == {"fees": "2499"}


def test_growth_wraps() -> None:
    then = (1 << 256) - (3 << 128)
    assert ph.fees_owed(q("10"), q(str(then)), q(str(4 << 128))).values == {"fees": "70"}


@pytest.mark.parametrize(
    ("then", "now", "over", "tick"),
    [
        ("0", "-1801", "30 minutes", "-2"),  # -1.0005..., toward zero it would be -1
        ("0", "1801", "1,800 seconds", "1"),
        ("0", "-3600", "1 hour", "-1"),
        ("-500", "-86400500", "24 hours", "-1000"),
        ("100", "190", "90 seconds", "1"),
        ("0", "-604801", "7 days", "-2"),
    ],
)
def test_the_mean_tick_is_rounded_toward_minus_infinity(
    then: str, now: str, over: str, tick: str
) -> None:
    assert ph.twap_tick(q(then), q(now), q(over)).values == {"tick": tick}


def test_twap_price_is_that_of_the_mean_tick() -> None:
    window = q("0"), q(str(-195_713 * 600 - 1)), q("10 minutes")
    exact = WIDE.power(Decimal("1.0001"), -195_714) * 10**12
    assert close(ph.twap_price(*window, q("18"), q("6"), DIRECT), exact, "1e-25")
    assert close(ph.twap_price(*window, q("18"), q("6"), INVERSE), 1 / exact, "1e-25")
    assert ph.twap_price(*window, q("18"), q("6"), DIRECT).values["tick"] == "-195714"


def test_liquidity_is_what_the_scarcer_token_funds() -> None:
    by_base = WIDE.divide(Decimal(2 * 10**18), 1 / SP - 1 / SB)
    by_quote = WIDE.divide(Decimal(9000 * 10**6), SP - SA)
    args = LOWER, UPPER, PRICE
    got = ph.range_liquidity(q("2 WETH"), q("9,000 USDC"), *args)
    assert close(got, min(by_base, by_quote)) and by_base != by_quote
    assert ph.range_liquidity(q("9,000 USDC"), q("2 WETH"), *args).values == got.values
    more = ph.range_liquidity(q("2 WETH"), q("900k USDC"), *args)
    assert close(more, by_base)


def test_a_target_liquidity_needs_both_tokens_rounded_up() -> None:
    args = q("1000000000000000"), LOWER, UPPER, PRICE
    base = WIDE.multiply(Decimal(10**15), 1 / SP - 1 / SB)
    quote = WIDE.multiply(Decimal(10**15), SP - SA)
    for side, raw, token in (("base", base, "WETH"), ("quote", quote, "USDC")):
        got = ph.range_deposit(*args, side)
        assert got.values["token"] == token
        assert int(got.values["amount"]) >= raw
        assert abs(int(got.values["amount"]) / raw - 1) < Decimal("1e-6")


def test_the_matching_deposit_funds_the_same_liquidity() -> None:
    got = ph.range_match(q("2 WETH"), LOWER, UPPER, PRICE)
    exact = (SP - SA) * WIDE.divide(Decimal(2 * 10**18), 1 / SP - 1 / SB)
    assert got.unit == "USDC" and close(got, exact.scaleb(-6), "1e-9")
    assert got.number is not None
    back = ph.range_match(q(f"{got.number} USDC"), LOWER, UPPER, PRICE)
    assert back.unit == "WETH" and close(back, Decimal(2), "1e-9")


def test_impossible_figures() -> None:
    outside = q("4,100 USDC per WETH")
    bad = (
        lambda: ph.fees_owed(q("-5"), q("1000"), q("2000")),
        lambda: ph.twap_tick(q("0"), q("5"), q("0 seconds")),
        lambda: ph.twap_price(q("0"), q(str(900_000 * 60)), q("1 minute"), q("18"), q("6"), DIRECT),
        lambda: ph.range_liquidity(q("1 WETH"), q("5 DAI"), LOWER, UPPER, PRICE),
        lambda: ph.range_liquidity(q("1 WETH"), q("5 USDC"), UPPER, LOWER, PRICE),
        lambda: ph.range_match(q("1 WETH"), LOWER, UPPER, outside),
        lambda: ph.range_match(q("1 DAI"), LOWER, UPPER, PRICE),
        lambda: ph.range_deposit(q("0"), LOWER, UPPER, PRICE, "base"),
    )
    for call in bad:
        with pytest.raises(ValueError):
            call()
    assert issubclass(ToolError, ValueError)
