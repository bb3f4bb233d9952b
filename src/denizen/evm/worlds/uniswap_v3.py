"""A Uniswap v3 pool of real bytecode with its tokens and owners, next to the engine's pool.

Contract: `words` reads both sides as the contract's own packed storage words, so a comparison of
them leaves nothing out.  Layout: slot 0 slot0, 1 and 2 feeGrowthGlobal, 3 protocolFees,
4 liquidity, 5 ticks, 6 tickBitmap, 7 positions, 8 observations (Solidity's storage layout of the
pool's public ABI).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from denizen.evm.abi import calldata, decode, keccak
from denizen.evm.actor import actor_code, forward
from denizen.evm.machine import SENDER, Machine
from denizen.evm.packages import PACKAGES, artefact, creation_code
from denizen.protocols.uniswap_v3 import FEE_TICK_SPACING, OwedPosition, Pool
from denizen.protocols.uniswap_v3_oracle import OracleTick

OWNERS = tuple("0x" + f"{number:02x}" * 20 for number in (0xA1, 0xA2, 0xA3))
RANGE = tuple[str, int, int]
_TICKS, _BITMAP, _POSITIONS, _OBSERVATIONS = 5, 6, 7, 8


@cache
def factory_code() -> bytes:
    """Creation code of UniswapV3Factory, which carries the pool's."""
    member = "artifacts/contracts/UniswapV3Factory.sol/UniswapV3Factory.json"
    return creation_code(artefact(PACKAGES["v3-core"], member))


@cache
def token_code() -> bytes:
    """Creation code of v2-core's test token: a plain ERC-20 whose supply goes to its deployer."""
    return creation_code(artefact(PACKAGES["v2-core"], "build/ERC20.json"))


class V3World:
    """One pool, made by the factory and not yet initialised."""

    def __init__(self, fee: int, tick_spacing: int, timestamp: int) -> None:
        self.machine = machine = Machine(timestamp=timestamp)
        self.factory = machine.deploy(factory_code())
        if FEE_TICK_SPACING.get(fee) != tick_spacing or fee == 100:
            enable = calldata("enableFeeAmount(uint24,int24)", fee, tick_spacing)
            machine.call(self.factory, enable)
        supply = 1 << 255
        made = [machine.deploy(token_code(), ["uint256"], [supply]) for _ in range(2)]
        self.tokens = sorted(made, key=str.lower)
        create = calldata("createPool(address,address,uint24)", *self.tokens, fee)
        self.address: str = decode(["address"], machine.call(self.factory, create))[0]
        for owner in OWNERS:
            machine.place(owner, actor_code(*self.tokens))
            for token in self.tokens:
                share = calldata("transfer(address,uint256)", owner, supply // len(OWNERS))
                machine.call(token, share)

    def call(self, owner: str | None, signature: str, *values: Any) -> bytes:
        """Call the pool through an owner's contract, or plainly as the factory's owner."""
        data = calldata(signature, *values)
        if owner is None:
            return self.machine.call(self.address, data, sender=SENDER)
        return self.machine.call(owner, forward(self.address, data))

    def balances(self) -> list[int]:
        """The pool's balances of both tokens."""
        read = calldata("balanceOf(address)", self.address)
        return [decode(["uint256"], self.machine.call(token, read))[0] for token in self.tokens]

    def words(self, ticks: Iterable[int] = (), ranges: Iterable[RANGE] = ()) -> list[int]:
        """The pool's storage: the five global words, then those of these ticks and positions."""
        slots = [*range(5)]
        for tick in ticks:
            slots += [_entry(tick, _TICKS) + part for part in range(4)]
        for key in ranges:
            slots += [_position(key) + part for part in range(4)]
        return self._read(slots)

    def side_words(self, bitmap: Iterable[int], observations: int) -> list[int]:
        """The words of the bitmap and the first observations."""
        slots = [_entry(word, _BITMAP) for word in bitmap]
        return self._read([*slots, *range(_OBSERVATIONS, _OBSERVATIONS + observations)])

    def _read(self, slots: Iterable[int]) -> list[int]:
        return [self.machine.storage(self.address, slot) for slot in slots]


def engine_words(pool: Pool, ticks: Iterable[int] = (), ranges: Iterable[RANGE] = ()) -> list[int]:
    """The same words from the engine's state."""
    oracle = pool.oracle
    words = [
        _pack(
            (pool.sqrt_price, 160),
            (pool.tick, 24),
            (oracle.index, 16),
            (oracle.cardinality, 16),
            (oracle.cardinality_next, 16),
            (pool.fee_protocol0 + (pool.fee_protocol1 << 4), 8),
            (1, 8),  # unlocked
        ),
        pool.fee_growth_global0,
        pool.fee_growth_global1,
        _pack((pool.protocol_fees0, 128), (pool.protocol_fees1, 128)),
        pool.liquidity,
    ]
    for tick in ticks:
        words += _tick_words(pool.ticks.get(tick))
    for key in ranges:
        words += _position_words(pool.positions.get(key, OwedPosition()))
    return words


def engine_side_words(pool: Pool, bitmap: Iterable[int], observations: int) -> list[int]:
    """The bitmap's and the oracle's words from the engine's state; unused bought slots hold 1."""
    words = [pool.tick_bitmap.get(word, 0) for word in bitmap]
    for seen in pool.oracle.observations[:observations]:
        parts = ((seen.time, 32), (seen.tick_cumulative, 56), (seen.seconds_per_liquidity, 160))
        words.append(_pack(*parts, (1, 8)))
    return words + [1] * (observations - len(pool.oracle.observations))


def _tick_words(tick: OracleTick | None) -> list[int]:
    if tick is None:
        return [0] * 4
    outside = tick.outside
    return [
        _pack((tick.liquidity_gross, 128), (tick.liquidity_net, 128)),
        tick.fee_growth_outside0,
        tick.fee_growth_outside1,
        _pack(
            (outside.tick_cumulative, 56),
            (outside.seconds_per_liquidity, 160),
            (outside.seconds, 32),
            (1, 8),  # initialised
        ),
    ]


def _position_words(held: OwedPosition) -> list[int]:
    return [
        held.liquidity,
        held.fee_growth_inside0_last,
        held.fee_growth_inside1_last,
        _pack((held.tokens_owed0, 128), (held.tokens_owed1, 128)),
    ]


def _pack(*fields: tuple[int, int]) -> int:
    """Fields of so many bits, the lowest first; negative ones in two's complement."""
    word, at = 0, 0
    for value, bits in fields:
        word |= (value & ((1 << bits) - 1)) << at
        at += bits
    return word


def _entry(key: int, slot: int) -> int:
    """Storage slot of a mapping's entry."""
    packed = key.to_bytes(32, "big", signed=True) + slot.to_bytes(32, "big")
    return int.from_bytes(keccak(packed), "big")


def _position(key: RANGE) -> int:
    owner, lower, upper = key
    ends = lower.to_bytes(3, "big", signed=True) + upper.to_bytes(3, "big", signed=True)
    packed = keccak(bytes.fromhex(owner[2:]) + ends) + _POSITIONS.to_bytes(32, "big")
    return int.from_bytes(keccak(packed), "big")
