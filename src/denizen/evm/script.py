"""A contract of ours that runs a script of calls: what a test's account with code must do.

Contract: calldata is a run of records (flag, target, value, calldata); each is called in order and
the return is every call's success and data.  A strict record that fails reverts the whole with its
reason; a tolerant one is reported.  Inside `unlockCallback(bytes)` the bytes are the script, so the
same code is a v4 router; any other function is refused.  Assembled here from the EVM's opcodes
(Ethereum yellow paper, EIP-3855).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from denizen.evm.assembler import assemble

_HEADER, _LENGTH_AT, _VALUE_AT = 57, 53, 21

# The stack in the loop, top last:
# mode (1 inside unlockCallback), end and position in calldata, write position in memory.
_SOURCE = f"""
    PUSH0 CALLDATALOAD 224 SHR 0x91dd7346 EQ @callback JUMPI
    PUSH0 CALLDATALOAD PUSH0 BYTE 1 LT @refuse JUMPI
    PUSH0 CALLDATASIZE PUSH0 64 @loop JUMP
callback:
    1 36 CALLDATALOAD 68 ADD 68 64
loop:
    DUP3 DUP3 LT ISZERO @done JUMPI
    DUP2 {_LENGTH_AT} ADD CALLDATALOAD 224 SHR
    DUP1 DUP4 {_HEADER} ADD DUP4 CALLDATACOPY
    PUSH0 PUSH0 DUP3 DUP5 DUP7 {_VALUE_AT} ADD CALLDATALOAD
    DUP8 1 ADD CALLDATALOAD 96 SHR GAS CALL
    DUP1 DUP5 CALLDATALOAD PUSH0 BYTE OR @record JUMPI
    RETURNDATASIZE PUSH0 PUSH0 RETURNDATACOPY RETURNDATASIZE PUSH0 REVERT
record:
    DUP3 MSTORE
    RETURNDATASIZE DUP3 32 ADD MSTORE
    RETURNDATASIZE PUSH0 DUP4 64 ADD RETURNDATACOPY
    SWAP1 RETURNDATASIZE ADD 64 ADD SWAP2 ADD {_HEADER} ADD SWAP1 @loop JUMP
done:
    DUP4 @wrapped JUMPI
    64 SWAP1 SUB 64 RETURN
wrapped:
    32 PUSH0 MSTORE
    64 DUP2 SUB 32 MSTORE
    31 ADD 31 NOT AND PUSH0 RETURN
refuse:
    PUSH0 PUSH0 REVERT
"""


class Call(NamedTuple):
    """One record: a tolerant call may fail without failing the script."""

    to: str
    data: bytes
    value: int = 0
    tolerant: bool = False


class Done(NamedTuple):
    """What one call of a script did."""

    ok: bool
    data: bytes


def script(calls: Iterable[Call]) -> bytes:
    """The calldata of a script."""
    return b"".join(
        bytes([call.tolerant])
        + bytes.fromhex(call.to[2:])
        + call.value.to_bytes(32, "big")
        + len(call.data).to_bytes(4, "big")
        + call.data
        for call in calls
    )


def results(data: bytes) -> list[Done]:
    """What each call returned."""
    found, at = [], 0
    while at < len(data):
        size = int.from_bytes(data[at + 32 : at + 64], "big")
        found.append(Done(data[at + 31] == 1, data[at + 64 : at + 64 + size]))
        at += 64 + size
    return found


RUNNER = assemble(_SOURCE)
