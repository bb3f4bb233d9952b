"""Incentives against real bytecode's figures, closed forms, and conservation to the unit."""

from __future__ import annotations

import random
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from denizen.evm import Machine, Package, Revert, artefact, creation_code
from denizen.evm.abi import calldata, decode
from denizen.evm.machine import SENDER
from denizen.protocols import MathError
from denizen.protocols import incentives as inc
from denizen.protocols.incentives import WEEK, Lock, MasterChef, StakingRewards

D = Decimal
WAD = 10**18
YEAR = 365 * 86_400
STAKER = Package(
    "@uniswap/liquidity-staker",
    "1.0.2",
    "712ffe7d2673e5409bc916ca5f51838dc625904741d3850d2779412c0e781a70",
    "GPL-3.0-or-later",
)
amounts = st.integers(0, 10**27)


def test_master_chef_figures_of_the_real_contract() -> None:
    # MasterChef.sol of @sushiswap/core 1.4.2, compiled by solc 0.6.12 and run in the EVM.
    chef = MasterChef(7 * WAD + 3, start_block=1010, bonus_end_block=1050, bonus_multiplier=10)
    pool, other = chef.add(3, 1000), chef.add(1, 1000)
    chef.deposit(pool, "a", WAD + 7, 1020)
    chef.deposit(pool, "b", 3 * 10**12 + 1, 1040)
    assert chef.pending(pool, "a", 1063) == 1_643_248_220_255_338_011_502
    assert chef.pending(pool, "b", 1063) == 1_779_744_660_766_611
    assert chef.withdraw(pool, "a", 10**17, 1063) == 1_643_248_220_255_338_011_502
    chef.set_alloc_point(other, 5, 1063)
    assert chef.pending(pool, "a", 1100) == 97_124_676_251_078_700_756
    assert chef.deposit(pool, "b", 0, 1100) == 2_103_493_581_603_648


chef_moves = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(-(10**24), 10**24), st.integers(0, 1000)),
    max_size=25,
)


@given(chef_moves, st.integers(1, 10**21))
def test_master_chef_never_pays_more_than_it_emits(
    moves: list[tuple[str, int, int]], rate: int
) -> None:
    chef, block, paid = MasterChef(rate), 0, 0
    chef.add(1, 0)
    for user, amount, wait in moves:
        block += wait
        if amount >= 0:
            paid += chef.deposit(0, user, amount, block)
        else:
            held = chef.pools[0].users.get(user, (0, 0))[0]
            paid += chef.withdraw(0, user, min(-amount, held), block)
        assert chef.pools[0].staked == sum(a for a, _ in chef.pools[0].users.values())
    owed = sum(chef.pending(0, user, block) for user in "abc")
    assert paid + owed <= rate * block


def test_master_chef_refusals_change_nothing() -> None:
    chef = MasterChef(10)
    chef.add(1, 0)
    chef.deposit(0, "a", 5, 1)
    before = repr(chef)
    with pytest.raises(MathError):
        chef.withdraw(0, "a", 6, 9)
    with pytest.raises(MathError):
        chef.deposit(1, "a", 1, 9)
    with pytest.raises(MathError):
        chef.deposit(0, "a", 1 << 255, 9)
    assert repr(chef) == before
    # Without any allocation points pool 1, which is staked in, cannot be updated: neither may 0.
    both = MasterChef(10)
    both.add(1, 0)
    both.add(0, 0)
    both.deposit(1, "a", 5, 1)
    both.set_alloc_point(0, 0, 2)
    before = repr(both)
    with pytest.raises(MathError, match="allocation"):
        both.set_alloc_point(0, 1, 9)
    assert repr(both) == before
    assert chef.emergency_withdraw(0, "a") == 5
    assert chef.pending(0, "a", 99) == 0


def test_staking_rewards_stream_and_leftover() -> None:
    # 700 over 7 s is 100 a second; after 3 s, 300 more: (300 + 4 x 100) / 7 = 100 a second again.
    pool = StakingRewards(7)
    pool.fund(1000)
    pool.stake("a", 1, 0)
    pool.notify_reward_amount(700, 0)
    pool.stake("b", 3, 2)
    pool.notify_reward_amount(300, 3)
    assert (pool.reward_rate, pool.period_finish) == (100, 10)
    assert (pool.earned("a", 4), pool.earned("b", 4)) == (250, 150)
    assert pool.get_reward("a", 50) + pool.get_reward("b", 50) == 1000
    with pytest.raises(MathError, match="too high"):
        pool.notify_reward_amount(7, 60)


