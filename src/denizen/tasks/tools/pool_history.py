"""v3 pool tools: fees owed from fee growth, TWAP from tick cumulatives, amounts of a range.

feeGrowthInside is Q128 per unit of liquidity and wraps at 2^256; a mean tick is rounded toward
minus infinity.  Prices are quote per base with the base as token0; the bounds of a range are taken
as stated, not rounded to ticks.
"""

from __future__ import annotations

from decimal import Decimal

from denizen.protocols import position, tick_math
from denizen.protocols.uniswap_v3_oracle import arithmetic_mean_tick
from denizen.tasks.catalogue import Parameter, Result, Tool, ToolError
from denizen.tasks.quantities import Quantity, decimals_of
from denizen.tasks.tools.display import token_amount
from denizen.tasks.tools.ticks import (
    DECIMALS,
    PRICED,
    WANTED,
    decimals,
    human_price,
    price_result,
    tick_result,
    whole,
)

SIDES = ("base", "quote")


def fees_owed(L_: Quantity, then_: Quantity, now_: Quantity) -> Result:
    """Fees of one token since the position's last update."""
    liquidity, then, now = whole(L_), whole(then_), whole(now_)
    if min(liquidity, then, now) < 0:
        raise ToolError("liquidity and fee growth have no sign")
    fees = position.fees_owed(liquidity, now, then)
    wraps = " + 2^256 (wrapped)" if now < then else ""
    return Result(
        {"fees": str(fees)},
        f"{fees} raw units of the token",
        (f"({now} - {then}{wraps}) x {liquidity} / 2^128 = {fees} (rounded down)",),
        "fees",
        Decimal(fees),
    )


def twap_tick(then_: Quantity, now_: Quantity, over_: Quantity) -> Result:
    """Mean tick of a window."""
    tick, step = _mean_tick(then_, now_, over_)
    return tick_result(tick, f"mean tick {tick}", (step,))


def twap_price(
    then_: Quantity,
    now_: Quantity,
    over_: Quantity,
    decimals0_: Quantity,
    decimals1_: Quantity,
    quoted_: str,
) -> Result:
    """Price at the mean tick of a window: a geometric mean."""
    tick, step = _mean_tick(then_, now_, over_)
    units = decimals(decimals0_, decimals1_)
    price = human_price(tick, *units, quoted_)
    return price_result(
        price,
        quoted_,
        (step, f"1.0001^{tick} x 10^({units[0]} - {units[1]}), quoted {quoted_}"),
        tick=str(tick),
    )


def range_liquidity(
    a_: Quantity, b_: Quantity, lower_: Quantity, upper_: Quantity, price_: Quantity
) -> Result:
    """The most liquidity that two amounts fund in a range."""
    base, quote = (a_, b_) if a_.unit == price_.per else (b_, a_)
    if (base.unit, quote.unit) != (price_.per, price_.unit):
        raise ToolError(f"{a_.text!r} and {b_.text!r} are not {price_.per} and {price_.unit}")
    now, low, high = _roots(lower_, upper_, price_)
    amounts = base.raw(), quote.raw()
    if min(amounts) < 0:
        raise ToolError("an amount cannot be negative")
    liquidity = position.liquidity_for_amounts(now, low, high, *amounts)
    used = position.amounts_for_liquidity(now, low, high, liquidity, round_up=True)
    return Result(
        {"liquidity": str(liquidity)},
        f"liquidity {liquidity}",
        (
            f"sqrtPriceX96 {now}, bounds {low} and {high}",
            f"the smaller of what each token funds: {liquidity}",
            f"it uses {token_amount(used[0], base.unit)} and {token_amount(used[1], quote.unit)}",
        ),
        "liquidity",
        Decimal(liquidity),
    )


def range_deposit(
    L_: Quantity, lower_: Quantity, upper_: Quantity, price_: Quantity, token_: str
) -> Result:
    """What minting a target liquidity takes of one token, rounded up as the pool asks for it."""
    now, low, high = _roots(lower_, upper_, price_)
    liquidity = whole(L_)
    if liquidity <= 0:
        raise ToolError(f"a liquidity of {liquidity} needs no deposit")
    amounts = position.amounts_for_liquidity(now, low, high, liquidity, round_up=True)
    return _needed(amounts, price_, token_, f"sqrtPriceX96 {now}, bounds {low} and {high}")


