"""Weighted pools by their definition: powers within their bounds, no profit from nothing."""

from __future__ import annotations

from decimal import Context, Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from denizen.protocols import MathError, balancer_math, balancer_pool
from denizen.protocols import balancer_weighted as weighted
from denizen.protocols.balancer_math import ONE

WIDE = Context(prec=80)
SUPPLY = 10**22
sizes = st.integers(10**18, 10**26)
fees = st.integers(weighted.MIN_SWAP_FEE, weighted.MAX_SWAP_FEE)


@st.composite
def weight_lists(draw: st.DrawFn, most: int = 4) -> tuple[int, ...]:
    """Weights of at least 1% that sum to exactly 1."""
    n = draw(st.integers(2, most))
    spare = ONE - n * weighted.MIN_WEIGHT
    cuts = sorted(draw(st.lists(st.integers(0, spare), min_size=n - 1, max_size=n - 1)))
    parts = zip([0, *cuts], [*cuts, spare], strict=True)
    return tuple(weighted.MIN_WEIGHT + b - a for a, b in parts)


@st.composite
def pools(draw: st.DrawFn) -> balancer_pool.WeightedPool:
    """A pool of mixed decimals after its first join."""
    weights = draw(weight_lists())
    n = len(weights)
    decimals = draw(st.lists(st.sampled_from([6, 8, 18]), min_size=n, max_size=n))
    amounts = [draw(st.integers(10**d, 10 ** (d + 8))) for d in decimals]
    return balancer_pool.init(amounts, decimals, weights, draw(fees)).pool


def true_power(base: int, exponent: int) -> Decimal:
    """base^exponent of 1e18 figures, at 80 digits."""
    b, e = WIDE.scaleb(Decimal(base), -18), WIDE.scaleb(Decimal(exponent), -18)
    return WIDE.scaleb(WIDE.exp(WIDE.multiply(e, WIDE.ln(b))), 18)


def true_invariant(balances: tuple[int, ...], weights: tuple[int, ...]) -> Decimal:
    """Product of balance^weight, at 80 digits."""
    value = Decimal(1)
    for balance, weight in zip(balances, weights, strict=True):
        value = WIDE.multiply(value, WIDE.scaleb(true_power(balance, weight), -18))
    return value


