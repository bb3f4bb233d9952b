"""The functions of DeFi transactions: selector, class and signature with argument names.

Source: ERC-20, 721, 1155, 2612, 3156 and 4626, and the published ABIs of the protocols named in
brackets.  A slow test hashes every signature and looks it up in the contract packages' ABIs.  One
selector can have several meanings (`withdraw(uint256)` unwraps WETH and leaves a staking
contract): the table holds the commonest, and who asks has to know which contract is called.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import NamedTuple

from .calldata_abi import Type, parse_signature

# What a transaction does.  "several actions" is for batches of more than one of them.
LABELS = (
    "swap",
    "add liquidity",
    "remove liquidity",
    "collect fees",
    "create pool",
    "supply",
    "withdraw",
    "borrow",
    "repay",
    "liquidate",
    "flash loan",
    "approve",
    "permit",
    "transfer",
    "wrap",
    "unwrap",
    "stake",
    "unstake",
    "claim rewards",
    "vault deposit",
    "vault redemption",
    "governance vote",
    "delegation",
    "bridge",
    "several actions",
)
# Classes that only the arguments or the inner calls decide.
LIQUIDITY_DELTA, MULTICALL, NONE = "liquidity delta", "multicall", "-"


class Function(NamedTuple):
    """A contract function.  `label` is one of LABELS, LIQUIDITY_DELTA or MULTICALL."""

    protocol: str
    label: str
    selector: bytes
    name: str
    types: tuple[Type, ...]

    @property
    def signature(self) -> str:
        """Canonical, as it is hashed: "transfer(address,uint256)"."""
        return f"{self.name}({','.join(str(t) for t in self.types)})"


def rows(table: str) -> list[tuple[str, str, str, str]]:
    """(protocol, label, hex, signature) of a table; a line that starts with a blank goes on."""
    found, protocol = [], ""
    for line in table.strip().replace("\n  ", " ").splitlines():
        if line.startswith("["):
            protocol = line.strip("[]")
        else:
            digits, label, signature = line.split(" ", 2)
            found.append(
                (protocol, label.replace("-", " ") if label != NONE else "", digits, signature)
            )
    return found


@cache
def functions() -> Mapping[bytes, Function]:
    """Every known function by its selector."""
    found = {}
    for protocol, label, digits, signature in rows(_FUNCTIONS):
        name, types = parse_signature(signature)
        selector = bytes.fromhex(digits)
        found[selector] = Function(protocol, label, selector, name, types)
    return MappingProxyType(found)


_FUNCTIONS = """
[erc-20]
a9059cbb transfer transfer(address to, uint256 amount)
23b872dd transfer transferFrom(address from, address to, uint256 amount)
095ea7b3 approve approve(address spender, uint256 amount)
39509351 approve increaseAllowance(address spender, uint256 addedValue)
a457c2d7 approve decreaseAllowance(address spender, uint256 subtractedValue)
[erc-2612]
d505accf permit permit(address owner, address spender, uint256 value, uint256 deadline, uint8 v,
  bytes32 r, bytes32 s)
[erc-721]
42842e0e transfer safeTransferFrom(address from, address to, uint256 tokenId)
b88d4fde transfer safeTransferFrom(address from, address to, uint256 tokenId, bytes data)
a22cb465 approve setApprovalForAll(address operator, bool approved)
[erc-1155]
f242432a transfer safeTransferFrom(address from, address to, uint256 id, uint256 amount, bytes data)
2eb2c2d6 transfer safeBatchTransferFrom(address from, address to, uint256[] ids, uint256[] amounts,
  bytes data)
[weth]
d0e30db0 wrap deposit()
2e1a7d4d unwrap withdraw(uint256 wad)
[lido]
ea598cb0 wrap wrap(uint256 stETHAmount)
de0e9a3e unwrap unwrap(uint256 wstETHAmount)
a1903eab stake submit(address referral)
d6681042 unstake requestWithdrawals(uint256[] amounts, address owner)
[staking rewards]
a694fc3a stake stake(uint256 amount)
e9fad8ee unstake exit()
3d18b912 claim-rewards getReward()
[erc-4626]
6e553f65 vault-deposit deposit(uint256 assets, address receiver)
94bf804d vault-deposit mint(uint256 shares, address receiver)
b460af94 vault-redemption withdraw(uint256 assets, address receiver, address owner)
ba087652 vault-redemption redeem(uint256 shares, address receiver, address owner)
[uniswap v2]
38ed1739 swap swapExactTokensForTokens(uint256 amountIn, uint256 amountOutMin, address[] path,
  address to, uint256 deadline)
