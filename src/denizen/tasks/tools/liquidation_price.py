"""Liquidation-price tools: the price at which a loan becomes liquidatable, and the fall to it.

One factor a protocol: Aave's liquidation threshold, Compound's liquidate collateral factor and
Morpho's LLTV are shares of the collateral's worth (at most 100%), Maker's liquidation ratio is
worth over debt (at least 100%).  Prices come from each protocol's own check and its rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Context, Decimal

from denizen.protocols import aave_v3_account, compound_v3_account, maker_vaults, morpho_blue
from denizen.protocols.aave_v3_account import Holding
from denizen.protocols.compound_v3 import Totals
from denizen.tasks.catalogue import Parameter, Result, Tool, ToolError
from denizen.tasks.quantities import Quantity, decimals_of
from denizen.tasks.reading import DOLLAR_COINS
from denizen.tasks.tools.display import canonical, figure, percent
from denizen.tasks.tools.lending import (
    BASE_DECIMALS,
    base_price,
    collateral,
    debt_in_dollars,
    debt_in_quote,
    from_base,
    whole,
)

_WIDE = Context(prec=60)
# The engine asks for a price of every asset; the one that is solved for stands still at one.
_ANY_PRICE = 10**BASE_DECIMALS


def _aave(held: Quantity, factor: Quantity, debt: Quantity) -> Decimal:
    holdings = [collateral(held, _ANY_PRICE, factor), debt_in_quote(debt, debt.unit)]
    return _scaled(aave_v3_account.liquidation_price(holdings, 0))


def _comet(held: Quantity, factor: Quantity, debt: Quantity) -> Decimal:
    owed = whole(debt, decimals_of(debt.unit))
    base = compound_v3_account.Base(_ANY_PRICE, 10 ** decimals_of(debt.unit))
    balance, unit = whole(held, decimals_of(held.unit)), 10 ** decimals_of(held.unit)
    asset = compound_v3_account.Collateral(balance, 0, unit, 0, whole(factor, 18), 0)
    price = compound_v3_account.liquidation_price(Totals(), -owed, base, asset)
    return from_base(price)


def _morpho(held: Quantity, factor: Quantity, debt: Quantity) -> Decimal:
    lltv = whole(factor, 18)
    if lltv >= morpho_blue.WAD:
        raise ToolError(f"an LLTV of {factor.text} leaves no margin")
    owed, places = whole(debt, decimals_of(debt.unit)), decimals_of(held.unit)
    shares = owed * morpho_blue.VIRTUAL_SHARES
    market = morpho_blue.Market(owed, shares, owed, shares)
    position = morpho_blue.Position(0, shares, whole(held, places))
    price = morpho_blue.liquidation_price(market, position, lltv)
    return from_base(price, 36 + decimals_of(debt.unit) - places)


def _maker(held: Quantity, factor: Quantity, debt: Quantity) -> Decimal:
    if factor.value < 1 or debt.unit != "DAI":
        raise ToolError("a vault owes DAI and has a liquidation ratio of 100% or more")
    art = whole(debt, 18)
    ilk = maker_vaults.Ilk(art, maker_vaults.RAY, 0, 0, 0)
    urn = maker_vaults.Urn(whole(held, 18), art)
    return from_base(maker_vaults.liquidation_price(urn, ilk, whole(factor, 27)), 18)


_SOLVE: dict[str, tuple[Callable[[Quantity, Quantity, Quantity], Decimal], str, str]] = {
    "aave v3": (_aave, "/", "liquidation threshold"),
    "compound v3": (_comet, "/", "liquidate collateral factor"),
    "morpho blue": (_morpho, "/", "LLTV"),
    "maker": (_maker, "x", "liquidation ratio"),
}
PROTOCOLS = tuple(_SOLVE)


def _scaled(price: Decimal) -> Decimal:
    return _WIDE.scaleb(price, -BASE_DECIMALS)


def _long(protocol: str, held: Quantity, factor: Quantity, debt: Quantity) -> tuple[Decimal, str]:
    """Price of the collateral in the debt's token, and how it came about."""
    if held.unit == debt.unit or (held.unit in DOLLAR_COINS and debt.unit not in DOLLAR_COINS):
        raise ToolError(f"{held.unit} against {debt.unit} is no loan on a falling collateral")
    solve, sign, name = _SOLVE[protocol]
    return (
        solve(held, factor, debt),
        f"debt {debt.text} {sign} {name} {factor.text} / {held.text}",
    )


