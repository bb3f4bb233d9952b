"""Incentive programme tools: where farmers stop, what stays when rewards end, arbitrage of a pair.

Contract: the figures are the incentive simulation's.  Equilibrium is the resting point of farmers
without costs; retention plays the stated world (LPs who stay, mercenaries who are in only while
rewards run, a constant price) for one epoch with rewards and one without.
"""

from __future__ import annotations

from decimal import Context, Decimal

from denizen.protocols import incentive_simulation as simulation
from denizen.protocols.incentives import Constant
from denizen.tasks.catalogue import Parameter, Result, Tool, ToolError
from denizen.tasks.quantities import Quantity, decimals_of
from denizen.tasks.tools.display import canonical, figure, token_amount

EPOCHS_PER_YEAR = {"day": 365, "month": 12, "year": 1}
_WAD = 10**18
_WIDE = Context(prec=120)
# The pair keeps 1,000 raw LP units for ever: money is shown without that dust.
_MICRO = Decimal("0.000001")


def farm_tvl(rewards_: Quantity, per_: str, outside_: Quantity) -> Result:
    """Staked value at which a programme pays just the outside yield."""
    if rewards_.value < 0:
        raise ToolError(f"rewards of {rewards_.text} are negative")
    view = simulation.View(0, 0, 0, rewards_.raw(), 0, 0, Decimal(0), EPOCHS_PER_YEAR[per_])
    rest, _ = simulation.Farmer("farmer", 1, outside_.value).resting_band(view)
    tvl = _money(rest)
    return Result(
        {"tvl": canonical(tvl)},
        f"${figure(tvl, 8)} of TVL",
        (
            f"a year pays {rewards_.value:f} x {view.epochs_per_year}",
            f"over {outside_.value:f} = {figure(tvl, 8)}",
        ),
        "tvl",
        tvl,
        "USD",
    )


def retained_tvl(tvl_: Quantity, mercenary_: Quantity, baseline_: Quantity) -> Result:
    """TVL above the baseline once the mercenary part has left."""
    # What the reward costs does not change who leaves.
    retained = _money(Decimal(_end(tvl_, mercenary_, _WAD).retained_tvl(baseline_.raw())))
    sign = "-" if retained < 0 else ""
    return Result(
        {"retained": canonical(retained)},
        f"{sign}${figure(abs(retained), 8)} retained above the baseline",
        (f"{tvl_.value:f} x (1 - {mercenary_.value:f}) - {baseline_.value:f}",),
        "retained",
        retained,
        "USD",
    )


def retention_cost(
    budget_: Quantity, tvl_: Quantity, mercenary_: Quantity, baseline_: Quantity
) -> Result:
    """Reward value paid for each unit of TVL retained above the baseline."""
    world = _end(tvl_, mercenary_, budget_.raw())
    retained = _money(Decimal(world.retained_tvl(baseline_.raw())))
    cost = world.cost_per_retained(baseline_.raw()).quantize(_MICRO * _MICRO, context=_WIDE)
    return Result(
        {"retained": canonical(retained), "cost": canonical(cost)},
        f"of {figure(retained, 8)} retained, each unit cost ${figure(cost)}",
        (
            f"retained = {tvl_.value:f} x (1 - {mercenary_.value:f}) - {baseline_.value:f}"
            f" = {figure(retained, 8)}",
            f"{budget_.value:f} / {figure(retained, 8)} = {figure(cost, 8)}",
        ),
        "cost",
        cost,
        "USD",
    )


def _end(tvl: Quantity, mercenary: Quantity, budget: int) -> simulation.Result:
    """The world one epoch after the rewards ended."""
    if not 0 <= mercenary.value <= 1:
        raise ToolError(f"a mercenary share of {mercenary.text} is not between 0% and 100%")
    leaving = int(_WIDE.multiply(Decimal(tvl.raw()), mercenary.value))
    staying = tvl.raw() - leaving
    agents: list[simulation.Agent] = []
    if staying:
        agents.append(simulation.Sticky("staying", staying))
    if leaving:
        agents.append(simulation.Mercenary("leaving", leaving, Decimal(0), Decimal(0)))
    market = simulation.Market((_WAD, _WAD), (_WAD, _WAD))
    return simulation.simulate(market, Constant(budget, 1), agents, seed=0)