8803dbee swap swapTokensForExactTokens(uint256 amountOut, uint256 amountInMax, address[] path,
  address to, uint256 deadline)
7ff36ab5 swap swapExactETHForTokens(uint256 amountOutMin, address[] path, address to, uint256
  deadline)
4a25d94a swap swapTokensForExactETH(uint256 amountOut, uint256 amountInMax, address[] path, address
  to, uint256 deadline)
18cbafe5 swap swapExactTokensForETH(uint256 amountIn, uint256 amountOutMin, address[] path, address
  to, uint256 deadline)
fb3bdb41 swap swapETHForExactTokens(uint256 amountOut, address[] path, address to, uint256 deadline)
5c11d795 swap swapExactTokensForTokensSupportingFeeOnTransferTokens(uint256 amountIn, uint256
  amountOutMin, address[] path, address to, uint256 deadline)
b6f9de95 swap swapExactETHForTokensSupportingFeeOnTransferTokens(uint256 amountOutMin, address[]
  path, address to, uint256 deadline)
791ac947 swap swapExactTokensForETHSupportingFeeOnTransferTokens(uint256 amountIn, uint256
  amountOutMin, address[] path, address to, uint256 deadline)
e8e33700 add-liquidity addLiquidity(address tokenA, address tokenB, uint256 amountADesired, uint256
  amountBDesired, uint256 amountAMin, uint256 amountBMin, address to, uint256 deadline)
f305d719 add-liquidity addLiquidityETH(address token, uint256 amountTokenDesired, uint256
  amountTokenMin, uint256 amountETHMin, address to, uint256 deadline)
baa2abde remove-liquidity removeLiquidity(address tokenA, address tokenB, uint256 liquidity, uint256
  amountAMin, uint256 amountBMin, address to, uint256 deadline)
02751cec remove-liquidity removeLiquidityETH(address token, uint256 liquidity, uint256
  amountTokenMin, uint256 amountETHMin, address to, uint256 deadline)
2195995c remove-liquidity removeLiquidityWithPermit(address tokenA, address tokenB, uint256
  liquidity, uint256 amountAMin, uint256 amountBMin, address to, uint256 deadline, bool approveMax,
  uint8 v, bytes32 r, bytes32 s)
ded9382a remove-liquidity removeLiquidityETHWithPermit(address token, uint256 liquidity, uint256
  amountTokenMin, uint256 amountETHMin, address to, uint256 deadline, bool approveMax, uint8 v,
  bytes32 r, bytes32 s)
af2979eb remove-liquidity removeLiquidityETHSupportingFeeOnTransferTokens(address token, uint256
  liquidity, uint256 amountTokenMin, uint256 amountETHMin, address to, uint256 deadline)
6a627842 add-liquidity mint(address to)
89afcb44 remove-liquidity burn(address to)
022c0d9f swap swap(uint256 amount0Out, uint256 amount1Out, address to, bytes data)
[uniswap v3]
414bf389 swap exactInputSingle((address tokenIn, address tokenOut, uint24 fee, address recipient,
  uint256 deadline, uint256 amountIn, uint256 amountOutMinimum, uint160 sqrtPriceLimitX96) params)
c04b8d59 swap exactInput((bytes path, address recipient, uint256 deadline, uint256 amountIn, uint256
  amountOutMinimum) params)
db3e2198 swap exactOutputSingle((address tokenIn, address tokenOut, uint24 fee, address recipient,
  uint256 deadline, uint256 amountOut, uint256 amountInMaximum, uint160 sqrtPriceLimitX96) params)
f28c0498 swap exactOutput((bytes path, address recipient, uint256 deadline, uint256 amountOut,
  uint256 amountInMaximum) params)
04e45aaf swap exactInputSingle((address tokenIn, address tokenOut, uint24 fee, address recipient,
  uint256 amountIn, uint256 amountOutMinimum, uint160 sqrtPriceLimitX96) params)
b858183f swap exactInput((bytes path, address recipient, uint256 amountIn, uint256 amountOutMinimum)
  params)
5023b4df swap exactOutputSingle((address tokenIn, address tokenOut, uint24 fee, address recipient,
  uint256 amountOut, uint256 amountInMaximum, uint160 sqrtPriceLimitX96) params)
09b81346 swap exactOutput((bytes path, address recipient, uint256 amountOut, uint256
  amountInMaximum) params)
