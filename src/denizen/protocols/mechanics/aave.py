"""Aave v2 and v3: reserves, risk settings, liquidation and flash loans.

v3 has been upgraded in place (3.1 to 3.7): an answer names the upgrade that changed it.
Source: the v2 white paper, the v3 technical paper, aave-v3-origin's notes, aave-dao proposals.
"""

from __future__ import annotations

from .record import HALF_YEAR, NONE, QUARTER, Entry, Protocol, Table

_DAO = "Aave governance"
_NOTES = "aave-v3-origin: docs/"
_V31 = _NOTES + "3.1/Aave-v3.1-features.md"
_V32 = _NOTES + "3.2/Aave-v3.2-features.md"
_V33 = _NOTES + "3.3/Aave-v3.3-features.md"
_V34 = _NOTES + "3.4/Aave-v3.4-features.md"
_V36 = _NOTES + "3.6/Aave-v3.6-features.md"
_MODES = _NOTES + "3.7/mode-removal.md"
_SENTINEL = _NOTES + "3.7/sentinel-removal.md"
_LISTING = (
    "aave-dao proposals: 20260120_AaveV3Ethereum_OnboardStrataSrUSDePTTokensToV3CoreInstance "
    "(OnboardStrataSrUSDePTTokensToV3CoreInstance.md)"
)

