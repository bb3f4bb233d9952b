"""StableSwap by its paper: the equation itself in exact integers, and what no swap may break."""

from __future__ import annotations

from decimal import Decimal
from math import prod

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from denizen.protocols import MathError, curve_math
from denizen.protocols import curve_stableswap as curve
from denizen.protocols.curve_math import Ramp, get_D, get_y, get_y_D

WAD = 10**18
amps = st.integers(10 * 100, 5000 * 100)
# A hundredfold imbalance at most, as the reference vectors.
balances = st.lists(st.integers(10**22, 10**24), min_size=2, max_size=4).map(tuple)


def residual(xp: tuple[int, ...], amp: int, D: int) -> int:
    """The paper's equation A n^n S + D = A n^n D + D^(n+1) / (n^n P), left less right.

    Multiplied out (by 100 n^n P) so that it stays an integer; A is A_paper n^(n-1) = amp / 100.
    """
    n, P = len(xp), prod(xp)
    return n**n * P * (amp * n * (sum(xp) - D) + 100 * D) - 100 * D ** (n + 1)


def stable(held: tuple[int, ...], amp: int = 20_000, fee: int = 4_000_000) -> curve.StablePool:
    """A pool of 18-decimal coins whose LP token stands at 1."""
    return curve.StablePool(held, (WAD,) * len(held), amp, fee, 5 * 10**9, get_D(held, amp))


@given(balances, amps)
def test_D_solves_the_equation_of_the_paper(xp: tuple[int, ...], amp: int) -> None:
    D = get_D(xp, amp)
    assert residual(xp, amp, D - 2) > 0 > residual(xp, amp, D + 2)
    # Between the constant product's and the constant sum's invariants.
    n = len(xp)
    assert n**n * prod(xp) <= (D + 2) ** n <= (sum(xp) + 4) ** n


@given(balances, amps, st.integers(2, 10**6))
def test_D_is_homogeneous(xp: tuple[int, ...], amp: int, k: int) -> None:
    assert abs(get_D([k * x for x in xp], amp) - k * get_D(xp, amp)) <= 2 * k + 2


@given(balances, amps, st.integers(1, 10**24))
def test_y_keeps_D(xp: tuple[int, ...], amp: int, dx: int) -> None:
    D = get_D(xp, amp)
    y = get_y(0, 1, xp[0] + dx, xp, amp)
    rest = xp[2:]
    # The contract's y lies within two units of the root of the equation at this D.
    assert residual((xp[0] + dx, y + 2, *rest), amp, D) > 0
    assert residual((xp[0] + dx, y - 2, *rest), amp, D) < 0
    assert get_y_D(1, (xp[0] + dx, 1, *rest), amp, D) == y


@given(balances, amps)
def test_y_is_the_inverse_of_D(xp: tuple[int, ...], amp: int) -> None:
    D = get_D(xp, amp)
    for i, x in enumerate(xp):
        y = get_y_D(i, xp, amp, D)
        # A plentiful coin's slope against D turns D's last unit into several of its own.
        assert abs(y - x) <= 100


def test_a_balanced_pool_is_at_par() -> None:
    for n in (2, 3, 4):
        xp = (10**24,) * n
        assert get_D(xp, 20_000) == n * 10**24
        assert curve_math.spot_price(0, 1, xp, 20_000) == 1
        assert curve_math.depeg(1, 0, xp, 20_000) == 0


@given(balances, amps)
def test_the_spot_price_is_the_slope(xp: tuple[int, ...], amp: int) -> None:
    big = tuple(x * 10**6 for x in xp)
    step = big[0] // 10**9
    slope = (get_y(0, 1, big[0], big, amp) - get_y(0, 1, big[0] + step, big, amp)) / Decimal(step)
    price = curve_math.spot_price(0, 1, big, amp)
    # The second derivative, with step / x = 1e-9 and A up to 5000, stays under 1e-5 of the slope.
    assert abs(slope / price - 1) < Decimal("1e-5")
    back = curve_math.spot_price(1, 0, big, amp)
    assert abs(price * back - 1) < Decimal("1e-25")
    assert (price < 1) == (big[0] > big[1]) or big[0] == big[1]


