"""The event table is the contracts' own, and the decoder takes nothing that the ABI forbids."""

from __future__ import annotations

from typing import Any

import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from denizen.evm import PACKAGES, artefact
from denizen.evm.chain.events import (
    VERSIONS,
    Event,
    EventType,
    LogError,
    RawLog,
    Source,
    decode,
    from_line,
    set_aside,
    table,
    to_line,
)
from denizen.project import DataError

POOL = "0x" + "ab" * 20
ID = "0x" + "1d" * 32
SOURCES = {v: Source(v, POOL, ID if v == "v4" else None) for v in VERSIONS}
ARTEFACTS = {
    "v2": ("v2-core", "build/UniswapV2Pair.json"),
    "v3": ("v3-core", "artifacts/contracts/UniswapV3Pool.sol/UniswapV3Pool.json"),
    "v4": ("v4-core", "out/PoolManager.sol/PoolManager.json"),
    "aave": ("aave-core", "artifacts/contracts/protocol/pool/Pool.sol/Pool.json"),
}
# Left out of the table on purpose: they change nothing that we rebuild.
UNUSED = {
    "v2": {"Approval", "Transfer"},
    "v3": {"IncreaseObservationCardinalityNext"},
    "v4": {"Approval", "OperatorSet", "OwnershipTransferred", "ProtocolFeeControllerUpdated", "Transfer"},
}  # fmt: skip


def raw(topics: Any, data: Any, address: Any = POOL) -> RawLog:
    return RawLog(7, 3, "0x" + "bb" * 32, "0x" + "cc" * 32, 1, None, address, topics, data)


def kind_of(version: str, name: str) -> tuple[str, EventType]:
    return next((t, k) for t, k in table(version).items() if k.name == name)


@pytest.mark.parametrize(
    ("version", "name", "topic0"),
    [  # as block explorers show them
        ("v2", "Swap", "0xd78ad95fa46c994b6551d0da85fc275fe613ce37657fb8d5e3d130840159d822"),
        ("v2", "Sync", "0x1c411e9a96e071241c2f21f7726b17ae89e3cab4c78be50e062b03a9fffbbad1"),
        ("v3", "Swap", "0xc42079f94a6350d7e6235f29174924f928cc2ac818eb64fed8004e115fbcca67"),
        ("v3", "Mint", "0x7a53080ba414158be7ec69b987b5fb7d07dee101fe85488f0853ae16239d0bde"),
        ("v4", "Swap", "0x40e9cecb9f5f1f1c5b9c97dec2917b7ee92e57ba5563708daca94dd84ad7112f"),
        ("aave", "ReserveDataUpdated", "0x804c9b842b2748a22bb64b345453a3de7ca54a6ca45ce00d415894979e22897a"),
    ],
)  # fmt: skip
def test_topic0(version: str, name: str, topic0: str) -> None:
    assert table(version)[topic0].name == name


@pytest.mark.slow
@pytest.mark.parametrize("version", VERSIONS)
def test_the_table_is_the_abi_of_the_package(version: str) -> None:
    package, member = ARTEFACTS[version]
    abi = artefact(PACKAGES[package], member)["abi"]
    published = {
        entry["name"]: [(i["name"], i["type"], i["indexed"]) for i in entry["inputs"]]
        for entry in abi
        if entry["type"] == "event"
    }
    ours = {kind.name: [tuple(field) for field in kind.fields] for kind in table(version).values()}
    assert {name: published[name] for name in ours} == ours
    if version in UNUSED:
        assert published.keys() - ours.keys() == UNUSED[version]


def values(kind: str) -> st.SearchStrategy[Any]:
    if kind == "address":
        return st.binary(min_size=20, max_size=20).map(lambda b: "0x" + b.hex())
    if kind == "bytes32":
        return st.just(bytes.fromhex(ID[2:]))
    if kind == "bool":
        return st.booleans()
    bits = int(kind.removeprefix("u").removeprefix("int"))
    low, high = (0, 2**bits - 1) if kind[0] == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return st.integers(low, high) | st.sampled_from([low, high])


EVERY = [(v, topic0, kind) for v in VERSIONS for topic0, kind in table(v).items()]


