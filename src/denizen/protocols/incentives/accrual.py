"""Reward accrual as the two common staking contracts do it, integer flooring included.

Contract: what a user is owed is stake x (growth now - growth at the last touch), each division
rounded down; a refused call (MathError) changes nothing.  MasterChef counts blocks at 1e12,
StakingRewards seconds at 1e18.  Sources: SushiSwap MasterChef (MIT) and Synthetix StakingRewards
(SIP-68), as documented; reward tokens held by the contract are tracked, other tokens are not.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..fixed_point import MAX_UINT256, MathError

CHEF_PRECISION = 10**12
STAKING_PRECISION = 10**18


@dataclass
class ChefPool:
    """One staked token of a MasterChef."""

    alloc_point: int
    last_reward_block: int
    acc_reward_per_share: int = 0
    staked: int = 0
    users: dict[str, tuple[int, int]] = field(default_factory=dict)  # (amount, rewardDebt)


@dataclass
class MasterChef:
    """Rewards a block shared over pools by allocation points, then over stakes.

    Blocks before `bonus_end_block` count `bonus_multiplier` times.  The developers' extra tenth is
    minted on top and not part of these figures.
    """

    reward_per_block: int
    start_block: int = 0
    bonus_end_block: int = 0
    bonus_multiplier: int = 1
    pools: list[ChefPool] = field(default_factory=list)

    def __post_init__(self) -> None:
        if min(self.reward_per_block, self.start_block, self.bonus_end_block) < 0:
            raise MathError("rates and blocks are not negative")
        if self.bonus_multiplier < 1:
            raise MathError("the bonus multiplier is one or more")

    @property
    def total_alloc_point(self) -> int:
        """Sum over pools."""
        return sum(pool.alloc_point for pool in self.pools)

    def add(self, alloc_point: int, block: int) -> int:
        """A new pool's id, after bringing all pools up to date."""
        _whole(alloc_point)
        self.mass_update(block)
        self.pools.append(ChefPool(alloc_point, max(block, self.start_block)))
        return len(self.pools) - 1

    def set_alloc_point(self, pid: int, alloc_point: int, block: int) -> None:
        """Change a pool's part, after bringing all pools up to date."""
        _whole(alloc_point)
        pool = self._pool(pid)
        self.mass_update(block)
        pool.alloc_point = alloc_point

    def multiplier(self, start: int, end: int) -> int:
        """Reward blocks from `start` to `end`, the bonus counted in."""
        bonus = max(min(end, self.bonus_end_block) - start, 0)
        return bonus * self.bonus_multiplier + (end - start - bonus)

    def growth(self, pid: int, block: int) -> int:
        """accRewardPerShare brought up to a block, rounded down."""
        pool = self._pool(pid)
        if block <= pool.last_reward_block or not pool.staked:
            return pool.acc_reward_per_share
        if not (points := self.total_alloc_point):
            raise MathError("no pool has allocation points")
        blocks = self.multiplier(pool.last_reward_block, block)
        reward = _word(blocks * self.reward_per_block * pool.alloc_point) // points
        grown = _word(reward * CHEF_PRECISION) // pool.staked
        return _word(pool.acc_reward_per_share + grown)

    def pending(self, pid: int, user: str, block: int) -> int:
        """Rewards owed but not paid."""
        amount, debt = self._pool(pid).users.get(user, (0, 0))
        return _word(amount * self.growth(pid, block)) // CHEF_PRECISION - debt

    def deposit(self, pid: int, user: str, amount: int, block: int) -> int:
        """Stake (0 only harvests); returns the rewards paid with it."""
        _whole(amount)
        return self._move(pid, user, amount, block)

    def withdraw(self, pid: int, user: str, amount: int, block: int) -> int:
        """Take stake back; returns the rewards paid with it."""
        _whole(amount)
        held = self._pool(pid).users.get(user, (0, 0))[0]
        if amount > held:
            raise MathError(f"{user} has {held} staked, less than {amount}")
        return self._move(pid, user, -amount, block)

    def emergency_withdraw(self, pid: int, user: str) -> int:
        """Take the whole stake back without rewards; no update is made."""
        pool = self._pool(pid)
        amount, _ = pool.users.pop(user, (0, 0))
        pool.staked -= amount
        return amount

    def mass_update(self, block: int) -> None:
        """Bring every pool's growth up to a block."""
        # All growths first: a refusal in one pool must leave the others as they were.
        for pool, grown in [(p, self.growth(i, block)) for i, p in enumerate(self.pools)]:
            pool.acc_reward_per_share = grown
            pool.last_reward_block = max(pool.last_reward_block, block)

    def _move(self, pid: int, user: str, change: int, block: int) -> int:
        pool, paid, growth = (
            self._pool(pid),
            self.pending(pid, user, block),
            self.growth(pid, block),
        )
        amount = pool.users.get(user, (0, 0))[0] + change
        debt = _word(amount * growth) // CHEF_PRECISION
        pool.acc_reward_per_share = growth
        pool.last_reward_block = max(pool.last_reward_block, block)
        pool.staked += change
        pool.users[user] = (amount, debt)
        return paid

    def _pool(self, pid: int) -> ChefPool:
        if not 0 <= pid < len(self.pools):
            raise MathError(f"there is no pool {pid}")
        return self.pools[pid]


