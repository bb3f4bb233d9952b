"""Leverage tools: what a supply and borrow loop earns, how far it goes, and how it is taken down.

A loop borrows at the loan-to-value (LTV) and is liquidated at the liquidation threshold: the two
are different figures and only the second one says how far a price may fall.  Rates are simple
yearly rates on the value supplied and borrowed; money is in any one currency.
"""

from __future__ import annotations

from decimal import Decimal

from denizen.protocols import leverage as engine
from denizen.tasks.catalogue import Parameter, Result, Tool
from denizen.tasks.quantities import Quantity
from denizen.tasks.tools.display import canonical, figure, percent


def loop_rounds(supply_: Quantity, borrow_: Quantity, ltv_: Quantity, rounds_: Quantity) -> Result:
    """Net yearly rate on own money after so many rounds of borrowing and supplying again."""
    reached = engine.leverage_loop(Decimal(1), ltv_.value, int(rounds_.value)).leverage
    return _loop(supply_, borrow_, reached, f"(1 - l^(n+1)) / (1 - l) = {figure(reached, 8)}x")


def loop_leverage(supply_: Quantity, borrow_: Quantity, leverage_: Quantity) -> Result:
    """Net yearly rate on own money of a loop at a leverage."""
    return _loop(supply_, borrow_, leverage_.value, f"leverage {leverage_.value:f}x")


def _loop(supply: Quantity, borrow: Quantity, leverage: Decimal, told: str) -> Result:
    net = engine.loop_apr(supply.value, borrow.value, leverage)
    return Result(
        {"net_apr": canonical(net), "leverage": canonical(leverage)},
        f"{percent(net)} net on own money at {figure(leverage)}x",
        (
            told,
            f"{supply.value:f} x L - {borrow.value:f} x (L - 1) = {percent(net, 6)}",
        ),
        "net_apr",
        net * 100,
        "%",
    )


def max_leverage(ltv_: Quantity) -> Result:
    """The limit of a loop at a loan-to-value."""
    limit = engine.max_leverage(ltv_.value)
    step = f"1 / (1 - {ltv_.value:f}) = {figure(limit, 8)}"
    return Result(
        {"max_leverage": canonical(limit)},
        f"{figure(limit)}x at most",
        (step,),
        "max_leverage",
        limit,
        "x",
    )


def loan_drop(collateral_: Quantity, debt_: Quantity, threshold_: Quantity) -> Result:
    """Fall of the collateral's price to liquidation, from collateral and debt."""
    return _drop(collateral_.value, debt_.value, threshold_.value)


def loop_drop(leverage_: Quantity, threshold_: Quantity) -> Result:
    """Fall of the collateral's price to liquidation, from a loop's leverage."""
    # For each unit of own money the collateral is the leverage and the rest of it is debt.
    loop = engine.Loop(leverage_.value, leverage_.value - 1)
    return _drop(loop.collateral, loop.debt, threshold_.value)


def _drop(collateral: Decimal, debt: Decimal, threshold: Decimal) -> Result:
    health = engine.health_factor(collateral, debt, threshold)
    drop = engine.drop_tolerated(health)
    return Result(
        {"health_factor": canonical(health), "drop": canonical(drop)},
        f"health factor {figure(health)}; a fall of {percent(drop)} liquidates",
        (
            f"health factor = {collateral:f} x {threshold:f} / {debt:f} = {figure(health, 8)}",
            f"1 - 1 / health factor = {percent(drop, 6)}",
        ),
        "drop",
        drop * 100,
        "%",
    )


def unwind_health(
    collateral_: Quantity,
    debt_: Quantity,
    threshold_: Quantity,
    health_: Quantity,
    cost_: Quantity,
) -> Result:
    """Collateral to sell, its proceeds repaying debt, for a wanted health factor."""
    sold = engine.unwind_to_health(
        collateral_.value, debt_.value, threshold_.value, health_.value, cost_.value
    )
    return _sale(
        sold,
        f"({health_.value:f} x {debt_.value:f} - {collateral_.value:f} x {threshold_.value:f})"
        f" / ({health_.value:f} x (1 - {cost_.value:f}) - {threshold_.value:f})"
        f" = {figure(sold, 8)}",
    )


