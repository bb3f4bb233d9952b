"""Calldata and return data by signature: a thin layer over eth-abi and keccak.

Contract: `calldata("swap(bool,int256)", True, 5)` encodes; `decode` reads return data.  Signatures
are the canonical ones of the contract ABI specification, tuples written as "(a,b)".
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from typing import Any

_ERROR = bytes.fromhex("08c379a0")
_PANIC = bytes.fromhex("4e487b71")


@cache
def keccak(data: bytes) -> bytes:
    """Keccak-256, 32 bytes."""
    from eth_hash.auto import keccak as digest

    return bytes(digest(data))


@cache
def selector(signature: str) -> bytes:
    """First four bytes of the signature's hash."""
    return keccak(signature.encode())[:4]


def topic(signature: str) -> str:
    """topic0 of an event, as 0x-prefixed hex."""
    return "0x" + keccak(signature.encode()).hex()


@cache
def _types(signature: str) -> tuple[str, ...]:
    """Argument types of "name(a,(b,c),d)"."""
    inner = signature[signature.index("(") + 1 : -1]
    types, depth, current = [], 0, ""
    for letter in inner:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and not depth:
            types.append(current)
            current = ""
        else:
            current += letter
    return tuple([*types, current] if current else types)


def encode(types: Sequence[str], values: Sequence[Any]) -> bytes:
    """ABI encoding of a tuple."""
    from eth_abi.abi import encode as abi_encode

    return bytes(abi_encode(list(types), list(values)))


def decode(types: Sequence[str], data: bytes, *, strict: bool = True) -> tuple[Any, ...]:
    """ABI decoding; raises eth_abi's DecodingError on malformed data, or, if strict, padding."""
    from eth_abi.abi import decode as abi_decode

    return tuple(abi_decode(list(types), data, strict=strict))


def calldata(signature: str, *values: Any) -> bytes:
    """Selector and arguments."""
    return selector(signature) + encode(_types(signature), values)


def decode_error(data: bytes) -> str:
    """A revert's reason: Error(string), Panic(uint256), a custom error's selector, or nothing."""
    if data[:4] == _ERROR and len(data) > 4:
        from eth_abi.exceptions import DecodingError

        # Old Solidity leaves dirt in a reason's padding; a hostile contract, anything at all.
        with suppress(DecodingError, UnicodeDecodeError):
            return str(decode(["string"], data[4:], strict=False)[0])
    if data[:4] == _PANIC and len(data) > 4:
        return f"Panic(0x{int.from_bytes(data[4:36], 'big'):02x})"
    return "0x" + data[:4].hex() if data else "reverted without data"
