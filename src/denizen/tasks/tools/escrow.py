"""Vote-escrow tools: gauge boost, voting power of a lock, yield from bribes.

Balances are the engine's raw integers at 18 decimals, rounded as the contracts round them.  Times
are Unix seconds; an unlock time is rounded down to its week, as the escrow does.
"""

from __future__ import annotations

from decimal import Decimal

from denizen.protocols import incentives as engine
from denizen.tasks.catalogue import Parameter, Result, Tool, ToolError
from denizen.tasks.quantities import Quantity
from denizen.tasks.tools.display import canonical, figure, percent
from denizen.tasks.tools.periods import EPOCHS

ESCROWS = {"veCRV": engine.MAXTIME, "veBAL": EPOCHS["year"]}


def boost(stake_: Quantity, pool_: Quantity, ve_: Quantity, all_ve_: Quantity) -> Result:
    """Gauge boost: working balance over the one without voting power, 2.5x at most."""
    if ve_.unit != all_ve_.unit:
        raise ToolError(f"voting power in {ve_.unit} is not part of a total in {all_ve_.unit}")
    working = engine.working_balance(stake_.raw(), pool_.raw(), ve_.raw(), all_ve_.raw())
    factor = engine.boost(stake_.raw(), working)
    held = Decimal(working).scaleb(-18)
    return Result(
        {"working_balance": str(working), "boost": canonical(factor)},
        f"{figure(factor)}x boost (working balance {figure(held, 8)})",
        (
            f"min(0.4 x {stake_.value:f} + 0.6 x {pool_.value:f} x {ve_.value:f} /"
            f" {all_ve_.value:f}, {stake_.value:f}) = {figure(held, 8)}",
            f"over 0.4 x {stake_.value:f} = {figure(factor, 8)}",
        ),
        "boost",
        factor,
        "x",
    )


def ve_power(locked_: Quantity, unlock_: Quantity, now_: Quantity, escrow_: str) -> Result:
    """Voting power of a lock at a time; the unlock time is rounded down to its week."""
    now, most = int(now_.value), ESCROWS[escrow_]
    lock = engine.Lock.create(locked_.raw(), int(unlock_.value), now, most)
    power = lock.voting_power(now)
    held = Decimal(power).scaleb(-18)
    return Result(
        {"voting_power": str(power), "token": escrow_},
        f"{figure(held, 8)} {escrow_} of voting power",
        (
            f"unlock {int(unlock_.value)} is rounded down to the week at {lock.end}",
            f"{locked_.raw()} // {most} x ({lock.end} - {now}) = {power}",
        ),
        "voting_power",
        held,
        escrow_,
    )


def bribe_apr(bribe_: Quantity, votes_: Quantity, rounds_: Quantity, price_: Quantity) -> Result:
    """Yearly yield of one locked token that is voted for a bribed gauge in every round."""
    per_vote = engine.bribe_per_vote(bribe_.value, votes_.value)
    apr = engine.bribe_apr(per_vote, int(rounds_.value), price_.value)
    return Result(
        {"per_vote": canonical(per_vote), "bribe_apr": canonical(apr)},
        f"${figure(per_vote)} a vote; {percent(apr)} a year",
        (
            f"{bribe_.value:f} / {votes_.value:f} = {figure(per_vote)} a vote and round",
            f"x {int(rounds_.value)} / {price_.value:f} = {percent(apr, 6)}",
        ),
        "bribe_apr",
        apr * 100,
        "%",
    )


ESCROW_TOOLS = (
    Tool(
        "boost",
        "gauge boost of a stake from vote-escrowed voting power",
        "gauge boost",
        (
            Parameter("stake", "own stake", "number"),
            Parameter("pool", "stake in the gauge, own stake included", "number"),
            Parameter("ve", "own voting power, such as 5,000 veCRV", "amount"),
            Parameter("all_ve", "all voting power", "amount"),
        ),
        boost,
        {"working_balance": "raw units at 18 decimals", "boost": "ratio"},
    ),
    Tool(
        "ve_power",
        "voting power of a lock at a time, its unlock rounded down to a week",
        "voting power left",
        (
            Parameter("locked", "amount locked, with its token", "amount"),
            Parameter("unlock", "unlock time asked for, Unix seconds", "integer"),
            Parameter("now", "time of the question, Unix seconds", "integer"),
            Parameter(
                "escrow", "which escrow: veCRV four years, veBAL one", choices=tuple(ESCROWS)
            ),
        ),
        ve_power,
        {"voting_power": "raw units at 18 decimals", "token": "symbol"},
    ),
    Tool(
        "bribe_apr",
        "yearly yield of a locked token from bribes",
        "bribe yield",
        (
            Parameter("bribe", "value of the bribe in a round", "number"),
            Parameter("votes", "votes on the bribed gauge", "amount"),
            Parameter("rounds", "voting rounds a year", "integer"),
            Parameter("price", "price of the locked token", "number"),
        ),
        bribe_apr,
        {"per_vote": "money", "bribe_apr": "fraction a year"},
    ),
)
