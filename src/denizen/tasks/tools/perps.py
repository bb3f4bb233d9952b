"""Perpetual and futures tools: funding, basis, cash and carry, liquidation of isolated margin.

A funding flow is signed as the holder's own: at a positive rate a long pays (negative) and a short
receives.  The rate is for one funding interval, paid at each whole interval held.  Contracts are
linear; the mark is taken as constant where one is given.
"""

from __future__ import annotations

from decimal import Decimal

from denizen.protocols import perpetuals
from denizen.tasks.catalogue import Parameter, Result, Tool, ToolError
from denizen.tasks.quantities import Quantity
from denizen.tasks.tools.display import canonical, figure, percent
from denizen.tasks.tools.periods import seconds, whole

SIDES = {"long": perpetuals.LONG, "short": perpetuals.SHORT}
_HOUR = 3600
# A year of hourly funding; more would say nothing at a constant rate.
MAX_PAYMENTS = 8760


def funding_notional(
    side_: str, notional_: Quantity, rate_: Quantity, interval_: Quantity, held_: Quantity
) -> Result:
    """Funding of a position of constant notional value."""
    flow, times = _funding(side_, notional_.value, Decimal(1), rate_, interval_, held_)
    sign = "-" if flow < 0 else ""
    return Result(
        {"flow": canonical(flow), "payments": str(times)},
        f"{_told(side_, flow, times)}: {sign}${figure(abs(flow), 8)}",
        (f"{times} x {notional_.value:f} x {rate_.value:f}, signed for a {side_}",),
        "flow",
        flow,
        "USD",
        flow=True,
    )


def funding_size(
    side_: str,
    size_: Quantity,
    mark_: Quantity,
    rate_: Quantity,
    interval_: Quantity,
    held_: Quantity,
) -> Result:
    """Funding of a position of so many tokens at a mark price, in the quote."""
    _same(size_, mark_)
    flow, times = _funding(side_, size_.value, mark_.value, rate_, interval_, held_)
    return Result(
        {"flow": canonical(flow), "payments": str(times), "token": mark_.unit},
        f"{_told(side_, flow, times)}: {figure(flow, 8)} {mark_.unit}",
        (f"{times} x {size_.value:f} x {mark_.value:f} x {rate_.value:f}, signed for a {side_}",),
        "flow",
        flow,
        mark_.unit,
        flow=True,
    )


def _told(side: str, flow: Decimal, times: int) -> str:
    return f"the {side} {'pays' if flow < 0 else 'receives'} funding {times} times"


def _funding(
    side: str, size: Decimal, mark: Decimal, rate: Quantity, interval: Quantity, held: Quantity
) -> tuple[Decimal, int]:
    step = seconds(interval)
    times = seconds(held) // step if step else 0
    if not 0 < times <= MAX_PAYMENTS:
        raise ToolError(f"{held.text} does not hold 1 to {MAX_PAYMENTS} intervals")
    events = [(mark, rate.value)] * times
    return perpetuals.cumulative_funding(SIDES[side], size, events), times


def _same(size: Quantity, price: Quantity) -> None:
    if size.unit != price.per:
        raise ToolError(f"{size.text!r} is not in the token that {price.text!r} prices")


def funding_apr(rate_: Quantity, interval_: Quantity) -> Result:
    """A funding rate a year, simple."""
    hours = whole(interval_, _HOUR, "hour")
    apr = perpetuals.annualised_funding(rate_.value, hours)
    return _rate("funding_apr", apr, "a year", f"{rate_.value:f} x 8760 / {hours}")


def basis_apr(futures_: Quantity, spot_: Quantity, expiry_: Quantity) -> Result:
    """Basis of a dated future a year, simple, on spot alone."""
    apr = perpetuals.annualised_basis(futures_.value, spot_.value, expiry_.value)
    step = f"({futures_.value:f} / {spot_.value:f} - 1) x 365 / {figure(expiry_.value)}"
    return _rate("basis_apr", apr, "a year", step)


def carry_apr(
    spot_: Quantity, futures_: Quantity, margin_: Quantity, fee_: Quantity, expiry_: Quantity
) -> Result:
    """Cash and carry held to expiry: profit after fees on spot and margin, a year."""
    carry = perpetuals.cash_and_carry(
        spot_.value, futures_.value, expiry_.value, margin_.value, fee_.value
    )
    return _rate(
        "carry_apr",
        carry.apr,
        "a year on spot and margin",
        f"profit a unit after fees on both legs = {figure(carry.profit, 8)}",
        f"over {figure(carry.capital, 8)}, x 365 / {figure(expiry_.value)}",
    )


