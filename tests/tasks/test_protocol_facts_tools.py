"""The protocol-fact tool: answers by version, rivals, expiry, and what may be asked at all."""

from __future__ import annotations

import pytest

from denizen.protocols import mechanics
from denizen.tasks.catalogue import ToolError
from denizen.tasks.reading import names_label
from denizen.tasks.tools.protocol_facts import (
    PROTOCOLS,
    TOPICS,
    asked_about,
    fact_of,
    protocol_fact,
    siblings,
)


@pytest.mark.parametrize(
    ("protocol", "topic", "value"),
    [
        ("aave v2", "flash_loan_premium", "0.09%"),
        ("aave v2", "supply_function", "deposit"),
        ("aave v3", "supply_function", "supply"),
        ("compound v2", "liquidation_function", "liquidateBorrow"),
        ("compound v3", "liquidation_function", "absorb"),
        ("maker", "stablecoin", "DAI"),
        ("sky", "stablecoin", "USDS"),
        ("curve v2", "coin_index_type", "uint256"),
        ("curve ng", "coin_index_type", "int128"),
        ("steth", "balance", "rebases"),
        ("wsteth", "balance", "fixed"),
        ("morpho blue", "target_utilization", "90%"),
        ("balancer v2", "hooks", "none"),
    ],
)
def test_known_answers(protocol: str, topic: str, value: str) -> None:
    """Documented by the protocols themselves (see the sources in protocols/mechanics)."""
    assert dict(protocol_fact(protocol, topic).values) == {
        "protocol": protocol,
        "topic": topic,
        "value": value,
    }


def test_every_choice_has_facts_and_every_topic_a_contrast() -> None:
    assert {p for topic in TOPICS for p in asked_about(topic)} == set(PROTOCOLS)
    for topic in TOPICS:
        for table in {PROTOCOLS[p][0] for p in asked_about(topic)}:
            mine = [p for p in asked_about(topic) if PROTOCOLS[p][0] == table]
            assert len({fact_of(p, topic).value for p in mine}) > 1, (topic, table)


def test_an_answer_names_its_value_and_no_rival() -> None:
    for topic in TOPICS:
        for protocol in asked_about(topic):
            result = protocol_fact(protocol, topic)
            assert names_label(result, result.text)[0], (protocol, topic)
            assert siblings(protocol, topic)
            for rival in result.rivals:
                assert not names_label(result, f"It is {rival}.")[0], (protocol, topic, rival)
            found = fact_of(protocol, topic)
            assert found.source in result.derivation[0]
            assert found.expires is None or found.expires in result.derivation[0]


def test_only_facts_that_are_vouched_for() -> None:
    for topic in TOPICS:
        for protocol in asked_about(topic):
            found = fact_of(protocol, topic)
            assert not mechanics.expired(found, mechanics.AS_OF)


def test_unknown_pairs_are_refused() -> None:
    with pytest.raises(ToolError, match="hooks"):
        protocol_fact("aave v3", "hooks")