@given(st.sampled_from(EVERY), st.data())
def test_what_eth_abi_encodes_is_decoded_and_survives_its_line(
    which: tuple[str, str, EventType], data: st.DataObject
) -> None:
    version, topic0, kind = which
    args = {f.name: data.draw(values(f.type), f.name) for f in kind.fields}
    topics = ["0x" + encode([f.type], [args[f.name]]).hex() for f in kind.fields if f.indexed]
    plain = [f for f in kind.fields if not f.indexed]
    body = encode([f.type for f in plain], [args[f.name] for f in plain])
    event = decode(SOURCES[version], raw([topic0, *topics], "0x" + body.hex()))
    want = {n: "0x" + v.hex() if isinstance(v, bytes) else v for n, v in args.items()}
    assert event.args == want and (event.block, event.log_index) == (7, 3)
    line = to_line(version, event)
    assert "\n" not in line and from_line(version, line) == event


def sync_data() -> str:
    return "0x" + encode(["uint112", "uint112"], [5, 6]).hex()


V2_SYNC = kind_of("v2", "Sync")[0]
V3_BURN = kind_of("v3", "Burn")[0]
WORD = "0x" + "00" * 31 + "01"


@pytest.mark.parametrize(
    ("version", "log", "reason"),
    [
        ("v2", raw([V2_SYNC], sync_data(), "0x" + "cd" * 20), "wrong address 0xcdcd"),
        ("v2", raw([V2_SYNC], sync_data(), None), "wrong address None"),
        ("v2", raw([], sync_data()), "no topics"),
        ("v2", raw("0x", sync_data()), "topics are not a list"),
        ("v2", raw([WORD], sync_data()), "no v2 event"),
        ("v2", raw([V2_SYNC, WORD], sync_data()), "Sync has 1 topics, not 2"),
        ("v2", raw([V2_SYNC], sync_data()[:-2]), "Sync has 64 data bytes, not 63"),
        ("v2", raw([V2_SYNC], sync_data() + "00"), "Sync has 64 data bytes, not 65"),
        ("v2", raw([V2_SYNC], "0x"), "not 0"),
        ("v2", raw([V2_SYNC], sync_data()[:-1]), "data is not hex"),
        ("v2", raw([V2_SYNC], "0xzz"), "data is not hex"),
        ("v2", raw([V2_SYNC], None), "data is not hex"),
        ("v2", raw([V2_SYNC], "0x" + "ff" * 64), "reserve0 does not fit uint112"),
        ("v3", raw([V3_BURN, WORD, WORD], "0x" + "00" * 96), "Burn has 4 topics, not 3"),
        ("v3", raw([V3_BURN, WORD, WORD, WORD[:-2]], "0x" + "00" * 96), "a topic is not 32 bytes"),
        ("v3", raw([V3_BURN, "0x" + "11" * 32, WORD, WORD], "0x" + "00" * 96), "owner does not fit address"),
        ("v3", raw([V3_BURN, WORD, "0x" + "7f" * 32, WORD], "0x" + "00" * 96), "tickLower does not fit int24"),
        ("v4", raw([kind_of("v4", "Donate")[0], WORD, WORD], "0x" + "00" * 64), "wrong pool id 0x0000"),
    ],
)  # fmt: skip
def test_a_malformed_log_names_block_index_and_reason(
    version: str, log: RawLog, reason: str
) -> None:
    with pytest.raises(LogError, match=reason) as caught:
        decode(SOURCES[version], log)
    assert caught.value.where == "block 7, log 3"
    aside = set_aside(log, caught.value.reason)
    assert from_line(version, to_line(version, aside)) == aside


def test_addresses_match_whatever_their_case() -> None:
    log = raw([V2_SYNC], sync_data(), "0x" + "AB" * 20)
    assert decode(SOURCES["v2"], log).args == {"reserve0": 5, "reserve1": 6}


def test_wide_integers_are_strings_and_ticks_are_numbers() -> None:
    event = Event("Initialize", 1, 0, "0x", "0x", 0, None, {"sqrtPriceX96": 1 << 96, "tick": -5})
    assert f'"sqrtPriceX96":"{1 << 96}","tick":-5' in to_line("v3", event)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("v5", POOL), "no version"),
        (("v2", "0x12"), "pool address"),
        (("v2", "0x" + "zz" * 20), "pool address"),
        (("v4", ID), "PoolManager"),
        (("v4", POOL, POOL), "pool id"),
        (("v4", ID, ID), "manager"),
    ],
)
def test_a_source_is_checked(arguments: tuple[str, ...], reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        Source.of(*arguments)


def test_a_filter_asks_for_the_table_and_the_pool() -> None:
    asked = Source.of("v4", ID.upper().replace("0X", "0x"), POOL).filter()
    assert asked == {"address": POOL, "topics": [list(table("v4")), ID]}
