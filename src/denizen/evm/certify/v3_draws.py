"""Random arguments for a v3 pool: ordinary ones, and the edges where rounding and refusals live.

Contract: everything is drawn from one `Random`, so a world is replayed from its seed.
"""

from __future__ import annotations

from random import Random

from denizen.evm.worlds.uniswap_v3 import OWNERS, RANGE
from denizen.protocols.fixed_point import MAX_UINT128
from denizen.protocols.tick_math import (
    MAX_SQRT_PRICE,
    MAX_TICK,
    MIN_SQRT_PRICE,
    MIN_TICK,
    sqrt_price_at_tick,
)
from denizen.protocols.uniswap_v3 import FEE_TICK_SPACING, Pool

_SIZES = (8, 40, 64, 64, 70, 90, 120)  # bits of a world's usual liquidity: dust to near the most


def fee_and_spacing(rng: Random) -> tuple[int, int]:
    """A standard fee tier, or in three of ten any pair that the factory allows."""
    if rng.random() < 0.7:
        return rng.choice([*FEE_TICK_SPACING.items()])
    fee = rng.choice([0, 1, 17, 999_999, rng.randrange(1_000_000)])
    spacing = rng.choice([1, 7, 255, 16_383, rng.randrange(1, 16_384)])
    return fee, FEE_TICK_SPACING.get(fee, spacing)


def initial_prices(rng: Random) -> list[int]:
    """Prices to initialise with: at times one on the edge of the range first, then a good one."""
    tick = rng.choice([0, rng.randrange(-200_000, 200_000), rng.randrange(MIN_TICK, MAX_TICK)])
    prices = [sqrt_price_at_tick(tick) + rng.choice([0, 0, 1, 12_345])]
    if rng.random() < 0.2:
        prices.insert(0, rng.choice([MIN_SQRT_PRICE, MAX_SQRT_PRICE]) + rng.choice([-1, 0, 1]))
    return prices


class Draw:
    """Draws for one world; `ranges` remembers every position that was tried."""

    def __init__(self, rng: Random, pool: Pool) -> None:
        self.rng, self.pool = rng, pool
        self.bits = rng.choice(_SIZES)
        self.ranges: dict[RANGE, None] = {}

    def number(self, bits: int) -> int:
        """A number whose size, not its value, is uniform."""
        return self.rng.getrandbits(self.rng.randint(0, bits))

    def range(self, fresh: float) -> RANGE:
        """An owner and two ticks: with probability `fresh` new, else one tried before."""
        rng, spacing = self.rng, self.pool.tick_spacing
        if self.ranges and rng.random() >= fresh:
            owner, lower, upper = rng.choice([*self.ranges])
            return rng.choice(OWNERS) if rng.random() < 0.1 else owner, lower, upper
        most = MAX_TICK // spacing
        here = self.pool.tick // spacing
        ends = [here + rng.choice([-1, 1]) * self.number(rng.choice([3, 6, 9, 14])) for _ in "ab"]
        if rng.random() < 0.15:
            ends = [rng.choice([-most, ends[0]]), rng.choice([most, ends[1]])]
        lower, upper = sorted(max(-most, min(most, end)) * spacing for end in ends)
        if rng.random() < 0.04:  # empty, reversed, misaligned or out of bounds
            low, high = rng.choice([(lower, lower), (lower + 1, upper), (MIN_TICK - 1, upper)])
            off = upper + rng.randrange(1, spacing + 1)
            some = [(low, high), (upper, lower), (lower, MAX_TICK + 1), (lower, off)]
            lower, upper = rng.choice(some)
        key = rng.choice(OWNERS), lower, upper
        if MIN_TICK <= lower < upper <= MAX_TICK:
            self.ranges[key] = None
        return key

    def held(self) -> RANGE:
        """Mostly a position that holds liquidity."""
        held = [key for key in self.ranges if key in self.pool.positions]
        full = [key for key in held if self.pool.positions[key].liquidity]
        return self.rng.choice(full) if full and self.rng.random() < 0.85 else self.range(0.1)

    def liquidity_to_add(self, lower: int, upper: int) -> int:
        """Usual sizes, dust, and what fills a tick to its maximum or just past it."""
        rng, pool = self.rng, self.pool
        gross = [pool.ticks[tick].liquidity_gross for tick in (lower, upper) if tick in pool.ticks]
        room = pool.max_liquidity_per_tick - max(gross, default=0)
        usual = min(rng.randrange(1, 1 << self.bits), room)
        edges = [0, 1, room, room + 1, 1 << 127, MAX_UINT128, self.number(128)]
        return rng.choice(edges) if rng.random() < 0.12 else max(usual, 0)

    def liquidity_to_burn(self, key: RANGE) -> int:
        """Nothing (a poke), a part, the whole, or more than there is."""
        held = self.pool.positions.get(key)
        whole = held.liquidity if held else 0
        some = [
            0,
            whole,
            whole // 2,
            self.rng.randint(0, whole),
            min(1, whole),
            whole + 1,
            1 << 127,
        ]
        return min(self.rng.choices(some, [8, 12, 6, 12, 4, 2, 1])[0], MAX_UINT128)

    def swap_amount(self) -> int:
        """Signed: about the pool's size, anything at all, or an edge of the type."""
        rng = self.rng
        kind = rng.random()
        if kind < 0.6:
            amount = 1 + self.number(self.bits + 4)
        elif kind < 0.9:
            amount = max(1, self.number(rng.choice([20, 128, 255])))
        else:
            amount = rng.choice([0, 1, 2, 1 << 127, MAX_UINT128, (1 << 255) - 1])
        if rng.random() < 0.5:
            return amount
        return -(1 << 255) if amount == (1 << 255) - 1 else -amount

    def limit(self, zero: bool) -> int:
        """Mostly some bitmap words away; on or beside an initialised tick; the end; or wrong."""
        rng, pool = self.rng, self.pool
        way, kind = (-1 if zero else 1), rng.random()
        if kind < 0.02:  # the wrong side, the price itself, or outside the range
            edges = [MIN_SQRT_PRICE, MAX_SQRT_PRICE, pool.sqrt_price, pool.sqrt_price - way, 0]
            return rng.choice(edges)
        if kind < 0.04 or (pool.tick_spacing >= 60 and kind < 0.2):
            return MIN_SQRT_PRICE + 1 if zero else MAX_SQRT_PRICE - 1
        if kind < 0.4 and pool.ticks:
            tick = rng.choice([*pool.ticks])
            price = sqrt_price_at_tick(tick) + rng.choice([-1, 0, 0, 1])
            if (price < pool.sqrt_price) == zero:
                return price
        away = (1 + self.number(rng.choice([4, 10, 13]))) * pool.tick_spacing
        tick = max(MIN_TICK, min(MAX_TICK, pool.tick + way * away))
        return sqrt_price_at_tick(tick) + rng.randrange(1000) * way

    def seconds_agos(self) -> list[int]:
        """Now, on and beside observations, between them, and too long ago."""
        rng, pool = self.rng, self.pool
        ages = [pool.time - seen.time & 0xFFFFFFFF for seen in pool.oracle.observations]
        near = [max(0, rng.choice(ages) + rng.choice([-1, 0, 1])) for _ in range(3)]
        some = [0, 1, rng.randrange(100_000), rng.randint(0, max(ages)), *near]
        return [min(rng.choice(some), 0xFFFFFFFF) for _ in range(rng.randrange(1, 4))]
