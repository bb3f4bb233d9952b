"""Liquidation tools: what a liquidator repays and seizes on Aave v3, and on the others.

The close factor is half the debt, or all of it up to a health factor of 0.95; the bonus is paid in
collateral on top of the debt's worth, and the protocol takes its fee of that bonus alone.  Amounts
and rounding are the contract's.  Compound, Morpho and Maker are in `collateral_sales`.
"""

from __future__ import annotations

from decimal import Decimal

from denizen.protocols.aave_math import percent_mul
from denizen.protocols.aave_v3_liquidation import (
    Liquidation,
    calculate_available_collateral_to_liquidate,
    close_factor,
)
from denizen.protocols.fixed_point import MAX_UINT256
from denizen.tasks.catalogue import Parameter, Result, Tool, ToolError
from denizen.tasks.quantities import Quantity, decimals_of
from denizen.tasks.tools.collateral_sales import (
    DEBT,
    PRICE,
    REPAID,
    SALE_TOOLS,
    TOKEN,
    amount_result,
    raw_amount,
    same_quote,
)
from denizen.tasks.tools.display import percent, token_amount
from denizen.tasks.tools.lending import BASE_DECIMALS, base_price, basis_points, whole


def _aave(
    debt: int, token: str, price: Quantity, balance: int, bonus: int, fee: int
) -> Liquidation:
    return calculate_available_collateral_to_liquidate(
        debt,
        balance,
        base_price(price, price.per),
        decimals_of(price.per),
        10**BASE_DECIMALS,
        decimals_of(token),
        10_000 + bonus,
        fee,
    )


def _closed(debt: Quantity, health: Quantity) -> tuple[int, str]:
    """Debt one call may repay, and the close factor."""
    factor = whole(health, 18)
    if factor >= 10**18:
        raise ToolError(f"a health factor of {health.text} allows no liquidation")
    share = close_factor(factor)
    return percent_mul(raw_amount(debt), share), percent(Decimal(share).scaleb(-4), 0)


def aave_close(debt_: Quantity, health_: Quantity) -> Result:
    """Aave v3: the most debt one liquidation call may repay."""
    repaid, share = _closed(debt_, health_)
    step = f"close factor {share} at a health factor of {health_.text}, of {debt_.text}"
    return amount_result(
        "repaid", repaid, debt_.unit, f"close factor {share}: ", (step,), share=share
    )


def aave_seize(repaid_: Quantity, price_: Quantity, bonus_: Quantity) -> Result:
    """Aave v3: collateral seized for a repaid debt, bonus included, no protocol fee."""
    same_quote(repaid_, price_)
    bonus = basis_points(bonus_)
    taken = _aave(raw_amount(repaid_), repaid_.unit, price_, MAX_UINT256, bonus, 0)
    step = f"{repaid_.text} / {price_.text} x (1 + {bonus_.text}), half up"
    return amount_result("collateral", taken.collateral, price_.per, "", (step,))


def aave_net(repaid_: Quantity, price_: Quantity, bonus_: Quantity, fee_: Quantity) -> Result:
    """Aave v3: collateral a liquidator keeps once the protocol has its fee of the bonus."""
    same_quote(repaid_, price_)
    bonus, fee = basis_points(bonus_), basis_points(fee_)
    taken = _aave(raw_amount(repaid_), repaid_.unit, price_, MAX_UINT256, bonus, fee)
    steps = (
        f"{repaid_.text} / {price_.text} x (1 + {bonus_.text})"
        f" = {token_amount(taken.collateral + taken.protocol_fee, price_.per)}",
        f"protocol fee {fee_.text} of the bonus alone",
    )
    told = f"protocol fee {token_amount(taken.protocol_fee, price_.per)}, liquidator "
    fees = str(taken.protocol_fee)
    return amount_result("collateral", taken.collateral, price_.per, told, steps, fee=fees)


def aave_most(debt_: Quantity, health_: Quantity, price_: Quantity, bonus_: Quantity) -> Result:
    """Aave v3: the most collateral one call can seize, by close factor and bonus."""
    same_quote(debt_, price_)
    repaid, share = _closed(debt_, health_)
    taken = _aave(repaid, debt_.unit, price_, MAX_UINT256, basis_points(bonus_), 0)
    said = token_amount(repaid, debt_.unit)
    steps = (f"close factor {share}: {said}", f"{said} / {price_.text} x (1 + {bonus_.text})")
    told = f"for {said} repaid, "
    return amount_result(
        "collateral", taken.collateral, price_.per, told, steps, repaid=str(repaid)
    )


def aave_capped(
    repaid_: Quantity, balance_: Quantity, price_: Quantity, bonus_: Quantity
) -> Result:
    """Aave v3: debt a liquidator really pays when the collateral cannot cover his offer."""
    same_quote(repaid_, price_)
    base_price(price_, balance_.unit)
    offered, held, bonus = raw_amount(repaid_), raw_amount(balance_), basis_points(bonus_)
    taken = _aave(offered, repaid_.unit, price_, held, bonus, 0)
    step = f"{balance_.text} x {price_.text} / (1 + {bonus_.text}), or the offer if that is less"
    told = f"{token_amount(taken.collateral, balance_.unit)} for "
    gained = str(taken.collateral)
    return amount_result("repaid", taken.debt, repaid_.unit, told, (step,), collateral=gained)


_HEALTH = Parameter("health", "health factor of the account, such as 0.97", "number")
_BONUS = Parameter("bonus", "liquidation bonus, such as 5%", "percent")
_SEIZED = {"collateral": "raw units", **TOKEN}

LIQUIDATION_TOOLS = (
    Tool(
        "aave_close",
        "Aave v3: the most debt one liquidation may repay, by health factor",
        "debt a liquidator may repay",
        (DEBT, _HEALTH),
        aave_close,
        {"repaid": "raw units", **TOKEN, "share": "close factor"},
    ),
    Tool(
        "aave_seize",
        "Aave v3: collateral seized for a repaid debt with the bonus",
        "collateral seized with bonus",
        (REPAID, PRICE, _BONUS),
        aave_seize,
        _SEIZED,
    ),
    Tool(
        "aave_net",
        "Aave v3: collateral the liquidator keeps after the liquidation protocol fee",
        "collateral after protocol fee",
        (
            REPAID,
            PRICE,
            _BONUS,
            Parameter("fee", "liquidation protocol fee, a share of the bonus", "percent"),
        ),
        aave_net,
        {**_SEIZED, "fee": "raw units of the collateral"},
    ),
    Tool(
        "aave_most",
        "Aave v3: the most collateral one liquidation can seize, by health factor and bonus",
        "most collateral one can seize",
        (DEBT, _HEALTH, PRICE, _BONUS),
        aave_most,
        {**_SEIZED, "repaid": "raw units of the debt"},
    ),
    Tool(
        "aave_capped",
        "Aave v3: debt really repaid when the collateral runs out",
        "debt the collateral covers",
        (REPAID, Parameter("balance", "all the collateral there is", "amount"), PRICE, _BONUS),
        aave_capped,
        {"repaid": "raw units", **TOKEN, "collateral": "raw units seized"},
    ),
    *SALE_TOOLS,
)