def test_the_table_holds_powers_of_e() -> None:
    for argument, power in balancer_math._HUGE_POWERS:
        exact = WIDE.exp(Decimal(argument // ONE))
        assert abs(power / exact - 1) < Decimal("1e-18")
    for argument, power in balancer_math._POWERS:
        exact = WIDE.exp(WIDE.scaleb(Decimal(argument), -20))
        assert abs(WIDE.scaleb(Decimal(power), -20) / exact - 1) < Decimal("1e-20")


@given(st.integers(balancer_math.MIN_NATURAL_EXPONENT, balancer_math.MAX_NATURAL_EXPONENT))
def test_exp_is_e_to_the_x(x: int) -> None:
    exact = WIDE.scaleb(WIDE.exp(WIDE.scaleb(Decimal(x), -18)), 18)
    assert abs(balancer_math.exp(x) - exact) <= 1 + exact * Decimal("1e-17")


@given(st.integers(10**16, 10**20), st.integers(10**15, 20 * ONE))
def test_the_true_power_lies_between_the_bounds(base: int, exponent: int) -> None:
    exact = true_power(base, exponent)
    assume(1 < exact < Decimal(10) ** 50)
    low, high = balancer_math.pow_down(base, exponent), balancer_math.pow_up(base, exponent)
    # 1e-14 covers the 18-decimal logarithm times an exponent of up to 20, and more.
    assert low <= exact <= high
    assert high - low <= 4 + exact * Decimal("2.1e-14")


@given(st.integers(0, 2**127), st.integers(1, 2**128))
def test_directions_differ_by_a_unit_at_most(a: int, b: int) -> None:
    for down, up in (
        (balancer_math.mul_down, balancer_math.mul_up),
        (balancer_math.div_down, balancer_math.div_up),
    ):
        assert 0 <= up(a, b) - down(a, b) <= 1
    assert balancer_math.mul_down(a, b) * ONE <= a * b <= balancer_math.mul_up(a, b) * ONE
    assert balancer_math.div_down(a, b) * b <= a * ONE <= balancer_math.div_up(a, b) * b


def test_short_exponents_are_exact() -> None:
    assert balancer_math.pow_up(3 * ONE, ONE) == balancer_math.pow_down(3 * ONE, ONE) == 3 * ONE
    assert balancer_math.pow_up(3 * ONE, 2 * ONE) == balancer_math.pow_down(3 * ONE, 2 * ONE)
    assert balancer_math.pow_down(3 * ONE, 4 * ONE) == 81 * ONE
    assert balancer_math.pow_up(5 * ONE, 0) == ONE + 10_001
    assert balancer_math.pow_down(0, ONE // 2) == 0


def test_an_even_pool_is_a_constant_product() -> None:
    # 100 / 100, 10 in: 100 x 10 / 110 = 9.0909...; the base's rounding costs under 100 units.
    out = weighted.out_given_in(100 * ONE, ONE // 2, 100 * ONE, ONE // 2, 10 * ONE)
    assert 0 <= 100 * ONE * 10 // 110 - out <= 100
    # 80 / 20 at 800 and 50: one token in is (800 / 0.8) / (50 / 0.2) = 4 to 1.
    assert weighted.spot_price(800 * ONE, 8 * ONE // 10, 50 * ONE, 2 * ONE // 10) == 4
    with_fee = weighted.spot_price(4 * ONE, ONE // 2, ONE, ONE // 2, ONE // 10)
    assert with_fee.quantize(Decimal("1e-9")) == Decimal("4.444444444")


@given(sizes, sizes, weight_lists(most=3), st.integers(1, 3 * 10**17))
def test_a_swap_keeps_the_true_invariant(
    a: int, b: int, weights: tuple[int, ...], part: int
) -> None:
    w = weights[:2]
    paid = a * part // ONE
    out = weighted.out_given_in(a, w[0], b, w[1], paid)
    assert true_invariant((a + paid, b - out), w) >= true_invariant((a, b), w)
    bought = b * part // ONE
    cost = weighted.in_given_out(a, w[0], b, w[1], bought)
    assert true_invariant((a + cost, b - bought), w) >= true_invariant((a, b), w)


@given(sizes, sizes, weight_lists(most=2))
def test_the_spot_price_is_the_marginal_one(a: int, b: int, weights: tuple[int, ...]) -> None:
    step = a // 10**6
    out = weighted.out_given_in(a, weights[0], b, weights[1], step)
    price = weighted.spot_price(a, weights[0], b, weights[1])
    # A step of 1e-6 and weights of up to 99 to 1 move the price by under 2e-4.
    assert abs(Decimal(step) / out / price - 1) < Decimal("2e-4")


@given(pools(), st.integers(10**9, 29 * 10**16))
def test_a_round_trip_never_pays(pool: balancer_pool.WeightedPool, part: int) -> None:
    paid = pool.balances[0] * part // ONE
    assume(paid > 0)
    there = balancer_pool.swap_given_in(pool, 0, 1, paid)
    assert there.pool.invariant >= pool.invariant * (1 - Decimal("1e-12"))
    assume(there.amount_out > 0)
    try:
        back = balancer_pool.swap_given_in(there.pool, 1, 0, there.amount_out)
    except MathError:  # what came out is more than 30% of what is left
        return
    assert back.amount_out <= paid


@given(pools(), st.integers(10**12, 10**17))
def test_a_join_taken_back_never_pays(pool: balancer_pool.WeightedPool, part: int) -> None:
    bpt = pool.total_supply * part // ONE
    for join, leave in (
        (balancer_pool.join_token_for_bpt, balancer_pool.exit_one_token),
        (lambda p, _, b: balancer_pool.join_proportional(p, b), None),
    ):
        joined = join(pool, 0, bpt)
        if leave:
            left = leave(joined.pool, 0, bpt)
        else:
            left = balancer_pool.exit_proportional(joined.pool, bpt)
        assert all(o <= i for o, i in zip(left.amounts, joined.amounts, strict=True))
    given_amounts = [held * part // ONE for held in pool.balances]
    exact = balancer_pool.join_exact_tokens(pool, given_amounts)
    # No more than in proportion, and never more than a proportional exit would give back.
    assert exact.bpt * ONE <= pool.total_supply * (part + 2)
    assume(exact.bpt > 0)
    out = balancer_pool.exit_proportional(exact.pool, exact.bpt)
    assert all(o <= i for o, i in zip(out.amounts, given_amounts, strict=True))
    back = balancer_pool.exit_exact_tokens(exact.pool, given_amounts)
    assert back.bpt >= exact.bpt


def test_the_protocol_gets_its_part_of_the_growth() -> None:
    # 1/11 of the pool is growth; half of it is 1/22, which 1/21 of the old supply buys.
    due = weighted.protocol_fee_bpt(ONE, 11 * ONE // 10, 21 * ONE, 21 * ONE, ONE // 2)
    assert abs(due - ONE) <= 100
    assert weighted.protocol_fee_bpt(ONE, 11 * ONE // 10, ONE, 11 * ONE // 10, ONE // 2) == 0
    assert weighted.protocol_fee_bpt(ONE, ONE // 2, ONE, ONE, ONE // 2) == 0
    assert weighted.protocol_fee_bpt(ONE, 2 * ONE, ONE, ONE, 0) == 0


def test_the_first_join_locks_a_million_units() -> None:
    made = balancer_pool.init([100 * 10**6, 100 * ONE], [6, 18], [ONE // 2] * 2, ONE // 100)
    assert made.pool.total_supply - made.bpt == 10**6
    # Invariant 100, two tokens: 200 BPT, less the powers' margin.
    assert 0 <= 200 * ONE - made.pool.total_supply < 10**7


HALF = [ONE // 2, ONE // 2]
BALANCES = [100 * ONE, 100 * ONE]
FEE = ONE // 100


def test_bad_figures_are_refused() -> None:
    pool = balancer_pool.init(BALANCES, [18, 18], HALF, FEE).pool
    large = (1 << 255) * 2
    refused = [
        lambda: weighted.check_weights([ONE // 2, ONE // 2 - 1]),
        lambda: weighted.check_weights([ONE]),
        lambda: weighted.check_weights([ONE - 1, 1]),
        lambda: weighted.check_weights([ONE // 9] * 9),
        lambda: weighted.check_swap_fee(0),
        lambda: weighted.check_swap_fee(ONE // 9),
        lambda: weighted.invariant([0, ONE], HALF),
        lambda: weighted.invariant([ONE, ONE, ONE], HALF),
        lambda: weighted.out_given_in(100, ONE // 2, 0, ONE // 2, 1),
        lambda: weighted.out_given_in(100, ONE // 2, 100, ONE // 2, 31),
        lambda: weighted.out_given_in(100, ONE // 2, 100, ONE // 2, -1),
        lambda: weighted.out_given_in(100, ONE // 2, 100, ONE // 2 + 1, 1),
        lambda: weighted.in_given_out(100, ONE // 2, 100, ONE // 2, 31),
        lambda: weighted.in_given_out(0, ONE // 2, 100, ONE // 2, 1),
        lambda: weighted.bpt_out_given_tokens_in(BALANCES, HALF, [-1, 0], SUPPLY, FEE),
        lambda: weighted.bpt_out_given_tokens_in(BALANCES, HALF, [1], SUPPLY, FEE),
        lambda: weighted.bpt_out_given_tokens_in(BALANCES, HALF, [1, 1], 0, FEE),
        lambda: weighted.bpt_in_given_tokens_out(BALANCES, HALF, [101 * ONE, 0], SUPPLY, FEE),
        lambda: weighted.bpt_in_given_tokens_out(BALANCES, HALF, [100 * ONE, 0], SUPPLY, FEE),
        lambda: weighted.token_in_given_bpt_out(ONE, ONE // 2, 2 * SUPPLY + 1, SUPPLY, FEE),
        lambda: weighted.token_in_given_bpt_out(ONE, ONE // 2, -1, SUPPLY, FEE),
        lambda: weighted.token_out_given_bpt_in(ONE, ONE // 2, 4 * SUPPLY // 10, SUPPLY, FEE),
        lambda: weighted.token_out_given_bpt_in(ONE, ONE, 1, SUPPLY, FEE),
        lambda: weighted.tokens_out_given_bpt_in(BALANCES, SUPPLY + 1, SUPPLY),
        lambda: weighted.tokens_in_given_bpt_out(BALANCES, -1, SUPPLY),
        lambda: weighted.protocol_fee_bpt(0, 1, 1, 1, 0),
        lambda: weighted.protocol_fee_bpt(1, 1, 1, 1, ONE),
        lambda: weighted.spot_price(1, ONE // 2, 1, ONE // 2, ONE),
        lambda: balancer_math.mul_down(large, 1),
        lambda: balancer_math.mul_up(-1, 1),
        lambda: balancer_math.div_down(1, 0),
        lambda: balancer_math.div_up(1, -1),
        lambda: balancer_math.pow_raw(-1, ONE),
        lambda: balancer_math.pow_raw(1 << 255, ONE),
        lambda: balancer_math.pow_raw(ONE, 1 << 254),
        lambda: balancer_math.pow_raw(10 * ONE, 100 * ONE),
        lambda: balancer_math.exp(131 * ONE),
        lambda: balancer_math.exp(-42 * ONE),
        lambda: balancer_pool.swap_given_in(pool, 0, 0, 1),
        lambda: balancer_pool.swap_given_in(pool, 0, 2, 1),
        lambda: balancer_pool.swap_given_in(pool, 0, 1, 0),
        lambda: balancer_pool.swap_given_out(pool, 0, 1, -1),
        lambda: balancer_pool.join_exact_tokens(pool, [1]),
        lambda: balancer_pool.exit_exact_tokens(pool, [-1, 0]),
        lambda: balancer_pool.exit_one_token(pool, 5, 1),
        lambda: balancer_pool.exit_proportional(pool, pool.total_supply),
        lambda: balancer_pool.init([1, 1], [19, 18], HALF, FEE),
        lambda: balancer_pool.init([1, 1], [18, 18, 18], HALF, FEE),
        lambda: balancer_pool.init([1, 1 << 112], [18, 18], HALF, FEE),
        lambda: balancer_pool.init([1, 1], [18, 18], HALF, FEE),
    ]
    for number, call in enumerate(refused):
        try:
            call()
        except MathError:
            continue
        pytest.fail(f"case {number} was accepted")
