"""ERC tools: how strictly a standard demands something, whether a contract complies, who says it.

The table is `protocols/erc_rules.py`.  A rule may exist in several standards at another level each
(ERC-20 asks that a transfer past the balance fails, ERC-1155 demands it), so an answer holds the
standard, the rule and the level.  Levels are RFC 2119's, or "not required".
"""

from __future__ import annotations

from denizen.protocols import erc_rules
from denizen.protocols.erc_rules import KEYS, LEVELS, STANDARDS, Rule
from denizen.tasks.catalogue import Parameter, Result, Tool

VERDICTS = ("complies", "violates", "discouraged")
_LEVEL_NAMES: dict[str, tuple[str, ...]] = {
    "MUST": ("REQUIRED", "SHALL", "mandatory"),
    "MUST NOT": ("SHALL NOT", "forbidden", "prohibited"),
    "SHOULD": ("RECOMMENDED",),
    "SHOULD NOT": ("NOT RECOMMENDED",),
    "MAY": ("OPTIONAL",),
    "not required": ("not specified", "not mandatory", "no requirement"),
}
_VERDICT_NAMES: dict[str, tuple[str, ...]] = {
    "complies": ("compliant", "conforms", "allowed"),
    "violates": ("not compliant", "non-compliant", "violation", "not allowed"),
    "discouraged": ("not recommended", "against a recommendation"),
}


def _rivals(names: dict[str, tuple[str, ...]], right: str) -> tuple[str, ...]:
    return tuple(name for label, more in names.items() if label != right for name in (label, *more))


def _told(found: Rule) -> tuple[str, str]:
    """Derivation: what the rule says, and where it stands."""
    source = f"{found.standard}, section {found.section!r}, on {found.subject}"
    return found.statement, f"{found.level}: {source}"


def erc_rule(standard_: str, rule_: str) -> Result:
    """The level of one rule of one standard."""
    found = erc_rules.rule(standard_, rule_)
    return Result(
        {"standard": standard_, "rule": rule_, "level": found.level},
        found.level,
        _told(found),
        "level",
        aliases=_LEVEL_NAMES[found.level],
        rivals=_rivals(_LEVEL_NAMES, found.level),
    )


def erc_check(standard_: str, rule_: str, done_: str) -> Result:
    """Whether doing, or not doing, what a rule is about complies with the standard."""
    found = erc_rules.rule(standard_, rule_)
    verdict = erc_rules.judge(found, done_ == "yes")
    return Result(
        {"standard": standard_, "rule": rule_, "done": done_, "verdict": verdict},
        verdict,
        (*_told(found), f"done: {done_}"),
        "verdict",
        aliases=_VERDICT_NAMES[verdict],
        rivals=_rivals(_VERDICT_NAMES, verdict),
    )


def erc_standard(rule_: str) -> Result:
    """The standards, of those in the table, that state a rule."""
    stated = erc_rules.stating(rule_)
    names = {standard: _spellings(standard) for standard in STANDARDS}
    first = erc_rules.rule(stated[0], rule_)
    return Result(
        {"rule": rule_, "standard": ", ".join(stated)},
        ", ".join(stated),
        (first.statement, *(f"{s}: {erc_rules.rule(s, rule_).level}" for s in stated)),
        "standard",
        aliases=names[stated[0]] if len(stated) == 1 else (),
        rivals=_rivals(names, stated[0]) if len(stated) == 1 else (),
    )


def _spellings(standard: str) -> tuple[str, ...]:
    number = standard.partition("-")[2]
    return f"EIP-{number}", f"ERC{number}", f"EIP{number}"


_STANDARD = Parameter("standard", "the standard asked about", choices=STANDARDS)
_RULE = Parameter("rule", "what the question is about", choices=KEYS)

ERC_TOOLS = (
    Tool(
        "erc_rule",
        "how strictly an ERC demands something: MUST, SHOULD, MAY, ... or not required",
        "requirement level",
        (_STANDARD, _RULE),
        erc_rule,
        {"standard": "as asked", "rule": "as asked", "level": f"one of {', '.join(LEVELS)}"},
    ),
    Tool(
        "erc_check",
        "whether a contract that does, or does not do, something complies with an ERC",
        "compliant or not",
        (_STANDARD, _RULE, Parameter("done", "whether it is done", choices=("yes", "no"))),
        erc_check,
        {
            "standard": "as asked",
            "rule": "as asked",
            "done": "yes or no",
            "verdict": f"one of {', '.join(VERDICTS)}",
        },
    ),
    Tool(
        "erc_standard",
        "which ERC states a rule",
        "which standard",
        (_RULE,),
        erc_standard,
        {"rule": "as asked", "standard": "the standards that state it"},
    ),
)
