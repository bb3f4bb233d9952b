"""Tick tools: price to tick and back, usable ticks of a spacing, sqrtPriceX96, width of a range.

A tick belongs to the raw price token1 per token0, so every price says which way round it is quoted.
Ticks are rounded toward minus infinity, as the pool does, and judged to the unit: a tick is a label
here, since a tolerance would let its neighbour pass.
"""

from __future__ import annotations

from decimal import Context, Decimal

from denizen.protocols import tick_math
from denizen.protocols.usable_ticks import Rounding, usable_tick, width_of_ticks
from denizen.tasks.catalogue import Parameter, Result, Tool, ToolError
from denizen.tasks.quantities import Quantity, decimals_of
from denizen.tasks.tools.display import canonical, figure, percent

DIRECT, INVERSE = "token1/token0", "token0/token1"
QUOTED = (DIRECT, INVERSE)
ROUNDINGS: tuple[Rounding, ...] = ("down", "up", "nearest")
_WIDE = Context(prec=60)


def tick_result(tick: int, text: str, steps: tuple[str, ...], apart: int = 1) -> Result:
    """A tick as the answer; its neighbours `apart` and its opposite are what it must not be."""
    others = {-tick, tick - apart, tick + apart} - {tick}
    return Result(
        {"tick": str(tick)},
        text,
        steps,
        "tick",
        aliases=_spellings(tick)[1:],
        rivals=tuple(text for other in sorted(others) for text in _spellings(other)),
    )


def whole(given: Quantity) -> int:
    """A bare integer."""
    if given.unit:
        raise ToolError(f"{given.text!r} is not a plain integer")
    return int(given.value)


def decimals(decimals0: Quantity, decimals1: Quantity) -> tuple[int, int]:
    """ERC-20 decimals as stated."""
    found = whole(decimals0), whole(decimals1)
    if not all(0 <= places <= 36 for places in found):
        raise ToolError(f"decimals lie between 0 and 36, not at {found}")
    return found


def human_price(tick: int, decimals0: int, decimals1: int, quoted: str) -> Decimal:
    """Price of a tick, quoted either way (the inverse is the price of the opposite tick)."""
    if not tick_math.MIN_TICK <= tick <= tick_math.MAX_TICK:
        raise ToolError(f"no pool reaches tick {tick}")
    if quoted == INVERSE:
        return tick_math.price_at_tick(-tick, decimals1, decimals0)
    return tick_math.price_at_tick(tick, decimals0, decimals1)


def price_result(price: Decimal, quoted: str, steps: tuple[str, ...], **more: str) -> Result:
    """A price as the answer."""
    return Result(
        {"price": canonical(price), "quoted": quoted, **more},
        f"{figure(price, 8)} {quoted.replace('/', ' per ')}",
        steps,
        "price",
        price,
    )


def tick_at(price_: Quantity, quoted_: str) -> Result:
    """The tick a pool shows at a price."""
    tick, step = _tick_at(price_, quoted_)
    return tick_result(tick, f"tick {tick}", (step,))


def tick_usable(price_: Quantity, quoted_: str, spacing_: Quantity, round_: Rounding) -> Result:
    """The usable tick for a price."""
    tick, step = _tick_at(price_, quoted_)
    spacing = whole(spacing_)
    found = usable_tick(tick, spacing, round_)
    told = f"rounded {round_} to a multiple of {spacing}: {found}"
    if round_ == "nearest":
        told = f"nearest multiple of {spacing}: {found}"
    return tick_result(found, f"tick {found}", (step, told), spacing)


def tick_price(tick_: Quantity, decimals0_: Quantity, decimals1_: Quantity, quoted_: str) -> Result:
    """The price at a tick."""
    tick = whole(tick_)
    units = decimals(decimals0_, decimals1_)
    return price_result(human_price(tick, *units, quoted_), quoted_, _price_steps(tick, *units))


def sqrt_price(sqrt_: Quantity, decimals0_: Quantity, decimals1_: Quantity, quoted_: str) -> Result:
    """The price behind a sqrtPriceX96."""
    root = whole(sqrt_)
    if not tick_math.MIN_SQRT_PRICE <= root < tick_math.MAX_SQRT_PRICE:
        raise ToolError(f"no pool has sqrtPriceX96 {root}")
    units = decimals(decimals0_, decimals1_)
    price = tick_math.price_from_sqrt_price(root, *units)
    steps = (
        f"raw price = ({root} / 2^96)^2 = {tick_math.price_from_sqrt_price(root, 0, 0):.10e}",
        f"x 10^({units[0]} - {units[1]}) = {price:.10e} token1 per token0",
    )
    price = _WIDE.divide(Decimal(1), price) if quoted_ == INVERSE else price
    return price_result(price, quoted_, steps)


