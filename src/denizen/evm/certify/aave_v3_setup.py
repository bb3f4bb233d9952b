"""Random Aave v3 markets: risk parameters, rates, prices, e-modes, and governance's later changes.

Contract: everything is drawn from the generator passed in, so a seed replays a run, and is what
the PoolConfigurator accepts.  Times are seconds, prices 8 decimals.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

from denizen.protocols.aave_math import RAY
from denizen.protocols.aave_v3 import EModeCategory, Market, RateStrategy, Reserve, ReserveConfig

DECIMALS = {"WETH": 18, "USDC": 6, "WBTC": 8, "DAI": 18, "USDT": 6}
PASSING = (0, 0, 1, 2, 3, 12, 3600, 86_400, 30 * 86_400, 700 * 86_400)


def market(random: Random, timestamp: int) -> Market:
    """An empty market with random risk parameters, rates, prices and e-modes."""
    modes = {}
    for category in (1, 2):
        threshold = random.randint(9100, 9800)
        price = _price(random) if random.random() < 0.4 else None
        ltv = random.randint(9001, threshold)
        modes[category] = EModeCategory(ltv, threshold, _bonus(random, threshold), price)
    reserves = {
        name: Reserve(_config(random, decimals), _strategy(random))
        for name, decimals in DECIMALS.items()
    }
    return Market(timestamp, reserves, {name: _price(random) for name in reserves}, modes)


def _price(random: Random) -> int:
    """Cents to a hundred thousand dollars, in 8 decimals, evenly by magnitude."""
    return random.randint(1, 9_999) * 10 ** random.choice((4, 5, 6, 7, 8, 9)) // 10


def _bonus(random: Random, threshold: int) -> int:
    """The configurator wants threshold x bonus at most 100%."""
    return random.randint(10_001, min(10**8 // threshold, 12_500))


def _config(random: Random, decimals: int) -> ReserveConfig:
    threshold = 0 if random.random() < 0.08 else random.randint(2000, 9000)
    ltv = 0 if random.random() < 0.08 else random.randint(threshold // 2, threshold)
    borrowing = random.random() < 0.95
    return ReserveConfig(
        decimals,
        ltv,
        threshold,
        _bonus(random, threshold) if threshold else 0,
        reserve_factor=random.choice((0, 1000, random.randint(1, 9999), 10_000)),
        liquidation_protocol_fee=random.choice((0, 1000, random.randint(1, 10_000))),
        supply_cap=_rarely(random, 0.15, 10**6),
        borrow_cap=_rarely(random, 0.15, 10**6),
        debt_ceiling=_rarely(random, 0.3, 10**9) if threshold else 0,
        e_mode_category=random.choice((0, 0, 1, 1, 2)) if threshold else 0,
        borrowing_enabled=borrowing,
        stable_borrowing_enabled=borrowing and random.random() < 0.4,
        borrowable_in_isolation=random.random() < 0.7,
        siloed_borrowing=random.random() < 0.12,
        frozen=random.random() < 0.02,
        paused=random.random() < 0.02,
    )


def _rarely(random: Random, chance: float, most: int) -> int:
    limit = random.randint(1, random.choice((100, most // 100, most)))
    return limit if random.random() < chance else 0


def _strategy(random: Random) -> RateStrategy:
    def percent(most: int) -> int:
        return random.randint(0, most * 10**9) * 10**16

    return RateStrategy(
        random.randint(5, 99) * RAY // 100 if random.random() < 0.8 else random.randint(1, RAY - 1),
        percent(3),
        percent(20),
        percent(300),
        percent(20),
        percent(300),
        percent(5),
        percent(10),
        random.randint(0, 100) * RAY // 100,
    )


def reconfigured(random: Random, config: ReserveConfig) -> ReserveConfig:
    """What governance may change while a reserve is in use: terms, factors, caps, switches."""
    drawn = _config(random, config.decimals)
    kind = random.choice(("terms", "no loans", "factors", "caps", "switches"))
    if kind == "terms" and config.liquidation_threshold:
        threshold = random.randint(2000, 9000)
        bonus, ltv = _bonus(random, threshold), random.randint(0, threshold)
        return replace(config, ltv=ltv, liquidation_threshold=threshold, liquidation_bonus=bonus)
    if kind == "factors":
        return replace(
            config,
            reserve_factor=drawn.reserve_factor,
            liquidation_protocol_fee=drawn.liquidation_protocol_fee,
        )
    if kind == "caps":
        ceiling = drawn.debt_ceiling or config.debt_ceiling
        return replace(
            config,
            supply_cap=drawn.supply_cap,
            borrow_cap=drawn.borrow_cap,
            # A ceiling comes or goes only while nobody has supplied the asset.
            debt_ceiling=ceiling if config.debt_ceiling else 0,
        )
    if kind == "switches":
        isolated = drawn.borrowable_in_isolation
        return replace(
            config, frozen=drawn.frozen, paused=drawn.paused, borrowable_in_isolation=isolated
        )
    return replace(config, ltv=0)
