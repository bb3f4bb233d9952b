"""Curve: v1 (StableSwap), v2 (CryptoSwap) and NG (Stableswap-NG) pools.

"v1" stands for the StableSwap pools before NG, "v2" for the first crypto pools.
Source: the StableSwap and CryptoSwap papers and the Curve documentation.
"""

from __future__ import annotations

from .record import HALF_YEAR, NONE, Entry, Protocol, Table

_DAO = "Curve DAO"

_TABLE: Table = {
    "asset_kind": {
        "v1": Entry("assets of equal price", "dollar to dollar, BTC to BTC"),
        "v2": Entry("assets of free price", "such as ETH to a dollar"),
        "ng": Entry("assets of equal price or known rate", "plain, oracle, rebasing, ERC-4626"),
    },
    "invariant": {
        "v1": Entry("StableSwap", "between constant sum and constant product", shared=True),
        "v2": Entry("CryptoSwap", "liquidity concentrated around an inner price"),
        "ng": Entry("StableSwap", "the same invariant over rate-scaled balances", shared=True),
    },
    "curve_parameters": {
        "v1": Entry("A", "amplification", shared=True),
        "v2": Entry("A and gamma", "gamma sets how fast liquidity thins out"),
        "ng": Entry("A", "amplification", shared=True),
    },
    "swap_fee": {
        "v1": Entry("fixed per pool", "one fee, set by the admin; the Aave pools' fee was dynamic"),
        "v2": Entry("dynamic, from mid_fee to out_fee", "higher the further from balance"),
        "ng": Entry("dynamic, by offpeg_fee_multiplier", "higher the further from the peg"),
    },
    "fee_parameters": {
        "v1": Entry("fee", "precision 1e10"),
        "v2": Entry("mid_fee, out_fee and fee_gamma", "the fees with precision 1e10"),
        "ng": Entry("fee and offpeg_fee_multiplier", "both with precision 1e10"),
    },
    "fee_precision": {
        "v1": Entry("1e10", "4000000 is 0.04%", shared=True),
        "v2": Entry("1e10", "for mid_fee and out_fee", shared=True),
        "ng": Entry("1e10", "4000000 is 0.04%", shared=True),
    },
    "admin_fee": {
        "v1": Entry("50% of the fee", "for veCRV holders", None, _DAO, HALF_YEAR, True),
        "v2": Entry(
            "50% of the fee", "claimed from the pool's profit", None, _DAO, HALF_YEAR, True
        ),
        "ng": Entry("50% of the fee", "a constant of the implementation", shared=True),
    },
    "price_anchor": {
        "v1": Entry(
            "fixed at one", "per underlying unit; lending pools and metapools apply a rate first"
        ),
        "v2": Entry("price_scale, moved by the pool", "it follows the EMA oracle"),
        "ng": Entry("stored_rates", "from rate oracles or convertToAssets"),
    },
    "repeg_condition": {
        "v1": Entry(NONE, "the anchor never moves", shared=True),
        "v2": Entry("only out of half the profit", "measured by xcp_profit"),
        "ng": Entry(NONE, "rates are read, not adjusted", shared=True),
    },
    "oracle": {
        "v1": Entry("none in the first pools", "virtual price aside"),
        "v2": Entry("EMA price oracle", "price_oracle, from last prices"),
        "ng": Entry("EMA price and D oracles", "price_oracle and D_oracle"),
    },
    "coins_per_pool": {
        "v1": Entry("2 to 4", "factory plain pools"),
        "v2": Entry("2 or 3", "twocrypto and tricrypto"),
        "ng": Entry("2 to 8", "metapools hold one coin and a base pool's LP token"),
    },
    "coin_index_type": {
        "v1": Entry("int128", "exchange(i, j, dx, min_dy)", shared=True),
        "v2": Entry("uint256", "exchange(i, j, dx, min_dy)"),
        "ng": Entry("int128", "exchange(i, j, dx, min_dy)", shared=True),
    },
    "lp_token": {
        "v1": Entry(
            "separate ERC-20 contract", "a later factory pool is its own token", shared=True
        ),
        "v2": Entry("separate ERC-20 contract", "in the first crypto pools", shared=True),
        "ng": Entry("the pool itself", "pool and LP token are one contract"),
    },
    "exchange_received": {
        "v1": Entry(NONE, "the pool pulls the coins"),
        "v2": Entry(
            "only in -ng implementations", "such as Twocrypto-NG; not in the first crypto pools"
        ),
        "ng": Entry("yes, without rebasing coins", "swaps what was sent before the call"),
    },
    "native_eth": {
        "v1": Entry("yes, in ETH pools", "such as ETH/stETH"),
        "v2": Entry("use_eth argument", "WETH otherwise, as by default"),
        "ng": Entry("no, WETH only", "ERC-20 coins only"),
    },
    "erc4626_coins": {
        "v1": Entry(NONE, "wrapped coins had pools of their own", shared=True),
        "v2": Entry(NONE, "prices float, so no rate is needed", shared=True),
        "ng": Entry("yes, asset type 3", "valued by convertToAssets"),
    },
    "rebasing_coins": {
        "v1": Entry("only in pools built for them", "such as the aToken pool"),
        "v2": Entry(NONE, "balances must not change by themselves"),
        "ng": Entry("yes, asset type 2", "exchange_received is then disabled"),
    },
    "introduced": {
        "v1": Entry("paper of November 2019", "StableSwap"),
        "v2": Entry("paper of June 2021", "automatic market making with a dynamic peg"),
        "ng": Entry(
            "October 2023",
            "on Ethereum on the 25th; a rework of StableSwap",
            "stableswap-ng: deployment history of the repository",
        ),
    },
}

PROTOCOL = Protocol(
    "curve",
    {
        "v1": "StableSwap paper and Curve documentation: stableswap-exchange, factory/stableswap",
        "v2": "CryptoSwap paper and Curve documentation: cryptoswap-exchange/cryptoswap",
        "ng": "Curve documentation: stableswap-exchange/stableswap-ng",
    },
    _TABLE,
)
