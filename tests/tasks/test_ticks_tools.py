"""Tick tools against logarithms and powers at 50 digits, and the rounding of usable ticks."""

from __future__ import annotations

from decimal import ROUND_FLOOR, Context, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from denizen.protocols.fixed_point import MathError
from denizen.protocols.usable_ticks import usable_tick, width_of_ticks
from denizen.tasks.catalogue import ToolError
from denizen.tasks.quantities import parse_quantity as q
from denizen.tasks.reading import names_label
from denizen.tasks.tools import ticks
from denizen.tasks.tools.ticks import DIRECT, INVERSE

WIDE = Context(prec=50)
STEP = WIDE.ln(Decimal("1.0001"))


def log_tick(raw_price: Decimal) -> int:
    return int(WIDE.divide(WIDE.ln(raw_price), STEP).to_integral_value(ROUND_FLOOR))


@pytest.mark.parametrize(
    ("price", "raw", "inverse"),
    [
        ("3,250 USDC per WETH", Decimal("3250e-12"), Decimal(1) / 3250 * 10**12),
        ("1.46 USDC per SNX", Decimal("1.46e-12"), Decimal(1) / Decimal("1.46") * 10**12),
        ("68200 USDT/WBTC", Decimal("682"), Decimal(1) / 68200 * 100),
        ("18.9 DAI per ENS", Decimal("18.9"), 1 / Decimal("18.9")),
    ],
)
def test_tick_of_a_price_either_way_round(price: str, raw: Decimal, inverse: Decimal) -> None:
    assert ticks.tick_at(q(price), DIRECT).values["tick"] == str(log_tick(raw))
    assert ticks.tick_at(q(price), INVERSE).values["tick"] == str(log_tick(inverse))


def test_a_negative_tick_is_rounded_down_and_not_toward_zero() -> None:
    # log(0.99995) / log(1.0001) is about -0.5: tick -1, where truncation would say 0.
    assert ticks.tick_at(q("0.99995 DAI per WETH"), DIRECT).values["tick"] == "-1"


@pytest.mark.parametrize(
    ("tick", "spacing", "down", "up", "nearest"),
    [
        (7, 10, 0, 10, 10),
        (-7, 10, -10, 0, -10),
        (-4, 10, -10, 0, 0),
        (-195_714, 60, -195_720, -195_660, -195_720),
        (195_714, 60, 195_660, 195_720, 195_720),
        (30, 60, 0, 60, 60),
        (-30, 60, -60, 0, 0),
        (120, 60, 120, 120, 120),
    ],
)
def test_usable_ticks(tick: int, spacing: int, down: int, up: int, nearest: int) -> None:
    assert usable_tick(tick, spacing, "down") == down
    assert usable_tick(tick, spacing, "up") == up
    assert usable_tick(tick, spacing, "nearest") == nearest


@given(st.integers(-887_000, 887_000), st.integers(1, 200))
def test_usable_ticks_bracket_the_tick(tick: int, spacing: int) -> None:
    down, up = usable_tick(tick, spacing, "down"), usable_tick(tick, spacing, "up")
    assert down <= tick <= up and up - down in (0, spacing)
    nearest = usable_tick(tick, spacing, "nearest")
    assert nearest in (down, up) and abs(nearest - tick) * 2 <= spacing


def test_usable_ticks_stay_in_bounds() -> None:
    assert usable_tick(887_272, 200, "nearest") == 887_200
    assert usable_tick(-887_272, 60, "nearest") == -887_220
    for rounding, tick in (("up", 887_270), ("down", -887_270)):
        with pytest.raises(MathError):
            usable_tick(tick, 60, rounding)
    with pytest.raises(MathError):
        usable_tick(887_273, 60, "nearest")
    with pytest.raises(MathError):
        usable_tick(0, 0, "down")


def test_usable_tick_of_a_price() -> None:
    tick = log_tick(Decimal("3250e-12"))
    call = q("3,250 USDC per WETH"), DIRECT, q("60")
    assert ticks.tick_usable(*call, "down").values["tick"] == str(tick // 60 * 60)
    assert ticks.tick_usable(*call, "up").values["tick"] == str(tick // 60 * 60 + 60)


def test_price_of_a_tick_and_of_a_root() -> None:
    tick = -195_714
    exact = WIDE.power(Decimal("1.0001"), tick) * 10**12
    for quoted, price in ((DIRECT, exact), (INVERSE, 1 / exact)):
        got = ticks.tick_price(q("-195714"), q("18"), q("6"), quoted)
        assert got.number is not None and abs(got.number / price - 1) < Decimal("1e-25")
    root = 5 * 2**95  # 2.5 as Q96
    direct = ticks.sqrt_price(q(str(root)), q("6"), q("8"), DIRECT)
    assert direct.number == Decimal("0.0625")
    assert ticks.sqrt_price(q(str(root)), q("6"), q("8"), INVERSE).number == 16


def test_widths() -> None:
    assert width_of_ticks(1) == Decimal("0.0001")
    assert width_of_ticks(2) == Decimal("0.00020001")
    assert ticks.tick_width(q("-10"), q("-8")).number == Decimal("0.020001")
    fall = ticks.tick_move(q("-1")).number
    assert fall is not None and abs(fall - (1 / Decimal("1.0001") - 1) * 100) < Decimal("1e-20")


def test_a_neighbouring_or_opposite_tick_is_not_the_answer() -> None:
    gold = ticks.tick_result(-195_714, "", ())
    for right in ("tick -195714", "It is -195,714.", "\u2212195,714"):
        assert names_label(gold, right)[0], right
    for wrong in ("-195713", "195714", "-195,713", "-195714 or -195715", "-195,714.6"):
        assert not names_label(gold, wrong)[0], wrong
    assert not names_label(ticks.tick_result(195_714, "", ()), "-195714")[0]


def test_impossible_figures() -> None:
    bad = (
        lambda: ticks.tick_at(q("0 USDC per WETH"), DIRECT),
        lambda: ticks.tick_price(q("887273"), q("18"), q("6"), DIRECT),
        lambda: ticks.tick_price(q("0"), q("18"), q("77"), DIRECT),
        lambda: ticks.sqrt_price(q("4295128738"), q("18"), q("6"), DIRECT),
        lambda: ticks.tick_width(q("10"), q("10")),
        lambda: ticks.tick_move(q("2,000 USDC")),
    )
    for call in bad:
        with pytest.raises(ToolError):
            call()
