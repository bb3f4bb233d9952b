"""The ERC tools: levels that differ by standard, verdicts by RFC 2119, answers in words."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest

from denizen.protocols.erc_rules import KEYS, RULES, stating
from denizen.tasks.catalogue import Result
from denizen.tasks.reading import names_label
from denizen.tasks.tools.erc import erc_check, erc_rule, erc_standard


def said(result: Result, text: str) -> bool:
    return names_label(result, text)[0]


@pytest.mark.parametrize(
    ("standard", "key", "level"),
    [
        ("ERC-20", "zero_value_transfer", "MUST"),
        ("ERC-20", "balance_revert", "SHOULD"),
        ("ERC-1155", "balance_revert", "MUST"),
        ("ERC-20", "zero_address_recipient", "not required"),
        ("ERC-721", "zero_address_recipient", "MUST"),
        ("ERC-20", "mint_event", "SHOULD"),
        ("ERC-1155", "mint_event", "MUST"),
        ("ERC-4626", "permit", "MAY"),
        ("ERC-2612", "permit", "MUST"),
        ("ERC-4626", "convert_fees", "MUST NOT"),
        ("ERC-4337", "early_return", "SHOULD NOT"),
        ("ERC-3643", "frozen_sender", "MUST NOT"),
    ],
)
def test_level(standard: str, key: str, level: str) -> None:
    result = erc_rule(standard, key)
    assert dict(result.values) == {"standard": standard, "rule": key, "level": level}
    assert said(result, result.text) and said(result, f"{standard} says: {level}.")
    assert any(standard in step for step in result.derivation)


@pytest.mark.parametrize(
    ("level", "right", "wrong"),
    [
        ("MUST", ("It is required.", "a MUST"), ("MUST NOT", "not required", "must or should")),
        ("MUST NOT", ("This is forbidden.", "SHALL NOT"), ("It must be done.", "SHOULD NOT")),
        ("SHOULD", ("Recommended only.", "should"), ("should not", "MUST", "MAY")),
        ("SHOULD NOT", ("not recommended", "SHOULD NOT"), ("SHOULD", "MUST NOT")),
        ("MAY", ("It is optional.", "may"), ("It is not optional.", "must")),
        ("not required", ("This is not required.", "not specified"), ("required", "MAY")),
    ],
)
def test_levels_in_words(level: str, right: tuple[str, ...], wrong: tuple[str, ...]) -> None:
    found = next(r for r in RULES if r.level == level)
    result = erc_rule(found.standard, found.key)
    for text in right:
        assert said(result, text), text
    for text in (*wrong, "no idea"):
        assert not said(result, text), text


def test_verdicts() -> None:
    def verdict(standard: str, key: str, done: str) -> str:
        return erc_check(standard, key, done).values["verdict"]

    assert verdict("ERC-1155", "balance_revert", "no") == "violates"
    assert verdict("ERC-20", "balance_revert", "no") == "discouraged"
    assert verdict("ERC-4626", "max_revert", "yes") == "violates"
    assert verdict("ERC-4626", "deposit_prefunded", "no") == "complies"
    assert verdict("ERC-20", "receiver_hook", "yes") == "complies"
    broken = erc_check("ERC-4626", "max_revert", "yes")
    assert said(broken, "This is not compliant.") and not said(broken, "It is compliant.")
    fine = erc_check("ERC-4626", "max_revert", "no")
    assert said(fine, "It complies.") and not said(fine, "It is not compliant.")


def test_which_standard() -> None:
    one = erc_standard("convert_fees")
    assert one.values["standard"] == "ERC-4626"
    assert said(one, "EIP-4626") and said(one, "It is ERC4626.") and not said(one, "ERC-20")
    assert erc_standard("receiver_hook").values["standard"] == "ERC-721, ERC-1155"


def test_what_no_standard_says_is_refused() -> None:
    with pytest.raises(LookupError):
        erc_rule("ERC-20", "convert_fees")


def test_every_rule_is_worded_in_every_split() -> None:
    assert all(stating(key) for key in KEYS)
    seen: set[str] = set()
    for split in ("train", "dev", "holdout"):
        path = files("denizen.tasks") / "templates" / split / "erc_clauses.json"
        clauses = json.loads(path.read_text("utf-8"))
        assert set(clauses) == set(KEYS), split
        texts = {text.lower() for rows in clauses.values() for text in rows}
        assert len(texts) == sum(map(len, clauses.values())), "a wording serves two rules"
        assert not texts & seen, "a wording stands in two splits"
        seen |= texts
