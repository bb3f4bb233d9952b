"""Against a real node with the real contracts: ingest, rebuild, and every swap is reproduced.

Whole lives of a v2 pair, a v3 pool and a v4 pool, all driven by one seeded generator, plus a real
kill and a real reorganisation.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from denizen.evm import PACKAGES, artefact, creation_code
from denizen.evm.abi import calldata, decode, encode, keccak
from denizen.evm.actor import actor_code, forward, payment
from denizen.evm.anvil import Anvil
from denizen.evm.chain.event_file import load_events, load_state
from denizen.evm.chain.events import Source
from denizen.evm.chain.ingest import Job, ingest
from denizen.evm.chain.rebuild import Report, rebuild
from denizen.protocols import uniswap_v2

pytestmark = pytest.mark.slow
Q96 = 1 << 96
SUPPLY = 1 << 200
ACTOR = "0x" + "ac" * 20
KEY = "(address,address,uint24,int24,address)"
NOBODY = "0x" + "00" * 20
MAX_UINT = (1 << 256) - 1
LIMITS = {True: 4295128740, False: 1461446703485210103287273052203988822378723970341}


@pytest.fixture(scope="module")
def node() -> Iterator[Anvil]:
    with Anvil() as anvil:
        yield anvil


def tokens(node: Anvil) -> list[str]:
    code = creation_code(artefact(PACKAGES["v2-core"], "build/ERC20.json"))
    return sorted(node.deploy(code, ("uint256",), (SUPPLY,)) for _ in range(2))


def sent(node: Anvil, to: str, signature: str, *values: Any) -> dict[str, Any]:
    return node.receipt(node.send(to, calldata(signature, *values)))


def brought_in(
    node: Anvil, version: str, pool: str, out: Path, manager: str | None = None
) -> Report:
    source = Source.of(version, pool, manager)
    first = max(node.rpc.head() - 2000, 0)
    ingest(node.rpc, Job(source, out, start=first, confirmations=0))
    return rebuild(version, load_events(out), load_state(out).facts)


def test_v2_pair(node: Anvil, tmp_path: Path) -> None:
    dice = random.Random(2)
    a, b = tokens(node)
    factory = node.deploy(
        creation_code(artefact(PACKAGES["v2-core"], "build/UniswapV2Factory.json")),
        ("address",),
        (node.account,),
    )
    sent(node, factory, "createPair(address,address)", a, b)
    pair = decode(["address"], node.rpc.read(factory, calldata("getPair(address,address)", a, b)))[
        0
    ]
    reserves = [10**18, 3 * 10**21]
    for token, amount in zip((a, b), reserves, strict=True):
        sent(node, token, "transfer(address,uint256)", pair, amount)
    sent(node, pair, "mint(address)", node.account)
    odd = 0
    for number in range(100):
        side = dice.randrange(2)
        paid = dice.randrange(1, reserves[side] // 20)
        got = uniswap_v2.get_amount_out(paid, reserves[side], reserves[1 - side])
        if number % 3 == 1:  # exact output
            got = dice.randrange(1, reserves[1 - side] // 20)
            paid = uniswap_v2.get_amount_in(got, reserves[side], reserves[1 - side])
        elif number % 10 == 0 and got > 10**6:  # a trader who leaves money behind
            got -= 10**5
            odd += 1
        sent(node, (a, b)[side], "transfer(address,uint256)", pair, paid)
        out = (0, got) if side == 0 else (got, 0)
        sent(node, pair, "swap(uint256,uint256,address,bytes)", *out, node.account, b"")
        reserves[side] += paid
        reserves[1 - side] -= got
    report = brought_in(node, "v2", pair, tmp_path / "v2.jsonl")
    assert report.swaps == 100 and report.reproduced == 100 - odd
    assert report.reasons == {"less taken out than the input buys": odd} and not report.faults
    assert set(report.kinds) == {"exact input", "exact output"}


def test_v3_pool(node: Anvil, tmp_path: Path) -> None:
    dice = random.Random(3)
    a, b = tokens(node)
    member = "artifacts/contracts/UniswapV3Factory.sol/UniswapV3Factory.json"
    factory = node.deploy(creation_code(artefact(PACKAGES["v3-core"], member)))
    sent(node, factory, "createPool(address,address,uint24)", a, b, 500)
    get = calldata("getPool(address,address,uint24)", a, b, 500)
    pool = decode(["address"], node.rpc.read(factory, get))[0]
    node.rpc.call("anvil_setCode", ACTOR, "0x" + actor_code(a, b).hex())
    for token in (a, b):
        sent(node, token, "transfer(address,uint256)", ACTOR, SUPPLY // 4)

    def act(signature: str, *values: Any) -> None:
        node.receipt(node.send(ACTOR, forward(pool, calldata(signature, *values))))

    sent(node, pool, "initialize(uint160)", Q96)
    ranges = [(-887270, 887270)]
    act("mint(address,int24,int24,uint128,bytes)", ACTOR, *ranges[0], 10**15, b"")
    for number in range(200):
        chance = dice.random()
        if number == 60:
            sent(node, pool, "setFeeProtocol(uint8,uint8)", 4, 7)
        if chance < 0.1:
            low, high = sorted(10 * n for n in dice.sample(range(-600, 600), 2))
            ranges.append((low, high))
            act(
                "mint(address,int24,int24,uint128,bytes)",
                ACTOR,
                low,
                high,
                dice.randrange(1, 10**17),
                b"",
            )
        elif chance < 0.15:
            where = dice.choice(ranges)
            act("burn(int24,int24,uint128)", *where, 0)
            act(
                "collect(address,int24,int24,uint128,uint128)", ACTOR, *where, *[(1 << 128) - 1] * 2
            )
        elif chance < 0.2:
            # 10^9 at 0.05% costs 5 x 10^5; a little more is paid, which is a donation
            act(
                "flash(address,uint256,uint256,bytes)", ACTOR, 10**9, 0, payment(10**9 + 500_123, 0)
            )
        zero, size = dice.random() < 0.5, int(10 ** dice.uniform(0, 15.5))
        limit = LIMITS[zero]
        if number % 7 == 0:
            slot0 = node.rpc.read(pool, calldata("slot0()"))
            limit = int.from_bytes(slot0[:32], "big") * (999 if zero else 1001) // 1000
        amount = size if dice.random() < 0.6 else -max(size // 3, 1)
        act("swap(address,bool,int256,uint160,bytes)", ACTOR, zero, amount, limit, b"")
    where = ranges[0]
    act("burn(int24,int24,uint128)", *where, 10**14)
    sent(
        node, pool, "collectProtocol(address,uint128,uint128)", node.account, *[(1 << 128) - 1] * 2
    )
    report = brought_in(node, "v3", pool, tmp_path / "v3.jsonl")
    assert report.swaps == 200 and report.share == 1.0, report
    assert not report.faults and set(report.kinds) == {"exact input", "exact output", "price limit"}
    assert {
        "Initialize",
        "Mint",
        "Burn",
        "Collect",
        "Flash",
        "SetFeeProtocol",
        "CollectProtocol",
    } < set(report.events)


class V4:
    """The real PoolManager with its test routers, and one pool."""

    def __init__(self, node: Anvil) -> None:
        self.node = node
        self.a, self.b = tokens(node)
        self.manager = self.made("PoolManager", node.account)
        self.swapper = self.made("PoolSwapTest", self.manager)
        self.modifier = self.made("PoolModifyLiquidityTest", self.manager)
        self.donor = self.made("PoolDonateTest", self.manager)
        for token in (self.a, self.b):
            for router in (self.swapper, self.modifier, self.donor):
                sent(node, token, "approve(address,uint256)", router, MAX_UINT)
        self.key = (self.a, self.b, 3000, 60, NOBODY)
        types = ["address", "address", "uint24", "int24", "address"]
        self.id = "0x" + keccak(encode(types, self.key)).hex()
        sent(node, self.manager, f"initialize({KEY},uint160)", self.key, Q96)

    def made(self, name: str, argument: str) -> str:
        code = creation_code(artefact(PACKAGES["v4-core"], f"out/{name}.sol/{name}.json"))
        return self.node.deploy(code, ("address",), (argument,))

    def modify(self, low: int, high: int, delta: int, salt: int = 0) -> str:
        signature = f"modifyLiquidity({KEY},(int24,int24,int256,bytes32),bytes)"
        change = (low, high, delta, salt.to_bytes(32, "big"))
        return self.node.send(self.modifier, calldata(signature, self.key, change, b""))

    def swap(self, zero: bool, amount: int, limit: int | None = None) -> str:
        signature = f"swap({KEY},(bool,int256,uint160),(bool,bool),bytes)"
        what = (zero, amount, limit or LIMITS[zero])
        return self.node.send(
            self.swapper, calldata(signature, self.key, what, (False, False), b"")
        )


def v4_life(pool: V4, dice: random.Random, swaps: int) -> None:
    node, held = pool.node, []
    hashes = [pool.modify(-887220, 887220, 10**16)]
    for number in range(swaps):
        chance = dice.random()
        if chance < 0.1:
            low, high = sorted(60 * n for n in dice.sample(range(-100, 100), 2))
            held.append((low, high, dice.randrange(1, 10**17), number))
            hashes.append(pool.modify(*held[-1]))
        elif chance < 0.15 and held:
            low, high, delta, salt = held.pop(dice.randrange(len(held)))
            hashes.append(pool.modify(low, high, -delta, salt))
        elif chance < 0.2:
            donate = calldata(f"donate({KEY},uint256,uint256,bytes)", pool.key, number, 7, b"")
            hashes.append(node.send(pool.donor, donate))
        if number == swaps // 2:
            sent(node, pool.manager, "setProtocolFeeController(address)", node.account)
            sent(node, pool.manager, f"setProtocolFee({KEY},uint24)", pool.key, 1000 << 12 | 250)
        size = int(10 ** dice.uniform(1, 15.5))
        sign = -1 if dice.random() < 0.6 else 1
        hashes.append(pool.swap(dice.random() < 0.5, sign * (size if sign < 0 else size // 3)))
    for transaction in hashes:
        node.receipt(transaction)


def test_v4_pool(node: Anvil, tmp_path: Path) -> None:
    pool = V4(node)
    v4_life(pool, random.Random(4), 300)
    slot = node.rpc.read(pool.manager, calldata("extsload(bytes32)", keccak(bytes.fromhex(pool.id[2:]) + (6).to_bytes(32, "big"))))  # fmt: skip
    price = int.from_bytes(slot, "big") & ((1 << 160) - 1)
    limit = price * 1003 // 1000
    node.receipt(pool.swap(False, -(10**24), limit))
    # Another pool of the same manager must not be mixed in.
    other = (*pool.key[:2], 500, 10, NOBODY)
    sent(node, pool.manager, f"initialize({KEY},uint160)", other, 2 * Q96)
    report = brought_in(node, "v4", pool.id, tmp_path / "v4.jsonl", pool.manager)
    assert report.swaps == 301 and report.share == 1.0, report
    assert report.events["Initialize"] == 1 and not report.faults
    assert set(report.kinds) == {"exact input", "exact output", "price limit"}
    assert {"Donate", "ModifyLiquidity", "ProtocolFeeUpdated"} < set(report.events)


def command(node: Anvil, pool: V4, out: Path) -> list[str]:
    words = ["ingest", "chain", "--rpc", node.url, "--version", "v4", "--pool", pool.id, "--out"]
    words += [str(out), "--manager", pool.manager, "--confirmations", "3", "--json"]
    return [sys.executable, "-c", "from denizen.cli.app import entry; entry()", *words]


def test_a_real_reorganisation_and_a_real_kill(tmp_path: Path) -> None:
    with Anvil() as node:
        pool = V4(node)
        v4_life(pool, random.Random(5), 60)
        out = tmp_path / "events.jsonl"
        for wait in (0.0, 0.3, 0.6, 0.9):  # killed before, while and after it writes
            process = subprocess.Popen(command(node, pool, out), stdout=subprocess.DEVNULL)
            time.sleep(wait)
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        subprocess.run(command(node, pool, out), check=True, capture_output=True)
        ingest(
            node.rpc,
            Job(Source.of("v4", pool.id, pool.manager), tmp_path / "calm", confirmations=3),
        )
        assert out.read_bytes() == (tmp_path / "calm").read_bytes()
        node.rpc.call("anvil_reorg", 20, [])
        for size in range(1, 30):
            node.receipt(pool.swap(size % 2 == 0, -size * 10**10))
        done = subprocess.run(command(node, pool, out), check=True, capture_output=True)
        assert json.loads(done.stdout)["stepped_back_to"]
        fresh = tmp_path / "fresh"
        ingest(node.rpc, Job(Source.of("v4", pool.id, pool.manager), fresh, confirmations=3))
        assert out.read_bytes() == fresh.read_bytes() != (tmp_path / "calm").read_bytes()
        report = rebuild("v4", load_events(out), {})
        assert report.share == 1.0 and report.swaps > 50 and not report.faults