472b43f3 swap swapExactTokensForTokens(uint256 amountIn, uint256 amountOutMin, address[] path,
  address to)
42712a67 swap swapTokensForExactTokens(uint256 amountOut, uint256 amountInMax, address[] path,
  address to)
128acb08 swap swap(address recipient, bool zeroForOne, int256 amountSpecified, uint160
  sqrtPriceLimitX96, bytes data)
3c8a7d8d add-liquidity mint(address recipient, int24 tickLower, int24 tickUpper, uint128 amount,
  bytes data)
a34123a7 remove-liquidity burn(int24 tickLower, int24 tickUpper, uint128 amount)
4f1eb3d8 collect-fees collect(address recipient, int24 tickLower, int24 tickUpper, uint128
  amount0Requested, uint128 amount1Requested)
490e6cbc flash-loan flash(address recipient, uint256 amount0, uint256 amount1, bytes data)
88316456 add-liquidity mint((address token0, address token1, uint24 fee, int24 tickLower, int24
  tickUpper, uint256 amount0Desired, uint256 amount1Desired, uint256 amount0Min, uint256 amount1Min,
  address recipient, uint256 deadline) params)
219f5d17 add-liquidity increaseLiquidity((uint256 tokenId, uint256 amount0Desired, uint256
  amount1Desired, uint256 amount0Min, uint256 amount1Min, uint256 deadline) params)
0c49ccbe remove-liquidity decreaseLiquidity((uint256 tokenId, uint128 liquidity, uint256 amount0Min,
  uint256 amount1Min, uint256 deadline) params)
fc6f7865 collect-fees collect((uint256 tokenId, address recipient, uint128 amount0Max, uint128
  amount1Max) params)
42966c68 remove-liquidity burn(uint256 tokenId)
13ead562 create-pool createAndInitializePoolIfNecessary(address token0, address token1, uint24 fee,
  uint160 sqrtPriceX96)
f3995c67 permit selfPermit(address token, uint256 value, uint256 deadline, uint8 v, bytes32 r,
  bytes32 s)
12210e8a transfer refundETH()
49404b7c unwrap unwrapWETH9(uint256 amountMinimum, address recipient)
49616997 unwrap unwrapWETH9(uint256 amountMinimum)
df2ab5bb transfer sweepToken(address token, uint256 amountMinimum, address recipient)
ac9650d8 multicall multicall(bytes[] data)
5ae401dc multicall multicall(uint256 deadline, bytes[] data)
1f0464d1 multicall multicall(bytes32 previousBlockhash, bytes[] data)
[uniswap v4]
6276cbbe create-pool initialize((address currency0, address currency1, uint24 fee, int24
  tickSpacing, address hooks) key, uint160 sqrtPriceX96)
f3cd914c swap swap((address currency0, address currency1, uint24 fee, int24 tickSpacing, address
  hooks) key, (bool zeroForOne, int256 amountSpecified, uint160 sqrtPriceLimitX96) params, bytes
  hookData)
5a6bcfda liquidity-delta modifyLiquidity((address currency0, address currency1, uint24 fee, int24
  tickSpacing, address hooks) key, (int24 tickLower, int24 tickUpper, int256 liquidityDelta, bytes32
  salt) params, bytes hookData)
dd46508f multicall modifyLiquidities(bytes unlockData, uint256 deadline)
f7020405 create-pool initializePool((address currency0, address currency1, uint24 fee, int24
  tickSpacing, address hooks) key, uint160 sqrtPriceX96)
[universal router]
3593564c multicall execute(bytes commands, bytes[] inputs, uint256 deadline)
24856bc3 multicall execute(bytes commands, bytes[] inputs)
[permit2]
87517c45 approve approve(address token, address spender, uint160 amount, uint48 expiration)
2b67b570 permit permit(address owner, ((address token, uint160 amount, uint48 expiration, uint48
  nonce) details, address spender, uint256 sigDeadline) permitSingle, bytes signature)
2a2d80d1 permit permit(address owner, ((address token, uint160 amount, uint48 expiration, uint48
  nonce)[] details, address spender, uint256 sigDeadline) permitBatch, bytes signature)
36c78516 transfer transferFrom(address from, address to, uint160 amount, address token)
[aave v3]
617ba037 supply supply(address asset, uint256 amount, address onBehalfOf, uint16 referralCode)
e8eda9df supply deposit(address asset, uint256 amount, address onBehalfOf, uint16 referralCode)
02c205f0 supply supplyWithPermit(address asset, uint256 amount, address onBehalfOf, uint16
  referralCode, uint256 deadline, uint8 permitV, bytes32 permitR, bytes32 permitS)
