"""The real Uniswap v4 PoolManager in an embedded EVM: deploying it, calling it, reading it.

Contract: a `World` holds the manager, plain ERC-20s at known ordered addresses, accounts with code
that run scripts of calls (`script`), and the package's own test hooks at addresses whose bits we
choose.  Calls are encoded here by hand (all arguments are static words), and pool state is read
through extsload at the slots of v4-core's StateLibrary (MIT).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import NamedTuple

from denizen.evm.abi import keccak, selector
from denizen.evm.machine import SENDER, Machine
from denizen.evm.packages import PACKAGES, artefact, creation_code
from denizen.evm.script import RUNNER, Call, Done, results, script
from denizen.protocols.uniswap_v4 import NATIVE, BalanceDelta, PoolKey
from denizen.protocols.uniswap_v4_hooks import ModifyLiquidityParams, SwapParams

# The second account's address carries every hook bit, so that it can be its own pools' hook.
ACCOUNTS = ("0x" + "a1" * 20, "0x" + "a2" * 18 + "3fff")
TOKENS = ("0x" + "70" * 20, "0x" + "71" * 20)
# Small enough that no sum overflows, large enough for every 128-bit amount.
WEALTH = 1 << 180

_KEY = "(address,address,uint24,int24,address)"
_SWAP = f"swap({_KEY},(bool,int256,uint160),bytes)"
_MODIFY = f"modifyLiquidity({_KEY},(int24,int24,int256,bytes32),bytes)"
_POOLS_SLOT = 6
_TICKS, _BITMAP, _POSITIONS = 4, 5, 6


@cache
def creation(contract: str) -> bytes:
    """Creation code of a contract of the v4-core package."""
    return creation_code(artefact(PACKAGES["v4-core"], f"out/{contract}.sol/{contract}.json"))


def pack(signature: str, *values: int | str, tail: bytes = b"") -> bytes:
    """Calldata of static words (integers in two's complement, addresses as hex) and a tail."""
    words = (int(value, 16) if isinstance(value, str) else value for value in values)
    return selector(signature) + b"".join(map(word, words)) + tail


def word(value: int) -> bytes:
    """A 256-bit word, two's complement."""
    return (value & (1 << 256) - 1).to_bytes(32, "big")


def signed(value: int, bits: int) -> int:
    """The low bits of a word read as a signed number."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> bits - 1 else value


def balance_delta(data: bytes) -> BalanceDelta:
    """A packed BalanceDelta."""
    packed = int.from_bytes(data[:32], "big")
    return BalanceDelta(signed(packed >> 128, 128), signed(packed, 128))


def pool_id(key: PoolKey) -> int:
    """keccak256 of the five words of a PoolKey."""
    return int.from_bytes(keccak(pack_key(key)), "big")


def pack_key(key: PoolKey) -> bytes:
    """A PoolKey's five words."""
    return b"".join(word(int(v, 16) if isinstance(v, str) else v) for v in key)


def mapping_slot(key: int, slot: int) -> int:
    """Storage slot of a mapping's entry."""
    return int.from_bytes(keccak(word(key) + word(slot)), "big")


# Calldata of the manager's operations.


def initialize(key: PoolKey, sqrt_price: int) -> bytes:
    """initialize."""
    return selector(f"initialize({_KEY},uint160)") + pack_key(key) + word(sqrt_price)


def swap(key: PoolKey, params: SwapParams) -> bytes:
    """swap without hook data."""
    return selector(_SWAP) + pack_key(key) + b"".join(map(word, params)) + word(9 * 32) + word(0)


def modify_liquidity(key: PoolKey, params: ModifyLiquidityParams) -> bytes:
    """modifyLiquidity without hook data."""
    return selector(_MODIFY) + pack_key(key) + b"".join(map(word, params)) + word(10 * 32) + word(0)


def donate(key: PoolKey, amount0: int, amount1: int) -> bytes:
    """donate without hook data."""
    head = selector(f"donate({_KEY},uint256,uint256,bytes)") + pack_key(key)
    return head + word(amount0) + word(amount1) + word(8 * 32) + word(0)


def keyed(name: str, key: PoolKey, fee: int) -> bytes:
    """setProtocolFee, updateDynamicLPFee or a test hook's forcePoolFeeUpdate."""
    return selector(f"{name}({_KEY},uint24)") + pack_key(key) + word(fee)


def unlock(payload: bytes) -> bytes:
    """unlock(bytes)."""
    padding = b"\x00" * (-len(payload) % 32)
    return selector("unlock(bytes)") + word(32) + word(len(payload)) + payload + padding


class TickInfo(NamedTuple):
    """A tick as stored; all zero where it is not initialised."""

    liquidity_gross: int
    liquidity_net: int
    fee_growth_outside0: int
    fee_growth_outside1: int


class PositionInfo(NamedTuple):
    """A position as stored."""

    liquidity: int
    fee_growth_inside0_last: int
    fee_growth_inside1_last: int


class PoolState(NamedTuple):
    """Everything stored of a pool, as far as it was asked for."""

    sqrt_price: int
    tick: int
    protocol_fee: int
    lp_fee: int
    fee_growth_global0: int
    fee_growth_global1: int
    liquidity: int
    ticks: tuple[TickInfo, ...]
    positions: tuple[PositionInfo, ...]
    bitmap: tuple[int, ...]


class StateReader:
    """The slots of one pool's scalars and of the ticks, positions and bitmap words named."""

    def __init__(
        self,
        key: PoolKey,
        ticks: Iterable[int],
        positions: Iterable[tuple[str, int, int, int]],
        words: Iterable[int] = (),
    ) -> None:
        state = mapping_slot(pool_id(key), _POOLS_SLOT)
        tick_slots = [mapping_slot(tick, state + _TICKS) for tick in ticks]
        ids = [_position_id(*position) for position in positions]
        held = [mapping_slot(found, state + _POSITIONS) for found in ids]
        bits = [mapping_slot(found, state + _BITMAP) for found in words]
        self._ticks, self._positions = len(tick_slots), len(held)
        threes = [first + offset for first in tick_slots + held for offset in range(3)]
        slots = [state + offset for offset in range(4)] + threes + bits
        self._calldata = pack("extsload(bytes32[])", 32, len(slots), *slots)

    @property
    def calldata(self) -> bytes:
        """extsload of all slots."""
        return self._calldata

    def decode(self, data: bytes) -> PoolState:
        """The state from extsload's return data."""
        found = words(data)
        slot0, growth0, growth1, liquidity = found[:4]
        threes = [found[at : at + 3] for at in range(4, 4 + 3 * (self._ticks + self._positions), 3)]
        ticks = tuple(
            TickInfo(first & (1 << 128) - 1, signed(first >> 128, 128), outside0, outside1)
            for first, outside0, outside1 in threes[: self._ticks]
        )
        return PoolState(
            slot0 & (1 << 160) - 1,
            signed(slot0 >> 160, 24),
            slot0 >> 184 & 0xFFFFFF,
            slot0 >> 208 & 0xFFFFFF,
            growth0,
            growth1,
            liquidity,
            ticks,
            tuple(PositionInfo(*three) for three in threes[self._ticks :]),
            found[4 + 3 * len(threes) :],
        )


class World:
    """A deployed manager with its tokens, accounts and hooks; `ACCOUNTS[0]` controls fees."""

    def __init__(self) -> None:
        self.machine = Machine()
        self.manager = self.machine.deploy(creation("PoolManager"), ["address"], [SENDER])
        self.machine.call(self.manager, pack("setProtocolFeeController(address)", ACCOUNTS[0]))
        token = self.machine.deploy(creation("TestERC20"), ["uint256"], [0])
        code = self.machine.code(token)
        for account in ACCOUNTS:
            self.machine.place(account, RUNNER, WEALTH)
        for currency in TOKENS:
            self.machine.place(currency, code)
            for account in ACCOUNTS:
                self.enrich(account, currency)

    def enrich(self, holder: str, currency: str) -> None:
        """Give an account WEALTH of a currency."""
        if currency == NATIVE:
            self.machine.fund(holder, WEALTH)
        else:
            self.machine.call(currency, pack("mint(address,uint256)", holder, WEALTH))

    def place_hook(self, contract: str, address: str) -> None:
        """Put one of the package's test hooks at an address of our choosing."""
        code = creation(contract)
        abi = artefact(PACKAGES["v4-core"], f"out/{contract}.sol/{contract}.json")["abi"]
        takes_manager = any(e["type"] == "constructor" and e["inputs"] for e in abi)
        arguments: tuple[list[str], list[str]] = (
            (["address"], [self.manager]) if takes_manager else ([], [])
        )
        self.machine.place(address, self.machine.code(self.machine.deploy(code, *arguments)))

    def run(self, account: str, calls: Iterable[Call]) -> list[Done]:
        """One transaction: an account with code makes the calls, outside any unlock."""
        return results(self.machine.call(account, script(calls)))

    def unlocking(self, calls: Iterable[Call], *, tolerant: bool = True) -> Call:
        """A call of unlock whose callback makes the calls."""
        return Call(self.manager, unlock(script(calls)), 0, tolerant)

    def unlocked(self, done: Done) -> list[Done]:
        """What the calls inside an unlock returned."""
        # Two nested ABI encodings of bytes: unlock's own return, which is the callback's.
        size = int.from_bytes(done.data[32:64], "big")
        return results(done.data[64 : 64 + size])

    def balance(self, holder: str, currency: str) -> int:
        """Balance of a currency."""
        if currency == NATIVE:
            return self.machine.balance(holder)
        return self.number(currency, pack("balanceOf(address)", holder))

    def number(self, to: str, data: bytes) -> int:
        """A view that returns one number."""
        return int.from_bytes(self.machine.trial(to, data), "big")


def delta_reader(pairs: Iterable[tuple[str, str]]) -> bytes:
    """exttload of the currency deltas of (holder, currency) pairs."""
    slots = [mapping_slot(int(holder, 16), int(currency, 16)) for holder, currency in pairs]
    return pack("exttload(bytes32[])", 32, len(slots), *slots)


def words(data: bytes) -> tuple[int, ...]:
    """The array of words that extsload and exttload return."""
    return tuple(int.from_bytes(data[at : at + 32], "big") for at in range(64, len(data), 32))


def _position_id(owner: str, lower: int, upper: int, salt: int) -> int:
    packed = bytes.fromhex(owner[2:]) + word(lower)[29:] + word(upper)[29:] + word(salt)
    return int.from_bytes(keccak(packed), "big")


def error_names(contracts: Sequence[str] = ("PoolManager",)) -> dict[bytes, str]:
    """Custom errors of contracts of the package, by selector."""
    return {
        selector(f"{entry['name']}({','.join(i['type'] for i in entry['inputs'])})"): entry["name"]
        for contract in contracts
        for entry in artefact(PACKAGES["v4-core"], f"out/{contract}.sol/{contract}.json")["abi"]
        if entry["type"] == "error"
    }
