"""Liquid staking against hand-made figures, exact fractions and what must be conserved."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from denizen.protocols import MathError
from denizen.protocols.liquid_staking import (
    PROTOCOL_FEE,
    StEth,
    WstEth,
    discount,
    discount_apy,
    discount_return,
    gross_apr,
    pooled_ether_by_shares,
    rebase_apr,
    reth_minted,
    reth_value,
    share_rate,
    shares_by_pooled_ether,
    shares_minted_as_fees,
)

ETHER = 10**18
DAY = 86_400
MAX = (1 << 256) - 1
totals = st.integers(10**9, 10**26)


@st.composite
def pools(draw: st.DrawFn) -> StEth:
    """Two holders and a share worth between 1 and 2 ether, as stETH's is."""
    a, b = draw(totals), draw(totals)
    ether = (a + b) * draw(st.integers(10**9, 2 * 10**9 - 1)) // 10**9
    return StEth(ether, {"a": a, "b": b})


def test_conversions_by_hand() -> None:
    # 10 ether on 8 shares: 3 ether are 2.4 shares, 3 shares are 3.75 ether.
    assert shares_by_pooled_ether(3, 10, 8) == 2
    assert pooled_ether_by_shares(3, 10, 8) == 3
    assert share_rate(10, 8) == 125 * 10**25


def test_a_report_by_hand() -> None:
    pool = StEth(100 * ETHER, {"a": 100 * ETHER})
    # 10 ether of rewards, 1 of them the fee: x / (100 + x) of 110 is 1, so x = 100 / 109.
    assert pool.rebase(6 * ETHER, 4 * ETHER) == 100 * ETHER // 109
    assert pool.total_pooled_ether == 110 * ETHER
    assert pool.balance_of("a") == 109 * ETHER
    assert ETHER - 2 <= pool.balance_of("treasury") <= ETHER


