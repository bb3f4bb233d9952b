"""A tiny EVM assembler, for the few contracts of our own that callbacks need.

Contract: words separated by blanks.  `name:` is a label, `@name` pushes it, a number is pushed in
as few bytes as it needs, `;` starts a comment; anything else is an opcode.
Source: the opcode table of the Ethereum yellow paper, appendix H, and EIP-3855 (PUSH0).
"""

from __future__ import annotations

OPCODES = {
    "STOP": 0x00,
    "ADD": 0x01,
    "MUL": 0x02,
    "SUB": 0x03,
    "LT": 0x10,
    "GT": 0x11,
    "SLT": 0x12,
    "SGT": 0x13,
    "EQ": 0x14,
    "ISZERO": 0x15,
    "AND": 0x16,
    "OR": 0x17,
    "NOT": 0x19,
    "BYTE": 0x1A,
    "SHL": 0x1B,
    "SHR": 0x1C,
    "ADDRESS": 0x30,
    "CALLER": 0x33,
    "CALLVALUE": 0x34,
    "CALLDATALOAD": 0x35,
    "CALLDATASIZE": 0x36,
    "CALLDATACOPY": 0x37,
    "RETURNDATASIZE": 0x3D,
    "RETURNDATACOPY": 0x3E,
    "POP": 0x50,
    "MLOAD": 0x51,
    "MSTORE": 0x52,
    "SLOAD": 0x54,
    "SSTORE": 0x55,
    "JUMP": 0x56,
    "JUMPI": 0x57,
    "GAS": 0x5A,
    "PUSH0": 0x5F,
    "JUMPDEST": 0x5B,
    "CALL": 0xF1,
    "RETURN": 0xF3,
    "STATICCALL": 0xFA,
    "REVERT": 0xFD,
}
OPCODES |= {f"DUP{n}": 0x7F + n for n in range(1, 17)}
OPCODES |= {f"SWAP{n}": 0x8F + n for n in range(1, 17)}
_PUSH0 = 0x5F


def assemble(source: str) -> bytes:
    """Runtime code; KeyError for an unknown opcode or label."""
    code, labels, holes = bytearray(), dict[str, int](), dict[int, str]()
    for word in " ".join(line.split(";")[0] for line in source.splitlines()).split():
        if word.endswith(":"):
            labels[word[:-1]] = len(code)
            code.append(OPCODES["JUMPDEST"])
        elif word.startswith("@"):
            holes[len(code) + 1] = word[1:]
            code += bytes([_PUSH0 + 2, 0, 0])
        elif word[0].isdigit():
            number = int(word, 0)
            size = (number.bit_length() + 7) // 8
            code += bytes([_PUSH0 + size]) + number.to_bytes(size, "big")
        else:
            code.append(OPCODES[word])
    for at, label in holes.items():
        code[at : at + 2] = labels[label].to_bytes(2, "big")
    return bytes(code)
