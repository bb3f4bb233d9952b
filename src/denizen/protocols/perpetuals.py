"""Perpetual and dated futures: funding, basis, cash and carry, isolated margin.

Contract: sizes are positive amounts of the underlying and a side is LONG or SHORT; a payment is
signed as the holder's cash flow.  Rates are fractions for one funding interval unless a name says
a year.  Sources: BitMEX and Binance funding documentation (premium index, clamp at 0.05%), Phemex
help centre (linear isolated margin), BitMEX inverse contract guide.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from .exact_decimal import exact, require

LONG, SHORT = 1, -1
HOURS_PER_YEAR = 8760
INTEREST_8H = Decimal("0.0001")
CLAMP = Decimal("0.0005")


@exact
def premium_index(impact_bid: Decimal, impact_ask: Decimal, index: Decimal) -> Decimal:
    """(max(0, impact bid - index) - max(0, index - impact ask)) / index."""
    require(0 < impact_bid <= impact_ask, "the impact bid is positive and not above the ask")
    require(index > 0, "the index price must be positive")
    return (max(Decimal(0), impact_bid - index) - max(Decimal(0), index - impact_ask)) / index


@exact
def average_premium(samples: Sequence[Decimal], weighted: bool = True) -> Decimal:
    """Mean of an interval's samples: weighted 1..n in order (Binance), or plain (BitMEX)."""
    require(bool(samples), "an average needs a sample")
    weights = range(1, len(samples) + 1) if weighted else [1] * len(samples)
    total = sum((s * w for s, w in zip(samples, weights, strict=True)), Decimal(0))
    return total / sum(weights)


@exact
def funding_rate(
    premium: Decimal,
    interest: Decimal = INTEREST_8H,
    clamp: Decimal = CLAMP,
    cap: Decimal | None = None,
    interval_hours: int = 8,
) -> Decimal:
    """(P + clamp(I - P, -0.05%, 0.05%)) / (8 / interval), within +-cap; longs pay when positive."""
    require(clamp >= 0 and (cap is None or cap >= 0), "clamp and cap are not negative")
    _interval(interval_hours)
    rate = (premium + max(-clamp, min(clamp, interest - premium))) * interval_hours / 8
    return rate if cap is None else max(-cap, min(cap, rate))


@exact
def funding_payment(side: int, size: Decimal, mark: Decimal, rate: Decimal) -> Decimal:
    """The holder's cash flow at a funding time: -side x size x mark x rate."""
    _position(side, size, mark)
    return -side * size * mark * rate


@exact
def cumulative_funding(
    side: int, size: Decimal, events: Sequence[tuple[Decimal, Decimal]]
) -> Decimal:
    """Cash flow over funding times, each (mark price, rate)."""
    return sum((funding_payment(side, size, mark, rate) for mark, rate in events), Decimal(0))


@exact
def annualised_funding(rate: Decimal, interval_hours: int = 8) -> Decimal:
    """rate x 8760 / hours, simple."""
    _interval(interval_hours)
    return rate * HOURS_PER_YEAR / interval_hours