def tick_width(lower_: Quantity, upper_: Quantity) -> Result:
    """How far the upper tick's price is above the lower one's."""
    lower, upper = whole(lower_), whole(upper_)
    if not tick_math.MIN_TICK <= lower < upper <= tick_math.MAX_TICK:
        raise ToolError(f"the range {lower} to {upper} is empty or out of bounds")
    return _width(upper - lower, "from the lower to the upper bound")


def tick_move(ticks_: Quantity) -> Result:
    """How much the price changes over a number of ticks."""
    return _width(whole(ticks_), "in the price of token0")


def _tick_at(price: Quantity, quoted: str) -> tuple[int, str]:
    """The tick, and the step that gives it."""
    if price.value <= 0:
        raise ToolError(f"{price.text!r} is no price")
    tokens = price.per, price.unit
    direct = price.value
    if quoted == INVERSE:
        tokens, direct = (price.unit, price.per), _WIDE.divide(Decimal(1), price.value)
    units = decimals_of(tokens[0]), decimals_of(tokens[1])
    tick = tick_math.tick_at_price(direct, *units)
    raw = direct.scaleb(units[1] - units[0], _WIDE)
    return tick, (
        f"token0 {tokens[0]}, token1 {tokens[1]}: raw price = {direct:.10e} x 10^({units[1]} - "
        f"{units[0]}) = {raw:.10e}; floor(log(raw price) / log(1.0001)) = {tick}"
    )


def _price_steps(tick: int, decimals0: int, decimals1: int) -> tuple[str, ...]:
    raw = tick_math.price_at_tick(tick, 0, 0)
    price = tick_math.price_at_tick(tick, decimals0, decimals1)
    return (
        f"raw price = 1.0001^{tick} = {raw:.10e}",
        f"x 10^({decimals0} - {decimals1}) = {price:.10e} token1 per token0",
    )


def _width(ticks: int, told: str) -> Result:
    width = width_of_ticks(ticks)
    return Result(
        {"width": canonical(width)},
        f"{percent(width, 4)} {told}",
        (f"1.0001^{ticks} - 1 = {percent(width, 6)}",),
        "width",
        width * 100,
        "%",
    )


def _spellings(tick: int) -> tuple[str, ...]:
    """-195714, -195,714, and both with a typographic minus."""
    spelt = dict.fromkeys((str(tick), f"{tick:,}"))
    return (*spelt, *(text.replace("-", "\u2212") for text in spelt if tick < 0))


_PRICE = Parameter("price", "price with both tokens, such as 3,250 USDC per ETH", "price")
_WAY = Parameter("quoted", "which way round that price is", choices=QUOTED)
DECIMALS = (
    Parameter("decimals0", "decimals of token0", "integer"),
    Parameter("decimals1", "decimals of token1", "integer"),
)
WANTED = Parameter("quoted", "which way round the price is wanted", choices=QUOTED)
PRICED = {"price": "human units", "quoted": "which way round"}

TICKS_TOOLS = (
    Tool("tick_at", "the tick a v3/v4 pool shows at a price", "tick at a price",
         (_PRICE, _WAY), tick_at, {"tick": "tick, rounded down"}),
    Tool("tick_usable", "a price's tick rounded to the usable ticks of a tick spacing",
         "usable tick",
         (_PRICE, _WAY, Parameter("spacing", "tick spacing", "integer"),
          Parameter("round", "how the price's tick is rounded", choices=ROUNDINGS)),
         tick_usable, {"tick": "a multiple of the spacing"}),
    Tool("tick_price", "the price at a tick", "price at a tick",
         (Parameter("tick", "the tick", "integer"), *DECIMALS, WANTED), tick_price, PRICED),
    Tool("sqrt_price", "the price behind a sqrtPriceX96", "price from sqrtPriceX96",
         (Parameter("sqrt", "sqrtPriceX96", "integer"), *DECIMALS, WANTED), sqrt_price, PRICED),
    Tool("tick_width", "how wide a tick range is in percent of its lower price",
         "width of a range",
         (Parameter("lower", "lower tick", "integer"), Parameter("upper", "upper tick", "integer")),
         tick_width, {"width": "fraction"}),
    Tool("tick_move", "how many percent the price changes over a number of ticks",
         "ticks in percent",
         (Parameter("ticks", "number of ticks, signed", "integer"),),
         tick_move, {"width": "fraction, negative is a fall"}),
)  # fmt: skip
