"""Account tools of a lending market: Aave v3 health factor and borrowing power.

The token in which prices are quoted is the account's base currency (8 decimals, as Aave's oracle
has it).  A price names the token it is of and must match its collateral or debt, so arguments that
change places are refused; percentages are basis points.  All figures are Pool.getUserAccountData's.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Context, Decimal

from denizen.protocols.aave_v3_account import AccountData, Holding, account_data
from denizen.tasks.catalogue import Parameter, Result, Tool, ToolError
from denizen.tasks.quantities import Quantity, decimals_of
from denizen.tasks.reading import DOLLAR_COINS
from denizen.tasks.tools.display import canonical, figure, percent

BASE_DECIMALS = 8
# Holds any quantity of a call (256 bits, 40 places) times a ray without rounding.
_WIDE = Context(prec=160)


def whole(quantity: Quantity, places: int) -> int:
    """A positive quantity as an integer of `places` decimals; ToolError if it is none."""
    scaled = _WIDE.scaleb(quantity.value, places)
    if scaled <= 0 or scaled != int(scaled):
        raise ToolError(f"{quantity.text} is not positive, or finer than {places} decimals")
    return int(scaled)


def basis_points(share: Quantity) -> int:
    """A percentage as whole basis points; ToolError if it is finer, or not positive."""
    return whole(share, 4)


def base_price(price: Quantity, token: str) -> int:
    """A price of `token` in 8 decimals of its quote; ToolError if it is another token's price."""
    if price.per != token or price.unit == token:
        raise ToolError(f"{price.text} is no price of {token}")
    return whole(price, BASE_DECIMALS)


def from_base(amount: int, places: int = BASE_DECIMALS) -> Decimal:
    """An integer of `places` decimals as a Decimal, exactly."""
    return _WIDE.scaleb(Decimal(amount), -places)


def collateral(amount: Quantity, price: int, share: Quantity) -> Holding:
    """Collateral whose LTV and liquidation threshold are both `share`."""
    whole(amount, decimals_of(amount.unit))
    points = basis_points(share)
    return Holding(amount.raw(), 0, price, decimals_of(amount.unit), points, points)


def debt_in_quote(debt: Quantity, quote: str) -> Holding:
    """A debt of the token that prices are quoted in."""
    if debt.unit != quote:
        raise ToolError(f"the debt {debt.text} is not in {quote}, as the price is")
    whole(debt, decimals_of(quote))
    return Holding(0, debt.raw(), 10**BASE_DECIMALS, decimals_of(quote), 0, 0)


def debt_in_dollars(debt: Quantity) -> Holding:
    """A debt stated in dollars."""
    return Holding(0, whole(debt, BASE_DECIMALS), 10**BASE_DECIMALS, BASE_DECIMALS, 0, 0)


def _health(holdings: Sequence[Holding]) -> Result:
    data = account_data(holdings)
    if data.total_debt_base == 0:
        raise ToolError("an account without debt has no health factor")
    factor = from_base(data.health_factor, 18)
    state = "not liquidatable" if factor >= 1 else "liquidatable"
    return Result(
        {"health_factor": canonical(factor)},
        f"{state}, health factor {figure(factor)}",
        (*_totals(data), f"health factor = collateral x threshold / debt = {figure(factor, 10)}"),
        "health_factor",
        factor,
    )


def _totals(data: AccountData) -> tuple[str, ...]:
    worth, owed = from_base(data.total_collateral_base), from_base(data.total_debt_base)
    average = percent(Decimal(data.current_liquidation_threshold).scaleb(-4))
    return (
        f"collateral {figure(worth, 10)}, debt {figure(owed, 10)} (base currency)",
        f"average liquidation threshold {average}, cut to whole basis points",
    )


def health1(
    collateral_: Quantity, price_: Quantity, threshold_: Quantity, debt_: Quantity
) -> Result:
    """One collateral, a debt of the token its price is quoted in."""
    held = collateral(collateral_, base_price(price_, collateral_.unit), threshold_)
    return _health([held, debt_in_quote(debt_, price_.unit)])


def health_usd(
    collateral_: Quantity, price_: Quantity, threshold_: Quantity, debt_: Quantity
) -> Result:
    """One collateral, its price and the debt in dollars."""
    held = collateral(collateral_, whole(price_, BASE_DECIMALS), threshold_)
    return _health([held, debt_in_dollars(debt_)])


def health_debt(
    collateral_: Quantity,
    price_: Quantity,
    threshold_: Quantity,
    debt_: Quantity,
    debt_price_: Quantity,
) -> Result:
    """One collateral, a debt of another token with a price of its own."""
    if price_.unit != debt_price_.unit or collateral_.unit == debt_.unit:
        raise ToolError("collateral and debt are two tokens with prices in a third")
    held = collateral(collateral_, base_price(price_, collateral_.unit), threshold_)
    places = decimals_of(debt_.unit)
    whole(debt_, places)
    owed = Holding(0, debt_.raw(), base_price(debt_price_, debt_.unit), places, 0, 0)
    return _health([held, owed])


def health2(
    first_: Quantity,
    price1_: Quantity,
    threshold1_: Quantity,
    second_: Quantity,
    price2_: Quantity,
    threshold2_: Quantity,
    debt_: Quantity,
) -> Result:
    """Two collaterals, a debt of the token their prices are quoted in."""
    quote = _one_quote(price1_, price2_)
    return _health(
        [
            collateral(first_, base_price(price1_, first_.unit), threshold1_),
            collateral(second_, base_price(price2_, second_.unit), threshold2_),
            debt_in_quote(debt_, quote),
        ]
    )


