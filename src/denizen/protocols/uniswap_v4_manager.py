"""Uniswap v4's PoolManager: all pools in one contract, under one lock and one set of deltas.

Contract: what the contract does with the same calls, to the unit; a MathError, named as the
contract's error where it has one, where the contract reverts, and then nothing has changed.
`caller` is msg.sender, amounts are from its side (negative is owed).  Source: v4-core's MIT
interfaces and libraries (Hooks, ProtocolFees); compared with the deployed bytecode case by case
in `evm.certify.uniswap_v4`.
"""

from __future__ import annotations

from .fixed_point import MathError
from .uniswap_v4 import (
    NATIVE,
    BalanceDelta,
    PoolKey,
    check_key,
    check_lp_fee,
    hook_permissions,
    initial_lp_fee,
    pack_protocol_fee,
)
from .uniswap_v4_flash import FlashAccounting
from .uniswap_v4_hooks import (
    ZERO,
    BeforeSwapReturn,
    Hook,
    ModifyLiquidityParams,
    SwapParams,
    amount_to_swap,
    minus,
    plus,
    swap_hook_delta,
    unspecified_delta,
)
from .uniswap_v4_pool import Pool, Swapped


class PoolManager(FlashAccounting):
    """The singleton.  `pools` by key; positions are keyed (owner, lower, upper, salt)."""

    def __init__(self, address: str, owner: str = NATIVE) -> None:
        super().__init__(address)
        self.owner = owner
        self.protocol_fee_controller = NATIVE
        self.pools: dict[PoolKey, Pool] = {}
        self.hooks: dict[str, Hook] = {}
        self.protocol_fees_accrued: dict[str, int] = {}

    def register(self, hook: Hook) -> None:
        """Deploy a hook at its address."""
        self.hooks[hook.address] = hook

    def pool(self, key: PoolKey) -> Pool:
        """The pool, or MathError if it was never initialised."""
        if key not in self.pools:
            raise MathError("PoolNotInitialized: no pool has this key")
        return self.pools[key]

    def initialize(self, caller: str, key: PoolKey, sqrt_price: int) -> int:
        """Create a pool at a sqrtPriceX96; returns its tick.  Needs no unlock."""
        with self.atomic():
            check_key(key)
            if hook := self._hook(caller, key, "beforeInitialize"):
                hook.before_initialize(self, caller, key, sqrt_price)
            if key in self.pools:
                raise MathError("PoolAlreadyInitialized: a pool has this key")
            pool = Pool(sqrt_price, initial_lp_fee(key), key.tick_spacing)
            self._put(self.pools, key, pool)
            if hook := self._hook(caller, key, "afterInitialize"):
                hook.after_initialize(self, caller, key, sqrt_price, pool.tick)
            return pool.tick

    def modify_liquidity(
        self, caller: str, key: PoolKey, params: ModifyLiquidityParams
    ) -> tuple[BalanceDelta, BalanceDelta]:
        """Change the caller's position; returns (its delta, the fees that are part of it)."""
        with self.atomic():
            self._check_unlocked()
            pool = self.pool(key)
            adding = params.liquidity_delta > 0
            if hook := self._hook(caller, key, f"before{'Add' if adding else 'Remove'}Liquidity"):
                (hook.before_add_liquidity if adding else hook.before_remove_liquidity)(
                    self, caller, key, params
                )
            lower, upper, change, salt = params
            principal, fees = pool.modify_liquidity(
                (caller, lower, upper, salt), lower, upper, change
            )
            self._undo.append(pool.undo)
            delta, taken = plus(principal, fees), ZERO
            name = f"after{'Add' if adding else 'Remove'}Liquidity"
            if hook := self._hook(caller, key, name):
                after = hook.after_add_liquidity if adding else hook.after_remove_liquidity
                taken = after(self, caller, key, params, delta, fees)
                if name + "ReturnDelta" not in hook_permissions(key.hooks):
                    taken = ZERO
            return self._book(caller, key, delta, taken), fees

    def swap(self, caller: str, key: PoolKey, params: SwapParams) -> BalanceDelta:
        """Swap; returns the caller's delta, after the hook's part of it."""
        with self.atomic():
            self._check_unlocked()
            if params.amount_specified == 0:
                raise MathError("SwapAmountCannotBeZero: nothing to swap")
            pool = self.pool(key)
            amount, before = self._before_swap(caller, key, params)
            swapped = pool.swap(
                params.zero_for_one, amount, params.sqrt_price_limit, before.lp_fee_override
            )
            self._undo.append(pool.undo)
            self._accrue(key, params, swapped)
            delta = swapped.delta
            after = 0
            if hook := self._hook(caller, key, "afterSwap"):
                after = hook.after_swap(self, caller, key, params, delta)
                if "afterSwapReturnDelta" not in hook_permissions(key.hooks):
                    after = 0
            unspecified = unspecified_delta(before.unspecified, after)
            taken = swap_hook_delta(params, before.specified, unspecified)
            return self._book(caller, key, delta, taken)

    def donate(self, caller: str, key: PoolKey, amount0: int, amount1: int) -> BalanceDelta:
        """Give both amounts to the liquidity in range; returns the caller's delta."""
        with self.atomic():
            self._check_unlocked()
            pool = self.pool(key)
            if hook := self._hook(caller, key, "beforeDonate"):
                hook.before_donate(self, caller, key, amount0, amount1)
            delta = pool.donate(amount0, amount1)
            self._undo.append(pool.undo)
            self._book(caller, key, delta, ZERO)
            if hook := self._hook(caller, key, "afterDonate"):
                hook.after_donate(self, caller, key, amount0, amount1)
            return delta

    def update_dynamic_lp_fee(self, caller: str, key: PoolKey, fee: int) -> None:
        """Store a dynamic pool's LP fee in pips: its hook only."""
        if not key.is_dynamic or caller != key.hooks:
            raise MathError("UnauthorizedDynamicLPFeeUpdate: the hook of a dynamic pool only")
        check_lp_fee(fee)
        with self.atomic():
            self._assign("lp_fee", fee, self.pool(key))

    def set_protocol_fee_controller(self, caller: str, controller: str) -> None:
        """Name who sets and collects protocol fees: the owner only."""
        if caller != self.owner:
            raise MathError("UNAUTHORIZED: the owner only")
        with self.atomic():
            self._assign("protocol_fee_controller", controller)

    def set_protocol_fee(self, caller: str, key: PoolKey, fee: int) -> None:
        """Set a pool's packed protocol fees: the controller only."""
        self._check_controller(caller)
        pack_protocol_fee(fee & 0xFFF, fee >> 12)
        with self.atomic():
            self._assign("protocol_fee", fee, self.pool(key))

    def collect_protocol_fees(
        self, caller: str, recipient: str, currency: str, amount: int = 0
    ) -> int:
        """Pay accrued protocol fees out (0: all of them); returns the amount paid."""
        self._check_controller(caller)
        if self.synced and self.synced[0] == currency:
            raise MathError("ProtocolFeeCurrencySynced: settle the synced currency first")
        accrued = self.protocol_fees_accrued.get(currency, 0)
        amount = amount or accrued
        if amount > accrued:
            raise MathError(f"only {accrued} of {currency} has accrued")
        with self.atomic():
            self._put(self.protocol_fees_accrued, currency, accrued - amount)
            self._pay_out(currency, recipient, amount)
        return amount

    def _check_controller(self, caller: str) -> None:
        if caller != self.protocol_fee_controller:
            raise MathError("InvalidCaller: the protocol fee controller only")

    def _hook(self, caller: str, key: PoolKey, permission: str) -> Hook | None:
        """The hook if it is to be called: permitted, and not calling the manager itself."""
        if caller == key.hooks or permission not in hook_permissions(key.hooks):
            return None
        if key.hooks not in self.hooks:
            raise MathError(f"InvalidHookResponse: no hook at {key.hooks}")
        return self.hooks[key.hooks]

    def _before_swap(
        self, caller: str, key: PoolKey, params: SwapParams
    ) -> tuple[int, BeforeSwapReturn]:
        """The amount left to swap, and what beforeSwap returned as far as it may."""
        hook = self._hook(caller, key, "beforeSwap")
        if hook is None:
            return params.amount_specified, BeforeSwapReturn()
        specified, unspecified, override = hook.before_swap(self, caller, key, params)
        if "beforeSwapReturnDelta" not in hook_permissions(key.hooks):
            specified = unspecified = 0
        override = override if key.is_dynamic else 0
        amount = amount_to_swap(params.amount_specified, specified)
        return amount, BeforeSwapReturn(specified, unspecified, override)

    def _accrue(self, key: PoolKey, params: SwapParams, swapped: Swapped) -> None:
        if swapped.to_protocol:
            currency = key.currency0 if params.zero_for_one else key.currency1
            accrued = self.protocol_fees_accrued.get(currency, 0) + swapped.to_protocol
            self._put(self.protocol_fees_accrued, currency, accrued)

    def _book(
        self, caller: str, key: PoolKey, delta: BalanceDelta, taken: BalanceDelta
    ) -> BalanceDelta:
        """Account the hook's part to the hook and the rest to the caller, who gets it back."""
        rest = minus(delta, taken)
        self.account_pair(key.hooks, key[:2], taken)
        self.account_pair(caller, key[:2], rest)
        return rest
