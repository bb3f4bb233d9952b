"""Liquidity-position tools: value, impermanent loss, fee APR, range status.

Prices are quote per base.  A position's amounts are the engine's integer amounts at the exact
square-root prices of the stated bounds (no rounding to a tick), rounded down as a withdrawal is.
"""

from __future__ import annotations

from decimal import Decimal

from denizen.protocols import position, tick_math, yields
from denizen.tasks.catalogue import Parameter, Result, Tool, ToolError
from denizen.tasks.quantities import Quantity, decimals_of
from denizen.tasks.tools.display import canonical, figure, percent, token_amount

_ENTRY = Parameter("entry", "price when the position was opened", "number")
_NOW = Parameter("now", "current price", "number")
_LOWER = Parameter("lower", "lower bound of the range", "number")
_UPPER = Parameter("upper", "upper bound of the range", "number")


def position_value(L_: Quantity, lower_: Quantity, upper_: Quantity, price_: Quantity) -> Result:
    """Token amounts and value of a v3/v4 position, in the quote token."""
    base, quote = price_.per, price_.unit
    units = decimals_of(base), decimals_of(quote)
    if not 0 < lower_.value < upper_.value:
        raise ToolError(f"the range {lower_.text} to {upper_.text} is empty")
    sqrt_price, sqrt_lower, sqrt_upper = (
        tick_math.sqrt_price_from_price(q.value, *units) for q in (price_, lower_, upper_)
    )
    amount0, amount1 = position.amounts_for_liquidity(
        sqrt_price, sqrt_lower, sqrt_upper, int(L_.value)
    )
    value = Decimal(amount0).scaleb(-units[0]) * price_.value + Decimal(amount1).scaleb(-units[1])
    return Result(
        {"amount0": str(amount0), "amount1": str(amount1), "value": canonical(value)},
        f"{token_amount(amount0, base)} + {token_amount(amount1, quote)}, "
        f"worth {figure(value, 8)} {quote}",
        (
            f"sqrtPriceX96 {sqrt_price}, bounds {sqrt_lower} and {sqrt_upper}",
            f"amount0 = {amount0}, amount1 = {amount1} (raw units, rounded down)",
            f"value = amount0 x {price_.value:f} + amount1",
        ),
        "value",
        value,
        quote,
    )


def il_full(entry_: Quantity, now_: Quantity) -> Result:
    """Impermanent loss of a full-range (v2) position against holding."""
    loss = position.impermanent_loss_v2(now_.value / entry_.value)
    return Result(
        {"il": canonical(loss)},
        f"{percent(loss)} against holding",
        (
            f"k = {now_.value:f} / {entry_.value:f}",
            f"2 sqrt(k) / (1 + k) - 1 = {percent(loss, 6)}",
        ),
        "il",
        loss * 100,
        "%",
    )


def il_range(entry_: Quantity, now_: Quantity, lower_: Quantity, upper_: Quantity) -> Result:
    """Impermanent loss of a concentrated position against holding its entry amounts."""
    loss = position.impermanent_loss_range(entry_.value, now_.value, lower_.value, upper_.value)
    return Result(
        {"il": canonical(loss)},
        f"{percent(loss)} against holding",
        (
            f"range {lower_.value:f} to {upper_.value:f}, price {entry_.value:f} -> {now_.value:f}",
            f"position value / value of the entry amounts - 1 = {percent(loss, 6)}",
        ),
        "il",
        loss * 100,
        "%",
    )


def fee_apr(
    volume_: Quantity, fee_: Quantity, share_: Quantity, value_: Quantity, period_: Quantity
) -> Result:
    """Fee APR from the share of the pool's fees that a position earns."""
    return _apr(volume_, fee_, share_.value, value_, period_, f"share {percent(share_.value, 4)}")


def fee_apr_liquidity(
    volume_: Quantity,
    fee_: Quantity,
    own_: Quantity,
    pool_: Quantity,
    value_: Quantity,
    period_: Quantity,
) -> Result:
    """Fee APR from own liquidity and the pool's in-range liquidity."""
    if not 0 < own_.value <= pool_.value:
        raise ToolError(f"own liquidity {own_.text} is not part of the pool's {pool_.text}")
    share = own_.value / pool_.value
    return _apr(volume_, fee_, share, value_, period_, f"share {own_.text} / {pool_.text}")


