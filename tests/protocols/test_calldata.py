"""Calldata and logs: against eth-abi, the Solidity ABI specification's example, and real ABIs."""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from eth_abi.exceptions import DecodingError
from hypothesis import given, settings
from hypothesis import strategies as st

from denizen.evm import PACKAGES, Package, fetch
from denizen.evm import abi as reference
from denizen.evm.packages import read_member
from denizen.protocols import calldata
from denizen.protocols.calldata import MAX_CALLS, Decoded, Log, classify_logs, decode_call
from denizen.protocols.calldata_abi import Type, Value, decode, encode, parse_signature, parse_type
from denizen.protocols.calldata_commands import actions, commands
from denizen.protocols.calldata_events import decode_log, events
from denizen.protocols.calldata_table import LABELS, LIQUIDITY_DELTA, MULTICALL, functions
from denizen.protocols.fixed_point import MathError

ME, YOU, POOL = ("0x" + digit * 40 for digit in "123")
KEY, MAX = (ME, YOU, 3000, 60, POOL), 2**256 - 1
FUNCTIONS = sorted(functions().values(), key=lambda f: f.selector)


def values_of(kind: Type) -> st.SearchStrategy[Any]:
    """Every value of a type."""
    size = kind.size or 0
    match kind.base:
        case "uint":
            return st.integers(0, (1 << size) - 1)
        case "int":
            return st.integers(-(1 << (size - 1)), (1 << (size - 1)) - 1)
        case "address":
            return st.binary(min_size=20, max_size=20).map(lambda b: "0x" + b.hex())
        case "bool":
            return st.booleans()
        case "fixed":
            return st.binary(min_size=size, max_size=size)
        case "bytes":
            return st.binary(max_size=70)
        case "string":
            return st.text(max_size=20)
        case "array":
            least, most = (size, size) if kind.size is not None else (0, 3)
            inner = values_of(kind.inner[0])
            return st.lists(inner, min_size=least, max_size=most).map(tuple)
    return st.tuples(*map(values_of, kind.inner))


def test_the_specifications_own_example() -> None:
    # Solidity documentation, "Contract ABI Specification", use of dynamic types.
    name, types = parse_signature("f(uint256 a, uint32[] b, bytes10 c, bytes d)")
    wanted = (
        "8be65246"
        "0000000000000000000000000000000000000000000000000000000000000123"
        "0000000000000000000000000000000000000000000000000000000000000080"
        "3132333435363738393000000000000000000000000000000000000000000000"
        "00000000000000000000000000000000000000000000000000000000000000e0"
        "0000000000000000000000000000000000000000000000000000000000000002"
        "0000000000000000000000000000000000000000000000000000000000000456"
        "0000000000000000000000000000000000000000000000000000000000000789"
        "000000000000000000000000000000000000000000000000000000000000000d"
        "48656c6c6f2c20776f726c642100000000000000000000000000000000000000"
    )
    values: tuple[Value, ...] = (0x123, (0x456, 0x789), b"1234567890", b"Hello, world!")
    assert name == "f" and encode(types, values).hex() == wanted[8:]
    assert decode(types, bytes.fromhex(wanted[8:])) == values
    signature = f"f({','.join(map(str, types))})"
    assert reference.selector(signature).hex() == wanted[:8]


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_every_function_is_coded_as_eth_abi_codes_it(data: st.DataObject) -> None:
    function = data.draw(st.sampled_from(FUNCTIONS))
    values = tuple(data.draw(values_of(kind)) for kind in function.types)
    coded = encode(function.types, values)
    names = [str(kind) for kind in function.types]
    assert coded == reference.encode(names, values)
    assert decode(function.types, coded) == values


