"""ENS v1 and v2: registry, registrar, permissions, resolvers.

The v2 contracts are on a testnet and not final, so each of their facts expires.
Source: the ENS documentation.
"""

from __future__ import annotations

from .record import NONE, QUARTER, Entry, Protocol, Table

_DOCS = "ENS documentation: src/pages/"
_REGISTRAR = _DOCS + "ensv2/eth-registrar.mdx"
_OVERVIEW = _DOCS + "ensv2/overview.mdx"
_ETH = _DOCS + "registry/eth.mdx"
_MIGRATION = _DOCS + "ensv2/migration.mdx"
_TOKENS = _DOCS + "ensv2/mutable-token-ids.mdx"
_DEPLOYMENTS = _DOCS + "learn/deployments.mdx"
_BUILDERS = "ENS Labs and the ENS DAO, before mainnet"


def _beta(value: str, note: str, source: str = _OVERVIEW, shared: bool = False) -> Entry:
    return Entry(value, note, source, _BUILDERS, QUARTER, shared)


_TABLE: Table = {
    "network": {
        "v1": Entry("Ethereum mainnet", "in use", _DEPLOYMENTS),
        "v2": _beta("Sepolia testnet", "mainnet contracts are not final"),
    },
    "registry": {
        "v1": Entry("one flat registry", "keyed by namehash", _OVERVIEW),
        "v2": _beta("a hierarchy of registries", "a name's owner may deploy the subregistry"),
    },
    "grace_period": {
        "v1": Entry("90 days", "after expiry, only renewal", _ETH),
        "v2": _beta("28 days", "anyone may renew in it", _REGISTRAR),
    },
    "premium_period": {
        "v1": Entry("21 days", "an exponential Dutch auction after grace", _ETH, shared=True),
        "v2": _beta("21 days", "starts near $100M, halves every day", _REGISTRAR, True),
    },
    "payment": {
        "v1": Entry("ETH", "prices are in dollars", _ETH),
        "v2": _beta("ERC-20 tokens", "the price oracle lists them", _REGISTRAR),
    },
    "price_5_letters": {
        "v1": Entry("$5 a year", "5 or more letters", _ETH, "ENS DAO", QUARTER),
        "v2": _beta("$8 a year", "5 or more letters", _REGISTRAR),
    },
    "price_4_letters": {
        "v1": Entry("$160 a year", "exactly 4 letters", _ETH, "ENS DAO", QUARTER, True),
        "v2": _beta("$160 a year", "exactly 4 letters", _REGISTRAR, True),
    },
    "multi_year_discount": {
        "v1": Entry(NONE, "the yearly price times the years", _REGISTRAR),
        "v2": _beta("12.5% for two years, more for longer", "about 44% for six", _REGISTRAR),
    },
    "commit_wait": {
        "v1": Entry("60 seconds", "between commit and register", _ETH, shared=True),
        "v2": _beta("60 seconds", "MIN_COMMITMENT_AGE", _REGISTRAR, True),
    },
    "name_token": {
        "v1": Entry("ERC-721, ERC-1155 if wrapped", "BaseRegistrar and NameWrapper", _REGISTRAR),
        "v2": _beta("ERC1155Singleton", "one owner per token", _REGISTRAR),
    },
    "token_id": {
        "v1": Entry("fixed, from the label", "the labelhash", _ETH),
        "v2": _beta(
            "changes with the permissions", "a version sits in its lowest 32 bits", _TOKENS
        ),
    },
    "permissions": {
        "v1": Entry(
            "Name Wrapper fuses", "once burnt, they hold until the name expires", _OVERVIEW
        ),
        "v2": _beta("Enhanced Access Control roles", "part of the core"),
    },
    "default_resolver": {
        "v1": Entry("shared Public Resolver", "one contract for all", _OVERVIEW),
        "v2": _beta("one Permissioned Resolver per account", "a proxy with roles per record"),
    },
    "after_v2_goes_live": {
        "v1": Entry(
            "no new names, no renewals",
            "owners migrate, or renew from the v2 side",
            _MIGRATION,
            _BUILDERS,
            QUARTER,
        ),
        "v2": _beta("all registrations", "unmigrated names renew through ETHRenewerV1", _MIGRATION),
    },
}

PROTOCOL = Protocol(
    "ens",
    {"v1": "ENS documentation: src/pages/registry", "v2": "ENS documentation: src/pages/ensv2"},
    _TABLE,
)
