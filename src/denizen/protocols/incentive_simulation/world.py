"""The simulated world: the fixed order of an epoch, what it records, and what a run cost.

Contract: an epoch is (1) the outside price moves and the pair is arbitraged to it, (2) agents move
capital one by one in seeded order, (3) uninformed traders swap and the pair is arbitraged again,
(4) the epoch's reward is split by stake, to the unit.  The same arguments give the same result on
every platform.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from random import Random
from typing import NamedTuple

from ..exact_decimal import exact, require
from ..fixed_point import MathError
from ..incentives import Schedule, share_exactly
from .agents import Agent, View
from .ledger import BPS, Account, Ledger
from .pair import WAD


@dataclass(frozen=True)
class Market:
    """Outside prices by epoch (raw quote a raw base, and a raw reward, unit, at 1e18).

    `noise_volume` is the mean size, in raw quote, of the one uninformed swap of an epoch.
    """

    prices: Sequence[int]
    reward_prices: Sequence[int]
    noise_volume: int = 0
    epochs_per_year: int = 52

    def __post_init__(self) -> None:
        if not self.prices or len(self.prices) != len(self.reward_prices):
            raise MathError("every epoch needs a price and a reward price")
        if min(self.prices) <= 0 or min(self.reward_prices) < 0:
            raise MathError("prices must be positive, reward prices not negative")
        if self.noise_volume < 0 or self.epochs_per_year <= 0:
            raise MathError("volume is not negative and a year has epochs")


class EpochRecord(NamedTuple):
    """One epoch; values are raw quote at the outside price, APRs None without any stake."""

    epoch: int
    price: int
    pool_price: int
    tvl: int
    tvl_by_kind: dict[str, int]
    rewards: int  # raw reward tokens paid
    reward_value: int
    fees: int
    arbitrage_profit: int
    noise_loss: int  # what uninformed traders lost
    apr: Decimal | None  # fees and rewards
    net_apr: Decimal | None  # rewards and what traders lost, less what arbitrageurs won


@dataclass(frozen=True)
class Result:
    """A finished run; `accounts` are the agents' and the house's at the end."""

    records: tuple[EpochRecord, ...]
    rewards_paid: int
    undistributed: int
    reward_epochs: int
    accounts: dict[str, Account]

    def retained_tvl(self, baseline: int = 0) -> int:
        """TVL of the last epoch over a baseline; MathError unless it comes after the rewards."""
        if len(self.records) <= self.reward_epochs:
            raise MathError("the run ends before the rewards do: nothing is known to be retained")
        return self.records[-1].tvl - baseline

    @exact
    def cost_per_retained(self, baseline: int = 0) -> Decimal:
        """Reward value paid for each unit of retained TVL; MathError if none was retained."""
        retained = self.retained_tvl(baseline)
        require(retained > 0, "nothing was retained")
        return Decimal(sum(record.reward_value for record in self.records)) / retained


@dataclass
class World:
    """State of a run.  `step` plays one epoch."""

    market: Market
    schedule: Schedule
    agents: Sequence[Agent]
    seed: int
    ledger: Ledger = field(init=False)
    epoch: int = 0
    undistributed: int = 0
    _fees: int = 0
    _flow_gain: int = 0

    def __post_init__(self) -> None:
        if len(self.market.prices) < self.schedule.epochs:
            raise MathError("the price path ends before the schedule does")
        capital = {agent.name: agent.capital for agent in self.agents}
        if not capital or len(capital) != len(self.agents):
            raise MathError("agents are needed, each under a name of its own")
        self.ledger = Ledger.open(capital, self.schedule.total())
        self._random = Random(self.seed)

    def step(self) -> EpochRecord:
        """Play one epoch; MathError after the last price."""
        if self.epoch >= len(self.market.prices):
            raise MathError("the price path has ended")
        price = self.market.prices[self.epoch]
        opening, fees = self.ledger.arbitrage(price)
        loss_rate = self._yearly(opening, self.ledger.staked(price)) or Decimal(0)
        for agent in sorted(self.agents, key=lambda _: self._random.getrandbits(64)):
            self._move(agent, price, loss_rate)
        noise_loss, noise_fees = self._noise(price)
        closing, closing_fees = self.ledger.arbitrage(price)
        self._fees, self._flow_gain = fees + noise_fees + closing_fees, noise_loss - closing
        record = self._record(price, opening + closing, noise_loss)
        self.epoch += 1
        return record

    def _move(self, agent: Agent, price: int, loss_rate: Decimal) -> None:
        account = self.ledger.agents[agent.name]
        view = View(
            tvl=self.ledger.staked(price),
            stake=self.ledger.stake_value(account.shares, price),
            wallet=account.quote,
            rewards=self._reward_value(self.schedule.amount(self.epoch)),
            fees=self._fees,
            flow_gain=self._flow_gain,
            loss_rate=loss_rate,
            epochs_per_year=self.market.epochs_per_year,
        )
        wish, cost = agent.wanted(view), agent.switching_cost_bps
        if wish > 0:
            self.ledger.deposit(agent.name, wish, cost, price)
        elif wish < 0 and account.shares:
            whole = -wish >= view.stake
            shares = account.shares if whole else account.shares * -wish // view.stake
            self.ledger.withdraw(agent.name, shares, cost, price)

    def _noise(self, price: int) -> tuple[int, int]:
        if not self.market.noise_volume:
            return 0, 0
        size = self._random.getrandbits(128) % (2 * self.market.noise_volume + 1)
        return self.ledger.uninformed(bool(self._random.getrandbits(1)), size, price)

    def _record(self, price: int, arbitraged: int, noise_loss: int) -> EpochRecord:
        emitted = self.schedule.amount(self.epoch)
        paid = self.ledger.reward(emitted)
        self.undistributed += emitted - paid
        value, tvl = self._reward_value(paid), self.ledger.staked(price)
        pair = self.ledger.pair
        return EpochRecord(
            epoch=self.epoch,
            price=price,
            pool_price=pair.price() if pair.supply else 0,
            tvl=tvl,
            tvl_by_kind=self._by_kind(tvl),
            rewards=paid,
            reward_value=value,
            fees=self._fees,
            arbitrage_profit=arbitraged,
            noise_loss=noise_loss,
            apr=self._yearly(self._fees + value, tvl),
            net_apr=self._yearly(value + noise_loss - arbitraged, tvl),
        )

    def _by_kind(self, tvl: int) -> dict[str, int]:
        shares = dict.fromkeys(sorted({agent.kind for agent in self.agents}), 0)
        for agent in self.agents:
            shares[agent.kind] += self.ledger.agents[agent.name].shares
        if not any(shares.values()):
            return shares
        return dict(zip(shares, share_exactly(tvl, list(shares.values())), strict=True))

    def _reward_value(self, amount: int) -> int:
        return amount * self.market.reward_prices[self.epoch] // WAD

    @exact
    def _yearly(self, income: int, value: int) -> Decimal | None:
        return Decimal(income) * self.market.epochs_per_year / value if value else None


def simulate(market: Market, schedule: Schedule, agents: Sequence[Agent], seed: int) -> Result:
    """Play every epoch of the price path."""
    world = World(market, schedule, agents, seed)
    records = tuple(world.step() for _ in market.prices)
    accounts = world.ledger.agents | world.ledger.house
    return Result(
        records,
        rewards_paid=sum(record.rewards for record in records),
        undistributed=world.undistributed,
        reward_epochs=schedule.epochs,
        accounts={name: replace(account) for name, account in accounts.items()},
    )


def random_prices(start: int, epochs: int, step_bps: int, seed: int) -> list[int]:
    """A geometric walk: each epoch the price is multiplied or divided by 1 + step, rounded down."""
    if start <= 0 or epochs <= 0 or not 0 <= step_bps < BPS:
        raise MathError("a path needs a positive start, epochs, and a step under 100%")
    random, prices = Random(seed), [start]
    for _ in range(epochs - 1):
        up = random.getrandbits(1)
        top, bottom = (BPS + step_bps, BPS) if up else (BPS, BPS + step_bps)
        prices.append(max(prices[-1] * top // bottom, 1))
    return prices
