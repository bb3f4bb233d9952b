"""Uniswap v2 liquidity tools: LP tokens minted and burnt, pool share, price after a swap, routes.

LP tokens have 18 decimals.  Reserves may come in either order where the traded token tells them
apart.  A deposit's share counts the deposit itself; the price after a swap keeps the fee in the
pool; a route takes the 0.30% at every hop.
"""

from __future__ import annotations

from decimal import Context, Decimal

from denizen.protocols import uniswap_v2
from denizen.tasks.catalogue import Parameter, Result, Tool, ToolError
from denizen.tasks.quantities import Quantity, decimals_of
from denizen.tasks.tools.display import canonical, figure, percent, token_amount
from denizen.tasks.tools.ticks import whole

_WIDE = Context(prec=60)


def mint(
    a_: Quantity, b_: Quantity, pool_a_: Quantity, pool_b_: Quantity, supply_: Quantity
) -> Result:
    """LP tokens for a deposit into a pair that has liquidity."""
    pool_a, pool_b = _by_token(a_, pool_a_, pool_b_)
    if b_.unit != pool_b.unit:
        raise ToolError(f"{b_.text!r} is not in {pool_b.unit}")
    supply = _lp(supply_)
    if supply == 0:
        raise ToolError("a pair without LP tokens takes a first deposit")
    amounts = a_.raw(), b_.raw(), pool_a.raw(), pool_b.raw()
    shares = uniswap_v2.mint_liquidity(*amounts, supply)
    share = _WIDE.divide(Decimal(shares), Decimal(supply + shares))
    return Result(
        {"shares": str(shares)},
        f"{_said(shares)} LP tokens, {percent(share, 4)} of the pool from then on",
        (
            f"{amounts[0]} x {supply} / {amounts[2]} = {amounts[0] * supply // amounts[2]}",
            f"{amounts[1]} x {supply} / {amounts[3]} = {amounts[1] * supply // amounts[3]}",
            f"the smaller one is minted: {shares} (raw units, rounded down)",
        ),
        "shares",
        Decimal(shares).scaleb(-18),
    )


def first(amount0_: Quantity, amount1_: Quantity) -> Result:
    """LP tokens of the first depositor, in raw units."""
    amount0, amount1 = whole(amount0_), whole(amount1_)
    shares = uniswap_v2.mint_liquidity(amount0, amount1, 0, 0, 0)
    return Result(
        {"shares": str(shares)},
        f"{shares} raw LP units for the depositor",
        (
            f"sqrt({amount0} x {amount1}) = {shares + uniswap_v2.MINIMUM_LIQUIDITY} (rounded down)",
            f"less MINIMUM_LIQUIDITY {uniswap_v2.MINIMUM_LIQUIDITY}, locked for ever = {shares}",
        ),
        "shares",
        Decimal(shares),
    )


def burn(lp_: Quantity, out_: Quantity, other_: Quantity, supply_: Quantity) -> Result:
    """What burning LP tokens pays in the token asked about, and in the other one."""
    if out_.unit == other_.unit:
        raise ToolError(f"both reserves are in {out_.unit}")
    lp, supply = _lp(lp_), _lp(supply_)
    if lp > supply:
        raise ToolError(f"{lp_.text} LP tokens are more than all {supply_.text}")
    out, other = uniswap_v2.burn_amounts(lp, out_.raw(), other_.raw(), supply)
    return Result(
        {"out": str(out), "token": out_.unit, "other": str(other)},
        f"{token_amount(out, out_.unit)} and {token_amount(other, other_.unit)}",
        (
            f"{lp} x {out_.raw()} / {supply} = {out} (raw {out_.unit}, rounded down)",
            f"{lp} x {other_.raw()} / {supply} = {other} (raw {other_.unit}, rounded down)",
        ),
        "out",
        Decimal(out).scaleb(-decimals_of(out_.unit)),
        out_.unit,
    )


def share(deposit_: Quantity, pool_: Quantity) -> Result:
    """The share of the pool that a deposit at the pool's ratio owns afterwards."""
    if deposit_.unit != pool_.unit:
        raise ToolError(f"{deposit_.text!r} is not in {pool_.unit}")
    deposit, reserve = deposit_.raw(), pool_.raw()
    # At the pool's own ratio both tokens mint alike, and the supply's scale cancels out.
    shares = uniswap_v2.mint_liquidity(deposit, deposit, reserve, reserve, reserve)
    part = _WIDE.divide(Decimal(shares), Decimal(reserve + shares))
    return Result(
        {"share": canonical(part)},
        f"{percent(part, 4)} of the pool",
        (f"{deposit} / ({reserve} + {deposit}) = {percent(part, 6)}: own deposit included",),
        "share",
        part * 100,
        "%",
    )


