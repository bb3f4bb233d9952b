"""Random actions in an Aave v3 market, aimed at the edges of every rule.

Contract: everything is drawn from the generator passed in, so a seed replays a run.  Most
actions are ones the engine allows; the rest the Pool must refuse as the engine does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Any

from denizen.protocols import MathError, aave_v3
from denizen.protocols.aave_v3 import Market

USERS = ("alice", "bob", "carol", "whale")
MAX_UINT256 = (1 << 256) - 1


@dataclass(frozen=True)
class Action:
    """One transaction: what the engine does, what the Pool is sent, and what it can touch."""

    kind: str
    user: str
    engine: Callable[[Market], Market]
    signature: str
    values: tuple[Any, ...]
    assets: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def users(self) -> tuple[str, ...]:
        """The sender and everybody else whose balances can change."""
        return self.user, *self.others


Draw = Callable[[Random, Market, str, str], Action]


def _amount(random: Random, market: Market, asset: str) -> int:
    """Dust, or from a dollar to a few million dollars' worth."""
    if random.random() < 0.1:
        return random.randint(0, 1000)
    worth = random.randint(1, 9999) * 10 ** random.choice((8, 9, 10, 11))
    return worth * market.reserve(asset).config.unit // market.prices[asset]


def action(random: Random, market: Market) -> Action:
    """A random action of a random user, mostly one that the engine allows."""
    kind = random.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
    return _mostly_allowed(random, market, kind, USERS)


def liquidation_of(random: Random, market: Market, user: str) -> Action:
    """A liquidation of this user, mostly one that the engine allows."""
    return _mostly_allowed(random, market, _liquidation, (user,))


def _mostly_allowed(random: Random, market: Market, kind: Draw, users: Sequence[str]) -> Action:
    """Draw again, at most a dozen times, what the engine refuses."""
    for _ in range(12):
        drawn = kind(random, market, random.choice(users), random.choice(list(market.reserves)))
        if random.random() < 0.04:
            break
        with suppress(MathError):
            drawn.engine(market)
            break
    return drawn


def opening(random: Random, market: Market) -> list[tuple[Draw, str, str]]:
    """What fills a market: the whale supplies everything, everybody a collateral of choice."""
    steps: list[tuple[Draw, str, str]] = [(_supply, "whale", asset) for asset in market.reserves]
    for user in USERS:
        asset = random.choice(list(market.reserves))
        steps += [(kind, user, asset) for kind in (_e_mode, _supply, _collateral)]
    return steps


def _supply(random: Random, market: Market, user: str, asset: str) -> Action:
    """A deposit for oneself."""
    sent = _amount(random, market, asset)
    return Action(
        "supply",
        user,
        lambda m: aave_v3.supply(m, user, asset, sent),
        "supply(address,uint256,address,uint16)",
        (asset, sent, user, 0),
        (asset,),
    )


def _withdraw(random: Random, market: Market, user: str, asset: str) -> Action:
    asset = _owned(random, market, user, asset, lambda name: market.supplied(user, name))
    taken = _part(random, market.supplied(user, asset), _amount(random, market, asset))
    return Action(
        "withdraw",
        user,
        lambda m: aave_v3.withdraw(m, user, asset, taken),
        "withdraw(address,uint256,address)",
        (asset, MAX_UINT256 if taken is None else taken, user),
        (asset,),
    )


