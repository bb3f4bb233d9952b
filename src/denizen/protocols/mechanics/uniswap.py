"""Uniswap v2, v3 and v4: what traders and liquidity providers meet.

CORE holds the first topics, which tools and a frozen evaluation set quote word for word; MORE
the later ones.  Source: the white papers, the contracts and the Uniswap documentation.
"""

from __future__ import annotations

from .record import HALF_YEAR, NONE, Entry, Table

SOURCES = {
    "v2": "Uniswap v2 white paper and v2-core contracts",
    "v3": "Uniswap v3 white paper and v3-core contracts",
    "v4": "Uniswap v4 documentation and v4-core contracts",
}

CORE: Table = {
    "swap_fee": {
        "v2": Entry("0.30%", "one fixed fee of 0.30% in every pair"),
        "v3": Entry(
            "0.01%, 0.05%, 0.30% or 1.00%",
            "fee tiers fixed at pool creation",
            changeable_by="factory owner (governance), who enables tiers",
            expires=HALF_YEAR,
        ),
        "v4": Entry("any fee, static or dynamic", "set per pool in its key; a hook may change it"),
    },
    "max_fee": {
        "v2": Entry("0.30%", "the fee is a constant of the pair contract"),
        "v3": Entry(
            "1.00%",
            "the highest tier enabled; governance may enable tiers below 100%",
            changeable_by="factory owner (governance), who enables tiers",
            expires=HALF_YEAR,
        ),
        "v4": Entry("100%", "LP fees go up to 1,000,000 pips"),
    },
    "protocol_fee": {
        "v2": Entry(
            "1/6 of the fee",
            "0.05 of the 0.30 points, if the factory's feeTo is set",
            changeable_by="feeToSetter (governance), on or off",
        ),
        "v3": Entry(
            "1/4 to 1/10 of the fee",
            "set per pool and token by the factory owner",
            changeable_by="factory owner (governance)",
        ),
        "v4": Entry(
            "up to 0.1% of the swap",
            "set per pool and direction by the fee controller",
            changeable_by="protocol fee controller",
        ),
    },
    "fee_payment": {
        "v2": Entry("added to the reserves", "fees compound into the pair and raise each LP token"),
        "v3": Entry("kept apart and collected", "tracked by fee growth and claimed with collect"),
        "v4": Entry(
            "kept apart and paid on liquidity changes",
            "tracked by fee growth and credited whenever the position's liquidity is modified",
        ),
    },
    "lp_token": {
        "v2": Entry("ERC-20 token", "fungible LP tokens of the pair"),
        "v3": Entry("ERC-721 NFT", "minted by the NonfungiblePositionManager"),
        "v4": Entry("ERC-721 NFT of the PositionManager", "ERC-6909 claims are for token balances"),
    },
    "native_eth": {
        "v2": Entry("no, wrapped as WETH", "routers wrap and unwrap"),
        "v3": Entry("no, WETH only", "periphery wraps and unwraps"),
        "v4": Entry("yes, native ETH", "currency0 may be the zero address"),
    },
    "contract_layout": {
        "v2": Entry("one contract per pair", "deployed by the factory"),
        "v3": Entry("one contract per pool", "one for each pair and fee tier"),
        "v4": Entry("one singleton PoolManager", "all pools live in one contract"),
    },
    "pool_id": {
        "v2": Entry("pair address", "CREATE2 from the two sorted tokens"),
        "v3": Entry("pool address", "CREATE2 from the two tokens and the fee"),
        "v4": Entry("PoolId, the hash of the PoolKey", "tokens, fee, tick spacing and hooks"),
    },
    "flash": {
        "v2": Entry("flash swap", "swap sends first and calls uniswapV2Call if data is given"),
        "v3": Entry("flash function", "flash lends both tokens and calls uniswapV3FlashCallback"),
        "v4": Entry("flash accounting", "unlock the PoolManager and settle all deltas at the end"),
    },
    "callback": {
        "v2": Entry("uniswapV2Call", "only for flash swaps; a plain swap is paid in advance"),
        "v3": Entry("uniswapV3SwapCallback", "the caller pays inside the callback"),
        "v4": Entry("unlockCallback", "all actions happen inside the unlock"),
    },
    "oracle": {
        "v2": Entry("cumulative prices", "price0CumulativeLast and price1CumulativeLast per pair"),
        "v3": Entry(
            "observe with up to 65,535 observations", "cumulative ticks stored in the pool"
        ),
        "v4": Entry("none built in", "an oracle needs a hook"),
    },
    "hooks": {
        "v2": Entry("no hooks", "pair logic is fixed"),
        "v3": Entry("no pool hooks", "pool logic is fixed"),
        "v4": Entry(
            "yes, hooks", "permissions are encoded in the lowest 14 bits of the hook's address"
        ),
    },
    "liquidity_shape": {
        "v2": Entry("full range", "spread over all prices from zero to infinity"),
        "v3": Entry("concentrated ranges", "each position picks two ticks"),
        "v4": Entry("concentrated ranges by default", "hooks may implement another curve"),
    },
}

