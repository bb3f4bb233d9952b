"""The v4-core package's test hooks, each as placed bytecode and as the same hook in the engine.

Contract: `place(world, engine, name)` puts both at one address whose bits are the hook's, and
returns the engine's.  Behaviour is what the bytecode shows; the fee-taking hook's rates are read
from its own constants.
"""

from __future__ import annotations

from denizen.evm.worlds.uniswap_v4 import TOKENS, World, pack
from denizen.protocols.fixed_point import MathError
from denizen.protocols.uniswap_v4 import (
    NATIVE,
    OVERRIDE_FEE_FLAG,
    BalanceDelta,
    PoolKey,
    hook_bits,
)
from denizen.protocols.uniswap_v4_hooks import (
    BeforeSwapReturn,
    Hook,
    ModifyLiquidityParams,
    SwapParams,
)
from denizen.protocols.uniswap_v4_manager import PoolManager


class ReturnsFee(Hook):
    """Overrides the LP fee of every swap."""

    fee = 0

    def before_swap(
        self, manager: PoolManager, sender: str, key: PoolKey, params: SwapParams
    ) -> BeforeSwapReturn:
        """The fee set, with the override flag."""
        return BeforeSwapReturn(0, 0, self.fee | OVERRIDE_FEE_FLAG)


class UpdatesFee(Hook):
    """Stores its fee in the pool at creation and before every swap."""

    fee = 0

    def after_initialize(
        self, manager: PoolManager, sender: str, key: PoolKey, sqrt_price: int, tick: int
    ) -> None:
        """Store the fee."""
        manager.update_dynamic_lp_fee(self.address, key, self.fee)

    def before_swap(
        self, manager: PoolManager, sender: str, key: PoolKey, params: SwapParams
    ) -> BeforeSwapReturn:
        """Store the fee."""
        manager.update_dynamic_lp_fee(self.address, key, self.fee)
        return BeforeSwapReturn()


class TakesFee(Hook):
    """Takes a share of the unspecified amount of swaps and of both amounts of liquidity."""

    swap_share = liquidity_share = total = 1

    def after_swap(
        self,
        manager: PoolManager,
        sender: str,
        key: PoolKey,
        params: SwapParams,
        delta: BalanceDelta,
    ) -> int:
        """Take the share of the unspecified amount."""
        other = 1 if (params.amount_specified < 0) == params.zero_for_one else 0
        fee = self._share(abs(delta[other]), self.swap_share)
        manager.take(self.address, key[:2][other], self.address, fee)
        return fee

    def after_add_liquidity(
        self,
        manager: PoolManager,
        sender: str,
        key: PoolKey,
        params: ModifyLiquidityParams,
        delta: BalanceDelta,
        fees_accrued: BalanceDelta,
    ) -> BalanceDelta:
        """Take the share of what goes in; refuses if fees make it come out."""
        return self._take_both(manager, key, BalanceDelta(-delta.amount0, -delta.amount1))

    def after_remove_liquidity(
        self,
        manager: PoolManager,
        sender: str,
        key: PoolKey,
        params: ModifyLiquidityParams,
        delta: BalanceDelta,
        fees_accrued: BalanceDelta,
    ) -> BalanceDelta:
        """Take the share of what comes out."""
        return self._take_both(manager, key, delta)

    def _take_both(self, manager: PoolManager, key: PoolKey, amounts: BalanceDelta) -> BalanceDelta:
        if min(amounts) < 0:
            raise MathError("the hook asserts which way the amounts go")
        fees = BalanceDelta(*(self._share(amount, self.liquidity_share) for amount in amounts))
        for currency, fee in zip(key[:2], fees, strict=True):
            manager.take(self.address, currency, self.address, fee)
        return fees

    def _share(self, amount: int, share: int) -> int:
        if amount * share >= 1 << 128:
            raise MathError("the hook's own product overflows")
        return amount * share // self.total


class TakesLiquidityFees(Hook):
    """Takes all fees that a liquidity change collects."""

    def after_add_liquidity(
        self,
        manager: PoolManager,
        sender: str,
        key: PoolKey,
        params: ModifyLiquidityParams,
        delta: BalanceDelta,
        fees_accrued: BalanceDelta,
    ) -> BalanceDelta:
        """Take the fees."""
        for currency, fee in zip(key[:2], fees_accrued, strict=True):
            if fee:
                manager.take(self.address, currency, self.address, fee)
        return fees_accrued

    after_remove_liquidity = after_add_liquidity


