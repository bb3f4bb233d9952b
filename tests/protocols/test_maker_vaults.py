"""Maker vaults: fees in ray, safety on both sides of a price, liquidation, the MIP45 auction."""

from __future__ import annotations

from decimal import Context, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from denizen.protocols import MathError
from denizen.protocols import maker_vaults as maker
from denizen.protocols.maker_vaults import RAD, RAY, WAD, Auction, Dog, Ilk, Urn

WIDE = Context(prec=120)
FIVE_PERCENT = 1_000_000_001_547_125_957_863_212_448  # duty of a 5% fee, as Maker publishes it
ETH_A = Ilk(
    art=10**6 * WAD,
    rate=RAY,
    spot=maker.spot(2000 * WAD, 150 * RAY // 100),
    line=2 * 10**6 * RAD,
    dust=5000 * RAD,
)

rates = st.integers(RAY, 3 * RAY)
inks = st.integers(1, 10**26)
mats = st.integers(RAY, 3 * RAY)


def test_the_published_duty_is_five_percent() -> None:
    assert abs(maker.stability_fee(FIVE_PERCENT) - Decimal("0.05")) < Decimal("1e-18")
    year = maker.drip(RAY, FIVE_PERCENT, maker.SECONDS_PER_YEAR)
    assert abs(year - 105 * RAY // 100) < 10**10
    assert maker.drip(2 * RAY, 0, 1, base=RAY) == 2 * RAY


@given(st.integers(RAY - 10**20, RAY + 10**20), st.integers(0, 10**8))
def test_rpow_against_a_wide_power(x: int, n: int) -> None:
    power = WIDE.power(WIDE.divide(Decimal(x), Decimal(RAY)), n)
    exact = Fraction(power) * RAY
    # Each of about 54 roundings is half a unit, doubled by every squaring after it.
    growth = max(Fraction(1), exact / RAY)
    assert abs(maker.rpow(x, n) - exact) <= (2 * n + 2) * growth


@given(st.integers(0, 10**38))
def test_rpow_of_little_powers(x: int) -> None:
    assert maker.rpow(x, 0) == RAY
    assert maker.rpow(x, 1) == x
    square = Fraction(x * x, RAY)
    assert abs(maker.rpow(x, 2) - square) <= Fraction(1, 2)
    assert maker.rpow(RAY, 12345) == RAY


def test_rpow_refuses() -> None:
    assert maker.rpow(0, 5) == 0
    for x, n in ((-1, 2), (2, -1)):
        with pytest.raises(MathError):
            maker.rpow(x, n)
    with pytest.raises(MathError, match="overflows"):
        maker.rpow(2 * RAY, 10**4)
    with pytest.raises(MathError):
        maker.drip(RAY, RAY, -1)


@given(st.integers(RAY, RAY + 10**20), st.integers(0, 10**7), st.integers(0, 10**7))
def test_dripping_twice_is_dripping_once(duty: int, first: int, second: int) -> None:
    twice = maker.drip(maker.drip(RAY, duty, first), duty, second)
    once = maker.drip(RAY, duty, first + second)
    assert abs(twice - once) <= 8 * (first + second + 1)


def test_vault_by_hand() -> None:
    # 10 ETH at 2,000 and 150%: 13,333.33 of debt at most; 12,000 of debt is 166.67%.
    urn, ilk = maker.frob(Urn(0, 0), ETH_A, 10 * WAD, 12_000 * WAD)
    assert ilk.art == ETH_A.art + 12_000 * WAD
    assert maker.debt(urn, ilk) == 12_000 * RAD
    ratio = maker.collateralization_ratio(urn, ilk, 2000 * WAD)
    assert ratio.quantize(Decimal("1e-6")) == Decimal("1.666667")
    # 12,000 x 1.5 / 10
    assert maker.liquidation_price(urn, ilk, 150 * RAY // 100) == 1800 * WAD
    # A rate of 1.05 lifts debt and price alike.
    aged = ilk._replace(rate=105 * RAY // 100)
    assert maker.debt(urn, aged) == 12_600 * RAD
    assert maker.liquidation_price(urn, aged, 150 * RAY // 100) == 1890 * WAD


@given(inks, inks, rates, mats, st.integers(RAY // 2, 2 * RAY))
def test_liquidation_price_is_the_last_safe_one(
    ink: int, art: int, rate: int, mat: int, par: int
) -> None:
    urn, ilk = Urn(ink, art), ETH_A._replace(rate=rate)
    price = maker.liquidation_price(urn, ilk, mat, par)

    def safe(value: int) -> bool:
        return maker.is_safe(urn, ilk._replace(spot=maker.spot(value, mat, par)))

    assert safe(price)
    assert not safe(price - 1)


def test_a_vault_without_debt_or_collateral() -> None:
    assert maker.liquidation_price(Urn(5, 0), ETH_A, RAY) == 0
    with pytest.raises(MathError):
        maker.liquidation_price(Urn(0, 5), ETH_A, RAY)
    with pytest.raises(MathError):
        maker.collateralization_ratio(Urn(5, 0), ETH_A, WAD)
    with pytest.raises(MathError):
        maker.spot(WAD, 0)


def test_frob_refusals() -> None:
    with pytest.raises(MathError, match="line"):
        maker.frob(Urn(0, 0), ETH_A, 10**4 * WAD, 10**6 * WAD + 1)
    with pytest.raises(MathError, match="safe"):
        maker.frob(Urn(0, 0), ETH_A, 10 * WAD, 13_334 * WAD)
    with pytest.raises(MathError, match="dust"):
        maker.frob(Urn(0, 0), ETH_A, 10 * WAD, 4999 * WAD)
    with pytest.raises(MathError, match="negative"):
        maker.frob(Urn(5, 5), ETH_A, -6, 0)
    with pytest.raises(MathError, match="not initialised"):
        maker.frob(Urn(0, 0), ETH_A._replace(rate=0), 1, 0)
    # Repaying and adding collateral is allowed while unsafe; repaying all leaves no dust.
    low = ETH_A._replace(spot=RAY)
    urn = Urn(10 * WAD, 12_000 * WAD)
    assert maker.frob(urn, low, WAD, -1000 * WAD)[0] == Urn(11 * WAD, 11_000 * WAD)
    assert maker.frob(urn, low, 0, -12_000 * WAD)[0].art == 0
    with pytest.raises(MathError, match="safe"):
        maker.frob(urn, low, -1, 0)


UNSAFE = ETH_A._replace(spot=maker.spot(1700 * WAD, 150 * RAY // 100))
VAULT = Urn(10 * WAD, 12_000 * WAD)
PENALTY = 113 * WAD // 100


def test_bark_takes_the_whole_vault_and_adds_the_penalty() -> None:
    done = maker.bark(VAULT, UNSAFE, Dog(PENALTY, 10**6 * RAD))
    assert (done.dink, done.dart, done.urn) == (10 * WAD, 12_000 * WAD, Urn(0, 0))
    assert done.due == 12_000 * RAD
    assert done.tab == 13_560 * RAD
    with pytest.raises(MathError, match="safe"):
        maker.bark(VAULT, ETH_A, Dog(PENALTY, 10**6 * RAD))
    with pytest.raises(MathError, match="hole"):
        maker.bark(VAULT, UNSAFE, Dog(PENALTY, 0))


def test_bark_fits_under_the_hole() -> None:
    # 6,780 of room cover 6,000 of debt with its penalty: half the vault.
    half = maker.bark(VAULT, UNSAFE, Dog(PENALTY, 6780 * RAD))
    assert (half.dart, half.dink) == (6000 * WAD, 5 * WAD)
    assert half.tab == 6780 * RAD
    # A rest below dust goes along, and a part below dust is refused.
    whole = maker.bark(VAULT, UNSAFE, Dog(PENALTY, 8000 * RAD))
    assert whole.dart == VAULT.art
    with pytest.raises(MathError, match="dust"):
        maker.bark(VAULT, UNSAFE, Dog(PENALTY, 1000 * RAD))


@given(inks, inks, rates, st.integers(WAD, 2 * WAD), st.integers(1, 10**30), st.integers(0, 10**52))
def test_bark_splits_in_proportion(
    ink: int, art: int, rate: int, chop: int, room: int, dust: int
) -> None:
    ilk = Ilk(art, rate, 1, 0, dust)
    try:
        done = maker.bark(Urn(ink, art), ilk, Dog(chop, room * RAY))
    except MathError:
        return
    assert done.urn == Urn(ink - done.dink, art - done.dart)
    assert done.dink == ink * done.dart // art
    assert done.tab == done.due * chop // WAD
    # What is left is no dust; more than the room is taken only to leave none.
    assert done.urn.art == 0 or done.urn.art * rate >= dust
    assert done.tab <= room * RAY or done.urn.art == 0


def test_figures_of_mip45() -> None:
    # MIP45c1: buf, cusp, chop, tip and chip, by their examples.
    bark = maker.Bark(WAD, WAD, 1000 * RAD, 1000 * 113 * RAD // 100, Urn(0, 0))
    assert bark.tab == 1130 * RAD
    auction = maker.kick(bark, 1000 * WAD, 12 * RAY // 10)
    assert auction == Auction(1130 * RAD, WAD, 1200 * RAY)
    cusp = 6 * RAY // 10
    assert not maker.needs_redo(auction, 1800, 720 * RAY, 1800, cusp)
    assert maker.needs_redo(auction, 1800, 720 * RAY - 1, 1800, cusp)
    assert maker.needs_redo(auction, 1801, 720 * RAY, 1800, cusp)
    assert maker.keeper_incentive(1000 * RAD, 100 * RAD, 2 * WAD // 100) == 120 * RAD
    # "cut = 0.99 * RAY specifies a 1% drop every second"
    assert maker.exponential_decrease(100 * RAY, 1, 99 * RAY // 100) == 99 * RAY


def test_the_auction_of_mip45() -> None:
    # MIP45c9: OSM price 200, buf 20%, 21,600 s, tab 60,000, lot 347.32.  Alice pays 50,000 for
    # 256.41 at 195, Bob 10,000 for 90.91 at 110.
    top = 240 * RAY
    auction = Auction(60_000 * RAD, 34732 * WAD // 100, top)
    alices = maker.linear_decrease(top, 4050, 21_600)
    bobs = maker.linear_decrease(top, 11_700, 21_600)
    assert alices == 195 * RAY and 110 * RAY - 240 <= bobs <= 110 * RAY
    alice = maker.take(auction, alices, 50_000 * WAD // 195, 0)
    assert alice.slice // 10**16 == 25641
    assert alice.owe // 10**44 == 499_999  # 50,000 less the last rounding
    bob = maker.take(alice.auction, bobs, 100 * WAD, 0)
    assert bob.slice // 10**16 == 9090 and bob.slice + alice.slice <= auction.lot
    assert alice.owe + bob.owe == 60_000 * RAD
    assert bob.auction.tab == 0 and bob.auction.lot == 0
    assert bob.returned == auction.lot - alice.slice - bob.slice


prices = st.integers(1, 10**32)


@given(st.integers(1, 10**52), inks, prices, inks, st.integers(0, 10**50))
def test_take_never_sells_too_cheap_nor_raises_too_much(
    tab: int, lot: int, price: int, amt: int, chost: int
) -> None:
    auction = Auction(tab, lot, price)
    try:
        done = maker.take(auction, price, amt, chost)
    except MathError:
        assert tab <= chost
        return
    assert 0 <= done.owe <= tab and 0 <= done.slice <= min(lot, amt)
    assert done.owe >= done.slice * price
    assert done.auction.tab == tab - done.owe
    assert done.auction.lot + done.returned + done.slice == lot
    assert done.returned == 0 or done.auction.tab == 0
    # Whoever bids next meets no rest between zero and chost while collateral is left.
    if done.auction.tab and done.auction.lot and done.slice < min(lot, amt):
        assert done.auction.tab >= chost


@given(prices, st.integers(0, 10**5), st.integers(1, 10**5))
def test_decreases_fall_with_time(top: int, seconds: int, tau: int) -> None:
    now, later = (maker.linear_decrease(top, s, tau) for s in (seconds, seconds + 1))
    assert later <= now <= top
    exact = Fraction(top * max(tau - seconds, 0), tau)
    assert exact - 1 - Fraction(top, RAY) <= now <= exact
    assert maker.linear_decrease(top, tau, tau) == 0
    assert maker.linear_decrease(top, 0, tau) == top


@given(prices, st.integers(0, 2000), st.integers(1, 100), st.integers(RAY // 2, RAY))
def test_stairs_are_the_exponential_at_each_step(
    top: int, seconds: int, step: int, cut: int
) -> None:
    stairs = maker.stairstep_exponential_decrease(top, seconds, cut, step)
    assert stairs == maker.stairstep_exponential_decrease(top, seconds // step * step, cut, step)
    assert stairs == maker.exponential_decrease(top, seconds // step, cut)
    power = WIDE.power(WIDE.divide(Decimal(cut), Decimal(RAY)), seconds // step)
    exact = Fraction(power) * top
    assert abs(stairs - exact) <= 1 + Fraction(top * 2 * (seconds + 1), RAY)


def test_auctions_refuse() -> None:
    with pytest.raises(MathError):
        maker.linear_decrease(RAY, 0, 0)
    with pytest.raises(MathError):
        maker.stairstep_exponential_decrease(RAY, 0, RAY, 0)
    with pytest.raises(MathError):
        maker.exponential_decrease(RAY, 0, RAY + 1)
    with pytest.raises(MathError, match="chost"):
        maker.take(Auction(100 * RAD, 10 * WAD, RAY), 10 * RAY, 5 * WAD, 100 * RAD)
    with pytest.raises(MathError):
        maker.take(Auction(RAD, WAD, RAY), 0, WAD, 0)
    with pytest.raises(MathError):
        maker.kick(maker.Bark(1, 1, 1, 1, Urn(0, 0)), 0, RAY)
    # The rest would be 50, below chost 80: only 20 is raised, so that 80 remain.
    done = maker.take(Auction(100 * RAD, 10 * WAD, RAY), 10 * RAY, 5 * WAD, 80 * RAD)
    assert (done.owe, done.slice) == (20 * RAD, 2 * WAD)
