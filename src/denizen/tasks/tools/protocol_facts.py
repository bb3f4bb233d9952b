"""Protocol facts beyond Uniswap: one topic of one protocol version, from the mechanics tables.

A protocol choice names its version ("aave v3", "sky", "steth").  Only facts that are vouched for
on the tables' own date are offered; the other versions' answers are rivals that a text must not
claim.  An answer that people can change is told with the day until which it holds.
"""

from __future__ import annotations

from functools import cache

from denizen.protocols import mechanics
from denizen.protocols.mechanics import Fact
from denizen.tasks.catalogue import Parameter, Result, Tool, ToolError

# What a question calls a version, and where the tables keep it: (protocol, version).
PROTOCOLS: dict[str, tuple[str, str]] = {
    "aave v2": ("aave", "v2"),
    "aave v3": ("aave", "v3"),
    "compound v2": ("compound", "v2"),
    "compound v3": ("compound", "v3"),
    "morpho optimizers": ("morpho", "optimizer"),
    "morpho blue": ("morpho", "blue"),
    "maker": ("maker", "maker"),
    "sky": ("maker", "sky"),
    "curve v1": ("curve", "v1"),
    "curve v2": ("curve", "v2"),
    "curve ng": ("curve", "ng"),
    "balancer v2": ("balancer", "v2"),
    "balancer v3": ("balancer", "v3"),
    "token wrapper": ("token_vaults", "wrapper"),
    "erc-4626": ("token_vaults", "erc4626"),
    "erc-7540": ("token_vaults", "erc7540"),
    "steth": ("liquid_staking", "stETH"),
    "wsteth": ("liquid_staking", "wstETH"),
    "reth": ("liquid_staking", "rETH"),
    "synthetix v2": ("synthetix", "v2"),
    "synthetix v3": ("synthetix", "v3"),
    "ens v1": ("ens", "v1"),
    "ens v2": ("ens", "v2"),
}
# Topics whose answer differs between versions, and which a plain question can tell apart.
TOPICS: tuple[str, ...] = (
    *("core_contract", "supply_function", "efficiency_mode", "isolation_mode", "siloed_borrowing"),
    *("supply_borrow_caps", "stable_rate", "close_factor", "liquidation_bonus_fee", "bad_debt"),
    *("flash_loan_premium", "oracle_currency", "sequencer_check", "repay_with_supply"),
    *("supply_by_signature", "balance_accounting"),
    *("market_shape", "supply_receipt", "borrow_function", "collateral_interest"),
    *("interest_clock", "rate_curves", "collateral_factors", "liquidation_function"),
    *("minimum_borrow", "market_creation", "liquidation_incentive_cap", "target_utilization"),
    *("upgradeable", "flash_loan"),
    *("stablecoin", "governance_token", "savings_rate", "savings_contract", "savings_token"),
    *("join_adapter", "launch"),
    *("invariant", "swap_fee", "price_anchor", "coins_per_pool", "coin_index_type", "lp_token"),
    *("exchange_received", "native_eth"),
    *("user_entry", "pool_identifier", "hooks", "internal_balances", "token_approval"),
    *("protocol_yield_fee", "deposit_functions", "timing", "preview_functions"),
    *("underlying_getter", "balance", "rate_function", "exit_to_eth", "exit_receipt"),
    *("debt_pool", "liquidation_delay", "grace_period", "payment", "permissions"),
)


@cache
def _vouched(protocol: str, topic: str) -> Fact | None:
    """The fact, if the tables have it and still vouch for it on their own date."""
    table, version = PROTOCOLS[protocol]
    if topic not in mechanics.topics(table):
        return None
    found = mechanics.lookup(table, version, topic)
    return None if mechanics.expired(found, found.as_of) else found


def fact_of(protocol: str, topic: str) -> Fact:
    """One fact; ToolError if there is none to give."""
    if (found := _vouched(protocol, topic)) is None:
        raise ToolError(f"{protocol} has no valid fact on {topic}")
    return found


@cache
def asked_about(topic: str) -> tuple[str, ...]:
    """The protocol choices that have the topic."""
    return tuple(protocol for protocol in PROTOCOLS if _vouched(protocol, topic))


@cache
def siblings(protocol: str, topic: str) -> tuple[str, ...]:
    """The other versions of the same protocol, whose answer is the near miss."""
    table = PROTOCOLS[protocol][0]
    return tuple(p for p in asked_about(topic) if PROTOCOLS[p][0] == table and p != protocol)


def protocol_fact(protocol_: str, topic_: str) -> Result:
    """One fact of one protocol version."""
    found = fact_of(protocol_, topic_)
    others = (fact_of(other, topic_).value for other in siblings(protocol_, topic_))
    until = f", holds until {found.expires}" if found.expires else ""
    return Result(
        {"protocol": protocol_, "topic": topic_, "value": found.value},
        found.value,
        (f"{found.note} ({found.source}, as of {found.as_of}{until})",),
        "value",
        rivals=tuple(dict.fromkeys(value for value in others if value != found.value)),
    )


PROTOCOL_FACT_TOOLS = (
    Tool(
        "protocol_fact",
        "how a version of Aave, Compound, Curve, Balancer, Maker, Lido, ... works: one topic",
        "protocol mechanics",
        (
            Parameter("protocol", "the protocol and version asked about", choices=tuple(PROTOCOLS)),
            Parameter("topic", "what is asked about it", choices=TOPICS),
        ),
        protocol_fact,
        {"protocol": "as asked", "topic": "as asked", "value": "the fact in words"},
    ),
)