def _apr(
    volume: Quantity, fee: Quantity, share: Decimal, value: Quantity, period: Quantity, told: str
) -> Result:
    apr = yields.fee_apr(volume.value, fee.value, share, value.value, period.value)
    earned = volume.value * fee.value * share
    return Result(
        {"apr": canonical(apr)},
        f"{percent(apr)} fee APR",
        (
            f"fees earned = {volume.value:f} x {fee.value:f} x {told} = {figure(earned)}",
            f"APR = {figure(earned)} x 365 / {period.value:f} / {value.value:f}"
            f" = {percent(apr, 4)}",
        ),
        "apr",
        apr * 100,
        "%",
    )


STATUSES = ("in range", "below range", "above range")


def range_status(now_: Quantity, lower_: Quantity, upper_: Quantity) -> Result:
    """Whether a position is in range (lower <= now < upper, as v3 has it)."""
    if not lower_.value < upper_.value:
        raise ToolError(f"the range {lower_.text} to {upper_.text} is empty")
    found = (now_.value, lower_.value, upper_.value)
    if min(found) < 0 and any(value != value.to_integral_value() for value in found):
        raise ToolError("ticks are integers, and a price is not negative")
    status = position.range_status(now_.value, lower_.value, upper_.value)
    told = {
        "in range": "in range: earns fees, holds both tokens",
        "below range": "below range: earns nothing, all in token0 (the base)",
        "above range": "above range: earns nothing, all in token1 (the quote)",
    }[status]
    return Result(
        {"status": status},
        told,
        (f"{lower_.value:f} <= {now_.value:f} < {upper_.value:f} is {status == 'in range'}",),
        "status",
        rivals=tuple(other for other in STATUSES if other != status),
    )


_RANGE_VALUES = (
    Parameter("value", "value of the position", "number"),
    Parameter("period", "time in which the volume was traded, such as 7 days", "period"),
)
_TRADED = (
    Parameter("volume", "volume traded in the period", "number"),
    Parameter("fee", "the pool's fee, such as 0.05%", "percent"),
)

POSITION_TOOLS = (
    Tool(
        "value",
        "token amounts and value of a concentrated position",
        "amounts and value",
        (
            Parameter("L", "the position's liquidity, a raw integer", "integer"),
            _LOWER,
            _UPPER,
            Parameter("price", "current price, such as 3,250 USDC per ETH", "price"),
        ),
        position_value,
        {"amount0": "raw units", "amount1": "raw units", "value": "quote token"},
    ),
    Tool(
        "il_full",
        "impermanent loss of a full-range or v2 position",
        "impermanent loss, full range",
        (_ENTRY, _NOW),
        il_full,
        {"il": "fraction, negative is a loss"},
    ),
    Tool(
        "il_range",
        "impermanent loss of a concentrated position",
        "impermanent loss, concentrated",
        (_ENTRY, _NOW, _LOWER, _UPPER),
        il_range,
        {"il": "fraction, negative is a loss"},
    ),
    Tool(
        "apr_share",
        "fee APR of a position that earns a given share of the pool's fees",
        "fee APR by share",
        (*_TRADED, Parameter("share", "share of the fees earned", "percent"), *_RANGE_VALUES),
        fee_apr,
        {"apr": "fraction a year"},
    ),
    Tool(
        "apr_liquidity",
        "fee APR of a position from its own and the pool's in-range liquidity",
        "fee APR by liquidity",
        (
            *_TRADED,
            Parameter("own", "the position's liquidity, a raw integer", "integer"),
            Parameter("pool", "the pool's in-range liquidity, a raw integer", "integer"),
            *_RANGE_VALUES,
        ),
        fee_apr_liquidity,
        {"apr": "fraction a year"},
    ),
    Tool(
        "range",
        "is a position in range, below or above; prices or ticks",
        "in range or not",
        (_NOW, _LOWER, _UPPER),
        range_status,
        {"status": "in range, below range or above range"},
    ),
)
