"""The honest way out: a question that cannot be answered from what it gives.

A Result of this tool has the headline "unanswerable"; the verifier then wants a text that declines,
names what is missing and offers no figure of its own.
"""

from __future__ import annotations

from denizen.tasks.catalogue import Parameter, Result, Tool

# What may be missing, with the other words people use for it.
MISSING: dict[str, tuple[str, ...]] = {
    "reserves": ("reserve", "reserves", "pool balances", "pool depth"),
    "liquidity": ("liquidity",),
    "fee": ("fee", "fee tier", "swap fee"),
    "price": ("price", "exchange rate"),
    "amount": ("amount", "size", "how much"),
    "range": ("range", "bounds", "lower bound", "upper bound", "ticks"),
    "period": ("period", "time", "duration", "how long", "timestamp"),
    "collateral": ("collateral",),
    "debt": ("debt", "borrowed amount", "loan"),
    "threshold": ("threshold", "liquidation threshold", "LTV"),
    "rate": ("rate", "interest rate", "APR", "APY", "utilisation", "utilization"),
    "share": ("share", "total supply", "total assets", "stake"),
    "future": ("future", "tomorrow", "will be", "prediction", "forecast"),
}


def cannot_answer(missing_: str) -> Result:
    """State that the question lacks something."""
    return Result(
        {"unanswerable": "yes", "missing": missing_},
        f"This cannot be answered: {_TOLD.get(missing_, f'the {missing_} is not given')}",
        ("no calculation is possible without it",),
        "unanswerable",
        aliases=MISSING[missing_],
    )


_TOLD = {
    "future": "the future is unknown",
    "reserves": "the reserves are not given",
}

REFUSAL_TOOLS = (
    Tool(
        "cannot_answer",
        "the question does not give what an answer needs, or asks for the future",
        "not answerable",
        (Parameter("missing", "what is missing", choices=tuple(MISSING)),),
        cannot_answer,
        {"unanswerable": "yes", "missing": "what is missing"},
    ),
)
