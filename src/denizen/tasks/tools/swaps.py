"""Swap tools: exact-input and exact-output quotes on v2, exact input in a v3/v4 range.

Reserves may come in either order: the unit of the traded amount tells which one is which.  Price
impact excludes the fee: it is how much worse than the price before the swap the trade's own price
is once the fee has been taken.
"""

from __future__ import annotations

from decimal import Decimal

from denizen.protocols import swap_math, tick_math, uniswap_v2
from denizen.tasks.catalogue import Parameter, Result, Tool, ToolError
from denizen.tasks.quantities import Quantity, decimals_of
from denizen.tasks.tools.display import canonical, percent, token_amount

_RESERVES = (
    Parameter("a", "one reserve of the pair with its token", "amount"),
    Parameter("b", "the other reserve", "amount"),
)


def _reserves(traded: Quantity, a: Quantity, b: Quantity) -> tuple[Quantity, Quantity]:
    """(reserve of the traded token, the other reserve)."""
    if a.unit == b.unit:
        raise ToolError(f"both reserves are in {a.unit}")
    if traded.unit == a.unit:
        return a, b
    if traded.unit == b.unit:
        return b, a
    raise ToolError(f"{traded.text!r} is in neither reserve's token ({a.unit}, {b.unit})")


def v2_quote_in(in_: Quantity, a_: Quantity, b_: Quantity) -> Result:
    """Uniswap v2 getAmountOut: what an exact input buys."""
    sold, bought = _reserves(in_, a_, b_)
    amount_in, reserve_in, reserve_out = in_.raw(), sold.raw(), bought.raw()
    out = uniswap_v2.get_amount_out(amount_in, reserve_in, reserve_out)
    impact = uniswap_v2.price_impact_excluding_fee(amount_in, reserve_in, reserve_out)
    said = token_amount(out, bought.unit)
    return Result(
        {"out": str(out), "token": bought.unit, "impact": canonical(impact)},
        f"{said} out; price impact {percent(impact)}",
        (
            f"amount in x 997 = {amount_in * 997}",
            f"out = {amount_in * 997} x {reserve_out} / ({reserve_in} x 1000 + {amount_in * 997})"
            f" = {out} (rounded down, raw units)",
        ),
        "out",
        Decimal(out).scaleb(-decimals_of(bought.unit)),
        bought.unit,
    )


def v2_quote_out(out_: Quantity, a_: Quantity, b_: Quantity) -> Result:
    """Uniswap v2 getAmountIn: what an exact output costs."""
    bought, sold = _reserves(out_, a_, b_)
    amount_out, reserve_in, reserve_out = out_.raw(), sold.raw(), bought.raw()
    cost = uniswap_v2.get_amount_in(amount_out, reserve_in, reserve_out)
    return Result(
        {"in": str(cost), "token": sold.unit},
        f"{token_amount(cost, sold.unit)} in",
        (
            f"in = {reserve_in} x {amount_out} x 1000 / (({reserve_out} - {amount_out}) x 997) + 1"
            f" = {cost} (rounded up, raw units)",
        ),
        "in",
        Decimal(cost).scaleb(-decimals_of(sold.unit)),
        sold.unit,
    )


def cl_quote(in_: Quantity, L_: Quantity, price_: Quantity, fee_: Quantity) -> Result:
    """One swap step of v3/v4 at constant liquidity (no initialised tick crossed).

    The price reads "quote per base"; the base is token0.
    """
    base, quote = price_.per, price_.unit
    if in_.unit not in (base, quote):
        raise ToolError(f"{in_.text!r} is not in the pair {base}/{quote}")
    fee_pips = fee_.value * 1_000_000
    if fee_pips != int(fee_pips):
        raise ToolError(f"a fee of {fee_.text} is finer than one hundredth of a basis point")
    sqrt_price = tick_math.sqrt_price_from_price(
        price_.value, decimals_of(base), decimals_of(quote)
    )
    zero_for_one = in_.unit == base
    limit = tick_math.MIN_SQRT_PRICE + 1 if zero_for_one else tick_math.MAX_SQRT_PRICE - 1
    step = swap_math.compute_swap_step(sqrt_price, limit, int(L_.value), -in_.raw(), int(fee_pips))
    token = quote if zero_for_one else base
    ratio = Decimal(step.sqrt_price_next) / Decimal(sqrt_price)
    impact = 1 - ratio if zero_for_one else 1 - 1 / ratio
    return Result(
        {
            "out": str(step.amount_out),
            "token": token,
            "sqrt_price_next": str(step.sqrt_price_next),
            "fee": str(step.fee_amount),
        },
        f"{token_amount(step.amount_out, token)} out; price impact {percent(impact)}; "
        f"fee {token_amount(step.fee_amount, in_.unit)}",
        (
            f"sqrtPriceX96 {sqrt_price} -> {step.sqrt_price_next} at L = {int(L_.value)}",
            f"fee taken first: {step.fee_amount}; out = {step.amount_out} (rounded down, raw)",
        ),
        "out",
        Decimal(step.amount_out).scaleb(-decimals_of(token)),
        token,
    )


SWAP_TOOLS = (
    Tool(
        "v2_in",
        "Uniswap v2 (constant product): output for an exact input, with price impact",
        "v2 proceeds",
        (Parameter("in", "the exact amount sold, with its token", "amount"), *_RESERVES),
        v2_quote_in,
        {"out": "raw units", "token": "symbol", "impact": "fraction, fee excluded"},
    ),
    Tool(
        "v2_out",
        "Uniswap v2 (constant product): input needed for an exact output",
        "v2 cost",
        (Parameter("out", "the exact amount wanted, with its token", "amount"), *_RESERVES),
        v2_quote_out,
        {"in": "raw units", "token": "symbol"},
    ),
    Tool(
        "cl_in",
        "Uniswap v3/v4 concentrated liquidity: output for an exact input at constant liquidity",
        "concentrated proceeds",
        (
            Parameter("in", "the exact amount sold, with its token", "amount"),
            Parameter("L", "in-range liquidity, a raw integer", "integer"),
            Parameter("price", "current price, such as 3,250 USDC per ETH", "price"),
            Parameter("fee", "the pool's fee, such as 0.05%", "percent"),
        ),
        cl_quote,
        {
            "out": "raw units",
            "token": "symbol",
            "sqrt_price_next": "sqrtPriceX96",
            "fee": "raw units of the token sold",
        },
    ),
)