def test_staking_rewards_of_an_empty_pool_are_lost() -> None:
    # Documented behaviour: nothing accrues while nothing is staked, and it is not carried over.
    pool = StakingRewards(10)
    pool.fund(100)
    pool.notify_reward_amount(100, 0)
    pool.stake("a", 5, 4)
    assert pool.earned("a", 100) == 60


@given(chef_moves, st.integers(1, 10**24))
def test_staking_rewards_stay_funded(moves: list[tuple[str, int, int]], reward: int) -> None:
    pool, now, paid = StakingRewards(5000), 0, 0
    pool.fund(reward)
    pool.notify_reward_amount(reward, 0)
    for user, amount, wait in moves:
        now += wait
        if amount > 0:
            pool.stake(user, amount, now)
        elif held := min(-amount, pool.balances.get(user, 0)):
            pool.withdraw(user, held, now)
        else:
            paid += pool.get_reward(user, now)
    assert paid + sum(pool.earned(u, now) for u in "abc") <= pool.reward_rate * min(now, 5000)
    assert pool.reward_balance == reward - paid
    assert sum(pool.balances.values()) == pool.total_supply


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_staking_rewards_is_the_contract(seed: int) -> None:
    """Random calls on Uniswap's build of StakingRewards: all state equal, refusals included."""
    rng, machine = random.Random(seed), Machine(timestamp=1_700_000_000)
    token_code = creation_code(artefact(STAKER, "build/TestERC20.json"))
    stake, reward = (machine.deploy(token_code, ["uint256"], [0]) for _ in range(2))
    code = creation_code(artefact(STAKER, "build/StakingRewards.json"))
    pool = machine.deploy(code, ["address"] * 3, [SENDER, reward, stake])
    users = ["0x" + f"a{i}" * 20 for i in range(3)]
    for user in users:
        machine.call(stake, calldata("mint(address,uint256)", user, 10**30))
        machine.call(stake, calldata("approve(address,uint256)", pool, 2**256 - 1), sender=user)

    def read(signature: str, *values: object, at: str = pool) -> int:
        return int(decode(["uint256"], machine.trial(at, calldata(signature, *values)))[0])

    ours = StakingRewards(read("rewardsDuration()"))
    now, refused = machine.timestamp, 0
    for _ in range(60):
        now += rng.choice([0, 1, 13, 86_400, 86_400 * 25])
        machine.warp(now)
        user, amount = rng.choice(users), rng.choice([0, 1, 7, 10**18, rng.getrandbits(84)])
        name = rng.choice(["stake", "stake", "withdraw", "getReward", "notify", "fund"])
        calls = {
            "stake": ("stake(uint256)", (amount,), lambda: ours.stake(user, amount, now)),  # noqa: B023
            "withdraw": ("withdraw(uint256)", (amount,), lambda: ours.withdraw(user, amount, now)),  # noqa: B023
            "getReward": ("getReward()", (), lambda: ours.get_reward(user, now)),  # noqa: B023
            "notify": (
                "notifyRewardAmount(uint256)",
                (amount,),
                lambda: ours.notify_reward_amount(amount, now),  # noqa: B023
            ),
        }
        if name == "fund":
            machine.call(reward, calldata("mint(address,uint256)", pool, amount))
            ours.fund(amount)
        else:
            signature, values, mine = calls[name]
            sender = SENDER if name == "notify" else user
            try:
                machine.call(pool, calldata(signature, *values), sender=sender)
            except Revert:
                refused += 1
                with pytest.raises(MathError):
                    mine()
            else:
                mine()
        state = [ours.reward_rate, ours.period_finish, ours.last_update, ours.stored]
        state += [ours.total_supply, ours.reward_balance, ours.reward_per_token(now)]
        getters = ["rewardRate", "periodFinish", "lastUpdateTime", "rewardPerTokenStored"]
        theirs = [read(f"{name}()") for name in [*getters, "totalSupply"]]
        theirs += [read("balanceOf(address)", pool, at=reward), read("rewardPerToken()")]
        assert state == theirs
        for user in users:
            assert ours.earned(user, now) == read("earned(address)", user)
    assert 0 < refused < 60


