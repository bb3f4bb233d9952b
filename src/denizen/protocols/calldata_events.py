"""The events of DeFi transactions: topic0, class and signature; decoding and classing of logs.

Source: the ERCs and the published ABIs, as in `calldata_table`.  An event without a class ("-")
goes along with others and decides nothing: an aToken's Mint is no liquidity.  ERC-20 and ERC-721
share the topics of Transfer and Approval; the number of indexed arguments tells them apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import NamedTuple

from .calldata_abi import Type, Value, decode, parse_signature
from .calldata_table import rows
from .fixed_point import MathError


class Event(NamedTuple):
    """A contract event; `indexed` says which arguments stand in the topics."""

    protocol: str
    label: str
    topic: bytes
    name: str
    types: tuple[Type, ...]
    indexed: tuple[bool, ...]

    @property
    def signature(self) -> str:
        """Canonical, as it is hashed: "Transfer(address,address,uint256)"."""
        return f"{self.name}({','.join(str(t) for t in self.types)})"


class Log(NamedTuple):
    """A log as a receipt holds it: address "0x...", topics of 32 bytes, data."""

    address: str
    topics: tuple[bytes, ...]
    data: bytes


@cache
def events() -> Mapping[bytes, tuple[Event, ...]]:
    """Every known event by topic0, its variants by how many arguments are indexed."""
    found: dict[bytes, tuple[Event, ...]] = {}
    for protocol, label, digits, signature in rows(_EVENTS):
        name, types = parse_signature(signature.replace(" indexed ", " indexed_"))
        indexed = tuple(t.name.startswith("indexed_") for t in types)
        types = tuple(t.renamed(t.name.removeprefix("indexed_")) for t in types)
        topic = bytes.fromhex(digits)
        event = Event(protocol, label, topic, name, types, indexed)
        found[topic] = (*found.get(topic, ()), event)
    return MappingProxyType(found)


def decode_log(log: Log) -> tuple[Event, dict[str, Value]]:
    """The event and its arguments by name, in the signature's order.

    A dynamic indexed argument comes as its 32-byte hash.  MathError if the topic is not known, or
    topics and data do not fit the event.
    """
    if not log.topics or any(len(topic) != 32 for topic in log.topics):
        raise MathError("a log of a known event has topics of 32 bytes")
    variants = events().get(log.topics[0])
    if variants is None:
        raise MathError(f"no known event has the topic 0x{log.topics[0].hex()}")
    event = next((e for e in variants if sum(e.indexed) == len(log.topics) - 1), None)
    if event is None:
        raise MathError(f"{variants[0].name} does not have {len(log.topics) - 1} indexed arguments")
    plain = tuple(t for t, i in zip(event.types, event.indexed, strict=True) if not i)
    in_data, in_topics = iter(decode(plain, log.data)), iter(log.topics[1:])
    arguments: dict[str, Value] = {}
    for kind, indexed in zip(event.types, event.indexed, strict=True):
        if not indexed:
            arguments[kind.name] = next(in_data)
        else:
            word = next(in_topics)
            arguments[kind.name] = word if kind.dynamic else decode((kind,), word)[0]
    return event, arguments


_EVENTS = """
[erc-20]
ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef transfer
  Transfer(address indexed from, address indexed to, uint256 value)
8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925 approve
  Approval(address indexed owner, address indexed spender, uint256 value)
[erc-721]
17307eab39ab6107e8899845ad3d59bd9653f200f220920489ca2b5937696c31 approve
  ApprovalForAll(address indexed owner, address indexed operator, bool approved)
ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef transfer
  Transfer(address indexed from, address indexed to, uint256 indexed tokenId)
8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925 approve
  Approval(address indexed owner, address indexed approved, uint256 indexed tokenId)
[erc-1155]
c3d58168c5ae7397731d063d5bbf3d657854427343f4c083240f7aacaa2d0f62 transfer
  TransferSingle(address indexed operator, address indexed from, address indexed to, uint256
  id, uint256 value)
4a39dc06d4c0dbc64b70af90fd698a233a518aa5d07e595d983b8c0526c8f7fb transfer
  TransferBatch(address indexed operator, address indexed from, address indexed to, uint256[]
  ids, uint256[] values)
[weth]
e1fffcc4923d04b559f4d29a8bfc6cda04eb5b0d3c460751c2402c5c5cc9109c wrap
  Deposit(address indexed dst, uint256 wad)
7fcf532c15f0a6db0bd6d0e038bea71d30d808c7d98cb3bf7268a95bf5081b65 unwrap
  Withdrawal(address indexed src, uint256 wad)
[lido]
96a25c8ce0baabc1fdefd93e9ed25d8e092a3332f3aa9a41722b5697231d1d1a stake
  Submitted(address indexed sender, uint256 amount, address referral)
[staking rewards]
9e71bc8eea02a63969f509818f2dafb9254532904319f9dbda79b67bd34a5f3d stake
  Staked(address indexed user, uint256 amount)
7084f5476618d8e60b11ef0d7d3f06914655adb8793e28ff7f018d4c76d505d5 unstake
  Withdrawn(address indexed user, uint256 amount)
