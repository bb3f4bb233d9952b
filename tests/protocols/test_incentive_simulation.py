"""The simulation against its closed forms, and conservation to the unit."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal, localcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from denizen.protocols import MathError
from denizen.protocols.incentive_simulation import (
    Farmer,
    Market,
    Mercenary,
    Pair,
    Sticky,
    World,
    arbitrage,
    closed_form_profit,
    random_prices,
    simulate,
    within_band,
)
from denizen.protocols.incentives import Constant, GeometricDecay, Halving, LinearDecay
from denizen.protocols.uniswap_v2 import get_amount_out

D = Decimal
WAD = 10**18
WEEKS = 52


@pytest.fixture(autouse=True, scope="module")
def wide_context() -> Iterator[None]:
    """The tests' own arithmetic needs as many digits as the engine's."""
    with localcontext() as context:
        context.prec = 60
        yield


def flat(epochs: int, price: int = 2000 * WAD, noise: int = 0) -> Market:
    """An unmoving price and a reward token worth one."""
    return Market([price] * epochs, [WAD] * epochs, noise)


# (a) Farmers without costs: TVL = yearly rewards / outside rate.


@given(
    st.integers(1, 10**6),
    st.decimals("0.01", "2", places=2),
    st.integers(1, 5),
    st.integers(0, 2**32),
)
@settings(max_examples=30)
def test_farmers_bring_tvl_to_rewards_over_rate(
    weekly: int, rate: Decimal, farmers: int, seed: int
) -> None:
    wanted = weekly * WAD * WEEKS / rate
    agents = [Farmer(f"f{i}", int(wanted) + WAD, rate) for i in range(farmers)]
    records = simulate(flat(5), Constant(weekly * WAD, 5), agents, seed).records
    for record in records:
        assert abs(record.tvl / wanted - 1) < D("1e-12")
        assert record.apr is not None and abs(record.apr - rate) < D("1e-10")


@given(st.decimals("0.1", "0.9", places=2))
@settings(max_examples=10)
def test_slow_farmers_close_the_gap_geometrically(speed: Decimal) -> None:
    wanted = 1000 * WAD * WEEKS / D("0.1")
    farmer = Farmer("f", int(wanted) * 2, D("0.1"), speed=speed)
    records = simulate(flat(12), Constant(1000 * WAD, 12), [farmer], 1).records
    for record in records:
        gap = (1 - speed) ** (record.epoch + 1)
        assert abs(1 - record.tvl / wanted - gap) < D("1e-12")


def test_farmers_with_little_capital_leave_a_higher_apr() -> None:
    farmer = Farmer("f", 52_000 * WAD, D("0.1"))
    record = simulate(flat(1), Constant(1000 * WAD, 1), [farmer], 1).records[0]
    # 52,000 a year on 52,000: 100%.
    assert record.apr is not None and abs(record.apr - 1) < D("1e-12")


def test_threshold_and_cost_make_a_band_of_rest() -> None:
    # Outside 10%, threshold 2%, 52 bps a move over 26 epochs is 1.04% a year.
    farmer = Farmer("f", 10**9 * WAD, D("0.1"), D("0.02"), 52, 26)
    schedule = GeometricDecay(1000 * WAD, 98, 100, 40)
    records = simulate(flat(40), schedule, [farmer], 1).records
    yearly = [record.reward_value * WEEKS for record in records]
    # It enters to where the APR pays for all three, then rests until it is below what staying
    # is worth, and from there gives way as the rewards fall.
    assert abs(yearly[0] / D(records[0].tvl) - D("0.1304")) < D("1e-9")
    least = [income / D("0.1304") for income in yearly]
    most = [income / D("0.0696") for income in yearly]
    for record, low, high in zip(records, least, most, strict=True):
        assert low * (1 - D("1e-9")) <= record.tvl <= high * (1 + D("1e-9"))
    resting = [r for r, high in zip(records, most, strict=True) if r.tvl < high * D("0.999")]
    assert len({record.tvl for record in resting}) == 1 and len(resting) > 10
    assert records[-1].tvl < records[0].tvl


# (b) Sticky LPs only: constant TVL, exact split.


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=6), st.integers(0, 2**32))
@settings(max_examples=30)
def test_sticky_lps_stay_and_split_exactly(parts: list[int], seed: int) -> None:
    agents = [Sticky(f"s{i}", part * WAD) for i, part in enumerate(parts)]
    result = simulate(flat(8), Constant(997 * WAD + 1, 6), agents, seed)
    assert len({record.tvl for record in result.records}) == 1
    total = 6 * (997 * WAD + 1)
    assert sum(result.accounts[a.name].reward for a in agents) == total
    for agent in agents:
        share = result.accounts[agent.name].reward / D(total)
        assert abs(share - D(agent.capital) / (sum(parts) * WAD)) < D("1e-12")
    assert result.records[-1].tvl_by_kind == {"sticky": result.records[-1].tvl}


def test_equal_sticky_lps_get_equal_rewards() -> None:
    agents = [Sticky("a", 10**24), Sticky("b", 10**24), Sticky("c", 2 * 10**24)]
    result = simulate(flat(4), Constant(4 * 10**18, 4), agents, 3)
    got = [result.accounts[name].reward for name in "abc"]
    # The first into the pair loses 1,000 LP units to it, of about 10^22.
    assert all(abs(g - e) <= 10**4 for g, e in zip(got, [4 * WAD, 4 * WAD, 8 * WAD], strict=True))


# (c) Mercenary capital leaves the epoch after rewards end.


@given(st.integers(1, 8), st.integers(0, 2**32))
@settings(max_examples=20)
def test_mercenaries_leave_when_rewards_end(epochs: int, seed: int) -> None:
    agents = [
        Sticky("s", 10**5 * WAD),
        Mercenary("m", 10**6 * WAD, D("0.2"), D("0.1")),
        Mercenary("n", 10**5 * WAD, D("0.2"), D("0.1")),
    ]
    result = simulate(flat(epochs + 3), Constant(10**5 * WAD, epochs), agents, seed)
    for record in result.records:
        inside = record.tvl_by_kind["mercenary"]
        assert (inside > 10**6 * WAD) == (record.epoch < epochs)
        assert (inside == 0) == (record.epoch >= epochs)
    # What is retained is the sticky capital, and all rewards were paid for it.
    assert abs(result.retained_tvl() - 10**5 * WAD) < WAD
    assert abs(result.cost_per_retained() - epochs) < D("1e-6")
    assert result.accounts["m"].shares == 0


def test_mercenaries_leave_when_the_apr_falls() -> None:
    # 1,000 a week on 1,000,000 is 5.2%; halved each week it falls below 1% in week 3.
    mercenary = Mercenary("m", 10**6 * WAD, D("0.05"), D("0.01"))
    records = simulate(flat(6), Halving(1000 * WAD, 1, 6), [mercenary], 1).records
    assert [bool(record.tvl) for record in records] == [True, True, True, False, False, False]
    too_low = Mercenary("m", 10**6 * WAD, D("0.06"), D("0.01"))
    assert simulate(flat(6), Constant(1000 * WAD, 6), [too_low], 1).records[0].tvl == 0


# (d) Arbitrage on a v2 pool.

reserves = st.integers(10**12, 10**26)
relative = st.decimals("0.2", "5", places=4)


@given(reserves, reserves, relative)
def test_arbitrage_earns_the_closed_form(base: int, quote: int, ratio: Decimal) -> None:
    pair = Pair(base, quote, 10**6)
    price = int(ratio * quote * WAD / base)
    if not price:
        return
    exact = closed_form_profit(base, quote, D(price) / WAD)
    # Rounding: two raw units of quote and the value of one of base; and what the optimum loses
    # when moved to a whole unit, which is smaller.
    slack = 3 + D(2 * price) / WAD
    trade = arbitrage(pair, price)
    assert abs((trade.profit if trade else 0) - exact) <= slack
    if trade is None:
        return
    before = base * quote
    assert pair.swap(trade.sells_base, trade.amount_in) == trade.amount_out
    assert pair.base * pair.quote > before
    # It ends in the band, at the edge it came to but for the fee it left there.
    left, right = pair.quote * WAD / D(pair.base), D(price)
    edge = right / D("0.997") if trade.sells_base else right * D("0.997")
    tolerance = D("0.01") + slack * 10 / D(min(base, quote))
    inside = (edge - left) / edge if trade.sells_base else (left - edge) / edge
    assert -tolerance / 100 <= inside <= tolerance
    again = arbitrage(pair, price)
    assert again is None or again.profit <= slack


@given(reserves, reserves, relative)
def test_last_unit_of_an_arbitrage_earns_nothing(base: int, quote: int, ratio: Decimal) -> None:
    # At the optimum one ten-thousandth more or less earns less: the marginal price is P.
    price = int(ratio * quote * WAD / base)
    trade = arbitrage(Pair(base, quote, 10**6), price) if price else None
    if trade is None or trade.amount_in < 10**8:
        return
    for amount in (trade.amount_in * 9999 // 10_000, trade.amount_in * 10_001 // 10_000):
        if trade.sells_base:
            other = D(get_amount_out(amount, base, quote)) - D(amount) * price / WAD
        else:
            other = D(get_amount_out(amount, quote, base)) * price / WAD - amount
        assert other <= trade.profit + 3 + D(2 * price) / WAD


@given(st.integers(1000, 5000), st.integers(1000, 5000), relative)
@settings(max_examples=30, deadline=None)
def test_no_trade_of_a_small_pair_beats_it(base: int, quote: int, ratio: Decimal) -> None:
    price = max(int(ratio * quote * WAD / base), 1)
    trade = arbitrage(Pair(base, quote, 10**6), price)
    sells = max(get_amount_out(i, base, quote) - -(-i * price // WAD) for i in range(1, base * 2))
    buys = max(get_amount_out(i, quote, base) * price // WAD - i for i in range(1, quote * 2))
    best = max(sells, buys, 0)
    assert best - 2 - D(2 * price) / WAD <= (trade.profit if trade else 0) <= best


@given(reserves, reserves, relative)
def test_inside_the_band_nothing_pays(base: int, quote: int, ratio: Decimal) -> None:
    price = int(ratio * quote * WAD / base)
    pair = Pair(base, quote, 10**6)
    if price and within_band(pair, price):
        assert arbitrage(pair, price) is None
        # The price is known to 18 digits, so at the edge a hair's breadth is left.
        assert closed_form_profit(base, quote, D(price) / WAD) < D(quote) / 10**30


def test_arbitrage_by_hand() -> None:
    # 100 and 100 at an outside price of 4: (sqrt(400) - sqrt(100 / 0.997))^2, that is
    # (20 - 10.015034)^2 = 9.984966^2; without the fee it would be 100.
    exact = closed_form_profit(100, 100, D(4))
    assert exact.quantize(D("0.0001")) == D("99.6995")
    assert closed_form_profit(100, 100, D("1.003")) == 0
    assert closed_form_profit(100, 100, D("1.0031")) > 0
    pair = Pair(10**20, 10**20, 10**6)
    trade = arbitrage(pair, 4 * WAD)
    assert trade is not None and not trade.sells_base
    assert abs(trade.profit - exact * WAD) < 10


def test_pool_follows_the_outside_price() -> None:
    market = Market(random_prices(2000 * WAD, 60, 400, 9), [WAD] * 60, 10**3 * WAD)
    world = World(market, Constant(WAD, 60), [Sticky("s", 10**6 * WAD)], 4)
    for _ in range(60):
        record = world.step()
        assert abs(record.pool_price / D(record.price) - 1) < D("0.00302")
        assert world.ledger.pair.supply and within_band(world.ledger.pair, record.price)
    account = world.ledger.house["arbitrageur"]
    assert account.base == 0 and account.quote > 0


# (e) Rewards paid are the schedule's closed form, to the unit; nothing is made or lost.


def crowd() -> list[Sticky | Farmer | Mercenary]:
    """Every class, with costs and thresholds."""
    farmers = [
        Farmer(f"f{i}", i * 10**5 * WAD, D("0.05"), D("0.01") * i, 5 * i, 8, D("0.5"))
        for i in range(1, 5)
    ]
    return [
        Sticky("s", 10**6 * WAD, 10),
        Mercenary("m", 10**6 * WAD, D("0.3"), D("0.1"), 10),
        *farmers,
    ]


@pytest.mark.parametrize(
    "schedule",
    [
        Constant(10_000 * WAD + 7, 25),
        LinearDecay(10_000 * WAD, 333 * WAD + 1, 30),
        GeometricDecay(20_000 * WAD, 10**18, 1_189_207_115_002_721_024, 25),
        Halving(30_000 * WAD + 5, 4, 30),
    ],
)
def test_everything_is_conserved(
    schedule: Constant | LinearDecay | GeometricDecay | Halving,
) -> None:
    market = Market(random_prices(2000 * WAD, 40, 300, 5), [2 * WAD] * 40, 10**5 * WAD)
    world = World(market, schedule, crowd(), 11)
    start = world.ledger.totals()
    assert start == (0, sum(agent.capital for agent in crowd()), schedule.total())
    paid = 0
    for _ in market.prices:
        record = world.step()
        paid += record.rewards
        assert world.ledger.totals() == start
        assert sum(record.tvl_by_kind.values()) == record.tvl
        assert all(a.quote >= 0 and a.base == 0 for a in world.ledger.agents.values())
        shares = sum(a.shares for a in world.ledger.agents.values())
        assert shares + 1000 == world.ledger.pair.supply
    assert paid == schedule.total() and world.undistributed == 0
    assert sum(a.reward for a in world.ledger.agents.values()) == schedule.total()
    assert world.ledger.house["treasury"].reward == 0


def test_rewards_nobody_staked_for_stay_in_the_treasury() -> None:
    mercenary = Mercenary("m", 10**6 * WAD, D(9), D(9))
    result = simulate(flat(4), Constant(5, 3), [mercenary], 1)
    assert (result.rewards_paid, result.undistributed) == (0, 15)
    assert result.accounts["treasury"].reward == 15
    assert result.records[0].apr is None


def test_traders_losses_are_the_lps_and_arbitrageurs_gains() -> None:
    # At an unmoving price every unit a trader loses is the pool's or the arbitrageur's.
    result = simulate(flat(30, noise=10**5 * WAD), Constant(WAD, 1), [Sticky("s", 10**7 * WAD)], 2)
    lost = sum(record.noise_loss for record in result.records)
    taken = sum(record.arbitrage_profit for record in result.records)
    assert -result.accounts["traders"].quote == lost > taken > 0
    assert result.accounts["arbitrageur"].quote == taken
    grown = result.records[-1].tvl - 10**7 * WAD
    # Rounding: a raw unit of base is worth 2,000, at most five times an epoch.
    assert abs(grown - (lost - taken)) < 30 * 5 * 2000
    assert all(record.fees > 0 for record in result.records)


def test_same_seed_same_result() -> None:
    prices = random_prices(2000 * WAD, 30, 300, 5)
    assert prices == random_prices(2000 * WAD, 30, 300, 5) != random_prices(2000 * WAD, 30, 300, 6)
    market = Market(prices, [WAD] * 30, 10**5 * WAD)
    first, again, other = (
        simulate(market, Constant(10_000 * WAD, 20), crowd(), seed) for seed in (8, 8, 9)
    )
    assert first == again
    assert first.records != other.records


def test_result_does_not_depend_on_the_callers_context() -> None:
    market = flat(6, noise=10**4 * WAD)
    plain = simulate(market, Constant(10_000 * WAD, 4), crowd(), 8)
    with localcontext() as context:
        context.prec = 4
        assert simulate(market, Constant(10_000 * WAD, 4), crowd(), 8) == plain


@pytest.mark.parametrize(
    "call",
    [
        lambda: Market([], []),
        lambda: Market([1, 0], [1, 1]),
        lambda: Market([1], [1, 1]),
        lambda: Market([1], [1], -1),
        lambda: simulate(flat(3), Constant(1, 4), [Sticky("s", 1)], 1),
        lambda: simulate(flat(3), Constant(1, 3), [], 1),
        lambda: simulate(flat(3), Constant(1, 3), [Sticky("s", 1), Sticky("s", 1)], 1),
        lambda: simulate(flat(3), Constant(1, 3), [Sticky("outside", 1)], 1),
        lambda: simulate(flat(1), Constant(1, 1), [Sticky("s", 1 << 120)], 1),
        lambda: simulate(flat(3), Constant(1, 3), [Sticky("s", WAD)], 1).retained_tvl(),
        lambda: simulate(flat(3), Constant(1, 2), [Sticky("s", WAD)], 1).cost_per_retained(9**99),
        lambda: Sticky("s", 0),
        lambda: Farmer("f", 1, D(0)),
        lambda: Farmer("f", 1, D("0.1"), speed=D(2)),
        lambda: Mercenary("m", 1, D("0.1"), D("0.2")),
        lambda: Sticky("s", 1, 10_000),
        lambda: random_prices(0, 5, 5, 5),
        lambda: arbitrage(Pair(5, 5, 5), 0),
        lambda: closed_form_profit(0, 5, D(1)),
        lambda: Pair().price(),
        lambda: Pair(10**9, 10**9, 2000).burn(1001),
    ],
)
def test_impossible_figures_are_refused(call: object) -> None:
    with pytest.raises(MathError):
        call()  # type: ignore[operator]
