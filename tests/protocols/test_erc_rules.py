"""The rules of the ERC standards: every row against the sentence of the document that states it."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from denizen.protocols import erc_rules
from denizen.protocols.erc_rules import LEVELS, NOT_REQUIRED, RULES, Rule, judge, rule, stating

# The corpora lie beside the checkout, where there are any.
DOCUMENTS = Path(__file__).parents[3] / "shared" / "data" / "docs" / "ercs" / "ERCS"
_HEADING = re.compile(r"^#{2,6} +(.+?)\s*$", re.MULTILINE)
_LEVEL_WORD = re.compile(r"\b(?:MUST|SHALL|SHOULD|REQUIRED)\b")


@cache
def sections(standard: str) -> dict[str, str]:
    """Heading to the text up to the next heading; repeated headings are joined."""
    path = DOCUMENTS / f"{standard.lower()}.md"
    if not path.exists():
        pytest.skip(f"no {path}: the ERC documents are not at hand")
    parts = _HEADING.split(path.read_text("utf-8"))
    found: dict[str, str] = {}
    for heading, text in zip(parts[1::2], parts[2::2], strict=True):
        found[heading] = found.get(heading, "") + text
    return found


def sentences(text: str) -> list[str]:
    """Sentences and list items, comment leaders and line breaks taken out."""
    text = re.sub(r"^\s*(?:///|\*(?!\*))\s?", " ", text, flags=re.MULTILINE)
    items = re.split(r"\n\s*\n|\n\s*[-*] |@dev|@param|@return", text)
    flat = (" ".join(item.split()) for item in items)
    return [one for item in flat for one in re.split(r"(?<=[.!])\s", item)]


# A level's word must not be read out of its own negation.
_WORDS = {"MUST": r"MUST(?!\W+NOT)", "SHOULD": r"SHOULD(?!\W+(?:NOT|not))"}


def states(found: Rule, sentence: str) -> bool:
    """The word for the level stands there, with every word of `near`."""
    word = _WORDS.get(found.marker, re.escape(found.marker))
    if not re.search(rf"(?<!\w){word}(?!\w)", sentence):
        return False
    lower = sentence.lower()
    return all(word.lower() in lower for word in found.near)


@pytest.mark.parametrize("found", RULES, ids=lambda r: f"{r.standard}-{r.key}")
def test_the_document_states_the_level(found: Rule) -> None:
    document = sections(found.standard)
    if found.marker:
        assert found.section in document, sorted(document)
        stated = sentences(document[found.section])
        assert any(states(found, one) for one in stated)
        return
    demanding = [
        one
        for heading, text in document.items()
        if heading not in ("Rationale", "Motivation", "Abstract", "Backwards Compatibility")
        for one in sentences(text)
        if _LEVEL_WORD.search(one) and all(w.lower() in one.lower() for w in found.near)
    ]
    assert not demanding


def test_the_table_is_whole() -> None:
    assert len(RULES) >= 80
    assert len({(r.standard, r.key) for r in RULES}) == len(RULES)
    assert {r.standard for r in RULES} == set(erc_rules.STANDARDS)
    assert {r.level for r in RULES} == set(LEVELS)
    for found in RULES:
        assert found.statement.endswith(".") and found.near and found.subject
        assert bool(found.marker) or found.level == NOT_REQUIRED


def test_one_key_has_other_levels_elsewhere() -> None:
    levels = {s: rule(s, "metadata_functions").level for s in ("ERC-20", "ERC-721", "ERC-4626")}
    assert levels == {"ERC-20": "MAY", "ERC-721": "MAY", "ERC-4626": "MUST"}
    assert rule("ERC-20", "balance_revert").level == "SHOULD"
    assert rule("ERC-1155", "balance_revert").level == "MUST"
    assert rule("ERC-4626", "convert_fees").level == "MUST NOT"
    assert rule("ERC-4626", "preview_fees").level == "MUST"
    assert stating("receiver_hook") == ("ERC-721", "ERC-1155")
    with pytest.raises(LookupError, match="ERC-4626"):
        rule("ERC-20", "convert_fees")


@pytest.mark.parametrize(
    ("level", "when_done", "when_not"),
    [
        ("MUST", "complies", "violates"),
        ("MUST NOT", "violates", "complies"),
        ("SHOULD", "complies", "discouraged"),
        ("SHOULD NOT", "discouraged", "complies"),
        ("MAY", "complies", "complies"),
        ("not required", "complies", "complies"),
    ],
)
def test_judging_by_level(level: str, when_done: str, when_not: str) -> None:
    found = next(r for r in RULES if r.level == level)
    assert (judge(found, True), judge(found, False)) == (when_done, when_not)
