"""Compound III (Comet): one base asset lent against collateral that earns nothing.

Balances are signed principals: above zero supplied, below zero borrowed.  Amounts are raw units,
utilization and per-second rates wads (1e18), indices start at 1e15.  Products and quotients round
down; the principal of a debt rounds up.  MathError where Comet reverts.
Source: the Compound III documentation (interest rates, helper functions, protocol rewards).
"""

from __future__ import annotations

from decimal import Context, Decimal
from typing import NamedTuple

from .fixed_point import MathError, div_rounding_up

FACTOR_SCALE = 10**18
BASE_INDEX_SCALE = 10**15
TRACKING_INDEX_SCALE = 10**15
BASE_ACCRUAL_SCALE = 10**6
SECONDS_PER_YEAR = 31_536_000
_MAX_INDEX = (1 << 64) - 1
_MAX_TOTAL = (1 << 104) - 1
_MAX_PRINCIPAL = (1 << 103) - 1
_WIDE = Context(prec=60)


class RateCurve(NamedTuple):
    """A kinked rate: per-second wads; supply and borrow have one each."""

    base: int
    slope_low: int
    slope_high: int
    kink: int

    @classmethod
    def per_year(cls, base: int, slope_low: int, slope_high: int, kink: int) -> RateCurve:
        """From yearly wads, each divided by 31,536,000 and rounded down, as Comet is deployed."""
        low, high = slope_low // SECONDS_PER_YEAR, slope_high // SECONDS_PER_YEAR
        return cls(base // SECONDS_PER_YEAR, low, high, kink)

    def rate(self, utilization: int) -> int:
        """Rate a second at a utilization (wads); getSupplyRate or getBorrowRate."""
        if utilization < 0:
            raise MathError("utilization is not negative")
        low = mul_factor(self.slope_low, min(utilization, self.kink))
        return self.base + low + mul_factor(self.slope_high, max(utilization - self.kink, 0))


class Totals(NamedTuple):
    """A market's state: principals, interest indices, reward indices and their date."""

    supply: int = 0
    borrow: int = 0
    supply_index: int = BASE_INDEX_SCALE
    borrow_index: int = BASE_INDEX_SCALE
    tracking_supply_index: int = 0
    tracking_borrow_index: int = 0
    time: int = 0

    def present_supply(self) -> int:
        """What suppliers are owed, rounded down."""
        return self.present_value(self.supply)

    def present_borrow(self) -> int:
        """What borrowers owe, rounded down."""
        return -self.present_value(-self.borrow)

    def utilization(self) -> int:
        """Present borrow over present supply (wad, rounded down); zero without supply."""
        supplied = self.present_supply()
        return self.present_borrow() * FACTOR_SCALE // supplied if supplied else 0

    def present_value(self, principal: int) -> int:
        """Signed balance of a signed principal, truncated towards zero."""
        if principal >= 0:
            return principal * self.supply_index // BASE_INDEX_SCALE
        return -(-principal * self.borrow_index // BASE_INDEX_SCALE)

    def principal_value(self, balance: int) -> int:
        """Signed principal of a signed balance: a supply rounds down, a debt rounds up."""
        if balance >= 0:
            principal = balance * BASE_INDEX_SCALE // self.supply_index
        else:
            principal = -div_rounding_up(-balance * BASE_INDEX_SCALE, self.borrow_index)
        if abs(principal) > _MAX_PRINCIPAL:
            raise MathError("a principal does not fit 104 bits")
        return principal

    def reserves(self, cash: int) -> int:
        """Base asset held, plus lent, minus owed to suppliers; may be negative."""
        return cash + self.present_borrow() - self.present_supply()

    def moved(self, before: int, after: int) -> Totals:
        """Totals once an account's principal went from `before` to `after`."""
        supply = self.supply + max(after, 0) - max(before, 0)
        borrow = self.borrow + max(-after, 0) - max(-before, 0)
        if not (0 <= supply <= _MAX_TOTAL and 0 <= borrow <= _MAX_TOTAL):
            raise MathError("the account's principal is not part of the totals")
        return self._replace(supply=supply, borrow=borrow)


class Rewards(NamedTuple):
    """COMP a second for either side (scaled by 1e15) and the principal needed to pay any."""

    supply_speed: int
    borrow_speed: int
    minimum: int


def mul_factor(n: int, factor: int) -> int:
    """floor(n x factor / 1e18)."""
    return n * factor // FACTOR_SCALE


def rate_to_apr(rate: int) -> Decimal:
    """Fraction a year of a per-second wad, without compounding."""
    return _WIDE.divide(Decimal(rate * SECONDS_PER_YEAR), Decimal(FACTOR_SCALE))


def rate_to_apy(rate: int) -> Decimal:
    """Fraction a year of a per-second wad compounded every second."""
    second = _WIDE.add(Decimal(1), _WIDE.divide(Decimal(rate), Decimal(FACTOR_SCALE)))
    return _WIDE.subtract(_WIDE.power(second, SECONDS_PER_YEAR), Decimal(1))


def accrue(
    totals: Totals,
    now: int,
    supply_curve: RateCurve,
    borrow_curve: RateCurve,
    rewards: Rewards | None = None,
    base_scale: int = 1,
) -> Totals:
    """accrueInternal: indices grow linearly over the elapsed seconds at the old utilization."""
    elapsed = now - totals.time
    if elapsed < 0:
        raise MathError("time runs forward")
    used = totals.utilization()
    up = totals.supply_index + mul_factor(totals.supply_index, supply_curve.rate(used) * elapsed)
    owed = totals.borrow_index + mul_factor(totals.borrow_index, borrow_curve.rate(used) * elapsed)
    if max(up, owed) > _MAX_INDEX:
        raise MathError("an index overflows 64 bits")
    grown = totals._replace(supply_index=up, borrow_index=owed, time=now)
    if rewards is None:
        return grown

    def tracked(index: int, speed: int, principal: int) -> int:
        if principal < max(rewards.minimum, 1):
            return index
        return index + speed * elapsed * base_scale // principal

    return grown._replace(
        tracking_supply_index=tracked(
            totals.tracking_supply_index, rewards.supply_speed, totals.supply
        ),
        tracking_borrow_index=tracked(
            totals.tracking_borrow_index, rewards.borrow_speed, totals.borrow
        ),
    )


def reward_accrued(totals: Totals, principal: int, index_before: int, base_scale: int) -> int:
    """Rewards since `index_before`, in millionths of a token, rounded down, by side."""
    index = totals.tracking_supply_index if principal >= 0 else totals.tracking_borrow_index
    if index < index_before or base_scale < BASE_ACCRUAL_SCALE:
        raise MathError("a tracking index never falls, and the base has at least 6 decimals")
    gained = abs(principal) * (index - index_before) // TRACKING_INDEX_SCALE
    return gained // (base_scale // BASE_ACCRUAL_SCALE)


def supply_base(totals: Totals, principal: int, amount: int) -> tuple[Totals, int]:
    """Totals and principal after a supply, which repays a debt first."""
    if amount < 0:
        raise MathError("an amount is not negative")
    after = totals.principal_value(totals.present_value(principal) + amount)
    return totals.moved(principal, after), after