def price_after(in_: Quantity, base_: Quantity, quote_: Quantity) -> Result:
    """Price of the base token in the quote token once a swap is done."""
    sold, bought = _by_token(in_, base_, quote_)
    out = uniswap_v2.get_amount_out(in_.raw(), sold.raw(), bought.raw())
    after = {sold.unit: sold.raw() + in_.raw(), bought.unit: bought.raw() - out}
    base, quote = (
        Decimal(after[q.unit]).scaleb(-decimals_of(q.unit), _WIDE) for q in (base_, quote_)
    )
    price = _WIDE.divide(quote, base)
    return Result(
        {"price": canonical(price), "base": base_.unit, "quote": quote_.unit},
        f"1 {base_.unit} = {figure(price, 8)} {quote_.unit} after the swap",
        (
            f"paid out {out} raw {bought.unit}; the whole input stays in, fee included",
            f"reserves afterwards {base:f} {base_.unit} and {quote:f} {quote_.unit}",
            f"price = {figure(price, 12)}",
        ),
        "price",
        price,
        quote_.unit,
    )


def route(
    in_: Quantity, first_a_: Quantity, first_b_: Quantity, then_a_: Quantity, then_b_: Quantity
) -> Result:
    """What an exact input buys over two pairs, one after the other."""
    sold, middle = _by_token(in_, first_a_, first_b_)
    enters, leaves = _by_token(middle, then_a_, then_b_)
    if leaves.unit == in_.unit:
        raise ToolError(f"the route leads back to {in_.unit}")
    path = ((sold.raw(), middle.raw()), (enters.raw(), leaves.raw()))
    amounts = uniswap_v2.get_amounts_out(in_.raw(), path)
    return Result(
        {"out": str(amounts[2]), "token": leaves.unit, "middle": str(amounts[1])},
        f"{token_amount(amounts[2], leaves.unit)} out, "
        f"by way of {token_amount(amounts[1], middle.unit)}",
        (
            f"first pair: {amounts[0]} -> {amounts[1]} raw {middle.unit} (0.30% taken)",
            f"second pair: {amounts[1]} -> {amounts[2]} raw {leaves.unit} (0.30% taken again)",
        ),
        "out",
        Decimal(amounts[2]).scaleb(-decimals_of(leaves.unit)),
        leaves.unit,
    )


def _by_token(given: Quantity, a: Quantity, b: Quantity) -> tuple[Quantity, Quantity]:
    """(the reserve in `given`'s token, the other one)."""
    if a.unit == b.unit:
        raise ToolError(f"both reserves are in {a.unit}")
    if given.unit not in (a.unit, b.unit):
        raise ToolError(f"{given.text!r} is in neither reserve's token ({a.unit}, {b.unit})")
    return (a, b) if given.unit == a.unit else (b, a)


def _lp(given: Quantity) -> int:
    """LP tokens in raw units."""
    if given.unit:
        raise ToolError(f"{given.text!r} is no number of LP tokens")
    if given.value < 0:
        raise ToolError(f"{given.text} is a negative number of LP tokens")
    return int(given.value.scaleb(18, _WIDE))


def _said(raw: int) -> str:
    return figure(Decimal(raw).scaleb(-18), 8)


_IN = Parameter("in", "the exact amount sold, with its token", "amount")
_SUPPLY = Parameter("supply", "all LP tokens there are", "number")

V2_LIQUIDITY_TOOLS = (
    Tool("v2_mint", "Uniswap v2: LP tokens minted for a deposit into a pair", "v2 LP tokens minted",
         (Parameter("a", "one token's deposit", "amount"),
          Parameter("b", "the other token's deposit", "amount"),
          Parameter("pool_a", "one reserve before the deposit", "amount"),
          Parameter("pool_b", "the other reserve", "amount"),
          Parameter("supply", "LP tokens before the deposit", "number")),
         mint, {"shares": "raw units, 18 decimals"}),
    Tool("v2_first", "Uniswap v2: LP tokens of the first depositor, raw integers",
         "first v2 deposit",
         (Parameter("amount0", "deposit of token0, raw units", "integer"),
          Parameter("amount1", "deposit of token1, raw units", "integer")),
         first, {"shares": "raw units"}),
    Tool("v2_burn", "Uniswap v2: tokens received for burning LP tokens", "v2 withdrawal",
         (Parameter("lp", "LP tokens burnt", "number"),
          Parameter("out", "the reserve of the token asked about", "amount"),
          Parameter("other", "the other reserve", "amount"), _SUPPLY),
         burn, {"out": "raw units", "token": "symbol", "other": "raw units"}),
    Tool("v2_share", "Uniswap v2: share of the pool owned after a deposit at its ratio",
         "v2 pool share",
         (Parameter("deposit", "one token's deposit", "amount"),
          Parameter("pool", "that token's reserve before it", "amount")),
         share, {"share": "fraction"}),
    Tool("v2_after", "Uniswap v2: price of the base in the quote token after a swap",
         "v2 price afterwards",
         (_IN, Parameter("base", "reserve of the token that is priced", "amount"),
          Parameter("quote", "reserve of the token it is priced in", "amount")),
         price_after, {"price": "quote per base", "base": "symbol", "quote": "symbol"}),
    Tool("v2_route", "Uniswap v2: output of an exact input over two pairs", "v2 two hops",
         (_IN, Parameter("first_a", "one reserve of the first pair", "amount"),
          Parameter("first_b", "its other reserve", "amount"),
          Parameter("then_a", "one reserve of the second pair", "amount"),
          Parameter("then_b", "its other reserve", "amount")),
         route, {"out": "raw units", "token": "symbol", "middle": "raw units"}),
)  # fmt: skip
