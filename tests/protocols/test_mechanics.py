"""The mechanics tables: complete, contrastive, dated, and in step with the engine's constants."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from denizen.protocols import aave_v3_liquidation as aave
from denizen.protocols import (
    compound_v3,
    curve_math,
    maker_vaults,
    mechanics,
    morpho_blue,
    tick_math,
    uniswap_v2,
    uniswap_v3,
    uniswap_v4,
)
from denizen.protocols.mechanics import Fact

TIER = "0.30%"


def tier(protocol: str, topic: str) -> str | None:
    return TIER if (protocol, topic) == ("uniswap", "tick_spacing") else None


TOPICS = [(p, t) for p in mechanics.protocols() for t in mechanics.topics(p)]
FACTS = [f for p, t in TOPICS for f in mechanics.contrast(p, t, tier(p, t))]


def value(protocol: str, version: str, topic: str) -> str:
    return mechanics.lookup(protocol, version, topic).value


def test_there_is_enough_to_ask() -> None:
    assert len(FACTS) >= 500
    assert len(mechanics.protocols()) == 11


@pytest.mark.parametrize("protocol", mechanics.protocols())
def test_every_version_answers_and_versions_differ(protocol: str) -> None:
    for topic in mechanics.topics(protocol):
        facts = mechanics.contrast(protocol, topic, tier(protocol, topic))
        assert tuple(f.version for f in facts) == mechanics.versions(protocol)
        for found in facts:
            twins = [f for f in facts if f.value == found.value]
            assert found.shared == (len(twins) > 1), found
            assert (found.protocol, found.topic) == (protocol, topic)


@pytest.mark.parametrize("protocol", mechanics.protocols())
def test_facts_are_short_sourced_and_dated(protocol: str) -> None:
    for found in (f for f in FACTS if f.protocol == protocol):
        assert 0 < len(found.value) < 60 and found.value == found.value.strip(), found
        assert found.note and found.note != found.value and len(found.note) < 100, found
        assert found.source and not found.source.startswith("/") and "://" not in found.source
        assert found.as_of == mechanics.AS_OF
        if found.expires is not None:
            assert found.changeable_by, found
            life = date.fromisoformat(found.expires) - date.fromisoformat(found.as_of)
            assert timedelta(90) <= life <= timedelta(180), found


def test_expiry_is_the_first_day_not_vouched_for() -> None:
    found = mechanics.lookup("aave", "v3", "flash_loan_premium")
    assert found.expires is not None and found.changeable_by == "Aave governance"
    last = date.fromisoformat(found.expires) - timedelta(1)
    assert not mechanics.expired(found, last)
    assert not mechanics.expired(found, found.as_of)
    assert mechanics.expired(found, found.expires)
    fixed = mechanics.lookup("uniswap", "v2", "swap_fee")
    assert fixed.expires is None and not mechanics.expired(fixed, "2999-01-01")


def test_some_facts_are_fixed_and_some_expire() -> None:
    dated = [f for f in FACTS if f.expires]
    assert 20 < len(dated) < len(FACTS) / 4
    # ENS v2 is not on mainnet: nothing of it is settled.
    assert all(f.expires for f in FACTS if (f.protocol, f.version) == ("ens", "v2"))


def test_what_tools_rely_on_has_not_moved() -> None:
    assert Fact._fields[:7] == (
        "version",
        "topic",
        "qualifier",
        "value",
        "note",
        "source",
        "as_of",
    )
    assert mechanics.topics() == (
        "swap_fee",
        "max_fee",
        "protocol_fee",
        "fee_payment",
        "lp_token",
        "native_eth",
        "contract_layout",
        "pool_id",
        "flash",
        "callback",
        "oracle",
        "hooks",
        "liquidity_shape",
        "tick_spacing",
    )
    assert set(mechanics.topics()) < set(mechanics.topics("uniswap"))
    for topic in mechanics.topics():
        for version in mechanics.versions("uniswap"):
            qualifier = tier("uniswap", topic)
            assert mechanics.fact(version, topic, qualifier) == mechanics.lookup(
                "uniswap", version, topic, qualifier
            )
    assert mechanics.fact("v3", "oracle")[:7] == (
        "v3",
        "oracle",
        None,
        "observe with up to 65,535 observations",
        "cumulative ticks stored in the pool",
        "Uniswap v3 white paper and v3-core contracts",
        "2026-11-01",
    )


def test_what_is_not_there_is_named() -> None:
    with pytest.raises(LookupError, match="known: uniswap"):
        mechanics.lookup("napster", "v1", "swap_fee")
    with pytest.raises(LookupError, match="known: v2, v3"):
        mechanics.lookup("aave", "v1", "close_factor")
    with pytest.raises(LookupError, match="known: core_contract"):
        mechanics.lookup("aave", "v3", "tick_spacing")
    with pytest.raises(LookupError, match="known: uniswap"):
        mechanics.topics("napster")


def test_uniswap_agrees_with_the_engine() -> None:
    fee = 1000 - 1000 * uniswap_v2.FEE_NUMERATOR // uniswap_v2.FEE_DENOMINATOR
    assert value("uniswap", "v2", "swap_fee") == f"0.{fee}0%"
    assert str(uniswap_v2.MINIMUM_LIQUIDITY) in value("uniswap", "v2", "locked_first_liquidity")
    for version in ("v3", "v4"):
        assert value("uniswap", version, "max_tick") == str(tick_math.MAX_TICK)
        assert value("uniswap", version, "min_sqrt_price") == str(tick_math.MIN_SQRT_PRICE)
    spacings = uniswap_v3.FEE_TICK_SPACING
    for pips, spacing in spacings.items():
        percent = f"{pips // 10_000}.{pips % 10_000 // 100:02d}%"
        assert mechanics.fact("v3", "tick_spacing", percent).value == str(spacing)
        assert percent in value("uniswap", "v3", "swap_fee")
    *first, last = map(str, spacings.values())
    assert value("uniswap", "v3", "default_tick_spacings") == f"{', '.join(first)} and {last}"
    assert value("uniswap", "v4", "dynamic_fee_flag") == hex(uniswap_v4.DYNAMIC_FEE_FLAG)
    assert value("uniswap", "v4", "max_fee") == f"{uniswap_v4.MAX_LP_FEE // 10_000}%"
    assert f"0.{uniswap_v4.MAX_PROTOCOL_FEE // 1000}%" in value("uniswap", "v4", "protocol_fee")


def test_lenders_agree_with_the_engine() -> None:
    percent = 10**16
    assert value("morpho", "blue", "maximum_fee").startswith(f"{morpho_blue.MAX_FEE // percent}% ")
    cap = morpho_blue.MAX_LIQUIDATION_INCENTIVE_FACTOR // percent
    assert value("morpho", "blue", "liquidation_incentive_cap") == f"{cap // 100}.{cap % 100}"
    cursor = morpho_blue.LIQUIDATION_CURSOR * 10 // morpho_blue.WAD
    assert value("morpho", "blue", "liquidation_cursor") == f"0.{cursor}"
    target = morpho_blue.TARGET_UTILIZATION // percent
    assert value("morpho", "blue", "target_utilization") == f"{target}%"
    steepness = morpho_blue.CURVE_STEEPNESS // morpho_blue.WAD
    assert value("morpho", "blue", "curve_steepness") == str(steepness)
    assert morpho_blue.VIRTUAL_SHARES == 10**6 and morpho_blue.VIRTUAL_ASSETS == 1
    assert value("morpho", "blue", "virtual_shares") == "1e6 virtual shares and 1 asset"
    assert value("compound", "v3", "index_scale") == "1e15"
    assert compound_v3.BASE_INDEX_SCALE == 10**15
    half = aave.DEFAULT_LIQUIDATION_CLOSE_FACTOR // 100
    threshold = aave.CLOSE_FACTOR_HF_THRESHOLD // percent
    assert value("aave", "v3", "close_factor").startswith(f"{half}%, or 100%")
    assert value("aave", "v3", "close_factor").endswith(f"0.{threshold}")
    assert value("aave", "v2", "close_factor").startswith(f"{half}%")


def test_curve_and_maker_agree_with_the_engine() -> None:
    assert curve_math.FEE_DENOMINATOR == 10**10
    assert {f.value for f in mechanics.contrast("curve", "fee_precision")} == {"1e10"}
    assert value("curve", "ng", "coins_per_pool").endswith(str(curve_math.MAX_COINS))
    assert value("maker", "maker", "oracle_delay") == "one hour"
    assert maker_vaults.OSM_DELAY == 3600