def _said(price: Decimal, token: str, quote: str, step: str, protocol: str) -> Result:
    return Result(
        {"price": canonical(price), "token": token, "quote": quote, "protocol": protocol},
        f"{token} at {figure(price, 8)} {quote}",
        (f"{step} = {figure(price, 12)}",),
        "price",
        price,
        quote,
    )


def liq_price(protocol_: str, collateral_: Quantity, factor_: Quantity, debt_: Quantity) -> Result:
    """Price of the collateral, in the debt's token, below which the loan can be liquidated."""
    price, step = _long(protocol_, collateral_, factor_, debt_)
    return _said(price, collateral_.unit, debt_.unit, step, protocol_)


def liq_usd(collateral_: Quantity, threshold_: Quantity, debt_: Quantity) -> Result:
    """Aave v3: dollar price of the collateral below which a dollar debt can be liquidated."""
    if collateral_.unit in DOLLAR_COINS:
        raise ToolError(f"{collateral_.unit} is a dollar already")
    holdings = [collateral(collateral_, _ANY_PRICE, threshold_), debt_in_dollars(debt_)]
    price = _scaled(aave_v3_account.liquidation_price(holdings, 0))
    step = f"debt {debt_.text} / threshold {threshold_.text} / {collateral_.text} = "
    return Result(
        {"price": canonical(price), "token": collateral_.unit, "quote": "USD"},
        f"{collateral_.unit} at ${figure(price, 8)}",
        (f"{step}{figure(price, 12)}",),
        "price",
        price,
        "USD",
    )


def liq_price2(
    asked_: Quantity,
    threshold_: Quantity,
    other_: Quantity,
    other_price_: Quantity,
    other_threshold_: Quantity,
    debt_: Quantity,
) -> Result:
    """Aave v3: price of one of two collaterals at which the health factor is 1."""
    if asked_.unit in (other_.unit, debt_.unit):
        raise ToolError(f"{asked_.unit} is named twice")
    other = collateral(other_, base_price(other_price_, other_.unit), other_threshold_)
    owed = debt_in_quote(debt_, other_price_.unit)
    holdings = [collateral(asked_, _ANY_PRICE, threshold_), other, owed]
    price = _scaled(aave_v3_account.liquidation_price(holdings, 0))
    step = (
        f"(debt {debt_.text} - {other_.text} x {other_price_.text} x {other_threshold_.text})"
        f" / ({asked_.text} x {threshold_.text})"
    )
    return _said(price, asked_.unit, debt_.unit, step, "aave v3")


def short_price(collateral_: Quantity, threshold_: Quantity, debt_: Quantity) -> Result:
    """Aave v3: price of a borrowed token above which a loan on a dollar coin is liquidated."""
    if collateral_.unit not in DOLLAR_COINS or debt_.unit in DOLLAR_COINS:
        raise ToolError("a short has a dollar coin as collateral and owes another token")
    held = collateral(collateral_, _ANY_PRICE, threshold_)
    places = decimals_of(debt_.unit)
    owed = Holding(0, whole(debt_, places), _ANY_PRICE, places, 0, 0)
    price = _scaled(aave_v3_account.liquidation_price([held, owed], 1))
    step = f"collateral {collateral_.text} x threshold {threshold_.text} / debt {debt_.text}"
    return _said(price, debt_.unit, collateral_.unit, step, "aave v3")