_TABLE: Table = {
    "core_contract": {
        "v2": Entry("LendingPool", "behind a LendingPoolAddressesProvider"),
        "v3": Entry("Pool", "behind a PoolAddressesProvider"),
    },
    "supply_function": {
        "v2": Entry("deposit", "LendingPool.deposit"),
        "v3": Entry("supply", "deposit stays as an alias"),
    },
    "efficiency_mode": {
        "v2": Entry(NONE, "one set of parameters for each reserve"),
        "v3": Entry("yes, eMode categories", "higher LTV among correlated assets"),
    },
    "efficiency_mode_scope": {
        "v2": Entry(NONE, "there is no eMode"),
        "v3": Entry(
            "an asset may be in several categories",
            "liquid eModes since v3.2; v3.6 frees them from the base settings",
            _V36,
        ),
    },
    "isolation_mode": {
        "v2": Entry(NONE, "a listed collateral backs any borrow"),
        "v3": Entry(
            "yes up to v3.6, with a debt ceiling; gone in v3.7",
            "an isolated collateral backed only permitted stablecoins",
            _MODES,
        ),
    },
    "siloed_borrowing": {
        "v2": Entry(NONE, "any mix of borrows is allowed"),
        "v3": Entry(
            "yes up to v3.6, as the only borrow; gone in v3.7",
            "a flag of the reserve, never set in production",
            _MODES,
        ),
    },
    "supply_borrow_caps": {
        "v2": Entry(NONE, "risk is limited by freezing a reserve"),
        "v3": Entry("yes, a supply and a borrow cap", "in whole tokens, per reserve", _LISTING),
    },
    "stable_rate": {
        "v2": Entry("yes, stable and variable debt", "swapBorrowRateMode changes over"),
        "v3": Entry(
            "no, removed in v3.2", "launched with v3.0, then switched off everywhere", _V32
        ),
    },
    "debt_tokens": {
        "v2": Entry("a stable and a variable token per reserve", "neither can be transferred"),
        "v3": Entry("the variable debt token", "the stable one went with v3.2", _V32),
    },
    "close_factor": {
        "v2": Entry("50% of the debt", "in one liquidation call"),
        "v3": Entry(
            "50%, or 100% below health factor 0.95",
            "since v3.3 half of the account's whole debt, small positions in full",
            _V33,
        ),
    },
    "close_factor_small_position": {
        "v2": Entry(NONE, "size does not matter"),
        "v3": Entry(
            "100% below 2,000 dollars",
            "of debt or collateral in the reserve, since v3.3",
            "aave-v3-origin: MIN_BASE_MAX_CLOSE_FACTOR_THRESHOLD of LiquidationLogic",
            _DAO,
            HALF_YEAR,
        ),
    },
    "liquidation_bonus_fee": {
        "v2": Entry("none, the liquidator keeps all", "the whole bonus is the liquidator's"),
        "v3": Entry(
            "liquidationProtocolFee, part of the bonus",
            "set per reserve and sent to the treasury",
            _LISTING,
            _DAO,
        ),
    },
    "bad_debt": {
        "v2": Entry("stays as debt", "it accrues interest in an empty account"),
        "v3": Entry("burnt and booked as a deficit", "since v3.3; Umbrella may cover it", _V33),
    },
    "health_factor": {
        "v2": Entry(
            "collateral x liquidation threshold / debt",
            "in the oracle's currency; below one is liquidatable",
            shared=True,
        ),
        "v3": Entry(
            "collateral x liquidation threshold / debt",
            "with the eMode's threshold where one is entered",
            shared=True,
        ),
    },
    "borrow_limit": {
        "v2": Entry("LTV", "below the liquidation threshold", shared=True),
        "v3": Entry("LTV", "below the liquidation threshold", shared=True),
    },
    "flash_loan_premium": {
        "v2": Entry("0.09%", "FLASHLOAN_PREMIUM_TOTAL is 9 of 10,000"),
        "v3": Entry(
            "0.05%",
            "FLASHLOAN_PREMIUM_TOTAL is 5 of 10,000",
            "aave-v3-origin: DefaultMarketInput",
            _DAO,
            QUARTER,
        ),
    },
    "flash_loan_functions": {
        "v2": Entry("flashLoan", "several assets at once"),
        "v3": Entry(
            "flashLoan and flashLoanSimple", "the simple one lends one asset, for less gas"
        ),
    },
    "supply_token": {
        "v2": Entry(
            "rebasing aToken",
            "one aToken is one unit of the asset; the balance grows",
            shared=True,
        ),
        "v3": Entry(
            "rebasing aToken",
            "balanceOf is the scaled balance times the liquidity index",
            shared=True,
        ),
    },
    "oracle_currency": {
        "v2": Entry("ETH", "on the Ethereum market, in wei"),
        "v3": Entry("US dollar with 8 decimals", "BASE_CURRENCY_UNIT is 1e8"),
    },
    "sequencer_check": {
        "v2": Entry(NONE, "v2 was built for L1"),
        "v3": Entry(
            "PriceOracleSentinel up to v3.6, gone in v3.7",
            "a grace period after an L2 sequencer restarts",
            _SENTINEL,
        ),
    },
    "repay_with_supply": {
        "v2": Entry("through an adapter contract", "a flash loan frees the collateral"),
        "v3": Entry("repayWithATokens", "burns aTokens of the debt's asset"),
    },
    "supply_by_signature": {
        "v2": Entry("none, approve first", "aTokens have permit, the pool has not"),
        "v3": Entry("supplyWithPermit", "repayWithPermit too"),
    },
    "cross_chain": {
        "v2": Entry(NONE, "each market stands alone"),
        "v3": Entry(
            "Portals up to v3.3, gone in v3.4",
            "bridges could have minted unbacked aTokens; never used",
            _V34,
        ),
    },
    "rewards_contract": {
        "v2": Entry("AaveIncentivesController", "one reward token"),
        "v3": Entry("RewardsController", "several reward tokens for one asset"),
    },
    "balance_accounting": {
        "v2": Entry("token balance of the aToken", "a transfer to it adds liquidity"),
        "v3": Entry("virtual balance", "since v3.1, so donations do not move rates", _V31),
    },
    "account_data_currency": {
        "v2": Entry("totalCollateralETH, totalDebtETH", "getUserAccountData"),
        "v3": Entry("totalCollateralBase, totalDebtBase", "getUserAccountData"),
    },
    "deployment": {
        "v2": Entry("Ethereum, Polygon and Avalanche", "new markets open on v3"),
        "v3": Entry(
            "many chains and several Ethereum markets",
            "Core, Prime and others share the code",
            "Aave documentation: resources/changelog",
            _DAO,
            HALF_YEAR,
        ),
    },
}

PROTOCOL = Protocol(
    "aave",
    {
        "v2": "Aave v2 white paper and protocol-v2 contracts (ILendingPool, LendingPool)",
        "v3": "Aave v3 technical paper and aave-v3-origin contracts (IPool)",
    },
    _TABLE,
)