@settings(deadline=None, max_examples=400)
@given(st.data())
def test_damaged_data_is_refused_or_read_as_eth_abi_reads_it(data: st.DataObject) -> None:
    function = data.draw(st.sampled_from([f for f in FUNCTIONS if f.types]))
    coded = bytearray(encode(function.types, [data.draw(values_of(t)) for t in function.types]))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(coded) - 1))
        coded[at] = data.draw(st.sampled_from([0, 1, 0x20, 0x40, 0xFF]))
    damaged = bytes(coded[: data.draw(st.integers(0, len(coded)))])
    names = [str(kind) for kind in function.types]
    try:
        ours: Any = decode(function.types, damaged)
    except MathError as error:
        ours, reason = None, str(error)
    try:
        theirs: Any = reference.decode(names, damaged)
    except (DecodingError, UnicodeDecodeError, OverflowError):
        return  # eth-abi refuses dirty or missing padding too, which contracts do not look at
    if ours is None:
        assert "overlap" in reason or "does not fit" in reason, reason
    else:
        assert ours == theirs


def call(signature: str, *values: Any) -> bytes:
    return reference.calldata(signature, *values)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.signature)
def test_no_prefix_of_a_call_is_a_call(function: calldata.Function) -> None:
    if function.label == MULTICALL:
        return
    data = calldata.encode_call(function, [_least(kind) for kind in function.types])
    decoded = decode_call(data)
    assert decoded.name == function.name and decode_call(data + b"tag!") == decoded
    for end in range(len(data)):
        if data[:end] in {f.selector for f in FUNCTIONS if not f.types}:
            continue
        with pytest.raises(MathError):
            decode_call(data[:end])


def _least(kind: Type) -> Value:
    if kind.base == "tuple":
        return tuple(map(_least, kind.inner))
    if kind.base == "array":
        return (_least(kind.inner[0]),) * (1 if kind.size is None else kind.size)
    # Whole words: the padding of a shorter content may be missing, as contracts have it.
    whole = {"bytes": b"\1" * 32, "string": "a" * 32, "fixed": bytes(32)}
    return {"address": ME, "bool": True, **whole}.get(kind.base, 1)


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("address", "01" + "00" * 31),
        ("bool", "00" * 31 + "02"),
        ("uint8", "00" * 30 + "0100"),
        ("int24", "00" * 29 + "800000"),
        ("int24", "ff" * 29 + "7fffff"),
        ("bytes4", "00" * 4 + "01" + "00" * 27),
        ("bytes", "ff" * 32),
        ("bytes", "00" * 31 + "20" + "ff" * 32),
        ("uint256[]", "00" * 31 + "20" + "00" * 31 + "01"),
        ("bytes[]", "00" * 31 + "20" + "00" * 28 + "ffffffff"),
        ("string", "00" * 31 + "20" + "00" * 31 + "01" + "ff" + "00" * 31),
    ],
)
def test_malformed_words_are_refused(kind: str, word: str) -> None:
    with pytest.raises(MathError):
        decode((parse_type(kind),), bytes.fromhex(word))


def test_overlapping_contents_are_refused() -> None:
    # 60 offsets to one and the same 32 bytes: more would be read than there is.
    word = (60 * 32).to_bytes(32, "big")
    shared = (32).to_bytes(32, "big") + (60).to_bytes(32, "big") + word * 60
    with pytest.raises(MathError, match="overlap"):
        decode((parse_type("bytes[]"),), shared + (32).to_bytes(32, "big") + bytes(32))


def decrease(liquidity: int = 7) -> bytes:
    struct = "(uint256,uint128,uint256,uint256,uint256)"
    return call(f"decreaseLiquidity({struct})", (5, liquidity, 0, 0, 9))


def collect() -> bytes:
    return call("collect((uint256,address,uint128,uint128))", (5, ME, 2**128 - 1, 2**128 - 1))


def swap() -> bytes:
    struct = "(address,address,uint24,address,uint256,uint256,uint256,uint160)"
    return call(f"exactInputSingle({struct})", (ME, YOU, 500, ME, 9, 10**18, 1, 0))


def mint() -> bytes:
    struct = "(address,address,uint24,int24,int24,uint256,uint256,uint256,uint256,address,uint256)"
    return call(f"mint({struct})", (ME, YOU, 500, -10, 10, 1, 1, 0, 0, ME, 9))


