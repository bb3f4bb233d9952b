"""Vote escrow: veCRV locks, gauge boost, gauge weights and bribes.

Contract: voting power and working balances are integers rounded down as the contracts do; shares
and yields are Decimals.  Sources: Curve DAO white paper and technical documentation (VotingEscrow,
LiquidityGauge, GaugeController).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from ..exact_decimal import exact, require
from ..fixed_point import MathError

WEEK = 7 * 86_400
MAXTIME = 4 * 365 * 86_400
TOKENLESS_PRODUCTION = 40
_WAD = 10**18


@dataclass(frozen=True)
class Lock:
    """Tokens locked until `end`, a whole week; use `create` to have the week rounded.

    `max_time` is Curve's four years; forks choose another (veBAL: one).
    """

    amount: int
    end: int
    max_time: int = MAXTIME

    @staticmethod
    def create(amount: int, unlock_time: int, now: int, max_time: int = MAXTIME) -> Lock:
        """Lock until the week that `unlock_time` lies in begins; `max_time` at most."""
        end = unlock_time // WEEK * WEEK
        if amount <= 0:
            raise MathError("a lock needs a positive amount")
        if end <= now:
            raise MathError("a lock must end in the future, at the start of a week")
        if end > now + max_time:
            raise MathError(f"a lock is at most {max_time} seconds")
        return Lock(amount, end, max_time)

    def increase_amount(self, amount: int, now: int) -> Lock:
        """More tokens for the same end."""
        if amount <= 0 or self.end <= now:
            raise MathError("only a running lock can take a positive amount more")
        return Lock(self.amount + amount, self.end, self.max_time)

    def extend(self, unlock_time: int, now: int) -> Lock:
        """A later end."""
        if self.end <= now or unlock_time // WEEK * WEEK <= self.end:
            raise MathError("only a running lock can be extended, and only to a later week")
        return Lock.create(self.amount, unlock_time, now, self.max_time)

    @property
    def slope(self) -> int:
        """Voting power lost a second: floor(amount / max_time)."""
        return self.amount // self.max_time

    def voting_power(self, now: int) -> int:
        """slope x seconds left; zero from the unlock on.  Not defined before the lock was made."""
        return self.slope * max(self.end - now, 0)


def working_balance(balance: int, total: int, voting_power: int, total_power: int) -> int:
    """min(0.4 b + 0.6 S w / W, b), rounded down where the gauge does."""
    _powers(voting_power, total_power)
    if not 0 <= balance <= total:
        raise MathError("a balance is part of the gauge's total")
    limit = balance * TOKENLESS_PRODUCTION // 100
    if total_power:
        limit += total * voting_power // total_power * (100 - TOKENLESS_PRODUCTION) // 100
    return min(limit, balance)


@exact
def boost(balance: int, working: int) -> Decimal:
    """Working balance over the unboosted one: 1 to 2.5 but for rounding."""
    require(0 < working <= balance, "a working balance is positive and part of the balance")
    return Decimal(working * 100) / (balance * TOKENLESS_PRODUCTION)


def ve_for_boost(balance: int, total: int, total_power: int, multiple: Decimal) -> int:
    """Voting power for a boost, rounded up, with the total power given including it."""
    if not (0 < balance <= total and total_power > 0):
        raise MathError("balance and total power must be positive, the balance part of the total")
    if not 1 <= multiple <= Decimal("2.5"):
        raise MathError("a boost lies between 1 and 2.5")
    # 0.4 b m = 0.4 b + 0.6 S w / W
    top, bottom = (multiple - 1).as_integer_ratio()
    return -(-2 * balance * total_power * top // (3 * total * bottom))


def gauge_relative_weights(weights: Sequence[int], type_weights: Sequence[int]) -> list[int]:
    """Each gauge's part of the emission at 1e18, rounded down: votes x its type's weight."""
    if len(weights) != len(type_weights) or min([0, *weights, *type_weights]) < 0:
        raise MathError("every gauge needs a weight and a type weight, neither negative")
    products = [w * t for w, t in zip(weights, type_weights, strict=True)]
    if not (total := sum(products)):
        raise MathError("no gauge has any weight")
    return [_WAD * product // total for product in products]


def gauge_emissions(rate: int, seconds: int, relative_weights: Sequence[int]) -> list[int]:
    """Raw units each gauge gets over a time: rate x relative weight x seconds / 1e18, floored."""
    if rate < 0 or seconds < 0 or sum(relative_weights) > _WAD:
        raise MathError("rate and time are not negative, and weights sum to 1e18 at most")
    return [rate * weight * seconds // _WAD for weight in relative_weights]


@exact
def bribe_per_vote(bribe_value: Decimal, votes: Decimal) -> Decimal:
    """Value paid for one unit of voting power in a round."""
    require(bribe_value >= 0 and votes > 0, "a bribe is not negative and needs votes")
    return bribe_value / votes


@exact
def bribe_apr(per_vote: Decimal, rounds_per_year: int, token_price: Decimal) -> Decimal:
    """Yield of one locked token at full voting power that is voted in every round."""
    require(rounds_per_year > 0 and token_price > 0, "rounds and price must be positive")
    return per_vote * rounds_per_year / token_price


@exact
def emission_per_bribe(
    emission_value: Decimal, votes: Decimal, total_votes: Decimal, bribe_value: Decimal
) -> Decimal:
    """Value of emissions steered to a gauge for each unit of value bribed."""
    require(0 < votes <= total_votes and bribe_value > 0, "votes and bribe must be positive")
    return emission_value * votes / total_votes / bribe_value


def _powers(own: int, total: int) -> None:
    if not 0 <= own <= total:
        raise MathError("voting power is not negative and part of the total")
