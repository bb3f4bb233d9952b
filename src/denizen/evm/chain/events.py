"""Events of Uniswap v2, v3, v4 and the Aave v3 Pool: the table and the strict decoder.

Contract: `decode` gives a typed Event or raises LogError naming block, log index and reason; it
guesses nothing (address, topic count, data length, padding of every word).  Argument names and
types are the contracts' own; amounts are raw units.  Source: the contract ABI specification and
the ABIs published with each protocol.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from denizen.evm.abi import topic
from denizen.project.errors import ArtefactError, DataError

Value = int | str | bool

_EVENTS = {
    "v2": """
        Swap(address indexed sender, uint256 amount0In, uint256 amount1In, uint256 amount0Out,
            uint256 amount1Out, address indexed to)
        Mint(address indexed sender, uint256 amount0, uint256 amount1)
        Burn(address indexed sender, uint256 amount0, uint256 amount1, address indexed to)
        Sync(uint112 reserve0, uint112 reserve1)""",
    "v3": """
        Initialize(uint160 sqrtPriceX96, int24 tick)
        Swap(address indexed sender, address indexed recipient, int256 amount0, int256 amount1,
            uint160 sqrtPriceX96, uint128 liquidity, int24 tick)
        Mint(address sender, address indexed owner, int24 indexed tickLower,
            int24 indexed tickUpper, uint128 amount, uint256 amount0, uint256 amount1)
        Burn(address indexed owner, int24 indexed tickLower, int24 indexed tickUpper,
            uint128 amount, uint256 amount0, uint256 amount1)
        Collect(address indexed owner, address recipient, int24 indexed tickLower,
            int24 indexed tickUpper, uint128 amount0, uint128 amount1)
        Flash(address indexed sender, address indexed recipient, uint256 amount0,
            uint256 amount1, uint256 paid0, uint256 paid1)
        SetFeeProtocol(uint8 feeProtocol0Old, uint8 feeProtocol1Old, uint8 feeProtocol0New,
            uint8 feeProtocol1New)
        CollectProtocol(address indexed sender, address indexed recipient, uint128 amount0,
            uint128 amount1)""",
    "v4": """
        Initialize(bytes32 indexed id, address indexed currency0, address indexed currency1,
            uint24 fee, int24 tickSpacing, address hooks, uint160 sqrtPriceX96, int24 tick)
        Swap(bytes32 indexed id, address indexed sender, int128 amount0, int128 amount1,
            uint160 sqrtPriceX96, uint128 liquidity, int24 tick, uint24 fee)
        ModifyLiquidity(bytes32 indexed id, address indexed sender, int24 tickLower,
            int24 tickUpper, int256 liquidityDelta, bytes32 salt)
        Donate(bytes32 indexed id, address indexed sender, uint256 amount0, uint256 amount1)
        ProtocolFeeUpdated(bytes32 indexed id, uint24 protocolFee)""",
    "aave": """
        Supply(address indexed reserve, address user, address indexed onBehalfOf, uint256 amount,
            uint16 indexed referralCode)
        Withdraw(address indexed reserve, address indexed user, address indexed to, uint256 amount)
        Borrow(address indexed reserve, address user, address indexed onBehalfOf, uint256 amount,
            uint8 interestRateMode, uint256 borrowRate, uint16 indexed referralCode)
        Repay(address indexed reserve, address indexed user, address indexed repayer,
            uint256 amount, bool useATokens)
        LiquidationCall(address indexed collateralAsset, address indexed debtAsset,
            address indexed user, uint256 debtToCover, uint256 liquidatedCollateralAmount,
            address liquidator, bool receiveAToken)
        ReserveDataUpdated(address indexed reserve, uint256 liquidityRate,
            uint256 stableBorrowRate, uint256 variableBorrowRate, uint256 liquidityIndex,
            uint256 variableBorrowIndex)""",
}
VERSIONS = tuple(_EVENTS)
# Wider integers are written as decimal strings: many JSON readers would round them.
_JSON_BITS = 48
_HEX = re.compile(r"0x[0-9a-fA-F]*")


class LogError(DataError):
    """A log that is not the event it should be."""

    def __init__(self, log: RawLog, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"malformed log: {reason}",
            where=f"block {log.block}, log {log.log_index}",
            fix="ask another node; --skip-malformed sets such logs aside and counts them",
        )


class Field(NamedTuple):
    """An event argument."""

    name: str
    type: str
    indexed: bool


class EventType(NamedTuple):
    """An event as the ABI declares it."""

    name: str
    fields: tuple[Field, ...]

    @property
    def signature(self) -> str:
        """`Name(type,...)`, what topic0 is the hash of."""
        return f"{self.name}({','.join(field.type for field in self.fields)})"


class RawLog(NamedTuple):
    """A log with its place on the chain read and its content untouched."""

    block: int
    log_index: int
    block_hash: str
    tx: str
    tx_index: int
    timestamp: int | None  # where the node sends blockTimestamp
    address: Any
    topics: Any
    data: Any


class Event(NamedTuple):
    """A decoded event; a log set aside as malformed has the name `Malformed`."""

    name: str
    block: int
    log_index: int
    block_hash: str
    tx: str
    tx_index: int
    timestamp: int | None
    args: dict[str, Value]


class Source(NamedTuple):
    """Who emits: a protocol version, a contract (lower case) and, on v4, the pool's id."""

    version: str
    address: str
    pool_id: str | None = None

    @staticmethod
    def of(version: str, pool: str, manager: str | None = None) -> Source:
        """Checks what a user typed; raises DataError."""
        if version not in VERSIONS:
            raise DataError(f"no version {version!r}", fix=f"choose from {', '.join(VERSIONS)}")
        if version != "v4":
            return Source(version, _checked("pool address", pool, 20))
        if manager is None:
            raise DataError(
                "a v4 pool lives in a PoolManager", where="--manager", fix="give its address"
            )
        return Source(version, _checked("manager", manager, 20), _checked("pool id", pool, 32))

    def filter(self) -> dict[str, Any]:
        """The `address` and `topics` of an eth_getLogs filter."""
        topics: list[Any] = [list(table(self.version))]
        return {
            "address": self.address,
            "topics": topics + ([self.pool_id] if self.pool_id else []),
        }