@given(balances, amps, st.integers(10**6, 10**24), st.sampled_from([0, 10**6, 4 * 10**6, 10**8]))
def test_a_round_trip_never_pays(xp: tuple[int, ...], amp: int, dx: int, fee: int) -> None:
    pool = stable(xp, amp, fee)
    # A quarter at most: far past the reference imbalance Newton may circle, see below.
    dx = min(dx, xp[0] // 4)
    there = curve.exchange(pool, 0, 1, dx)
    assume(there.dy > 0)
    back = curve.exchange(there.pool, 1, 0, there.dy)
    assert back.dy <= dx
    assert there.pool.D >= pool.D - 2


@given(balances, amps, st.integers(10**18, 10**24), st.integers(10**6, 10**8))
def test_a_fee_lifts_the_virtual_price(xp: tuple[int, ...], amp: int, dx: int, fee: int) -> None:
    pool = stable(xp, amp, fee)
    after = curve.exchange(pool, 0, 1, min(dx, xp[0] // 4)).pool
    assert curve.virtual_price(after) >= curve.virtual_price(pool)


@given(balances, amps, st.lists(st.integers(0, 10**23), min_size=4, max_size=4))
def test_a_deposit_taken_back_never_pays(xp: tuple[int, ...], amp: int, amounts: list[int]) -> None:
    pool, added = stable(xp, amp), amounts[: len(xp)]
    assume(sum(added) > 10**9)
    joined = curve.add_liquidity(pool, added)
    assert curve.virtual_price(joined.pool) >= curve.virtual_price(pool)
    all_coins = curve.remove_liquidity(joined.pool, joined.lp_tokens)
    assert curve.virtual_price(all_coins.pool) >= curve.virtual_price(pool)
    # What comes back is worth no more than what went in: D of the rest has not fallen.
    assert all_coins.pool.D >= pool.D - 2
    one = curve.remove_liquidity_one_coin(joined.pool, joined.lp_tokens, 0)
    assert one.pool.D >= pool.D - 2
    imbalanced = curve.remove_liquidity_imbalance(joined.pool, added)
    assert imbalanced.lp_tokens >= joined.lp_tokens


def test_first_deposit_mints_D() -> None:
    empty = curve.StablePool((0, 0, 0), (WAD, 10**30, 10**30), 20_000, 4_000_000, 0, 0)
    first = curve.add_liquidity(empty, [5 * 10**18, 5 * 10**6, 5 * 10**6])
    assert first.lp_tokens == first.pool.D == 15 * 10**18
    assert curve.virtual_price(first.pool) == WAD
    assert curve.coin_share(first.pool, 0) * 3 == 1 - Decimal("1e-60")
    with pytest.raises(MathError, match="every coin"):
        curve.add_liquidity(empty, [1, 1, 0])


def test_the_imbalance_fee_is_n_over_four_n_less_one() -> None:
    for n, share in ((2, Decimal("0.5")), (3, Decimal("0.375")), (4, Decimal(1) / 3)):
        pool = stable((10**24,) * n, fee=12_000_000)
        assert curve.imbalance_fee(pool) == int(share * 12_000_000)


def test_the_ramp_is_linear_and_rounds_towards_its_start() -> None:
    up, down = Ramp(10_000, 20_000, 1000, 4000), Ramp(20_000, 10_000, 1000, 4000)
    assert [up.amp(t) for t in (1000, 2000, 4000, 9999)] == [10_000, 13_333, 20_000, 20_000]
    assert [down.amp(t) for t in (1000, 2000, 4000, 9999)] == [20_000, 16_667, 10_000, 10_000]
    with pytest.raises(MathError):
        up.amp(999)


@given(st.integers(1, 10**30), st.integers(1, 10**30), st.integers(1, 10**8))
def test_the_dynamic_fee_grows_off_peg(xi: int, xj: int, fee: int) -> None:
    twenty = 20 * 10**10
    charged = curve_math.dynamic_fee(xi, xj, fee, twenty)
    assert fee <= charged <= 20 * fee
    assert charged == curve_math.dynamic_fee(xj, xi, fee, twenty)
    assert curve_math.dynamic_fee(xi, xi, fee, twenty) == fee
    assert curve_math.dynamic_fee(xi, xj, fee, 10**10) == fee


def test_bad_figures_are_refused() -> None:
    pool, par = stable((10**24, 10**24)), (10**24, 10**24)
    refused = [
        lambda: get_D((10**24, 0), 20_000),
        lambda: get_D((10**24, -1), 20_000),
        lambda: get_D((10**24,), 20_000),
        lambda: get_D(par, 99),
        lambda: get_D(par, 10**8 + 1),
        lambda: get_D((10**60, 10**60), 20_000),
        lambda: get_y(0, 0, 1, par, 20_000),
        lambda: get_y(0, 2, 1, par, 20_000),
        lambda: get_y(0, 1, 0, par, 20_000),
        lambda: get_y_D(0, par, 20_000, 0),
        lambda: curve_math.spot_price(0, 1, (0, 0), 20_000),
        lambda: curve_math.dynamic_fee(0, 1, 1, 2 * 10**10),
        lambda: curve.exchange(pool, 0, 1, 0),
        lambda: curve.exchange(pool, 0, 1, -5),
        lambda: curve.exchange(pool, -1, 1, 5),
        lambda: curve.exchange(pool, 1, 1, 5),
        lambda: curve.add_liquidity(pool, [0, 0]),
        lambda: curve.add_liquidity(pool, [1]),
        lambda: curve.add_liquidity(pool, [-1, 5]),
        lambda: curve.remove_liquidity(pool, pool.total_supply + 1),
        lambda: curve.remove_liquidity(pool, 0),
        lambda: curve.remove_liquidity_imbalance(pool, [10**24 + 1, 0]),
        lambda: curve.remove_liquidity_imbalance(pool, [10**24, 0]),
        lambda: curve.remove_liquidity_one_coin(pool, pool.total_supply + 1, 0),
        lambda: curve.remove_liquidity_one_coin(pool, 10**18, 2),
        lambda: curve.StablePool(par, (WAD,), 20_000, 0, 0, 0),
        lambda: curve.StablePool(par, (WAD, WAD), 20_000, 10**10, 0, 0),
        lambda: curve.StablePool((-1, 1), (WAD, WAD), 20_000, 0, 0, 0),
        lambda: curve.virtual_price(curve.StablePool((0, 0), (WAD, WAD), 20_000, 0, 0, 0)),
    ]
    for number, call in enumerate(refused):
        try:
            call()
        except MathError:
            continue
        pytest.fail(f"case {number} was accepted")


def test_Newton_gives_up_where_rounding_makes_it_circle() -> None:
    # At 40,000 to 1 the steps are +2, +2, -4 for ever.  The 3pool of 2020 took the last one;
    # the template with A_PRECISION refuses, as do we.
    with pytest.raises(MathError, match="converge"):
        get_D((170764281942401416690595, 4358341244457088505), 1000)