e2403640ba68fed3a2f88b7557551d1993f84b99bb10ff833f0cf8db0c5e0486 claim-rewards
  RewardPaid(address indexed user, uint256 reward)
[erc-4626]
dcbc1c05240f31ff3ad067ef1ee35ce4997762752e3a095284754544f4c709d7 vault-deposit
  Deposit(address indexed sender, address indexed owner, uint256 assets, uint256 shares)
fbde797d201c681b91056529119e0b02407c7bb96a4a2c75c01fc9667232c8db vault-redemption
  Withdraw(address indexed sender, address indexed receiver, address indexed owner, uint256
  assets, uint256 shares)
[uniswap v2]
d78ad95fa46c994b6551d0da85fc275fe613ce37657fb8d5e3d130840159d822 swap
  Swap(address indexed sender, uint256 amount0In, uint256 amount1In, uint256 amount0Out,
  uint256 amount1Out, address indexed to)
4c209b5fc8ad50758f13e2e1088ba56a560dff690a1c6fef26394f4c03821c4f add-liquidity
  Mint(address indexed sender, uint256 amount0, uint256 amount1)
dccd412f0b1252819cb1fd330b93224ca42612892bb3f4f789976e6d81936496 remove-liquidity
  Burn(address indexed sender, uint256 amount0, uint256 amount1, address indexed to)
1c411e9a96e071241c2f21f7726b17ae89e3cab4c78be50e062b03a9fffbbad1 -
  Sync(uint112 reserve0, uint112 reserve1)
[uniswap v3]
c42079f94a6350d7e6235f29174924f928cc2ac818eb64fed8004e115fbcca67 swap
  Swap(address indexed sender, address indexed recipient, int256 amount0, int256 amount1,
  uint160 sqrtPriceX96, uint128 liquidity, int24 tick)
7a53080ba414158be7ec69b987b5fb7d07dee101fe85488f0853ae16239d0bde add-liquidity
  Mint(address sender, address indexed owner, int24 indexed tickLower, int24 indexed
  tickUpper, uint128 amount, uint256 amount0, uint256 amount1)
0c396cd989a39f4459b5fa1aed6a9a8dcdbc45908acfd67e028cd568da98982c remove-liquidity
  Burn(address indexed owner, int24 indexed tickLower, int24 indexed tickUpper, uint128
  amount, uint256 amount0, uint256 amount1)
70935338e69775456a85ddef226c395fb668b63fa0115f5f20610b388e6ca9c0 collect-fees
  Collect(address indexed owner, address recipient, int24 indexed tickLower, int24 indexed
  tickUpper, uint128 amount0, uint128 amount1)
bdbdb71d7860376ba52b25a5028beea23581364a40522f6bcfb86bb1f2dca633 flash-loan
  Flash(address indexed sender, address indexed recipient, uint256 amount0, uint256 amount1,
  uint256 paid0, uint256 paid1)
3067048beee31b25b2f1681f88dac838c8bba36af25bfb2b7cf7473a5847e35f add-liquidity
  IncreaseLiquidity(uint256 indexed tokenId, uint128 liquidity, uint256 amount0, uint256
  amount1)
26f6a048ee9138f2c0ce266f322cb99228e8d619ae2bff30c67f8dcf9d2377b4 remove-liquidity
  DecreaseLiquidity(uint256 indexed tokenId, uint128 liquidity, uint256 amount0, uint256
  amount1)
40d0efd1a53d60ecbf40971b9daf7dc90178c3aadc7aab1765632738fa8b8f01 collect-fees
  Collect(uint256 indexed tokenId, address recipient, uint256 amount0, uint256 amount1)
[uniswap v4]
40e9cecb9f5f1f1c5b9c97dec2917b7ee92e57ba5563708daca94dd84ad7112f swap
  Swap(bytes32 indexed id, address indexed sender, int128 amount0, int128 amount1, uint160
  sqrtPriceX96, uint128 liquidity, int24 tick, uint24 fee)
f208f4912782fd25c7f114ca3723a2d5dd6f3bcc3ac8db5af63baa85f711d5ec liquidity-delta
  ModifyLiquidity(bytes32 indexed id, address indexed sender, int24 tickLower, int24
  tickUpper, int256 liquidityDelta, bytes32 salt)
[permit2]
da9fa7c1b00402c17d0161b249b1ab8bbec047c5a52207b9c112deffd817036b approve
  Approval(address indexed owner, address indexed token, address indexed spender, uint160
  amount, uint48 expiration)
c6a377bfc4eb120024a8ac08eef205be16b817020812c73223e81d1bdb9708ec permit
  Permit(address indexed owner, address indexed token, address indexed spender, uint160
  amount, uint48 expiration, uint48 nonce)
[aave v3]
2b627736bca15cd5381dcf80b0bf11fd197d01a037c52b927a881a10fb73ba61 supply
  Supply(address indexed reserve, address user, address indexed onBehalfOf, uint256 amount,
  uint16 indexed referralCode)