def batch(*calls: bytes) -> bytes:
    return call("multicall(bytes[])", list(calls))


def test_a_batch_is_what_it_is_for() -> None:
    unwrap = call("unwrapWETH9(uint256,address)", 1, ME)
    permit = call(
        "selfPermit(address,uint256,uint256,uint8,bytes32,bytes32)", ME, 1, 9, 27, b"r", b"s"
    )
    refund = call("refundETH()")
    for calls, label in (
        ((decrease(), collect()), "remove liquidity"),
        ((collect(),), "collect fees"),
        ((collect(), unwrap), "collect fees"),
        ((permit, swap(), unwrap), "swap"),
        ((mint(), refund), "add liquidity"),
        ((decrease(), collect(), mint()), "several actions"),
        ((unwrap, refund), "unwrap"),
        ((batch(permit), batch(swap())), "swap"),
        ((), ""),
    ):
        assert decode_call(batch(*calls)).label == label
    assert decode_call(call("multicall(uint256,bytes[])", 9, [swap()])).label == "swap"
    inner = decode_call(batch(decrease(), collect())).inner
    assert inner[0].name == "decreaseLiquidity"
    assert inner[0].arguments["params"] == (5, 7, 0, 0, 9)


def test_batches_are_bounded() -> None:
    deep = swap()
    for _ in range(4):
        deep = batch(deep)
    assert decode_call(deep).label == "swap"
    with pytest.raises(MathError, match="nested"):
        decode_call(batch(deep))
    many = [call("refundETH()")] * (MAX_CALLS - 1)
    assert decode_call(batch(*many)).label == "transfer"
    with pytest.raises(MathError, match="more than"):
        decode_call(batch(*many, many[0]))
    with pytest.raises(MathError, match="no known function"):
        decode_call(batch(bytes(36)))


def execute(numbers: str, *inputs: bytes) -> Decoded:
    data = call("execute(bytes,bytes[],uint256)", bytes.fromhex(numbers), list(inputs), 9)
    return decode_call(data)


def plan(numbers: str, *params: bytes) -> bytes:
    return reference.encode(["bytes", "bytes[]"], [bytes.fromhex(numbers), list(params)])


def test_router_commands_and_v4_actions() -> None:
    path = bytes(20) + (500).to_bytes(3, "big") + bytes(20)
    v3 = reference.encode(
        ["address", "uint256", "uint256", "bytes", "bool"], [ME, 1, 0, path, True]
    )
    pay = reference.encode(["address", "uint256"], [ME, 1])
    found = execute("0b80", pay, v3)
    assert (found.label, [i.name for i in found.inner]) == (
        "swap",
        ["WRAP_ETH", "V3_SWAP_EXACT_IN"],
    )
    assert found.inner[1].arguments["path"] == path
    assert execute("0b", pay).label == "wrap"
    assert execute("10", plan("060c0f", b"", b"", b"")).label == "swap"
    assert execute("12", mint()).label == "add liquidity"
    assert execute("21", plan("0c", pay)).label == "unwrap"
    for numbers, inputs in (("0b", ()), ("3f", (b"",)), ("40", (v3,)), ("0b", (pay[:-1],))):
        with pytest.raises(MathError):
            execute(numbers, *inputs)
    change = ["uint256", "uint256", "uint128", "uint128", "bytes"]
    for liquidity, label in ((5, "remove liquidity"), (0, "collect fees")):
        step = reference.encode(change, [1, liquidity, 0, 0, b""])
        data = call("modifyLiquidities(bytes,uint256)", plan("0111", step, b""), 9)
        assert decode_call(data).label == label
    assert calldata.label_of_commands(bytes.fromhex("8a000c")) == "swap"
    for numbers in ("12", "21", "0e", "3e", ""):
        with pytest.raises(MathError):
            calldata.label_of_commands(bytes.fromhex(numbers))


