"""Balancer weighted-pool tools: exact input, exact output and the marginal price.

Balances stand with their weights, which need not be the pool's only ones (two tokens of a pool of
three trade as if they were alone).  The fee is a percentage of the input; the Vault's limit of 30%
of a balance holds.  Results are raw units: outputs rounded down, inputs up.
"""

from __future__ import annotations

from decimal import Context, Decimal

from denizen.protocols import balancer_pool, balancer_weighted
from denizen.tasks.catalogue import Parameter, Result, Tool, ToolError
from denizen.tasks.quantities import Quantity, decimals_of
from denizen.tasks.tools.display import canonical, figure, token_amount

_WIDE = Context(prec=240)


def weighted_in(
    in_: Quantity, a_: Quantity, wa_: Quantity, b_: Quantity, wb_: Quantity, fee_: Quantity
) -> Result:
    """Output of an exact input."""
    pool, sold = _pool(in_, (a_, b_), (wa_, wb_), fee_)
    swap = balancer_pool.swap_given_in(pool, sold, 1 - sold, in_.raw())
    return _told("out", swap.amount_out, (a_, b_)[1 - sold].unit, pool, "down")


def weighted_out(
    out_: Quantity, a_: Quantity, wa_: Quantity, b_: Quantity, wb_: Quantity, fee_: Quantity
) -> Result:
    """Input that an exact output costs."""
    pool, bought = _pool(out_, (a_, b_), (wa_, wb_), fee_)
    swap = balancer_pool.swap_given_out(pool, 1 - bought, bought, out_.raw())
    return _told("in", swap.amount_in, (a_, b_)[1 - bought].unit, pool, "up")


def weighted_price(
    base_: Quantity, wbase_: Quantity, quote_: Quantity, wquote_: Quantity
) -> Result:
    """Marginal price of the base token in the quote token, without fee."""
    if base_.unit == quote_.unit:
        raise ToolError(f"both balances are in {base_.unit}")
    price = balancer_weighted.spot_price(
        _scaled(quote_), _parts(wquote_), _scaled(base_), _parts(wbase_)
    )
    return Result(
        {"token": base_.unit, "against": quote_.unit, "price": canonical(price)},
        f"1 {base_.unit} = {figure(price, 8)} {quote_.unit} at the margin, without fee",
        (
            f"({quote_.text} / {wquote_.text}) / ({base_.text} / {wbase_.text})"
            f" = {figure(price, 10)} {quote_.unit} per {base_.unit}",
        ),
        "price",
        price,
        quote_.unit,
    )


def _pool(
    traded: Quantity,
    held: tuple[Quantity, Quantity],
    weights: tuple[Quantity, Quantity],
    fee: Quantity,
) -> tuple[balancer_pool.WeightedPool, int]:
    """The pool of the two tokens, and which of them is traded."""
    units = [one.unit for one in held]
    if units[0] == units[1]:
        raise ToolError(f"both balances are in {units[0]}")
    if traded.unit not in units:
        raise ToolError(f"{traded.text!r} is neither of the pool's tokens ({', '.join(units)})")
    swap_fee = _parts(fee)
    balancer_weighted.check_swap_fee(swap_fee)
    pool = balancer_pool.WeightedPool(
        tuple(one.raw() for one in held),
        tuple(10 ** (18 - decimals_of(unit)) for unit in units),
        tuple(map(_parts, weights)),
        swap_fee,
        total_supply=0,
        last_invariant=0,
    )
    return pool, units.index(traded.unit)


def _told(
    side: str, raw: int, token: str, pool: balancer_pool.WeightedPool, rounding: str
) -> Result:
    first, second = pool.weights
    formula = {
        "out": "balance out x (1 - (balance in / (balance in + net)) ^ (weight in / weight out))",
        "in": "balance in x ((balance out / (balance out - out)) ^ (weight out / weight in) - 1)",
    }[side]
    taken = "taken from the input first" if side == "out" else "added to the input last"
    return Result(
        {side: str(raw), "token": token},
        f"{token_amount(raw, token)} {side}",
        (
            f"weights {first} and {second}, fee {pool.swap_fee} (1e18 = 1), {taken}",
            f"{side} = {formula} = {raw} (raw units, rounded {rounding})",
        ),
        side,
        Decimal(raw).scaleb(-decimals_of(token)),
        token,
    )


def _parts(given: Quantity) -> int:
    """A percentage as parts of 1e18."""
    parts = given.value.scaleb(18, _WIDE)
    if parts != parts.to_integral_value(context=_WIDE):
        raise ToolError(f"{given.text} is finer than 18 decimals")
    return int(parts)


def _scaled(given: Quantity) -> int:
    """A balance at 18 decimals."""
    scale: int = 10 ** (18 - decimals_of(given.unit))
    return given.raw() * scale


_SIDES = (
    Parameter("a", "the pool's balance of one token", "amount"),
    Parameter("wa", "that token's weight, such as 80%", "percent"),
    Parameter("b", "its balance of the other token", "amount"),
    Parameter("wb", "the other token's weight", "percent"),
    Parameter("fee", "the pool's swap fee, such as 0.3%", "percent"),
)

WEIGHTED_TOOLS = (
    Tool(
        "weighted_in",
        "Balancer weighted pool: output for an exact input, fee taken",
        "weighted pool proceeds",
        (Parameter("in", "the exact amount sold, with its token", "amount"), *_SIDES),
        weighted_in,
        {"out": "raw units", "token": "symbol"},
    ),
    Tool(
        "weighted_out",
        "Balancer weighted pool: input needed for an exact output, fee included",
        "weighted pool cost",
        (Parameter("out", "the exact amount wanted, with its token", "amount"), *_SIDES),
        weighted_out,
        {"in": "raw units", "token": "symbol"},
    ),
    Tool(
        "weighted_price",
        "Balancer weighted pool: marginal price of one token in another, without fee",
        "weighted pool price",
        (
            Parameter("base", "the pool's balance of the token asked about", "amount"),
            Parameter("wbase", "that token's weight, such as 80%", "percent"),
            Parameter("quote", "its balance of the token it is priced in", "amount"),
            Parameter("wquote", "the other token's weight", "percent"),
        ),
        weighted_price,
        {"token": "symbol", "against": "symbol", "price": "against per token"},
    ),
)
