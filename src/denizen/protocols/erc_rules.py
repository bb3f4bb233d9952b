"""What the token and account standards demand: one rule a row, with its level and where it stands.

Contract: `rule(standard, key)` gives one Rule or raises LookupError; a key may exist in several
standards, at another level in each.  Levels are RFC 2119's; "not required" is an explicit row for
what people believe is demanded and is not.  Source: ERC-20, 721, 1155, 2612, 3643, 4337 and 4626
(CC0), as of August 2026; the statements are ours, `section`, `near` and `marker` locate the text.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from .erc_token_rules import ERC20, ERC721, ERC1155, ERC2612, ERC3643
from .erc_vault_rules import ERC4337, ERC4626

LEVELS = ("MUST", "MUST NOT", "SHOULD", "SHOULD NOT", "MAY", "not required")
NOT_REQUIRED = "not required"


class Rule(NamedTuple):
    """One rule.  `near` are words of the sentence that states it, `marker` its word for the level.

    A rule that is not required has no marker, unless the standard leaves the matter open in so
    many words; its `near` are words that no demand of the standard joins.
    """

    standard: str
    key: str
    subject: str
    level: str
    section: str
    near: tuple[str, ...]
    marker: str
    statement: str


def _rows(standard: str, text: str) -> Iterator[Rule]:
    """Two lines a rule: `key | subject | level | section | near | marker`, then the statement."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    for head, statement in zip(lines[::2], lines[1::2], strict=True):
        key, subject, level, section, near, *rest = (part.strip() for part in head.split("|"))
        marker = rest[0] if rest else "" if level == NOT_REQUIRED else level
        words = tuple(near.split())
        yield Rule(standard, key, subject, level, section, words, marker, statement)


_TEXTS = {
    "ERC-20": ERC20,
    "ERC-721": ERC721,
    "ERC-1155": ERC1155,
    "ERC-2612": ERC2612,
    "ERC-3643": ERC3643,
    "ERC-4337": ERC4337,
    "ERC-4626": ERC4626,
}
STANDARDS = tuple(_TEXTS)
RULES: tuple[Rule, ...] = tuple(
    rule for standard, text in _TEXTS.items() for rule in _rows(standard, text)
)
KEYS: tuple[str, ...] = tuple(dict.fromkeys(rule.key for rule in RULES))
_BY_KEY = {(rule.standard, rule.key): rule for rule in RULES}


def rule(standard: str, key: str) -> Rule:
    """One rule of one standard; LookupError names the standards that speak of it."""
    found = _BY_KEY.get((standard, key))
    if found is None:
        known = ", ".join(stating(key)) or "no standard"
        raise LookupError(f"{standard} has no rule {key!r}; stated by {known}")
    return found


def stating(key: str) -> tuple[str, ...]:
    """The standards that state a rule at some level (not those that leave it open)."""
    return tuple(r.standard for r in RULES if r.key == key and r.level != NOT_REQUIRED)


def judge(found: Rule, done: bool) -> str:
    """Whether doing (or not doing) what a rule is about "complies", "violates" or is "discouraged".

    SHOULD and SHOULD NOT can be departed from for good reason (RFC 2119), so that is no violation.
    """
    against = {"MUST": not done, "MUST NOT": done, "SHOULD": not done, "SHOULD NOT": done}
    if not against.get(found.level, False):
        return "complies"
    return "violates" if found.level.startswith("MUST") else "discouraged"