def _rate(key: str, rate: Decimal, told: str, *steps: str) -> Result:
    shown = (*steps, f"= {percent(rate, 6)}")
    return Result({key: canonical(rate)}, f"{percent(rate)} {told}", shown, key, rate * 100, "%")


def perp_liquidation(
    side_: str, entry_: Quantity, leverage_: Quantity, maintenance_: Quantity
) -> Result:
    """Liquidation price of an isolated position opened at a leverage."""
    # At margin = entry price the size is the leverage.
    return _liquidation(side_, leverage_.value, entry_, entry_.value, maintenance_)


def perp_liquidation_margin(
    side_: str, size_: Quantity, entry_: Quantity, margin_: Quantity, maintenance_: Quantity
) -> Result:
    """Liquidation price of an isolated position with a margin in money."""
    _same(size_, entry_)
    return _liquidation(side_, size_.value, entry_, margin_.value, maintenance_)


def _liquidation(
    side: str, size: Decimal, entry: Quantity, margin: Decimal, maintenance: Quantity
) -> Result:
    price = perpetuals.liquidation_price(SIDES[side], size, entry.value, margin, maintenance.value)
    return Result(
        {"price": canonical(price), "token": entry.unit, "side": side},
        f"the {side} is liquidated at {figure(price, 8)} {entry.unit}",
        (
            "margin + result = maintenance x size x mark",
            f"margin {margin:f}, size {size:f}, entry {entry.value:f}: mark = {figure(price, 8)}",
        ),
        "price",
        price,
        entry.unit,
    )


_SIDE = Parameter("side", "side of the position", choices=tuple(SIDES))
_RATE = Parameter("rate", "funding rate of one interval; longs pay if positive", "percent")
_INTERVAL = Parameter("interval", "time from one funding payment to the next", "period")
_HELD = Parameter("held", "time the position is held", "period")
_SIZE = Parameter("size", "size in the underlying token", "amount")
_EXPIRY = Parameter("expiry", "time to expiry", "period")
_SPOT = Parameter("spot", "spot price", "number")
_FUTURES = Parameter("futures", "price of the future", "number")
_ENTRY = Parameter("entry", "entry price, such as 3,250 USDC per ETH", "price")
_MAINTENANCE = Parameter("maintenance", "maintenance margin rate", "percent")
_PRICE = {"price": "quote token", "token": "symbol", "side": "long or short"}

PERPS_TOOLS = (
    Tool(
        "funding_notional",
        "funding paid or received over a time on a notional value, signed for the holder",
        "funding on notional",
        (_SIDE, Parameter("notional", "value of the position", "number"), _RATE, _INTERVAL, _HELD),
        funding_notional,
        {"flow": "money, negative is paid", "payments": "count"},
    ),
    Tool(
        "funding_size",
        "funding paid or received over a time on a token size at a mark price, signed",
        "funding on size",
        (
            _SIDE,
            _SIZE,
            Parameter("mark", "mark price, such as 3,250 USDC per ETH", "price"),
            _RATE,
            _INTERVAL,
            _HELD,
        ),
        funding_size,
        {"flow": "quote token, negative is paid", "payments": "count", "token": "symbol"},
    ),
    Tool(
        "funding_apr",
        "a funding rate annualised, simple",
        "annualised funding",
        (_RATE, _INTERVAL),
        funding_apr,
        {"funding_apr": "fraction a year"},
    ),
    Tool(
        "basis_apr",
        "annualised basis of a dated future over spot",
        "annualised basis",
        (_FUTURES, _SPOT, _EXPIRY),
        basis_apr,
        {"basis_apr": "fraction a year"},
    ),
    Tool(
        "carry_apr",
        "cash-and-carry yield on spot and margin after fees",
        "cash and carry",
        (
            _SPOT,
            _FUTURES,
            Parameter("margin", "margin posted, of the future's price", "percent"),
            Parameter("fee", "trading fee of each leg", "percent"),
            _EXPIRY,
        ),
        carry_apr,
        {"carry_apr": "fraction a year"},
    ),
    Tool(
        "perp_liquidation",
        "liquidation price of an isolated perpetual at a leverage",
        "perpetual liquidation, leverage",
        (
            _SIDE,
            _ENTRY,
            Parameter("leverage", "notional over margin at entry", "multiple"),
            _MAINTENANCE,
        ),
        perp_liquidation,
        _PRICE,
    ),
    Tool(
        "perp_liquidation_margin",
        "liquidation price of an isolated perpetual with a margin in money",
        "perpetual liquidation, margin",
        (
            _SIDE,
            _SIZE,
            _ENTRY,
            Parameter("margin", "margin in the quote's money", "number"),
            _MAINTENANCE,
        ),
        perp_liquidation_margin,
        _PRICE,
    ),
)
