"""Mechanics of DeFi protocols as tables of facts, each with version, source and as-of date.

Contract: `lookup(protocol, version, topic)` gives one Fact or raises LookupError listing what
exists; `contrast` gives a topic's facts in every version.  The same topic has another answer one
version away; "none" answers are explicit.  `fact` and `topics()` speak of Uniswap alone.
"""

from __future__ import annotations

from datetime import date

from . import (
    aave,
    balancer,
    compound,
    curve,
    ens,
    liquid_staking,
    maker,
    morpho,
    synthetix,
    uniswap,
    uniswap_contracts,
    vault_standards,
)
from .record import AS_OF, Entry, Fact, Protocol

__all__ = [
    "AS_OF",
    "Fact",
    "contrast",
    "expired",
    "fact",
    "lookup",
    "protocols",
    "topics",
    "versions",
]

_UNISWAP = Protocol(
    "uniswap", uniswap.SOURCES, {**uniswap.CORE, **uniswap.MORE, **uniswap_contracts.TABLE}
)
_PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        _UNISWAP,
        aave.PROTOCOL,
        compound.PROTOCOL,
        morpho.PROTOCOL,
        maker.PROTOCOL,
        curve.PROTOCOL,
        balancer.PROTOCOL,
        vault_standards.PROTOCOL,
        liquid_staking.PROTOCOL,
        synthetix.PROTOCOL,
        ens.PROTOCOL,
    )
}
_TICK_SPACING = "tick_spacing"


def protocols() -> tuple[str, ...]:
    """All protocols that have a table."""
    return tuple(_PROTOCOLS)


def versions(protocol: str) -> tuple[str, ...]:
    """A protocol's versions, oldest first."""
    return tuple(_protocol(protocol).sources)


def topics(protocol: str | None = None) -> tuple[str, ...]:
    """A protocol's topics; without one, Uniswap's first fourteen, tick_spacing last."""
    if protocol is None:
        return (*uniswap.CORE, _TICK_SPACING)
    extra = (_TICK_SPACING,) if protocol == _UNISWAP.name else ()
    return (*_protocol(protocol).table, *extra)


def fact(version: str, topic: str, qualifier: str | None = None) -> Fact:
    """One Uniswap fact; `qualifier` is the fee tier ("0.05%") for v3's tick spacing."""
    return lookup(_UNISWAP.name, version, topic, qualifier)


def lookup(protocol: str, version: str, topic: str, qualifier: str | None = None) -> Fact:
    """One fact of one version; LookupError names what exists."""
    table = _protocol(protocol)
    if version not in table.sources:
        raise LookupError(f"no version {version!r}; known: {', '.join(table.sources)}")
    if topic == _TICK_SPACING and protocol == _UNISWAP.name:
        entry = _tick_spacing(version, qualifier)
    elif topic in table.table:
        entry = table.table[topic][version]
    else:
        raise LookupError(f"no topic {topic!r}; known: {', '.join(topics(protocol))}")
    return Fact(
        version,
        topic,
        qualifier,
        entry.value,
        entry.note,
        entry.source or table.sources[version],
        AS_OF,
        protocol,
        entry.expires,
        entry.changeable_by,
        entry.shared,
    )


def contrast(protocol: str, topic: str, qualifier: str | None = None) -> tuple[Fact, ...]:
    """The topic's facts in every version of the protocol, oldest first."""
    return tuple(lookup(protocol, version, topic, qualifier) for version in versions(protocol))


def expired(found: Fact, on_date: date | str) -> bool:
    """Whether the fact is no longer vouched for on a day (a date, or ISO text)."""
    day = date.fromisoformat(on_date) if isinstance(on_date, str) else on_date
    return found.expires is not None and day >= date.fromisoformat(found.expires)


def _protocol(name: str) -> Protocol:
    if name not in _PROTOCOLS:
        raise LookupError(f"no protocol {name!r}; known: {', '.join(_PROTOCOLS)}")
    return _PROTOCOLS[name]


def _tick_spacing(version: str, tier: str | None) -> Entry:
    if version != "v3":
        return uniswap.SPACING_NOTE[version]
    if tier not in uniswap.SPACING_V3:
        raise LookupError(f"v3 has no {tier} tier; tiers: {', '.join(uniswap.SPACING_V3)}")
    return Entry(uniswap.SPACING_V3[tier], f"fixed by the {tier} fee tier")
