"""Morpho Optimizers (over Aave and Compound) and Morpho Blue (own isolated markets).

Source: the Morpho papers and documentation.
"""

from __future__ import annotations

from .record import NONE, Entry, Protocol, Table

_MARKETS = "Morpho Blue contract: IMorpho"

_TABLE: Table = {
    "liquidity": {
        "optimizer": Entry(
            "matched peer to peer over a pool", "what is unmatched sits in the pool"
        ),
        "blue": Entry("its own isolated markets", "no pool underneath"),
    },
    "market_creation": {
        "optimizer": Entry("by governance, for listed assets", "an asset of the underlying pool"),
        "blue": Entry("permissionless", "with an enabled rate model and LLTV"),
    },
    "market_parameters": {
        "optimizer": Entry("those of the underlying pool", "risk settings are inherited"),
        "blue": Entry("five, fixed for ever", "loan, collateral, oracle, IRM and LLTV"),
    },
    "market_size": {
        "optimizer": Entry("all assets of the pool", "one account, several collaterals"),
        "blue": Entry("one loan and one collateral asset", "a position does not span markets"),
    },
    "upgradeable": {
        "optimizer": Entry("yes, behind proxies", "governance upgrades them"),
        "blue": Entry("no, immutable", "governance can only enable options and set fees"),
    },
    "liquidation_terms": {
        "optimizer": Entry("those of the underlying pool", "thresholds, close factor and bonus"),
        "blue": Entry("from the LLTV alone", "incentive = min(1.15, 1 / (1 - 0.3 (1 - LLTV)))"),
    },
    "liquidation_incentive_cap": {
        "optimizer": Entry("none of its own", "the underlying pool's bonus holds"),
        "blue": Entry("1.15", "so at most 15% above the debt repaid"),
    },
    "liquidation_cursor": {
        "optimizer": Entry(NONE, "the underlying pool's bonus holds"),
        "blue": Entry("0.3", "beta of the incentive formula"),
    },
    "close_factor": {
        "optimizer": Entry("that of the underlying pool", "50% in the usual case"),
        "blue": Entry("100%", "the whole debt in one call"),
    },
    "bad_debt": {
        "optimizer": Entry("stays in the position", "as in the underlying pool"),
        "blue": Entry("taken off suppliers at once", "when a liquidation leaves no collateral"),
    },
    "oracle": {
        "optimizer": Entry("that of the underlying pool", "no choice of its own"),
        "blue": Entry("chosen at market creation", "price scaled by 1e36"),
    },
    "interest_rate": {
        "optimizer": Entry("between the pool's two rates", "where matched; else the pool's"),
        "blue": Entry("by the market's IRM", "AdaptiveCurveIRM in most markets"),
    },
    "target_utilization": {
        "optimizer": Entry("none of its own", "the pool's curve holds"),
        "blue": Entry("90%", "of the AdaptiveCurveIRM"),
    },
    "curve_steepness": {
        "optimizer": Entry(NONE, "the pool's curve holds"),
        "blue": Entry("4", "rate at full use is 4 times, when idle a quarter, of the target's"),
    },
    "collateral_use": {
        "optimizer": Entry(
            "lent out, by the pool or matched", "on Aave v3 collateral only sits in the pool"
        ),
        "blue": Entry("not lent out", "collateral earns nothing"),
    },
    "virtual_shares": {
        "optimizer": Entry(NONE, "balances are scaled by indices"),
        "blue": Entry("1e6 virtual shares and 1 asset", "against share price manipulation"),
    },
    "maximum_fee": {
        "optimizer": Entry("a reserve factor per market", "on the gain over the pool"),
        "blue": Entry(
            "25% of the interest", "a constant; below it the owner sets each market's", _MARKETS
        ),
    },
    "flash_loan": {
        "optimizer": Entry(NONE, "the underlying pool has its own"),
        "blue": Entry("free", "of anything the contract holds, across markets"),
    },
}

PROTOCOL = Protocol(
    "morpho",
    {
        "optimizer": "Morpho documentation: morpho-optimizers, and the yellow paper",
        "blue": "Morpho Blue white paper and blue-sdk (MarketParams, AdaptiveCurveIrmLib)",
    },
    _TABLE,
)