3115d1449a7b732c986cba18244e897a450f61e1bb8d589cd2e69e6c8924f9f7 withdraw
  Withdraw(address indexed reserve, address indexed user, address indexed to, uint256 amount)
b3d084820fb1a9decffb176436bd02558d15fac9b0ddfed8c465bc7359d7dce0 borrow
  Borrow(address indexed reserve, address user, address indexed onBehalfOf, uint256 amount,
  uint8 interestRateMode, uint256 borrowRate, uint16 indexed referralCode)
a534c8dbe71f871f9f3530e97a74601fea17b426cae02e1c5aee42c96c784051 repay
  Repay(address indexed reserve, address indexed user, address indexed repayer, uint256
  amount, bool useATokens)
e413a321e8681d831f4dbccbca790d2952b56f977908e45be37335533e005286 liquidate
  LiquidationCall(address indexed collateralAsset, address indexed debtAsset, address indexed
  user, uint256 debtToCover, uint256 liquidatedCollateralAmount, address liquidator, bool
  receiveAToken)
efefaba5e921573100900a3ad9cf29f222d995fb3b6045797eaea7521bd8d6f0 flash-loan
  FlashLoan(address indexed target, address initiator, address indexed asset, uint256 amount,
  uint8 interestRateMode, uint256 premium, uint16 indexed referralCode)
804c9b842b2748a22bb64b345453a3de7ca54a6ca45ce00d415894979e22897a -
  ReserveDataUpdated(address indexed reserve, uint256 liquidityRate, uint256 stableBorrowRate,
  uint256 variableBorrowRate, uint256 liquidityIndex, uint256 variableBorrowIndex)
458f5fa412d0f69b08dd84872b0215675cc67bc1d5b6fd93300a1c3878b86196 -
  Mint(address indexed caller, address indexed onBehalfOf, uint256 value, uint256
  balanceIncrease, uint256 index)
4cf25bc1d991c17529c25213d3cc0cda295eeaad5f13f361969b12ea48015f90 -
  Burn(address indexed from, address indexed target, uint256 value, uint256 balanceIncrease,
  uint256 index)
c052130bc4ef84580db505783484b067ea8b71b3bca78a7e12db7aea8658f004 claim-rewards
  RewardsClaimed(address indexed user, address indexed reward, address indexed to, address
  claimer, uint256 amount)
[compound v3]
fa56f7b24f17183d81894d3ac2ee654e3c26388d17a28dbd9549b8114304e1f4 supply
  SupplyCollateral(address indexed from, address indexed dst, address indexed asset, uint256
  amount)
d6d480d5b3068db003533b170d67561494d72e3bf9fa40a266471351ebba9e16 withdraw
  WithdrawCollateral(address indexed src, address indexed to, address indexed asset, uint256
  amount)
1547a878dc89ad3c367b6338b4be6a65a5dd74fb77ae044da1e8747ef1f4f62f liquidate
  AbsorbDebt(address indexed absorber, address indexed borrower, uint256 basePaidOut, uint256
  usdValue)
9850ab1af75177e4a9201c65a2cf7976d5d28e40ef63494b44366f86b2f9412e liquidate
  AbsorbCollateral(address indexed absorber, address indexed borrower, address indexed asset,
  uint256 collateralAbsorbed, uint256 usdValue)
[balancer v2]
2170c741c41531aec20e7c107c24eecfdd15e69c9bb0a8dd37b1840b9e0b207b swap
  Swap(bytes32 indexed poolId, address indexed tokenIn, address indexed tokenOut, uint256
  amountIn, uint256 amountOut)
0d7d75e01ab95780d3cd1c8ec0dd6c2ce19e3a20427eec8bf53283b6fb8e95f0 flash-loan
  FlashLoan(address indexed recipient, address indexed token, uint256 amount, uint256
  feeAmount)
[curve]
8b3e96f2b889fa771c53c981b40daf005f63f637f1869f707052d15a3dd97140 swap
  TokenExchange(address indexed buyer, int128 sold_id, uint256 tokens_sold, int128 bought_id,
  uint256 tokens_bought)
[governor]
b8e138887d0aa13bab447e82de9d5c1777041ecd21ca36ba824ff1e6c07ddda4 governance-vote
  VoteCast(address indexed voter, uint256 proposalId, uint8 support, uint256 weight, string
  reason)
3134e8a2e6d97e929a7e54011ea5485d7d196dd5f0ba4d4ef95803e8e3fc257f delegation
  DelegateChanged(address indexed delegator, address indexed fromDelegate, address indexed
  toDelegate)
[op bridge]
35d79ab81f2b2017e19afb5c5571778877782d7a8786f5907f93b0f4702f4f23 bridge
  ETHDepositInitiated(address indexed from, address indexed to, uint256 amount, bytes
  extraData)
718594027abd4eaed59f95162563e0cc6d0e8d5b86b1c7be8b1b0ac3343d0396 bridge
  ERC20DepositInitiated(address indexed l1Token, address indexed l2Token, address indexed
  from, address to, uint256 amount, bytes extraData)
"""
