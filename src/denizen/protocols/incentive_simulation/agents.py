"""Who provides liquidity, and what makes them move: sticky LPs, yield farmers, mercenaries.

Contract: `wanted(view)` is the value, in raw quote, to add (positive) or take out (negative) at the
start of an epoch; it depends on nothing but the view and the agent's own figures.  Rates are
fractions a year.  The world limits a wish to what the agent owns.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar, NamedTuple, Protocol

from ..exact_decimal import exact, require
from ..fixed_point import MathError

_BPS = 10_000


class View(NamedTuple):
    """What everyone sees before deciding.  Values are raw quote, per epoch where they flow."""

    tvl: int  # staked value
    stake: int  # own part of it
    wallet: int
    rewards: int  # value of this epoch's emission, known from the schedule
    fees: int  # all swap fees of the last epoch
    flow_gain: int  # what uninformed traders lost to LPs last epoch, arbitrage of it taken off
    loss_rate: Decimal  # a year's loss to arbitrage of outside price moves, over value
    epochs_per_year: int


class Agent(Protocol):
    """A liquidity provider."""

    kind: ClassVar[str]

    @property
    def name(self) -> str:
        """Unique name."""

    @property
    def capital(self) -> int:
        """Raw quote at the start."""

    @property
    def switching_cost_bps(self) -> int:
        """Cost of moving, of the value moved."""

    def wanted(self, view: View) -> int:
        """Value to add or take out."""


@dataclass(frozen=True)
class Sticky:
    """Deposits everything at once and stays."""

    name: str
    capital: int
    switching_cost_bps: int = 0
    kind: ClassVar[str] = "sticky"

    def __post_init__(self) -> None:
        _check(self)

    def wanted(self, view: View) -> int:
        """Everything not yet deposited."""
        return view.wallet


@dataclass(frozen=True)
class Farmer:
    """Moves until the pool's net APR equals the outside rate, give or take threshold and costs.

    Enters up to the TVL at which net APR = outside + threshold + cost a year, leaves down to the
    one at which it is outside - threshold - cost a year; between the two it rests.  The cost a
    year is the switching cost spread over `horizon` epochs; `speed` is the part of the gap closed
    in an epoch.
    """

    name: str
    capital: int
    outside_apr: Decimal
    threshold: Decimal = Decimal(0)
    switching_cost_bps: int = 0
    horizon: int = 1
    speed: Decimal = Decimal(1)
    kind: ClassVar[str] = "farmer"

    def __post_init__(self) -> None:
        _check(self)
        require(self.outside_apr > 0, "a farmer's outside rate must be positive")
        require(self.threshold >= 0, "a threshold is not negative")
        require(0 < self.speed <= 1 and self.horizon > 0, "speed in (0, 1], horizon positive")

    @exact
    def wanted(self, view: View) -> int:
        """Closes the gap to the nearer edge of the resting band."""
        enter, leave = self.resting_band(view)
        if view.tvl < enter:
            return int((enter - view.tvl) * self.speed)
        if leave is not None and view.tvl > leave:
            return -int((view.tvl - leave) * self.speed)
        return 0

    @exact
    def resting_band(self, view: View) -> tuple[Decimal, Decimal | None]:
        """(least, greatest) TVL at which the farmer rests; None: no TVL makes it leave."""
        income = Decimal(max(view.rewards + view.flow_gain, 0)) * view.epochs_per_year
        cost = Decimal(self.switching_cost_bps) / _BPS * view.epochs_per_year / self.horizon
        wanted = self.outside_apr + self.threshold + cost + view.loss_rate
        borne = self.outside_apr - self.threshold - cost + view.loss_rate
        return income / wanted, income / borne if borne > 0 else None


@dataclass(frozen=True)
class Mercenary:
    """All in while rewards run and the gross APR is high; all out when either ends."""

    name: str
    capital: int
    entry_apr: Decimal
    exit_apr: Decimal
    switching_cost_bps: int = 0
    kind: ClassVar[str] = "mercenary"

    def __post_init__(self) -> None:
        _check(self)
        require(0 <= self.exit_apr <= self.entry_apr, "exit APR is between 0 and the entry APR")

    @exact
    def wanted(self, view: View) -> int:
        """The whole wallet, the whole stake out, or nothing."""
        yearly = Decimal(view.rewards + view.fees) * view.epochs_per_year
        if view.stake:
            stays = view.rewards and yearly >= self.exit_apr * view.tvl
            return 0 if stays else -view.stake
        joins = view.rewards and yearly >= self.entry_apr * (view.tvl + view.wallet)
        return view.wallet if joins else 0


def _check(agent: Agent) -> None:
    if agent.capital <= 0:
        raise MathError(f"{agent.name} needs capital")
    if not 0 <= agent.switching_cost_bps < _BPS:
        raise MathError("a switching cost lies between 0 and 10,000 basis points")