@pytest.mark.parametrize(
    ("delta", "label"), [(5, "add liquidity"), (-5, "remove liquidity"), (0, "collect fees")]
)
def test_the_sign_decides_what_v4_does_with_liquidity(delta: int, label: str) -> None:
    key = "(address,address,uint24,int24,address)"
    change = "(int24,int24,int256,bytes32)"
    data = call(f"modifyLiquidity({key},{change},bytes)", KEY, (-60, 60, delta, b""), b"")
    assert decode_call(data).label == label
    with pytest.raises(MathError, match="arguments"):
        calldata.label_of_selector(data[:4])
    words = ["int24", "int24", "int256", "bytes32"]
    topic = bytes.fromhex(reference.topic(f"ModifyLiquidity(bytes32,address,{change[1:]}")[2:])
    assert topic in events()
    log = Log(
        POOL, (topic, bytes(32), address_word(ME)), reference.encode(words, [-60, 60, delta, b""])
    )
    assert classify_logs([log]) == label


def test_burning_nothing_collects() -> None:
    for amount, label in ((3, "remove liquidity"), (0, "collect fees")):
        assert decode_call(call("burn(int24,int24,uint128)", -60, 60, amount)).label == label


def test_selectors_that_look_alike() -> None:
    for signature, label in (
        ("transfer(address,uint256)", "transfer"),
        ("transferFrom(address,address,uint256)", "transfer"),
        ("mint(address)", "add liquidity"),
        ("mint(uint256,address)", "vault deposit"),
        ("deposit()", "wrap"),
        ("deposit(uint256,address)", "vault deposit"),
        ("deposit(address,uint256,address,uint16)", "supply"),
        ("withdraw(uint256)", "unwrap"),
        ("withdraw(address,uint256,address)", "withdraw"),
        ("withdraw(uint256,address,address)", "vault redemption"),
        ("repay(address,uint256,uint256,address)", "repay"),
        ("liquidationCall(address,address,address,uint256,bool)", "liquidate"),
        ("claim(address,address,bool)", "claim rewards"),
    ):
        assert calldata.label_of_selector(reference.selector(signature)) == label


def address_word(address: str) -> bytes:
    return bytes(12) + bytes.fromhex(address[2:])


def log(signature: str, topics: list[bytes], types: list[str], values: list[Any]) -> Log:
    first = bytes.fromhex(reference.topic(signature)[2:])
    return Log(POOL, (first, *topics), reference.encode(types, values))


def test_logs_are_classed_by_their_weightiest_event() -> None:
    me, you = address_word(ME), address_word(YOU)
    moved = log("Transfer(address,address,uint256)", [me, you], ["uint256"], [5])
    allowed = log("Approval(address,address,uint256)", [me, you], ["uint256"], [0])
    traded = log(
        "Swap(address,uint256,uint256,uint256,uint256,address)", [me, you], ["uint256"] * 4,
        [1, 0, 0, 2],
    )  # fmt: skip
    wrapped = log("Deposit(address,uint256)", [me], ["uint256"], [5])
    repaid = log(
        "Repay(address,address,address,uint256,bool)", [me, me, me], ["uint256", "bool"],
        [1, False],
    )  # fmt: skip
    liquidated = log(
        "LiquidationCall(address,address,address,uint256,uint256,address,bool)", [me, you, me],
        ["uint256", "uint256", "address", "bool"], [1, 2, YOU, False],
    )  # fmt: skip
    minted = log(
        "Mint(address,address,uint256,uint256,uint256)", [me, me], ["uint256"] * 3, [1, 2, 3]
    )
    poke = ["uint128", "uint256", "uint256"]
    burnt = [
        log("Burn(address,int24,int24,uint128,uint256,uint256)", [me, you, you], poke, [a, 0, 0])
        for a in (0, 9)
    ]
    burnt = [Log(b.address, (*b.topics[:2], bytes(32), bytes(32)), b.data) for b in burnt]
    paid = log(
        "Collect(uint256,address,uint256,uint256)", [bytes(32)], ["address", "uint256", "uint256"],
        [ME, 1, 1],
    )  # fmt: skip
    for logs, label in (
        ([moved], "transfer"),
        ([allowed], "approve"),
        ([moved, allowed], "transfer"),
        ([moved, allowed, moved, traded], "swap"),
        ([wrapped, moved, traded], "swap"),
        ([wrapped, moved], "wrap"),
        ([moved, repaid], "repay"),
        ([moved, liquidated], "liquidate"),
        ([moved, minted], "transfer"),
        ([burnt[0], moved, paid], "collect fees"),
        ([burnt[1], moved, paid], "remove liquidity"),
        ([repaid, traded], "several actions"),
    ):
        assert classify_logs(logs) == label
    with pytest.raises(MathError, match="no event"):
        classify_logs([minted])


