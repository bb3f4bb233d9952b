"""Uniswap v2, v3 and v4: contracts, entry points and callbacks by name.

Names are those of the published interfaces.  Source: the contracts and the Uniswap documentation
(contracts/v2, contracts/v3, contracts/v4).
"""

from __future__ import annotations

from .record import NONE, Entry, Table

_SUBSCRIBERS = "Uniswap documentation: contracts/v4/concepts/subscribers"

TABLE: Table = {
    "predecessor": {
        "v2": Entry("Uniswap v1", "v1 pools pair one token with ETH"),
        "v3": Entry("Uniswap v2", "liquidity moves with the V3Migrator"),
        "v4": Entry("Uniswap v3", "pools do not move by themselves; LPs withdraw and mint"),
    },
    "new_in_version": {
        "v2": Entry("pairs of any two ERC-20 tokens", "v1 pairs each token with ETH"),
        "v3": Entry("concentrated liquidity and fee tiers", "LP positions are no longer fungible"),
        "v4": Entry("hooks and one PoolManager", "with flash accounting and native ETH"),
    },
    "core_contract": {
        "v2": Entry("UniswapV2Pair", "one for each pair"),
        "v3": Entry("UniswapV3Pool", "one for each pair and fee"),
        "v4": Entry("PoolManager", "one for all pools"),
    },
    "core_compiler": {
        "v2": Entry("Solidity 0.5.16", "v2-core"),
        "v3": Entry("Solidity 0.7.6", "v3-core"),
        "v4": Entry("Solidity 0.8.26", "v4-core; it needs transient storage"),
    },
    "position_manager": {
        "v2": Entry("none, the pair mints LP tokens", "the router adds and removes liquidity"),
        "v3": Entry("NonfungiblePositionManager", "mint, increaseLiquidity, collect, burn"),
        "v4": Entry("PositionManager", "modifyLiquidities takes a list of encoded actions"),
    },
    "router": {
        "v2": Entry("UniswapV2Router02", "adds fee-on-transfer functions to Router01"),
        "v3": Entry("SwapRouter and SwapRouter02", "exactInputSingle and its sisters"),
        "v4": Entry("Universal Router", "its V4_SWAP command runs V4Router actions"),
    },
    "quoter": {
        "v2": Entry("getAmountsOut of the router", "a view over the reserves"),
        "v3": Entry("QuoterV2", "simulates the swap and reverts inside"),
        "v4": Entry("V4Quoter", "simulates the swap inside an unlock"),
    },
    "pool_creation": {
        "v2": Entry("createPair of the factory", "the first mint sets the price"),
        "v3": Entry("createPool, then initialize", "initialize sets the price"),
        "v4": Entry("initialize of the PoolManager", "a pool is state, not a contract"),
    },
    "swap_entry": {
        "v2": Entry("swap of the pair", "(amount0Out, amount1Out, to, data)"),
        "v3": Entry("swap of the pool", "(recipient, zeroForOne, amountSpecified, limit, data)"),
        "v4": Entry("swap inside unlock", "(PoolKey, SwapParams, hookData)"),
    },
    "add_liquidity_entry": {
        "v2": Entry("mint(to) of the pair", "the tokens are sent before the call"),
        "v3": Entry("mint of the pool", "with ticks and liquidity; paid in the callback"),
        "v4": Entry("modifyLiquidity", "a positive liquidityDelta adds, a negative one removes"),
    },
    "remove_liquidity_entry": {
        "v2": Entry("burn(to) of the pair", "pays both tokens at once"),
        "v3": Entry("burn, then collect", "burn only credits; collect pays"),
        "v4": Entry("modifyLiquidity, then take", "a negative liquidityDelta credits the caller"),
    },
    "mint_callback": {
        "v2": Entry("none, tokens are sent first", "mint reads the balances"),
        "v3": Entry("uniswapV3MintCallback", "the caller pays inside it"),
        "v4": Entry("unlockCallback", "the caller settles inside it"),
    },
    "flash_callback": {
        "v2": Entry("uniswapV2Call", "called if data is not empty"),
        "v3": Entry("uniswapV3FlashCallback", "with the fees of both tokens"),
        "v4": Entry("unlockCallback", "the one callback there is"),
    },
    "fee_collection": {
        "v2": Entry("by burning LP tokens", "fees are part of the reserves"),
        "v3": Entry("collect", "after burn, or burn of zero, updates the position"),
        "v4": Entry("modifyLiquidity with delta zero", "fees come out as a credit"),
    },
    "reentrancy_guard": {
        "v2": Entry("lock modifier of the pair", "each pair locks itself"),
        "v3": Entry("slot0.unlocked of the pool", "each pool locks itself"),
        "v4": Entry("transient unlock of the PoolManager", "AlreadyUnlocked on a second unlock"),
    },
    "subscribers": {
        "v2": Entry(NONE, "staking takes the LP token", shared=True),
        "v3": Entry(NONE, "staking takes the position's NFT", _SUBSCRIBERS, shared=True),
        "v4": Entry(
            "yes, a contract told of changes",
            "liquidity mining without giving up the position's NFT",
            _SUBSCRIBERS,
        ),
    },
    "token_accounting_id": {
        "v2": Entry(NONE, "balances sit in each pair", shared=True),
        "v3": Entry(NONE, "balances sit in each pool", shared=True),
        "v4": Entry("ERC-6909 claims", "balances may stay in the PoolManager"),
    },
}