schedules = st.one_of(
    st.builds(inc.Constant, amounts, st.integers(1, 60)),
    st.builds(
        lambda last, step, n: inc.LinearDecay(last + step * (n - 1), step, n),
        amounts,
        st.integers(0, 10**24),
        st.integers(1, 60),
    ),
    st.builds(
        lambda first, top, more, n: inc.GeometricDecay(first, top, top + more, n),
        amounts,
        st.integers(1, 10**18),
        st.integers(1, 10**18),
        st.integers(1, 60),
    ),
    st.builds(inc.Halving, amounts, st.integers(1, 20), st.integers(1, 200)),
)


@given(schedules)
def test_total_is_the_sum_to_the_unit(schedule: inc.Schedule) -> None:
    parts = [schedule.amount(i) for i in range(-2, schedule.epochs + 3)]
    assert sum(parts) == schedule.total()
    assert min(parts) >= 0
    assert parts[:2] == [0, 0] and parts[-3:] == [0, 0, 0]


def test_known_totals() -> None:
    # Bitcoin's supply limit is 20,999,999.9769 coins (33 halvings of 210,000 blocks).
    assert inc.Halving(50 * 10**8, 210_000, 210_000 * 34).total() == 2_099_999_997_690_000
    # Halving by epochs without rounding: 1/2 + 1/4 + ... of 2^64.
    assert inc.GeometricDecay(2**63, 1, 2, 64).total() == 2**64 - 1
    assert inc.LinearDecay(100, 10, 11).total() == 550


def test_crv_supply() -> None:
    crv = inc.CrvEmission()
    # Curve's documentation: 274,815,283 CRV in the first year, 3.03 billion in the end.
    first = crv.mintable(0, YEAR)
    assert 274_815_283 * WAD - YEAR < first <= 274_815_283 * WAD
    # Four years halve the rate, but for the 16 digits of the coefficient.
    assert abs(2 * crv.rate(4) - crv.rate(0)) < crv.rate(0) // 10**15
    limit = crv.available_supply(400 * YEAR)
    assert 3_030_303_031 * WAD < limit < 3_030_303_033 * WAD
    assert crv.available_supply(0) == 1_303_030_303 * WAD


@given(st.lists(st.integers(0, 12 * YEAR), min_size=3, max_size=3).map(sorted))
def test_crv_timeframes_add_up(times: list[int]) -> None:
    crv, (a, b, c) = inc.CrvEmission(), times
    assert crv.mintable(a, b) + crv.mintable(b, c) == crv.mintable(a, c)


