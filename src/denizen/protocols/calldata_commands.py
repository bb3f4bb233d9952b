"""Command bytes: the Universal Router's commands and the actions of v4's router and positions.

Source: Uniswap's Universal Router reference (Commands) and v4-periphery's Actions (MIT).  A
command's lower seven bits say what it does, its highest bit whether it may fail.  Settling, taking
and checking have no class of their own ("-"): they go along with what they settle.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import NamedTuple

from .calldata_abi import Type, parse_signature
from .calldata_table import rows

COMMAND_MASK = 0x7F
# What a command's input holds, where it is not the arguments of the command itself.
SUB_PLAN, ACTIONS, CALLDATA = "EXECUTE_SUB_PLAN", "V4_SWAP", "POSITION_MANAGER"


class Command(NamedTuple):
    """One command or action; `types` is None where the input is not decoded."""

    number: int
    label: str
    name: str
    types: tuple[Type, ...] | None


@cache
def commands() -> Mapping[int, Command]:
    """The Universal Router's commands by number."""
    return _read(_COMMANDS)


@cache
def actions() -> Mapping[int, Command]:
    """The actions of v4-periphery by number."""
    return _read(_ACTIONS)


def _read(table: str) -> Mapping[int, Command]:
    found = {}
    for _, label, digits, text in rows(table):
        name, types = parse_signature(text) if "(" in text else (text, None)
        found[int(digits, 16)] = Command(int(digits, 16), label, name, types)
    return MappingProxyType(found)


_COMMANDS = """
00 swap V3_SWAP_EXACT_IN(address recipient, uint256 amountIn, uint256 amountOutMin, bytes path,
  bool payerIsUser)
01 swap V3_SWAP_EXACT_OUT(address recipient, uint256 amountOut, uint256 amountInMax, bytes path,
  bool payerIsUser)
02 transfer PERMIT2_TRANSFER_FROM(address token, address recipient, uint160 amount)
03 permit PERMIT2_PERMIT_BATCH(((address token, uint160 amount, uint48 expiration,
  uint48 nonce)[] details, address spender, uint256 sigDeadline) permitBatch, bytes signature)
04 transfer SWEEP(address token, address recipient, uint256 amountMin)
05 transfer TRANSFER(address token, address recipient, uint256 value)
06 transfer PAY_PORTION(address token, address recipient, uint256 bips)
08 swap V2_SWAP_EXACT_IN(address recipient, uint256 amountIn, uint256 amountOutMin,
  address[] path, bool payerIsUser)
09 swap V2_SWAP_EXACT_OUT(address recipient, uint256 amountOut, uint256 amountInMax,
  address[] path, bool payerIsUser)
0a permit PERMIT2_PERMIT(((address token, uint160 amount, uint48 expiration,
  uint48 nonce) details, address spender, uint256 sigDeadline) permitSingle, bytes signature)
0b wrap WRAP_ETH(address recipient, uint256 amountMin)
0c unwrap UNWRAP_WETH(address recipient, uint256 amountMin)
0d transfer PERMIT2_TRANSFER_FROM_BATCH((address from, address to, uint160 amount,
  address token)[] batch)
0e - BALANCE_CHECK_ERC20(address owner, address token, uint256 minBalance)
10 - V4_SWAP(bytes actions, bytes[] params)
11 - V3_POSITION_MANAGER_PERMIT
12 - V3_POSITION_MANAGER_CALL
13 create-pool V4_INITIALIZE_POOL((address currency0, address currency1, uint24 fee,
  int24 tickSpacing, address hooks) key, uint160 sqrtPriceX96)
14 - V4_POSITION_MANAGER_CALL
21 - EXECUTE_SUB_PLAN(bytes commands, bytes[] inputs)
"""

_ACTIONS = """
00 add-liquidity INCREASE_LIQUIDITY(uint256 tokenId, uint256 liquidity, uint128 amount0Max,
  uint128 amount1Max, bytes hookData)
01 remove-liquidity DECREASE_LIQUIDITY(uint256 tokenId, uint256 liquidity, uint128 amount0Min,
  uint128 amount1Min, bytes hookData)
02 add-liquidity MINT_POSITION
03 remove-liquidity BURN_POSITION
04 add-liquidity INCREASE_LIQUIDITY_FROM_DELTAS
05 add-liquidity MINT_POSITION_FROM_DELTAS
06 swap SWAP_EXACT_IN_SINGLE
07 swap SWAP_EXACT_IN
08 swap SWAP_EXACT_OUT_SINGLE
09 swap SWAP_EXACT_OUT
0a - DONATE
0b - SETTLE
0c - SETTLE_ALL
0d - SETTLE_PAIR
0e - TAKE
0f - TAKE_ALL
10 - TAKE_PORTION
11 - TAKE_PAIR
12 - CLOSE_CURRENCY
13 - CLEAR_OR_TAKE
14 - SWEEP
15 wrap WRAP
16 unwrap UNWRAP
17 - MINT_6909
18 - BURN_6909
"""