@dataclass
class StakingRewards:
    """A reward streamed evenly over `duration` seconds to the stakers of one token."""

    duration: int
    reward_balance: int = 0
    reward_rate: int = 0
    period_finish: int = 0
    last_update: int = 0
    stored: int = 0  # rewardPerTokenStored
    total_supply: int = 0
    balances: dict[str, int] = field(default_factory=dict)
    _paid: dict[str, int] = field(default_factory=dict)  # userRewardPerTokenPaid
    _rewards: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.duration <= 0:
            raise MathError("the reward period must be positive")

    def last_time_applicable(self, now: int) -> int:
        """min(now, periodFinish)."""
        return min(now, self.period_finish)

    def reward_per_token(self, now: int) -> int:
        """Growth per staked unit at 1e18, rounded down; it stands still while nothing is staked."""
        if not self.total_supply:
            return self.stored
        elapsed = self.last_time_applicable(now) - self.last_update
        if elapsed < 0:
            raise MathError("time runs backwards")
        scaled = _word(elapsed * self.reward_rate * STAKING_PRECISION)
        return _word(self.stored + scaled // self.total_supply)

    def earned(self, user: str, now: int) -> int:
        """Rewards of a user, paid out ones excluded."""
        grown = self.reward_per_token(now) - self._paid.get(user, 0)
        held = _word(self.balances.get(user, 0) * grown)
        return _word(held // STAKING_PRECISION + self._rewards.get(user, 0))

    def fund(self, amount: int) -> None:
        """Reward tokens sent to the contract."""
        _whole(amount)
        self.reward_balance += amount

    def notify_reward_amount(self, reward: int, now: int) -> None:
        """Start a period, the unfinished one's leftover added; MathError if not funded for it."""
        _whole(reward)
        leftover = max(self.period_finish - now, 0) * self.reward_rate
        rate = _word(reward + leftover) // self.duration
        if rate > self.reward_balance // self.duration:
            raise MathError("provided reward too high: the contract does not hold it")
        self._settle(None, now)
        self.reward_rate, self.last_update = rate, now
        self.period_finish = now + self.duration

    def stake(self, user: str, amount: int, now: int) -> None:
        """Add stake."""
        _positive(amount)
        self._settle(user, now)
        self.total_supply += amount
        self.balances[user] = self.balances.get(user, 0) + amount

    def withdraw(self, user: str, amount: int, now: int) -> None:
        """Take stake back, rewards left to claim."""
        _positive(amount)
        if amount > self.balances.get(user, 0):
            raise MathError(f"{user} has less than {amount} staked")
        self._settle(user, now)
        self.total_supply -= amount
        self.balances[user] -= amount

    def get_reward(self, user: str, now: int) -> int:
        """Claim; MathError if the contract no longer holds the tokens."""
        reward = self.earned(user, now)
        if reward > self.reward_balance:
            raise MathError("the contract holds less than is owed")
        self._settle(user, now)
        self._rewards[user] = 0
        self.reward_balance -= reward
        return reward

    def _settle(self, user: str | None, now: int) -> None:
        growth = self.reward_per_token(now)
        if user is not None:
            self._rewards[user] = self.earned(user, now)
            self._paid[user] = growth
        self.stored, self.last_update = growth, self.last_time_applicable(now)


def _whole(value: int) -> None:
    if not 0 <= value <= MAX_UINT256:
        raise MathError(f"{value} is not an unsigned 256-bit amount")


def _positive(value: int) -> None:
    _whole(value)
    if not value:
        raise MathError("cannot stake or withdraw nothing")


def _word(value: int) -> int:
    if value > MAX_UINT256:
        raise MathError("the product overflows 256 bits")
    return value