def liq_drop(
    protocol_: str, collateral_: Quantity, price_: Quantity, factor_: Quantity, debt_: Quantity
) -> Result:
    """Fall of the collateral's price, as a share of the current one, to the liquidation price."""
    base_price(price_, collateral_.unit)
    if debt_.unit != price_.unit:
        raise ToolError(f"the debt {debt_.text} is not in {price_.unit}, as the price is")
    price, step = _long(protocol_, collateral_, factor_, debt_)
    if price >= price_.value:
        raise ToolError("the loan can be liquidated at the current price")
    drop = _WIDE.subtract(1, _WIDE.divide(price, price_.value))
    return Result(
        {"drop": canonical(drop), "token": collateral_.unit, "protocol": protocol_},
        f"{collateral_.unit} at {figure(price, 8)} {debt_.unit}, a fall of {percent(drop)}",
        (
            f"{step} = {figure(price, 12)}",
            f"1 - {figure(price, 12)} / {price_.value:f} = {percent(drop, 6)}",
        ),
        "drop",
        _WIDE.scaleb(drop, 2),
        "%",
    )


_PROTOCOL = Parameter("protocol", "whose liquidation rule", choices=PROTOCOLS)
_COLLATERAL = Parameter("collateral", "the collateral with its token", "amount")
_FACTOR = Parameter(
    "factor",
    "liquidation threshold, liquidate collateral factor, LLTV or Maker's liquidation ratio",
    "percent",
)
_THRESHOLD = Parameter("threshold", "liquidation threshold of that collateral", "percent")
_DEBT = Parameter("debt", "the debt with its token", "amount")
_PRICE = {
    "price": "quote token per token",
    "token": "the token whose price it is",
    "quote": "the token it is quoted in",
}

LIQUIDATION_PRICE_TOOLS = (
    Tool(
        "liq_price",
        "price of the collateral at which a loan on Aave, Compound, Morpho or Maker is liquidated",
        "liquidation price",
        (_PROTOCOL, _COLLATERAL, _FACTOR, _DEBT),
        liq_price,
        {**_PRICE, "protocol": "as asked"},
    ),
    Tool(
        "liq_usd",
        "Aave v3 liquidation price of a collateral against a debt in dollars",
        "liquidation price in dollars",
        (_COLLATERAL, _THRESHOLD, Parameter("debt", "the debt in dollars", "number")),
        liq_usd,
        {**_PRICE, "quote": "USD"},
    ),
    Tool(
        "liq_price2",
        "Aave v3 liquidation price of one collateral while another one's price stands still",
        "liquidation price, two collaterals",
        (
            Parameter("asked", "the collateral whose price is asked for", "amount"),
            _THRESHOLD,
            Parameter("other", "the collateral whose price stands still", "amount"),
            Parameter("other_price", "price of the other collateral", "price"),
            Parameter("other_threshold", "liquidation threshold of the other", "percent"),
            _DEBT,
        ),
        liq_price2,
        {**_PRICE, "protocol": "aave v3"},
    ),
    Tool(
        "short_price",
        "Aave v3 liquidation price of a borrowed token against a dollar coin as collateral",
        "liquidation price of a short",
        (
            Parameter("collateral", "the dollar coin held as collateral", "amount"),
            _THRESHOLD,
            Parameter("debt", "the borrowed amount with its token", "amount"),
        ),
        short_price,
        {**_PRICE, "protocol": "aave v3"},
    ),
    Tool(
        "liq_drop",
        "fall of the collateral's price from now to liquidation, in percent",
        "drop to liquidation",
        (
            _PROTOCOL,
            _COLLATERAL,
            Parameter("price", "current price, such as 3,250 USDC per ETH", "price"),
            _FACTOR,
            _DEBT,
        ),
        liq_drop,
        {"drop": "fraction of the current price", "token": "symbol", "protocol": "as asked"},
    ),
)
