"""Aave v2 and v3: reserves, risk settings, liquidation and flash loans.

v3 has been upgraded in place (3.1 to 3.6): what an upgrade brought is named in the note.
Source: the v2 white paper, the v3 technical paper and its change notes, aave-dao proposals.
"""

from __future__ import annotations

from .record import HALF_YEAR, NONE, QUARTER, Entry, Protocol, Table

_DAO = "Aave governance"
_EMODE36 = (
    "aave-dao proposals: 20260127_Multi_EnhancingMarketGranularityInAave36Part2 "
    "(EnhancingMarketGranularityInAave36Part2.md)"
)
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
            _EMODE36,
        ),
    },
    "isolation_mode": {
        "v2": Entry(NONE, "a listed collateral backs any borrow"),
        "v3": Entry(
            "yes, with a debt ceiling per asset",
            "an isolated collateral backs only permitted stablecoins",
            _LISTING,
            _DAO,
            HALF_YEAR,
        ),
    },
    "siloed_borrowing": {
        "v2": Entry(NONE, "any mix of borrows is allowed"),
        "v3": Entry(
            "yes, a siloed asset is the only borrow",
            "a flag of the reserve",
            _LISTING,
            _DAO,
            HALF_YEAR,
        ),
    },
    "supply_borrow_caps": {
        "v2": Entry(NONE, "risk is limited by freezing a reserve"),
        "v3": Entry("yes, a supply and a borrow cap", "in whole tokens, per reserve", _LISTING),
    },
    "stable_rate": {
        "v2": Entry("yes, stable and variable debt", "swapBorrowRateMode changes over"),
        "v3": Entry("no, removed in v3.2", "launched with v3.0, then switched off everywhere"),
    },
    "debt_tokens": {
        "v2": Entry("a stable and a variable token per reserve", "neither can be transferred"),
        "v3": Entry("the variable debt token", "the stable one went with v3.2"),
    },
    "close_factor": {
        "v2": Entry("50% of the debt", "in one liquidation call"),
        "v3": Entry("50%, or 100% below health factor 0.95", "v3.3 adds small positions"),
    },
    "close_factor_small_position": {
        "v2": Entry(NONE, "size does not matter"),
        "v3": Entry(
            "100% below 2,000 dollars",
            "of debt or collateral in the reserve, since v3.3",
            None,
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
        "v3": Entry("burnt and booked as a deficit", "since v3.3; Umbrella may cover it"),
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
            "flashLoanPremiumTotal of the main markets",
            None,
            _DAO,
            QUARTER,
        ),
    },
    "flash_loan_functions": {
        "v2": Entry("flashLoan", "several assets at once"),
        "v3": Entry("flashLoan and flashLoanSimple", "the simple one lends one asset, cheaper"),
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
        "v3": Entry("PriceOracleSentinel", "a grace period after an L2 sequencer restarts"),
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
            "Portals, introduced by v3.0", "bridges could mint unbacked aTokens up to a cap"
        ),
    },
    "rewards_contract": {
        "v2": Entry("AaveIncentivesController", "one reward token"),
        "v3": Entry("RewardsController", "several reward tokens for one asset"),
    },
    "balance_accounting": {
        "v2": Entry("token balance of the aToken", "a transfer to it adds liquidity"),
        "v3": Entry("virtual balance", "since v3.1, so donations do not move rates"),
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
            None,
            _DAO,
            HALF_YEAR,
        ),
    },
}

PROTOCOL = Protocol(
    "aave",
    {
        "v2": "Aave v2 white paper and protocol contracts' interfaces",
        "v3": "Aave v3 technical paper and protocol contracts' interfaces",
    },
    _TABLE,
)