def _checked(what: str, text: str, size: int) -> str:
    if not re.fullmatch(rf"0x[0-9a-fA-F]{{{2 * size}}}", text.strip()):
        raise DataError(f"not a {what}: {text[:80]!r}", fix=f"0x and {2 * size} hex digits")
    return text.strip().lower()


@cache
def table(version: str) -> Mapping[str, EventType]:
    """topic0 to event, for one protocol version."""
    types = [_parse(text) for text in re.findall(r"\w+\([^)]*\)", _EVENTS[version])]
    try:
        return {topic(kind.signature): kind for kind in types}
    except ImportError as error:
        raise ArtefactError(
            "Keccak is not installed",
            where="eth-hash",
            fix="python -m pip install 'denizen[evm]'",
        ) from error


def _parse(text: str) -> EventType:
    name, _, inner = text.rstrip(")").partition("(")
    words = [field.split() for field in inner.split(",")]
    return EventType(name, tuple(Field(w[-1], w[0], "indexed" in w) for w in words))


def decode(source: Source, log: RawLog) -> Event:
    """The event in a log; raises LogError."""
    if not isinstance(log.address, str) or log.address.lower() != source.address:
        raise LogError(log, f"wrong address {str(log.address)[:50]}")
    if not isinstance(log.topics, list):
        raise LogError(log, "topics are not a list")
    topics = [_bytes(log, "topic", word) for word in log.topics]
    if not topics:
        raise LogError(log, "no topics")
    kind = table(source.version).get("0x" + topics[0].hex())
    if kind is None:
        raise LogError(log, f"topic0 is no {source.version} event of ours")
    indexed = [field for field in kind.fields if field.indexed]
    plain = [field for field in kind.fields if not field.indexed]
    if len(topics) != 1 + len(indexed):
        raise LogError(log, f"{kind.name} has {1 + len(indexed)} topics, not {len(topics)}")
    if any(len(word) != 32 for word in topics):
        raise LogError(log, "a topic is not 32 bytes")
    data = _bytes(log, "data", log.data)
    if len(data) != 32 * len(plain):
        raise LogError(log, f"{kind.name} has {32 * len(plain)} data bytes, not {len(data)}")
    words = iter([data[at : at + 32] for at in range(0, len(data), 32)])
    tops = iter(topics[1:])
    args = {f.name: _value(log, f, next(tops if f.indexed else words)) for f in kind.fields}
    if source.pool_id and args["id"] != source.pool_id:
        raise LogError(log, f"wrong pool id {args['id']}")
    return Event(kind.name, *log[:6], args)


def set_aside(log: RawLog, reason: str) -> Event:
    """A malformed log kept whole, under the name `Malformed`."""
    raw = json.dumps([log.address, log.topics, log.data])
    return Event("Malformed", *log[:6], {"reason": reason, "raw": raw})


def _bytes(log: RawLog, what: str, text: Any) -> bytes:
    if not isinstance(text, str) or not _HEX.fullmatch(text) or len(text) % 2:
        raise LogError(log, f"{what} is not hex: {str(text)[:40]!r}")
    return bytes.fromhex(text[2:])


def _value(log: RawLog, field: Field, word: bytes) -> Value:
    """One ABI word; padding bits that do not belong to the type are refused."""
    number = int.from_bytes(word, "big")
    if field.type == "bytes32":
        return "0x" + word.hex()
    if field.type == "address":
        low, high, value = 0, (1 << 160) - 1, number
    elif field.type == "bool":
        low, high, value = 0, 1, number
    else:
        signed = field.type.startswith("int")
        bits = _bits(field.type)
        low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
        value = int.from_bytes(word, "big", signed=signed)
    if not low <= value <= high:
        raise LogError(log, f"{field.name} does not fit {field.type}")
    if field.type == "address":
        return "0x" + word[12:].hex()
    return bool(value) if field.type == "bool" else value


def _bits(kind: str) -> int:
    return int(kind.removeprefix("u").removeprefix("int"))


def to_line(version: str, event: Event) -> str:
    """One JSON line (without the newline)."""
    types = {f.name: f.type for f in _named(version, event.name)}
    args = {n: str(v) if _wide(types.get(n, "")) else v for n, v in event.args.items()}
    return json.dumps(event._replace(args=args)._asdict(), separators=(",", ":"))


def from_line(version: str, line: str) -> Event:
    """The event of one line; raises ValueError, KeyError or TypeError on anything else."""
    event = Event(**json.loads(line))
    fields = _named(version, event.name)
    if fields and list(event.args) != [field.name for field in fields]:
        raise ValueError(f"not the arguments of {event.name}")
    wide = {f.name for f in fields if _wide(f.type)}
    args = {n: int(v) if n in wide else v for n, v in event.args.items()}
    if any("int" in f.type and type(args[f.name]) is not int for f in fields):
        raise ValueError(f"{event.name} has a figure that is not a number")
    return event._replace(args=args)


def _named(version: str, name: str) -> tuple[Field, ...]:
    """The fields of an event by name; none for one set aside."""
    if name == "Malformed":
        return ()
    return {kind.name: kind for kind in table(version).values()}[name].fields


def _wide(kind: str) -> bool:
    return "int" in kind and _bits(kind) > _JSON_BITS
