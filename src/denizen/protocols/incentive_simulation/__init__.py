"""Incentive simulation: liquidity providers react, epoch by epoch, to rewards and prices.

One file an idea: pair (a v2 pool and its arbitrage), agents (who moves capital and why), ledger
(accounts and the moves between them), world (the order of an epoch).  Money is integers only, and a
run is deterministic by its seed.
"""

from .agents import Agent, Farmer, Mercenary, Sticky, View
from .ledger import Account, Ledger
from .pair import Pair, Trade, arbitrage, closed_form_profit, within_band
from .world import EpochRecord, Market, Result, World, random_prices, simulate

__all__ = [
    "Account",
    "Agent",
    "EpochRecord",
    "Farmer",
    "Ledger",
    "Market",
    "Mercenary",
    "Pair",
    "Result",
    "Sticky",
    "Trade",
    "View",
    "World",
    "arbitrage",
    "closed_form_profit",
    "random_prices",
    "simulate",
    "within_band",
]