def _borrow(random: Random, market: Market, user: str, asset: str) -> Action:
    taken = _amount(random, market, asset)
    try:
        price = market.price(asset, market.user(user).e_mode)
        room = market.account(user).available_borrows_base
        most = room * market.reserve(asset).config.unit // price
    except MathError:
        most = 0
    if most and random.random() < 0.8:
        taken = most * random.choice((25, 50, 90, 99, 100)) // 100 + random.choice((-1, 0, 0, 1))
    stable = market.reserve(asset).config.stable_borrowing_enabled and random.random() < 0.4
    if stable and random.random() < 0.7:
        taken = min(taken, market.reserve(asset).available // 4 + random.choice((0, 1, 2)))
    taken = max(taken, 0)
    return Action(
        "borrow stable" if stable else "borrow",
        user,
        lambda m: aave_v3.borrow(m, user, asset, taken, stable_rate=stable),
        "borrow(address,uint256,uint256,uint16,address)",
        (asset, taken, 1 if stable else 2, 0, user),
        (asset,),
    )


def _repay(random: Random, market: Market, user: str, asset: str) -> Action:
    asset = _owned(random, market, user, asset, lambda name: market.debt(user, name))
    stable = market.stable_debt(user, asset) > 0 and random.random() < 0.7
    owed = (market.stable_debt if stable else market.variable_debt)(user, asset)
    paid = _part(random, owed, _amount(random, market, asset))
    return Action(
        "repay stable" if stable else "repay",
        user,
        lambda m: aave_v3.repay(m, user, asset, paid, stable_rate=stable),
        "repay(address,uint256,uint256,address)",
        (asset, MAX_UINT256 if paid is None else paid, 1 if stable else 2, user),
        (asset,),
    )


def _collateral(random: Random, market: Market, user: str, asset: str) -> Action:
    asset = _owned(random, market, user, asset, lambda name: market.supplied(user, name))
    use = random.random() < 0.7 or not market.position(user, asset).collateral
    return Action(
        "use as collateral",
        user,
        lambda m: aave_v3.set_use_as_collateral(m, user, asset, use),
        "setUserUseReserveAsCollateral(address,bool)",
        (asset, use),
        (asset,),
    )


def _e_mode(random: Random, market: Market, user: str, asset: str) -> Action:
    category = random.choice((0, 1, 1, 2, 3))
    return Action(
        "e-mode",
        user,
        lambda m: aave_v3.set_e_mode(m, user, category),
        "setUserEMode(uint8)",
        (category,),
    )


def _treasury(random: Random, market: Market, user: str, asset: str) -> Action:
    return Action(
        "mint to treasury",
        user,
        lambda m: aave_v3.mint_to_treasury(m, asset),
        "mintToTreasury(address[])",
        ([asset],),
        (asset,),
        (aave_v3.TREASURY,),
    )


def _liquidation(random: Random, market: Market, user: str, asset: str) -> Action:
    """Somebody else liquidates the user, with amounts around the close factor and the balance."""
    liquidator = random.choice([other for other in USERS if other != user])
    seized = _owned(random, market, user, asset, lambda name: market.supplied(user, name))
    asset = _owned(random, market, user, asset, lambda name: market.debt(user, name))
    owed = market.debt(user, asset)
    tries = (MAX_UINT256, owed, owed // 2, owed // 2 + 1, random.randint(0, owed), 1)
    covered, receive = random.choice(tries), random.random() < 0.4
    return Action(
        "liquidation for aTokens" if receive else "liquidation",
        liquidator,
        lambda m: aave_v3.liquidate(
            m, liquidator, user, seized, asset, covered, receive_a_token=receive
        ),
        "liquidationCall(address,address,address,uint256,bool)",
        (seized, asset, user, covered, receive),
        tuple(dict.fromkeys((seized, asset))),
        (user, aave_v3.TREASURY),
    )


def _owned(
    random: Random, market: Market, user: str, asset: str, balance: Callable[[str], int]
) -> str:
    """Mostly an asset the user has a balance in, else the one given."""
    held = [name for name in market.reserves if balance(name)]
    return random.choice(held) if held and random.random() < 0.9 else asset


def _part(random: Random, whole: int, otherwise: int) -> int | None:
    """All (as None or in figures), one off all, a part, or something else."""
    parts = (None, whole, whole + 1, max(whole - 1, 0), random.randint(0, whole), otherwise)
    return random.choice(parts)


_WEIGHTS: dict[Draw, int] = {
    _supply: 3,
    _withdraw: 4,
    _borrow: 10,
    _repay: 5,
    _collateral: 3,
    _e_mode: 2,
    _treasury: 1,
    _liquidation: 2,
}