def unwind_leverage(
    collateral_: Quantity, debt_: Quantity, leverage_: Quantity, cost_: Quantity
) -> Result:
    """Collateral to sell, its proceeds repaying debt, for a lower leverage."""
    sold = engine.unwind_to_leverage(collateral_.value, debt_.value, leverage_.value, cost_.value)
    return _sale(
        sold,
        f"({collateral_.value:f} - {leverage_.value:f} x own money)"
        f" / (1 - {leverage_.value:f} x {cost_.value:f}) = {figure(sold, 8)}",
    )


def _sale(sold: Decimal, step: str) -> Result:
    return Result(
        {"sold": canonical(sold)},
        f"sell ${figure(sold, 8)} of collateral",
        (step,),
        "sold",
        sold,
        "USD",
    )


_SUPPLY = Parameter("supply", "yearly rate earned on what is supplied", "percent")
_BORROW = Parameter("borrow", "yearly rate paid on what is borrowed", "percent")
_LTV = Parameter("ltv", "loan-to-value that each round borrows at", "percent")
_THRESHOLD = Parameter("threshold", "liquidation threshold, not the LTV", "percent")
_COLLATERAL = Parameter("collateral", "value of the collateral", "number")
_DEBT = Parameter("debt", "value of the debt", "number")
_COST = Parameter("cost", "cost of selling, of the value sold", "percent")
_NET = {"net_apr": "fraction a year on own money", "leverage": "collateral over own money"}
_DROP = {"health_factor": "ratio", "drop": "fraction of the price"}
_SOLD = {"sold": "value of collateral"}

LEVERAGE_TOOLS = (
    Tool(
        "loop_rounds",
        "net yield of a supply and borrow loop after a number of rounds",
        "loop yield after rounds",
        (_SUPPLY, _BORROW, _LTV, Parameter("rounds", "times borrowed and supplied", "integer")),
        loop_rounds,
        _NET,
    ),
    Tool(
        "loop_leverage",
        "net yield of a supply and borrow loop at a leverage",
        "loop yield at leverage",
        (_SUPPLY, _BORROW, Parameter("leverage", "collateral over own money", "multiple")),
        loop_leverage,
        _NET,
    ),
    Tool(
        "max_leverage",
        "greatest leverage that looping at a loan-to-value approaches",
        "maximum leverage",
        (_LTV,),
        max_leverage,
        {"max_leverage": "collateral over own money"},
    ),
    Tool(
        "loan_drop",
        "price fall that liquidates, from collateral, debt and liquidation threshold",
        "price fall of loan",
        (_COLLATERAL, _DEBT, _THRESHOLD),
        loan_drop,
        _DROP,
    ),
    Tool(
        "loop_drop",
        "price fall that liquidates a loop, from leverage and liquidation threshold",
        "price fall at leverage",
        (Parameter("leverage", "collateral over own money", "multiple"), _THRESHOLD),
        loop_drop,
        _DROP,
    ),
    Tool(
        "unwind_health",
        "collateral to sell for a wanted health factor",
        "unwind to health",
        (
            _COLLATERAL,
            _DEBT,
            _THRESHOLD,
            Parameter("health", "health factor wanted", "number"),
            _COST,
        ),
        unwind_health,
        _SOLD,
    ),
    Tool(
        "unwind_leverage",
        "collateral to sell for a lower leverage",
        "unwind to leverage",
        (_COLLATERAL, _DEBT, Parameter("leverage", "leverage wanted", "multiple"), _COST),
        unwind_leverage,
        _SOLD,
    ),
)
