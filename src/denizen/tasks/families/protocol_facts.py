"""Mechanics by version beyond Uniswap: lending, stable swaps, vaults, staking, ENS.

Trap: the same question has another answer one version away (Aave v2 against v3, DAI's Maker
against Sky, stETH against wstETH), and that answer scores zero.
"""

from __future__ import annotations

from denizen.tasks.families._edits import replace_argument
from denizen.tasks.families._make import Draw, answer, make_item
from denizen.tasks.tools.protocol_facts import PROTOCOLS, TOPICS, asked_about, fact_of, siblings
from denizen.tasks.types import Family, Item, Split

NAME = "protocol_facts"
_SPOKEN: dict[str, tuple[str, ...]] = {
    "aave v2": ("Aave v2", "Aave V2"),
    "aave v3": ("Aave v3", "Aave V3"),
    "compound v2": ("Compound v2", "Compound V2"),
    "compound v3": ("Compound v3", "Compound III"),
    "morpho optimizers": ("Morpho Optimizers", "Morpho's Optimizers"),
    "morpho blue": ("Morpho Blue",),
    "maker": ("Maker", "MakerDAO"),
    "sky": ("Sky", "Sky Protocol"),
    "curve v1": ("Curve v1", "Curve V1"),
    "curve v2": ("Curve v2", "Curve V2"),
    "curve ng": ("Curve NG", "Curve Stableswap-NG"),
    "balancer v2": ("Balancer v2", "Balancer V2"),
    "balancer v3": ("Balancer v3", "Balancer V3"),
    "token wrapper": ("OpenZeppelin's ERC20Wrapper", "an OpenZeppelin ERC20Wrapper"),
    "erc-4626": ("ERC-4626", "EIP-4626"),
    "erc-7540": ("ERC-7540", "EIP-7540"),
    "steth": ("stETH", "Lido's stETH"),
    "wsteth": ("wstETH", "Lido's wstETH"),
    "reth": ("rETH", "Rocket Pool's rETH"),
    "synthetix v2": ("Synthetix v2", "Synthetix V2x"),
    "synthetix v3": ("Synthetix v3", "Synthetix V3"),
    "ens v1": ("ENS v1", "ENSv1"),
    "ens v2": ("ENS v2", "ENSv2"),
}


def generate(seed: int, split: Split) -> Item:
    """Topics in turn, then one of the versions that have the topic."""
    draw = Draw(NAME, seed, split, {TOPICS[seed % len(TOPICS)]: 1.0})
    protocol = draw.rng.choice(asked_about(draw.kind))
    found = fact_of(protocol, draw.kind)
    subtle = found.expires or found.changeable_by or found.shared
    prompt = draw.ask({"protocol": draw.rng.choice(_SPOKEN[protocol])})
    gold = f"protocol_fact(protocol={protocol}; topic={draw.kind})"
    return make_item(draw, prompt, gold, version=protocol, difficulty=2 if subtle else 1, pool="")


def near_misses(item: Item) -> tuple[str, ...]:
    """The same topic of the other versions, and the next topic that this version has."""
    misses = [
        replace_argument(item.gold, "protocol", other)
        for other in siblings(item.version, item.kind)
    ]
    own = [topic for topic in TOPICS if item.version in asked_about(topic)]
    after = own[(own.index(item.kind) + 1) % len(own)]
    misses.append(replace_argument(item.gold, "topic", after))
    return tuple(answer(miss) for miss in misses)


FAMILY = Family(
    NAME,
    "mechanics by version of Aave, Compound, Morpho, Maker, Curve, Balancer, vaults, Lido, ENS",
    TOPICS,
    generate,
    near_misses,
    tools=("protocol_fact",),
    levels=(1, 2),
    versions=tuple(PROTOCOLS),
)
