"""Compound v2 (cTokens) and v3 (Comet): what changed for suppliers, borrowers and liquidators.

Source: the Compound v2 and Compound III documentation.
"""

from __future__ import annotations

from .record import NONE, Entry, Protocol, Table

_GOVERNOR = "Compound Governor, through its timelock"
_COMPTROLLER = "Compound v2 documentation: comptroller"
_CTOKEN = "Compound v2 documentation: ctokens"

_TABLE: Table = {
    "market_shape": {
        "v2": Entry("one pool of many assets", "each listed asset can be supplied and borrowed"),
        "v3": Entry("one market per base asset", "only the base asset can be borrowed"),
    },
    "core_contract": {
        "v2": Entry("Comptroller and cTokens", "the Comptroller checks, cTokens hold the assets"),
        "v3": Entry("Comet", "one proxy for each market, such as cUSDCv3"),
    },
    "supply_receipt": {
        "v2": Entry("cToken", "an ERC-20 whose exchange rate rises"),
        "v3": Entry("base balance in Comet", "a rebasing ERC-20 view; collateral gives no token"),
    },
    "supply_function": {
        "v2": Entry("mint of the cToken", "redeem takes it out", _CTOKEN),
        "v3": Entry("supply(asset, amount)", "the same function for base and collateral"),
    },
    "borrow_function": {
        "v2": Entry("borrow of the cToken", "after enterMarkets for the collateral"),
        "v3": Entry("withdraw of the base asset", "more than supplied is a borrow"),
    },
    "collateral_interest": {
        "v2": Entry("collateral earns interest", "it is lent out like any supply"),
        "v3": Entry("collateral earns nothing", "it is not lent out"),
    },
    "collateral_use": {
        "v2": Entry("lent to borrowers", "withdrawals depend on liquidity"),
        "v3": Entry("stays the user's in the contract", "unless it is absorbed"),
    },
    "interest_clock": {
        "v2": Entry("per block", "rates are per block; APR assumes a block time"),
        "v3": Entry("per second", "rates are per second, by the block's timestamp"),
    },
    "rate_curves": {
        "v2": Entry(
            "borrow curve; supply rate follows", "supply = borrow x utilization x (1 - RF)"
        ),
        "v3": Entry("separate supply and borrow curves", "each with base, two slopes and a kink"),
    },
    "rate_model_place": {
        "v2": Entry("an interest rate model contract", "replaceable for each cToken"),
        "v3": Entry("parameters inside Comet", "set in the Configurator, then redeployed"),
    },
    "reserves_source": {
        "v2": Entry("reserve factor on interest", "a fraction of what borrowers pay"),
        "v3": Entry("gap between borrow and supply interest", "and profits of the collateral shop"),
    },
    "collateral_factors": {
        "v2": Entry("one collateral factor", "for borrowing and for liquidation alike"),
        "v3": Entry("borrow and liquidate factors", "the liquidate factor is higher"),
    },
    "liquidation_function": {
        "v2": Entry("liquidateBorrow", "the liquidator repays and seizes cTokens"),
        "v3": Entry("absorb", "the protocol takes the whole account"),
    },
    "liquidation_size": {
        "v2": Entry(
            "up to the close factor of one borrow",
            "closeFactorMantissa, 5% to 90% by code, long set to 50%; in one call",
            _COMPTROLLER,
            _GOVERNOR,
        ),
        "v3": Entry("the whole account", "all collateral seized, the debt cleared"),
    },
    "liquidation_capital": {
        "v2": Entry("the liquidator's", "who repays the borrower's debt"),
        "v3": Entry("the protocol's reserves", "buyCollateral refills them"),
    },
    "seized_collateral": {
        "v2": Entry("goes to the liquidator", "as cTokens, less a protocol share"),
        "v3": Entry("is sold by the protocol", "buyCollateral, at a discount"),
    },
    "liquidator_reward": {
        "v2": Entry(
            "liquidation incentive of the Comptroller",
            "liquidationIncentiveMantissa; 1.08 is 8%, less a protocol share",
            _COMPTROLLER,
            _GOVERNOR,
        ),
        "v3": Entry("discount of storeFrontPriceFactor", "x (1 - liquidationFactor) of the price"),
    },
    "borrower_after_liquidation": {
        "v2": Entry("keeps the rest of both sides", "until it is healthy or liquidated again"),
        "v3": Entry(
            "has no debt, often a base balance", "collateral x liquidationFactor is credited"
        ),
    },
    "collateral_for_sale": {
        "v2": Entry(NONE, "nothing is held by the protocol"),
        "v3": Entry("only while reserves are below target", "targetReserves"),
    },
    "minimum_borrow": {
        "v2": Entry(NONE, "any amount above zero"),
        "v3": Entry("baseBorrowMin", "in base units, set per market"),
    },
    "supply_caps": {
        "v2": Entry("borrow caps only", "set per cToken"),
        "v3": Entry("a supply cap per collateral", "the base asset has none"),
    },
    "balance_storage": {
        "v2": Entry("cToken units x exchange rate", "borrows have a borrow index"),
        "v3": Entry("signed principal x index", "above zero supplied, below zero borrowed"),
    },
    "index_scale": {
        "v2": Entry("1e18", "the borrow index starts at 1e18"),
        "v3": Entry("1e15", "base supply and borrow indices start at 1e15"),
    },
    "health_check": {
        "v2": Entry("getAccountLiquidity", "returns error, liquidity and shortfall"),
        "v3": Entry("isLiquidatable", "isBorrowCollateralized for new borrows"),
    },
    "reward_claim": {
        "v2": Entry("claimComp of the Comptroller", "COMP accrues per market"),
        "v3": Entry("claim of CometRewards", "accrual is tracked inside Comet"),
    },
    "account_manager": {
        "v2": Entry(NONE, "only ERC-20 allowances of cTokens"),
        "v3": Entry("allow(manager, isAllowed)", "an operator acts for the account"),
    },
    "price_source": {
        "v2": Entry("one price oracle in the Comptroller", "getUnderlyingPrice(cToken)"),
        "v3": Entry("a price feed per asset", "fixed in the market's configuration"),
    },
    "isolation": {
        "v2": Entry("all assets share the risk", "one bad collateral hurts every supplier"),
        "v3": Entry("each base market apart", "its own collateral list and reserves"),
    },
}

PROTOCOL = Protocol(
    "compound",
    {
        "v2": "Compound v2 documentation: comptroller and ctokens",
        "v3": "Compound III documentation and Comet interfaces (CometMainInterface)",
    },
    _TABLE,
)