def range_match(amount_: Quantity, lower_: Quantity, upper_: Quantity, price_: Quantity) -> Result:
    """How much of the other token goes with an amount of one, both used up."""
    now, low, high = _roots(lower_, upper_, price_)
    if not low < now < high:
        raise ToolError(f"at {price_.text} the range takes one token only")
    amount = amount_.raw()
    if amount <= 0:
        raise ToolError(f"{amount_.text!r} is no deposit")
    if amount_.unit == price_.per:
        liquidity = position.liquidity_for_amounts(now, now, high, amount, 0)
    elif amount_.unit == price_.unit:
        liquidity = position.liquidity_for_amounts(now, low, now, 0, amount)
    else:
        raise ToolError(f"{amount_.text!r} is not in the pair {price_.per}/{price_.unit}")
    amounts = position.amounts_for_liquidity(now, low, high, liquidity, round_up=True)
    other = "quote" if amount_.unit == price_.per else "base"
    return _needed(amounts, price_, other, f"{amount_.text} funds a liquidity of {liquidity}")


def _needed(amounts: tuple[int, int], price: Quantity, side: str, step: str) -> Result:
    token = price.per if side == "base" else price.unit
    amount = amounts[SIDES.index(side)]
    return Result(
        {"amount": str(amount), "token": token},
        f"{token_amount(amount, token)} needed",
        (step, f"{amount} raw {token} (rounded up)"),
        "amount",
        Decimal(amount).scaleb(-decimals_of(token)),
        token,
    )


def _mean_tick(then: Quantity, now: Quantity, over: Quantity) -> tuple[int, str]:
    """The mean tick, and the step that gives it."""
    # A period is held in days, so whole seconds come back only after rounding.
    seconds = int((over.value * 86_400).to_integral_value())
    before, after = whole(then), whole(now)
    tick = arithmetic_mean_tick(before, after, seconds)
    return tick, f"({after} - {before}) / {seconds} s = {tick} (rounded toward minus infinity)"


def _roots(lower: Quantity, upper: Quantity, price: Quantity) -> tuple[int, int, int]:
    """sqrtPriceX96 of the price and of both bounds."""
    if not 0 < lower.value < upper.value:
        raise ToolError(f"the range {lower.text} to {upper.text} is empty")
    units = decimals_of(price.per), decimals_of(price.unit)
    now, low, high = (
        tick_math.sqrt_price_from_price(q.value, *units) for q in (price, lower, upper)
    )
    return now, low, high


_LIQUIDITY = Parameter("L", "the position's liquidity, a raw integer", "integer")
_WINDOW = (
    Parameter("then", "tickCumulative at the start", "integer"),
    Parameter("now", "tickCumulative at the end", "integer"),
    Parameter("over", "time between the two", "period"),
)
_RANGE = (
    Parameter("lower", "lower price of the range", "number"),
    Parameter("upper", "upper price of the range", "number"),
    Parameter("price", "current price, such as 3,250 USDC per ETH", "price"),
)
_NEEDED = {"amount": "raw units, rounded up", "token": "symbol"}

POOL_HISTORY_TOOLS = (
    Tool("fees_owed", "fees owed to a v3/v4 position from two feeGrowthInside readings",
         "fees owed from growth",
         (_LIQUIDITY, Parameter("then", "feeGrowthInside at the last update, Q128", "integer"),
          Parameter("now", "feeGrowthInside now, Q128", "integer")),
         fees_owed, {"fees": "raw units, rounded down"}),
    Tool("twap_tick", "time-weighted mean tick from two tickCumulatives", "mean tick",
         _WINDOW, twap_tick, {"tick": "rounded toward minus infinity"}),
    Tool("twap_price", "TWAP: price at the mean tick of two tickCumulatives", "TWAP price",
         (*_WINDOW, *DECIMALS, WANTED), twap_price,
         {**PRICED, "tick": "the mean tick"}),
    Tool("range_liquidity", "liquidity that two token amounts fund in a range",
         "liquidity for amounts",
         (Parameter("a", "one token amount", "amount"),
          Parameter("b", "the other token amount", "amount"), *_RANGE),
         range_liquidity, {"liquidity": "raw integer"}),
    Tool("range_deposit", "what a target liquidity needs of one token", "deposit for liquidity",
         (_LIQUIDITY, *_RANGE, Parameter("token", "base or quote of the price", choices=SIDES)),
         range_deposit, _NEEDED),
    Tool("range_match", "how much of the other token goes with an amount of one in a range",
         "matching deposit",
         (Parameter("amount", "the amount of one token", "amount"), *_RANGE),
         range_match, _NEEDED),
)  # fmt: skip
