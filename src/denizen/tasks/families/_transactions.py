"""Transactions as they occur: drawn arguments, calldata, receipts, batches and command bytes.

Every address comes from the item's generator.  Data of more than six words is cut after a few,
as explorers do; logs of a longer receipt keep topic0 whole and shorten the rest, so that a row
fits the default training length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from random import Random

from denizen.protocols.calldata import encode_call
from denizen.protocols.calldata_abi import Type, Value, encode
from denizen.protocols.calldata_commands import commands
from denizen.protocols.calldata_events import Event, Log, events
from denizen.protocols.calldata_table import LIQUIDITY_DELTA, MULTICALL, Function, functions
from denizen.tasks.families._transaction_tables import (
    CALLED,
    CALLED_BY_NAME,
    HOUSEKEEPING,
    POOL,
    ROUTER,
)
from denizen.tasks.phrasing import significant

MAX_WORDS = 6
# Receipts of more logs leave out the emitting addresses.
MAX_PLACED = 3
ELLIPSIS = "..."


@cache
def drawable() -> dict[str, tuple[Function, ...]]:
    """The functions that are called on their own, by class."""
    found: dict[str, tuple[Function, ...]] = {}
    for function in functions().values():
        label = function.label
        if label not in (MULTICALL, LIQUIDITY_DELTA) and function.name not in HOUSEKEEPING:
            found[label] = (*found.get(label, ()), function)
    return found


@cache
def function_named(name: str, protocol: str = "uniswap v3") -> Function:
    """The function of a name; of several the one that takes a struct, or an id."""
    named = [f for f in functions().values() if f.name == name and f.protocol == protocol]
    rank = {"tuple": 0, "uint": 1}
    return min(named, key=lambda f: rank.get(f.types[0].base, 2) if f.types else 0)


@cache
def event_named(name: str) -> Event:
    """The event of "protocol Name"."""
    every = (event for variants in events().values() for event in variants)
    return next(e for e in every if f"{e.protocol} {e.name}" == name)


def called(function: Function, token: str) -> str:
    """The contract that has the function, in words that leave the class open."""
    by_name = CALLED_BY_NAME.get((function.protocol, function.name))
    if by_name is None and function.protocol == "uniswap v3":
        first = function.types[0].base if function.types else ""
        if function.name.startswith("exact") or function.name.startswith("swap"):
            by_name = ROUTER
        elif first in ("address", "int") and function.name in ("mint", "burn", "collect"):
            by_name = POOL
    return (by_name or CALLED[function.protocol]).format(token=token)


def address(rng: Random) -> str:
    """Twenty random bytes."""
    return f"0x{rng.getrandbits(160):040x}"


def value(rng: Random, kind: Type) -> Value:
    """A plausible value of an argument, by its name and type."""
    match kind.base:
        case "tuple":
            return tuple(value(rng, member) for member in kind.inner)
        case "array":
            length = kind.size or (rng.choice((2, 2, 3)) if kind.name == "path" else 1)
            return tuple(value(rng, replace(kind.inner[0], name="amount")) for _ in range(length))
        case "address":
            return address(rng)
        case "bool":
            return rng.random() < 0.8
        case "bytes":
            if kind.name == "path":
                fee = rng.choice((500, 3000)).to_bytes(3, "big")
                return rng.randbytes(20) + fee + rng.randbytes(20)
            return b""
        case "string":
            return ""
        case "fixed":
            return rng.randbytes(kind.size or 32)
    return _number(rng, kind)


_SMALL: dict[str, tuple[int, ...]] = {
    "fee": (100, 500, 3000, 10000),
    "tickSpacing": (10, 60),
    "interestRateMode": (2,),
    "referralCode": (0,),
    "sqrtPriceLimitX96": (0,),
    "support": (0, 1, 1, 2),
    "i": (0,),
    "j": (1, 2),
    "sold_id": (0,),
    "bought_id": (1,),
    "kind": (0, 1),
    "v": (27, 28),
    "permitV": (27, 28),
    "nonce": (0, 1, 2),
    "l2Gas": (200_000,),
    "l1Gas": (0,),
    "amount0Max": (2**128 - 1,),
    "amount1Max": (2**128 - 1,),
    "tick": (-196_213, 201_114),
}


def _number(rng: Random, kind: Type) -> int:
    if choices := _SMALL.get(kind.name):
        return rng.choice(choices)
    match kind.name:
        case "tickLower":
            return -60 * rng.randrange(3_200, 3_400)
        case "tickUpper":
            return -60 * rng.randrange(3_000, 3_190)
        case "deadline" | "sigDeadline" | "expiration":
            return 1_790_000_000 + rng.randrange(10**7)
        case "tokenId" | "id":
            return rng.randrange(1_000, 1_200_000)
        case "proposalId":
            return rng.randrange(40, 900)
        case "sqrtPriceX96":
            return (1 << 96) * rng.randrange(10**6, 9 * 10**7) // 10**6
    if kind.name == "amount" and kind.size == 256 and rng.random() < 0.1:
        return (1 << 256) - 1
    amount = int(significant(rng, 20, 90_000, 4) * 10 ** rng.choice((6, 18)))
    return amount % (1 << min(kind.size or 256, 128) - 1)


def calldata_of(rng: Random, function: Function) -> bytes:
    """A call with drawn arguments; a v3 pool's burn often burns nothing."""
    values = [value(rng, kind) for kind in function.types]
    if function.name == "burn" and len(values) == 3 and rng.random() < 0.5:
        values[-1] = 0
    return encode_call(function, values)


def shown(rng: Random, data: bytes) -> str:
    """Hex of the data: whole if it is short, else its beginning and an ellipsis."""
    words = (len(data) - 4) // 32
    if words <= MAX_WORDS:
        return f"0x{data.hex()}"
    return f"0x{data[: 4 + 32 * rng.randrange(3, 6)].hex()}{ELLIPSIS}"


def log_of(rng: Random, event: Event) -> Log:
    """A log with drawn arguments."""
    topics, kinds, plain = [event.topic], [], []
    for kind, indexed in zip(event.types, event.indexed, strict=True):
        if indexed:
            topics.append(encode((kind,), (value(rng, kind),)))
        else:
            kinds.append(kind)
            plain.append(value(rng, kind))
    return Log(address(rng), tuple(topics), encode(kinds, plain))


def receipt(rng: Random, logs: Sequence[Log]) -> str:
    """The logs in text: a single one whole, more of them a line each."""
    if len(logs) == 1:
        log = logs[0]
        topics = ", ".join(f"0x{t.hex()}" for t in log.topics)
        return f"address {log.address}, topics [{topics}], data {_hex(log.data)}"
    lines = []
    for number, log in enumerate(logs):
        place = f"{log.address[:6]}..{log.address[-4:]} " if len(logs) <= MAX_PLACED else ""
        first, rest = f"0x{log.topics[0].hex()}", len(log.topics) - 1
        lines.append(f"[{number}] {place}{first} +{rest} topics")
    return "\n" + "\n".join(lines)


def _hex(data: bytes) -> str:
    cut = data[:32]
    return f"0x{cut.hex()}{ELLIPSIS if len(data) > len(cut) else ''}" if data else "none"


def command_bytes(rng: Random, names: Sequence[str]) -> bytes:
    """Universal Router command bytes; a permit may be allowed to fail."""
    numbers = {command.name: command.number for command in commands().values()}
    return bytes(
        numbers[name] | (0x80 if "PERMIT2_PERMIT" in name and rng.random() < 0.3 else 0)
        for name in names
    )
