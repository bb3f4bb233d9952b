"""The embedded EVM keeps its promises: real bytecode, trials undone, reverts explained."""

from __future__ import annotations

import pytest

from denizen.evm import PACKAGES, Machine, Revert, artefact, creation_code
from denizen.evm.abi import calldata, decode, decode_error, selector, topic
from denizen.project import ArtefactError

COUNTER = bytes.fromhex("6000546001018060005560005260206000f3")
TRANSIENT = bytes.fromhex("60005c6001018060005d60005260206000f3")
HERE = "0x" + "c0" * 20


def number(data: bytes) -> int:
    return int.from_bytes(data, "big")


def test_call_changes_and_trial_does_not() -> None:
    machine = Machine()
    machine.place(HERE, COUNTER)
    assert [number(machine.call(HERE, b"")) for _ in range(3)] == [1, 2, 3]
    assert number(machine.trial(HERE, b"")) == 4
    assert machine.storage(HERE, 0) == 3


def test_transient_storage_is_cleared_between_calls() -> None:
    machine = Machine()
    machine.place(HERE, TRANSIENT)
    assert [number(machine.call(HERE, b"")) for _ in range(3)] == [1, 1, 1]


def test_known_selectors() -> None:
    assert selector("transfer(address,uint256)").hex() == "a9059cbb"
    assert topic("Transfer(address,address,uint256)").startswith("0xddf252ad")


@pytest.mark.slow
def test_real_v2_pair_and_its_revert_reason() -> None:
    machine = Machine()
    built = artefact(PACKAGES["v2-core"], "build/UniswapV2Factory.json")
    factory = machine.deploy(creation_code(built), ["address"], [HERE])
    a, b = "0x" + "0a" * 20, "0x" + "0b" * 20
    pair = decode(["address"], machine.call(factory, calldata("createPair(address,address)", a, b)))
    assert machine.code(pair[0])
    with pytest.raises(Revert, match="UniswapV2: PAIR_EXISTS"):
        machine.call(factory, calldata("createPair(address,address)", b, a))
    assert len(machine.logs) <= 1


@pytest.mark.parametrize(
    "data",
    [
        "08c379a0ff",
        "08c379a0" + "ff" * 64,
        "08c379a0" + f"{32:064x}" + f"{2:064x}" + "fffe" + "00" * 30,  # not UTF-8
    ],
)
def test_a_reason_that_is_no_string_is_still_a_revert(data: str) -> None:
    assert decode_error(bytes.fromhex(data)) == "0x08c379a0"


def test_a_transaction_that_never_ran_is_no_refusal_of_the_contract() -> None:
    machine = Machine()
    machine.place(HERE, COUNTER)
    for options in ({"value": 5}, {"sender": HERE}):
        with pytest.raises(ArtefactError, match="not a transaction"):
            machine.call(HERE, b"", **options)  # type: ignore[arg-type]
