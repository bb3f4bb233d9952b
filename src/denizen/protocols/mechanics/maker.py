"""Maker (DAI, MKR) and Sky (USDS, SKY): two sets of tokens over one accounting core.

Source: Maker Improvement Proposals, the Maker developer guides and the Sky documentation.
"""

from __future__ import annotations

from .record import HALF_YEAR, NONE, QUARTER, Entry, Protocol, Table

_GOVERNANCE = "Sky governance"
_MIP107 = "Maker Improvement Proposals: MIP107/MIP107.md"
_MIP45 = "Maker Improvement Proposals: MIP45/mip45.md"
_DSR_GUIDE = "Maker developer guides: dai/dai-supply/dai-supply.md"

_TABLE: Table = {
    "stablecoin": {
        "maker": Entry("DAI", "18 decimals"),
        "sky": Entry("USDS", "18 decimals"),
    },
    "governance_token": {
        "maker": Entry("MKR", "the older token"),
        "sky": Entry("SKY", "votes since the move from MKR"),
    },
    "governance_token_units": {
        "maker": Entry("1 MKR", "the unit that is upgraded", _MIP107),
        "sky": Entry("24,000 SKY for 1 MKR", "before any penalty on late upgrades", _MIP107),
    },
    "stablecoin_conversion": {
        "maker": Entry("daiToUsds, 1 to 1", "DaiUsds converter, without fee"),
        "sky": Entry("usdsToDai, 1 to 1", "the same converter, back again"),
    },
    "savings_rate": {
        "maker": Entry("DSR, Dai Savings Rate", "a per-second ray", _DSR_GUIDE),
        "sky": Entry("SSR, Sky Savings Rate", "a per-second ray"),
    },
    "savings_rate_setter": {
        "maker": Entry(
            "governance, as dsr of the Pot",
            "by spell, or SP-BEAM within bounds; read dsr for today's",
        ),
        "sky": Entry(
            "governance, as ssr of sUSDS",
            "by spell, or SP-BEAM within bounds; read ssr for today's",
        ),
    },
    "savings_contract": {
        "maker": Entry("Pot", "drip moves chi, the accumulated rate"),
        "sky": Entry("sUSDS itself", "its own drip and chi; there is no Pot"),
    },
    "savings_token": {
        "maker": Entry("sDAI", "ERC-4626 over the Pot"),
        "sky": Entry("sUSDS", "ERC-4626 and savings contract in one"),
    },
    "join_adapter": {
        "maker": Entry("DaiJoin", "internal dai to DAI and back"),
        "sky": Entry("UsdsJoin", "internal dai to USDS and back"),
    },
    "accounting_core": {
        "maker": Entry("Vat", "urns, ilks and internal dai", shared=True),
        "sky": Entry("Vat", "USDS is another face of the same internal dai", shared=True),
    },
    "oracle_delay": {
        "maker": Entry(
            "one hour",
            "the hop of the Oracle Security Module",
            _MIP45,
            _GOVERNANCE,
            HALF_YEAR,
            shared=True,
        ),
        "sky": Entry(
            "one hour",
            "the same module; SKY's own price is capped besides",
            _MIP45,
            _GOVERNANCE,
            HALF_YEAR,
            shared=True,
        ),
    },
    "vault_liquidation": {
        "maker": Entry("Dutch auction", "Dog.bark and Clipper, since 2021", _MIP45, shared=True),
        "sky": Entry("Dutch auction", "Dog.bark and a Clipper per type", _MIP45, shared=True),
    },
    "token_upgradeable": {
        "maker": Entry("no, DAI is immutable", "deployed in November 2019"),
        "sky": Entry("yes, USDS is a UUPS proxy", "governance may upgrade it"),
    },
    "launch": {
        "maker": Entry("November 2019", "Multi-Collateral Dai; single-collateral Sai before"),
        "sky": Entry("September 2024", "as part of Endgame"),
    },
    "token_freeze": {
        "maker": Entry(NONE, "DAI has no blacklist"),
        "sky": Entry(
            "none at launch, upgradeable",
            "an upgrade could add one",
            "Sky contract: Usds",
            _GOVERNANCE,
            HALF_YEAR,
        ),
    },
    "governance_staking": {
        "maker": Entry("MKR locked in DSChief", "approval voting, until SKY took over in 2025"),
        "sky": Entry(
            "Staking Engine (LockStake)",
            "staked SKY can vote, earn and back USDS borrowing",
            "Sky contract: LockstakeEngine",
            _GOVERNANCE,
            QUARTER,
        ),
    },
    "vault_manager": {
        "maker": Entry("DssCdpManager", "with DSProxy or DssProxyActions"),
        "sky": Entry("LockstakeEngine, for SKY", "other collateral types stay Maker's"),
    },
}

PROTOCOL = Protocol(
    "maker",
    {
        "maker": "Maker documentation: smart-contract-modules (Vat, Pot, DaiJoin)",
        "sky": "Sky contracts: Usds, UsdsJoin, DaiUsds, SUsds",
    },
    _TABLE,
)
