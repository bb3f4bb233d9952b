"""Morpho Blue: shares, interest, health, liquidation both ways, bad debt, the rate curve."""

from __future__ import annotations

from contextlib import suppress
from decimal import Context, Decimal
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from denizen.protocols import MathError
from denizen.protocols import morpho_blue as blue
from denizen.protocols.fixed_point import mul_div
from denizen.protocols.morpho_blue import Market, Position

WAD = 10**18
PRICE = 10**36

totals = st.integers(0, 10**27)
wads = st.integers(0, WAD)
lltvs = st.integers(WAD // 100, 98 * WAD // 100)


@st.composite
def markets(draw: st.DrawFn) -> Market:
    supplied = draw(st.integers(10**6, 10**27))
    lent = draw(st.integers(1, supplied))
    drift = draw(st.integers(0, 10**5))
    return Market(
        supply_assets=supplied,
        supply_shares=supplied * (10**6 - drift),
        borrow_assets=lent,
        borrow_shares=lent * (10**6 - drift),
        fee=draw(st.integers(0, blue.MAX_FEE)),
    )


@st.composite
def positions(draw: st.DrawFn) -> tuple[Market, Position]:
    market = draw(markets())
    owed = draw(st.integers(1, market.borrow_shares))
    return market, Position(0, owed, draw(st.integers(1, 10**27)))


@given(totals, totals, totals)
def test_shares_round_by_less_than_one(amount: int, assets: int, shares: int) -> None:
    exact = Fraction(amount * (shares + 10**6), assets + 1)
    down, up = (f(amount, assets, shares) for f in (blue.to_shares_down, blue.to_shares_up))
    assert down <= exact <= up and up - down == (exact.denominator > 1)
    exact = Fraction(amount * (assets + 1), shares + 10**6)
    down, up = (f(amount, assets, shares) for f in (blue.to_assets_down, blue.to_assets_up))
    assert down <= exact <= up and up - down == (exact.denominator > 1)


@given(markets(), st.integers(1, 10**27))
def test_moving_in_and_out_gains_nothing(market: Market, assets: int) -> None:
    inside, minted = blue.supply(market, assets)
    outside, burnt = blue.withdraw(inside, assets)
    assert burnt >= minted
    assert outside.supply_shares <= market.supply_shares
    idle = market.supply_assets - market.borrow_assets
    assume(0 < assets <= idle)
    lent, owed = blue.borrow(market, assets)
    back, cancelled = blue.repay(lent, assets)
    assert cancelled <= owed
    assert back.borrow_assets == market.borrow_assets
    with pytest.raises(MathError, match="idle"):
        blue.borrow(market, idle + 1)
    with pytest.raises(MathError, match=r"idle|below zero"):
        blue.withdraw(market, idle + 1)


def test_the_first_supplier_meets_virtual_shares() -> None:
    market, shares = blue.supply(Market(), 1_000_000)
    assert shares == 10**12
    # A donation of a million to an account of one unit buys nobody's deposit: the
    # next supplier of 100 still owns (100 - rounding) of it.
    market, _ = blue.supply(market._replace(supply_assets=2_000_000), 100)
    assert blue.to_assets_down(market.supply_shares - 10**12, *market[:2]) == 99


@given(st.integers(0, 10**11), st.integers(0, 10**7))
def test_taylor_is_just_below_the_exponential(rate: int, seconds: int) -> None:
    wide = Context(prec=80)
    exponent = wide.divide(Decimal(rate * seconds), Decimal(WAD))
    exact = Fraction(wide.subtract(wide.exp(exponent), Decimal(1))) * WAD
    ours = blue.w_taylor_compounded(rate, seconds)
    x = Fraction(rate * seconds, WAD)
    # Three terms of the series, and three roundings: the rest is below x^4 e^x / 24.
    assert exact - x**4 * WAD * 3 / 24 - 3 <= ours <= exact + Fraction(1, 10**30)


def test_taylor_by_hand() -> None:
    # x = 0.3: 0.3 + 0.045 + 0.0045
    assert blue.w_taylor_compounded(3 * 10**16, 10) == 349_500_000_000_000_000


@given(markets(), st.integers(0, 10**11), st.integers(0, 10**7))
def test_interest_is_owed_to_suppliers(market: Market, rate: int, now: int) -> None:
    after, interest, minted = blue.accrue_interest(market, rate, now)
    assert after.supply_assets - after.borrow_assets == (
        market.supply_assets - market.borrow_assets
    )
    assert after.borrow_assets == market.borrow_assets + interest
    fee = interest * market.fee // WAD
    worth = blue.to_assets_down(minted, after.supply_assets, after.supply_shares)
    # The fee's shares are worth the fee, less rounding; suppliers keep their own.
    share = Fraction(after.supply_assets + 1, after.supply_shares + 10**6)
    assert fee - share - 1 <= worth <= fee
    assert Fraction(after.supply_assets + 1, after.supply_shares + 10**6) >= Fraction(
        market.supply_assets + 1, market.supply_shares + 10**6
    )


def test_accrual_refuses_the_impossible() -> None:
    with pytest.raises(MathError):
        blue.accrue_interest(Market(last_update=5), 0, 4)
    with pytest.raises(MathError):
        blue.accrue_interest(Market(fee=blue.MAX_FEE + 1), 0, 4)
    with pytest.raises(MathError, match="128 bits"):
        blue.accrue_interest(Market(10**38, 0, 10**38), 10**11, 10**8)


def test_incentive_factors_of_the_documentation() -> None:
    # docs.morpho.org, liquidation: "approximately 1.06" at an LLTV of 80%.
    assert blue.liquidation_incentive_factor(80 * WAD // 100) == 1_063_829_787_234_042_553
    # 1 / (1 - 0.3 x 0.14) and 1 / (1 - 0.3 x 0.055)
    assert blue.liquidation_incentive_factor(86 * WAD // 100) == 1_043_841_336_116_910_229
    assert blue.liquidation_incentive_factor(945 * WAD // 1000) == 1_016_776_817_488_561_260
    # The cap binds from LLTV 1 - (1 - 1 / 1.15) / 0.3 = 56.52...% down.
    assert blue.liquidation_incentive_factor(5652 * WAD // 10000) == 115 * WAD // 100
    assert blue.liquidation_incentive_factor(5653 * WAD // 10000) < 115 * WAD // 100
    with pytest.raises(MathError):
        blue.liquidation_incentive_factor(WAD)


@given(lltvs)
def test_incentive_keeps_a_healthy_start_solvent(lltv: int) -> None:
    # A position liquidated at its LLTV is worth more than what the liquidator takes.
    assert blue.liquidation_incentive_factor(lltv) * lltv < WAD * WAD


@given(positions(), lltvs)
def test_liquidation_price_is_the_last_healthy_one(
    held: tuple[Market, Position], lltv: int
) -> None:
    market, position = held
    price = blue.liquidation_price(market, position, lltv)
    assert blue.is_healthy(market, position, price, lltv)
    assert not blue.is_healthy(market, position, price - 1, lltv)
    assert blue.health_factor(market, position, price, lltv) >= 1
    assert blue.health_factor(market, position, price - 1, lltv) < 1


def test_health_by_hand() -> None:
    market = Market(10**12, 10**18, 800 * 10**6, 800 * 10**12)
    position = Position(0, 800 * 10**12, WAD)
    # One token at 1000 (6 decimals against 18) and 86%: 860 may be borrowed; 800 / 0.86 = 930.23...
    price = 1000 * 10**6 * 10**36 // WAD
    assert blue.max_borrow(WAD, price, 86 * WAD // 100) == 860 * 10**6
    assert blue.health_factor(market, position, price, 86 * WAD // 100) == Decimal("1.075")
    edge = blue.liquidation_price(market, position, 86 * WAD // 100)
    assert edge == 930_232_559 * 10**18
    assert blue.is_healthy(market, Position(), 0, 0)
    assert blue.liquidation_price(market, Position(), 0) == 0
    with pytest.raises(MathError):
        blue.liquidation_price(market, Position(0, 1, 0), WAD // 2)
    with pytest.raises(MathError):
        blue.health_factor(market, Position(), price, WAD // 2)


@given(positions(), lltvs, st.integers(1, 99), st.booleans(), st.integers(1, 10**9))
def test_liquidation_conserves_and_pays_no_more_than_the_incentive(
    held: tuple[Market, Position], lltv: int, depth: int, by_shares: bool, part: int
) -> None:
    market, position = held
    edge = blue.liquidation_price(market, position, lltv)
    price = edge * depth // 100
    assume(price > 0 and not blue.is_healthy(market, position, price, lltv))
    ways = [
        {"repaid_shares": -(-position.borrow_shares * part // 10**9)},
        {"seized_assets": -(-position.collateral * part // 10**9)},
    ]
    done = None
    # What one side cannot give (too little collateral, or too little debt) the other may.
    for way in ways if by_shares else reversed(ways):
        with suppress(MathError):
            done = done or blue.liquidate(market, position, price, lltv, **way)
    assume(done is not None)
    assert done is not None
    factor = blue.liquidation_incentive_factor(lltv)
    assert done.position.collateral == position.collateral - done.seized_assets
    # The seized collateral is worth at most what was repaid times the incentive.
    worth = Fraction(done.seized_assets * price, PRICE)
    assert worth <= Fraction(done.repaid_assets * factor, WAD)
    # The shares repaid are paid for in full.
    per_share = Fraction(market.borrow_assets + 1, market.borrow_shares + 10**6)
    assert done.repaid_shares * per_share <= done.repaid_assets
    # Suppliers lose the bad debt and nothing else; the books of debt balance.
    assert market.supply_assets - done.market.supply_assets == done.bad_debt_assets
    paid = min(done.repaid_assets, market.borrow_assets)
    assert market.borrow_assets - done.market.borrow_assets == paid + done.bad_debt_assets
    assert (
        market.borrow_shares - done.market.borrow_shares
        == done.repaid_shares + done.bad_debt_shares
        == position.borrow_shares - done.position.borrow_shares
    )
    assert done.bad_debt_shares == 0 or done.position == Position()
    assert done.market.supply_shares == market.supply_shares


def test_bad_debt_is_taken_off_the_suppliers() -> None:
    market = Market(1000 * 10**6, 1000 * 10**12, 800 * 10**6, 800 * 10**12)
    position = Position(0, 800 * 10**12, WAD)
    price = 500 * 10**6 * 10**36 // WAD  # the collateral is worth 500 against 800 owed
    done = blue.liquidate(market, position, price, 80 * WAD // 100, seized_assets=WAD)
    # 500 / 1.0638... = 470 repaid, 330 lost (one unit of it was rounding in the repayment).
    assert done.repaid_assets == 470_000_001
    assert done.bad_debt_assets == 800 * 10**6 - 470_000_001
    assert done.market.borrow_assets == done.market.borrow_shares == 0
    assert done.market.supply_assets == 1000 * 10**6 - done.bad_debt_assets


def test_liquidation_refusals() -> None:
    market = Market(1000 * 10**6, 1000 * 10**12, 800 * 10**6, 800 * 10**12)
    position = Position(0, 800 * 10**12, WAD)
    low = 900 * 10**6 * 10**36 // WAD
    with pytest.raises(MathError, match="healthy"):
        blue.liquidate(market, position, 2 * low, 86 * WAD // 100, seized_assets=1)
    with pytest.raises(MathError, match="either"):
        blue.liquidate(market, position, low, 86 * WAD // 100, 1, 1)
    with pytest.raises(MathError, match="either"):
        blue.liquidate(market, position, low, 86 * WAD // 100)
    with pytest.raises(MathError, match="owes"):
        blue.liquidate(market, position, low, 86 * WAD // 100, seized_assets=WAD)
    with pytest.raises(MathError, match="holds"):
        blue.liquidate(market, position, low // 2, 86 * WAD // 100, repaid_shares=800 * 10**12)


def test_figures_of_the_sdk() -> None:
    # Reference: @morpho-org/blue-sdk 6.4.0 (MIT), the same inputs.
    for given_, expected in SDK_FIGURES:
        supplied, shares, lent, owed, fee, rate, seconds, amount, price, lltv, use, target = given_
        market = Market(supplied, shares, lent, owed, 0, fee)
        after, interest, minted = blue.accrue_interest(market, rate, seconds)
        factor = blue.liquidation_incentive_factor(lltv)
        paid = mul_div(blue.to_assets_down(amount, lent, owed), factor, WAD)
        assert expected == (
            interest,
            minted,
            blue.to_shares_up(amount, supplied, shares),
            blue.to_assets_down(amount, supplied, shares),
            factor,
            mul_div(paid, PRICE, price),
            blue.curve_borrow_rate(use, target),
        )
        assert after.last_update == seconds


def test_rate_curve_at_its_three_points() -> None:
    at_target = 1_268_391_679  # 4% a year
    assert blue.curve_borrow_rate(blue.TARGET_UTILIZATION, at_target) == at_target
    assert blue.curve_borrow_rate(0, at_target) == at_target // 4
    assert blue.curve_borrow_rate(WAD, at_target) == at_target * 4
    # Half way from the target up: 1 + 3 x 0.5; half way down: 1 - 0.75 x 0.5.
    assert blue.curve_borrow_rate(95 * WAD // 100, 10**9) == 25 * 10**8
    assert blue.curve_borrow_rate(45 * WAD // 100, 10**9) == 625 * 10**6
    with pytest.raises(MathError):
        blue.curve_borrow_rate(WAD + 1, 1)


@given(wads, st.integers(0, 10**12))
def test_rate_curve_is_the_broken_line(use: int, at_target: int) -> None:
    gap = Fraction(use, WAD) - Fraction(9, 10)
    exact = at_target * (1 + (30 * gap if gap > 0 else gap * Fraction(10, 9) * Fraction(3, 4)))
    assert abs(blue.curve_borrow_rate(use, at_target) - exact) < 2


@given(st.integers(0, 10**12))
def test_rate_curve_is_continuous_at_the_target(at_target: int) -> None:
    below, at, above = (
        blue.curve_borrow_rate(blue.TARGET_UTILIZATION + step, at_target) for step in (-1, 0, 1)
    )
    assert below <= at <= above and above - below <= 1 + 31 * at_target // WAD


def test_yields_follow_the_documentation() -> None:
    rate = 1_585_489_599  # 5% a year: e^0.05 - 1 = 5.127...%
    borrow = blue.borrow_apy(rate)
    assert Decimal("0.05127109636") < borrow < Decimal("0.05127109638")
    supply = blue.supply_apy(rate, 9 * WAD // 10, WAD // 10)
    assert abs(supply - borrow * Decimal("0.81")) < Decimal("1e-25")
    assert Market(1000, 0, 900, 0).utilization() == 9 * WAD // 10


# supply assets and shares, borrow assets and shares, fee, rate, seconds, amount, price, LLTV,
# utilization, rate at target; then interest, fee shares, shares up, assets down, incentive,
# seized for that many shares, curve rate.
SDK_FIGURES: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = (
    (
        (
            9_823_084_021_527_282_353_563_585,
            9_808_038_432_166_073_255_848_017_423_600,
            9_512_833_508_581_057_073_077_513,
            9_450_007_407_803_077_054_303_500_408_263,
            0,
            4_799_224_467,
            318_199,
            993_417_647_109_735_587_783_620_620_188,
            445_348_127_697_696_740_425_923_097_562_970_560,
            860_000_000_000_000_000,
            753_921_351_151_483_050,
            2_892_033_592,
        ),
        (
            14_538_226_104_056_586_764_357,
            0,
            991_896_072_627_644_602_099_109_975_902_757_382,
            994_941_555_696_142_983_608_467,
            1_043_841_336_116_910_229,
            2_343_929_136_372_187_043_085_197,
            2_539_979_959,
        ),
    ),
    (
        (
            1_151_871_205_382_801_616_080_566,
            1_151_275_358_327_347_575_418_885_021_512,
            773_158_301_663_721_410_700_315,
            770_844_387_382_742_579_919_991_891_926,
            100_000_000_000_000_000,
            7_144_999_245,
            524_110,
            561_330_641_312_089_701_120_765_021_862,
            8_934_704_314_262_398_693_079_177_587_240_985_050,
            915_000_000_000_000_000,
            816_048_936_263_144_106,
            5_485_866_407,
        ),
        (
            2_900_724_446_453_320_249_423,
            289_266_787_099_183_956_227_070_218,
            561_040_272_729_040_710_537_428_398_462_251_176,
            561_621_160_176_532_239_005_974,
            1_026_167_265_264_238_070,
            64_663_384_284_636_493_542_754,
            5_102_079_473,
        ),
    ),
    (
        (
            9_920_626_305_941_917_393_793_730,
            9_835_834_464_924_070_564_046_015_966_928,
            8_832_729_446_800_561_535_175_377,
            8_809_681_744_968_673_016_239_538_477_660,
            250_000_000_000_000_000,
            3_041_612_270,
            223_932,
            72_119_172_810_075_105_697_855_064_660,
            7_538_308_746_086_443_800_759_716_108_813_014_536,
            625_000_000_000_000_000,
            483_986_534_714_677_963,
            9_003_631_892,
        ),
        (
            6_018_147_791_283_037_012_295,
            1_490_999_269_451_114_037_624_606_147,
            71_502_768_437_340_303_027_673_378_659_557_751,
            72_740_891_023_924_459_746_777,
            1_126_760_563_380_281_690,
            10_807_945_911_026_744_458_979,
            5_882_271_805,
        ),
    ),
    (
        (
            6_516_446_447_728_682_710_329_586,
            6_490_096_299_434_171_565_561_023_531_885,
            5_241_118_421_902_810_320_128_762,
            5_231_770_157_699_260_716_462_265_745_692,
            150_000_000_000_000_000,
            678_087_448,
            741_420,
            559_342_381_956_283_336_231_101_164_481,
            7_253_091_417_304_617_029_070_256_839_057_840_670,
            385_000_000_000_000_000,
            217_193_659_587_491_680,
            4_957_466_635,
        ),
        (
            2_635_622_156_193_710_880_229,
            393_609_379_928_949_866_405_707_130,
            557_080_604_033_272_800_946_326_213_576_523_182,
            561_613_342_822_185_762_809_666,
            1_150_000_000_000_000_000,
            88_843_924_192_769_703_575_520,
            2_136_641_926,
        ),
    ),
)
