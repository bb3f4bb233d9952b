"""The PoolManager engine: pools, fees and hooks.  Figures by hand; refusals change nothing."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from denizen.protocols import MathError
from denizen.protocols.tick_math import MAX_SQRT_PRICE, MIN_SQRT_PRICE, sqrt_price_at_tick
from denizen.protocols.uniswap_v4 import (
    DYNAMIC_FEE_FLAG,
    NATIVE,
    OVERRIDE_FEE_FLAG,
    BalanceDelta,
    PoolKey,
    hook_bits,
    pack_protocol_fee,
)
from denizen.protocols.uniswap_v4_hooks import (
    BeforeSwapReturn,
    Hook,
    ModifyLiquidityParams,
    SwapParams,
)
from denizen.protocols.uniswap_v4_manager import PoolManager

Q96 = 1 << 96
MANAGER, OWNER, ALICE, BOB = ("0x" + pair * 20 for pair in ("cc", "0e", "a1", "b0"))
T0, T1 = "0x" + "70" * 20, "0x" + "71" * 20
KEY = PoolKey(T0, T1, 3000, 60)
WIDE = ModifyLiquidityParams(-600, 600, 10**18)
DOWN, UP = MIN_SQRT_PRICE + 1, MAX_SQRT_PRICE - 1


def manager(key: PoolKey = KEY, *hooks: Hook) -> PoolManager:
    made = PoolManager(MANAGER, OWNER)
    made.set_protocol_fee_controller(OWNER, OWNER)
    for holder in (ALICE, BOB, *(hook.address for hook in hooks)):
        for currency in (NATIVE, T0, T1):
            made.balances[holder, currency] = 10**30
    for hook in hooks:
        made.register(hook)
    made.initialize(ALICE, key, Q96)
    with made.unlock():
        made.modify_liquidity(ALICE, key, WIDE)
        close(made, ALICE, key)
    return made


def close(made: PoolManager, holder: str, key: PoolKey = KEY) -> None:
    """Settle what a holder owes and take what it is owed."""
    for currency in key[:2]:
        delta = made.delta(holder, currency)
        if delta > 0:
            made.take(holder, currency, holder, delta)
        elif delta < 0 and currency == NATIVE:
            made.settle(holder, -delta)
        elif delta < 0:
            made.sync(currency)
            made.transfer(currency, holder, MANAGER, -delta)
            made.settle(holder)


def swap(made: PoolManager, zero: bool, amount: int, key: PoolKey = KEY) -> BalanceDelta:
    with made.unlock():
        delta = made.swap(BOB, key, SwapParams(zero, amount, DOWN if zero else UP))
        close(made, BOB, key)
    return delta


def state(made: PoolManager) -> dict[str, Any]:
    kept = {name: value for name, value in vars(made).items() if name not in ("_undo", "hooks")}
    pools = {
        key: {name: value for name, value in vars(pool).items() if name != "undo"}
        for key, pool in made.pools.items()
    }
    return deepcopy(kept | {"pools": pools})


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(-4 * 10**15, 4 * 10**15).filter(bool)),
        min_size=1,
        max_size=6,
    ),
    st.integers(0, 1000),
    st.integers(0, 1000),
)
def test_the_manager_can_always_pay_everyone(
    swaps: list[tuple[bool, int]], down: int, up: int
) -> None:
    made = manager()
    made.set_protocol_fee(OWNER, KEY, pack_protocol_fee(down, up))
    for zero, amount in swaps:
        delta = swap(made, zero, amount)
        assert delta[0 if zero else 1] <= 0 <= delta[1 if zero else 0]
    with made.unlock():
        made.modify_liquidity(ALICE, KEY, WIDE._replace(liquidity_delta=-(10**18)))
        close(made, ALICE)
    for currency in (T0, T1):
        made.collect_protocol_fees(OWNER, OWNER, currency)
        # Rounding only ever favours the manager: a few units a step.
        assert 0 <= made.balances[MANAGER, currency] <= 20 * (len(swaps) + 1)


def test_the_protocol_takes_its_pips_of_the_whole_input() -> None:
    made = manager()
    made.set_protocol_fee(OWNER, KEY, pack_protocol_fee(1000, 0))
    assert swap(made, True, -(10**12)).amount0 == -(10**12)
    assert made.protocol_fees_accrued == {T0: 10**9}  # 0.1% of what came in
    swap(made, False, -(10**12))
    assert made.protocol_fees_accrued == {T0: 10**9}


def test_without_an_lp_fee_the_protocol_takes_the_whole_fee() -> None:
    key = KEY._replace(fee=0)
    made = manager(key)
    made.set_protocol_fee(OWNER, key, pack_protocol_fee(500, 0))
    swap(made, True, -(10**12), key)
    assert made.protocol_fees_accrued == {T0: 500 * 10**6}
    assert made.pools[key].fee_growth_global0 == 0


def test_donations_are_shared_by_liquidity_in_range() -> None:
    made = manager()
    other = ModifyLiquidityParams(-60, 60, 3 * 10**18)
    outside = ModifyLiquidityParams(60, 120, 10**18)
    with made.unlock():
        made.modify_liquidity(BOB, KEY, other)
        made.modify_liquidity(BOB, KEY, outside)
        made.donate(BOB, KEY, 4 * 10**6, 8 * 10**6)
        close(made, BOB)
    with made.unlock():
        _, alice = made.modify_liquidity(ALICE, KEY, WIDE._replace(liquidity_delta=0))
        _, bob = made.modify_liquidity(BOB, KEY, other._replace(liquidity_delta=0))
        _, nothing = made.modify_liquidity(BOB, KEY, outside._replace(liquidity_delta=0))
        close(made, ALICE)
        close(made, BOB)
    # A quarter and three quarters, each rounded down.
    assert [10**6 - x for x in alice[:1]] + [2 * 10**6 - alice[1]] in ([0, 0], [1, 1])
    assert 0 <= 3 * 10**6 - bob.amount0 <= 1 and 0 <= 6 * 10**6 - bob.amount1 <= 1
    assert nothing == (0, 0)


def test_salts_keep_positions_apart() -> None:
    made = manager()
    with made.unlock():
        made.modify_liquidity(ALICE, KEY, WIDE._replace(salt=7, liquidity_delta=5))
        close(made, ALICE)
        with pytest.raises(MathError, match="holds 5"):
            made.modify_liquidity(ALICE, KEY, WIDE._replace(salt=7, liquidity_delta=-6))


def test_most_liquidity_of_a_tick_counts_the_rounded_down_lowest_tick() -> None:
    # v4: floor(-887272 / 200) = -4437, so 4436 + 4437 + 1 ticks share a uint128.
    assert (
        manager(KEY._replace(tick_spacing=200))
        .pools[KEY._replace(tick_spacing=200)]
        .max_liquidity_per_tick
        == ((1 << 128) - 1) // 8874
    )


REFUSALS: list[tuple[str, Any]] = [
    ("PoolAlreadyInitialized", lambda m: m.initialize(ALICE, KEY, Q96)),
    ("InvalidSqrtPrice", lambda m: m.initialize(ALICE, KEY._replace(fee=1), 0)),
    ("InvalidSqrtPrice", lambda m: m.initialize(ALICE, KEY._replace(fee=1), MAX_SQRT_PRICE)),
    ("SwapAmountCannotBeZero", lambda m: m.swap(BOB, KEY, SwapParams(True, 0, DOWN))),
    (
        "PoolNotInitialized",
        lambda m: m.swap(BOB, KEY._replace(fee=1), SwapParams(True, -1, DOWN)),
    ),
    ("PriceLimitAlreadyExceeded", lambda m: m.swap(BOB, KEY, SwapParams(True, -1, Q96))),
    ("PriceLimitOutOfBounds", lambda m: m.swap(BOB, KEY, SwapParams(True, -1, MIN_SQRT_PRICE))),
    ("PriceLimitOutOfBounds", lambda m: m.swap(BOB, KEY, SwapParams(False, -1, MAX_SQRT_PRICE))),
    ("NoLiquidity", lambda m: m.donate(BOB, empty(m), 1, 1)),
    ("negative", lambda m: m.donate(BOB, KEY, -1, 0)),
    ("SafeCastOverflow", lambda m: m.donate(BOB, KEY, 1 << 127, 0)),
    ("empty position", lambda m: m.modify_liquidity(BOB, KEY, WIDE._replace(liquidity_delta=0))),
    ("multiples", lambda m: m.modify_liquidity(BOB, KEY, WIDE._replace(tick_lower=-601))),
    ("empty or out", lambda m: m.modify_liquidity(BOB, KEY, WIDE._replace(tick_upper=-600))),
    (
        "would hold more",
        lambda m: m.modify_liquidity(BOB, KEY, WIDE._replace(liquidity_delta=1 << 126)),
    ),
    (
        "SafeCastOverflow",
        lambda m: m.modify_liquidity(BOB, KEY, WIDE._replace(liquidity_delta=1 << 127)),
    ),
    ("UnauthorizedDynamicLPFeeUpdate", lambda m: m.update_dynamic_lp_fee(NATIVE, KEY, 1)),
    ("InvalidCaller", lambda m: m.set_protocol_fee(BOB, KEY, 0)),
    ("InvalidCaller", lambda m: m.collect_protocol_fees(BOB, BOB, T0)),
    ("ProtocolFeeTooLarge", lambda m: m.set_protocol_fee(OWNER, KEY, 1001 << 12)),
    ("UNAUTHORIZED", lambda m: m.set_protocol_fee_controller(BOB, BOB)),
    ("has accrued", lambda m: m.collect_protocol_fees(OWNER, BOB, T0, 1)),
]


def empty(made: PoolManager) -> PoolKey:
    key = KEY._replace(fee=77)
    if key not in made.pools:
        made.initialize(BOB, key, Q96)
    return key


@pytest.mark.parametrize(("error", "act"), REFUSALS)
def test_a_refusal_says_why_and_changes_nothing(error: str, act: Any) -> None:
    made = manager()
    empty(made)
    with made.unlock():
        made.swap(BOB, KEY, SwapParams(True, -(10**15), DOWN))
        before = state(made)
        with pytest.raises(MathError, match=error):
            act(made)
        assert state(made) == before
        close(made, BOB)


def test_no_exact_output_at_a_fee_of_all() -> None:
    key = KEY._replace(fee=1_000_000)
    made = manager(key)
    with pytest.raises(MathError, match="InvalidFeeForExactOut"):
        swap(made, True, 1, key)
    assert swap(made, True, -1000, key) == (-1000, 0)


class Skims(Hook):
    """Keeps a tenth of an exact input, and one unit of the output."""

    def before_swap(
        self, manager: PoolManager, sender: str, key: PoolKey, params: SwapParams
    ) -> BeforeSwapReturn:
        part = -params.amount_specified // 10
        manager.take(self.address, key.currency0, self.address, part)
        return BeforeSwapReturn(part, 0, 100 | OVERRIDE_FEE_FLAG)

    def after_swap(
        self,
        manager: PoolManager,
        sender: str,
        key: PoolKey,
        params: SwapParams,
        delta: BalanceDelta,
    ) -> int:
        manager.mint(self.address, self.address, key.currency1, 1)
        return 1


SKIM = ["beforeSwap", "afterSwap", "beforeSwapReturnDelta", "afterSwapReturnDelta"]


def skimmed(fee: int, permissions: list[str]) -> tuple[PoolManager, PoolKey]:
    hook = Skims(f"0x01{hook_bits(permissions):038x}")
    key = KEY._replace(fee=fee, hooks=hook.address)
    return manager(key, hook), key


def test_a_hook_takes_its_part_and_the_pool_swaps_the_rest() -> None:
    made, key = skimmed(3000, SKIM)
    plain = manager()
    ours = swap(made, True, -(10**6), key)
    rest = swap(plain, True, -900_000)
    assert ours == (-(10**6), rest.amount1 - 1)
    assert made.balances[key.hooks, T0] == 10**30 + 10**5
    assert made.claims[key.hooks, T1] == 1


def test_a_fee_is_overridden_in_dynamic_pools_only() -> None:
    made, key = skimmed(DYNAMIC_FEE_FLAG, SKIM)
    cheap = manager(KEY._replace(fee=100))
    ours = swap(made, True, -(10**6), key)
    assert ours.amount1 + 1 == swap(cheap, True, -900_000, KEY._replace(fee=100)).amount1


def test_a_hook_without_the_delta_bits_is_left_with_its_debt() -> None:
    made, key = skimmed(3000, SKIM[:2])
    with pytest.raises(MathError, match="CurrencyNotSettled"):
        swap(made, True, -(10**6), key)


def test_a_hook_that_calls_the_manager_is_not_called_back() -> None:
    made, key = skimmed(3000, SKIM)
    with made.unlock():
        own = made.swap(key.hooks, key, SwapParams(True, -(10**6), DOWN))
        close(made, key.hooks, key)
    assert own == swap(manager(), True, -(10**6))


def test_a_pool_whose_hook_was_never_deployed_cannot_be_used() -> None:
    key = KEY._replace(hooks=f"0x01{hook_bits(['beforeSwap']):038x}")
    made = manager(key)
    with pytest.raises(MathError, match="InvalidHookResponse"):
        swap(made, True, -1, key)


def test_only_the_hook_sets_a_dynamic_fee() -> None:
    made, key = skimmed(DYNAMIC_FEE_FLAG, ["afterDonate"])
    made.update_dynamic_lp_fee(key.hooks, key, 1234)
    assert made.pools[key].lp_fee == 1234
    with pytest.raises(MathError, match="Unauthorized"):
        made.update_dynamic_lp_fee(ALICE, key, 1)
    with pytest.raises(MathError, match="LPFeeTooLarge"):
        made.update_dynamic_lp_fee(key.hooks, key, 1_000_001)


class Fails(Hook):
    """Takes a share of the input for itself, and fails after the swap."""

    share = 0

    def before_swap(
        self, manager: PoolManager, sender: str, key: PoolKey, params: SwapParams
    ) -> BeforeSwapReturn:
        return BeforeSwapReturn(-params.amount_specified * self.share // 100)

    def after_swap(self, *_: Any) -> int:
        raise MathError("no")


@pytest.mark.parametrize("share", [0, 50, 100])
def test_a_failing_hook_undoes_its_own_swap_only(share: int) -> None:
    hook = Fails(f"0x01{hook_bits(SKIM):038x}")
    hook.share = share
    key = KEY._replace(hooks=hook.address)
    made = manager(key, hook)
    with made.unlock():
        made.swap(hook.address, key, SwapParams(True, -(10**16), sqrt_price_at_tick(-60)))
        before = state(made)
        with pytest.raises(MathError, match="no"):
            made.swap(BOB, key, SwapParams(True, -(10**17), DOWN))
        assert state(made) == before
        close(made, hook.address, key)


def test_an_unlock_that_fails_undoes_every_pool_move() -> None:
    made = manager()
    before = state(made)
    with pytest.raises(MathError, match="CurrencyNotSettled"), made.unlock():
        made.modify_liquidity(BOB, KEY, ModifyLiquidityParams(-60, 120, 10**18))
        made.swap(BOB, KEY, SwapParams(True, -(10**17), DOWN))
        made.modify_liquidity(BOB, KEY, ModifyLiquidityParams(-60, 120, -(10**18)))
        made.swap(BOB, KEY, SwapParams(False, 10**15, UP))
        made.donate(BOB, KEY, 5, 6)
    assert state(made) == before