def test_lock_by_hand() -> None:
    # Curve's guide: 1,000 CRV for a year are 250 veCRV.  Unlocks fall on a Thursday.
    now = 1_700_006_400 // WEEK * WEEK
    lock = Lock.create(1000 * WAD, now + YEAR, now)
    assert lock.end % WEEK == 0 and now + YEAR - WEEK < lock.end <= now + YEAR
    weeks = (lock.end - now) // WEEK
    assert abs(lock.voting_power(now) - 1000 * WAD * weeks * 7 // (4 * 365)) < WAD // 10**9
    assert 249 * WAD < lock.voting_power(now) <= 250 * WAD
    assert lock.voting_power(lock.end) == lock.voting_power(lock.end + 1) == 0


@given(st.integers(1, 10**27), st.integers(0, 10**9), st.integers(WEEK, 4 * YEAR))
def test_voting_power_falls_in_a_straight_line(amount: int, now: int, term: int) -> None:
    assume((now + term) // WEEK * WEEK > now)
    lock = Lock.create(amount, now + term, now)
    half = (now + lock.end) // 2
    assert lock.voting_power(now) <= amount
    assert lock.voting_power(now) - lock.voting_power(half) == lock.slope * (half - now)
    more = lock.increase_amount(amount, now)
    assert more.voting_power(now) >= 2 * lock.voting_power(now)


def test_boost_by_hand() -> None:
    # Curve's guide: 10,000 of 500,000,000 with 2,500,000 veCRV in all; 50 veCRV reach 2.5x.
    b, total, power = 10_000 * WAD, 500_000_000 * WAD, 2_500_000 * WAD
    assert inc.working_balance(b, total, 0, power) == 4000 * WAD
    assert inc.working_balance(b, total, 50 * WAD, power) == b
    assert inc.boost(b, b) == D("2.5") and inc.boost(b, 4000 * WAD) == 1
    assert inc.ve_for_boost(b, total, power, D("2.5")) == 50 * WAD


@given(st.integers(10**6, 10**26), st.integers(0, 10**28), st.integers(10**6, 10**26), st.data())
def test_boost_stays_in_its_bounds(
    balance: int, others: int, power: int, data: st.DataObject
) -> None:
    own = data.draw(st.integers(0, power))
    total = balance + others
    working = inc.working_balance(balance, total, own, power)
    assert balance * 2 // 5 <= working <= balance
    assert D("0.999") < inc.boost(balance, working) <= D("2.5") + D("0.00001")
    wanted = data.draw(st.decimals("1", "2.5", places=3))
    needed = inc.ve_for_boost(balance, total, power, wanted)
    if needed <= power:
        # Rounding in the gauge costs at most a unit or two of working balance.
        assert (
            inc.working_balance(balance, total, needed, power) >= int(balance * wanted * 2 / 5) - 3
        )
    if 0 < needed <= power + 1:
        less = inc.working_balance(balance, total, needed - 1, power)
        assert less <= balance * wanted * 2 / 5


@given(st.lists(st.tuples(amounts, st.integers(0, 10)), min_size=1, max_size=8), amounts)
def test_gauges_share_an_emission(pairs: list[tuple[int, int]], rate: int) -> None:
    weights, types = [w for w, _ in pairs], [t for _, t in pairs]
    assume(sum(w * t for w, t in pairs))
    relative = inc.gauge_relative_weights(weights, types)
    assert WAD - len(pairs) < sum(relative) <= WAD
    parts = inc.gauge_emissions(rate, WEEK, relative)
    assert sum(parts) <= rate * WEEK
    assert sum(parts) > rate * WEEK - len(pairs) * (rate * WEEK // WAD + 2)


def test_bribes_by_hand() -> None:
    # 50,000 for 1,000,000 votes every two weeks on a token worth 0.65: 26 x 5% / 0.65 = 200%.
    per_vote = inc.bribe_per_vote(D(50_000), D(1_000_000))
    assert inc.bribe_apr(per_vote, 26, D("0.65")) == 2
    # Those votes are 10% of all and steer 100,000 of emissions: 2 for 1.
    assert inc.emission_per_bribe(D(10**6), D(10**6), D(10**7), D(50_000)) == 2


def test_vesting_by_hand() -> None:
    grant = inc.Vesting(1_000_001, start=100, duration=1000, cliff=250)
    assert [grant.vested(t) for t in (349, 350, 1099, 1100)] == [0, 250_000, 999_000, 1_000_001]
    assert grant.releasable(600, 250_000) == 250_000


@given(amounts, st.integers(1, 10**9), st.integers(0, 10**9), st.integers(0, 10_000))
def test_early_exit(amount: int, term: int, after: int, bps: int) -> None:
    now = 50 + after
    penalty = inc.early_exit_penalty(amount, 50, 50 + term, now, bps)
    assert 0 <= penalty <= -(-amount * bps // 10_000)
    if after >= term:
        assert penalty == 0
    else:
        exact = amount * bps * (term - after)
        assert 0 <= penalty * 10_000 * term - exact < 10_000 * term


@pytest.mark.slow
def test_vesting_is_openzeppelins_wallet() -> None:
    from denizen.evm import PACKAGES

    rng, machine = random.Random(5), Machine(timestamp=1_000_000)
    code = creation_code(artefact(PACKAGES["openzeppelin"], "build/contracts/VestingWallet.json"))
    for _ in range(20):
        start, duration = rng.randrange(10**9), rng.randrange(10**8)
        wallet = machine.deploy(code, ["address", "uint64", "uint64"], [SENDER, start, duration])
        total = rng.getrandbits(100)
        machine.fund(wallet, total)
        ours = inc.Vesting(total, start, duration)
        for _ in range(20):
            now = max(start + rng.randrange(-100, 2 * duration + 200), 0)
            theirs = machine.trial(wallet, calldata("vestedAmount(uint64)", now))
            assert ours.vested(now) == int.from_bytes(theirs, "big")


@given(amounts, st.lists(amounts, min_size=1, max_size=10))
def test_split_loses_nothing(amount: int, weights: list[int]) -> None:
    assume(sum(weights))
    parts = inc.share_exactly(amount, weights)
    assert sum(parts) == amount
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part * sum(weights) - amount * weight) < sum(weights)


histories = st.dictionaries(
    st.sampled_from("abcd"),
    st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 10**20)), max_size=5).map(
        lambda h: sorted(h, key=lambda point: point[0])
    ),
    min_size=1,
)