class ReturnsDeltas(Hook):
    """Takes or pays the deltas it is told, before and after every swap."""

    specified = unspecified_before = unspecified_after = 0

    def before_swap(
        self, manager: PoolManager, sender: str, key: PoolKey, params: SwapParams
    ) -> BeforeSwapReturn:
        """Settle and return the two deltas."""
        at = 0 if (params.amount_specified < 0) == params.zero_for_one else 1
        if self.specified:
            self._settle_or_take(manager, key[:2][at], self.specified)
        if self.unspecified_before:
            self._settle_or_take(manager, key[:2][1 - at], self.unspecified_before)
        return BeforeSwapReturn(self.specified, self.unspecified_before)

    def after_swap(
        self,
        manager: PoolManager,
        sender: str,
        key: PoolKey,
        params: SwapParams,
        delta: BalanceDelta,
    ) -> int:
        """Settle and return the third, zero included."""
        at = 0 if (params.amount_specified < 0) == params.zero_for_one else 1
        self._settle_or_take(manager, key[:2][1 - at], self.unspecified_after)
        return self.unspecified_after

    def _settle_or_take(self, manager: PoolManager, currency: str, amount: int) -> None:
        if amount > 0:
            manager.take(self.address, currency, self.address, amount)
        elif currency == NATIVE:
            manager.settle(self.address, -amount)
        else:
            manager.sync(currency)
            manager.transfer(currency, self.address, manager.address, -amount)
            manager.settle(self.address)


_LIQUIDITY = ("afterAddLiquidity", "afterRemoveLiquidity")
_LIQUIDITY_DELTAS = tuple(name + "ReturnDelta" for name in _LIQUIDITY)
# The package's contract, the engine's hook, the permissions in the address.
HOOKS: dict[str, tuple[str, type[Hook], tuple[str, ...]]] = {
    "returns fee": ("DynamicReturnFeeTestHook", ReturnsFee, ("beforeSwap",)),
    "updates fee": ("DynamicFeesTestHook", UpdatesFee, ("beforeSwap", "afterInitialize")),
    "takes fee": (
        "FeeTakingHook",
        TakesFee,
        ("afterSwap", "afterSwapReturnDelta", *_LIQUIDITY, *_LIQUIDITY_DELTAS),
    ),
    "takes liquidity fees": (
        "LPFeeTakingHook",
        TakesLiquidityFees,
        (*_LIQUIDITY, *_LIQUIDITY_DELTAS),
    ),
    "returns deltas": (
        "DeltaReturningHook",
        ReturnsDeltas,
        ("beforeSwap", "beforeSwapReturnDelta", "afterSwap", "afterSwapReturnDelta"),
    ),
    "returns deltas in vain": ("DeltaReturningHook", ReturnsDeltas, ("beforeSwap", "afterSwap")),
}


def place(world: World, engine: PoolManager, name: str) -> Hook:
    """Put a hook into both worlds; it holds tokens to pay with."""
    contract, kind, permissions = HOOKS[name]
    number = list(HOOKS).index(name) + 1
    address = f"0x{number << 144 | hook_bits(permissions):040x}"
    world.place_hook(contract, address)
    for currency in (NATIVE, *TOKENS):
        world.enrich(address, currency)
        engine.balances[address, currency] = world.balance(address, currency)
    hook = kind(address)
    engine.register(hook)
    engine.refuses_native.add(address)  # none of them has a receive function
    if isinstance(hook, ReturnsFee | UpdatesFee):
        world.machine.call(address, pack("setManager(address)", world.manager))
    if isinstance(hook, TakesFee):
        hook.swap_share = world.number(address, pack("SWAP_FEE_BIPS()"))
        hook.liquidity_share = world.number(address, pack("LIQUIDITY_FEE()"))
        hook.total = world.number(address, pack("TOTAL_BIPS()"))
    return hook


def configure(world: World, hook: Hook, values: tuple[int, int, int]) -> None:
    """Tell a hook its fee or its three deltas, in both worlds."""
    if isinstance(hook, ReturnsFee | UpdatesFee):
        hook.fee = values[0]
        world.machine.call(hook.address, pack("setFee(uint24)", values[0]))
    elif isinstance(hook, ReturnsDeltas):
        hook.specified, hook.unspecified_before, hook.unspecified_after = values
        for setter, value in zip(
            (
                "setDeltaSpecified(int128)",
                "setDeltaUnspecifiedBeforeSwap(int128)",
                "setDeltaUnspecifiedAfterSwap(int128)",
            ),
            values,
            strict=True,
        ):
            world.machine.call(hook.address, pack(setter, value))