SPACING_V3 = {"0.01%": "1", "0.05%": "10", "0.30%": "60", "1.00%": "200"}
SPACING_NOTE = {
    "v2": Entry("no ticks", "v2 liquidity covers the full range"),
    "v4": Entry("chosen per pool, 1 to 32767", "part of the pool key and independent of the fee"),
}

_FEES = "Uniswap documentation: concepts/protocol/fees"
_FEE_GUIDE = "Uniswap documentation: contracts/v4/concepts/fee-structure"
_V4_VS_V3 = "Uniswap documentation: contracts/v4/concepts/v4-vs-v3"

MORE: Table = {
    "default_tick_spacings": {
        "v2": Entry("none, there are no ticks", "liquidity covers every price"),
        "v3": Entry(
            "1, 10, 60 and 200",
            "for the 0.01%, 0.05%, 0.30% and 1.00% tiers",
            changeable_by="factory owner (governance), who enables tiers",
            expires=HALF_YEAR,
        ),
        "v4": Entry("none prescribed", "whoever initialises the pool picks the spacing"),
    },
    "protocol_fee_setter": {
        "v2": Entry("feeToSetter of the factory", "it names feeTo for all pairs at once"),
        "v3": Entry("owner of the factory", "per pool, with setFeeProtocol"),
        "v4": Entry(
            "protocolFeeController",
            "named by the PoolManager's owner; it sets fees per pool",
            _FEE_GUIDE,
        ),
    },
    "protocol_fee_base": {
        "v2": Entry("growth of the root of k", "minted as LP tokens when liquidity moves"),
        "v3": Entry("a part of the LP fee", "the swapper's price stays the tier's", _FEE_GUIDE),
        "v4": Entry(
            "the input, before the LP fee",
            "both fees apply one after the other, so the swap fee is their compound",
            _FEE_GUIDE,
        ),
    },
    "protocol_fee_rollout_2025": {
        "v2": Entry("all pools", "UNIfication, passed on 25 December 2025", _FEES),
        "v3": Entry("selected pools", "UNIfication, passed on 25 December 2025", _FEES),
        "v4": Entry("not part of it", "the vote named v2 pools and certain v3 pools", _FEES),
    },
    "flash_fee": {
        "v2": Entry("0.30%, as for a swap", "about 0.3009% of a loan returned in its own token"),
        "v3": Entry("the pool's fee tier", "of each token lent, rounded up"),
        "v4": Entry(NONE, "only the deltas have to be settled by the end"),
    },
    "fee_unit": {
        "v2": Entry("997/1000 in the formula", "the fee is a constant, not a variable"),
        "v3": Entry("hundredths of a basis point", "3000 is 0.30%", shared=True),
        "v4": Entry("hundredths of a basis point", "also called pips", _FEE_GUIDE, shared=True),
    },
    "dynamic_fee_flag": {
        "v2": Entry(NONE, "the fee never changes", shared=True),
        "v3": Entry(NONE, "a pool keeps its tier", shared=True),
        "v4": Entry("0x800000", "as the key's fee; only the pool's hook sets the fee", _FEE_GUIDE),
    },
    "dynamic_fee_setter": {
        "v2": Entry(NONE, "the fee never changes", shared=True),
        "v3": Entry(NONE, "a pool keeps its tier", shared=True),
        "v4": Entry("the pool's hook", "and only if the key carries the flag", _FEE_GUIDE),
    },
    "hook_flags": {
        "v2": Entry(NONE, "there are no hooks", shared=True),
        "v3": Entry(NONE, "there are no hooks", shared=True),
        "v4": Entry("14 lowest bits of the hook's address", "10 calls and 4 return deltas"),
    },
    "max_tick": {
        "v2": Entry(NONE, "there are no ticks"),
        "v3": Entry("887272", "and -887272 at the other end", shared=True),
        "v4": Entry("887272", "and -887272 at the other end", shared=True),
    },
    "min_sqrt_price": {
        "v2": Entry(NONE, "the price is the ratio of the reserves"),
        "v3": Entry("4295128739", "MIN_SQRT_RATIO, the price at tick -887272", shared=True),
        "v4": Entry("4295128739", "MIN_SQRT_PRICE, the price at tick -887272", shared=True),
    },
    "price_limit_argument": {
        "v2": Entry(NONE, "the pair checks k; the router checks the minimum output"),
        "v3": Entry("sqrtPriceLimitX96", "the swap stops there, partly filled", shared=True),
        "v4": Entry("sqrtPriceLimitX96", "the swap stops there, partly filled", shared=True),
    },
    "exact_input_sign": {
        "v2": Entry("none, amounts are unsigned", "swap names both outputs"),
        "v3": Entry("positive amountSpecified", "negative asks for an exact output"),
        "v4": Entry("negative amountSpecified", "positive asks for an exact output"),
    },
    "swap_event_sign": {
        "v2": Entry("none, four unsigned amounts", "amount0In, amount1In, amount0Out, amount1Out"),
        "v3": Entry("the pool's side", "positive went into the pool"),
        "v4": Entry("the swapper's side", "negative was paid in by the swapper"),
    },
    "price_state": {
        "v2": Entry("two reserves of 112 bits", "getReserves, with the last block's timestamp"),
        "v3": Entry("sqrtPriceX96 in the pool's slot0", "each pool is a contract of its own"),
        "v4": Entry("sqrtPriceX96 by PoolId in the PoolManager", "StateView and extsload read it"),
    },
    "oracle_mean": {
        "v2": Entry("arithmetic mean price", "of cumulative prices, time-weighted"),
        "v3": Entry("geometric mean price", "of cumulative ticks, time-weighted"),
        "v4": Entry("none built in", "an oracle hook decides"),
    },
    "locked_first_liquidity": {
        "v2": Entry("1000 LP units, for ever", "MINIMUM_LIQUIDITY guards the share price"),
        "v3": Entry(NONE, "positions are kept apart", shared=True),
        "v4": Entry(NONE, "positions are kept apart", shared=True),
    },
    "donation": {
        "v2": Entry("transfer, then sync", "the balance becomes reserves"),
        "v3": Entry(NONE, "only flash payments above the fee reach the LPs"),
        "v4": Entry("donate", "pays the in-range LPs of a pool"),
    },
    "position_salt": {
        "v2": Entry(NONE, "LP tokens are fungible", shared=True),
        "v3": Entry(NONE, "equal owner and range share one position", _V4_VS_V3, shared=True),
        "v4": Entry("bytes32 salt", "keeps positions of one range apart", _V4_VS_V3),
    },
    "multi_hop_transfers": {
        "v2": Entry("token transfers between pairs", "each hop moves its token"),
        "v3": Entry("a callback payment in each pool", "the router pays hop by hop", _V4_VS_V3),
        "v4": Entry("net deltas at the end", "flash accounting settles once", _V4_VS_V3),
    },
}