def test_no_fee_on_a_loss() -> None:
    """LIP-12: execution rewards do not pay a fee when the validators lost."""
    pool = StEth(100 * ETHER, {"a": 60 * ETHER, "b": 40 * ETHER})
    assert pool.rebase(-3 * ETHER, ETHER) == 0
    assert pool.shares == {"a": 60 * ETHER, "b": 40 * ETHER}
    assert (pool.balance_of("a"), pool.balance_of("b")) == (588 * ETHER // 10, 392 * ETHER // 10)


@given(pools(), st.integers(-(10**9), 10**26), st.integers(0, 10**24))
def test_a_rebase_moves_no_holder_s_shares(pool: StEth, change: int, execution: int) -> None:
    before, ether = dict(pool.shares), pool.total_pooled_ether
    minted = pool.rebase(change, execution)
    assert {owner: pool.shares[owner] for owner in before} == before
    assert pool.total_shares == sum(before.values()) + minted
    assert pool.total_pooled_ether == ether + change + execution
    assert sum(pool.balance_of(owner) for owner in pool.shares) <= pool.total_pooled_ether


@given(totals, st.integers(1, 10**24), totals, st.sampled_from([0, 500, PROTOCOL_FEE, 9_999]))
def test_fee_shares_are_worth_the_fee(ether: int, rewards: int, shares: int, fee: int) -> None:
    minted = shares_minted_as_fees(rewards, ether + rewards, shares, fee)
    due = Fraction(rewards * fee, 10_000)

    def worth(count: int) -> Fraction:
        return Fraction(count * (ether + rewards), shares + count)

    assert worth(minted) <= due < worth(minted + 1)


@given(pools(), st.integers(1, 10**25))
def test_the_one_or_two_wei_of_a_transfer(pool: StEth, amount: int) -> None:
    amount = min(amount, pool.balance_of("a"))
    sender, recipient = pool.balance_of("a"), pool.balance_of("b")
    total = pool.total_shares
    pool.transfer("a", "b", amount)
    assert 0 <= amount - (pool.balance_of("b") - recipient) <= 2
    assert 0 <= amount - (sender - pool.balance_of("a")) <= 2
    assert pool.total_shares == total


@given(pools(), st.integers(1, 10**25))
def test_shares_move_exactly(pool: StEth, shares: int) -> None:
    shares = min(shares, pool.shares["a"])
    before = dict(pool.shares)
    pool.transfer_shares("a", "b", shares)
    assert pool.shares == {"a": before["a"] - shares, "b": before["b"] + shares}


@given(pools(), st.integers(1, 10**25))
def test_staking_and_leaving_never_gains(pool: StEth, ether: int) -> None:
    rate = Fraction(pool.total_pooled_ether, pool.total_shares)
    minted = pool.submit("new", ether)
    assert pool.balance_of("new") <= ether
    assert pool.withdraw("new", minted) <= ether
    assert Fraction(pool.total_pooled_ether, pool.total_shares) >= rate


@given(pools(), st.integers(2, 10**25))
def test_wrapping_never_gains(pool: StEth, amount: int) -> None:
    amount = min(amount, pool.balance_of("a"))
    wrapper = WstEth(pool)
    before, total = pool.shares["a"], pool.total_shares
    wrapped = wrapper.wrap("a", amount)
    assume(wrapped > 0)
    assert wrapped == before - pool.shares["a"]
    assert wrapper.unwrap("a", wrapped) <= amount
    assert before - 2 <= pool.shares["a"] <= before
    # The wrapper always has the shares it owes.
    assert pool.shares[wrapper.address] >= sum(wrapper.balances.values())
    assert pool.total_shares == total


@given(pools(), st.integers(1, 10**24))
def test_wrapped_balances_do_not_rebase(pool: StEth, rewards: int) -> None:
    wrapper = WstEth(pool)
    wrapped, rate = wrapper.wrap("a", pool.balance_of("a")), wrapper.steth_per_token()
    pool.rebase(rewards)
    assert wrapper.balances["a"] == wrapped
    assert wrapper.steth_per_token() >= rate


def test_a_request_shares_a_loss_but_not_a_gain() -> None:
    for change, paid in ((-10 * ETHER, 45 * ETHER), (10 * ETHER, 50 * ETHER)):
        pool = StEth(100 * ETHER, {"queue": 50 * ETHER, "b": 50 * ETHER}, fee=0)
        pool.rebase(change)
        assert pool.withdraw("queue", 50 * ETHER, requested=50 * ETHER) == paid
        assert pool.total_pooled_ether == 100 * ETHER + change - paid


def test_burning_shares_pays_the_others() -> None:
    pool = StEth(100 * ETHER, {"insurance": 20 * ETHER, "b": 80 * ETHER})
    assert pool.burn_shares("insurance", 20 * ETHER) == 20 * ETHER
    assert pool.balance_of("b") == 100 * ETHER


def test_apr_by_hand() -> None:
    # 100 ether on 80 shares to 110 on 82 in a day: (110/82) / (100/80) - 1 = 0.0731707...
    expected = (Fraction(110, 82) / Fraction(100, 80) - 1) * 365
    found = rebase_apr(100, 80, 110, 82, DAY)
    assert abs(Fraction(found) - expected) < Fraction(1, 10**50)
    assert gross_apr(100, 110, 365 * DAY) == Decimal("0.1")
    assert rebase_apr(100, 80, 90, 80, 365 * DAY) == Decimal("-0.1")


@given(pools(), st.integers(10**6, 10**22), st.integers(1, 10**7))
def test_the_holder_s_apr_is_the_gross_one_less_the_fee(
    pool: StEth, rewards: int, seconds: int
) -> None:
    ether, shares = pool.total_pooled_ether, pool.total_shares
    pool.rebase(rewards)
    net = rebase_apr(ether, shares, pool.total_pooled_ether, pool.total_shares, seconds)
    gross = gross_apr(ether, pool.total_pooled_ether, seconds)
    # Fee shares round down: the holder is ahead by less than one share's part of the pool.
    ahead = Fraction(net) - Fraction(gross) * Fraction(9, 10)
    part = Fraction(pool.total_pooled_ether, shares * ether) * Fraction(31_536_000, seconds)
    assert -Fraction(1, 10**30) <= ahead <= part


def test_reth_by_hand() -> None:
    # 115 ether behind 100 rETH: 1 rETH is 1.15 ether, 1 ether 0.8695... rETH.
    assert reth_value(ETHER, 115 * ETHER, 100 * ETHER) == 115 * ETHER // 100
    assert reth_minted(ETHER, 115 * ETHER, 100 * ETHER) == 100 * ETHER // 115
    # A 0.05% deposit fee comes off first: 2,000 become 1,999.
    assert reth_minted(2_000, 1, 1, deposit_fee=5) == 1_999
    assert (reth_value(5, 0, 0), reth_minted(5, 0, 0)) == (5, 5)


@given(st.integers(0, 10**26), totals, totals)
def test_reth_round_trip_never_gains(ether: int, total: int, supply: int) -> None:
    minted = reth_minted(ether, total, supply)
    assert reth_value(minted, total + ether, supply + minted) <= ether


def test_the_peg_by_hand() -> None:
    market, value = Decimal("0.98"), Decimal(1)
    assert discount(market, value) == Decimal("0.02")
    assert discount(Decimal("1.02"), value) == Decimal("-0.02")
    # 2/98 in 5 days, 73 times a year.
    simple = discount_return(market, value, Decimal(5))
    assert abs(Fraction(simple) - Fraction(2, 98) * 73) < Fraction(1, 10**50)
    compounded = discount_apy(market, value, Decimal(5))
    assert abs(Fraction(compounded) - (Fraction(100, 98) ** 73 - 1)) < Fraction(1, 10**50)


def test_an_emptied_pool_starts_anew() -> None:
    pool = StEth()
    assert (pool.balance_of("a"), pool.submit("a", 7)) == (0, 7)
    assert pool.withdraw("a", 7) == 7
    assert pool.submit("b", 5) == 5


@pytest.mark.parametrize(
    "impossible",
    [
        lambda: shares_by_pooled_ether(1, 0, 0),
        lambda: shares_by_pooled_ether(-1, 1, 1),
        lambda: shares_by_pooled_ether(1 << 200, 1, 1 << 200),
        lambda: pooled_ether_by_shares(1, 1, 0),
        lambda: pooled_ether_by_shares(2, MAX, 1),
        lambda: shares_minted_as_fees(2, 1, 1),
        lambda: shares_minted_as_fees(1, 1, 1, 10_000),
        lambda: StEth().submit("a", 0),
        lambda: StEth().submit("a", -1),
        lambda: StEth().rebase(1),
        lambda: StEth(1, {"a": 1}).rebase(-2),
        lambda: StEth(1, {"a": 1}).rebase(0, -1),
        lambda: StEth(0, {"a": 1}).submit("b", 1),
        lambda: StEth(2, {"a": 2}).transfer("a", "b", 3),
        lambda: StEth(2, {"a": 2}).transfer("a", "b", -1),
        lambda: StEth(2, {"a": 2}).burn_shares("a", 3),
        lambda: StEth(2, {"a": 2}).withdraw("a", 1, requested=-1),
        lambda: WstEth(StEth(2, {"a": 2})).wrap("a", 0),
        lambda: WstEth(StEth(2, {"a": 2})).unwrap("a", 1),
        lambda: reth_minted(1, 0, 1),
        lambda: reth_minted(1, 1, 1, deposit_fee=10_000),
        lambda: reth_value(-1, 1, 1),
        lambda: rebase_apr(1, 1, 1, 1, 0),
        lambda: rebase_apr(0, 1, 1, 1, DAY),
        lambda: discount(Decimal(0), Decimal(1)),
        lambda: discount_return(Decimal(1), Decimal(1), Decimal(0)),
    ],
)
def test_impossible_figures_are_refused(impossible: Callable[[], object]) -> None:
    with pytest.raises(MathError):
        impossible()
