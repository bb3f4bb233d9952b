"""What a wallet message may state: the slots of its wording, the order they mean, risks in passing.

Amounts are $30 to $40,000 worth of the split's tokens; addresses are twenty random bytes in lower
case; the networks of a message are two different ones, drawn as (start, end).
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from denizen.tasks.families._wallet_schema import NETWORKS
from denizen.tasks.phrasing import Pool, cap_decimals, near, say_amount, significant
from denizen.tasks.reading import DOLLAR_COINS

NETWORK_NAMES = {
    "ethereum": ("Ethereum", "Ethereum mainnet", "Ethereum"),
    "base": ("Base",),
    "arbitrum": ("Arbitrum", "Arbitrum One"),
    "optimism": ("Optimism", "OP Mainnet"),
    "polygon": ("Polygon", "Polygon PoS"),
}

SLIPPAGES = ("0.1%", "0.3%", "0.5%", "50 bps", "1%", "2%", "3%", "5%", "5.5%", "8%", "15%", "30%")


def order_of(used: Mapping[str, str], to_network: str) -> dict[str, str | None]:
    """The fields of an order, from the slots its wording uses."""
    amount = used.get("bought", used.get("amount"))
    asset = used.get("asset")
    if "amount" in used:
        asset = used["amount"].rpartition(" ")[2]
    return {
        "amount": amount,
        "asset": asset,
        "asset_out": used["bought"].rpartition(" ")[2]
        if "bought" in used
        else used.get("asset_out"),
        "recipient": used.get("recipient"),
        "spender": used.get("spender"),
        "to_network": to_network if "to_network" in used else None,
        "max_slippage": used.get("max_slippage"),
    }


def risks_in_passing(rng: Random, notes: tuple[str, ...], used: Mapping[str, str]) -> list[str]:
    """The risks to mention: none, one, or two that fit what the order states."""
    fitting = [
        note
        for note in notes
        if (note != "new address" or used.keys() & {"recipient", "spender"})
        and (note != "whole balance" or ("amount" in used and "more" not in used))
    ]
    count = rng.choice((0, 0, 0, 1, 1, 2))
    return rng.sample(fitting, min(count, len(fitting)))


def draw_slots(rng: Random, pool: Pool, *, erc20: bool) -> tuple[dict[str, str], tuple[str, str]]:
    """What a wording may state, and the two networks meant; `erc20` rules native ETH out."""
    sells_base = rng.random() < 0.7
    if erc20 and "ETH" in (pool.base, pool.quote):
        sells_base = pool.base != "ETH"
    token, other = (pool.base, pool.quote) if sells_base else (pool.quote, pool.base)
    worth = significant(rng, 30, 4e4, 3) / (1 if pool.quote in DOLLAR_COINS else 2500)
    sizes = {pool.base: worth / pool.price, pool.quote: worth}

    def amount(name: str, low: float, high: float) -> str:
        size = near(rng, sizes[name], low, high, rng.choice((1, 2, 2, 3)))
        return say_amount(rng, cap_decimals(size, name), name)

    start, end = rng.sample(NETWORKS, 2)
    slots = {
        "amount": amount(token, 0.9, 1.1),
        "more": amount(token, 3, 9),
        "bought": amount(other, 0.9, 1.1),
        "asset": token,
        "asset_out": other,
        "network": rng.choice(NETWORK_NAMES[start]),
        "to_network": rng.choice(NETWORK_NAMES[end]),
        "max_slippage": rng.choice(SLIPPAGES),
    }
    slots |= {name: address(rng) for name in ("recipient", "spender", "other_address")}
    return slots, (start, end)


def address(rng: Random) -> str:
    """Twenty random bytes, in lower case."""
    return f"0x{rng.getrandbits(160):040x}"
