"""A contract of ours that acts for an account: forwards calls and pays what pools call back for.

Contract: calldata is a target's address as one word and then the call to forward; what the target
returns or reverts with comes back unchanged.  A Uniswap v2 or v3 pool that calls back is paid in
the two tokens the actor was made for: what a swap or a mint asks for, and for a flash loan (and a
v2 flash swap) the two amounts given as its data.  It checks nothing: it is for tests, not for use.
"""

from __future__ import annotations

from denizen.evm.abi import encode, selector
from denizen.evm.assembler import assemble

# Where the calldata holds (amount0, amount1): right after the selector, or, where the data of the
# actor's own call says what to pay, after the head and the length of `bytes data`.
_ARGUMENTS, _FLASH_DATA, _PAIR_DATA = 4, 4 + 32 * 4, 4 + 32 * 5
_CALLBACKS = {
    "uniswapV3SwapCallback(int256,int256,bytes)": _ARGUMENTS,
    "uniswapV3MintCallback(uint256,uint256,bytes)": _ARGUMENTS,
    "uniswapV3FlashCallback(uint256,uint256,bytes)": _FLASH_DATA,
    "uniswapV2Call(address,uint256,uint256,bytes)": _PAIR_DATA,
}
_FORWARD = """
forward:
    32 CALLDATASIZE SUB                     ; size
    DUP1 32 0 CALLDATACOPY                  ; the call to forward, at memory 0
    0 0 DUP3 0 CALLVALUE 0 CALLDATALOAD GAS CALL
    RETURNDATASIZE 0 0 RETURNDATACOPY
    @ok JUMPI
    RETURNDATASIZE 0 REVERT
ok:
    RETURNDATASIZE 0 RETURN
fail:
    RETURNDATASIZE 0 0 RETURNDATACOPY RETURNDATASIZE 0 REVERT
"""


def actor_code(token0: str, token1: str) -> bytes:
    """Runtime code of an actor that pays in these tokens; place it with `Machine.place`."""
    # A forwarded call starts with an address word, so its first four bytes are zero.
    source = "0 CALLDATALOAD 224 SHR DUP1 ISZERO @forward JUMPI\n"
    for signature, at in _CALLBACKS.items():
        source += f"{at} DUP2 0x{selector(signature).hex()} EQ @pay JUMPI POP\n"
    source += "0 0 REVERT\npay:\n"  # on the stack: where the amounts are
    for index, token in enumerate((token0, token1)):
        source += f"""
            DUP1 {32 * index} ADD CALLDATALOAD              ; amount
            DUP1 0 SLT ISZERO @paid{index} JUMPI            ; negative: the pool pays
            0x{selector("transfer(address,uint256)").hex()} 224 SHL 0 MSTORE
            CALLER 4 MSTORE
            DUP1 36 MSTORE
            32 0 68 0 0 {token} GAS CALL ISZERO @fail JUMPI
        paid{index}:
            POP
        """
    return assemble(source + "STOP\n" + _FORWARD)


def forward(target: str, data: bytes) -> bytes:
    """Calldata that makes an actor call `target` with `data`."""
    return encode(["address"], [target]) + data


def payment(amount0: int, amount1: int) -> bytes:
    """The `data` of a flash loan or flash swap: what the actor is to pay back."""
    return encode(["uint256", "uint256"], [amount0, amount1])