@given(histories, st.integers(0, 1000), st.integers(0, 1000))
def test_time_weighted_balance_is_the_sum_over_seconds(
    users: dict[str, list[tuple[int, int]]], a: int, b: int
) -> None:
    start, end = sorted((a, b))
    for history in users.values():
        expected = 0
        for second in range(start, end):
            known = [balance for time, balance in history if time <= second]
            expected += known[-1] if known else 0
        assert inc.time_weighted_balance(history, start, end) == expected


@given(histories, st.integers(1, 10**24), st.lists(st.integers(100, 900), max_size=4))
def test_windows_spend_the_campaign_to_the_unit(
    users: dict[str, list[tuple[int, int]]], budget: int, cuts: list[int]
) -> None:
    for cap in (None, 2000):
        campaign = inc.Campaign(budget, 100, 900, cap)
        edges = [0, *sorted(cuts), 2000]
        spent = 0
        for start, end in pairwise(edges):
            payout = campaign.window(users, start, end)
            spent += sum(payout.rewards.values()) + payout.unspent
        assert spent == budget


def test_campaign_by_hand() -> None:
    # 900 over 90 s: a holds 1 throughout, b holds 2 for the last 45 s: scores 90 and 90.
    campaign = inc.Campaign(900, 0, 90)
    payout = campaign.window({"a": [(0, 1)], "b": [(45, 2)]}, 0, 90)
    assert payout == ({"a": 450, "b": 450}, 0)
    # 10% a year on 1,000,000 for half a year is 50,000, however large the budget.
    capped = inc.Campaign(10**9, 0, YEAR // 2, 1000)
    payout = capped.window({"a": [(0, 10**6)]}, 0, YEAR // 2)
    assert payout.rewards["a"] == 50_000 and payout.unspent == 10**9 - 50_000


@pytest.mark.parametrize(
    "call",
    [
        lambda: StakingRewards(0),
        lambda: StakingRewards(10).stake("a", 0, 0),
        lambda: StakingRewards(10).withdraw("a", 1, 0),
        lambda: StakingRewards(10).notify_reward_amount(10, 0),
        lambda: MasterChef(-1),
        lambda: MasterChef(1).deposit(0, "a", 1, 1),
        lambda: inc.Constant(1, 0),
        lambda: inc.Constant(-1, 5),
        lambda: inc.LinearDecay(10, 6, 3),
        lambda: inc.GeometricDecay(1, 2, 2, 3),
        lambda: inc.Halving(1, 0, 3),
        lambda: inc.CrvEmission().mintable(5, 4),
        lambda: inc.CrvEmission().rate(-1),
        lambda: Lock.create(0, 10 * WEEK, 0),
        lambda: Lock.create(1, WEEK - 1, 0),
        lambda: Lock.create(1, 6 * YEAR, 0),
        lambda: Lock(1, WEEK).extend(WEEK + 5, 0),
        lambda: Lock(1, WEEK).increase_amount(1, WEEK),
        lambda: inc.working_balance(2, 1, 0, 1),
        lambda: inc.working_balance(1, 1, 2, 1),
        lambda: inc.boost(1, 0),
        lambda: inc.ve_for_boost(1, 1, 1, D(3)),
        lambda: inc.gauge_relative_weights([0], [1]),
        lambda: inc.gauge_emissions(1, 1, [WAD, 1]),
        lambda: inc.bribe_per_vote(D(1), D(0)),
        lambda: inc.Vesting(1, 0, 5, 6),
        lambda: inc.Vesting(10, 0, 10).releasable(5, 6),
        lambda: inc.early_exit_penalty(1, 5, 5, 5, 1),
        lambda: inc.share_exactly(1, [0, 0]),
        lambda: inc.time_weighted_balance([(5, 1), (4, 1)], 0, 9),
        lambda: inc.Campaign(0, 0, 1),
        lambda: inc.Campaign(1, 1, 1),
    ],
)
def test_impossible_figures_are_refused(call: object) -> None:
    with pytest.raises(MathError):
        call()  # type: ignore[operator]
