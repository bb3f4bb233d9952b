"""Random pool steps for the v4 certification: liquidity, swaps, donations, fees, nonsense.

Contract: every step is the same call to the engine and to the bytecode.  Amounts come from all
scales, 1 wei to past 127 bits, and mostly from the pool's own; about one step in ten is one that
both sides should refuse.
"""

from __future__ import annotations

from collections.abc import Callable

from denizen.evm.script import Call
from denizen.evm.worlds import uniswap_v4 as abi
from denizen.evm.worlds.uniswap_v4 import ACCOUNTS
from denizen.evm.worlds.v4_flash_steps import FlashSteps, number
from denizen.evm.worlds.v4_twin import Step
from denizen.protocols.tick_math import (
    MAX_SQRT_PRICE,
    MAX_TICK,
    MIN_SQRT_PRICE,
    MIN_TICK,
    sqrt_price_at_tick,
)
from denizen.protocols.uniswap_v4 import NATIVE, PoolKey
from denizen.protocols.uniswap_v4_hooks import ModifyLiquidityParams, SwapParams


class Steps(FlashSteps):
    """Steps for one round, drawn from the engine's present state."""

    def any_step(self) -> Step:
        """A random step: swaps most often, then liquidity, then the rest."""
        kinds = (self.swap, self.modify, self.donate, self.flash, self.fees)
        return self.rng.choices(kinds, (50, 20, 6, 16, 8))[0]()

    def outside_step(self) -> Step:
        """A random step for a locked manager: most often one that needs no unlock."""
        kinds = (self.swap, self.modify, self.donate, self.flash, self.fees)
        return self.rng.choices(kinds, (3, 3, 3, 30, 61))[0]()

    # Pools

    def initialize(self, key: PoolKey, price: int, account: str = "") -> Step:
        """initialize."""
        account = account or self.rng.choice(ACCOUNTS)
        return Step(
            "initialize",
            account,
            Call(self.manager, abi.initialize(key, price)),
            lambda: self.engine.initialize(account, key, price),
            lambda data: abi.signed(number(data), 24),
            key,
            f"{tuple(key)} {price}",
        )

    def first_liquidity(self, key: PoolKey) -> list[Step]:
        """A change of each watched position."""
        positions = self.twin.watched[key].positions
        return [self._modify(key, position, self._liquidity(key)) for position in positions]

    def modify(self) -> Step:
        """Add, remove or only collect; sometimes where there is nothing or no such tick."""
        rng, key = self.rng, self._key()
        owner, lower, upper, salt = rng.choice(self.twin.watched[key].positions)
        pool = self.engine.pools.get(key)
        held = pool.positions.get((owner, lower, upper, salt)) if pool else None
        liquidity = held.liquidity if held else 0
        change = rng.choices(
            (
                self._liquidity(key),
                -liquidity,
                -rng.randint(0, liquidity),
                0,
                -liquidity - 1,
                rng.choice((1 << 127, -(1 << 127), -(1 << 255), (1 << 255) - 1)),
            ),
            (45, 12, 22, 15, 3, 3),
        )[0]
        if rng.random() < 0.04:
            lower, upper = rng.choice(
                (
                    (upper, lower),
                    (lower, lower),
                    (lower - 1, upper),
                    (lower, MAX_TICK + 1),
                    (-MAX_TICK - key.tick_spacing, upper),
                )
            )
        return self._modify(key, (owner, lower, upper, salt), change)

    def _modify(self, key: PoolKey, position: tuple[str, int, int, int], change: int) -> Step:
        owner, lower, upper, salt = position
        params = ModifyLiquidityParams(lower, upper, change, salt)
        return Step(
            "modifyLiquidity",
            owner,
            Call(self.manager, abi.modify_liquidity(key, params)),
            lambda: self.engine.modify_liquidity(owner, key, params),
            lambda data: (abi.balance_delta(data), abi.balance_delta(data[32:])),
            key,
            str(tuple(params)),
        )

    def swap(self) -> Step:
        """Exact input or output, either way, with any price limit."""
        rng, key = self.rng, self._any_key()
        zero = self._direction(key)
        amount = self._swap_amount(key) * rng.choice((1, -1))
        if rng.random() < 0.02:
            amount = rng.choice((0, -(1 << 255), (1 << 255) - 1, -(1 << 127), 1 << 127))
        account, limit = self._account(), self._limit(key, zero)
        if rng.random() < 0.25:  # all the way to the limit, across what lies between
            amount = (1 << 126) * rng.choice((1, -1))
        params = SwapParams(zero, amount, limit)
        return Step(
            "swap, hooked" if key.hooks != NATIVE else "swap",
            account,
            Call(self.manager, abi.swap(key, params)),
            lambda: self.engine.swap(account, key, params),
            abi.balance_delta,
            key,
            str(tuple(params)),
        )

    def donate(self) -> Step:
        """Give to the liquidity in range, or to nobody."""
        key, account = self._any_key(), self._account()
        amounts = [self.rng.choice((0, self.amount(), self._swap_amount(key))) for _ in "01"]
        return Step(
            "donate",
            account,
            Call(self.manager, abi.donate(key, *amounts)),
            lambda: self.engine.donate(account, key, *amounts),
            abi.balance_delta,
            key,
            str(amounts),
        )

    # Fees

    def fees(self) -> Step:
        """Set, collect or update fees, by those who may and those who may not."""
        key, account = self._any_key(), self._account()
        if key.hooks in ACCOUNTS and self.rng.random() < 0.7:
            account = key.hooks
        kinds = (self.protocol_fee, self._collect, self._lp_fee)
        return self.rng.choices(kinds, (3, 3, 4))[0](key, account)

    def protocol_fee(self, key: PoolKey, account: str) -> Step:
        """setProtocolFee: either direction, sometimes too high."""
        rng = self.rng
        low, high = (rng.choice((0, 1, 500, 1000, rng.randint(0, 1000), 1001)) for _ in "01")
        fee = rng.choice((high << 12 | low, high << 12 | low, rng.getrandbits(24)))
        return self._keyed("setProtocolFee", key, account, fee, self.engine.set_protocol_fee)

    def _lp_fee(self, key: PoolKey, account: str) -> Step:
        rng = self.rng
        fee = rng.choice((0, 500, 3000, 1_000_000, 1_000_001, rng.randint(0, 1_000_000)))
        hook = self.engine.hooks.get(key.hooks)
        if hook is not None and hasattr(hook, "fee") and rng.random() < 0.7:
            step = self._keyed(
                "forcePoolFeeUpdate",
                key,
                account,
                fee,
                lambda _, key, fee: self.engine.update_dynamic_lp_fee(hook.address, key, fee),
            )
            return step._replace(call=step.call._replace(to=hook.address))
        update = self.engine.update_dynamic_lp_fee
        return self._keyed("updateDynamicLPFee", key, account, fee, update)

    def _keyed(
        self,
        name: str,
        key: PoolKey,
        account: str,
        fee: int,
        ours: Callable[[str, PoolKey, int], None],
    ) -> Step:
        def apply() -> tuple[()]:
            ours(account, key, fee)
            return ()

        data = abi.keyed(name, key, fee)
        return Step(name, account, Call(self.manager, data), apply, pool=key, note=str(fee))

    def _collect(self, key: PoolKey, account: str) -> Step:
        currency = self.rng.choice(key[:2])
        accrued = self.engine.protocol_fees_accrued.get(currency, 0)
        amount = self.rng.choice((0, accrued, accrued + 1, self.rng.randint(0, accrued)))
        to = self.rng.choice(ACCOUNTS)
        return self._simple(
            "collectProtocolFees(address,address,uint256)",
            account,
            (to, currency, amount),
            lambda: self.engine.collect_protocol_fees(account, to, currency, amount),
            number,
        )

    def _swap_amount(self, key: PoolKey) -> int:
        """An amount that moves this pool a little, a lot, or not at all."""
        rng, pool = self.rng, self.engine.pools.get(key)
        if pool is None or not pool.liquidity or rng.random() < 0.2:
            return max(1, self.amount())
        scale = pool.liquidity * rng.choice((pool.sqrt_price, (1 << 192) // pool.sqrt_price)) >> 96
        moved = scale * rng.randint(1, 1 << 16) >> rng.randint(0, 30)
        return max(1, min(moved, (1 << 127) - 1))

    def _direction(self, key: PoolKey) -> bool:
        """Either way, but seldom on where the price is already at its end."""
        pool = self.engine.pools.get(key)
        if pool is None or MIN_SQRT_PRICE + 1 < pool.sqrt_price < MAX_SQRT_PRICE - 1:
            return self.rng.random() < 0.5
        return (pool.sqrt_price > MIN_SQRT_PRICE + 1) == (self.rng.random() < 0.9)

    def _limit(self, key: PoolKey, zero: bool) -> int:
        rng, pool = self.rng, self.engine.pools.get(key)
        furthest = MIN_SQRT_PRICE + 1 if zero else MAX_SQRT_PRICE - 1
        if pool and key.tick_spacing < 20 and rng.random() < 0.98:
            # A swap through thousands of bitmap words says no more than one through dozens.
            end = pool.tick + key.tick_spacing * rng.randint(256, 12_000) * (-1 if zero else 1)
            if MIN_TICK < end < MAX_TICK:
                furthest = sqrt_price_at_tick(end)
        if pool is None or rng.random() < 0.5:
            return furthest
        if rng.random() < 0.1:
            return rng.choice(
                (
                    0,
                    MIN_SQRT_PRICE,
                    MAX_SQRT_PRICE,
                    (1 << 160) - 1,
                    pool.sqrt_price,
                    pool.sqrt_price + 1,
                )
            )
        if rng.random() < 0.4:
            ticks = self.twin.watched[key].ticks
            ahead = [tick for tick in ticks if (tick <= pool.tick) == zero]
            tick = rng.choice(ahead or ticks)
            price = sqrt_price_at_tick(tick) + rng.choice((-1, 0, 0, 1))
        else:
            step = pool.sqrt_price >> rng.randint(1, 30)
            price = pool.sqrt_price - step if zero else pool.sqrt_price + step
        if (price < pool.sqrt_price) != zero and rng.random() < 0.9:
            return furthest
        return price if 0 <= price < 1 << 160 else furthest

    def _liquidity(self, key: PoolKey) -> int:
        """Liquidity of all magnitudes up to a tick's most, and one past it."""
        rng, pool = self.rng, self.engine.pools.get(key)
        most = pool.max_liquidity_per_tick if pool else 1 << 100
        if rng.random() < 0.05:
            return rng.choice((1, most, most + 1, most // 2))
        return 1 + rng.getrandbits(
            rng.randint(8, 90 if rng.random() < 0.9 else most.bit_length() - 1)
        )

    def _key(self) -> PoolKey:
        return self.rng.choice(self.keys)

    def _any_key(self) -> PoolKey:
        """A pool's key, or seldom one without a pool."""
        key = self._key()
        return key._replace(tick_spacing=32766) if self.rng.random() < 0.02 else key
