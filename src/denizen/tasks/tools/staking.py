"""Liquid-staking and peg tools: wrap, unwrap, rebase, APR of two rates, discounts and depegs.

A wrapped token's rate reads "1.18 stETH per wstETH".  Amounts are raw units rounded down, as the
contracts do; rates of return are a year of 365 days.  A discount is positive below redemption
value, a distance from a peg negative below it.
"""

from __future__ import annotations

from decimal import Context, Decimal

from denizen.protocols import liquid_staking as staking
from denizen.tasks.catalogue import Parameter, Result, Tool, ToolError
from denizen.tasks.quantities import Quantity, decimals_of
from denizen.tasks.tools.display import canonical, figure, percent, token_amount

_WIDE = Context(prec=240)


def wrap(amount_: Quantity, rate_: Quantity) -> Result:
    """Wrapped tokens for a rebasing amount."""
    _in_token(amount_, rate_.unit)
    raw = staking.shares_by_pooled_ether(amount_.raw(), _rate(rate_), staking.WAD)
    return _converted(raw, rate_.per, f"{amount_.raw()} x 1e18 / {_rate(rate_)}")


def unwrap(amount_: Quantity, rate_: Quantity) -> Result:
    """Rebasing tokens for a wrapped amount."""
    _in_token(amount_, rate_.per)
    raw = staking.pooled_ether_by_shares(amount_.raw(), _rate(rate_), staking.WAD)
    return _converted(raw, rate_.unit, f"{amount_.raw()} x {_rate(rate_)} / 1e18")


def rebase(held_: Quantity, pooled_: Quantity, rewards_: Quantity, fee_: Quantity) -> Result:
    """What a holder gains by an oracle report, after the protocol's fee."""
    if pooled_.unit != rewards_.unit:
        raise ToolError(f"{pooled_.text!r} and {rewards_.text!r} are different tokens")
    held, pooled = held_.raw(), pooled_.raw()
    if not 0 < held < pooled:
        raise ToolError(f"{held_.text!r} is not part of the {pooled_.text} pooled")
    fee = fee_.value.scaleb(4, _WIDE)
    if fee != int(fee):
        raise ToolError(f"a protocol fee of {fee_.text} is finer than a basis point")
    # Before the report a share may stand for one wei: the gain depends on parts alone.
    token = staking.StEth(pooled, {"holder": held, "others": pooled - held}, int(fee))
    minted = token.rebase(rewards_.raw())
    gain = token.balance_of("holder") - held
    return Result(
        {"reward": str(gain), "token": held_.unit},
        f"balance {token_amount(held + gain, held_.unit)} after the report, "
        f"a reward of {token_amount(gain, held_.unit)}",
        (
            f"rewards {rewards_.raw()} on {pooled} pooled, fee {percent(fee_.value)} of them",
            f"fee shares minted: {minted} on {pooled}",
            f"balance = {held} x {token.total_pooled_ether} / {token.total_shares}, so + {gain}",
        ),
        "reward",
        Decimal(gain).scaleb(-decimals_of(held_.unit)),
        held_.unit,
    )


def rate_apr(before_: Quantity, after_: Quantity, period_: Quantity) -> Result:
    """APR from the share rate at two times."""
    seconds = int((period_.value * 86_400).to_integral_value())
    unit = staking.SHARE_RATE_PRECISION
    apr = staking.rebase_apr(_ray(before_), unit, _ray(after_), unit, seconds)
    return Result(
        {"apr": canonical(apr)},
        f"{percent(apr)} APR",
        (
            f"growth = {after_.text} / {before_.text} - 1",
            f"x 31,536,000 / {seconds} seconds = {percent(apr, 4)}",
        ),
        "apr",
        apr * 100,
        "%",
    )


def discount(market_: Quantity, redemption_: Quantity) -> Result:
    """How far the market is under the redemption value."""
    _same_token(market_, redemption_)
    below = staking.discount(market_.value, redemption_.value)
    side = "a discount" if below >= 0 else "a premium"
    return Result(
        {"discount": canonical(below)},
        f"{side} of {percent(abs(below), 4)} to redemption",
        (f"1 - {market_.value:f} / {redemption_.value:f} = {percent(below, 4)}",),
        "discount",
        below * 100,
        "%",
    )


def discount_return(market_: Quantity, redemption_: Quantity, wait_: Quantity) -> Result:
    """Simple annual return of buying below redemption and waiting."""
    _same_token(market_, redemption_)
    apr = staking.discount_return(market_.value, redemption_.value, wait_.value)
    return _annual("apr", apr, market_, redemption_, f"x 365 / {figure(wait_.value)}", "simple")


def discount_apy(market_: Quantity, redemption_: Quantity, wait_: Quantity) -> Result:
    """The same with the gain reinvested at once, over and over."""
    _same_token(market_, redemption_)
    apy = staking.discount_apy(market_.value, redemption_.value, wait_.value)
    power = f"(1 + gain) ^ (365 / {figure(wait_.value)}) - 1"
    return _annual("apy", apy, market_, redemption_, power, "compounded")