def test_erc721_shares_the_topics_of_erc20() -> None:
    first = bytes.fromhex(reference.topic("Transfer(address,address,uint256)")[2:])
    ends = address_word(ME), address_word(YOU)
    event, arguments = decode_log(Log(POOL, (first, *ends, bytes(31) + b"\7"), b""))
    assert event.protocol == "erc-721" and arguments["tokenId"] == 7
    event, arguments = decode_log(Log(POOL, (first, *ends), bytes(31) + b"\7"))
    assert event.protocol == "erc-20"
    assert list(arguments.values()) == [ME, YOU, 7]
    for topics, data in (((first, *ends), b""), ((first,), bytes(96)), ((b"\1",), b""), ((), b"")):
        with pytest.raises(MathError):
            decode_log(Log(POOL, topics, data))
    with pytest.raises(MathError, match="alone"):
        calldata.label_of_topic(next(t for t, e in events().items() if e[0].name == "Sync"))


def test_tables_are_hashed_from_their_signatures() -> None:
    """Selectors and topics are constants: keccak of each signature gives them back."""
    assert len(functions()) > 120 and sum(map(len, events().values())) > 50
    for selector, function in functions().items():
        assert reference.selector(function.signature) == selector
        assert function.label in (*LABELS, MULTICALL, LIQUIDITY_DELTA)
    for topic, variants in events().items():
        for event in variants:
            assert reference.topic(event.signature) == f"0x{topic.hex()}"
            assert event.label in (*LABELS, "", LIQUIDITY_DELTA)
        assert len({e.label for e in variants}) == 1
    for table in (commands(), actions()):
        assert all(c.label in (*LABELS, "") for c in table.values())


# Packages that hold ABIs of the tables beside those of the embedded EVM; fetched for this test.
MORE = (
    Package(
        "@uniswap/v2-periphery",
        "1.1.0-beta.0",
        "c3f1cda4ee1e00e877eb15ab508e574dfd6ae5e742be97fef41105d84a198784",
        "GPL-3.0-or-later",
    ),
    Package(
        "@uniswap/v3-periphery",
        "1.4.4",
        "7177174c4b8c66bd1d61e7c4127ee15e95f851edfb1a65ee8225b6ab4f818bd7",
        "GPL-2.0-or-later",
    ),
    Package(
        "@uniswap/swap-router-contracts",
        "1.3.1",
        "efad19ccb35c90338981f06ef7acc6daa5cce7a8139611167270eb7b2a1e26df",
        "GPL-2.0-or-later",
    ),
    Package(
        "@uniswap/v4-periphery",
        "1.0.3",
        "a044868e7476395e3687f78fceaf5b1a18cce98862891c2715d3e95887838994",
        "MIT",
    ),
    Package(
        "@uniswap/universal-router",
        "1.6.0",
        "a5b9e762069ff6e3b84fb81eac24e39361dfd367611780de73b9ab3e7f35fb43",
        "GPL-2.0-or-later",
    ),
    Package(
        "@uniswap/permit2-sdk",
        "1.4.0",
        "ff032e16889b2c35e9422849648e295389d7c4ef6217825b4582fa8e48e85218",
        "MIT",
    ),
    Package(
        "@aave/periphery-v3",
        "2.5.2",
        "beb9eff8e4874ebe4d7b4ff447f783b77911e3ea4e7a59db0f159719aa31cc4b",
        "AGPL-3.0",
    ),
    Package(
        "@uniswap/liquidity-staker",
        "1.0.2",
        "712ffe7d2673e5409bc916ca5f51838dc625904741d3850d2779412c0e781a70",
        "GPL-3.0-or-later",
    ),
    Package(
        "@eth-optimism/contracts",
        "0.6.0",
        "5d8fa84f1f9c01c99101c7799dc413448b7504aa9658daec218b4ba5bb2368dc",
        "MIT",
    ),
)
ROUTER_SDK = Package(
    "@uniswap/universal-router-sdk",
    "5.13.0",
    "b8fa2366484b09bb01da727bf99f1593548cf6cb455752fb58b87e4ea1edf569",
    "MIT",
)
# No package of the registry is known to hold these; their hashes and addresses are public.
UNPACKAGED = ("lido", "compound v3", "curve")