def _money(raw: Decimal) -> Decimal:
    return raw.scaleb(-18, _WIDE).quantize(_MICRO, context=_WIDE)


def v2_arbitrage(a_: Quantity, b_: Quantity, price_: Quantity) -> Result:
    """Best arbitrage of a v2 pair against an outside price: what it trades and earns."""
    base, quote = price_.per, price_.unit
    held = {q.unit: q for q in (a_, b_)}
    if set(held) != {base, quote}:
        raise ToolError(f"reserves of {a_.unit} and {b_.unit} are not the pair {base}/{quote}")
    shift = 18 + decimals_of(quote) - decimals_of(base)
    price = int(price_.value.scaleb(shift, _WIDE))
    pair = simulation.Pair(held[base].raw(), held[quote].raw())
    trade = simulation.arbitrage(pair, price)
    if trade is None:
        values = {"profit": "0", "token": quote, "sold": "nothing", "amount_in": "0"}
        told = f"no trade pays within the fee: 0 {quote}"
        return Result(values, told, ("the gap is within 0.3%",), "profit", Decimal(0), quote)
    sold = base if trade.sells_base else quote
    return Result(
        {
            "profit": str(trade.profit),
            "token": quote,
            "sold": sold,
            "amount_in": str(trade.amount_in),
        },
        f"sell {token_amount(trade.amount_in, sold)} to the pair; "
        f"profit {token_amount(trade.profit, quote)}",
        (
            f"in {trade.amount_in}, out {trade.amount_out} (raw units, 0.3% fee)",
            f"squared at the outside price: profit {trade.profit} raw units of {quote}",
        ),
        "profit",
        Decimal(trade.profit).scaleb(-decimals_of(quote)),
        quote,
    )


_TVL = Parameter("tvl", "TVL while rewards run", "number")
_MERCENARY = Parameter("mercenary", "part of it that leaves when rewards end", "percent")
_BASELINE = Parameter("baseline", "TVL before the programme", "number")

PROGRAMME_TOOLS = (
    Tool(
        "farm_tvl",
        "TVL to which farmers without costs drive a reward programme at an outside yield",
        "equilibrium TVL",
        (
            Parameter("rewards", "value of the rewards of one epoch", "number"),
            Parameter("per", "length of an epoch", choices=tuple(EPOCHS_PER_YEAR)),
            Parameter("outside", "yearly yield farmers get elsewhere", "percent"),
        ),
        farm_tvl,
        {"tvl": "money"},
    ),
    Tool(
        "retained_tvl",
        "TVL above the baseline that is left when mercenary capital leaves",
        "retained TVL",
        (_TVL, _MERCENARY, _BASELINE),
        retained_tvl,
        {"retained": "money"},
    ),
    Tool(
        "retention_cost",
        "reward spending for each unit of TVL retained above the baseline",
        "cost of retained TVL",
        (Parameter("budget", "value of all rewards paid", "number"), _TVL, _MERCENARY, _BASELINE),
        retention_cost,
        {"retained": "money", "cost": "money for each unit retained"},
    ),
    Tool(
        "v2_arbitrage",
        "profit of the best arbitrage of a Uniswap v2 pair against an outside price",
        "arbitrage profit",
        (
            Parameter("a", "one reserve of the pair with its token", "amount"),
            Parameter("b", "the other reserve", "amount"),
            Parameter("price", "outside price, such as 3,250 USDC per ETH", "price"),
        ),
        v2_arbitrage,
        {
            "profit": "raw units of the quote",
            "token": "symbol of the quote",
            "sold": "token sold to the pair",
            "amount_in": "raw units of the token sold",
        },
    ),
)
