"""The honest way out: a question that cannot be answered from what it gives.

A Result of this tool has the headline "unanswerable"; the verifier then wants a text that declines,
names what is missing and offers no figure of its own.
"""

from __future__ import annotations

from denizen.tasks.catalogue import Parameter, Result, Tool

# What may be missing, with the other words people use for it.  A word that any refusal contains
# ("how much", "time") would let one pass that names nothing.
MISSING: dict[str, tuple[str, ...]] = {
    "reserves": ("reserve", "reserves", "pool balances", "pool depth", "pool liquidity"),
    "liquidity": ("liquidity",),
    "fee": ("fee", "fees", "fee tier", "swap fee"),
    "price": ("price", "exchange rate"),
    "amount": ("amount", "size", "quantity", "how much you sell", "how much you are selling"),
    "range": ("range", "bounds", "lower bound", "upper bound", "ticks"),
    "period": (
        "period", "time span", "time frame", "timeframe", "time window", "window", "duration",
        "how long", "how many days", "number of days", "timestamp",
    ),
    "collateral": ("collateral",),
    "debt": ("debt", "borrowed amount", "loan", "how much you borrowed", "how much is borrowed"),
    "threshold": ("threshold", "liquidation threshold", "LLTV", "collateral factor"),
    "rate": ("rate", "interest rate", "APR", "APY", "utilisation", "utilization"),
    "share": ("share", "portion", "total supply", "total assets", "stake"),
    "future": (
        "future", "tomorrow", "will be", "predict", "predicted", "prediction", "forecast",
        "foresee", "in advance",
    ),
}  # fmt: skip


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

# Which word is meant where two might do.
_MEANT = {
    "reserves": "of a constant-product pair",
    "liquidity": "in range, of a swap quote",
    "fee": "of the pool",
    "price": "current",
    "amount": "traded",
    "range": "of a concentrated position",
    "period": "of a volume or profit",
    "rate": "of interest or reward",
    "share": "own part of a pool, its fees or a vault",
    "future": "nobody knows it yet",
}
_CHOICES = ", ".join(f"{m} ({_MEANT[m]})" if m in _MEANT else m for m in MISSING)

REFUSAL_TOOLS = (
    Tool(
        "cannot_answer",
        "the question does not give what an answer needs, or asks for the future",
        "not answerable",
        (Parameter("missing", f"what is missing: {_CHOICES}", choices=tuple(MISSING)),),
        cannot_answer,
        {"unanswerable": "yes", "missing": "what is missing"},
    ),
)