@exact
def compounded_funding(rate: Decimal, interval_hours: int = 8) -> Decimal:
    """(1 + rate)^(8760 / hours) - 1."""
    _interval(interval_hours)
    require(HOURS_PER_YEAR % interval_hours == 0, "the interval does not divide a year")
    require(rate >= -1, "a rate is not below -100%")
    return (1 + rate) ** (HOURS_PER_YEAR // interval_hours) - 1


@exact
def basis(futures: Decimal, spot: Decimal) -> Decimal:
    """futures / spot - 1."""
    require(futures > 0 and spot > 0, "prices must be positive")
    return futures / spot - 1


@exact
def annualised_basis(futures: Decimal, spot: Decimal, days: Decimal) -> Decimal:
    """Basis x 365 / days to expiry, simple."""
    require(days > 0, "the contract has expired")
    return basis(futures, spot) * 365 / days


@exact
def fair_futures_price(spot: Decimal, rate: Decimal, income: Decimal, days: Decimal) -> Decimal:
    """spot x (1 + (rate - income) x days / 365): cost of carry with simple yearly rates."""
    require(spot > 0 and days >= 0, "spot must be positive and time not negative")
    require(rate >= -1 and income >= -1, "a rate is not below -100%")
    price = spot * (1 + (rate - income) * days / 365)
    require(price > 0, "these rates leave the futures worth nothing")
    return price


class Carry(NamedTuple):
    """Cash and carry held to expiry, per unit of the asset: `apr` is on spot and margin."""

    profit: Decimal
    capital: Decimal
    apr: Decimal


@exact
def cash_and_carry(
    spot: Decimal, futures: Decimal, days: Decimal, margin_rate: Decimal, fee: Decimal
) -> Carry:
    """Buy spot, sell the futures on margin, deliver: futures - spot - fee x (spot + futures)."""
    require(spot > 0 and futures > 0 and days > 0, "prices and time must be positive")
    require(0 <= margin_rate <= 1 and 0 <= fee < 1, "margin and fee lie between 0 and 1")
    profit = futures - spot - fee * (spot + futures)
    capital = spot + margin_rate * futures
    return Carry(profit, capital, profit / capital * 365 / days)


@exact
def funding_carry_apr(
    rate: Decimal, interval_hours: int, margin_rate: Decimal, spot_yield: Decimal
) -> Decimal:
    """Long spot, short the perpetual: (annual funding + spot yield) / (1 + margin), before fees."""
    require(0 <= margin_rate <= 1, "a margin rate lies between 0 and 1")
    return (annualised_funding(rate, interval_hours) + spot_yield) / (1 + margin_rate)


@exact
def pnl(side: int, size: Decimal, entry: Decimal, mark: Decimal) -> Decimal:
    """Unrealised result of a linear contract: side x size x (mark - entry)."""
    _position(side, size, entry)
    require(mark >= 0, "a mark price is not negative")
    return side * size * (mark - entry)


@exact
def inverse_pnl(side: int, contracts: Decimal, entry: Decimal, mark: Decimal) -> Decimal:
    """Result of an inverse contract, in the asset: side x contracts x (1 / entry - 1 / mark)."""
    _position(side, contracts, entry)
    require(mark > 0, "a mark price must be positive")
    return side * contracts * (1 / entry - 1 / mark)


@exact
def liquidation_price(
    side: int,
    size: Decimal,
    entry: Decimal,
    margin: Decimal,
    maintenance: Decimal,
    fee: Decimal = Decimal(0),
    maintenance_amount: Decimal = Decimal(0),
) -> Decimal:
    """Mark at which margin + pnl = size x mark x (maintenance + closing fee) - maintenance amount.

    A long with margin for every price is never liquidated: 0.  MathError if it would be at once.
    """
    _position(side, size, entry)
    require(margin > 0 and maintenance_amount >= 0, "the margin must be positive")
    require(min(maintenance, fee) >= 0 and maintenance + fee < 1, "rates must be under one")
    value = size * entry
    require(
        margin + maintenance_amount > value * (maintenance + fee),
        "the margin is under maintenance at entry",
    )
    price = (value - side * (margin + maintenance_amount)) / (
        size * (1 - side * (maintenance + fee))
    )
    return max(price, Decimal(0))


@exact
def inverse_liquidation_price(
    side: int, entry: Decimal, leverage: Decimal, maintenance: Decimal
) -> Decimal:
    """Inverse contract, maintenance on the entry value: entry x L / (L +- (1 - L x maintenance)).

    MathError for a short of leverage one or less, which no price liquidates.
    """
    _position(side, Decimal(1), entry)
    require(
        leverage > 0 and 0 <= maintenance * leverage < 1, "margin is under maintenance at entry"
    )
    slack = 1 - leverage * maintenance
    require(side == LONG or leverage > slack, "no price liquidates this short")
    return entry * leverage / (leverage + side * slack)


@exact
def bankruptcy_price(side: int, size: Decimal, entry: Decimal, margin: Decimal) -> Decimal:
    """Mark at which the margin is gone: entry - side x margin / size, not below zero."""
    _position(side, size, entry)
    require(margin > 0, "the margin must be positive")
    return max(entry - side * margin / size, Decimal(0))


@exact
def effective_leverage(
    side: int, size: Decimal, entry: Decimal, mark: Decimal, margin: Decimal
) -> Decimal:
    """size x mark over margin and result; MathError without equity."""
    equity = margin + pnl(side, size, entry, mark)
    require(equity > 0, "the position has no equity left")
    return size * mark / equity


def _position(side: int, size: Decimal, price: Decimal) -> None:
    require(side in (LONG, SHORT), "a side is LONG (1) or SHORT (-1)")
    require(size > 0 and price > 0, "size and price must be positive")


def _interval(hours: int) -> None:
    require(hours > 0, "the funding interval must be positive")