def peg_gap(price_: Quantity, peg_: Quantity) -> Result:
    """Distance of a price from its peg, negative below."""
    gap = staking.discount(price_.value, peg_.value).copy_negate()
    return Result(
        {"gap": canonical(gap)},
        f"{figure(gap * 10_000)} bps from the peg, {percent(gap, 4)}",
        (f"{price_.value:f} / {peg_.value:f} - 1 = {percent(gap, 4)}",),
        "gap",
        gap * 100,
        "%",
    )


def _annual(
    key: str, rate: Decimal, market: Quantity, redemption: Quantity, step: str, how: str
) -> Result:
    return Result(
        {key: canonical(rate)},
        f"{percent(rate)} a year, {how}",
        (f"gain = {redemption.value:f} / {market.value:f} - 1", f"{step}: {percent(rate, 4)}"),
        key,
        rate * 100,
        "%",
    )


def _converted(raw: int, token: str, step: str) -> Result:
    return Result(
        {"out": str(raw), "token": token},
        token_amount(raw, token),
        (f"{step} = {raw} (raw units, rounded down)",),
        "out",
        Decimal(raw).scaleb(-decimals_of(token)),
        token,
    )


def _in_token(amount: Quantity, token: str) -> None:
    if amount.unit != token:
        raise ToolError(f"{amount.text!r} is not in {token}")


def _same_token(market: Quantity, redemption: Quantity) -> None:
    if market.unit != redemption.unit:
        raise ToolError(f"{market.text!r} and {redemption.text!r} are in different tokens")


def _rate(given: Quantity) -> int:
    """Rebasing units of 1e18 wrapped ones."""
    if given.unit == given.per:
        raise ToolError(f"{given.text!r} prices a token in itself")
    return int(given.value.scaleb(18, _WIDE))


def _ray(given: Quantity) -> int:
    return int(given.value.scaleb(27, _WIDE))


_RATE = Parameter("rate", "such as 1.18 stETH per wstETH", "price")
_PEG = (
    Parameter("market", "what the token trades at, such as 0.996 ETH", "amount"),
    Parameter("redemption", "what it redeems for, in the same token", "amount"),
)
_WAIT = Parameter("wait", "time until redemption pays, such as 12 days", "period")

STAKING_TOOLS = (
    Tool(
        "lst_wrap",
        "wrap a rebasing staking token: wrapped tokens received",
        "wrapped amount",
        (Parameter("amount", "the rebasing amount wrapped", "amount"), _RATE),
        wrap,
        {"out": "raw units", "token": "symbol"},
    ),
    Tool(
        "lst_unwrap",
        "unwrap a wrapped staking token: rebasing tokens received",
        "unwrapped amount",
        (Parameter("amount", "the wrapped amount unwrapped", "amount"), _RATE),
        unwrap,
        {"out": "raw units", "token": "symbol"},
    ),
    Tool(
        "lst_rebase",
        "a holder's staking reward from an oracle report, after the protocol's fee",
        "rebase reward",
        (
            Parameter("held", "the holder's balance", "amount"),
            Parameter("pooled", "all pooled before the report", "amount"),
            Parameter("rewards", "rewards of the report, before the fee", "amount"),
            Parameter("fee", "the protocol's fee on rewards, such as 10%", "percent"),
        ),
        rebase,
        {"reward": "raw units", "token": "symbol"},
    ),
    Tool(
        "lst_apr",
        "staking APR from the share rate at two times",
        "staking APR",
        (
            Parameter("before", "the earlier rate", "number"),
            Parameter("after", "the later rate", "number"),
            Parameter("period", "time between them, such as 7 days", "period"),
        ),
        rate_apr,
        {"apr": "fraction a year"},
    ),
    Tool(
        "lst_discount",
        "discount of a staking token's market price to its redemption value",
        "discount to redemption",
        _PEG,
        discount,
        {"discount": "fraction, negative is a premium"},
    ),
    Tool(
        "lst_return",
        "simple annual return of buying under redemption value and redeeming after a wait",
        "simple redemption return",
        (*_PEG, _WAIT),
        discount_return,
        {"apr": "fraction a year"},
    ),
    Tool(
        "lst_apy",
        "compounded annual return of buying under redemption value and redeeming after a wait",
        "compounded redemption return",
        (*_PEG, _WAIT),
        discount_apy,
        {"apy": "fraction a year"},
    ),
    Tool(
        "peg_gap",
        "distance of a stablecoin's price from its peg",
        "distance from peg",
        (
            Parameter("price", "the market price", "number"),
            Parameter("peg", "the price it should have", "number"),
        ),
        peg_gap,
        {"gap": "fraction, negative is below"},
    ),
)
