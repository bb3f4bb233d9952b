"""Synthetix v2 (V2x) and v3: collateral, debt pool, accounts, liquidation.

v2 facts are those of V2x staking, which ended when its stakers moved to v3 (SIP-306, SIP-420).
Source: Synthetix improvement proposals (SIPs) and parameter changes (SCCPs).
"""

from __future__ import annotations

from .record import Entry, Protocol, Table

_SIP = "Synthetix improvement proposals: content/sips/sip-{}.md"
_SCCP = "Synthetix improvement proposals: content/sccp/sccp-{}.md"
_GOVERNANCE = "Synthetix governance, by SCCP"

_TABLE: Table = {
    "collateral": {
        "v2": Entry("SNX", "staked by its holders", _SIP.format(300)),
        "v3": Entry("types approved by governance", "deposited into vaults", _SIP.format(302)),
    },
    "stablecoin": {
        "v2": Entry("sUSD", "minted against SNX", _SIP.format(148)),
        "v3": Entry("snxUSD", "minted against delegated collateral", _SIP.format(302)),
    },
    "debt_pool": {
        "v2": Entry(
            "one, shared by all stakers", "every staker backs every synth", _SIP.format(300)
        ),
        "v3": Entry(
            "split into pools and markets", "a pool backs the markets it picks", _SIP.format(303)
        ),
    },
    "account": {
        "v2": Entry("the wallet address", "a position cannot be handed over", _SIP.format(301)),
        "v3": Entry("ERC-721 account token", "transferable, with permissions", _SIP.format(301)),
    },
    "market_creation": {
        "v2": Entry("by governance", "synths and futures are listed", _SIP.format(300)),
        "v3": Entry(
            "permissionless by design", "pools choose which markets to back", _SIP.format(303)
        ),
    },
    "minimum_ratio": {
        "v2": Entry(
            "one liquidationRatio for SNX",
            "150% in SIP-148, 160% by SCCP-268; an account below it can be flagged",
            _SCCP.format(268),
            _GOVERNANCE,
        ),
        "v3": Entry(
            "set per collateral type", "the liquidation ratio", _SIP.format(304), _GOVERNANCE
        ),
    },
    "liquidation_delay": {
        "v2": Entry(
            "8 hours after a flag",
            "time to repair the ratio; it was 12 hours in SIP-148",
            _SCCP.format(246),
            _GOVERNANCE,
        ),
        "v3": Entry(
            "none, at once below the ratio",
            "liquidatePosition, as the SIP calls it",
            _SIP.format(304),
        ),
    },
    "liquidated_collateral": {
        "v2": Entry("to the other stakers, in escrow", "for 12 months", _SIP.format(148)),
        "v3": Entry("to the rest of the vault", "debt is shared out too", _SIP.format(304)),
    },
    "pool_liquidation": {
        "v2": Entry("none, only accounts", "there is one debt pool", _SIP.format(148)),
        "v3": Entry("liquidateVault", "anyone pays snxUSD for its collateral", _SIP.format(304)),
    },
    "perps_margin": {
        "v2": Entry("isolated, in sUSD", "perps v2", _SIP.format(337)),
        "v3": Entry("cross margin, several collaterals", "perps v3", _SIP.format(337)),
    },
    "upgrade_architecture": {
        "v2": Entry("proxies and an address resolver", "releases in many steps", _SIP.format(307)),
        "v3": Entry(
            "one router proxy over modules", "past the contract size limit", _SIP.format(307)
        ),
    },
    "account_delegation": {
        "v2": Entry("DelegateApprovals contract", "per action and address", _SIP.format(10)),
        "v3": Entry("permissions of the account token", "granted per address", _SIP.format(301)),
    },
}

PROTOCOL = Protocol(
    "synthetix",
    {"v2": _SIP.format(300), "v3": _SIP.format(300)},
    _TABLE,
)