69328dec withdraw withdraw(address asset, uint256 amount, address to)
a415bcad borrow borrow(address asset, uint256 amount, uint256 interestRateMode, uint16 referralCode,
  address onBehalfOf)
573ade81 repay repay(address asset, uint256 amount, uint256 interestRateMode, address onBehalfOf)
ee3e210b repay repayWithPermit(address asset, uint256 amount, uint256 interestRateMode, address
  onBehalfOf, uint256 deadline, uint8 permitV, bytes32 permitR, bytes32 permitS)
2dad97d4 repay repayWithATokens(address asset, uint256 amount, uint256 interestRateMode)
00a718a9 liquidate liquidationCall(address collateralAsset, address debtAsset, address user, uint256
  debtToCover, bool receiveAToken)
ab9c4b5d flash-loan flashLoan(address receiverAddress, address[] assets, uint256[] amounts,
  uint256[] interestRateModes, address onBehalfOf, bytes params, uint16 referralCode)
42b0b77c flash-loan flashLoanSimple(address receiverAddress, address asset, uint256 amount, bytes
  params, uint16 referralCode)
c04a8a10 approve approveDelegation(address delegatee, uint256 amount)
236300dc claim-rewards claimRewards(address[] assets, uint256 amount, address to, address reward)
bb492bf5 claim-rewards claimAllRewards(address[] assets, address to)
bf90f63a claim-rewards claimAllRewardsToSelf(address[] assets)
[compound v3]
f2b9fdb8 supply supply(address asset, uint256 amount)
4232cd63 supply supplyTo(address dst, address asset, uint256 amount)
f3fef3a3 withdraw withdraw(address asset, uint256 amount)
c3b35a7e withdraw withdrawTo(address to, address asset, uint256 amount)
c3cecfd2 liquidate absorb(address absorber, address[] accounts)
110496e5 approve allow(address manager, bool isAllowed)
b7034f7e claim-rewards claim(address comet, address src, bool shouldAccrue)
[balancer v2]
52bbbe29 swap swap((bytes32 poolId, uint8 kind, address assetIn, address assetOut, uint256 amount,
  bytes userData) singleSwap, (address sender, bool fromInternalBalance, address recipient, bool
  toInternalBalance) funds, uint256 limit, uint256 deadline)
b95cac28 add-liquidity joinPool(bytes32 poolId, address sender, address recipient, (address[]
  assets, uint256[] maxAmountsIn, bytes userData, bool fromInternalBalance) request)
8bdb3913 remove-liquidity exitPool(bytes32 poolId, address sender, address recipient, (address[]
  assets, uint256[] minAmountsOut, bytes userData, bool toInternalBalance) request)
5c38449e flash-loan flashLoan(address recipient, address[] tokens, uint256[] amounts, bytes
  userData)
[erc-3156]
5cffe9de flash-loan flashLoan(address receiver, address token, uint256 amount, bytes data)
[curve]
3df02124 swap exchange(int128 i, int128 j, uint256 dx, uint256 min_dy)
0b4c7e4d add-liquidity add_liquidity(uint256[2] amounts, uint256 min_mint_amount)
4515cef3 add-liquidity add_liquidity(uint256[3] amounts, uint256 min_mint_amount)
5b36389c remove-liquidity remove_liquidity(uint256 amount, uint256[2] min_amounts)
ecb586a5 remove-liquidity remove_liquidity(uint256 amount, uint256[3] min_amounts)
1a4d01d2 remove-liquidity remove_liquidity_one_coin(uint256 token_amount, int128 i, uint256
  min_amount)
[governor]
56781388 governance-vote castVote(uint256 proposalId, uint8 support)
7b3c71d3 governance-vote castVoteWithReason(uint256 proposalId, uint8 support, string reason)
5c19a95c delegation delegate(address delegatee)
[op bridge]
b1a1a882 bridge depositETH(uint32 l2Gas, bytes data)
9a2ac6d5 bridge depositETHTo(address to, uint32 l2Gas, bytes data)
58a997f6 bridge depositERC20(address l1Token, address l2Token, uint256 amount, uint32 l2Gas, bytes
  data)
32b7006d bridge withdraw(address l2Token, uint256 amount, uint32 l1Gas, bytes data)
"""