@cache
def published() -> tuple[dict[str, set[tuple[str, ...]]], dict[str, set[tuple[bool, ...]]]]:
    """Signatures of every ABI: argument names of functions, indexed flags of events."""
    calls: dict[str, set[tuple[str, ...]]] = {}
    logs: dict[str, set[tuple[bool, ...]]] = {}
    pinned = [p for name, p in PACKAGES.items() if name not in ("solc", "anvil")]
    for package in (*pinned, *MORE):
        for entry in _entries(package):
            signature = f"{entry.get('name')}({','.join(map(_spelt, entry.get('inputs', ())))})"
            if entry.get("type") == "function":
                names = tuple(i["name"] for i in entry["inputs"])
                calls.setdefault(signature, set()).add(names)
            elif entry.get("type") == "event":
                flags = tuple(i["indexed"] for i in entry["inputs"])
                logs.setdefault(signature, set()).add(flags)
    return calls, logs


def _entries(package: Package) -> Iterator[dict[str, Any]]:
    with tarfile.open(fetch(package)) as archive:
        for member in archive:
            if not member.name.endswith(".json") or member.size > 6_000_000:
                continue
            file = archive.extractfile(member)
            assert file is not None
            try:
                built = json.load(file)
            except ValueError:
                continue
            entries = built.get("abi") if isinstance(built, dict) else built
            yield from (e for e in entries or () if isinstance(e, dict) and "type" in e)


def _spelt(entry: dict[str, Any]) -> str:
    kind: str = entry["type"]
    if not kind.startswith("tuple"):
        return kind
    return f"({','.join(map(_spelt, entry['components']))}){kind.removeprefix('tuple')}"


@pytest.mark.slow
def test_tables_stand_in_the_published_abis() -> None:
    calls, logs = published()
    for function in FUNCTIONS:
        found = calls.get(function.signature)
        assert found is not None or function.protocol in UNPACKAGED, function.signature
        ours = tuple(t.name for t in function.types)
        if found is not None and function.protocol.startswith(("uniswap", "aave", "permit2")):
            assert ours in {tuple(n.lstrip("_") for n in names) for names in found}, function
    for variants in events().values():
        for event in variants:
            flags = logs.get(event.signature)
            if flags is None:
                assert event.protocol in UNPACKAGED, event.signature
            else:
                assert event.indexed in flags, event.signature


@pytest.mark.slow
def test_command_numbers_are_the_published_ones() -> None:
    script = read_member(ROUTER_SDK, "dist/cjs/src/utils/routerCommands.js").decode()
    numbers = dict(re.findall(r'CommandType\["(\w+)"\] = (\d+)', script))
    assert len(numbers) > 18
    for command in commands().values():
        assert int(numbers[command.name]) == command.number
    periphery = next(p for p in MORE if p.name == "@uniswap/v4-periphery")
    source = read_member(periphery, "src/libraries/Actions.sol").decode()
    found = re.findall(r"constant (\w+) = (0x\w+);", source)
    assert {name: int(number, 16) for name, number in found} == {
        action.name: action.number for action in actions().values()
    }