def health3(
    first_: Quantity,
    price1_: Quantity,
    threshold1_: Quantity,
    second_: Quantity,
    price2_: Quantity,
    threshold2_: Quantity,
    third_: Quantity,
    price3_: Quantity,
    threshold3_: Quantity,
    debt_: Quantity,
) -> Result:
    """Three collaterals priced in a dollar coin, a debt in dollars."""
    if _one_quote(price1_, price2_, price3_) not in DOLLAR_COINS:
        raise ToolError(f"a debt in dollars does not go with prices in {price1_.unit}")
    return _health(
        [
            collateral(first_, base_price(price1_, first_.unit), threshold1_),
            collateral(second_, base_price(price2_, second_.unit), threshold2_),
            collateral(third_, base_price(price3_, third_.unit), threshold3_),
            debt_in_dollars(debt_),
        ]
    )


def _one_quote(*prices: Quantity) -> str:
    """The token all prices are quoted in; each price must be of another token."""
    if len({p.unit for p in prices}) > 1 or len({p.per for p in prices}) < len(prices):
        raise ToolError("the prices are not of different tokens in one and the same token")
    return prices[0].unit


def borrow_power(collateral_: Quantity, price_: Quantity, ltv_: Quantity) -> Result:
    """What an account without debt may borrow, in its price's quote."""
    held = collateral(collateral_, base_price(price_, collateral_.unit), ltv_)
    return _borrow([held], price_.unit)


def borrow_left(collateral_: Quantity, price_: Quantity, ltv_: Quantity, debt_: Quantity) -> Result:
    """What an account may borrow beside its debt, in its price's quote; zero if nothing."""
    held = collateral(collateral_, base_price(price_, collateral_.unit), ltv_)
    return _borrow([held, debt_in_quote(debt_, price_.unit)], price_.unit)


def _borrow(holdings: Sequence[Holding], quote: str) -> Result:
    data = account_data(holdings)
    left = from_base(data.available_borrows_base)
    owed = from_base(data.total_debt_base)
    return Result(
        {"available": canonical(left), "debt": canonical(owed), "token": quote},
        f"{figure(left, 8)} {quote} available to borrow",
        (
            f"collateral {figure(from_base(data.total_collateral_base), 10)} {quote}"
            f" x LTV {percent(Decimal(data.ltv).scaleb(-4))} - debt {figure(owed, 10)} {quote}",
        ),
        "available",
        left,
        quote,
    )


_COLLATERAL = Parameter("collateral", "the collateral with its token, such as 10 WETH", "amount")
_PRICE = Parameter("price", "price of the collateral, such as 3,250 USDC per ETH", "price")
_THRESHOLD = Parameter("threshold", "the liquidation threshold that applies", "percent")
_DEBT = Parameter("debt", "the debt, in the token the price is quoted in", "amount")
_DOLLAR_DEBT = Parameter("debt", "the debt in dollars", "number")
_LTV = Parameter("ltv", "maximum loan to value, not the liquidation threshold", "percent")
_FACTOR = {"health_factor": "liquidatable below 1"}
_AVAILABLE = {"available": "quote token", "debt": "quote token", "token": "quote token's symbol"}


def _numbered(number: int, word: str) -> tuple[Parameter, ...]:
    return (
        Parameter(word, f"{word} collateral with its token", "amount"),
        Parameter(f"price{number}", f"price of the {word} collateral", "price"),
        Parameter(f"threshold{number}", f"liquidation threshold of the {word}", "percent"),
    )


LENDING_TOOLS = (
    Tool(
        "health1",
        "Aave v3 health factor of one collateral and a debt in the price's quote token",
        "health factor",
        (_COLLATERAL, _PRICE, _THRESHOLD, _DEBT),
        health1,
        _FACTOR,
    ),
    Tool(
        "health_usd",
        "Aave v3 health factor of one collateral, price and debt in dollars",
        "health factor in dollars",
        (
            _COLLATERAL,
            Parameter("price", "price of one token of the collateral, in dollars", "number"),
            _THRESHOLD,
            _DOLLAR_DEBT,
        ),
        health_usd,
        _FACTOR,
    ),
    Tool(
        "health_debt",
        "Aave v3 health factor of one collateral and a debt with a price of its own",
        "health factor, priced debt",
        (
            _COLLATERAL,
            _PRICE,
            _THRESHOLD,
            Parameter("debt", "the debt with its token", "amount"),
            Parameter("debt_price", "price of the debt's token", "price"),
        ),
        health_debt,
        _FACTOR,
    ),
    Tool(
        "health2",
        "Aave v3 health factor of two collaterals and a debt in the prices' quote token",
        "health factor, two collaterals",
        (*_numbered(1, "first"), *_numbered(2, "second"), _DEBT),
        health2,
        _FACTOR,
    ),
    Tool(
        "health3",
        "Aave v3 health factor of three collaterals and a debt in dollars",
        "health factor, three collaterals",
        (*_numbered(1, "first"), *_numbered(2, "second"), *_numbered(3, "third"), _DOLLAR_DEBT),
        health3,
        _FACTOR,
    ),
    Tool(
        "borrow_power",
        "Aave v3 borrowing power of a collateral without debt, by LTV",
        "borrowing power",
        (_COLLATERAL, _PRICE, _LTV),
        borrow_power,
        _AVAILABLE,
    ),
    Tool(
        "borrow_left",
        "Aave v3 available borrows of a collateral beside a debt, by LTV",
        "left to borrow",
        (_COLLATERAL, _PRICE, _LTV, _DEBT),
        borrow_left,
        _AVAILABLE,
    ),
)
