"""The assembler against bytes worked out by hand, and the actor's forwarding and paying."""

from __future__ import annotations

import pytest

from denizen.evm import Machine, Revert
from denizen.evm.abi import calldata, encode
from denizen.evm.actor import actor_code, forward, payment
from denizen.evm.assembler import assemble

ACTOR, TARGET, TOKEN0, TOKEN1 = ("0x" + f"{n:02x}" * 20 for n in (0xA1, 0xB2, 0xC3, 0xD4))
# Returns its whole calldata; a token that records (to, amount) in slots 0 and 1 and returns true.
ECHO = assemble("CALLDATASIZE 0 0 CALLDATACOPY CALLDATASIZE 0 RETURN")
TOKEN = assemble("4 CALLDATALOAD 0 SSTORE 36 CALLDATALOAD 1 SSTORE 1 0 MSTORE 32 0 RETURN")
REFUSE = assemble("0xdeadbeef 224 SHL 0 MSTORE 4 0 REVERT")
# Calls its caller back with the calldata it was given, as a pool does.
POOL = assemble(
    """CALLDATASIZE 0 0 CALLDATACOPY
    0 0 CALLDATASIZE 0 0 CALLER GAS CALL @done JUMPI 0 0 REVERT
    done: STOP  ; nothing more"""
)


def test_assembled_bytes() -> None:
    assert assemble("1 0x0203 ADD").hex() == "6001" + "610203" + "01"
    assert assemble("0 DUP2 SWAP16").hex() == "5f" + "81" + "9f"
    # A jump over an INVALID-free gap: PUSH2 0004 JUMP, JUMPDEST at 4.
    assert assemble("@end JUMP end: STOP").hex() == "610004" + "56" + "5b" + "00"
    with pytest.raises(KeyError):
        assemble("JUMPY")
    with pytest.raises(KeyError):
        assemble("@nowhere JUMP")


@pytest.fixture
def machine() -> Machine:
    made = Machine()
    made.place(ACTOR, actor_code(TOKEN0, TOKEN1))
    for token in (TOKEN0, TOKEN1):
        made.place(token, TOKEN)
    return made


def test_a_call_is_forwarded_and_its_answer_comes_back(machine: Machine) -> None:
    machine.place(TARGET, ECHO)
    assert machine.call(ACTOR, forward(TARGET, b"\1\2\3")) == b"\1\2\3"
    machine.place(TARGET, REFUSE)
    with pytest.raises(Revert) as caught:
        machine.call(ACTOR, forward(TARGET, b""))
    assert caught.value.data.hex() == "deadbeef"


@pytest.mark.parametrize(
    ("signature", "values", "paid"),
    [
        ("uniswapV3SwapCallback(int256,int256,bytes)", (7, -9, b""), (7, 0)),
        ("uniswapV3SwapCallback(int256,int256,bytes)", (-7, 9, b"x"), (0, 9)),
        ("uniswapV3MintCallback(uint256,uint256,bytes)", (3, 4, b""), (3, 4)),
        ("uniswapV3FlashCallback(uint256,uint256,bytes)", (1, 2, payment(50, 60)), (50, 60)),
        ("uniswapV2Call(address,uint256,uint256,bytes)", (ACTOR, 1, 2, payment(0, 8)), (0, 8)),
    ],
)
def test_callbacks_are_paid(
    machine: Machine, signature: str, values: tuple[object, ...], paid: tuple[int, int]
) -> None:
    machine.place(TARGET, POOL)
    machine.call(ACTOR, forward(TARGET, calldata(signature, *values)))
    for token, amount in zip((TOKEN0, TOKEN1), paid, strict=True):
        assert machine.storage(token, 1) == amount
        assert machine.storage(token, 0) == (int(TARGET, 16) if amount else 0)


def test_what_cannot_be_paid_or_is_not_known_fails(machine: Machine) -> None:
    machine.place(TARGET, POOL)
    machine.place(TOKEN1, REFUSE)
    unpaid = calldata("uniswapV3MintCallback(uint256,uint256,bytes)", 0, 1, b"")
    for data in (unpaid, b"\xff" * 4 + encode(["uint256"], [1])):
        with pytest.raises(Revert):
            machine.call(ACTOR, forward(TARGET, data))
